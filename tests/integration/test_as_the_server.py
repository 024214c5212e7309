"""What a pooler takes from its clients and pgveil does not: in all of this a link can't be told from the server.

Issue's list, item by item: process ID and cancel key, start-up parameters, ParameterStatus, last words, failed logins,
protocol versions, a cancel that comes late, and the end of the server session with its client. A protected table is in
the database and, where there is one, in the statement.
"""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from tests.kit.notation import Message
from tests.kit.pgveil import Pgveil
from tests.kit.process import wait_for
from tests.kit.servers import Server, create, find, fresh_database
from tests.kit.wireclient import WireClient, cancel, names

pytestmark = pytest.mark.server

POLICY = """\
version: 1
classes: {email: {kind: email}}
protect: {public.people: {email: email}}
roles: [{name: all, match: {user: "*"}, access: {default: reveal}}]
"""
ADA = "ada@example.com"
TABLE = "CREATE TABLE people(id int PRIMARY KEY, email text); GRANT ALL ON people TO PUBLIC"
READ = "SELECT email FROM people WHERE email = 'ada@example.com'"


@dataclass(frozen=True, slots=True)
class Scene:
    server: Server
    pgveil: Pgveil
    database: str

    def ports(self) -> tuple[int, int]:
        return self.server.port, self.pgveil.port


@pytest.fixture(scope="module")
def scene(pg: Server) -> Iterator[Scene]:
    with fresh_database(pg) as name:
        pg.psql(TABLE, name)
        with Pgveil.before(pg, name, {"people": POLICY}) as pgveil:
            with pgveil.connect(name) as link:
                link.execute("INSERT INTO people VALUES (1, %s)", (ADA,))
            yield Scene(pg, pgveil, name)


def one(link: "psycopg.Connection[Any]", sql: str) -> object:
    row = link.execute(sql.encode()).fetchone()
    assert row is not None
    return row[0]


def test_the_servers_process_id(scene: Scene) -> None:
    with scene.pgveil.connect(scene.database) as link, scene.pgveil.connect(scene.database) as other:
        assert link.info.backend_pid == one(link, "SELECT pg_backend_pid()")
        assert one(link, READ) == ADA
        assert one(other, f"SELECT pg_terminate_backend({link.info.backend_pid})") is True
        with pytest.raises(psycopg.errors.AdminShutdown, match="terminating connection due to administrator command"):
            link.execute(READ.encode())
        assert link.closed


def test_notifications_name_it(scene: Scene) -> None:
    """Channels may be called as a protected table is."""
    with scene.pgveil.connect(scene.database) as listener, scene.pgveil.connect(scene.database) as teller:
        listener.execute("LISTEN people")
        teller.execute("NOTIFY people, 'ada'")
        (heard,) = listener.notifies(timeout=10, stop_after=1)
        assert (heard.channel, heard.payload, heard.pid) == ("people", "ada", teller.info.backend_pid)
        listener.execute("UNLISTEN *")


def greeted(port: int, database: str, version: str = "3.0", **params: str) -> list[Message]:
    """All of a start-up, and what some SETs report; process IDs, keys and our own name left out."""
    with WireClient(port) as client:
        came = client.start(version, user="postgres", database=database, **params)
        came += client.query("SET client_encoding = 'latin1'; SET DateStyle = german")
        came += client.query("SELECT current_setting('search_path'), current_setting('work_mem', true)")
        return [message for message in came if message.name != "BackendKeyData"]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"options": "-c search_path=pg_catalog,public -c work_mem=5MB -c geqo=off", "application_name": "näme"},
        {"client_encoding": "LATIN1", "DateStyle": "SQL, DMY", "TimeZone": "Europe/Berlin", "work_mem": "6MB"},
        {"extra_float_digits": "2", "IntervalStyle": "iso_8601", "search_path": '"$user", public'},
    ],
    ids=str,
)
def test_start_up_parameters_and_what_the_server_reports(scene: Scene, params: dict[str, str]) -> None:
    direct, through = (greeted(port, scene.database, **params) for port in scene.ports())
    assert [str(message) for message in through] == [str(message) for message in direct]
    assert "ParameterStatus" in names(through)


@pytest.mark.parametrize(("least", "most"), [("", ""), ("3.0", "3.0"), ("", "3.2"), ("3.2", ""), ("", "latest")])
def test_what_libpq_asks_of_the_version(scene: Scene, least: str, most: str) -> None:
    if psycopg.pq.version() < 180000:
        pytest.skip("libpq before 18")
    asked = {"min_protocol_version": least, "max_protocol_version": most}
    given = {name: value for name, value in asked.items() if value}
    told: list[str] = []
    for way in (scene.server, scene.pgveil):
        try:
            with way.connect(scene.database, **given) as link:
                told.append(str(one(link, "SELECT count(*) FROM people WHERE email = 'x'")))
        except psycopg.OperationalError as refused:
            told.append(str(refused).rpartition("failed: ")[2])
    assert told[0] == told[1]


@pytest.mark.parametrize(
    "asked",
    [
        {"user": "scram_user", "password": "wrong"},
        {"user": "md5_user", "password": "wrong"},
        {"user": "password_user", "password": "wrong"},
        {"user": "nobody_of_that_name"},
        {"user": "postgres", "database": "no_such_database"},
        {"user": "postgres", "options": "-c no_such_setting=1"},
        {"user": "postgres", "work_mem": "much"},
    ],
    ids=str,
)
def test_the_servers_own_answer_to_a_failed_login(scene: Scene, asked: dict[str, str]) -> None:
    """Its SQLSTATE and its words, field by field, then the end."""
    said = []
    for port in scene.ports():
        with WireClient(port) as client, pytest.raises(AssertionError) as failed:
            client.start(**{"database": scene.database} | asked)
        said.append(str(failed.value))
    assert said[0] == said[1] and "ErrorResponse" in said[0]


@pytest.mark.parametrize("version", ["3.0", "3.2"])
def test_a_late_cancel_harms_nobody(scene: Scene, version: str) -> None:
    """It races with the end of its statement, and comes again when the next has begun: a link is cancelled or not, but
    never out of step."""
    with WireClient(scene.pgveil.port) as client:
        client.start(version, user="postgres", database=scene.database)
        for _ in range(20):
            client.send(f'Query "{READ}"')
            cancel(scene.pgveil.port, client.pid, client.key)
            came = names(client.read_until_ready())
            assert came[-1] == "ReadyForQuery" and came.count("ReadyForQuery") == 1
            assert came[0] in ("RowDescription", "ErrorResponse")
        wait_for("a statement that no cancel hits", lambda: ADA in str(client.query(READ)))


def test_the_server_session_ends_with_its_client(pg: Server, scene: Scene) -> None:
    """At once: the database can be dropped."""
    for number in range(5):
        name = f"dropped_{pg.version}_{number}"
        with pg.connect() as owner:
            owner.execute(f"CREATE DATABASE {name}".encode())
            link = scene.pgveil.connect(name)
            link.execute("SELECT 1")
            link.close()
            owner.execute(f"DROP DATABASE {name}".encode())  # it waits five seconds for sessions to end, then fails


@pytest.mark.parametrize("how", ["smart", "fast", "immediate"])
@pytest.mark.parametrize("version", ["15", "18"])
def test_the_servers_last_words(version: str, how: str) -> None:
    """A server that shuts down: what it says last, and the close, are what its own clients see."""
    install = find(version)
    if install is None:
        pytest.skip(f"PostgreSQL {version} is not installed")
    server = create(install)
    try:
        server.start()
        server.psql(TABLE)
        with Pgveil.before(server, "postgres", {"people": POLICY}) as pgveil:
            clients = [WireClient.login(port) for port in (server.port, pgveil.port)]
            for client in clients:
                assert names(client.query("SELECT email FROM people"))[-1] == "ReadyForQuery"
            if how == "smart":  # it waits for its clients, and takes no new ones
                server._process.send_signal(signal.SIGTERM)  # type: ignore[union-attr]
                wait_for("no new links", lambda: _turned_away(server.port))
                told = [_turned_away(port) for port in (server.port, pgveil.port)]
                assert told[0] == told[1] and "57P03" in told[0]
                for client in clients:
                    assert names(client.query("SELECT email FROM people"))[-1] == "ReadyForQuery"
                    client.close()
                wait_for("the server to end", lambda: not server.running)
                server._process = None
                return
            server.stop(signal.SIGINT if how == "fast" else signal.SIGQUIT)
            last = [[str(message) for message in client.read_to_end()] for client in clients]
            assert last[0] == last[1] and "57P01" in str(last[0])
            for client in clients:
                client.close()
    finally:
        server.close()


def _turned_away(port: int) -> str:
    with WireClient(port) as client:
        client.send('Startup 3.0 "user" "postgres" "database" "postgres"')
        first = client.read()
        return str(first) if first.name == "ErrorResponse" else ""
