"""What no server at hand can be made to have, or only with extensions; tests/integration/test_check has the rest."""

from dataclasses import replace

from proxy.net.check_facts import Constraint, Facts, Index
from proxy.net.check_objects import check_objects
from proxy.net.check_targets import find_targets, sql_name, untold
from proxy.policy.rules import Policy, Rule, ValueClass
from proxy.sql.relations import Catalog, Column, Drift, Relation

TEXT = 25
COLUMNS = (Column("id", 1, 23, "integer", -1), Column("email", 2, TEXT, "text", -1), Column("pin", 3, TEXT, "text", -1))
POLICY = Policy(
    classes={"email": ValueClass("email", "email"), "pin": ValueClass("pin", "text", tokens="random")},
    rules=(
        Rule(None, "public", "people", "email", "email", file="p.yaml", line=5),
        Rule(None, "public", "people", "pin", "pin", file="p.yaml", line=6),
    ),
)
PEOPLE = Relation(10, "public", "people", "r", COLUMNS)
CATALOG = Catalog("shop", 150000, (PEOPLE,), (), {})


def found(facts: Facts, catalog: Catalog = CATALOG) -> list[tuple[str, int, str]]:
    targets, missing = find_targets(catalog, POLICY)
    assert missing == []
    return [(f.severity, f.line, f.code) for f in check_objects(targets, facts, {})]


def test_an_exclusion_may_only_ask_for_equality() -> None:
    def exclusion(attnum: int, operator: str) -> Facts:
        return Facts(constraints=(Constraint(1, 10, "x", "x", (attnum,), operators=(operator,), keys=("k",)),))

    assert found(exclusion(2, "=")) == []
    assert found(exclusion(2, "<>")) == [("fault", 5, "exclusion")]
    assert found(exclusion(3, "=")) == [("fault", 6, "random-unique")]


def test_a_foreign_key_on_random_tokens_never_matches() -> None:
    key = Constraint(1, 10, "fk", "f", (3,), 10, (3,))
    assert found(Facts(constraints=(key,))) == [("fault", 6, "random-unique")]


def test_a_foreign_key_of_several_columns_is_taken_in_pairs() -> None:
    key = Constraint(1, 10, "fk", "f", (1, 2), 10, (1, 2))
    assert found(Facts(constraints=(key,))) == []


def test_a_trigram_index_is_told() -> None:
    index = Index(10, "trgm", False, "gin", (2,), ("gin_trgm_ops",), ("email",))
    assert found(Facts(indexes=(index,))) == [("warning", 5, "index")]


def test_a_partition_tells_its_own_default_only() -> None:
    parent = replace(PEOPLE, kind="p", columns=(COLUMNS[0], replace(COLUMNS[1], default="''::text"), COLUMNS[2]))
    same = replace(parent, oid=11, name="people_1", kind="r", parents=(10,))
    own = replace(same, oid=12, name="people_2", columns=(COLUMNS[0], replace(COLUMNS[1], default="'x'::text")))
    plain = replace(same, oid=13, name="people_3", columns=(replace(COLUMNS[1], default="NULL::text"),))
    catalog = replace(CATALOG, relations=(parent, same, own, plain))
    assert found(Facts(), catalog) == [("fault", 5, "default"), ("fault", 5, "default")]


def test_drift_is_told_where_no_fault_stands_yet() -> None:
    drift = Drift("p.yaml", 5, "public.people.email", "something new", "do it")
    (told,) = untold([drift], [])
    assert (told.code, told.line, told.message) == ("drift", 5, "public.people.email: something new")
    assert untold([drift], [told]) == []
    assert untold([drift], [replace(told, severity="warning")]) == [told]


def test_names_are_quoted_where_sql_needs_it() -> None:
    assert [sql_name(name) for name in ("email", "E-mail", 'a"b')] == ["email", '"E-mail"', '"a""b"']
