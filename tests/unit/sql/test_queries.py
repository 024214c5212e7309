"""SELECT, VALUES, WITH, set operations and joins: which result columns hold protected values, what is refused.

`email` and `full_name` of customers have deterministic tokens, `street` random ones; newsletter.email is of the same
class as customers.email, leads has a `name` of full_name's. The columns of `unknown` are not known.
"""

import pytest

from proxy.errors import Refusal
from proxy.policy.load import load
from proxy.sql.catalog import Snapshot, snapshot
from proxy.sql.expressions import Expressions
from proxy.sql.findings import Findings
from proxy.sql.queries import Queries
from proxy.sql.referee import Node
from proxy.sql.scopes import Scope
from proxy.sql.shape import analysis_text, shape
from proxy.sql.tables import Tables
from tests.kit.catalogs import build
from tests.kit.plans import PUBLIC, SHOP, planned, sent, shown

UNSUPPORTED = "unsupported-statement"
EXPRESSION = "unsupported-expression"
MISMATCH = "class-mismatch"
ORDER = "order-by-protected"
RANDOM = "random-token-equality"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("select email, id from customers", "email -"),
        ("select * from newsletter", "- email -"),
        ("select n.*, 1 from newsletter n", "- email - -"),
        ("select public.newsletter.email from newsletter", "email"),
        ("select x.* from newsletter n", ""),
        ("select id from customers", ""),
        ("select", ""),
        ("select from customers", ""),
        ("select (c).email from customers c", EXPRESSION),
        ("select (c).* from customers c", EXPRESSION),
        ("select (o).* from orders o, customers", ""),
        ("select c from customers c", EXPRESSION),
        ("select null, 'a' from customers", ""),
        ("select array['a'] from customers", ""),
        ("select email from customers limit 2 offset $1", "email"),
        ("select email from customers limit (select length(email) from newsletter)", EXPRESSION),
        ("select email from customers offset (select length(email) from newsletter)", EXPRESSION),
        ("select email from customers where full_name = 'a' for update of customers", "email"),
        ("select email from customers where note", "email"),
        ("select email from customers where email > 'a'", "search-not-exact"),
        ("select id from customers group by id having max(email) = 'a'", EXPRESSION),
        ("select *, email from unknown, customers", EXPRESSION),
        ("table newsletter", "- email -"),
    ],
)
def test_select(query: str, expected: str) -> None:
    assert shown(query) == expected


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ("email, count(*) from customers group by email", ""),
        ("email from customers group by 1", ""),
        ("email as x from customers group by x", ""),
        ("note as email from customers group by email, note", ""),
        ("id from customers group by rollup (email, (id, 1)), ()", ""),
        ("id from customers group by (id, email)", ""),
        ("street from customers group by street", RANDOM),
        ("street from customers group by 1", RANDOM),
        ("street as x from customers group by x", RANDOM),
        ("note as street from customers group by street", RANDOM),
        ("1 from customers group by cube (street)", RANDOM),
        ("1 from customers group by (id, street)", RANDOM),
        ("1 from customers group by lower(email)", EXPRESSION),
        ("distinct email from customers", ""),
        ("distinct street, id from customers", RANDOM),
        ("distinct on (email) id from customers", ""),
        ("distinct on (1) email from customers", ""),
        ("distinct on (street) id from customers", RANDOM),
        ("distinct on (x) street as x from customers", RANDOM),
        ("distinct on (email, street) id from customers", RANDOM),
        ("all email from customers", ""),
        ("id from customers order by id, 1 desc", ""),
        ("email from customers order by email", ORDER),
        ("email from customers order by 1", ORDER),
        ("id, email as x from customers order by id, x", ORDER),
        ("id from customers order by (select email from newsletter)", ORDER),
        ("note as email from customers order by email", ""),
        ("note as email from customers order by customers.email", ORDER),
        ("email from customers order by 0", ""),
        ("email from customers order by 2", ""),
        ("id from customers order by 'x'", ""),
        ("id from customers order by id using >", ""),
        ("id from customers order by lower(email)", EXPRESSION),
        ("rank() over w from customers window w as (partition by email order by id)", ""),
        ("rank() over w from customers window w as (partition by street)", RANDOM),
        ("rank() over w from customers window w as (order by email)", ORDER),
        ("u.*, c.id from unknown u, customers c order by 1", ""),
        ("u.*, c.email from unknown u, customers c order by 1", EXPRESSION),
        ("u.*, c.email from unknown u, customers c order by thing", EXPRESSION),
        ("u.*, c.id from unknown u, customers c order by thing", ""),
        ("email, (select * from unknown) from customers order by thing", EXPRESSION),
        ("id, (select * from unknown) from customers order by thing", "undefined-column"),
    ],
)
def test_what_is_grouped_and_sorted(clause: str, expected: str) -> None:
    found = planned(f"select {clause}").refusal
    assert ("" if found is None else found.code) == expected


@pytest.mark.parametrize(
    ("query", "pinned"),
    [
        ("select email, 'a' from customers group by 1, 'b'", (1,)),
        ("select distinct on (1) email from customers", (0,)),
        ("values ((select id from customers)) order by 1", (0,)),
    ],
)
def test_a_column_number_is_part_of_the_plan(query: str, pinned: tuple[int, ...]) -> None:
    assert planned(query).pinned == pinned


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("values ((select email from newsletter), 1)", "email -"),
        ("values ('a', (select email from newsletter))", "- email"),
        ("select v.b from (values (1, (select email from newsletter))) v(a, b)", "email"),
        ("values ((select email from newsletter)), ((select email from customers limit 1))", "email"),
        ("values ((select email from newsletter)), (null)", "email"),
        ("values ((select email from newsletter)), ('a')", EXPRESSION),
        ("values ((select email from newsletter)), ((select full_name from customers))", MISMATCH),
        ("values ((select email from newsletter)), (1, 2)", "syntax"),
        ("values ((select email from newsletter)) order by column1", ORDER),
        ("values ((select email from newsletter)), ((select email from newsletter)) order by 1", ORDER),
        ("values ((select email from newsletter), 1) order by column2, 2 limit 5", "email -"),
        ("values ((select email from newsletter), 1) order by lower(column1)", EXPRESSION),
        ("values ((select email from newsletter)) limit (select length(email) from newsletter)", EXPRESSION),
    ],
)
def test_values_as_a_query(query: str, expected: str) -> None:
    assert shown(query) == expected


def test_values_are_searched_and_written_nowhere_else() -> None:
    text = "select c.id from (values ('a', 'b')) v(a, b), customers c where c.note = v.a and c.email = 'c'"
    assert sent(text) == text.replace("'c'", "‹email c›")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("select email from customers union select email from newsletter", "email"),
        ("select email, id from customers union all select email, id from newsletter", "email -"),
        ("select null union all select email from customers", "email"),
        ("select email from customers intersect select null", "email"),
        ("select email as x from customers except all select email from newsletter order by id", "email"),
        ("select street from customers union all select street from customers", "street"),
        ("select street from customers union select street from customers", RANDOM),
        ("select street from customers except all select street from customers", RANDOM),
        ("select email from customers union all select 'a'", MISMATCH),
        ("select note from customers union all select email from customers", MISMATCH),
        ("select email from customers union all select full_name from customers", MISMATCH),
        ("select email from customers union all select * from unknown", EXPRESSION),
        ("select * from unknown union all select email from customers", EXPRESSION),
        ("select email from customers union all select email, id from newsletter", EXPRESSION),
        ("select id from customers union all select * from unknown", ""),
        ("select email as x from customers union all select email from newsletter order by x", ORDER),
        ("select email, id from customers union all select email, id from newsletter order by 1", ORDER),
        ("select email, id from customers union all select email, id from newsletter order by id limit 1", "email -"),
        ("(select email from customers order by id limit 1) union all select email from newsletter", "email"),
        ("select email from customers union all (select email from newsletter order by email)", ORDER),
    ],
)
def test_set_operations(query: str, expected: str) -> None:
    assert shown(query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("with q as (select email from customers) select * from q", "email"),
        ("with q (a, b) as (select id, email from customers) select b from q", "email"),
        ("with q (a) as (select id, email from customers) select a, email from q", "- email"),
        ("with q as (select email from customers) select x.y from q as x(y)", "email"),
        ("with q as (select email from customers) select id from newsletter", ""),
        ("with q as (select lower(email) from customers) select 1", EXPRESSION),
        ("with a as (select email from customers), b as (select email from a) select * from b", "email"),
        ("with b as (select email from a), a as (select email from customers) select * from b", ""),
        ("with recursive b as (select email from a), a as (select email from customers) select * from b", "email"),
        ("with customers as (select note as email from orders) select email from customers", ""),
        ("with customers as (select 1 as email) select email from public.customers", "email"),
        ("with q as (select email from customers) select * from (select (with q as (select 1) select * from q)) s", ""),
        ("select (with q as (select email from customers) select email from q)", "email"),
        (
            "with recursive q as (select email from customers where id in (select 1 from q)) select * from q",
            UNSUPPORTED,
        ),
    ],
)
def test_with(query: str, expected: str) -> None:
    assert shown(query) == expected


RECURSIVE = "with recursive q(e, n) as ({} union all {}) {}select * from q"


@pytest.mark.parametrize(
    ("first", "second", "marks", "expected"),
    [
        ("select email, 1 from customers", "select e, n + 1 from q where n < 3", "", "email -"),
        ("select email, 1 from customers", "select c.email, n from q join newsletter c on c.email = e", "", "email -"),
        ("select email, 1 from customers", "select note, n from q, orders", "", MISMATCH),
        ("select null, 1", "select email, n from q, newsletter", "", EXPRESSION),
        ("select email, 1 from customers", "select e, n from q where e like 'a'", "", "search-not-exact"),
        ("select email, 1 from customers", "select e, n from q limit 5", "", "email -"),
        ("select email, 1 from customers", "select e, n from q limit (select length(email) from newsletter)", "",
            EXPRESSION),
        ("select email, 1 from customers", "select e, n from q offset (select length(email) from newsletter)", "",
            EXPRESSION),
        ("select email, 1 from customers", "select e, n from q order by 1", "", ORDER),
        ("select email, 1 from customers", "(with l as (select lower(e) from q) select e, n from q)", "", EXPRESSION),
        ("select email, 1 from customers", "select e, n from q", "cycle e set c using p ", EXPRESSION),
        ("select email, 1 from customers", "select e, n from q", "search depth first by n set o ", EXPRESSION),
        ("select note, id from customers", "select e, n from q", "search depth first by e set o ", ""),
        ("select note, id from customers", "select e, n from q", "cycle e set c to 'y' default 'n' using p ", ""),
    ],
)  # fmt: skip
def test_with_recursive(first: str, second: str, marks: str, expected: str) -> None:
    text = RECURSIVE.format(first, second, "").replace(") select", f") {marks}select")
    assert shown(text) == expected


def test_the_arms_of_a_recursive_query_share_their_with() -> None:
    text = "with recursive q(e) as (with l as (select lower(email) from customers) select 1 union all select 2) "
    assert shown(text + "select * from q, newsletter") == EXPRESSION
    assert shown(text.replace("lower(email)", "email") + "select * from q, newsletter") == "- - email -"


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ("customers c(a, b)", "- email person phone street birthday - -"),
        ("newsletter n, lateral (select n.email as x) s", "- email - email"),
        ("newsletter n, lateral (values (n.email)) s(x)", "- email - email"),
        ("(select email, id from newsletter) s(x)", "email -"),
        ("(select * from newsletter)", "- email -"),
        ("newsletter tablesample system (5) repeatable (1)", "- email -"),
        ("newsletter n, lateral (select from customers tablesample system (n.email)) x", EXPRESSION),
        ("only newsletter", "- email -"),
        ("newsletter, generate_series(1, 2)", "- email - -"),
        ("newsletter, generate_series(1, 2) with ordinality g", "- email - - -"),
        ("newsletter, pg_catalog.generate_series(1, 2) with ordinality g(a, b)", "- email - - -"),
        ("newsletter, unnest(array[1])", "- email - -"),
        ("newsletter, unnest($1::int[], '{a}'::text[]) with ordinality", "- email - - - -"),
        ("newsletter, pg_catalog.unnest($1::uuid[], array['a']) with ordinality u(a, b)", "- email - - - -"),
        ("newsletter, unnest($1)", EXPRESSION),
        ("newsletter, unnest($1::leads[])", EXPRESSION),
        ("newsletter, unnest($1::int[], $2::public.leads[])", EXPRESSION),
        ("newsletter, public.unnest(array[1])", EXPRESSION),
        ("newsletter, public.generate_series(1, 2)", EXPRESSION),
        ("newsletter, rows from (generate_series(1, 2), generate_series(1, 2))", EXPRESSION),
        ("newsletter, rows from (generate_series(1, 2))", EXPRESSION),
        ("newsletter, rows from (tax(1) as (a text))", EXPRESSION),
        ("newsletter, current_date", EXPRESSION),
        ("newsletter, string_to_table(email, 'x')", EXPRESSION),
        ("newsletter n, json_to_record(n.since) as j(a varchar(5))", EXPRESSION),
        ("newsletter n, json_to_record(n.email) as j(a text)", EXPRESSION),
        ("newsletter n, find_customer(1)", "depends-on-protected"),
    ],
)
def test_from(items: str, expected: str) -> None:
    assert shown(f"select * from {items}") == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("select g from newsletter, generate_series(1, 2) g", ""),
        ("select a, email from newsletter, json_to_record('{}') j(a text)", "- email"),
        ("select b from newsletter, json_to_record('{}') j(a text)", ""),
        ("select n.email from newsletter n, json_to_record('{}') j(a text)", "email"),
        ("select n.email, x.a from newsletter n, xmltable('/' passing n.since columns a text path 'a') x", "email -"),
        ("select n.email, x.a from newsletter n, xmltable('/' passing n.email columns a text) x", EXPRESSION),
        ("select n.email, x.a from newsletter n, json_table('{}', '$' columns (a text path '$.a')) x", "email -"),
        ("select n.email, x.a from newsletter n, json_table(n.email, '$' columns (a text path '$.a')) x", EXPRESSION),
        ("select json_to_record.a, n.email from newsletter n, json_to_record('{}') as (a text)", "- email"),
        ("select xmltable.a, n.email from newsletter n, xmltable('/' passing n.since columns a text)", "- email"),
        ("select json_table.a, n.email from newsletter n, json_table('{}', '$' columns (a text))", "- email"),
    ],
)  # fmt: skip
def test_functions_in_from(query: str, expected: str) -> None:
    assert shown(query) == expected


@pytest.mark.parametrize(
    ("join", "expected"),
    [
        ("newsletter a join leads b on a.email = b.contact", "- email - - email person -"),
        ("newsletter a join leads b on a.email = b.name", MISMATCH),
        ("newsletter a join leads b on a.email like b.contact", "search-not-exact"),
        ("newsletter a join newsletter b using (id)", "- email - email -"),
        ("newsletter a join customers b using (email, id)", "email - - person phone street birthday - -"),
        ("newsletter a left join (select email from customers) b using (email)", "email - -"),
        ("newsletter a join (select note as email from orders) b using (email)", MISMATCH),
        ("newsletter a join (select null as email) b using (email)", "email - -"),
        ("(select null as email) b right join newsletter a using (email)", "email - -"),
        ("newsletter a natural join (select email, 1 as x from customers) b", "email - - -"),
        ("(select street as id from customers) a natural join (select street as id from customers) b", RANDOM),
        ("newsletter natural join orders", "- email - - - -"),
        ("newsletter natural join unknown", EXPRESSION),
        ("orders natural join unknown, newsletter", EXPRESSION),
        ("newsletter a join unknown b using (email)", EXPRESSION),
        ("unknown a join newsletter b using (email)", EXPRESSION),
        ("newsletter a join orders b using (email)", "undefined-column"),
        ("orders b join newsletter a using (email)", "undefined-column"),
        ("newsletter a join orders b using (nothing)", "- - email - - - - -"),
        ("(newsletter a join orders b using (id)) j", "- email - - - -"),
        ("(newsletter a join orders b using (id)) j(x, y)", "- email - - - -"),
        ("newsletter a cross join newsletter b", "- email - - email -"),
        ("newsletter a join newsletter b using (id) join newsletter c using (id)", "- email - email - email -"),
        ("newsletter a, newsletter b join lateral (select a.email) c on true", "- email - - email - email"),
    ],
)
def test_joins(join: str, expected: str) -> None:
    assert shown(f"select * from {join}") == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("select j.email from (newsletter a join orders b using (id)) j", "email"),
        ("select a.email from (newsletter a join orders b using (id)) j", "undefined-table"),
        ("select j.y from (newsletter a join orders b using (id)) j(x, y)", "email"),
        ("select a.email, b.email from newsletter a join newsletter b using (email) as u", "email email"),
        ("select u.email, email from newsletter a join newsletter b using (email) as u", "email email"),
        ("select u.since from newsletter a join newsletter b using (email) as u", "undefined-column"),
    ],
)
def test_names_of_joined_tables(query: str, expected: str) -> None:
    assert shown(query) == expected


def test_a_using_that_is_not_in_both_tables_is_told_as_the_server_does() -> None:
    for join, which in (("newsletter a join orders b", "right"), ("orders b join newsletter a", "left")):
        refusal = planned(f"select * from {join} using (email)").refusal
        assert refusal is not None
        assert refusal.message == f'column "email" specified in USING clause does not exist in {which} table'


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("select id into ids from customers", ""),
        ("select email into mails from customers", "unprotected-target"),
        ("select id into newsletter from customers", UNSUPPORTED),
        ("select id into temp newsletter from customers", UNSUPPORTED),
        ("select id into other.newsletter from customers", ""),
    ],
)
def test_select_into(query: str, expected: str) -> None:
    assert shown(query) == expected


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("(1, 'a', 'n'), (2, null, 'm')", "(1, ‹email a›, 'n'), (2, null, 'm')"),
        ("(1, (select email from newsletter), 'n')", "same"),
        ("(1, note, 'n')", EXPRESSION),
    ],
)
def test_a_values_list_that_is_stored(rows: str, expected: str) -> None:
    """INSERT … SELECT from it: its values become tokens where they stand."""
    text = "insert into customers (id, email, note) select a, b, c from (values {}) s(a, b, c)"
    found = sent(text.format(rows))
    assert found == (text.format(expected) if "(" in expected else expected)


def test_an_unknown_kind_of_from_item_is_refused() -> None:
    findings, tables = Findings(b"", shape(b"", True), analysis_text(b"", shape(b"", True)), True), Tables(SHOP, PUBLIC)
    queries = Queries(Expressions(findings, tables), tables, findings)
    with pytest.raises(Refusal) as caught:
        queries.from_clause([Node("RangeGraph", {})], Scope())
    assert (caught.value.code, "RangeGraph" in caught.value.message) == (UNSUPPORTED, True)


# ---- columns in which values lie that are no tokens


@pytest.fixture(scope="module")
def mixed() -> Snapshot:
    policy = "{version: 1, classes: {e: {kind: email}}, protect: {public.a: {m: e}, public.b: {m: e}}}"
    catalog = build({"relations": {"public.a": ["m text"], "public.b": ["m text"], "public.c": ["x text"]}})
    return snapshot(catalog, load([("p.yaml", policy)]), 1, frozenset(("public.b.m",)))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("select m from a union all select m from b", "e"),
        ("select id from (select m as id from a union all select m from b) s where id = 'x'", "plaintext-rows"),
        ("select 1 from (values ((select m from a)), ((select m from b))) s(x) where x = 'x'", "plaintext-rows"),
        ("with recursive q as (select m from a union all select b.m from b, q) select * from q", "plaintext-rows"),
        ("with recursive q as (select m from b union all select a.m from a, q) select * from q", "e"),
        ("with recursive q as (select m from a union all select a.m from a, q where q.m = 'x') select m from q", "e"),
    ],
)
def test_what_comes_of_a_column_with_plaintext_rows_has_them_too(mixed: Snapshot, query: str, expected: str) -> None:
    assert shown(query, within=mixed) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("select v.e from newsletter n join (values ('a')) v(e) on v.e = n.email", EXPRESSION),
        ("select email from newsletter n join (values ('a')) v(email) using (email)", EXPRESSION),
        ("select email from (values ('a')) v(email) join newsletter n using (email)", EXPRESSION),
        ("select n.id from (values ('a')) v(email) join newsletter n using (email)", ""),
        ("select v.e, email from newsletter n, (values ('a')) v(e)", "- email"),
    ],
)
def test_values_of_the_statement_are_no_results_once_they_are_tokens(query: str, expected: str) -> None:
    """What is only looked for is not in the vault."""
    assert shown(query) == expected


@pytest.mark.parametrize(
    "query",
    [
        "with q0 as (select * from customers){} select 1 from q20".format(
            "".join([f", q{i + 1} as (select * from q{i} a, q{i} b)" for i in range(20)])
        ),
        "with q0 as (select * from customers){} select 1 from q20".format(
            "".join([f", q{i + 1} as (select * from q{i} a cross join q{i} b)" for i in range(20)])
        ),
        "with q0 as (select {} from customers) select 1 from q0{}".format(
            ", ".join(["email"] * 1600), "".join([f" join q0 a{i} on true" for i in range(20)])
        ),
    ],
)
def test_more_columns_than_the_server_can_count(query: str) -> None:
    """A short text of a million columns and more."""
    assert shown(query) == "statement-too-large"
