"""The audit trail's hash chain: events become rows, rows are linked and the last one is signed. Pure.

Each writer has a chain of its own, numbered from 1 without gaps. A row's hash covers the hash before it, so that a
changed, removed, reordered or inserted row breaks the chain; the signed head (HMAC under the audit key) tells where
it ends, so that rows cut off at the end are missed. A process opens with a `start` row that names the heads of other
writers, so that a writer's whole trail can't vanish unseen. What no chain shows: a store put back to an older copy,
heads and all; for that, `audit verify --head` takes a head that was noted elsewhere.

Invariant: the hash is over the stored bytes as they are; verification re-serialises nothing.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final, Literal

from proxy import tokens as token_text
from proxy.vault import crypto
from proxy.vault.store import TOKEN_BYTES, AuditHead, AuditRow

Action = Literal["reveal", "mask", "token", "search", "write", "refuse", "erase", "start"]
FIRST_HASH: Final = bytes(32)
# Heads of other writers that a start row names: the newest. 16 sidecars cover each other; a row stays small.
LINKED_HEADS: Final = 16


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """What happened. No field may hold a value. tokens: 36-byte texts. count: values concerned (it may exceed the
    tokens: values that have none). The principal's fields are as in session.effects.Principal.

    classes: where values of several classes are concerned, how many of each; class_name is '' then."""

    action: Action
    outcome: str
    user: str = ""
    database: str = ""
    application: str = ""
    client: str = ""
    tls_subject: str = ""
    purpose: str = ""
    role: str = ""
    fingerprint: str = ""
    statement: str = ""
    class_name: str = ""
    count: int = 0
    tokens: tuple[bytes, ...] = field(default=(), repr=False)
    classes: tuple[tuple[str, int], ...] = ()

    @property
    def named(self) -> str:
        """The classes, for whoever reads: 'email', or 'email, phone'."""
        return self.class_name or ", ".join([name for name, _ in self.classes])


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """An event as read from the trail. wall: Unix microseconds."""

    writer: str
    sequence: int
    wall: int
    event: AuditEvent


_TEXT_FIELDS: Final = (
    "outcome",
    "user",
    "database",
    "application",
    "client",
    "tls_subject",
    "purpose",
    "role",
    "fingerprint",
    "statement",
    "class_name",
)
_texts: Final[Callable[[AuditEvent], tuple[str, ...]]] = attrgetter(*_TEXT_FIELDS)
_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def body(event: AuditEvent) -> bytes:
    """Canonical JSON of an event without its tokens; empty fields are left out."""
    fields: dict[str, object] = {"action": event.action, "count": event.count}
    for name, value in zip(_TEXT_FIELDS, _texts(event), strict=True):
        if value:
            fields[name] = value
    if event.classes:
        fields["classes"] = dict(event.classes)
    return _json(fields)


def start_body(heads: Iterable[AuditHead]) -> bytes:
    """The body of a process's first row: heads of other writers, as [writer, sequence, hash in hex]."""
    newest = sorted(heads, key=lambda head: (head.sequence, head.writer))[-LINKED_HEADS:]
    links = [[head.writer, head.sequence, head.hash.hex()] for head in newest]
    return _json({"action": "start", "count": 0, "heads": links, "outcome": "ok"})


def pack_tokens(tokens: Iterable[bytes]) -> bytes:
    """Token texts as one sorted block of 16 bytes each, without repeats."""
    return b"".join(token_text.to_binaries(sorted(set(tokens))))  # texts sort as their bytes do


def link(previous: AuditHead | None, writer: str, wall: int, mono: int, text: bytes, tokens: bytes) -> AuditRow:
    """The row that follows the head `previous`. wall: Unix microseconds. mono: nanoseconds."""
    sequence = 1 if previous is None else previous.sequence + 1
    before = FIRST_HASH if previous is None else previous.hash
    digest = _hash(before, writer, (sequence, wall, mono), text, tokens)
    return AuditRow(writer, sequence, wall, mono, text, tokens, digest)


def row_hash(before: bytes, row: AuditRow) -> bytes:
    """SHA-256 over the hash before and everything a row says."""
    return _hash(before, row.writer, (row.sequence, row.wall, row.mono), row.body, row.tokens)


def _hash(before: bytes, writer: str, numbers: tuple[int, int, int], text: bytes, tokens: bytes) -> bytes:
    packed = b"".join([number.to_bytes(8, "big", signed=True) for number in numbers])
    content = hashlib.sha256(tokens).digest()
    return hashlib.sha256(crypto.join(before, writer.encode(), packed, text, content)).digest()


def sign(key: bytes, key_id: str, row: AuditRow) -> AuditHead:
    """The signed head of a chain that ends with `row`."""
    return AuditHead(row.writer, row.sequence, row.hash, key_id, _signature(key, row.writer, row.sequence, row.hash))


def is_signed(key: bytes, head: AuditHead) -> bool:
    return crypto.same(head.signature, _signature(key, head.writer, head.sequence, head.hash))


def extend(
    head: AuditHead | None,
    writer: str,
    moment: tuple[int, int],
    parts: Sequence[tuple[bytes, bytes]],
    key: bytes,
    key_id: str,
) -> tuple[list[AuditRow], AuditHead | None]:
    """Rows for (body, packed tokens) after `head`, and the head signed anew. moment: (wall µs, mono ns)."""
    rows: list[AuditRow] = []
    for text, packed in parts:
        rows.append(link(head, writer, *moment, text, packed))
        head = AuditHead(writer, rows[-1].sequence, rows[-1].hash, "", b"")
    return rows, sign(key, key_id, rows[-1]) if rows else head


def read(row: AuditRow) -> AuditRecord:
    """A row as an event. Raises ValueError if its body is not one of ours."""
    fields = _fields(row.body)
    text = {name: str(fields.get(name, "")) for name in _TEXT_FIELDS}
    classes = fields.get("classes", {})
    if not isinstance(classes, dict):
        raise ValueError("classes are no object")
    packed = (row.tokens[at : at + TOKEN_BYTES] for at in range(0, len(row.tokens), TOKEN_BYTES))
    event = AuditEvent(
        action=fields["action"],  # type: ignore[arg-type]
        count=int(str(fields["count"])),
        tokens=tuple(token_text.from_binary(token) for token in packed),
        classes=tuple([(str(name), int(number)) for name, number in classes.items()]),
        **text,
    )
    return AuditRecord(row.writer, row.sequence, row.wall, event)


def linked_heads(row: AuditRow) -> list[tuple[str, int, bytes]]:
    """The heads of other writers that a start row names; [] for other rows. Raises ValueError as `read` does."""
    heads = _fields(row.body).get("heads", [])
    if not isinstance(heads, list):
        raise ValueError("heads are no list")
    return [(str(writer), int(sequence), bytes.fromhex(digest)) for writer, sequence, digest in heads]


def _fields(text: bytes) -> dict[str, object]:
    fields = json.loads(text)
    if not isinstance(fields, dict) or not {"action", "count"} <= fields.keys():
        raise ValueError("not an audit body")
    return fields


def _signature(key: bytes, writer: str, sequence: int, digest: bytes) -> bytes:
    return crypto.mac(key, b"audit head", writer.encode(), sequence.to_bytes(8, "big"), digest)


def _json(fields: object) -> bytes:
    return _ENCODER.encode(fields).encode("ascii")
