"""Names of result columns. Expectations: what PostgreSQL 15 (XML) and 18 (all else) answered to `SELECT … FROM t`,
t having columns a, b and arr."""

import pytest

from proxy.sql.labels import label
from proxy.sql.referee import Node, parse


def named(expression: str) -> str | None:
    (statement,) = parse(f"select {expression} from t".encode())
    value = statement.node.nodes("targetList")[0].node("val")
    assert value is not None
    return label(value)


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("1", "?column?"),
        ("$1", "?column?"),
        ("not true", "?column?"),
        ("a is null", "?column?"),
        ("a is not unknown", "?column?"),
        ("a || 'x'", "?column?"),
        ("a in ('x')", "?column?"),
        ("1 in (select 1)", "?column?"),
        ("'a' is json", "?column?"),
        ("nullif(a, 'x')", "nullif"),
        ("a", "a"),
        ("public.t.a", "a"),
        ("upper(a)", "upper"),
        ("pg_catalog.count(*)", "count"),
        ("trim(a)", "btrim"),
        ("now() at time zone 'utc'", "timezone"),
        ("array[1]", "array"),
        ("(1, 2)", "row"),
        ("coalesce(a)", "coalesce"),
        ("grouping(a)", "grouping"),
        ("greatest(1, 2)", "greatest"),
        ("least(1, 2)", "least"),
        ("current_timestamp(3)", "current_timestamp"),
        ("user", "user"),
        ("xmlforest(1 as a)", "xmlforest"),
        ("xmlserialize(content '<a/>' as text)", "xmlserialize"),
        ("json_array(select 1)", "json_array"),
        ("json_arrayagg(b)", "json_arrayagg"),
        ("json_value('{}', '$')", "json_value"),
    ],
)
def test_by_kind(expression: str, name: str) -> None:
    assert named(expression) == name


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("'x'::text", "text"),
        ("'1'::pg_catalog.int4", "int4"),
        ("'x'::text::varchar(3)", "varchar"),
        ("date '2000-01-01'", "date"),
        ("true", "?column?"),
        ("t.*::text", "t"),
        ("a::int", "a"),
        ('a collate "C"', "a"),
        ("('x' collate \"C\")::text", "text"),
        ("('{}'::jsonb)['a']", "jsonb"),
        ("arr[1]", "arr"),
        ("(array[1, 2])[1]", "array"),
        ("(t).a", "a"),
        ("(t.arr)[1:2]::text", "arr"),
        ("xmlelement(name e)::text", "xmlelement"),
    ],
)  # fmt: skip
def test_a_cast_names_only_what_has_no_name(expression: str, name: str) -> None:
    assert named(expression) == name


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("case when true then a end", "case"),
        ("case when true then 1 else 2::int8 end", "case"),
        ("case when true then 'x' else upper(a) end", "upper"),
        ("case when true then 1 else '<a/>' is document end", None),
    ],
)
def test_case_is_called_after_else(expression: str, name: str | None) -> None:
    assert named(expression) == name


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("exists (select 1)", "exists"),
        ("array(select 1)", "array"),
        ("(select 1)", "?column?"),
        ("(select 1)::text", "?column?"),
        ("(select '1'::int8)::text", "int8"),
        ("(select a as q from t)::varchar", "q"),
        ("(select 1 as p union select 2 as q limit 1)", "p"),
        ("(select '<a/>' is document)", None),
        ("(values (1))", None),
        ("(select from t)", None),
    ],
)
def test_a_subquery_is_called_after_its_column(expression: str, name: str | None) -> None:
    assert named(expression) == name


@pytest.mark.parametrize("star", ["*", "z.*", "(z).*", "(z.*)"])
def test_a_subquery_of_a_star_is_called_after_a_column_that_only_the_catalog_knows(star: str) -> None:
    """SELECT (SELECT z.* FROM (SELECT email AS a …) z) is called a, not z."""
    assert named(f"(select {star} from (select email as a from t limit 1) z)") is None
    assert named(f"(select {star} from (select email as a from t limit 1) z)::text") is None


def test_what_is_not_followed_has_no_known_name() -> None:
    assert named("'<a/>' is document") is None
    assert label(Node("MergeSupportFunc", {})) is None
    assert label(Node("TypeCast", {})) is None
