"""numbers: canonical forms, limits, binary. (Against a server: tests/integration.)"""

import pytest

from proxy.wire.numbers import (
    in_range,
    incorrect_binary,
    read_integer,
    read_numeric,
    round_to_integer,
    write_integer,
    write_numeric,
)
from proxy.wire.typespec import BadValue, parse_type

INT2, INT4, INT8 = (parse_type(t) for t in ("int2", "int4", "int8"))
NUMERIC, PRICE = parse_type("numeric"), parse_type("numeric(5,2)")


def code_of(kind: str, text: bytes, fmt: int = 0) -> str:
    spec = parse_type(kind)
    with pytest.raises(BadValue) as caught:
        (read_integer if kind.startswith("int") else read_numeric)(spec, text, fmt)
    return caught.value.code


@pytest.mark.parametrize(
    ("text", "canonical"), [(b"0", b"0"), (b"-0", b"0"), (b" +007 ", b"7"), (b"-32768", b"-32768")]
)
def test_integers(text: bytes, canonical: bytes) -> None:
    for spec, size in ((INT2, 2), (INT4, 4), (INT8, 8)):
        assert read_integer(spec, text, 0) == canonical
        sent = write_integer(spec, canonical, 1)
        assert sent == int(canonical).to_bytes(size, "big", signed=True)
        assert read_integer(spec, sent, 1) == canonical
        assert write_integer(spec, canonical, 0) == canonical


def test_integers_refused() -> None:
    assert code_of("int2", b"32768") == code_of("int4", b"-2147483649") == "number-range"
    assert code_of("int8", b"9223372036854775808") == code_of("int8", b"9" * 5000) == "number-range"
    assert code_of("int4", b"") == code_of("int4", b"1.5") == code_of("int4", b"1 2") == "number-format"
    assert code_of("int4", b"0x1F") == code_of("int4", b"1_000") == "unsupported-type"
    assert code_of("int4", b"\0\0\0", 1) == "binary-format"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (b"0.00", b"0"),
        (b"-0", b"0"),
        (b"1.50", b"1.5"),
        (b"15e-1", b"1.5"),
        (b" +.5 ", b"0.5"),
        (b"5.", b"5"),
        (b"1e3", b"1000"),
        (b"nan", b"NaN"),
        (b"inf", b"Infinity"),
        (b"-Infinity", b"-Infinity"),
        (b"1e131071", b"1" + b"0" * 131071),
        (b"1" * 5000, b"1" * 5000),
    ],
)
def test_numeric(text: bytes, canonical: bytes) -> None:
    assert read_numeric(NUMERIC, text, 0) == canonical
    assert write_numeric(NUMERIC, canonical, 0) == canonical
    assert read_numeric(NUMERIC, write_numeric(NUMERIC, canonical, 1), 1) == canonical


@pytest.mark.parametrize(
    ("text", "canonical", "shown"),
    [
        (b"1.005", b"1.01", b"1.01"),
        (b"-1.005", b"-1.01", b"-1.01"),
        (b"1.5", b"1.5", b"1.50"),
        (b"7", b"7", b"7.00"),
        (b"-0.001", b"0", b"0.00"),
        (b"NaN", b"NaN", b"NaN"),
    ],
)
def test_scale(text: bytes, canonical: bytes, shown: bytes) -> None:
    assert read_numeric(PRICE, text, 0) == canonical
    assert write_numeric(PRICE, canonical, 0) == shown
    assert read_numeric(PRICE, write_numeric(PRICE, canonical, 1), 1) == canonical


def test_negative_scale() -> None:
    assert read_numeric(parse_type("numeric(3,-1)"), b"45", 0) == b"50"
    assert write_numeric(parse_type("numeric(3,-1)"), b"50", 0) == b"50"


@pytest.mark.parametrize(
    ("canonical", "sent"),
    [
        (b"0", "0000 0000 0000 0000"),
        (b"1.5", "0002 0000 0000 0001 0001 1388"),
        (b"-12345.6789", "0003 0001 4000 0004 0001 0929 1a85"),
        (b"0.0001", "0001 ffff 0000 0004 0001"),
        (b"10000", "0001 0001 0000 0000 0001"),
        (b"NaN", "0000 0000 c000 0000"),
        (b"Infinity", "0000 0000 d000 0020"),
        (b"-Infinity", "0000 0000 f000 0020"),
    ],
)
def test_numeric_binary(canonical: bytes, sent: str) -> None:
    assert write_numeric(NUMERIC, canonical, 1) == bytes.fromhex(sent)
    assert read_numeric(NUMERIC, bytes.fromhex(sent), 1) == canonical


def test_binary_digits_below_the_declared_scale_are_cut_off() -> None:
    assert read_numeric(NUMERIC, bytes.fromhex("0002 0000 0000 0001 0001 26ac"), 1) == b"1.9"
    assert read_numeric(NUMERIC, bytes.fromhex("0001 fffe 0000 0001 270f"), 1) == b"0"


def test_numeric_refused() -> None:
    assert code_of("numeric", b"abc") == code_of("numeric", b"1.2.3") == code_of("numeric", b".") == "number-format"
    assert code_of("numeric", b"0x1F") == code_of("numeric", b"1_0.5") == "unsupported-type"
    for too_much in (b"1e131072", b"1e-16384", b"1e99999999999", b"0e200000", b"1e-200000"):
        assert code_of("numeric", too_much) == "number-range"
    for too_much in (b"1000", b"999.995", b"inf"):
        assert code_of("numeric(5,2)", too_much) == "number-range"
    for sent in (
        "0000",
        "0001 0000 0000 0000",
        "0001 0000 1000 0000 0001",
        "0001 0000 0000 0000 2710",
        "0000 0000 0000 4000",
    ):
        assert code_of("numeric", bytes.fromhex(sent), 1) == "binary-format"
    assert str(incorrect_binary()) == "incorrect binary data format"


def test_rounding_to_an_integer() -> None:
    assert [round_to_integer(v) for v in (b"1.5", b"-2.5", b"0.4")] == [b"2", b"-3", b"0"]
    with pytest.raises(BadValue):
        round_to_integer(b"NaN")


def test_the_range_of_a_cast() -> None:
    assert in_range(INT2, b"-32768") == b"-32768"
    for spec, value, words in (
        (INT2, b"32768", "smallint"),
        (INT4, b"2147483648", "integer"),
        (INT8, b"9" * 30, "bigint"),
    ):
        with pytest.raises(BadValue, match=f"^{words} out of range$") as caught:
            in_range(spec, value)
        assert caught.value.code == "number-range"
