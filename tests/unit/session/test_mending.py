"""A reply that fails behind the server's answer: the error that the client gets is true of the server too."""

from collections.abc import Callable

import pytest

from proxy.errors import Refusal
from proxy.session.effects import Pause, Resume, Reveal, Tokenise
from proxy.session.limits import Limits
from proxy.session.outgoing import NOBODY
from proxy.wire import messages as m
from tests.unit.session.driver import (
    BOUND,
    EMAIL,
    ID,
    PARSED,
    SUSPENDED,
    SYNC,
    Link,
    bind,
    columns,
    done,
    error,
    execute,
    failed,
    kinds,
    parse,
    query,
    ready,
    row,
)

GONE = Refusal("vault-unavailable", "the vault is not reachable")
SELECT = "select id, email from customers"
RETURNING = "insert into customers(id, email) values (1, 'a@b.c') returning id, email"


def begun(link: Link) -> Link:
    link.client(query("begin")).server(done("BEGIN"), ready("T"))
    link.sent(), link.got()
    return link


def broken(link: Link) -> Link:
    """Its vault fails from now on, as far as values are read."""
    link.fail[Reveal] = GONE
    return link


def asked(link: Link, text: str = SELECT) -> Link:
    """By a simple query; its columns are described."""
    link.client(query(text)).server(columns(ID, EMAIL))
    link.sent(), link.got()
    return broken(link)


def executed(link: Link, text: str = SELECT, *behind: bytes, rows: int = 0) -> Link:
    link.client(parse(text), bind(), execute(rows=rows), *behind).server(PARSED, BOUND)
    link.sent(), link.got()
    return broken(link)


def told(link: Link) -> tuple[str, bytes]:
    """Kinds of the frames the client got, and the severity and code of the error among them."""
    got = link.got()
    found = [error(frame) for frame in got if frame[:1] == b"E"]
    return kinds(got), b" ".join([f[b"S"] + b" " + f[b"C"] for f in found])


def rowed(link: Link) -> bytes:
    return row(b"1", link.vault.token("email", b"a@b.c"))


ERROR = b"ERROR 57P03"


# ---- no transaction ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [asked, lambda link: executed(link, SELECT, SYNC)], ids=["simple", "extended"])
def test_a_query_that_only_read_fails_alone(start: Callable[[Link], Link]) -> None:
    link = start(Link())
    link.server(rowed(link), rowed(link), done("SELECT 2"), ready())
    assert told(link) == ("EZ", ERROR)
    assert link.sent() == [] and not link.closed
    link.client(query("select 1")).server(columns(ID), row(b"1"), done("SELECT 1"), ready())
    assert kinds(link.sent()) == "Q" and kinds(link.got()) == "TDCZ"


def test_what_still_comes_of_the_result_is_dropped() -> None:
    link = asked(Link())
    link.server(rowed(link))
    assert link.got() == []
    link.server(rowed(link), failed("01000", "mind").replace(b"E", b"N", 1), m.build_parameter_status(b"x", b"y"))
    assert kinds(link.got()) == "S"
    link.server(m.build_notification(1, b"news", b""), done("SELECT 2"), ready())
    assert told(link) == ("AEZ", ERROR)


@pytest.mark.parametrize(
    "text",
    [RETURNING, "select id, email from customers where nextval('s') > 0", "select id, email from customers; select 1"],
)
def test_what_is_committed_can_not_have_failed(text: str) -> None:
    link = asked(Link(), text)
    link.server(rowed(link), done("X 1"), ready())
    assert told(link) == ("E", b"FATAL 57P03") and link.closed


def test_what_is_committed_with_it_can_not_have_failed() -> None:
    link = Link()
    link.client(parse("delete from notes", b"d"), bind([], b"d"), execute())
    executed(link, SELECT, SYNC).server(done("DELETE 1"), PARSED, BOUND)
    link.got()
    link.server(rowed(link), done("SELECT 1"), ready())
    assert told(link) == ("E", b"FATAL 57P03") and link.closed


@pytest.mark.parametrize("together", [True, False])
def test_what_failed_in_the_server_as_well_is_not_committed(together: bool) -> None:
    link = asked(Link(), RETURNING)
    if together:
        link.server(rowed(link), failed("22012"), ready())
    else:
        link.server(rowed(link)).server(failed("22012")).server(ready())
    assert told(link) == ("EZ", ERROR) and not link.closed


def test_the_servers_last_words_are_for_the_client() -> None:
    last = failed("57P01", "shut down", S="FATAL", V="FATAL")
    link = asked(Link())
    link.server(rowed(link)).server(last)
    assert told(link) == ("E", b"FATAL 57P01")
    link = asked(Link())
    link.server(rowed(link), last)
    link.session.server_eof()
    assert told(link.drain()) == ("E", b"FATAL 57P03") and link.closed


# ---- in a transaction -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [SELECT, RETURNING, "select id, email from customers where nextval('s') > 0"])
@pytest.mark.parametrize("start", [asked, lambda link, text: executed(link, text, SYNC)], ids=["simple", "extended"])
def test_the_transaction_is_a_failed_one(start: Callable[[Link, str], Link], text: str) -> None:
    link = start(begun(Link()), text)
    link.server(rowed(link), done("X 1"), ready("T"))
    assert told(link) == ("E", ERROR)
    sent = link.sent()
    assert kinds(sent) == "PS" and NOBODY in sent[0]
    link.server(failed("22P02"), ready("E"))
    assert told(link) == ("Z", b"") and not link.closed
    link.client(query("rollback")).server(done("ROLLBACK"), ready())
    assert kinds(link.sent()) == "Q" and kinds(link.got()) == "CZ"


def test_begin_may_stand_in_the_same_batch() -> None:
    """pgjdbc sends it so."""
    link = Link()
    link.client(parse("begin", b"b"), bind([], b"b"), execute())
    link.client(parse(SELECT), bind(), execute(), SYNC)
    link.server(PARSED, BOUND, done("BEGIN"), PARSED, BOUND)
    link.sent(), link.got()
    broken(link).server(rowed(link), done("SELECT 1"), ready("T"))
    assert told(link) == ("E", ERROR) and kinds(link.sent()) == "PS"
    link.server(failed("22P02"), ready("E"))
    assert told(link) == ("Z", b"")


def test_nothing_of_the_clients_goes_between() -> None:
    link = asked(begun(Link()))
    link.held = (Reveal,)
    link.server(rowed(link), done("SELECT 1"), ready("T"))
    link.release()
    assert kinds(link.sent()) == "PS"
    link.client(query("select 1"))
    assert link.sent() == []
    link.server(failed("22P02"), ready("E"))
    assert kinds(link.sent()) == "Q"


def test_nothing_that_waited_for_tokens_goes_between() -> None:
    link = asked(begun(Link()))
    link.held = (Reveal, Tokenise)
    link.server(rowed(link), done("SELECT 1"), ready("T"))
    link.client(query("insert into customers(email) values ('b@c.d')"))
    reveal, tokenise = link.asks
    link.asks.clear()
    link.session.answer(reveal.ticket, link.reply(reveal.request))
    link.drain()
    assert kinds(link.sent()) == "PS"
    link.session.answer(tokenise.ticket, link.reply(tokenise.request))
    assert link.drain().sent() == []
    link.server(failed("22P02"), ready("E"))
    assert kinds(link.sent()) == "Q"


# ---- in the middle of a batch -----------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [done("SELECT 9"), SUSPENDED, failed("22012")], ids=["done", "suspended", "failed"])
@pytest.mark.parametrize("text", [SELECT, RETURNING])
def test_an_open_batch_is_undone(end: bytes, text: str) -> None:
    link = executed(Link(), text, rows=1)
    link.server(rowed(link))
    assert told(link) == ("E", ERROR) and kinds(link.sent()) == "P"
    link.client(bind(), execute())
    assert link.sent() == []
    link.server(end, failed("22P02") if end[:1] != b"E" else b"")
    assert link.got() == [] and link.sent() == []  # the server skips; so does what the client sent
    link.client(SYNC).server(ready())
    assert kinds(link.sent()) == "S" and kinds(link.got()) == "Z"


# ---- more than that can't be undone -----------------------------------------------------------------------------


@pytest.mark.parametrize("behind", [query("select 1"), parse("select 1", b"n") + m.build_flush()])
def test_what_runs_behind_it_ends_the_link(behind: bytes) -> None:
    link = asked(Link()).client(behind)
    link.server(rowed(link), done("SELECT 1"), ready())
    assert told(link) == ("E", b"FATAL 57P03") and link.closed


def test_a_server_that_is_gone_ends_the_link() -> None:
    link = asked(Link())
    link.held = (Reveal,)
    link.server(rowed(link))
    link.session.server_eof()
    link.release()
    assert told(link) == ("E", b"FATAL 57P03") and link.closed


def test_a_server_that_goes_when_all_is_well_or_made_up_for_gives_no_error() -> None:
    well, mended = Link(), asked(Link())
    mended.server(rowed(mended), done("SELECT 1"), ready()).got()
    for link in (well, mended):
        link.session.server_eof()
        assert link.drain().got() == [] and link.closed


# ---- order ------------------------------------------------------------------------------------------------------


def test_what_came_before_it_goes_out_before_it() -> None:
    link = asked(Link())
    link.held = (Reveal,)
    link.server(rowed(link)).server(rowed(link), done("SELECT 2"), ready())
    first, second = link.asks
    link.asks.clear()
    link.session.answer(second.ticket, link.reply(second.request))
    assert link.drain().got() == []
    link.fail.clear()
    link.session.answer(first.ticket, link.reply(first.request))
    assert kinds(link.drain().got()) == "DEZ"


def test_an_answer_for_what_was_dropped_is_of_no_matter() -> None:
    link = asked(Link())
    link.held = (Reveal,)
    link.server(rowed(link)).server(rowed(link), done("SELECT 2"), ready())
    link.release(1)
    assert told(link) == ("EZ", ERROR)
    link.release()
    assert link.got() == [] and not link.closed


def test_a_server_that_was_paused_goes_on() -> None:
    link = asked(Link(limits=Limits(result=100)))
    link.held = (Reveal,)
    link.server(*[rowed(link)] * 9)
    link.release()
    assert [type(e) for e in link.flow()] == [Pause, Resume]
    link.server(done("SELECT 9"), ready())
    assert told(link) == ("EZ", ERROR)


def test_it_is_counted_and_noted() -> None:
    link = asked(Link())
    link.session.state.take_counts()
    link.server(rowed(link), done("SELECT 1"), ready())
    assert link.session.state.take_counts() == {("select", "failed"): 1}
    assert [n.facts for n in link.notes("reveal-failed")] == [{"code": "vault-unavailable", "sqlstate": "57P03"}]


def test_what_was_executed_before_a_query_without_a_sync_fails_with_it_or_not_at_all() -> None:
    """The server rolls both back if the Query fails, and commits both if it does not (postgres.c, no Sync between)."""
    link = Link()
    link.client(parse("delete from notes", b"d"), bind([], b"d"), execute())
    link.server(PARSED, BOUND, done("DELETE 1"))
    asked(link).server(rowed(link), done("SELECT 1"), ready())
    assert told(link) == ("E", b"FATAL 57P03") and link.closed
