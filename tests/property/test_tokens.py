"""tokens, for all keys and values."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from proxy import tokens

keys = st.binary(min_size=32, max_size=32)


@given(keys, keys, st.binary())
def test_a_token_is_a_version_8_uuid_and_ours(token_key: bytes, tag_key: bytes, value: bytes) -> None:
    token = tokens.deterministic(token_key, tag_key, value)
    read = uuid.UUID(token.decode())
    assert (read.version, read.variant, str(read).encode()) == (8, uuid.RFC_4122, token)
    assert tokens.looks_like(token)
    assert tokens.is_ours(tag_key, token)
    assert tokens.from_binary(tokens.to_binary(token)) == token
    assert token == tokens.deterministic(token_key, tag_key, value)


@given(keys, st.binary(min_size=12, max_size=20))
def test_random_tokens_are_ours(tag_key: bytes, entropy: bytes) -> None:
    assert tokens.is_ours(tag_key, tokens.random(tag_key, entropy))


@given(st.binary(min_size=36, max_size=36) | st.text("0123456789abcdef-8", min_size=36, max_size=36).map(str.encode))
def test_other_texts_are_not(text: bytes) -> None:
    assert not tokens.is_ours(b"k" * 32, text)


@given(keys, st.lists(st.binary(max_size=4)), st.lists(st.text("xyz ,.()='é").map(str.encode), min_size=1))
def test_find_gives_every_token_that_stands_alone(key: bytes, values: list[bytes], between: list[bytes]) -> None:
    made = [tokens.deterministic(key, key, value) for value in values]
    text = b""
    for i, token in enumerate(made):
        text += between[i % len(between)] + b" " + token
    assert [text[a:b] for a, b in tokens.find(text)] == made


@given(st.binary(max_size=200))
def test_find_never_fails(data: bytes) -> None:
    for start, end in tokens.find(data):
        assert tokens.looks_like(data[start:end])
