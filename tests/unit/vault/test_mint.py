import os

import pytest

from proxy import tokens
from proxy.errors import Bug
from proxy.vault import crypto
from proxy.vault.keys import open_keyring
from proxy.vault.memory import MemoryStore
from proxy.vault.mint import Fresh, Mint
from tests.vault.kit import Entropy, asynchronous, provider

ANN, BOB = ("email", b"ann@example.com"), ("email", b"bob@example.com")


async def _mint(known: int = 100) -> Mint:
    mint = Mint(await open_keyring(MemoryStore(), provider(), os.urandom, 0), Entropy(), known)
    mint.configure({"email": "deterministic", "street": "random"})
    return mint


@asynchronous
async def test_what_is_made_is_known_only_when_it_is_stored() -> None:
    mint, fresh = await _mint(), Fresh()
    made = mint.make([ANN, BOB, ANN], 7, fresh)
    assert made[0] == made[2] != made[1] and list(fresh.entries) == made[:2]
    assert mint.known([ANN]) is None and mint.find([ANN, BOB]) == made[:2]
    mint.stored(fresh)
    assert mint.known([BOB, ANN]) == [made[1], made[0]] and mint.find([ANN]) == made[:1]
    again = Fresh()
    assert mint.make([ANN, BOB], 8, again) == made[:2] and not again.entries
    mint.forget([made[0]])
    assert mint.known([BOB]) == [made[1]] and mint.known([ANN]) is None


@asynchronous
async def test_an_entry_opens_and_its_mac_is_that_of_token_and_value() -> None:
    keyring = await open_keyring(MemoryStore(), provider(), os.urandom, 0)
    mint, fresh = Mint(keyring, os.urandom, 10), Fresh()
    mint.configure({"email": "deterministic", "street": "random"})
    nonces = set()
    for token in mint.make([ANN, ("street", b""), ("street", b""), ("email", bytes(70_000))], 7, fresh):
        entry = fresh.entries[token]
        binary = tokens.to_binary(token)
        assert (entry.token, entry.created, entry.version) == (binary, 7, 1)
        context = crypto.entry_context(binary, entry.class_name, entry.key_id, 1)
        value = keyring.box(entry.class_name, entry.key_id).open(entry.sealed or b"", context)
        assert entry.mac == crypto.mac(keyring.mac_key(entry.class_name), binary, value)
        assert tokens.is_ours(keyring.tag_key, token)
        nonces.add((entry.sealed or b"")[2:14])
    assert len(nonces) == 4


@asynchronous
async def test_classes() -> None:
    mint = await _mint()
    with pytest.raises(Bug, match="not told of class name"):
        mint.find([("name", b"x")])
    with pytest.raises(Bug, match="random tokens"):
        mint.find([("street", b"x")])
    assert mint.known([("street", b"x")]) is None
    first = mint.make([("street", b"x")], 0, Fresh())
    mint.configure({"name": "deterministic"})
    assert mint.make([("street", b"x")], 0, Fresh()) != first  # keeps its mode
    assert mint.find([("name", b"x")])
