"""Views by their definitions, which are as the server writes them with an empty search_path.

Of customers `email` and `born` (a date) are protected, of `folk` email, which is the same class.
"""

from dataclasses import replace
from typing import Any

import pytest

from proxy.policy.load import load
from proxy.sql.catalog import Catalog, Snapshot, snapshot
from tests.kit.catalogs import build
from tests.kit.plans import planned, sent, shown

POLICY = """
version: 1
classes: {email: {kind: email}, day: {kind: date}, street: {kind: address, tokens: random}}
protect:
  public.customers: {email: email, street: street, born: {class: day, type: date}}
  public.folk: {email: email}
  public.bad: {email: email, gone: email}
"""
CLOSED = "depends-on-protected"


def view(definition: str, columns: str, *reads: str, **more: object) -> dict[str, Any]:
    depends = [f"public.{name}" for name in reads or ("customers",)]
    return {"kind": "v", "columns": columns.split(", "), "depends_on": depends, "definition": definition} | more


RELATIONS = {
    "public.customers": ["id int4", "email text", "street text", "born text", "note text"],
    "public.folk": ["id int4", "email text"],
    "public.bad": ["id int4", "email text"],
    "public.plain": view(
        " SELECT id,\n    email,\n    born AS day\n   FROM public.customers;", "id int4, email text, day text"
    ),
    "public.above": view(" SELECT day, email AS mail FROM public.plain;", "day text, post text", "plain"),
    "public.pairs": view(
        " SELECT c.id, f.email FROM (public.customers c JOIN public.folk f ON ((f.email = c.email)))"
        " WHERE (c.note = 'it''s'::text);", "id int4, email text", "customers", "folk",
    ),
    "public.counts": view(
        " SELECT note, count(DISTINCT email) AS n FROM public.customers GROUP BY note;", "note text, n int8"
    ),
    "public.sought": view(" SELECT id, email FROM public.customers WHERE (email = 'a'::text);", "id int4, email text"),
    "public.lower": view(" SELECT lower(email) AS email FROM public.customers;", "email text"),
    "public.short": view(" SELECT email FROM public.customers;", "email varchar(5)"),
    "public.more": view(" SELECT email FROM public.customers;", "email text, more text"),
    "public.made": view(" SELECT COALESCE(email, 'x'::text) AS email FROM public.customers;", "email text"),
    "public.stored": view(" SELECT email FROM public.customers;", "email text") | {"kind": "m", "definition": ""},
    "public.closed": view(" SELECT email FROM public.bad;", "email text", "bad"),
    "public.unread": view("", "email text"),
    "public.odd": view(" TABLE", "email text"),
    "public.two": view(" SELECT 1; SELECT 2", "email text"),
    "public.cut": view(" SELECT 'x", "email text"),
    "public.loop": view(" SELECT email FROM public.pool;", "email text", "customers"),
    "public.pool": view(" SELECT email FROM public.loop;", "email text", "customers"),
    "public.armed": view(" SELECT id, email FROM public.customers;", "id int4, email text", triggers=["public.act"]),
    "public.ruled": view(" SELECT id, email FROM public.customers;", "id int4, email text", diverts=True),
}  # fmt: skip
FUNCTIONS = {"public.act": {"source": "begin return new; end", "language": "plpgsql"}}
CATALOG: Catalog = build({"relations": RELATIONS, "functions": FUNCTIONS})
SHOP: Snapshot = snapshot(CATALOG, load([("p.yaml", POLICY)]), 1)


@pytest.mark.parametrize(
    ("query", "columns"),
    [
        ("select * from plain", "- email day"),
        ("select day, p.email from public.plain p", "day email"),
        ("select * from above", "day email"),
        ("select post from above where day = '2000-01-01'", "email"),
        ("select * from pairs", "- email"),
        ("select * from counts", ""),
        ("select a.* from plain a join above b on a.email = b.post", "- email day"),
        ("select * from sought", CLOSED),
        ("select * from lower", CLOSED),
        ("select * from short", CLOSED),
        ("select * from more", CLOSED),
        ("select * from made", CLOSED),
        ("select * from stored", CLOSED),
        ("select * from closed", CLOSED),
        ("select * from unread", CLOSED),
        ("select * from odd", CLOSED),
        ("select * from two", CLOSED),
        ("select * from cut", CLOSED),
        ("select * from loop", CLOSED),
        ("select * from plain order by email", "order-by-protected"),
    ],
)  # fmt: skip
def test_what_is_shown(query: str, columns: str) -> None:
    assert shown(query, within=SHOP) == columns


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1 from plain where email = 'a'", "select 1 from plain where email = ‹email a›"),
        ("insert into plain (email) values ('a')", "insert into plain (email) values (‹email a›)"),
        ("insert into plain values (1, 'a')", "insert into plain (id, email) values (1, ‹email a›)"),
        ("update plain set day = '2000-01-02'", "update plain set day = ‹day 2000-01-02›"),
        ("delete from above where post = 'a'", "delete from above where post = ‹email a›"),
        ("insert into armed (email) values ('a')", CLOSED),
        ("update ruled set email = 'a'", CLOSED),
        ("delete from ruled", CLOSED),
        ("select 1 from ruled", "same"),
    ],
)
def test_what_is_sent(text: str, expected: str) -> None:
    assert sent(text, within=SHOP) == expected


def test_the_tables_behind_are_named() -> None:
    """For the audit trail."""
    assert planned("select * from pairs", within=SHOP).statements[0].tables == ("public.customers", "public.folk")


def test_a_refusal_names_the_view_and_no_place_in_its_definition() -> None:
    refusal = planned("select 1 from above where day < '2000-01-01'", within=SHOP).refusal
    assert refusal is not None and refusal.column == "public.customers.born"
    refusal = planned("select * from lower", within=SHOP).refusal
    assert refusal is not None and refusal.position == 0
    assert refusal.message.startswith("view public.lower can't be read: column public.customers.email is protected")


def test_a_view_over_one_that_cannot_be_read_says_which() -> None:
    relations = [
        replace(r, definition=" SELECT email FROM public.lower;") if r.name == "short" else r for r in CATALOG.relations
    ]
    within = snapshot(replace(CATALOG, relations=tuple(relations)), SHOP.policy, 1)
    refusal = planned("select * from short", within=within).refusal
    assert refusal is not None and refusal.message.startswith("view public.lower can't be read")


@pytest.mark.parametrize("table", ["customers", "plain"])
def test_what_the_transaction_changed_closes_the_views_over_it(table: str) -> None:
    within = SHOP.closed_by("public", table, "it was changed")
    assert shown("select * from above", within=within) == CLOSED
    assert shown("select * from counts", within=within) == (CLOSED if table == "customers" else "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alter view plain alter email set default 'x'", "unsupported-statement"),
        ("alter view plain alter id set default 5", "same"),
        ("alter view plain alter email drop default", "same"),
        ("alter view lower alter email set default 'x'", CLOSED),
        ("alter view plain rename to simple", "same"),
        ("alter view plain rename column email to mail", "same"),
        ("create view next as select email from plain", "same"),
        ("drop view plain", "same"),
    ],
)
def test_definitions(text: str, expected: str) -> None:
    assert sent(text, within=SHOP) == expected
