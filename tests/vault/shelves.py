"""The stores under test, each with a way behind its back: the conformance suite damages what it finds there.

A shelf is one vault's place. To add a store: a class with these methods, and its name in conftest's `shelf`.
"""

import sqlite3
from pathlib import Path
from typing import Protocol

from proxy.vault.memory import MemoryStore
from proxy.vault.sqlite import SqliteStore
from proxy.vault.store import INDEXED_TOKENS, TOKEN_BYTES, AuditHead, AuditRow, Group, Store, StoredEntry


class Shelf(Protocol):
    shared: bool  # several writers at once, each with a chain of its own

    async def open(self, writer: str = "main") -> Store: ...

    def entry(self, token: bytes) -> StoredEntry: ...

    def put_entry(self, entry: StoredEntry) -> None: ...

    def drop_entry(self, token: bytes) -> None: ...

    def row(self, sequence: int, writer: str = "main") -> AuditRow: ...

    def put_row(self, row: AuditRow) -> None: ...

    def drop_row(self, sequence: int, writer: str = "main") -> None: ...

    def head(self, writer: str = "main") -> AuditHead: ...

    def put_head(self, head: AuditHead) -> None: ...

    def drop_head(self, writer: str = "main") -> None: ...


class MemoryShelf:
    shared = True

    def __init__(self) -> None:
        self._store = MemoryStore()

    async def open(self, writer: str = "main") -> Store:
        other = MemoryStore(writer)
        other.__dict__.update(self._store.__dict__ | {"_writer": writer})
        return other

    def entry(self, token: bytes) -> StoredEntry:
        return self._store.entries[token]

    def put_entry(self, entry: StoredEntry) -> None:
        self._store.entries[entry.token] = entry

    def drop_entry(self, token: bytes) -> None:
        del self._store.entries[token]

    def row(self, sequence: int, writer: str = "main") -> AuditRow:
        return self._store.rows[writer, sequence]

    def put_row(self, row: AuditRow) -> None:
        self._store.rows[row.writer, row.sequence] = row

    def drop_row(self, sequence: int, writer: str = "main") -> None:
        del self._store.rows[writer, sequence]

    def head(self, writer: str = "main") -> AuditHead:
        return self._store.heads[writer]

    def put_head(self, head: AuditHead) -> None:
        self._store.heads[head.writer] = head

    def drop_head(self, writer: str = "main") -> None:
        del self._store.heads[writer]


class SqliteShelf:
    shared = False

    def __init__(self, path: Path) -> None:
        self.path = path

    async def open(self, writer: str = "main") -> Store:
        assert writer == "main"
        return await SqliteStore.open(self.path)

    def entry(self, token: bytes) -> StoredEntry:
        return StoredEntry(*self.execute("SELECT * FROM entry WHERE token = ?", token)[0])

    def put_entry(self, entry: StoredEntry) -> None:
        values = (entry.token, entry.class_name, entry.key_id, entry.version, entry.created, entry.mac, entry.sealed)
        self.execute("INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)", *values)

    def drop_entry(self, token: bytes) -> None:
        self.execute("DELETE FROM entry WHERE token = ?", token)

    def row(self, sequence: int, writer: str = "main") -> AuditRow:
        query = """SELECT writer, sequence, wall, mono, body, coalesce(a.tokens, b.tokens), hash
            FROM audit a LEFT JOIN audit_block b ON b.id = a.block WHERE writer = ? AND sequence = ?"""
        return AuditRow(*self.execute(query, writer, sequence)[0])

    def put_row(self, row: AuditRow) -> None:
        """As a row of few tokens, index included: somebody who knows the tables would do it well."""
        assert len(row.tokens) <= INDEXED_TOKENS * TOKEN_BYTES
        values = (row.writer, row.sequence, row.wall, row.mono, row.body, row.tokens, row.hash)
        self.execute("INSERT OR REPLACE INTO audit VALUES (?, ?, ?, ?, ?, ?, NULL, ?)", *values)
        self.execute("DELETE FROM audit_token WHERE writer = ? AND sequence = ?", row.writer, row.sequence)
        for at in range(0, len(row.tokens), TOKEN_BYTES):
            token = row.tokens[at : at + TOKEN_BYTES]
            self.execute("INSERT INTO audit_token VALUES (?, ?, ?)", token, row.writer, row.sequence)

    def drop_row(self, sequence: int, writer: str = "main") -> None:
        self.execute("DELETE FROM audit WHERE writer = ? AND sequence = ?", writer, sequence)
        self.execute("DELETE FROM audit_token WHERE writer = ? AND sequence = ?", writer, sequence)

    def head(self, writer: str = "main") -> AuditHead:
        return AuditHead(*self.execute("SELECT * FROM audit_head WHERE writer = ?", writer)[0])

    def put_head(self, head: AuditHead) -> None:
        values = (head.writer, head.sequence, head.hash, head.key_id, head.signature)
        self.execute("INSERT OR REPLACE INTO audit_head VALUES (?, ?, ?, ?, ?)", *values)

    def drop_head(self, writer: str = "main") -> None:
        self.execute("DELETE FROM audit_head WHERE writer = ?", writer)

    def execute(self, query: str, *values: object) -> list[tuple]:  # type: ignore[type-arg]
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()


async def put(store: Store, *entries: StoredEntry) -> dict[bytes, bytes]:
    return dict(await store.commit(Group(entries)))
