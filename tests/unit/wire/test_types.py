"""types: assignment, casts, and the way back. (Against a server: tests/integration.)"""

import pytest

from proxy.wire.types import (
    BadValue,
    Reading,
    TypeSpec,
    apply_cast,
    canonical_uuid,
    equal_value,
    from_canonical,
    parse_type,
    to_canonical,
)

UTF8 = Reading()
UUID = b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"


def read(kind: str, data: bytes, fmt: int = 0, reading: Reading = UTF8) -> bytes:
    return to_canonical(parse_type(kind), data, fmt, reading)


def code_of(kind: str, data: bytes, fmt: int = 0) -> str:
    with pytest.raises(BadValue) as caught:
        read(kind, data, fmt)
    assert len(data) < 2 or data.decode("latin-1") not in caught.value.message
    return caught.value.code


def test_texts() -> None:
    assert read("text", b"x  ") == b"x  "
    assert read("text", b"Zo\xeb", 1, Reading(client_encoding="iso8859-1")) == "Zoë".encode()
    assert read("varchar", b"x" * 100) == b"x" * 100
    assert read("varchar(3)", "äöü  ".encode()) == "äöü".encode()
    assert read("varchar(3)", "äöü".encode()) == "äöü".encode()
    assert read("char(3)", b"x  ") == read("bpchar", b"x  ") == b"x"
    assert read("name", "ä".encode() * 40) == "ä".encode() * 31
    assert read("name", b"n") == b"n"
    assert code_of("varchar(3)", b"abcd") == code_of("char(3)", b"abcd") == "value-too-long"
    assert code_of("text", b"\xff") == "encoding-invalid"


def test_the_server_s_own_words_for_too_long() -> None:
    with pytest.raises(BadValue, match=r"^value too long for type character varying\(3\)$"):
        read("varchar(3)", b"abcd")


def test_unknown_format() -> None:
    assert code_of("text", b"x", 2) == "value-rejected"


@pytest.mark.parametrize(
    ("kind", "text", "canonical", "shown", "sent"),
    [
        ("uuid", UUID.upper(), UUID, UUID, bytes.fromhex(UUID.replace(b"-", b"").decode())),
        ("int4", b" 7", b"7", b"7", b"\0\0\0\7"),
        ("numeric(5,2)", b"1.5", b"1.5", b"1.50", bytes.fromhex("0002 0000 0000 0002 0001 1388")),
        ("date", b"20000102", b"2000-01-02", b"02.01.2000", b"\0\0\0\1"),
        ("bool", b"YES", b"true", b"t", b"\1"),
        ("bool", b" off", b"false", b"f", b"\0"),
        ("timestamp", b"20000101", b"2000-01-01 00:00:00", b"01.01.2000 00:00:00", bytes(8)),
        ("text", b"x", b"x", b"x", b"x"),
        ("char(3)", b"x ", b"x", b"x  ", b"x  "),
        ("bpchar", b"x ", b"x", b"x", b"x"),
        ("char(3)", b"xyz", b"xyz", b"xyz", b"xyz"),
    ],
)
def test_there_and_back(kind: str, text: bytes, canonical: bytes, shown: bytes, sent: bytes) -> None:
    spec, reading = parse_type(kind), Reading(date_style="German, DMY")
    assert to_canonical(spec, text, 0, reading) == canonical
    assert to_canonical(spec, canonical, 0, UTF8) == canonical
    assert to_canonical(spec, sent, 1, reading) == canonical
    assert from_canonical(spec, canonical, 0, reading) == shown
    assert from_canonical(spec, canonical, 1, reading) == sent


def test_to_the_client_s_encoding() -> None:
    latin1 = Reading(client_encoding="iso8859-1")
    assert from_canonical(parse_type("char(4)"), "Zoë".encode(), 0, latin1) == b"Zo\xeb "
    with pytest.raises(BadValue):
        from_canonical(parse_type("text"), "€".encode(), 0, latin1)


def test_malformed_binary() -> None:
    assert code_of("uuid", b"123", 1) == code_of("bool", b"", 1) == code_of("int4", b"1", 1) == "binary-format"


def test_bool() -> None:
    assert code_of("bool", b"o") == code_of("bool", b"") == "number-format"


def test_uuid_spellings() -> None:
    bare = UUID.replace(b"-", b"")
    for text in (
        UUID.upper(),
        b"{" + UUID + b"}",
        bare,
        b"{" + bare + b"}",
        b"a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
    ):
        assert canonical_uuid(text) == UUID
    for text in (
        b"",
        b" " + UUID,
        b"{" + UUID,
        bare + b"-",
        b"a0e-e" + bare[4:],
        bare[:-1],
        b"g" + bare[1:],
        bare + b"\n",
    ):
        with pytest.raises(BadValue) as caught:
            canonical_uuid(text)
        assert caught.value.code == "number-format"


def cast(source: str, target: str, value: bytes, **reading: str) -> bytes:
    known = {"reading": Reading(**reading)} if reading else {}
    return apply_cast(parse_type(source), parse_type(target), value, **known)


@pytest.mark.parametrize(
    ("source", "target", "value", "result"),
    [
        ("text", "varchar(3)", b"abcdef", b"abc"),
        ("varchar", "char(3)", b"ab   x", b"ab"),
        ("text", "text", b"abc", b"abc"),
        ("int4", "text", b"12345", b"12345"),
        ("int4", "varchar(3)", b"12345", b"123"),
        ("uuid", "text", UUID, UUID),
        ("bool", "text", b"true", b"true"),
        ("text", "int4", b" 5 ", b"5"),
        ("text", "date", b"2000-01-02", b"2000-01-02"),
        ("text", "uuid", UUID.upper(), UUID),
        ("int4", "int8", b"5", b"5"),
        ("int4", "numeric(5,2)", b"5", b"5"),
        ("numeric", "int4", b"2.5", b"3"),
        ("numeric", "numeric(5,1)", b"2.55", b"2.6"),
        ("date", "date", b"2000-01-02", b"2000-01-02"),
        ("timestamptz", "timestamptz(0)", b"2000-01-02 00:00:00.5+00", b"2000-01-02 00:00:01+00"),
    ],
)
def test_casts(source: str, target: str, value: bytes, result: bytes) -> None:
    assert cast(source, target, value) == result


def test_a_cast_of_text_that_a_setting_decides() -> None:
    assert cast("text", "date", b"01/02/2000", date_style="SQL, DMY") == b"2000-02-01"
    assert cast("text", "timestamptz", b"2000-01-02 12:00", time_zone="Asia/Kathmandu") == b"2000-01-02 06:15:00+00"
    for target, value in (("date", b"01/02/2000"), ("timestamptz", b"2000-01-02 12:00")):
        with pytest.raises(BadValue) as caught:
            cast("text", target, value)
        assert caught.value.code == "unsupported-type"


@pytest.mark.parametrize(
    ("source", "target", "value"),
    [
        ("date", "text", b"2000-01-02"),
        ("numeric", "text", b"1.5"),
        ("timestamptz", "text", b"2000-01-02 00:00:00+00"),
        ("bool", "int4", b"true"),
    ],
)
def test_casts_refused(source: str, target: str, value: bytes) -> None:
    with pytest.raises(BadValue, match="not supported") as caught:
        cast(source, target, value)
    assert caught.value.code == "unsupported-type"


def test_a_cast_out_of_range() -> None:
    with pytest.raises(BadValue) as caught:
        cast("int4", "int2", b"40000")
    assert caught.value.code == "number-range"


@pytest.mark.parametrize(
    ("source", "target", "value", "made"),
    [
        ("int8", "int4", b"5", b"5"),
        ("int4", "numeric(10,2)", b"5", b"5"),
        ("timestamp", "timestamptz(0)", b"2000-01-02 12:00:00.5", b"2000-01-02 12:00:01+00"),
    ],
)
def test_casts_between_numbers_and_between_moments(source: str, target: str, value: bytes, made: bytes) -> None:
    assert apply_cast(parse_type(source), parse_type(target), value, Reading()) == made


def test_casts_of_floats() -> None:
    for name, oid, size in (("float4", 700, 4), ("float8", 701, 8)):
        spec = TypeSpec(name, oid, size)
        value = to_canonical(spec, b"2.5", 0, Reading())
        assert apply_cast(spec, parse_type("numeric(10,0)"), value) == b"3"
        assert apply_cast(spec, parse_type("int4"), value) == b"2"


@pytest.mark.parametrize(
    ("source", "facade", "value", "found"),
    [
        ("numeric", "int4", b"7", b"7"),
        ("numeric", "int4", b"7.5", None),
        ("int8", "int4", b"5000000000", None),
        ("int4", "numeric(10,2)", b"7", b"7"),
        ("numeric", "int4", b"NaN", None),
        ("timestamp", "date", b"2000-01-02 00:00:00", b"2000-01-02"),
    ],
)
def test_the_value_of_a_column_that_equals_another_types(
    source: str, facade: str, value: bytes, found: bytes | None
) -> None:
    assert equal_value(parse_type(source), parse_type(facade), value, Reading()) == found


def test_the_value_of_a_column_that_equals_a_float() -> None:
    spec = TypeSpec("float8", 701, 8)
    assert equal_value(spec, parse_type("numeric(5,2)"), b"1.5", Reading()) == b"1.5"
    assert equal_value(spec, parse_type("int2"), b"1.5", Reading()) is None
    assert equal_value(spec, parse_type("int2"), b"inf", Reading()) is None
