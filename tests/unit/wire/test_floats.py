"""Floats on their way into numeric and integer columns. Expectations are those of PostgreSQL 15 and 18."""

import struct

import pytest

from proxy.wire.floats import equal_number, float_to_integer, float_to_numeric, read_float
from proxy.wire.typespec import BadValue, TypeSpec, parse_type, value_type

FLOAT4, FLOAT8 = TypeSpec("float4", 700, 4), TypeSpec("float8", 701, 8)


@pytest.mark.parametrize(
    ("data", "shown"),
    [(b"1.5", b"1.5"), (b" -1e3 ", b"-1000.0"), (b"-0", b"0.0"), (b"NaN", b"nan"), (b"-inf", b"-inf"), (b".5", b"0.5")],
)
def test_text(data: bytes, shown: bytes) -> None:
    assert read_float(FLOAT8, data, 0) == read_float(FLOAT4, data, 0) == shown


def test_binary() -> None:
    assert read_float(FLOAT8, struct.pack(">d", 0.1), 1) == b"0.1"
    assert read_float(FLOAT4, struct.pack(">f", 0.1), 1) == b"0.10000000149011612"
    for spec in (FLOAT4, FLOAT8):
        with pytest.raises(BadValue, match="binary"):
            read_float(spec, b"123", 1)


@pytest.mark.parametrize(
    ("spec", "data", "code"),
    [
        (FLOAT8, b"x", "number-format"),
        (FLOAT8, b"", "number-format"),
        (FLOAT8, b"1e400", "number-range"),
        (FLOAT8, b"1e-400", "number-range"),
        (FLOAT4, b"1e39", "number-range"),
        (FLOAT4, b"1e-60", "number-range"),
    ],
)
def test_what_is_no_float(spec: TypeSpec, data: bytes, code: str) -> None:
    with pytest.raises(BadValue) as caught:
        read_float(spec, data, 0)
    assert caught.value.code == code
    assert read_float(FLOAT8, b"0e-400", 0) == b"0.0"


def test_as_numeric_a_float_has_the_digits_that_are_sure() -> None:
    assert float_to_numeric(FLOAT8, b"0.30000000000000004") == b"0.3"
    assert float_to_numeric(FLOAT8, b"1.005") == b"1.005"
    assert float_to_numeric(FLOAT4, b"0.10000000149011612") == b"0.1"
    assert float_to_numeric(FLOAT8, b"nan") == b"nan"


def test_as_integer_it_is_rounded_half_to_even() -> None:
    assert [float_to_integer(value) for value in (b"0.5", b"1.5", b"-2.5", b"1e9")] == [
        b"0",
        b"2",
        b"-2",
        b"1000000000",
    ]
    for value in (b"nan", b"inf"):
        with pytest.raises(BadValue, match="integer out of range"):
            float_to_integer(value)


@pytest.mark.parametrize(
    ("facade", "value", "found"),
    [
        ("numeric(10,2)", b"0.1", b"0.1"),
        ("numeric(10,2)", b"0.30000000000000004", None),
        ("int4", b"7.0", b"7"),
        ("int4", b"1e20", b"100000000000000000000"),
        ("int4", b"inf", None),
        ("int8", b"5e9", b"5000000000"),
    ],
)
def test_the_number_that_equals_a_float(facade: str, value: bytes, found: bytes | None) -> None:
    assert equal_number(parse_type(facade), value) == found


@pytest.mark.parametrize(
    ("facade", "value"),
    [("numeric", b"0.1"), ("numeric(20,2)", b"0.1"), ("numeric(10,2)", b"nan"), ("int8", b"1e16")],
)
def test_where_several_numbers_may_equal_it(facade: str, value: bytes) -> None:
    with pytest.raises(BadValue) as caught:
        equal_number(parse_type(facade), value)
    assert caught.value.code == "unsupported-type"


def test_no_column_has_such_a_type() -> None:
    assert value_type(701) == FLOAT8
    assert value_type(25) == parse_type("text")
    assert value_type(17) is None
    with pytest.raises(ValueError, match="not supported"):
        parse_type("float8")
