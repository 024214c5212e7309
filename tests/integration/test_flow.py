"""Back-pressure and sudden ends: memory stays bounded, nothing is lost, no link and no server session is left over."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.kit.chaos import Chaos, Plan
from tests.kit.pgveil import Pgveil
from tests.kit.process import wait_for
from tests.kit.servers import Server, fresh_database
from tests.kit.wireclient import WireClient

pytestmark = pytest.mark.server

POLICY = """\
version: 1
classes: {email: {kind: email}}
protect: {public.people: {email: email}}
roles: [{name: all, match: {user: "*"}, access: {default: reveal}}]
"""
MB = 1 << 20
GROWTH = 150 * MB  # of pgveil's memory, at most, whatever the amount that goes through


@pytest.fixture(scope="module")
def shop(pg18: Server) -> Iterator[str]:
    with fresh_database(pg18) as name:
        pg18.psql("CREATE TABLE people(id int PRIMARY KEY, email text); CREATE TABLE sink(id int, t text)", name)
        yield name


@pytest.fixture
def chaos(pg18: Server) -> Iterator[Chaos]:
    """Between pgveil and the server."""
    with Chaos(pg18.port) as between:
        yield between


@pytest.fixture
def pgveil(pg18: Server, shop: str, chaos: Chaos) -> Iterator[Pgveil]:
    cache = {"vault_cache": "1MiB"}  # it may grow to its bound; what is measured here is bytes in flight
    with Pgveil.before(pg18, shop, {"people": POLICY}, upstream=f"127.0.0.1:{chaos.port}", limits=cache) as running:
        with running.connect(shop) as link:
            link.execute("TRUNCATE people, sink")
            link.execute("INSERT INTO people VALUES (1, 'ada@example.com')")
        yield running


def others_go_on(pgveil: Pgveil, shop: str) -> None:
    with pgveil.connect(shop) as other:
        assert other.execute("SELECT email FROM people WHERE id = 1").fetchone() == ("ada@example.com",)


def unread(pgveil: Pgveil, shop: str, look: Callable[[], object]) -> bool:
    """Whether what `look` sees waiting stays so while pgveil serves another link, from its login to a value's reveal.

    pgveil is one event loop: in those turns it would have read whatever it wants to read.
    """
    before = look()
    others_go_on(pgveil, shop)
    return bool(before) and look() == before


WIDE = "SELECT repeat('x', 100000), {} FROM generate_series(1, 2000) {}"


@pytest.mark.parametrize(
    "sql",
    [WIDE.format("1", ""), WIDE.format("email", "JOIN people ON people.id = 1")],
    ids=["unprotected", "with values"],
)
def test_a_client_that_does_not_read(pgveil: Pgveil, shop: str, chaos: Chaos, sql: str) -> None:
    """200 MB of a result wait in the server, not in pgveil."""
    before = pgveil.rss
    with WireClient.login(pgveil.port, shop) as slow:
        slow.send(f'Query "{sql}"')
        wait_for("pgveil to stop reading", lambda: unread(pgveil, shop, lambda: chaos.sending("to_client")), 60)
        assert MB < chaos.counts["to_client"] < 60 * MB
        assert pgveil.rss - before < GROWTH
        rows = total = 0
        while (frame := slow.read_frame(30))[:1] != b"Z":
            assert frame[:1] in (b"T", b"D", b"C"), frame[:200]
            rows += frame[:1] == b"D"
            total += len(frame)
            slow.received.clear()
    assert rows == 2000 and total > 200 * 1_000_000
    assert pgveil.rss - before < GROWTH


def bind(text: bytes) -> bytes:
    body = b"\0s\0" + struct.pack("!hhi", 0, 1, len(text)) + text + struct.pack("!h", 0)
    return b"B" + struct.pack("!i", len(body) + 4) + body + b"E" + struct.pack("!i", 9) + b"\0" + bytes(4)


@pytest.mark.parametrize("table, column", [("sink", "t"), ("people", "email")])
def test_a_server_that_does_not_read(pgveil: Pgveil, shop: str, chaos: Chaos, table: str, column: str) -> None:
    """100 MB of Binds in a pipeline wait in the client, not in pgveil. Of values only their tokens go to the server."""
    chaos.plan = Plan("to_server", 20_000, "stall")
    text = (b"%08d" + b"y" * 99_992) if table == "sink" else (b"%08d" + b"y" * 99_980 + b"@example.com")
    before = pgveil.rss
    with WireClient.login(pgveil.port, shop) as client:
        client.send(f'Parse "s" "UPDATE {table} SET {column} = $1 WHERE false" 1 25')
        done = threading.Event()
        sent = 0

        def write() -> None:
            nonlocal sent
            client.socket.settimeout(120)
            for sent in range(1, 1001):
                client.socket.sendall(bind(text % sent))
            client.send("Sync")
            done.set()

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        assert chaos.reached.wait(20)
        chaos.plan = Plan()
        if table == "sink":
            wait_for("pgveil to stop reading", lambda: done.is_set() or unread(pgveil, shop, lambda: sent), 60)
            assert sent < 600 and not done.is_set()
        others_go_on(pgveil, shop)
        assert pgveil.rss - before < GROWTH
        chaos.release()
        assert done.wait(90)
        tags = [str(m) for m in client.read_until_ready() if m.name == "CommandComplete"]
        writer.join(10)
    assert tags == ['CommandComplete "UPDATE 0"'] * 1000
    assert pgveil.rss - before < GROWTH


@pytest.fixture
def large(pgveil: Pgveil, shop: str) -> Iterator[str]:
    """The table with 80 values of 1 MB; to the server they are 80 tokens, which fit into one packet."""
    with pgveil.connect(shop) as link:
        link.execute("TRUNCATE people")
        for number in range(80):
            link.execute("INSERT INTO people VALUES (%s, %s)", (number, f"{number:08d}{'x' * (MB - 8)}@example.com"))
    yield "SELECT id, email FROM people ORDER BY id"


def test_large_values(pgveil: Pgveil, shop: str, large: str) -> None:
    """A few of them at once are here, however many the client asks for, and others are served meanwhile."""
    before = pgveil.rss
    with WireClient.login(pgveil.port, shop) as slow:
        slow.send(f'Query "{large}"')
        slow.read_frame(30)
        with pgveil.connect(shop) as other:
            found = other.execute("SELECT left(id::text, 9) FROM people WHERE id = 7").fetchone()
            assert found == ("7",)
        assert pgveil.rss - before < GROWTH / 3
        sizes = []
        while (frame := slow.read_frame(30))[:1] != b"Z":
            sizes.append(len(frame))
            slow.received.clear()
            assert pgveil.rss - before < GROWTH / 3
    assert sizes[:-1] == [1 + 4 + 2 + 4 + len(str(n)) + 4 + MB + len("@example.com") for n in range(80)]


def test_large_messages_that_touch_nothing(pgveil: Pgveil, shop: str) -> None:
    """They pass as they come, there and back."""
    before = pgveil.rss
    text = "y" * (100 * MB)
    with pgveil.connect(shop) as link:
        link.execute("INSERT INTO sink VALUES (%s, %s)", (1, text))
        assert pgveil.rss - before < 30 * MB
        assert link.execute("SELECT t FROM sink").fetchone() == (text,)
        assert pgveil.rss - before < 30 * MB


def test_a_large_message_with_values_is_refused_unread(pgveil: Pgveil, shop: str) -> None:
    before = pgveil.rss
    with pgveil.connect(shop) as link:
        with pytest.raises(psycopg.errors.ProgramLimitExceeded):
            link.execute("UPDATE people SET email = %s WHERE false", ("y" * (100 * MB),), prepare=True)
        link.rollback()
        assert pgveil.rss - before < 30 * MB
        assert link.execute("SELECT 1").fetchone() == (1,)


# ---- gone at any moment


def sessions(server: Server, database: str) -> int:
    with server.connect() as connection:
        row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", (database,)).fetchone()
        assert row is not None
        return int(row[0])


TALK = "SELECT email FROM people; SELECT repeat('x', 20000) FROM generate_series(1, 20)"
CUTS = (0, 1, 4, 5, 30, 60, 90, 120, 200, 400, 500, 600, 1000, 5000, 30000, 200000)


def talk(port: int, database: str) -> None:
    """A link's whole life, simple and extended; ends where the connection does."""
    try:
        with psycopg.connect(f"host=127.0.0.1 port={port} dbname={database} user=postgres", autocommit=True) as link:
            link.execute(TALK)
            link.execute("UPDATE people SET email = %s WHERE id = 1", ("ada@example.com",))
            link.execute("SELECT email FROM people WHERE id = %s", (1,))
    except psycopg.OperationalError:
        pass


@pytest.mark.parametrize("do", ["cut", "reset"])
@pytest.mark.parametrize("way", ["to_server", "to_client"])
@pytest.mark.parametrize("where", ["client", "server"])
def test_peer_66_a_side_that_is_gone_leaves_no_link(
    pg18: Server, shop: str, pgveil: Pgveil, chaos: Chaos, where: str, way: str, do: str
) -> None:
    """Cut after so many bytes, on pgveil's one side or the other."""
    with Chaos(pgveil.port) as outer:
        cutter, port = (outer, outer.port) if where == "client" else (chaos, pgveil.port)
        for after in CUTS:
            cutter.plan = Plan(way, after, do)  # type: ignore[arg-type]
            talk(port, shop)
        cutter.plan = Plan()
        wait_for("all links to end", lambda: pgveil.metric("pgveil_open_links") == 0, 20)
        wait_for("all server sessions to end", lambda: sessions(pg18, shop) == 0, 20)
        others_go_on(pgveil, shop)
    assert "link-broken" not in pgveil.log


def test_a_client_that_is_gone_while_its_statement_runs(pg18: Server, shop: str) -> None:
    with Pgveil.before(pg18, shop, {"people": POLICY}) as direct:
        client = WireClient.login(direct.port, shop)
        client.send("Query \"SELECT repeat('x', 1000000) FROM generate_series(1, 100000)\"")
        client.read_frame()
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        wait_for("the link to end", lambda: direct.metric("pgveil_open_links") == 0)
        wait_for("the server session to end", lambda: sessions(pg18, shop) == 0)
