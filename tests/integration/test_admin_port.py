"""The admin port, misused: it stays answerable, and takes nothing from the links."""

import socket
from collections.abc import Iterator

import psutil
import pytest

from proxy.admin.app import MOST_CONNECTIONS
from tests.kit.pgveil import Pgveil
from tests.kit.process import wait_for
from tests.kit.servers import Server

pytestmark = pytest.mark.server


@pytest.fixture
def pgveil(pg18: Server) -> Iterator[Pgveil]:
    with Pgveil.before(pg18) as running:
        yield running


def test_connections_that_say_nothing_are_bounded_and_shut_nobody_out(pgveil: Pgveil) -> None:
    process = psutil.Process(pgveil.pid)
    before = process.num_threads()
    slow = [socket.create_connection(("127.0.0.1", pgveil.admin_port)) for _ in range(3 * MOST_CONNECTIONS)]
    try:
        for each in slow:
            each.sendall(b"GET /hea")
        assert pgveil.page("/healthz")[0] == 200
        wait_for("the oldest to be gone", lambda: process.num_threads() <= before + MOST_CONNECTIONS + 2)
        assert pgveil.page("/metrics")[0] == 200
        with pgveil.connect() as app:
            assert app.execute("SELECT 1").fetchone() == (1,)
    finally:
        for each in slow:
            each.close()
    wait_for("the others to be gone", lambda: process.num_threads() <= before + 2)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /../../etc/passwd HTTP/1.0\r\n\r\n",
        b"GET /metrics/../../keys.json HTTP/1.0\r\n\r\n",
        b"GET /%2e%2e/keys.json HTTP/1.0\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.0\r\n\r\n",
        b"GET /healthz HTTP/1.0\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.0\r\n" + b"X: a\r\n" * 1000 + b"\r\n",
        b"POST /metrics HTTP/1.0\r\nContent-Length: 9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    ],
)
def test_what_is_no_page_is_an_error(pgveil: Pgveil, request_: bytes) -> None:
    with socket.create_connection(("127.0.0.1", pgveil.admin_port), 10) as connection:
        connection.sendall(request_)
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass  # with what it had not read
    assert b" 200 " not in answer.partition(b"\r\n")[0] and b"keks" not in answer
