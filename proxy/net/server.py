"""A process that serves links: their door, reloads, shutdown. It may be one of several (worker).

It comes back when the last link has ended, after a signal or when another process has taken its place.
"""

import asyncio
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, cast, final
from urllib.parse import unquote, urlsplit

from proxy.config import Settings
from proxy.errors import Refusal, Unavailable
from proxy.net.answers import Answers
from proxy.net.link import Half, Link
from proxy.net.listen import Arrive, Door
from proxy.net.notices import Bus, Notice
from proxy.net.places import catalog_reader, poolers
from proxy.net.tasks import Tasks, unexpected
from proxy.net.tls import Certificates, Handshake
from proxy.net.upstreams import Upstreams
from proxy.net.worlds import Worlds
from proxy.observe import add_gauge, count, log, set_gauge
from proxy.policy.rules import Policy
from proxy.policy.values import form
from proxy.session.limits import Limits
from proxy.session.session import SHUTDOWN, Session
from proxy.session.state import error_response
from proxy.session.world import World
from proxy.vault.vault import Vault

TICK: Final = 1.0  # seconds between looks at time-outs
PROBE: Final = 5.0  # seconds between writes to the vault that show that it can be written; each is an fsync
CATALOG_RETRY: Final = 5.0  # seconds between tries to read a first catalog
# What is said to links that know less than others may have made.
FORSAKEN: Final = Refusal(
    "vault-unavailable", "the catalog has changed and can't be read", "Connect again when it can be."
)
LAST_WORDS: Final = 0.5  # seconds for telling clients that they are cut off; most sockets take it at once
# Links over the bound that may wait to be told so; more are closed unheard.
TURNED_AWAY: Final = 100
TOO_MANY: Final = Refusal("too-many-connections", "sorry, too many clients already", "See limits.connections.")


@final
class Server:
    """door: where connections come from. ready: called once, when they may come. certificates: None offers no TLS to
    clients."""

    def __init__(
        self,
        settings: Settings,
        vault: Vault,
        policy: Policy,
        upstreams: Upstreams,
        door: Door,
        ready: Callable[[], None],
        certificates: Certificates | None = None,
    ) -> None:
        self._settings = settings
        self._vault = vault
        self._upstreams = upstreams
        upstreams.moved = self._moved
        self._certificates = certificates
        self._door = door
        self._ready = ready
        self._links: set[Link] = set()
        self._turned_away = 0  # of them: those that are only waited for to tell them so
        self._tasks = Tasks()
        # the work is Python's: more would only take turns
        self._analysers = (ThreadPoolExecutor(1, "analyse"), ThreadPoolExecutor(1, "analyse-long"))
        reader = catalog_reader(settings, lambda: upstreams.order)
        between = poolers(settings, upstreams).look
        self.worlds = Worlds(reader, policy, settings.limits.plans, self._renew, self._tasks, vault, between)
        self.worlds.forsaken = self._forsaken
        self.others = Bus(self._heed, self._tasks)
        self._answers = Answers(vault, self.worlds, self._analysers, settings.timeouts.analyse, self.others)
        self._vault_answers = self._vault_writes = True
        self.left: Callable[[bool], None] = lambda refused: None  # called when a link has ended
        self._stopping = asyncio.Event()
        self._succeeded = False  # another process has our place: links may go on to their end
        self._empty = asyncio.Event()

    # ---- life

    async def run(self) -> None:
        """Serve until a signal stops it. Raises Unavailable if the door can't be opened."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(unexpected)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        try:
            await self._door.open(*self.arrivals)
            self._tasks.repeat(self._tick, TICK, "tick")
            self._tasks.repeat(self._look_at_vault, TICK, "vault")
            self._tasks.repeat(self._probe_vault, PROBE, "vault writes")
            self._tasks.repeat(self._look_at_catalog, CATALOG_RETRY, "catalog")
            self._tasks.repeat(self._refresh, self._settings.catalog_refresh, "refresh")
            self._tasks.spawn(self._look_at_catalog(), "first catalog")
            self._ready()
            await self._stopping.wait()
            await self._drain()
        finally:
            self._door.close()
            await self._tasks.cancel()
            for analysers in self._analysers:
                analysers.shutdown(cancel_futures=True)

    @property
    def arrivals(self) -> tuple[Arrive, Arrive]:
        """What becomes of a connection: through TCP, through a Unix socket."""
        return lambda: Arrival(self, False), lambda: Arrival(self, True)

    def stop(self) -> None:
        """Idle links end at once. Again: nothing more, transactions go on to their end."""
        if self._succeeded:
            self._empty.set()  # their natural ends are not waited for any more
        self._succeeded = False
        self._stopping.set()

    def abort(self) -> None:
        """End all links at once."""
        for link in list(self._links):
            link.abort()
        self.stop()

    def succeeded(self) -> None:
        """Another process serves our addresses: no new links, but those that are there end by themselves, in time."""
        self._succeeded = True
        self._stopping.set()

    async def _drain(self) -> None:
        """No new links; those that are idle end at once, the others with their transaction, all within the bound."""
        self._door.close()
        await self._door.settle()
        log("draining", count=len(self._links))
        if self._succeeded:
            await self._emptied(self._settings.timeouts.drain)
            self._succeeded = False
        self._empty.clear()
        for link in list(self._links):
            link.drain()
        if await self._emptied(self._settings.timeouts.drain):
            return
        for link in list(self._links):
            link.run(link.session.lost, SHUTDOWN)
        if not await self._emptied(LAST_WORDS):
            for link in list(self._links):
                link.abort()

    async def _emptied(self, seconds: float) -> bool:
        """Whether the last link ends within that time."""
        if self._links:
            try:
                await asyncio.wait_for(self._empty.wait(), seconds)
            except TimeoutError:
                return False
        return True

    async def _tick(self) -> None:
        now = asyncio.get_running_loop().time()
        for link in list(self._links):
            link.tick(now)
            if self._stopping.is_set() and not self._succeeded:
                link.drain()
        self._count_plans()

    def _count_plans(self) -> None:
        """Plan caches of the worlds in use; what a replaced world counted since the last tick is lost."""
        for world in self.worlds.all:
            hits, misses = world.plans.take_counts()
            count("plan_cache_hits", hits)
            count("plan_cache_misses", misses)
        set_gauge("plan_cache_size", sum(len(world.plans) for world in self.worlds.all))

    async def _look_at_vault(self) -> None:
        """For /readyz; apart from the ticks, since a stalled disk makes it wait."""
        try:
            await self._vault.ping()
            self._vault_answers = True
        except Unavailable:
            self._vault_answers = False

    async def _probe_vault(self) -> None:
        """A real write: a full disk, a file system that has become read-only and a lost lock show in nothing else."""
        try:
            await self._vault.remember({"probe": "written"})
            well = True
        except Unavailable as gone:
            well = False
            if self._vault_writes:
                log("vault-not-written", "error", reason=str(gone)[:200])
        if well and not self._vault_writes:
            log("vault-written-again")
        self._vault_writes = well

    async def _look_at_catalog(self) -> None:
        """For /readyz: until some catalog could be read, no client gets a protected column, so try the one that
        `catalog` names."""
        database = unquote(urlsplit(self._settings.catalog.text).path.lstrip("/"))
        if not database or self.worlds.all or not self.worlds.protects(database):
            return
        try:
            await self.worlds.load(database, False)
        except Unavailable as gone:
            count("catalog_refreshes", outcome="failed")
            log("catalog-unavailable", "warning", database=database[:64], what=gone.what[:200])

    async def _refresh(self) -> None:
        await self.worlds.refresh()
        set_gauge("catalog_drift", sum(len(world.snapshot.drift) for world in self.worlds.all))

    async def _heed(self, notice: Notice) -> None:
        """Another process of this pgveil has seen something."""
        worlds, database = self.worlds, notice.database
        if notice.kind == "catalog":
            with suppress(Unavailable):  # the links that it matters to were ended
                await worlds.reread(database)
        elif notice.kind == "moved":
            worlds.moved(database)
        elif notice.kind == "databases":
            worlds.databases_changed(database)
        elif notice.kind == "mixed":
            worlds.mixed(database, notice.names)
        else:
            worlds.strayed(database, notice.names)

    def _forsaken(self, database: str) -> None:
        """Its catalog has changed and can't be read: what its links sent from now on might not be what they think."""
        log("catalog-unavailable", "error", database=database[:64], what=FORSAKEN.message)
        for link in list(self._links):
            if link.session.state.principal.database == database and link.session.state.world is not None:
                link.run(link.session.lost, FORSAKEN)

    def _moved(self) -> None:
        """Another server may be a copy that lacks the last DDL."""
        self._tasks.spawn(self._refresh(), "refresh")

    # ---- links

    @property
    def most(self) -> int:
        """Links at a time."""
        return self._settings.limits.connections

    @property
    def stopping(self) -> bool:
        """New links are turned away."""
        return self._stopping.is_set() and not self._succeeded

    @property
    def places(self) -> tuple[int, int]:
        """Links, and those of them that are only told that they are too many."""
        return len(self._links), self._turned_away

    def open(self, client: str, places: tuple[int, int] | None = None) -> Half | None:
        """The client half of a new link, or None if there are far too many. client: '' for a Unix socket, which has no
        TLS and needs none. places: of all processes, None for those of this one. One too many is told so when it has
        said what it wants, as the server does: libpq shows no error that comes before, and a cancel request needs no
        place.
        """
        most = self.most
        links, away = self.places if places is None else places
        if links >= most + TURNED_AWAY or self.stopping:
            count("links", outcome="refused")
            return None
        turned_away = TOO_MANY if links - away >= most else None
        deadline = asyncio.get_running_loop().time() + self._settings.timeouts.startup
        bounds = self._settings.limits
        limits = Limits(
            bounds.waiting,
            bounds.result_buffer,
            bounds.statement,
            bounds.statements,
            bounds.message,
            deadline,
            self._settings.timeouts.idle,
        )
        handshake = self._handshake() if client else None
        session = Session(
            client,
            tls=handshake is not None,
            limits=limits,
            turned_away=turned_away,
            tls_required=self._settings.tls.client.require and client != "",
        )
        link = Link(session, self._upstreams, self._answers, self._tasks, self._closed, handshake)
        self._links.add(link)
        self._turned_away += turned_away is not None
        add_gauge("open_links", 1)
        return link.client

    def _handshake(self) -> Handshake | None:
        identity = None if self._certificates is None else self._certificates.client
        return None if identity is None else Handshake(identity, self._settings.timeouts.startup)

    def _closed(self, link: Link) -> None:
        if link in self._links:
            self._links.discard(link)
            add_gauge("open_links", -1)
            refused = link.session.turned_away is not None
            self._turned_away -= refused
            count("links", outcome="refused" if refused else link.outcome)
            self.left(refused)
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
        self._vault.configure(modes, {name: form(each) for name, each in policy.classes.items()})
        self.worlds.renew(policy)
        for link in list(self._links):
            link.run(link.session.policy_changed)

    def readiness(self) -> tuple[bool, Mapping[str, object]]:
        """Whether clients are to be sent here, and why not. Called from the admin port's threads too."""
        worlds, unread = self.worlds.all, self.worlds.unread
        drift = [f"{d.file}:{d.line}: {d.what}" for world in worlds for d in world.snapshot.drift]
        catalog = bool(worlds) or not unread  # with a catalog read once, links go on with it
        details = {
            "links": len(self._links),
            "upstream": self._upstreams.told(),
            "draining": self._stopping.is_set(),
            "vault": self._vault_answers,
            "vault_writes": self._vault_writes,
            "columns": self.worlds.strangers.told(),
            "columns_unseen": self.worlds.unseen,
            "catalog": catalog,
            "catalogs_unread": list(unread),
            "drift": drift,
            "shares_sessions": self.worlds.shared,
        }
        vault = self._vault_answers and self._vault_writes and self.worlds.strangers.ready
        ready = vault and catalog and not self.worlds.shared
        return ready and not self._stopping.is_set(), details


@final
class Arrival(asyncio.Protocol):
    """A connection that has just been made: it becomes a link's client half, or is turned away. unix: it came through
    a Unix socket, which is an address that roles may ask for. places: as in `Server.open`."""

    def __init__(self, server: Server, unix: bool, places: tuple[int, int] | None = None) -> None:
        self._server = server
        self._unix = unix
        self._places = places
        self.linked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        arrived = cast(asyncio.Transport, transport)  # uvloop's are of no such class
        peer = arrived.get_extra_info("peername")
        if not self._unix and not isinstance(peer, tuple):
            arrived.abort()  # gone already; without an address it must not look like one of a Unix socket
            return
        half = self._server.open("" if self._unix else str(peer[0]), self._places)
        if half is None:
            arrived.write(error_response("FATAL", TOO_MANY))
            arrived.close()
            return
        self.linked = True
        arrived.set_protocol(half.protocol)
        half.connection_made(arrived)
