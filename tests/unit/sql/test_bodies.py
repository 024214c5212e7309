"""What functions' bodies tell. More bodies: test_protection.py, test_builders.py."""

import pytest

from proxy.sql.bodies import builds, identifiers, moves, naming, runs_text, settles
from proxy.sql.relations import Function


def function(source: str, language: str = "plpgsql", name: str = "f") -> Function:
    return Function(1, "public", name, language, source)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("begin set search_path to a; end", True),
        ("perform set_config('role', 'a', true)", True),
        ("set_config_by_name", True),
        ("perform set_config('app.a', 'a', true)", False),
        ("select 1", False),
    ],
)
def test_settles(body: str, expected: bool) -> None:
    assert settles(body) is expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("ALTER  SCHEMA a RENAME TO b", True),
        ("grant usage on schema a to b", True),
        ("revoke a from b", True),
        ("drop owned by a", True),
        ("create role a", True),
        ("drop table a", False),
        ("select granted, schema from a", False),
    ],
)
def test_moves(body: str, expected: bool) -> None:
    assert moves(body) is expected


def test_statements_as_text() -> None:
    assert builds("execute 'select ' || a") and not builds("execute 'select 1';")
    assert runs_text(function("execute t")) and not runs_text(function("execute t", "sql"))
    assert runs_text(function("select query_to_xml(q)", "sql"))


def test_names() -> None:
    assert identifiers({'a"b', "a"}).search('select "A""B"')
    assert not identifiers({"a"}).search("select ab, a$")
    first, second, hidden, other = (
        function("select from t", name="one"), function("select ONE()", name="two"),
        function('select U&"x"', name="three"), function("select 1", name="four"),
    )  # fmt: skip
    assert naming((other, second, hidden, first), {"t"}) == [hidden, first, second]
    assert naming((other,), set()) == []
