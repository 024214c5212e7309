"""Links that do nothing, and links that come and go.

    python -m benchmarks.links [--links 5000] [--connects 400]

Memory of a link: idle after its log-in, before a server that answers log-ins and no more (a real one with as many
sessions needs gigabytes of its own), the catalog read from a real one. Then connect, log in, disconnect, one after
another: direct, PgBouncer, pgveil, in turns, before a real server.
"""

import argparse
import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median
from typing import Final

import psutil

from benchmarks import pgbench, protected
from tests.kit import process
from tests.kit.pgveil import Pgveil
from tests.kit.servers import ROOT, Server, create, find, free_port
from tests.kit.wireclient import WireClient

STATUS: Final = {
    "application_name": "", "client_encoding": "UTF8", "DateStyle": "ISO, MDY", "default_transaction_read_only": "off",
    "in_hot_standby": "off", "integer_datetimes": "on", "IntervalStyle": "postgres", "is_superuser": "on",
    "scram_iterations": "4096", "search_path": '"$user", public', "server_encoding": "UTF8", "server_version": "18.0",
    "session_authorization": "postgres", "standard_conforming_strings": "on", "TimeZone": "UTC",
}  # fmt: skip
MARKS: Final = (100, 1000, 2000, 3000, 4000, 5000)


def greeting() -> bytes:
    pairs = [name.encode() + b"\0" + value.encode() + b"\0" for name, value in STATUS.items()]
    told = b"".join([b"S" + (len(pair) + 4).to_bytes(4, "big") + pair for pair in pairs])
    key = b"K\0\0\0\x0c" + (4711).to_bytes(4, "big") + b"1234"
    return b"R\0\0\0\x08\0\0\0\0" + told + key + b"Z\0\0\0\x05I"


class Stub(asyncio.Protocol):
    """A server of which there is only the log-in."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._begun = transport, False

    def data_received(self, data: bytes) -> None:
        if data[4:8] == (80877103).to_bytes(4, "big"):
            self._transport.write(b"N")
            data = data[8:]
        if data and not self._begun:
            self._begun = True
            self._transport.write(greeting())


async def stub(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", port, backlog=1024)
    print("listening", flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def stubbed() -> Iterator[int]:
    port = free_port()
    argv = [sys.executable, "-m", "benchmarks.links", "--stub", str(port)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE) as running:
        try:
            assert running.stdout is not None and running.stdout.readline()
            yield port
        finally:
            running.terminate()


def log_in(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), 30)
    pairs = b"user\0postgres\0database\0postgres\0\0"
    made.sendall((len(pairs) + 8).to_bytes(4, "big") + (196608).to_bytes(4, "big") + pairs)
    data = b""
    while data[-6:] != b"Z\0\0\0\x05I":
        more = made.recv(65536)
        assert more, data
        data += more
    return made


def idle(server: Server, links: int) -> None:
    with stubbed() as port:
        settings = {"upstream": f"127.0.0.1:{port}", "limits": {"connections": links + 100}}
        with Pgveil.before(server, "postgres", {"bench": protected.POLICY}, **settings) as pgveil:
            log_in(pgveil.port).close()
            before = pgveil.rss
            print(f"process after its start and a log-in: {before / 2**20:.0f} MB")
            held = []
            for number in range(1, links + 1):
                held.append(log_in(pgveil.port))
                if number in MARKS or number == links:
                    print(f"{number:6} idle links: {(pgveil.rss - before) / number / 1024:6.1f} KB each", flush=True)
            cpu = psutil.Process(pgveil.pid).cpu_times()
            time.sleep(5)
            now = psutil.Process(pgveil.pid).cpu_times()
            print(f"CPU with {links} idle links: {(now.user + now.system - cpu.user - cpu.system) / 5 * 100:.1f} %")
            for one in held:
                one.close()
            process.wait_for("links to end", lambda: pgveil.metric("pgveil_open_links") == 0, 120)
            print(f"when they are gone: {pgveil.rss / 2**20:.0f} MB")


def connects(ways: dict[str, pgbench.Way], count: int, rounds: int = 5) -> None:
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            cpu, began = way.cpu(), time.perf_counter()
            for _ in range(count):
                with WireClient.login(way.port):
                    pass
            seen[name].append((count / (time.perf_counter() - began), (way.cpu() - cpu) / count))
    print(f"connect, log in, disconnect; median of {rounds} rounds of {count}")
    for name, found in seen.items():
        rate, cpu = median(each[0] for each in found), median(each[1] for each in found)
        print(f"{name:12} {rate:8.0f} a second" + (f"{cpu * 1e6:10.0f} µs CPU of what is between" if cpu else ""))


def main() -> int:
    parser = argparse.ArgumentParser(description="idle links, and links that come and go")
    parser.add_argument("--links", type=int, default=5000)
    parser.add_argument("--connects", type=int, default=200)
    parser.add_argument("--stub", type=int)
    given = parser.parse_args()
    if given.stub:
        asyncio.run(stub(given.stub))
    install = find("15") or find("18")
    assert install is not None
    server = create(install)
    server.start()
    try:
        if given.links:
            idle(server, given.links)
        with pgbench.pgbouncer(server) as pooler, Pgveil.before(server, policies={"b": protected.POLICY}) as pgveil:
            ways = {
                "direct": pgbench.Way(server.port),
                "pgbouncer": pooler,
                "pgveil": pgbench.Way(pgveil.port, pgveil.pid),
            }
            if given.connects:
                connects({name: way for name, way in ways.items() if way is not None}, given.connects)
    finally:
        server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
