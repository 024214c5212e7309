"""The addresses that are listened on: TCP, and Unix sockets named as PostgreSQL names its own.

Invariants: all of them or none; a Unix socket on which somebody listens is never taken away, one that a killed process
left is; only a socket of our own is removed at the end, though another process may have put one in its place.
"""

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, final

from proxy.endpoints import Endpoint, Unix
from proxy.errors import Unavailable

BACKLOG: Final = 1024  # connections that wait to be accepted: a pool that opens all of its own at once
# Who may log in is the server's to say, as on its own socket.
EVERYBODY: Final = 0o777

Arrive = Callable[[], asyncio.Protocol]


@final
class Listeners:
    """tcp, unix: make the protocol of a connection that arrives that way."""

    def __init__(self, tcp: Arrive, unix: Arrive) -> None:
        self._tcp = tcp
        self._unix = unix
        self._servers: list[asyncio.Server] = []
        self._sockets: dict[str, int] = {}  # path -> inode

    async def open(self, endpoints: Iterable[Endpoint]) -> None:
        """Raises Unavailable, with nothing left listening."""
        for endpoint in endpoints:
            try:
                await self._open(endpoint)
            except OSError as error:
                self.close()
                raise Unavailable(f"the address {endpoint}", error.strerror or "can't listen") from None

    async def _open(self, endpoint: Endpoint) -> None:
        loop = asyncio.get_running_loop()
        if isinstance(endpoint, Unix):
            path = endpoint.path
            free(path)
            self._servers.append(await loop.create_unix_server(self._unix, path, backlog=BACKLOG))
            self._sockets[path] = os.lstat(path).st_ino
            os.chmod(path, EVERYBODY)
        else:
            server = await loop.create_server(self._tcp, endpoint.host, endpoint.port, backlog=BACKLOG)
            self._servers.append(server)

    def close(self) -> None:
        """Accept nothing more. Connections that are there stay. Again: nothing happens."""
        for path, inode in self._sockets.items():
            with suppress(OSError):
                if os.lstat(path).st_ino == inode:
                    os.unlink(path)
        for server in self._servers:
            server.close()
        self._sockets.clear()
        self._servers.clear()


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
