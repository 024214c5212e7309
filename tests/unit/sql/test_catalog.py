"""The snapshot: what is found in it, and what a transaction's own DDL makes of it.

How the policy is laid over the catalog is in test_protection.py. What search_path a server takes: PostgreSQL 15 and 18.
"""

from dataclasses import replace

import pytest

from proxy.policy.rules import NOTHING
from proxy.sql.catalog import (
    ANYTHING,
    GRANTED,
    RIGHTS,
    UNSURE,
    WIDENED,
    Catalog,
    Column,
    Relation,
    snapshot,
    split_path,
)
from proxy.sql.rights import schemas
from tests.kit.catalogs import world

SHOP = world("shop").snapshot
CUSTOMERS = ("public", "customers")

PATHS = {"": '"$user", public', "ann": "sales"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('"$user", public', ("bob", "public")),
        ("Public,SALES", ("public", "sales")),
        ('"Mixed Case", "a""b"', ("Mixed Case", 'a"b')),
        ("", ()),
        ('""', ()),
        ("  a  ", ("a",)),
        ("a\t,\f b\n", ("a", "b")),
        ("\xa0a", ("\xa0a",)),
    ],
)
def test_split_path(text: str, names: tuple[str, ...]) -> None:
    assert split_path(text, "bob") == names


@pytest.mark.parametrize(
    "text", ['"a', "a b", "a,", "a,,b", ",a", "a,,b c", "Äb", "b, É", "x" * 64, '"' + "ä" * 32 + '"']
)
def test_split_path_of_no_list(text: str) -> None:
    with pytest.raises(ValueError):
        split_path(text, "bob")


def test_search_path_of_a_user() -> None:
    found = snapshot(Catalog("shop", 180000, (), (), PATHS), NOTHING, 1)
    assert found.search_path_of("ann") == "sales"
    assert found.search_path_of("bob") == '"$user", public'
    bare = snapshot(Catalog("shop", 180000, (), (), {}), NOTHING, 1)
    assert bare.search_path_of("bob") == '"$user", public'


def test_who_starts_as_another_role() -> None:
    some = snapshot(Catalog("shop", 180000, (), (), {}, frozenset(("ann",))), NOTHING, 1)
    assert some.switches_role("ann") and not some.switches_role("bob")
    everyone = snapshot(Catalog("shop", 180000, (), (), {}, frozenset(("",))), NOTHING, 1)
    assert everyone.switches_role("bob")


def made(schema: str, name: str, *columns: str, temporary: bool = False) -> Relation:
    """A table of this transaction."""
    listed = [Column(column, i, 25, "text", -1) for i, column in enumerate(columns, 1)]
    return Relation(0, schema, name, "r", tuple(listed), temporary=temporary)


def test_columns_by_place_and_by_label() -> None:
    customers = SHOP.relations[CUSTOMERS]
    email = SHOP.column(customers.oid, 2)
    assert email is not None and email.label == "public.customers.email"
    assert SHOP.labelled("public.customers.email") is email
    assert SHOP.column(customers.oid, 1) is SHOP.column(0, 2) is None
    assert SHOP.labelled("public.customers.note") is SHOP.labelled("") is None
    assert SHOP.protected_tables[CUSTOMERS]["email"] is email


def test_what_a_rule_does_not_find() -> None:
    """A table that is not there is awaited, a column that is not there closes its table."""
    policy = SHOP.policy
    bare = Catalog("shop", 180000, (made("public", "customers", "id"),), (), {})
    found = snapshot(bare, policy, 1)
    assert list(found.closed) == [CUSTOMERS]
    assert ("sales", "people") in found.awaited
    assert {drift.column for drift in found.drift} >= {"public.customers.email"}
    assert found.database == "shop"


def test_a_function_that_reaches_something() -> None:
    by_name = {function.name: function.oid for function in world("shop").catalog.functions}
    assert by_name["find_customer"] in SHOP.protection.reaching
    assert by_name["tax"] not in SHOP.protection.reaching


def test_a_table_of_this_transaction_takes_its_rules_and_its_name() -> None:
    again = SHOP.with_relation(made("public", "customers", "email"))
    assert [held.attnum for held in again.protected_tables[CUSTOMERS].values()] == [1]
    assert [relation.oid for relation in again.by_name["customers"] if relation.schema == "public"] == [0]
    assert {relation.schema for relation in again.by_name["customers"]} == {"public", "sales"}
    assert SHOP.relations[CUSTOMERS].oid != 0


def test_a_temporary_table_hides_a_name_and_has_no_rules() -> None:
    found = SHOP.with_relation(made("pg_temp", "customers", "email", temporary=True))
    assert found.shadowed == {"customers"}
    assert found.protected_tables == SHOP.protected_tables
    assert found.shadowed_by(("orders",)).shadowed == {"customers", "orders"}


@pytest.mark.parametrize(("why", "left"), [(UNSURE, {}), ("it was changed", {("public", "fresh"): "it was changed"})])
def test_a_table_that_is_made_again_is_there_for_sure(why: str, left: dict[tuple[str, str], str]) -> None:
    """After ROLLBACK TO it may be gone; what else closed it still does."""
    closed = SHOP.closed_by("public", "fresh", why)
    assert closed.closed == {("public", "fresh"): why}
    assert closed.touches(b"select * from fresh") and not SHOP.touches(b"select * from fresh")
    assert closed.with_relation(made("public", "fresh", "id")).closed == left
    assert closed.with_relation(made("public", "other", "id")).closed == closed.closed


def test_a_transactions_ddl_is_laid_over_a_newer_catalog() -> None:
    """The catalog account sees none of it before COMMIT."""
    before = SHOP.with_relation(made("public", "fresh", "id")).closed_by("public", "customers", "it was changed")
    newer = snapshot(world("shop").catalog, SHOP.policy, 2).relaid(before)
    assert newer.version == 2
    assert ("public", "fresh") in newer.relations
    assert newer.closed == {CUSTOMERS: "it was changed"}
    assert newer.relaid(SHOP).relations == newer.relations


def test_a_path_is_what_a_role_may_use_of_it() -> None:
    rights = schemas([("public", ""), ("sales", "ann")], [("ann", False), ("ben", False)], [])
    found = snapshot(replace(world("shop").catalog, schemas=rights), SHOP.policy, 1)
    both = ("sales", "public")
    assert found.path(both, "ann") == both and found.path(both, "ben") == ("public",)
    granted, taken = replace(found, moved=GRANTED), replace(found, moved=RIGHTS)
    assert granted.path(both, "ann") == both, "more can't change it"
    assert granted.path(both, "ben") is None and taken.path(both, "ann") is None
    assert found.settled_by((), anywhere=True).path(both, "ann") is None
    assert replace(found, made=frozenset(("new",))).schemas == {"public", "sales", "new"}


def test_what_a_transaction_dropped_moved_and_made_is_laid_over_too() -> None:
    before = replace(SHOP.without(*CUSTOMERS), moved=GRANTED, made=frozenset(("new",)))
    before = before.with_function("fresh", "why").settled_by(("sets",))
    newer = snapshot(world("shop").catalog, SHOP.policy, 2).relaid(before)
    assert CUSTOMERS not in newer.relations and CUSTOMERS in newer.awaited and newer.dropped == {CUSTOMERS}
    assert (newer.moved, newer.made) == (GRANTED, {"new"})
    assert newer.touches(b"select fresh()") and newer.touches(b"select sets()")
    assert not SHOP.touches(b"select fresh(), sets()")


def test_columns_that_a_transaction_added_are_laid_over_too() -> None:
    known = SHOP.relations[CUSTOMERS]
    wide = replace(known, columns=(*known.columns, Column("x", 0, 23, "int4", -1)))
    before = SHOP.with_columns(wide)
    assert before.protected_tables == SHOP.protected_tables and before.by_name["customers"][-1] == wide
    catalog = world("shop").catalog
    newer = snapshot(catalog, SHOP.policy, 2).relaid(before)
    assert newer.relations[CUSTOMERS].columns == wide.columns and newer.widened == {CUSTOMERS}
    others = [replace(r, columns=r.columns[1:]) if r.name == "customers" else r for r in catalog.relations]
    other = snapshot(replace(catalog, relations=tuple(others)), SHOP.policy, 2)
    assert other.relaid(before).closed[CUSTOMERS] == WIDENED
    assert SHOP.without(*CUSTOMERS).relaid(before).closed[CUSTOMERS] == WIDENED
    assert SHOP.unsure_after(before).closed == {CUSTOMERS: WIDENED}, "it may have been before a ROLLBACK TO"


def test_after_rollback_to_it_is_not_known_what_is_left() -> None:
    assert SHOP.unsure_after(SHOP).moved == ""
    for before in (SHOP.without(*CUSTOMERS), replace(SHOP, moved=GRANTED), replace(SHOP, made=frozenset(("x",)))):
        assert SHOP.unsure_after(before).moved == RIGHTS
    assert SHOP.unsure_after(replace(SHOP, moved=ANYTHING)).moved == ANYTHING
    left = SHOP.unsure_after(SHOP.with_function("fresh", "why").closed_by("public", "x", "why"))
    assert left.touches(b"select fresh()") and left.overlaid == {("public", "x"): "why"}
    waiting = SHOP.without(*CUSTOMERS)
    assert waiting.unsure_after(waiting.with_relation(made(*CUSTOMERS, "email"))).overlaid == {CUSTOMERS: UNSURE}
