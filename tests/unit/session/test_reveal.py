"""What a principal sees in the place of fields of protected columns."""

from types import MappingProxyType

import pytest

from proxy import tokens
from proxy.errors import Refusal
from proxy.policy.access import Access
from proxy.policy.rules import Level
from proxy.session.effects import Revealed, Shown
from proxy.session.limits import DEFAULTS
from proxy.session.reveal import Columns, plain_value, question, replacements, shown_type, token_of
from proxy.session.state import State
from proxy.sql.catalog import ProtectedColumn
from proxy.sql.plan import FORWARD, Output
from proxy.wire.types import Reading, parse_type
from tests.unit.session.driver import SHOP, bound

TOKEN = tokens.deterministic(b"k" * 32, b"t" * 32, b"a@b.c")
OTHER = tokens.deterministic(b"k" * 32, b"t" * 32, b"other")
READING = Reading("", "ISO, MDY", "UTC")


def column(
    stored: str = "text", facade: str = "", name: str = "email", *, deterministic: bool = True, mixed: bool = False
) -> ProtectedColumn:
    spec = parse_type(stored)
    return ProtectedColumn(
        "s", "t", "c", name, deterministic, spec, parse_type(facade) if facade else spec, 1, 2, False, mixed
    )


def access(**levels: Level) -> Access:
    return Access("r", "reveal", MappingProxyType(levels))


def state(encoding: str = "UTF8", dates: str = "ISO, MDY") -> State:
    one = State("", "", DEFAULTS)
    one.renew(SHOP)
    one.settings.report("client_encoding", encoding)
    one.settings.report("DateStyle", dates)
    return one


def show(
    where: ProtectedColumn,
    field: bytes | None,
    found: Shown | None,
    level: Level = "reveal",
    fmt: int = 0,
    asking: State | None = None,
) -> bytes | None:
    """What goes out for the field if the vault says `found` of it."""
    made = bound(FORWARD, access(**{where.class_name: level}), (fmt,))
    columns = Columns(made, (Output(where),))
    answer = Revealed({}, {})
    if found is not None and field is not None:
        token = token_of(where, fmt, field)
        if token is not None:
            answer = Revealed({token: found}, {})
            if found.level == "reveal" and found.value is not None:
                answer = Revealed({}, {}, {token: found.value})
        else:
            answer = Revealed({}, {(where.class_name, plain_value(where, fmt, field, READING)): found})
    at = asking or state()
    return replacements(columns, [field], answer, at, at.settings.reading)[0]


def refused(
    where: ProtectedColumn, found: Shown | None, level: Level = "reveal", asking: State | None = None
) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        show(where, TOKEN, found, level, asking=asking)
    assert refusal.value.column == "s.t.c" and TOKEN.decode() not in str(refusal.value)
    return refusal.value


# ---- types and tokens -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "facade", "level", "told"),
    [
        ("text", "int4", "reveal", "int4"),
        ("text", "date", "reveal", "date"),
        ("text", "date", "mask", "date"),
        ("text", "timestamptz", "mask", "timestamptz"),
        ("text", "int4", "mask", "text"),
        ("varchar(50)", "", "mask", "text"),
        ("uuid", "date", "token", "uuid"),
        ("varchar(50)", "int4", "token", "varchar"),
    ],
)
def test_the_type_that_is_told(stored: str, facade: str, level: Level, told: str) -> None:
    assert shown_type(column(stored, facade), level).name == told


@pytest.mark.parametrize(
    ("stored", "fmt", "field", "token"),
    [
        ("text", 0, TOKEN, TOKEN),
        ("text", 1, TOKEN, TOKEN),
        ("text", 0, TOKEN + b" ", None),
        ("text", 0, b"a@b.c", None),
        ("char(40)", 0, TOKEN + b"    ", TOKEN),
        ("uuid", 0, TOKEN, TOKEN),
        ("uuid", 1, tokens.to_binary(TOKEN), TOKEN),
        ("uuid", 1, TOKEN, None),
        ("uuid", 1, b"", None),
        ("uuid", 1, b"\0" * 16, None),
    ],
)
def test_the_token_in_a_field(stored: str, fmt: int, field: bytes, token: bytes | None) -> None:
    assert token_of(column(stored), fmt, field) == token


@pytest.mark.parametrize(
    ("stored", "fmt", "encoding", "field", "value"),
    [
        ("text", 0, "", b"a@b.c", b"a@b.c"),
        ("text", 0, "latin-1", b"Zo\xeb", "Zoë".encode()),
        ("char(9)", 0, "", b"abc      ", b"abc"),
        ("uuid", 1, "", b"\0" * 16, b"00000000-0000-0000-0000-000000000000"),
        ("text", 0, "", b"\xff", b"\xff"),
        ("uuid", 1, "", b"short", b"short"),
    ],
)
def test_a_stored_value_that_is_no_token_in_utf8(
    stored: str, fmt: int, encoding: str, field: bytes, value: bytes
) -> None:
    """What can't be read stays as it is; it still has to be asked for."""
    assert plain_value(column(stored), fmt, field, Reading(encoding, "ISO, MDY", "UTC")) == value


# ---- questions --------------------------------------------------------------------------------------------------


def test_each_value_is_asked_for_once_and_only_where_it_is_needed() -> None:
    made = bound(FORWARD, access(email="reveal", person="token"), (0,))
    columns = Columns(made, (None, Output(column()), Output(column(name="person"))))
    assert (columns.width, columns.indexes) == (3, (1, 2))
    asked = question(columns, [TOKEN, OTHER, None, OTHER, TOKEN, b"Ann"], made, READING)
    assert asked is not None and asked.tokens == (("email", TOKEN),)
    assert asked.plain == (("person", b"Ann"),) and asked.mixed == ("s.t.c",)
    assert question(columns, [None, OTHER, None, None], made, READING) is None
    assert question(columns, [], made, READING) is None


@pytest.mark.parametrize(
    ("where", "mixed"),
    [(column(), ("s.t.c",)), (column(mixed=True), ()), (column(deterministic=False), ())],
    ids=["new", "known", "never compared"],
)
def test_only_a_column_that_is_newly_mixed_is_told(where: ProtectedColumn, mixed: tuple[str, ...]) -> None:
    made = bound(FORWARD, access())
    asked = question(Columns(made, (Output(where),)), [b"Ann", b"Bob"], made, READING)
    assert asked is not None and sorted(asked.plain) == [("email", b"Ann"), ("email", b"Bob")]
    assert asked.mixed == mixed


@pytest.mark.parametrize(
    ("levels", "count"),
    [(("reveal", "reveal"), 3), (("reveal", "mask"), 2), (("mask", "reveal"), 1), (("token", "mask"), 0)],
)
def test_the_cap_counts_what_is_seen_in_clear(levels: tuple[Level, Level], count: int) -> None:
    made = bound(FORWARD, access(email=levels[0], person=levels[1]))
    columns = Columns(made, (Output(column()), Output(column(name="person"))))
    assert columns.shown([TOKEN, None, None, None, TOKEN, OTHER]) == count


# ---- what goes out ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "fmt", "value", "out"),
    [
        (column(), 0, "Zoë".encode(), b"Zo\xeb"),
        (column(facade="date"), 0, b"2000-12-31", b"31.12.2000"),
        (column(facade="date"), 1, b"2000-01-02", b"\0\0\0\1"),
        (column(facade="int4"), 1, b"7", b"\0\0\0\7"),
        (column(facade="int4"), 0, b"7", b"7"),
        (column(), 0, None, None),
    ],
)
def test_a_value_as_the_client_reads_it(
    where: ProtectedColumn, fmt: int, value: bytes | None, out: bytes | None
) -> None:
    asking = state("LATIN1", "German, DMY")
    assert show(where, TOKEN, Shown("email", "reveal", value), fmt=fmt, asking=asking) == out


def test_null_is_null_and_equal_fields_are_equal() -> None:
    made = bound(FORWARD, access())
    columns = Columns(made, (Output(column()), None, Output(column(name="person"))))
    answer = Revealed({TOKEN: Shown("email", "reveal", b"a@b.c"), OTHER: Shown("person", "reveal", b"Ann")}, {})
    clear = Revealed({}, {}, {TOKEN: b"a@b.c", OTHER: b"Ann"})
    fields, shown = [TOKEN, None, TOKEN, OTHER, None, OTHER], [b"a@b.c", None, b"a@b.c", b"Ann", None, b"Ann"]
    assert replacements(columns, fields, answer, state(), READING) == shown
    assert replacements(columns, fields, clear, state(), READING) == shown


@pytest.mark.parametrize(
    ("where", "level", "found", "out"),
    [
        (column(), "mask", Shown("email", "mask", b"a***"), b"a***"),
        (column(), "mask", Shown("person", "reveal", b"ann@b.c"), b"a***@***"),
        (column(), "reveal", Shown("person", "mask", b"A."), b"A."),
        (column(facade="date", name="birthday"), "mask", Shown("birthday", "mask", b"2000-01-01"), b"2000-01-01"),
        (column(facade="int4"), "mask", Shown("email", "mask", b"***"), b"***"),
        (column(), "reveal", Shown("person", "token", TOKEN), TOKEN),
        (column("varchar(50)"), "token", None, TOKEN),
        (column(facade="int4"), "token", None, TOKEN),
        (column(), "mask", Shown("person", "token", TOKEN), TOKEN),
    ],
)
def test_the_narrower_of_the_columns_level_and_the_values_holds(
    where: ProtectedColumn, level: Level, found: Shown | None, out: bytes
) -> None:
    assert show(where, TOKEN, found, level) == out


@pytest.mark.parametrize(
    ("level", "found"),
    [("reveal", Shown("person", "mask", b"A.")), ("reveal", Shown("person", "token", TOKEN))],
)
def test_a_token_of_another_class_that_the_type_does_not_hold(level: Level, found: Shown) -> None:
    assert refused(column(facade="int4"), found, level).code == "may-not-see"
    assert refused(column(facade="date"), found, level).code in ("may-not-see", "value-format")


def test_a_plain_value_where_tokens_are_seen() -> None:
    """As the token that the value has."""
    for fmt, out in ((0, TOKEN), (1, tokens.to_binary(TOKEN))):
        field = b"\0" * 16 if fmt else b"00000000-0000-0000-0000-000000000000"
        assert show(column("uuid"), field, Shown("email", "token", TOKEN), "token", fmt) == out
    assert show(column(), b"a@b.c", Shown("email", "token", TOKEN), "token") == TOKEN


def test_without_an_answer_nothing_is_shown() -> None:
    assert refused(column(), None).code == "vault-unavailable"
    with pytest.raises(Refusal) as refusal:
        show(column(), b"s@cret", None)
    assert "s@cret" not in str(refusal.value)


def test_a_value_that_the_clients_encoding_has_not() -> None:
    shown = Shown("email", "reveal", "Зоя".encode())
    assert refused(column(), shown, asking=state("LATIN1")).code == "encoding-untranslatable"
