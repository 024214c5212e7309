"""Rows that are older than pgveil: shown like values, and never missed without a word."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.kit.pgveil import Pgveil
from tests.kit.process import wait_for
from tests.kit.servers import Server, fresh_database

pytestmark = pytest.mark.server

POLICY = """\
version: 1
classes: {email: {kind: email}}
protect: {public.people: {email: email}}
roles: [{name: all, match: {user: "*"}, access: {default: reveal}}]
"""
SEARCH = "SELECT id FROM people WHERE email = 'old@example.com'"


@pytest.fixture
def shop(pg18: Server) -> Iterator[str]:
    with fresh_database(pg18) as name:
        pg18.psql("CREATE TABLE people (id int PRIMARY KEY, email text)", name)
        yield name


def told(connection: "psycopg.Connection[Any]", sql: str) -> str:
    """SQLSTATE and column."""
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(sql.encode())
    return f"{caught.value.sqlstate} {caught.value.diag.column_name}"


def refused(connection: "psycopg.Connection[Any]") -> bool:
    try:
        connection.execute(SEARCH.encode())
    except psycopg.errors.FeatureNotSupported:
        return True
    return False


def test_peer_12_87_values_there_at_start_are_seen(pg18: Server, shop: str) -> None:
    """The account of `catalog` may read the table here; that they are gone is seen as well."""
    pg18.psql("INSERT INTO people SELECT i, 'old@example.com' FROM generate_series(1, 3) i", shop)
    with Pgveil.before(pg18, shop, {"people": POLICY}) as pgveil, pgveil.connect(shop) as app:
        app.autocommit = True
        assert told(app, SEARCH) == "0A000 email"
        assert app.execute("SELECT * FROM people WHERE id = 1").fetchall() == [(1, "old@example.com")]
        app.execute("UPDATE people SET email = 'old@example.com' WHERE id < 3")
        assert told(app, SEARCH) == "0A000 email"
        app.execute("DELETE FROM people WHERE id = 3")
        wait_for("the rows to be seen to be right", lambda: not refused(app))
        assert app.execute((SEARCH + " ORDER BY id").encode()).fetchall() == [(1,), (2,)]


@pytest.mark.parametrize("shown", [True, False])
def test_an_account_that_may_not_read_the_table(pg18: Server, shop: str, shown: bool) -> None:
    """Then it is what results show, and the operator's word."""
    pg18.accounts("looker", "app_user")
    pg18.psql("GRANT ALL ON people TO app_user; INSERT INTO people VALUES (1, 'old@example.com')", shop)
    before = Pgveil.before(pg18, shop, {"people": POLICY}, catalog=pg18.dsn(shop, "looker"))
    with before as pgveil, pgveil.connect(shop, "app_user") as app:
        app.autocommit = True
        app.execute("SELECT 1 FROM people")
        assert f'"columns_unseen": ["{shop} public.people.email"]' in pgveil.page("/readyz")[1]
        assert "rows-unseen" in pgveil.log and "may not read it" in pgveil.command("check")
        if shown:
            assert app.execute("SELECT email FROM people").fetchall() == [("old@example.com",)]
        assert refused(app) is shown
        app.execute("UPDATE people SET email = 'old@example.com'")
        assert refused(app) is shown
        pgveil.hangup()
        wait_for("the operator's word to count", lambda: not refused(app))
        wait_for("the doubt to go", lambda: '"columns_unseen": []' in pgveil.page("/readyz")[1])
        assert app.execute(SEARCH.encode()).fetchall() == [(1,)]


def test_values_are_seen_in_a_result(pg18: Server, shop: str) -> None:
    """Of one that came round pgveil while it runs; prepared statements included."""
    with Pgveil.before(pg18, shop, {"people": POLICY}) as pgveil, pgveil.connect(shop) as app:
        app.prepare_threshold = 0
        find = "SELECT id FROM people WHERE email = %s"
        app.execute("INSERT INTO people VALUES (2, 'new@example.com')")
        assert app.execute(find, ("new@example.com",)).fetchall() == [(2,)]
        pg18.psql("INSERT INTO people VALUES (1, 'old@example.com')", shop)
        assert app.execute("SELECT email FROM people ORDER BY id").fetchall() == [
            ("old@example.com",),
            ("new@example.com",),
        ]
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            app.execute(find, ("new@example.com",))
        assert "plaintext-rows" in pgveil.log and "old@example" not in pgveil.log
