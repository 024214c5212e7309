"""Tokens: the UUIDs that stand for values in the application's database.

A token is an RFC 9562 version 8 UUID in canonical lower-case text, 36 bytes of ASCII. Of its 122 free bits the first
90 are the identity and the last 32 a keyed tag over it, so that a token is recognised without asking the vault.
Not here: keys (arguments), entropy (an argument), what a token stands for (the vault).

Invariants: the same keys and value give the same token for ever (known answers are pinned in the tests); a UUID in
another spelling (upper case, braces, no hyphens) is not a token text.
"""

import hmac
import re
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Final, Protocol


class Hash(Protocol):
    """What hashlib gives."""

    def copy(self) -> "Hash": ...

    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


LENGTH: Final = 36
IDENTITY_BITS: Final = 90
TAG_BITS: Final = 32
ENTROPY_BYTES: Final = 12  # 96 bits, of which the first 90 are used

_TAG_MASK: Final = (1 << TAG_BITS) - 1
_LOW_62: Final = (1 << 62) - 1
_TEXT: Final = rb"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"

# A token anywhere in bytes, but not as a part of a longer hexadecimal word.
PATTERN: Final[re.Pattern[bytes]] = re.compile(rb"(?<![0-9A-Fa-f])" + _TEXT + rb"(?![0-9A-Fa-f])")
_WHOLE: Final[re.Pattern[bytes]] = re.compile(_TEXT)


def deterministic(token_key: bytes, tag_key: bytes, canonical: bytes) -> bytes:
    """The token of a value: its identity is HMAC-SHA-256(token_key, canonical). Two values that share one are told
    apart by the vault (90 bits: one chance in a million at some 50 billion values)."""
    return of_identity(tag_key, identity(token_key, canonical))


def identity(token_key: bytes, canonical: bytes) -> bytes:
    """What a value's token is made of: the same 12 bytes for the same value, nothing for who has not the key."""
    return keyed(token_key, canonical)[:ENTROPY_BYTES]


def of_identity(tag_key: bytes, source: bytes) -> bytes:
    """The token of an `identity`. Raises ValueError if it is shorter than 12 bytes."""
    if len(source) < ENTROPY_BYTES:
        raise ValueError(f"an identity has {ENTROPY_BYTES} bytes, not {len(source)}")
    return _token(tag_key, source)


def random(tag_key: bytes, entropy: bytes) -> bytes:
    """A token that stands for one write only. entropy: at least 12 random bytes. Raises ValueError if shorter."""
    if len(entropy) < ENTROPY_BYTES:
        raise ValueError(f"a random token needs {ENTROPY_BYTES} bytes of entropy, not {len(entropy)}")
    return _token(tag_key, entropy)


def is_ours(tag_key: bytes, token: bytes) -> bool:
    """Whether `token` is a token text whose tag was made with `tag_key` (a foreign UUID passes once in 2**32)."""
    if len(token) != LENGTH or _WHOLE.fullmatch(token) is None:
        return False
    number = int(token.replace(b"-", b""), 16)
    # Undo _token: 48 bits before the version, 12 before the variant, 62 behind it.
    free = (number >> 80) << 74 | (number >> 64 & 0xFFF) << 62 | number & _LOW_62
    tag = (free & _TAG_MASK).to_bytes(4, "big")
    return hmac.compare_digest(tag, _tag(tag_key, free >> TAG_BITS))


def looks_like(data: bytes) -> bool:
    """Whether `data` is exactly one token text, of whoever's key."""
    return len(data) == LENGTH and _WHOLE.fullmatch(data) is not None


def find(data: bytes) -> list[tuple[int, int]]:
    """Where token texts stand in `data`: (start, end) offsets in order."""
    return [match.span() for match in PATTERN.finditer(data)]


def to_binary(token: bytes) -> bytes:
    """The 16 bytes that uuid_send() gives. Raises ValueError if `token` is no token text."""
    if not looks_like(token):
        raise ValueError("not a token text")
    return bytes.fromhex(token.replace(b"-", b"").decode("ascii"))


def to_binaries(tokens: Iterable[bytes]) -> list[bytes]:
    """As `to_binary` of each, for texts that are known to be tokens: they are not looked at one by one. Raises
    ValueError if they are not of their length or digits."""
    joined = b"".join(tokens)
    binary = bytes.fromhex(joined.replace(b"-", b"").decode("ascii"))
    if len(binary) * LENGTH != len(joined) * 16:
        raise ValueError("not token texts")
    return [binary[at : at + 16] for at in range(0, len(binary), 16)]


def from_binary(data: bytes) -> bytes:
    """The canonical text of 16 bytes (any UUID's; `looks_like` tells tokens). Raises ValueError on another length."""
    if len(data) != 16:
        raise ValueError(f"a UUID has 16 bytes, not {len(data)}")
    text = data.hex().encode("ascii")
    return b"%b-%b-%b-%b-%b" % (text[:8], text[8:12], text[12:16], text[16:20], text[20:])


def _tag(tag_key: bytes, first: int) -> bytes:
    return keyed(tag_key, first.to_bytes(12, "big"))[:4]


def keyed(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA-256 (RFC 2104). By hand, because the few keys come back for every value: hmac.digest(), which prepares
    the key each time, took 2.0 µs, this 0.8."""
    begun, ended = _prepared(key)
    inner, outer = begun.copy(), ended.copy()
    inner.update(data)
    outer.update(inner.digest())
    return outer.digest()


@lru_cache(256)
def _prepared(key: bytes) -> "tuple[Hash, Hash]":
    """SHA-256 over the key's inner and outer padding."""
    block = (key if len(key) <= 64 else sha256(key).digest()).ljust(64, b"\0")
    return sha256(bytes([byte ^ 0x36 for byte in block])), sha256(bytes([byte ^ 0x5C for byte in block]))


def _token(tag_key: bytes, source: bytes) -> bytes:
    """The token whose identity is the first 90 bits of `source`, laid out as RFC 9562, section 5.8 says."""
    first = int.from_bytes(source[:ENTROPY_BYTES], "big") >> (ENTROPY_BYTES * 8 - IDENTITY_BITS)
    free = first << TAG_BITS | int.from_bytes(_tag(tag_key, first), "big")
    number = (free >> 74) << 80 | 0x8 << 76 | (free >> 62 & 0xFFF) << 64 | 0b10 << 62 | free & _LOW_62
    return from_binary(number.to_bytes(16, "big"))
