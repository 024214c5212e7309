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


ONWARD = """
CREATE FUNCTION store() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO customers VALUES (1, NEW.mail); RETURN NEW; END$$;
CREATE TABLE staging (mail text UNIQUE);
CREATE TRIGGER stores AFTER INSERT OR UPDATE ON staging FOR EACH ROW EXECUTE FUNCTION store();
CREATE VIEW inbox AS SELECT * FROM staging;
CREATE VIEW inboxes AS SELECT * FROM inbox;
CREATE TABLE whole (mail text) PARTITION BY LIST (mail);
CREATE TABLE part PARTITION OF whole FOR VALUES IN ('a@example.com');
CREATE TRIGGER stores AFTER INSERT ON part FOR EACH ROW EXECUTE FUNCTION store();
CREATE TABLE named (mail text PRIMARY KEY);
INSERT INTO named VALUES ('old');
CREATE TABLE naming (mail text REFERENCES named ON UPDATE CASCADE);
INSERT INTO naming VALUES ('old');
CREATE TRIGGER stores AFTER UPDATE ON naming FOR EACH ROW EXECUTE FUNCTION store();
CREATE FUNCTION stage(mail text) RETURNS void LANGUAGE sql AS $$INSERT INTO staging VALUES (mail)$$;
CREATE FUNCTION staged() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO staging VALUES (NEW.mail); RETURN NEW; END$$;
CREATE TABLE first (mail text);
CREATE TRIGGER stages AFTER INSERT ON first FOR EACH ROW EXECUTE FUNCTION staged();
"""


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO inbox VALUES ('a@example.com')",
        "INSERT INTO inboxes VALUES ('a@example.com')",
        "COPY inbox FROM STDIN",
        "INSERT INTO whole VALUES ('a@example.com')",
        "UPDATE named SET mail = 'a@example.com'",
        "SELECT stage('a@example.com')",
        "INSERT INTO first VALUES ('a@example.com')",
    ],
)
def test_one_that_is_reached_by_another_name(scene: tuple[Server, str], sql: str) -> None:
    server, name = scene
    server.psql(ONWARD, name)
    with Pgveil.before(server, name, {"shop": POLICY}) as pgveil, pgveil.connect(name) as app:
        app.autocommit = True
        assert "a protected" in refused(app, sql) or "public.staging" in refused(app, sql)
        assert app.execute("SELECT count(*) FROM customers").fetchone() == (0,)
        assert app.execute("SELECT count(*) FROM inboxes").fetchone() == (0,)


def test_one_that_a_foreign_key_of_the_same_transaction_reaches(scene: tuple[Server, str]) -> None:
    server, name = scene
    server.psql(ONWARD, name)
    with Pgveil.before(server, name, {"shop": POLICY}) as pgveil, pgveil.connect(name) as app:
        app.execute("BEGIN")
        app.execute("CREATE TABLE mails (mail text PRIMARY KEY)")
        app.execute("INSERT INTO mails VALUES ('old')")
        app.execute("ALTER TABLE naming ADD FOREIGN KEY (mail) REFERENCES mails ON UPDATE CASCADE")
        assert "commit first" in refused(app, "UPDATE mails SET mail = 'a@example.com'")
