"""Connections to one server: dial, TLS as the configuration says, cancel requests."""

import asyncio
import ssl
from typing import Final, cast, final

from proxy.errors import Unavailable

SSL_REQUEST: Final = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
# How a connection may fail; UnicodeError: a name that can't be one in DNS.
FAILURES: Final = (OSError, TimeoutError, UnicodeError)


@final
class _Answer(asyncio.Protocol):
    """Waits for the one byte that answers an SSLRequest."""

    def __init__(self) -> None:
        self.byte: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        if not self.byte.done():
            self.byte.set_result(data)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.byte.done():
            self.byte.set_exception(error or ConnectionResetError("closed"))


@final
class _Nothing(asyncio.Protocol):
    """For cancel requests: the server answers by closing."""

    def __init__(self) -> None:
        self.transport: asyncio.BaseTransport | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


@final
class Upstream:
    """host: name or address, or the directory of a Unix socket (starts with '/'). timeout: seconds for connecting.

    mode: 'disable', 'prefer' (TLS if the server has it, unverified), 'require', 'verify-ca', 'verify-full', as libpq
    defines them; a Unix socket has no TLS.
    """

    def __init__(self, host: str, port: int, mode: str, context: ssl.SSLContext | None, timeout: float) -> None:
        self.host = host
        self.port = port
        self._mode = mode
        self._context = context
        self.timeout = timeout

    @property
    def name(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    async def connect(self, protocol: asyncio.Protocol) -> None:
        """Connect `protocol` to the server. Raises Unavailable; then, or when it is cancelled, nothing stays open."""
        try:
            async with asyncio.timeout(self.timeout):
                await self.dial(protocol)
        except FAILURES as error:
            raise Unavailable(f"server {self.name}", type(error).__name__) from None

    async def dial(self, protocol: asyncio.Protocol) -> None:
        """As `connect`, with no bound in time. Raises FAILURES."""
        if self._mode == "disable" or self._context is None or self.host.startswith("/"):
            await self._open(protocol)
            return
        answer = _Answer()
        transport = await self._open(answer)
        try:
            transport.write(SSL_REQUEST)
            told = await answer.byte
            if told == b"S":
                await self._encrypt(transport, protocol, self._context)
                return
        except BaseException:
            transport.abort()
            raise
        transport.abort()
        if told != b"N" or self._mode != "prefer":
            raise ConnectionError("the server has no TLS")
        await self._open(protocol)

    async def _encrypt(self, transport: asyncio.Transport, protocol: asyncio.Protocol, context: ssl.SSLContext) -> None:
        """`protocol` sees its connection only when it is safe."""
        loop = asyncio.get_running_loop()
        secure = await loop.start_tls(transport, protocol, context, server_hostname=self.host)
        assert secure is not None
        protocol.connection_made(secure)

    async def cancel(self, packet: bytes) -> None:
        """Pass a CancelRequest on, with TLS as links have it: whoever reads its key can end other statements with it.
        Wait until the server has closed the connection, which is all it answers. A server that can't be reached has
        nothing to cancel."""
        nothing = _Nothing()
        try:
            async with asyncio.timeout(self.timeout):
                await self.dial(nothing)
                cast(asyncio.Transport, nothing.transport).write(packet)
                await nothing.closed
        except FAILURES:
            return
        finally:
            if nothing.transport is not None:
                cast(asyncio.Transport, nothing.transport).abort()

    def renew(self, context: ssl.SSLContext | None) -> None:
        """Certificates have changed: for connections from now on."""
        self._context = context

    async def _open(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        loop = asyncio.get_running_loop()
        if self.host.startswith("/"):
            transport, _ = await loop.create_unix_connection(lambda: protocol, f"{self.host}/.s.PGSQL.{self.port}")
        else:
            transport, _ = await loop.create_connection(lambda: protocol, self.host, self.port)
        return transport
