"""INSERT, UPDATE, DELETE: which value becomes a token of which column, what RETURNING reveals, what is refused."""

import pytest

from tests.kit.plans import planned, sent, shown

UNSUPPORTED = "unsupported-statement"
EXPRESSION = "unsupported-expression"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(id, email) values (1, 'a'), (2, 'b')", "(id, email) values (1, ‹email a›), (2, ‹email b›)"),
        ("(email) values (default), (null)", "same"),
        ("default values", "same"),
        ("(id) values (1)", "same"),
        ("(email) (values ('a'))", "(email) (values (‹email a›))"),
        ("(email) values ('a') order by 1 limit 1", EXPRESSION),
        ("(email) values ('a') limit 1", "(email) values (‹email a›) limit 1"),
        ("(email) with q as (select 1) values ('a')", "(email) with q as (select 1) values (‹email a›)"),
        ("(email) select 'a' where 'b' = 'c'", "(email) select ‹email a› where 'b' = 'c'"),
        ("(email) select email from newsletter", "same"),
        ("(email, note) select 'a', 'b' from orders", "(email, note) select ‹email a›, 'b' from orders"),
        ("(email) values (lower('a'))", EXPRESSION),
        ("(email) select note from orders", EXPRESSION),
        ("(note) select email from newsletter", "unprotected-target"),
        ("(email) select * from unknown", UNSUPPORTED),
        ("(phone) select email from newsletter", "class-mismatch"),
        ("(nothing) values ('a')", "undefined-column"),
        ("(email[1]) values ('a')", EXPRESSION),
        ("(email.x) values ('a')", EXPRESSION),
        ("(note[1]) values ('a')", "same"),
    ],
)
def test_insert(text: str, expected: str) -> None:
    head = "insert into customers "
    assert sent(head + text) == (head + expected if " " in expected else expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("customers values (1, 'a')", "customers (id, email) values (1, ‹email a›)"),
        ("customers as c values (1)", "customers as c (id) values (1)"),
        ("public.newsletter values (1, 'a')", "public.newsletter (id, email) values (1, ‹email a›)"),
        ("customers select id, email from newsletter", "customers (id, email) select id, email from newsletter"),
        ("customers select * from newsletter", EXPRESSION),
        ("customers values (1,2,3,4,5,6,7,8,9)", UNSUPPORTED),
        ("customers select * from unknown", UNSUPPORTED),
        ("customers default values", "customers default values"),
        ('"Odd"."Customer Data" values (1, \'a\')', '"Odd"."Customer Data" (id, "E-Mail") values (1, ‹email a›)'),
        ("U&\"!0063ustomers\" uescape '!' values (1)", "U&\"!0063ustomers\" uescape '!' (id) values (1)"),
        ("customers as U&\"!0063\" uescape '!' values (1)", "customers as U&\"!0063\" uescape '!' (id) values (1)"),
        ("orders values (1, 2, 3, 'a')", "orders values (1, 2, 3, 'a')"),
        ("orders select id from customers", "orders select id from customers"),
        ("orders select id, id, id, note from customers", "orders select id, id, id, note from customers"),
        ("orders select email from customers", "unprotected-target"),
        ("unknown select id from customers", "unknown select id from customers"),
        ("unknown select email from customers", "unprotected-target"),
        ("orders select * from unknown u, customers c", UNSUPPORTED),
    ],
)
def test_insert_without_a_column_list(text: str, expected: str) -> None:
    """It gets one, since a column that was dropped meanwhile must not shift the values (docs/adr/0002)."""
    found = sent("insert into " + text)
    assert found == "insert into " + expected or found == expected or (found == "same" and text == expected)


@pytest.mark.parametrize(
    ("rows", "select", "expected"),
    [
        ("(1, 'a'), (2, null)", "p0, p1", "(1, ‹email a›), (2, null)"),
        ("(1, 'a')", "p0, p1::date", EXPRESSION),
        ("(1, 'a'), ($1, $2)", "p0, s.p1", "(1, ‹email a›), ($1, $2)"),
        ("(1, (select email from newsletter))", "p0, p1", "same"),
        ("(1, (select contact from leads)), (2, 'a')", "p0, p1", "(1, (select contact from leads)), (2, ‹email a›)"),
        ("(1, 'a')", "p0, lower(p1)", EXPRESSION),
        ("(1, 'a')", "p0, p1 || p1", EXPRESSION),
        ("(1, 'a')", "p0, x.p1", EXPRESSION),
        ("('a', 'a')", "p0, p0", EXPRESSION),
        ("(1, 'a')", "p0, p2", EXPRESSION),
        ("(1, 'a') order by 1", "p0, p1", "(1, ‹email a›) order by 1"),
        ("(1, 'a') order by 2", "p0, p1", EXPRESSION),
    ],
)
def test_insert_through_a_values_list(rows: str, select: str, expected: str) -> None:
    """SQLAlchemy writes its batches so; what is tokenised is what stands in the list."""
    text = "insert into customers (id, email) select {} from (values {}) s(p0, p1)"
    found = sent(text.format(select, rows))
    assert found == (text.format(select, expected) if "(" in expected else expected)


def test_a_values_list_names_its_own_columns() -> None:
    text = "insert into customers (email) select column1 from (values (%s)) s"
    assert sent(text % "'a'") == text % "‹email a›"
    twice = "insert into newsletter (email, since) select p, p from (values ('a')) s(p)"
    assert sent(twice) == "unprotected-target"


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ("(email) do nothing", "same"),
        ("do nothing", "same"),
        ("on constraint x do nothing", "same"),
        ("(id) do update set email = excluded.email, note = 'n'", "same"),
        ("(id) do update set email = 'b' where customers.email <> 'c'", "‹email b› ‹email c›"),
        ("(id) where note = 'x' do nothing", "same"),
        ("(street) do nothing", "random-token-equality"),
        ("(lower(email)) do nothing", EXPRESSION),
        ("(nothing) do nothing", "undefined-column"),
        ("(id) do update set note = excluded.email", "unprotected-target"),
        ("(id) do update set email = excluded.note", EXPRESSION),
    ],
)
def test_on_conflict(clause: str, expected: str) -> None:
    found = sent(f"insert into customers (id, email) values (1, null) on conflict {clause}")
    assert all(part in found for part in expected.split(" ‹")) if "‹" in expected else found == expected


def test_on_conflict_of_a_table_that_is_not_protected() -> None:
    text = "insert into orders (id) select id from customers on conflict (nothing) do update set note = excluded.note"
    assert sent(text) == "same"


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("email = 'a'", "email = ‹email a›"),
        ("email = default, note = 'x'", "same"),
        ("email = n.email from newsletter n", "same"),
        ("(email, note) = ('a', 'b')", "(email, note) = (‹email a›, 'b')"),
        ("(email, note) = row('a', 'b')", "(email, note) = row(‹email a›, 'b')"),
        ("(email) = (select email from newsletter)", "same"),
        ("(email) = (select null)", "same"),
        ("(email, note) = (select email, 'x' from newsletter)", "same"),
        ("(note, city) = (select note, note from orders)", "same"),
        ("(note, city) = (select email, note from newsletter, orders)", "unprotected-target"),
        ("(email, note) = (select note, note from orders)", EXPRESSION),
        ("(email, phone) = row('a')", EXPRESSION),
        ("(email, note) = (select * from unknown)", EXPRESSION),
        ("email = email || 'x'", EXPRESSION),
        ("email = case id when 1 then 'a' else email end", "email = case id when 1 then ‹email a› else email end"),
        ("email[1] = 'a'", EXPRESSION),
        ("note[length(email)] = 'a'", EXPRESSION),
        ("note[1] = 'a'", "same"),
        ("nothing = 1", "undefined-column"),
        ("note = email", "unprotected-target"),
        ("email = s.e from (values ('a')) s(e)", "email = s.e from (values (‹email a›)) s(e)"),
        ("note = 'x' where email = 'a'", "note = 'x' where email = ‹email a›"),
        ("note = 'x' where email like 'a'", "search-not-exact"),
        ("note = c.note from newsletter n join customers c using (email)", "same"),
    ],
)
def test_update(assignment: str, expected: str) -> None:
    head = "update customers set "
    assert sent(head + assignment) == (head + expected if " " in expected else expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("delete from customers where email = 'a'", "delete from customers where email = ‹email a›"),
        ("delete from customers c using newsletter n where c.email = n.email", "same"),
        ("delete from customers using orders where email = orders.note", "class-mismatch"),
        ("delete from orders using customers where note = 'x'", "same"),
    ],
)
def test_delete(text: str, expected: str) -> None:
    assert sent(text) == expected


INSERT = "insert into newsletter (id) values (1) returning "
UPDATE = "update newsletter n set id = 1 from customers c returning "
DELETE = "delete from newsletter using orders o returning "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (INSERT + "*", "- email -"),
        (INSERT + "id", ""),
        (INSERT + "old.email, new.email, email", "email email email"),
        (INSERT + "newsletter.*", "- email -"),
        (INSERT.replace("returning", "returning with (old as o, new as n)") + "o.email, n.id", "email -"),
        (INSERT.replace("returning", "returning with (old as o)") + "old.email", "undefined-table"),
        (INSERT + "lower(email)", EXPRESSION),
        (UPDATE + "*", "- email - - email person phone street birthday - -"),
        (UPDATE + "c.email, n.id", "email -"),
        (UPDATE.replace("customers c", "orders old, newsletter new") + "new.email, old.note", "email -"),
        (DELETE + "email, note", "email -"),
        ("delete from newsletter", ""),
    ],
)
def test_returning(text: str, expected: str) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("with n as (insert into customers (email) values ('a') returning email) select * from n", "email"),
        ("with n as (update customers set email = 'a' returning id, email) select id from n", ""),
        ("with q as (select 'a' as e) insert into customers (email) select e from q returning email", "email"),
        ("with q as (select email from newsletter) delete from customers where email in (select * from q)", ""),
        ("with q as (select lower(email) from customers) delete from newsletter", EXPRESSION),
    ],
)
def test_in_a_with_clause(text: str, expected: str) -> None:
    assert shown(text) == expected


def test_merge_is_refused_by_name() -> None:
    refusal = planned("merge into customers c using orders o on c.id = o.id when matched then delete").refusal
    assert refusal is not None and refusal.code == UNSUPPORTED
    assert "MERGE" in refusal.message and "(customers)" in refusal.message


def test_casts_of_what_was_tokenised_fall_away() -> None:
    """A token would not survive them; the value was read as the target's type."""
    text = "insert into customers (id, email) select p0::int, {} from (values (1, 'a')) s(p0, p1)"
    expected = text.format("p1").replace("'a'", "‹email a›")
    assert sent(text.format("p1::text")) == expected
    assert sent(text.format("cast(p1 as varchar)")) == expected.replace("p1 from", "(p1 ) from")


@pytest.mark.parametrize(
    ("text", "guessed"),
    [
        ("insert into customers (id, email) values (1, 'a') on conflict do nothing", ["public.customers.email"]),
        (
            "insert into customers (id, email) values (1, 'a') on conflict (id, email) do nothing",
            ["public.customers.email"],
        ),
        ("insert into customers (id, email) values (1, 'a') on conflict (id) do nothing", []),
        ("insert into customers (id, email) values (1, null) on conflict do nothing", []),
    ],
)
def test_which_columns_on_conflict_looks_for_values_in(text: str, guessed: list[str]) -> None:
    assert [column.label for column in planned(text).guessed] == guessed
