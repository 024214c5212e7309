"""Items of FROM: their aliases, what they call, what their columns are called. Expectations: names that PostgreSQL 18
gave to the columns of `SELECT * FROM …`."""

import pytest

from proxy.sql import from_items
from proxy.sql.referee import Node, parse
from proxy.sql.scopes import OutColumn, Outputs
from proxy.sql.terms import PLAIN


def item(text: str) -> Node:
    (statement,) = parse(f"select from {text}".encode())
    return statement.node.nodes("fromClause")[0]


@pytest.mark.parametrize(
    ("text", "alias", "columns"),
    [
        ("t", None, []),
        ("t as x", "x", []),
        ('t "X"(a, "B")', "X", ["a", "B"]),
        ("(select 1) s(a)", "s", ["a"]),
        ("(a join b using (c)) as j(d)", "j", ["d"]),
    ],
)
def test_aliases(text: str, alias: str | None, columns: list[str]) -> None:
    assert from_items.alias_of(item(text)) == (alias, columns)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("now()", "now"),
        ("public.f(1)", "f"),
        ("rows from (f(), g())", "f"),
        ("json_table('{}', '$' columns (a int))", "json_table"),
        ("xmltable('/a' passing '<a/>' columns a int)", "xmltable"),
    ],
)
def test_what_is_called_without_an_alias(text: str, name: str) -> None:
    assert from_items.called(item(text)) == name


@pytest.mark.parametrize(
    ("text", "alone"),
    [
        ("f(1)", True),
        ("rows from (f(1))", False),
        ("rows from (f(1), g())", False),
        ("f() as (a int)", False),
        ("current_date", False),
        ("json_table('{}', '$' columns (a int))", False),
    ],
)
def test_a_call_alone(text: str, alone: bool) -> None:
    assert (from_items.only_call(item(text)) is not None) is alone


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("generate_series(1, 2)", "generate_series"),
        ("pg_catalog.string_to_table('a', 'b')", "string_to_table"),
        ("public.generate_series(1, 2)", None),
        ("unnest('{}'::int[])", None),
        ("current_date", None),
    ],
)
def test_functions_of_one_simple_column(text: str, name: str | None) -> None:
    assert from_items.scalar_function(item(text)) == name


@pytest.mark.parametrize(
    ("argument", "certain"),
    [("array[1, 2]", True), ("$1::text[]", True), ("$1::t[]", False), ("a", False), ("f(a)", False)],
)
def test_arrays_that_hold_no_rows(argument: str, certain: bool) -> None:
    call = from_items.only_call(item(f"unnest({argument})"))
    assert call is not None and from_items.an_array(call.nodes("args")[0]) is certain


@pytest.mark.parametrize(
    ("count", "alias", "renamed", "ordinality", "names"),
    [
        (1, None, [], False, ["unnest"]),
        (1, "x", [], False, ["x"]),
        (1, "x", ["a"], True, ["a", "ordinality"]),
        (2, "x", [], False, ["unnest", "unnest"]),
        (2, "x", ["a"], True, ["a", "unnest", "ordinality"]),
        (2, "x", ["a", "b", "c"], True, ["a", "b", "c"]),
    ],
)
def test_columns_of_unnest(
    count: int, alias: str | None, renamed: list[str], ordinality: bool, names: list[str]
) -> None:
    found = from_items.unnested_columns([PLAIN] * count, alias, renamed, ordinality)
    assert [column.name for column in found] == names


def test_an_alias_names_the_first_columns_anew() -> None:
    outputs = Outputs((OutColumn("a", PLAIN), OutColumn("b", PLAIN)), True)
    assert from_items.renamed(outputs, []) is outputs
    found = from_items.renamed(outputs, ["x"])
    assert [column.name for column in found.columns] == ["x", "b"] and found.opaque
