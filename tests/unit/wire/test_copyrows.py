"""COPY data, cut anywhere. Spellings and what they mean were taken from PostgreSQL 15 and 18."""

import pytest

from proxy.wire.copyrows import SIGNATURE, BadCopy, CopyFormat, CopyRows, Part

TEXT = CopyFormat()
CSV = CopyFormat("csv", b",", b"")
BACKSLASHED = CopyFormat("csv", b";", b"NULL", b"'", b"\\")
BINARY = CopyFormat("binary")
HEADER = SIGNATURE + b"\0\0\0\0" + b"\0\0\0\0"


def field(data: bytes | None) -> bytes:
    return (-1 if data is None else len(data)).to_bytes(4, "big", signed=True) + (data or b"")


def tuple_(*fields: bytes | None) -> bytes:
    return len(fields).to_bytes(2, "big") + b"".join(field(f) for f in fields)


def cut(form: CopyFormat, data: bytes, size: int) -> list[Part]:
    rows = CopyRows(form)
    parts = [part for at in range(0, len(data), size) for part in rows.feed(data[at : at + size])]
    parts += rows.finish()
    assert rows.pending == 0 and rows.finish() == []
    return parts


def rows(form: CopyFormat, data: bytes) -> list[bytes]:
    """The rows, the same however the stream is cut; nothing is lost but what follows an end marker."""
    whole = apart(cut(form, data, max(len(data), 1)))
    for size in (1, 2, 3, 7):
        assert apart(cut(form, data, size)) == whole
    assert data.startswith(b"".join(part.data for part in whole))
    return [part.data for part in whole if part.rows]


def apart(parts: list[Part]) -> list[Part]:
    """Each row as a part of its own."""
    found: list[Part] = []
    for part in parts:
        if part.rows < 2:
            found.append(part)
        elif part.eol:
            end = part.data[-part.eol :]
            lines = part.data[: -part.eol].split(end)
            assert len(lines) == part.rows
            found += [Part(line + end, 1, part.eol) for line in lines]
        else:
            found += binary_apart(part)
    return found


def binary_apart(part: Part) -> list[Part]:
    stream, found = CopyRows(BINARY), list[Part]()
    stream.feed(HEADER)
    for at in range(len(part.data)):
        found += stream.feed(part.data[at : at + 1])
    assert len(found) == part.rows and {each.rows for each in found} == {1}
    return found


# ---- where rows end -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "data", "expected"),
    [
        (TEXT, b"", []),
        (TEXT, b"a\tb\nc\td\n", [b"a\tb\n", b"c\td\n"]),
        (TEXT, b"a\tb", [b"a\tb"]),
        (TEXT, b"\n\n", [b"\n", b"\n"]),
        (TEXT, b"a\r\nb\r\n", [b"a\r\n", b"b\r\n"]),
        (TEXT, b"a\rb\r", [b"a\r", b"b\r"]),
        (TEXT, b"a\\\nb\nc\n", [b"a\\\nb\n", b"c\n"]),
        (TEXT, b"a\\\\\nb\n", [b"a\\\\\n", b"b\n"]),
        (TEXT, b"a\\\\\\\nb\nc", [b"a\\\\\\\nb\n", b"c"]),
        (TEXT, b"a\n\\.\nrest\n", [b"a\n"]),
        (TEXT, b"a\n\\.", [b"a\n"]),
        (TEXT, b"a\r\n\\.\r\nrest", [b"a\r\n"]),
        (TEXT, b"a\r\\.\rrest", [b"a\r"]),
        (TEXT, b"\\.\r\nrest", []),
        (TEXT, b"\\.\rrest", []),
        (TEXT, b"\\.\r", []),
        (TEXT, b"a\n\\x\\\\.\n", [b"a\n", b"\\x\\\\.\n"]),
        (TEXT, b"a\\\r\nb\n", [b"a\\\r\n", b"b\n"]),
        (TEXT, b"a\nb\\", [b"a\n", b"b\\"]),
        (TEXT, b"a\r", [b"a\r"]),
        (CopyFormat(header=True), b"\\.\nemail\n", []),
        (CopyFormat(header=True), b"\\", []),
        (CopyFormat(header=True), b"email\na\n", [b"a\n"]),
        (CSV, b'a,"b\nc"\nd\n', [b'a,"b\nc"\n', b"d\n"]),
        (CSV, b'"a""\n""b"\nc\n', [b'"a""\n""b"\n', b"c\n"]),
        (CSV, b'"a\r\nb",c\r\nd\r\n', [b'"a\r\nb",c\r\n', b"d\r\n"]),
        (CSV, b"a\n\\.\nb\n", [b"a\n"]),
        (CSV, b"a\n\\.", [b"a\n", b"\\."]),
        (CSV, b"a\n\\.b\n.\\.\n", [b"a\n", b"\\.b\n", b".\\.\n"]),
        (CSV, b"\\", [b"\\"]),
        (CSV, b"'\"'\"\n", [b"'\"'\"\n"]),
        (CSV, b'a,"b\nc', [b'a,"b\nc']),
        (CopyFormat("csv", b",", b"", dot_ends=False), b"a\n\\.\nb\n", [b"a\n", b"\\.\n", b"b\n"]),
        (CopyFormat("csv", b",", b"", header=True), b'"e\nm"\na\n', [b"a\n"]),
        (BACKSLASHED, b"'a\\'\nb';c\nd\n", [b"'a\\'\nb';c\n", b"d\n"]),
        (BACKSLASHED, b"'a\\\\'\nb\n", [b"'a\\\\'\n", b"b\n"]),
        (BACKSLASHED, b"'a\\\\\\'\nb\\x'\nc\n", [b"'a\\\\\\'\nb\\x'\n", b"c\n"]),
        (BACKSLASHED, b"a\\'\nb'\nc\n", [b"a\\'\nb'\n", b"c\n"]),
        (BINARY, HEADER + tuple_(b"a", None) + tuple_(b"") + b"\xff\xff", [tuple_(b"a", None), tuple_(b"")]),
        (BINARY, SIGNATURE + b"\0\0\0\0\0\0\0\3abc" + tuple_() + b"\xff\xff", [tuple_()]),
        (BINARY, HEADER + b"\xff\xff", []),
        (BINARY, HEADER + b"\xff\xfe\xff\xff", [b"\xff\xfe"]),
    ],
)
def test_where_rows_end(form: CopyFormat, data: bytes, expected: list[bytes]) -> None:
    assert rows(form, data) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"no signature at all",
        b"PGCOPX",
        b"PGCOPX" + bytes(20),
        SIGNATURE[:-1] + b"x" + bytes(8),
        SIGNATURE + b"\0\0\0\0\xff\xff\xff\xff",
        HEADER + b"\0\1\xff\xff\xff\xfe",
        HEADER + b"\0\1\0\0\0\5ab",
        HEADER[:15],
        HEADER + b"\xff\xff" + b"behind",
    ],
)
def test_what_is_no_binary_copy(data: bytes) -> None:
    for size in (4, 1000):
        with pytest.raises(BadCopy):
            cut(BINARY, data, size)


BARE = "(literal|unquoted) (newline|carriage return) found"


@pytest.mark.parametrize(
    ("form", "data", "message"),
    [
        (TEXT, b"a\nb\rc\n", BARE),
        (TEXT, b"a\r\nb\n", BARE),
        (TEXT, b"a\r\nb\rc", BARE),
        (TEXT, b"a\r\nb\r", BARE),
        (TEXT, b"a\rb\n", BARE),
        (CSV, b"a\nb\rc\n", BARE),
        (CSV, b'"a\r"\r"b"\n', BARE),
        (TEXT, b"a\\.\n", "not alone"),
        (TEXT, b"a\n\\.b\n", "corrupt"),
        (TEXT, b"\\.b\n", "corrupt"),
        (TEXT, b"a\n\\.\r\n", "corrupt"),
        (TEXT, b"a\r\n\\.\n", "corrupt"),
        (CSV, b"a\n\\.\r\n", "previous newline style"),
    ],
)
def test_what_the_server_would_not_read_either(form: CopyFormat, data: bytes, message: str) -> None:
    """And no byte of it goes on to a server that would quote the line in its log."""
    for size in (1, 2, 3, 7, len(data)):
        with pytest.raises(BadCopy, match=message):
            cut(form, data, size)


def test_a_binary_row_of_many_fields_is_read_once() -> None:
    stream = CopyRows(BINARY)
    stream.feed(HEADER)
    row = tuple_(*[b"x"] * 20_000)
    assert [part for at in range(0, len(row), 5) for part in stream.feed(row[at : at + 5])] == [Part(row, 1)]


@pytest.mark.parametrize("form", [CSV, BACKSLASHED])
def test_a_long_row_is_read_once(form: CopyFormat) -> None:
    stream = CopyRows(form)
    piece = form.quote + b"x" * 100 + b"\n" + form.quote + b" "
    for _ in range(20_000):
        assert stream.feed(piece) == []
    assert stream.pending == 20_000 * len(piece)
    (part,) = stream.feed(b"\n")
    assert part.rows == 1 and "hidden" in repr(part)


@pytest.mark.parametrize(
    ("form", "first", "data", "expected"),
    [
        (TEXT, b"0\n", b"a\nb\nc", Part(b"a\nb\n", 2, 1)),
        (TEXT, b"0\r\n", b"a\r\nb\r\nc\r", Part(b"a\r\nb\r\n", 2, 2)),
        (TEXT, b"0\n", b"a\\N\\\\\nb\n", Part(b"a\\N\\\\\n", 1, 1)),
        (TEXT, b"0\n", b"a\\\rb\n\n", Part(b"a\\\rb\n", 1, 1)),
        (TEXT, b"0\n", b"a\\\\.\nb\n", Part(b"a\\\\.\n", 1, 1)),
        (CSV, b"0\n", b'"a",""""\nb\n"c', Part(b'"a",""""\nb\n', 2, 1)),
        (CSV, b"0\n", b'"a\nb"\nc\n', Part(b'"a\nb"\n', 1, 1)),
        (CSV, b"0\n", b'"a\r"\nb\n', Part(b'"a\r"\n', 1, 1)),
        (CSV, b"0\n", b"\\.a\nb\n", Part(b"\\.a\n", 1, 1)),
        (CopyFormat("csv", b",", b"", dot_ends=False), b"0\n", b"\\.\nb\n", Part(b"\\.\nb\n", 2, 1)),
        (BACKSLASHED, b"0\n", b"'a'\nb\n", Part(b"'a'\nb\n", 2, 1)),
        (BACKSLASHED, b"0\n", b"'a'\nb\\\n", Part(b"'a'\n", 1, 1)),
        (BINARY, HEADER, tuple_(b"a", None) * 3 + b"\0", Part(tuple_(b"a", None) * 3, 3)),
        (BINARY, HEADER, tuple_(b"a") + b"\0\1\0\0", Part(tuple_(b"a"), 1)),
        (BINARY, HEADER, tuple_(b"a") + b"\0\1\0\0\0\2x", Part(tuple_(b"a"), 1)),
        (BINARY, HEADER, tuple_(b"a") + b"\xff\xff", Part(tuple_(b"a"), 1)),
    ],
)
def test_rows_that_are_plain_to_see_are_one_part(form: CopyFormat, first: bytes, data: bytes, expected: Part) -> None:
    stream = CopyRows(form)
    stream.feed(first)
    assert stream.feed(data)[0] == expected


@pytest.mark.parametrize(
    ("form", "first", "data", "plain"),
    [
        (TEXT, b"0\n", b"a\tb\n", True),
        (TEXT, b"0\n", b"a\nb\n", False),
        (TEXT, b"0\n", b"a", False),
        (TEXT, b"0\n", b"", False),
        (TEXT, b"0\nhalf", b"a\n", False),
        (TEXT, b"0\r\n", b"a\r\n", False),
        (TEXT, b"", b"a\n", False),
        (TEXT, b"0\n\\.\n", b"a\n", False),
        (BINARY, HEADER, tuple_(b"a"), True),
        (BINARY, HEADER, tuple_(b"a") * 2, False),
        (BINARY, HEADER, b"\xff\xff", False),
    ],
)
def test_data_that_are_one_row(form: CopyFormat, first: bytes, data: bytes, plain: bool) -> None:
    stream = CopyRows(form)
    stream.feed(first)
    assert stream.row(data) == (Part(data, 1, 0 if form is BINARY else 1) if plain else None)
