"""The catalog reader's way to its account. What it reads is compared with real servers in tests/integration."""

from typing import Any

import asyncpg
import pytest

from proxy.errors import Unavailable
from proxy.net.catalog import CatalogReader, with_database
from proxy.net.upstreams import Standing
from tests.vault.kit import asynchronous

URL = "postgresql://reader:s3cret@db:1/shop"


@pytest.mark.parametrize(
    ("url", "database", "expected"),
    [
        ("postgresql://a@b:1/shop?sslmode=require", "other", "postgresql://a@b:1/other?sslmode=require"),
        ("postgresql://a@[::1]:1", "o/t her?", "postgresql://a@[::1]:1/o%2Ft%20her%3F"),
    ],
)
def test_the_database_part_is_replaced(url: str, database: str, expected: str) -> None:
    assert with_database(url, database) == expected


@pytest.mark.parametrize(
    "error",
    [
        OSError("s3cret"),
        TimeoutError(),
        asyncpg.InvalidPasswordError("s3cret"),
        asyncpg.InterfaceError("s3cret"),
        ValueError(),
    ],
)
def test_an_account_that_can_not_connect(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(url: str, **_: object) -> Any:
        assert url.endswith("/other")
        raise error

    monkeypatch.setattr(asyncpg, "connect", connect)

    @asynchronous
    async def test() -> None:
        with pytest.raises(Unavailable, match=f"the catalog is not reachable: {type(error).__name__}") as told:
            await CatalogReader(URL, 1.0).read("other")
        assert "s3cret" not in str(told.value)

    test()


@pytest.mark.parametrize(
    "error", [TimeoutError(), asyncpg.InsufficientPrivilegeError("x"), asyncpg.InterfaceError("x")]
)
def test_a_reading_that_fails_leaves_no_connection(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    class Connection:
        terminated = False

        async def fetchval(self, _: str) -> str:
            raise error

        def terminate(self) -> None:
            self.terminated = True

    connection = Connection()

    async def connect(url: str, **_: object) -> Connection:
        assert url == URL
        return connection

    monkeypatch.setattr(asyncpg, "connect", connect)

    @asynchronous
    async def test() -> None:
        with pytest.raises(Unavailable, match=type(error).__name__):
            await CatalogReader(URL, 1.0).read(None)
        assert connection.terminated

    test()


# ---- several servers


class Places:
    """Accounts' connections by host. What each says of itself, or how it fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **hosts: bool | Exception) -> None:
        self.hosts = hosts
        self.tried: list[str] = []
        self.open: list[str] = []
        monkeypatch.setattr(asyncpg, "connect", self.connect)

    async def connect(self, _url: str, host: str, port: int, **_: object) -> "Place":
        assert port == 5
        self.tried.append(host)
        found = self.hosts[host]
        if isinstance(found, Exception) and not isinstance(found, asyncpg.InterfaceError):
            raise found
        self.open.append(host)
        return Place(self, host, found)

    def reader(self) -> CatalogReader:
        return CatalogReader(URL, 1.0, lambda: [(host, 5) for host in self.hosts])


class Place:
    def __init__(self, places: Places, host: str, standby: bool | Exception) -> None:
        self.places, self.host, self.standby = places, host, standby

    async def fetchval(self, _: str) -> bool:
        if isinstance(self.standby, Exception):
            raise self.standby
        return self.standby

    async def fetchrow(self, query: str) -> tuple[object, ...]:
        return (77,) if "pg_control_system" in query else (self.standby, True)

    def terminate(self) -> None:
        self.places.open.remove(self.host)


@pytest.mark.parametrize(
    ("hosts", "tried", "open_at"),
    [
        ({"a": False, "b": False}, "a", "a"),
        ({"a": True, "b": False}, "ab", "b"),
        ({"a": OSError(), "b": False}, "ab", "b"),
        ({"a": True, "b": True}, "aba", "a"),
        ({"a": asyncpg.CannotConnectNowError("x"), "b": True}, "abb", "b"),
        ({"a": TimeoutError(), "b": OSError()}, "ab", ""),
        ({"a": True, "b": asyncpg.TooManyConnectionsError("x")}, "ab", ""),  # it is there: it must not be passed over
        ({"a": asyncpg.InterfaceError("x"), "b": False}, "a", ""),
    ],
)
def test_the_catalog_is_read_at_a_primary_if_there_is_one(
    hosts: dict[str, bool | Exception], tried: str, open_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = Places(monkeypatch, **hosts)

    @asynchronous
    async def test() -> None:
        if open_at:
            await places.reader().connect("shop")
        else:
            with pytest.raises(Unavailable, match="the catalog"):
                await places.reader().connect("shop")

    test()
    assert "".join(places.tried) == tried and "".join(places.open) == open_at


def test_what_a_server_is(monkeypatch: pytest.MonkeyPatch) -> None:
    places = Places(monkeypatch, a=True, b=OSError("s3cret"))

    @asynchronous
    async def test() -> None:
        reader = places.reader()
        assert await reader.standing("a", 5) == Standing(True, True)
        assert await reader.cluster("a", 5) == "77"
        with pytest.raises(Unavailable, match="OSError as the `catalog` account"):
            await reader.standing("b", 5)

    test()
    assert not places.open
