"""Debian's PgBouncer before a server or before pgveil, in a temporary directory. It asks nobody for a password."""

import contextlib
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit import process
from tests.kit.servers import free_port, url

BINARY = Path("/usr/sbin/pgbouncer")
CONFIG = """\
[databases]
* = host=127.0.0.1 port={behind}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = trust
auth_file = {base}/users.txt
pool_mode = {mode}
default_pool_size = 20
unix_socket_dir =
{more}
"""


class PgBouncer:
    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self._log = log

    def dsn(self, database: str, user: str = "postgres", **params: str) -> str:
        return url(self.port, database, user, params)

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")


@contextlib.contextmanager
def pgbouncer(behind: int, mode: str, users: tuple[str, ...] = ("postgres",), more: str = "") -> Iterator[PgBouncer]:
    """behind: port of what it stands before. more: lines of its configuration."""
    if not BINARY.exists():
        pytest.skip("PgBouncer is not installed (sh tests/kit/install-system.sh)")
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as name:
        base, port = Path(name), free_port()
        base.chmod(0o755)
        (base / "pgbouncer.ini").write_text(CONFIG.format(behind=behind, port=port, base=base, mode=mode, more=more))
        (base / "users.txt").write_text("".join(f'"{user}" ""\n' for user in users))
        log = base / "log"
        running = process.launch([str(BINARY), str(base / "pgbouncer.ini")], log, user=process.unprivileged())
        try:
            process.wait_for("PgBouncer to listen", lambda: "process up" in log.read_text())
            yield PgBouncer(port, log)
        finally:
            process.reap(running, signal.SIGTERM)  # at once, up to 1.22
