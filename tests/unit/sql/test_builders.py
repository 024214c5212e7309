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
TRIGGERS = Function(5, "public", "makes", "plpgsql", "begin create trigger t execute function f(); end")


def shop(*functions: Function) -> Snapshot:
    made = world()
    return snapshot(replace(made.snapshot.catalog, functions=functions), made.policy, 1)


@pytest.mark.parametrize("name", ["runs", "calls", "perl"])
def test_a_call_is_refused(name: str) -> None:
    seen = shop(RUNS, CALLS, PERL)
    text = f"select {name}('insert into cust' || 'omers(email) values (''a@b.c'')')".encode()
    assert seen.touches(text)
    refusal = analyse(text, True, ("public",), seen).refusal
    assert refusal is not None and refusal.code == "depends-on-protected" and name in refusal.message


@pytest.mark.parametrize("name", ["plain", "makes"])
def test_others_are_called(name: str) -> None:
    seen = shop(RUNS, PLAIN, TRIGGERS)
    assert analyse(f"select {name}()".encode(), True, ("public",), seen).refusal is None


def test_fastpath_calls_of_them_are_refused_too() -> None:
    seen = shop(RUNS, CALLS, PLAIN)
    assert [seen.reaches(oid) for oid in (1, 2, 4)] == [True, True, False]
