"""One pgveil takes another's place: addresses, the vault's lock and the admin port go over, no connection is lost.

They meet at an abstract Unix socket named after the address that both listen on; its scope is the network namespace, as
the port's is. What they say:

    new  hello, who it is, whether it wants the place
    old  who it is, what it holds; with descriptors: the vault's lock and, if the place is given, all it listens on
    new  ready, when all of it is up
    old  yours, when it accepts no more (what waits to be accepted stays with the sockets)
    new  serving: now the old one drains

Until `serving` the old one can go on as if nothing had been, and does if the new one is gone. After it both tell each
other of DDL until the old one ends. One that drains goes on to answer here, so that the next one can share its vault;
after a handover it does so if its successor is gone.

Invariants: only processes of our own account, or root's, are talked to (SO_PEERCRED, on both sides); nothing that comes
here is trusted to be more than numbers, names and descriptors: it may be another version.
"""

import asyncio
import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from struct import calcsize, unpack
from typing import Any, Final, Protocol, final

from proxy import __version__
from proxy.endpoints import Endpoint
from proxy.errors import Unavailable
from proxy.net import notices
from proxy.net.channel import Channel
from proxy.net.listen import Listening
from proxy.net.notices import Bus, Peer
from proxy.net.tasks import Tasks
from proxy.observe import log

Facts = dict[str, Any]
ANSWER: Final = 10.0  # seconds for what takes milliseconds
GETTING_UP: Final = 120.0  # seconds for a new process to come up
ROOT: Final = 0
LONGEST_NAME: Final = 100


class Holder(Protocol):
    """The process whose place may be taken."""

    def pause(self) -> None:
        """Accept nothing more for now."""

    async def resume(self) -> None:
        """Go on as before."""

    def succeeded(self) -> None:
        """Somebody else has the place: end when the links have ended."""

    def leave_admin(self) -> None:
        """Somebody else has the admin port."""

    def abandoned(self) -> None:
        """The process that took the place is gone, and another one has it that knows nothing of this one: end the links
        at once. What that one's links make could not be told to them."""


@dataclass(slots=True)
class Estate:
    """What a process holds. lock: of the vault, -1 if it has none to share. admin: its listening socket."""

    vault: str
    schema: int
    lock: int
    listening: list[Listening] = field(default_factory=list)
    admin: socket.socket | None = None


@final
class Talk:
    """Messages with one other process."""

    def __init__(self, end: socket.socket) -> None:
        self.pid = peer(end)[0]
        self._messages: asyncio.Queue[tuple[Facts, list[int]] | None] = asyncio.Queue()
        self._gone = asyncio.Event()
        self._bus: tuple[Bus, Peer] | None = None
        self._channel = Channel(end, self._told, self._over)

    def say(self, descriptors: Sequence[int] = (), /, **facts: object) -> None:
        self._channel.send(json.dumps(facts).encode(), descriptors)

    async def hear(self, seconds: float) -> tuple[Facts, list[int]]:
        """Raises Unavailable if it is gone, or says nothing."""
        try:
            got = await asyncio.wait_for(self._messages.get(), seconds)
        except TimeoutError:
            got = None
        if got is None:
            raise Unavailable(f"pgveil (pid {self.pid})", "it does not answer")
        return got

    def share(self, bus: Bus, seconds: float) -> None:
        """From now on notices go to and fro."""
        told = Peer(lambda message: self.say(**message), seconds)
        self._bus = bus, told
        bus.peers.append(told)
        if self._channel.closed:
            self._over()

    async def end(self) -> None:
        """Until the other one is gone."""
        await self._gone.wait()

    def close(self) -> None:
        self._channel.close()

    def _told(self, message: bytes, descriptors: list[int]) -> None:
        try:
            facts = json.loads(message)
            if self._bus is not None and notices.is_one(facts):
                self._bus[0].heard(self._bus[1], facts, lambda answer: self.say(**answer))
                return
        except (ValueError, KeyError, TypeError):
            self._channel.close()
            return
        self._messages.put_nowait((facts, descriptors))

    def _over(self) -> None:
        self._gone.set()
        self._messages.put_nowait(None)
        if self._bus is not None:
            self._bus[1].gone()
            with suppress(ValueError):
                self._bus[0].peers.remove(self._bus[1])


# ---- the new process -----------------------------------------------------------------------------------------------


@final
class Met:
    """The process that is there already, as the new one sees it. serving: it accepts connections."""

    def __init__(self, talk: Talk, facts: Facts, descriptors: list[int]) -> None:
        self.talk = talk
        self.serving = facts["state"] == "serving"
        self.vault, self.schema = str(facts["vault"]), int(facts["schema"])
        self._listens: list[tuple[str, int]] = [(str(name), int(many)) for name, many in facts.get("listen", ())]
        self._has_admin = bool(facts.get("admin"))
        self._descriptors = descriptors
        self.lock = self._descriptors.pop(0) if facts.get("lock") else -1
        self.sockets = {name: [self._socket() for _ in range(many)] for name, many in self._listens}
        self.admin = self._socket() if self._has_admin else None

    def _socket(self) -> socket.socket:
        return socket.socket(fileno=self._descriptors.pop(0))

    @property
    def pid(self) -> int:
        return self.talk.pid

    async def take(self) -> None:
        """All is up here. Raises Unavailable: it did not let go."""
        self.talk.say(ready=True)
        facts, _ = await self.talk.hear(ANSWER)
        if not facts.get("yours"):
            raise Unavailable(f"pgveil (pid {self.pid})", "it did not let go")

    def close(self) -> None:
        """What was given and is not used."""
        for each in [one for sockets in self.sockets.values() for one in sockets]:
            each.close()
        if self.admin is not None:
            self.admin.close()
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1
        self.talk.close()


async def meet(endpoints: Sequence[Endpoint], takeover: bool) -> Met | None:
    """The pgveil that listens on one of the addresses, or None. takeover: ask for its place.

    Raises Unavailable: it is there and its place is not asked for, or it can't be given.
    """
    if not sys.platform.startswith("linux"):
        return None
    for endpoint in endpoints:
        end = _reached(endpoint)
        if end is not None:
            return await _greet(Talk(end), endpoint, takeover)
    return None


def _reached(endpoint: Endpoint) -> socket.socket | None:
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        end.setblocking(False)
        end.connect(place(endpoint))
        if trusted(end):
            return end
    except OSError:
        pass
    end.close()
    return None


async def _greet(talk: Talk, endpoint: Endpoint, takeover: bool) -> Met:
    try:
        talk.say(hello=__version__, takeover=takeover)
        facts, descriptors = await talk.hear(ANSWER)
        met = Met(talk, facts, descriptors)
    except BaseException:
        talk.close()
        raise
    if met.serving and (why := facts.get("refused") or ("" if takeover else "`pgveil run --takeover` takes its place")):
        met.close()
        raise Unavailable(f"the address {endpoint}", f"Address already in use by pgveil (pid {met.pid}): {why}")
    return met


# ---- the old one ---------------------------------------------------------------------------------------------------


@final
class Handover:
    """Waits for the process that takes our place. seconds: others may take to know of DDL."""

    def __init__(self, estate: Estate, holder: Holder, bus: Bus, tasks: Tasks, seconds: float) -> None:
        self._estate = estate
        self._holder = holder
        self._bus = bus
        self._tasks = tasks
        self._seconds = seconds
        self._doors: list[socket.socket] = []
        self._taken = False  # somebody is taking the place
        self.draining = False

    def open(self, tell: bool = True) -> bool:
        """Whether nobody else has one of the names. tell: in the log, too."""
        if not sys.platform.startswith("linux"):
            return True
        missing = False
        loop = asyncio.get_running_loop()
        for each in self._estate.listening:
            door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            door.setblocking(False)
            try:
                door.bind(place(each.endpoint))
                door.listen()
            except OSError as error:
                door.close()
                missing = True
                if tell:
                    where, why = str(each.endpoint)[:255], str(error.strerror)[:200]
                    log("takeover-impossible", "warning", address=where, reason=why)
                continue
            self._doors.append(door)
            loop.add_reader(door, self._arrived, door)
        return not missing

    def close(self) -> None:
        """The name is free for another."""
        for door in self._doors:
            asyncio.get_running_loop().remove_reader(door)
            door.close()
        self._doors.clear()

    def _arrived(self, door: socket.socket) -> None:
        try:
            end, _ = door.accept()
        except OSError:
            return
        if not trusted(end):
            log("takeover-refused", "warning", pid=peer(end)[0], reason="another account's process")
            end.close()
            return
        self._tasks.spawn(self._serve(Talk(end)), "handover")

    async def _serve(self, talk: Talk) -> None:
        try:
            await self._answer(talk)
        except (Unavailable, KeyError, ValueError, TypeError):
            talk.close()

    async def _answer(self, talk: Talk) -> None:
        hello, _ = await talk.hear(ANSWER)
        if self.draining:
            self._introduce(talk, "draining", False)
            self._holder.leave_admin()
            talk.share(self._bus, self._seconds)
            await talk.end()
        elif not hello.get("takeover") or self._taken:
            self._introduce(talk, "serving", False, "it is being taken over already" if self._taken else "")
            await talk.end()
        else:
            await self._give(talk)

    def _introduce(self, talk: Talk, state: str, all_of_it: bool, refused: str = "") -> None:
        of = self._estate
        held = [each for each in of.listening if all_of_it]
        given = all_of_it or state == "draining"
        admin = of.admin if given else None
        lock = [of.lock] if of.lock >= 0 and given else []
        sockets = [one.fileno() for each in held for one in each.sockets] + ([admin.fileno()] if admin else [])
        listen = [(str(each.endpoint), len(each.sockets)) for each in held]
        facts: Mapping[str, object] = {"state": state, "vault": of.vault, "schema": of.schema, "refused": refused}
        talk.say([*lock, *sockets], **facts, listen=listen, lock=bool(lock), admin=admin is not None)

    async def _give(self, talk: Talk) -> None:
        self._taken = True
        paused = False
        try:
            self._introduce(talk, "serving", True)
            log("takeover-begun", pid=talk.pid)
            await self._expect(talk, "ready", GETTING_UP)
            paused = True
            self._holder.pause()
            self.close()
            # Both serve from here on: what links of one change has to be known to the other's.
            talk.share(self._bus, self._seconds)
            talk.say(yours=True)
            await self._expect(talk, "serving", ANSWER)
        except Unavailable as gone:
            self._taken = False
            log("takeover-failed", "warning", pid=talk.pid, reason=str(gone)[:200])
            if paused:
                await self._holder.resume()
                self.open()
            raise
        log("taken-over", pid=talk.pid)
        self.draining = True
        self._holder.succeeded()
        await talk.end()
        if not self.open(False):  # for the next one, which has to share our vault
            self._holder.abandoned()

    async def _expect(self, talk: Talk, word: str, seconds: float) -> None:
        """Raises Unavailable."""
        facts, _ = await talk.hear(seconds)
        if not facts.get(word):
            raise Unavailable(f"pgveil (pid {talk.pid})", "it says something else than it should")


def place(endpoint: Endpoint) -> str:
    """The abstract name, no longer than sun_path."""
    name = f"\0pgveil {endpoint}"
    return name if len(name) <= LONGEST_NAME else f"\0pgveil {sha256(name.encode()).hexdigest()}"


def peer(end: socket.socket) -> tuple[int, int]:
    """Process and account at the other end."""
    form = "3i"
    pid, uid, _ = unpack(form, end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, calcsize(form)))
    return int(pid), int(uid)


def trusted(end: socket.socket) -> bool:
    return peer(end)[1] in (os.getuid(), ROOT)
