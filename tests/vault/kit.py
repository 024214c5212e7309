"""What tests of the vault share: a loop a test, tasks with an owner, entropy and time that repeat."""

import asyncio
import functools
import hashlib
import json
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from proxy.vault.committer import Sources
from proxy.vault.keys import LocalKeys, new_key_document

P = ParamSpec("P")


def asynchronous(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test on a loop of its own, which must end without tasks left."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def whole() -> None:
            await test(*args, **kwargs)
            await asyncio.sleep(0)  # a task that has just finished is gone only in the loop's next turn
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, left

        asyncio.run(whole())

    return run


class Entropy:
    """Bytes that look random and are the same in every run."""

    def __init__(self, seed: str = "") -> None:
        self._seed = seed
        self._count = 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return hashlib.shake_256(f"{self._seed} {self._count}".encode()).digest(size)


class Clock:
    """Time that moves when told, and a microsecond at every look."""

    def __init__(self, wall: int = 1_700_000_000_000_000) -> None:
        self.now = wall
        self.ticks = 0

    def wall(self) -> int:
        self.now += 1
        return self.now

    def mono(self) -> int:
        self.ticks += 1
        return self.ticks


TASKS: set[asyncio.Task[None]] = set()


def spawn(coro: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
    task = asyncio.get_running_loop().create_task(coro, name=name)
    TASKS.add(task)
    task.add_done_callback(TASKS.discard)
    return task


def sources(seed: str = "", clock: Clock | None = None) -> Sources:
    clock = clock or Clock()
    return Sources(spawn, Entropy(seed), clock.wall, clock.mono)


def provider(seed: str = "kek") -> LocalKeys:
    """A KEK provider; the same seed gives the same keys."""
    document = json.loads(new_key_document(Entropy(seed)))
    keks = {document["active"]: Entropy(seed + " bytes")(32)}
    return LocalKeys(f"test:{seed}", keks, document["active"], Entropy(seed + " nonces"))
