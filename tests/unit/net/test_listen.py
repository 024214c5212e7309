"""Addresses: all or none, and no socket of somebody else's taken away. Here `Opener` stands for the loop."""

import asyncio
import errno
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from proxy.endpoints import Tcp, Unix
from proxy.errors import Unavailable
from proxy.net.listen import Listeners, free
from tests.vault.kit import asynchronous


class Opened:
    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Opener:
    """What the event loop does for listeners. taken: a port that somebody has."""

    def __init__(self, taken: int = 0) -> None:
        self.taken = taken
        self.opened: list[Opened] = []
        self.addresses: list[object] = []
        loop: Any = asyncio.get_running_loop()
        loop.create_server = self.tcp
        loop.create_unix_server = self.unix

    async def tcp(self, _: object, host: str, port: int, **more: object) -> Opened:
        if port == self.taken:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return self._made((host, port))

    async def unix(self, _: object, path: str, **more: object) -> Opened:
        socket_file(Path(path))
        return self._made(path)

    def _made(self, address: object) -> Opened:
        self.addresses.append(address)
        self.opened.append(Opened())
        return self.opened[-1]


def socket_file(path: Path) -> Path:
    os.mknod(path, 0o600 | stat.S_IFSOCK)
    return path


def listeners() -> Listeners:
    return Listeners(asyncio.Protocol, asyncio.Protocol)


@asynchronous
async def test_several_addresses_of_all_kinds(tmp_path: Path) -> None:
    loop, these = Opener(), listeners()
    unix = Unix(str(tmp_path), 6432)
    await these.open([Tcp("127.0.0.1", 1), Tcp("::1", 1), unix])
    assert loop.addresses == [("127.0.0.1", 1), ("::1", 1), unix.path]
    assert stat.S_IMODE(os.stat(unix.path).st_mode) == 0o777
    these.close()
    these.close()
    assert all(each.closed for each in loop.opened) and not os.path.exists(unix.path)


@asynchronous
async def test_one_address_that_can_not_be_had_closes_the_others(tmp_path: Path) -> None:
    loop = Opener(taken=2)
    unix = Unix(str(tmp_path), 6432)
    with pytest.raises(Unavailable, match=r"the address \[::1\]:2 is not reachable: Address already in use"):
        await listeners().open([unix, Tcp("127.0.0.1", 1), Tcp("::1", 2)])
    assert len(loop.opened) == 2 and all(each.closed for each in loop.opened)
    assert not os.path.exists(unix.path)


@asynchronous
async def test_a_socket_that_another_process_put_there_stays(tmp_path: Path) -> None:
    Opener()
    these = listeners()
    unix, path = Unix(str(tmp_path), 6432), tmp_path / ".s.PGSQL.6432"
    await these.open([unix])
    kept = tmp_path / "kept"  # so that the inode's number is not given away again
    path.rename(kept)
    socket_file(path)
    these.close()
    assert path.exists()


def connects(monkeypatch: pytest.MonkeyPatch, error: OSError | None) -> None:
    def connect(_: object, path: str) -> None:
        if error is not None:
            raise error

    monkeypatch.setattr(socket.socket, "connect", connect)


def test_a_socket_that_a_killed_process_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connects(monkeypatch, ConnectionRefusedError(errno.ECONNREFUSED, "refused"))
    path = socket_file(tmp_path / "s")
    free(str(path))
    assert not path.exists()
    free(str(path))


@pytest.mark.parametrize("error", [None, BlockingIOError(errno.EAGAIN, "its queue is full")])
def test_a_socket_that_somebody_listens_on_is_left_alone(
    error: OSError | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connects(monkeypatch, error)
    path = socket_file(tmp_path / "s")
    with pytest.raises(OSError) as told:
        free(str(path))
    assert told.value.errno == errno.EADDRINUSE and path.exists()


@asynchronous
async def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    Opener()
    unix = Unix(str(tmp_path), 6432)
    Path(unix.path).write_text("precious")
    with pytest.raises(Unavailable, match="no socket"):
        await listeners().open([unix])
    assert Path(unix.path).read_text() == "precious"
