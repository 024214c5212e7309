"""Messages with tokens in a value's place, and those that are bound to fail."""

import pytest

from proxy.errors import Refusal
from proxy.session import ledger
from proxy.session.ledger import Owed
from proxy.session.outgoing import (
    FAILING_BIND,
    FAILING_QUERY,
    FAILING_SQL,
    NOBODY,
    BindMessage,
    Outgoing,
    ParseMessage,
    QueryMessage,
    Tokens,
    array_text,
    client_params,
    literal,
    refused,
    server_oids,
    server_params,
    wrong_count,
)
from proxy.session.statements import Prepared
from proxy.sql.plan import FORWARD, ParamUse
from proxy.wire import messages as m
from tests.unit.session.driver import bound, plan, query

T1, T2 = b"0" * 36, b"1" * 36
SAME_TWICE = "update customers set email = $1, note = $1 where id = $2"
BY_ARRAY = "select id from customers where email = any($1)"


def prepared(text: str, oids: tuple[int, ...] = ()) -> Prepared:
    cut, made = plan(text)
    statement = Prepared(b"s", text.encode(), True, made, oids, 1)
    statement.shape = cut
    return statement


# ---- literals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "array", "text"),
    [
        ((T1,), False, b"'" + T1 + b"'"),
        ((None,), False, b"NULL"),
        ((T1, None, T2), True, b"'{" + T1 + b",NULL," + T2 + b"}'"),
        ((), True, b"'{}'"),
    ],
)
def test_tokens_as_literals(tokens: Tokens, array: bool, text: bytes) -> None:
    assert literal(tokens, array) == text


def test_tokens_as_the_text_of_an_array() -> None:
    assert array_text((None, T1)) == b"{NULL," + T1 + b"}"


# ---- Query ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("codec", "note"), [("", "é".encode()), ("latin-1", b"\xe9")])
def test_a_query_goes_in_the_clients_encoding(codec: str, note: bytes) -> None:
    text = "update customers set note = 'é', email = 'a@b.c' where email = any('{x,y}')"
    cut, made = plan(text)
    owed = Owed(ledger.QUERY, bound(made))
    sent = QueryMessage(text.encode(), cut, codec, owed).build([(T1,), (T2, None)])
    assert sent == query(
        b"update customers set note = '" + note + b"', email = '%s' where email = any('{%s,NULL}')" % (T1, T2)
    )
    assert owed.bound and owed.bound.rendered and owed.bound.text == text.encode(), "to map positions back by"
    assert len(owed.bound.rendered.spans) == 2


# ---- Parse ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "declared", "told"),
    [
        ("select 1 where $1 = 1", (23,), (23,)),
        ("insert into customers(id, email) values ($1, $2)", (), (0, 25)),
        ("insert into customers(id, email) values ($1, $2)", (23,), (23, 25)),
        ("insert into customers(id, email) values ($1, $2)", (23, 1043), (23, 25)),
        ("insert into customers(id, ref) values ($1, $2)", (), (0, 2950)),
        (SAME_TWICE, (25, 23), (25, 23, 25)),
        (BY_ARRAY, (), (1009,)),
        ("select id from customers where ref = any($1)", (1009,), (2951,)),
    ],
)
def test_parameters_that_carry_tokens_are_of_the_stored_type(
    text: str, declared: tuple[int, ...], told: tuple[int, ...]
) -> None:
    assert server_oids(prepared(text, declared)) == told


def test_a_parse_with_a_literal_and_a_parameter_that_is_used_twice() -> None:
    statement = prepared("update customers set email = $1, note = $1 where name = 'é'")
    frame = ParseMessage("latin-1", Owed(ledger.PARSE, statement=statement)).build([(), (T1,)])
    sent = m.parse_parse(frame, 5, len(frame))
    assert (sent.name, sent.oids) == (b"s", (25, 0))
    assert sent.query == b"update customers set email = $1, note = $2 where name = '%s'" % T1
    assert statement.rendered is not None and "é".encode() in statement.text


# ---- Bind -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "formats", "params", "tokens", "sent"),
    [
        (SAME_TWICE, (), [b"v", b"7"], [(T1,)], ([0, 0, 0], [T1, b"7", b"v"])),
        (SAME_TWICE, (1,), [b"v", b"\0\0\0\7"], [(T1,)], ([0, 1, 1], [T1, b"\0\0\0\7", b"v"])),
        (SAME_TWICE, (0, 1), [b"v", b"\0\0\0\7"], [(T1,)], ([0, 1, 0], [T1, b"\0\0\0\7", b"v"])),
        (SAME_TWICE, (1, 1), [None, None], [(None,)], ([0, 1, 1], [None, None, None])),
        (BY_ARRAY, (1,), [b"(binary)"], [(T1, None)], ([0], [b"{" + T1 + b",NULL}"])),
        ("select id from customers where email = 'x' and id = $1", (1,), [b"\0\0\0\7"], [()], ([1], [b"\0\0\0\7"])),
    ],
)
def test_tokens_go_as_text_and_the_rest_as_it_came(
    text: str,
    formats: tuple[int, ...],
    params: list[bytes | None],
    tokens: list[Tokens],
    sent: tuple[list[int], list[bytes | None]],
) -> None:
    parts = m.Bind(b"p", b"s", formats, params, (1, 0))
    frame = BindMessage(parts, prepared(text), Owed(ledger.BIND)).build(tokens)
    got = m.parse_bind(frame, 5, len(frame))
    assert (got.portal, got.statement, tuple(got.result_formats)) == (b"p", b"s", (1, 0))
    assert ([m.param_format(got.param_formats, i) for i in range(len(got.params))], got.params) == sent


@pytest.mark.parametrize(
    ("text", "count"),
    [("select 1", 0), ("select id from customers where id = $2", 2), (SAME_TWICE, 2), (BY_ARRAY, 1)],
)
def test_how_many_parameters_the_client_has(text: str, count: int) -> None:
    assert client_params(plan(text)[1]) == count


def test_parameters_of_a_plan_that_has_none_of_its_own() -> None:
    unchanged = plan("select id from customers where id = $2")[1]
    assert server_params(unchanged, 1) == (ParamUse(1), ParamUse(2))
    assert server_params(FORWARD, 2) == (ParamUse(1), ParamUse(2))
    assert len(server_params(plan(SAME_TWICE)[1], 7)) == 3


@pytest.mark.parametrize(("given", "sent"), [(0, 1), (1, 2), (3, 4), (65535, 65535)])
def test_a_wrong_number_stays_wrong_and_carries_no_value(given: int, sent: int) -> None:
    """With a parameter that the server has twice; 65,535 is the most that a Bind can hold."""
    frame = wrong_count(m.Bind(b"p", b"s", (), [b"v"] * given, ()), plan(SAME_TWICE)[1])
    got = m.parse_bind(frame, 5, len(frame))
    assert (got.portal, got.statement, got.params) == (b"p", b"s", [None] * sent)


# ---- bound to fail ----------------------------------------------------------------------------------------------


def messages_of_each_kind() -> list[tuple[Outgoing, bytes]]:
    statement = prepared(SAME_TWICE)
    cut, made = plan("select 1")
    return [
        (QueryMessage(b"select 1", cut, "", Owed(ledger.QUERY, bound(made))), FAILING_QUERY),
        (ParseMessage("", Owed(ledger.PARSE, statement=statement)), m.build_parse(b"s", FAILING_SQL, ())),
        (BindMessage(m.Bind(b"", b"s", (), [b"v", b"1"], ()), statement, Owed(ledger.BIND, bound(made))), FAILING_BIND),
    ]


@pytest.mark.parametrize("at", range(3))
def test_a_refused_message_is_of_the_same_type_and_holds_nothing_of_the_clients(at: int) -> None:
    message, frame = messages_of_each_kind()[at]
    why = Refusal("may-not-see", "no")
    assert refused(message, why) == frame
    assert message.owed.refusal is why and message.owed.bound is None


def test_a_bind_fails_by_the_name_of_a_statement_that_is_never_made() -> None:
    assert m.parse_bind(FAILING_BIND, 5, len(FAILING_BIND)).statement == NOBODY


@pytest.mark.parametrize("doubled", ["$65534", "$1"])
def test_a_wrong_number_of_parameters_is_wrong_for_the_server_too(doubled: str) -> None:
    """One parameter in two roles makes the server's statement have one more; the client's one too many is the right
    number there."""
    text = f"select id from customers where email = {doubled} and note = {doubled} and id in ({numbers(65534)})"
    _, made = plan(text)
    assert made.params is not None and len(made.params) == 65535
    parts = m.Bind(b"", b"s", (), [None] * 65535, ())
    frame = wrong_count(parts, made)
    assert len(m.parse_bind(frame, 5, len(frame)).params) != 65535


def numbers(count: int) -> str:
    return ", ".join(f"${n}" for n in range(1, count + 1))


def test_more_parameters_than_a_statement_may_have() -> None:
    _, made = plan(f"select id from customers where email = $1 and note = $1 and id in ({numbers(65535)})")
    assert made.refusal is not None and made.refusal.sqlstate == "54000"
