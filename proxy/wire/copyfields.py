"""Fields of rows of COPY data: found, decoded and written anew, a column of many rows at a time.

Not here: where rows begin and end (`copyrows`), what a value is (`types`). Sources: the COPY reference page ("File
Formats"), copyfromparse.c (CopyReadAttributesText, CopyReadAttributesCSV) and copyto.c (CopyAttributeOutText,
CopyAttributeOutCSV).

Invariant: fields that nobody replaces keep their bytes.
"""

import re
from collections.abc import Sequence
from struct import Struct
from typing import Final, cast, final

from proxy.wire.copyrows import BadCopy, CopyFormat, Part

Field = bytes | None  # as it stands in the row; None: NULL of the binary format

_int16: Final = Struct(">h")
_int32: Final = Struct(">i")
_NULL_SIZE: Final = _int32.pack(-1)


@final
class Default:
    """A field that asks for its column's DEFAULT."""


DEFAULT: Final = Default()


@final
class CopyFields:
    """Finds, decodes and writes the fields of rows. width: how many a row has."""

    __slots__ = ("_alone", "_field", "_format", "_odd", "_special")

    def __init__(self, form: CopyFormat, width: int = 1) -> None:
        self._format = form
        self._alone = width == 1
        mark = re.escape(form.delimiter)
        quote, escape = re.escape(form.quote), re.escape(form.escape)
        if form.kind == "csv":
            inner = b"(?:" + escape + b"[" + quote + escape + b"]|[^" + quote + escape + b"]++|(?!" + quote + b").)*+"
            field = b"(?:" + quote + inner + quote + b"|[^" + mark + quote + b"]++)*+"
            self._odd = form.quote  # where it is not, every delimiter is one
        else:
            field = b"(?:[^\\\\" + mark + b"]++|\\\\.|\\\\\\Z)*+"
            self._odd = b"\\" + form.delimiter
        self._field = re.compile(b"(?:\\A|" + mark + b")(" + field + b")", re.DOTALL)
        special = b"\n\r" + quote if form.kind == "csv" else b"\x08-\x0d\\\\"
        self._special = re.compile(b"[" + special + mark + b"]")

    def split(self, parts: Sequence[Part]) -> list[list[Field]]:
        """Fields of all rows, as they stand. Raises BadCopy."""
        if self._format.kind == "binary":
            return [fields for part in parts if part.rows for fields in _binary_fields(part.data, part.rows)]
        mark, odd = self._format.delimiter, self._odd
        found: list[list[Field]] = []
        for part in parts:
            if part.rows:
                content = part.data[: len(part.data) - part.eol]
                lines = (content,) if part.rows == 1 else content.split(part.data[len(content) :])
                found += [list(line.split(mark)) if odd not in line else self._fields(line) for line in lines]
        return found

    def _fields(self, line: bytes) -> list[Field]:
        """Fields of a line in which a delimiter may be part of a value. Raises BadCopy."""
        found: list[bytes] = self._field.findall(line)
        if sum([len(field) for field in found]) + len(found) - 1 != len(line):
            raise BadCopy("unterminated CSV quoted field")
        return list(found)

    def join(self, parts: Sequence[Part], rows: Sequence[list[Field]]) -> list[bytes]:
        """The parts with these fields in their rows. parts: as they were, for what is no row and for line ends."""
        written = _binary_rows(rows) if self._format.kind == "binary" else self._lines(rows)
        out: list[bytes] = []
        at = 0
        for part in parts:
            if not part.rows:
                out.append(part.data)
                continue
            end = part.data[len(part.data) - part.eol :] if part.eol else b""
            out.append(written[at] + end if part.rows == 1 else end.join(written[at : at + part.rows]) + end)
            at += part.rows
        return out

    def _lines(self, rows: Sequence[list[Field]]) -> list[bytes]:
        join = self._format.delimiter.join
        return [join(row) for row in cast("Sequence[list[bytes]]", rows)]  # None is of the binary format only

    # ---- values of one column

    def decode_all(self, fields: list[Field], index: int) -> list[bytes | Default | None]:
        """As `decode`, of field `index` of many rows."""
        if self._format.kind == "binary":
            return list(fields)
        known, odd = self._words(index), b"\\" if self._format.kind == "text" else self._format.quote
        return [
            known[field] if field in known else field if odd not in field else self.decode(field, index)
            for field in cast("list[bytes]", fields)
        ]

    def _words(self, index: int) -> dict[bytes, Default | bytes | None]:
        """Fields that mean something else as they stand."""
        form = self._format
        known: dict[bytes, Default | bytes | None] = {}
        for word in (form.null, form.default):
            if word is not None and not word.endswith(b"\\"):  # at the end of a line it is dropped
                known[word] = self.decode(word, index)
        return known

    def encode_all(self, values: Sequence[bytes | None], index: int) -> list[Field]:
        """As `encode`, for field `index` of many rows."""
        if self._format.kind == "binary":
            return list(values)
        null = self._format.null
        if self._plain(values, index):
            return [null if value is None else value for value in values]
        written = {value: self.encode(value, index) for value in set(values)}
        return [written[value] for value in values]

    def _plain(self, values: Sequence[bytes | None], index: int) -> bool:
        """Whether all values stand in the data as they are: tokens mostly do."""
        if self._format.kind == "csv" and (self._alone or self._forced(index) or self._format.null in values):
            return False
        together = b"\0".join([value for value in values if value is not None])
        return self._special.search(together) is None

    def _forced(self, index: int) -> bool:
        return self._format.quoted is None or index in self._format.quoted

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
        mark, escape = self._format.quote, self._format.escape
        inner = field[1:-1]
        if field == mark + inner + mark and mark not in inner and escape not in inner:
            return inner
        if escape == mark and field == mark + inner + mark and mark not in inner.replace(mark + mark, b""):
            return inner.replace(mark + mark, mark)
        out = bytearray()
        inside = False
        at, end = 0, len(field)
        while at < end:
            byte = field[at : at + 1]
            at += 1
            if inside and byte == escape and at < end and field[at : at + 1] in (mark, escape):
                out += field[at : at + 1]
                at += 1
            elif byte == mark:
                inside = not inside
            else:
                out += byte
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
        forced = self._forced(index)
        special = self._special.search(value) is not None
        if not (forced or special or value == form.null or (self._alone and value == b"\\.")):
            return value
        if form.escape != form.quote:
            value = value.replace(form.escape, form.escape * 2)
        return form.quote + value.replace(form.quote, form.escape + form.quote) + form.quote


def _binary_fields(data: bytes, rows: int) -> list[list[Field]]:
    found: list[list[Field]] = []
    at = 0
    for _ in range(rows):
        fields: list[Field] = []
        count: int = _int16.unpack_from(data, at)[0]
        at += 2
        for _ in range(count):
            size: int = _int32.unpack_from(data, at)[0]
            at += 4
            if size < 0:
                fields.append(None)
            else:
                fields.append(data[at : at + size])
                at += size
        found.append(fields)
    return found


def _binary_rows(rows: Sequence[list[Field]]) -> list[bytes]:
    written: list[bytes] = []
    for row in rows:
        parts = [_int16.pack(len(row))]
        for field in row:
            if field is None:
                parts.append(_NULL_SIZE)
            else:
                parts.append(_int32.pack(len(field)))
                parts.append(field)
        written.append(b"".join(parts))
    return written


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
