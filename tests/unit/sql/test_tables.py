"""Which relation a name means under a search_path, and what is guarded. Columns' names are in test_names.py.

People and mail are protected in `app`; another people, in `plain`, is not. View `names` reads people, log's trigger
writes to it, `bad` doesn't match its rule, `later` is not there yet.
"""

from dataclasses import replace
from typing import Any

import pytest

from proxy.errors import Refusal
from proxy.policy.load import load
from proxy.sql.catalog import ANYTHING, Snapshot, snapshot
from proxy.sql.referee import Node, parse
from proxy.sql.relations import Column, Relation
from proxy.sql.tables import Table, Tables, View
from proxy.sql.terms import PLAIN, Held
from tests.kit.catalogs import build

Path = tuple[str, ...] | None
APP: Path = ("app",)
CATALOG = build(
    {
        "relations": {
            "app.people": ["id int4", "email text"],
            "app.mail": ["id int4", "sender text"],
            "app.bad": ["id int4"],
            "app.names": {"kind": "v", "columns": ["name text"], "depends_on": ["app.people"]},
            "app.log": {"columns": ["id int4"], "triggers": ["app.copies"]},
            "app.orders": ["id int4", "note text"],
            "plain.people": ["id int4", "email text"],
            "plain.orders": ["id int4"],
            "pg_catalog.pg_class": ["oid int4"],
        },
        "functions": {
            "app.copies": {"language": "plpgsql", "source": "begin insert into people select new.*; end"},
            "app.runs": {"language": "plpgsql", "source": "begin execute $1; end"},
        },
    }
)
POLICY = """
version: 1
classes: {email: {kind: email}}
protect:
  app.people: {email: email}
  app.mail: {sender: email}
  app.bad: {email: email}
  app.later: {email: email}
"""
SHOP = snapshot(CATALOG, load([("p.yaml", POLICY)]), 1)


def tables(path: Path = APP, within: Snapshot = SHOP) -> Tables:
    return Tables(within, path)


def item(name: str) -> Node:
    """The RangeVar of a name in FROM."""
    (statement,) = parse(f"select from {name}".encode())
    (found,) = statement.node.nodes("fromClause")
    return found


def found(name: str, path: Path = APP, within: Snapshot = SHOP) -> str:
    """'schema.table', with a * if it is protected; or the refusal's code."""
    try:
        table = tables(path, within).find(item(name))
    except Refusal as refusal:
        return refusal.code
    return table.label + ("*" if table.protected else "")


def temporary(name: str, schema: str = "pg_temp", oid: int = 0) -> Relation:
    return Relation(oid, schema, name, "r", (Column("email", 1, 25, "text", -1),), temporary=True)


def with_relations(*relations: Relation) -> Snapshot:
    return snapshot(replace(CATALOG, relations=(*CATALOG.relations, *relations)), SHOP.policy, 1)


class Reads:
    """Any view: of people."""

    def view(self, relation: Relation) -> View:
        return View({"name": SHOP.protection.columns[("app", "people")]["email"]}, (f"app.people by {relation.name}",))


@pytest.mark.parametrize(
    ("more", "may_write"), [({}, True), ({"diverts": True}, False), ({"triggers": (7,)}, False)], ids=str
)
def test_a_view_that_can_be_read(more: dict[str, Any], may_write: bool) -> None:
    relations = [replace(r, definition="SELECT …", **more) if r.name == "names" else r for r in SHOP.catalog.relations]
    within = snapshot(replace(CATALOG, relations=tuple(relations)), SHOP.policy, 1)
    found = Tables(within, APP, Reads())
    table = found.find(item("names"))
    assert table.label == "app.names" and isinstance(table.term("name"), Held)
    assert list(found.touched) == ["app.people by names"]
    if may_write:
        assert found.target(item("names")) == table
    else:
        with pytest.raises(Refusal, match="rules, triggers or defaults of its own"):
            found.target(item("names"))
    with pytest.raises(Refusal, match="it reads"):
        Tables(within, APP).find(item("names"))


# ---- which one


def test_one_that_the_transaction_made_and_closed() -> None:
    """Where it was made is not known: nothing protected was named."""
    assert found("made", within=SHOP.closed_by("", "made", "it was changed")) == "changed-in-transaction"


@pytest.mark.parametrize(
    ("name", "path", "table"),
    [
        ("people", ("app",), "app.people*"),
        ("people", ("plain", "app"), "plain.people"),
        ("people", ("app", "plain"), "app.people*"),
        ("people", ("nowhere", "app"), "app.people*"),
        ("PEOPLE", ("app",), "app.people*"),
        ('"People"', ("app",), ".People"),
        ("app.people", ("plain",), "app.people*"),
        ("plain.people", ("app",), "plain.people"),
        ("app.people", None, "app.people*"),
        ("people", None, "ambiguous-relation"),
        ("mail", None, "app.mail*"),
        ("mail", ("plain",), "undefined-table"),
        ("orders", ("app",), "app.orders"),
        ("orders", ("plain", "app"), "plain.orders"),
        ("orders", None, ".orders"),
        ("log", None, "app.log"),
        ("pg_class", ("app",), "pg_catalog.pg_class"),
        ("unknown", ("app",), ".unknown"),
        ("unknown", None, ".unknown"),
        ("other.unknown", ("app",), "other.unknown"),
    ],
)
def test_the_search_path_decides(name: str, path: Path, table: str) -> None:
    assert found(name, path) == table


def test_pg_catalog_comes_before_the_path() -> None:
    """A table of ours that is called as one of the server's is found by its schema only."""
    policy = load([("p.yaml", POLICY + "  app.pg_class: {email: email}\n")])
    mine = Relation(99, "app", "pg_class", "r", (Column("email", 1, 25, "text", -1),))
    both = snapshot(replace(CATALOG, relations=(*CATALOG.relations, mine)), policy, 1)
    assert found("pg_class", within=both) == "pg_catalog.pg_class"
    assert found("app.pg_class", within=both) == "app.pg_class*"


@pytest.mark.parametrize(
    ("name", "code"),
    [("names", "depends-on-protected"), ("bad", "policy-drift"), ("later", "undefined-table"), ("log", "app.log")],
)
@pytest.mark.parametrize("path", [("app",), None])
@pytest.mark.parametrize("schema", ["", "app."])
def test_what_cannot_be_read(name: str, code: str, path: Path, schema: str) -> None:
    assert found(schema + name, path) == code


def test_a_table_that_the_transaction_changed() -> None:
    within = SHOP.closed_by("app", "orders", "its columns changed")
    for path in (("app",), ("app", "plain")):
        assert found("orders", path, within) == "changed-in-transaction"
    assert found("orders", ("plain", "app"), within) == "plain.orders"
    assert found("orders", None, within) == "ambiguous-relation"


def test_which_table_a_definition_names_that_the_transaction_changed() -> None:
    within = SHOP.closed_by("app", "orders", "its columns changed")
    assert tables(within=within).changed(item("orders")) == ("app", "orders")
    assert tables(within=within).changed(item("people")) is None
    assert tables(("plain",), within).changed(item("orders")) is None
    assert tables(within=replace(within, moved=ANYTHING)).changed(item("orders")) is None


def test_a_table_that_is_not_there_is_refused_in_the_servers_words() -> None:
    for name in ("later", "app.later"):
        with pytest.raises(Refusal) as caught:
            tables().find(item(name))
        assert (caught.value.message, caught.value.position) == (f'relation "{name}" does not exist', 13)


def test_temporary_tables() -> None:
    """One of another session is nothing to this one; one of this connection is found first."""
    others = with_relations(temporary("people", "pg_temp_3", 77))
    assert found("people", within=others) == "app.people*"
    assert found("orders", within=with_relations(temporary("orders", "pg_temp_3", 77))) == ".orders"
    assert found("scratch", within=with_relations(temporary("scratch", "pg_temp_3", 77))) == "pg_temp_3.scratch"
    mine = SHOP.with_relation(temporary("people"))
    assert found("people", within=mine) == "ambiguous-relation"
    assert found("app.people", within=mine) == "app.people*"
    assert found("pg_temp.people", within=mine) == "pg_temp.people"


def test_a_temporary_view_over_a_protected_table() -> None:
    """The server finds pg_temp first; whose it is does not show."""
    people = SHOP.relations[("app", "people")]
    view = Relation(78, "pg_temp_4", "peek", "v", (), depends_on=(people.oid,), temporary=True)
    within = with_relations(view)
    assert found("peek", within=within) == "depends-on-protected"
    assert found("pg_temp_4.peek", within=within) == "depends-on-protected"


def test_protected_tables_that_were_met() -> None:
    seen = tables()
    for name in ("people", "orders", "mail", "people"):
        seen.find(item(name))
    assert list(seen.touched) == ["app.people", "app.mail"]


def test_writing() -> None:
    assert tables().target(item("people")).label == "app.people"
    with pytest.raises(Refusal) as caught:
        tables().target(item("log"))
    assert caught.value.code == "depends-on-protected"
    assert "copies" in caught.value.message


# ---- a relation's columns


def test_a_relation_as_a_from_item() -> None:
    people = tables().find(item("people"))
    held = people.term("email")
    assert isinstance(held, Held)
    bare = people.range(None, [], True)
    assert (bare.name, bare.schema, bare.table, bare.opaque) == ("people", "app", "app.people", False)
    assert [(c.name, c.term) for c in bare.columns] == [("id", PLAIN), ("email", held)]
    renamed = people.range("p", ["email"], False)
    assert (renamed.name, renamed.schema) == ("p", None)
    assert [(c.name, c.term) for c in renamed.columns] == [("email", PLAIN), ("email", held)]
    assert (people.has("email"), people.has("mail")) == (True, False)
    assert tables().find(item("orders")).range(None, [], True).table == ""


def test_a_relation_that_the_catalog_does_not_have() -> None:
    """A table made a moment ago: any column may be there."""
    unknown = Table("app", "fresh", None, {})
    assert unknown.has("anything")
    assert (unknown.range("f", [], False).name, unknown.range(None, [], True).opaque) == ("f", True)


def test_the_term_of_a_column_to_be() -> None:
    held = SHOP.protected_tables[("app", "people")]["email"]
    assert (Tables.term(held), Tables.term(None)) == (Held(held), PLAIN)


# ---- is anything touched


@pytest.mark.parametrize(
    ("text", "reached"),
    [
        ("select 1 from orders where id in (select id from people)", "people"),
        ("select 1 from app.names", "app.names"),
        ("insert into later values (1)", "later"),
        ("update log set id = 1", "log"),
        ("select app.copies()", "app.copies()"),
        ("select runs('x')", "runs()"),
        ("select 1 from plain.people", ""),
        ("select upper(note), people from orders", ""),
        ("with people as (select 1) select * from people", "people"),
    ],
)
def test_the_first_guarded_name_in_a_tree(text: str, reached: str) -> None:
    (statement,) = parse(text.encode())
    assert tables().reached(statement.node) == reached
    assert tables().reached_by(statement.node) == (reached != "")


def test_names_in_a_text() -> None:
    seen = tables()
    assert seen.named_in(b"perform copies()") and not seen.relation_named_in(b"perform copies()")
    assert seen.named_in(b"select 1 from PEOPLE") and seen.relation_named_in(b"select 1 from PEOPLE")
    assert not seen.named_in(b"select 1 from orders")


def test_guarded_names() -> None:
    seen = tables()
    assert [seen.has_name(name) for name in ("people", "later", "names", "log", "orders")] == [True] * 4 + [False]
    assert seen.guards(("app", "bad")) and not seen.guards(("plain", "people"))
    assert seen.guards_schema("plain", "app") and not seen.guards_schema("plain")
    assert seen.any and not tables(within=snapshot(CATALOG, load([("p.yaml", "version: 1\n")]), 1)).any
    assert [r.column for r in seen.rules(("app", "later"))] == ["email"] and seen.rules(("app", "orders")) == ()


def test_functions_that_only_build_statements() -> None:
    assert [tables().only_builds(name) for name in ("runs", "copies", "upper")] == [True, False, False]


def test_a_guarded_table_of_a_utility_statement() -> None:
    people = tables().protected(item("people"))
    assert people is not None and people.label == "app.people"
    assert tables().protected(item("orders")) is tables().protected(item("plain.people")) is None
    with pytest.raises(Refusal):
        tables().protected(item("bad"))


# ---- definitions


@pytest.mark.parametrize(
    ("name", "path", "named"),
    [
        ("people", ("app",), ("app", "people")),
        ("people", ("plain", "app"), ("plain", "people")),
        ("later", ("plain", "app"), ("app", "later")),
        ("bad", ("app",), ("app", "bad")),
        ("people", ("nowhere",), ("", "people")),
        ("plain.people", ("app",), ("plain", "people")),
        ("orders", ("plain",), ("plain", "orders")),
        ("mail", None, ("app", "mail")),
    ],
)
def test_the_table_that_a_definition_names(name: str, path: Path, named: tuple[str, str]) -> None:
    assert tables(path).named(item(name)) == named


@pytest.mark.parametrize(("name", "path", "hidden"), [("people", None, ()), ("people", APP, ("people",))])
def test_a_definition_of_what_is_not_certain(name: str, path: Path, hidden: tuple[str, ...]) -> None:
    with pytest.raises(Refusal) as caught:
        tables(path, SHOP.shadowed_by(hidden)).named(item(name))
    assert caught.value.code == "ambiguous-relation"
    assert tables(path, SHOP.shadowed_by(hidden)).named(item(f"app.{name}")) == ("app", name)


@pytest.mark.parametrize(
    ("name", "path", "schema", "temp"),
    [
        ("later", ("app",), "app", False),
        ("later", ("nowhere", "plain"), "plain", False),
        ("later", ("nowhere", "public"), "public", False),
        ("later", ("nowhere", "neither"), "neither", False),
        ("later", ("pg_temp", "app"), "pg_temp", True),
        ("later", (), "", False),
        ("fresh", None, "", True),
    ],
)
def test_where_a_new_table_is_put(name: str, path: Path, schema: str, temp: bool) -> None:
    """The first schema of the path that there is (RangeVarGetCreationNamespace)."""
    assert tables(path).creation_schema(name) == schema
    assert tables(path).creates_temporary() == temp


def test_where_a_new_table_is_put_is_not_certain() -> None:
    with pytest.raises(Refusal) as caught:
        tables(None).creation_schema("later")
    assert caught.value.code == "ambiguous-relation"


@pytest.mark.parametrize(
    ("name", "permanent"),
    [("people", True), ("app.people", True), ("fresh", False), ("pg_temp.people", False), ("scratch", False)],
)
def test_what_is_certain_to_be_no_temporary_table(name: str, permanent: bool) -> None:
    within = with_relations(temporary("scratch", "pg_temp_3", 77))
    assert tables(within=within).is_permanent(item(name)) == permanent


def test_schemas_that_anything_may_have_happened_to() -> None:
    within = replace(SHOP, moved=ANYTHING)
    for name in ("people", "app.people", "elsewhere.people"):
        assert found(name, within=within) == "changed-in-transaction"
    assert found("scratch_of_nobody", within=within) == found("scratch_of_nobody")


def test_names_that_several_schemas_have() -> None:
    assert tables().crowded
