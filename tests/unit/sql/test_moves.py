"""What definitions do to names. On real servers: tests/integration/test_names_that_move.py."""

from dataclasses import replace

import pytest

from proxy.policy.load import load
from proxy.sql.analyze import analyse
from proxy.sql.catalog import ANYTHING, GRANTED, RIGHTS, Snapshot, snapshot
from proxy.sql.moves import KINDS, overlay
from proxy.sql.plan import SessionEffect, StatementPlan
from proxy.sql.relations import Catalog, Column, Function, Relation

POLICY = """\
version: 1
classes: {email: {kind: email}}
protect: {a.c: {email: email}}
roles: []
"""
COLUMNS = (Column("id", 1, 23, "integer", -1), Column("email", 2, 25, "text", -1))
RELATIONS = (
    Relation(5, "a", "c", "r", COLUMNS),
    Relation(6, "public", "c", "r", COLUMNS),
    Relation(7, "public", "plain", "r", COLUMNS),
    Relation(8, "public", "armed", "r", COLUMNS, triggers=(11,)),
)
FUNCTIONS = (
    Function(10, "public", "builds", "plpgsql", "execute t"),
    Function(11, "public", "sets", "plpgsql", "set role a"),
    Function(12, "public", "shuffles", "plpgsql", "alter schema a rename to b"),
)
CATALOG = Catalog("shop", 180000, RELATIONS, FUNCTIONS, {})
SHOP = snapshot(CATALOG, load([("p.yaml", POLICY)]), 1)
ALONE = snapshot(replace(CATALOG, relations=RELATIONS[:1]), load([("p.yaml", POLICY)]), 1)
BUILT = "function {}=it runs statements that it builds as text"


def moves(text: str, within: Snapshot = SHOP, path: tuple[str, ...] | None = ("a", "public")) -> list[str]:
    plan = analyse(text.encode(), True, path, within)
    assert plan.refusal is None, plan.refusal
    found = [effect for statement in plan.statements for effect in statement.effects if effect.kind in KINDS]
    return [f"{e.kind} {e.name or ''}" + (f"={e.value}" if e.value else "") for e in found]


def test_columns_that_a_statement_adds_are_there_for_those_behind_it() -> None:
    wide = replace(RELATIONS[0], columns=(*COLUMNS, Column("x", 0, 23, "integer", -1)))
    found = overlay(SHOP, StatementPlan("alter", widened=(wide,)))
    assert found.relations["a", "c"] == wide and found.widened == {("a", "c")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("grant usage on schema a to b", [f"moved ={GRANTED}"]),
        ("revoke usage on schema a from b", [f"moved ={RIGHTS}"]),
        ("grant select on plain to b", []),
        ("grant a to b", [f"moved ={GRANTED}"]),
        ("revoke a from b", [f"moved ={RIGHTS}"]),
        ("create role r", []),
        ("create role r role b", [f"moved ={GRANTED}"]),
        ("alter role r noinherit", [f"moved ={RIGHTS}"]),
        ("drop role r", [f"moved ={RIGHTS}"]),
        ("reassign owned by r to b", [f"moved ={RIGHTS}"]),
        ("alter schema public owner to b", [f"moved ={RIGHTS}"]),
        ("alter table plain owner to b", []),
        ("import foreign schema x from server s into public", [f"moved ={ANYTHING}"]),
        ("alter role r rename to s", [f"moved ={RIGHTS}"]),
    ],
)
def test_rights(text: str, expected: list[str]) -> None:
    assert moves(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("create schema s", ["made-schema s"]),
        ("create schema if not exists s", ["made-schema s"]),
        ("create schema s authorization b", [f"moved ={RIGHTS}"]),
        ("create schema authorization b", [f"moved ={RIGHTS}"]),
        ("drop schema public", [f"moved ={RIGHTS}", "dropped c=public"]),
        ("drop extension e", [f"moved ={RIGHTS}"]),
        ("drop table plain cascade", [f"moved ={RIGHTS}"]),
        ("drop table plain", []),
        ("drop table c", ["dropped c=a"]),
        ("drop table public.c, a.c", ["dropped c=public", "dropped c=a"]),
        ("drop index c", []),
        ("alter schema other rename to another", [f"moved ={RIGHTS}"]),
        ("alter table public.c rename to d", ["dropped c=public"]),
        ("alter table plain rename to d", []),
        ("alter table plain rename id to key", []),
        ("alter table public.c set schema s", ["dropped c=public", "closed c=s"]),
        ("alter table plain set schema s", []),
        ("alter type t set schema s", []),
        ("alter extension e set schema s", [f"moved ={ANYTHING}"]),
        ("create table s.c (id int)", ["closed c=s"]),
        ("create table s.d (id int)", []),
        ("create temp table d (id int)", []),
        ("create view s.c as select 1", ["closed c=s"]),
        ("create sequence s.c", ["closed c=s"]),
        ("create table s.c as select 1", ["closed c=s"]),
        ("select 1 into s.c", ["closed c=s"]),
        ("select 1 into pg_temp.c", []),
        ("create foreign table s.c (id int) server x", ["closed c=s"]),
    ],
)
def test_schemas_and_tables(text: str, expected: list[str]) -> None:
    assert moves(text) == expected


def test_what_needs_no_path() -> None:
    assert moves("drop schema other cascade", ALONE) == []
    assert moves("drop table c", SHOP, ("elsewhere",)) == [f"moved ={RIGHTS}"]
    assert moves("drop table c", SHOP.shadowed_by(("c",))) == []
    assert moves("grant usage on schema a to b", snapshot(CATALOG, load([]), 1)) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("create function f() returns int language plpgsql as 'begin execute t; end'", [BUILT.format("f")]),
        ("create function f() returns int language plpgsql as 'begin perform builds(); end'", [BUILT.format("f")]),
        ("create function f() returns int language plpgsql as 'begin grant a to b; end'", [BUILT.format("f")]),
        ("create function f() returns int as 'select 1' language sql", []),
        ("create function f() returns int language plpgsql as 'begin set role a; end'", ["settling f"]),
        ("create function f() returns int as 'select sets()' language sql", ["settling f"]),
        ("create function f() returns int return sets()", ["settling f"]),
        ("create function f() returns int as 'insert into armed' language sql", ["settling f"]),
        ("create function f() returns int as 'x', 'execute ' language c", []),
        ("create function f() returns text language plpgsql as 'select set_config(1)'", ["settling f"]),
        ("do 'begin alter schema x rename to y; end'", [f"moved ={ANYTHING}"]),
        ("do 'begin perform shuffles(); end'", [f"moved ={ANYTHING}"]),
        ("do 'begin perform 1; end'", []),
        ("select shuffles()", [f"moved ={ANYTHING}"]),
        ("alter function builds() rename to b2", [BUILT.format("b2")]),
        ("alter function builds() set schema s", [BUILT.format("builds")]),
        ("alter function sets() rename to s2", ["settling s2"]),
        ("alter function other() rename to s2", []),
        ("alter table armed rename to a2", ["settling a2"]),
        ("create view v as select sets()", ["settling v"]),
        ("create table t (a int default sets())", ["settling t"]),
        ("create aggregate g (int) (sfunc = sets, stype = int)", ["settling g"]),
        ("create operator === (leftarg = int, function = sets)", ["settling "]),
        ("create domain d as int check (sets())", ["settling "]),
        ("drop function sets()", []),
        ("comment on function sets() is 'x'", []),
    ],
)
def test_programs(text: str, expected: list[str]) -> None:
    assert moves(text) == expected


@pytest.mark.parametrize("body", ["set role a", "grant a to b", "select sets()"])
def test_do_makes_no_such_function(body: str) -> None:
    text = f"do $a$ begin create function f() returns int as $$ {body} $$ language sql; end $a$"
    refusal = analyse(text.encode(), True, ("a", "public"), SHOP).refusal
    assert refusal is not None and refusal.message.startswith("DO that creates a function")


def test_an_overlay() -> None:
    steps = [
        SessionEffect("ddl"), SessionEffect("made-schema", "s"), SessionEffect("moved", None, RIGHTS),
        SessionEffect("moved", None, GRANTED), SessionEffect("dropped", "c", "public"),
        SessionEffect("closed", "d", "s"), SessionEffect("function", "f", "why"), SessionEffect("settling", "g"),
    ]  # fmt: skip
    made = Relation(0, "public", "e", "r", COLUMNS)
    done = StatementPlan("create", effects=tuple(steps), created=(made,), altered=(("public", "plain"),))
    found = overlay(SHOP, done, "why not")
    assert found.made == {"s"} and found.moved == RIGHTS and ("public", "c") not in found.relations
    assert found.overlaid == {("s", "d"): "why not", ("public", "plain"): "why not"}
    assert found.touches(b"select f()") and found.touches(b"select g()") and not SHOP.touches(b"select f(), g()")
    assert found.relations[("public", "e")] is made
    assert overlay(SHOP, StatementPlan("x", effects=(SessionEffect("settling"),))).protection.settling.anywhere
    assert SHOP.relaid(found).touches(b"select g(), f()")
