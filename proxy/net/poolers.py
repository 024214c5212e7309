"""Whether a pooler stands between pgveil and the server, and whether links can go through it.

A link is taken for a server session of its own, from login to end: what its SETs, its temporary tables and its
start-up parameters say decides what names mean on it. A pooler in transaction or statement mode gives the session to
others in between, and nothing on a link shows it: a value would be stored in clear where a name means another table.
So an account of ours looks, as the links would come: a session whose process is not the one that the log-in named
comes from a pooler, and one that two open connections have got is shared.

Not a proof that there is none: a pooler may have other modes for other users, and a busy one may hand out two sessions.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import asyncpg

from proxy.errors import Refusal, Unavailable
from proxy.net.catalog import APPLICATION, REFUSED, with_database
from proxy.net.upstream import Upstream
from proxy.observe import log
from proxy.session.world import DIRECT, Pooling

SHARED: Final = Refusal(
    "pooled-transactions",
    "a pooler between pgveil and the server gives one server session to several connections",
    "Have it pool sessions (PgBouncer: pool_mode = session), or put it before pgveil.",
)
UNKNOWN: Final = Pooling(True)
STATEMENTS: Final = "statement pooling mode"  # what PgBouncer says to BEGIN there
# Seconds for each connection: the first link to a database waits for it.
PATIENCE: Final = 2.0
PROCESS: Final = "SELECT pg_catalog.pg_backend_pid()"
Look = Callable[[str], Awaitable[Pooling]]


async def nothing_between(_database: str) -> Pooling:
    """Where nobody looks."""
    return DIRECT


class Poolers:
    """url: of the `catalog` account. servers: those of the links. seconds: for each connection."""

    def __init__(self, url: str, servers: Sequence[Upstream], seconds: float) -> None:
        self._url = url
        self._servers = servers
        self._seconds = min(seconds, PATIENCE)
        self._told: dict[str, str] = {}

    async def look(self, database: str) -> Pooling:
        """The worst that any server's way has; a server that is not there at all counts for nothing. Never raises."""
        found = await asyncio.gather(*[self._there(server, database) for server in self._servers])
        worst = max(found, key=lambda pooling: (pooling.closed is not None, pooling.between))
        if worst.closed is not None:
            self._tell(database, "upstream-shares-sessions", self._servers[0].name)
        elif worst.between and worst is not UNKNOWN:
            self._tell(database, "upstream-pooled", self._servers[0].name)
        return worst

    async def _there(self, server: Upstream, database: str) -> Pooling:
        try:
            return await self.at(server.host, server.port, database)
        except OSError:  # TimeoutError too
            return DIRECT
        except Unavailable:
            self._tell(database, "upstream-unjudged", server.name)
            return UNKNOWN

    def _tell(self, database: str, event: str, server: str) -> None:
        """Once, until it is another."""
        if self._told.get(database) != event:
            self._told[database] = event
            log(event, "info" if event == "upstream-pooled" else "warning", database=database, server=server[:255])

    async def at(self, host: str, port: int, database: str) -> Pooling:
        """What the way to this server has. Raises OSError, and Unavailable where the account may not log in."""
        try:
            first = await self._connect(host, port, database)
            try:
                process = await _process(first)
                if process == first.get_server_pid():
                    return DIRECT
                second = await self._connect(host, port, database)
                try:
                    return Pooling(True, SHARED if await _process(second) == process else None)
                finally:
                    second.terminate()
            finally:
                first.terminate()
        except OSError:
            raise
        except REFUSED as error:
            if STATEMENTS in str(error):
                return Pooling(True, SHARED)
            raise Unavailable("the server", f"{type(error).__name__} as the `catalog` account") from None

    async def _connect(self, host: str, port: int, database: str) -> "asyncpg.Connection[Any]":
        return await asyncpg.connect(
            with_database(self._url, database),
            host=host,
            port=port,
            timeout=self._seconds,
            command_timeout=self._seconds,
            server_settings={"application_name": APPLICATION},
            statement_cache_size=0,
        )


async def _process(connection: "asyncpg.Connection[Any]") -> int:
    """Of the session that it has, for the length of a transaction."""
    async with connection.transaction():
        process: int = await connection.fetchval(PROCESS)
        return process
