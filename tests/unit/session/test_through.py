"""Large messages that touch nothing pass as they come; nothing else may come between their parts."""

import struct

import pytest

from proxy.session.effects import Tokenise
from proxy.session.limits import Limits
from proxy.session.state import LARGE
from proxy.wire import messages as m
from tests.unit.session.driver import (
    BOUND,
    PARSED,
    SYNC,
    Link,
    bind,
    close,
    done,
    execute,
    failed,
    kinds,
    parse,
    query,
    ready,
)

BIG = b"v" * (2 * LARGE)
COPYING = b"G" + struct.pack("!ibhh", 9, 0, 1, 0)  # CopyInResponse


def prepared(link: Link, text: str = "insert into documents(body) values ($1)") -> Link:
    link.client(parse(text, b"s"), SYNC).server(PARSED, ready())
    link.sent(), link.got()
    return link


def big_bind(name: bytes = b"s", portal: bytes = b"") -> bytes:
    return bind([BIG], name=name, portal=portal)


def in_parts(data: bytes, size: int = 10_000) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def test_a_bind_passes_before_it_is_whole_and_unchanged() -> None:
    link = prepared(Link())
    parts = in_parts(big_bind())
    for number, part in enumerate(parts, 1):
        link.client(part)
        assert len(link.to_server) == sum(map(len, parts[:number]))
    link.client(execute(), SYNC)
    assert link.sent() == [big_bind(), execute(), SYNC]
    link.server(BOUND, done("INSERT 0 1"), ready())
    assert kinds(link.got()) == "2CZ" and len(link.session.state.ledger) == 0


def test_the_rest_of_a_message_comes_with_the_next_ones() -> None:
    link = prepared(Link())
    data = big_bind()
    link.client(data[:5000], data[5000:] + execute() + SYNC + query("select 1"))
    assert link.sent() == [data, execute(), SYNC, query("select 1")]


def test_a_beginning_without_the_names_is_not_enough() -> None:
    link = prepared(Link())
    data = big_bind(portal=b"p" * 40)
    link.client(data[:30])
    assert link.to_server == b""
    link.client(data[30:])
    assert link.sent() == [data]


def test_an_unnamed_portal_of_ours_is_gone_then() -> None:
    """PEER-FAILURES: names mean what the server takes them for."""
    link = prepared(prepared(Link()), "select 1")
    link.client(parse("select email from customers", b"c"), bind([], name=b"c", portal=b"x")).server(PARSED, BOUND)
    assert link.session.state.portals.get(b"x") is not None
    link.client(*in_parts(big_bind(portal=b"x")))
    assert link.session.state.portals.get(b"x") is None


def test_behind_a_message_that_waits_it_waits_too() -> None:
    link = prepared(Link())
    link.held = (Tokenise,)
    link.client(query("insert into customers(email) values ('a@b.c')"))
    parts = in_parts(big_bind())
    link.client(*parts[:2])
    assert link.to_server == b""
    link.release()
    link.client(*parts[2:])
    assert kinds(link.sent()) == "QB"


def test_a_statement_with_values_comes_whole() -> None:
    link = prepared(Link(), "insert into customers(note, email) values ($1, $2)")
    data = bind([BIG, b"a@b.c"], name=b"s")
    for part in in_parts(data):
        link.client(part)
        assert len(link.to_server) == 0 or part is in_parts(data)[-1] or b"a@b.c" not in link.to_server
    assert kinds(link.sent()) == "B" and link.vault.stored == [("email", b"a@b.c")]


def test_more_values_than_may_be_replaced_are_refused_at_once_and_dropped() -> None:
    link = prepared(Link(limits=Limits(message=LARGE)), "insert into customers(email) values ($1)")
    parts = in_parts(bind([BIG + b"@b.c"], name=b"s"))
    link.client(parts[0])
    assert kinds(link.sent()) == "B"
    for part in parts[1:]:
        link.client(part)
        assert link.to_server == b"" and link.session._clients.frames.pending() == 0
    link.client(execute(), SYNC)
    link.server(failed("26000"), ready())
    told = link.errors()[0]
    assert told[b"C"] == b"54000" and str(len(b"".join(parts))).encode() in told[b"M"]


def test_a_name_that_is_not_certain_is_waited_for() -> None:
    link = Link()
    link.client(parse("select email from customers", b"s"), SYNC, close(b"s"), parse("select $1", b"s"), SYNC)
    link.sent()
    first, *rest = in_parts(big_bind())
    link.client(first)
    assert link.to_server == b""
    link.server(PARSED, ready(), m.build_close_complete(), PARSED, ready()).client(*rest)
    assert link.sent() == [big_bind()]


def test_what_the_server_would_skip_is_dropped_as_it_comes() -> None:
    link = prepared(Link())
    link.client(parse("nonsense", b"n")).server(failed())
    link.sent()
    link.client(*in_parts(big_bind()), SYNC)
    assert link.sent() == [SYNC]


def test_a_query_passes_where_nothing_is_protected() -> None:
    link = Link(protected=False)
    data = query(b"insert into t values ('" + BIG + b"')")
    for part in in_parts(data):
        link.client(part)
    assert link.to_server == data
    link.server(done("INSERT 0 1"), ready())
    assert len(link.session.state.ledger) == 0 and link.session.state.take_counts() == {("other", "passed"): 1}


def test_a_query_comes_whole_where_something_is() -> None:
    link = Link()
    data = query(b"insert into documents values ('" + BIG + b"')")
    *most, last = in_parts(data)
    for part in most:
        assert link.client(part).to_server == b""
    assert link.client(last).sent() == [data]


def test_copied_rows_pass_once_the_server_takes_them() -> None:
    link = Link()
    data = m.build_copy_data(BIG)
    link.client(query("copy documents from stdin")).server(COPYING)
    link.sent()
    for part in in_parts(data):
        link.client(part)
    assert link.to_server == data
    link.client(m.build_copy_done()).server(done("COPY 1"), ready())
    assert kinds(link.got()) == "GCZ"


@pytest.mark.parametrize("large", [m.build_copy_data(BIG), m.build_parse(b"", b"select '" + BIG + b"'", ())])
def test_other_large_messages_come_whole(large: bytes) -> None:
    """CopyData too, as long as the server has not asked for any."""
    link = Link().client(query("copy documents from stdin"))
    link.sent()
    *most, last = in_parts(large)
    for part in most:
        assert link.client(part).to_server == b""
    assert link.client(last).sent() == [large]


@pytest.mark.parametrize("taken", [True, False])
def test_a_bind_of_what_sql_may_have_made_comes_whole(taken: bool) -> None:
    link = Link().client(query("prepare s as insert into customers(email) values ($1)"))
    if taken:
        link.server(done("PREPARE"), ready())
    link.client(big_bind()[:5000])
    assert BIG[:1000] not in link.to_server
    link.client(big_bind()[5000:])
    assert BIG[:1000] not in link.to_server
