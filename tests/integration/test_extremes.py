"""What is too much, too slow or no text: it ends or bounds its own link, with a line in the log, and harms no other.

Issue 5: malformed frames, absurd lengths and bytes behind SSLRequest are in test_links, clients that never read in
test_flow; here are text invalid in its encoding, half-open and slow connections, 65,535 parameters, 1,600 columns and
values of 200 MB. Throughout each, another link goes on writing and reading values.
"""

import contextlib
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import psycopg
import pytest

from tests.kit import messages
from tests.kit.notation import Message, Val
from tests.kit.pgveil import Pgveil
from tests.kit.process import wait_for
from tests.kit.servers import Server, fresh_database
from tests.kit.wireclient import WireClient

pytestmark = pytest.mark.server

WIDTH: Final = 1600
MB: Final = 1 << 20
COLUMNS: Final = ", ".join(f"c{number} text" for number in range(WIDTH - 2))
SCHEMA: Final = f"""\
CREATE TABLE people (id int PRIMARY KEY, email text);
CREATE TABLE sink (id int, t text);
CREATE TABLE wide (id int, email text, {COLUMNS});
"""
POLICY: Final = """\
version: 1
classes: {email: {kind: email}, free: {kind: text}}
protect: {public.people: {email: email}, public.wide: {email: email, c0: free, c1597: free}}
roles: [{name: all, match: {user: "*"}, access: {default: reveal}}]
"""


@dataclass
class Place:
    server: Server
    pgveil: Pgveil
    database: str

    def connect(self) -> psycopg.Connection:
        return self.pgveil.connect(self.database)

    def login(self) -> WireClient:
        return WireClient.login(self.pgveil.port, self.database)


@pytest.fixture(scope="module")
def place(pg18: Server) -> Iterator[Place]:
    with fresh_database(pg18) as database:
        pg18.psql(SCHEMA, database)
        bounds = {"timeouts": {"startup": "3s", "analyse": "60s"}, "limits": {"vault_cache": "1MiB"}}
        with Pgveil.before(pg18, database, {"people": POLICY}, **bounds) as pgveil:
            yield Place(pg18, pgveil, database)


@contextlib.contextmanager
def another_goes_on(place: Place) -> Iterator[None]:
    """A link that writes and reads values all the while, and is never told anything else."""
    over, rounds, wrong = threading.Event(), [0], []

    def work() -> None:
        with place.connect() as link:
            while not over.is_set():
                rounds[0] += 1
                number = 10_000 + rounds[0]
                link.execute("INSERT INTO people VALUES (%s, %s)", (number, f"u{number}@example.org"))
                found = link.execute("SELECT email FROM people WHERE id = %s", (number,)).fetchone()
                if found != (f"u{number}@example.org",):
                    wrong.append(number)
            link.execute("DELETE FROM people WHERE id > 10000")

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    wait_for("the other to work", lambda: rounds[0] > 1)
    try:
        yield
        before = rounds[0]
        wait_for("the other to go on", lambda: rounds[0] > before + 1, 30)
    finally:
        over.set()
        worker.join(30)
    assert not wrong and not worker.is_alive()
    assert place.pgveil.running


# ---- text that is none ---------------------------------------------------------------------------------------------

NO_TEXT: Final = {
    "a statement on a protected table": b"SELECT id FROM people WHERE email = 'a\xff\xfe'",
    "a statement on another": b"SELECT id FROM sink WHERE t = 'a\xff\xfe'",
    "half a character at the end": b"SELECT id FROM people WHERE email = '\xe2\x82'",
    "surrogates": b"SELECT id FROM people WHERE email = '\xed\xa0\x80'",
}


@pytest.mark.parametrize("text", NO_TEXT.values(), ids=NO_TEXT.keys())
def test_text_invalid_in_its_encoding(place: Place, text: bytes) -> None:
    """22021, as the server says it, and the link goes on."""
    with another_goes_on(place), place.login() as client:
        client.send(messages.frame(b"Q", text + b"\0"))
        assert "22021" in str(client.read_until("ErrorResponse")[-1])
        client.read_until_ready()
        client.send(messages.frame(b"P", b"\0" + text + b"\0\0\0"), "Sync")
        assert "22021" in str(client.read_until("ErrorResponse")[-1])
        client.read_until_ready()
        assert [m.name for m in client.query("SELECT 1")][-1] == "ReadyForQuery"


@pytest.mark.parametrize("table, column", [("people", "email"), ("sink", "t")])
def test_a_value_invalid_in_its_encoding(place: Place, table: str, column: str) -> None:
    with another_goes_on(place), place.login() as client:
        client.send(f'Parse "" "INSERT INTO {table} (id, {column}) VALUES (-1, $1)" 0')
        client.send(Message("Bind", (*[messages.Str(b"")] * 2, (), (Val(b"a\xff@example.org"),), ())))
        client.send('Execute "" 0', "Sync")
        assert "22021" in str(client.read_until("ErrorResponse")[-1])
        client.read_until_ready()
        client.send(f'Query "COPY {table} (id, {column}) FROM STDIN"', messages.frame(b"d", b"-1\ta\xff\n"), "CopyDone")
        assert "22021" in str(client.read_until("ErrorResponse")[-1])
        client.read_until_ready()


# ---- slow and half-open --------------------------------------------------------------------------------------------

BEGINNINGS: Final = {
    "nothing": b"",
    "half a length": b"\0\0",
    "half a start-up packet": struct.pack("!ii", 40, 196608) + b"user\0",
    "an encryption request": struct.pack("!ii", 8, 80877103),
}


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS.keys())
def test_a_half_open_connection_before_authentication(place: Place, beginning: bytes) -> None:
    with another_goes_on(place), WireClient(place.pgveil.port) as silent:
        silent.send(beginning)
        came = silent.socket.recv(10) if beginning[4:] == b"\x04\xd2\x16\x2f" else b""
        assert came in (b"", b"N") and silent.read_to_end() == []


def test_slowloris_before_authentication(place: Place) -> None:
    """Two hundred that send a byte now and then: the time is from the connection on, not from the last byte."""
    packet = struct.pack("!ii", 400, 196608) + b"user\0postgres\0options\0" + b" " * 370
    with another_goes_on(place), contextlib.ExitStack() as stack:
        slow = [stack.enter_context(WireClient(place.pgveil.port)) for _ in range(200)]
        sent, gone = 0, set[int]()
        while len(gone) < len(slow):
            assert sent < len(packet), "they outlive a whole packet"
            for number, client in enumerate(slow):
                with contextlib.suppress(OSError):
                    client.socket.sendall(packet[sent : sent + 1])
                    client.socket.settimeout(0.0005)
                    with contextlib.suppress(TimeoutError, BlockingIOError):
                        if client.socket.recv(10) == b"":
                            gone.add(number)
                    continue
                gone.add(number)
            sent += 1


def test_a_password_that_never_comes(place: Place) -> None:
    with another_goes_on(place), WireClient(place.pgveil.port) as silent:
        silent.send(f'Startup 3.0 "user" "password_user" "database" "{place.database}"')
        assert silent.read().name == "AuthenticationCleartextPassword"
        assert silent.read_to_end() == []


# ---- 65,535 parameters, 1,600 columns ------------------------------------------------------------------------------

MOST: Final = 65_535


def bound(name: bytes, params: list[bytes]) -> bytes:
    counted = b"".join([struct.pack("!i", len(param)) + param for param in params])
    body = b"\0" + name + b"\0" + struct.pack("!hH", 0, len(params)) + counted + struct.pack("!h", 0)
    return messages.frame(b"B", body) + messages.frame(b"E", b"\0" + bytes(4))


@pytest.mark.parametrize("table, column", [("sink", "t"), ("people", "email")])
def test_65535_parameters(place: Place, table: str, column: str) -> None:
    numbers = ", ".join(f"${number}" for number in range(1, MOST + 1))
    text = f"SELECT id FROM {table} WHERE {column} IN ({numbers})".encode()
    with another_goes_on(place), place.login() as client:
        client.query(
            f"DELETE FROM {table} WHERE id < 10; INSERT INTO {table} (id, {column}) VALUES (7, 'p7@example.org')"
        )
        data = messages.frame(b"P", b"\0" + text + b"\0\0\0")
        params = [b"p%d@example.org" % number for number in range(1, MOST + 1)]
        writer = threading.Thread(target=lambda: client.send(data, bound(b"", params), "Sync"), daemon=True)
        writer.start()
        client.socket.settimeout(120)
        came = [client.read(120)]
        while came[-1].name != "ReadyForQuery":
            came.append(client.read(120))
        writer.join(30)
    assert [m.name for m in came] == ["ParseComplete", "BindComplete", "DataRow", "CommandComplete", "ReadyForQuery"], (
        str(came)[:400]
    )


def test_1600_columns(place: Place) -> None:
    with another_goes_on(place), place.connect() as link, place.server.connect(place.database) as direct:
        row = [1, "ada@example.org", *[str(number % 10) for number in range(WIDTH - 2)]]  # a row fits into a page
        marks = ", ".join(["%s"] * WIDTH)
        link.execute(f"INSERT INTO wide VALUES ({marks})".encode(), row)
        assert link.execute("SELECT * FROM wide WHERE email = %s", ("ada@example.org",)).fetchone() == tuple(row)
        (stored,) = direct.execute("SELECT * FROM wide").fetchall()
        differing = [index for index, (have, want) in enumerate(zip(stored, row, strict=True)) if have != want]
        assert differing == [1, 2, WIDTH - 1]
        with link.cursor().copy("COPY wide FROM STDIN") as copy:
            copy.write_row([2, "bob@example.org", *row[2:]])
        with link.cursor().copy("COPY (SELECT * FROM wide ORDER BY id) TO STDOUT") as copy:
            assert [tuple(each)[:3] for each in copy.rows()] == [("1", row[1], "0"), ("2", "bob@example.org", "0")]


# ---- 200 MB --------------------------------------------------------------------------------------------------------

LARGE: Final = 200 * MB


def large(client: WireClient, table: str, column: str) -> list[Message]:
    """One INSERT of a value of 200 MB, sent in parts."""
    client.send(f'Parse "" "INSERT INTO {table} (id, {column}) VALUES (-5, $1)" 1 25')
    head = b"\0\0" + struct.pack("!hhi", 0, 1, LARGE)
    size = 4 + len(head) + LARGE + 2
    client.socket.settimeout(120)
    client.send(b"B" + struct.pack("!i", size) + head)
    for _ in range(200):
        client.send(b"z" * MB)
    client.send(b"\0\0", 'Execute "" 0', "Sync")
    out = []
    while not out or out[-1].name != "ReadyForQuery":
        out.append(client.read(120))
    return out


def test_a_value_of_200_mb_that_nobody_protects_streams(place: Place) -> None:
    with another_goes_on(place), place.login() as client:
        before = place.pgveil.rss
        assert [m.name for m in large(client, "sink", "t")][:3] == ["ParseComplete", "BindComplete", "CommandComplete"]
        assert place.pgveil.rss - before < 30 * MB
        client.send('Query "SELECT t FROM sink WHERE id = -5"')
        size = 0
        while len(more := client.socket.recv(MB)) and (size := size + len(more)) < LARGE:
            assert place.pgveil.rss - before < 60 * MB
        client.socket.settimeout(10)
        while size < LARGE + 100 and client.socket.recv(65536)[-6:] != b"Z\0\0\0\x05I":
            pass
        place.server.psql("DELETE FROM sink", place.database)


def test_a_value_of_200_mb_that_is_protected_is_refused(place: Place) -> None:
    with another_goes_on(place), place.login() as client:
        before = place.pgveil.rss
        told = [str(m) for m in large(client, "people", "email")]
        assert "54000" in told[1] and told[-1] == "ReadyForQuery I"
        assert place.pgveil.rss - before < 60 * MB
        assert [m.name for m in client.query("SELECT 1")][-1] == "ReadyForQuery"
