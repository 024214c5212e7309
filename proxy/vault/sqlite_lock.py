"""Which processes may write a SQLite vault, and whose turn it is: three kinds of lock on the file `VAULT.lock`.

- **membership**: a flock on an open file description. Who opens the vault takes it and nobody else gets it; a process
  that is handed the descriptor (inherited, or over a socket) shares the description and is a member. It goes with the
  last of them, however they end.
- **seats**: one byte each, locked by one process: a seat is an audit writer, so no two processes continue one chain,
  and a process that takes the seat of one that died goes on with its chain.
- **the turn**: one byte, locked around each commit. SQLite has a lock of its own, but who waits for it sleeps up to
  100 ms and then tries again, and whoever just wrote is quicker: measured with four processes, the slowest commits in a
  hundred waited 190 to 880 ms, with the kernel's queue in front 19 to 75.

Seats and turns are locks of a description too (F_OFD_SETLK, Linux), each process's own. Where the system has none, a
vault has one member. Not here: SQLite's locks, which hold whatever becomes of these.

Invariant: nothing here opens the vault's file while SQLite has it open: closing any descriptor of a file drops all
POSIX locks of the process on it (sqlite.org/howtocorrupt.html, 2.2).
"""

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from proxy.vault.faults import StoreFault

# Processes at one vault: supervisor, workers, and as many of the version that they take over from.
SEATS: Final = 256
_TURN: Final = 0  # the byte; seats are those behind it
_SET: Final[int | None] = getattr(fcntl, "F_OFD_SETLK", None)
_WAIT: Final[int] = getattr(fcntl, "F_OFD_SETLKW", 0)
_FLOCK: Final = "hhqqi"  # struct flock: type, whence, start, length, pid (0 for these locks)


class Membership:
    """A process's part in a vault. Made by `take` or `join`; `close` it."""

    def __init__(self, lock: int, own: int, seat: int) -> None:
        """lock: the description that all members share; own: this one's; both are closed with it."""
        self._lock = lock
        self._own = own
        self.seat: Final = seat

    @classmethod
    def take(cls, path: Path) -> Self:
        """As the first process at the vault `path`. Makes the vault's file too, as SQLite would give it the mode of the
        umask. Raises StoreFault."""
        try:
            lock = os.open(_place(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
                sync_directory(path.parent)
            except OSError:
                os.close(lock)
                raise
        except BlockingIOError:
            why = f"another pgveil writes {path}; a SQLite vault has one writer (use PostgreSQL or MySQL for a fleet)"
            raise StoreFault(why) from None
        except OSError as fault:
            raise StoreFault(f"{path} can't be opened for writing: {fault.strerror}") from None
        return cls._seated(lock, path)

    @classmethod
    def join(cls, path: Path, descriptor: int) -> Self:
        """As one that was given the descriptor, which stays the caller's. Raises StoreFault unless it is the lock of
        this vault and holds it."""
        if _SET is None:
            raise StoreFault("this system has no locks that several processes at one SQLite vault need")
        try:
            given, there = os.fstat(descriptor), os.stat(_place(path))
            if (given.st_dev, given.st_ino) != (there.st_dev, there.st_ino):
                raise StoreFault(f"the descriptor that was handed over is not that of {_place(path)}")
            lock = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 0)
        except OSError as fault:
            raise StoreFault(f"the lock that was handed over can't be used: {fault.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # changes nothing where its description holds the lock
        except OSError:
            os.close(lock)
            raise StoreFault(f"the descriptor that was handed over does not hold {_place(path)}") from None
        return cls._seated(lock, path)

    @classmethod
    def _seated(cls, lock: int, path: Path) -> Self:
        try:
            own = os.open(_place(path), os.O_RDWR | os.O_CLOEXEC)
        except OSError as fault:
            os.close(lock)
            raise StoreFault(f"{_place(path)} can't be opened: {fault.strerror}") from None
        for seat in range(SEATS):
            if _lock(own, 1 + seat):
                return cls(lock, own, seat)
        os.close(own)
        os.close(lock)
        raise StoreFault(f"{SEATS} processes are at {path} already")

    @property
    def descriptor(self) -> int:
        """What makes another process a member. It is closed with this."""
        return self._lock

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the other members' commits that came first. No time-out: a process that was stopped (SIGSTOP)
        in its turn holds up the others until it goes on or ends."""
        if _SET is not None:
            fcntl.fcntl(self._own, _WAIT, _request(fcntl.F_WRLCK, _TURN))
        try:
            yield
        finally:
            if _SET is not None:
                fcntl.fcntl(self._own, _SET, _request(fcntl.F_UNLCK, _TURN))

    def close(self) -> None:
        """Leave. Only when nothing of this process can commit any more."""
        os.close(self._own)
        os.close(self._lock)


def sync_directory(path: Path) -> None:
    """Make the name of a new file durable, as SQLite does for its log."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _place(path: Path) -> str:
    return f"{path}.lock"


def _lock(descriptor: int, byte: int) -> bool:
    """Whether it is this description's now."""
    if _SET is None:
        return True
    try:
        fcntl.fcntl(descriptor, _SET, _request(fcntl.F_WRLCK, byte))
    except BlockingIOError:
        return False
    return True


def _request(kind: int, byte: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, byte, 1, 0)
