"""What a client does on one link, made by dice, and what it must be told: the same as on a database without pgveil.

An errand is a list of flights: bytes that go out at once, and how many ReadyForQuery end their replies. All rows of an
errand bear its number (`grp`), in their values too, so that a reply that belongs to another is seen to be wrong.
`run` is the client, raw; `compare` holds what came against what came on the plaintext twin.
"""

import asyncio
import contextlib
import random
from dataclasses import dataclass, field
from typing import Final

from tests.kit import messages
from tests.kit.notation import Message, Str, Val, Word

SCHEMA: Final = """\
CREATE TABLE people (grp int, id int, email text, name text, n int, PRIMARY KEY (grp, id), UNIQUE (email));
CREATE TABLE sink (grp int, id int, t text);
"""
POLICY: Final = """\
version: 1
classes: {email: {kind: email}, name: {kind: name}}
protect: {public.people: {email: email, name: name}}
roles: [{name: all, match: {user: "*"}, access: {default: reveal}}]
"""
# How a link may end for the client in a storm: pgveil has lost server or catalog; the server has lost its client.
LAST_WORDS: Final = (b"57P03", b"57P01", b"08006")


@dataclass(slots=True)
class Flight:
    """cancel: a CancelRequest goes out behind it, which may or may not be in time."""

    data: bytes
    ready: int = 1
    cancel: bool = False


@dataclass(slots=True)
class Heard:
    """frames: what came behind the start-up. rest: of a frame that was cut. logged_in: start-up got to its end."""

    frames: list[bytes] = field(default_factory=list)
    rest: bytes = b""
    logged_in: bool = False
    done: bool = False


def build(name: str, *args: object) -> bytes:
    return messages.build(Message(name, tuple(_arg(arg) for arg in args)), back=False)


def _arg(arg: object) -> object:
    if isinstance(arg, list):
        return tuple(Val(one.encode()) if isinstance(one, str) else one for one in arg)
    return Str(arg.encode()) if isinstance(arg, str) else arg


def query(sql: str) -> bytes:
    return build("Query", sql)


class Errand:
    """See the module. `flights` is all there is."""

    def __init__(self, number: int, dice: random.Random) -> None:
        self.number, self.dice = number, dice
        self._ids = iter(range(1, 10_000))
        kinds = [
            self.rows, self.protected_rows, self.literals, self.extended, self.prepared, self.batch, self.copy_in,
            self.copy_in_plain, self.copy_fails, self.copy_out, self.cursor, self.portal, self.transaction,
            self.large, self.odds, self.notified,
        ]  # fmt: skip
        self.flights = [dice.choice(kinds)() for _ in range(dice.randint(2, 7))]
        if dice.random() < 0.15:
            self.flights.insert(dice.randrange(len(self.flights)), self.table())
        if dice.random() < 0.2:
            self.flights.append(self.cancelled())

    # ---- values

    def id(self) -> int:
        return next(self._ids)

    def mail(self, number: int) -> str:
        return f"u{self.number}.{number}@example.org"

    def name(self, number: int) -> str:
        return f"Name {self.number} {number}"

    @property
    def mine(self) -> str:
        return f"grp = {self.number}"

    def select(self) -> str:
        return f"SELECT id, email, name, n FROM people WHERE {self.mine} ORDER BY id"

    # ---- kinds of flights

    def rows(self) -> Flight:
        size, many = self.dice.choice((1, 50, 3000)), self.dice.choice((0, 1, 20, 300))
        return Flight(query(f"SELECT {self.number}, g, repeat('x', {size}) FROM generate_series(1, {many}) g"))

    def protected_rows(self) -> Flight:
        return Flight(query(self.select()))

    def literals(self) -> Flight:
        ids = [self.id() for _ in range(self.dice.randint(1, 5))]
        rows = ", ".join(f"({self.number}, {i}, '{self.mail(i)}', '{self.name(i)}', {i})" for i in ids)
        return Flight(query(f"INSERT INTO people VALUES {rows} RETURNING id, email; {self.select()}"))

    def _insert(self, name: str, number: int, mail: str) -> bytes:
        params = [str(self.number), str(number), mail, self.name(number)]
        return build("Bind", "", name, [], params, []) + build("Describe", Word("P"), "") + build("Execute", "", 0)

    INSERT: Final = "INSERT INTO people VALUES ($1, $2, $3, $4, 0) RETURNING email"

    def extended(self) -> Flight:
        number = self.id()
        find = build("Parse", "", "SELECT id, name FROM people WHERE email = $1", 0)
        find += build("Bind", "", "", [], [self.mail(number)], []) + build("Execute", "", 0)
        data = build("Parse", "", self.INSERT, 0) + self._insert("", number, self.mail(number)) + find
        return Flight(data + build("Sync"))

    def prepared(self) -> Flight:
        """A named statement, described, used over several Syncs, closed."""
        name = f"s{self.id()}"
        data = build("Parse", name, self.INSERT, 0) + build("Describe", Word("S"), name) + build("Sync")
        many = self.dice.randint(1, 4)
        for number in [self.id() for _ in range(many)]:
            data += self._insert(name, number, self.mail(number)) + build("Sync")
        return Flight(data + build("Close", Word("S"), name) + build("Sync"), many + 2)

    def batch(self) -> Flight:
        """A pipeline that fails in the middle: what is before it in the same Sync is undone, what is behind skipped."""
        first, second = self.id(), self.id()
        data = build("Parse", "b", self.INSERT, 0) + self._insert("b", first, self.mail(first))
        again = self.dice.random() < 0.5
        data += self._insert("b", second, self.mail(first if again else second))  # UNIQUE (email)
        if not again:
            data += build("Parse", "", "SELECT 1/(n - n) FROM people", 0) + build("Bind", "", "", [], [], [])
            data += build("Execute", "", 0)
        data += self._insert("b", self.id(), self.mail(first)) + build("Sync")
        return Flight(data + query(self.select()) + build("Close", Word("S"), "b") + build("Sync"), 3)

    def _lines(self, many: int, separator: str) -> bytes:
        ids = [self.id() for _ in range(many)]
        return "".join(
            separator.join([str(self.number), str(i), self.mail(i), self.name(i), str(i)]) + "\n" for i in ids
        ).encode()

    def _data(self, lines: bytes) -> bytes:
        """In CopyData that end anywhere."""
        out, at = b"", 0
        while at < len(lines):
            size = self.dice.choice((1, 10, 50, 500, 5000))
            out += build("CopyData", Val(lines[at : at + size]))
            at += size
        return out

    def copy_in(self) -> Flight:
        form, separator = self.dice.choice((("text", "\t"), ("csv", ",")))
        lines = self._lines(self.dice.choice((0, 1, 30, 300)), separator)
        sql = f"COPY people FROM STDIN WITH (FORMAT {form})"
        if self.dice.random() < 0.5:
            return Flight(query(sql) + self._data(lines) + build("CopyDone") + query(self.select()), 2)
        bound = build("Parse", "", sql, 0) + build("Bind", "", "", [], [], []) + build("Execute", "", 0)
        return Flight(bound + self._data(lines) + build("CopyDone") + build("Sync") + query(self.select()), 2)

    def copy_in_plain(self) -> Flight:
        lines = b"".join(b"%d\t%d\t%s\n" % (self.number, i, b"y" * 300) for i in range(self.dice.choice((1, 400))))
        data = query("COPY sink FROM STDIN") + self._data(lines) + build("CopyDone")
        return Flight(data + query(f"SELECT count(*), sum(length(t)) FROM sink WHERE {self.mine}"), 2)

    def copy_fails(self) -> Flight:
        """By the client, or by a row that is none."""
        lines = self._lines(20, "\t")
        if self.dice.random() < 0.5:
            data = query("COPY people FROM STDIN") + self._data(lines) + build("CopyFail", "enough")
        else:
            data = query("COPY people FROM STDIN") + self._data(lines + b"x\ty\tz\tz\tz\n") + build("CopyDone")
        return Flight(data + query(self.select()), 2)

    def copy_out(self) -> Flight:
        form = self.dice.choice(("text", "csv, HEADER"))
        inner = self.select() if self.dice.random() < 0.6 else "SELECT g, 'z' FROM generate_series(1, 200) g"
        return Flight(query(f"COPY ({inner}) TO STDOUT WITH (FORMAT {form})"))

    def cursor(self) -> Flight:
        texts = ["BEGIN", f"DECLARE c CURSOR FOR {self.select()}", "FETCH 2 FROM c", "FETCH ALL FROM c", "CLOSE c"]
        return Flight(b"".join(query(text) for text in [*texts, "COMMIT"]), 6)

    def portal(self) -> Flight:
        data = build("Parse", "", self.select(), 0) + build("Bind", "p", "", [], [], [])
        data += build("Execute", "p", 2) + build("Flush") + build("Execute", "p", 1) + build("Execute", "p", 0)
        return Flight(data + build("Sync"))

    def transaction(self) -> Flight:
        first, second = self.id(), self.id()
        insert = f"INSERT INTO people VALUES ({self.number}, %d, '%s', 'x', 1)"
        texts = ["BEGIN", insert % (first, self.mail(first)), "SAVEPOINT a", insert % (first, "other@example.org")]
        texts += ["ROLLBACK TO a", insert % (second, self.mail(second)), self.dice.choice(("COMMIT", "ROLLBACK"))]
        return Flight(b"".join(query(text) for text in [*texts, self.select()]), len(texts) + 1)

    def large(self) -> Flight:
        text = "w" * self.dice.choice((20_000, 300_000))
        data = build("Parse", "", f"INSERT INTO sink VALUES ({self.number}, -1, $1) RETURNING t", 0)
        return Flight(data + build("Bind", "", "", [], [text], []) + build("Execute", "", 0) + build("Sync"))

    def odds(self) -> Flight:
        data = build("Sync") + build("Flush") + build("Sync") + query("") + query(" ; ") + build("Parse", "", "", 0)
        data += build("Bind", "", "", [], [], []) + build("Describe", Word("P"), "") + build("Execute", "", 0)
        data += build("Sync") + query("SELECT nothing_of_that_name") + build("Describe", Word("S"), "nope")
        return Flight(data + build("Sync"), 7)

    def notified(self) -> Flight:
        return Flight(query(f"LISTEN c{self.number}") + query(f"NOTIFY c{self.number}, 'word'") + query("SELECT 1"), 3)

    def table(self) -> Flight:
        """DDL: the catalog is read anew."""
        name = f"t{self.number}_{self.id()}"
        texts = [
            f"CREATE TABLE {name} AS SELECT id, n FROM people WHERE {self.mine}",
            f"SELECT * FROM {name} ORDER BY id",
        ]
        texts += [f"ALTER TABLE {name} ADD COLUMN t text", self.select(), f"DROP TABLE {name}"]
        return Flight(b"".join(query(text) for text in texts), 5)

    def cancelled(self) -> Flight:
        return Flight(query("SELECT pg_sleep(0.3)"), 1, True)


# ---- the client ----------------------------------------------------------------------------------------------------


async def run(errand: Errand, port: int, database: str, cancelling: bool = True) -> Heard:
    """All of it, or as far as the connection goes. cancelling: a flight that is to be cancelled is."""
    heard = Heard()
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await Client(reader, writer, heard, port if cancelling else 0).play(errand, database)
        except asyncio.IncompleteReadError as end:
            heard.rest = end.partial
        finally:
            writer.transport.abort()
    return heard


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: Heard, port: int) -> None:
        """port: where a CancelRequest goes; 0: none does."""
        self._reader, self._writer, self._heard, self._port = reader, writer, heard, port
        self._key = b""

    async def play(self, errand: Errand, database: str) -> None:
        start = [Word("3.0"), *(Str(text) for text in (b"user", b"postgres", b"database", database.encode()))]
        self._writer.write(messages.build(Message("Startup", tuple(start)), back=False))
        while (frame := await self._frame())[:1] != b"Z":
            if frame[:1] == b"E":
                self._heard.frames.append(frame)
            if frame[:1] == b"K":
                self._key = frame[5:]
        self._heard.logged_in = True
        for flight in errand.flights:
            await self._flight(flight)
        self._writer.write(build("Terminate"))
        await self._writer.drain()
        self._heard.done = True
        await self._reader.read()

    async def _flight(self, flight: Flight) -> None:
        writing = asyncio.ensure_future(self._write(flight.data))
        try:
            if flight.cancel and self._port:
                await cancel(self._port, self._key)
            left = flight.ready
            while left:
                frame = await self._frame()
                self._heard.frames.append(frame)
                left -= frame[:1] == b"Z"
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def _frame(self) -> bytes:
        head = await self._reader.readexactly(5)
        try:
            return head + await self._reader.readexactly(int.from_bytes(head[1:5], "big") - 4)
        except asyncio.IncompleteReadError as end:
            raise asyncio.IncompleteReadError(head + end.partial, None) from None


async def cancel(port: int, key: bytes) -> None:
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write((8 + len(key)).to_bytes(4, "big") + (80877102).to_bytes(4, "big") + key)
        await reader.read()
        writer.close()


# ---- what must have come -------------------------------------------------------------------------------------------


def compare(errand: Errand, twin: Heard, heard: Heard) -> str:
    """'' if it is a beginning of what the twin said (all of it, if it came to its end), behind which pgveil may have
    said why it ends the link; else where it differs."""
    wanted = twin.frames
    cancelled = bool(errand.flights) and errand.flights[-1].cancel
    for number, frame in enumerate(heard.frames):
        if number < len(wanted) and normal(frame) == normal(wanted[number]):
            continue
        last = number >= len(heard.frames) - 2 and not heard.done  # a ReadyForQuery may follow, the end will
        if last and frame[:1] == b"E" and any(b"C" + code + b"\0" in frame for code in LAST_WORDS):
            return ""
        if cancelled and number >= len(wanted) - 4 and b"C57014\0" in frame:
            return ""
        there = wanted[number] if number < len(wanted) else b"nothing"
        return f"frame {number} is {frame[:200]!r}, should be {there[:200]!r}"
    if heard.done and len(heard.frames) < len(wanted):
        return f"{len(heard.frames)} frames, should be {len(wanted)}"
    following = wanted[len(heard.frames)] if len(heard.frames) < len(wanted) else b""
    checked = (
        heard.logged_in and heard.rest[:1] not in (b"", b"E") and following[:1] != b"T"
    )  # E: words of pgveil's own
    if checked and not following.startswith(heard.rest):
        return f"the rest is {heard.rest[:100]!r}, should begin {following[:100]!r}"
    return ""


def normal(frame: bytes) -> bytes:
    """Without what names objects or processes: table OIDs, pids of notifications."""
    if frame[:1] == b"T":
        parts = messages.take(b"T", frame[5:], back=True)
        return str([(column[0], *column[2:]) for column in parts.args[0] if isinstance(column, tuple)]).encode()  # type: ignore[union-attr]
    return frame[:5] + frame[9:] if frame[:1] == b"A" else frame
