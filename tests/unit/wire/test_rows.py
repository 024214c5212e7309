"""rows: taking fields out and putting others in."""

import pytest

from proxy.errors import Bug, ProtocolFault
from proxy.wire.messages import build_data_row, build_ready_for_query
from proxy.wire.rows import after, collect, rewrite

ROWS: list[list[bytes | None]] = [[b"1", b"ada", None, b""], [b"2", None, b"x" * 300, b"z"], [b"", b"", b"", b""]]
DATA = b"".join(build_data_row(row) for row in ROWS)


def taken(columns: tuple[int, ...]) -> list[bytes | None]:
    out: list[bytes | None] = []
    assert collect(DATA, 0, len(DATA), columns, 4, out) == len(DATA)
    return out


@pytest.mark.parametrize("columns", [(0,), (3,), (1, 2), (0, 2, 3), (0, 1, 2, 3)])
def test_collect_and_write_back(columns: tuple[int, ...]) -> None:
    out = taken(columns)
    assert out == [row[c] for row in ROWS for c in columns]
    assert rewrite(DATA, 0, len(DATA), columns, out) == DATA


@pytest.mark.parametrize("columns", [(0,), (3,), (1, 2), (0, 1, 2, 3)])
def test_rewrite(columns: tuple[int, ...]) -> None:
    new: list[bytes | None] = [None, b"", b"longer than it was"]
    given = [new[i % 3] for i in range(len(ROWS) * len(columns))]
    left = iter(given)
    expected = b"".join(
        build_data_row([next(left) if c in columns else field for c, field in enumerate(row)]) for row in ROWS
    )
    assert rewrite(DATA, 0, len(DATA), columns, given) == expected


def test_where_rows_end() -> None:
    ends = [len(b"".join([build_data_row(row) for row in ROWS[:count]])) for count in range(len(ROWS) + 1)]
    assert [after(DATA, 0, count) for count in range(len(ROWS) + 1)] == ends
    assert after(DATA, ends[1], 1) == ends[2] and after(DATA, 0, 9) == len(DATA)


def test_no_columns() -> None:
    assert taken(()) == []
    assert rewrite(DATA, 0, len(DATA), (), []) == DATA


def test_stops_at_another_message_and_at_an_incomplete_one() -> None:
    after = DATA + build_ready_for_query(73)
    out: list[bytes | None] = []
    assert collect(after, 0, len(after), (0,), 4, out) == len(DATA)
    first = len(build_data_row(ROWS[0]))
    for cut in range(first, first + len(build_data_row(ROWS[1]))):
        out = []
        assert collect(DATA, 0, cut, (0,), 4, out) == first
        assert out == [b"1"]


def test_begins_anywhere() -> None:
    first = len(build_data_row(ROWS[0]))
    out: list[bytes | None] = []
    assert collect(DATA, first, len(DATA), (3,), 4, out) == len(DATA)
    assert out == [b"z", b""]
    assert rewrite(DATA, first, len(DATA), (3,), out) == DATA[first:]


def test_another_number_of_columns_is_a_fault() -> None:
    for width in (3, 5):
        with pytest.raises(ProtocolFault) as caught:
            collect(DATA, 0, len(DATA), (0,), width, [])
        assert caught.value.side == "server"


@pytest.mark.parametrize(
    "row",
    [
        "44 00000005 0001 00",  # shorter than its own count
        "44 00000006 0001",  # no field
        "44 0000000a 0001 fffffffe",  # a length below -1
        "44 0000000b 0001 00000002 61",  # a field longer than its row
        "44 00000009 0001 000000",  # a length cut short
    ],
)
def test_malformed_rows(row: str) -> None:
    data = bytes.fromhex(row)
    with pytest.raises(ProtocolFault):
        collect(data, 0, len(data), (0,), 1, [])


def test_a_fault_before_the_wanted_column() -> None:
    data = bytes.fromhex("44 0000000e 0002 00000009 61 00000000")
    with pytest.raises(ProtocolFault):
        collect(data, 0, len(data), (1,), 2, [])


def test_rewriting_other_rows_than_collected_is_a_bug() -> None:
    for given in ([b"x"] * 2, [b"x"] * 4):
        with pytest.raises(Bug):
            rewrite(DATA, 0, len(DATA), (0,), list(given))
    with pytest.raises(Bug):
        rewrite(DATA, 0, len(DATA) - 1, (0,), [b"x"] * 3)
    other = build_ready_for_query(73) + b"\0" * 8
    with pytest.raises(Bug):
        rewrite(other, 0, len(other), (0,), [b"x"])
