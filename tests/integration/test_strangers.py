"""Tokens of another vault or class in the database; a vault that can't be written. Loud, and never wrong."""

import json
import shutil
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
classes: {email: {kind: email}, name: {kind: name}, phone: {kind: phone, canonicalize: true, region: US}}
protect: {public.people: {email: email, name: name, phone: phone}}
roles:
  - {name: all, match: {user: postgres}, access: {default: reveal}}
  - {name: loader, match: {user: loader}, access: {default: token}}
"""
OTHER_CLASS = POLICY.replace("{email: email, name: name", "{email: name, name: name")
OTHER_FORM = POLICY.replace("canonicalize: true, region: US", "canonicalize: false")
FIND = "SELECT id FROM people WHERE email = 'ada@example.com'"
MORE = "INSERT INTO people VALUES (3, 'ada@example.com')"


@pytest.fixture
def shop(pg18: Server) -> Iterator[str]:
    with fresh_database(pg18) as name:
        pg18.psql("CREATE TABLE people (id int PRIMARY KEY, email text UNIQUE, name text, phone text)", name)
        yield name


@pytest.fixture
def filled(pg18: Server, shop: str) -> Iterator[Pgveil]:
    """One person is stored, pgveil is not running."""
    pgveil = Pgveil.before(pg18, shop, {"people": POLICY}, policy_poll="0.1s")
    try:
        pgveil.start()
        with pgveil.connect(shop) as app:
            app.execute("INSERT INTO people VALUES (1, 'ada@example.com', 'Ada', '+1 212 555 0101')")
        pgveil.stop()
        yield pgveil
    finally:
        pgveil.close()


def told(connection: "psycopg.Connection[Any]", sql: str) -> str:
    """SQLSTATE and column, 'ok' if it is no error."""
    try:
        connection.execute(sql.encode())
    except psycopg.Error as error:
        return f"{error.sqlstate} {error.diag.column_name or ''}".strip()
    return "ok"


def ready(pgveil: Pgveil) -> tuple[int, dict[str, Any]]:
    status, body = pgveil.page("/readyz")
    return status, json.loads(body)


def fresh_vault(pgveil: Pgveil) -> None:
    for path in pgveil.base.glob("vault.db*"):
        path.unlink()


def test_a_new_vault_before_old_tokens_is_loud_and_closes_the_column(pg18: Server, shop: str, filled: Pgveil) -> None:
    fresh_vault(filled)
    filled.start()
    wait_for("the look at the rows", lambda: ready(filled)[0] == 503)
    status, details = ready(filled)
    assert status == 503 and f"{shop} public.people.email" in details["columns"]
    with filled.connect(shop) as app:
        assert told(app, FIND) == "0A000 email" and told(app, MORE) == "0A000 email"
        assert told(app, "UPDATE people SET email = 'x@y.z'") == "0A000 email"
        assert told(app, "COPY people (id, email) FROM STDIN") == "0A000 email"
        assert told(app, "SELECT id FROM people WHERE id = 1") == "ok"
        assert "foreign-tokens" in filled.log
        assert filled.metric("pgveil_unknown_tokens_total", **{"class": "email", "why": "foreign"}) >= 1
        assert told(app, "UPDATE people SET email = NULL, name = NULL, phone = NULL") == "ok"
        wait_for("the column to be seen empty", lambda: told(app, FIND) == "ok")
        assert told(app, MORE) == "ok" and told(app, MORE.replace("3", "4")) == "23505"
    wait_for("readiness", lambda: ready(filled)[0] == 200)
    filled.stop()


def test_a_vault_that_lost_its_entries(pg18: Server, shop: str, filled: Pgveil) -> None:
    """An older copy, same keys: equality holds, reading fails in words; writing the value anew mends it."""
    import sqlite3

    with sqlite3.connect(filled.base / "vault.db") as vault:
        vault.execute("DELETE FROM entry")
    vault.close()
    filled.start()
    wait_for("the look at the rows", lambda: ready(filled)[0] == 503)
    with filled.connect(shop) as app:
        assert told(app, FIND) == "ok" and told(app, "SELECT email FROM people") == "57P03"
        assert told(app, "UPDATE people SET email = 'ada@example.com', name = 'Ada', phone = '+12125550101'") == "ok"
        assert app.execute("SELECT email FROM people").fetchall() == [("ada@example.com",)]
    assert "lost-tokens" in filled.log
    filled.restart()
    wait_for("the look at the rows", lambda: ready(filled)[1]["catalog"] and ready(filled)[0] == 200)
    filled.stop()


def test_a_column_that_gets_another_class(pg18: Server, shop: str, filled: Pgveil) -> None:
    filled.start()
    with filled.connect(shop) as app:
        assert app.execute(FIND).fetchall() == [(1,)]
        with filled.log_contains("foreign-tokens"):
            filled.write_policy("people", OTHER_CLASS)
            filled.hangup()
        assert told(app, FIND) == "0A000 email" and told(app, MORE) == "0A000 email"
        with filled.log_contains("foreign-tokens-gone"):
            filled.write_policy("people", POLICY)
            filled.hangup()
        assert app.execute(FIND).fetchall() == [(1,)]
    filled.write_policy("people", OTHER_CLASS)
    filled.restart()
    with filled.connect(shop) as app:
        assert told(app, FIND) == "0A000 email"
    filled.stop()


def test_an_account_that_may_not_read_rows_has_the_vaults_record(pg18: Server, shop: str) -> None:
    pg18.accounts("looker")
    before = Pgveil.before(pg18, shop, {"people": POLICY}, policy_poll="0.1s", catalog=pg18.dsn(shop, "looker"))
    with before as pgveil:
        with pgveil.connect(shop) as app:
            app.execute("INSERT INTO people VALUES (1, 'ada@example.com')")
        pgveil.write_policy("people", OTHER_CLASS)
        pgveil.restart()
        with pgveil.connect(shop) as app:
            assert told(app, FIND) == "0A000 email" and ready(pgveil)[0] == 503
            with pgveil.log_contains("foreign-tokens-gone"):
                pgveil.write_policy("people", POLICY)
                pgveil.hangup()
            assert app.execute(FIND).fetchall() == [(1,)]


def test_a_class_that_normalises_otherwise_is_refused(pg18: Server, shop: str, filled: Pgveil) -> None:
    filled.start()
    with filled.log_contains("policy-fault"):
        filled.write_policy("people", OTHER_FORM)
        filled.hangup()
    with filled.connect(shop) as app:
        assert app.execute("SELECT id FROM people WHERE phone = '212-555-0101'").fetchall() == [(1,)]
    assert "normal form phone.v1, region US" in " ".join(ready(filled)[1]["policy"]["faults"])
    filled.stop()
    with pytest.raises(RuntimeError, match=r"people.yaml:\d+: .*normal form phone.v1"):
        filled.start()
    with pytest.raises(RuntimeError, match="normal form phone"):
        filled.command("check")


def test_a_token_is_written_only_where_its_class_lies(pg18: Server, shop: str, filled: Pgveil) -> None:
    pg18.accounts("loader")
    pg18.psql("GRANT ALL ON people TO loader", shop)
    filled.start()
    with filled.connect(shop, "loader") as app:
        email, name = app.execute("SELECT email, name FROM people").fetchall()[0]
        assert told(app, f"INSERT INTO people (id, name) VALUES (2, '{name}')") == "ok"
        assert told(app, f"INSERT INTO people (id, name) VALUES (3, '{email}')") == "22023"
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            app.execute("UPDATE people SET name = %s WHERE id = 2", (email,))
        with (
            pytest.raises(psycopg.errors.InvalidParameterValue),
            app.cursor().copy("COPY people (id, name) FROM STDIN") as copy,
        ):
            copy.write_row((4, email))
        assert app.execute("SELECT count(*) FROM people WHERE name = %s", (name,)).fetchall() == [(2,)]
    filled.stop()


def test_a_stranger_that_a_result_shows(pg18: Server, shop: str, filled: Pgveil) -> None:
    pg18.psql("INSERT INTO people SELECT i, gen_random_uuid() FROM generate_series(10, 20000) i", shop)
    token = "01234567-89ab-8def-8123-456789abcdef"
    filled.start()
    with filled.connect(shop) as app:
        pg18.psql(f"UPDATE people SET email = NULL WHERE id > 1; INSERT INTO people VALUES (2, '{token}')", shop)
        app.execute("SELECT email FROM people WHERE id = 2")
        assert told(app, FIND) == "0A000 email"
        pg18.psql("DELETE FROM people WHERE id = 2", shop)
        filled.hangup()
        wait_for("the operator's word to count", lambda: told(app, FIND) == "ok")
    filled.stop()


def test_a_vault_that_cannot_be_written_is_not_ready(pg18: Server, shop: str, filled: Pgveil) -> None:
    filled.start()
    wait_for("readiness", lambda: ready(filled)[0] == 200)
    aside = filled.base / "aside"
    shutil.move(filled.base / "vault.db", aside)
    wait_for("the probe to fail", lambda: ready(filled)[1]["vault_writes"] is False, 30)
    shutil.move(aside, filled.base / "vault.db")
    wait_for("the probe to succeed", lambda: ready(filled)[0] == 200, 30)
    filled.stop()
