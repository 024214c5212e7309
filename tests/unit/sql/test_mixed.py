"""Columns that hold values that are no tokens: what reads them goes on, what compares them is refused."""

import pytest

from proxy.policy.load import load
from proxy.sql.analyze import analyse
from proxy.sql.catalog import Catalog, Column, Relation, Snapshot, snapshot

POLICY = """
version: 1
classes: {email: {kind: email}, name: {kind: name}}
protect:
  public.customers: {email: email, name: name}
  public.orders: {email: email}
roles: [{name: all, match: {user: "*"}, access: {default: reveal}}]
"""
EMAIL = "public.customers.email"


def table(oid: int, name: str, columns: str, *parents: int) -> Relation:
    made = [Column(c, n, 25, "text", -1) for n, c in enumerate(columns.split(), 1)]
    return Relation(oid, "public", name, "p" if name == "customers" else "r", tuple(made), parents=parents)


TABLES = (
    table(1, "customers", "id email name"),
    table(2, "orders", "id email"),
    table(3, "customers_old", "id email name", 1),
    table(4, "customers_new", "id email name", 1),
    table(5, "customers_older", "id email name", 3),
)


def mixed(*labels: str) -> Snapshot:
    catalog = Catalog("shop", 180000, TABLES, (), {"": "public"})
    return snapshot(catalog, load([("p.yaml", POLICY)]), 1, frozenset(labels))


def code(text: str, *labels: str) -> str:
    refusal = analyse(text.encode(), True, ("public",), mixed(*labels)).refusal
    return "ok" if refusal is None else f"{refusal.code} {refusal.column}"


@pytest.mark.parametrize(
    "text",
    [
        "select id from customers where email = 'a'",
        "select id from customers where email <> $1",
        "select id from customers where email in ('a', 'b')",
        "select id from customers where email = any($1)",
        "select id from customers where email is distinct from 'a'",
        "select id from customers where email in (select email from orders)",
        "select id from orders where email = any(select email from customers)",
        "select o.id from orders o join customers c on o.email = c.email",
        "select id from orders join customers using (email)",
        "select * from orders natural join customers",
        "select email from customers group by email",
        "select distinct email from customers",
        "select distinct on (email) id from customers",
        "select count(distinct email) from customers",
        "select rank() over (partition by email) from customers",
        "select email from customers union select email from orders",
        "select email from orders except select email from customers",
        "insert into customers (email) values ('a') on conflict (email) do nothing",
        "update orders set id = 1 from customers c where c.email = orders.email",
        "delete from customers where email = 'a'",
        "insert into orders (email) select email from customers",
    ],
)
def test_comparisons_are_refused(text: str) -> None:
    assert code(text) == "ok"
    assert code(text, EMAIL) == f"plaintext-rows {EMAIL}"


@pytest.mark.parametrize(
    "text",
    [
        "select * from customers",
        "select email from customers where name = 'a' and email is not null",
        "select email from customers union all select email from orders",
        "insert into customers (email, name) values ('a', 'b') returning email",
        "update customers set email = 'a' where id = 1",
        "select id from orders where email = 'a'",
    ],
)
def test_all_else_goes_on(text: str) -> None:
    assert code(text, EMAIL) == "ok"


@pytest.mark.parametrize("seen", ["customers", "customers_old", "customers_new", "customers_older"])
@pytest.mark.parametrize("asked", ["customers", "customers_old", "customers_new", "customers_older"])
def test_a_family_of_tables_is_one(seen: str, asked: str) -> None:
    label = f"public.{seen}.email"
    assert code(f"select id from {asked} where email = 'a'", label) == f"plaintext-rows public.{asked}.email"
    assert code(f"select id from {asked} where name = 'a'", label) == "ok"
    assert code("select id from orders where email = 'a'", label) == "ok"


def test_a_column_that_is_protected_no_more_is_of_no_matter() -> None:
    assert code("select id from customers where email = 'a'", "public.gone.email") == "ok"


# ---- tokens of others ------------------------------------------------------------------------------------------------

FOREIGN = {EMAIL: "tokens of another vault"}


def foreign_code(text: str, foreign: dict[str, str]) -> str:
    catalog = Catalog("shop", 180000, TABLES, (), {"": "public"})
    laid = snapshot(catalog, load([("p.yaml", POLICY)]), 1, frozenset(), foreign)
    refusal = analyse(text.encode(), True, ("public",), laid).refusal
    return "ok" if refusal is None else f"{refusal.code} {refusal.column}"


@pytest.mark.parametrize(
    "text",
    [
        "select id from customers where email = 'a'",
        "select id from orders where email in (select email from customers)",
        "insert into customers (id, email) values (1, 'a')",
        "insert into customers (id, email) select id, email from orders",
        "insert into orders (id, email) select id, email from customers",
        "update customers set email = $1",
        "copy customers (id, email) from stdin",
    ],
)
def test_values_and_tokens_of_others_do_not_meet(text: str) -> None:
    assert foreign_code(text, FOREIGN) == f"foreign-tokens {EMAIL}"
    assert foreign_code(text, {}) == "ok"


@pytest.mark.parametrize(
    "text",
    [
        "select email from customers where id = 1",
        "update customers set email = null",
        "delete from customers where id = 1",
        "insert into customers (id, name) values (1, 'a')",
        "copy customers (id, name) from stdin",
        "copy customers to stdout",
        "insert into customers (id, email) select id, email from customers_new",
    ],
)
def test_what_needs_no_equality_with_tokens_of_others_goes_on(text: str) -> None:
    assert foreign_code(text, FOREIGN) == "ok"


@pytest.mark.parametrize("seen", ["customers", "customers_old", "customers_new", "customers_older"])
def test_tokens_of_others_in_one_table_of_a_family_are_in_all(seen: str) -> None:
    for name in ("customers", "customers_old", "customers_new", "customers_older"):
        text = f"select id from {name} where email = 'a'"
        assert foreign_code(text, {f"public.{seen}.email": "x"}) == f"foreign-tokens public.{name}.email"
    assert foreign_code("select id from orders where email = 'a'", FOREIGN) == "ok"
