"""One-dimensional arrays, in text and binary format, taken apart into their elements' raw bytes and put together.

Not here: what the elements mean. Works on bytes of any encoding in which ASCII bytes are ASCII characters (those that
are not are in `encodings.UNSAFE_ENCODINGS`). Source: arrayfuncs.c, array_in, array_out, array_recv; arrays of more
dimensions or with bounds of their own are refused, not flattened.
"""

import re
from collections.abc import Sequence
from struct import Struct
from typing import Final

from proxy.wire.typespec import BadValue

_SPACE: Final = b" \t\n\r\v\f"  # array_isspace
_head: Final = Struct(">iiI")
_dimension: Final = Struct(">ii")
_length: Final = Struct(">i")

# An element in quotes, or bare up to a delimiter, either with backslashes before any byte.
_QUOTED: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_BARE: Final = re.compile(rb'((?:[^",{}\\]|\\.)+)', re.DOTALL)
_ESCAPE: Final = re.compile(rb"\\(.)", re.DOTALL)
_BARE_END: Final = re.compile(rb"((?:[^\\]|\\.)*?)[ \t\n\r\v\f]*", re.DOTALL)
_NEEDS_QUOTES: Final = re.compile(rb'[",{}\\ \t\n\r\v\f]')


def decode_array(data: bytes, fmt: int) -> list[bytes | None]:
    """The elements of an array value, raw in its format (0 text, 1 binary); None for NULL. Raises BadValue."""
    return _decode_binary(data) if fmt == 1 else _decode_text(data)


def encode_array(element_oid: int, items: Sequence[bytes | None], fmt: int) -> bytes:
    """The array value of elements that are raw in its format, as the server sends it."""
    if fmt == 1:
        return _encode_binary(element_oid, items)
    return b"{" + b",".join([b"NULL" if item is None else _quoted(item) for item in items]) + b"}"


def _malformed() -> BadValue:
    return BadValue("number-format", "malformed array literal")  # 22P02


def _decode_text(data: bytes) -> list[bytes | None]:
    text = data.strip(_SPACE)
    if text[:1] == b"[":
        raise BadValue("unsupported-type", "arrays with bounds of their own are not supported")
    if text[:1] != b"{" or text[-1:] != b"}":
        raise _malformed()
    at = _after_space(text, 1)
    if at == len(text) - 1:
        return []
    items: list[bytes | None] = []
    while True:
        item, at = _element(text, _after_space(text, at))
        items.append(item)
        at = _after_space(text, at)
        if at == len(text) - 1 and text[at:] == b"}":
            return items
        if text[at : at + 1] != b",":
            raise _malformed()
        at += 1


def _after_space(text: bytes, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _element(text: bytes, at: int) -> tuple[bytes | None, int]:
    """One element from `at` on, and where it ends."""
    if text[at : at + 1] == b"{":
        raise BadValue("unsupported-type", "arrays of more than one dimension are not supported")
    quoted = _QUOTED.match(text, at)
    if quoted is not None:
        return _ESCAPE.sub(rb"\1", quoted[1]), quoted.end()
    bare = _BARE.match(text, at)
    if bare is None:
        raise _malformed()
    trimmed = _BARE_END.fullmatch(bare[1])
    word = bare[1] if trimmed is None else trimmed[1]
    return None if word.upper() == b"NULL" else _ESCAPE.sub(rb"\1", word), bare.end()


def _quoted(item: bytes) -> bytes:
    if item and item.upper() != b"NULL" and _NEEDS_QUOTES.search(item) is None:
        return item
    return b'"' + item.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _decode_binary(data: bytes) -> list[bytes | None]:
    if len(data) < _head.size:
        raise _incorrect()
    dimensions, flags, _ = _head.unpack_from(data)
    if flags not in (0, 1) or dimensions < 0:
        raise _incorrect()
    if dimensions == 0:
        return _all_read([], data, _head.size)
    if dimensions > 1:
        raise BadValue("unsupported-type", "arrays of more than one dimension are not supported")
    if len(data) < _head.size + _dimension.size:
        raise _incorrect()
    count, lower = _dimension.unpack_from(data, _head.size)
    if lower != 1:
        raise BadValue("unsupported-type", "arrays with bounds of their own are not supported")
    return _items(data, count)


def _items(data: bytes, count: int) -> list[bytes | None]:
    at = _head.size + _dimension.size
    items: list[bytes | None] = []
    for _ in range(count):
        if at + 4 > len(data):
            raise _incorrect()
        size: int = _length.unpack_from(data, at)[0]
        at += 4
        if size == -1:
            items.append(None)
            continue
        if size < 0 or at + size > len(data):
            raise _incorrect()
        items.append(data[at : at + size])
        at += size
    return _all_read(items, data, at)


def _all_read(items: list[bytes | None], data: bytes, at: int) -> list[bytes | None]:
    if at != len(data):
        raise _incorrect()
    return items


def _incorrect() -> BadValue:
    return BadValue("binary-format", "incorrect binary data format")


def _encode_binary(element_oid: int, items: Sequence[bytes | None]) -> bytes:
    if not items:
        return _head.pack(0, 0, element_oid)
    parts = [_head.pack(1, 1 if None in items else 0, element_oid), _dimension.pack(len(items), 1)]
    for item in items:
        parts.append(_length.pack(-1) if item is None else _length.pack(len(item)) + item)
    return b"".join(parts)
