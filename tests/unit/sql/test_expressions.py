"""Expressions beside protected columns: what is answered, what each literal and parameter is for, what is refused.

Of customers `email` and `full_name` are protected, with deterministic tokens, `street` with random ones; `note` and
`id` are not. That the server takes what is answered: tests/integration.
"""

import pytest

from proxy.errors import Refusal
from proxy.policy.load import load
from proxy.sql.analyze import analyse
from proxy.sql.catalog import snapshot
from proxy.sql.expressions import DYNAMIC, Expressions
from proxy.sql.findings import Findings
from proxy.sql.plan import Plan, render
from proxy.sql.referee import Node, parse
from proxy.sql.relations import ProtectedColumn
from proxy.sql.scopes import Scope
from proxy.sql.shape import analysis_text, shape
from proxy.sql.tables import Tables
from tests.kit.catalogs import build, world
from tests.kit.plans import shown

SHOP = world("shop").snapshot
PUBLIC = ("public",)
NUMBER = "version: 1\nclasses: {n: {kind: text}}\nprotect: {public.counted: {number: {class: n, type: integer}}}"
COUNTED = snapshot(build({"relations": {"public.counted": ["id int4", "number text"]}}), load([("p.yaml", NUMBER)]), 1)


def plan(text: str) -> Plan:
    return analyse(text.encode(), True, PUBLIC, SHOP)


def asked(condition: str) -> str:
    """What is looked for in `WHERE …`: 'email 0 $1' is literal 0 and parameter 1 as values of email; or the refusal."""
    found = plan(f"select id from customers c where {condition}")
    if found.refusal is not None:
        return found.refusal.code
    return " ".join(
        f"{value.column.name} {value.literal if value.param is None else f'${value.param}'}" for value in found.inputs
    )


def answered(expression: str) -> str:
    """'ok' for `SELECT … FROM customers c`, or the refusal's code and construct."""
    found = plan(f"select {expression} from customers c").refusal
    if found is None:
        return "ok"
    return f"{found.code}: {found.message.partition('protected: ')[2].partition(' can')[0]}".partition(" its tokens")[
        0
    ].removesuffix(": ")


@pytest.mark.parametrize(
    ("condition", "inputs"),
    [
        ("email = 'a'", "email 0"),
        ("'a' <> c.email", "email 0"),
        ("$1 = email", "email $1"),
        ("email operator(pg_catalog.=) 'a'", "email 0"),
        ("email is distinct from $2", "email $2"),
        ("email is not distinct from full_name", "class-mismatch"),
        ("email in ('a', null, $1)", "email 0 email $1"),
        ("email not in ('a')", "email 0"),
        ("'a' in (email)", "email 0"),
        ("'a' in (email, note)", "unsupported-expression"),
        ("note in ('a', $1)", ""),
        ("email in (email, 'a')", "email 0"),
        ("(id, email) in ((1, 'a'), (2, 'b'))", "email 1 email 3"),
        ("email = any ($1)", "email $1"),
        ("email <> all (array['a', $1])", "email 0 email $1"),
        ("note = any (array['a'])", ""),
        ("(id, email) = (1, 'a')", "email 1"),
        ("row(email, 1) is not null", ""),
        ("email is null", ""),
        ("('a', $1) is null", ""),
        ("(email = 'a') is true and not (email <> 'b' or note = 'c')", "email 0 email 1"),
        ("email::text = 'a'", "email 0"),
        ("email::varchar = 'a'::varchar(3)::text", "email 0"),
        ("(select email from newsletter) = 'a'", "email 0"),
        ("case when email = 'a' then note else 'b' end = 'c'", "email 0"),
    ],
)
def test_equality_gives_values_their_column(condition: str, inputs: str) -> None:
    assert asked(condition) == inputs


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ("email < 'a'", "search-not-exact"),
        ("'a' ~~* email", "search-not-exact"),
        ("email like 'a'", "search-not-exact"),
        ("email not ilike 'a'", "search-not-exact"),
        ("email similar to 'a'", "search-not-exact"),
        ("email between 'a' and 'b'", "search-not-exact"),
        ("note between 'a' and email", "search-not-exact"),
        ("email like any (array['a'])", "search-not-exact"),
        ("email || 'a' = 'b'", "unsupported-expression"),
        ("email operator(public.=) 'a'", "unsupported-expression"),
        ("operator(pg_catalog.=) email", "unsupported-expression"),
        ("nullif(note, email) is null", "unsupported-expression"),
        ("nullif(street, 'a') is null", "random-token-equality"),
        ("c is null", "unsupported-expression"),
        ("row(c) is null", "unsupported-expression"),
        ("street = 'a'", "random-token-equality"),
        ("email::varchar(3) = 'a'", "unsupported-expression"),
        ("email::bytea = 'a'", "unsupported-expression"),
        ("born::text = 'a'", "unsupported-expression"),
        ("email collate \"C\" = 'a'", "unsupported-expression"),
    ],
)
def test_what_tokens_do_not_keep(condition: str, code: str) -> None:
    assert asked(condition) == code


@pytest.mark.parametrize(
    ("condition", "inputs"),
    [
        ("exists (select email from newsletter)", ""),
        ("email in (select email from newsletter)", ""),
        ("email not in (select email from newsletter where email = 'a')", "email 0"),
        ("email = all (select email from newsletter)", ""),
        ("'a' in (select email from newsletter)", "email 0"),
        ("'a' = any (select note from orders)", ""),
        ("'a' < all (select note from orders)", ""),
        ("email in (select note from orders)", "class-mismatch"),
        ("email < any (select note from orders)", "unsupported-expression"),
        ("note < any (select email from newsletter)", "search-not-exact"),
        ("email in (select f.* from jsonb_each('{}') f)", "unsupported-expression"),
        ("note in (select n.email, f.* from newsletter n, jsonb_each('{}') f)", "unsupported-expression"),
        ("(select n.email, f.* from newsletter n, jsonb_each('{}') f) is null", "unsupported-expression"),
        ("(select id, email from newsletter) = (1, 'a')", "email 1"),
        ("(select id, note from orders) = (1, 'a')", ""),
    ],
)
def test_subqueries(condition: str, inputs: str) -> None:
    assert asked(condition) == inputs


@pytest.mark.parametrize(
    "expression",
    [
        "null, true, 1, 'a', b'1', x'1f', current_date, interval '1' day",
        "'1'::numeric(5, 2)::int, null::text, note::varchar(3), array['a']::text[], row(1, $1)::customers",
        "-id, @ id, note like $1, nullif(note, 'a'), note collate \"C\"",
        "(array[1, 2])[1:$1], (note::jsonb)['a'], (o).id from orders o,",
        "count(email), count(*), count(distinct email), pg_catalog.count(email)",
        "f(a => note), substring(note from 1 for 2), upper($1)",
        "sum(id) filter (where email = 'a') over (partition by email order by id rows 1 preceding)",
        "string_agg(note, ',' order by id), percentile_disc(0.5) within group (order by id)",
        "coalesce(note, 'a'), greatest(id, 1), case note when 'a' then 1 end, (note = 'a') is not unknown",
        "xmlelement(name e, xmlattributes(note as a), 'x'), xmlserialize(content (note::xml) as varchar(9))",
        "json_object('a': note returning varchar(9)), json_array(note, 1 absent on null), json_array(select note)",
        "json_arrayagg(note order by id), json_arrayagg(id) over (partition by id order by note)",
        "json_query(note, '$.a' passing id as x default 'z' on error), json_scalar(note), note is json object",
        "set_config('work_mem', '1MB', false)",
        "query_to_xml('select 1', true, false, '')",
        "ts_rewrite(note::tsquery, 'a'::tsquery, 'b'::tsquery)",
        "array(select note from orders where note = $1)",
        "merge_action()",
    ],
)
def test_beside_a_protected_table_nearly_all_is_plain(expression: str) -> None:
    found = plan(f"select {expression if 'from' in expression[-15:] else expression + ' from'} customers c")
    assert found.refusal is None
    assert found.statements[0].outputs is None


@pytest.mark.parametrize(
    ("expression", "refusal"),
    [
        ("coalesce(email, 'a')", "unsupported-expression: COALESCE"),
        (
            "case email when note then 1 end",
            "class-mismatch: CASE compares it with something that is not of class email",
        ),
        ("case when email then 1 end", "unsupported-expression: CASE"),
        ("case when true then email else 'a' end", "unsupported-expression: CASE"),
        ("least(email)", "unsupported-expression: GREATEST or LEAST"),
        ("email is true", "unsupported-expression: IS TRUE or its like"),
        ("email and true", "unsupported-expression: AND, OR or NOT"),
        ("array(select email from newsletter)", "unsupported-expression: ARRAY(subquery)"),
        ("array[email]::text[]", "unsupported-expression: a whole row or an array of it as a column"),
        ("(email)[1]", "unsupported-expression: a field or an element of it"),
        ("(c).note", "unsupported-expression: a field or an element of it"),
        ("(array[1])[email]", "unsupported-expression: an array subscript"),
        ("row(email)::customers", "unsupported-expression: a cast"),
        ("upper(email)", "unsupported-expression: function upper()"),
        ("f(a => email)", "unsupported-expression: a function"),
        ("note(c)", "unsupported-expression: function note()"),
        ("count(distinct c)", "unsupported-expression: function count()"),
        ("public.count(email)", "unsupported-expression: function count()"),
        ("count(distinct street)", "random-token-equality"),
        ("sum(id) over (partition by street)", "random-token-equality"),
        ("sum(id) over (rows between email preceding and current row)", "unsupported-expression: a window frame"),
        ("sum(id) over (order by email)", "order-by-protected: ORDER BY in a window would sort"),
        ("array_agg(id order by email)", "order-by-protected: ORDER BY in array_agg() would sort"),
        ("json_arrayagg(id order by email)", "order-by-protected: ORDER BY would sort"),
        ("json_array(select email from newsletter)", "unsupported-expression: a JSON function"),
        ("xmlforest(email as a)", "unsupported-expression: an XML function"),
    ],
)  # fmt: skip
def test_a_protected_value_where_it_would_be_computed_with(expression: str, refusal: str) -> None:
    assert answered(expression) == refusal


@pytest.mark.parametrize(
    ("source", "refusal"),
    [
        ("jsonb_to_record(c.note::jsonb) as t(a varchar(3), b text)", ""),
        ("rows from (f(c.note), g($1)) as t", ""),
        ("xmltable('/a' passing (c.note::xml) columns x text path 'b' default 'z', n for ordinality) t", ""),
        ("xmltable('/a' passing '<a/>' columns x text default c.email) t", "XMLTABLE"),
        ("json_table(c.note, '$' columns (n int path '$.a' default 5 on empty, nested '$.b' columns (m text))) t", ""),
        ("json_table(c.note, '$[*]' columns (n int default c.email::int on empty)) t", "a cast to another type"),
        ("json_table(c.note, '$[*]' columns (n text default c.email on empty)) t", "JSON_TABLE"),
    ],
)  # fmt: skip
def test_functions_in_from(source: str, refusal: str) -> None:
    found = plan(f"select c.email, t.* from customers c, {source}").refusal
    # with t.* its columns are not known, which is refused too, after all else
    assert found is not None
    assert (refusal or "`*` over a table whose columns are not known") in found.message


def copied(targets: str) -> str:
    """What of `INSERT INTO customers (email, born) SELECT targets FROM (VALUES …) s(b, c)` is sent, ‹› in the place of
    each value that becomes a token; or the refusal."""
    text = f"insert into customers (email, born) select {targets} from (values ('a', '2000-01-02')) s(b, c)".encode()
    found = analyse(text, True, PUBLIC, SHOP)
    if found.refusal is not None:
        return f"{found.refusal.code} {found.refusal.column}"
    sent = render(found, text, shape(text, True), ["‹›".encode()] * len(found.inputs)).text.decode()
    assert sent.endswith(" from (values (‹›, ‹›)) s(b, c)")
    return sent.partition("select ")[2].partition(" from")[0]


@pytest.mark.parametrize(
    ("targets", "sent"),
    [
        ("b, s.c", "b, s.c"),
        ("b::text, c::date", "b, c"),
        ("cast(s.b as varchar), cast(c as date)", "(s.b ), (c )"),
        ("b::varchar(3), c", "b, c"),
        ("b::uuid, c", "unsupported-expression public.customers.email"),
        ("b::text::text, c", "b, c"),
        ("b, c::timestamp", "b, c"),
        ("b, c::int", "unsupported-expression public.customers.born"),
    ],
)
def test_casts_on_the_way_from_a_values_list(targets: str, sent: str) -> None:
    """The value in the list is read as the column's type and becomes a token there: a cast would meet the token."""
    assert copied(targets) == sent


def test_default_and_null_stay() -> None:
    found = plan("insert into customers (email, note) values (default, default), (null, null), ('a', 'b')")
    assert [(value.column.name, value.literal) for value in found.inputs] == [("email", 0)]


def test_grouping_asks_for_equality() -> None:
    assert plan("select grouping(email, note) from customers group by email, note").refusal is None
    refused = plan("select grouping(street) from customers group by note").refusal
    assert refused is not None and refused.code == "random-token-equality"


def test_every_literal_beside_a_protected_column_is_placed_or_harmless() -> None:
    found = plan("select 'a'::varchar(3), array['b', $1]::varchar(4)[] from customers where email = 'c' and note = $1")
    assert found.refusal is None
    assert [(value.literal, value.use) for value in found.inputs] == [(4, "search")]


@pytest.mark.parametrize(
    ("call", "effects"),
    [
        ("set_config('search_path', 'sales', true)", [("set", "search_path", "sales", True)]),
        ("pg_catalog.set_config('search_path', 'sales', false)", [("set", "search_path", "sales", False)]),
        ("set_config('search_path', note, false)", [("unknown-setting", None, None, False)]),
        ("set_config('search_path', 'sales', id = 1)", [("unknown-setting", None, None, False)]),
        ("set_config(note, 'sales', false)", [("unknown-setting", None, None, False)]),
        ("set_config('search_path')", [("unknown-setting", None, None, False)]),
        ("set_config()", [("unknown-setting", None, None, False)]),
        ("sales.set_config('search_path', 'sales', false)", []),
    ],
)
def test_set_config_changes_what_later_names_mean(call: str, effects: list[tuple[object, ...]]) -> None:
    """Known only if it is sure to be called, once: not with FROM."""
    calls = Expressions(*_nothing(f"select {call}"))
    calls.term(_first(f"select {call}"), Scope())
    known = [name is not None and value is not None for name, value, _ in calls.settings]
    assert known == [value is not None for _, _, value, _ in effects]
    found = plan(f"select {call}" + (" from orders" if "note" in call or "id" in call else ""))
    assert [(e.kind, e.name, e.value, e.local) for e in found.statements[0].effects] == effects


@pytest.mark.parametrize("name", ["find_customer(1)", "public.find_customer(1)", "shop.public.find_customer(1)"])
def test_a_function_that_reads_a_protected_table(name: str) -> None:
    assert answered(name) == "depends-on-protected"
    assert plan(f"select {name}").refusal is not None


def test_a_function_of_that_name_in_another_schema() -> None:
    assert answered("sales.find_customer(1)") == "ok"


@pytest.mark.parametrize(
    ("call", "refused"),
    [
        ("query_to_xml('select 1', true, true, '')", False),
        ("query_to_xml('select * from Customers', true, true, '')", True),
        ("query_to_xml($1, true, true, '')", True),
        ("query_to_xml('select ' || 'x', true, true, '')", True),
        ("query_to_xml('select 1'::text, true, true, '')", True),
        ("table_to_xml('customers', true, true, '')", True),
        ("ts_stat('select to_tsvector(email) from customers')", True),
        ("ts_rewrite('a'::tsquery, 'select t, s from aliases')", False),
        ("ts_rewrite('a'::tsquery, 'select email::tsquery, s from customers')", True),
        ("ts_rewrite('a'::tsquery, 'select t, s from ' || 'x')", True),
        ("ts_rewrite(note::tsquery, $1, 'b'::tsquery)", False),
        ("crosstab('select id, note, email from customers')", True),
        ("connectby('customers', 'id', 'note', '1', 0)", True),
        ("xpath_table('id', 'email', 'customers', '/a', 'true')", True),
        ("dblink('', 'select email from customers')", True),
        ("dblink_build_sql_insert('customers', '1', 1, '{1}', '{1}')", True),
    ],
)
@pytest.mark.parametrize("source", [" from orders", " from orders, customers", ""], ids=["apart", "beside", "alone"])
def test_functions_that_run_a_text(call: str, refused: bool, source: str) -> None:
    found = plan(f"select {call.replace('note', 'orders.note' if source else 'null')}{source}").refusal
    assert (found is not None) == refused
    if found is not None:
        assert found.code == "unsupported-expression" and call.partition("(")[0] in found.message


def test_every_call_of_a_function_that_runs_text_passes_the_touch_test() -> None:
    for name in DYNAMIC:
        assert SHOP.touches(f"select {name}('select email from cust' || 'omers')".encode()), name


def _first(text: str) -> Node:
    """The first target of a SELECT."""
    (statement,) = parse(analysis_text(text.encode(), shape(text.encode(), True)).text)
    value = statement.node.nodes("targetList")[0].node("val")
    assert value is not None
    return value


def _nothing(text: str) -> tuple[Findings, Tables]:
    cut = shape(text.encode(), True)
    return Findings(text.encode(), cut, analysis_text(text.encode(), cut), True), Tables(SHOP, PUBLIC)


def test_a_subquery_where_nobody_reads_queries() -> None:
    """DEFAULT (SELECT …), CHECK (… IN (SELECT …)): the server refuses them too."""
    expressions = Expressions(*_nothing("select (select 1)"))
    with pytest.raises(Refusal) as caught:
        expressions.term(_first("select (select 1)"), Scope())
    assert caught.value.code == "unsupported-statement"


def test_a_kind_of_expression_that_is_not_known_is_refused() -> None:
    expressions = Expressions(*_nothing("select 1"))
    with pytest.raises(Refusal) as caught:
        expressions.term(Node("FutureExpr", {}), Scope())
    assert caught.value.message == "FutureExpr is not supported in a statement that touches a protected table"


@pytest.mark.parametrize(
    "call",
    [
        "schema_to_xml('public', true, false, '')",
        "database_to_xml(true, false, '')",
        "database_to_xmlschema(true, false, '')",
        "cursor_to_xml('c', 10, true, false, '')",
        "table_to_xml(16400, true, false, '')",
        "pg_catalog.schema_to_xml_and_xmlschema('s', true, false, '')",
    ],
)
def test_functions_that_read_tables_without_naming_them(call: str) -> None:
    """PEER-FAILURES 64: what they read shows in no text."""
    for text in (f"select {call}", f"select {call}, id from customers"):
        refusal = analyse(text.encode(), True, ("public",), SHOP).refusal
        assert refusal is not None and refusal.code == "unsupported-expression", text


# ---- functions that ask nothing about a value, or give one as it is


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("count(c), count(c.*), count((email, note)), count(distinct (email, full_name))", ""),
        ("num_nulls(email, note, 'x'), pg_catalog.num_nonnulls(street)", ""),
        ("lag(email) over (order by id), lead(street, 2) over (order by id)", "email street"),
        ("first_value(email) over w, nth_value(born, 2) over w, any_value(phone)", "email birthday phone"),
        ("lag(note) over (order by id), email", "- email"),
        ("lag(email, 1, 'x') over (order by id)", "unsupported-expression"),
        ("lag(note, 1, email) over (order by id)", "unsupported-expression"),
        ("any_value(distinct email)", "unsupported-expression"),
        ("first_value(email)", "unsupported-expression"),
        ("count(distinct (street, email))", "random-token-equality"),
        ("other.first_value(email) over w", "unsupported-expression"),
        ("num_nulls(row(c))", "unsupported-expression"),
    ],
)
def test_functions_that_pass_a_value_on_or_only_ask_for_it(text: str, expected: str) -> None:
    assert shown(f"select {text} from customers c window w as (order by id)") == expected


def test_what_is_passed_on_has_no_modifier() -> None:
    columns = shape_of(
        "select lag(phone) over (order by id), phone, balance, coalesce(balance, balance) from customers, accounts"
    )
    assert [(column.facade.typmod, column.loose) for column in columns] == [
        (-1, True), (54, False), (655366, False), (655366, False),
    ]  # fmt: skip
    columns = shape_of(
        "select case when id is null then balance end, case when true then phone end from accounts, customers"
    )
    assert [(column.facade.typmod, column.loose) for column in columns] == [(655366, True), (-1, True)]
    assert shown("select coalesce(balance, null) from accounts") == "unsupported-expression"
    assert shown("select coalesce(phone, null), coalesce(email, null) from customers") == "phone email"


def shape_of(text: str) -> list[ProtectedColumn]:
    outputs = plan(text).statements[0].outputs
    assert outputs is not None
    return [output.column for output in outputs if output is not None]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("nullif(email, 'a') is null", "ok"),
        ("nullif(full_name, phone) is null", "class-mismatch"),
        ("nullif('a', email) is null", "unsupported-expression"),
        ("nullif(note, 'a') = 'b'", "ok"),
        ("nullif('a', 'b') = email", "ok"),
        ("nullif(phone, 'a') = 'b'", "ok"),
        ("nullif(c, c) is null", "unsupported-expression"),
        ("case note when 'a' then true else id = 1 end", "ok"),
        ("case email when 'a' then true when $1 then false end", "ok"),
        ("coalesce(email, email) = 'a'", "ok"),
        ("coalesce(email, full_name) = 'a'", "class-mismatch"),
        ("email in (select unnest($1::text[]))", "ok"),
        ("email in (select unnest(array['a', $1]))", "ok"),
        ("email in (select unnest(array['a', $1]::text[]))", "ok"),
        ("email in (select unnest(array['a', $1]::varchar(3)[]))", "class-mismatch"),
        ("email in (select unnest(tags) from mail)", "class-mismatch"),
        ("email in (select unnest($1::leads[]))", "class-mismatch"),
        ("email in (select public.unnest($1::text[]))", "class-mismatch"),
        ("note in (select unnest($1::int[]))", "ok"),
        ("count(unnest(array[email])) = 1", "unsupported-expression"),
        ("array(select 'a') = array['b']", "ok"),
        ("(note, city) = (select 'a', 'b')", "ok"),
        ("id = (select 1, 2)", "ok"),
        ("note > any (select 'a')", "ok"),
        ("note = any (select 'a')", "ok"),
    ],
)
def test_one_of_several_values(condition: str, expected: str) -> None:
    refusal = plan(f"select id from customers c where {condition}").refusal
    assert ("ok" if refusal is None else refusal.code) == expected


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ("1", ""),
        ("'1'", ""),
        ("$1", ""),
        ("1::bigint", ""),
        ("null", ""),
        ("case when true then 2 end", ""),
        ("1.5", "unsupported-expression"),
        ("1::numeric", "unsupported-expression"),
        ("case when true then 1.5 end", "unsupported-expression"),
    ],
)
def test_nullif_of_an_integer_is_one(other: str, expected: str) -> None:
    """With a fraction it would be numeric: NULLIF gives what its = compares (parse_expr.c transformAExprNullIf)."""
    refusal = analyse(f"select nullif(number, {other}) from counted".encode(), True, ("public",), COUNTED).refusal
    assert (refusal.code if refusal else "") == expected
