"""Tokens out of values, and the entries to be stored under them: what a value costs in CPU before it is written.

Remembers which deterministic tokens are stored already. Not here: storing (committer), waiting, turns (vault).

Invariant: a token is remembered as known only when the vault says that its entry is durable; no value is kept.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, final

from proxy import tokens as token_text
from proxy.errors import Bug
from proxy.vault import crypto
from proxy.vault.cache import KnownTokens
from proxy.vault.keys import Entropy, Keyring
from proxy.vault.store import StoredEntry

Mode = Literal["deterministic", "random"]
Pair = tuple[str, bytes]  # class, canonical value
ENTRY_VERSION: Final = 1


@final
class Kind:
    """A class's keys, at hand."""

    __slots__ = ("key_id", "mac_key", "random", "sealer", "token_key")

    def __init__(self, name: str, mode: Mode, keyring: Keyring) -> None:
        self.random: bool = mode == "random"
        self.key_id: str = keyring.value_key_id
        self.token_key: bytes = keyring.token_key(name)
        self.mac_key: bytes = keyring.mac_key(name)
        self.sealer: crypto.Sealer = keyring.box(name, self.key_id).sealer(name, self.key_id, ENTRY_VERSION)


@final
class Fresh:
    """What is not known to be stored: entries by their tokens' text, and the identities of those."""

    __slots__ = ("entries", "identities")

    def __init__(self) -> None:
        self.entries: dict[bytes, StoredEntry] = {}
        self.identities: dict[bytes, bytes] = {}  # identity -> token text


@final
class Mint:
    """See the module. Made for one vault, used in its loop only."""

    __slots__ = ("_entropy", "_keyring", "_kinds", "_known", "_modes", "_tag_key")

    def __init__(self, keyring: Keyring, entropy: Entropy, known: int) -> None:
        """known: tokens to remember."""
        self._keyring = keyring
        self._entropy = entropy
        self._tag_key: bytes = keyring.tag_key
        self._known = KnownTokens(known)
        self._modes: dict[str, Mode] = {}
        self._kinds: dict[str, Kind] = {}

    def configure(self, classes: Mapping[str, Mode]) -> None:
        """Token modes from now on; a class that is not in it keeps its own."""
        self._modes.update(classes)
        self._kinds.clear()

    def find(self, items: Sequence[Pair]) -> list[bytes]:
        """Tokens that the values have, stored or not. Raises Bug for a random or unknown class."""
        found: list[bytes] = []
        for name, value in items:
            kind = self._kind(name)
            if kind.random:
                raise Bug(f"class {name} has random tokens: its values have no token to look for")
            identity = token_text.identity(kind.token_key, value)
            found.append(self._known.get(identity) or token_text.of_identity(self._tag_key, identity))
        return found

    def known(self, items: Sequence[Pair]) -> list[bytes] | None:
        """Tokens, if all are known to be stored."""
        found: list[bytes] = []
        for name, value in items:
            kind = self._kind(name)
            if kind.random:
                return None
            token = self._known.get(token_text.identity(kind.token_key, value))
            if token is None:
                return None
            found.append(token)
        return found

    def make(self, items: Sequence[Pair], now: int, fresh: Fresh) -> list[bytes]:
        """Tokens of the values; what is to be stored first goes into `fresh`. now: Unix seconds."""
        made: list[bytes] = []
        nonces, at = b"", 0
        for name, value in items:
            kind = self._kind(name)
            if kind.random:
                token = token_text.random(self._tag_key, self._entropy(token_text.ENTROPY_BYTES))
            else:
                identity = token_text.identity(kind.token_key, value)
                known = self._known.get(identity) or fresh.identities.get(identity)
                if known is not None:
                    made.append(known)
                    continue
                token = fresh.identities[identity] = token_text.of_identity(self._tag_key, identity)
            if at == len(nonces):  # drawn for all that may follow: a call of the system each is half a microsecond
                nonces, at = self._entropy(crypto.NONCE_BYTES * len(items)), 0
            nonce = nonces[at : at + crypto.NONCE_BYTES]
            at += crypto.NONCE_BYTES
            fresh.entries[token] = _entry(name, kind, token, nonce, value, now)
            made.append(token)
        return made

    def stored(self, fresh: Fresh) -> None:
        """These are durable now."""
        for identity, token in fresh.identities.items():
            self._known.add(identity, token)

    def forget(self, tokens: Sequence[bytes]) -> None:
        """Their entries changed in the store."""
        self._known.forget(tokens)

    def _kind(self, name: str) -> Kind:
        kind = self._kinds.get(name)
        if kind is None:
            mode = self._modes.get(name)
            if mode is None:
                raise Bug(f"the vault was not told of class {name}")
            kind = self._kinds[name] = Kind(name, mode, self._keyring)
        return kind


def _entry(name: str, kind: Kind, token: bytes, nonce: bytes, value: bytes, now: int) -> StoredEntry:
    """The MAC covers the token too, so that equal values under random tokens do not show as equal MACs."""
    binary = token_text.to_binary(token)
    sealed = kind.sealer.seal(binary, nonce, value)
    mac = crypto.entry_mac(kind.mac_key, binary, value)
    return StoredEntry(binary, name, kind.key_id, ENTRY_VERSION, now, mac, sealed)
