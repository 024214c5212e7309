"""Bounds and encodings at their edges."""

from proxy.session.limits import Limits
from tests.unit.session.driver import (
    BOUND,
    EMAIL,
    PARSED,
    REF,
    SYNC,
    Link,
    bind,
    columns,
    done,
    error,
    kinds,
    parse,
    query,
    ready,
    row,
)


def test_the_row_cap_counts_values_that_are_seen() -> None:
    """capped sees values; NULLs don't count, nor do tokens of one who sees only tokens."""
    link = Link("capped")
    token = link.vault.token("email", b"a@b.c")
    link.client(query("select email, ref from customers"))
    link.server(columns(EMAIL, REF), row(token, None), row(None, None), row(token, None), row(token, None))
    assert kinds(link.got()) == "TDDDD"
    link.server(row(token, None), done("SELECT 5"), ready())
    got = link.got()
    assert kinds(got) == "EZ" and error(got[0])[b"C"] == b"54000"


def test_a_wrong_number_of_parameters_may_be_the_largest() -> None:
    link = Link()
    link.client(parse("insert into customers(email, note) values ($1, $1)", b"s"), SYNC).server(PARSED, ready())
    link.client(bind([b"x"] * 65535, b"s"), SYNC)
    assert kinds(link.sent())[-2:] == "BS" and not link.closed


def test_portals_are_bounded() -> None:
    link = Link(limits=Limits(statements=3))
    link.client(parse("select email from customers", b"s"), SYNC).server(PARSED, ready())
    for number in range(4):
        link.client(bind([], b"s", b"p%d" % number))
    assert link.closed
    assert error([f for f in link.got() if f[:1] == b"E"][-1])[b"C"] == b"08P01"


def test_a_client_in_an_encoding_that_is_not_read_may_do_what_touches_nothing() -> None:
    link = Link(settings={"client_encoding": "SJIS"})
    plain = query(b"insert into notes(body) values ('\x93\xfa\x96\x7b')")
    link.client(plain)
    assert link.sent() == [plain]
    link.client(query(b"insert into customers(email) values ('\x93\xfa')"))
    assert b"\x93\xfa" not in b"".join(link.sent())


def test_bind_complete_keeps_the_portal() -> None:
    link = Link()
    link.client(parse("select email from customers", b"s"), bind([], b"s", b"p"), SYNC)
    link.server(PARSED, BOUND, ready("T"))
    assert set(link.session.state.portals.all()) == {b"p"}


def test_a_password_is_bounded_as_the_server_bounds_it() -> None:
    link = Link(ready=False)
    link.startup()
    link.client(b"p" + (1 << 20).to_bytes(4, "big"))
    assert link.closed and link.errors()[-1][b"C"] == b"08P01"


def test_a_statement_may_be_long_once_logged_in() -> None:
    link = Link()
    text = query("select 1 -- " + "x" * 200_000)
    link.client(text)
    assert link.sent() == [text]
