"""Keys: where the key-encryption keys come from, and the data keys of a vault, unwrapped.

Three levels. A **KEK** lives with a provider (a key file, the environment; later a KMS) and never in the vault. It
wraps the vault's **data keys**, which lie wrapped in the store: `identity` (never rotates: tokens are made of it),
`value` (encrypts; rotates, older ones stay readable), `audit` (signs the trail). From a data key HKDF **derives** one
key per purpose and class. Not here: rotation and re-encryption.

Invariants: a key file is 0600 and never overwritten; `repr` and errors show ids, never bytes of a key.
"""

import base64
import binascii
import contextlib
import json
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from proxy.vault import crypto
from proxy.vault.crypto import Box, Unsealed
from proxy.vault.faults import KeyFault
from proxy.vault.store import KeyKind, Store, StoredKey

Entropy = Callable[[int], bytes]
FIRST_KEYS: Final[tuple[KeyKind, ...]] = ("identity", "value", "audit")
_PREFIX: Final[Mapping[KeyKind, str]] = {"identity": "i", "value": "v", "audit": "a"}


class KeyProvider(Protocol):
    """Holds key-encryption keys and uses them; the place a KMS plugs in."""

    @property
    def name(self) -> str:
        """Where the keys are, for errors: 'file:/etc/pgveil/keys.json'."""

    async def wrap(self, key: bytes, key_id: str, kind: str) -> tuple[str, bytes]:
        """Wrap a data key with the active KEK. Gives (KEK id, wrapped). Raises Unavailable."""

    async def unwrap(self, kek_id: str, wrapped: bytes, key_id: str, kind: str) -> bytes:
        """The data key. Raises KeyFault (a KEK that is not here, or not the one that wrapped) or Unavailable."""


class LocalKeys:
    """KEKs of a key document (JSON), held in this process. Implements KeyProvider."""

    def __init__(self, name: str, keks: Mapping[str, bytes], active: str, entropy: Entropy) -> None:
        self._name = name
        self._boxes = {kek_id: Box(kek, crypto.preferred_suite()) for kek_id, kek in keks.items()}
        self._active = active
        self._entropy = entropy

    def __repr__(self) -> str:
        return f"LocalKeys({self._name}, {sorted(self._boxes)})"

    @property
    def name(self) -> str:
        return self._name

    async def wrap(self, key: bytes, key_id: str, kind: str) -> tuple[str, bytes]:
        context = crypto.wrap_context(key_id, kind, self._active)
        return self._active, self._boxes[self._active].seal(self._entropy(crypto.NONCE_BYTES), key, context)

    async def unwrap(self, kek_id: str, wrapped: bytes, key_id: str, kind: str) -> bytes:
        box = self._boxes.get(kek_id)
        if box is None:
            held = ", ".join(sorted(self._boxes))
            raise KeyFault(f"the vault's key {key_id} is wrapped by KEK {kek_id}; {self._name} holds only {held}")
        try:
            return box.open(wrapped, crypto.wrap_context(key_id, kind, kek_id))
        except Unsealed as fault:
            why = f"the vault's key {key_id}, opened with KEK {kek_id} of {self._name}, {fault}"
            raise KeyFault(why) from None


def load_provider(uri: str, environment: Mapping[str, str], entropy: Entropy) -> KeyProvider:
    """The provider a `keys:` setting names: 'file:/path' or 'env:NAME'. Raises KeyFault."""
    scheme, _, rest = uri.partition(":")
    if scheme == "file":
        return _parse(uri, _read_key_file(Path(rest)), entropy)
    if scheme == "env":
        if not environment.get(rest):
            raise KeyFault(f"the environment variable {rest} is not set")
        return _parse(uri, environment[rest], entropy)
    raise KeyFault(f"unknown key provider {scheme!r}: expected file:/path/keys.json or env:NAME")


def new_key_document(entropy: Entropy) -> str:
    """The text of a key file with one fresh KEK, whose id is random so that no two files share one by accident."""
    kek_id = "k" + entropy(4).hex()
    kek = base64.b64encode(entropy(crypto.KEY_BYTES)).decode("ascii")
    return json.dumps({"version": 1, "active": kek_id, "keks": {kek_id: kek}}, indent=2) + "\n"


def init_key_file(path: Path, entropy: Entropy) -> None:
    """Make a key file, 0600, durable, whole or not at all. Raises KeyFault if there is one or it can't be made."""
    draft = path.with_name(f".{path.name}.{entropy(8).hex()}")
    try:
        _write_new(draft, new_key_document(entropy).encode("ascii"))
        try:
            os.link(draft, path)  # unlike rename, link refuses to replace
        finally:
            draft.unlink()
        _sync_directory(path.parent)
    except FileExistsError:
        raise KeyFault(f"{path} exists: a key file is never overwritten, as the vault it opens would be lost") from None
    except OSError as fault:
        raise KeyFault(f"{path} can't be made: {fault.strerror}") from None


def _write_new(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with contextlib.closing(os.fdopen(descriptor, "wb")) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_key_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise KeyFault(f"{path} has mode {mode:04o}, so others can read it: chmod 600 {path}")
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        raise KeyFault(f"{path} does not exist: `pgveil keys init` makes it") from None
    except OSError as fault:
        raise KeyFault(f"{path} can't be read: {fault.strerror}") from None


def _parse(name: str, text: str, entropy: Entropy) -> LocalKeys:
    try:
        document = json.loads(text)
        if document["version"] != 1:
            raise KeyFault(f"{name} has version {document['version']!r}; this program knows version 1")
        keks = {str(kek_id): base64.b64decode(kek, validate=True) for kek_id, kek in document["keks"].items()}
        active = str(document["active"])
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        raise KeyFault(f"{name} is not a key document of pgveil") from None
    if active not in keks:
        raise KeyFault(f"{name} names {active} as active, but holds only {', '.join(sorted(keks))}")
    for kek_id, kek in keks.items():
        if len(kek) != crypto.KEY_BYTES:
            raise KeyFault(f"KEK {kek_id} of {name} has {len(kek)} bytes, not {crypto.KEY_BYTES}")
    return LocalKeys(name, keks, active, entropy)


@dataclass(frozen=True, slots=True)
class DataKey:
    """An unwrapped data key."""

    stored: StoredKey
    key: bytes

    def __repr__(self) -> str:
        return f"DataKey({self.stored.id}, <hidden>)"


class Keyring:
    """The data keys of a vault, unwrapped, and what is derived from them (derived once, kept)."""

    def __init__(self, keys: Sequence[DataKey], suite: int) -> None:
        """keys: oldest first. suite: crypto.GCM_SIV or crypto.GCM, what new entries are sealed with."""
        self._suite = suite
        self._by_id = {key.stored.id: key for key in keys}
        self._identity = _only(keys, "identity").key
        self.value_key_id: Final = _only(keys, "value").stored.id
        self.audit_key_id: Final = _only(keys, "audit").stored.id
        self.tag_key: Final = crypto.derive(self._identity, "tag")
        self._derived: dict[tuple[str, str], bytes] = {}
        self._audit: dict[str, bytes] = {}
        self._boxes: dict[tuple[str, str], Box] = {}

    def __repr__(self) -> str:
        return f"Keyring({sorted(self._by_id)})"

    def token_key(self, class_name: str) -> bytes:
        """What deterministic tokens of a class are made with."""
        return self._derive("token", class_name)

    def mac_key(self, class_name: str) -> bytes:
        """What proves that one token means one value."""
        return self._derive("mac", class_name)

    def audit_key(self, key_id: str) -> bytes:
        """What audit heads are signed with. Raises KeyFault if there is no such audit key."""
        found = self._by_id.get(key_id)
        if found is None or found.stored.kind != "audit":
            raise KeyFault(f"the vault has no audit key {key_id}")
        key = self._audit.get(key_id)
        if key is None:
            key = self._audit[key_id] = crypto.derive(found.key, "audit head")
        return key

    def box(self, class_name: str, key_id: str) -> Box:
        """What seals and opens entries of a class under the data key `key_id`. Raises KeyFault if it is not there."""
        box = self._boxes.get((class_name, key_id))
        if box is None:
            found = self._by_id.get(key_id)
            if found is None or found.stored.kind != "value":
                raise KeyFault(f"the vault has no value key {key_id}, or it was destroyed")
            box = Box(crypto.derive(found.key, "encryption", class_name), self._suite)
            self._boxes[class_name, key_id] = box
        return box

    def _derive(self, purpose: str, class_name: str) -> bytes:
        key = self._derived.get((purpose, class_name))
        if key is None:
            key = self._derived[purpose, class_name] = crypto.derive(self._identity, purpose, class_name)
        return key


async def open_keyring(store: Store, provider: KeyProvider, entropy: Entropy, now: int) -> Keyring:
    """Unwrap the vault's data keys; a vault without any gets its first ones. now: Unix seconds.

    Raises KeyFault if the provider's keys are not those of this vault, naming ids.
    """
    stored = await store.keys()
    if not stored:
        first = [await _new_key(provider, kind, entropy, now) for kind in FIRST_KEYS]
        await store.add_first_keys(first)  # two processes may race: one wins, both read what won
        stored = await store.keys()
    opened = [await _open_key(provider, key) for key in stored if key.state != "destroyed"]
    return Keyring(opened, crypto.preferred_suite())


async def _new_key(provider: KeyProvider, kind: KeyKind, entropy: Entropy, now: int) -> StoredKey:
    key_id, key = _PREFIX[kind] + entropy(4).hex(), entropy(crypto.KEY_BYTES)
    kek, wrapped = await provider.wrap(key, key_id, kind)
    return StoredKey(key_id, kind, "active", kek, now, crypto.key_check(key, key_id), wrapped)


async def _open_key(provider: KeyProvider, stored: StoredKey) -> DataKey:
    key = await provider.unwrap(stored.kek, stored.wrapped, stored.id, stored.kind)
    if not crypto.same(crypto.key_check(key, stored.id), stored.check):
        raise KeyFault(f"KEK {stored.kek} of {provider.name} gives another key than the vault's {stored.id}")
    return DataKey(stored, key)


def _only(keys: Sequence[DataKey], kind: KeyKind) -> DataKey:
    """The newest active key of a kind."""
    active = [key for key in keys if key.stored.kind == kind and key.stored.state == "active"]
    if not active:
        raise KeyFault(f"the vault has no active {kind} key")
    return active[-1]
