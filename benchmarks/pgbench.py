"""Transactions a second through pgbench: direct, PgBouncer (Debian's, session mode), a bare forwarder on uvloop,
pgveil compiled and plain; side by side, in turns.

pgveil runs with a policy that protects a table which pgbench does not use, so what is measured is the frame scan.
"""

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from tests.kit import process
from tests.kit.servers import Server, free_port

POOLER = """[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = any
pool_mode = session
max_client_conn = 200
default_pool_size = 100
ignore_startup_parameters = extra_float_digits
unix_socket_dir =
"""


@dataclass(frozen=True, slots=True)
class Way:
    """To the server. pid: of the process between, None if there is none."""

    port: int
    pid: int | None = None

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        return 0.0 if self.pid is None else sum(psutil.Process(self.pid).cpu_times()[:2])


@contextmanager
def pgbouncer(server: Server) -> Iterator[Way | None]:
    """None where it is not installed."""
    binary = Path("/usr/sbin/pgbouncer")
    if not binary.exists():
        yield None
        return
    user = process.unprivileged()
    with tempfile.TemporaryDirectory() as base:
        Path(base).chmod(0o755)
        port = free_port()
        config = Path(base) / "pgbouncer.ini"
        config.write_text(POOLER.format(server=server.port, port=port).replace("* = host", "* = user=postgres host"))
        running = process.launch([str(binary), str(config)], Path(base) / "log", user=user)
        try:
            process.wait_for("PgBouncer to listen", lambda: "process up" in (Path(base) / "log").read_text(), 10)
            yield Way(port, running.pid)
        finally:
            process.reap(running, 2)


@dataclass(frozen=True, slots=True)
class Load:
    mode: str
    clients: int


LOADS = tuple(Load(mode, clients) for mode in ("simple", "extended", "prepared") for clients in (1, 8, 32))


def once(tool: str, way: Way, load: Load, seconds: int) -> tuple[float, float]:
    """Transactions a second, and seconds of processor time a transaction of what is between."""
    argv = [tool, "-n", "-S", "-M", load.mode, "-c", str(load.clients), "-j", "1", "-T", str(seconds)]
    argv += ["-h", "127.0.0.1", "-p", str(way.port), "-U", "postgres", "postgres"]
    before = way.cpu()
    out = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 60, check=True).stdout
    rate = re.search(r"^tps = ([0-9.]+)", out, re.MULTILINE)
    count = re.search(r"processed: ([0-9]+)", out)
    assert rate is not None and count is not None, out
    return float(rate[1]), (way.cpu() - before) / int(count[1])


def compare(server: Server, ways: dict[str, Way], rounds: int, seconds: int) -> None:
    """Prints medians and ratios; the ways take turns within each round, so that a noisy minute hits all of them."""
    tool = str(server.bindir / "pgbench")
    subprocess.run(
        [tool, "-i", "-q", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "postgres"],
        capture_output=True,
        check=True,
    )
    names = list(ways)
    print(
        "pgbench -S, transactions/s and CPU µs a transaction of what is between, median of",
        rounds,
        "rounds of",
        seconds,
        "s",
    )
    ours = [name for name in ("forwarder", "compiled", "plain") if name in ways]
    pairs = [(mine, other) for mine in ours for other in ("direct", "pgbouncer") if other in ways]
    heads = "".join([f"{f'{mine}/{other}':>20}" for mine, other in pairs])
    between = [name for name in names if ways[name].pid is not None]
    heads += "".join([f"{f'{name} µs':>16}" for name in between])
    print(f"{'mode':10}{'clients':>8}" + "".join(f"{name:>12}" for name in names) + heads)
    for load in LOADS:
        seen: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        for _ in range(rounds):
            for name in names:
                seen[name].append(once(tool, ways[name], load, seconds))
        rates = {name: median([rate for rate, _ in values]) for name, values in seen.items()}
        row = "".join(f"{rates[name]:12,.0f}" for name in names)
        ratios = "".join([f"{rates[mine] / rates[other]:20.2f}" for mine, other in pairs])
        spent = "".join([f"{median([cpu for _, cpu in seen[name]]) * 1e6:16.1f}" for name in between])
        print(f"{load.mode:10}{load.clients:8}{row}{ratios}{spent}", flush=True)
