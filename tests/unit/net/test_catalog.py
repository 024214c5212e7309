"""The catalog reader's way to its account. What it reads is compared with real servers in tests/integration."""

from typing import Any

import asyncpg
import pytest

from proxy.errors import Unavailable
from proxy.net.catalog import CatalogReader, with_database
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
