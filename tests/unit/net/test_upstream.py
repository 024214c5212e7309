"""Connections to the server, made and given up, in memory."""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from proxy.errors import Unavailable
from proxy.net.upstream import SSL_REQUEST, Upstream
from tests.unit.net.stage import Net, until
from tests.vault.kit import asynchronous

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Taken(asyncio.Protocol):
    """What a link's server half sees."""

    def __init__(self) -> None:
        self.made: list[asyncio.BaseTransport] = []
        self.data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made.append(transport)

    def data_received(self, data: bytes) -> None:
        self.data += data


def upstream(mode: str = "disable", host: str = "db", timeout: float = 5.0) -> Upstream:
    return Upstream(host, 5432, mode, None if mode == "disable" else CONTEXT, timeout)


def net(test: Callable[[Net], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @asynchronous
    async def run() -> None:
        await test(Net())

    return run


@net
async def test_without_tls(it: Net) -> None:
    taken = Taken()
    await upstream().connect(taken)
    assert taken.made == it.made and it.dialled == [("db", 5432)] and it.made[0].sent == b""


@net
async def test_a_unix_socket_has_no_tls(it: Net) -> None:
    await upstream("require", "/run/postgresql").connect(Taken())
    assert it.dialled == [("/run/postgresql/.s.PGSQL.5432",)] and it.made[0].sent == b""


@net
async def test_with_tls_the_link_sees_only_the_safe_connection(it: Net) -> None:
    it.greets = [b"S"]
    taken = Taken()
    await upstream("require").connect(taken)
    assert it.made[0].sent == SSL_REQUEST and it.tls == ["db"] and len(taken.made) == 1


@net
async def test_preferred_tls_that_is_not_there(it: Net) -> None:
    it.greets = [b"N"]
    taken = Taken()
    await upstream("prefer").connect(taken)
    assert it.made[0].aborted and taken.made == [it.made[1]] and it.made[1].sent == b""


@pytest.mark.parametrize(
    ("mode", "says"),
    [("require", b"N"), ("verify-full", b"N"), ("prefer", b"E"), ("prefer", b"SX"), ("prefer", b"NX")],
)
def test_an_answer_that_gives_no_tls(mode: str, says: bytes) -> None:
    """Bytes behind the answer came before the handshake: somebody else's (CVE-2021-23222)."""

    @net
    async def test(it: Net) -> None:
        it.greets = [says]
        taken = Taken()
        with pytest.raises(Unavailable, match="server db:5432"):
            await upstream(mode).connect(taken)
        assert it.made[0].aborted and taken.made == [] and len(it.made) == 1

    test()


@net
async def test_a_handshake_that_fails_leaves_nothing_open(it: Net) -> None:
    it.greets = [b"S"]
    taken = Taken()
    it.tls_error = ssl.SSLCertVerificationError("host a.b.c")
    with pytest.raises(Unavailable, match="SSLCertVerificationError") as told:
        await upstream("verify-full").connect(taken)
    assert "a.b.c" not in str(told.value) and it.made[0].aborted and taken.made == []


@net
async def test_a_server_that_leaves_instead_of_answering(it: Net) -> None:
    connecting = asyncio.get_running_loop().create_task(upstream("prefer").connect(Taken()))
    await until(lambda: it.made)
    it.made[0].lose()
    with pytest.raises(Unavailable, match="ConnectionResetError"):
        await connecting
    await until(lambda: it.made[0].aborted)


@net
async def test_a_server_that_does_not_answer_in_time(it: Net) -> None:
    with pytest.raises(Unavailable, match="TimeoutError"):
        await upstream("prefer", timeout=0.01).connect(Taken())
    assert it.made[0].aborted
    it.shut = True
    with pytest.raises(Unavailable, match="TimeoutError"):
        await upstream(timeout=0.01).connect(Taken())


@pytest.mark.parametrize("error", [ConnectionRefusedError(), OSError("Name or service not known"), UnicodeError("x")])
def test_a_server_that_can_not_be_reached(error: Exception) -> None:
    @net
    async def test(it: Net) -> None:
        it.error = error
        with pytest.raises(Unavailable, match=type(error).__name__):
            await upstream().connect(Taken())
        await upstream().cancel(b"packet")
        assert len(it.dialled) == 2

    test()


@net
async def test_a_cancel_waits_for_the_servers_close(it: Net) -> None:
    cancel = asyncio.get_running_loop().create_task(upstream().cancel(b"packet"))
    await until(lambda: it.made)
    assert it.made[0].sent == b"packet" and not cancel.done()
    it.made[0].lose()
    await cancel
    assert it.made[0].aborted


@net
async def test_a_cancel_goes_with_tls_where_links_have_it(it: Net) -> None:
    it.greets = [b"S"]
    cancel = asyncio.get_running_loop().create_task(upstream("require").cancel(b"packet"))
    await until(lambda: it.made and it.made[0].sent.endswith(b"packet"))
    assert it.made[0].sent == SSL_REQUEST + b"packet" and it.tls == ["db"]
    it.made[0].lose()
    await cancel


@net
async def test_a_cancel_never_goes_without_tls_that_is_required(it: Net) -> None:
    it.greets = [b"N"]
    await upstream("require").cancel(b"packet")
    assert it.made[0].sent == SSL_REQUEST and it.made[0].aborted and len(it.made) == 1


@net
async def test_new_certificates_count_for_new_connections(it: Net) -> None:
    target = upstream("require")
    target.renew(None)
    await target.connect(Taken())
    assert it.made[0].sent == b"" and not it.tls


@net
async def test_a_cancel_that_is_not_taken_leaves_nothing_open(it: Net) -> None:
    await upstream("disable", "/run", timeout=0.01).cancel(b"packet")
    assert it.made[0].aborted and it.dialled == [("/run/.s.PGSQL.5432",)]


def test_names() -> None:
    assert upstream(host="::1").name == "[::1]:5432" and upstream().name == "db:5432"
