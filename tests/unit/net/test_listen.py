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
from proxy.net.listen import Listeners, close, free, listen


class Opened:
    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Opener:
    """What the event loop does for listeners."""

    def __init__(self) -> None:
        self.opened: list[Opened] = []
        self.of: list[str] = []
        loop: Any = asyncio.get_running_loop()
        loop.create_server = self.tcp
        loop.create_unix_server = self.unix

    async def tcp(self, _: object, sock: socket.socket, **more: object) -> Opened:
        return self._made("tcp", sock)

    async def unix(self, _: object, sock: socket.socket, **more: object) -> Opened:
        return self._made("unix", sock)

    def _made(self, of: str, sock: socket.socket) -> Opened:
        sock.close()
        self.of.append(of)
        self.opened.append(Opened())
        return self.opened[-1]


def socket_file(path: Path) -> Path:
    os.mknod(path, 0o600 | stat.S_IFSOCK)
    return path


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Addresses that were bound. Port 2 is somebody else's."""
    found: list[object] = []

    def bind(_: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[1] == 2:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        if isinstance(address, str):
            socket_file(Path(address))
        found.append(address)

    monkeypatch.setattr(socket.socket, "bind", bind)
    monkeypatch.setattr(socket.socket, "listen", lambda *_: None)
    return found


async def several(unix: Unix, bound: list[object]) -> None:
    loop = Opener()
    listening = listen([Tcp("127.0.0.1", 1), Tcp("::1", 1), unix])
    assert bound == [("127.0.0.1", 1), ("::1", 1, 0, 0), unix.path]
    assert stat.S_IMODE(os.stat(unix.path).st_mode) == 0o777
    these = Listeners(listening)
    await these.open(asyncio.Protocol, asyncio.Protocol)
    assert loop.of == ["tcp", "tcp", "unix"]
    these.close()
    these.close()
    await these.settle()
    assert all(each.closed for each in loop.opened) and os.path.exists(unix.path)
    await these.open(asyncio.Protocol, asyncio.Protocol)
    assert len(loop.opened) == 6, "it can be opened again"
    these.close()
    close(listening, True)
    assert not os.path.exists(unix.path) and all(not each.sockets for each in listening)


def test_several_addresses_of_all_kinds(tmp_path: Path, bound: list[object]) -> None:
    asyncio.run(several(Unix(str(tmp_path), 6432), bound))


def test_one_address_that_can_not_be_had_closes_the_others(tmp_path: Path, bound: list[object]) -> None:
    unix = Unix(str(tmp_path), 6432)
    with pytest.raises(Unavailable, match=r"the address \[::1\]:2 is not reachable: Address already in use"):
        listen([unix, Tcp("127.0.0.1", 1), Tcp("::1", 2)])
    assert not os.path.exists(unix.path)


def test_addresses_that_were_handed_over_are_taken_as_they_are(tmp_path: Path, bound: list[object]) -> None:
    unix = Unix(str(tmp_path), 6432)
    socket_file(Path(unix.path))
    given = {str(unix): [socket.socket(socket.AF_UNIX)]}
    listening = listen([unix, Tcp("127.0.0.1", 1)], given)
    assert listening[0].sockets == given[str(unix)] and bound == [("127.0.0.1", 1)]
    close(listening, True)
    assert not os.path.exists(unix.path)
    socket_file(Path(unix.path))
    with pytest.raises(Unavailable):
        listen([unix, Tcp("127.0.0.1", 2)], given)
    assert os.path.exists(unix.path), "it is not ours yet"


def test_a_socket_that_another_process_put_there_stays(tmp_path: Path, bound: list[object]) -> None:
    unix, path = Unix(str(tmp_path), 6432), tmp_path / ".s.PGSQL.6432"
    listening = listen([unix])
    kept = tmp_path / "kept"  # so that the inode's number is not given away again
    path.rename(kept)
    socket_file(path)
    close(listening, True)
    assert path.exists()


def test_a_socket_that_another_process_listens_on_stays(tmp_path: Path, bound: list[object]) -> None:
    listening = listen([Unix(str(tmp_path), 6432)])
    close(listening, False)
    assert (tmp_path / ".s.PGSQL.6432").exists()


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


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    unix = Unix(str(tmp_path), 6432)
    Path(unix.path).write_text("precious")
    with pytest.raises(Unavailable, match="no socket"):
        listen([unix])
    assert Path(unix.path).read_text() == "precious"
