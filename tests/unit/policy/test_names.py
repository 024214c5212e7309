"""Names of tables and types as policies write them."""

import pytest

from proxy.policy.names import BadName, parse_table, parse_type


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


@pytest.mark.parametrize("text", ["", ".", "a", "a.", ".a", "a..b", 'a."b', '"a"b.c', 'a.b"', "a.b.c.d", "a.\0"])
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
