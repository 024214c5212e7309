"""COPY data mean the same however they are cut, and whether rows are read alone or many at a time.

What they mean is asked of the server (tests/integration/test_copy_reading.py).
"""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.copyfields import CopyFields
from proxy.wire.copyrows import SIGNATURE, BadCopy, CopyFormat, CopyRows, Part
from tests.kit import copydata

BINARY = CopyFormat("binary")
randoms = st.randoms(use_true_random=False)


def changed(form: CopyFormat, data: bytes, size: int) -> bytes | None:
    """Each value with a mark behind it; None: the data can't be read."""
    try:
        return copydata.changed(form, data, size, b"~")
    except BadCopy:
        return None


@given(randoms, st.integers(1, 60), st.sampled_from((15, 18)))
def test_text_and_csv_cut_anywhere(random: Random, size: int, version: int) -> None:
    form, _ = copydata.form(random, version)
    data = b"".join([copydata.stream(random, form) for _ in range(random.randrange(1, 6))])
    whole = changed(form, data, len(data) or 1)
    assert changed(form, data, size) == whole
    assert changed(form, data, 1) == whole


@given(
    st.lists(st.lists(st.none() | st.binary(max_size=20), max_size=4), max_size=8), st.integers(1, 60), st.booleans()
)
def test_binary_cut_anywhere(rows: list[list[bytes | None]], size: int, ended: bool) -> None:
    fields = CopyFields(BINARY)
    body = b"".join(fields.join([Part(b"", 1)] * len(rows), rows))
    data = SIGNATURE + bytes(8) + body + b"\xff\xff" * ended
    stream = CopyRows(BINARY)
    parts = [part for at in range(0, len(data), size) for part in stream.feed(data[at : at + size])] + stream.finish()
    assert fields.split(parts) == rows
    assert sum(part.rows for part in parts) == len(rows)
    assert b"".join(fields.join(parts, rows)) == data


@given(randoms)
def test_a_row_of_its_own_is_read_as_among_others(random: Random) -> None:
    """What the server sends is a frame a row."""
    form, _ = copydata.base(random)
    fields = CopyFields(form, copydata.WIDTH)
    values = [
        [random.choice((None, b"", b"N", b"\\", b'"', b"a\nb", b"\r", form.delimiter, form.null)) for _ in range(2)]
        for _ in range(6)
    ]
    columns = [fields.encode_all([row[index] for row in values], index) for index in range(2)]
    lines = fields.join([Part(b"\n", 1, 1)] * 6, [list(row) for row in zip(*columns, strict=True)])
    stream = CopyRows(form)
    parts: list[Part] = []
    for line in lines:
        alone = stream.row(line)
        parts += stream.feed(line) if alone is None else [alone]
    found = fields.split(parts)
    assert [part.data for part in parts] == lines
    assert [fields.decode_all([row[index] for row in found], index) for index in range(2)] == [
        [fields.decode(field, index) for field in column] for index, column in enumerate(columns)
    ]
