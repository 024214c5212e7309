"""Peak memory of the process while much goes through one link: results and COPY, unprotected and protected.

    python -m benchmarks.memory [--rows 1000000]

The peak is the kernel's (VmHWM, reset before each); the values of the protected column are of a thousand.
"""

import argparse
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks import protected
from tests.kit.pgveil import Pgveil
from tests.kit.servers import create, find
from tests.kit.wireclient import WireClient, encode

READY: Final = b"Z\0\0\0\x05I"
PIECE: Final = 1000  # rows in a CopyData


def peak(pid: int) -> float:
    """MB."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def drain(client: socket.socket) -> int:
    """Bytes until the server is ready."""
    size, tail = 0, b""
    while tail[-6:] != READY:
        more = client.recv(1 << 20)
        assert more, "the link ended"
        size, tail = size + len(more), (tail + more)[-6:]
    return size


def result(client: WireClient, table: str, rows: int) -> None:
    client.send(f'Query "SELECT id, email FROM {table}"')
    assert drain(client.socket) > 20 * rows


def copy_out(client: WireClient, table: str, rows: int) -> None:
    client.send(f'Query "COPY {table} (id, email) TO STDOUT"')
    assert drain(client.socket) > 20 * rows


def copy_in(client: WireClient, table: str, rows: int) -> None:
    client.send(f'Query "COPY {table} (id, email) FROM STDIN"')
    for first in range(0, rows, PIECE):
        lines = b"".join([b"%d\tuser%d@example.org\n" % (first + at, at) for at in range(PIECE)])
        client.socket.sendall(b"d" + (len(lines) + 4).to_bytes(4, "big") + lines)
    client.socket.sendall(encode("CopyDone"))
    drain(client.socket)


WORK: Final[tuple[Callable[[WireClient, str, int], None], ...]] = (copy_in, result, copy_out)


def main() -> int:
    parser = argparse.ArgumentParser(description="peak memory of pgveil")
    parser.add_argument("--rows", type=int, default=1_000_000)
    given = parser.parse_args()
    install = find("15") or find("18")
    assert install is not None
    server = create(install)
    server.start()
    server.psql(
        "CREATE TABLE plain (id int, email text); CREATE TABLE guarded (id int, email text, name text, phone text)"
    )
    try:
        with (
            Pgveil.before(server, policies={"bench": protected.POLICY}) as pgveil,
            WireClient.login(pgveil.port) as client,
        ):
            client.query("SELECT email FROM guarded")
            print(f"after the start and a statement: {pgveil.rss / 2**20:.0f} MB, {given.rows} rows each")
            client.socket.settimeout(900)
            for table in ("plain", "guarded"):
                for work in WORK:
                    Path(f"/proc/{pgveil.pid}/clear_refs").write_text("5")
                    began = time.perf_counter()
                    work(client, table, given.rows)
                    took = time.perf_counter() - began
                    print(f"{table:8} {work.__name__:9} peak {peak(pgveil.pid):5.0f} MB, {took:6.1f} s", flush=True)
    finally:
        server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
