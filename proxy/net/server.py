"""The running program: listeners, links, reloads, shutdown.

`serve` brings up everything or nothing, says `ready: listening on …` once it accepts connections, and comes back when
the last link has ended after a signal.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, cast, final

from proxy.config import Settings
from proxy.endpoints import Endpoint, Unix
from proxy.errors import Refusal, Unavailable
from proxy.net.answers import Answers
from proxy.net.catalog import CatalogReader
from proxy.net.link import Half, Link
from proxy.net.tasks import Tasks
from proxy.net.upstream import Upstream
from proxy.net.worlds import Worlds
from proxy.observe import add_gauge, count, log, set_gauge
from proxy.policy.rules import Policy
from proxy.session.limits import Limits
from proxy.session.session import Session
from proxy.session.state import error_response
from proxy.session.world import World
from proxy.vault.vault import Vault

TICK: Final = 1.0  # seconds between looks at time-outs
# Threads that make plans: the work is Python's, more would only take turns.
ANALYSERS: Final = 1
# Links over the bound that may wait to be told so; more are closed unheard.
TURNED_AWAY: Final = 100
TOO_MANY: Final = Refusal("too-many-connections", "sorry, too many clients already", "See limits.connections.")


@final
class Server:
    """ready_line: called once, with the addresses that are listened on."""

    def __init__(
        self, settings: Settings, vault: Vault, policy: Policy, upstream: Upstream, ready_line: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._vault = vault
        self._upstream = upstream
        self._ready_line = ready_line
        self._links: set[Link] = set()
        self._turned_away = 0  # of them: those that are only waited for to tell them so
        self._tasks = Tasks()
        self._listeners: list[asyncio.Server] = []
        self._analysers = ThreadPoolExecutor(ANALYSERS, "analyse")
        reader = CatalogReader(settings.catalog.text, settings.timeouts.catalog)
        self.worlds = Worlds(reader, policy, settings.limits.plans, self._renew)
        self._answers = Answers(vault, self.worlds, self._analysers, settings.timeouts.analyse)
        self._vault_answers = True
        self._stopping = asyncio.Event()
        self._empty = asyncio.Event()

    # ---- life

    async def run(self) -> None:
        """Serve until a signal stops it. Raises Unavailable if an address can't be had."""
        await self._listen()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        self._tasks.spawn(self._ticking(), "tick")
        self._tasks.spawn(self._looking_at_vault(), "vault")
        self._tasks.spawn(self._refreshing(), "refresh")
        self._ready_line("ready: listening on " + ", ".join(str(each) for each in self._settings.listen))
        await self._stopping.wait()
        await self._drain()
        await self._tasks.cancel()
        self._analysers.shutdown(cancel_futures=True)

    def stop(self) -> None:
        self._stopping.set()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for endpoint in self._settings.listen:
            try:
                if isinstance(endpoint, Unix):
                    server = await loop.create_unix_server(self._accept_unix, _free(endpoint.path))
                    os.chmod(endpoint.path, 0o777)  # who may log in is the server's to say, as on its own socket
                else:
                    server = await loop.create_server(self._accept_tcp, endpoint.host, endpoint.port, backlog=1024)
            except OSError as error:
                raise Unavailable(f"the address {endpoint}", error.strerror or "can't listen") from None
            self._listeners.append(server)

    async def _drain(self) -> None:
        """No new links; those that are idle end at once, the others with their transaction, all within the bound."""
        for server in self._listeners:
            server.close()
        log("draining", count=len(self._links))
        for link in list(self._links):
            link.drain()
        if self._links:
            try:
                await asyncio.wait_for(self._empty.wait(), self._settings.timeouts.drain)
            except TimeoutError:
                for link in list(self._links):
                    link.abort()
        for endpoint in self._settings.listen:
            _remove_socket(endpoint)

    async def _ticking(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK)
            now = loop.time()
            stopping = self._stopping.is_set()
            for link in list(self._links):
                link.tick(now)
                if stopping:
                    link.drain()
            self._count_plans()

    def _count_plans(self) -> None:
        """Plan caches of the worlds in use; what a replaced world counted since the last tick is lost."""
        for world in self.worlds.all:
            hits, misses = world.plans.take_counts()
            count("plan_cache_hits", hits)
            count("plan_cache_misses", misses)
        set_gauge("plan_cache_size", sum(len(world.plans) for world in self.worlds.all))

    async def _looking_at_vault(self) -> None:
        """For /readyz; apart from the ticks, since a stalled disk makes it wait."""
        while True:
            try:
                await self._vault.ping()
                self._vault_answers = True
            except Unavailable:
                self._vault_answers = False
            await asyncio.sleep(TICK)

    async def _refreshing(self) -> None:
        while True:
            await asyncio.sleep(self._settings.catalog_refresh)
            await self.worlds.refresh()
            set_gauge("catalog_drift", sum(len(world.snapshot.drift) for world in self.worlds.all))

    # ---- links

    def _accept_tcp(self) -> asyncio.Protocol:
        return _Arrival(self)

    def _accept_unix(self) -> asyncio.Protocol:
        return _Arrival(self)

    def open(self, client: str) -> Half | None:
        """The client half of a new link, or None if there are far too many. One too many is told so when it has said
        what it wants, as the server does: libpq shows no error that comes before, and a cancel request needs no place.
        """
        most = self._settings.limits.connections
        if len(self._links) >= most + TURNED_AWAY:
            count("links", outcome="refused")
            return None
        turned_away = TOO_MANY if len(self._links) - self._turned_away >= most else None
        deadline = asyncio.get_running_loop().time() + self._settings.timeouts.startup
        bounds = self._settings.limits
        limits = Limits(bounds.waiting, bounds.result_buffer, bounds.statement, bounds.statements, deadline)
        session = Session(client, limits=limits, turned_away=turned_away)
        link = Link(session, self._upstream, self._answers, self._tasks, self._closed)
        self._links.add(link)
        self._turned_away += turned_away is not None
        add_gauge("open_links", 1)
        return link.client

    def _closed(self, link: Link) -> None:
        if link in self._links:
            self._links.discard(link)
            add_gauge("open_links", -1)
            refused = link.session.turned_away is not None
            self._turned_away -= refused
            count("links", outcome="refused" if refused else "closed")
            if not self._links and self._stopping.is_set():
                self._empty.set()

    def _renew(self, world: World) -> None:
        """Every link of the database goes on with another world."""
        for link in self._links:
            if link.session.state.principal.database == world.snapshot.database:
                link.session.renew(world)

    # ---- policy

    def policy_changed(self, policy: Policy) -> None:
        """A new policy was read without faults."""
        modes = {name: each.tokens for name, each in policy.classes.items()}
        self._vault.configure(modes)
        self.worlds.renew(policy)
        for link in self._links:
            link.session.policy_changed()

    def readiness(self) -> tuple[bool, Mapping[str, object]]:
        worlds = self.worlds.all
        drift = [f"{d.file}:{d.line}: {d.what}" for world in worlds for d in world.snapshot.drift]
        details = {
            "links": len(self._links),
            "draining": self._stopping.is_set(),
            "vault": self._vault_answers,
            "drift": drift,
        }
        return not self._stopping.is_set() and self._vault_answers, details


@final
class _Arrival(asyncio.Protocol):
    """A connection that has just been made: it becomes a link's client half, or is turned away."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        arrived = cast(asyncio.Transport, transport)  # uvloop's are of no such class
        peer = arrived.get_extra_info("peername")
        half = self._server.open(str(peer[0]) if isinstance(peer, tuple) else "")
        if half is None:
            arrived.write(error_response("FATAL", TOO_MANY))
            arrived.close()
            return
        arrived.set_protocol(half)
        half.connection_made(arrived)


def _remove_socket(endpoint: Endpoint) -> None:
    if isinstance(endpoint, Unix) and os.path.exists(endpoint.path):
        os.unlink(endpoint.path)


def _free(path: str) -> str:
    """The path of a Unix socket; one that a killed process left is removed."""
    if os.path.exists(path):
        os.unlink(path)
    return path
