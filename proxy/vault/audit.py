"""The audit trail: append events, ask what happened, prove that nothing was altered.

Appending is durable on return and shares its commit with everything else of the process (committer). Not here: what
deserves an event (net.answers), the chain's arithmetic (chain).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from proxy import tokens as token_text
from proxy.errors import Bug
from proxy.vault import chain
from proxy.vault.chain import AuditEvent, AuditRecord
from proxy.vault.committer import Committer, Write
from proxy.vault.faults import Damaged, KeyFault
from proxy.vault.keys import Keyring
from proxy.vault.store import INDEXED_TOKENS, TOKEN_BYTES, AuditHead, AuditRow, Position, Store

_PAGE: Final = 500
_ENDLESS: Final = 1 << 62
# Rows that may name one token and are looked at in a search: a person whose data was read every minute for two months.
_MOST_ROWS: Final = 100_000
# Faults that verify collects; a chain rewritten from the start has as many as it has rows.
_MOST_FAULTS: Final = 100


@dataclass(frozen=True, slots=True)
class ChainFault:
    """Something that is not as it was written. sequence: the row it shows at."""

    writer: str
    sequence: int
    what: str


@dataclass(frozen=True, slots=True)
class Anchor:
    """A row of a writer's chain as it was noted elsewhere: what shows that a trail was cut off or put back since."""

    writer: str
    sequence: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.writer}:{self.sequence}:{self.hash.hex()}"

    @classmethod
    def read(cls, text: str) -> "Anchor":
        """Raises ValueError."""
        writer, sequence, digest = text.strip().rsplit(":", 2)
        if len(digest) != 2 * len(chain.FIRST_HASH):
            raise ValueError("not a hash")
        return cls(writer, int(sequence), bytes.fromhex(digest))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verify found. rows: looked at. faults: the first 100; none means the trail is whole. heads: where its chains
    end, to be noted elsewhere."""

    rows: int
    faults: tuple[ChainFault, ...]
    heads: tuple[Anchor, ...] = ()


class Audit:
    """The trail of a vault. Without a committer it only reads."""

    def __init__(self, store: Store, keyring: Keyring, committer: Committer | None) -> None:
        self._store = store
        self._keyring = keyring
        self._committer = committer

    async def append(self, events: Sequence[AuditEvent]) -> None:
        """Make events durable. Raises Unavailable: then what they are about must not be revealed."""
        if self._committer is None:
            raise Bug("this audit trail was opened to read only")
        if events:
            await self._committer.write(Write(events=tuple(events)))

    async def begin(self) -> None:
        """Write this process's start row, so that an empty trail is a cut one. Raises Unavailable."""
        if self._committer is not None:
            await self._committer.write(Write(begins=True))

    @property
    def head(self) -> Anchor | None:
        """Where this process's chain ends, as far as it is durable."""
        head = None if self._committer is None else self._committer.head
        return None if head is None else Anchor(head.writer, head.sequence, head.hash)

    async def tail(self, count: int) -> list[AuditRecord]:
        """The newest `count` events, oldest of them first."""
        return [_read(row) for row in reversed(await self._store.audit_recent(None, 0, count))]

    async def search(
        self, token: bytes | None = None, user: str | None = None, since: int = 0, limit: int = 1000
    ) -> list[AuditRecord]:
        """Events that name the token (36 bytes) and are of the user and not older than `since` (Unix microseconds),
        newest first, at most `limit`."""
        if token is not None:
            return await self._search_token(token, user, since, limit)
        found: list[AuditRecord] = []
        before: Position | None = None
        while len(found) < limit and (rows := await self._store.audit_recent(before, since, _PAGE)):
            found += _of_user(rows, user)
            before = rows[-1].wall, rows[-1].writer, rows[-1].sequence
        return found[:limit]

    async def verify(self, anchors: Sequence[Anchor] = ()) -> Verdict:
        """Walk every writer's chain: rows changed, removed, reordered, inserted or cut off, tokens missing from the
        index, heads that are not ours, writers that vanished, a trail that is empty.

        anchors: ends noted earlier. Without one, a store that was put back whole to an older state looks whole.
        """
        heads = {head.writer: head for head in await self._store.audit_heads()}
        walk = _Walk()
        for writer in sorted({*heads, *await self._store.audit_writers()}):
            await self._walk_chain(writer, heads.get(writer), walk)
        walk.check_links()
        walk.check_anchors(anchors)
        if not walk.rows and not walk.faults and await self._store.keys():
            walk.fault("", 0, "the trail is empty, but each run of pgveil begins with a row")
        ends = tuple([Anchor(head.writer, head.sequence, head.hash) for _, head in sorted(heads.items())])
        return Verdict(walk.rows, tuple(walk.faults[:_MOST_FAULTS]), ends)

    async def _search_token(self, token: bytes, user: str | None, since: int, limit: int) -> list[AuditRecord]:
        if not token_text.looks_like(token):
            return []
        rows = await self._store.audit_by_token(token_text.to_binary(token), _MOST_ROWS)
        return _of_user([row for row in rows if row.wall >= since], user)[:limit]

    async def _walk_chain(self, writer: str, head: AuditHead | None, walk: "_Walk") -> None:
        """Up to the head as it was at first: a writer may be at work meanwhile."""
        last, sequence = chain.FIRST_HASH, 0
        end = _ENDLESS if head is None else head.sequence
        while sequence < end and len(walk.faults) < _MOST_FAULTS:
            rows = await self._store.audit_chain(writer, sequence, _PAGE)
            rows = [row for row in rows if row.sequence <= end]
            if not rows:
                break
            await self._check_index(writer, rows, walk)
            for row in rows:
                walk.check_row(row, sequence, last)
                sequence, last = row.sequence, row.hash
        walk.check_head(writer, head, sequence, last, self._signed(head))
        if head is not None:
            await self._check_beyond(writer, head, walk)

    async def _check_beyond(self, writer: str, head: AuditHead, walk: "_Walk") -> None:
        """Rows behind the head are a writer at work if the head moves with them (one commit), else put there."""
        beyond = await self._store.audit_chain(writer, head.sequence, 1)
        heads = {now.writer: now for now in await self._store.audit_heads()}
        if beyond and heads.get(writer, head).sequence <= head.sequence:
            walk.fault(writer, beyond[0].sequence, "stands behind the signed end of the chain")

    async def _check_index(self, writer: str, rows: Sequence[AuditRow], walk: "_Walk") -> None:
        counts = (len(row.tokens) // TOKEN_BYTES for row in rows)
        expected = sum(count for count in counts if count <= INDEXED_TOKENS)
        if await self._store.audit_indexed(writer, rows[0].sequence, rows[-1].sequence) == expected:
            return
        for row in rows:  # name the row
            count = len(row.tokens) // TOKEN_BYTES
            there = await self._store.audit_indexed(writer, row.sequence, row.sequence)
            if count <= INDEXED_TOKENS and there != count:
                walk.fault(row.writer, row.sequence, f"{count} tokens, {there} of them in the index")

    def _signed(self, head: AuditHead | None) -> bool:
        try:
            return head is not None and chain.is_signed(self._keyring.audit_key(head.key_id), head)
        except KeyFault:
            return False


class _Walk:
    """What verify has seen so far."""

    def __init__(self) -> None:
        self.rows = 0
        self.faults: list[ChainFault] = []
        self._links: list[tuple[str, int, str, int, bytes]] = []  # (from writer, at row, to writer, row, hash)
        self._linked: dict[tuple[str, int], bytes] = {}

    def fault(self, writer: str, sequence: int, what: str) -> None:
        self.faults.append(ChainFault(writer, sequence, what))

    def check_row(self, row: AuditRow, before: int, last: bytes) -> None:
        self.rows += 1
        if row.sequence != before + 1:
            self.fault(row.writer, row.sequence, f"rows {before + 1} to {row.sequence - 1} are missing")
        elif not _is_whole(last, row):
            self.fault(row.writer, row.sequence, "changed, or not the row that stood here")
        try:
            links = chain.linked_heads(row)
        except (ValueError, TypeError):
            self.fault(row.writer, row.sequence, "does not read as an audit row")
            return
        self._links += [(row.writer, row.sequence, *link) for link in links]
        self._linked[row.writer, row.sequence] = row.hash

    def check_head(self, writer: str, head: AuditHead | None, sequence: int, last: bytes, signed: bool) -> None:
        if head is None:
            self.fault(writer, sequence, "the signed head is missing")
        elif not signed:
            self.fault(writer, head.sequence, "the head's signature is not ours")
        elif head.sequence > sequence:
            self.fault(writer, head.sequence, f"rows {sequence + 1} to {head.sequence} are missing at the end")
        elif (head.sequence, head.hash) != (sequence, last):
            self.fault(writer, sequence, "the chain does not end as its head says")

    def check_anchors(self, anchors: Sequence[Anchor]) -> None:
        for anchor in anchors:
            if self._linked.get((anchor.writer, anchor.sequence)) != anchor.hash:
                self.fault(anchor.writer, anchor.sequence, _gone(anchor))

    def check_links(self) -> None:
        for writer, at, other, sequence, digest in self._links:
            if self._linked.get((other, sequence)) != digest:
                self.fault(writer, at, f"the trail of writer {other} up to row {sequence} is gone or another")


def _gone(anchor: Anchor) -> str:
    return f"no row of writer {anchor.writer} with the noted hash: the trail was cut off, put back or rewritten since"


def _of_user(rows: Sequence[AuditRow], user: str | None) -> list[AuditRecord]:
    records = [_read(row) for row in rows]
    return [record for record in records if user is None or record.event.user == user]


def _is_whole(last: bytes, row: AuditRow) -> bool:
    """A row whose columns hold other types than were written has been changed too."""
    try:
        return chain.row_hash(last, row) == row.hash
    except TypeError:
        return False


def _read(row: AuditRow) -> AuditRecord:
    try:
        return chain.read(row)
    except (ValueError, TypeError):
        raise Damaged(f"audit row {row.sequence} of writer {row.writer} does not read") from None
