"""Several processes that serve links of one pgveil: shares, deaths, policies, DDL, one page of metrics."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
import psycopg
import pytest

from tests.kit.pgveil import Pgveil
from tests.kit.process import wait_for
from tests.kit.servers import Server, fresh_database
from tests.kit.wireclient import WireClient, cancel

pytestmark = pytest.mark.server

POLICY = """\
version: 1
classes: {email: {kind: email}}
protect: {public.people: {email: email}}
roles: [{name: all, match: {user: "*"}, access: {default: reveal}}]
"""
MASKED = POLICY.replace("default: reveal", "default: mask")
TIMES = 60  # 200 once, by hand: each reads the catalog in both workers


@pytest.fixture
def shop(pg18: Server) -> Iterator[str]:
    with fresh_database(pg18) as name:
        pg18.psql("CREATE TABLE people(id int, email text)", name)
        yield name


@pytest.fixture
def pgveil(pg18: Server, shop: str) -> Iterator[Pgveil]:
    settings = {"workers": 2, "policy_poll": "0.2s", "limits": {"connections": 8}, "timeouts": {"drain": "2s"}}
    with Pgveil.before(pg18, shop, {"people": POLICY}, **settings) as running:
        yield running


def ready(pgveil: Pgveil) -> tuple[int, dict[str, Any]]:
    status, body = pgveil.page("/readyz")
    return status, json.loads(body)


def shares(pgveil: Pgveil) -> list[int]:
    return [each["links"] for each in ready(pgveil)[1]["workers"]]


def workers(pgveil: Pgveil) -> list[psutil.Process]:
    return psutil.Process(pgveil.pid).children()


def count(pg: Server, shop: str) -> int:
    """Values in clear."""
    return int(pg.psql("SELECT count(*) FROM people WHERE email LIKE '%@%'", shop))


def test_links_are_shared_evenly_and_all_of_them_are_counted(pgveil: Pgveil, shop: str) -> None:
    links = [pgveil.connect(shop) for _ in range(6)]
    assert shares(pgveil) == [3, 3]
    for number, link in enumerate(links):
        link.execute("INSERT INTO people VALUES (%s, %s)", (number, f"{number}@example.com"))
    assert pgveil.metric("pgveil_open_links") == 6 and pgveil.metric("pgveil_workers") == 2
    assert pgveil.metric("pgveil_values_total", action="tokenised", **{"class": "email"}) == 6
    for link in links[::2]:
        link.close()
    wait_for("them to be gone", lambda: pgveil.metric("pgveil_open_links") == 3)
    more = [pgveil.connect(shop) for _ in range(5)]
    assert shares(pgveil) == [4, 4]
    with pytest.raises(psycopg.OperationalError, match="too many clients"):
        pgveil.connect(shop)
    for link in links + more:
        link.close()
    wait_for("places to be free", lambda: pgveil.metric("pgveil_open_links") == 0)
    pgveil.connect(shop).close()


def test_nobody_writes_in_clear_through_a_view_that_another_worker_made(
    pgveil: Pgveil, pg18: Server, shop: str
) -> None:
    maker, writer = pgveil.connect(shop), pgveil.connect(shop)
    assert shares(pgveil) == [1, 1]
    writer.execute("INSERT INTO people VALUES (0, 'first@example.com')")
    for _ in range(TIMES):
        maker.execute("CREATE VIEW v AS SELECT * FROM people")
        with suppress(psycopg.errors.FeatureNotSupported):
            writer.execute("INSERT INTO v VALUES (1, 'clear@example.com')")
        maker.execute("DROP VIEW v")
    assert count(pg18, shop) == 0
    maker.close()
    writer.close()


def test_a_table_of_the_same_name_that_another_worker_made_is_known(pgveil: Pgveil, pg18: Server, shop: str) -> None:
    """DDL that names nothing protected: what the other worker's link sends next means another table."""
    maker, writer = pgveil.connect(shop), pgveil.connect(shop, options="-c search_path=other,public")
    writer.execute("INSERT INTO people VALUES (1, 'first@example.com')")
    maker.execute("CREATE SCHEMA other")
    maker.execute("CREATE TABLE other.things(id int)")
    writer.execute("INSERT INTO people VALUES (2, 'second@example.com')")
    assert count(pg18, shop) == 0
    maker.close()
    writer.close()


def test_a_database_that_another_worker_made_again_is_another_one(pgveil: Pgveil, pg18: Server) -> None:
    with fresh_database(pg18) as name:
        pg18.psql("CREATE TABLE people(id int, note text, email text)", name)
        maker, reader = pgveil.connect(), pgveil.connect()
        for _ in range(2):  # both workers know it
            pgveil.connect(name).execute("INSERT INTO people VALUES (1, 'n', 'a@example.com')").connection.close()
        maker.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
        maker.execute(f"CREATE DATABASE {name}".encode())
        pg18.psql("CREATE TABLE people(id int, email text, note text)", name)
        for _ in range(2):
            with pgveil.connect(name) as link:
                link.execute("INSERT INTO people VALUES (1, 'a@example.com', 'n')")
        assert pg18.psql("SELECT count(*) FROM people WHERE email LIKE '%@%'", name).strip() == "0"
        maker.close()
        reader.close()


def test_a_worker_that_is_killed_takes_its_own_links_and_no_other(pgveil: Pgveil, shop: str) -> None:
    links = [pgveil.connect(shop) for _ in range(4)]
    for number, link in enumerate(links):
        link.execute("INSERT INTO people VALUES (%s, 'a@example.com')", (number,))
    before = pgveil.metric("pgveil_values_total", action="tokenised", **{"class": "email"})
    with pgveil.log_contains("worker-lost", 30):
        workers(pgveil)[0].kill()
    alive = 0
    for link in links:
        try:
            link.execute("SELECT email FROM people")
            alive += 1
        except psycopg.OperationalError:
            assert link.broken
        link.close()
    assert alive == 2
    wait_for("another one", lambda: ready(pgveil)[0] == 200, 30)
    assert pgveil.metric("pgveil_values_total", action="tokenised", **{"class": "email"}) == before == 4
    again = [pgveil.connect(shop) for _ in range(4)]
    assert shares(pgveil) == [2, 2]
    for link in again:
        assert link.execute("SELECT count(*) FROM people WHERE email = 'a@example.com'").fetchone() == (4,)
        link.close()


def test_all_have_one_policy(pgveil: Pgveil, shop: str) -> None:
    links = [pgveil.connect(shop) for _ in range(2)]
    links[0].execute("INSERT INTO people VALUES (1, 'ada@example.com')")

    def seen() -> set[object]:
        return {(link.execute("SELECT email FROM people").fetchone() or ("",))[0] for link in links}

    assert seen() == {"ada@example.com"}
    with pgveil.log_contains("policy-loaded", 30):
        pgveil.write_policy("people", MASKED)
        pgveil.hangup()
    wait_for("both to have it", lambda: len(seen()) == 1 and "ada@example.com" not in seen())
    with pgveil.log_contains("policy-fault", 30):
        pgveil.write_policy("people", POLICY.replace("kind: email", "kind: nosuch"))
        pgveil.hangup()
    assert "ada@example.com" not in seen()
    # Another normal form than that of the values there: the workers know it from the vault.
    with pgveil.log_contains("policy-fault", 30):
        pgveil.write_policy("people", POLICY.replace("kind: email", "kind: email, canonicalize: true"))
        pgveil.hangup()
    assert "ada@example.com" not in seen() and ready(pgveil)[1]["policy"]["faults"]
    with pgveil.log_contains("policy-loaded", 30):
        pgveil.write_policy("people", POLICY)
    wait_for("both to have it", lambda: seen() == {"ada@example.com"})
    assert len({each["policy"]["digest"] for each in ready(pgveil)[1]["workers"]}) == 1
    for link in links:
        link.close()


def test_workers_drain_with_their_supervisor(pgveil: Pgveil, shop: str) -> None:
    busy = [pgveil.connect(shop) for _ in range(2)]
    for link in busy:
        link.execute("BEGIN")
    processes = workers(pgveil)
    os.kill(pgveil.pid, signal.SIGTERM)
    wait_for("it to drain", lambda: "draining" in pgveil.log)
    for link in busy:
        link.execute("COMMIT")
    pgveil.stop()
    assert not any(each.is_running() for each in processes)
    for link in busy:
        link.close()


def test_a_supervisor_that_is_killed_leaves_nobody_behind(pgveil: Pgveil, shop: str) -> None:
    idle = pgveil.connect(shop)
    processes = workers(pgveil)
    pgveil.kill9()
    psutil.wait_procs(processes, 30)
    assert not any(each.is_running() for each in processes)
    with pytest.raises(psycopg.errors.AdminShutdown):
        idle.execute("SELECT 1")
    idle.close()
    pgveil.start()
    with pgveil.connect(shop) as link:
        assert link.execute("SELECT count(*) FROM people").fetchone() == (0,)


def test_a_cancel_request_reaches_its_link_whichever_worker_has_it(pgveil: Pgveil, pg18: Server, shop: str) -> None:
    links = [WireClient.login(pgveil.port, shop) for _ in range(2)]
    for link in links:
        link.send('Query "SELECT pg_sleep(600)"')
        asked = f"SELECT 1 FROM pg_stat_activity WHERE pid = {link.pid} AND state = 'active'"
        wait_for("it to run", lambda asked=asked: pg18.psql(asked).strip() == "1")  # type: ignore[misc]
        cancel(pgveil.port, link.pid, link.key)
        assert "57014" in "".join(map(str, link.read_until_ready()))
        link.close()


def test_a_client_that_says_nothing_has_a_place_until_it_leaves(pgveil: Pgveil) -> None:
    silent = [WireClient(pgveil.port) for _ in range(4)]
    wait_for("them to be there", lambda: sum(shares(pgveil)) == 4)
    for each in silent:
        each.close()
    wait_for("them to be gone", lambda: sum(shares(pgveil)) == 0)


def test_what_a_worker_can_not_start_for_is_told(pg18: Server, shop: str) -> None:
    pgveil = Pgveil.before(pg18, shop, {"people": POLICY}, workers=2)
    pgveil.command("keys", "init")
    (pgveil.base / "keys.json").write_text("{}")
    with pytest.raises(RuntimeError, match="exit 2"):
        pgveil.start()
    pgveil.close()
