"""A network that lies: proxies on a loop of their own that cut bytes into odd pieces, delay, stall, reset, close or
half-close at a byte of choice. Nothing is lost in the middle, repeated or changed, as with TCP itself.

    with Storm() as storm:
        front = storm.proxy(port)              # calm until it is given dice
        front.dice = random.Random(7)          # each connection made from now on has weather of its own
        storm.run(coroutine)                   # on the loop, for clients

What befalls a connection depends on the dice alone; when it does, on the machine.
"""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Literal, TypeVar

T = TypeVar("T")
End = Literal["close", "reset", "half"]

WHOLE: Final = 1 << 16
LONGEST: Final = 0.2  # seconds of a stall


@dataclass(frozen=True, slots=True)
class Weather:
    """Of one direction of one connection. piece: bytes at most that go on at once. delay: seconds before each of the
    first few. stall: (after so many bytes, seconds). end: (after so many bytes, how)."""

    piece: int = WHOLE
    delay: float = 0.0
    stall: tuple[int, float] | None = None
    end: tuple[int, End] | None = None

    @classmethod
    def throw(cls, dice: random.Random) -> "Weather":
        """Often calm in part; one direction in three ends early, at a byte that is more likely an early one."""
        piece = dice.choice((WHOLE, WHOLE, 1, 3, 7, 64, 1000, 8191))
        delay = dice.choice((0.0, 0.0, 0.0, 0.002, 0.008))
        stall = (_byte(dice), dice.uniform(0.02, LONGEST)) if dice.random() < 0.25 else None
        ends: tuple[End, ...] = ("close", "reset", "half")
        end = (_byte(dice), dice.choice(ends)) if dice.random() < 0.33 else None
        return cls(piece, delay, stall, end)


def _byte(dice: random.Random) -> int:
    return int(10 ** dice.uniform(0, 5.3)) - 1


CALM: Final = Weather()
LINGER: Final = 2.0
DELAYED: Final = 20  # pieces of a direction that are delayed, and those that are small; more would only take time
SMALL: Final = 2000


class Storm:
    """The loop, its thread, and all that runs there; `close` ends it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self._proxies: list[Proxy] = []

    def __enter__(self) -> "Storm":
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def run(self, coro: Coroutine[Any, Any, T], seconds: float = 120) -> T:
        return asyncio.run_coroutine_threadsafe(coro, self.loop).result(seconds)

    def proxy(self, upstream: int) -> "Proxy":
        """Listens on a port of its own and goes on to 127.0.0.1:upstream."""
        made = Proxy(upstream)
        self.run(made.open())
        self._proxies.append(made)
        return made

    def close(self) -> None:
        for proxy in self._proxies:
            self.run(proxy.shut())
        self.run(self._settle())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    async def _settle(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class Proxy:
    """dice: None is calm. open: connections through it now."""

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.dice: random.Random | None = None
        self.port = 0
        self.ended = 0  # connections that the weather ended
        self._relays: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def open_now(self) -> int:
        return len(self._relays)

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._arrived, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def shut(self) -> None:
        assert self._server is not None
        self._server.close()
        for relay in list(self._relays):
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    def _arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dice = self.dice
        ways = (CALM, CALM) if dice is None else (Weather.throw(dice), Weather.throw(dice))
        task = asyncio.get_running_loop().create_task(self._relay(reader, writer, *ways))
        self._relays.add(task)
        task.add_done_callback(self._relays.discard)

    async def _relay(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, up: Weather, down: Weather
    ) -> None:
        writers = [writer]
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self.upstream)
            writers.append(forth)
            for one in writers:
                one.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ways = [asyncio.ensure_future(each) for each in (_go(reader, forth, up), _go(back, writer, down))]
            try:
                await self._until_over(ways, writers)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass  # nobody listens, or a side is gone
        finally:
            for one in writers:
                one.close()
            # Who does not take the rest has no connection any more: a server that waits for its own bytes to be taken
            # would not notice otherwise.
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(asyncio.gather(*(one.wait_closed() for one in writers)), LINGER)
            for one in writers:
                one.transport.abort()

    async def _until_over(self, ways: "list[asyncio.Future[End | None]]", writers: list[asyncio.StreamWriter]) -> None:
        """An end of a direction is the other side's matter, if it is one that TCP passes on; else it ends both."""
        waiting = set(ways)
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for how in [way.result() for way in done]:
                self.ended += how is not None
                if how == "reset":
                    for one in writers:
                        _reset(one)
                if how in ("close", "reset"):
                    return


async def _go(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, weather: Weather) -> End | None:
    """One direction, until its source has ended (None) or the weather ends it."""
    gone, pieces, delayed = 0, 0, DELAYED if weather.delay else 0
    stall, end = weather.stall, weather.end
    while data := await _read(reader):
        at = 0
        while at < len(data):
            pieces += 1
            size = min(weather.piece if pieces < SMALL else WHOLE, len(data) - at)
            if stall is not None and gone + size > stall[0]:
                await asyncio.sleep(stall[1])
                stall = None
            if end is not None and gone + size > end[0]:
                size = max(0, end[0] - gone)
                await _write(writer, data[at : at + size])
                if end[1] == "half":
                    await _half(writer)
                return end[1]
            if delayed:
                delayed -= 1
                await asyncio.sleep(weather.delay)
            if not await _write(writer, data[at : at + size]):
                return None
            gone += size
            at += size
    await _half(writer)
    return None


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(WHOLE)
    except OSError:
        return b""


async def _write(writer: asyncio.StreamWriter, data: bytes) -> bool:
    """False: the receiver is gone; the source learns it from the other direction."""
    if writer.is_closing():
        return False
    try:
        writer.write(data)
        await writer.drain()
    except OSError:
        return False
    return True


async def _half(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Linger of zero: close sends RST (socket(7))."""
    found = writer.transport.get_extra_info("socket")
    with contextlib.suppress(OSError):
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
