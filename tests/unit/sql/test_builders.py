"""Functions that build statements as text: what they reach shows in no catalog, so a call is refused."""

from dataclasses import replace

import pytest

from proxy.sql.analyze import analyse
from proxy.sql.catalog import Function, Snapshot, snapshot
from tests.unit.session.driver import world

RUNS = Function(1, "public", "runs", "plpgsql", "begin execute t; end")
CALLS = Function(2, "public", "calls", "sql", "select public.runs('x')")
PERL = Function(3, "public", "perl", "plperl", "spi_exec_query($_[0])")
PLAIN = Function(4, "public", "plain", "plpgsql", "begin return 1; end")
XML = Function(7, "public", "xml", "sql", "select pg_catalog.query_to_xml($1, true, false, '')")
TRIGGERS = Function(5, "public", "makes", "plpgsql", "begin create trigger t execute function f(); end")
SAYS = "select 1 from orders where note = ''x''"
CONSTANT = Function(6, "public", "constant", "plpgsql", f"begin execute '{SAYS}' into n; execute $q$select 1$q$; end")


def shop(*functions: Function) -> Snapshot:
    made = world()
    return snapshot(replace(made.snapshot.catalog, functions=functions), made.policy, 1)


@pytest.mark.parametrize("name", ["runs", "calls", "perl", "xml"])
def test_a_call_is_refused(name: str) -> None:
    seen = shop(RUNS, CALLS, PERL, XML)
    text = f"select {name}('insert into cust' || 'omers(email) values (''a@b.c'')')".encode()
    assert seen.touches(text)
    refusal = analyse(text, True, ("public",), seen).refusal
    assert refusal is not None and refusal.code == "depends-on-protected" and name in refusal.message


@pytest.mark.parametrize("name", ["plain", "makes", "constant"])
def test_others_are_called(name: str) -> None:
    """What EXECUTE runs can be read where it is one constant."""
    seen = shop(RUNS, PLAIN, TRIGGERS, CONSTANT)
    assert analyse(f"select {name}()".encode(), True, ("public",), seen).refusal is None


@pytest.mark.parametrize(
    "said",
    [
        "execute 'select 1' || t;", "execute 'select ' 'x' || t;", "execute E'select x';", "execute 'a' /**/ || t;",
        r"execute 'select \x63';", "execute $q$select 1$q$ || t;", "execute 'execute p';", "execute 'a'\n'b';",
        "execute $q$execute p$q$;", "execute 'select 1'::text || t;", "execute 'select 1'", "execute U&'a';",
        "execute 'a''b' || t;", "execute $q$a$q$ || $q$;$q$;",
    ],
)  # fmt: skip
def test_what_is_no_constant_is_refused(said: str) -> None:
    seen = shop(replace(RUNS, source=f"begin {said}"))
    assert analyse(b"select runs()", True, ("public",), seen).refusal is not None


def test_a_constant_that_names_it_is_refused() -> None:
    seen = shop(replace(RUNS, source="begin execute 'select email from customers'; end"))
    assert analyse(b"select runs()", True, ("public",), seen).refusal is not None


@pytest.mark.parametrize(
    "text",
    [
        "create or replace function runs(t text) returns void language plpgsql as $$begin execute t; end$$",
        "create function more() returns void language plpgsql as $$begin perform runs('x'); end$$",
    ],
)
def test_they_can_be_made_and_replaced(text: str) -> None:
    """A migration that is run twice; the catalog, read anew, shows what they do."""
    plan = analyse(text.encode(), True, ("public",), shop(RUNS))
    assert plan.refusal is None
    assert [effect.kind for effect in plan.statements[0].effects] == ["ddl", "function"]


def test_none_can_be_made_that_names_a_protected_table() -> None:
    text = b"create function runs(t text) returns text language sql as $$select email from customers$$"
    assert analyse(text, True, ("public",), shop(RUNS)).refusal is not None


def test_fastpath_calls_of_them_are_refused_too() -> None:
    seen = shop(RUNS, CALLS, PLAIN)
    assert [oid in seen.protection.reaching for oid in (1, 2, 4)] == [True, True, False]


MAKE = "create trigger t before insert on notes for each row execute function "


@pytest.mark.parametrize("call", ["runs()", "runs('notes', 1, other)", "public.runs()", "calls()"])
def test_a_trigger_of_one_can_be_made(call: str) -> None:
    """Writes to tables that have one pass too; the catalog is read anew, as for other triggers."""
    plan = analyse((MAKE + call).encode(), True, ("public",), shop(RUNS, CALLS))
    assert plan.refusal is None
    assert [effect.kind for effect in plan.statements[0].effects] == ["ddl"]


@pytest.mark.parametrize(
    "text",
    [
        MAKE + "runs('public.customers')",
        MAKE + "runs(customers)",
        MAKE + "runs(E'cust\\x6fmers')",
        MAKE.replace("notes", "customers") + "runs()",
        MAKE.replace("execute", "when (mails() is null) execute") + "runs()",
        MAKE + "mails()",
        MAKE + "twice()",
    ],
)
def test_a_trigger_that_reaches_a_protected_table_is_refused(text: str) -> None:
    mails = Function(8, "public", "mails", "sql", "select email from customers")
    twice = Function(9, "public", "twice", "plpgsql", "begin execute t; end")
    other = Function(10, "other", "twice", "sql", "select email from customers")
    refusal = analyse(text.encode(), True, ("public",), shop(RUNS, mails, twice, other)).refusal
    assert refusal is not None and refusal.code == "unsupported-statement"


@pytest.mark.parametrize(
    ("function", "arguments", "code"),
    [
        (RUNS, "public.customers", "depends-on-protected"),
        (RUNS, "a customers b", "depends-on-protected"),
        (CALLS, "Customers", "depends-on-protected"),
        (RUNS, "", ""),
        (RUNS, "notes customers_old", ""),
        (PLAIN, "customers", ""),
    ],
)
def test_writes_to_a_table_whose_trigger_hands_it_a_protected_name(
    function: Function, arguments: str, code: str
) -> None:
    made = world()
    before = made.snapshot.catalog
    relations = tuple(
        replace(r, triggers=(function.oid,), arguments=arguments) if r.name == "notes" else r for r in before.relations
    )
    seen = snapshot(replace(before, relations=relations, functions=(RUNS, CALLS, PLAIN)), made.policy, 1)
    refusal = analyse(b"insert into notes (id) values (1)", True, ("public",), seen).refusal
    assert ("" if refusal is None else refusal.code) == code
    assert analyse(b"select id from notes", True, ("public",), seen).refusal is None


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ("update customers set id = id + 1;", False),
        ("create temp table customers as select 1 as id;", True),
        ("alter table scratch rename to customers;", True),
    ],
)
def test_a_trigger_that_may_shadow_a_protected_table(body: str, refused: bool) -> None:
    shades = Function(11, "public", "shades", "plpgsql", f"begin {body} return new; end")
    made = world()
    before = made.snapshot.catalog
    relations = tuple(replace(r, triggers=(11,)) if r.name == "notes" else r for r in before.relations)
    seen = snapshot(replace(before, relations=relations, functions=(shades,)), made.policy, 1)
    refusal = analyse(b"insert into notes (id) values (1)", True, ("public",), seen).refusal
    assert (refusal is not None) is refused
