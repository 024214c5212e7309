"""Descriptions, errors and notices as the client is to see them."""

from dataclasses import replace
from types import MappingProxyType

import pytest

from proxy import tokens
from proxy.errors import Refusal
from proxy.policy.access import Access
from proxy.policy.rules import Level, ValueClass
from proxy.session import ledger
from proxy.session.effects import Revealed, Shown
from proxy.session.ledger import Owed
from proxy.session.limits import DEFAULTS
from proxy.session.outgoing import rendered
from proxy.session.reports import (
    WITHHELD,
    Fields,
    adapted,
    client_types,
    describe_rows,
    question,
    with_values,
)
from proxy.session.state import State
from proxy.session.statements import Bound, Prepared
from proxy.session.world import World
from proxy.sql.catalog import snapshot
from proxy.sql.plan import FORWARD
from proxy.wire import messages as m
from tests.unit.session.driver import (
    BORN,
    CUSTOMERS,
    EMAIL,
    ID,
    POLICY,
    REF,
    SHOP,
    WHO,
    bound,
    columns,
    plan,
    world,
)

TOKEN = tokens.deterministic(b"k" * 32, b"t" * 32, b"a@b.c")
NOTE = m.Field(b"note", CUSTOMERS, 6, 25, -1, -1, 0)


def state(level: Level = "reveal", encoding: str = "UTF8") -> State:
    one = State("", "", DEFAULTS)
    one.renew(SHOP)
    one.access = Access("r", level)
    one.principal = WHO
    one.settings.report("client_encoding", encoding)
    return one


# ---- RowDescription ---------------------------------------------------------------------------------------------


def described(text: str, *fields: m.Field, level: Level = "reveal") -> list[tuple[int, int, int]]:
    """(type, size, typmod) of each column."""
    made = bound(plan(text)[1], Access("r", level))
    frame = describe_rows(columns(*fields), made.outputs(), made, SHOP.snapshot)
    return [(field.type_oid, field.size, field.typmod) for field in m.parse_row_description(frame, 5, len(frame))]


@pytest.mark.parametrize(
    ("level", "born", "ref"),
    [
        ("reveal", (1082, 4, -1), (2950, 16, -1)),
        ("mask", (1082, 4, -1), (25, -1, -1)),
        ("token", (25, -1, -1), (2950, 16, -1)),
    ],
)
def test_columns_have_the_type_that_their_reader_sees(
    level: Level, born: tuple[int, int, int], ref: tuple[int, int, int]
) -> None:
    assert described("select id, born, ref from customers", ID, BORN, REF, level=level) == [(23, 4, -1), born, ref]


def test_names_places_and_formats_stay() -> None:
    made = bound(plan("select born from customers")[1])
    frame = describe_rows(columns(m.Field(b"x", CUSTOMERS, 4, 25, -1, -1, 1)), made.outputs(), made, SHOP.snapshot)
    assert m.parse_row_description(frame, 5, len(frame)) == [m.Field(b"x", CUSTOMERS, 4, 1082, 4, -1, 1)]


def test_a_result_without_anything_protected_stays_as_it_is() -> None:
    made, frame = bound(plan("select id, note from customers")[1]), columns(ID, NOTE)
    assert describe_rows(frame, made.outputs(), made, SHOP.snapshot) is frame


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("select id, email from customers", (ID,)),
        ("select id, email from customers", (ID, EMAIL, NOTE)),
        ("select id, email from customers", (EMAIL, EMAIL)),
        ("select id, note from customers", (ID, EMAIL)),
    ],
    ids=["fewer", "more", "another in its place", "one where none was planned"],
)
def test_a_result_that_is_not_the_planned_one_is_not_shown(text: str, fields: tuple[m.Field, ...]) -> None:
    with pytest.raises(Refusal) as refused:
        described(text, *fields)
    assert refused.value.code == "policy-drift"


# ---- ParameterDescription ---------------------------------------------------------------------------------------


TYPED_SHOP = world(2, POLICY.replace("    email: email\n", "    email: {class: email, type: varchar(50)}\n"))


def prepared(text: str, oids: tuple[int, ...] = ()) -> Prepared:
    return Prepared(b"s", text.encode(), True, plan(text, TYPED_SHOP)[1], oids, 1)


@pytest.mark.parametrize(
    ("text", "declared", "server", "told"),
    [
        ("insert into customers(id, born) values ($1, $2)", (), (23, 25), (23, 1082)),
        ("insert into customers(id, born) values ($1, $2)", (0, 25), (23, 25), (23, 25)),
        ("insert into customers(id, born) values ($1, $2)", (0, 705), (23, 25), (23, 1082)),
        ("insert into customers(email) values ($1)", (), (25,), (1043,)),
        ("select id from customers where email = $1", (), (25,), (25,)),
        ("select id from customers where email in ($1, $2)", (), (25, 25), (1043, 1043)),
        ("select id from customers where email = any($1)", (), (1009,), (1009,)),
        ("select id from customers where born = any($1)", (), (1009,), (1182,)),
        ("select id from customers where email = $1::varchar(5)", (), (25,), (1043,)),
        ("update customers set email = $1, name = $1", (), (25, 25), (1043,)),
        ("update customers set email = $1, note = $1 where id = $2", (), (25, 23, 25), (25, 23)),
        ("select id from customers where id = $1", (), (23,), (23,)),
    ],
)
def test_parameters_have_the_type_that_they_would_have_in_a_plaintext_database(
    text: str, declared: tuple[int, ...], server: tuple[int, ...], told: tuple[int, ...]
) -> None:
    assert client_types(prepared(text, declared), server) == told


# ---- positions --------------------------------------------------------------------------------------------------


SENT = "select 'é', id from customers where email = 'ü@b.c' and nosuch(note)"


def sent(text: str = SENT) -> Bound:
    cut, made = plan(text)
    one = bound(made)
    one.text = text.encode()
    one.rendered = rendered(made, one.text, cut, [(TOKEN,) for _ in made.inputs])
    return one


def parsed(text: str = SENT) -> Prepared:
    one, made = Prepared(b"s", text.encode(), True, plan(text)[1], (), 1), sent(text)
    one.rendered = made.rendered
    return one


def position(head: Owed | None, at: bytes) -> bytes:
    return dict(adapted([(b"C", b"42883"), (b"P", at)], head, state()))[b"P"]


@pytest.mark.parametrize("head", [Owed(ledger.QUERY, sent()), Owed(ledger.PARSE, statement=parsed())])
def test_positions_are_those_of_the_clients_text(head: Owed) -> None:
    text = SENT.replace("ü@b.c", TOKEN.decode())
    for word in ("'é'", "id from", "'", "nosuch"):
        assert position(head, b"%d" % (text.index(word) + 1)) == b"%d" % (SENT.index(word) + 1)
    inside = text.index(TOKEN.decode()) + 5
    assert position(head, b"%d" % inside) == b"%d" % (SENT.index("'ü@b.c'") + 1)
    assert position(head, b"x") == b"x"


@pytest.mark.parametrize(
    "head",
    [
        None,
        ledger.PLAIN_QUERY,
        Owed(ledger.QUERY, sent("select note from customers")),
        Owed(ledger.EXECUTE, bound(FORWARD)),
    ],
    ids=["nothing owed", "not ours", "sent as it came", "no text"],
)
def test_positions_stay_where_the_text_was_not_changed(head: Owed | None) -> None:
    fields: Fields = [(b"C", b"42883"), (b"P", b"60")]
    assert adapted(fields, head, state()) is fields


# ---- what may quote a row ---------------------------------------------------------------------------------------


REPORT: Fields = [
    (b"S", b"ERROR"),
    (b"C", b"23514"),
    (b"M", b'new row for relation "customers" violates check constraint "c": "s@cret"'),
    (b"D", b"Failing row contains (1, s@cret)."),
    (b"H", b"hint"),
    (b"W", b'COPY customers, line 1: "s@cret"'),
    (b"q", b"select s@cret"),
]


def seen(head: Owed | None, level: Level = "mask", code: bytes = b"23514") -> dict[bytes, bytes]:
    return dict(adapted([(k, code if k == b"C" else v) for k, v in REPORT], head, state(level)))


TOUCHING = plan("update customers set note = 'x'")[1]


@pytest.mark.parametrize(
    "head",
    [Owed(ledger.QUERY, bound(TOUCHING)), Owed(ledger.PARSE, statement=Prepared(b"", b"", True, TOUCHING, (), 1))],
)
def test_rows_are_not_quoted_to_those_who_do_not_see_all(head: Owed) -> None:
    told = seen(head)
    assert told[b"D"] == told[b"W"] == told[b"q"] == WITHHELD
    assert (told[b"M"], told[b"H"]) == (REPORT[2][1], b"hint")
    assert seen(head, "reveal") == dict(REPORT)


def test_operands_are_not_quoted_either() -> None:
    """Class 22 has them at the end of its message."""
    told = seen(Owed(ledger.QUERY, bound(TOUCHING)), code=b"22P02")
    assert told[b"M"] == b'new row for relation "customers" violates check constraint "c": ' + WITHHELD


@pytest.mark.parametrize("head", [None, ledger.PLAIN_QUERY, Owed(ledger.QUERY, bound(plan("select 1")[1]))])
def test_a_statement_that_touches_nothing_of_ours_may_quote_its_rows(head: Owed | None) -> None:
    assert seen(head) == dict(REPORT)


def test_who_is_not_known_yet_sees_no_row() -> None:
    nobody = State("", "", DEFAULTS)
    assert dict(adapted(REPORT, Owed(ledger.QUERY, bound(TOUCHING)), nobody))[b"D"] == WITHHELD


def test_one_class_that_is_not_seen_is_enough() -> None:
    some = state()
    some.access = Access("r", "reveal", MappingProxyType({"free": "mask"}))
    assert dict(adapted(REPORT, Owed(ledger.QUERY, bound(TOUCHING)), some))[b"D"] == WITHHELD


@pytest.mark.parametrize("code", [b"23502", b"23503", b"23505", b"23514", b"23P01"])
def test_the_detail_of_a_constraint_is_shown_by_the_columns_of_its_table(code: bytes) -> None:
    """A class that the table has nothing of is no reason to withhold it."""
    wide: MappingProxyType[str, Level] = MappingProxyType({"elsewhere": "mask"})
    one = state()
    classes = {**SHOP.policy.classes, "elsewhere": ValueClass("elsewhere", "text")}
    one.renew(World(replace(SHOP.policy, classes=classes), SHOP.snapshot, 9))
    one.access = Access("r", "reveal", wide)
    named = [(b"C", code), (b"s", b"public"), (b"t", b"customers")]
    other = [(b"C", b"23000"), (b"s", b"nosuch"), (b"t", b"nosuch"), (b"F", b"pl_exec.c")]
    rest = [(k, v) for k, v in REPORT if k != b"C"]
    head = Owed(ledger.QUERY, bound(TOUCHING))

    def told(*fields: tuple[bytes, bytes]) -> dict[bytes, bytes]:
        return dict(adapted([*fields, *rest], head, one))

    assert told(*named)[b"D"] == b"Failing row contains (1, s@cret)." and told(*named)[b"W"] == WITHHELD
    for field in other:
        assert told(*[each for each in named if each[0] != field[0]], field)[b"D"] == WITHHELD, field
    one.access = Access("r", "reveal", MappingProxyType({"elsewhere": "mask", "email": "token"}))
    assert told(*named)[b"D"] == WITHHELD
    prepared = Owed(ledger.PARSE, statement=Prepared(b"", b"", True, TOUCHING, (), 1))
    assert dict(adapted([*named, *rest], prepared, one))[b"D"] == WITHHELD


@pytest.mark.parametrize("fields", [[(b"C", b"P0001")], [(b"C", b"42000"), (b"F", b"pl_exec.c")]])
def test_what_a_function_says_is_withheld_where_values_are_known_to_lie(fields: Fields) -> None:
    """It may quote what it has read. Where tokens lie, it can quote tokens only."""
    report = [*fields, (b"M", b"bad s@cret"), (b"H", b"not s@cret")]
    one, head = state("mask"), Owed(ledger.QUERY, bound(TOUCHING))
    assert dict(adapted(report, head, one))[b"M"] == b"bad s@cret"
    mixed = snapshot(SHOP.snapshot.catalog, SHOP.policy, 9, frozenset(("public.customers.email",)))
    one.renew(World(SHOP.policy, mixed, 9))
    one.access = Access("r", "mask")
    told = dict(adapted(report, head, one))
    assert told[b"M"] == told[b"H"] == WITHHELD and told[b"C"] == fields[0][1]
    assert dict(adapted([(b"C", b"42P01"), *report[-2:]], head, one))[b"M"] == b"bad s@cret", "the server's own"
    one.access = Access("r", "reveal")
    assert dict(adapted(report, head, one))[b"M"] == b"bad s@cret"


# ---- tokens in texts --------------------------------------------------------------------------------------------


def test_tokens_are_asked_for_once_and_only_out_of_texts() -> None:
    head = Owed(ledger.QUERY, bound(TOUCHING))
    fields: Fields = [(b"M", TOKEN + b" " + TOKEN), (b"D", b"(" + TOKEN + b")"), (b"n", TOKEN)]
    asked = question(fields, head, state())
    assert asked is not None and head.bound is not None
    assert (asked.tokens, asked.plain, asked.context) == ((("", TOKEN),), (), head.bound.context)
    assert question([(b"M", b"no"), (b"n", TOKEN)], head, state()) is None


def test_a_report_is_no_way_round_a_cap_or_a_purpose() -> None:
    for access in (None, Access("r", "reveal", rows=1), Access("r", "reveal", require_purpose=True)):
        one = state()
        one.access = access
        assert question([(b"M", TOKEN)], None, one) is None


@pytest.mark.parametrize("head", [None, ledger.PLAIN_QUERY])
def test_a_report_of_no_statement_is_recorded_as_one(head: Owed | None) -> None:
    asked = question([(b"M", TOKEN)], head, state())
    assert asked is not None and (asked.context.statement, asked.context.principal) == ("error", WHO)


KEY = b"Key (email)=(%s) already exists."


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (Shown("email", "reveal", b"a@b.c"), KEY % b"a@b.c"),
        (Shown("email", "mask", b"a***"), KEY % b"a***"),
        (Shown("email", "token", TOKEN), KEY % TOKEN),
        (Shown("email", "reveal", None), KEY % TOKEN),
        (None, KEY % TOKEN),
    ],
)
def test_a_token_in_a_text_is_shown_as_far_as_it_may_be_seen(shown: Shown | None, text: bytes) -> None:
    answer = Revealed({} if shown is None else {TOKEN: shown}, {})
    fields: Fields = [(b"D", KEY % TOKEN), (b"n", TOKEN), (b"H", b"hint")]
    assert with_values(fields, answer, state()) == [(b"D", text), (b"n", TOKEN), (b"H", b"hint")]


def test_a_value_in_a_text_is_in_the_clients_encoding() -> None:
    answer = Revealed({TOKEN: Shown("person", "reveal", "Zoë Я".encode())}, {})
    assert with_values([(b"M", TOKEN)], answer, state(encoding="LATIN1")) == [(b"M", b"Zo\xeb ?")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (TOKEN + b"    )", "Zoë".encode() + b" " * 37 + b")"),
        (TOKEN + b"    , 1)", "Zoë".encode() + b" " * 37 + b", 1)"),
        (TOKEN + b"    is", "Zoë".encode() + b"    is"),
    ],
)
def test_char_n_is_as_wide_as_its_column(before: bytes, after: bytes) -> None:
    answer = Revealed({TOKEN: Shown("person", "reveal", "Zoë".encode())}, {})
    assert with_values([(b"D", b"(" + before)], answer, state()) == [(b"D", b"(" + after)]


def test_the_modifier_of_a_result_is_the_servers_where_its_type_is_the_stored_one() -> None:
    """The planner may take NULL out of COALESCE, or an arm off a UNION, and then the type has a modifier."""
    text = "select email, born from customers union all select null, null"
    fields = (replace_typmod(EMAIL, 44), replace_typmod(BORN, 44))
    assert described(text, *fields) == [(25, -1, 44), (1082, 4, -1)]
    assert described(text, *fields, level="token") == [(25, -1, 44), (25, -1, 44)]


def replace_typmod(field: m.Field, typmod: int) -> m.Field:
    return m.Field(field.name, 0, 0, field.type_oid, field.size, typmod, field.format)
