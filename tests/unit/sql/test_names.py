"""Which column a name means, level by level. What a server makes of these statements: PostgreSQL 15 and 18 were asked.

Protected are email and street (random tokens) of customers and email of newsletter; customers_archive has an email of
its own that is not. `nowhere` is a table that the catalog does not have, so its columns are not known.
"""

import pytest

from proxy.errors import Refusal
from proxy.sql.analyze import analyse
from proxy.sql.names import column_of
from proxy.sql.plan import Plan
from proxy.sql.relations import ProtectedColumn
from proxy.sql.scopes import OutColumn, Range
from proxy.sql.terms import PLAIN, Held
from proxy.wire.types import parse_type
from tests.kit.catalogs import world

SHOP = world("shop").snapshot
TEXT = parse_type("text")
EMAIL = ProtectedColumn("public", "c", "email", "email", True, TEXT, TEXT, 5, 2)
HIDDEN = "unsupported-expression"


def plan(text: str) -> Plan:
    return analyse(text.encode(), True, ("public",), SHOP)


def shown(text: str) -> str:
    """What each result column holds: 'customers.email -', '' if nothing protected is in any; or the refusal."""
    found = plan(text)
    if found.refusal is not None:
        return found.refusal.code
    (statement,) = found.statements
    return " ".join(
        "-" if each is None else f"{each.column.table}.{each.column.name}" for each in statement.outputs or ()
    )


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("select email, id from customers", "customers.email -"),
        ("select customers.email from customers", "customers.email"),
        ("select public.customers.email from public.customers", "customers.email"),
        ("select shop.public.customers.email from customers", "customers.email"),
        ("select c.email from customers c", "customers.email"),
        ("select c.email from customers_archive c, customers", ""),
        ("select customers.email from customers_archive customers, newsletter", ""),
        ('select EMAIL, "email" from customers', "customers.email customers.email"),
        ("select n.email from customers c join newsletter n on c.id = n.id", "newsletter.email"),
        ("select ctid, c.xmax from customers c", ""),
        ("select c.mail from customers c(id, mail)", "customers.email"),
        ("select c.id from customers c(email, id)", "customers.email"),
    ],
)
def test_on_one_level(text: str, columns: str) -> None:
    assert shown(text) == columns


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("select (select email) from customers", "customers.email"),
        ("select (select email from orders limit 1) from customers", "customers.email"),
        ("select (select email from customers_archive limit 1) from customers", ""),
        ("select (select customers.email from customers_archive limit 1) from customers", "customers.email"),
        ("select (select c.email from customers_archive c limit 1) from customers c", ""),
        ("select (select x.email from (select c.id) x) from customers c", ""),
        ("select (select email from nowhere limit 1) from customers", "ambiguous-relation"),
        ("select (select note from nowhere limit 1) from customers", ""),
        ("select (select c.email from nowhere limit 1) from customers c", "customers.email"),
    ],
)
def test_the_innermost_level_counts(text: str, columns: str) -> None:
    assert shown(text) == columns


@pytest.mark.parametrize(
    ("item", "columns"),
    [
        ("(select email as x) s", "customers.email"),
        ("(values (email)) s(x)", "customers.email"),
        ("(select email as x from (select 1) z) s", "customers.email"),
        ("lateral (select email as x) s", ""),
        ("lateral (select customers.email as x) s", "customers.email"),
        ("unnest(array[email]) s(x)", ""),
        ("unnest(array[customers.email]) s(x)", HIDDEN),
    ],
)
@pytest.mark.parametrize("join", [", {}", " join {} on true", " cross join (orders cross join {})"])
def test_only_lateral_items_and_functions_see_the_ones_before_them(item: str, columns: str, join: str) -> None:
    """Others see the query around: its protected email, not customers_archive's."""
    assert shown(f"select (select s.x from customers_archive p{join.format(item)} limit 1) from customers") == columns


def test_a_sample_does_not_see_the_items_before_it() -> None:
    text = "select (select count(*) from customers_archive p, orders tablesample system ({})) from customers"
    assert shown(text.format("length(email)")) == HIDDEN
    assert shown(text.format("length(note)")) == ""


@pytest.mark.parametrize(
    ("key", "columns"),
    [("street", "random-token-equality"), ("k", "random-token-equality"), ("note", "-"), ("o.k", "-")],
)
def test_group_by_prefers_a_result_column_to_the_query_around(key: str, columns: str) -> None:
    """`GROUP BY k`, where the query around has a k too."""
    text = f"select (select count(*) from (select street as k from customers group by {key}) s) from (select 1 as k) o"
    assert shown(text) == columns.strip("-")


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("select street as note from customers group by note", "customers.street"),
        ("select note as street from customers group by street", "random-token-equality"),
    ],
)
def test_group_by_prefers_a_tables_column_to_a_result_column(text: str, columns: str) -> None:
    assert shown(text) == columns


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("select c from customers c", HIDDEN),
        ("select upper(customers::text) from customers", HIDDEN),
        ("select row(c.*) from customers c", HIDDEN),
        ("select count(distinct c.*) from customers c", HIDDEN),
        ("select o, row(o.*), count(x.*) from orders o, customers c group by o", ""),
        ("select c from (select email as c from customers) c", "customers.email"),
    ],
)
def test_a_ranges_name_is_its_row_unless_a_column_has_it(text: str, code: str) -> None:
    assert shown(text) == code


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("select * from newsletter", "- newsletter.email -"),
        ("select n.*, o.* from orders o, newsletter n", "- newsletter.email - - - - -"),
        ("select * from newsletter n join orders o on n.id = o.id", "- newsletter.email - - - - -"),
        ("select n.* from newsletter n join orders o using (id)", "- newsletter.email -"),
        ("select * from newsletter n join orders o using (id)", "- newsletter.email - - - -"),
        ("select x.*, n.email from nowhere x, newsletter n", HIDDEN),
        ("select x.* from newsletter n", ""),
        ("select c.*, n.id from nowhere c, newsletter n", ""),
    ],
)
def test_stars(text: str, columns: str) -> None:
    assert shown(text) == columns


@pytest.mark.parametrize(
    "name",
    ["s.email", "email", "s.row_to_json", "s.ctid"],
)
@pytest.mark.parametrize(
    "source",
    [
        "(select (select * from (select email from customers limit 1) x)) s",
        "(select (select x.* from (select email from customers limit 1) x), 1 as id) s",
    ],
)
def test_a_protected_column_whose_name_is_not_known(source: str, name: str) -> None:
    """A subquery of a star is called after its column, so s.email is it; here its name is not followed."""
    assert shown(f"select {name} from {source}") == HIDDEN


def test_a_column_beside_a_protected_one_whose_name_is_not_known() -> None:
    source = "(select (select * from (select email from customers limit 1) x), 1 as id) s"
    assert shown(f"select s.id, id from {source}") == ""
    assert shown(f"select * from {source}") == "customers.email -"
    assert shown(f"select o.id from {source} join orders o using (id)") == ""
    assert shown(f"select 1 from {source} join newsletter n using (email)") == HIDDEN


@pytest.mark.parametrize("name", ["row_to_json", "concat", "count"])
def test_a_function_of_the_row_in_the_place_of_a_column(name: str) -> None:
    """s.row_to_json is row_to_json(s) if s has no such column: JSON with tokens in it."""
    opaque = "(select c.email, f.* from customers c, jsonb_each('{}') f) s"
    assert shown(f"select s.{name} from {opaque}") == HIDDEN
    assert shown(f"select s.email from {opaque}") == "customers.email"
    assert shown(f"select s.{name} from (select c.email from customers c) s") == "undefined-column"
    assert shown(f"select c.{name} from customers c") == "undefined-column"
    assert shown(f"select f.{name} from customers c, jsonb_each('{{}}') f") == ""


@pytest.mark.parametrize(
    ("item", "name"),
    [
        ("jsonb_each('{}')", "jsonb_each.key"),
        ("pg_catalog.jsonb_each('{}')", "jsonb_each.key"),
        ("generate_series(1, 3)", "generate_series.generate_series"),
        ("rows from (jsonb_each('{}'), upper('x'))", "jsonb_each.key"),
        ("json_to_record('{}') as (a int)", "json_to_record.a"),
        ("current_date", "current_date"),
        ("xmltable('/a' passing '<a/>' columns b text)", "xmltable.b"),
        ("json_table('{}', '$' columns (b text))", "json_table.b"),
    ],
)
def test_what_a_function_in_from_is_called(item: str, name: str) -> None:
    assert shown(f"select c.email, {name} from customers c, {item}") == "customers.email -"


@pytest.mark.parametrize(
    ("text", "code", "message", "hint"),
    [
        ("select mail from customers", "undefined-column", 'column "mail" does not exist', ""),
        ("select c.mail from customers c", "undefined-column", "column c.mail does not exist", ""),
        ("select x.id from customers", "undefined-table", 'missing FROM-clause entry for table "x"', ""),
        (
            "select customers.id from customers c",
            "undefined-table",
            'invalid reference to FROM-clause entry for table "customers"',
            'Perhaps you meant to reference the table alias "c".',
        ),
        (
            "select sales.customers.id from customers",
            "undefined-table",
            'invalid reference to FROM-clause entry for table "customers"',
            'Perhaps you meant to reference the table alias "customers".',
        ),
        ("select (select mail) from customers", "undefined-column", 'column "mail" does not exist', ""),
    ],
)
def test_what_is_not_there_is_refused_in_the_servers_words(text: str, code: str, message: str, hint: str) -> None:
    found = plan(text).refusal
    assert found is not None
    assert (found.code, found.message, found.hint) == (code, message, hint)
    assert found.position > 0


@pytest.mark.parametrize(
    "text",
    [
        "select mail from customers, nowhere",
        "select nowhere.mail from customers, nowhere",
        "select s.mail from (select c.id from customers c) s",
        "select mail from (select c.id from customers c) s",
        "select x.mail from (select c.id from customers c) s",
        "select x.* from (select c.id from customers c) s",
    ],
)
def test_what_may_be_there_is_the_servers_to_judge(text: str) -> None:
    assert shown(text) == ""


def test_a_name_that_both_sides_of_using_have() -> None:
    known = Range("a", (OutColumn("id", PLAIN), OutColumn("email", Held(EMAIL))))
    twice = Range("b", (OutColumn("email", PLAIN),))
    assert column_of("email", (twice, known)) == column_of("email", (known, twice)) == Held(EMAIL)
    assert column_of("email", (twice, known.unlisted())) == PLAIN
    assert column_of("other", (known, twice)) is None


def test_a_name_that_a_protected_column_may_have() -> None:
    hidden = Range("a", (OutColumn(None, Held(EMAIL)), OutColumn("id", PLAIN)))
    assert column_of("id", (hidden,)) == PLAIN
    assert column_of("email", (hidden.unlisted(),)) is None
    with pytest.raises(Refusal) as caught:
        column_of("email", (hidden,))
    assert caught.value.column == "public.c.email"
