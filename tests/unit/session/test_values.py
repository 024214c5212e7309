"""From what stands in a statement to the canonical value."""

from dataclasses import replace

import pytest

from proxy.errors import Refusal
from proxy.policy.access import Access
from proxy.policy.rules import ValueClass
from proxy.session.effects import Item
from proxy.session.values import items, read, sent_type
from proxy.sql.plan import Input
from proxy.sql.relations import ProtectedColumn
from proxy.wire.types import Reading, by_oid, parse_type

READING = Reading("", "German, DMY", "UTC")
FREE = ValueClass("free", "text")


def place(facade: str, use: str = "search", casts: tuple[str, ...] = (), array: bool = False) -> Input:
    spec = parse_type(facade)
    column = ProtectedColumn("public", "t", "c", "free", True, parse_type("text"), spec, 1, 1)
    return Input(column, use, param=1, casts=tuple(parse_type(c) for c in casts), array=array)  # type: ignore[arg-type]


def value(where: Input, data: bytes, oid: int = 0) -> bytes | None:
    return read(where, sent_type(where, oid), data, 0, READING, FREE)[0]


def test_a_search_is_not_rounded_to_the_columns_scale() -> None:
    assert value(place("numeric(5,2)"), b"1.005") != value(place("numeric(5,2)", "write"), b"1.01")


def test_a_search_for_a_longer_text_finds_nothing_and_is_no_error() -> None:
    assert value(place("varchar(3)"), b"abcdef") == b"abcdef"


def test_a_longer_text_is_not_written() -> None:
    with pytest.raises(Refusal) as refused:
        value(place("varchar(3)", "write"), b"abcdef")
    assert refused.value.sqlstate == "22001" and "abcdef" not in str(refused.value)


def test_an_explicit_cast_truncates() -> None:
    assert value(place("text", "write", ("varchar(3)",)), b"abcdef") == b"abc"


def test_a_cast_to_date_reads_as_datestyle_says() -> None:
    assert value(place("date", "write", ("text", "date")), b"31.12.2000") == b"2000-12-31"


def test_numbers_with_a_scale_do_not_become_text() -> None:
    with pytest.raises(Refusal) as refused:
        value(place("text", "write"), b"1.50", oid=1700)
    assert refused.value.code == "unsupported-type"


def test_integers_are_assigned_to_text_but_not_compared_with_it() -> None:
    assert value(place("text", "write"), b"42", oid=23) == b"42"
    with pytest.raises(Refusal):
        value(place("text"), b"42", oid=23)


def test_blanks_behind_a_text_count_when_it_is_compared_with_char() -> None:
    assert value(place("char(40)"), b"abc", oid=25) == b"abc"
    assert value(place("char(40)"), b"abc  ") == b"abc"
    with pytest.raises(Refusal):
        value(place("char(40)"), b"abc  ", oid=25)


def test_an_array_keeps_its_nulls() -> None:
    where = place("text", array=True)
    assert read(where, sent_type(where, 1009), b"{a,NULL}", 0, READING, FREE) == (b"a", None)


def test_a_type_that_is_not_known() -> None:
    with pytest.raises(Refusal) as refused:
        sent_type(place("text"), 17)
    assert refused.value.column == "public.t.c"
    assert by_oid(17) is None


def test_a_value_that_its_class_rejects_is_not_in_the_error() -> None:
    where = place("text", "write")
    with pytest.raises(Refusal) as refused:
        read(where, sent_type(where, 0), b"no@mail@", 0, READING, ValueClass("e", "email", invalid="reject"))
    assert refused.value.sqlstate == "22023" and "no@mail@" not in str(refused.value)


@pytest.mark.parametrize(
    ("facade", "use", "oid", "data", "canonical"),
    [
        ("numeric", "write", 23, b"42", b"42"),
        ("numeric", "search", 20, b"42", b"42"),
        ("int8", "search", 21, b"42", b"42"),
        ("text", "write", 2950, b"{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}", b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("text", "write", 16, b"t", b"true"),
        ("text", "search", 1043, b"a", b"a"),
        ("date", "search", 1114, b"2000-01-01", b"2000-01-01"),
        ("date", "search", 1114, b"2000-01-01 10:00", b"2000-01-01 10:00:00"),
        ("date", "write", 1114, b"2000-01-01 10:00", b"2000-01-01"),
        ("timestamptz", "write", 1082, b"2000-01-01", b"2000-01-01 00:00:00+00"),
        ("int4", "write", 1700, b"1.5", b"2"),
        ("int4", "search", 1700, b"1.5", b"1.5"),
        ("int4", "search", 20, b"5000000000", b"5000000000"),
        ("numeric(10,2)", "write", 701, b"1.005", b"1.01"),
        ("numeric(10,2)", "search", 701, b"1.5", b"1.5"),
        ("numeric", "search", 701, b"1.5", None),
        ("int4", "search", 25, b"1", None),
        ("uuid", "write", 25, b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", None),
        ("text", "search", 2950, b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", None),
        ("text", "write", 1082, b"2000-01-01", None),
    ],
)
def test_what_is_assigned_and_compared_across_types(
    facade: str, use: str, oid: int, data: bytes, canonical: bytes | None
) -> None:
    """What the server would do with another result than the canonical text, or not at all, is refused."""
    if canonical is not None:
        assert value(place(facade, use), data, oid) == canonical
        return
    with pytest.raises(Refusal) as refused:
        value(place(facade, use), data, oid)
    assert (refused.value.code, refused.value.column) == ("unsupported-type", "public.t.c")
    assert data.decode() not in f"{refused.value.message} {refused.value.hint} {refused.value.detail}"


@pytest.mark.parametrize(
    ("access", "write_tokens", "through"),
    [
        (Access("r", "reveal"), False, False),
        (Access("r", "reveal"), True, True),
        (Access("r", "token"), False, True),
        (Access(), False, True),
    ],
)
def test_who_writes_a_token_through(access: Access, write_tokens: bool, through: bool) -> None:
    where = place("text", "write")
    column = replace(where.column, write_tokens=write_tokens)
    assert items(replace(where, column=column), (b"a", None, b"b"), access) == (
        Item("free", b"a", through),
        Item("free", b"b", through),
    )


@pytest.mark.parametrize(
    ("context", "facade", "oid", "taken"),
    [
        ("text", "text", 1043, True),
        ("text", "text", 1042, False),
        ("text", "text", 23, False),
        ("text", "date", 1082, True),
        ("int4", "int4", 20, True),
        ("date", "date", 1082, True),
        ("date", "date", 25, False),
    ],
)
def test_a_declared_type_beside_values_of_another(context: str, facade: str, oid: int, taken: bool) -> None:
    """In CASE and VALUES it would decide how text beside it is read."""
    where = replace(place(facade, "write"), context=parse_type(context))
    assert sent_type(where, 0).name == context
    if taken:
        assert sent_type(where, oid).oid == oid
        return
    with pytest.raises(Refusal) as refused:
        sent_type(where, oid)
    assert refused.value.code == "unsupported-type"


@pytest.mark.parametrize(
    ("facade", "context", "same", "other"),
    [
        ("date", "timestamp", b"2000-01-02 00:00", b"2000-01-02 10:00"),
        ("int4", "numeric", b"5.0", b"5.4"),
        ("numeric(10,2)", "numeric", b"100", b"99.999"),
        ("varchar(3)", "text", b"abc", b"abc  "),
        ("char(3)", "text", b"abc", b"ab "),
    ],
)
def test_a_value_that_is_stored_and_compared_has_to_be_one(
    facade: str, context: str, same: bytes, other: bytes
) -> None:
    """Assignment would round it, or cut its blanks off."""
    where = replace(place(facade, "write"), context=parse_type(context))
    assert value(replace(where, sought=True), same) == value(where, same)
    with pytest.raises(Refusal) as refused:
        value(replace(where, sought=True), other)
    assert refused.value.code == "unsupported-type"


def test_an_integer_that_is_assigned_to_text_and_compared_with_it() -> None:
    where = replace(place("text", "write"), context=parse_type("int4"))
    assert value(where, b"5") == b"5"
    with pytest.raises(Refusal) as refused:
        value(replace(where, sought=True), b"5")
    assert refused.value.code == "unsupported-type"
