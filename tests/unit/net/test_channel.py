"""Messages and descriptors between processes, over a pair of sockets."""

import os
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from proxy.net import channel as module
from proxy.net.channel import HEAD, Channel
from tests.unit.net.stage import until
from tests.vault.kit import asynchronous


class Ends:
    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.raw = theirs.dup()
        self.got: list[tuple[bytes, list[int]]] = []
        self.over: list[str] = []
        self.one = Channel(ours, lambda *told: None, lambda: self.over.append("one"))
        self.other = Channel(theirs, lambda *told: self.got.append(told), lambda: self.over.append("other"))


def between(test: Callable[[Ends], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @asynchronous
    async def run() -> None:
        ends = Ends()
        try:
            await test(ends)
        finally:
            ends.one.close()
            ends.other.close()
            ends.raw.close()
            for _, descriptors in ends.got:
                for each in descriptors:
                    os.close(each)

    return run


@between
async def test_messages_come_whole_and_in_order_with_their_descriptors(ends: Ends) -> None:
    read, write = os.pipe()
    ends.one.send(b"first")
    ends.one.send(b"", [write])
    ends.one.send(b"x" * 3_000_000)
    ends.one.send(b"last", [read, write])
    os.close(write)
    os.close(read)
    await until(lambda: len(ends.got) == 4)
    assert [message for message, _ in ends.got] == [b"first", b"", b"x" * 3_000_000, b"last"]
    assert [len(descriptors) for _, descriptors in ends.got] == [0, 1, 0, 2]
    os.write(ends.got[1][1][0], b"through")
    assert os.read(ends.got[3][1][0], 10) == b"through"


@between
async def test_the_end_of_one_is_told_to_the_other_once(ends: Ends) -> None:
    ends.raw.close()
    ends.one.close()
    await until(lambda: ends.over == ["one", "other"])
    ends.one.close()
    ends.one.send(b"nobody")
    assert ends.one.closed and ends.over == ["one", "other"]


@between
async def test_what_waits_is_let_go_at_the_end(ends: Ends) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    read, write = os.pipe()
    for _ in range(200):
        ends.one.send(b"x" * 100_000, [read])
    os.close(read)
    os.close(write)
    ends.one.close()
    if before:
        await until(lambda: "other" in ends.over or ends.raw.fileno() >= 0)
        assert len(os.listdir("/proc/self/fd")) <= before + len(ends.got)


@between
async def test_what_is_no_message_ends_it(ends: Ends) -> None:
    for data in (HEAD.pack(module.LONGEST + 1, 0), HEAD.pack(1, 1) + b"x", HEAD.pack(0, 255)):
        other = Ends()
        other.raw.close()
        raw = other.one._end.dup()
        raw.send(data)
        await until(lambda of=other: "other" in of.over)
        raw.close()
        other.one.close()
        assert other.got == []
