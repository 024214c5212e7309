"""Client encodings: which Python codec does exactly what PostgreSQL's conversion does.

Not here: which encoding a link has (`session.settings`). Every pair below was compared with convert_from() and
convert_to() of PostgreSQL 15 and 18, all byte sequences and all of the BMP (tests/integration/
test_types_against_server.py does it again). EUC_JP, EUC_JIS_2004 and EUC_KR differ from Python's codecs
(full-width tilde and wave dash, composed Hangul), EUC_TW and MULE_INTERNAL have none: unsupported, not approximated.
"""

from typing import Final

from proxy.wire.typespec import BadValue, Reading

# Bytes below 0x80 can be the second half of a character there (pg_wchar.h, PG_ENCODING_IS_CLIENT_ONLY).
UNSAFE_ENCODINGS: Final = frozenset(("SJIS", "BIG5", "GBK", "GB18030", "UHC", "JOHAB", "SHIFT_JIS_2004"))

_CODECS: Final[dict[str, str]] = {
    "UTF8": "",
    "SQL_ASCII": "",
    "EUC_CN": "gb2312",
    "LATIN1": "iso8859-1",
    "LATIN2": "iso8859-2",
    "LATIN3": "iso8859-3",
    "LATIN4": "iso8859-4",
    "LATIN5": "iso8859-9",
    "LATIN6": "iso8859-10",
    "LATIN7": "iso8859-13",
    "LATIN8": "iso8859-14",
    "LATIN9": "iso8859-15",
    "LATIN10": "iso8859-16",
    "ISO_8859_5": "iso8859-5",
    "ISO_8859_6": "iso8859-6",
    "ISO_8859_7": "iso8859-7",
    "ISO_8859_8": "iso8859-8",
    "WIN1250": "cp1250",
    "WIN1251": "cp1251",
    "WIN1252": "cp1252",
    "WIN1253": "cp1253",
    "WIN1254": "cp1254",
    "WIN1255": "cp1255",
    "WIN1256": "cp1256",
    "WIN1257": "cp1257",
    "WIN1258": "cp1258",
    "WIN866": "cp866",
    "WIN874": "cp874",
    "KOI8R": "koi8-r",
    "KOI8U": "koi8-u",
}


def encoding_codec(pg_name: str) -> str | None:
    """The codec of an encoding as the server reports it; '' for none needed, None if pgveil can't read it exactly."""
    return _CODECS.get(pg_name.upper())


# Other names that a statement may use (encnames.c), letters and digits only.
_ALIASES: Final[dict[str, str]] = {
    "alt": "WIN866", "iso88591": "LATIN1", "iso88592": "LATIN2", "iso88593": "LATIN3", "iso88594": "LATIN4",
    "iso88599": "LATIN5", "iso885910": "LATIN6", "iso885913": "LATIN7", "iso885914": "LATIN8", "iso885915": "LATIN9",
    "iso885916": "LATIN10", "koi8": "KOI8R", "tcvn": "WIN1258", "tcvn5712": "WIN1258", "unicode": "UTF8",
    "vscii": "WIN1258", "win": "WIN1251",
}  # fmt: skip
_NAMES: Final[dict[str, str]] = {name.replace("_", "").lower(): name for name in _CODECS}


def encoding_named(name: str) -> str | None:
    """The encoding as the server reports it, from a name as a statement has it; None if pgveil can't read it."""
    plain = "".join([letter for letter in name.lower() if letter.isascii() and letter.isalnum()])
    plain = plain.replace("windows", "win") if plain.startswith("windows") else plain
    return _ALIASES.get(plain) or _NAMES.get(plain)


def to_utf8(data: bytes, reading: Reading) -> bytes:
    """Client text as UTF-8. Raises BadValue (encoding-invalid) where the server would."""
    try:
        text = data.decode(reading.client_encoding or "utf-8")
    except UnicodeDecodeError:
        raise BadValue("encoding-invalid", "invalid byte sequence for encoding") from None
    if "\0" in text:
        raise BadValue("encoding-invalid", "invalid byte sequence for encoding: 0x00")
    return text.encode() if reading.client_encoding else data


def from_utf8(data: bytes, reading: Reading) -> bytes:
    """UTF-8 as client text. Raises BadValue (encoding-untranslatable) for a character that the client's encoding
    has not."""
    if not reading.client_encoding:
        return data
    try:
        return data.decode().encode(reading.client_encoding)
    except UnicodeError:
        raise BadValue("encoding-untranslatable", "a character has no equivalent in the client's encoding") from None
