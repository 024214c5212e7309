"""The addresses that are listened on: TCP, and Unix sockets named as PostgreSQL names its own.

Their sockets are made here, or come from the process whose place is taken (handover). A connection that waits to be
accepted belongs to the socket, not to a process: nothing is lost while one of them has it.

Invariants: all of them or none; a Unix socket on which somebody listens is never taken away, one that a killed process
left is; only a socket of our own is removed at the end, though another process may have put one in its place, and none
that was handed over.
"""

import asyncio
import errno
import os
import socket
import stat
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, final

from proxy.endpoints import Endpoint, Tcp, Unix
from proxy.errors import Unavailable

BACKLOG: Final = 1024  # connections that wait to be accepted: a pool that opens all of its own at once
# Who may log in is the server's to say, as on its own socket.
EVERYBODY: Final = 0o777

# From 3.13 on a loop removes the file with its server; ours belongs to the address, which another may listen on next.
KEPT: Final[dict[str, Any]] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}

SETTLING: Final = 5  # turns of the loop from accepting a connection to its protocol's first call

Arrive = Callable[[], asyncio.Protocol]


@dataclass(slots=True)
class Listening:
    """An address and its sockets: a name may stand for several addresses. inode: of a Unix socket's file."""

    endpoint: Endpoint
    sockets: list[socket.socket] = field(default_factory=list)
    inode: int = 0

    def close(self, remove: bool) -> None:
        """remove: the file of a Unix socket, if it is still this one."""
        if remove and isinstance(self.endpoint, Unix):
            with suppress(OSError):
                if os.lstat(self.endpoint.path).st_ino == self.inode:
                    os.unlink(self.endpoint.path)
        for each in self.sockets:
            each.close()
        self.sockets.clear()


class Door(Protocol):
    """Where connections come from."""

    async def open(self, tcp: Arrive, unix: Arrive) -> None:
        """Let them in from now on. tcp, unix: make the protocol of one that arrives that way. Raises Unavailable."""

    def close(self) -> None:
        """Let none in any more. Those that are there stay. Again: nothing happens."""

    async def settle(self) -> None:
        """Those that were let in before `close` have become links."""


def listen(endpoints: Iterable[Endpoint], given: Mapping[str, list[socket.socket]] | None = None) -> list[Listening]:
    """Sockets of all addresses. given: those that are there already, by the address as it is written.

    Raises Unavailable, with nothing left listening but what was given.
    """
    made: list[Listening] = []
    for endpoint in endpoints:
        sockets = (given or {}).get(str(endpoint))
        try:
            made.append(_bound(endpoint) if sockets is None else _taken(endpoint, sockets))
        except OSError as error:
            for each in made:
                each.close(str(each.endpoint) not in (given or {}))
            raise Unavailable(f"the address {endpoint}", error.strerror or "can't listen") from None
    return made


def _taken(endpoint: Endpoint, sockets: list[socket.socket]) -> Listening:
    return Listening(endpoint, sockets, os.lstat(endpoint.path).st_ino if isinstance(endpoint, Unix) else 0)


def _bound(endpoint: Endpoint) -> Listening:
    made = Listening(endpoint)
    try:
        if isinstance(endpoint, Unix):
            free(endpoint.path)
            one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            made.sockets.append(one)
            one.bind(endpoint.path)
            made.inode = os.lstat(endpoint.path).st_ino
            os.chmod(endpoint.path, EVERYBODY)
            one.listen(BACKLOG)
        else:
            made.sockets += _bound_tcp(endpoint)
    except BaseException:
        made.close(True)
        raise
    return made


def _bound_tcp(endpoint: Tcp) -> list[socket.socket]:
    """One for each address that the name stands for, as asyncio's own create_server has them. Without SO_REUSEPORT: two
    processes by mistake would share the address without a word (docs/adr/0011)."""
    made: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            one = socket.socket(family, kind, protocol)
            made.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(address)
            one.listen(BACKLOG)
    except BaseException:
        for each in made:
            each.close()
        raise
    return made


def close(listening: Iterable[Listening], remove: bool) -> None:
    """remove: the files of Unix sockets; not of those that another process listens on now."""
    for each in listening:
        each.close(remove)


@final
class Listeners:
    """The door of a process that accepts itself. listening: stays its owner's."""

    def __init__(self, listening: list[Listening]) -> None:
        self._listening: Final = listening
        self._servers: list[asyncio.Server] = []

    async def open(self, tcp: Arrive, unix: Arrive) -> None:
        loop = asyncio.get_running_loop()
        for each in self._listening:
            for one in each.sockets:
                # a copy: it is closed with the server, and the address may have to be opened again
                if isinstance(each.endpoint, Unix):
                    made = await loop.create_unix_server(unix, sock=one.dup(), backlog=BACKLOG, **KEPT)
                else:
                    made = await loop.create_server(tcp, sock=one.dup(), backlog=BACKLOG)
                self._servers.append(made)

    def close(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def settle(self) -> None:
        for _ in range(SETTLING):
            await asyncio.sleep(0)


def free(path: str) -> None:
    """Remove a Unix socket that nobody listens on. Raises OSError if somebody does, or if it is none."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "there is a file of that name that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            pass  # its queue is full: somebody listens
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
