"""Tasks with a name and an owner. The only place where one is made."""

import asyncio
from collections.abc import Coroutine
from typing import Any, final


@final
class Tasks:
    """The tasks of one owner; `cancel()` ends them all. A task's failure is the owner's business: give coroutines
    that handle their own."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def spawn(self, coro: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coro, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def cancel(self) -> None:
        """Cancel what runs and wait for its end."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
