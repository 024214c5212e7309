"""TLS: contexts made of certificate files, the files read again when they change, a client's handshake.

Not here: when a handshake is due (`session`), what a subject may see (`policy`). Sources: PostgreSQL's
be-secure-openssl.c and backend_startup.c.

Invariants: all faults of all files are found at once, each with its file; files with a fault never take the place of
ones in use; a client's certificate that the CA did not sign ends the handshake, so a subject is always a verified one;
no byte that came before the handshake is ever taken for one that came in it.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast, final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from proxy.config import ClientTls, ServerTls, Tls
from proxy.documents import Fault, Faults
from proxy.net.tasks import Tasks
from proxy.observe import count, log

# What clients of PostgreSQL ask for (protocol chapter, "SSL Session Encryption"); direct TLS is refused without it, so
# that nobody's web browser is made to speak to a database.
ALPN: Final = "postgresql"
# Seconds that a client gets to answer the end of TLS with its own.
GOODBYE: Final = 5.0
UNVERIFIED: Final = ("prefer", "require")
PAIR: Final = "give the certificate with its chain, and the key that belongs to its first certificate"

# ---- files ---------------------------------------------------------------------------------------------------------


def _read(name: str, path: str, faults: list[Fault]) -> bytes:
    """Of the file that setting `name` names; b'' if it can't be read, which is a fault."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        why = error.strerror or type(error).__name__
        faults.append(Fault(path, 0, f"'{name}' can't be read: {why}", "give a PEM file that pgveil may read"))
        return b""


def _certificates(name: str, path: str, faults: list[Fault]) -> list[x509.Certificate]:
    text = _read(name, path, faults)
    try:
        return x509.load_pem_x509_certificates(text) if text else []
    except ValueError:
        faults.append(Fault(path, 0, f"'{name}' holds no certificate", "it has to be PEM: BEGIN CERTIFICATE"))
        return []


def _key(name: str, path: str, faults: list[Fault]) -> None:
    text = _read(name, path, faults)
    try:
        if text:
            load_pem_private_key(text, None)
    except TypeError:
        faults.append(Fault(path, 0, f"'{name}' has a passphrase", "nobody is there to type it: store it without"))
    except (ValueError, UnsupportedAlgorithm):
        faults.append(Fault(path, 0, f"'{name}' holds no private key", "it has to be PEM: BEGIN PRIVATE KEY"))


def _pair(context: ssl.SSLContext, name: str, cert: str, key: str, faults: list[Fault]) -> bytes:
    """Load a certificate and its key; the certificate as DER, b'' with a fault."""
    own: list[Fault] = []
    chain = _certificates(f"{name}.cert", cert, own)
    _key(f"{name}.key", key, own)
    if not own and not chain:
        own.append(Fault(cert, 0, f"'{name}.cert' is empty", PAIR))
    if not own:
        try:
            # Never asks: OpenSSL would on the terminal.
            context.load_cert_chain(cert, key, password=b"")
            return chain[0].public_bytes(Encoding.DER)
        except OSError as error:  # SSLError too
            reason = getattr(error, "reason", None) or "they don't go together"
            own.append(Fault(cert, 0, f"'{name}.cert' can't be used with {key}: {reason}", PAIR))
    faults += own
    return b""


def _authorities(context: ssl.SSLContext, name: str, path: str, faults: list[Fault]) -> None:
    found: list[Fault] = []
    chain = _certificates(name, path, found)
    if not found and not chain:
        found.append(Fault(path, 0, f"'{name}' is empty", "give the CA's certificate as PEM"))
    if not found:
        try:
            context.load_verify_locations(path)
        except OSError as error:
            reason = getattr(error, "reason", None) or "OpenSSL does not take it"
            found.append(Fault(path, 0, f"'{name}' can't be used: {reason}", "give the CA's certificate as PEM"))
    faults += found


# ---- contexts ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Identity:
    """What pgveil is to its clients. certificate: DER. faces: to be used again; making one takes longer than a look at
    it is worth."""

    context: ssl.SSLContext
    certificate: bytes
    faces: "list[_Face]" = field(default_factory=list, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Contexts:
    """client: None if no TLS is offered to clients. server: None if none is asked of the server."""

    client: Identity | None
    server: ssl.SSLContext | None


def contexts(tls: Tls) -> Contexts:
    """Raises Faults, all of them."""
    faults: list[Fault] = []
    made = Contexts(_to_clients(tls.client, faults), _to_server(tls.server, faults))
    if faults:
        raise Faults(faults)
    return made


def _to_clients(tls: ClientTls, faults: list[Fault]) -> Identity | None:
    """As PostgreSQL's: TLS 1.2 and later, no renegotiation, no compression. No session tickets either: one would bring
    back a client certificate that is no longer accepted."""
    if tls.cert is None or tls.key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.sslobject_class = _Talking
    context.set_alpn_protocols([ALPN])
    certificate = _pair(context, "tls.client", tls.cert, tls.key, faults)
    if tls.ca is not None:
        # One that is given must be good; none at all is nobody's subject, and roles decide what nobody sees.
        context.verify_mode = ssl.CERT_OPTIONAL
        _authorities(context, "tls.client.ca", tls.ca, faults)
    return Identity(context, certificate)


def _to_server(tls: ServerTls, faults: list[Fault]) -> ssl.SSLContext | None:
    """As libpq's sslmode: prefer and require encrypt, verify-ca checks the chain, verify-full the name too."""
    if tls.mode == "disable":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = tls.mode == "verify-full"
    if tls.ca is not None:
        _authorities(context, "tls.server.ca", tls.ca, faults)
    elif tls.mode in UNVERIFIED:
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if tls.cert is not None and tls.key is not None:
        _pair(context, "tls.server", tls.cert, tls.key, faults)
    return context


# ---- while it runs -------------------------------------------------------------------------------------------------


@final
class Certificates:
    """The certificates of a running process. faults: of the files as they are now; those in use stay meanwhile. As with
    policies, files count once they are the same at two looks, or at once on SIGHUP."""

    def __init__(self, tls: Tls) -> None:
        """Raises Faults."""
        self._tls = tls
        self.changed: Callable[[ssl.SSLContext | None], None] | None = None  # gets the context towards the server
        self._judged = self._seen = self._files()
        self._contexts = contexts(tls)
        self.faults: tuple[str, ...] = ()

    @property
    def client(self) -> Identity | None:
        return self._contexts.client

    @property
    def server(self) -> ssl.SSLContext | None:
        return self._contexts.server

    def look(self, forced: bool = False) -> None:
        """Read the files; take them over if they are others and sound. Links that are there go on as they are."""
        files = self._files()
        settled, self._seen = files == self._seen, files
        if files == self._judged and not (forced and self.faults):
            return
        if not (settled or forced):
            return
        self._judged = files
        try:
            self._contexts = contexts(self._tls)
        except Faults as found:
            self._bad(tuple(str(fault) for fault in found.faults))
            return
        self.faults = ()
        count("certificate_reloads", outcome="loaded")
        log("certificates-loaded")
        if self.changed is not None:
            self.changed(self.server)

    def _bad(self, faults: tuple[str, ...]) -> None:
        self.faults = faults
        count("certificate_reloads", outcome="failed")
        for fault in faults:
            log("certificate-fault", "error", fault=fault[:500], advice="the certificates in use stay until then")

    def _files(self) -> tuple[bytes | None, ...]:
        client, server = self._tls.client, self._tls.server
        return tuple(_bytes(path) for path in (client.cert, client.key, client.ca, server.cert, server.key, server.ca))


def _bytes(path: str | None) -> bytes | None:
    """None: it can't be read, or there is none."""
    try:
        if path is not None:
            with open(path, "rb") as file:
                return file.read()
    except OSError:
        pass
    return None


# ---- a client's handshake ------------------------------------------------------------------------------------------


class _Talking(ssl.SSLObject):
    """Sends the alert that ends a failed handshake, which loops drop: it is how the client learns what was wrong, such
    as that its certificate has expired."""

    say: Callable[[], None] | None = None

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError:
            if self.say is not None:
                self.say()
            raise


class _Face(ssl.SSLContext):
    """A context for one handshake, which knows its connection and has everything else from another context."""

    _inner: ssl.SSLContext | None = None
    _plain: asyncio.Transport | None = None

    def turn(self, inner: ssl.SSLContext, plain: asyncio.Transport | None) -> None:
        self._inner, self._plain = inner, plain

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        inner, plain = self._inner, self._plain
        assert inner is not None and plain is not None
        made = inner.wrap_bio(incoming, outgoing, server_side=server_side)
        assert isinstance(made, _Talking)
        made.say = lambda: plain.write(outgoing.read())
        return made


@final
class Handshake(asyncio.Protocol):
    """A client's connection while it becomes safe. What comes with the handshake's end, before the link knows of that,
    waits here; `hand_over` gives it to the protocol that goes on."""

    def __init__(self, identity: Identity, seconds: float) -> None:
        self.identity = identity
        self._seconds = seconds
        self._early: deque[bytes] = deque()
        self._next: asyncio.Protocol | None = None
        self._ended = self._lost = False

    async def shake(self, plain: asyncio.Transport, first: bytes, tasks: Tasks) -> asyncio.Transport:
        """The safe connection. first: what came of the handshake already. Raises OSError (SSLError) if it fails."""
        loop = asyncio.get_running_loop()
        face = self.identity.faces.pop() if self.identity.faces else _Face(ssl.PROTOCOL_TLS_SERVER)
        face.turn(self.identity.context, plain)
        shaking = loop.start_tls(
            plain, self, face, server_side=True, ssl_handshake_timeout=self._seconds, ssl_shutdown_timeout=GOODBYE
        )
        try:
            if first:
                # In one turn of the loop: start_tls's own callbacks, which begin the handshake and start reading, then
                # these bytes. What is read, is read between turns, behind them.
                task = tasks.spawn(shaking, "handshake")
                loop.call_soon(loop.call_soon, _feed, plain, first)
                secure = await task
            else:
                secure = await shaking
        finally:
            face.turn(self.identity.context, None)
            self.identity.faces.append(face)
        # uvloop knows no failure in a connection that is closed by us or by a peer that only leaves.
        if secure is None or secure.get_extra_info("ssl_object") is None:
            raise ConnectionResetError("closed in the handshake")
        return secure

    def hand_over(self, secure: asyncio.Transport, following: asyncio.Protocol) -> None:
        """From now on the connection is `following`'s."""
        self._next = following
        secure.set_protocol(following)
        while self._early:
            following.data_received(self._early.popleft())
        if self._ended:
            following.eof_received()
        if self._lost:
            following.connection_lost(None)

    def data_received(self, data: bytes) -> None:
        self._early.append(data)

    def eof_received(self) -> bool:
        self._ended = True
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """It may have been on its way here when the connection was handed over."""
        self._lost = True
        if self._next is not None:
            self._next.connection_lost(error)


def _feed(plain: asyncio.Transport, first: bytes) -> None:
    """Give the TLS protocol, which is the transport's by now, what was read before it was there."""
    protocol = plain.get_protocol()
    while first and not plain.is_closing():
        taking = cast(asyncio.BufferedProtocol, protocol)
        room = memoryview(taking.get_buffer(len(first)))
        taken = min(len(room), len(first))
        room[:taken] = first[:taken]
        taking.buffer_updated(taken)
        first = first[taken:]


def subject(secure: asyncio.BaseTransport) -> str:
    """Of the client's certificate, as RFC 4514 writes it ('CN=shop,O=Example'); '' if it gave none. Raises ValueError
    for a subject that can't be read."""
    given = _peer(secure)
    return "" if given is None else x509.load_der_x509_certificate(given).subject.rfc4514_string()


def negotiated(secure: asyncio.BaseTransport) -> bool:
    """Whether the client asked for PostgreSQL's protocol by ALPN."""
    shaken: ssl.SSLObject | None = secure.get_extra_info("ssl_object")
    return shaken is not None and shaken.selected_alpn_protocol() == ALPN


def shows(secure: asyncio.BaseTransport, certificate: bytes) -> bool:
    """Whether the peer has that certificate."""
    return _peer(secure) == certificate


def _peer(secure: asyncio.BaseTransport) -> bytes | None:
    shaken: ssl.SSLObject | None = secure.get_extra_info("ssl_object")
    return None if shaken is None else shaken.getpeercert(binary_form=True)


def reason(error: BaseException) -> str:
    """For a log: OpenSSL's own constant, or the type."""
    return str(getattr(error, "reason", None) or type(error).__name__)[:200]
