"""Fields of COPY data. Spellings and what they mean were taken from PostgreSQL 15 and 18."""

import pytest

from proxy.wire.copyfields import DEFAULT, CopyFields
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


def parts_of(form: CopyFormat, data: bytes) -> list[Part]:
    stream = CopyRows(form)
    parts = stream.feed(HEADER + data if form.kind == "binary" else data)
    return [part for part in parts + stream.finish() if part.rows]


def values(form: CopyFormat, row: bytes) -> list[object]:
    """Of one row, read alone and among others."""
    fields = CopyFields(form)
    parts = parts_of(form, row)
    (found,) = fields.split(parts)
    assert fields.join(parts, [found]) == [row]
    alone = [fields.decode(f, i) for i, f in enumerate(found)]
    assert [fields.decode_all([f, f], i) for i, f in enumerate(found)] == [[v, v] for v in alone]
    return list(alone)


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
        CopyFields(CSV).split([Part(row, 1, 1)])


def test_an_escaped_quote_closes_nothing() -> None:
    with pytest.raises(BadCopy):
        CopyFields(BACKSLASHED).split([Part(b"'a\\'", 1)])


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
    assert fields.encode_all([value, None, value], 0) == [expected, fields.encode(None, 0), expected]
    assert fields.decode(fields.encode(value, 0), 0) == value


@pytest.mark.parametrize("form", [TEXT, CSV, BACKSLASHED, CopyFormat("text", b"-"), CopyFormat("csv", b"-", b"")])
def test_a_field_is_replaced_and_nothing_else(form: CopyFormat) -> None:
    fields = CopyFields(form)
    token = b"0190a1b2-c3d4-8e5f-9a6b-7c8d9e0f1a2b"
    row = Part(form.delimiter.join([b"x", b"y", b"z"]) + b"\r\n", 1, 2)
    (found,) = fields.split([row])
    found[1] = fields.encode(token, 1)
    (made,) = fields.join([row], [found])
    assert made.startswith(b"x" + form.delimiter) and made.endswith(form.delimiter + b"z\r\n")
    assert values(form, made) == [b"x", token, b"z"]


def test_an_end_marker_is_quoted_where_it_would_be_one() -> None:
    """CopyAttributeOutCSV: in a row of one column."""
    assert [CopyFields(CSV, width).encode(b"\\.", 0) for width in (1, 2)] == [b'"\\."', b"\\."]


def test_binary_rows_are_written_anew() -> None:
    fields = CopyFields(BINARY)
    parts = [Part(HEADER, 0), Part(tuple_(b"a", b"b") * 2, 2), Part(tuple_(), 1)]
    rows = fields.split(parts)
    assert rows == [[b"a", b"b"], [b"a", b"b"], []]
    rows[1] = [None, b"bb"]
    assert fields.join(parts, rows) == [HEADER, tuple_(b"a", b"b") + tuple_(None, b"bb"), tuple_()]


def test_many_rows_of_one_part() -> None:
    fields = CopyFields(TEXT)
    parts = [Part(b"h\n", 0, 1), Part(b"a\tb\r\nc\\\td\te\r\n\r\n", 3, 2), Part(b"x", 1)]
    rows = fields.split(parts)
    assert rows == [[b"a", b"b"], [b"c\\\td", b"e"], [b""], [b"x"]]
    assert b"".join(fields.join(parts, rows)) == b"".join([part.data for part in parts])


def test_quotes_of_many_fields() -> None:
    fields = CopyFields(CSV)
    rows = fields.split([Part(b'"a","b"\n,"c,c"\n"",\n"""","x""y"\n', 4, 1)])
    assert rows == [[b'"a"', b'"b"'], [b"", b'"c,c"'], [b'""', b""], [b'""""', b'"x""y"']]
    columns = [fields.decode_all([row[i] for row in rows], i) for i in range(2)]
    assert columns == [[b"a", None, b"", b'"'], [b"b", b"c,c", None, b'x"y']]
