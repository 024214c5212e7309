"""What a pgveil has once, however many processes serve its links: addresses, the admin port, the place that another may
take (docs/adr/0011).

Not here: who accepts connections; that is the holder's business.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, final

from prometheus_client import CollectorRegistry

from proxy.admin.app import Admin
from proxy.config import Settings
from proxy.endpoints import Unix
from proxy.net.handover import Estate, Handover, Holder, Met
from proxy.net.listen import Arrive, Door, close, listen
from proxy.net.notices import Bus
from proxy.net.tasks import Tasks
from proxy.net.worker import PATIENCE

T = TypeVar("T")
LOOK: Final = 8.0  # seconds for a page of the admin port


class Looks(Protocol):
    """What the admin port shows. Asked in the loop."""

    def metrics(self) -> Coroutine[Any, Any, CollectorRegistry]: ...

    def readiness(self) -> Coroutine[Any, Any, tuple[bool, Mapping[str, object]]]: ...


@final
class Front:
    """lock, schema: of the vault. met: the process whose place is taken, or that drains."""

    def __init__(self, settings: Settings, lock: int, schema: int, met: Met | None) -> None:
        """Raises Unavailable: an address can't be had."""
        self._settings: Final = settings
        self._met = met if met is not None and met.serving else None
        given = {} if self._met is None else self._met.sockets
        self.estate = Estate(vault_of(settings), schema, lock, listen(settings.listen, given))
        for name in given.keys() - {str(each.endpoint) for each in self.estate.listening}:
            for one in given[name]:
                one.close()  # an address that is not listened on any more
        self._talk = None if met is None else met.talk
        self._given = None if met is None else met.admin
        self._admin: Admin | None = None
        self._handover: Handover | None = None
        self._ours = True  # the files of Unix sockets

    @property
    def ready_line(self) -> str:
        return "ready: listening on " + ", ".join(str(each) for each in self._settings.listen)

    @property
    def draining(self) -> bool:
        return self._handover is not None and self._handover.draining

    # ---- life

    async def open(
        self, door: Door, tcp: Arrive, unix: Arrive, holder: Holder, bus: Bus, looks: Looks, tasks: Tasks
    ) -> None:
        """All else is up: take the place, if there is one to take, and let connections in. Raises Unavailable."""
        seconds = self._settings.timeouts.catalog + PATIENCE
        if self._talk is not None:
            self._talk.share(bus, seconds)
        if self._met is not None:
            await self._met.take()
        await door.open(tcp, unix)
        self._open_admin(looks)
        self._handover = Handover(self.estate, holder, bus, tasks, seconds)
        self._handover.open()
        if self._met is not None:
            self._met.talk.say(serving=True)
            self._met = None

    def _open_admin(self, looks: Looks) -> None:
        endpoint, loop, given = self._settings.admin, asyncio.get_running_loop(), self._given
        if endpoint is None:
            return
        if given is not None and (isinstance(endpoint, Unix) or given.getsockname()[1] != endpoint.port):
            given.close()
            given = None

        def wait(asked: Callable[[], Coroutine[Any, Any, T]]) -> T:
            return asyncio.run_coroutine_threadsafe(asked(), loop).result(LOOK)

        self._admin = Admin(endpoint, lambda: wait(looks.metrics), lambda: wait(looks.readiness), given)
        self._admin.start()
        self._given = None
        listening = self._admin.socket
        self.estate.admin = None if listening is None else listening.dup()

    def leave_admin(self) -> None:
        """It is another's. Its end takes a moment, which is not the loop's."""
        admin, self._admin = self._admin, None
        if admin is not None:
            threading.Thread(target=admin.stop, name="admin end", daemon=True).start()
        if self.estate.admin is not None:
            self.estate.admin.close()
            self.estate.admin = None

    def drains(self) -> None:
        """The addresses are free for another; who comes may share the vault as long as this one is there."""
        if self._handover is not None:
            self._handover.draining = True
        close(self.estate.listening, self._ours)

    def succeeded(self) -> None:
        """They are another's now."""
        self._ours = False
        close(self.estate.listening, False)
        self.leave_admin()

    async def outlive(self) -> None:
        """Until the process whose place was taken is gone, if it is still there: what its links make is told through
        this one."""
        if self._talk is not None and not self._ours:
            await self._talk.end()

    def close(self) -> None:
        if self._admin is not None:
            self._admin.stop()
        if self._handover is not None:
            self._handover.close()
        close(self.estate.listening, self._ours)
        for one in (self.estate.admin, self._given):
            if one is not None:
                one.close()
        if self._talk is not None:
            self._talk.close()


def vault_of(settings: Settings) -> str:
    """The same text for the same vault."""
    url = settings.vault
    return str(Path(url.file).resolve()) if url.scheme == "sqlite" else url.safe
