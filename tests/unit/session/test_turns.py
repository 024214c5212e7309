"""A link's work is cut into turns: however much came at once, others are not kept waiting by it."""

import pytest

from proxy.session.effects import Again, Pause, Resume, ToClient, ToServer
from proxy.session.limits import Limits
from proxy.session.state import STATEMENT, TURN
from proxy.session.to_client import CHUNK
from proxy.wire import messages as m
from tests.unit.session.driver import EMAIL, Link, columns, done, error, kinds, query, ready, row, split

SELECT = query("select email from customers")
MOST = TURN // STATEMENT
MANY = 3 * MOST


class Slow(Link):
    """Does not go on by itself when the session asks for another turn."""

    def drain(self) -> Link:
        while effects := self.session.take_effects():
            for effect in effects:
                if isinstance(effect, Again):
                    self.events.append(effect)
                elif (ask := self.perform(effect)) is not None:
                    self.session.answer(ask.ticket, self.reply(ask.request))
        return self

    def turn(self) -> "Slow":
        """Another turn. AssertionError if there is not exactly one to come."""
        again = [event for event in self.events if isinstance(event, Again)]
        assert len(again) == 1
        self.events = [event for event in self.events if event is not again[0]]
        self.session.go_on()
        self.drain()
        return self

    @property
    def more(self) -> bool:
        return any(isinstance(event, Again) for event in self.events)


def warm() -> Slow:
    link = Slow()
    link.client(SELECT).server(columns(EMAIL), done("SELECT 0"), ready())
    link.session.go_on()
    link.sent(), link.got()
    return link


def result(link: Link) -> bytes:
    token = link.vault.token("email", b"a@b.c")
    return columns(EMAIL) + row(token) + done("SELECT 1") + ready()


def test_statements_go_to_the_server_by_turns() -> None:
    link = warm()
    link.client(SELECT * MANY)
    assert kinds(link.sent()) == "Q" * MOST
    assert kinds(link.turn().sent()) == "Q" * MOST
    assert kinds(link.turn().sent()) == "Q" * MOST
    link.turn()
    assert not link.more and link.sent() == []


def test_results_come_by_turns() -> None:
    link = warm()
    for _ in range(MANY):
        link.client(SELECT)
        if link.more:
            link.turn()
    link.session.go_on()
    link.server(result(link) * MANY)
    shown = 0
    while link.more:
        got = b"".join(link.got())
        assert 0 < got.count(b"a@b.c") <= MOST
        shown += got.count(b"a@b.c")
        link.turn()
    assert shown + b"".join(link.got()).count(b"a@b.c") == MANY


def test_what_touches_nothing_protected_knows_no_turns() -> None:
    link = warm()
    link.client(query("select 1") * 5000)
    assert not link.more and kinds(link.sent()) == "Q" * 5000


def test_values_count_too() -> None:
    link = warm()
    values = ", ".join([f"('u{number}@b.c')" for number in range(TURN)])
    link.client(query(f"insert into customers(email) values {values}"), SELECT)
    assert link.more and kinds(link.sent()) == "Q"
    assert kinds(link.turn().sent()) == "Q"


def test_a_client_that_sends_on_meanwhile_is_paused() -> None:
    link = Slow(limits=Limits(waiting=1000))
    link.client(SELECT * MANY)
    assert [type(event) for event in link.flow()] == [Pause]
    while link.more:
        link.turn()
    assert [type(event) for event in link.flow()] == [Pause, Resume]


def test_a_server_that_sends_on_meanwhile_is_paused() -> None:
    link = Slow(limits=Limits(result=1000))
    for _ in range(MANY):
        link.client(SELECT)
        if link.more:
            link.turn()
    link.session.go_on()
    link.server(result(link) * MANY)
    assert [event.side for event in link.flow() if isinstance(event, Pause)] == ["server"]
    while link.more:
        link.turn()
    assert isinstance(link.flow()[-1], Resume)


def test_the_servers_last_words_wait_for_no_turn() -> None:
    link = warm()
    for _ in range(MANY):
        link.client(SELECT)
        if link.more:
            link.turn()
    link.session.go_on()
    words = m.build_error_response([(b"S", b"FATAL"), (b"V", b"FATAL"), (b"C", b"57P01"), (b"M", b"bye")])
    link.session.server_bytes(result(link) * MANY + words)
    effects = link.session.take_effects()
    assert any(isinstance(effect, Again) for effect in effects)
    for effect in effects:
        if (ask := link.perform(effect)) is not None:
            link.session.answer(ask.ticket, link.reply(ask.request))
    link.session.server_eof()
    link.drain()
    got = split(link.to_client)
    assert b"".join(got).count(b"a@b.c") == MANY and error(got[-1])[b"C"] == b"57P01"
    assert link.closed


def test_a_turn_of_a_link_that_is_closed_does_nothing() -> None:
    link = warm()
    link.client(SELECT * MANY)
    link.session.client_eof()
    link.drain()
    link.sent()
    link.turn()
    assert link.sent() == [] and not [e for e in link.events if isinstance(e, ToServer | ToClient)]


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_fault_in_another_turn_is_told_as_in_the_first(side: str) -> None:
    link = warm()
    link.client(SELECT * MANY)
    if side == "client":
        link.client(b"?\0\0\0\4")
    else:
        link.server(b"D\0\0\0\0")
    while link.more and not link.closed:
        link.turn()
    assert link.closed


def test_a_long_result_is_asked_for_in_parts() -> None:
    """Each whole rows; a row longer than a part is one by itself."""
    link = Link()
    link.client(SELECT)
    token = link.vault.token("email", b"a@b.c")
    notes = m.Field(b"note", 16400, 6, 25, -1, -1, 0)
    link.client(query("select email, note from customers"))
    long = row(token, bytes(CHUNK))
    link.server(columns(EMAIL), done("SELECT 0"), ready())
    link.asked.clear()
    link.server(
        columns(EMAIL, notes), row(token, b"x") * 5000, long, long, row(token, None), done("SELECT 5003"), ready()
    )
    parts = len(link.asked)
    assert parts == -(-5000 * len(row(token, b"x")) // CHUNK) + 3
    assert link.to_client.count(b"a@b.c") == 5003 and kinds(link.got())[-5:] == "DDDCZ"
