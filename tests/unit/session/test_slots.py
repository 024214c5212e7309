"""A message and the tokens that it waits for: what is asked, and what becomes of each answer."""

import itertools

import pytest

from proxy.errors import Refusal
from proxy.session.effects import Ask, Audit, Failure, Find, Tokenise
from proxy.wire import messages as m
from tests.unit.session.driver import PARSED, SYNC, Link, bind, execute, failed, kinds, parse, query, ready

UUID = b"00000000-0000-0000-0000-00000000000a"
GONE = Failure(Refusal("vault-unavailable", "the vault is not reachable"))
BOTH = "update customers set email = 'new@b.c', name = 'Ann' where email = 'old@b.c' and name in ('Bob', 'Cid')"

VALUES = (("email", "new@b.c"), ("person", "Ann"), ("email", "old@b.c"), ("person", "Bob"), ("person", "Cid"))


def held(link: Link, *frames: bytes) -> list[Ask]:
    """What the vault is asked for; nothing is answered yet."""
    link.held = (Tokenise, Find)
    link.client(*frames)
    return link.asks


def values(ask: Ask) -> tuple[type, list[bytes]]:
    assert isinstance(ask.request, Tokenise | Find)
    return type(ask.request), [item.canonical for item in ask.request.items]


def answer(link: Link, ask: Ask, result: object = None) -> list[bytes]:
    """Frames that the server gets when the answer is in."""
    link.session.answer(ask.ticket, link.reply(ask.request) if result is None else result)
    return link.drain().sent()


def params(frame: bytes) -> list[bytes | None]:
    return m.parse_bind(frame, 5, len(frame)).params


def test_a_message_asks_once_for_what_is_stored_and_once_for_what_is_looked_for() -> None:
    assert [values(ask) for ask in held(Link(), query(BOTH))] == [
        (Tokenise, [b"new@b.c", b"Ann"]),
        (Find, [b"old@b.c", b"Bob", b"Cid"]),
    ]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_it_goes_when_both_answers_are_in_each_token_in_its_place(order: tuple[int, int]) -> None:
    link = Link()
    asks = held(link, query(BOTH))
    assert answer(link, asks[order[0]]) == []
    expected = BOTH
    for name, value in VALUES:
        expected = expected.replace(value, link.vault.token(name, value.encode()).decode())
    assert answer(link, asks[order[1]]) == [query(expected)]


@pytest.mark.parametrize(
    ("first", "fails"), list(itertools.product((0, 1), ((True, False), (False, True), (True, True))))
)
def test_it_fails_once_if_either_question_does(first: int, fails: tuple[bool, bool]) -> None:
    link = Link()
    asks = held(link, query(BOTH))
    sent = []
    for at in (first, 1 - first):
        sent += answer(link, asks[at], GONE if fails[at] else None)
    assert kinds(sent) == "Q" and b"refused by pgveil" in sent[0] and b"b.c" not in sent[0]
    assert [note.facts["code"] for note in link.notes("refusal")] == ["vault-unavailable"]
    assert [request.outcome for request in link.asked if isinstance(request, Audit)] == ["vault-unavailable"]
    link.server(failed("22P02"), ready())
    assert [told[b"C"] for told in link.errors()] == [b"57P03"]


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("insert into customers(email, name) values ($1, $2)", [None, None]),
        ("select id from customers where email = any($1)", [b"{NULL,NULL}"]),
        ("select id from customers where email = any($1)", [b"{}"]),
    ],
)
def test_nothing_is_asked_for_where_there_is_no_value(text: str, given: list[bytes | None]) -> None:
    link = Link()
    assert held(link, parse(text), bind(given), execute(), SYNC) == []
    sent = link.sent()
    assert kinds(sent) == "PBES" and params(sent[1]) == given


def test_nulls_keep_their_places_among_the_tokens() -> None:
    link = Link()
    text = "update customers set email = $1, name = $2, ref = $3 where name = any($4)"
    [stores, finds] = held(link, parse(text), bind([None, b"Ann", UUID, b"{NULL,Bob,NULL,Cid}"]), SYNC)
    assert kinds(link.sent()) == "P"
    assert values(stores)[1] == [b"Ann", UUID] and values(finds)[1] == [b"Bob", b"Cid"]
    assert answer(link, finds) == []
    [sent, _] = answer(link, stores)
    bob, cid = link.vault.token("person", b"Bob"), link.vault.token("person", b"Cid")
    names = b"{NULL," + bob + b",NULL," + cid + b"}"
    assert params(sent) == [None, link.vault.token("person", b"Ann"), link.vault.token("free", UUID), names]


def test_a_prepared_statements_own_literals_are_recorded_with_each_execution() -> None:
    """Their tokens are in the text already; the search is one all the same."""
    link = Link()
    text = "select id from customers where email = 'old@b.c' and name = $1"
    link.client(parse(text, b"s"), SYNC).server(PARSED, ready())
    link.sent()
    [finds] = held(link, bind([b"Bob"], b"s"), SYNC)
    assert values(finds) == (Find, [b"Bob", b"old@b.c"])
    [sent, _] = answer(link, finds)
    assert params(sent) == [link.vault.token("person", b"Bob")]
