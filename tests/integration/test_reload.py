"""Policies that change while links are open, configuration with faults, things that are gone and come back."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.kit.pgveil import Pgveil
from tests.kit.process import wait_for
from tests.kit.servers import Server, create, find, free_port, fresh_database
from tests.kit.wireclient import WireClient

pytestmark = pytest.mark.server

POLICY = """\
version: 1
classes: {email: {kind: email}, name: {kind: name}}
protect: {public.people: {email: email}}
roles: [{name: all, match: {user: "*"}, access: {default: reveal}}]
"""
MASKED = POLICY.replace("default: reveal", "default: mask")
WIDER = POLICY.replace("{email: email}}", "{email: email, name: name}}")
ADA = "ada@example.com"
FIND = "SELECT email FROM people WHERE id = %s"


@pytest.fixture
def shop(pg18: Server) -> Iterator[str]:
    with fresh_database(pg18) as name:
        pg18.psql("CREATE TABLE people(id int PRIMARY KEY, email text, name text)", name)
        yield name


@pytest.fixture
def pgveil(pg18: Server, shop: str) -> Iterator[Pgveil]:
    with Pgveil.before(pg18, shop, {"people": POLICY}, policy_poll="0.1s") as running:
        yield running


def change(pgveil: Pgveil, policy: str, says: str = "policy-loaded") -> None:
    with pgveil.log_contains(says):
        pgveil.write_policy("people", policy)
        pgveil.hangup()


def one(link: "psycopg.Connection[Any]", sql: str, *params: object, prepare: bool = False) -> object:
    row = link.execute(sql.encode(), params, prepare=prepare).fetchone()
    assert row is not None
    return row[0]


def ready(pgveil: Pgveil) -> tuple[int, dict[str, Any]]:
    status, body = pgveil.page("/readyz")
    return status, json.loads(body)


# ---- policies


@pytest.mark.parametrize("hangup", [True, False], ids=["SIGHUP", "file change"])
def test_peer_91_a_change_counts_from_the_next_message_on(pgveil: Pgveil, shop: str, hangup: bool) -> None:
    with pgveil.connect(shop) as link:
        link.execute("INSERT INTO people (id, email) VALUES (1, %s)", (ADA,))
        assert one(link, FIND, 1, prepare=True) == ADA
        backend = link.info.backend_pid
        for policy, revealed in ((MASKED, False), (POLICY, True)):
            with pgveil.log_contains("policy-loaded"):
                pgveil.write_policy("people", policy)
                if hangup:
                    pgveil.hangup()
            assert (one(link, FIND, 1, prepare=True) == ADA) is revealed
            assert (one(link, "SELECT email FROM people WHERE id = 1") == ADA) is revealed
        assert link.info.backend_pid == backend
    assert pgveil.metric("pgveil_policy_reloads_total", outcome="loaded") == 2


def test_a_column_protected_from_now_on(pgveil: Pgveil, pg18: Server, shop: str) -> None:
    insert = "INSERT INTO people (id, name) VALUES (%s, %s)"
    with pgveil.connect(shop) as link:
        link.execute(insert, (1, "Plain Name"), prepare=True)
        change(pgveil, WIDER)
        # A statement that was prepared under the old policy may be refused, never be sent as it was.
        try:
            link.execute(insert, (2, "Hidden Name"), prepare=True)
        except psycopg.errors.FeatureNotSupported:
            link.execute(insert, (2, "Hidden Name"), prepare=False)
        assert one(link, "SELECT name FROM people WHERE id = 2") == "Hidden Name"
        assert one(link, "SELECT name FROM people WHERE id = 1") == "Plain Name"
    assert "Hidden" not in pg18.psql("SELECT name FROM people", shop)


def test_a_policy_for_a_database_that_had_none(pg18: Server, shop: str) -> None:
    with Pgveil.before(pg18, shop, {"people": "version: 1\nclasses: {}\nprotect: {}\nroles: []\n"}) as pgveil:
        with pgveil.connect(shop) as link:
            link.execute("INSERT INTO people (id, email) VALUES (1, 'before@example.com')")
            change(pgveil, POLICY)
            link.execute("INSERT INTO people (id, email) VALUES (2, %s)", (ADA,))
            assert one(link, FIND, 2) == ADA
        assert ADA not in pg18.psql("SELECT email FROM people", shop)


def test_a_bad_policy_keeps_the_old_one_and_shouts(pgveil: Pgveil, pg18: Server, shop: str) -> None:
    with pgveil.connect(shop) as link:
        change(pgveil, POLICY.replace("email: email}", "email: nosuch}"), "policy-fault")
        wait_for("the metric", lambda: pgveil.metric("pgveil_policy_reloads_total", outcome="failed") == 1)
        status, details = ready(pgveil)
        assert status == 200, "the old policy protects as before"
        assert "people.yaml:3" in details["policy"]["faults"][0] and "nosuch" in details["policy"]["faults"][0]
        link.execute("INSERT INTO people (id, email) VALUES (1, %s)", (ADA,))
        assert one(link, FIND, 1) == ADA
        assert ADA not in pg18.psql("SELECT email FROM people", shop)
        change(pgveil, MASKED)
        assert ready(pgveil)[1]["policy"]["faults"] == []
        assert one(link, FIND, 1) != ADA


def test_policy_files_that_vanish_keep_the_old_policy(pgveil: Pgveil, shop: str) -> None:
    with pgveil.connect(shop) as link:
        link.execute("INSERT INTO people (id, email) VALUES (1, %s)", (ADA,))
        with pgveil.log_contains("policy-fault"):
            os.unlink(pgveil.base / "policies" / "people.yaml")
            pgveil.hangup()
        assert one(link, FIND, 1) == ADA


def test_the_pages_of_the_admin_port(pgveil: Pgveil, shop: str) -> None:
    with pgveil.connect(shop) as link:
        link.execute("INSERT INTO people (id, email) VALUES (1, %s)", (ADA,))
        assert one(link, FIND, 1) == ADA
        assert pgveil.metric("pgveil_open_links") == 1
        assert pgveil.metric("pgveil_values_total", action="revealed", **{"class": "email"}) == 1
    assert pgveil.page("/healthz")[0] == 200
    status, details = ready(pgveil)
    assert status == 200 and details["vault"] is True and details["policy"]["faults"] == []
    assert pgveil.page("/nosuch")[0] == 404
    assert ADA not in pgveil.page("/metrics")[1]


# ---- faults of configuration


def attempt(config: str, tmp_path: Path, *command: str) -> tuple[int, str]:
    """Exit code and error output of `pgveil COMMAND` with that configuration."""
    path = tmp_path / "pgveil.yaml"
    path.write_text(config)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PGVEIL_")}
    done = subprocess.run(
        [sys.executable, "-m", "proxy.cli", *command, "-c", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    return done.returncode, done.stderr


SOUND = """\
listen: 127.0.0.1:{port}
upstream: 127.0.0.1:1
catalog: postgresql://postgres@127.0.0.1:1/postgres
policies: [people.yaml]
vault: sqlite:///{base}/vault.db
keys: file:{base}/keys.json
admin: off
"""


def test_all_faults_of_the_configuration_at_once(tmp_path: Path) -> None:
    faulty = "listen: nowhere:port\nupstream: 127.0.0.1:5432\nsomething: else\nlimits: {connections: many}\n"
    code, told = attempt(faulty, tmp_path, "run")
    assert code == 2
    for wanted in ("pgveil.yaml:1", "pgveil.yaml:3", "something", "pgveil.yaml:4", "connections", "vault", "keys"):
        assert wanted in told


def test_all_faults_of_the_policy_at_once(tmp_path: Path) -> None:
    (tmp_path / "people.yaml").write_text(POLICY.replace("kind: email", "kind: mail").replace("name: all, ", ""))
    code, told = attempt(SOUND.format(port=free_port(), base=tmp_path), tmp_path, "run")
    assert code == 2 and "people.yaml:2" in told and "people.yaml:4" in told


def test_a_key_that_is_not_the_vaults(pg18: Server, shop: str) -> None:
    pgveil = Pgveil.before(pg18, shop, {"people": POLICY})
    pgveil.start()
    pgveil.stop()
    os.unlink(pgveil.base / "keys.json")
    pgveil.command("keys", "init")
    with pytest.raises(RuntimeError, match="exit 2"):
        pgveil.start()
    (pgveil.base / "keys.json").write_text("{}")
    with pytest.raises(RuntimeError, match="exit 2"):
        pgveil.start()
    pgveil.close()


def test_no_key_file(tmp_path: Path) -> None:
    (tmp_path / "people.yaml").write_text(POLICY)
    code, told = attempt(SOUND.format(port=free_port(), base=tmp_path), tmp_path, "run")
    assert code == 2 and "keys" in told


# ---- gone, and back


@pytest.fixture
def own() -> Iterator[Server]:
    """A server that the test may stop."""
    install = find("18")
    if install is None:
        pytest.skip("PostgreSQL 18 is not installed")
    server = create(install)
    try:
        server.start()
        server.psql("CREATE TABLE people(id int PRIMARY KEY, email text, name text)")
        yield server
    finally:
        server.close()


def test_a_server_that_is_gone_and_comes_back(own: Server) -> None:
    with Pgveil.before(own, policies={"people": POLICY}) as pgveil:
        link = pgveil.connect()
        link.execute("INSERT INTO people (id, email) VALUES (1, %s)", (ADA,))
        own.stop()
        with link, pytest.raises(psycopg.OperationalError) as caught:
            link.execute("SELECT 1")
        assert caught.value.sqlstate in ("57P01", None)
        with pytest.raises(psycopg.OperationalError, match=rf"127\.0\.0\.1:{own.port} is not reachable"):
            pgveil.connect()
        wait_for("no link", lambda: pgveil.metric("pgveil_open_links") == 0)
        own.start()
        with pgveil.connect() as again:
            assert one(again, FIND, 1) == ADA


def test_a_server_that_is_killed_in_the_middle(own: Server) -> None:
    with Pgveil.before(own, policies={"people": POLICY}) as pgveil:
        with WireClient.login(pgveil.port) as link:
            link.query("SELECT 1")  # the catalog is known, so that nothing else is missed
            link.send('Query "SELECT pg_sleep(600)"')
            own.kill9()
            assert link.read_to_end() == []
        wait_for("no link", lambda: pgveil.metric("pgveil_open_links") == 0)
        own.start()
        with pgveil.connect() as again:
            assert one(again, "SELECT 1") == 1


def test_a_catalog_that_can_not_be_read(pg18: Server, shop: str) -> None:
    """Such a link is told so; with the account back, the next one goes on."""
    pg18.psql("CREATE ROLE catalog_reader LOGIN")
    try:
        catalog = pg18.dsn(shop, "catalog_reader")
        pg18.psql("ALTER ROLE catalog_reader NOLOGIN")
        with Pgveil.before(pg18, shop, {"people": POLICY}, catalog=catalog) as pgveil:
            wait_for("/readyz to say so", lambda: ready(pgveil)[0] == 503)
            assert ready(pgveil)[1]["catalogs_unread"] == [shop]
            for _ in range(2):
                with WireClient.login(pgveil.port, shop) as link:
                    told = str(link.expect("ErrorResponse"))
                    assert "57P03" in told and "catalog" in told and "not reachable" in told
                    assert link.read_to_end() == []
            wait_for("no link", lambda: pgveil.metric("pgveil_open_links") == 0)
            pg18.psql("ALTER ROLE catalog_reader LOGIN")
            with pgveil.connect(shop) as back:
                back.execute("INSERT INTO people (id, email) VALUES (1, %s)", (ADA,))
                assert one(back, FIND, 1) == ADA
            assert ready(pgveil)[0] == 200
    finally:
        pg18.psql("DROP ROLE catalog_reader")


def test_sighup_without_a_change_says_so(pgveil: Pgveil) -> None:
    with pgveil.log_contains("policy-same"):
        os.kill(pgveil.pid, signal.SIGHUP)
