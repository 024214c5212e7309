"""tokens: known answers, recognition, finding."""

import hmac
import uuid

import pytest

from proxy import tokens

TOKEN_KEY = bytes(range(32))
TAG_KEY = bytes(range(32, 64))

# Pinned for ever: databases are full of them.
KNOWN = [
    (b"", b"d38b4209-6d80-8f45-be09-ad12ccc6db72"),
    (b"ada@example.org", b"c2ca8524-eab3-8e54-8384-f53815c2cd1e"),
    ("Zoë".encode(), b"895eaa5b-6ad2-8cd8-a92a-b7d54a86d3e4"),
]


@pytest.mark.parametrize(("value", "token"), KNOWN)
def test_known_answers(value: bytes, token: bytes) -> None:
    assert tokens.deterministic(TOKEN_KEY, TAG_KEY, value) == token


def test_known_answer_of_a_random_token() -> None:
    assert tokens.random(TAG_KEY, bytes(range(12))) == b"00010203-0405-8060-9c20-2428c54b12ea"


def test_layout_is_rfc_9562_version_8() -> None:
    made = tokens.deterministic(TOKEN_KEY, TAG_KEY, b"x")
    read = uuid.UUID(made.decode())
    assert (read.version, read.variant, str(read).encode()) == (8, uuid.RFC_4122, made)


def test_all_identity_bits_and_nothing_else_of_the_entropy_count() -> None:
    base = tokens.random(TAG_KEY, b"\xff" * 12)
    for bit in range(96):
        other = tokens.random(TAG_KEY, (((1 << 96) - 1) ^ (1 << (95 - bit))).to_bytes(12, "big"))
        assert (other != base) == (bit < 90)
    assert tokens.random(TAG_KEY, b"\xff" * 13) == base


def test_random_needs_entropy() -> None:
    with pytest.raises(ValueError, match="12 bytes"):
        tokens.random(TAG_KEY, b"12345678901")


def test_is_ours_takes_our_tokens_only() -> None:
    token = tokens.deterministic(TOKEN_KEY, TAG_KEY, b"x")
    assert tokens.is_ours(TAG_KEY, token)
    assert tokens.is_ours(TAG_KEY, tokens.random(TAG_KEY, bytes(16)))
    assert not tokens.is_ours(TOKEN_KEY, token)
    assert not tokens.is_ours(TAG_KEY, token.upper())
    assert not tokens.is_ours(TAG_KEY, token[:-1])
    assert not tokens.is_ours(TAG_KEY, token + b"\n")


def test_every_changed_digit_is_noticed() -> None:
    token = tokens.deterministic(TOKEN_KEY, TAG_KEY, b"x")
    for at in range(36):
        if token[at : at + 1] != b"-":
            changed = token[:at] + (b"0" if token[at : at + 1] != b"0" else b"1") + token[at + 1 :]
            assert not tokens.is_ours(TAG_KEY, changed), at


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"00000000-0000-0000-0000-000000000000",
        b"00000000-0000-4000-8000-000000000000",
        b"00000000-0000-8000-c000-000000000000",
        b"{0000000-0000-8000-8000-000000000000}",
        b"00000000-0000-8000-8000-00000000000A",
        b"00000000000080008000000000000000",
        b"00000000-0000-8000-8000-000000000000\n",
        b" 00000000-0000-8000-8000-000000000000",
    ],
)
def test_what_is_no_token_text(text: bytes) -> None:
    assert not tokens.looks_like(text)
    with pytest.raises(ValueError, match="not a token"):
        tokens.to_binary(text)


def test_binary_and_back() -> None:
    token = tokens.deterministic(TOKEN_KEY, TAG_KEY, b"x")
    assert tokens.looks_like(token)
    assert tokens.to_binary(token) == uuid.UUID(token.decode()).bytes
    assert tokens.from_binary(tokens.to_binary(token)) == token
    with pytest.raises(ValueError, match="16 bytes"):
        tokens.from_binary(b"x" * 15)


def test_find() -> None:
    one, two = (tokens.deterministic(TOKEN_KEY, TAG_KEY, v) for v in (b"1", b"2"))
    text = b"Key (email)=(" + one + b") and " + two
    assert [text[a:b] for a, b in tokens.find(text)] == [one, two]
    assert tokens.find(b"x" + one + b"-" + two + b"z") == [(1, 37), (38, 74)]
    assert tokens.find(b"A" + one) == tokens.find(one + b"0") == tokens.find(one + two) == []
    assert tokens.find(one.upper()) == []


def test_many_to_binary() -> None:
    made = [tokens.random(TAG_KEY, bytes([number]) * 12) for number in range(5)]
    assert tokens.to_binaries(made) == [tokens.to_binary(token) for token in made]
    assert tokens.to_binaries([]) == []
    for wrong in ([made[0][1:]], [made[0] + b"00"], [made[0], b"x" * 36]):
        with pytest.raises(ValueError, match=r"."):
            tokens.to_binaries(wrong)


@pytest.mark.parametrize("length", [0, 1, 32, 63, 64, 65, 200])
def test_the_mac_is_hmac_sha_256(length: int) -> None:
    key = bytes(range(length))
    assert tokens.keyed(key, b"data") == hmac.digest(key, b"data", "sha256")


def test_a_value_s_identity_makes_its_token() -> None:
    identity = tokens.identity(b"token key", b"value")
    assert len(identity) == 12
    assert tokens.of_identity(b"tag key", identity) == tokens.deterministic(b"token key", b"tag key", b"value")
    with pytest.raises(ValueError, match="12 bytes, not 11"):
        tokens.of_identity(b"tag key", identity[1:])
