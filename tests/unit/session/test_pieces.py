"""Rows whose values are large go out in pieces: what waits here is bounded by values, not by tokens."""

import struct

import pytest

from proxy.errors import Refusal
from proxy.session.effects import Failure, Reveal
from proxy.session.limits import Limits
from proxy.session.pieces import PIECE, SET_ASIDE
from proxy.wire import messages as m
from tests.unit.session.driver import BORN, EMAIL, ID, Link, columns, done, failed, kinds, query, ready, row

KB = 1024
OUT = b"H" + struct.pack("!ibhhh", 11, 0, 2, 0, 0)  # CopyOutResponse: text, two columns


def selecting(link: Link, text: str = "select id, email from customers") -> Link:
    link.client(query(text)).server(columns(ID, EMAIL) if "born" not in text else columns(EMAIL, BORN))
    link.sent(), link.got()
    return link


def large(link: Link, number: int, size: int) -> tuple[bytes, bytes]:
    """A value of `size` bytes, and its token."""
    value = b"%08d" % number + b"x" * (size - 8)
    return value, link.vault.token("email", value)


def asked(link: Link) -> list[int]:
    """How many tokens each question had so far."""
    return [len(request.tokens) for request in link.asked if isinstance(request, Reveal)]


def waiting(link: Link) -> list[int]:
    return [len(ask.request.tokens) for ask in link.asks if isinstance(ask.request, Reveal)]


def test_values_larger_than_the_piece_are_asked_for_anew_in_smaller_ones() -> None:
    link = selecting(Link())
    pairs = [large(link, number, 300 * KB) for number in range(8)]
    link.server(*[row(b"%d" % n, token) for n, (_, token) in enumerate(pairs)], done("SELECT 8"), ready())
    assert asked(link)[0] == 8 and max(asked(link)[1:]) < 8
    assert link.got() == [*[row(b"%d" % n, value) for n, (value, _) in enumerate(pairs)], done("SELECT 8"), ready()]


def test_rows_are_cut_where_they_end() -> None:
    link = selecting(Link())
    pairs = [large(link, number, SET_ASIDE * 2) for number in range(7)]
    link.server(*[row(b"x" * n, token) for n, (_, token) in enumerate(pairs)])
    assert asked(link)[:2] == [7, 3]
    assert link.got() == [row(b"x" * n, value) for n, (value, _) in enumerate(pairs)]


def test_a_row_larger_than_any_piece_is_asked_for_whole_and_alone() -> None:
    link = selecting(Link())
    value, token = large(link, 1, 3 * PIECE)
    link.server(row(b"1", token))
    budgets = [request.budget for request in link.asked if isinstance(request, Reveal)]
    assert budgets == [SET_ASIDE, 0]
    assert link.got() == [row(b"1", value)]


def test_a_large_row_waits_until_it_is_the_next_to_go_out() -> None:
    link = selecting(Link())
    link.held = (Reveal,)
    first, (value, token) = link.vault.token("email", b"a@b.c"), large(link, 1, PIECE)
    link.server(row(b"1", first)).server(row(b"2", token))
    link.session.answer(link.asks[1].ticket, link.reply(link.asks.pop(1).request))
    link.drain()
    assert waiting(link) == [1]  # not asked again while another stands before it
    link.release(1)
    assert waiting(link) == [1] and link.got() == [row(b"1", b"a@b.c")]
    link.release()
    assert link.got() == [row(b"2", value)]


def test_rows_without_values_among_large_ones() -> None:
    link = selecting(Link())
    (one, first), (two, second) = large(link, 1, 40 * KB), large(link, 2, 40 * KB)
    link.server(row(b"1", None), row(b"2", first), row(b"3", None), row(b"4", second), row(b"5", None))
    assert link.got() == [row(b"1", None), row(b"2", one), row(b"3", None), row(b"4", two), row(b"5", None)]


def test_a_piece_without_values_goes_out_though_none_was_asked_for() -> None:
    link = selecting(Link())
    pairs = [large(link, number, 8 * PIECE) for number in range(2)]
    link.server(row(b"0", None), *[row(b"%d" % n, token) for n, (_, token) in enumerate(pairs, 1)])
    assert link.got() == [row(b"0", None), *[row(b"%d" % n, value) for n, (value, _) in enumerate(pairs, 1)]]


def test_a_value_that_cannot_be_had_or_shown_fails_its_reply() -> None:
    link = selecting(Link())
    link.fail[Reveal] = Refusal("vault-unavailable", "the vault is away")
    link.server(row(b"1", link.vault.token("email", b"a@b.c")), done("SELECT 1"), ready())
    assert [told[b"C"] for told in link.errors()] == [b"57P03"]
    link = selecting(Link(settings={"client_encoding": "LATIN1"}))
    link.server(row(b"1", link.vault.token("email", "\u20ac@b.c".encode())), done("SELECT 1"), ready())
    assert [told[b"C"] for told in link.errors()] == [b"22P05"]


@pytest.mark.parametrize("result, under_way", [(2 * SET_ASIDE, 2), (1, 1)])
def test_no_more_is_asked_than_may_wait(result: int, under_way: int) -> None:
    """The first may always be asked for, or nothing would ever go out."""
    link = selecting(Link(limits=Limits(result=result)))
    link.held = (Reveal,)
    tokens = [link.vault.token("email", b"%d@b.c" % n) for n in range(5)]
    for token in tokens:
        link.server(row(b"1", token))
    assert waiting(link) == [1] * under_way
    link.release(1)
    assert waiting(link) == [1] * under_way
    link.release()
    assert kinds(link.got()) == "DDDDD"


def test_nothing_is_asked_while_the_client_has_enough() -> None:
    link = selecting(Link())
    link.session.client_full(True)
    link.server(row(b"1", link.vault.token("email", b"a@b.c")))
    assert asked(link) == [] and link.got() == []
    link.session.client_full(False)
    assert link.drain().got() == [row(b"1", b"a@b.c")]


def test_a_link_that_ended_asks_for_nothing_more() -> None:
    link = selecting(Link())
    link.session.client_full(True)
    link.server(row(b"1", link.vault.token("email", b"a@b.c")))
    link.session.client_eof()
    link.session.client_full(False)
    assert asked(link.drain()) == []


def test_several_columns_are_cut_by_rows() -> None:
    link = selecting(Link(), "select email, born from customers")
    born = link.vault.token("birthday", b"1815-12-10")
    pairs = [large(link, number, 60 * KB) for number in range(4)]
    link.server(*[row(token, born) for _, token in pairs])
    assert link.got() == [row(value, b"1815-12-10") for value, _ in pairs]


def test_rows_of_copy_are_cut_between_frames() -> None:
    link = Link()
    link.client(query("copy customers (id, email) to stdout")).server(OUT)
    link.sent(), link.got()
    pairs = [large(link, number, 40 * KB) for number in range(5)]
    link.server(*[m.build_copy_data(b"%d\t%s\n" % (n, token)) for n, (_, token) in enumerate(pairs)])
    assert link.got() == [m.build_copy_data(b"%d\t%s\n" % (n, value)) for n, (value, _) in enumerate(pairs)]


def test_copied_rows_without_values_go_out() -> None:
    link = Link()
    link.client(query("copy customers (id, email) to stdout")).server(OUT)
    link.sent(), link.got()
    link.server(m.build_copy_data(b"1\t\\N\n"))
    assert link.got() == [m.build_copy_data(b"1\t\\N\n")]


@pytest.mark.parametrize("rows", [1, 3])
def test_what_turns_out_too_large_behind_a_failed_row_is_of_no_matter(rows: int) -> None:
    link = Link()
    link.client(query("begin")).server(done("BEGIN"), ready("T"))
    selecting(link)
    link.held = (Reveal,)
    link.server(row(b"1", link.vault.token("email", b"a@b.c")))
    tokens = [large(link, number, 2 * PIECE)[1] for number in range(rows)]
    link.server(*[row(b"2", token) for token in tokens])
    first, second = link.asks
    link.asks.clear()
    link.session.answer(first.ticket, Failure(Refusal("vault-unavailable", "away")))
    link.drain()
    link.session.answer(second.ticket, link.reply(second.request))
    assert link.drain().asks == [] and not link.closed
    link.server(done("SELECT 2"), ready("T")).server(failed("42601"), ready("E"))
    assert [told[b"C"] for told in link.errors()] == [b"57P03"] and not link.closed
