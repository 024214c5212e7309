"""What one process has seen and the others of this pgveil have to know: its workers, one that takes its place.

A `Bus` is what a process knows of them: peers, each reached over a channel. What one peer tells goes to the process
itself and to all its other peers, so that any tree of processes is told whole.

Invariant: `tell` returns when everybody knows, or is gone. Else it raises, and whoever caused the change gets no
answer: a link that does not know of a view could send values through it in clear.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast, final

from proxy.errors import Unavailable
from proxy.net.tasks import Tasks

# catalog: DDL of a transaction that has ended. moved: such as makes no new way to anything protected. databases: their
# names may stand for others. mixed, strayed: in columns of these names, or of these classes, values that are no tokens,
# or tokens of others, were seen.
Kind = Literal["catalog", "moved", "databases", "mixed", "strayed"]
OTHERS: Final = "the other processes of this pgveil"


@dataclass(frozen=True, slots=True)
class Notice:
    kind: Kind
    database: str
    names: tuple[str, ...] = ()


# As it goes through a channel: {"notice": number, …} and the answer {"known": number}.
Message = Mapping[str, Any]


@final
class Peer:
    """One of the others. seconds: how long it may take to know. late: called when it took longer; then it is waited for
    until it is gone. needed: it must not be gone, since others are behind it."""

    def __init__(
        self,
        send: Callable[[Message], None],
        seconds: float,
        late: Callable[[], None] | None = None,
        needed: bool = False,
    ) -> None:
        self._send = send
        self._seconds = seconds
        self._late = late
        self._needed = needed
        self._waiting: dict[int, asyncio.Future[bool]] = {}
        self._number = 0
        self._gone = False

    async def tell(self, notice: Notice) -> None:
        """Raises Unavailable."""
        if not self._gone:
            self._number += 1
            number, known = self._number, asyncio.get_running_loop().create_future()
            self._waiting[number] = known
            try:
                self._send(written(number, notice))
                await self._wait(known)
            finally:
                self._waiting.pop(number, None)
        if self._gone and self._needed:
            raise Unavailable(OTHERS, "this process is on its own")

    async def _wait(self, known: "asyncio.Future[bool]") -> None:
        try:
            await asyncio.wait_for(asyncio.shield(known), self._seconds)
        except TimeoutError:
            if self._late is None:
                raise Unavailable(OTHERS, "one of them does not answer") from None
            self._late()
            await known

    def known(self, number: int) -> None:
        """It knows."""
        waits = self._waiting.get(number)
        if waits is not None and not waits.done():
            waits.set_result(True)

    def gone(self) -> None:
        """It will never answer; it has no links any more."""
        self._gone = True
        for waits in self._waiting.values():
            if not waits.done():
                waits.set_result(False)


@final
class Bus:
    """heed: does here what a notice asks for."""

    def __init__(self, heed: Callable[[Notice], Awaitable[None]], tasks: Tasks) -> None:
        self.heed = heed
        self._tasks = tasks
        self.peers: list[Peer] = []

    async def tell(self, notice: Notice, source: Peer | None = None) -> None:
        """Everybody but `source`, from whom it comes. Raises Unavailable."""
        told = [peer.tell(notice) for peer in list(self.peers) if peer is not source]
        for outcome in await asyncio.gather(*told, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    def mention(self, notice: Notice) -> None:
        """Nobody waits for it."""
        if self.peers:
            self._tasks.spawn(self._mention(notice), "mention")

    async def _mention(self, notice: Notice) -> None:
        try:
            await self.tell(notice)
        except Unavailable:
            return  # they will see for themselves

    def heard(self, peer: Peer, message: Message, answer: Callable[[Message], None]) -> None:
        """A message of this module came from a peer."""
        if "known" in message:
            peer.known(int(message["known"]))
        else:
            self._tasks.spawn(self._pass_on(peer, message, answer), "notice")

    async def _pass_on(self, peer: Peer, message: Message, answer: Callable[[Message], None]) -> None:
        """No answer where somebody could not be told: then the one that waits for it has none either."""
        number, notice = read(message)
        try:
            await asyncio.gather(self.heed(notice), self.tell(notice, peer))
        except Unavailable:
            return
        answer({"known": number})


def written(number: int, notice: Notice) -> Message:
    return {"notice": number, "kind": notice.kind, "database": notice.database, "names": list(notice.names)}


def read(message: Message) -> tuple[int, Notice]:
    kind = cast(Kind, str(message["kind"]))
    return int(message["notice"]), Notice(kind, str(message["database"]), tuple(map(str, message["names"])))


def is_one(message: Message) -> bool:
    return "notice" in message or "known" in message
