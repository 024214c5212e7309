"""Connections to the server: dial, TLS as the configuration says, cancel requests."""

import asyncio
import ssl
from typing import Final, final

from proxy.errors import Unavailable

SSL_REQUEST: Final = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"


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
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

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
        self._timeout = timeout

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"

    async def connect(self, protocol: asyncio.Protocol) -> None:
        """Connect `protocol` to the server. Raises Unavailable."""
        try:
            async with asyncio.timeout(self._timeout):
                await self._connect(protocol)
        except (OSError, ssl.SSLError, TimeoutError) as error:
            raise Unavailable(f"server {self.name}", type(error).__name__) from None

    async def _connect(self, protocol: asyncio.Protocol) -> None:
        loop = asyncio.get_running_loop()
        if self.host.startswith("/"):
            await loop.create_unix_connection(lambda: protocol, f"{self.host}/.s.PGSQL.{self.port}")
            return
        if self._mode == "disable" or self._context is None:
            await loop.create_connection(lambda: protocol, self.host, self.port)
            return
        transport, first = await loop.create_connection(_Answer, self.host, self.port)
        transport.write(SSL_REQUEST)
        answer = await first.byte
        if answer == b"S":
            transport.set_protocol(protocol)
            secure = await loop.start_tls(transport, protocol, self._context, server_hostname=self.host)
            assert secure is not None
            protocol.connection_made(secure)
            return
        transport.abort()
        if answer != b"N" or self._mode != "prefer":
            raise ConnectionError("the server has no TLS")
        await loop.create_connection(lambda: protocol, self.host, self.port)

    async def cancel(self, packet: bytes) -> None:
        """Pass a CancelRequest on; the server says nothing to it. A server that can't be reached has nothing to
        cancel."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout):
                nothing = _Nothing()
                transport = await self._open(loop, nothing)
                transport.write(packet)
                await nothing.closed
        except (OSError, TimeoutError):
            return

    async def _open(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol) -> asyncio.WriteTransport:
        if self.host.startswith("/"):
            transport, _ = await loop.create_unix_connection(lambda: protocol, f"{self.host}/.s.PGSQL.{self.port}")
        else:
            transport, _ = await loop.create_connection(lambda: protocol, self.host, self.port)
        return transport
