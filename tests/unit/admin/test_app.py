"""Pages of the admin port, asked for without a socket."""

import io
import json
import socket
from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter

from proxy.admin import app
from proxy.admin.app import Admin
from proxy.endpoints import Tcp, Unix
from proxy.errors import Unavailable
from proxy.observe import REGISTRY


def admin(ready: bool = True, details: Mapping[str, object] | None = None) -> Admin:
    registry = CollectorRegistry()
    Counter("shown", "For the test.", registry=registry).inc()
    return Admin(Tcp("127.0.0.1", 1), lambda: registry, lambda: (ready, details or {}))


def ask(request: bytes, of: Admin | None = None) -> tuple[str, Mapping[str, str], bytes]:
    """Status line, headers and body of the answer to a request."""

    class Connection:
        """A connection as socketserver sees one."""

        def __init__(self) -> None:
            self.out = b""

        def makefile(self, mode: str, *_: object) -> io.BytesIO:
            return io.BytesIO(request)

        def sendall(self, data: bytes) -> None:
            self.out += data

    connection: Any = Connection()
    handler = type("Handler", (app._Handler,), {"admin": of or admin()})
    handler(connection, ("127.0.0.1", 5), None)
    head, _, body = connection.out.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return status, dict(line.split(": ", 1) for line in lines), body


def test_metrics() -> None:
    status, headers, body = ask(b"GET /metrics?x=1 HTTP/1.1\r\n\r\n")
    assert " 200 " in status and b"shown_total 1.0" in body
    assert headers["Content-Type"].startswith("text/plain") and headers["Content-Length"] == str(len(body))
    assert headers["Server"] == "pgveil" or headers["Server"].strip() == "pgveil"


def test_head_has_no_body() -> None:
    status, headers, body = ask(b"HEAD /healthz HTTP/1.1\r\n\r\n")
    assert " 200 " in status and body == b"" and headers["Content-Length"] != "0"


@pytest.mark.parametrize("ready", [True, False])
def test_health_and_readiness_are_two_things(ready: bool) -> None:
    of = admin(ready, {"vault": ready})
    assert of.page("/healthz")[0] == 200
    status, _, body = of.page("/readyz")
    assert status == (200 if ready else 503)
    assert json.loads(body) == {"status": "ok" if ready else "unavailable", "vault": ready}


def test_other_pages_and_methods() -> None:
    status, _, body = ask(b"GET /secret@example.org HTTP/1.1\r\n\r\n")
    assert " 404 " in status and b"secret" not in body
    assert " 501 " in ask(b"DELETE / HTTP/1.1\r\n\r\n")[0]


def test_an_address_that_can_not_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(*_: object) -> None:
        raise OSError(98, "Address already in use")

    monkeypatch.setattr(socket.socket, "bind", taken)
    with pytest.raises(Unavailable, match=r"the admin address 127\.0\.0\.1:1 is not reachable: Address already"):
        admin().start()
    with pytest.raises(Unavailable, match="host:port"):
        Admin(Unix("/run"), CollectorRegistry, lambda: (True, {})).start()
    admin().stop()


def test_it_asks_no_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> str:
        raise AssertionError("a name was looked up")

    monkeypatch.setattr(socket, "getfqdn", asked)
    monkeypatch.setattr(socket.socket, "bind", lambda *_: None)
    monkeypatch.setattr(socket.socket, "listen", lambda *_: None)
    monkeypatch.setattr(socket.socket, "getsockname", lambda *_: ("127.0.0.1", 9187))
    server = app._Server(("127.0.0.1", 9187), app._Handler)
    assert (server.server_name, server.server_port) == ("127.0.0.1", 9187)
    server.server_close()


def test_ipv6() -> None:
    assert app._family("::1") == socket.AF_INET6
    assert app._family("127.0.0.1") == socket.AF_INET


def test_an_error_is_counted_and_its_text_told_to_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    server: Any = app._Server

    def errors() -> float:
        return REGISTRY.get_sample_value("pgveil_errors_total", {"kind": "LookupError"}) or 0.0

    before = errors()
    for error in (LookupError("secret@example.org"), BrokenPipeError("secret@example.org")):
        try:
            raise error
        except (LookupError, BrokenPipeError):
            server.handle_error(None, None, ("127.0.0.1", 5))
    assert errors() == before + 1 and "secret" not in "".join(capsys.readouterr())
