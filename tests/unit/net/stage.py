"""A link without sockets: its own code, a real session, vault and analysis; the two connections are kept in memory.

`Net` stands for what the event loop does for connections. Nothing here sleeps: `until` gives the loop turns until
something holds.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor, Future
from typing import Any

from proxy.endpoints import Url
from proxy.errors import Unavailable
from proxy.net.answers import Answers
from proxy.net.link import Link
from proxy.net.notices import Bus, Notice
from proxy.net.tasks import Tasks
from proxy.net.tls import Handshake, Identity
from proxy.net.upstream import Upstream
from proxy.net.upstreams import Upstreams
from proxy.net.worlds import Worlds
from proxy.policy.load import load
from proxy.policy.rules import Policy
from proxy.session.limits import DEFAULTS, Limits
from proxy.session.session import Session
from proxy.sql.catalog import Catalog, ProtectedColumn
from proxy.vault.memory import MemoryStore
from proxy.vault.store import Group, StoredEntry
from proxy.vault.vault import Mode, Vault
from proxy.wire import messages as m
from tests.unit.session import driver
from tests.vault.kit import provider, sources

TURNS = 2000
CATALOG_URL = Url("postgresql://reader@127.0.0.1:1/shop")


async def until(holds: Callable[[], object]) -> None:
    for _ in range(TURNS):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came")


async def turns(count: int = 50) -> None:
    """For what must not happen."""
    for _ in range(count):
        await asyncio.sleep(0)


class Transport(asyncio.Transport):
    """One end of a connection in memory. stuck: what was written is not taken by the peer, so that closing lasts."""

    def __init__(self, protocol: asyncio.BaseProtocol, peer: object = ("10.0.0.1", 5000)) -> None:
        super().__init__({"peername": peer})
        self.protocol = protocol
        self.sent = b""
        self.paused = False
        self.closing = False
        self.aborted = False
        self.stuck = False
        self.shaken: Shaken | None = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.shaken if name == "ssl_object" else super().get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closing, "written to a connection that is closing"
        self.sent += bytes(data)

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True
        if not self.stuck:
            self.lose()

    def abort(self) -> None:
        self.closing = self.aborted = True
        self.lose()

    def lose(self, error: Exception | None = None) -> None:
        """The connection is gone, in the loop's next turn."""
        self.closing = True
        asyncio.get_running_loop().call_soon(self._lost, error)

    def _lost(self, error: Exception | None) -> None:
        protocol, self.protocol = self.protocol, asyncio.Protocol()
        protocol.connection_lost(error)

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def take(self) -> list[bytes]:
        """Frames that were written since the last look."""
        out, self.sent = driver.split(self.sent), b""
        return out


class Net:
    """Connections that are dialled. error: raised instead. shut: they take until `opened`. greets: what the peer
    says at once."""

    def __init__(self) -> None:
        self.made: list[Transport] = []
        self.dialled: list[tuple[object, ...]] = []
        self.error: Exception | None = None
        self.shut = False
        self.opened = asyncio.Event()
        self.greets: list[bytes] = []
        self.tls: list[object] = []
        self.tls_error: Exception | None = None
        self.shaking: asyncio.Event | None = None  # a handshake lasts until then
        self.shaken: Shaken | None = None  # None: the connection was closed in it
        self.hasty: list[bytes] = []  # come with the handshake's end
        loop: Any = asyncio.get_running_loop()
        loop.create_connection = self.dial
        loop.create_unix_connection = self.dial
        loop.start_tls = self.start_tls

    async def dial(self, factory: Callable[[], asyncio.Protocol], *where: object) -> tuple[Transport, asyncio.Protocol]:
        self.dialled.append(where)
        if self.shut:
            await self.opened.wait()
        if self.error is not None:
            raise self.error
        protocol = factory()
        transport = Transport(protocol)
        self.made.append(transport)
        protocol.connection_made(transport)
        if self.greets:
            protocol.data_received(self.greets.pop(0))
        return transport, protocol

    async def start_tls(
        self, transport: Transport, protocol: asyncio.Protocol, *_: object, **more: object
    ) -> Transport:
        self.tls.append(more.get("server_hostname"))
        if self.shaking is not None:
            transport.paused = True
            await self.shaking.wait()
        if self.tls_error is not None:
            raise self.tls_error
        transport.set_protocol(protocol)
        transport.shaken = self.shaken
        for data in self.hasty:
            protocol.data_received(data)
        return transport


class Shaken:
    """What ssl.SSLObject says of a handshake."""

    def __init__(self, certificate: bytes | None = None, alpn: str | None = None) -> None:
        self.certificate = certificate
        self.alpn = alpn

    def getpeercert(self, binary_form: bool) -> bytes | None:
        return self.certificate

    def selected_alpn_protocol(self) -> str | None:
        return self.alpn


class Shelf:
    """Catalogs by database. gone: can't be read. A reading lasts until `go`, if `slow`; `began` counts them."""

    def __init__(self, *catalogs: Catalog) -> None:
        self.catalogs = {each.database: each for each in catalogs}
        self.gone = False
        self.slow = False
        self.began = 0
        self.plain: set[str] = set()  # columns in which a look finds values
        self.hidden: set[str] = set()  # columns that it may not read
        self.looked: list[str] = []
        self.held: dict[str, tuple[bytes, ...]] = {}  # tokens in columns
        self._waiting: list[asyncio.Future[None]] = []

    async def read(self, database: str, *, tables: Collection[tuple[str, str]] = frozenset()) -> Catalog:
        self.began += 1
        catalog, gone = self.catalogs.get(database), self.gone
        if self.slow:
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            await waiting
        if catalog is None or gone:
            raise Unavailable("the catalog", "no")
        return catalog

    async def plaintext(self, database: str, columns: Sequence[ProtectedColumn]) -> dict[str, bool]:
        self.looked.append(database)
        return {c.label: c.label in self.plain for c in columns if c.label not in self.hidden}

    async def tokens(self, database: str, columns: Sequence[ProtectedColumn]) -> dict[str, tuple[bytes, ...]]:
        return {c.label: self.held.get(c.label, ()) for c in columns if c.label not in self.hidden}

    def go(self) -> None:
        """The oldest reading ends."""
        self._waiting.pop(0).set_result(None)


class Store(MemoryStore):
    """In memory. gone: can't be reached. A commit or look-up lasts until `go`, if `slow`."""

    def __init__(self) -> None:
        super().__init__()
        self.gone = False
        self.slow = False
        self.waiting: list[asyncio.Future[None]] = []
        self.fault: Exception | None = None

    async def commit(self, group: Group) -> Any:
        await self._reach()
        return await super().commit(group)

    async def get(self, tokens: Any, most: int = 0) -> dict[bytes, StoredEntry]:
        await self._reach()
        return dict(await super().get(tokens))

    async def schema_version(self) -> int:
        await self._reach()
        return 1

    async def _reach(self) -> None:
        if self.slow:
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.waiting.append(waiting)
            await waiting
        if self.fault is not None:
            raise self.fault
        if self.gone:
            raise Unavailable("vault")

    def go(self) -> None:
        self.waiting.pop(0).set_result(None)


class Inline(Executor):
    """Makes plans at once, in this thread."""

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        future.set_result(call(*arguments, **named))
        return future


def policy(text: str = driver.POLICY) -> Policy:
    return load([("p.yaml", text)])


def catalog() -> Catalog:
    return driver.world().snapshot.catalog


def modes(rules: Policy) -> dict[str, Mode]:
    return {name: each.tokens for name, each in rules.classes.items()}


async def heed_nothing(notice: Notice) -> None:
    """There are no others."""


class Stage:
    """One link and all around it. `close` at the end."""

    def __init__(self, store: Store, vault: Vault, limits: Limits, rules: str, identity: Identity | None) -> None:
        self.net = Net()
        self.store = store
        self.vault = vault
        self.shelf = Shelf(catalog())
        self.tasks = Tasks()
        self.worlds = Worlds(self.shelf, policy(rules), 100, self._changed, self.tasks, vault)
        self.answers = Answers(vault, self.worlds, (Inline(), Inline()), 5.0, Bus(heed_nothing, self.tasks))
        self.upstreams = Upstreams([Upstream("db", 5432, "disable", None, 5.0)])
        self.over: list[Link] = []
        session = Session("10.0.0.1", tls=identity is not None, limits=limits)
        handshake = None if identity is None else Handshake(identity, 60.0)
        self.link = Link(session, self.upstreams, self.answers, self.tasks, self.over.append, handshake)
        self.client = Transport(self.link.client)
        self.link.client.connection_made(self.client)

    @classmethod
    async def open(
        cls, limits: Limits = DEFAULTS, rules: str = driver.POLICY, identity: Identity | None = None
    ) -> "Stage":
        store = Store()
        vault = await Vault.open(store, provider(), modes(policy(rules)), sources())
        return cls(store, vault, limits, rules, identity)

    def _changed(self, world: object) -> None:
        self.link.session.renew(world)  # type: ignore[arg-type]

    @property
    def server(self) -> Transport:
        """The server's end of the link."""
        return self.net.made[0]

    def says(self, *frames: bytes) -> None:
        """The client sends."""
        self.link.client.data_received(b"".join(frames))

    def replies(self, *frames: bytes) -> None:
        """The server sends."""
        self.link.server.data_received(b"".join(frames))

    def startup(self, user: str = "shop", **params: str) -> None:
        given = {"user": user, "database": "shop"} | params
        self.says(m.build_startup(m.PROTOCOL_3_0, [(k.encode(), v.encode()) for k, v in given.items()]))

    async def log_in(self, user: str = "shop", **params: str) -> None:
        """To where statements may come; what went through is forgotten."""
        self.startup(user, **params)
        await until(lambda: self.net.made)
        self.replies(
            m.build_authentication(m.AUTH_OK),
            *[m.build_parameter_status(k.encode(), v.encode()) for k, v in driver.STATUS.items()],
            m.build_backend_key_data(1, b"1234"),
            m.build_ready_for_query(m.IDLE),
        )
        await until(lambda: b"Z\0\0\0\5" in self.client.sent and self.link.session.state.world is not None)
        self.client.sent = self.server.sent = b""

    async def close(self) -> None:
        """Everything ends; nothing may be left."""
        self.store.slow = self.store.gone = False
        self.store.fault = None
        while self.store.waiting:
            self.store.go()
        self.link.abort()
        for transport in [self.client, *self.net.made]:
            if not transport.closing:
                transport.lose()
        await self.tasks.cancel()
        await turns(5)
        await self.vault.close()
