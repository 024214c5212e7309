"""Values of literals. The server's word on many more: tests/integration/test_literals_against_server.py."""

from collections.abc import Callable

import pytest

from proxy.errors import Refusal
from proxy.sql.literals import backslashed, bits, number, standard, unicode


def escaped(body: bytes) -> bytes:
    return backslashed(body, True)


def with_backslash(body: bytes) -> bytes:
    return unicode(body, b"\\")


@pytest.mark.parametrize(
    ("read", "body", "value"),
    [
        (standard, rb"a\n", rb"a\n"),
        (standard, b"''''", b"''"),
        (standard, b"a' -- x ''\n 'b", b"ab"),
        (escaped, b"it''s", b"it's"),
        (escaped, rb"\b\f\n\r\t\q\'\\", b"\b\f\n\r\tq'\\"),
        (escaped, rb"\101\1012\78", b"AA2\x078"),
        (escaped, rb"\x41\x4G\xG", b"A\x04GxG"),
        (escaped, b"\\t'\n'\\t''", b"\t\t'"),
        (escaped, rb"\xf0\x9f\x98\x80", "😀".encode()),
        (escaped, rb"\u00e9\U0001F600\ud83d\ude00", "é😀😀".encode()),
        (with_backslash, rb"\0061\+01F600\d83d\de00\\", "a😀😀\\".encode()),
        (with_backslash, b"\\00'\n'61", b"a"),
        (number, b"000", b"0"),
        (number, b"1_000", b"1000"),
        (number, b"0xff", b"255"),
        (number, b"0O17", b"15"),
        (number, b"0b1_1", b"3"),
        (number, b".50", b"0.50"),
        (number, b"1e3", b"1000"),
        (number, b"9" * 40, b"9" * 40),
    ],
)
def test_values(read: Callable[[bytes], bytes], body: bytes, value: bytes) -> None:
    assert read(body) == value


@pytest.mark.parametrize(
    ("read", "body", "code"),
    [
        (escaped, rb"\x00", "encoding-invalid"),
        (escaped, rb"\0", "encoding-invalid"),
        (escaped, rb"\xe9", "encoding-invalid"),
        (escaped, rb"\v", "escape-invalid"),
        (escaped, rb"\u12", "escape-invalid"),
        (escaped, rb"\u0000", "syntax"),
        (escaped, rb"\U00110000", "syntax"),
        (escaped, rb"\ud83d", "syntax"),
        (escaped, rb"\ud83dx\ude00", "syntax"),
        (escaped, rb"\ud83d\n", "syntax"),
        (escaped, rb"\ude00", "syntax"),
        (with_backslash, rb"\d83d", "syntax"),
        (with_backslash, rb"\d83dx\de00", "syntax"),
        (with_backslash, rb"\d83d\\", "syntax"),
        (with_backslash, rb"\006", "syntax"),
        (with_backslash, b"\\", "syntax"),
        (number, b"1e131072", "number-range"),
        (number, b"1e-16384", "number-range"),
        (number, b"1e999999999", "number-range"),
        (number, b"0x" + b"f" * 4000, "number-range"),
    ],
)
def test_refusals(read: Callable[[bytes], bytes], body: bytes, code: str) -> None:
    with pytest.raises(Refusal) as caught:
        read(body)
    assert caught.value.code == code


def test_byte_escapes_where_the_server_has_another_encoding() -> None:
    """They are bytes of the server's encoding; those below 128 are one character in each."""
    assert backslashed(rb"\x41", False) == b"A"
    with pytest.raises(Refusal) as caught:
        backslashed(rb"\xc3\xa9", False)
    assert caught.value.code == "unsupported-encoding"


@pytest.mark.parametrize("escape", [b"", b"!!", b"a", b"+", b"'", b" ", "é".encode()])
def test_escape_characters_that_are_none(escape: bytes) -> None:
    with pytest.raises(Refusal):
        unicode(b"x", escape)


def test_bits() -> None:
    assert bits(b"01'\n'1", 2) == b"011"
    assert bits(b"aF", 16) == b"10101111"
    for body, base in ((b"2", 2), (b"g", 16), (b"021", 2)):
        with pytest.raises(Refusal) as caught:
            bits(body, base)
        assert caught.value.sqlstate == "22P02"
