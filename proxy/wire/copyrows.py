"""Rows of COPY data, cut out of a stream that is cut anywhere.

Not here: fields of rows (`copyfields`), what COPY's options are called (`sql.copies`). Sources: the COPY reference page
("File Formats"), copyfromparse.c (CopyReadLineText).

Invariants: what is fed comes out once, in order, as parts; the work is linear in the bytes fed. Encodings in which an
ASCII byte may be part of another character must not come here.
"""

import re
from dataclasses import dataclass
from struct import Struct
from typing import Final, Literal, final

SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0"

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


@dataclass(slots=True)
class Part:
    """A stretch of the stream. rows: how many it is (0: a header, a trailer or an end marker). eol: bytes of its end
    that end the line; of several rows each line ends alike and no row is longer than a line.

    Not frozen: that would double what making one costs, and there is one a row of COPY TO.
    """

    data: bytes
    rows: int
    eol: int = 0

    def __repr__(self) -> str:
        return f"Part(<hidden {len(self.data)} bytes>, {self.rows})"


# What CopyReadLineText steps over in text: a backslash takes the next byte with it, but for `\\.`.
_TEXT_RUN: Final = re.compile(rb"(?:[^\\\r\n]++|\\[^.])*+", re.DOTALL)
_NEWLINE: Final = 0x0A
_RETURN: Final = 0x0D
_BACKSLASH: Final = 0x5C


@final
class CopyRows:
    """Cuts a stream into parts. Rows that can be told apart by their line ends alone come as one part; `_part` reads
    what is odd byte by byte, as the server does."""

    __slots__ = (
        "_close", "_ended", "_eol", "_first", "_form", "_inside", "_kind", "_last", "_left", "_rest", "_run",
        "_scanned", "_unseen",
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
        self._unseen = False  # what was fed last was not yet searched for rows that are one part

    @property
    def pending(self) -> int:
        """Bytes of a row that is not complete yet."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[Part]:
        """Parts that are complete now. Raises BadCopy."""
        self._rest += data
        self._unseen = True
        parts: list[Part] = []
        at = 0
        while (part := self._run_of_rows(at) or self._part(at)) is not None:
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
            parts.append(Part(rest, 0 if self._first and self._form.header else 1))
        return parts

    # ---- rows that are plain to see

    def row(self, data: bytes) -> Part | None:
        """The data as the one row that they are, if that is plain to see; None: feed them."""
        if self._rest or self._first or self._ended:
            return None
        if self._kind == "binary":
            return Part(data, 1) if _binary_row_end(data, 0) == len(data) else None
        alone = self._eol == b"\n" and data.find(b"\n") == len(data) - 1
        return Part(data, 1, 1) if alone and data else None

    def _run_of_rows(self, at: int) -> Part | None:
        """All whole rows behind `at`, if none of them is odd. Tried once a piece, where a row begins."""
        if not self._unseen or self._scanned or self._first or self._ended:
            return None
        self._unseen = False
        if self._kind == "binary":
            end, count = _binary_rows_end(self._rest, at)
            return Part(bytes(self._rest[at:end]), count) if count else None
        data = bytes(self._rest[at : self._rest.rfind(b"\n", at) + 1])
        count = data.count(b"\n")
        if not count or not self._ended_alike(data, count):
            return None
        return None if self._odd(data) else Part(data, count, len(self._eol))

    def _ended_alike(self, data: bytes, count: int) -> bool:
        """Whether its `count` line feeds, and nothing else, may end rows."""
        if self._eol == b"\n":
            return b"\r" not in data
        return self._eol == b"\r\n" and data.count(b"\r") == data.count(self._eol) == count

    def _odd(self, data: bytes) -> bool:
        """Whether a line end may be part of a value, or a line an end marker."""
        form = self._form
        if self._kind == "text":
            return b"\\." in data or b"\\\n" in data or b"\\\r" in data
        if form.dot_ends and b"\\." in data:
            return True
        if form.quote not in data:
            return False
        if form.escape != form.quote and form.escape in data:
            return True
        return any(line.count(form.quote) & 1 for line in data.split(b"\n"))

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
        return Part(bytes(self._rest[at:end]), int(row), len(self._eol) if row else 0)

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
        return Part(data, int(not first and not self._ended))

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


def _binary_rows_end(data: bytearray, at: int) -> tuple[int, int]:
    """The offset behind the last whole row from `at` on, and how many there are. It stops before what is odd."""
    count = 0
    while (end := _binary_row_end(data, at)) > 0:
        at = end
        count += 1
    return at, count


def _binary_row_end(data: bytes | bytearray, at: int) -> int:
    """The offset behind the row at `at`; -1 if it is not whole, or no row."""
    have = len(data)
    if at + 2 > have:
        return -1
    fields: int = _int16.unpack_from(data, at)[0]
    if fields < 0:
        return -1
    at += 2
    for _ in range(fields):
        if at + 4 > have:
            return -1
        size: int = _int32.unpack_from(data, at)[0]
        if size < -1:
            return -1
        at += 4 + size if size > 0 else 4
    return at if at <= have else -1
