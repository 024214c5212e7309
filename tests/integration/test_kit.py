"""The kit's own promises, on real servers."""

import socket
import struct
from collections.abc import Iterator
from dataclasses import replace

import psutil
import psycopg
import pytest

from tests.kit.chaos import Chaos, Plan
from tests.kit.differ import WAYS, Pair, Param, Way, judge, outcomes, refusal
from tests.kit.notation import Message
from tests.kit.process import wait_for
from tests.kit.servers import Server, fresh_database
from tests.kit.wireclient import WireClient, cancel, names

pytestmark = pytest.mark.server


def test_the_server_is_the_version_it_says(pg: Server) -> None:
    assert pg.psql("SHOW server_version").startswith(pg.version)


def test_databases_are_fresh(pg: Server, database: str) -> None:
    assert pg.psql("CREATE TABLE t(a int); INSERT INTO t VALUES (1); SELECT count(*) FROM t", database) == "1\n"


@pytest.mark.parametrize("user", ["scram_user", "md5_user", "password_user"])
def test_accounts_ask_for_their_password(pg: Server, user: str) -> None:
    with pg.connect(user=user) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (user,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://{user}:wrong@127.0.0.1:{pg.port}/postgres")


def test_a_killed_server_comes_back_on_its_port(pg: Server, database: str) -> None:
    port = pg.port
    pg.kill9()
    with pytest.raises(psycopg.OperationalError):
        pg.connect(database)
    with pg.log_contains("database system is ready to accept connections"):
        pg.start()
    assert pg.port == port
    assert pg.psql("SELECT 1", database) == "1\n"


@pytest.mark.parametrize("user", ["postgres", "scram_user", "md5_user", "password_user"])
@pytest.mark.parametrize("version", ["3.0", "3.2"])
def test_the_wire_client_logs_in(pg: Server, user: str, version: str) -> None:
    with WireClient(pg.port) as client:
        client.start(version, user=user, database="postgres")
        assert client.parameters["server_version"].startswith(pg.version)
        assert len(client.key) == (32 if version == "3.2" and pg.version == "18" else 4)
        assert [str(m) for m in client.query("SELECT 1 a")][1:] == [
            "DataRow ['1']",
            'CommandComplete "SELECT 1"',
            "ReadyForQuery I",
        ]


def test_the_wire_client_cancels(pg: Server, database: str) -> None:
    with WireClient.login(pg.port, database) as client:
        client.send('Query "select pg_sleep(60)"')
        with pg.connect() as other:
            wait_for(
                "the query to run",
                lambda: other.execute("SELECT 1 FROM pg_stat_activity WHERE query ~ '^select pg_sleep'").fetchall(),
            )
        cancel(pg.port, client.pid, client.key)
        assert "57014" in str(client.read_until("ErrorResponse")[-1])


LOOP = "Query \"SELECT repeat('x', 100)\""


def test_chaos_that_does_nothing_is_a_proxy(pg18: Server) -> None:
    with Chaos(pg18.port) as chaos, WireClient.login(chaos.port) as client:
        assert names(client.query("SELECT 1")) == ["RowDescription", "DataRow", "CommandComplete", "ReadyForQuery"]
        assert chaos.counts["to_client"] == len(client.received)


def test_chaos_cuts_after_so_many_bytes(pg18: Server) -> None:
    with Chaos(pg18.port) as chaos:
        with WireClient.login(chaos.port) as client:
            before = len(client.received)
        chaos.plan = Plan("to_client", before + 7, "cut")
        with WireClient.login(chaos.port) as client:
            client.send(LOOP)
            assert names(iter(client.read, Message("EOF"))) == ["Rest"]
            assert len(client.received) == before + 7


def test_chaos_resets(pg18: Server) -> None:
    with Chaos(pg18.port) as chaos:
        chaos.plan = Plan("to_server", 4, "reset")
        with WireClient(chaos.port) as client:
            client.send("SSLRequest")
            with pytest.raises(ConnectionResetError):
                client.socket.recv(1)


def test_chaos_stalls_until_released(pg18: Server) -> None:
    with Chaos(pg18.port) as chaos:
        chaos.plan = Plan("to_server", 4, "stall")
        with WireClient(chaos.port) as client:
            client.send("SSLRequest")
            assert chaos.reached.wait(5)
            assert chaos.counts["to_server"] == 4
            chaos.release()
            assert client.read_byte() == b"N"


def test_chaos_dribbles(pg18: Server) -> None:
    with Chaos(pg18.port) as chaos:
        chaos.plan = Plan("to_client", 0, "dribble")
        with WireClient.login(chaos.port) as client:
            assert names(client.query("SELECT 1"))[-1] == "ReadyForQuery"


def vanish(client: WireClient) -> None:
    """Gone without a word: close sends RST (socket(7))."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def established(chaos: Chaos) -> list[object]:
    """Connections from or to the proxy that some process still holds open."""
    return [
        one
        for one in psutil.Process().net_connections("tcp")
        if one.status != "LISTEN" and one.laddr and chaos.port in (one.laddr[1], *one.raddr[1:])
    ]


def test_chaos_closes_both_sides_when_one_is_gone(pg18: Server) -> None:
    """A relay whose send fails lets go of the other side too: the server sees the end at once."""
    with Chaos(pg18.port) as chaos, pg18.connect() as other:
        client = WireClient.login(chaos.port)
        client.send("Query \"SELECT repeat('x', 1000000) FROM generate_series(1, 1000)\"")
        client.read_frame()
        pid = client.pid
        vanish(client)
        look = "SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)"
        wait_for("the server session to end", lambda: other.execute(look, (pid,)).fetchall())
        wait_for("the relay to end", lambda: established(chaos) == [])


def test_chaos_outlives_a_server_that_is_not_there() -> None:
    """Whoever connects meanwhile is told so by an end, not left waiting."""
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = int(reserved.getsockname()[1])
    with Chaos(port) as chaos:
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", chaos.port), 5) as client:
                assert client.recv(1) == b""


@pytest.fixture
def differ(pg18: Server) -> Iterator[Pair]:
    """Two equal databases: in one, the second connection would wait for what the first holds."""
    with fresh_database(pg18) as one, fresh_database(pg18) as other:
        for name in (one, other):
            pg18.psql("CREATE TABLE t(a int, b text); INSERT INTO t VALUES (1, 'x'), (2, NULL)", name)
        pair = Pair(pg18.connect(one), pg18.connect(other))
        yield pair
        pair.close()


@pytest.mark.parametrize("way", WAYS)
def test_the_same_is_equal(differ: Pair, way: Way) -> None:
    step = differ.step("SELECT a, b, 1.5 FROM t ORDER BY a", way=way)
    assert step.verdict == "equal", str(step)
    assert step.direct[-1].tag == "SELECT 2"
    assert differ.step("SELECT nosuch", way=way).direct[-1].sqlstate == "42703"


def test_rows_tags_types_and_errors_are_told_apart(differ: Pair) -> None:
    for direct, through in [
        ("SELECT 1 ORDER BY 1", "SELECT 2 ORDER BY 1"),
        ("SELECT 1 AS a", "SELECT 1 AS b"),
        ("SELECT 1", "SELECT 1::bigint"),
        ("SELECT NULL", "SELECT ''"),
        ("SELECT 1/0", "SELECT nosuch"),
        ("UPDATE t SET a = 1 WHERE a = 1", "UPDATE t SET a = 1 WHERE false"),
    ]:
        seen = judge(direct, (), "text", outcomes(differ.direct, direct), outcomes(differ.through, through))
        assert seen.verdict == "wrong", str(seen)


OURS = "DO $$BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{}'; END$$"


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_is_pgveils_own_error(differ: Pair, way: Way) -> None:
    """The server's own 0A000 is none: nothing says that it is the same on a plaintext database."""
    sql = OURS.format("0A000")
    assert differ.step(sql, way=way).verdict == "equal"
    one = outcomes(differ.direct, sql, (), way)
    assert refusal(one) is None
    assert refusal((replace(one[-1], routine="pgveil"),)) == "0A000"
    assert judge(sql, (), way, outcomes(differ.direct, "SELECT 1", (), way), one).verdict == "wrong"


def test_writes_are_undone(differ: Pair) -> None:
    for way in WAYS:
        assert differ.undone("DELETE FROM t", (), way).verdict == "equal"
    for way in WAYS[1:]:
        assert differ.undone("DELETE FROM t WHERE a = $1", ["1"], way).verdict == "equal"
    assert differ.step("SELECT count(*) FROM t").direct[0].rows == ((b"2",),)


def test_parameters_in_every_way(differ: Pair) -> None:
    given: list[tuple[str, Param]] = [
        ("int", "7"), ("date", "2001-02-03"), ("text", "x"), ("text", b"x"), ("text[]", ["a", None, 'q"\\']),
        ("uuid", "0191d5c8-7a3e-7c1a-8f00-000000000001"), ("text[]", []), ("int", None), ("int", "none"),
    ]  # fmt: skip
    for type_name, param in given:
        seen = {outcomes(differ.direct, f"SELECT $1::{type_name}::text", [param], way)[-1].rows for way in WAYS[1:]}
        assert len(seen) == 1, (type_name, param, seen)


@pytest.mark.parametrize("way", ["simple", "text"])
def test_copies_end(differ: Pair, way: Way) -> None:
    assert [o.rows for o in outcomes(differ.direct, "COPY t TO STDOUT", (), way)] == [
        ((b"1\tx\n",), (b"2\t\\N\n",)),
        (),
    ]
    assert outcomes(differ.direct, "COPY t FROM STDIN", (), way)[-1].tag == "COPY 0"
    assert differ.step("COPY t TO STDOUT", (), way).verdict == "equal"
