"""encodings: names, and what happens to text that does not fit. (Exactness: tests/integration.)"""

import codecs

import pytest

from proxy.wire.encodings import _CODECS, UNSAFE_ENCODINGS, encoding_codec, encoding_named, from_utf8, to_utf8
from proxy.wire.typespec import BadValue, Reading

LATIN1 = Reading(client_encoding="iso8859-1")
UTF8 = Reading()


def test_names() -> None:
    assert encoding_codec("UTF8") == encoding_codec("SQL_ASCII") == ""
    assert encoding_codec("latin1") == "iso8859-1"
    for unsupported in ("EUC_JP", "EUC_TW", "MULE_INTERNAL", "nonsense", *UNSAFE_ENCODINGS):
        assert encoding_codec(unsupported) is None
    for codec in _CODECS.values():
        assert not codec or codecs.lookup(codec)


def test_both_ways() -> None:
    assert to_utf8(b"Zo\xeb", LATIN1) == "Zoë".encode()
    assert from_utf8("Zoë".encode(), LATIN1) == b"Zo\xeb"
    assert to_utf8("Zoë".encode(), UTF8) == from_utf8("Zoë".encode(), UTF8) == "Zoë".encode()


@pytest.mark.parametrize("data", [b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"a\0b", b"\xe2\x82"])
def test_invalid_utf8(data: bytes) -> None:
    with pytest.raises(BadValue) as caught:
        to_utf8(data, UTF8)
    assert caught.value.code == "encoding-invalid"


def test_invalid_in_its_encoding() -> None:
    with pytest.raises(BadValue):
        to_utf8(b"\x81", Reading(client_encoding="cp1252"))


def test_untranslatable() -> None:
    with pytest.raises(BadValue) as caught:
        from_utf8("€".encode(), LATIN1)
    assert caught.value.code == "encoding-untranslatable"


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("utf-8", "UTF8"),
        ("Unicode", "UTF8"),
        ("latin1", "LATIN1"),
        ("ISO-8859-1", "LATIN1"),
        ("ISO 8859-15", "LATIN9"),
        ("iso_8859_5", "ISO_8859_5"),
        ("Windows-1252", "WIN1252"),
        ("win", "WIN1251"),
        ("koi8", "KOI8R"),
        ("sql_ascii", "SQL_ASCII"),
        ("euc_jp", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_names_that_statements_use(written: str, name: str | None) -> None:
    assert encoding_named(written) == name
