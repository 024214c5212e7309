import asyncio
from collections.abc import Sequence

import pytest

from proxy.errors import Bug, Unavailable
from proxy.vault.batch import Batcher
from tests.vault.kit import TASKS, asynchronous, spawn


class _Store:
    """Answers a batch with its sum, when it is let."""

    def __init__(self, fault: BaseException | None = None) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()
        self.begun = asyncio.Event()
        self.fault = fault

    async def run(self, batch: Sequence[int]) -> int:
        self.batches.append(list(batch))
        self.begun.set()
        await self.open.wait()
        if self.fault is not None:
            raise self.fault
        return sum(batch)

    def batcher(self, weight: int = 100, queue: int = 100, timeout: float = 30.0) -> Batcher[int, int]:
        return Batcher(self.run, lambda number: number, spawn, "test", weight=weight, queue=queue, timeout=timeout)


async def _ask(batcher: Batcher[int, int], *numbers: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.get_running_loop().create_task(batcher.submit(number)) for number in numbers]
    await asyncio.sleep(0)
    return tasks


@asynchronous
async def test_what_comes_while_a_call_runs_goes_into_the_next() -> None:
    store = _Store()
    batcher = store.batcher()
    first = await _ask(batcher, 1)
    await store.begun.wait()
    later = await _ask(batcher, 2, 3, 4)
    store.open.set()
    assert await asyncio.gather(*first, *later) == [1, 9, 9, 9]
    assert store.batches == [[1], [2, 3, 4]]


@asynchronous
async def test_what_comes_in_one_turn_shares_the_first_call() -> None:
    store = _Store()
    store.open.set()
    batcher = store.batcher()
    assert await asyncio.gather(*[batcher.submit(number) for number in (1, 2, 3)]) == [6, 6, 6]


@asynchronous
async def test_a_batch_is_bounded_by_weight_and_a_heavy_question_goes_alone() -> None:
    store = _Store()
    store.open.set()
    batcher = store.batcher(weight=5)
    await asyncio.gather(*[batcher.submit(number) for number in (2, 2, 2, 50, 1)])
    assert store.batches == [[2, 2], [2], [50], [1]]


@pytest.mark.parametrize("fault", [Unavailable("vault", "x"), Bug("x")])
@asynchronous
async def test_every_waiter_of_a_failed_call_gets_its_error_and_the_next_call_works(fault: Exception) -> None:
    store = _Store(fault)
    store.open.set()
    batcher = store.batcher()
    failed = await asyncio.gather(batcher.submit(1), batcher.submit(2), return_exceptions=True)
    assert failed == [fault, fault]
    store.fault = None
    assert await batcher.submit(3) == 3


@asynchronous
async def test_a_waiter_that_leaves_takes_nobody_with_it() -> None:
    store = _Store()
    batcher = store.batcher()
    gone, stays = await _ask(batcher, 1, 2)
    await store.begun.wait()
    gone.cancel()
    store.open.set()
    assert await stays == 3
    assert gone.cancelled() or (await asyncio.wait([gone]))
    store.fault = Unavailable("vault")
    store.open.clear()
    store.begun.clear()
    gone, stays = await _ask(batcher, 1, 2)
    await store.begun.wait()
    gone.cancel()
    await asyncio.sleep(0)
    store.open.set()
    with pytest.raises(Unavailable):
        await stays


@asynchronous
async def test_a_queue_is_bounded() -> None:
    store = _Store()
    batcher = store.batcher(queue=2)
    first = await _ask(batcher, 1)
    await store.begun.wait()
    waiting = await _ask(batcher, 2, 3)
    with pytest.raises(Unavailable, match="2 requests wait already"):
        await batcher.submit(4)
    store.open.set()
    assert await asyncio.gather(*first, *waiting) == [1, 5, 5]


@asynchronous
async def test_who_waits_for_a_call_that_stands_still_gives_up_and_so_does_who_comes_later() -> None:
    store = _Store()
    batcher = store.batcher(weight=1, timeout=0)
    waiting = await _ask(batcher, 1, 1)
    for fault in await asyncio.gather(*waiting, batcher.submit(1), return_exceptions=True):
        assert str(fault) == "vault is not reachable: no answer within 0 s"
    with pytest.raises(Unavailable, match="no answer within 0 s"):
        await batcher.submit(1)
    assert store.batches == [[1]]
    store.open.set()
    await asyncio.gather(*TASKS)


@asynchronous
async def test_a_queue_that_moves_gives_nobody_up() -> None:
    """However long it is: each call has the whole time, which counts anew with it."""
    loop = asyncio.get_running_loop()
    calls: list[int] = []

    async def run(batch: Sequence[int]) -> int:
        calls.append(len(batch))
        done: asyncio.Future[int] = loop.create_future()
        loop.call_later(0.05, done.set_result, 0)
        return await done

    batcher = Batcher(run, lambda number: number, spawn, "test", weight=1, queue=100, timeout=0.5)
    await asyncio.gather(*[batcher.submit(1) for _ in range(11)])
    assert calls == [1] * 11


@asynchronous
async def test_closing_answers_what_waits_and_then_refuses() -> None:
    store = _Store()
    store.open.set()
    batcher = store.batcher()
    waiting = await _ask(batcher, 1, 2)
    await batcher.close()
    assert await asyncio.gather(*waiting) == [3, 3]
    with pytest.raises(Unavailable, match="closed"):
        await batcher.submit(3)


@asynchronous
async def test_nobody_waits_for_a_task_that_was_cancelled() -> None:
    store = _Store()
    batcher = store.batcher(weight=1)
    waiting = await _ask(batcher, 1, 1)
    await store.begun.wait()
    for task in tuple(TASKS):
        task.cancel()
    for fault in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(fault, Unavailable)
        assert str(fault) == "vault is not reachable: it stopped"
