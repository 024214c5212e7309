"""Two bounded memories of a vault: tokens known to be stored, and entries as they are stored (ciphertext).

Neither ever holds a plaintext. Least recently used leaves first. Not here: when to forget (erasure tells the vault).
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from proxy.vault.store import StoredEntry

# An entry above this share of the cache is not kept: one large value would push out everything else.
_LARGEST_SHARE: Final = 64
# Python objects around an entry beside its envelope's bytes, its token as text included.
_ENTRY_OVERHEAD: Final = 480


class KnownTokens:
    """Deterministic tokens whose entries are durable, so that writing their values again costs no I/O."""

    __slots__ = ("_limit", "_tokens")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tokens: OrderedDict[bytes, None] = OrderedDict()

    def __contains__(self, token: bytes) -> bool:
        if token not in self._tokens:
            return False
        self._tokens.move_to_end(token)
        return True

    def add(self, tokens: Iterable[bytes]) -> None:
        for token in tokens:
            self._tokens[token] = None
            self._tokens.move_to_end(token)
        while len(self._tokens) > self._limit:
            self._tokens.popitem(last=False)

    def forget(self, tokens: Iterable[bytes]) -> None:
        for token in tokens:
            self._tokens.pop(token, None)


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
