"""The embedded vault store: SQLite in WAL mode, the processes of one pgveil writing, readers beside them.

SQLite runs on two threads of its own (one connection each): the writer, whose transactions are the groups of
`committer`, and the reader. The event loop never waits for a disk. Not here: batching (batch), encryption (crypto), who
may write and in what order (sqlite_lock).

Invariants: a commit that returned is on the disk (synchronous=FULL; fsync of the log) unless its group said
otherwise; after any error the connection is thrown away and the next call opens a new one, so a full disk or a
locked file heals without a restart, and nothing is built on a connection whose fsync once failed. What another process
wrote is seen only when it is as durable as its group asked for: SQLite makes frames of its log known after their fsync.
"""

import asyncio
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, Self, TypeVar

from proxy.errors import Bug, Unavailable
from proxy.vault.faults import StoreFault
from proxy.vault.sqlite_lock import Membership
from proxy.vault.sqlite_schema import APPLICATION_ID, MIGRATIONS
from proxy.vault.store import (
    INDEXED_TOKENS,
    TOKEN_BYTES,
    AuditHead,
    AuditRow,
    Group,
    Position,
    StoredEntry,
    StoredKey,
    up_to,
)

T = TypeVar("T")
# How long a statement waits for a lock that another process holds (a backup, a checkpoint); above it: 57P03.
BUSY_MS: Final = 5000
# IN lists are padded to these sizes so that SQLite prepares few statements: 6 µs a token from 16 on, 10 alone.
_CHUNKS: Final = (1, 16, 512)
# Blocks read at once in a search: 64 of 10,000 tokens are 10 MB.
_BLOCKS_AT_ONCE: Final = 64

_ENTRY: Final = "SELECT token, class, key_id, version, created, mac, sealed FROM entry WHERE token IN ({})"
_CLASSES: Final = "SELECT token, class FROM entry WHERE token IN ({})"
_MACS: Final = "SELECT token, mac FROM entry WHERE sealed IS NOT NULL AND token IN ({})"
_ROW: Final = """SELECT a.writer, a.sequence, a.wall, a.mono, a.body, coalesce(a.tokens, b.tokens, x''), a.hash
    FROM audit a LEFT JOIN audit_block b ON b.id = a.block """


class SqliteStore:
    """Implements store.Store. Made by `open`; `close` it."""

    def __init__(self, path: Path, member: Membership | None) -> None:
        """member: None to read only."""
        self._path = path
        self._member = member
        read_only = member is None
        self._file: tuple[int, int] | None = None  # device and inode, once it was opened
        self._writer = _Lane(lambda: _connect(path, read_only), "pgveil-vault-write")
        self._reader = _Lane(lambda: _connect(path, True), "pgveil-vault-read")

    @classmethod
    async def open(cls, path: Path, read_only: bool = False, lock: int | None = None) -> Self:
        """Open the vault at `path`, made (0600) if there is none.

        read_only: for commands that look while a sidecar runs; takes no lock and runs no migration.
        lock: `lock_descriptor` of a process that has the vault open, handed to this one, which becomes a writer beside
        it. The descriptor stays the caller's. Only a process that comes first, without one, runs migrations.
        Raises StoreFault (a writer that is a stranger, another schema, no vault, not a vault) or Unavailable.
        """
        path = _real(path)
        member = None
        if not read_only:
            member = Membership.take(path) if lock is None else Membership.join(path, lock)
        store = cls(path, member)
        try:
            await store._writer.run(_check_version if read_only else _migrate if lock is None else _check_migrated)
            store._file = _identity(path)
            if not read_only:
                _refuse_links(path)
        except BaseException:
            await store.close()
            raise
        return store

    @property
    def writer(self) -> str:
        seat = 0 if self._member is None else self._member.seat
        return f"main-{seat + 1}" if seat else "main"

    @property
    def lock_descriptor(self) -> int:
        """What makes another process a writer beside this one (`open`); closed with the store: os.dup to keep it."""
        if self._member is None:
            raise Bug("a store that only reads holds no lock")
        return self._member.descriptor

    def _check_file(self) -> None:
        """What is written to a file that was removed or replaced is lost. Raises Unavailable."""
        if self._file is not None and _identity(self._path) != self._file:
            raise Unavailable("the vault", "its file was removed or replaced; restart to use the one that is there")

    async def commit(self, group: Group) -> Mapping[bytes, bytes]:
        self._check_file()
        return await self._writer.run(lambda connection: self._commit(connection, group))

    async def claim(self, facts: Mapping[str, str]) -> Mapping[str, str]:
        self._check_file()
        return await self._writer.run(lambda connection: _claim(connection, facts))

    def _commit(self, connection: sqlite3.Connection, group: Group) -> dict[bytes, bytes]:
        with self._member.turn() if self._member is not None else nullcontext():
            return _commit(connection, group)

    async def get(self, tokens: Sequence[bytes], most: int = 0) -> Mapping[bytes, StoredEntry]:
        self._check_file()
        return await self._reader.run(
            lambda connection: up_to(most, (StoredEntry(*row) for row in _select_in(connection, _ENTRY, tokens)))
        )

    async def classes(self, tokens: Sequence[bytes]) -> Mapping[bytes, str]:
        self._check_file()
        return dict(await self._reader.run(lambda connection: list(_select_in(connection, _CLASSES, tokens))))

    async def keys(self) -> tuple[StoredKey, ...]:
        query = "SELECT id, kind, state, kek, created, key_check, wrapped FROM data_key ORDER BY position"
        return tuple(StoredKey(*row) for row in await self._read(query))

    async def add_first_keys(self, keys: Sequence[StoredKey]) -> bool:
        return await self._writer.run(lambda connection: _add_first_keys(connection, keys))

    async def audit_heads(self) -> tuple[AuditHead, ...]:
        query = "SELECT writer, sequence, hash, key_id, signature FROM audit_head ORDER BY writer"
        return tuple(AuditHead(*row) for row in await self._read(query))

    async def audit_chain(self, writer: str, after: int, limit: int) -> Sequence[AuditRow]:
        where = "WHERE a.writer = ? AND a.sequence > ? ORDER BY a.sequence LIMIT ?"
        return _rows(await self._read(_ROW + where, writer, after, limit))

    async def audit_writers(self) -> tuple[str, ...]:
        return tuple(row[0] for row in await self._read("SELECT DISTINCT writer FROM audit ORDER BY writer"))

    async def audit_recent(self, before: Position | None, since: int, limit: int) -> Sequence[AuditRow]:
        order = " ORDER BY a.wall DESC, a.writer DESC, a.sequence DESC LIMIT ?"
        if before is None:
            return _rows(await self._read(_ROW + "WHERE a.wall >= ?" + order, since, limit))
        where = "WHERE a.wall >= ? AND a.wall <= ? AND (a.wall, a.writer, a.sequence) < (?, ?, ?)"
        return _rows(await self._read(_ROW + where + order, since, before[0], *before, limit))

    async def audit_by_token(self, token: bytes, limit: int) -> Sequence[AuditRow]:
        return _rows(await self._reader.run(lambda connection: _by_token(connection, token, limit)))

    async def audit_indexed(self, writer: str, first: int, last: int) -> int:
        return await self._reader.run(lambda connection: _indexed(connection, writer, first, last))

    async def facts(self) -> Mapping[str, str]:
        return {row[0]: row[1] for row in await self._read("SELECT name, value FROM fact")}

    async def counts(self) -> Mapping[str, tuple[int, int]]:
        query = "SELECT class, count(sealed), count(*) - count(sealed) FROM entry GROUP BY class ORDER BY class"
        return {row[0]: (row[1], row[2]) for row in await self._read(query)}

    async def schema_version(self) -> int:
        return int((await self._read("PRAGMA user_version"))[0][0])

    async def close(self) -> None:
        await self._reader.close()
        await self._writer.close()
        member, self._member = self._member, None
        if member is not None:
            member.close()

    async def _read(self, query: str, *values: str | int | bytes) -> list[tuple]:  # type: ignore[type-arg]
        return await self._reader.run(lambda connection: connection.execute(query, values).fetchall())


class _Lane:
    """One thread and its connection, opened when first needed and again after an error.

    A thread of our own, not an executor's: two objects and a wake-up a job, where run_in_executor has two futures with
    locks, a copy of the context and a look at what is to be called.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], name: str) -> None:
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        # daemon: who forgot to close must not keep the process; what a commit is cut off by is as good as kill -9
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._begun = self._closed = False

    async def run(self, job: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise Unavailable("vault", "it is closed")
        return await self._submit(lambda: self._do(job))

    async def close(self) -> None:
        """Wait for the running job, close the connection, end the thread."""
        if not self._closed:
            self._closed = True
            await self._submit(self._drop)
            self._jobs.put(None)
            self._thread.join()

    async def _submit(self, job: Callable[[], T]) -> T:
        if not self._begun:
            self._begun = True
            self._thread.start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put((job, loop, future))
        return await future

    def _work(self) -> None:
        while (next_job := self._jobs.get()) is not None:
            job, loop, future = next_job
            result, error = None, None
            try:
                result = job()
            except BaseException as fault:  # noqa: BLE001 - it is whoever waits that it is raised for
                error = fault
            with suppress(RuntimeError):  # the loop was closed: nobody waits
                loop.call_soon_threadsafe(_settle, future, result, error)
            del next_job, job, future, result, error  # not to be held while it waits for the next

    def _do(self, job: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = self._connect()
            return job(self._connection)
        except sqlite3.Error as fault:
            self._drop()
            # sqlite_errorname is missing on errors that the module raises by itself
            name = getattr(fault, "sqlite_errorname", type(fault).__name__)
            raise Unavailable("vault", f"SQLite says {name}") from None

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()  # rolls back what is open


_Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


def _settle(future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if future.done():
        return  # given up meanwhile
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)


def _connect(path: Path, read_only: bool) -> sqlite3.Connection:
    """mode=rw: a vault that vanished is an error, never silently a new one. A file that is no vault is not touched.

    Connections stay on their lane's thread. Raises StoreFault, sqlite3.Error.
    """
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_MS / 1000)
    try:
        _check_identity(connection)
        if read_only:
            connection.execute("PRAGMA query_only = 1")
        else:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.DatabaseError as fault:
        connection.close()
        if getattr(fault, "sqlite_errorcode", 0) == sqlite3.SQLITE_NOTADB:
            raise StoreFault("the file is not an SQLite database") from None
        raise
    except BaseException:
        connection.close()
        raise
    return connection


def _real(path: Path) -> Path:
    """One vault, one lock, whatever it is called."""
    return Path(os.path.realpath(path))


def _refuse_links(path: Path) -> None:
    """Raises StoreFault."""
    if os.stat(path).st_nlink > 1:
        raise StoreFault(f"{path} has hard links: SQLite would keep a log for each of its names; leave it one")


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode; None if there is no such file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _migrate(connection: sqlite3.Connection) -> None:
    """Run the migrations that this vault has not seen, each in its transaction."""
    for number in range(_check_identity(connection) + 1, len(MIGRATIONS) + 1):
        with _transaction(connection):
            for statement in MIGRATIONS[number - 1]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")


def _check_version(connection: sqlite3.Connection) -> None:
    if _check_identity(connection) < len(MIGRATIONS):
        raise StoreFault("the vault's schema is older than this program: `pgveil vault migrate`, or start it once")


def _check_migrated(connection: sqlite3.Connection) -> None:
    """Others work with the tables as they are."""
    if _check_identity(connection) < len(MIGRATIONS):
        raise StoreFault("the vault's schema needs a migration, for which the processes that use it have to end first")


def _check_identity(connection: sqlite3.Connection) -> int:
    """The schema version; 0 for an empty file. Raises StoreFault for a database of something else."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    tables = int(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
    if application != APPLICATION_ID and (tables or version or application):
        raise StoreFault("the file is an SQLite database of another program")
    if version > len(MIGRATIONS):
        raise StoreFault(f"the vault's schema is version {version}; this program knows up to {len(MIGRATIONS)}")
    return version


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """IMMEDIATE: the write lock is taken first, so that no transaction fails half-way for another's."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise


def _commit(connection: sqlite3.Connection, group: Group) -> dict[bytes, bytes]:
    durable = group.durable or bool(group.entries) or bool(group.facts)
    if not durable:
        connection.execute("PRAGMA synchronous = NORMAL")
    try:
        return _written(connection, group)
    finally:
        if not durable:
            connection.execute("PRAGMA synchronous = FULL")


def _written(connection: sqlite3.Connection, group: Group) -> dict[bytes, bytes]:
    with _transaction(connection):
        existing = _insert_entries(connection, group.entries)
        _insert_rows(connection, group.rows)
        if group.head is not None:
            head = group.head
            values = (head.writer, head.sequence, head.hash, head.key_id, head.signature)
            connection.execute("INSERT OR REPLACE INTO audit_head VALUES (?, ?, ?, ?, ?)", values)
        if group.facts:
            connection.executemany("INSERT OR REPLACE INTO fact VALUES (?, ?)", sorted(group.facts.items()))
    return existing


def _claim(connection: sqlite3.Connection, facts: Mapping[str, str]) -> dict[str, str]:
    with _transaction(connection):
        connection.executemany("INSERT OR IGNORE INTO fact VALUES (?, ?)", sorted(facts.items()))
        select = "SELECT value FROM fact WHERE name = ?"
        return {name: connection.execute(select, (name,)).fetchone()[0] for name in facts}


def _insert_entries(connection: sqlite3.Connection, entries: Sequence[StoredEntry]) -> dict[bytes, bytes]:
    if not entries:
        return {}
    tokens = [entry.token for entry in entries]
    existing: dict[bytes, bytes] = dict(_select_in(connection, _MACS, tokens))
    fresh: dict[bytes, StoredEntry] = {}
    for entry in entries:
        if entry.token in existing:
            continue
        first = fresh.setdefault(entry.token, entry)
        if first is not entry:
            existing[entry.token] = first.mac
    connection.executemany(
        "INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)",  # what it may replace is a tombstone
        [(e.token, e.class_name, e.key_id, e.version, e.created, e.mac, e.sealed) for e in fresh.values()],
    )
    return existing


def _insert_rows(connection: sqlite3.Connection, rows: Sequence[AuditRow]) -> None:
    for row in rows:
        tokens = _cut(row.tokens)
        block = hashlib.sha256(row.tokens).digest() if len(tokens) > INDEXED_TOKENS else None
        inline = row.tokens if block is None else None
        values = (row.writer, row.sequence, row.wall, row.mono, row.body, inline, block, row.hash)
        try:
            connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        except sqlite3.IntegrityError:
            raise StoreFault("another process writes the same audit chain") from None
        if block is None:
            index = [(token, row.writer, row.sequence) for token in tokens]
            connection.executemany("INSERT INTO audit_token VALUES (?, ?, ?)", index)
        else:
            connection.execute("INSERT OR IGNORE INTO audit_block VALUES (?, ?)", (block, row.tokens))


def _add_first_keys(connection: sqlite3.Connection, keys: Sequence[StoredKey]) -> bool:
    with _transaction(connection):
        if connection.execute("SELECT 1 FROM data_key LIMIT 1").fetchone():
            return False
        connection.executemany(
            "INSERT INTO data_key (id, kind, state, kek, created, key_check, wrapped) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(k.id, k.kind, k.state, k.kek, k.created, k.check, k.wrapped) for k in keys],
        )
        return True


def _by_token(connection: sqlite3.Connection, token: bytes, limit: int) -> list[tuple]:  # type: ignore[type-arg]
    """Rows from the index, then rows whose block holds the token; the newest `limit` of both."""
    order = " ORDER BY a.wall DESC, a.writer DESC, a.sequence DESC LIMIT ?"
    joined = "JOIN audit_token t ON t.writer = a.writer AND t.sequence = a.sequence WHERE t.token = ?"
    found = connection.execute(_ROW + joined + order, (token, limit)).fetchall()
    for block in _blocks_with(connection, token):
        found += connection.execute(_ROW + "WHERE a.block = ?" + order, (block, limit)).fetchall()
    found.sort(key=lambda row: (row[2], row[0], row[1]), reverse=True)
    return found[:limit]


def _blocks_with(connection: sqlite3.Connection, token: bytes) -> list[bytes]:
    found: list[bytes] = []
    cursor = connection.execute("SELECT id, tokens FROM audit_block")
    while blocks := cursor.fetchmany(_BLOCKS_AT_ONCE):
        found += [block for block, tokens in blocks if _holds(tokens, token)]
    return found


def _holds(block: bytes, token: bytes) -> bool:
    """Whether the sorted block of 16-byte tokens holds one (binary search)."""
    low, high = 0, len(block) // TOKEN_BYTES
    while low < high:
        middle = (low + high) // 2
        here = block[middle * TOKEN_BYTES : (middle + 1) * TOKEN_BYTES]
        if here == token:
            return True
        low, high = (middle + 1, high) if here < token else (low, middle)
    return False


def _indexed(connection: sqlite3.Connection, writer: str, first: int, last: int) -> int:
    query = "SELECT sequence, tokens FROM audit WHERE writer = ? AND sequence BETWEEN ? AND ? AND tokens IS NOT NULL"
    count = 0
    for sequence, tokens in connection.execute(query, (writer, first, last)).fetchall():
        for token in _cut(tokens):
            where = "SELECT count(*) FROM audit_token WHERE token = ? AND writer = ? AND sequence = ?"
            count += connection.execute(where, (token, writer, sequence)).fetchone()[0]
    return count


def _select_in(connection: sqlite3.Connection, query: str, tokens: Sequence[bytes]) -> Iterator[tuple]:  # type: ignore[type-arg]
    """Rows of a query with one `IN ({})`, in chunks of few sizes (padded with the last token)."""
    at = 0
    while at < len(tokens):
        size = next((size for size in _CHUNKS if len(tokens) - at <= size), _CHUNKS[-1])
        chunk = list(tokens[at : at + size])
        chunk += chunk[-1:] * (size - len(chunk))
        yield from connection.execute(query.format(",".join("?" * size)), chunk)
        at += size


def _cut(tokens: bytes) -> list[bytes]:
    return [tokens[at : at + TOKEN_BYTES] for at in range(0, len(tokens), TOKEN_BYTES)]


def _rows(found: Sequence[tuple]) -> list[AuditRow]:  # type: ignore[type-arg]
    return [AuditRow(*row) for row in found]
