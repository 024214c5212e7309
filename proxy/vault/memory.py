"""A vault in memory: the store of tests and of `pgveil demo` without a disk. Same promises as the others, but that
nothing outlives the process.

Not for production: `durable` means nothing here.
"""

from collections.abc import Mapping, Sequence

from proxy.vault.faults import StoreFault
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


class MemoryStore:
    """Implements store.Store. Several vaults of one process may share one, as sidecars share a database."""

    def __init__(self, writer: str = "main") -> None:
        self._writer = writer
        self.entries: dict[bytes, StoredEntry] = {}
        self.rows: dict[tuple[str, int], AuditRow] = {}
        self.heads: dict[str, AuditHead] = {}
        self.known: dict[str, str] = {}
        self._keys: list[StoredKey] = []

    @property
    def writer(self) -> str:
        return self._writer

    async def commit(self, group: Group) -> Mapping[bytes, bytes]:
        if any((row.writer, row.sequence) in self.rows for row in group.rows):
            raise StoreFault("another process writes the same audit chain")
        existing: dict[bytes, bytes] = {}
        for entry in group.entries:
            there = self.entries.get(entry.token)
            if there is None or there.sealed is None:
                self.entries[entry.token] = entry
            else:
                existing[entry.token] = there.mac
        for row in group.rows:
            self.rows[row.writer, row.sequence] = row
        if group.head is not None:
            self.heads[group.head.writer] = group.head
        self.known.update(group.facts)
        return existing

    async def claim(self, facts: Mapping[str, str]) -> Mapping[str, str]:
        return {name: self.known.setdefault(name, text) for name, text in facts.items()}

    async def get(self, tokens: Sequence[bytes], most: int = 0) -> Mapping[bytes, StoredEntry]:
        return up_to(most, (self.entries[token] for token in tokens if token in self.entries))

    async def classes(self, tokens: Sequence[bytes]) -> Mapping[bytes, str]:
        return {token: self.entries[token].class_name for token in tokens if token in self.entries}

    async def keys(self) -> tuple[StoredKey, ...]:
        return tuple(self._keys)

    async def add_first_keys(self, keys: Sequence[StoredKey]) -> bool:
        if self._keys:
            return False
        self._keys.extend(keys)
        return True

    async def audit_heads(self) -> tuple[AuditHead, ...]:
        return tuple(self.heads[writer] for writer in sorted(self.heads))

    async def audit_chain(self, writer: str, after: int, limit: int) -> Sequence[AuditRow]:
        rows = [row for key, row in sorted(self.rows.items()) if key[0] == writer and key[1] > after]
        return rows[:limit]

    async def audit_writers(self) -> tuple[str, ...]:
        return tuple(sorted({writer for writer, _ in self.rows}))

    async def audit_recent(self, before: Position | None, since: int, limit: int) -> Sequence[AuditRow]:
        rows = [row for row in self._newest() if row.wall >= since and (before is None or _position(row) < before)]
        return rows[:limit]

    async def audit_by_token(self, token: bytes, limit: int) -> Sequence[AuditRow]:
        return [row for row in self._newest() if _names(row, token)][:limit]

    async def audit_indexed(self, writer: str, first: int, last: int) -> int:
        rows = (self.rows.get((writer, sequence)) for sequence in range(first, last + 1))
        counts = (len(row.tokens) // TOKEN_BYTES for row in rows if row is not None)
        return sum(count for count in counts if count <= INDEXED_TOKENS)

    async def facts(self) -> Mapping[str, str]:
        return dict(self.known)

    async def counts(self) -> Mapping[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for entry in sorted(self.entries.values(), key=lambda entry: entry.class_name):
            values, erased = found.get(entry.class_name, (0, 0))
            there = entry.sealed is not None
            found[entry.class_name] = (values + there, erased + (not there))
        return found

    async def schema_version(self) -> int:
        return 2

    async def close(self) -> None:
        pass

    def _newest(self) -> list[AuditRow]:
        return sorted(self.rows.values(), key=_position, reverse=True)


def _position(row: AuditRow) -> Position:
    return row.wall, row.writer, row.sequence


def _names(row: AuditRow, token: bytes) -> bool:
    at = row.tokens.find(token)
    while at % TOKEN_BYTES and at >= 0:
        at = row.tokens.find(token, at + 1)
    return at >= 0
