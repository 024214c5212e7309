"""A worker's side: what its supervisor orders, and the connections that it hands over.

Messages are pickled: the channel is a socket pair, made by the supervisor for the process that it started.

Invariant: without its supervisor a worker takes no new links and drains, as on SIGTERM.
"""

import asyncio
import os
import pickle
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, final

from proxy.config import Settings
from proxy.errors import Unavailable
from proxy.net import notices
from proxy.net.channel import Channel
from proxy.net.listen import Arrive
from proxy.net.notices import Peer
from proxy.net.reload import PolicyFiles, Sources
from proxy.net.server import Arrival, Server
from proxy.net.tally import tally
from proxy.net.tasks import Tasks
from proxy.net.tls import Certificates
from proxy.observe import REGISTRY

TELLING: Final = 1.0  # seconds between tallies: what a worker that is killed has counted since is lost
# Seconds that others may take to know, above reading a catalog: the supervisor ends one that does not, and that shows.
PATIENCE: Final = 15.0


@dataclass(frozen=True, slots=True)
class Start:
    """What a worker begins with. sources: policy files, as all processes have them."""

    settings: Settings
    sources: Sources
    number: int


@final
class Orders:
    """The door of a worker, and everything else that its supervisor says. lock: of the vault, its own."""

    def __init__(self, end: socket.socket) -> None:
        self._channel = Channel(end, self._told, self._over)
        self._started: asyncio.Future[Start] = asyncio.get_running_loop().create_future()
        self._tasks = Tasks()
        self._arriving: set[asyncio.Task[Any]] = set()
        self._server: Server | None = None
        self._files: PolicyFiles | None = None
        self._certificates: Certificates | None = None
        self._peer: Peer | None = None
        self._ready: Callable[[], tuple[bool, dict[str, object]]] = lambda: (False, {})
        self._open = False
        self.lock = -1

    async def start(self) -> Start:
        """Raises Unavailable if the supervisor is gone before it said how."""
        return await self._started

    def say(self, **what: object) -> None:
        self._channel.send(pickle.dumps(what))

    def serve(
        self,
        server: Server,
        files: PolicyFiles,
        certificates: Certificates,
        ready: Callable[[], tuple[bool, dict[str, object]]],
        seconds: float,
    ) -> None:
        """Orders are for this server from now on. seconds: a reading of the catalog at most."""
        self._server, self._files, self._certificates, self._ready = server, files, certificates, ready
        server.left = lambda refused: self.say(left=refused)
        self._peer = Peer(lambda message: self.say(**message), seconds + PATIENCE, needed=True)
        server.others.peers.append(self._peer)
        self._tasks.repeat(self._tell, TELLING, "tally")
        if self._channel.closed:
            self._over()

    async def end(self) -> None:
        """The last words."""
        await self._tell()
        await self._tasks.cancel()
        self._channel.close()

    async def _tell(self) -> None:
        self.say(tally=tally(REGISTRY))

    # ---- a door

    async def open(self, tcp: Arrive, unix: Arrive) -> None:
        self._open = True

    def close(self) -> None:
        self._open = False

    async def settle(self) -> None:
        while self._arriving:
            await asyncio.wait(list(self._arriving))

    # ---- orders

    def _told(self, message: bytes, descriptors: list[int]) -> None:
        order: dict[str, Any] = pickle.loads(message)
        if "link" in order:
            self._link(order["link"], socket.socket(fileno=descriptors[0]))
        elif "start" in order:
            self.lock = descriptors[0]
            self._started.set_result(order["start"])
        elif self._server is not None:
            self._order(self._server, order)
        elif "notice" in order:
            self.say(known=order["notice"])  # nothing is known here yet
        elif "drain" in order:
            os._exit(0)  # nothing is open here yet but the vault, which needs no goodbye

    def _order(self, server: Server, order: dict[str, Any]) -> None:
        assert self._files is not None and self._certificates is not None and self._peer is not None
        if notices.is_one(order):
            server.others.heard(self._peer, order, lambda answer: self.say(**answer))
        elif "judge" in order:
            self.say(judged=order["judge"], faults=self._files.judge(order["sources"]))
        elif "take" in order:
            self._files.take(order["sources"])
            self.say(judged=order["take"], faults=())
        elif "ask" in order:
            well, details = self._ready()
            self.say(asked=order["ask"], well=well, details=details, tally=tally(REGISTRY))
        elif "look" in order:
            self._certificates.look(True)
            server.worlds.look_again()
        elif "succeeded" in order:
            server.succeeded()
        elif "drain" in order:
            server.stop()

    def _link(self, place: tuple[bool, int, int], connection: socket.socket) -> None:
        unix, links, away = place
        server = self._server
        if server is None or server.stopping:
            self._channel.send(pickle.dumps({"back": unix}), [connection.fileno()])
            connection.close()
            return

        def arrive() -> Arrival:
            return Arrival(server, unix, (links, away))

        over = links - away >= server.most
        task = self._tasks.spawn(self._adopt(arrive, connection, over), "arrival")
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _adopt(self, arrive: Callable[[], Arrival], connection: socket.socket, over: bool) -> None:
        connection.setblocking(False)
        arrived: list[Arrival] = []

        def made() -> Arrival:
            arrived.append(arrive())
            return arrived[0]

        try:
            await asyncio.get_running_loop().connect_accepted_socket(made, connection)
        except OSError:
            connection.close()
        if not arrived or not arrived[0].linked:
            self.say(left=over)  # it has become no link

    def _over(self) -> None:
        if not self._started.done():
            self._started.set_exception(Unavailable("the supervisor"))
        if self._peer is not None:
            self._peer.gone()
        if self._server is not None:
            self._server.stop()
