"""The real pgveil process before a real server: configuration, policies, keys and vault in a temporary directory.

    with Pgveil.before(server, policies={"shop": "version: 1\\n…"}) as pgveil:
        psycopg.connect(pgveil.dsn("shop"))

Invariant: after the `with`, the process is gone, it went with exit code 0 (unless killed on purpose), and so is the
directory.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, urlencode

import psutil
import psycopg
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.kit import process
from tests.kit.servers import ROOT, Server, free_port, url

EMPTY_POLICY = "version: 1\nclasses: {}\nprotect: {}\nroles: []\n"


class Pgveil:
    """One `pgveil run`. After `start` it accepts connections."""

    def __init__(
        self, upstream: str, catalog: str, policies: Mapping[str, str], settings: Mapping[str, object]
    ) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="pgveil-"))
        self.port, self.admin_port = free_port(), free_port()
        self.config_path = self.base / "pgveil.yaml"
        self.log_path = self.base / "pgveil.log"
        self.env: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self.config: dict[str, object] = {
            "listen": f"127.0.0.1:{self.port}",
            "upstream": upstream,
            "catalog": catalog,
            "policies": ["policies/*.yaml"],
            "vault": f"sqlite:///{self.base}/vault.db",
            "keys": f"file:{self.base}/keys.json",
            "admin": f"127.0.0.1:{self.admin_port}",
        } | dict(settings)
        (self.base / "policies").mkdir()
        for name, text in (policies or {"empty": EMPTY_POLICY}).items():
            self.write_policy(name, text)
        self.write_config()

    @classmethod
    def before(
        cls,
        server: Server,
        database: str = "postgres",
        policies: Mapping[str, str] | None = None,
        **settings: object,
    ) -> "Pgveil":
        """Not started yet. database: what unqualified rules of the catalog URL mean."""
        return cls(f"127.0.0.1:{server.port}", server.dsn(database), policies or {}, settings)

    # ---- files

    def write_policy(self, name: str, text: str) -> None:
        (self.base / "policies" / f"{name}.yaml").write_text(text)

    def write_config(self, **settings: object) -> None:
        self.config |= settings
        self.config_path.write_text(yaml.safe_dump(self.config, sort_keys=False))

    # ---- running

    def command(self, *args: str, stdin: str = "") -> str:
        """What `pgveil ARGS -c CONFIG` prints; RuntimeError where it exits otherwise than 0."""
        return process.run(
            [sys.executable, "-m", "proxy.cli", *args, "-c", str(self.config_path)],
            stdin=stdin,
            env=self._environment(),
        )

    def json(self, *args: str) -> object:
        return json.loads(self.command(*args, "--json"))

    def start(self) -> None:
        """Make keys if there are none, run, wait for the `ready` line. RuntimeError with the log where it ends."""
        if not (self.base / "keys.json").exists():
            self.command("keys", "init")
        seen = len(self.log)
        argv = [sys.executable, "-m", "proxy.cli", "run", "-c", str(self.config_path)]
        started = process.launch(argv, self.log_path, env=self._environment())
        self._process = started
        process.wait_for("pgveil to start", lambda: self._started(started, seen), 30)

    def _started(self, started: "subprocess.Popen[bytes]", seen: int) -> bool:
        if started.poll() is not None:
            self._process = None
            raise RuntimeError(f"pgveil exit {started.returncode}:\n{self.log[seen:][-4000:]}")
        return "ready: listening on" in self.log[seen:]

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PGVEIL_")}
        return inherited | {"PYTHONPATH": str(ROOT)} | self.env

    def stop(self, seconds: float = 20) -> None:
        """SIGTERM; AssertionError, with the log, unless it exits 0."""
        if self._process is None:
            return
        stopping, self._process = self._process, None
        code = process.reap(stopping, signal.SIGTERM, seconds)
        assert code == 0, f"pgveil exit {code} on SIGTERM:\n{self.log[-4000:]}"

    def kill9(self) -> None:
        if self._process is not None:
            process.reap(self._process, signal.SIGKILL)
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def hangup(self) -> None:
        """SIGHUP: reload the policies."""
        os.kill(self.pid, signal.SIGHUP)

    def __enter__(self) -> "Pgveil":
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        try:
            self.stop()
        finally:
            self.close()

    def close(self) -> None:
        self.kill9()
        shutil.rmtree(self.base, ignore_errors=True)

    # ---- looking

    @property
    def pid(self) -> int:
        assert self._process is not None, "pgveil is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def rss(self) -> int:
        """Resident bytes."""
        return int(psutil.Process(self.pid).memory_info().rss)

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    @contextlib.contextmanager
    def log_contains(self, text: str, seconds: float = 10) -> Iterator[None]:
        """The block must make pgveil log `text`."""
        before = len(self.log)
        yield
        process.wait_for(f"{text!r} in pgveil's log", lambda: text in self.log[before:], seconds)

    def dsn(self, database: str = "postgres", user: str = "postgres", **params: str) -> str:
        return url(self.port, database, user, params)

    def connect(self, database: str = "postgres", user: str = "postgres", **params: str) -> "psycopg.Connection":
        """An autocommit psycopg connection through pgveil."""
        return psycopg.connect(self.dsn(database, user, **params), autocommit=True)

    def admin_url(self, path: str, **query: str) -> str:
        tail = f"?{urlencode(query, quote_via=quote)}" if query else ""
        return f"http://127.0.0.1:{self.admin_port}{path}{tail}"

    def page(self, path: str) -> tuple[int, str]:
        """Status and body of a page of the admin port."""
        try:
            with urllib.request.urlopen(self.admin_url(path), timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, name: str, **labels: str) -> float:
        """A sample of /metrics, 0 where it was never counted. name: in full."""
        for family in text_string_to_metric_families(self.page("/metrics")[1]):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return float(sample.value)
        return 0.0
