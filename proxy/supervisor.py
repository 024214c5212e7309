"""The process that watches over workers: it accepts connections and hands them on, reads policies for all of them, and
has what a pgveil has once (front).

Links are the workers' alone, and so is the vault: here is only its lock. Invariants: all workers have the same policy,
but for the moment in which it changes; one connection goes to one worker; `limits.connections` holds over all of them.
"""

import asyncio
import errno
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, final

from prometheus_client import CollectorRegistry

from proxy.config import Settings
from proxy.endpoints import Unix
from proxy.front import Front
from proxy.net.crew import Crew, command
from proxy.net.listen import Arrive, Listening
from proxy.net.reload import PolicyFiles, Recall, Sources
from proxy.net.server import TOO_MANY, TURNED_AWAY
from proxy.net.tally import Page, merged, tally, together
from proxy.net.tasks import Tasks, unexpected
from proxy.net.worker import Start
from proxy.observe import REGISTRY, count, log
from proxy.policy.rules import Policy
from proxy.session.state import error_response

# What the process has no more of for now; the connection waits where it is.
SHORT: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
SHORT_PAUSE: Final = 1.0
AT_ONCE: Final = 64  # connections before others get a turn
MODULE: Final = "proxy.worker"


@final
class Supervisor:
    """See the module."""

    def __init__(
        self,
        settings: Settings,
        sources: Sources,
        policy: Policy,
        lock: int,
        front: Front,
        recall: Recall,
        tasks: Tasks,
    ) -> None:
        self._settings = settings
        self._sources = sources
        self._front = front
        self._tasks = tasks
        self._files = PolicyFiles(settings, sources, policy, lambda policy: None, recall)
        self._stopping = asyncio.Event()
        self._succeeded = False
        self._open = False  # connections may come
        self._accepting = False
        self._judging = asyncio.Lock()
        self._crew = Crew(
            command(MODULE), self._start, lock, settings.timeouts.catalog, tasks, self._hand, self._look_at_door
        )

    def _start(self, number: int) -> Start:
        return Start(self._settings, self._sources, number)

    # ---- life

    async def run(self, ready: Callable[[], None]) -> None:
        """Until a signal, or until another process has the place. Raises what a worker could not start for."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(unexpected)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._hangup)
        try:
            await self._crew.begin(self._settings.workers)
            await self._front.open(self, _nobody, _nobody, self, self._crew.bus, self, self._tasks)
            self._tasks.repeat(self._look, self._settings.policy_poll, "policy")
            ready()
            await self._stopping.wait()
            self.close()
            if not self._succeeded:
                self._front.drains()
                await self._crew.end(self._settings.timeouts.drain, drain=True)
            else:
                await self._crew.end(2 * self._settings.timeouts.drain, succeeded=True)
                await self._front.outlive()
        finally:
            self.close()
            self._crew.kill()

    # ---- the place (handover.Holder)

    def pause(self) -> None:
        self.close()

    async def resume(self) -> None:
        self._open = True
        self._look_at_door()

    def succeeded(self) -> None:
        self._succeeded = True
        self._front.succeeded()
        self._stopping.set()

    def leave_admin(self) -> None:
        self._front.leave_admin()

    def abandoned(self) -> None:
        self._crew.kill()

    # ---- connections (listen.Door)

    async def open(self, tcp: Arrive, unix: Arrive) -> None:
        await self.resume()

    def close(self) -> None:
        self._open = False
        self._look_at_door()

    async def settle(self) -> None:
        return

    def _look_at_door(self) -> None:
        """Without a worker that could have them, connections wait where they are."""
        wanted = self._open and self._crew.next is not None
        if wanted == self._accepting:
            return
        self._accepting = wanted
        loop = asyncio.get_running_loop()
        for each in self._front.estate.listening:
            for one in each.sockets:
                if wanted:
                    one.setblocking(False)
                    loop.add_reader(one, self._accept, each, one)
                else:
                    loop.remove_reader(one)

    def _accept(self, listening: Listening, one: socket.socket) -> None:
        for _ in range(AT_ONCE):
            if not self._accepting:
                return
            try:
                connection, _ = one.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in SHORT:
                    self._rest(error)
                    return
                raise
            self._hand(connection, isinstance(listening.endpoint, Unix))

    def _rest(self, error: OSError) -> None:
        log("accept-failed", "error", reason=(error.strerror or "")[:200])
        self.close()

        def again() -> None:
            self._open = not self._stopping.is_set() and not self._front.draining
            self._look_at_door()

        asyncio.get_running_loop().call_later(SHORT_PAUSE, again)

    def _hand(self, connection: socket.socket, unix: bool) -> None:
        worker, most = self._crew.next, self._settings.limits.connections
        links, _ = self._crew.places
        if worker is None or links >= most + TURNED_AWAY:
            count("links", outcome="refused")
            connection.setblocking(False)
            with suppress(OSError):
                connection.send(error_response("FATAL", TOO_MANY))
            connection.close()
            return
        self._crew.hand(connection, unix, worker, most)

    # ---- policies

    def _hangup(self) -> None:
        self._tasks.spawn(self._look(True), "policy")
        self._crew.say(look=True)

    async def _look(self, forced: bool = False) -> None:
        """All workers take a new policy over, or none does."""
        async with self._judging:
            found = self._files.news(forced)
            if found is None:
                return
            before, self._sources = self._sources, found  # a worker that starts meanwhile has it
            faults = await self._crew.judge(found)
            if faults:
                self._sources = before
                self._files.bad(faults)
            else:
                self._files.take(found)

    # ---- the admin port (front.Looks)

    async def metrics(self) -> CollectorRegistry:
        _, _, theirs = await self._crew.look()
        return Page(merged([tally(REGISTRY), theirs]))

    async def readiness(self) -> tuple[bool, Mapping[str, object]]:
        well, workers, _ = await self._crew.look()
        details = together(workers)
        details.pop("worker", None)
        policy = {"digest": self._files.policy.digest, "faults": list(self._files.faults)}
        stopping = self._stopping.is_set()
        everybody = len(workers) == self._settings.workers
        told = {**details, "policy": policy, "draining": stopping, "workers": workers}
        return well and everybody and not stopping, told


def _nobody() -> asyncio.Protocol:
    """Connections are not accepted through protocols here."""
    raise NotImplementedError
