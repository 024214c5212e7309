"""Batching over all links of a process: what is asked while one call to the store runs goes into the next one.

A batcher knows nothing of what it carries. Invariants: one call at a time, in order of arrival; a waiter that leaves
takes nobody with it; every waiter gets an answer or an error, whatever happens to the call. Waiting long is no error as
long as calls end: the time-out is one call's, so a queue that moves gives nobody up.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Generic, Protocol, TypeVar

from proxy.errors import Bug, Unavailable

Q = TypeVar("Q")
R = TypeVar("R")


class Spawn(Protocol):
    """Starts a task that somebody owns (net.tasks.spawn)."""

    def __call__(self, coro: Coroutine[Any, Any, None], *, name: str) -> object: ...


class Batcher(Generic[Q, R]):
    """Collects questions and has `run` answer them many at a time."""

    def __init__(
        self,
        run: Callable[[Sequence[Q]], Awaitable[R]],
        weigh: Callable[[Q], int],
        spawn: Spawn,
        name: str,
        *,
        weight: int,
        queue: int,
        timeout: float,
    ) -> None:
        """run: answers a batch; each of its waiters gets the same answer. weight: what a batch may weigh (a heavier
        question goes alone). queue: questions that may wait. timeout: seconds that one call may take; then all who wait
        give up, though the call itself is not broken off: it may still take effect."""
        self._run = run
        self._weigh = weigh
        self._spawn = spawn
        self._name = name
        self._weight = weight
        self._queue = queue
        self._timeout = timeout
        self._waiting: deque[tuple[Q, asyncio.Future[R]]] = deque()
        self._asked: list[tuple[Q, asyncio.Future[R]]] = []  # what the call that runs is about
        self._watch: asyncio.TimerHandle
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    async def submit(self, question: Q) -> R:
        """The answer of the batch that `question` went into. Raises what `run` raised, or Unavailable (too many
        wait, no answer in time, closed)."""
        if self._closed:
            raise Unavailable("vault", "it is closed")
        if len(self._waiting) >= self._queue:
            raise Unavailable("vault", f"{self._queue} requests wait already")
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        if self._idle.is_set():
            self._idle.clear()
            self._spawn(self._drain(), name=self._name)
        return await future

    async def close(self) -> None:
        """Answer what waits, then refuse."""
        self._closed = True
        await self._idle.wait()

    async def _drain(self) -> None:
        try:
            while self._waiting:
                await self._answer(self._take())
        finally:
            self._idle.set()
            while self._waiting:  # only if the task was cancelled or broke
                _fail(self._waiting.popleft()[1], Unavailable("vault", "it stopped"))

    def _take(self) -> list[tuple[Q, asyncio.Future[R]]]:
        batch = [self._waiting.popleft()]
        weight = self._weigh(batch[0][0])
        while self._waiting:
            weight += self._weigh(self._waiting[0][0])
            if weight > self._weight:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _answer(self, batch: list[tuple[Q, asyncio.Future[R]]]) -> None:
        self._asked = batch
        self._watch = asyncio.get_running_loop().call_later(self._timeout, self._overdue)
        try:
            answer = await self._run([question for question, _ in batch])
        except (Unavailable, Bug) as fault:
            for _, future in batch:
                _fail(future, fault)
        else:
            for _, future in batch:
                if not future.done():
                    future.set_result(answer)
        finally:
            self._watch.cancel()
            for _, future in batch:
                _fail(future, Unavailable("vault", "it stopped"))

    def _overdue(self) -> None:
        """The call takes too long. What comes from now on waits behind it, and is refused when it lasts again so long;
        the call is not broken off, as a store can't be: it may be writing."""
        late = Unavailable("vault", f"no answer within {self._timeout:g} s")
        for _, future in [*self._asked, *self._waiting]:
            _fail(future, late)
        self._waiting.clear()
        self._watch = asyncio.get_running_loop().call_later(self._timeout, self._overdue)


def _fail(future: asyncio.Future[R], fault: Exception) -> None:
    if not future.done():
        future.set_exception(fault)
