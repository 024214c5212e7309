"""`upstream` as a list: which server a link goes to, what becomes of links whose server goes, where cancels go."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import get_args

import psycopg
import pytest

from proxy.kinds import Target
from tests.kit.messages import Message
from tests.kit.notation import Str
from tests.kit.pgveil import Pgveil
from tests.kit.process import wait_for
from tests.kit.servers import Server, create, find, free_port
from tests.kit.standbys import promote, replayed, standby_of
from tests.kit.wireclient import WireClient, cancel

pytestmark = pytest.mark.server

POLICY = """\
version: 1
classes: {email: {kind: email}}
protect: {public.people: {email: email}}
roles: [{name: all, match: {user: "*"}, access: {default: reveal}}]
"""
SLEEP = "SELECT pg_sleep(600)"


@contextmanager
def made(version: str) -> Iterator[tuple[Server, Server]]:
    """A primary and its standby."""
    install = find(version)
    if install is None:
        pytest.skip(f"PostgreSQL {version} is not installed")
    with ExitStack() as stack:
        primary = create(install)
        stack.callback(primary.close)
        primary.start()
        primary.psql("CREATE TABLE people(id int PRIMARY KEY, email text)")
        standby = standby_of(primary)
        stack.callback(standby.close)
        replayed(primary, standby)
        yield primary, standby


@pytest.fixture(params=["18", "15"], ids=["pg18", "pg15"])
def own(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Server]]:
    """Two that the test may ruin."""
    with made(request.param) as servers:
        yield servers


@pytest.fixture(scope="module", params=["18", "15"], ids=["pg18", "pg15"])
def shared(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Server]]:
    with made(request.param) as servers:
        yield servers


@pytest.fixture
def two(shared: tuple[Server, Server]) -> tuple[Server, Server]:
    """Two that run; the test may stop them."""
    for server in shared:
        if not server.running:
            server.start()
    return shared


def before(*servers: Server, **settings: object) -> Pgveil:
    upstream = [f"127.0.0.1:{each.port}" for each in servers]
    return Pgveil.before(servers[0], "postgres", {"people": POLICY}, upstream=upstream, **settings)


def port(connection: "psycopg.Connection") -> int:
    """The server's that the link has."""
    row = connection.execute("SELECT current_setting('port')::int").fetchone()
    assert row is not None
    return int(row[0])


def arrives(pgveil: Pgveil) -> int:
    """Where a new link goes."""
    with pgveil.connect() as connection:
        return port(connection)


@contextmanager
def refused(words: str) -> Iterator[None]:
    with pytest.raises(psycopg.OperationalError) as told:
        yield
    assert words in str(told.value)


def upstream(pgveil: Pgveil) -> dict[str, tuple[int, str]]:
    """What /readyz says: links and last try, by server."""
    told = json.loads(pgveil.page("/readyz")[1])["upstream"]
    return {each["server"]: (each["links"], each["last"]) for each in told}


def test_a_server_that_dies_and_one_that_takes_its_place(own: tuple[Server, Server]) -> None:
    primary, standby = own
    first, second = f"127.0.0.1:{primary.port}", f"127.0.0.1:{standby.port}"
    with before(primary, standby, target_session_attrs="primary") as pgveil, pgveil.connect() as old:
        old.execute("INSERT INTO people VALUES (1, 'ann@example.org')")
        assert port(old) == primary.port and upstream(pgveil)[first] == (1, "reached")
        replayed(primary, standby)
        primary.kill9()
        with pytest.raises(psycopg.OperationalError):
            old.execute("SELECT 1")
        with refused("is a standby"):
            pgveil.connect()
        promote(standby)
        new = wait_for("a link to the new primary", lambda: connected(pgveil), 10)
        with new:
            assert port(new) == standby.port
            new.execute("INSERT INTO people VALUES (2, 'bob@example.org')")
            rows = new.execute(
                "SELECT email FROM people WHERE email IN ('ann@example.org', 'bob@example.org')"
            ).fetchall()
            assert sorted(rows) == [("ann@example.org",), ("bob@example.org",)]
            assert upstream(pgveil) == {first: (0, "unjudged"), second: (1, "reached")}
            assert pgveil.metric("pgveil_upstream_links", server=second) == 1
            assert pgveil.metric("pgveil_upstream_dials_total", server=second, outcome="unfit") >= 1
        assert "example.org" not in standby.psql("SELECT * FROM people")
        assert "upstream-moved" in pgveil.log


def connected(pgveil: Pgveil) -> "psycopg.Connection | None":
    try:
        return pgveil.connect()
    except psycopg.OperationalError:
        return None


def test_any_server_in_order_and_back(two: tuple[Server, Server]) -> None:
    """A link that a shutdown ends has the server's own last words; the next goes to the next server."""
    primary, standby = two
    with before(primary, standby) as pgveil, pgveil.connect() as old:
        assert port(old) == primary.port
        primary.stop()
        with pytest.raises(psycopg.errors.AdminShutdown, match="terminating connection due to administrator command"):
            old.execute("SELECT 1")
        assert arrives(pgveil) == standby.port
        with pgveil.connect() as reader, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            reader.execute("INSERT INTO people VALUES (1, 'ann@example.org')")
        primary.start()
        assert arrives(pgveil) == primary.port
        assert pgveil.metric("pgveil_upstream_dials_total", server=f"127.0.0.1:{primary.port}", outcome="refused") >= 2


@pytest.mark.parametrize("turned", [False, True], ids=["primary-first", "standby-first"])
def test_what_libpq_chooses(two: tuple[Server, Server], turned: bool) -> None:
    """The same list given to libpq is the reference."""
    order = two[::-1] if turned else two
    ports = ",".join(str(each.port) for each in order)
    chosen = {}
    for target in get_args(Target):
        hosts = f"host=127.0.0.1,127.0.0.1 port={ports} user=postgres dbname=postgres target_session_attrs={target}"
        with psycopg.connect(hosts) as direct, before(*order, target_session_attrs=target) as pgveil:
            chosen[target] = port(direct)
            assert arrives(pgveil) == chosen[target], target
    assert len({*chosen.values()}) == 2  # they differ


def test_a_server_that_stands_still(two: tuple[Server, Server]) -> None:
    """It takes connections and says nothing. The next server has the link, and is tried first for a while."""
    primary, standby = two
    with before(primary, standby, timeouts={"connect": "300ms"}) as pgveil:
        os.kill(primary.pid, signal.SIGSTOP)
        try:
            assert arrives(pgveil) == standby.port
            os.kill(primary.pid, signal.SIGCONT)
            assert arrives(pgveil) == standby.port
            server = f"127.0.0.1:{primary.port}"
            assert pgveil.metric("pgveil_upstream_dials_total", server=server, outcome="timeout") == 1
        finally:
            os.kill(primary.pid, signal.SIGCONT)


def test_a_server_that_takes_no_connections_now(two: tuple[Server, Server]) -> None:
    """57P03 comes after the start-up packet: here from a server that waits for its last sessions."""
    primary, standby = two
    with before(primary, standby) as pgveil, primary.connect():
        os.kill(primary.pid, signal.SIGTERM)
        wait_for("the shutdown", lambda: shuts_down(primary))
        assert arrives(pgveil) == standby.port
        server = f"127.0.0.1:{primary.port}"
        assert pgveil.metric("pgveil_upstream_dials_total", server=server, outcome="not-accepting") == 1
        standby.stop()
        with refused(f"{server}: takes no connections now; 127.0.0.1:{standby.port}: ConnectionRefusedError"):
            pgveil.connect()


def shuts_down(server: Server) -> bool:
    try:
        server.connect().close()
    except psycopg.OperationalError as error:
        return "shutting down" in str(error)
    return False


def test_a_cancel_goes_to_the_server_of_its_link(two: tuple[Server, Server]) -> None:
    primary, standby = two
    with before(primary, standby) as pgveil:
        primary.stop()
        with WireClient.login(pgveil.port) as there:
            primary.start()
            with WireClient.login(pgveil.port) as here:
                assert upstream(pgveil) == {
                    f"127.0.0.1:{primary.port}": (1, "reached"),
                    f"127.0.0.1:{standby.port}": (1, "reached"),
                }
                seen = [len(each.log) for each in two]
                for link, server in ((there, standby), (here, primary)):
                    link.send(Message("Query", (Str(SLEEP.encode()),)))
                    wait_for("the sleep", lambda server=server: sleeps(server))  # type: ignore[misc]
                    cancel(pgveil.port, link.pid, link.key)
                    assert "57014" in str(link.read_until("ReadyForQuery"))
                for each, before_it in zip(two, seen, strict=True):
                    assert "cancel request" not in each.log[before_it:]


def sleeps(server: Server) -> bool:
    asked = f"SELECT count(*) FROM pg_stat_activity WHERE query = '{SLEEP}' AND wait_event = 'PgSleep'"
    return server.psql(asked).strip() == "1"


def test_check_looks_at_each(two: tuple[Server, Server], pg15: Server, pg18: Server) -> None:
    primary, standby = two
    nowhere = free_port()
    pgveil = before(primary, standby)
    try:
        pgveil.command("keys", "init")
        found = findings(pgveil)
        assert not [each for each in found if each["code"].startswith(("upstream", "unreachable"))]
        pgveil.write_config(
            upstream=[f"127.0.0.1:{primary.port}", f"127.0.0.1:{nowhere}"], target_session_attrs="standby"
        )
        found = findings(pgveil)
        assert [each["code"] for each in found if each["severity"] == "fault"] == ["unreachable", "upstream-unfit"]
        assert str(nowhere) in found[0]["message"] and "is a primary" in found[1]["message"]
        other = pg15 if primary.version == "18" else pg18  # servers of a version come from one template
        pgveil.write_config(
            upstream=[f"127.0.0.1:{primary.port}", f"127.0.0.1:{other.port}"], target_session_attrs="any"
        )
        assert [each["code"] for each in findings(pgveil) if each["severity"] == "fault"] == ["upstream-other"]
    finally:
        pgveil.close()


def findings(pgveil: Pgveil) -> list[dict[str, str]]:
    try:
        told = pgveil.command("check", "--json")
    except RuntimeError as failed:
        told = str(failed).partition(": ")[2]
    return list(json.loads(told[told.index("{") : told.rindex("}") + 1])["findings"])
