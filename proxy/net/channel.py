"""Messages, with descriptors, between processes of pgveil over a Unix stream socket.

A frame is two numbers (bytes that follow, descriptors that belong to it) and the bytes; what they mean is the business
of the two ends. Descriptors travel with the first byte of their frame, so they are never behind it (unix(7)).

Invariants: messages arrive whole, in order, or the channel is over; a descriptor that nobody takes is closed.
"""

import asyncio
import os
import socket
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from struct import Struct
from typing import Final, final

HEAD: Final = Struct("!IB")
READ: Final = 64 << 10
MOST_DESCRIPTORS: Final = 64  # of a message: the addresses that are listened on
LONGEST: Final = 64 << 20  # a policy of all files, a page of metrics

# message, its descriptors: whoever is told owns them.
Told = Callable[[bytes, list[int]], None]


@final
class Channel:
    """told: called with each message. over: called once, when the other end is gone or `close` was called."""

    def __init__(self, end: socket.socket, told: Told, over: Callable[[], None]) -> None:
        end.setblocking(False)
        self._end = end
        self._told = told
        self._over = over
        self._loop = asyncio.get_running_loop()
        self._got = bytearray()
        self._descriptors: deque[int] = deque()
        self._out: deque[tuple[memoryview, tuple[int, ...]]] = deque()
        self._closed = False
        self._loop.add_reader(end, self._readable)

    @property
    def closed(self) -> bool:
        return self._closed

    def send(self, message: bytes, descriptors: Sequence[int] = ()) -> None:
        """In order, at once or when the other end takes it. Descriptors are copied now, the caller's stay its own."""
        if self._closed:
            return
        copies = tuple([os.dup(each) for each in descriptors])
        waits = bool(self._out)
        self._out.append((memoryview(HEAD.pack(len(message), len(copies)) + message), copies))
        if not waits:
            self._writable()

    def close(self) -> None:
        """Again: nothing happens."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._end)
        self._loop.remove_writer(self._end)
        self._end.close()
        for _, copies in self._out:
            _close(copies)
        self._out.clear()
        _close(self._descriptors)
        self._descriptors.clear()
        self._over()

    # ---- out

    def _writable(self) -> None:
        while self._out:
            data, copies = self._out[0]
            try:
                sent = _send(self._end, data, copies)
            except (BlockingIOError, InterruptedError):
                self._loop.add_writer(self._end, self._writable)
                return
            except OSError:
                self.close()
                return
            _close(copies)
            if sent < len(data):
                self._out[0] = (data[sent:], ())
            else:
                self._out.popleft()
        self._loop.remove_writer(self._end)

    # ---- in

    def _readable(self) -> None:
        try:
            data, descriptors = receive(self._end)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.close()
            return
        self._descriptors.extend(descriptors)
        self._got += data
        if not data:
            self.close()
            return
        self._messages()

    def _messages(self) -> None:
        got = self._got
        while len(got) >= HEAD.size and not self._closed:
            length, count = HEAD.unpack_from(got)
            if length > LONGEST or count > MOST_DESCRIPTORS:
                self.close()
                return
            end = HEAD.size + length
            if len(got) < end:
                return
            if len(self._descriptors) < count:  # the process may have no more descriptors (MSG_CTRUNC)
                self.close()
                return
            message = bytes(got[HEAD.size : end])
            del got[:end]
            self._told(message, [self._descriptors.popleft() for _ in range(count)])


def _send(end: socket.socket, data: memoryview, descriptors: Sequence[int]) -> int:
    if not descriptors:
        return end.send(data)
    return end.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))])


def receive(end: socket.socket) -> tuple[bytes, list[int]]:
    """What is there: bytes (b'' at the end) and descriptors. Raises OSError."""
    found = array("i")
    room = socket.CMSG_SPACE(MOST_DESCRIPTORS * found.itemsize)
    data, ancillary, _, _ = end.recvmsg(READ, room, getattr(socket, "MSG_CMSG_CLOEXEC", 0))
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(content[: len(content) - len(content) % found.itemsize])
    return data, list(found)


def _close(descriptors: Sequence[int] | deque[int]) -> None:
    for each in descriptors:
        with suppress(OSError):
            os.close(each)
