"""PEER-FAILURES 78: temporary tables with the name of a protected one."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from proxy import tokens
from tests.kit.pgveil import Pgveil
from tests.kit.servers import Server, fresh_database

pytestmark = pytest.mark.server

POLICY = """\
version: 1
classes: {email: {kind: email}}
protect: {public.customers: {email: email}}
roles: [{name: all, match: {user: "*"}, access: {default: reveal}}]
"""
Connection = psycopg.Connection[Any]


@pytest.fixture
def scene(pg18: Server) -> Iterator[tuple[Server, str, Pgveil]]:
    with fresh_database(pg18) as name:
        pg18.psql("CREATE TABLE customers (id int PRIMARY KEY, email text)", name)
        with Pgveil.before(pg18, name, {"shop": POLICY}) as pgveil:
            yield pg18, name, pgveil


def ambiguous(connection: Connection, sql: str) -> bool:
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="this connection may have a temporary one"):
        connection.execute(sql.encode())
    return True


def test_it_is_its_own_connections_matter(scene: tuple[Server, str, Pgveil]) -> None:
    server, name, pgveil = scene
    with pgveil.connect(name) as owner, pgveil.connect(name) as other, server.connect(name) as direct:
        owner.autocommit = other.autocommit = direct.autocommit = True
        other.execute("INSERT INTO customers VALUES (1, 'a@example.com')")
        owner.execute("CREATE TEMP TABLE customers (id int, email text)")
        with pgveil.connect(name) as late:
            for link in (other, late):
                assert link.execute("SELECT id FROM customers WHERE email = 'a@example.com'").fetchall() == [(1,)]
        assert ambiguous(owner, "SELECT email FROM customers")
        assert ambiguous(owner, "INSERT INTO customers VALUES (2, 'b@example.com')")
        owner.execute("INSERT INTO pg_temp.customers VALUES (2, 'mine')")
        owner.execute("INSERT INTO public.customers VALUES (2, 'b@example.com')")
        assert owner.execute("SELECT * FROM pg_temp.customers").fetchall() == [(2, "mine")]
        assert owner.execute("SELECT email FROM public.customers WHERE id = 2").fetchall() == [("b@example.com",)]
        stored = direct.execute("SELECT email FROM customers").fetchall()
        assert len(stored) == 2 and all(tokens.looks_like(value.encode()) for (value,) in stored)


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_until_it_is_certain_to_be_gone(scene: tuple[Server, str, Pgveil], end: str) -> None:
    _, name, pgveil = scene
    with pgveil.connect(name) as owner:
        owner.autocommit = True
        owner.execute("BEGIN")
        owner.execute("CREATE TEMP TABLE customers (id int, email text)")
        owner.execute(end.encode())
        assert ambiguous(owner, "SELECT email FROM customers")
        owner.execute("DISCARD ALL")
        owner.execute("INSERT INTO customers VALUES (1, 'a@example.com')")
        assert owner.execute("SELECT email FROM customers WHERE email = 'a@example.com'").rowcount == 1
