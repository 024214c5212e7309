"""What is remembered of a prepared statement and of a portal."""

import pytest

from proxy.session.statements import Bound, Prepared
from proxy.sql.plan import FORWARD, Output
from tests.unit.session.driver import bound, plan

READ = "select id, email from customers"


@pytest.mark.parametrize(
    ("text", "plain"),
    [("select 1", True), (READ, False), ("set search_path to a", False), ("select id from customers", False)],
)
def test_what_names_or_changes_something_of_ours_is_not_plain(text: str, plain: bool) -> None:
    made = plan(text)[1]
    assert Prepared(b"s", text.encode(), True, made, (), 1).plain is plain
    assert Prepared(b"s", text.encode(), True, FORWARD, (), 1).plain


def test_a_new_policy_may_make_a_plain_statement_ours_and_back() -> None:
    one = Prepared(b"s", READ.encode(), True, FORWARD, (), 1)
    one.renew(plan(READ)[1], 2, ("public",))
    assert (one.plain, one.epoch, one.search_path) == (False, 2, ("public",))
    one.renew(FORWARD, 3, None)
    assert (one.plain, one.epoch, one.search_path) == (True, 3, None)
    assert (one.serial, one.text) == (1, READ.encode())


def columns(one: Bound) -> list[str] | None:
    outputs = one.outputs()
    return None if outputs is None else [output.column.name if isinstance(output, Output) else "" for output in outputs]


def test_each_statement_of_a_query_has_its_own_outputs() -> None:
    one = bound(plan(f"{READ}; select id from customers; select name from customers")[1])
    seen = []
    while one.current is not None:
        seen.append(columns(one))
        one.statement += 1
    assert seen == [["", "email"], None, ["name"]]
    assert columns(one) is None, "what comes behind them shows nothing of ours"


def test_reprs_hold_no_text() -> None:
    text = "select id from customers where email = 'c@nary'"
    assert "c@nary" not in repr(Prepared(b"s", text.encode(), True, plan(text)[1], (), 1))
    assert "c@nary" not in repr(bound(plan(text)[1]))


def test_a_cursor_shows_what_its_query_does() -> None:
    one = bound(plan(f"declare c cursor for {READ}")[1])
    assert columns(one) is None and one.current is not None
    cursor = one.cursor(one.current, 7)
    assert columns(cursor) == ["", "email"] and cursor.serial == 7
    assert (cursor.access, cursor.context) == (one.access, one.context)


@pytest.mark.parametrize(
    ("text", "oids", "epoch", "same"),
    [
        (b"select 1", (23,), 5, True),
        (b"select 2", (23,), 5, False),
        (b"select 1", (), 5, False),
        (b"select 1", (23,), 6, False),
    ],
)
def test_what_touched_nothing_before_does_not_now(text: bytes, oids: tuple[int, ...], epoch: int, same: bool) -> None:
    one = Prepared(b"", b"select 1", False, FORWARD, (23,), 1)
    one.epoch = 5
    assert one.passes(text, oids, epoch) is same


def test_what_depends_on_an_encoding_or_a_plan_is_looked_at_again() -> None:
    umlaut = "select 'ü'".encode()
    for one in (Prepared(b"", umlaut, False, FORWARD, (), 1), Prepared(b"", b"select 1", True, FORWARD, (), 1)):
        assert not one.passes(one.text, (), 0)
    planned = Prepared(b"", READ.encode(), False, plan(READ)[1], (), 1)
    assert not planned.passes(READ.encode(), (), 0)
