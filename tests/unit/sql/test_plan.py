"""What is sent for a plan: the client's bytes but for the edits."""

import pytest

from proxy.sql.plan import FORWARD, Edit, Input, Plan, Rendered, SessionEffect, StatementPlan, client_offset, render
from proxy.sql.relations import ProtectedColumn
from proxy.sql.shape import Position, shape
from proxy.wire.types import parse_type

TOKEN = b"'01890a5d-ac96-8b00-8000-000000000000'"


def sent(text: bytes, *edits: Edit, replacements: tuple[bytes, ...] = (TOKEN,)) -> Rendered:
    return render(Plan(edits=edits), text, shape(text, True), replacements)


def literal(index: int, number: int = 0) -> Edit:
    return Edit((2 * index + 1, 0), (2 * index + 2, 0), input=number)


def test_no_edit_is_the_same_text() -> None:
    assert sent(b"select 'a'") == Rendered(b"select 'a'")


def test_literals_are_replaced_in_place() -> None:
    text = b"INSERT INTO c VALUES (1, 'a@x' , $$b$$)"
    rendered = sent(text, literal(1, 1), literal(2, 0), replacements=(TOKEN, b"NULL"))
    assert rendered.text == b"INSERT INTO c VALUES (1, NULL , " + TOKEN + b")"
    assert [(text[a:b], rendered.text[c:d]) for a, b, c, d in rendered.spans] == [
        (b"'a@x'", b"NULL"),
        (b"$$b$$", TOKEN),
    ]


def test_the_same_plan_serves_every_text_of_the_shape() -> None:
    plan = Plan(edits=(literal(0), Edit((2, 1), (2, 3), text=b"$2")))
    for value in (b"'a'", b"'long ''one'", b"''\n'x'"):
        text = b"f(%b,$1)" % value
        assert render(plan, text, shape(text, True), (TOKEN,)).text == b"f(%b,$2)" % TOKEN


def test_insertions_and_casts() -> None:
    text = b"INSERT INTO c VALUES (CAST('a' AS text))"
    edits = (Edit((0, 13), (0, 13), text=b" (email)"), Edit((0, 22), (2, 9), input=0))
    assert sent(text, *edits).text == b"INSERT INTO c (email) VALUES (" + TOKEN + b")"


@pytest.mark.parametrize(
    ("text", "start", "end", "new", "expected"),
    [
        (b"select u&$$a$$", (1, 0), (2, 0), b"'t'", b"select u& 't'"),
        (b"select 1 &$$a$$", (3, 0), (4, 0), b"'t'", b"select 1 &'t'"),
        (b"select e,$$a$$", (1, 0), (2, 0), b"'t'", b"select e,'t'"),
        (b"select U&E'a'", (1, 0), (2, 0), b"'t'", b"select U& 't'"),
        (b"where'a'", (1, 0), (2, 0), b"'t'", b"where't'"),
        (b"where'a'", (1, 0), (2, 0), b"NULL", b"where NULL"),
        (b"a='b'and c", (1, 0), (2, 0), b"NULL", b"a=NULL and c"),
        (b"a=CAST($1 AS text)and", (0, 2), (0, 18), b"$3", b"a=$3 and"),
        (b"a=b", (0, 2), (0, 3), b"-1", b"a= -1"),
        (b"a=b", (0, 3), (0, 3), b"c", b"a=b c"),
        (b"a", (0, 0), (0, 0), b"(x)", b"(x)a"),
        (b"a", (0, 1), (0, 1), b"", b"a"),
    ],
)
def test_new_text_never_runs_into_its_neighbours(
    text: bytes, start: Position, end: Position, new: bytes, expected: bytes
) -> None:
    assert sent(text, Edit(start, end, text=new)).text == expected


def test_error_positions_map_back() -> None:
    text = b"a 'bb' c $$d$$ e"
    rendered = sent(text, literal(0), literal(1))
    for word in (b"a ", b" c ", b" e"):
        assert client_offset(rendered.spans, rendered.text.index(word)) == text.index(word)
    assert client_offset(rendered.spans, rendered.text.index(TOKEN) + 9) == text.index(b"'bb'")
    assert client_offset(rendered.spans, len(rendered.text)) == len(text)
    assert client_offset((), 7) == 7


def test_repr_has_no_text() -> None:
    assert "a@x" not in repr(sent(b"select 'a@x'"))


def test_what_is_idle_and_what_touches() -> None:
    reading = Plan(statements=(StatementPlan("select", tables=("public.customers",)),))
    setting = Plan(statements=(StatementPlan("set", effects=(SessionEffect("set", "search_path"),)),))
    assert [(p.idle, p.touches) for p in (FORWARD, reading, setting)] == [(True, False), (False, True), (False, False)]


def test_ddl_that_may_make_a_way_is_naming() -> None:
    made = [
        Plan((StatementPlan("create", effects=(SessionEffect(kind),)),)) for kind in ("ddl", "ddl-elsewhere", "set")
    ]
    assert [plan.naming for plan in (*made, FORWARD)] == [True, False, False, False]


@pytest.mark.parametrize(
    ("text", "start", "end", "left"),
    [
        (b"a::text b", 1, 7, b"a b"),
        (b"a::text", 1, 7, b"a"),
        (b"a::varchar(3)and", 1, 13, b"a and"),
        (b"cast(a as text)", 0, 4, b"(a as text)"),
    ],
)
def test_what_falls_away(text: bytes, start: int, end: int, left: bytes) -> None:
    assert sent(text.replace(b"3", b"x"), Edit((0, start), (0, end))).text == left


def test_the_type_of_a_parameter_that_is_not_declared() -> None:
    text, date = parse_type("text"), parse_type("date")
    column = ProtectedColumn("public", "c", "born", "birthday", True, text, date, 5, 2)
    assert Input(column, "write").undeclared == date
    assert Input(column, "write", casts=(text,)).undeclared == text
    assert Input(column, "write", casts=(date,), context=text).undeclared == text
