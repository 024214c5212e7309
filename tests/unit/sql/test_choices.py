"""Values of which one is meant: what they are taken for, under which types and casts, and in how many roles."""

from itertools import pairwise

import pytest

from proxy.errors import Refusal
from proxy.sql import predicates
from proxy.sql.findings import Findings
from proxy.sql.plan import Input
from proxy.sql.referee import Node
from proxy.sql.relations import ProtectedColumn
from proxy.sql.shape import analysis_text, shape
from proxy.sql.terms import NULL, Choice
from proxy.wire.types import parse_type
from tests.kit.plans import planned, sent

EXPRESSION = "unsupported-expression"
UUID = "'6f2c2b1e-0c46-4d07-a1f5-6a5c3f0e8a11'"
TOKEN = "‹holder 6f2c2b1e-0c46-4d07-a1f5-6a5c3f0e8a11›"


def inputs(text: str) -> tuple[Input, ...]:
    plan = planned(text)
    assert plan.refusal is None, plan.refusal
    return plan.inputs


def contexts(text: str) -> list[str]:
    return ["-" if place.context is None else place.context.name for place in inputs(text)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("coalesce('a', email)", "coalesce(‹email a›, email)"),
        ("coalesce(null::text, 'a')", "coalesce(null, ‹email a›)"),
        ("coalesce(email, email)", "same"),
        ("coalesce('a', coalesce(null, 'b'))", "coalesce(‹email a›, coalesce(null, ‹email b›))"),
        ("coalesce('a', coalesce('b', 'c')::text)", "coalesce(‹email a›, coalesce(‹email b›, ‹email c›))"),
        ("coalesce('a', coalesce('b', 'c'))::varchar(3)", EXPRESSION),
        ("coalesce('a', note)", EXPRESSION),
        ("coalesce('a', default)", EXPRESSION),
        ("coalesce('a', full_name)", "class-mismatch"),
        ("coalesce('a'::date, 'b')", EXPRESSION),
        ("coalesce('a'::citext, 'b')", EXPRESSION),
        ("coalesce('a'::varchar(3), 'b'::text)", "coalesce(‹email a›, ‹email b›)"),
        ("coalesce('a'::char(3), 'b'::text)", EXPRESSION),
        ("coalesce('a', email)::text", "coalesce(‹email a›, email)"),
        ("coalesce('a', email)::varchar(3)", EXPRESSION),
        ("coalesce('a', email)::uuid", EXPRESSION),
        ("coalesce(array['a'], 'b')", EXPRESSION),
        ("varchar(3) 'a'", "‹email a›"),
        ("nullif('a', 'b')", "nullif(‹email a›, ‹email b›)"),
        ("nullif('a', 'b')::text", EXPRESSION),
        ("nullif('a', note)", "class-mismatch"),
        ("case when note = 'x' then 'a' end", "case when note = 'x' then ‹email a› end"),
    ],
)
def test_values_for_a_column(value: str, expected: str) -> None:
    head = "update customers set email = "
    assert sent(head + value) == (head + expected if "(" in expected or "‹" in expected else expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("update customers set born = coalesce('2000-01-01', $1)", ["text", "text"]),
        ("update customers set born = coalesce('2000-01-01'::date, $1)", ["-", "date"]),
        ("update customers set born = coalesce($1, born)", ["date"]),
        ("update customers set phone = coalesce($1, phone)", ["varchar"]),
        ("update customers set email = coalesce(5, $1)", ["int4", "int4"]),
        ("update accounts set balance = coalesce(5.5, $1)", ["numeric", "numeric"]),
        ("update accounts set balance = coalesce(-5000000000, $1)", ["int8", "int8"]),
        ("update customers set email = coalesce(null::varchar, $1)", ["varchar"]),
        ("insert into newsletter (email) select $1 union all select 'b'::varchar", ["varchar", "-"]),
        ("insert into newsletter (email) select $1 union all select 'b'", ["text", "text"]),
        ("insert into newsletter (email) select unnest($1::varchar[]) union all select 'b'", ["-", "varchar"]),
        ("insert into newsletter (email) select unnest($1) union all select 'b'", ["text", "text"]),
        ("update customers set email = coalesce(v.e, $1) from (select 'a') v(e)", ["text", "text"]),
        ("update customers set email = coalesce(v.e::varchar, $1) from (select 'a') v(e)", ["text", "varchar"]),
    ],
)
def test_the_type_of_what_has_none_of_its_own(text: str, expected: list[str]) -> None:
    """select_common_type(): that of the others, text if all are unknown."""
    assert contexts(text) == expected


def test_a_token_says_its_type_where_nothing_else_does() -> None:
    """A string alone would be text in CASE, VALUES and ARRAY, and uuid = text is no operator."""
    for text in (
        "update accounts set holder = coalesce({}::uuid, holder)",
        "select id from accounts a join (values ({}::uuid)) v(h) on v.h = a.holder",
        "select id from accounts where holder in (select unnest(array[{}::uuid]))",
    ):
        assert sent(text.format(UUID)) == text.format(TOKEN)
    array = "select id from accounts where holder in (select unnest('{%s}'::uuid[]))"
    assert sent(array % "x") == array.replace("'{%s}'", "‹holder[] {x}›")
    assert sent("select id from customers where email in (select unnest('{x}'))") == EXPRESSION
    direct = "insert into accounts (holder) values ({})"
    assert sent(direct.format(UUID)) == direct.format(TOKEN)


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        ("update customers c set email = v.e from (values ('a')) v(e) where c.email <> v.e", ["write+search"]),
        ("with v(e) as (values ('a')), u as (update customers set email = v.e from v) "
         "select id from customers, v where email = any (array[v.e])", ["write+search"]),
        ("insert into customers (email) select e from (values ('a')) v(e) where e in (select email from newsletter)",
         ["write+search"]),
        ("insert into customers (email) select e from (values ('a')) v(e) where e is not null", ["write"]),
        ("update customers c set email = coalesce(v.e, 'b') from (values ('a')) v(e) where c.email = v.e",
         ["write+search", "write"]),
        ("update customers c set email = v.e from (values ('a')) v(e) where v.e in ('a', 'b')",
         ["write+search", "search", "search"]),
        ("update customers c set email = v.e from (values ('a')) v(e) where v.e = any ($1)",
         ["write+search", "search"]),
        ("update customers c set email = v.e, note = v.e from (values ('a')) v(e)", "unprotected-target"),
        ("update customers c set note = v.e, email = v.e from (values ('a')) v(e)", EXPRESSION),
        ("update customers c set note = v.e, email = coalesce(v.e, 'b') from (values ('a')) v(e)", EXPRESSION),
        ("select 1 from customers c, (values ('a')) v(e) where email = v.e and email = v.e::varchar(3)", EXPRESSION),
        ("select 1 from customers c, (values ('a')) v(e) where c.email = v.e and c.email = v.e::text", ["search"]),
        ("select 1 from customers c, (values ('a')) v(e) where c.email = v.e and coalesce(v.e, 'b') = email",
         ["search", "search"]),
    ],
)  # fmt: skip
def test_one_value_in_several_places(text: str, uses: list[str] | str) -> None:
    """What is stored as well as looked for takes both rights; what is compared with anything else is nobody's."""
    if isinstance(uses, str):
        assert sent(text) == uses
        return
    assert [place.use + "+search" * place.sought for place in inputs(text)] == uses


def test_a_cast_around_choices_of_choices() -> None:
    assert sent("update customers set email = coalesce(v.e, 'b')::text from (values ('a')) v(e)") == EXPRESSION


def test_a_cast_that_does_not_read_as_its_tree_says() -> None:
    text = b"select 1"
    cut = shape(text, True)
    findings = Findings(text, cut, analysis_text(text, cut), True)
    name = {"names": [{"String": {"sval": "text"}}], "location": 0}
    cast = Node("TypeCast", {"location": -1, "typeName": name})
    spec = parse_type("text")
    column = ProtectedColumn("public", "c", "email", "email", True, spec, spec, 5, 2)
    with pytest.raises(Refusal, match="a cast around its value"):
        predicates.choose(Choice((NULL,), "VALUES", casts=(cast,)), column, "write", findings, "=")


@pytest.mark.parametrize(
    ("made", "last", "expected"),
    [
        ("coalesce(q.x, q.x)", "select 1 from {q} q join customers c on c.email = q.x", 1),
        ("case when q.x = 'b' then q.x else q.x end", "select q.x from {q} q, customers", 0),
        ("coalesce(q.x, q.x)", "insert into newsletter select 1, q.x from {q} q", 1),
    ],
)
def test_a_value_that_each_query_takes_twice(made: str, last: str, expected: int) -> None:
    """A short text of 2 to the 80th ways to its one value."""
    names = [f"q{i}" for i in range(80)]
    queries = [f"{name} as (select {made} as x from {before} q)" for before, name in pairwise(names)]
    places = inputs(f"with q0 as (select 'a'::text as x), {', '.join(queries)} {last.format(q=names[-1])}")
    assert len(places) == expected
