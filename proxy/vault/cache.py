"""Two bounded memories of a vault: tokens known to be stored, and entries as they are stored (ciphertext).

Neither ever holds a plaintext. Least recently used leaves first. Not here: when to forget (erasure tells the vault).
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, final

from proxy.vault.store import StoredEntry

# An entry above this share of the cache is not kept: one large value would push out everything else.
_LARGEST_SHARE: Final = 64
# Python objects around an entry beside its envelope's bytes, its token as text included.
_ENTRY_OVERHEAD: Final = 480


@final
class KnownTokens:
    """Deterministic tokens whose entries are durable, by their identity (tokens.identity), so that writing their values
    again costs no I/O, and no second HMAC.

    Two generations in place of an order: what is used moves to the young one, which becomes the old one when it is
    full; so at least the `limit // 2` used last are there. A look-up is one of a dict, a quarter of an OrderedDict's.
    """

    __slots__ = ("_half", "_old", "_young")

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, identity: bytes) -> bytes | None:
        token = self._young.get(identity)
        if token is None:
            token = self._old.get(identity)
            if token is not None:
                self.add(identity, token)
        return token

    def add(self, identity: bytes, token: bytes) -> None:
        if len(self._young) >= self._half:
            self._old = self._young
            self._young = {}
        self._young[identity] = token

    def forget(self, tokens: Iterable[bytes]) -> None:
        """Looks at all there are."""
        gone = frozenset(tokens)
        self._young = {identity: token for identity, token in self._young.items() if token not in gone}
        self._old = {identity: token for identity, token in self._old.items() if token not in gone}


@final
class EntryCache:
    """Entries by their token's text, which need not be proven to be ours then; bounded by bytes."""

    __slots__ = ("_bytes", "_entries", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._entries: OrderedDict[bytes, StoredEntry] = OrderedDict()

    @property
    def size(self) -> int:
        """Bytes held, overhead included."""
        return self._bytes

    def get(self, token: bytes) -> StoredEntry | None:
        entry = self._entries.get(token)
        if entry is not None:
            self._entries.move_to_end(token)
        return entry

    def add(self, entries: Iterable[tuple[bytes, StoredEntry]]) -> None:
        """(token as 36-byte text, its entry) each."""
        for token, entry in entries:
            if token in self._entries:
                self.forget((token,))
            size = _size(entry)
            if size * _LARGEST_SHARE <= self._limit:
                self._entries[token] = entry
                self._bytes += size
        while self._bytes > self._limit:
            self._bytes -= _size(self._entries.popitem(last=False)[1])

    def forget(self, tokens: Iterable[bytes]) -> None:
        for token in tokens:
            entry = self._entries.pop(token, None)
            if entry is not None:
                self._bytes -= _size(entry)


def _size(entry: StoredEntry) -> int:
    return _ENTRY_OVERHEAD + len(entry.sealed or b"")
