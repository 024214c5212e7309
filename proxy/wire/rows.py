"""Takes fields out of runs of DataRow messages and puts others in, touching nothing else.

Not here: which columns, and what their values mean. A run is `buf[start:end]`; columns are 0-based, in ascending
order. Source: protocol chapter, "Message Formats", DataRow: 'D', Int32 length, Int16 count, then for each column an
Int32 length (-1: NULL) and that many bytes.

Invariant: rewrite(run, what collect() took out of it) is the run, byte for byte.
Speed: benchmarks/rows.py.
"""

from struct import Struct
from typing import Final

from proxy.errors import Bug, ProtocolFault

DATA_ROW: Final = ord("D")
_NULL_LENGTH: Final = b"\xff\xff\xff\xff"

_head_at: Final = Struct(">IH").unpack_from
_length_at: Final = Struct(">i").unpack_from
_length: Final = Struct(">I").pack


def collect(buf: bytes, start: int, end: int, columns: tuple[int, ...], width: int, out: list[bytes | None]) -> int:
    """Append the raw fields of `columns` (None: NULL), row by row, to `out`.

    Gives the offset where it stopped: `end`, or the start of a message that is no DataRow or is not whole. Raises
    ProtocolFault if a row has not `width` columns or its lengths don't fit: `out` is of no use then.
    """
    at = start
    while at + 7 <= end and buf[at] == DATA_ROW:
        length, count = _head_at(buf, at + 1)
        stop = at + 1 + length
        if stop > end:
            break
        if count != width or length < 6:
            raise ProtocolFault("server", f"a row of {count} columns where {width} are described")
        _take(buf, at + 7, stop, columns, out)
        at = stop
    return at


def _take(buf: bytes, field: int, stop: int, columns: tuple[int, ...], out: list[bytes | None]) -> None:
    """The wanted fields of one row whose first field's length word is at `field`."""
    column = 0
    for wanted in columns:
        field = _skip(buf, field, stop, wanted - column)
        size = _size(buf, field, stop)
        field += 4
        if size < 0:
            out.append(None)
        else:
            out.append(buf[field : field + size])
            field += size
        column = wanted + 1


def _skip(buf: bytes, field: int, stop: int, count: int) -> int:
    """The offset of the length word `count` fields further on."""
    while count > 0:
        size = _size(buf, field, stop)
        field += 4 + size if size > 0 else 4
        count -= 1
    return field


def _size(buf: bytes, field: int, stop: int) -> int:
    """The length word at `field` (-1: NULL), proven to fit the row."""
    if field + 4 > stop:
        raise ProtocolFault("server", "a row ends inside a field")
    size: int = _length_at(buf, field)[0]
    if size < -1 or field + 4 + size > stop:
        raise ProtocolFault("server", "a field is longer than its row")
    return size


def after(buf: bytes, start: int, count: int) -> int:
    """The offset behind the first `count` whole messages of `buf[start:]`, or its end if they are fewer."""
    at = start
    while count > 0 and at < len(buf):
        at += 1 + _head_at(buf, at + 1)[0]
        count -= 1
    return at


def rewrite(buf: bytes, start: int, end: int, columns: tuple[int, ...], replacements: list[bytes | None]) -> bytes:
    """The same rows with the fields of `columns` replaced, in the order in which collect() gave them.

    `buf[start:end]` are whole DataRows, as collect() proved. Raises Bug if the number of replacements is not theirs,
    ProtocolFault as collect().
    """
    parts: list[bytes] = []
    at = start
    taken = 0
    per_row = len(columns)
    if not per_row:
        return buf[start:end]
    while at < end:
        stop = at + 1 + _head_at(buf, at + 1)[0]
        if buf[at] != DATA_ROW or stop > end or taken + per_row > len(replacements):
            raise Bug("rows to rewrite are not the rows that were collected")
        _replace(buf, at, stop, columns, replacements, taken, parts)
        taken += per_row
        at = stop
    if taken != len(replacements):
        raise Bug("rows to rewrite are not the rows that were collected")
    return b"".join(parts)


def _replace(
    buf: bytes,
    at: int,
    stop: int,
    columns: tuple[int, ...],
    replacements: list[bytes | None],
    taken: int,
    parts: list[bytes],
) -> None:
    """One row, `buf[at:stop]`, onto `parts`. Its length word is known only at the end, so its place is kept."""
    place = len(parts) + 1
    parts.append(b"D")
    parts.append(b"")
    length = stop - at - 1
    kept = at + 5
    field = at + 7
    column = 0
    for wanted in columns:
        field = _skip(buf, field, stop, wanted - column)
        size = _size(buf, field, stop)
        value = replacements[taken]
        taken += 1
        parts.append(buf[kept:field])
        if value is None:
            parts.append(_NULL_LENGTH)
            length -= size if size > 0 else 0
        else:
            parts.append(_length(len(value)))
            parts.append(value)
            length += len(value) - (size if size > 0 else 0)
        field += 4 + size if size > 0 else 4
        kept = field
        column = wanted + 1
    parts.append(buf[kept:stop])
    parts[place] = _length(length)
