"""The kit's own promises, on real servers."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.kit.chaos import Chaos, Plan
from tests.kit.differ import WAYS, Differ, Way, judge, outcomes
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


@pytest.fixture
def differ(pg18: Server) -> Iterator[Differ]:
    """Two equal databases: in one, the second connection would wait for what the first holds."""
    with fresh_database(pg18) as one, fresh_database(pg18) as other:
        for name in (one, other):
            pg18.psql("CREATE TABLE t(a int, b text); INSERT INTO t VALUES (1, 'x'), (2, NULL)", name)
        pair = Differ(lambda: pg18.connect(one), lambda: pg18.connect(other))
        yield pair
        pair.close()


@pytest.mark.parametrize("way", WAYS)
def test_the_same_is_equal(differ: Differ, way: Way) -> None:
    difference = differ.run("SELECT a, b, 1.5 FROM t ORDER BY a", way=way)
    assert difference.verdict == "equal", str(difference)
    assert difference.direct[-1].tag == "SELECT 2"
    assert differ.run("SELECT nosuch", way=way).direct[-1].sqlstate == "42703"


def test_rows_tags_types_and_errors_are_told_apart(differ: Differ) -> None:
    for direct, through in [
        ("SELECT 1 ORDER BY 1", "SELECT 2 ORDER BY 1"),
        ("SELECT 1 AS a", "SELECT 1 AS b"),
        ("SELECT 1", "SELECT 1::bigint"),
        ("SELECT NULL", "SELECT ''"),
        ("SELECT 1/0", "SELECT nosuch"),
        ("UPDATE t SET a = 1 WHERE a = 1", "UPDATE t SET a = 1 WHERE false"),
    ]:
        seen = judge(direct, "text", outcomes(differ.direct, direct), outcomes(differ.through, through))
        assert seen.verdict == "wrong", str(seen)


def test_a_refusal_is_no_wrong_answer_but_what_came_before_it_counts(differ: Differ) -> None:
    refusal = "DO $$BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '0A000'; END$$"
    wanted = outcomes(differ.direct, "SELECT 1; SELECT 2", way="simple")
    for first, verdict in [("SELECT 1", "refused"), ("SELECT 3", "wrong")]:
        got = outcomes(differ.through, f"{first}; {refusal}", way="simple")
        assert judge("", "simple", wanted, got).verdict == verdict


def test_writes_are_undone(differ: Differ) -> None:
    assert [d.verdict for d in differ.run_undone("DELETE FROM t")] == ["equal"] * 4
    assert [d.verdict for d in differ.run_undone("DELETE FROM t WHERE a = $1", [b"1"])] == ["equal"] * 3
    assert differ.run("SELECT count(*) FROM t").direct[0].rows == ((b"2",),)
