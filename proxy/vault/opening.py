"""What stands behind tokens: stored entries are opened here. CPU only, and most of what a value of a result costs.

Keeps entries as they are stored (ciphertext) in the cache, and what opens them by class and key. Not here: reading the
store, waiting, turns (vault).

Invariants: an entry is opened as that of the token that was asked for, not of the one that its row claims; a value
opened is in the answer and nowhere else.
"""

from collections.abc import Iterable, Sequence
from typing import Final, final

from proxy import tokens as token_text
from proxy.vault.cache import EntryCache
from proxy.vault.crypto import Opener, Unsealed
from proxy.vault.faults import Damaged, KeyFault
from proxy.vault.keys import Keyring
from proxy.vault.store import StoredEntry

# Kinds of entries (class, key, version) that openers are kept for: each rotation of keys adds one a class.
_OPENERS: Final = 1024


@final
class Opened:
    """values: class -> token (text) -> canonical value, UTF-8. erased: token -> class. absent: tokens of this vault's
    key that have no entry. A text that is no token of this vault is in none of them."""

    __slots__ = ("absent", "erased", "values")

    def __init__(self) -> None:
        self.values: dict[str, dict[bytes, bytes]] = {}
        self.erased: dict[bytes, str] = {}
        self.absent: set[bytes] = set()

    def __repr__(self) -> str:
        return f"Opened({len(self)})"

    def __len__(self) -> int:
        return len(self.erased) + len(self.absent) + sum([len(values) for values in self.values.values()])


@final
class Opening:
    """See the module."""

    __slots__ = ("_keyring", "_openers", "_tag_key", "cache")

    def __init__(self, keyring: Keyring, cache: EntryCache) -> None:
        self.cache = cache
        self._keyring = keyring
        self._tag_key: bytes = keyring.tag_key
        self._openers: dict[tuple[str, str, int], Opener] = {}

    def held(self, tokens: Iterable[bytes]) -> tuple[dict[bytes, StoredEntry | None], list[bytes], int]:
        """Entries in the cache by their tokens' texts, the other texts that are tokens of ours, bytes of the former."""
        held: dict[bytes, StoredEntry | None] = {}
        missing: list[bytes] = []
        size = 0
        for token in dict.fromkeys(tokens):
            entry = self.cache.get(token)
            if entry is not None:
                held[token] = entry
                sealed: bytes | None = entry.sealed
                if sealed is not None:
                    size += len(sealed)
            elif token_text.is_ours(self._tag_key, token):
                missing.append(token)
        return held, missing, size

    def open(self, entries: Sequence[tuple[bytes, StoredEntry | None]], opened: Opened) -> None:
        """Put what stands behind tokens (texts) into `opened`. Raises Damaged or KeyFault naming a token whose row does
        not open."""
        name, key_id, version = "", "", -1
        opener: Opener | None = None
        values: dict[bytes, bytes] = {}
        binaries = token_text.to_binaries([token for token, _ in entries])
        for at, (token, entry) in enumerate(entries):
            if entry is None:
                opened.absent.add(token)
                continue
            sealed: bytes | None = entry.sealed
            if sealed is None:
                opened.erased[token] = entry.class_name
                continue
            try:
                if opener is None or entry.class_name != name or entry.key_id != key_id or entry.version != version:
                    name, key_id, version = entry.class_name, entry.key_id, entry.version
                    opener = self._opener(name, key_id, version)
                    values = opened.values.setdefault(name, {})
                values[token] = opener.open(binaries[at], sealed)
            except (Unsealed, KeyFault) as fault:
                self.cache.forget((token,))
                raise _unopened(fault, token, entry.key_id) from None

    def _opener(self, name: str, key_id: str, version: int) -> Opener:
        """Raises KeyFault."""
        opener = self._openers.get((name, key_id, version))
        if opener is None:
            opener = self._keyring.box(name, key_id).opener(name, key_id, version)
            if len(self._openers) < _OPENERS:
                self._openers[name, key_id, version] = opener
        return opener


def _unopened(fault: Unsealed | KeyFault, token: bytes, key_id: str) -> Exception:
    if isinstance(fault, KeyFault):
        return KeyFault(f"{fault.why}, needed for entry {token.decode('ascii')}")
    return Damaged(str(fault), token, key_id)
