"""Processes that the demonstration starts, and the signals that end it.

Not a supervisor: nothing is restarted. Invariants: what was started is stopped by the stack it was put on, also when a
signal comes between the two; should the demonstration be killed outright, the kernel (Linux) tells its children.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final, final

PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
LOG_SHOWN: Final = 1500  # characters of a log's end that explain why something did not start
POLL: Final = 0.02  # seconds


class DemoFault(Exception):
    """Why there is no demonstration, for the user. code: the command's exit code."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


@final
class Interrupts:
    """SIGINT, SIGTERM and SIGHUP become KeyboardInterrupt, but not inside `held`: there they wait."""

    def __init__(self) -> None:
        self._holding = False
        self._waiting = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Interrupts":
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._arrived)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # as signal.signal gave it

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """What was made in this block is also put where it will be cleared away."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._waiting:
            self._waiting = False
            raise KeyboardInterrupt

    def ignore(self) -> None:
        """From here on: clearing away is not interrupted."""
        self._holding = True

    def _arrived(self, _number: int, _frame: FrameType | None) -> None:
        if self._holding:
            self._waiting = True
        else:
            raise KeyboardInterrupt


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a process runs as; None each: as we do. groups: supplementary ones."""

    name: str = ""
    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] | None = None


OURSELVES: Final = Account()


@final
class Child:
    """One process, both its outputs in `log`. farewell: the signal that asks it to end."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        farewell: signal.Signals,
        account: Account = OURSELVES,
    ) -> None:
        self.name = name
        self.log = log
        self._farewell = farewell
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=dict(environment),
                cwd=log.parent,
                start_new_session=True,  # a terminal's Ctrl-C is ours to pass on, in order
                preexec_fn=_dying_with_parent(farewell),  # no threads are running
                user=account.uid,
                group=account.gid,
                extra_groups=account.groups,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def text(self) -> str:
        """All that it has said."""
        return self.log.read_text(errors="replace")

    def said(self, what: str) -> bool:
        return what in self.text()

    def stop(self, seconds: float = 10) -> None:
        """Ask it to end, and make it end after `seconds`."""
        if self.running:
            self._process.send_signal(self._farewell)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> bool:
        """True once `ready`; False if it has ended, or after `seconds`."""
        end = time.monotonic() + seconds
        while not ready():
            if not self.running or time.monotonic() > end:
                return False
            time.sleep(POLL)
        return True

    def complaint(self) -> DemoFault:
        """That it did not start, and the end of what it said."""
        return DemoFault(f"{self.name} did not start:\n{self.text()[-LOG_SHOWN:].strip()}", 3)


def environment(**more: str) -> dict[str, str]:
    """Ours, without what would steer PostgreSQL's clients or overrule a configuration file."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | more


def _dying_with_parent(farewell: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def tell_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, int(farewell))

    return tell_kernel
