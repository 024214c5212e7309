"""The admin port: /metrics for Prometheus, /healthz and /readyz for orchestrators.

Runs in threads of its own, so that a slow scraper never delays a link. No personal data passes here: metrics are
counts, readiness names parts and policy faults by file and line. `/healthz` says that the process serves; only
`/readyz` depends on vault, keys and catalog, so that a slow vault doesn't get the process killed.
"""

import contextlib
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Final, final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from proxy.endpoints import Endpoint, Unix
from proxy.errors import Unavailable
from proxy.observe import count, log

# Seconds that a part of a request may take to arrive, and all of it: a scraper sends one small packet.
REQUEST_TIMEOUT: Final = 10.0
LONGEST_REQUEST: Final = 30.0
# Connections at once, each with a thread: an orchestrator and some scrapers have a handful.
MOST_CONNECTIONS: Final = 64

Metrics = Callable[[], CollectorRegistry]
POLL: Final = 0.1  # seconds until it sees that it is to end
# (ready, details): details are JSON values without personal data.
Readiness = Callable[[], tuple[bool, Mapping[str, object]]]


@final
class Admin:
    """metrics: what /metrics shows, asked for it from another thread. ready: likewise, on each /readyz. given: a socket
    that listens on the address already."""

    def __init__(
        self, endpoint: Endpoint, metrics: Metrics, ready: Readiness, given: socket.socket | None = None
    ) -> None:
        self._endpoint = endpoint
        self._metrics = metrics
        self._given = given
        self._ready = ready
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Listen. Raises Unavailable if the address can't be had."""
        if isinstance(self._endpoint, Unix):
            raise Unavailable("the admin port", "it must be host:port")
        handler = type("Handler", (_Handler,), {"admin": self, "timeout": REQUEST_TIMEOUT})
        try:
            self._server = _Server((self._endpoint.host, self._endpoint.port), handler, self._given)
        except OSError as error:
            raise Unavailable(f"the admin address {self._endpoint}", error.strerror or "can't listen") from None
        threading.Thread(target=self._server.serve_forever, args=(POLL,), name="admin", daemon=True).start()

    @property
    def socket(self) -> socket.socket | None:
        """What listens; for another process."""
        return None if self._server is None else self._server.socket

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def page(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body for a GET."""
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest(self._metrics())
        if path == "/healthz":
            return 200, "application/json", b'{"status": "ok"}\n'
        if path == "/readyz":
            ready, details = self._ready()
            body = json.dumps({"status": "ok" if ready else "unavailable", **details}) + "\n"
            return 200 if ready else 503, "application/json", body.encode()
        return 404, "application/json", b'{"status": "error", "message": "no such page"}\n'


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], given: socket.socket | None = None
    ) -> None:
        self.address_family = _family(address[0])
        self.open: dict[socket.socket, float] = {}  # connection -> when it came, oldest first
        super().__init__(address, handler, given is None)
        if given is not None:
            self.socket.close()
            self.socket = given
            self.server_name, self.server_port = address

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """A thread for each, so there is a bound. Over it the oldest go: a scraper's take milliseconds, those that
        last are sent a byte now and then to hold them."""
        assert isinstance(request, socket.socket)
        now = time.monotonic()
        crowded = len(self.open) - MOST_CONNECTIONS + 1
        for number, (other, came) in enumerate(list(self.open.items())):
            if number < crowded or now - came > LONGEST_REQUEST:
                self._end(other)
        self.open[request] = now
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        if isinstance(request, socket.socket):
            self.open.pop(request, None)
        super().shutdown_request(request)

    def _end(self, request: socket.socket) -> None:
        """Its thread, which waits for it, sees the end and closes it."""
        self.open.pop(request, None)
        with contextlib.suppress(OSError):
            request.shutdown(socket.SHUT_RDWR)

    def server_bind(self) -> None:
        """HTTPServer's own asks DNS for its name, which may take long and is used for nothing here."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Counted; the text that socketserver would print could hold anything."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):  # a scraper that left
            count("errors", kind=type(error).__name__)
            log("admin-broken", "error", error=type(error).__name__[:64])


class _Handler(BaseHTTPRequestHandler):
    admin: Admin
    server_version = "pgveil"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(True)

    def do_HEAD(self) -> None:
        self._answer(False)

    def _answer(self, with_body: bool) -> None:
        status, kind, body = self.admin.page(self.path.partition("?")[0])
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """A path that somebody probes for is nobody's log line."""
