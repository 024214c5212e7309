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
    """A stretch of the stream. row: it is a row (else a header, a trailer or an end marker). eol: bytes of its end that
    end the line."""

    data: bytes
    row: bool
    eol: int = 0

    def __repr__(self) -> str:
        return f"Part(<hidden {len(self.data)} bytes>, {self.row})"


# What CopyReadLineText steps over in text: a backslash takes the next byte with it, but for `\\.`.
_TEXT_RUN: Final = re.compile(rb"(?:[^\\\r\n]++|\\[^.])*+", re.DOTALL)
_NEWLINE: Final = 0x0A
_RETURN: Final = 0x0D
_BACKSLASH: Final = 0x5C


@final
class CopyRows:
    """Cuts a stream into parts."""

    __slots__ = (
        "_close", "_ended", "_eol", "_first", "_form", "_inside", "_kind", "_last", "_left", "_rest", "_run",
        "_scanned",
    )  # fmt: skip

    def __init__(self, form: CopyFormat) -> None:
        quote, escape = re.escape(form.quote), re.escape(form.escape)
        inner = b"[^%s]*+" % quote if quote == escape else b"(?:[^%s%s]++|%s.)*+" % (quote, escape, escape)
        csv = re.compile(b"(?:[^%s\r\n]++|%s%s%s)*+" % (quote, quote, inner, quote), re.DOTALL)
        self._form = form
        self._kind = form.kind
        self._run = csv if form.kind == "csv" else _TEXT_RUN
        self._close = re.compile(inner, re.DOTALL)
        self._rest = bytearray()  # grows in place: a row may come in many pieces
        self._scanned = 0  # bytes of the rest in which no row ends
        self._inside = False  # csv: these end inside of quotes
        self._left = -1  # binary: fields of the row behind these; -1: their number is to come
        self._eol = b""  # the first line's end: all others must be the same
        self._first = True
        self._last = False  # no more data will come
        self._ended = False  # a trailer or end marker came: the server reads no more

    @property
    def pending(self) -> int:
        """Bytes of a row that is not complete yet."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[Part]:
        """Parts that are complete now. Raises BadCopy."""
        self._rest += data
        parts: list[Part] = []
        at = 0
        while (part := self._part(at)) is not None:
            parts.append(part)
            at += len(part.data)
            self._scanned = 0
        del self._rest[:at]
        return parts

    def finish(self) -> list[Part]:
        """The stream is over: a last line may lack its end. Raises BadCopy."""
        self._last = True
        if self._kind == "binary" and self._rest:
            raise BadCopy("unexpected EOF in COPY data")
        parts = self.feed(b"")
        if self._rest:
            rest, self._rest = bytes(self._rest), bytearray()
            parts.append(Part(rest, not (self._first and self._form.header)))
        return parts

    def _part(self, at: int) -> Part | None:
        """The part that begins at `at`; None: it isn't there yet."""
        if self._ended:
            self._ignore(at)
            return None
        if self._kind == "binary":
            return self._binary(at)
        marker = 0
        if self._kind == "text" or self._form.dot_ends:
            marker = self._marker(at)
            if marker < 0:
                return None
        end = self._end_of_line(at, marker)
        if end < 0:
            return None
        first, self._first = self._first, False
        row = not self._ended and not (first and self._form.header)
        return Part(bytes(self._rest[at:end]), row, len(self._eol) if row else 0)

    def _ignore(self, at: int) -> None:
        """What comes behind an end marker is ignored by the server too: it goes nowhere. Raises BadCopy."""
        if self._kind == "binary" and at < len(self._rest):
            raise BadCopy("received copy data after EOF marker")
        del self._rest[at:]

    # ---- lines: the offset behind one, -1 if it is not there yet

    def _end_of_line(self, at: int, marker: int) -> int:
        """marker: the offset behind an end marker at `at`, 0 if there is none."""
        if marker:
            self._ended = True
            return marker
        data, place = self._rest, self._stop(at)
        if place < 0:
            return -1
        if data[place] == _BACKSLASH:
            if place + 1 == len(data):
                return -1
            raise BadCopy("end-of-copy marker is not alone on its line")
        return self._line_end(place)

    def _stop(self, at: int) -> int:
        """The offset of the next line end, or in text of a backslash that is not stepped over; -1 if there is none.
        at: where the line begins."""
        data, place = self._rest, at + self._scanned
        if self._inside:
            place = self._quoted(place)
            self._scanned = place - at
            if data[place : place + 1] != self._form.quote:
                return -1
            self._inside = False
            place += 1
        found = self._run.match(data, place)
        assert found is not None
        place = found.end()
        if self._kind == "csv" and data[place : place + 1] == self._form.quote:
            self._inside = True
            place = self._quoted(place + 1)
        self._scanned = place - at
        return -1 if self._inside or place == len(data) else place

    def _quoted(self, place: int) -> int:
        """From inside of quotes: the offset of the one that closes, else from where to read on."""
        found = self._close.match(self._rest, place)
        assert found is not None
        return found.end()

    def _line_end(self, place: int) -> int:
        """The offset behind the line end at `place` (CopyReadLineText: all must be like the first). Raises BadCopy."""
        data, eol = self._rest, self._eol
        if data[place] == _NEWLINE:
            if eol not in (b"", b"\n"):
                raise BadCopy(f"{self._bare} newline found in data")
            self._eol = b"\n"
            return place + 1
        if eol == b"\n":
            raise BadCopy(f"{self._bare} carriage return found in data")
        if eol != b"\r":
            if place + 1 == len(data) and not self._last:
                return -1  # \r, or the first half of \r\n
            if data[place + 1 : place + 2] == b"\n":
                self._eol = b"\r\n"
                return place + 2
            if eol:
                raise BadCopy(f"{self._bare} carriage return found in data")
        self._eol = b"\r"
        return place + 1

    @property
    def _bare(self) -> str:
        return "literal" if self._kind == "text" else "unquoted"

    def _marker(self, at: int) -> int:
        """The offset behind the end marker at `at`, 0: there is none, -1: it is not certain yet. Raises BadCopy."""
        data, eol = self._rest, self._eol
        if data[at : at + 1] != b"\\" or (self._scanned > 2 and not self._last):
            return 0
        ahead = bytes(data[at + 1 : at + 4])
        ends = (eol,) if eol else (b"\r\n", b"\n", b"\r")
        for end in ends:
            if ahead.startswith(b"." + end) and (end != b"\r" or eol or len(ahead) == 3 or self._last):
                return at + 2 + len(end)
        if not self._last and (not ahead or any((b"." + end).startswith(ahead) for end in ends)):
            return -1
        return self._no_marker(ahead, at)

    def _no_marker(self, ahead: bytes, at: int) -> int:
        """What begins as an end marker and is none. Raises BadCopy."""
        if self._kind == "text" and ahead[:1] == b".":
            if len(ahead) == 1:
                return at + 2  # the data ends with it: the server's to decide
            raise BadCopy("end-of-copy marker corrupt")
        if ahead[:2] in (b".\r", b".\n"):
            raise BadCopy("end-of-copy marker does not match previous newline style")
        return 0

    # ---- binary

    def _binary(self, at: int) -> Part | None:
        end = _binary_header(self._rest) if self._first else self._binary_row(at)
        if end < 0:
            return None
        data = bytes(self._rest[at:end])
        first, self._first = self._first, False
        self._ended = not first and _int16.unpack_from(data)[0] == -1
        return Part(data, not first and not self._ended)

    def _binary_row(self, at: int) -> int:
        data, place = self._rest, at + self._scanned
        if self._left < 0:
            if len(data) < place + 2:
                return -1
            self._left = max(_int16.unpack_from(data, place)[0], 0)
            place += 2
        while self._left > 0 and len(data) >= place + 4:
            size: int = _int32.unpack_from(data, place)[0]
            if size < -1:
                raise BadCopy("invalid field size")
            if len(data) < place + 4 + max(size, 0):
                break
            place += 4 + max(size, 0)
            self._left -= 1
        self._scanned = place - at
        if self._left > 0:
            return -1
        self._left = -1
        return place


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


# ---- fields


@final
class CopyFields:
    """Finds, decodes and writes the fields of rows. width: how many a row has."""

    __slots__ = ("_alone", "_csv_field", "_format", "_text_field")

    def __init__(self, form: CopyFormat, width: int = 1) -> None:
        self._format = form
        self._alone = width == 1
        mark = re.escape(form.delimiter)
        self._text_field = re.compile(b"(?:[^\\\\" + mark + b"]++|\\\\.|\\\\\\Z)*+", re.DOTALL)
        quote, escape = re.escape(form.quote), re.escape(form.escape)
        inner = b"(?:" + escape + b"[" + quote + escape + b"]|[^" + quote + escape + b"]++|(?!" + quote + b").)*+"
        self._csv_field = re.compile(b"(?:" + quote + inner + quote + b"|[^" + mark + quote + b"]++)*+", re.DOTALL)

    def split(self, row: Part) -> list[Field]:
        """Fields as they stand. Raises BadCopy."""
        form = self._format
        if form.kind == "binary":
            return _binary_fields(row.data)
        content = row.data[: len(row.data) - row.eol]
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

    def join(self, row: Part, fields: list[Field]) -> bytes:
        """The row with these fields. row: as it was, for its line end."""
        if self._format.kind == "binary":
            parts = [_int16.pack(len(fields))]
            for field in fields:
                parts.append(_int32.pack(-1 if field is None else len(field)))
                parts.append(field or b"")
            return b"".join(parts)
        return self._format.delimiter.join([field or b"" for field in fields]) + row.data[len(row.data) - row.eol :]

    def decode(self, field: Field, index: int) -> bytes | Default | None:
        """The value of field `index`: bytes of the stream's encoding, or of the binary form; None for NULL."""
        form = self._format
        if form.kind == "binary" or field is None:
            return field
        if form.kind == "csv":
            return self._decode_csv(field, index)
        if field.endswith(b"\\") and (len(field) - len(field.rstrip(b"\\"))) % 2:
            field = field[:-1]  # the data ends with it: it is dropped before the field is looked at
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
        if value != form.null:
            return value
        return None if (index in form.null_quoted if quoted else index not in form.not_null) else value

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
        if not (forced or special or value == form.null or (self._alone and value == b"\\.")):
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


_ESCAPE: Final = re.compile(rb"\\([0-7]{1,3}|x[0-9a-fA-F]{1,2}|.)", re.DOTALL)
_LETTERS: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def _unescaped(found: re.Match[bytes]) -> bytes:
    """CopyReadAttributesText: \\n and its like, octal and hexadecimal bytes; another character stands for itself."""
    code = found.group(1)
    if code[:1].isdigit() and code[:1] < b"8":
        return bytes((int(code, 8) & 0xFF,))
    if code[:1] == b"x" and len(code) > 1:
        return bytes((int(code[1:], 16),))
    return _LETTERS.get(code, code)


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
