"""Names of tables and types as policies write them."""

import pytest

from proxy.policy.names import TYPES, BadName, is_moment, parse_table, parse_type, wider_than_value
from proxy.policy.rules import ValueClass
from proxy.policy.values import mask
from proxy.wire.types import Reading, from_canonical
from proxy.wire.types import parse_type as wire_type


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("public.customers", (None, "public", "customers")),
        ("shop.public.Customers", ("shop", "public", "Customers")),
        ('public."odd.name"', (None, "public", "odd.name")),
        ('"a""b".c', (None, 'a"b', "c")),
        ("ü.ß x", (None, "ü", "ß x")),
    ],
)
def test_tables(text: str, parts: tuple[str | None, str, str]) -> None:
    assert parse_table(text) == parts


@pytest.mark.parametrize(
    "text", ["", ".", "a", "a.", ".a", "a..b", 'a."b', '"a"b.c', 'a.b"', "a.b.c.d", "a.\0", "a." + "b" * 64]
)
def test_no_tables(text: str) -> None:
    with pytest.raises(BadName):
        parse_table(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("integer", "int4"),
        ("INT", "int4"),
        ("character varying(50)", "varchar(50)"),
        ("char", "bpchar(1)"),
        ("bpchar", "bpchar"),
        ("char ( 3 )", "bpchar(3)"),
        ("decimal(10, 2)", "numeric(10,2)"),
        ("numeric(3,-2)", "numeric(3,-2)"),
        ("timestamp  with time zone", "timestamptz"),
        ("timestamp(3) without time zone", "timestamp(3)"),
        ("uuid", "uuid"),
    ],
)
def test_types(text: str, name: str) -> None:
    assert parse_type(text) == name


@pytest.mark.parametrize(
    "text", ["", "citext", "varchar(0)", "varchar(1,2)", "numeric(1001)", "date(1)", "text with time zone"]
)
def test_no_types(text: str) -> None:
    with pytest.raises(BadName):
        parse_type(text)


def test_what_kind_of_equality_and_of_value_a_type_has() -> None:
    assert wider_than_value("numeric") and not wider_than_value("numeric(10,2)")
    assert is_moment("date") and is_moment("timestamptz(3)")
    assert not is_moment("numeric(10,2)") and not is_moment(None)


@pytest.mark.parametrize(
    "spelling", [*TYPES, "varchar(5)", "numeric(10,2)", "numeric(4,-2)", "timestamp(3)", "char(3)"]
)
def test_the_wire_knows_every_type_that_a_policy_may_name(spelling: str) -> None:
    assert wire_type(parse_type(spelling)) == wire_type(spelling)


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("date", b"1987-05-06"),
        ("date", b"0044-03-15 BC"),
        ("date", b"12345-06-07"),
        ("date", b"-infinity"),
        ("date", b"no date"),
        ("timestamp", b"1987-05-06 12:30:00.25"),
        ("timestamptz", b"1987-05-06 12:30:00+00"),
        ("timestamptz", b"no date"),
    ],
)
def test_a_masked_date_is_a_date_on_the_wire(type_name: str, value: bytes) -> None:
    reading = Reading(client_encoding="UTF8", date_style="ISO, MDY", time_zone="UTC")
    spec = wire_type(type_name)
    shown = mask(ValueClass("born", "date"), value)
    for fmt in (0, 1):
        assert from_canonical(spec, shown, fmt, reading)
