"""COPY data, cut anywhere. Spellings and what they mean were taken from PostgreSQL 15 and 18."""

import pytest

from proxy.wire.copyrows import DEFAULT, SIGNATURE, BadCopy, CopyFields, CopyFormat, CopyRows, Part

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
    whole = cut(form, data, max(len(data), 1))
    for size in (1, 2, 3, 7):
        assert cut(form, data, size) == whole
    assert data.startswith(b"".join(part.data for part in whole))
    return [part.data for part in whole if part.row]


def values(form: CopyFormat, row: bytes) -> list[object]:
    (part,) = cut(form, HEADER + row if form.kind == "binary" else row, 1 << 20)[form.kind == "binary" :]
    return decoded(form, part)


def decoded(form: CopyFormat, part: Part) -> list[object]:
    fields = CopyFields(form)
    found = fields.split(part)
    assert fields.join(part, found) == part.data
    return [fields.decode(f, i) for i, f in enumerate(found)]


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
    assert [part for at in range(0, len(row), 5) for part in stream.feed(row[at : at + 5])] == [Part(row, True)]


@pytest.mark.parametrize("form", [CSV, BACKSLASHED])
def test_a_long_row_is_read_once(form: CopyFormat) -> None:
    stream = CopyRows(form)
    piece = form.quote + b"x" * 100 + b"\n" + form.quote + b" "
    for _ in range(20_000):
        assert stream.feed(piece) == []
    assert stream.pending == 20_000 * len(piece)
    (part,) = stream.feed(b"\n")
    assert part.row and "hidden" in repr(part)


# ---- fields ---------------------------------------------------------------------------------------------------------

FORCED = CopyFormat("csv", b",", b"", not_null=frozenset((0,)), null_quoted=frozenset((1,)))
BOTH = CopyFormat("csv", b",", b"", not_null=frozenset((0, 1)), null_quoted=frozenset((0, 1)))


@pytest.mark.parametrize(
    ("form", "row", "expected"),
    [
        (TEXT, b"a\t\\N\t\n", [b"a", None, b""]),
        (TEXT, b"\\\\N\tx\\N\n", [b"\\N", b"xN"]),
        (TEXT, b"\\b\\f\\n\\r\\t\\v\\\\\\q\n", [b"\b\f\n\r\t\v\\q"]),
        (TEXT, b"\\141\\x62\\x6a1\\8\\1234\\777\\xg\n", [b"abj18S4\xffxg"]),
        (TEXT, b"a\\\tb\tc\\", [b"a\tb", b"c"]),
        (TEXT, b"a\tc\\\\", [b"a", b"c\\"]),
        (TEXT, b"a\t\\N\\", [b"a", None]),
        (TEXT, b"a\\\r\n", [b"a\r"]),
        (TEXT, b"a\\\n", [b"a\n"]),
        (CopyFormat("text", b"|", b""), b"a\\|b||c\n", [b"a|b", None, b"c"]),
        (CopyFormat(default=b"\\D"), b"\\D\t\\\\D\n", [DEFAULT, b"\\D"]),
        (CSV, b'a,,"",b\n', [b"a", None, b"", b"b"]),
        (CSV, b'"a,b","c""d",e"f,g"h\r\n', [b"a,b", b'c"d', b"ef,gh"]),
        (CSV, b'"a\nb"\n', [b"a\nb"]),
        (CopyFormat("csv", b",", b"N"), b'N,"N",NN\n', [None, b"N", b"NN"]),
        (CopyFormat("csv", b",", b"", default=b"D"), b'D,"D"\n', [DEFAULT, b"D"]),
        (FORCED, b",,\n", [b"", None, None]),
        (FORCED, b'"","",""\n', [b"", None, b""]),
        (BOTH, b',""\n', [b"", None]),
        (BACKSLASHED, b"'a\\'b\\\\c\\d';NULL;'NULL';x'y;z'\n", [b"a'b\\c\\d", None, b"NULL", b"xy;z"]),
        (BACKSLASHED, b"a\\b;'\\\\'\n", [b"a\\b", b"\\"]),
        (BINARY, tuple_(b"a\0b", None, b""), [b"a\0b", None, b""]),
    ],
)
def test_fields(form: CopyFormat, row: bytes, expected: list[object]) -> None:
    assert values(form, row) == expected


@pytest.mark.parametrize("row", [b'"a\n', b'a,"b""\n'])
def test_a_quote_that_does_not_close(row: bytes) -> None:
    with pytest.raises(BadCopy):
        CopyFields(CSV).split(Part(row, True))


def test_an_escaped_quote_closes_nothing() -> None:
    with pytest.raises(BadCopy):
        CopyFields(BACKSLASHED).split(Part(b"'a\\'", True))


@pytest.mark.parametrize(
    ("form", "value", "expected"),
    [
        (TEXT, None, b"\\N"),
        (TEXT, b"", b""),
        (TEXT, b"plain \x01\xc3\xa9", b"plain \x01\xc3\xa9"),
        (TEXT, b"a\tb\\c\nd\re\bf\vg\fh", b"a\\tb\\\\c\\nd\\re\\bf\\vg\\fh"),
        (CopyFormat("text", b"|"), b"a|b\t", b"a\\|b\\t"),
        (CSV, None, b""),
        (CSV, b"", b'""'),
        (CSV, b"a", b"a"),
        (CSV, b'a,"b"\n\r', b'"a,""b""\n\r"'),
        (CSV, b"\\.", b'"\\."'),
        (CopyFormat("csv", b",", b"", quoted=None), b"a", b'"a"'),
        (CopyFormat("csv", b",", b"", quoted=frozenset((0,))), b"a", b'"a"'),
        (CopyFormat("csv", b",", b"", quoted=frozenset((1,))), b"a", b"a"),
        (BACKSLASHED, b"it's \\ ; x", b"'it\\'s \\\\ ; x'"),
        (BINARY, b"\0", b"\0"),
        (BINARY, None, None),
    ],
)
def test_values_are_written_so_that_they_are_read_again(
    form: CopyFormat, value: bytes | None, expected: bytes | None
) -> None:
    fields = CopyFields(form)
    assert fields.encode(value, 0) == expected
    assert fields.decode(fields.encode(value, 0), 0) == value


@pytest.mark.parametrize("form", [TEXT, CSV, BACKSLASHED, CopyFormat("text", b"-"), CopyFormat("csv", b"-", b"")])
def test_a_field_is_replaced_and_nothing_else(form: CopyFormat) -> None:
    fields = CopyFields(form)
    token = b"0190a1b2-c3d4-8e5f-9a6b-7c8d9e0f1a2b"
    row = Part(form.delimiter.join([b"x", b"y", b"z"]) + b"\r\n", True, 2)
    found = fields.split(row)
    found[1] = fields.encode(token, 1)
    made = fields.join(row, found)
    assert made.startswith(b"x" + form.delimiter) and made.endswith(form.delimiter + b"z\r\n")
    assert values(form, made) == [b"x", token, b"z"]


def test_an_end_marker_is_quoted_where_it_would_be_one() -> None:
    """CopyAttributeOutCSV: in a row of one column."""
    assert [CopyFields(CSV, width).encode(b"\\.", 0) for width in (1, 2)] == [b'"\\."', b"\\."]


def test_a_binary_row_is_written_anew() -> None:
    fields = CopyFields(BINARY)
    assert fields.join(Part(tuple_(b"a", b"b"), True), [None, b"bb"]) == tuple_(None, b"bb")
