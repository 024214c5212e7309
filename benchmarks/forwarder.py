"""A bare forwarder on uvloop: what a process between must cost at least, since all it does is read and write.

Run: python -m benchmarks.forwarder PORT SERVER_PORT
"""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from tests.kit import process
from tests.kit.servers import ROOT, free_port

LISTENING = "listening"


class End(asyncio.Protocol):
    """One of the two ends. Bytes that come before the other end is there wait."""

    def __init__(self, other: "End | None" = None) -> None:
        self.transport: asyncio.WriteTransport | None = None
        self.other = other
        self.early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        if self.other is not None:
            self.other.other = self
            for data in self.other.early:
                self.data_sent(data)

    def data_sent(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        other = self.other
        if other is None or other.transport is None:
            self.early.append(data)
        else:
            other.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class Arrival(End):
    def __init__(self, server_port: int) -> None:
        super().__init__()
        self.server_port = server_port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        self.dial = loop.create_task(loop.create_connection(lambda: End(self), "127.0.0.1", self.server_port))


async def forward(port: int, server_port: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Arrival(server_port), "127.0.0.1", port)
    print(LISTENING, flush=True)
    await server.serve_forever()


@contextmanager
def forwarder(server_port: int) -> Iterator[tuple[int, int]]:
    """Its port and its process."""
    port = free_port()
    argv = [sys.executable, "-m", "benchmarks.forwarder", str(port), str(server_port)]
    with tempfile.TemporaryDirectory() as base:
        log = Path(base) / "log"
        running: subprocess.Popen[bytes] = process.launch(argv, log, env={"PYTHONPATH": str(ROOT)})
        try:
            process.wait_for("the forwarder to listen", lambda: LISTENING in log.read_text(), 20)
            yield port, running.pid
        finally:
            process.reap(running, 15)


if __name__ == "__main__":
    uvloop.run(forward(int(sys.argv[1]), int(sys.argv[2])))
