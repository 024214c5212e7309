"""typespec: spellings, OIDs, modifiers. (Against a server: tests/integration/test_types_against_server.py.)"""

import pytest

from proxy.wire.typespec import (
    BadValue,
    TypeSpec,
    array_oid,
    by_oid,
    char_limit,
    element_of,
    format_type,
    numeric_limits,
    parse_type,
    value_type,
)

SPELLINGS = [
    ("text", TypeSpec("text", 25, -1), "text"),
    ("  VARCHAR ( 20 ) ", TypeSpec("varchar", 1043, -1, 24), "character varying(20)"),
    ("character  varying(50)", TypeSpec("varchar", 1043, -1, 54), "character varying(50)"),
    ("varchar", TypeSpec("varchar", 1043, -1), "character varying"),
    ("char", TypeSpec("bpchar", 1042, -1, 5), "character(1)"),
    ("char(10)", TypeSpec("bpchar", 1042, -1, 14), "character(10)"),
    ("bpchar", TypeSpec("bpchar", 1042, -1), "bpchar"),
    ("integer", TypeSpec("int4", 23, 4), "integer"),
    ("int", TypeSpec("int4", 23, 4), "integer"),
    ("pg_catalog.int8", TypeSpec("int8", 20, 8), "bigint"),
    ("numeric", TypeSpec("numeric", 1700, -1), "numeric"),
    ("decimal(10, 2)", TypeSpec("numeric", 1700, -1, 655366), "numeric(10,2)"),
    ("numeric(5)", TypeSpec("numeric", 1700, -1, 327684), "numeric(5,0)"),
    ("numeric(3,-2)", TypeSpec("numeric", 1700, -1, 198658), "numeric(3,-2)"),
    ("timestamp", TypeSpec("timestamp", 1114, 8), "timestamp without time zone"),
    ("timestamp with time zone", TypeSpec("timestamptz", 1184, 8), "timestamp with time zone"),
    ("timestamp(3) with  time zone", TypeSpec("timestamptz", 1184, 8, 3), "timestamp(3) with time zone"),
    ("timestamp(0) without time zone", TypeSpec("timestamp", 1114, 8, 0), "timestamp(0) without time zone"),
    ("timestamptz(6)", TypeSpec("timestamptz", 1184, 8, 6), "timestamp(6) with time zone"),
    ("date", TypeSpec("date", 1082, 4), "date"),
    ("uuid", TypeSpec("uuid", 2950, 16), "uuid"),
    ("boolean", TypeSpec("bool", 16, 1), "boolean"),
    ("name", TypeSpec("name", 19, 64), "name"),
]


@pytest.mark.parametrize(("text", "spec", "shown"), SPELLINGS)
def test_spellings(text: str, spec: TypeSpec, shown: str) -> None:
    assert parse_type(text) == spec
    assert format_type(spec) == shown
    assert parse_type(shown) == spec


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "supported: bool"),
        ("citext", "supported: bool"),
        ("text[]", "supported: bool"),
        ("date with time zone", "supported: bool"),
        ("varchar()", "no numbers"),
        ("varchar(x)", "no numbers"),
        ("varchar(0)", "length"),
        ("char(10485761)", "length"),
        ("varchar(1,2)", "no such modifiers"),
        ("text(3)", "no such modifiers"),
        ("timestamp(7)", "precision"),
        ("numeric(0)", "precision"),
        ("numeric(1001)", "precision"),
        ("numeric(3,1001)", "scale"),
    ],
)
def test_what_is_no_type(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_type(text)


def test_oids() -> None:
    assert by_oid(1043) == TypeSpec("varchar", 1043, -1)
    assert by_oid(1043, 24) == TypeSpec("varchar", 1043, -1, 24)
    assert by_oid(3802) is None
    spec = by_oid(25)
    assert spec is not None
    assert (array_oid(spec), element_of(1009), element_of(25)) == (1009, 25, 0)


def test_a_typmod_where_there_is_none() -> None:
    assert format_type(TypeSpec("date", 1082, 4, 3)) == "date"


def test_limits() -> None:
    assert numeric_limits(655366) == (10, 2)
    assert numeric_limits(198658) == (3, -2)
    assert (char_limit(-1), char_limit(24)) == (-1, 20)


def test_bad_value_says_what_it_is_given() -> None:
    bad = BadValue("value-format", "invalid input syntax for type date")
    assert (bad.code, bad.message, str(bad)) == ("value-format", bad.message, bad.message)


def test_types_of_values_only() -> None:
    assert value_type(700) == TypeSpec("float4", 700, 4)
    assert value_type(1082) == parse_type("date")
    assert value_type(17) is None
    assert element_of(1022) == 701
    assert by_oid(701) is None
