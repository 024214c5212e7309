"""Statements that are no query: what they change for later ones, and what they may reach.

The names that mean something here: customers is protected, mails is a view on it, `finds` a function that reads it,
`runs` one that builds its statements, `paths` one that sets search_path; orders and `plain` reach nothing.
"""

import pytest

from proxy.policy.load import load
from proxy.sql.catalog import Snapshot, snapshot
from tests.kit.catalogs import build
from tests.kit.plans import effects, planned, sent

UNSUPPORTED = "unsupported-statement"

CATALOG = build(
    {
        "relations": {
            "public.customers": ["id int4", "email text", "note text"],
            "public.orders": ["id int4", "note text"],
            "public.mails": {"kind": "v", "columns": ["email text"], "depends_on": ["public.customers"]},
        },
        "functions": {
            "public.finds": {"language": "sql", "source": "select email from customers"},
            "public.runs": {"language": "plpgsql", "source": "begin execute $1; end"},
            "public.paths": {
                "language": "plpgsql",
                "source": "begin perform set_config('search_path', $1, false); end",
            },
            "public.plain": {"language": "sql", "source": "select 1"},
        },
    }
)
POLICY = "{version: 1, classes: {e: {kind: email}}, protect: {public.customers: {email: e}}}"
SHOP = snapshot(CATALOG, load([("p.yaml", POLICY)]), 1)
UNPROTECTED = snapshot(CATALOG, load([("p.yaml", "{version: 1}")]), 1)


def changes(text: str, within: Snapshot = SHOP) -> str:
    return effects(text, within=within)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('set search_path = a, \'B c\', "D""e"', 'set search_path="a", "B c", "D""e"'),
        ("set search_path = 'a, b'", 'set search_path="a, b"'),
        ("set search_path to ''", 'set search_path=""'),
        ("set local search_path to public", 'set search_path="public" local'),
        ("set SEARCH_PATH = 1.5, 2", 'set search_path="1.5", "2"'),
        ("set search_path to default", "set search_path"),
        ("set search_path from current", "unknown-setting"),
        ("set role = 0", "set role=0"),
        ("reset search_path", "set search_path"),
        ("set schema 'x'", 'set search_path="x"'),
        ("set pgveil.purpose = 'billing'", "set pgveil.purpose=billing"),
        ("set role bob", "set role=bob"),
        ("set role none", "set role=none"),
        ("set session authorization 'bob'", "set session_authorization=bob"),
        ("set session authorization default", "set session_authorization"),
        ("set names 'latin1'", "set client_encoding"),
        ("set standard_conforming_strings = off", "set standard_conforming_strings"),
        ("set time zone interval '1' hour to minute", "set timezone"),
        ("set local datestyle = 'ISO, DMY'", "set datestyle local"),
        ("set work_mem = '1MB'", ""),
        ("reset work_mem", ""),
        ("set transaction isolation level serializable", ""),
        ("set session characteristics as transaction read only", ""),
        ("reset all", "reset-all"),
        ("discard all", "discard-all"),
        ("discard temp", "ddl"),
        ("discard plans", ""),
        ("show search_path", ""),
    ],
)
def test_settings(text: str, expected: str) -> None:
    assert changes(text) == expected


def test_a_setting_that_is_followed_is_part_of_the_plan() -> None:
    assert planned("set search_path = 'a', b, 'c'").pinned == (0, 1)
    assert planned("set work_mem = '1MB'").pinned == ()


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("'search_path', 'a, \"B\"', false", 'set search_path=a, "B"'),
        ("'search_path', 'a', true", "set search_path=a local"),
        ("'SEARCH_PATH', $1, false", "unknown-setting"),
        ("$1, 'a', false", "unknown-setting"),
        ("'search' || '_path', 'a', false", "unknown-setting"),
        ("'search_path', 'a', $1", "unknown-setting"),
        ("'datestyle', 'ISO', false", "set datestyle"),
        ("'app.tenant', '1', false", ""),
        ("'role', 'bob', false", "set role=bob"),
    ],
)
def test_set_config(call: str, expected: str) -> None:
    assert changes(f"select set_config({call})") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("explain analyze select set_config('search_path', 'x', false)", "unknown-setting"),
        ("copy (select set_config('search_path', 'x', false)) to stdout", "unknown-setting"),
        ("copy (select id, set_config('search_path', 'x', false) from customers) to stdout", "unknown-setting"),
        ("create table t as select set_config('search_path', 'x', false)", "ddl, unknown-setting"),
        ("create table t as select id, set_config('role', 'x', false) from customers", "ddl, unknown-setting"),
        ("execute p(set_config('search_path', 'x', false))", "execute p, unknown-setting"),
        ("explain analyze select set_config('app.tenant', 'x', false)", ""),
        ("prepare p as select set_config('search_path', 'x', false)", UNSUPPORTED),
        ("declare k cursor for select set_config('search_path', 'x', false)", UNSUPPORTED),
        ("declare k cursor for select id, set_config('search_path', 'x', false) from customers", UNSUPPORTED),
        ("prepare p as select set_config('app.tenant', 'x', false)", "prepare p"),
        ("prepare p as select paths('x')", UNSUPPORTED),
        ("declare k cursor for select paths('x')", UNSUPPORTED),
        ("select paths('x')", "unknown-setting"),
        ("call paths('x')", "unknown-setting"),
        ("explain analyze select paths('x')", "unknown-setting"),
        ("select plain()", ""),
        ("select plain(), 'paths'", ""),
    ],
)  # fmt: skip
def test_a_setting_is_followed_wherever_it_is_made(text: str, expected: str) -> None:
    assert changes(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("explain analyze select dblink_exec('d', 'insert into customers values (1)')", "unsupported-expression"),
        ("prepare p(text) as select dblink_exec('d', $1)", "unsupported-expression"),
        ("copy (select query_to_xml('table ' || 'customers', true, true, '')) to stdout", "unsupported-expression"),
        ("create view v as select query_to_xml('select * from customers', true, true, '')", "unsupported-expression"),
        ("prepare p as select query_to_xml('select 1', true, true, '')", "prepare p"),
        ("declare k cursor for select query_to_xml('select 1', true, true, '')", "declare k"),
    ],
)  # fmt: skip
def test_a_function_that_runs_a_text_is_read_wherever_it_is_called(text: str, expected: str) -> None:
    assert changes(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("begin", "begin"),
        ("start transaction read only", "begin"),
        ("commit", "commit"),
        ("end and chain", "commit"),
        ("rollback", "rollback"),
        ("abort", "rollback"),
        ("savepoint s", "savepoint s"),
        ("rollback to s", "rollback-to s"),
        ("release s", ""),
        ("prepare transaction 'x'", "commit"),
        ("commit prepared 'x'", "ddl"),
        ("rollback prepared 'x'", "ddl"),
    ],
)
def test_transactions(text: str, expected: str) -> None:
    assert changes(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prepare p as select * from orders", "prepare p"),
        ("prepare p as select * from customers", "prepare p"),
        ("prepare p as select * from mails", "depends-on-protected"),
        ("prepare p as select finds()", "depends-on-protected"),
        ("prepare p as select runs('x')", "depends-on-protected"),
        ("execute p(1, 'x')", "execute p"),
        ("deallocate p", "deallocate p"),
        ("deallocate all", "deallocate"),
        ("explain select * from orders", ""),
        ("explain (analyze, format json) delete from customers", ""),
        ("explain select finds()", "depends-on-protected"),
        ("explain create table t as select * from customers", UNSUPPORTED),
        ("explain declare k cursor for select * from customers", UNSUPPORTED),
        ("explain execute p", "execute p"),
        ("explain analyze create table t as execute p", "execute p"),
        ("create table t as execute p", "execute p, ddl-elsewhere"),
        ("declare k cursor for select * from orders", "declare k"),
        ("fetch 2 from k", "fetch k"),
        ("move 2 from k", ""),
        ("close k", "close k"),
        ("close all", "close"),
        ("copy orders from stdin", ""),
        ("copy (select 1) to stdout", ""),
    ],
)
def test_what_runs_another_statement(text: str, expected: str) -> None:
    assert changes(text) == expected


def test_a_refusal_says_what_the_statement_reaches() -> None:
    for text, name in (("select * from public.customers", "public.customers"), ("select finds()", "finds()")):
        refusal = planned(f"explain create table t as {text}", within=SHOP).refusal
        assert refusal is not None and f"a statement on {name}, which is protected" in refusal.message


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("begin perform 1; end", ""),
        ("begin update customers set note = 'x'; end", UNSUPPORTED),
        ("begin perform finds(); end", UNSUPPORTED),
        ("begin perform runs('x'); end", UNSUPPORTED),
        ("begin execute 'select ' || '1'; end", UNSUPPORTED),
        ("begin execute 'select 1'; end", ""),
        ("begin execute 'select 1 from customers'; end", UNSUPPORTED),
        ("begin perform query_to_xml(t, true, true, ''); end", UNSUPPORTED),
        ("begin set search_path = x; end", "unknown-setting"),
        ("begin perform set_config('role', 'x', false); end", "unknown-setting"),
        ("begin update app_config set x = 1; end", ""),
        ("begin perform set_config('a', note, false) from customers; end", UNSUPPORTED),
        ("begin reset role; end", "unknown-setting"),
        ("begin perform paths('x'); end", "unknown-setting"),
        ("begin create table t(a int); end", ""),
    ],
)
def test_do(body: str, expected: str) -> None:
    assert changes(f"do $$ {body} $$") == expected
    assert changes(f"do language plpgsql '{body.replace(chr(39), chr(39) * 2)}'") == expected


def test_do_in_a_language_that_is_not_read() -> None:
    assert changes("do language plpython3u 'pass'") == UNSUPPORTED
    assert changes("do language sql 'select 1'") == ""
    assert changes("do language plpython3u 'pass'", UNPROTECTED) == ""
    assert changes("do $$ begin execute 'select ' || '1'; end $$", UNPROTECTED) == ""


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("language sql as 'select 1'", "ddl-elsewhere"),
        ("as 'begin return 1; end' language plpgsql", "ddl-elsewhere"),
        ("as 'begin return 1; end'", "ddl-elsewhere"),
        ("language plpgsql as 'begin execute t; end'", "ddl, function f=it runs statements that it builds as text"),
        ("language plpython3u as 'return 1'", "ddl"),
        ("language sql as 'select finds()'", "ddl, function f=it runs statements that it builds as text"),
        ("language sql as 'select email from customers'", UNSUPPORTED),
        ("language plpgsql as 'begin return (select 1 from mails); end'", UNSUPPORTED),
        ("language sql begin atomic select email from customers; end", UNSUPPORTED),
        ("language sql return finds()", UNSUPPORTED),
        ("language sql return 1", "ddl-elsewhere"),
        ("language sql return plain()", "ddl-elsewhere"),
        ("language sql return paths()", "ddl, unknown-setting, settling f"),
        ("language sql return set_config('role', 'x', false)", "ddl, unknown-setting, settling f"),
        ("language plpgsql as 'begin set search_path = x; end'", "ddl, unknown-setting, settling f"),
        ("language plpgsql as 'begin perform paths(1); end'", "ddl, unknown-setting, settling f"),
        ("language plpgsql as 'begin perform SET_CONFIG(n, v, true); end'", "ddl, unknown-setting, settling f"),
        ("language sql as 'select set_config(email, email, true) from customers'", UNSUPPORTED),
        ("language sql as 'select 1 from app_config'", "ddl-elsewhere"),
        ("language sql set search_path = x as 'select 1'", "ddl-elsewhere"),
    ],
)
def test_create_function(definition: str, expected: str) -> None:
    assert changes(f"create function f() returns int {definition}") == expected


def test_a_function_that_reaches_something_may_be_made_anew() -> None:
    assert changes("create or replace function finds() returns int language sql as 'select 1'") == "ddl"


TRIGGER = "create trigger t before insert on {} for each row execute function {}"


@pytest.mark.parametrize(
    ("table", "function", "expected"),
    [
        ("orders", "plain()", "ddl-elsewhere"),
        ("orders", "runs()", "ddl"),
        ("orders", "runs('orders')", "ddl"),
        ("orders", "runs('customers')", UNSUPPORTED),
        ("orders", "runs(customers)", UNSUPPORTED),
        ("orders", "finds()", UNSUPPORTED),
        ("customers", "plain()", UNSUPPORTED),
        ("customers", "runs()", UNSUPPORTED),
    ],
)
def test_create_trigger(table: str, function: str, expected: str) -> None:
    assert changes(TRIGGER.format(table, function)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("create table t (a int)", "ddl-elsewhere"),
        ("create table t (customers int)", "ddl"),
        ("create view v as select 1", "ddl-elsewhere"),
        ("create role bob", "ddl-elsewhere"),
        ("alter role bob set search_path = x", "ddl"),
        ("create extension x", "ddl"),
        ("import foreign schema x from server s into public", "ddl, moved =anything"),
        ("alter table orders rename to plain", "ddl-elsewhere"),
        ("alter table orders rename to customers", "ddl"),
        ("alter view v rename to customers", UNSUPPORTED),
        ("alter schema public rename to x", UNSUPPORTED),
        ("alter schema x rename to public", UNSUPPORTED),
        ("alter schema x rename to y", "ddl-elsewhere, moved =rights"),
        ("create temp table customers (a int)", "ddl, shadow customers"),
        ("drop table customers", "ddl, dropped customers=public"),
        ("drop table orders", "ddl-elsewhere"),
        ("truncate customers", ""),
        ("grant select on customers to bob", ""),
        ("comment on table customers is 'x'", ""),
        ("alter table customers owner to bob", "ddl"),
        ("listen customers", ""),
        ("vacuum customers", ""),
        ("call plain()", ""),
        ("call finds()", UNSUPPORTED),
        ("call runs('x')", UNSUPPORTED),
        ("create index on orders (note)", ""),
        ("create publication p for table customers (id, email), orders", "ddl"),
        ("alter publication p add table customers", "ddl"),
        ("create publication p for table customers where (email = 'a@x.de')", UNSUPPORTED),
    ],
)
def test_definitions(text: str, expected: str) -> None:
    assert changes(text) == expected


def test_literals_of_what_passes_reach_the_server_as_they_are() -> None:
    for text in ("comment on column customers.email is 'x'", "notify c, 'x'", "create role bob password 'x'"):
        assert sent(text, within=SHOP) == "same"
