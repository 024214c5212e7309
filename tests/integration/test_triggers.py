"""Triggers of unprotected tables whose function runs what it builds as text."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.kit.pgveil import Pgveil
from tests.kit.servers import Server, fresh_database

pytestmark = pytest.mark.server

POLICY = """\
version: 1
classes: {email: {kind: email}}
protect: {public.customers: {email: email}}
roles: [{name: all, match: {user: "*"}, access: {default: reveal}}]
"""
DDL = """
CREATE TABLE customers (id int, email text);
CREATE TABLE orders (id int, email text);
CREATE TABLE archive (id int, email text);
CREATE FUNCTION copy_to() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN EXECUTE format('INSERT INTO %I VALUES ($1.*)', TG_ARGV[0]) USING NEW; RETURN NEW; END$$;
"""
COPIES = "CREATE TRIGGER copies BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION copy_to('{}')"
INSERT = "INSERT INTO orders VALUES (1, 'a@example.com')"


@pytest.fixture
def scene(pg18: Server) -> Iterator[tuple[Server, str]]:
    with fresh_database(pg18) as name:
        pg18.psql(DDL, name)
        yield pg18, name


def refused(connection: "psycopg.Connection[Any]", sql: str) -> str:
    with pytest.raises(psycopg.errors.FeatureNotSupported) as caught:
        connection.execute(sql.encode())
    return str(caught.value)


def test_one_that_is_handed_another_table(scene: tuple[Server, str]) -> None:
    server, name = scene
    with Pgveil.before(server, name, {"shop": POLICY}) as pgveil, pgveil.connect(name) as app:
        app.autocommit = True
        assert "hands the name of a protected table" in refused(app, COPIES.format("customers"))
        app.execute(COPIES.format("archive").encode())
        app.execute(INSERT.encode())
        assert app.execute("SELECT * FROM archive").fetchall() == [(1, "a@example.com")]


def test_one_that_was_made_with_a_protected_table(scene: tuple[Server, str]) -> None:
    server, name = scene
    server.psql(COPIES.format("customers"), name)
    with Pgveil.before(server, name, {"shop": POLICY}) as pgveil, pgveil.connect(name) as app:
        app.autocommit = True
        assert "its trigger hands the name of a protected table to copy_to" in refused(app, INSERT)
        assert app.execute("SELECT count(*) FROM customers").fetchone() == (0,)
