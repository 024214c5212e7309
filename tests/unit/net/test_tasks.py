"""Tasks: owned, ended together, and never silent about a failure."""

import asyncio

import pytest

from proxy.net.tasks import Tasks, failed, unexpected
from proxy.observe import REGISTRY
from tests.unit.net.stage import turns, until
from tests.vault.kit import asynchronous


def errors(kind: str) -> float:
    return REGISTRY.get_sample_value("pgveil_errors_total", {"kind": kind}) or 0.0


@asynchronous
async def test_cancel_ends_what_is_started_meanwhile() -> None:
    tasks = Tasks()
    late: list[asyncio.Task[None]] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            late.append(tasks.spawn(asyncio.Event().wait(), "late"))  # type: ignore[arg-type]

    tasks.spawn(forever(), "forever")
    await turns()
    await tasks.cancel()
    assert late[0].cancelled() and not tasks._running


@asynchronous
async def test_a_call_that_fails_is_counted_and_made_again() -> None:
    tasks, calls, before = Tasks(), [], errors("ZeroDivisionError")

    async def call() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError("secret")

    tasks.repeat(call, 0, "call")
    await until(lambda: len(calls) > 2)
    assert errors("ZeroDivisionError") == before + 1
    await tasks.cancel()


def test_an_error_is_told_by_type_and_place(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise LookupError("secret@example.org")
    except LookupError as error:
        failed(error, "link-broken")
    failed(LookupError("secret@example.org"), "link-broken")
    facts = [record.__dict__["facts"] for record in caplog.records]
    assert facts[0]["error"] == "LookupError" and "test_an_error_is_told" in facts[0]["reason"]
    assert facts[1]["reason"] == "" and "secret" not in str(facts)


@asynchronous
async def test_what_the_loop_finds_is_counted() -> None:
    loop, key, other = asyncio.get_running_loop(), errors("KeyError"), errors("RuntimeError")
    loop.set_exception_handler(unexpected)
    loop.call_soon(lambda: {}["secret"])
    await turns()
    loop.call_exception_handler({"message": "secret"})
    assert errors("KeyError") == key + 1 and errors("RuntimeError") == other + 1
