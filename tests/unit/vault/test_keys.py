import json
import os
import stat
from pathlib import Path

import pytest

from proxy.errors import Unavailable
from proxy.vault import crypto
from proxy.vault.faults import KeyFault
from proxy.vault.keys import DataKey, Keyring, LocalKeys, init_key_file, load_provider, new_key_document, open_keyring
from proxy.vault.memory import MemoryStore
from proxy.vault.store import KeyKind, KeyState, StoredKey
from tests.vault.kit import Entropy, asynchronous, provider


def _stored(key_id: str, kind: KeyKind, state: KeyState = "active") -> DataKey:
    return DataKey(StoredKey(key_id, kind, state, "k", 0, b"", b""), bytes(32))


# ---- key files ---------------------------------------------------------------------------------------------------


def test_a_key_file_is_0600_and_opens(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    init_key_file(path, os.urandom)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["keys.json"]
    assert load_provider(f"file:{path}", {}, os.urandom).name == f"file:{path}"


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    init_key_file(path, os.urandom)
    before = path.read_bytes()
    with pytest.raises(KeyFault, match="never overwritten"):
        init_key_file(path, os.urandom)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["keys.json"]


def test_a_key_file_that_cant_be_made_says_so(tmp_path: Path) -> None:
    with pytest.raises(KeyFault, match="can't be made: No such file or directory"):
        init_key_file(tmp_path / "nowhere" / "keys.json", os.urandom)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys.json"
    init_key_file(path, os.urandom)
    path.chmod(mode)
    with pytest.raises(KeyFault, match=f"mode {mode:04o}.*chmod 600"):
        load_provider(f"file:{path}", {}, os.urandom)


def test_a_missing_key_file_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(KeyFault, match="pgveil keys init"):
        load_provider(f"file:{tmp_path}/keys.json", {}, os.urandom)
    with pytest.raises(KeyFault, match="can't be read: Is a directory"):
        load_provider(f"file:{tmp_path}", {}, os.urandom)


def test_keys_from_the_environment() -> None:
    assert load_provider("env:KEYS", {"KEYS": new_key_document(os.urandom)}, os.urandom).name == "env:KEYS"
    with pytest.raises(KeyFault, match="variable KEYS is not set"):
        load_provider("env:KEYS", {}, os.urandom)


def test_a_provider_that_is_not_known() -> None:
    with pytest.raises(KeyFault, match="unknown key provider 'awskms'"):
        load_provider("awskms:alias/x", {}, os.urandom)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not a key document"),
        ("[]", "not a key document"),
        ("{}", "not a key document"),
        ('{"version": 1, "active": "k", "keks": {"k": "?"}}', "not a key document"),
        ('{"version": 1, "active": "k", "keks": ["k"]}', "not a key document"),
        ('{"version": 2}', "version 2; this program knows version 1"),
        ('{"version": 1, "active": "k", "keks": {"k": "AAAA"}}', "KEK k of env:K has 3 bytes, not 32"),
        ('{"version": 1, "active": "x", "keks": {"k": "AAAA"}}', "names x as active, but holds only k"),
    ],
)
def test_documents_that_are_none(text: str, why: str) -> None:
    with pytest.raises(KeyFault, match=why):
        load_provider("env:K", {"K": text or " "}, os.urandom)


# ---- data keys ---------------------------------------------------------------------------------------------------


@asynchronous
async def test_a_new_vault_gets_its_keys_once() -> None:
    store = MemoryStore()
    first = await open_keyring(store, provider(), Entropy(), 0)
    again = await open_keyring(store, provider(), Entropy("other"), 0)
    assert [key.kind for key in await store.keys()] == ["identity", "value", "audit"]
    assert first.tag_key == again.tag_key
    assert first.value_key_id == again.value_key_id


@asynchronous
async def test_of_two_processes_that_make_the_first_keys_one_wins() -> None:
    store = MemoryStore()
    await open_keyring(store, provider(), Entropy(), 0)
    assert not await store.add_first_keys([_stored("v9", "value").stored])
    assert "v9" not in {key.id for key in await store.keys()}


@asynchronous
async def test_a_key_file_of_another_vault_names_both_ids() -> None:
    store = MemoryStore()
    await open_keyring(store, provider("one"), Entropy(), 0)
    kek = (await store.keys())[0].kek
    with pytest.raises(KeyFault, match=f"wrapped by KEK {kek}; test:two holds only k[0-9a-f]{{8}}$") as caught:
        await open_keyring(store, provider("two"), Entropy(), 0)
    assert isinstance(caught.value, Unavailable)


@asynchronous
async def test_another_key_with_the_same_id_is_noticed() -> None:
    store = MemoryStore()
    await open_keyring(store, provider(), Entropy(), 0)
    kek = (await store.keys())[0].kek
    with pytest.raises(KeyFault, match=f"opened with KEK {kek} of file:x, does not open"):
        await open_keyring(store, LocalKeys("file:x", {kek: bytes(32)}, kek, Entropy()), Entropy(), 0)


class _Forgetful(LocalKeys):
    """A KMS that gives some key, but not the one that it wrapped."""

    async def unwrap(self, kek_id: str, wrapped: bytes, key_id: str, kind: str) -> bytes:
        return bytes(32)


@asynchronous
async def test_a_provider_that_unwraps_to_another_key_is_noticed() -> None:
    store = MemoryStore()
    forgetful = _Forgetful("kms:x", {"k": bytes(32)}, "k", Entropy())
    with pytest.raises(KeyFault, match="KEK k of kms:x gives another key than the vault's i"):
        await open_keyring(store, forgetful, Entropy(), 0)


@asynchronous
async def test_wrapped_keys_swapped_between_their_rows_do_not_open() -> None:
    keys = provider()
    kek, wrapped = await keys.wrap(bytes(32), "v1", "value")
    assert await keys.unwrap(kek, wrapped, "v1", "value") == bytes(32)
    for key_id, kind in (("v2", "value"), ("v1", "identity")):
        with pytest.raises(KeyFault):
            await keys.unwrap(kek, wrapped, key_id, kind)


@asynchronous
async def test_a_destroyed_key_is_not_unwrapped_and_named_when_needed() -> None:
    store = MemoryStore()
    await open_keyring(store, provider(), Entropy(), 0)
    keys = await store.keys()
    gone = StoredKey("v0", "value", "destroyed", keys[0].kek, 0, b"", b"")
    other = MemoryStore()
    await other.add_first_keys([*keys, gone])
    with pytest.raises(KeyFault, match="no value key v0, or it was destroyed"):
        (await open_keyring(other, provider(), Entropy(), 0)).box("email", "v0")


def test_older_value_keys_still_open() -> None:
    ring = Keyring(
        [
            _stored("i1", "identity"),
            _stored("v1", "value", "decrypt-only"),
            _stored("v2", "value"),
            _stored("a", "audit"),
        ],
        crypto.GCM,
    )
    assert ring.value_key_id == "v2"
    assert ring.box("email", "v1") is ring.box("email", "v1") is not ring.box("email", "v2")


def test_keys_that_are_not_there_are_named() -> None:
    ring = Keyring([_stored("i1", "identity"), _stored("v1", "value"), _stored("a1", "audit")], crypto.GCM)
    for key_id in ("v9", "i1"):
        with pytest.raises(KeyFault, match=f"no value key {key_id}"):
            ring.box("email", key_id)
        with pytest.raises(KeyFault, match=f"no audit key {key_id}"):
            ring.audit_key(key_id)
    with pytest.raises(KeyFault, match="no active identity key"):
        Keyring([_stored("i1", "identity", "decrypt-only")], crypto.GCM)


def test_nothing_shows_a_key() -> None:
    key = _stored("i1", "identity")
    ring = Keyring([key, _stored("v1", "value"), _stored("a1", "audit")], crypto.GCM)
    document = json.loads(new_key_document(Entropy()))
    keys = load_provider("env:K", {"K": json.dumps(document)}, Entropy())
    shown = repr(ring) + repr(key) + repr(key.stored) + repr(keys)
    assert shown == (
        "Keyring(['a1', 'i1', 'v1'])DataKey(i1, <hidden>)StoredKey(i1, identity, active, kek k)"
        f"LocalKeys(env:K, ['{document['active']}'])"
    )
