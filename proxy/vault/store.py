"""What a vault stores, and what each of its stores promises. Types only: no I/O, no keys, no plaintext.

A store keeps four things: entries (token → ciphertext), wrapped data keys, the audit trail, and what is remembered of
columns and classes (names and words of the policy). It never sees a value or an unwrapped key. `tests/vault`
holds every store to this contract.

Invariants: a `Group` is durable as a whole or not at all; an entry is never overwritten by another (a tombstone may
be); audit rows and heads change only by appending.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

TOKEN_BYTES: Final = 16
KeyKind = Literal["identity", "value", "audit"]
KeyState = Literal["active", "decrypt-only", "destroyed"]

# Up to so many tokens (a page of a list) an audit row is found through an index, above by reading compact blocks: each
# index row lands on a page of its own. Measured on events of 64 tokens: 490 a second indexed, 765 as blocks.
INDEXED_TOKENS: Final = 64


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """A value under its token. token: 16 bytes. mac: 32 bytes, over token and canonical value. created: Unix seconds.

    sealed: envelope (crypto.seal), or None when the value was erased (a tombstone).
    """

    token: bytes
    class_name: str
    key_id: str
    version: int
    created: int
    mac: bytes
    sealed: bytes | None

    @property
    def size(self) -> int:
        """Bytes of the value, as it is stored."""
        return len(self.sealed or b"")

    def __repr__(self) -> str:
        return f"StoredEntry({self.token.hex()}, {self.class_name}, key {self.key_id})"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A data key, wrapped by the key-encryption key `kek`. check: 16 bytes that a right unwrapping reproduces."""

    id: str
    kind: KeyKind
    state: KeyState
    kek: str
    created: int
    check: bytes
    wrapped: bytes

    def __repr__(self) -> str:
        return f"StoredKey({self.id}, {self.kind}, {self.state}, kek {self.kek})"


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One link of a writer's chain. wall: Unix microseconds; mono: nanoseconds of the writer's monotonic clock.

    body: canonical JSON. tokens: 16 bytes each, sorted, distinct, joined. hash: 32 bytes (chain.row_hash).
    """

    writer: str
    sequence: int
    wall: int
    mono: int
    body: bytes
    tokens: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The last row of a writer's chain, signed with the audit key `key_id`."""

    writer: str
    sequence: int
    hash: bytes
    key_id: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Group:
    """What becomes durable together. rows: of one writer, in sequence; head: theirs, None when there are no rows.

    durable: False lets the store return before the bytes are on disk (they survive a crash of the process, not of the
    machine); it is honoured only for groups without entries and facts. facts: name -> text, what the vault
    remembers of classes and columns, in place of what stood under the name; no personal data.
    """

    entries: Sequence[StoredEntry] = ()
    rows: Sequence[AuditRow] = ()
    head: AuditHead | None = None
    durable: bool = True
    facts: Mapping[str, str] = field(default_factory=dict)


# (wall, writer, sequence): where the next page of `audit_recent` begins.
Position = tuple[int, str, int]


class Store(Protocol):
    """Every method raises Unavailable('vault') when the store can't be reached; the next call tries again."""

    @property
    def writer(self) -> str:
        """The audit chain that this process continues; no other process may write to it meanwhile."""

    async def commit(self, group: Group) -> Mapping[bytes, bytes]:
        """Make `group` durable. An entry whose token is there already is left alone; one with a tombstone is revived.

        Gives token → stored MAC of those that were there, and of those that stand twice in the group.
        """

    async def claim(self, facts: Mapping[str, str]) -> Mapping[str, str]:
        """Name -> what is remembered under it: what stood there, else what is given, durable then."""

    async def get(self, tokens: Sequence[bytes], most: int = 0) -> Mapping[bytes, StoredEntry]:
        """Entries of the tokens (16 bytes each) that have one, tombstones included.

        most: stop when so many bytes of values are read (0: never). Then what is not in the answer may be there.
        """

    async def classes(self, tokens: Sequence[bytes]) -> Mapping[bytes, str]:
        """Token (16 bytes) -> class, of those that have an entry, tombstones included."""

    async def keys(self) -> tuple[StoredKey, ...]:
        """All data keys, oldest first."""

    async def add_first_keys(self, keys: Sequence[StoredKey]) -> bool:
        """Store the first keys of a vault. False, and nothing stored, if it has keys already."""

    async def audit_heads(self) -> tuple[AuditHead, ...]:
        """One a writer, by writer."""

    async def audit_chain(self, writer: str, after: int, limit: int) -> Sequence[AuditRow]:
        """Rows of a writer with a sequence above `after`, in sequence, at most `limit`."""

    async def audit_writers(self) -> tuple[str, ...]:
        """Writers that have rows (their heads may be missing: that is for verify to find)."""

    async def audit_recent(self, before: Position | None, since: int, limit: int) -> Sequence[AuditRow]:
        """Rows with wall >= since, newest first, below the position `before`, at most `limit`."""

    async def audit_by_token(self, token: bytes, limit: int) -> Sequence[AuditRow]:
        """The newest rows that name the token (16 bytes), in index or blocks, newest first, at most `limit`."""

    async def audit_indexed(self, writer: str, first: int, last: int) -> int:
        """How many index entries the rows first..last of a writer have."""

    async def facts(self) -> Mapping[str, str]:
        """All that is remembered (Group.facts)."""

    async def counts(self) -> Mapping[str, tuple[int, int]]:
        """Class → (entries that hold a value, tombstones), by class."""

    async def schema_version(self) -> int:
        """Number of the last migration that ran."""

    async def close(self) -> None:
        """Finish what runs, let go of files and connections."""


def up_to(most: int, entries: Iterable[StoredEntry]) -> dict[bytes, StoredEntry]:
    """What `Store.get` gives of `entries`, in their order."""
    found: dict[bytes, StoredEntry] = {}
    size = 0
    for entry in entries:
        found[entry.token] = entry
        size += entry.size
        if most and size >= most:
            break
    return found
