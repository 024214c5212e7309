"""Rows of COPY data: cut out of a stream that is cut anywhere, their fields found, decoded and written anew.

Not here: what COPY's options are called (`sql.copies`), what a value is (`types`). Sources: the COPY reference page
("File Formats"), copyfromparse.c (CopyReadLineText, CopyReadAttributesText, CopyReadAttributesCSV) and copyto.c
(CopyAttributeOutText, CopyAttributeOutCSV).

Invariants: what is fed comes out once, in order, as parts; fields that nobody replaces keep their bytes; the work is
linear in the bytes fed. Encodings in which an ASCII byte may be part of another character must not come here.
"""

import re
from dataclasses import dataclass
from struct import Struct
from typing import Final, Literal, final

SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0"
Field = bytes | None  # as it stands in the row; None: NULL of the binary format

_int16: Final = Struct(">h")
_int32: Final = Struct(">i")


class BadCopy(ValueError):
    """The data is no COPY data of this format; the server would say so too (22P04)."""


@dataclass(frozen=True, slots=True)
class CopyFormat:
    """The options of one COPY.

    header: the first line is one. default: the marker for DEFAULT. quoted: fields always quoted on output (None: all).
    not_null, null_quoted: fields under FORCE_NOT_NULL and FORCE_NULL. dot_ends: a line `\\.` ends csv data (before 18).
    """

    kind: Literal["text", "csv", "binary"] = "text"
    delimiter: bytes = b"\t"
    null: bytes = b"\\N"
    quote: bytes = b'"'
    escape: bytes = b'"'
    header: bool = False
    default: bytes | None = None
    quoted: frozenset[int] | None = frozenset()
    not_null: frozenset[int] = frozenset()
    null_quoted: frozenset[int] = frozenset()
    dot_ends: bool = True


@final
class Default:
    """A field that asks for its column's DEFAULT."""


DEFAULT: Final = Default()


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the stream. row: it is a row (else a header, a trailer, an end marker, or what follows one)."""

    data: bytes
    row: bool

    def __repr__(self) -> str:
        return f"Part(<hidden {len(self.data)} bytes>, {self.row})"


@final
class CopyRows:
    """Cuts a stream into parts."""

    __slots__ = ("_ended", "_eol", "_first", "_format", "_quotes", "_rest", "_scanned")

    def __init__(self, form: CopyFormat) -> None:
        self._format = form
        self._rest = bytearray()  # grows in place: a row may come in many pieces
        self._scanned = 0  # bytes of the rest in which no row ends
        self._quotes = Quotes(form)
        self._eol = b""  # b"\n" (or \r\n), b"\r"; b"" while none was seen
        self._first = True
        self._ended = False  # a trailer or end marker came: the server reads no more

    @property
    def pending(self) -> int:
        """Bytes of a row that is not complete yet."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[Part]:
        """Parts that are complete now. Raises BadCopy."""
        self._rest += data
        parts: list[Part] = []
        at, end = 0, self._end_of_part(0)
        while end >= 0:
            parts.append(self._part(bytes(self._rest[at:end])))
            self._scanned = 0
            at, end = end, self._end_of_part(end)
        del self._rest[:at]
        return parts

    def finish(self) -> list[Part]:
        """The stream is over: a last line may lack its end. Raises BadCopy."""
        rest, self._rest = bytes(self._rest), bytearray()
        if not rest:
            return []
        if self._format.kind == "binary":
            raise BadCopy("unexpected EOF in COPY data")
        return [self._part(rest)]

    def _part(self, data: bytes) -> Part:
        if self._ended:
            return Part(data, False)
        first, self._first = self._first, False
        if self._format.kind == "binary":
            self._ended = not first and _int16.unpack_from(data)[0] == -1
            return Part(data, not first and not self._ended)
        if first and self._format.header:
            return Part(data, False)
        if (self._format.kind == "text" or self._format.dot_ends) and line(data) == b"\\.":
            self._ended = True
            return Part(data, False)
        return Part(data, True)

    # ---- where a part ends: the offset behind it, -1 if it is not there yet

    def _end_of_part(self, at: int) -> int:
        if self._ended:
            return len(self._rest) if at < len(self._rest) else -1
        if self._format.kind == "binary":
            return _binary_header(self._rest) if self._first else _binary_row(self._rest, at)
        data, start = self._rest, at + self._scanned
        while True:
            found = self._next_eol(data, start)
            if found < 0:
                seen = max(start, len(data) - data.endswith(b"\r"))
                self._quotes.over(data, start, seen)
                self._scanned = seen - at
                return -1
            if self._is_end(data, at, start, found):
                return found
            start = found

    def _next_eol(self, data: bytearray, start: int) -> int:
        """The offset behind the next line end, quoted or not; -1 if there is none."""
        if self._eol == b"\n":
            return data.find(b"\n", start) + 1 or -1
        if self._eol == b"\r":
            return data.find(b"\r", start) + 1 or -1
        newline, carriage = data.find(b"\n", start), data.find(b"\r", start)
        if carriage < 0 or 0 <= newline < carriage:
            return newline + 1 or -1
        if carriage + 1 == len(data):
            return -1  # \r, or the first half of \r\n
        return carriage + 2 if newline == carriage + 1 else carriage + 1

    def _is_end(self, data: bytearray, at: int, start: int, found: int) -> bool:
        """Whether the line end before `found` ends the row that began at `at`; `start`: looked at up to there."""
        if self._format.kind == "text":
            ends = not _escaped(data, at, _eol_start(data, found))
        else:
            ends = self._quotes.over(data, start, found)
        if ends and not self._eol:
            self._eol = b"\r" if data[found - 1 : found] == b"\r" else b"\n"
        return ends


@final
class Quotes:
    """Whether a place of csv data is inside of quotes (CopyReadLineText)."""

    __slots__ = ("_escape", "_escaped", "_inside", "_quote")

    def __init__(self, form: CopyFormat) -> None:
        self._quote = form.quote
        self._escape = form.escape
        self._inside = False
        self._escaped = False

    def over(self, data: bytearray, start: int, end: int) -> bool:
        """Read on from `start` to `end`; true if that is outside of quotes."""
        if self._quote == self._escape:
            self._inside ^= data.count(self._quote, start, end) % 2 == 1
            return not self._inside
        quote, escape = self._quote[0], self._escape[0]
        for byte in data[start:end]:
            if self._inside and byte == escape:
                self._escaped = not self._escaped
            if byte == quote and not self._escaped:
                self._inside = not self._inside
            if byte != escape:
                self._escaped = False
        return not self._inside


def line(data: bytes) -> bytes:
    """A row of text or csv without its end."""
    if data.endswith(b"\r\n"):
        return data[:-2]
    return data[:-1] if data.endswith((b"\n", b"\r")) else data


def _eol_start(data: bytearray, found: int) -> int:
    return found - 2 if data[found - 2 : found] == b"\r\n" else found - 1


def _escaped(data: bytearray, at: int, place: int) -> bool:
    """Whether an odd number of backslashes stands before `place`."""
    first = place
    while first > at and data[first - 1] == 0x5C:
        first -= 1
    return (place - first) % 2 == 1


def _binary_header(data: bytearray) -> int:
    if len(data) < 19:
        if not SIGNATURE.startswith(bytes(data[:11])):
            raise BadCopy("COPY file signature not recognized")
        return -1
    if data[:11] != SIGNATURE:
        raise BadCopy("COPY file signature not recognized")
    extra: int = _int32.unpack_from(data, 15)[0]
    if extra < 0:
        raise BadCopy("invalid COPY file header (wrong length)")
    return 19 + extra if len(data) >= 19 + extra else -1


def _binary_row(data: bytearray, at: int) -> int:
    if len(data) < at + 2:
        return -1
    count: int = _int16.unpack_from(data, at)[0]
    at += 2
    for _ in range(max(count, 0)):
        if len(data) < at + 4:
            return -1
        size: int = _int32.unpack_from(data, at)[0]
        if size < -1:
            raise BadCopy("invalid field size")
        at += 4 + max(size, 0)
    return at if len(data) >= at else -1


# ---- fields


@final
class CopyFields:
    """Finds, decodes and writes the fields of rows."""

    __slots__ = ("_csv_field", "_format", "_text_field")

    def __init__(self, form: CopyFormat) -> None:
        self._format = form
        mark = re.escape(form.delimiter)
        self._text_field = re.compile(b"(?:[^\\\\" + mark + b"]|\\\\.|\\\\$)*+", re.DOTALL)
        quote, escape = re.escape(form.quote), re.escape(form.escape)
        inner = b"(?:" + escape + b"[" + quote + escape + b"]|[^" + quote + b"])*+"
        self._csv_field = re.compile(b"(?:" + quote + inner + quote + b"|[^" + mark + quote + b"])*+", re.DOTALL)

    def split(self, row: bytes) -> list[Field]:
        """Fields as they stand. Raises BadCopy."""
        form = self._format
        if form.kind == "binary":
            return _binary_fields(row)
        content = line(row)
        if (b"\\" if form.kind == "text" else form.quote) not in content:
            return list(content.split(form.delimiter))
        pattern = self._text_field if form.kind == "text" else self._csv_field
        fields: list[Field] = []
        at = 0
        while True:
            found = pattern.match(content, at)
            assert found is not None
            fields.append(found.group())
            at = found.end()
            if at == len(content):
                return fields
            if content[at : at + 1] != form.delimiter:
                raise BadCopy("unterminated CSV quoted field")
            at += 1

    def join(self, row: bytes, fields: list[Field]) -> bytes:
        """The row with these fields. row: as it was, for its line end."""
        if self._format.kind == "binary":
            parts = [_int16.pack(len(fields))]
            for field in fields:
                parts.append(_int32.pack(-1 if field is None else len(field)))
                parts.append(field or b"")
            return b"".join(parts)
        return self._format.delimiter.join([field or b"" for field in fields]) + row[len(line(row)) :]

    def decode(self, field: Field, index: int) -> bytes | Default | None:
        """The value of field `index`: bytes of the stream's encoding, or of the binary form; None for NULL."""
        form = self._format
        if form.kind == "binary" or field is None:
            return field
        if form.kind == "csv":
            return self._decode_csv(field, index)
        if field == form.null:
            return None
        if field == form.default:
            return DEFAULT
        return _ESCAPE.sub(_unescaped, field) if b"\\" in field else field

    def _decode_csv(self, field: bytes, index: int) -> bytes | Default | None:
        form = self._format
        value, quoted = (field, False) if form.quote not in field else (self._unquoted(field), True)
        if not quoted and value == form.default:
            return DEFAULT
        if value == form.null and index not in form.not_null and (not quoted or index in form.null_quoted):
            return None
        return value

    def _unquoted(self, field: bytes) -> bytes:
        """CopyReadAttributesCSV: quotes may open and close anywhere in a field."""
        quote, escape = self._format.quote[0], self._format.escape[0]
        out = bytearray()
        inside = False
        at, end = 0, len(field)
        while at < end:
            byte = field[at]
            at += 1
            if inside and byte == escape and at < end and field[at] in (quote, escape):
                out.append(field[at])
                at += 1
            elif byte == quote:
                inside = not inside
            else:
                out.append(byte)
        return bytes(out)

    def encode(self, value: bytes | None, index: int) -> Field:
        """The field for a value, as the server would write it."""
        form = self._format
        if form.kind == "binary":
            return value
        if value is None:
            return form.null
        if form.kind == "text":
            return _encoded_text(value, form.delimiter)
        return self._encoded_csv(value, index)

    def _encoded_csv(self, value: bytes, index: int) -> bytes:
        form = self._format
        forced = form.quoted is None or index in form.quoted
        special = any(mark in value for mark in (form.delimiter, form.quote, b"\n", b"\r"))
        if not (forced or special or value in (form.null, b"\\.")):
            return value
        if form.escape != form.quote:
            value = value.replace(form.escape, form.escape * 2)
        return form.quote + value.replace(form.quote, form.escape + form.quote) + form.quote


def _binary_fields(row: bytes) -> list[Field]:
    fields: list[Field] = []
    at = 2
    for _ in range(_int16.unpack_from(row)[0]):
        size: int = _int32.unpack_from(row, at)[0]
        at += 4
        fields.append(None if size < 0 else row[at : at + size])
        at += max(size, 0)
    return fields


_ESCAPE: Final = re.compile(rb"\\([0-7]{1,3}|x[0-9a-fA-F]{1,2}|.|$)", re.DOTALL)
_LETTERS: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def _unescaped(found: re.Match[bytes]) -> bytes:
    """CopyReadAttributesText: \\n and its like, octal and hexadecimal bytes; another character stands for itself."""
    code = found.group(1)
    if code[:1].isdigit() and code[:1] < b"8":
        return bytes((int(code, 8) & 0xFF,))
    if code[:1] == b"x" and len(code) > 1:
        return bytes((int(code[1:], 16),))
    return _LETTERS.get(code, code or b"\\")


_PLAIN: Final = re.compile(rb"[^\x08-\x0d\\]*")
_NAMES: Final = {
    0x08: b"\\b", 0x09: b"\\t", 0x0A: b"\\n", 0x0B: b"\\v", 0x0C: b"\\f", 0x0D: b"\\r", 0x5C: b"\\\\",
}  # fmt: skip


def _encoded_text(value: bytes, delimiter: bytes) -> bytes:
    found = _PLAIN.match(value)
    if delimiter not in value and found is not None and found.end() == len(value):
        return value
    mark = delimiter[0]
    out = bytearray()
    for byte in value:
        name = _NAMES.get(byte)
        if name is not None:
            out += name
        elif byte == mark:
            out += b"\\" + delimiter
        else:
            out.append(byte)
    return bytes(out)
