"""Group commit: entries and audit events of all links become durable together, in one transaction of the store.

While one group is on its way, what comes in makes the next. The audit chain advances only when its group is durable;
after a failure its head is read from the store again, because a commit that failed may still have happened.
Not here: what is written (vault), what is said about it (audit).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from proxy.vault import chain
from proxy.vault.batch import Batcher, Spawn
from proxy.vault.chain import AuditEvent
from proxy.vault.faults import Damaged
from proxy.vault.keys import Entropy, Keyring
from proxy.vault.store import AuditHead, AuditRow, Group, Store, StoredEntry

# What an entry weighs beside its ciphertext, and an audit row beside its tokens, in bytes written.
_ENTRY_WEIGHT: Final = 150
_EVENT_WEIGHT: Final = 600
_TOKEN_WEIGHT: Final = 16


@dataclass(frozen=True, slots=True)
class Sources:
    """What the vault takes from outside: tasks, randomness (n → n bytes), Unix microseconds, monotonic ns."""

    spawn: Spawn
    entropy: Entropy
    wall: Callable[[], int]
    mono: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds. group_bytes: of one transaction (1 MiB are some 5,000 small values, 50 to 100 ms of SQLite's work: nobody
    waits longer for others, and the fsync is no matter any more). queue: requests that may wait (64 for each of 1,000
    links: net.link). timeout: seconds; a disk that stalls longer is 'not reachable'. known_tokens: tokens
    remembered as stored (100 bytes each). cache_bytes: of ciphertext. audit_fsync: False makes audit rows outlive a
    crash of the process only, for reads on slow disks."""

    group_bytes: int = 1 << 20
    read_tokens: int = 10_000
    queue: int = 64_000
    timeout: float = 10.0
    known_tokens: int = 200_000
    cache_bytes: int = 32 << 20
    audit_fsync: bool = True


@dataclass(frozen=True, slots=True)
class Write:
    """One link's part of a group."""

    entries: Sequence[StoredEntry] = ()
    events: Sequence[AuditEvent] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    begins: bool = False  # the process's start row is due, whether there are events or not


class Committer:
    """Owns the process's audit chain and the way to the store's writer."""

    def __init__(self, store: Store, keyring: Keyring, sources: Sources, limits: Limits) -> None:
        self._store = store
        self._keyring = keyring
        self._sources = sources
        self._durable = limits.audit_fsync
        self._head: AuditHead | None = None
        self._head_known = False
        self._start: bytes | None = None  # body of the start row, while it is still to be written
        self._started = False
        self._batcher: Batcher[Write, Mapping[bytes, bytes]] = Batcher(
            self._commit,
            _weigh,
            sources.spawn,
            "vault-commit",
            weight=limits.group_bytes,
            queue=limits.queue,
            timeout=limits.timeout,
        )

    async def write(self, write: Write) -> Mapping[bytes, bytes]:
        """Make `write` durable. Gives token → MAC of entries that were there (also others' of the same group).

        Raises Unavailable: then nothing is promised, but all or nothing of it is there.
        """
        return await self._batcher.submit(write)

    @property
    def head(self) -> AuditHead | None:
        """The end of this process's chain, as far as it is durable."""
        return self._head

    async def open_chain(self) -> None:
        """Find where this process's audit chain ends. Raises Damaged if its head is gone or not ours."""
        heads = {head.writer: head for head in await self._store.audit_heads()}
        own = heads.pop(self._store.writer, None)
        if own is not None and not chain.is_signed(self._keyring.audit_key(own.key_id), own):
            raise Damaged(f"audit head of writer {own.writer} is not signed with key {own.key_id}")
        if own is None and await self._store.audit_chain(self._store.writer, 0, 1):
            raise Damaged(f"audit head of writer {self._store.writer} is missing, its rows are not")
        if not self._started:
            self._start = chain.start_body(heads.values())
        self._head, self._head_known = own, True

    async def close(self) -> None:
        await self._batcher.close()

    async def _commit(self, writes: Sequence[Write]) -> Mapping[bytes, bytes]:
        entries = [entry for write in writes for entry in write.entries]
        events = [event for write in writes for event in write.events]
        begins = self._start is not None and any(write.begins for write in writes)
        rows, head = await self._link(events) if events or begins else ([], None)
        self._head_known = self._head_known and not rows
        facts = {name: text for write in writes for name, text in write.facts.items()}
        existing = await self._store.commit(Group(entries, rows, head, self._durable, facts))
        if rows:
            self._head, self._head_known, self._start, self._started = head, True, None, True
        return existing

    async def _link(self, events: Sequence[AuditEvent]) -> tuple[list[AuditRow], AuditHead | None]:
        if not self._head_known:
            await self.open_chain()
        parts = [(chain.body(event), chain.pack_tokens(event.tokens)) for event in events]
        if self._start is not None:
            parts.insert(0, (self._start, b""))
        moment = self._sources.wall(), self._sources.mono()
        key_id = self._keyring.audit_key_id
        return chain.extend(self._head, self._store.writer, moment, parts, self._keyring.audit_key(key_id), key_id)


def _weigh(write: Write) -> int:
    entries = sum(_ENTRY_WEIGHT + len(entry.sealed or b"") for entry in write.entries)
    return entries + sum(_EVENT_WEIGHT + _TOKEN_WEIGHT * len(event.tokens) for event in write.events)
