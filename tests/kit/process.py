"""Child processes that tests start: they run unprivileged where they must, die with the test process, and are counted.

Not a supervisor: nothing is restarted here. Invariant: whatever `launch` started and `reap` did not see end is in
`alive()`, so a leak is found by the session's last fixture.
"""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LAUNCHED: list["subprocess.Popen[bytes]"] = []


def wait_for(what: str, condition: Callable[[], T | None], seconds: float = 10.0) -> T:
    """The first truthy result of `condition`, asked every 5 ms; TimeoutError names `what` after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not after {seconds} s")
        time.sleep(0.005)


def unprivileged() -> pwd.struct_passwd | None:
    """Whom PostgreSQL runs as: None (ourselves) unless we are root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("root, and neither a 'postgres' nor a 'nobody' account: PostgreSQL can't be started")


def launch(
    argv: Sequence[str], log: Path, user: pwd.struct_passwd | None = None, env: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """Start `argv` in its own process group, both outputs appended to `log`; it gets SIGINT should we vanish."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=None if env is None else dict(env),
            cwd="/",
            start_new_session=True,
            user=None if user is None else user.pw_uid,
            group=None if user is None else user.pw_gid,
            extra_groups=None if user is None else [],
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
    _LAUNCHED.append(process)
    return process


def run(
    argv: Sequence[str],
    user: pwd.struct_passwd | None = None,
    stdin: str = "",
    seconds: float = 120,
    env: Mapping[str, str] | None = None,
) -> str:
    """What `argv` prints; RuntimeError with its error output where it fails."""
    done = subprocess.run(
        list(argv),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=seconds,
        cwd="/",
        env=None if env is None else dict(env),
        user=None if user is None else user.pw_uid,
        group=None if user is None else user.pw_gid,
        extra_groups=None if user is None else [],
    )
    if done.returncode:
        raise RuntimeError(f"{argv[0]} exit {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def reap(process: "subprocess.Popen[bytes]", signum: int, seconds: float = 20) -> int:
    """Send `signum`, wait, give the exit code; a process that stays is killed and TimeoutError raised."""
    if process.poll() is None:
        process.send_signal(signum)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise TimeoutError(f"{process.args!r} ignored signal {signum} for {seconds} s") from None


def alive() -> list[str]:
    """Command lines of what was started here and still runs."""
    return [" ".join(map(str, p.args)) for p in _LAUNCHED if isinstance(p.args, list) and p.poll() is None]


_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def _die_with_parent() -> None:
    if _PRCTL is not None:
        _PRCTL(PR_SET_PDEATHSIG, signal.SIGINT)
