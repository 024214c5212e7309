"""The worker processes, as their supervisor sees them: started, counted, asked, started again, ended.

A worker is a fresh process (exec: a fork would share the threads' locks) with a channel of its own. The one with the
fewest links gets the next connection, so that the few long-lived links of a database are spread evenly.

Invariants: one that ends without being asked to is started again, later each time it does not last; one that does not
answer where others wait for it is killed, and counts as gone; what a process that is gone counted is not lost.
"""

import asyncio
import pickle
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, final

from proxy.documents import Fault, Faults
from proxy.errors import Unavailable
from proxy.net import notices
from proxy.net.channel import Channel
from proxy.net.notices import Bus, Peer
from proxy.net.reload import Sources
from proxy.net.tally import Tally, lasting, merged
from proxy.net.tasks import Tasks
from proxy.net.worker import Start
from proxy.observe import count, log, set_gauge

LASTED: Final = 10.0  # seconds; a worker that lasted longer is started again at once
BACKOFF: Final = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)  # seconds, by how often one in a row did not last
ANSWER: Final = 5.0  # seconds for what takes a worker milliseconds; a page of the admin port goes without it then
ORDER: Final = 30.0  # seconds until it counts as hung
ENDING: Final = 10.0  # seconds above the bound of its drain for a worker to end
LATE: Final = 5.0  # seconds above reading a catalog

Failed = Callable[[BaseException], None]


@final
class Worker:
    """links, away: as in `Server.places`. ready: it takes connections."""

    def __init__(self, number: int, process: Process, end: socket.socket, crew: "Crew", seconds: float) -> None:
        self.number = number
        self.process = process
        self.channel = Channel(end, self._told, self._over)
        self.peer = Peer(lambda message: self.say(**message), seconds, self.kill)
        self.links = self.away = 0
        self.ready = False
        self.began = asyncio.get_running_loop().time()
        self.tally: Tally = ()
        self.failure: BaseException | None = None
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._crew = crew
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0

    def say(self, descriptors: Sequence[int] = (), /, **what: object) -> None:
        self.channel.send(pickle.dumps(what), descriptors)

    async def ask(self, name: str, seconds: float = ANSWER, /, **what: object) -> dict[str, Any]:
        """{} if it is gone, or does not answer."""
        if self.channel.closed:
            return {}
        self._number += 1
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._asked[self._number] = answer
        self.say(**{name: self._number}, **what)
        try:
            return await asyncio.wait_for(answer, seconds)
        except TimeoutError:
            return {}

    async def order(self, name: str, **what: object) -> dict[str, Any]:
        """As `ask`; one that does not answer is killed: it must not go on with what the others don't have."""
        answer = await self.ask(name, ORDER, **what)
        if not answer:
            self.kill()
        return answer

    def kill(self) -> None:
        log("worker-killed", "error", worker=self.number, pid=self.process.pid, reason="it does not answer")
        with suppress(ProcessLookupError):
            self.process.kill()

    def _told(self, message: bytes, descriptors: list[int]) -> None:
        told: dict[str, Any] = pickle.loads(message)
        if "left" in told:
            self.links -= 1
            self.away -= told["left"] is True
        elif "tally" in told and "asked" not in told:
            self.tally = told["tally"]
        elif notices.is_one(told):
            self._crew.bus.heard(self.peer, told, lambda answer: self.say(**answer))
        elif "asked" in told or "judged" in told:
            answer = self._asked.pop(int(told.get("asked") or told["judged"]), None)
            if answer is not None and not answer.done():
                answer.set_result(told)
        elif "ready" in told:
            self._begin(None)
        elif "failed" in told:
            self._begin(failure(*told["failed"]))
        elif "back" in told:
            self.links -= 1
            self.ready = False  # it drains
            self._crew.back(socket.socket(fileno=descriptors[0]), told["back"])

    def _begin(self, failed: BaseException | None) -> None:
        self.failure = failed
        self.ready = failed is None
        if not self.started.done():
            self.started.set_result(None)
        self._crew.changed()

    def _over(self) -> None:
        self.ready = False
        self.peer.gone()
        for answer in self._asked.values():
            if not answer.done():
                answer.set_result({})
        if not self.started.done():
            self.failure = self.failure or Unavailable("a worker process", "it ended")
            self.started.set_result(None)


def failure(kind: str, texts: Sequence[str]) -> BaseException:
    """What a worker could not start for."""
    if kind == "Unavailable":
        return Unavailable(*texts)
    return Faults([Fault("a worker process", 0, text) for text in texts])


@final
class Crew:
    """command: starts a worker; the number of its channel's descriptor comes behind it. start: what it begins with.
    back: gets a connection that a worker could not take. changed: called when one is ready, or is not any more."""

    def __init__(
        self,
        command: Sequence[str],
        start: Callable[[int], Start],
        lock: int,
        seconds: float,
        tasks: Tasks,
        back: Callable[[socket.socket, bool], None],
        changed: Callable[[], None],
    ) -> None:
        self._command = tuple(command)
        self._start = start
        self._lock = lock
        self._seconds = seconds
        self._tasks = tasks
        self.back = back
        self._changed = changed
        self.bus = Bus(_nothing, tasks)
        self.workers: dict[int, Worker] = {}
        self._gone: Tally = ()
        self._short: dict[int, int] = {}  # number -> how often in a row it did not last
        self._ending = False
        self._ends: set[asyncio.Task[None]] = set()

    # ---- life

    async def begin(self, many: int) -> None:
        """All of them. Raises what one could not start for."""
        for number in range(1, many + 1):
            await self._launch(number)
        for worker in list(self.workers.values()):
            await worker.started
            if worker.failure is not None:
                raise worker.failure

    async def _launch(self, number: int) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *self._command, str(theirs.fileno()), pass_fds=[theirs.fileno()], stdin=DEVNULL
            )
        worker = Worker(number, process, ours, self, self._seconds + LATE)
        self.workers[number] = worker
        self.bus.peers.append(worker.peer)
        worker.say([self._lock], start=self._start(number))
        self._ends.add(watch := self._tasks.spawn(self._watch(worker), f"worker {number}"))
        watch.add_done_callback(self._ends.discard)

    async def _watch(self, worker: Worker) -> None:
        code = await worker.process.wait()
        worker.channel.close()
        self.bus.peers.remove(worker.peer)
        self._gone = merged([self._gone, lasting(worker.tally)])
        del self.workers[worker.number]
        self.changed()
        if self._ending:
            return
        count("workers_lost")
        log("worker-lost", "error", worker=worker.number, pid=worker.process.pid, reason=f"exit {code}")
        await asyncio.sleep(self._pause(worker))
        if not self._ending:
            await self._launch(worker.number)

    def _pause(self, worker: Worker) -> float:
        if asyncio.get_running_loop().time() - worker.began > LASTED:
            self._short[worker.number] = 0
            return 0.0
        times = self._short.get(worker.number, 0)
        self._short[worker.number] = times + 1
        return BACKOFF[min(times, len(BACKOFF) - 1)]

    def changed(self) -> None:
        set_gauge("workers", sum(worker.ready for worker in self.workers.values()))
        self._changed()

    def say(self, **what: object) -> None:
        for worker in self.workers.values():
            worker.say(**what)

    async def end(self, seconds: float, **order: object) -> None:
        """Tell them to end, and wait for it; those that don't in time are killed."""
        self._ending = True
        self.say(**order)
        if self._ends:
            _, late = await asyncio.wait(list(self._ends), timeout=seconds + ENDING)
            for worker in list(self.workers.values()):
                if late:
                    worker.kill()
            if late:
                await asyncio.wait(late)

    def kill(self) -> None:
        """At once: the start has failed."""
        self._ending = True
        for worker in self.workers.values():
            with suppress(ProcessLookupError):
                worker.process.send_signal(signal.SIGKILL)

    # ---- work

    @property
    def places(self) -> tuple[int, int]:
        links = sum(worker.links for worker in self.workers.values())
        return links, sum(worker.away for worker in self.workers.values())

    @property
    def next(self) -> Worker | None:
        """Who gets the next connection."""
        ready = [worker for worker in self.workers.values() if worker.ready]
        return min(ready, key=lambda worker: worker.links, default=None)

    def hand(self, connection: socket.socket, unix: bool, worker: Worker, most: int) -> None:
        """most: links at a time."""
        links, away = self.places
        worker.say([connection.fileno()], link=(unix, links, away))
        worker.links += 1
        worker.away += links - away >= most
        connection.close()

    async def judge(self, sources: Sources) -> tuple[str, ...]:
        """Faults that any of them finds in policy files; none: all of them have them now."""
        workers = [worker for worker in self.workers.values() if worker.ready]
        answers = await asyncio.gather(*(worker.order("judge", sources=sources) for worker in workers))
        faults = dict.fromkeys(fault for answer in answers for fault in answer.get("faults", ()))
        if not faults:
            await asyncio.gather(*(worker.order("take", sources=sources) for worker in workers))
        return tuple(faults)

    async def look(self) -> tuple[bool, list[dict[str, object]], Tally]:
        """Whether those that are ready are well, what each says of itself, and what all have counted, those that are
        gone too."""
        workers = [worker for worker in self.workers.values() if worker.ready]
        answers = await asyncio.gather(*(worker.ask("ask") for worker in workers))
        for worker, answer in zip(workers, answers, strict=True):
            worker.tally = answer.get("tally", worker.tally)
        well = bool(answers) and all(answer.get("well") for answer in answers)
        told = [{"worker": w.number, **a["details"]} for w, a in zip(workers, answers, strict=True) if a]
        return well, told, merged([self._gone, *(worker.tally for worker in self.workers.values())])


async def _nothing(notice: notices.Notice) -> None:
    """A supervisor has no links."""


def command(module: str) -> list[str]:
    """Starts `module` as this process was started: with its interpreter and its path, whatever directory it is in."""
    return [
        sys.executable,
        "-c",
        f"import sys; sys.path[:] = {sys.path!r}; from {module} import main; sys.exit(main())",
    ]
