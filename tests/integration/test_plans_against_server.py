"""Plans of the corpus against a real server: it takes what is sent, and its own description of the result names the
protected columns that the plan names (RowDescription's table OID and attribute number)."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import pq

from proxy.errors import Refusal
from proxy.session.outgoing import server_oids
from proxy.session.statements import Prepared
from proxy.sql.analyze import analyse
from proxy.sql.plan import Plan, render
from proxy.sql.shape import shape
from tests.kit.catalogs import world
from tests.kit.corpus import Case, read
from tests.kit.servers import Server

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
TAGS = {"select", "insert", "update", "delete"}
TOKEN = b"01234567-89ab-8def-8123-456789abcdef"
# Names that the corpus uses without a table behind them, to see what is made of columns that are not known.
NOT_THERE = "not_in_the_catalog"
pytestmark = pytest.mark.server


def plan_of(case: Case) -> Plan:
    return analyse(case.text, case.scs, case.search_path, world(case.policy).snapshot)


def planned() -> list[tuple[Case, Plan]]:
    cases = [case for path in sorted(CORPUS.glob("*.sql")) for case in read(path)]
    plans = [(case, plan_of(case)) for case in cases if case.policy == "shop" and NOT_THERE not in case.statement]
    return [(case, plan) for case, plan in plans if [s.tag for s in plan.statements][1:] == [] and _ours(plan)]


def _ours(plan: Plan) -> bool:
    return plan.refusal is None and bool(plan.statements) and plan.statements[0].tag in TAGS and plan.touches


CASES = planned()


def definitions() -> Iterator[str]:
    """The corpus' catalog as CREATE statements."""
    catalog = world("shop").catalog
    names = {relation.oid: relation for relation in catalog.relations}
    for schema in sorted({relation.schema for relation in catalog.relations} - {"public"}):
        yield f'CREATE SCHEMA "{schema}"'
    for relation in catalog.relations:
        name = f'"{relation.schema}"."{relation.name}"'
        columns = ", ".join(f'"{c.name}" {c.type_name}' for c in relation.columns)
        if relation.kind == "v":
            yield f"CREATE VIEW {name} AS SELECT full_name FROM public.customers"
        elif relation.parents:
            parent = names[relation.parents[0]]
            yield f"CREATE TABLE {name} PARTITION OF {parent.schema}.{parent.name} DEFAULT"
        else:
            yield f"CREATE TABLE {name} ({columns}){' PARTITION BY RANGE (at)' if relation.kind == 'p' else ''}"
    yield "CREATE UNIQUE INDEX ON public.customers (id)"
    yield "CREATE UNIQUE INDEX ON public.customers (email)"
    yield "CREATE UNIQUE INDEX ON public.newsletter (id)"
    yield "CREATE UNIQUE INDEX ON public.newsletter (email)"


@pytest.fixture(scope="module")
def connection(pg18: Server) -> Iterator[psycopg.Connection]:
    with psycopg.connect(pg18.dsn(database="postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE plans")
    with psycopg.connect(pg18.dsn(database="plans"), autocommit=True) as made:
        for definition in definitions():
            made.execute(definition.encode())
        yield made
    with psycopg.connect(pg18.dsn(database="postgres"), autocommit=True) as admin:
        admin.execute("DROP DATABASE plans WITH (FORCE)")


def _declared(plan: Plan) -> tuple[int, ...]:
    """The parameter types that a session states to the server for a client that declares none; without them the server
    could not type a parameter that is first asked whether it is NULL (42P18)."""
    return server_oids(Prepared(b"", b"", True, plan, (), 0))


def described(connection: psycopg.Connection, case: Case, plan: Plan) -> pq.abc.PGresult:
    """Parse and Describe of what is sent."""
    raw = connection.pgconn
    path = ", ".join(f'"{name}"' for name in case.search_path or ("public",))
    connection.execute(f"SET search_path = {path}".encode())
    connection.execute(b"SET standard_conforming_strings = " + (b"on" if case.scs else b"off"))
    values = [b"'{" + TOKEN + b"}'" if value.array else b"'" + TOKEN + b"'" for value in plan.inputs]
    sent = render(plan, case.text, shape(case.text, case.scs), values).text
    parsed = raw.prepare(b"", sent, _declared(plan))
    if parsed.status != pq.ExecStatus.COMMAND_OK:
        pytest.fail(f"{parsed.error_message.decode()}\n{sent.decode()}")
    return raw.describe_prepared(b"")


# Their columns are named with the view, their values are a table's.
VIEWS = {(r.schema, r.name) for r in world("shop").catalog.relations if r.definition}


@pytest.mark.parametrize(("case", "plan"), CASES, ids=[case.label for case, _ in CASES])
def test_the_server_takes_it_and_names_the_same_columns(connection: psycopg.Connection, case: Case, plan: Plan) -> None:
    result = described(connection, case, plan)
    outputs = plan.statements[0].outputs
    if outputs is not None:
        assert len(outputs) == result.nfields
    for i in range(result.nfields):
        output = None if outputs is None else outputs[i]
        names = _column(connection, result.ftable(i), result.ftablecol(i))
        held = None if names is None else world("shop").snapshot.protected_tables.get(names[:2], {}).get(names[2])
        if held is not None:
            assert output is not None, f"column {i + 1} is {held.label}"
            assert output.column.class_name == held.class_name
        elif names is not None and names[:2] not in VIEWS:
            assert output is None, f"column {i + 1} is {names}"


def _column(connection: psycopg.Connection, table: int, number: int) -> tuple[str, str, str] | None:
    if not table:
        return None
    query = b"""SELECT n.nspname, c.relname, a.attname FROM pg_catalog.pg_attribute a
        JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE a.attrelid = %s AND a.attnum = %s"""
    return connection.execute(query, (table, number)).fetchone()


def test_there_are_cases() -> None:
    assert len(CASES) > 100
    assert not any(isinstance(plan.refusal, Refusal) for _, plan in CASES)
