"""What a principal may do with a plan: each right, by itself, on plans that the product makes."""

from types import MappingProxyType

import pytest

from proxy.errors import Refusal
from proxy.policy.access import Access
from proxy.policy.rules import Level
from proxy.session.permit import permit, permit_again, permit_value
from proxy.sql.plan import Input
from tests.unit.session.driver import SHOP, plan

WRITE = "insert into customers(id, email) values (1, 'a@b.c')"
SEARCH = "select id from customers where email = 'a@b.c'"
READ = "select email from customers"
PLAIN = "select id from customers where id = 1"


def levels(default: Level, **more: Level) -> Access:
    return Access("r", default, MappingProxyType(more))


def refused(text: str, access: Access, purpose: str = "") -> Refusal | None:
    try:
        permit(plan(text)[1], access, purpose)
    except Refusal as refusal:
        return refusal
    return None


@pytest.mark.parametrize(
    ("access", "write", "search", "read"),
    [
        (levels("reveal"), "", "", ""),
        (levels("mask"), "may-not-write", "may-not-search", ""),
        (levels("token"), "", "", ""),
        (levels("deny"), "may-not-write", "may-not-search", "may-not-see"),
        (Access(), "", "", ""),
        (levels("reveal", email="mask"), "may-not-write", "may-not-search", ""),
        (levels("deny", email="reveal"), "", "", ""),
        (Access("r", "mask", search=True), "may-not-write", "", ""),
        (Access("r", "mask", search=("email",)), "may-not-write", "", ""),
        (Access("r", "mask", search=("person",)), "may-not-write", "may-not-search", ""),
        (Access("r", "deny", search=True, write=True), "may-not-write", "may-not-search", "may-not-see"),
        (Access("r", "mask", write=True), "", "may-not-search", ""),
        (Access("r", "reveal", write=("person",)), "may-not-write", "", ""),
    ],
)
def test_each_right_by_itself(access: Access, write: str, search: str, read: str) -> None:
    for text, code in ((WRITE, write), (SEARCH, search), (READ, read), (PLAIN, "")):
        refusal = refused(text, access)
        assert (refusal.code if refusal else "") == code, text
        if refusal:
            assert refusal.column == "public.customers.email" and "a@b.c" not in refusal.message


@pytest.mark.parametrize("text", [WRITE, SEARCH, READ])
def test_a_purpose_is_required_where_something_protected_is_touched(text: str) -> None:
    access = Access("r", "reveal", require_purpose=True)
    refusal = refused(text, access)
    assert refusal and refusal.code == "purpose-required" and "pgveil.purpose" in refusal.hint
    assert refused(text, access, "ticket 4711") is None
    assert refused(PLAIN, access) is None


def test_what_is_not_allowed_is_said_before_a_purpose_is_asked_for() -> None:
    refusal = refused(READ, Access("r", "deny", require_purpose=True))
    assert refusal and refusal.code == "may-not-see"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"{PLAIN}; {READ}", "may-not-see"),
        ("insert into customers(id) values (1) returning id, email", "may-not-see"),
        ("select id, note from customers", ""),
        ("select id from customers where name = 'A'", ""),
        ("update customers set name = 'A' where email = 'a@b.c'", "may-not-search"),
    ],
)
def test_every_place_of_every_statement_counts(text: str, code: str) -> None:
    refusal = refused(text, levels("reveal", email="deny"))
    assert (refusal.code if refusal else "") == code


def test_who_it_is_about() -> None:
    named, nobody = refused(READ, Access("r", "deny")), refused(READ, Access("", "deny"))
    assert named and named.message.startswith("role r ")
    assert nobody and nobody.message.startswith("a principal without a role ")


@pytest.mark.parametrize(
    ("access", "code"), [(levels("reveal"), ""), (levels("mask"), "may-not-write"), (levels("deny"), "may-not-write")]
)
def test_copy_writes_its_columns(access: Access, code: str) -> None:
    refusal = refused("copy customers (id, email) from stdin", access)
    assert (refusal.code if refusal else "") == code
    assert refused("copy customers (id, note) from stdin", access) is None


def test_copy_needs_a_purpose_like_any_write() -> None:
    access = Access("r", "reveal", require_purpose=True)
    refusal = refused("copy customers (id, email) from stdin", access)
    assert refusal is not None and refusal.code == "purpose-required"
    assert refused("copy customers (id, email) from stdin", access, "support") is None


def test_a_cursor_shows_its_columns() -> None:
    refusal = refused(f"declare c cursor for {READ}", levels("deny"))
    assert refusal is not None and refusal.code == "may-not-see"
    assert refused(f"declare c cursor for {PLAIN}", levels("deny")) is None


def test_a_purpose_of_blanks_is_none() -> None:
    refusal = refused(READ, Access("r", "reveal", require_purpose=True), "  \t")
    assert refusal is not None and refusal.code == "purpose-required"


@pytest.mark.parametrize(
    "text",
    [
        "update customers set email = null",
        "update customers set email = default where id = 1",
        "insert into customers(id, email) values (1, null)",
        "insert into customers(id, email) values (1, default)",
        "insert into customers(id, email) select id, email from customers",
        "update customers set email = c.email from customers c",
        "insert into customers(id) values (1) on conflict (id) do update set email = excluded.email",
    ],
)
def test_a_column_that_is_written_without_a_value_is_written(text: str) -> None:
    for access in (levels("mask"), levels("deny"), Access("r", "reveal", write=False)):
        refusal = refused(text, access)
        assert refusal is not None and refusal.code in ("may-not-write", "may-not-see"), text
    assert refused(text, levels("reveal")) is None
    purposeful = refused(text, Access("r", "reveal", require_purpose=True))
    assert purposeful is not None and purposeful.code == "purpose-required"


@pytest.mark.parametrize(
    ("text", "guesses"),
    [
        ("insert into customers(id, email) values (1, 'a') on conflict do nothing", True),
        ("insert into customers(id, email) values (1, $1) on conflict (email) do update set note = 'x'", True),
        ("insert into customers(id, email) values (1, 'a') on conflict on constraint k do nothing", True),
        ("insert into customers(id, email) values (1, 'a') on conflict (id) do nothing", False),
        ("insert into customers(id) values (1) on conflict do nothing", False),
        ("insert into customers(id, email) select id, email from customers on conflict do nothing", False),
        ("insert into customers(id, email) values (1, 'a')", False),
    ],
)
def test_on_conflict_with_a_value_is_a_search(text: str, guesses: bool) -> None:
    refusal = refused(text, levels("token"))
    assert (refusal is not None) is guesses
    if refusal is not None:
        assert (refusal.code, refusal.column) == ("may-not-search", "public.customers.email")
    assert refused(text, Access("r", "token", search=("email",))) is None and refused(text, levels("reveal")) is None


def test_a_row_without_the_column_writes_none() -> None:
    assert refused("insert into customers(id, note) values (1, 'x')", levels("mask")) is None
    assert refused("delete from customers where id = 1", levels("mask")) is None


def test_a_value_is_looked_for_by_those_who_may_only() -> None:
    """Who compares with tokens gets that far; the column is named, which the vault could not."""
    email = SHOP.snapshot.protected_tables[("public", "customers")]["email"]
    search, write = Input(email, "search"), Input(email, "write")
    both = Input(email, "write", sought=True)
    permit_value(write, levels("token"))
    permit_value(both, levels("reveal"))
    permit_value(search, Access("r", "token", search=("email",)))
    for place in (search, both):
        with pytest.raises(Refusal) as caught:
            permit_value(place, levels("token"))
        assert (caught.value.code, caught.value.column) == ("may-not-search", "public.customers.email")


@pytest.mark.parametrize(
    ("text", "after", "purpose", "code"),
    [
        (READ, levels("reveal"), "", ""),
        (READ, levels("reveal", person="mask"), "", ""),
        (READ, levels("mask"), "", "plan-changed"),
        (READ, levels("deny"), "", "may-not-see"),
        (READ, Access("r", "reveal", rows=3), "", "plan-changed"),
        (READ, Access("r", "reveal", require_purpose=True), "", "purpose-required"),
        (READ, Access("r", "reveal", require_purpose=True), "x", ""),
        (SEARCH, levels("mask"), "", "may-not-search"),
        (WRITE, levels("deny"), "", "may-not-write"),
        (WRITE, levels("token"), "", ""),
        (PLAIN, levels("deny"), "", ""),
    ],
)
def test_a_portal_bound_with_other_rights(text: str, after: Access, purpose: str, code: str) -> None:
    try:
        permit_again(plan(text)[1], levels("reveal"), after, purpose)
    except Refusal as refusal:
        assert refusal.code == code
    else:
        assert code == ""
