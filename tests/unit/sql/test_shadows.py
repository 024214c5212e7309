"""Statements after which a guarded name may be the connection's own temporary relation."""

import pytest

from proxy.policy.load import load
from proxy.sql.analyze import analyse
from proxy.sql.catalog import Catalog, Column, Relation, snapshot
from proxy.sql.plan import Plan

POLICY = """
version: 1
classes: {email: {kind: email}}
protect: {public.customers: {email: email}}
roles: [{name: all, match: {user: "*"}, access: {default: reveal}}]
"""


def table(oid: int, schema: str, name: str, temporary: bool = False) -> Relation:
    columns = (Column("id", 1, 23, "integer", -1), Column("email", 2, 25, "text", -1))
    return Relation(oid, schema, name, "r", columns, temporary=temporary)


WORLD = snapshot(
    Catalog(
        "shop",
        180000,
        (table(1, "public", "customers"), table(2, "public", "mine"), table(3, "pg_temp_3", "scratch", True)),
        (),
        {"": "public"},
    ),
    load([("p.yaml", POLICY)]),
    1,
)


def plan(text: str, path: tuple[str, ...] | None = ("public",)) -> Plan:
    return analyse(text.encode(), True, path, WORLD)


def shadowed(text: str, path: tuple[str, ...] | None = ("public",)) -> list[str | None]:
    made = plan(text, path)
    assert made.refusal is None, made.refusal
    return [effect.name for each in made.statements for effect in each.effects if effect.kind == "shadow"]


@pytest.mark.parametrize(
    "text",
    [
        "create temp table customers (id int)",
        "create local temporary table if not exists customers (id int) on commit drop",
        "create table pg_temp.customers (id int)",
        "create temp table customers (like mine)",
        "create table pg_temp.customers as select 1 as id",
        "select 1 as id into pg_temp.customers",
        "create temp view customers as select 1 as id",
        "create view pg_temp.customers as select 1 as id",
        "create sequence pg_temp.customers",
        "alter table scratch rename to customers",
        "alter table pg_temp.scratch rename to customers",
        "alter table unknown rename to customers",
    ],
)
def test_a_name_that_may_be_temporary(text: str) -> None:
    assert shadowed(text) == ["customers"]
    assert plan(text).barrier, "nothing is planned before it is known to have worked"
    both = plan(f"{text}; select email from customers").refusal
    assert both is not None and both.code == "ambiguous-relation"
    assert plan(f"{text}; select email from public.customers").refusal is None


@pytest.mark.parametrize(
    "text",
    [
        "create temp table other (id int)",
        "create table sales.customers (id int)",
        "select 1 as id into temp other",
        "alter table customers rename column id to number",
        "alter table public.mine rename to customers",
        "alter table mine rename to customers",
        "create view names as select 1 as id",
    ],
)
def test_a_name_that_stays_what_it_is(text: str) -> None:
    assert shadowed(text) == []


def test_a_path_that_begins_with_the_temporary_schema() -> None:
    assert shadowed("create table customers (id int)", ("pg_temp", "public")) == ["customers"]
    assert shadowed("create sequence pg_temp.customers", None) == ["customers"]


def test_definitions_of_a_shadowed_name_are_refused() -> None:
    within = WORLD.shadowed_by(("customers",))
    for text in ("alter table customers add column a int", "create index on customers (email)"):
        made = analyse(text.encode(), True, ("public",), within)
        assert made.refusal is not None and made.refusal.code == "ambiguous-relation"
