"""Links as clients and operators meet them: log-in, Unix sockets, cancel, drain, bounds, rubbish."""

import os
import signal
import struct
import subprocess
from collections.abc import Iterator

import psycopg
import pytest

from tests.kit.notation import Str
from tests.kit.pgveil import Pgveil
from tests.kit.process import wait_for
from tests.kit.servers import Server, fresh_database
from tests.kit.wireclient import WireClient, cancel, names

pytestmark = pytest.mark.server

POLICY = """\
version: 1
classes: {email: {kind: email}}
protect: {public.people: {email: email}}
roles: [{name: all, match: {user: "*"}, access: {default: reveal}}]
"""
SLEEP = "SELECT pg_sleep(600)"


@pytest.fixture(scope="module")
def shop(pg: Server) -> Iterator[str]:
    with fresh_database(pg) as name:
        pg.psql("CREATE TABLE people(id int PRIMARY KEY, email text); GRANT ALL ON people TO PUBLIC", name)
        yield name


@pytest.fixture(scope="module")
def pgveil(pg: Server, shop: str) -> Iterator[Pgveil]:
    with Pgveil.before(pg, shop, {"people": POLICY}) as running:
        yield running


@pytest.fixture
def own(pg: Server, shop: str) -> Iterator[Pgveil]:
    """One that the test may stop."""
    with Pgveil.before(pg, shop, {"people": POLICY}) as own:
        yield own


def running(server: Server, query: str) -> list[int]:
    """Process ids of the server sessions that run it now."""
    asked = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE %s"
    with server.connect() as connection:
        return [pid for (pid,) in connection.execute(asked, (query + "%",)).fetchall()]


# ---- log-in


@pytest.mark.parametrize("user", ["postgres", "scram_user", "md5_user", "password_user"])
def test_log_in_by_every_method(pgveil: Pgveil, shop: str, user: str) -> None:
    with pgveil.connect(shop, user) as connection:
        assert connection.execute("SELECT session_user, current_database()").fetchone() == (user, shop)
        assert connection.execute("SELECT email FROM people WHERE id = -1").fetchall() == []


@pytest.mark.parametrize("user", ["scram_user", "md5_user", "password_user"])
def test_a_wrong_password_gets_the_servers_answer(pgveil: Pgveil, shop: str, user: str) -> None:
    with pytest.raises(psycopg.OperationalError, match=f'password authentication failed for user "{user}"'):
        psycopg.connect(f"postgresql://{user}:wrong@127.0.0.1:{pgveil.port}/{shop}")


@pytest.mark.parametrize("version", ["3.0", "3.2"])
def test_both_protocol_versions(pgveil: Pgveil, pg: Server, shop: str, version: str) -> None:
    with WireClient(pgveil.port) as client:
        client.start(version, user="scram_user", database=shop)
        assert len(client.key) == (32 if version == "3.2" and pg.version == "18" else 4)
        assert names(client.query("SELECT email FROM people WHERE false"))[-1] == "ReadyForQuery"


def test_no_such_database_is_the_servers_error(pgveil: Pgveil) -> None:
    with pytest.raises(psycopg.OperationalError, match='database "nosuch" does not exist'):
        pgveil.connect("nosuch")


def test_unix_sockets_on_both_sides(pg: Server, shop: str) -> None:
    pgveil = Pgveil.before(pg, shop, {"people": POLICY})
    pgveil.write_config(listen=f"unix:{pgveil.base}:{pgveil.port}", upstream=f"unix:{pg.socket_dir}:{pg.port}")
    path = pgveil.base / f".s.PGSQL.{pgveil.port}"
    with pgveil:
        dsn = f"host={pgveil.base} port={pgveil.port} dbname={shop}"
        with psycopg.connect(f"{dsn} user=scram_user password=secret-scram_user") as connection:
            connection.execute("INSERT INTO people VALUES (100, 'unix@example.com')")
            got = connection.execute("SELECT email, inet_client_addr() FROM people WHERE id = 100").fetchone()
            assert got == ("unix@example.com", None)
            connection.rollback()
        assert path.is_socket()
        pgveil.stop()
        assert not path.exists()


# ---- cancel


def test_peer_71_a_driver_cancels_its_statement(pgveil: Pgveil, pg: Server, shop: str) -> None:
    with pgveil.connect(shop) as connection:
        connection.pgconn.send_query(SLEEP.encode())
        wait_for("the statement to run", lambda: running(pg, SLEEP))
        connection.cancel_safe(timeout=10)
        result = connection.pgconn.get_result()
        assert result is not None and result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"57014"
        while connection.pgconn.get_result():
            pass
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_cancel_with_a_wrong_key_does_nothing(pgveil: Pgveil, pg: Server, shop: str) -> None:
    with WireClient.login(pgveil.port, shop) as client:
        client.send(f'Query "{SLEEP}"')
        wait_for("the statement to run", lambda: running(pg, SLEEP))
        cancel(pgveil.port, client.pid, bytes(len(client.key)))
        with pytest.raises(TimeoutError):
            client.read(0.2)
        cancel(pgveil.port, client.pid, client.key)
        assert "57014" in str(client.read_until("ErrorResponse")[-1])


def test_psql_cancels_on_ctrl_c(pgveil: Pgveil, pg: Server, shop: str) -> None:
    slow = "SELECT pg_sleep(601)"
    argv = [pg.install.tool("psql"), "-XAt", "-d", pgveil.dsn(shop), "-c", slow]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as psql:
        wait_for("psql's statement to run", lambda: running(pg, slow))
        psql.send_signal(signal.SIGINT)
        out, err = psql.communicate(timeout=20)
    assert "canceling statement due to user request" in err
    assert out == ""


# ---- shutdown


def test_drain_lets_a_transaction_end_and_sends_idle_links_away(own: Pgveil, shop: str) -> None:
    idle = WireClient.login(own.port, shop)
    busy = own.connect(shop)
    busy.execute("BEGIN")
    busy.execute("INSERT INTO people VALUES (200, 'drain@example.com')")
    pid = own.pid
    os.kill(pid, signal.SIGTERM)
    with idle:
        error = idle.expect("ErrorResponse")
        assert "57P01" in str(error) and "FATAL" in str(error)
        assert idle.read_to_end() == []
    refused = wait_for("the listener to close", lambda: _refused(own, shop))
    assert isinstance(refused, psycopg.OperationalError)
    assert busy.execute("SELECT email FROM people WHERE id = 200").fetchone() == ("drain@example.com",)
    busy.execute("DELETE FROM people WHERE id = 200")
    busy.execute("COMMIT")
    own.stop()
    with pytest.raises(psycopg.errors.AdminShutdown):
        busy.execute("SELECT 1")
    busy.close()


def _refused(pgveil: Pgveil, database: str) -> psycopg.OperationalError | None:
    try:
        pgveil.connect(database).close()
    except psycopg.OperationalError as error:
        return error
    return None


def test_drain_has_a_bound(pg: Server, shop: str) -> None:
    with Pgveil.before(pg, shop, {"people": POLICY}, timeouts={"drain": "0.2s"}) as own:
        busy = own.connect(shop)
        busy.execute("BEGIN")
        own.stop()
        with pytest.raises(psycopg.OperationalError):
            busy.execute("SELECT 1")
        busy.close()


# ---- bounds


def test_too_many_connections(pg: Server, shop: str) -> None:
    with Pgveil.before(pg, shop, {"people": POLICY}, limits={"connections": 2}) as own:
        first, second = WireClient.login(own.port, shop), own.connect(shop)
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            own.connect(shop)
        with WireClient(own.port) as third:
            third.send('Startup 3.0 "user" "postgres"')
            assert "53300" in str(third.expect("ErrorResponse"))
            assert third.read_to_end() == []
        first.send(f'Query "{SLEEP}"')
        wait_for("the statement to run", lambda: running(pg, SLEEP))
        cancel(own.port, first.pid, first.key)
        assert "57014" in str(first.read_until("ErrorResponse")[-1]), "a cancel needs no place"
        first.close()
        wait_for("a place", lambda: own.metric("pgveil_open_links") == 1)
        own.connect(shop).close()
        second.close()


def test_a_silent_client_is_sent_away(pg: Server, shop: str) -> None:
    with Pgveil.before(pg, shop, {"people": POLICY}, timeouts={"startup": "0.2s"}) as own, WireClient(own.port) as one:
        assert one.read_to_end() == []
        wait_for("the link to end", lambda: own.metric("pgveil_open_links") == 0)


def test_a_client_without_a_statement_is_told_what_the_server_would_tell(pg: Server, shop: str) -> None:
    """idle_session_timeout of the server, timeouts.idle of pgveil: the same words; a transaction is left alone."""
    words = []
    with Pgveil.before(pg, shop, {"people": POLICY}, timeouts={"idle": "0.2s"}) as own:
        with (
            own.connect(shop) as busy,
            WireClient.login(pg.port, shop) as direct,
            WireClient.login(own.port, shop) as through,
        ):
            busy.execute("BEGIN")
            direct.query("SET idle_session_timeout = '200ms'")
            for client in (direct, through):
                (told,) = client.read_to_end()
                words.append([arg for arg in told.args if isinstance(arg, Str)][:4])
            assert busy.execute("SELECT 1").fetchone() == (1,)
        wait_for("the link to end", lambda: own.metric("pgveil_links_total", outcome="idle") >= 1)
    assert words[0] == words[1]


# ---- requests before the start, rubbish


def test_peer_70_encryption_is_declined_and_the_link_goes_on_in_plain(pgveil: Pgveil, shop: str) -> None:
    with WireClient(pgveil.port) as client:
        for request in ("SSLRequest", "GSSENCRequest"):
            client.send(request)
            assert client.read_byte() == b"N"
        client.start(user="postgres", database=shop)
        assert names(client.query("SELECT 1"))[-1] == "ReadyForQuery"


def test_sslmode_require_is_told_that_there_is_no_tls(pgveil: Pgveil, shop: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="does not support SSL"):
        pgveil.connect(shop, sslmode="require")


@pytest.mark.parametrize("request_name", ["SSLRequest", "GSSENCRequest"])
def test_peer_69_bytes_behind_an_encryption_request_close_the_link(pgveil: Pgveil, request_name: str) -> None:
    with WireClient(pgveil.port) as client:
        client.send(request_name, 'Startup 3.0 "user" "postgres"')
        assert names(client.read_to_end()) in ([], ["ErrorResponse"])


RUBBISH = {
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a length of zero": bytes(8),
    "a length of two gigabytes": struct.pack("!ii", 0x7FFFFFFF, 196608),
    "a negative length": struct.pack("!ii", -5, 196608),
    "an unknown version": struct.pack("!ii", 8, 0x00630000),
    "a TLS ClientHello": bytes.fromhex("16030100c8010000c40303"),
}


@pytest.mark.parametrize("rubbish", RUBBISH.values(), ids=RUBBISH.keys())
def test_peer_68_rubbish_before_the_start_closes_that_link_only(pgveil: Pgveil, shop: str, rubbish: bytes) -> None:
    with pgveil.connect(shop) as other, WireClient(pgveil.port) as client:
        client.send(rubbish)
        client.read_to_end()
        assert other.execute("SELECT count(*) FROM people WHERE id < 0").fetchone() == (0,)


LATER = {
    "an unknown message": b"\x01" + struct.pack("!i", 4),
    "a length of three": b"Q" + struct.pack("!i", 3),
    "a negative length": b"Q" + struct.pack("!i", -1),
    "a length above a gigabyte": b"Q" + struct.pack("!i", 0x7FFFFFFF),
    "a Query without its end": b"Q" + struct.pack("!i", 12) + b"SELECT 1",
    "a Bind that lies about its parameters": (
        b"P"
        + struct.pack("!i", 10)
        + b"\0--\0\0\0"
        + b"B"
        + struct.pack("!i", 12)
        + b"\0\0"
        + struct.pack("!hhh", 0, 9, 0)
    ),
    "a Parse that ends early": b"P" + struct.pack("!i", 6) + b"a\0",
}


@pytest.mark.parametrize("rubbish", LATER.values(), ids=LATER.keys())
def test_peer_68_rubbish_after_the_start_harms_that_link_only(pgveil: Pgveil, shop: str, rubbish: bytes) -> None:
    """As with the server itself: a lost frame ends the link, a bad message in a sound frame may be an ERROR."""
    with pgveil.connect(shop) as other:
        with WireClient.login(pgveil.port, shop) as client:
            client.send(rubbish, "Sync")
            assert "08P01" in str(client.read_until("ErrorResponse")[-1])
        assert other.execute("SELECT count(*) FROM people WHERE id < 0").fetchone() == (0,)


def test_no_link_is_left(pg: Server, shop: str) -> None:
    """Clients that end in every manner: a Terminate, a bare close, in the middle of a message, of a transaction."""
    with Pgveil.before(pg, shop, {"people": POLICY}) as own:
        own.connect(shop).close()
        for last in (b"", b"Q\0\0\0", b"Q" + struct.pack("!i", 11) + b"BEGIN;\0"):
            with WireClient.login(own.port, shop) as client:
                client.send(last)
        with WireClient(own.port) as client:
            client.send(b"\0\0")
        wait_for("all links to end", lambda: own.metric("pgveil_open_links") == 0)
        wait_for("all server sessions to end", lambda: not _sessions(pg, shop))
        assert own.metric("pgveil_errors_total", kind="other") == 0


def _sessions(server: Server, database: str) -> int:
    """Client sessions in the database, the catalog reader's (which asks and leaves) too."""
    with server.connect() as connection:
        row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", (database,)).fetchone()
        assert row is not None
        return int(row[0])


def test_a_second_process_on_the_address_says_so(pgveil: Pgveil, pg: Server, shop: str) -> None:
    second = Pgveil.before(pg, shop, listen=f"127.0.0.1:{pgveil.port}")
    with pytest.raises(RuntimeError, match=rf"exit 3:\npgveil: the address 127.0.0.1:{pgveil.port} is not reachable"):
        second.start()
    second.close()
