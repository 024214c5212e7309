"""Who knows of what, and what happens when somebody can't be told."""

import asyncio
from typing import Any

import pytest

from proxy.errors import Unavailable
from proxy.net.notices import Bus, Notice, Peer, is_one, read, written
from proxy.net.tasks import Tasks
from tests.unit.net.stage import turns, until
from tests.vault.kit import asynchronous

VIEW = Notice("catalog", "shop")


def link(one: Bus, other: Bus, seconds: float = 60.0) -> tuple[Peer, Peer]:
    """Two processes that can tell each other."""
    there = Peer(lambda message: other.heard(back, message, lambda answer: one.heard(there, answer, none)), seconds)
    back = Peer(lambda message: one.heard(there, message, lambda answer: other.heard(back, answer, none)), seconds)
    one.peers.append(there)
    other.peers.append(back)
    return there, back


def none(message: object) -> None:
    raise AssertionError("an answer to an answer")


class Heeds:
    """What a process was told. gate: it takes until that is open."""

    def __init__(self) -> None:
        self.seen: list[Notice] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails = False
        self.bus = Bus(self.heed, Tasks())

    async def heed(self, notice: Notice) -> None:
        await self.gate.wait()
        if self.fails:
            raise Unavailable("the catalog")
        self.seen.append(notice)


def test_a_notice_is_read_as_it_was_written() -> None:
    for notice in (VIEW, Notice("mixed", "shop", ("public.a.b", "x"))):
        assert read(written(7, notice)) == (7, notice) and is_one(written(7, notice))
    assert is_one({"known": 1}) and not is_one({"link": 1})


@asynchronous
async def test_everybody_behind_a_peer_knows_when_tell_comes_back() -> None:
    first, middle, last = Heeds(), Heeds(), Heeds()
    link(first.bus, middle.bus)
    link(middle.bus, last.bus)
    last.gate.clear()
    telling = asyncio.get_running_loop().create_task(first.bus.tell(VIEW))
    await until(lambda: middle.seen)
    await turns()
    assert not telling.done()
    last.gate.set()
    await telling
    assert last.seen == [VIEW] and first.seen == []


@asynchronous
async def test_nobody_answers_for_one_that_could_not_be_told() -> None:
    first, middle = Heeds(), Heeds()
    there, _ = link(first.bus, middle.bus)
    middle.fails = True
    telling = asyncio.get_running_loop().create_task(first.bus.tell(VIEW))
    await turns()
    assert not telling.done()
    there.gone()
    await telling


@asynchronous
async def test_one_that_is_gone_has_no_links() -> None:
    said: list[Any] = []
    peer = Peer(said.append, 60.0)
    telling = asyncio.get_running_loop().create_task(peer.tell(VIEW))
    await until(lambda: said)
    peer.known(99)
    peer.gone()
    peer.known(1)
    await telling
    await peer.tell(VIEW)
    assert len(said) == 1


@asynchronous
async def test_one_that_others_are_behind_must_not_be_gone() -> None:
    peer = Peer(lambda message: None, 60.0, needed=True)
    telling = asyncio.get_running_loop().create_task(peer.tell(VIEW))
    await turns()
    peer.gone()
    with pytest.raises(Unavailable, match="on its own"):
        await telling
    with pytest.raises(Unavailable, match="on its own"):
        await peer.tell(VIEW)


@asynchronous
async def test_one_that_does_not_answer_is_ended_where_that_can_be_done() -> None:
    ended: list[int] = []

    def end() -> None:
        ended.append(1)
        asyncio.get_running_loop().call_soon(peer.gone)

    peer = Peer(lambda message: None, 0.01, end)
    await peer.tell(VIEW)
    assert ended == [1]
    with pytest.raises(Unavailable, match="does not answer"):
        await Peer(lambda message: None, 0.01).tell(VIEW)


@asynchronous
async def test_what_is_mentioned_is_not_waited_for() -> None:
    one, other = Heeds(), Heeds()
    one.bus.mention(VIEW)
    link(one.bus, other.bus)
    one.bus.mention(VIEW)
    await until(lambda: other.seen)
    one.bus.peers.append(gone := Peer(lambda message: None, 60.0, needed=True))
    gone.gone()
    one.bus.mention(VIEW)
    await until(lambda: len(other.seen) == 2)
    await turns()
