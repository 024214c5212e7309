"""Known answers: if one of these changes, vaults that exist can't be read any more."""

import hashlib
import hmac

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV

from proxy.vault import crypto
from proxy.vault.crypto import GCM, GCM_SIV, Box, Unsealed

KEY = bytes(range(32))
NONCE = bytes(range(12))
TOKEN = bytes(range(16))
VALUE = b"ann@example.com"
CONTEXT = crypto.entry_context(TOKEN, "email", "v1", 1)

SEALED = {
    GCM_SIV: "0101000102030405060708090a0bc57c9e640082f190596deb959d5cc1f2f5336a9c95e75254a09a5bdb14dc98",
    GCM: "0102000102030405060708090a0b266cb85ba09da376fd2df2a5d28615056a038a16946092504df41ec0dd8e28",
}


def test_the_library_computes_what_rfc_8452_says() -> None:
    key, nonce, text = b"\1" + bytes(31), b"\3" + bytes(11), b"\1" + bytes(7)
    # RFC 8452, appendix C.2, second case
    expected = "c2ef328e5c71c83b843122130f7364b761e0b97427e3df28"
    assert AESGCMSIV(key).encrypt(nonce, text, b"").hex() == expected


@pytest.mark.parametrize("suite", [GCM_SIV, GCM])
def test_known_envelopes(suite: int) -> None:
    box = Box(KEY, suite)
    assert box.seal(NONCE, VALUE, CONTEXT).hex() == SEALED[suite]
    assert box.open(bytes.fromhex(SEALED[suite]), CONTEXT) == VALUE


@pytest.mark.parametrize(("suite", "cipher"), [(GCM_SIV, AESGCMSIV), (GCM, AESGCM)])
def test_an_envelope_is_what_the_docstring_says(suite: int, cipher: type[AESGCM] | type[AESGCMSIV]) -> None:
    head = bytes((1, suite))
    bound = b"\0\0\0\2" + head + len(CONTEXT).to_bytes(4, "big") + CONTEXT
    assert Box(KEY, suite).seal(NONCE, VALUE, CONTEXT) == head + NONCE + cipher(KEY).encrypt(NONCE, VALUE, bound)


def test_a_box_opens_what_either_suite_sealed() -> None:
    assert Box(KEY, GCM).open(bytes.fromhex(SEALED[GCM_SIV]), CONTEXT) == VALUE
    assert Box(KEY, GCM_SIV).open(bytes.fromhex(SEALED[GCM]), CONTEXT) == VALUE


def test_known_derivations() -> None:
    assert crypto.derive(KEY, "encryption", "email").hex().startswith("90643e1a7643c82e0e32d5bb663486e6")
    assert crypto.derive(KEY, "tag").hex() == "cc8070f48727d6ae45d110f5e13a35859880b2d0a0b9b9c8ac036f8e1be31b13"
    assert crypto.key_check(KEY, "v1").hex() == "6a59cb677cfbfb8140c757e6d766819e"
    assert crypto.mac(KEY, b"a", b"bc").hex() == "7281caf026ca30a3a915c06b7f9c266bd0ba77f782615b6a0553f2c7cd649020"


def test_derivation_is_hkdf_expand_of_rfc_5869() -> None:
    info = b"pgveil v1" + b"\0\0\0\5token" + b"\0\0\0\5email"
    assert crypto.derive(KEY, "token", "email") == hmac.digest(KEY, info + b"\1", hashlib.sha256)


def test_purposes_and_classes_never_share_a_key() -> None:
    derived = {
        crypto.derive(KEY, purpose, class_name)
        for purpose in ("token", "mac", "encryption")
        for class_name in ("", "email", "mail", "token")
    }
    assert len(derived) == 12


def test_joining_is_injective() -> None:
    assert crypto.join(b"ab", b"c") != crypto.join(b"a", b"bc") != crypto.join(b"abc") != crypto.join(b"abc", b"")


@pytest.mark.parametrize(
    "context",
    [
        crypto.entry_context(bytes(16), "email", "v1", 1),
        crypto.entry_context(TOKEN, "phone", "v1", 1),
        crypto.entry_context(TOKEN, "email", "v2", 1),
        crypto.entry_context(TOKEN, "email", "v1", 2),
        crypto.wrap_context("v1", "value", "k1"),
    ],
    ids=["token", "class", "key", "version", "purpose"],
)
@pytest.mark.parametrize("suite", [GCM_SIV, GCM])
def test_a_row_copied_elsewhere_does_not_open(suite: int, context: bytes) -> None:
    with pytest.raises(Unsealed, match="swapped"):
        Box(KEY, suite).open(bytes.fromhex(SEALED[suite]), context)


@pytest.mark.parametrize("suite", [GCM_SIV, GCM])
def test_every_changed_byte_and_every_cut_is_noticed(suite: int) -> None:
    box, envelope = Box(KEY, suite), bytes.fromhex(SEALED[suite])
    for at in range(len(envelope)):
        changed = envelope[:at] + bytes((envelope[at] ^ 1,)) + envelope[at + 1 :]
        with pytest.raises(Unsealed):
            box.open(changed, CONTEXT)
        with pytest.raises(Unsealed):
            box.open(envelope[:at], CONTEXT)


@pytest.mark.parametrize(
    ("head", "why"),
    [(b"\2\1", "envelope version 2"), (b"\1\7", "suite 7")],
)
def test_an_envelope_of_another_program_is_named(head: bytes, why: str) -> None:
    with pytest.raises(Unsealed, match=why):
        Box(KEY, GCM).open(head + bytes(40), CONTEXT)


def test_another_key_does_not_open() -> None:
    with pytest.raises(Unsealed, match="does not open"):
        Box(bytes(32), GCM).open(bytes.fromhex(SEALED[GCM]), CONTEXT)


def test_a_nonce_has_12_bytes() -> None:
    with pytest.raises(ValueError, match="12 bytes, not 8"):
        Box(KEY, GCM).seal(bytes(8), VALUE, CONTEXT)


def test_without_gcm_siv_there_is_gcm(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(key: bytes) -> None:
        raise UnsupportedAlgorithm("AES-GCM-SIV is not supported by this version of OpenSSL")

    assert crypto.preferred_suite() == GCM_SIV
    monkeypatch.setattr(crypto, "AESGCMSIV", missing)
    assert crypto.preferred_suite() == GCM
    with pytest.raises(Unsealed, match=r"suite 1, which this machine's OpenSSL does not have"):
        Box(KEY, GCM).open(bytes.fromhex(SEALED[GCM_SIV]), CONTEXT)


def test_a_box_hides_its_key() -> None:
    assert repr(Box(KEY, GCM)) == "Box(<hidden>)"


def test_equality_of_macs() -> None:
    assert crypto.same(b"abc", b"abc")
    assert not crypto.same(b"abc", b"abd")


# ---- many entries of one kind


@pytest.mark.parametrize("suite", [GCM_SIV, GCM])
def test_an_opener_opens_what_a_box_sealed(suite: int) -> None:
    opener = Box(KEY, suite).opener("email", "v1", 1)
    assert opener.open(TOKEN, bytes.fromhex(SEALED[suite])) == VALUE
    assert Box(KEY, GCM).opener("email", "v1", 1).open(TOKEN, bytes.fromhex(SEALED[suite])) == VALUE
    assert repr(opener) == "Opener(<hidden>)"


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        (bytes(16), ("email", "v1", 1)),
        (TOKEN + b"x", ("email", "v1", 1)),
        (TOKEN, ("emai", "lv1", 1)),
        (TOKEN, ("phone", "v1", 1)),
        (TOKEN, ("email", "v2", 1)),
        (TOKEN, ("email", "v1", 2)),
    ],
)
def test_an_opener_is_for_one_kind_and_opens_nothing_of_another_token(token: bytes, kind: tuple[str, str, int]) -> None:
    with pytest.raises(Unsealed, match="does not open"):
        Box(KEY, GCM_SIV).opener(*kind).open(token, bytes.fromhex(SEALED[GCM_SIV]))


def test_an_opener_says_what_a_box_says_of_a_damaged_envelope() -> None:
    opener = Box(KEY, GCM_SIV).opener("email", "v1", 1)
    sealed = bytes.fromhex(SEALED[GCM_SIV])
    for cut in range(len(sealed)):
        with pytest.raises(Unsealed):
            opener.open(TOKEN, sealed[:cut])
    with pytest.raises(Unsealed, match="version 9"):
        opener.open(TOKEN, b"\x09" + sealed[1:])


@pytest.mark.parametrize("suite", [crypto.GCM, crypto.GCM_SIV])
def test_a_sealer_seals_as_its_box_does(suite: int) -> None:
    if suite == crypto.GCM_SIV and crypto.preferred_suite() != suite:
        pytest.skip("the OpenSSL here does not have it")
    box = crypto.Box(bytes(32), suite)
    token, nonce = bytes(range(16)), bytes(range(12))
    sealer = box.sealer("email", "v1", 1)
    assert sealer.seal(token, nonce, b"x") == box.seal(nonce, b"x", crypto.entry_context(token, "email", "v1", 1))
    assert "hidden" in repr(sealer)
    for short_token, short_nonce in ((token, nonce[1:]), (token[1:], nonce)):
        with pytest.raises(ValueError):
            sealer.seal(short_token, short_nonce, b"x")


def test_an_entrys_mac_is_the_mac_of_token_and_value() -> None:
    for value in (b"", b"x", bytes(70_000)):
        assert crypto.entry_mac(b"key", bytes(16), value) == crypto.mac(b"key", bytes(16), value)
