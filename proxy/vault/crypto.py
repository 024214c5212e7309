"""The vault's cryptography: envelopes, derivation, checks. Pure: randomness is an argument, nothing is stored.

AES-256-GCM-SIV (RFC 8452) where the OpenSSL below has it, AES-256-GCM (NIST SP 800-38D) where not; the envelope's
second byte says which, and both are read. Not here: where keys come from (keys).

Envelope, version 1:  01 | suite | nonce (12) | ciphertext and tag (16)

Invariants: associated data are encoded injectively (each part after its length), so no two meanings share bytes; one
key serves one purpose and one class; known answers are pinned in tests/unit/vault/test_crypto.py.
"""

import hmac
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, final

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from proxy.tokens import keyed

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
CHECK_BYTES: Final = 16
ENVELOPE_VERSION: Final = 1
GCM_SIV: Final = 1
GCM: Final = 2
_HEADER: Final = 2 + NONCE_BYTES
_TAG_BYTES: Final = 16
_TOKEN_BYTES: Final = 16


_ENTRY: Final = b"\0\0\0\x0cpgveil entry"


class Unsealed(Exception):
    """An envelope did not open: damaged, another's, or under another key. Says why, without content."""


def join(*parts: bytes) -> bytes:
    """Parts behind their lengths (4 bytes, big-endian), so that different lists give different bytes."""
    return b"".join([len(part).to_bytes(4, "big") + part for part in parts])


def derive(key: bytes, purpose: str, class_name: str = "") -> bytes:
    """A 32-byte key for one purpose and class (HKDF-Expand, RFC 5869; the data key is uniformly random, so there is
    nothing to extract)."""
    info = b"pgveil v1" + join(purpose.encode(), class_name.encode())
    return HKDFExpand(SHA256(), KEY_BYTES, info).derive(key)


def key_check(key: bytes, key_id: str) -> bytes:
    """16 bytes that tell, without the key, whether an unwrapped key is the one that was wrapped."""
    return mac(derive(key, "check"), key_id.encode())[:CHECK_BYTES]


def mac(key: bytes, *parts: bytes) -> bytes:
    """HMAC-SHA-256 over the joined parts."""
    return keyed(key, join(*parts))


def same(one: bytes, other: bytes) -> bool:
    """Equality in constant time."""
    return hmac.compare_digest(one, other)


def entry_context(token: bytes, class_name: str, key_id: str, version: int) -> bytes:
    """What an entry's ciphertext is bound to: a row copied to another token, class, key or version won't open."""
    return _ENTRY + len(token).to_bytes(4, "big") + token + _entry_place(class_name, key_id, version)


@lru_cache(1024)  # the same few for every entry: joining them anew was a quarter of an entry's cost
def _entry_place(class_name: str, key_id: str, version: int) -> bytes:
    return join(class_name.encode(), key_id.encode(), version.to_bytes(8, "big"))


def wrap_context(key_id: str, kind: str, kek_id: str) -> bytes:
    """What a wrapped data key is bound to."""
    return join(b"pgveil data key", key_id.encode(), kind.encode(), kek_id.encode())


def preferred_suite() -> int:
    """GCM_SIV if the OpenSSL below has it (3.2 and later), else GCM. For the start of the process."""
    try:
        AESGCMSIV(bytes(KEY_BYTES))
    except UnsupportedAlgorithm:
        return GCM
    return GCM_SIV


class Box:
    """One key, ready to seal and open envelopes."""

    __slots__ = ("_ciphers", "_suite")

    def __init__(self, key: bytes, suite: int) -> None:
        """key: 32 bytes. suite: what to seal with, GCM_SIV or GCM."""
        self._suite = suite
        self._ciphers: dict[int, AESGCM | AESGCMSIV] = {GCM: AESGCM(key)}
        if preferred_suite() == GCM_SIV:
            self._ciphers[GCM_SIV] = AESGCMSIV(key)

    def __repr__(self) -> str:
        return "Box(<hidden>)"

    def seal(self, nonce: bytes, plaintext: bytes, context: bytes) -> bytes:
        """The envelope of plaintext. nonce: 12 random bytes, never used twice with this key."""
        if len(nonce) != NONCE_BYTES:
            raise ValueError(f"a nonce has {NONCE_BYTES} bytes, not {len(nonce)}")
        head = bytes((ENVELOPE_VERSION, self._suite)) + nonce
        return head + self._ciphers[self._suite].encrypt(nonce, plaintext, join(head[:2], context))

    def open(self, envelope: bytes, context: bytes) -> bytes:
        """The plaintext. Raises Unsealed if the envelope, its context or the key is another than at sealing."""
        if len(envelope) < _HEADER + _TAG_BYTES:
            raise Unsealed("is truncated")
        if envelope[0] != ENVELOPE_VERSION:
            raise Unsealed(f"has envelope version {envelope[0]}, which this program does not know")
        cipher = self._ciphers.get(envelope[1])
        if cipher is None:
            raise Unsealed(f"is sealed with suite {envelope[1]}, which this machine's OpenSSL does not have")
        try:
            return cipher.decrypt(envelope[2:_HEADER], envelope[_HEADER:], join(envelope[:2], context))
        except InvalidTag:
            raise _unsealed() from None

    def opener(self, class_name: str, key_id: str, version: int) -> "Opener":
        """For the entries of one class, key and version."""
        return Opener(self, self._ciphers, class_name, key_id, version)

    def sealer(self, class_name: str, key_id: str, version: int) -> "Sealer":
        """For the entries of one class, key and version."""
        return Sealer(self._ciphers[self._suite], self._suite, class_name, key_id, version)


@final
class Opener:
    """Opens entries as Box.open does with their entry_context, quicker: of what they are bound to only the token
    differs. Made by Box.opener."""

    __slots__ = ("_behind", "_box", "_kind", "_ways")

    def __init__(
        self, box: Box, ciphers: Mapping[int, AESGCM | AESGCMSIV], class_name: str, key_id: str, version: int
    ) -> None:
        self._box = box
        self._kind = class_name, key_id, version
        context = entry_context(bytes(_TOKEN_BYTES), *self._kind)
        self._behind = context[len(_ENTRY) + 4 + _TOKEN_BYTES :]
        self._ways = {
            head: (cipher.decrypt, join(head, context)[: -len(self._behind) - _TOKEN_BYTES])
            for suite, cipher in ciphers.items()
            for head in (bytes((ENVELOPE_VERSION, suite)),)
        }

    def __repr__(self) -> str:
        return "Opener(<hidden>)"

    def open(self, token: bytes, envelope: bytes) -> bytes:
        """token: 16 bytes. Raises Unsealed."""
        way = self._ways.get(envelope[:2])
        if way is None or len(token) != _TOKEN_BYTES or len(envelope) < _HEADER + _TAG_BYTES:
            return self._box.open(envelope, entry_context(token, *self._kind))
        try:
            return way[0](envelope[2:_HEADER], envelope[_HEADER:], way[1] + token + self._behind)
        except InvalidTag:
            raise _unsealed() from None


@final
class Sealer:
    """Seals entries as Box.seal does with their entry_context, quicker. Made by Box.sealer."""

    __slots__ = ("_before", "_behind", "_encrypt", "_head")

    def __init__(self, cipher: AESGCM | AESGCMSIV, suite: int, class_name: str, key_id: str, version: int) -> None:
        self._encrypt = cipher.encrypt
        self._head = bytes((ENVELOPE_VERSION, suite))
        context = join(self._head, entry_context(bytes(_TOKEN_BYTES), class_name, key_id, version))
        self._behind = join(class_name.encode(), key_id.encode(), version.to_bytes(8, "big"))
        self._before = context[: -len(self._behind) - _TOKEN_BYTES]

    def __repr__(self) -> str:
        return "Sealer(<hidden>)"

    def seal(self, token: bytes, nonce: bytes, value: bytes) -> bytes:
        """token: 16 bytes. nonce: 12 random bytes, never used twice with this key."""
        if len(nonce) != NONCE_BYTES or len(token) != _TOKEN_BYTES:
            raise ValueError("a nonce has 12 bytes, a token 16")
        return self._head + nonce + self._encrypt(nonce, value, self._before + token + self._behind)


def entry_mac(key: bytes, token: bytes, value: bytes) -> bytes:
    """`mac` over a token of 16 bytes and its value."""
    return keyed(key, b"\0\0\0\x10" + token + len(value).to_bytes(4, "big") + value)


def _unsealed() -> Unsealed:
    return Unsealed("does not open: it was changed, swapped, or sealed under another key")
