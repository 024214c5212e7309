"""wire.types: canonical values are fixed points, and come back from every format the client may use."""

import uuid
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import CODES
from proxy.wire.types import (
    BadValue,
    Reading,
    TypeSpec,
    decode_array,
    encode_array,
    from_canonical,
    parse_type,
    to_canonical,
)

KINDS = [
    "text", "varchar(5)", "varchar", "char(5)", "bpchar", "name", "uuid", "bool", "date", "int2", "int4", "int8",
    "numeric", "numeric(10,2)", "numeric(3,-1)", "timestamp", "timestamp(2)", "timestamptz", "timestamptz(0)",
]  # fmt: skip
specs = st.sampled_from([parse_type(kind) for kind in KINDS])
styles = st.sampled_from(
    ["ISO, MDY", "SQL, DMY", "SQL, MDY", "German, DMY", "Postgres, MDY", "Postgres, DMY", "ISO, YMD"]
)
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "<+05:30>-05:30"])
readings = st.builds(Reading, st.just(""), styles, zones)
DATED = (
    r"[0-9]{1,5}-[0-9]{1,2}-[0-9]{1,2}"
    r"( [0-9]{1,2}:[0-9]{1,2}(:[0-9]{2}(\.[0-9]{1,7})?)?([+-][0-9]{2})?)?"
)
# Text that has a chance of being a value of some type.
texts = (
    st.text(max_size=12)
    | st.from_regex(DATED, fullmatch=True)
    | st.from_regex(r"[+-]?[0-9]{0,8}\.?[0-9]{0,8}(e-?[0-9]{1,2})?", fullmatch=True)
    | st.uuids().map(str)
    | st.sampled_from(["t", "no", "infinity", "NaN", "epoch"])
)  # fmt: skip


@given(specs, texts, readings)
def test_canonical_values_are_fixed_points_and_come_back(spec: TypeSpec, text: str, reading: Reading) -> None:
    try:
        canonical = to_canonical(spec, text.encode(), 0, reading)
    except BadValue as bad:
        assert bad.code in CODES
        return
    assert to_canonical(spec, canonical, 0, Reading()) == canonical
    assert to_canonical(spec, from_canonical(spec, canonical, 1, reading), 1, reading) == canonical
    if spec.name != "timestamptz" or reading.date_style.startswith("ISO"):
        assert to_canonical(spec, from_canonical(spec, canonical, 0, reading), 0, reading) == canonical


@given(specs, st.binary(max_size=20), st.sampled_from([0, 1]), readings)
def test_any_bytes_are_read_or_refused(spec: TypeSpec, data: bytes, fmt: int, reading: Reading) -> None:
    try:
        canonical = to_canonical(spec, data, fmt, reading)
    except BadValue as bad:
        assert bad.code in CODES
        return
    assert to_canonical(spec, canonical, 0, Reading()) == canonical


@given(st.decimals(allow_nan=False, allow_infinity=False, places=10), st.integers(0, 12))
def test_numbers_that_are_equal_are_one(number: Decimal, zeros: int) -> None:
    spec = parse_type("numeric")
    written = f"{number:f}" + "0" * zeros
    canonical = to_canonical(spec, written.encode(), 0, Reading())
    assert canonical == to_canonical(spec, f"{number:e}".encode(), 0, Reading())
    assert Decimal(canonical.decode()) == number


@given(st.uuids())
def test_uuids(value: uuid.UUID) -> None:
    spec = parse_type("uuid")
    for text in (str(value), value.hex, str(value).upper(), "{" + str(value) + "}"):
        assert to_canonical(spec, text.encode(), 0, Reading()) == str(value).encode()
    assert to_canonical(spec, value.bytes, 1, Reading()) == str(value).encode()


@given(st.lists(st.none() | st.binary(max_size=8)))
def test_arrays(items: list[bytes | None]) -> None:
    for fmt in (0, 1):
        assert decode_array(encode_array(25, items, fmt), fmt) == items


@given(st.text('{}",\\ abN\n').map(str.encode), st.sampled_from([0, 1]))
def test_any_array_text_is_read_or_refused(text: bytes, fmt: int) -> None:
    try:
        items = decode_array(text, fmt)
    except BadValue:
        return
    assert decode_array(encode_array(25, items, fmt), fmt) == items


@given(st.binary(max_size=40))
def test_any_binary_array_is_read_or_refused(data: bytes) -> None:
    try:
        items = decode_array(data, 1)
    except BadValue:
        return
    assert decode_array(encode_array(25, items, 1), 1) == items
