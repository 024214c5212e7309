"""The pgveil of the demonstration: the real program in a process of its own, with a configuration file of its own.

What is shown is therefore the product; nothing of it is imported here.
"""

import contextlib
import errno
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

import yaml

import proxy
from proxy.demo.children import Child, DemoFault, Interrupts, environment
from proxy.demo.embedded import ATTEMPTS, Embedded, free_port

READY: Final = "ready: listening on"
START_SECONDS: Final = 30.0
POLICY: Final = Path(__file__).with_name("shop.yaml")


class Sidecar:
    """config: its file. port, admin_port: on 127.0.0.1."""

    def __init__(self, config: Path, port: int, admin_port: int, child: Child) -> None:
        self.config = config
        self.port = port
        self.admin_port = admin_port
        self.child = child

    def url(self, user: str, password: str, database: str) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def rows(self, *command: str) -> list[dict[str, object]]:
        """What a `pgveil …` command of this configuration answers. Raises DemoFault."""
        rows: list[dict[str, object]] = json.loads(_command(self.config, *command, "--json"))
        return rows


def start(
    embedded: Embedded, catalog: str, port: int, admin_port: int, interrupts: Interrupts, stack: contextlib.ExitStack
) -> Sidecar:
    """A pgveil before `embedded` that accepts connections; `stack` stops and removes it. Raises DemoFault.

    catalog: URL of the account that reads the catalog. port, admin_port: 0 for a free one.
    """
    with interrupts.held():
        directory = Path(tempfile.mkdtemp(prefix="pgveil-demo-"))  # private: mode 0700
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
    config = directory / "pgveil.yaml"
    shutil.copyfile(POLICY, directory / POLICY.name)
    for _ in range(ATTEMPTS):
        here, admin = port or free_port(), admin_port or free_port()
        _write(config, embedded, catalog, here, admin)
        if not (directory / "keys.json").exists():
            _command(config, "keys", "init")
        with interrupts.held():
            child = Child("pgveil", _argv(config, "run"), directory / "pgveil.log", _environment(), signal.SIGTERM)
            stack.callback(child.stop)
        if child.wait_until(partial(child.said, READY), START_SECONDS):
            return Sidecar(config, here, admin, child)
        if port and admin_port:
            break
    raise child.complaint()


def must_be_free(port: int, option: str) -> None:
    """Raises DemoFault, which says what to do, for a port that another program has."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a closed one may linger
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            why = "is taken" if error.errno == errno.EADDRINUSE else f"can't be had ({error.strerror})"
            raise DemoFault(
                f"port {port} {why}: give another with {option}, or leave it out for a free one", 3
            ) from None
        except OverflowError:
            raise DemoFault(f"port {port}: ports go up to 65535", 2) from None


def _write(config: Path, embedded: Embedded, catalog: str, port: int, admin_port: int) -> None:
    settings: dict[str, object] = {
        "listen": f"127.0.0.1:{port}",
        "upstream": f"postgresql://127.0.0.1:{embedded.port}/?sslmode=disable",
        "catalog": f"{catalog}?sslmode=disable",
        "policies": [POLICY.name],
        "vault": "sqlite:///vault.db",
        "keys": "file:keys.json",
        "admin": f"127.0.0.1:{admin_port}",
        "timeouts": {"drain": "2s"},
    }
    config.touch(0o600)
    config.write_text(yaml.safe_dump(settings, sort_keys=False))


def _argv(config: Path, *command: str) -> list[str]:
    return [sys.executable, "-m", "proxy.cli", *command, "-c", str(config)]


def _environment() -> dict[str, str]:
    """PGVEIL_… variables win over a configuration file: those of the user's own pgveil must not get in here."""
    return environment(PYTHONPATH=str(Path(proxy.__file__).parents[1]))


def _command(config: Path, *command: str) -> str:
    done = subprocess.run(
        _argv(config, *command), capture_output=True, text=True, cwd=config.parent, env=_environment(), check=False
    )
    if done.returncode:
        raise DemoFault(f"pgveil {' '.join(command)}:\n{done.stderr.strip()}", 3)
    return done.stdout
