"""Tasks with a name and an owner. The only place where one is made.

Invariant: a failure that nobody expected is never silent. It is counted, with its type and place and without its
text, which may hold anything.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar, final

from proxy.observe import count, log

T = TypeVar("T")
LONGEST_PLACE: Final = 200  # of a log's fact


@final
class Tasks:
    """The tasks of one owner; `cancel()` ends them all. A task's failure is the business of who awaits it; one that
    nobody awaits is counted."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, coro: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(coro, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def repeat(self, call: Callable[[], Coroutine[Any, Any, None]], every: float, name: str) -> None:
        """Call again and again, with `every` seconds between an end and the next beginning. A call that fails is
        counted; the next comes all the same."""
        self.spawn(_repeat(call, every), name)

    async def cancel(self) -> None:
        """Cancel what runs, and what that starts meanwhile, and wait for its end."""
        while self._running:
            running = list(self._running)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            self._running.difference_update(running)


async def _repeat(call: Callable[[], Coroutine[Any, Any, None]], every: float) -> None:
    while True:
        await asyncio.sleep(every)
        try:
            await call()
        except Exception as error:  # noqa: BLE001 - time-outs, health and refreshes go on for the others
            failed(error, "repeated-call-failed")


def failed(error: BaseException, event: str) -> None:
    """Count and log an error that should not be: its type and place, never its text."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}"
    count("errors", kind=type(error).__name__)
    log(event, "error", error=type(error).__name__[:64], reason=where[:LONGEST_PLACE])


def unexpected(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """The loop's exception handler: what a callback or a task that nobody awaits raised."""
    error = context.get("exception")
    failed(error if isinstance(error, BaseException) else RuntimeError(), "unexpected")
