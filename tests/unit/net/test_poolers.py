"""What a login tells of the way to the server. Real poolers are in tests/integration/test_poolers.py."""

from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from proxy.net.poolers import SHARED, UNKNOWN, Poolers, nothing_between
from proxy.net.upstream import Upstream
from proxy.session.world import DIRECT, Pooling
from tests.vault.kit import asynchronous

URL = "postgresql://reader@elsewhere:1/shop"
SESSIONS = Pooling(True)
TRANSACTIONS = Pooling(True, SHARED)


class Connection:
    """told: the process that the login named. answers: the one that runs the statement, or what it fails with."""

    def __init__(self, told: int, answers: "int | Exception") -> None:
        self.told, self.answers = told, answers
        self.open = True

    def get_server_pid(self) -> int:
        return self.told

    def transaction(self) -> "Connection":
        return self

    async def __aenter__(self) -> None:
        if isinstance(self.answers, Exception):
            raise self.answers

    async def __aexit__(self, *_: object) -> None:
        return

    async def fetchval(self, _: str) -> object:
        return self.answers

    def terminate(self) -> None:
        self.open = False


Way = list["tuple[int, int | Exception] | Exception"]


def looked(monkeypatch: pytest.MonkeyPatch, *ways: Way, times: int = 1) -> Pooling:
    """What comes of looking, where the connections to each server are those, in order."""
    made: list[Connection] = []
    left = {port: list(way) for port, way in enumerate(ways, 1)}

    async def connect(url: str, *, host: str, port: int, **_: object) -> Any:
        assert (url, host) == (URL, "db")
        each = left[port].pop(0)
        if isinstance(each, Exception):
            raise each
        made.append(Connection(*each))
        return made[-1]

    monkeypatch.setattr(asyncpg, "connect", connect)
    poolers = Poolers(URL, [Upstream("db", port, "disable", None, 1) for port in left], 1)
    found: list[Pooling] = []

    @asynchronous
    async def test() -> None:
        found.extend([await poolers.look("shop") for _ in range(times)])

    test()
    assert not [each for each in made if each.open] and not any(left.values())
    return found[-1]


CASES: dict[str, tuple[list[Way], Pooling]] = {
    "a server": ([[(7, 7)]], DIRECT),
    "sessions": ([[(1, 7), (2, 8)]], SESSIONS),
    "transactions": ([[(1, 7), (2, 7)]], TRANSACTIONS),
    "statements": ([[(1, asyncpg.ConnectionDoesNotExistError("not allowed in statement pooling mode"))]], TRANSACTIONS),
    "no login": ([[asyncpg.InvalidPasswordError("no")]], UNKNOWN),
    "gone in the middle": ([[(1, 7), asyncpg.ConnectionDoesNotExistError("gone")]], UNKNOWN),
    "not there": ([[OSError()]], DIRECT),
    "in no time": ([[TimeoutError()]], DIRECT),
    "the worst of several": ([[(7, 7)], [(1, 7), (2, 7)], [OSError()]], TRANSACTIONS),
    "one of two": ([[(7, 7)], [(1, 7), (2, 8)]], SESSIONS),
}


@pytest.mark.parametrize(("ways", "expected"), CASES.values(), ids=CASES)
def test_what_stands_between(monkeypatch: pytest.MonkeyPatch, ways: list[Way], expected: Pooling) -> None:
    assert looked(monkeypatch, *ways) == expected


def test_it_is_said_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    looked(monkeypatch, [(1, 7), (2, 7), (3, 7), (4, 7)], times=2)
    assert caplog.text.count("upstream-shares-sessions") == 1


def test_where_nobody_looks() -> None:
    look: Callable[[str], Any] = nothing_between

    @asynchronous
    async def test() -> None:
        assert await look("shop") == DIRECT

    test()
