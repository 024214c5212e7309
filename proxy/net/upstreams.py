"""The servers that a link may go to, in the order of the configuration: which one takes it, and which one has it.

As libpq does it with several hosts (fe-connect.c, PQconnectPoll): the next one is tried where a server can't be
reached, does not answer in time, has no TLS that is good enough, says that it does not take connections now (57P03), or
is not what `target_session_attrs` asks for. What a server is, is asked by an account of our own, because a client's
login can't be taken back (docs/adr/0010).

Invariants: a link sees the connection of one server only; a cancel request goes to the server of its link; with a
single server of any kind nothing is asked and nothing waits.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from struct import unpack_from
from typing import Final, Protocol, cast, final

from proxy.errors import Unavailable
from proxy.kinds import Target
from proxy.net.upstream import FAILURES, Upstream
from proxy.observe import add_gauge, count, log

# Seconds that it counts what a server was: a promotion shows after so long.
STANDING: Final = 1.0
# Seconds for which a server that did not answer in time is tried last: each link would wait for it first.
SLOW: Final = 30.0
ERROR: Final = ord("E")
LONGEST_ERROR: Final = 64 << 10
# The first field of an error is its severity, so this is the field of its code.
CANNOT_CONNECT_NOW: Final = b"\0C57P03\0"
BEHIND_CODE: Final = 8  # of a CancelRequest: its length and code
NOT_NOW: Final = "not-accepting"
UNFIT: Final = "unfit"
UNJUDGED: Final = "unjudged"
REACHED: Final = "reached"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a server is. read_only: its sessions are, by default."""

    standby: bool
    read_only: bool

    @property
    def words(self) -> str:
        return "a standby" if self.standby else "a read-only primary" if self.read_only else "a primary"


def fits(target: Target, standing: Standing) -> bool:
    """Whether a link may go there (libpq's documentation of target_session_attrs); 'prefer-standby' is two of them."""
    if target == "any":
        return True
    if target in ("read-write", "read-only"):
        return (standing.standby or standing.read_only) == (target == "read-only")
    return standing.standby == (target != "primary")


class Served(Protocol):
    """A link. key: process ID and cancel key as the server gave them, b'' before that."""

    @property
    def key(self) -> bytes: ...


Judge = Callable[[Upstream], Awaitable[Standing]]


async def unjudged(_server: Upstream) -> Standing:
    """For 'any', which nobody asks about."""
    raise Unavailable("what a server is")


@final
class Greeting(asyncio.Protocol):
    """Sends the start-up packet and hands the connection over with the first answer, unless that is 'not now'."""

    def __init__(self, protocol: asyncio.Protocol, first: bytes) -> None:
        self._protocol = protocol
        self._first = first
        self._got = b""
        self.transport: asyncio.Transport | None = None
        self.handed = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are of no such class
        self.transport.write(self._first)

    def data_received(self, data: bytes) -> None:
        self._got += data
        if self.done.done() or self.transport is None:
            return
        if self._got[0] == ERROR:
            end = 1 + unpack_from("!I", self._got, 1)[0] if len(self._got) > 4 else 0
            if len(self._got) < max(end, 5) and end <= LONGEST_ERROR:
                return
            if CANNOT_CONNECT_NOW in self._got[:end]:
                self.done.set_exception(NotNow())
                return
        self.handed = True
        self.done.set_result(None)
        self.transport.set_protocol(self._protocol)
        self._protocol.connection_made(self.transport)
        self._protocol.data_received(self._got)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionResetError("closed"))


class NotNow(ConnectionError):
    """57P03: the server starts, stops or takes no connections in recovery."""


@final
class Upstreams:
    """servers: at least one. judge: asks what a server is; it raises Unavailable. moved: called when links go to
    another server than before."""

    def __init__(self, servers: Sequence[Upstream], target: Target = "any", judge: Judge = unjudged) -> None:
        self.servers: Final = tuple(servers)
        self.moved: Callable[[], None] = lambda: None
        self._target: Final = target
        self._judge: Final = judge
        self._locks: Final = {server: asyncio.Lock() for server in servers}
        self._standing: dict[Upstream, tuple[float, Standing | Unavailable]] = {}
        self._slow: dict[Upstream, float] = {}  # until when
        self._serving: dict[Served, Upstream] = {}
        self._last: dict[Upstream, str] = {}
        self._current: Upstream | None = None

    @property
    def greets(self) -> bool:
        """`connect` sends the start-up packet: whether a server takes a link shows in its answer only."""
        return len(self.servers) > 1

    @property
    def order(self) -> list[Upstream]:
        """The configuration's, but what did not answer lately comes last."""
        now = asyncio.get_running_loop().time()
        return sorted(self.servers, key=lambda server: self._slow.get(server, 0.0) > now)

    # ---- links

    async def connect(self, protocol: asyncio.Protocol, first: bytes) -> Upstream:
        """Connect `protocol` to a server, which is returned. first: the start-up packet, where `greets`.

        Raises Unavailable; then, or when it is cancelled, nothing stays open.
        """
        said: dict[str, str] = {}  # why it is not that one
        passes: tuple[Target, ...] = ("standby", "any") if self._target == "prefer-standby" else (self._target,)
        for target in passes:
            for server in self.order:
                why = await self._try(server, target, protocol, first)
                if not why:
                    return server
                said[server.name] = why
        if len(self.servers) == 1:
            raise Unavailable(f"server {self.servers[0].name}", *said.values())
        raise Unavailable("a server for this link", "; ".join(f"{name}: {why}" for name, why in said.items()))

    async def _try(self, server: Upstream, target: Target, protocol: asyncio.Protocol, first: bytes) -> str:
        """Why the link can't go there; '': it has."""
        if target != "any" and (why := await self._unfit(server, target)):
            return why
        try:
            await self._dial(server, protocol, first)
        except FAILURES as error:
            self._failed(server, reason(error))
            return type(error).__name__ if not isinstance(error, NotNow) else "takes no connections now"
        self._reached(server)
        return ""

    async def _dial(self, server: Upstream, protocol: asyncio.Protocol, first: bytes) -> None:
        greeting = Greeting(protocol, first) if self.greets else None
        try:
            async with asyncio.timeout(server.timeout):
                await server.dial(greeting or protocol)
                if greeting is not None:
                    await greeting.done
        except BaseException as error:
            if greeting is not None and greeting.handed:
                if isinstance(error, TimeoutError):
                    return  # it came in that very moment
            elif greeting is not None and greeting.transport is not None:
                greeting.transport.abort()
            raise

    async def _unfit(self, server: Upstream, target: Target) -> str:
        """'' if it fits."""
        standing = await self._asked(server)
        if isinstance(standing, Unavailable):
            self._failed(server, UNJUDGED)
            return f"what it is can't be asked ({standing})"
        if fits(target, standing):
            return ""
        self._failed(server, UNFIT)
        return f"is {standing.words}"

    async def _asked(self, server: Upstream) -> Standing | Unavailable:
        """What it is, or was a moment ago. Links that want to know at the same time share the answer."""
        loop = asyncio.get_running_loop()
        async with self._locks[server]:
            when, known = self._standing.get(server, (-STANDING, Standing(False, False)))
            if when + STANDING > loop.time():
                return known
            try:
                async with asyncio.timeout(server.timeout):
                    known = await self._judge(server)
            except Unavailable as gone:
                known = gone
            except TimeoutError:
                known = Unavailable("the server", "TimeoutError")
                self._slow[server] = loop.time() + SLOW
            self._standing[server] = loop.time(), known
            return known

    def _failed(self, server: Upstream, why: str) -> None:
        count("upstream_dials", server=server.name, outcome=why)
        if why == "timeout":
            self._slow[server] = asyncio.get_running_loop().time() + SLOW
        if why not in (UNFIT, UNJUDGED):
            self._standing.pop(server, None)
        if self._last.get(server) != why:
            self._last[server] = why
            log("upstream-passed-over", "info" if why == UNFIT else "warning", server=server.name[:255], reason=why)

    def _reached(self, server: Upstream) -> None:
        count("upstream_dials", server=server.name, outcome=REACHED)
        self._slow.pop(server, None)
        if self._last.get(server, REACHED) != REACHED:
            log("upstream-back", server=server.name[:255])
        self._last[server] = REACHED
        before, self._current = self._current, server
        if before not in (None, server):
            log("upstream-moved", "warning", server=server.name[:255])
            self.moved()

    def serve(self, link: Served, server: Upstream) -> None:
        """The link has this server, until it leaves."""
        self._serving[link] = server
        add_gauge("upstream_links", 1, server=server.name)

    def leave(self, link: Served) -> None:
        """Again, or without a server: nothing happens."""
        server = self._serving.pop(link, None)
        if server is not None:
            add_gauge("upstream_links", -1, server=server.name)

    # ---- the rest

    async def cancel(self, packet: bytes) -> None:
        """Pass a CancelRequest on to the server of its link. A key that is none of our links' may be one of another
        process's: all get it, and ignore what they did not give out."""
        found = [server for link, server in self._serving.items() if link.key == packet[BEHIND_CODE:]]
        if self.greets and found:
            await found[0].cancel(packet)
        else:
            await asyncio.gather(*(server.cancel(packet) for server in self.servers))

    def renew(self, context: ssl.SSLContext | None) -> None:
        """Certificates have changed: for connections from now on."""
        for server in self.servers:
            server.renew(context)

    def told(self) -> list[dict[str, object]]:
        """For /readyz: each server, how many links it has, what came of the last try."""
        links = list(self._serving.values())
        return [
            {"server": each.name, "links": links.count(each), "last": self._last.get(each, "untried")}
            for each in self.servers
        ]


def reason(error: BaseException) -> str:
    """Why a server was not reached, as the metric has it."""
    if isinstance(error, NotNow):
        return NOT_NOW
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, socket.gaierror | UnicodeError):
        return "name"
    return "failed"
