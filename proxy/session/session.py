"""One link as a pure state machine: bytes and answers in, effects out.

Not concerned with sockets, clocks, keys or SQL parsing: `net.link` carries bytes, `Ask` carries questions. Order of
effects is the order in which they must be performed. After each call, drain `take_effects()`.

    STARTUP         SSLRequest, GSSENCRequest, CancelRequest, StartupMessage
    AUTHENTICATING  the exchange passes through; AuthenticationOk fixes the principal, then the catalog is asked for
    READY           two lanes and the ledger between them
    OPAQUE          replication: bytes pass as they are
    UNSERVED        what stands before the server can't be used: the client is told when it asks for something
    CLOSED          nothing more goes out
"""

from typing import Final, final

from proxy.errors import ProtocolFault, Refusal
from proxy.session.effects import CancelUpstream, Effect, Failure, LoadCatalog, StartTls, ToClient
from proxy.session.limits import DEFAULTS, Limits
from proxy.session.startup import (
    believes_unbound,
    default_path,
    distrust,
    is_logical,
    is_physical,
    note_startup,
    without_channel_binding,
)
from proxy.session.state import AUTHENTICATING, CLOSED, OPAQUE, READY, STARTUP, UNSERVED, State
from proxy.session.to_client import ServerLane
from proxy.session.to_server import ClientLane
from proxy.session.world import World
from proxy.wire import messages
from proxy.wire.frames import StartupFrames

# Largest message: PostgreSQL's own bound (MaxAllocSize, 1 GB less one) for both directions.
MAX_MESSAGE: Final = 0x3FFFFFFF
# Nobody has said who it is yet: PG_MAX_AUTH_TOKEN_LENGTH of auth.c, with the length word.
MAX_PASSWORD: Final = 65535 + 4
SHUTDOWN: Final = Refusal("shutdown", "terminating connection due to administrator command")
IDLE_TIMEOUT: Final = Refusal("idle", "terminating connection due to idle-session timeout")
TLS_REQUIRED: Final = Refusal(
    "tls-required", "connections without TLS are not accepted here", "Connect with sslmode=require, or verify-full."
)
# The server would take it for a forged offer (auth-scram.c, read_client_first_message): said here, with what to do.
UNBOUND: Final = Refusal(
    "channel-binding",
    "SCRAM channel binding negotiation error",
    "Connect with channel_binding=disable, or give pgveil the server's own certificate and key (tls.client).",
    "TLS with the client ends at pgveil, TLS with the server begins there: the two can't be bound to each other.",
)
# What opens direct TLS; as a length it would be out of all bounds (backend_startup.c, ProcessSSLStartup).
TLS_HANDSHAKE: Final = b"\x16"


@final
class Session:
    """client: its address ('' for a Unix socket). tls_subject: of its certificate. tls: it is offered; SSLRequest is
    answered with S. tls_required: no start without it. limits: see there. turned_away: why this client gets no link; it
    may still cancel a statement of another. bound: the server's certificate is the one that the client saw, so
    SCRAM's channel binding (tls-server-end-point, RFC 5929) holds through pgveil."""

    __slots__ = (
        "_begun", "_catalog_ticket", "_clients", "_direct", "_first", "_idle_batch", "_idle_since", "_physical",
        "_secure", "_servers", "_shaking", "_unbound", "bound", "state", "tls", "tls_required", "turned_away",
    )  # fmt: skip

    def __init__(
        self,
        client: str = "",
        tls_subject: str = "",
        tls: bool = False,
        limits: Limits = DEFAULTS,
        turned_away: Refusal | None = None,
        tls_required: bool = False,
    ) -> None:
        self.state = State(client, tls_subject, limits)
        self.turned_away = turned_away
        self.tls = tls
        self.tls_required = tls_required
        self.bound = False
        self._physical = False
        self._begun = self._secure = self._shaking = self._direct = False
        self._unbound = False  # the server offers to bind the channel, and the client was not told
        self._first = StartupFrames()
        self._clients = ClientLane(self.state, MAX_PASSWORD)
        self._servers = ServerLane(self.state, MAX_MESSAGE)
        self._catalog_ticket = 0
        self._idle_batch, self._idle_since = -1, 0.0  # the last batch that a tick saw answered, and when it did first

    # ---- what arrived

    def client_bytes(self, data: bytes) -> None:
        state = self.state
        try:
            if state.phase == READY:
                self._clients.frames.feed(data)
                self._pump()
            elif state.phase == STARTUP:
                self._startup(data)
            elif state.phase == AUTHENTICATING:
                self._clients.frames.feed(data)
                self._authentication_answers()
            elif state.phase == OPAQUE:
                state.to_server.append(data)
            elif state.phase == UNSERVED and state.unserved is not None:
                state.fatal(state.unserved)
        except ProtocolFault as fault:
            self._fault(fault)

    def server_bytes(self, data: bytes) -> None:
        state = self.state
        try:
            if state.phase == READY:
                self._servers.frames.feed(data)
                self._servers.pump()
                self._after_replies()
            elif state.phase == AUTHENTICATING:
                self._servers.frames.feed(data)
                self._authentication()
            elif state.phase == OPAQUE:
                state.to_client.append(data)
        except ProtocolFault as fault:
            self._fault(fault)

    def client_eof(self) -> None:
        """The client is gone: so is its server session, at once (half a frame never goes to the server)."""
        self.state.close_both("client gone")

    def server_eof(self) -> None:
        """The server's last words have been forwarded; the client's connection ends as the server's did."""
        while self.state.yielding and self.state.phase == READY:
            self.go_on()
        if self._servers.waiting:
            self._servers.close_when_empty = True
            return
        self._servers.mending.lost()
        self.state.close_both("server gone")

    def client_full(self, full: bool) -> None:
        """Whether what was written for the client waits for it: no more is fetched for it meanwhile."""
        if self.state.phase != CLOSED:
            self._servers.stalled(full)

    def answer(self, ticket: int, result: object) -> None:
        """The result of an Ask. Ignored once the link is closed."""
        state = self.state
        if state.phase == CLOSED:
            return
        try:
            state.answered(ticket, result)
            self._after_replies()
        except ProtocolFault as fault:
            self._fault(fault)

    def go_on(self) -> None:
        """Other links had their turn (effect Again)."""
        state = self.state
        state.work, state.yielding = 0, False
        if state.phase != READY:
            return
        try:
            self._servers.pump()
            self._after_replies()
            self._pump()
        except ProtocolFault as fault:
            self._fault(fault)

    def tick(self, now: float) -> None:
        """now: seconds of the caller's monotonic clock."""
        state = self.state
        if state.phase in (STARTUP, AUTHENTICATING):
            if now >= state.limits.startup_deadline:
                state.close_both("start-up time-out")
        elif state.limits.idle > 0.0 and state.phase == READY:
            self._look_idle(now)

    def _look_idle(self, now: float) -> None:
        """What the server tells a client is no sign of life of the client's (its own idle_session_timeout)."""
        state = self.state
        if not self._idle:
            self._idle_batch = -1
        elif state.batch != self._idle_batch:
            self._idle_batch, self._idle_since = state.batch, now
        elif now - self._idle_since >= state.limits.idle:
            state.fatal(IDLE_TIMEOUT)

    @property
    def _idle(self) -> bool:
        """Nothing is under way, not even a transaction."""
        state = self.state
        idle = state.phase == READY and not len(state.ledger) and state.ledger.status == messages.IDLE
        return idle and not self._clients.stopped

    def tls_started(self, subject: str, alpn: bool = False) -> None:
        """The client's TLS handshake is done. subject: of its certificate, '' if it gave none. alpn: it asked for
        PostgreSQL's protocol, without which direct TLS ends with no word, as on the server: it may be for another."""
        self.state.tls_subject = subject
        self._shaking = False
        self._secure = True
        if self._direct and not alpn:
            self.tls_failed("direct TLS without ALPN")

    def tls_failed(self, why: str) -> None:
        """There is no safe connection, and nothing that could be told on it. why: no text of the peer's."""
        state = self.state
        if state.phase != CLOSED:
            state.outcome = "fault"
            state.note("tls-failed", {"client": state.client[:64], "reason": why[:200]})
        state.close_both("no TLS")

    def renew(self, world: World) -> None:
        """Another policy or catalog: counts from the next message on. Links go on."""
        state = self.state
        if state.phase == READY and not self._catalog_ticket and state.world is not None:
            state.renew(world)
            if world.pooling.closed is not None:
                self._refuse_service(world.pooling.closed)

    def policy_changed(self) -> None:
        """A policy that may protect what none did before: a link without a catalog asks for one."""
        if self.state.phase == READY and self.state.world is None and not self._catalog_ticket:
            self._ask_catalog(False)

    def unreachable(self, refusal: Refusal) -> None:
        """The server connection could not be made."""
        self.state.fatal(refusal)

    def lost(self, refusal: Refusal) -> None:
        """What was about to go to the client must not (its audit record could not be written)."""
        self.state.fatal(refusal)

    def drain(self) -> None:
        """The program stops: end the link, as a server that shuts down would, unless something is under way."""
        state = self.state
        if state.phase in (STARTUP, AUTHENTICATING, UNSERVED) or self._idle:
            state.fatal(SHUTDOWN)

    def release(self) -> None:
        """Both connections are gone: let go of what was not taken, which may be large."""
        self._clients.release()
        self._servers.release()

    def take_effects(self) -> list[Effect]:
        self.state.flush()
        effects = self.state.effects
        self.state.effects = []
        return effects

    # ---- start-up

    def _startup(self, data: bytes) -> None:
        state, first = self.state, self._first
        if self._shaking:
            raise ProtocolFault("client", "bytes before the TLS handshake is done")
        if self.tls and not self._secure and data[:1] == TLS_HANDSHAKE and not self._begun:
            self._direct = True
            self._start_tls(data)
            return
        self._begun = True
        first.feed(data)
        while state.phase == STARTUP and self._packet():
            packet = first.packet
            request = messages.parse_startup(packet)
            if isinstance(request, messages.EncryptionRequest):
                self._encryption(request.code)
            elif isinstance(request, messages.CancelRequest):
                state.outcome = "cancel"
                state.effects.append(CancelUpstream(packet))
                state.close("client", "cancel request")
                state.phase = CLOSED
            else:
                self._start(packet, request.params)

    def _packet(self) -> bool:
        """Whether there is a packet. To a length that can't be, the server says nothing (postmaster.c, COMMERROR): the
        client may not speak this protocol, or has said Terminate before it began."""
        try:
            return self._first.next()
        except ProtocolFault as fault:
            self._end(fault)
            return False

    def _encryption(self, code: int) -> None:
        """Bytes behind the request would have come before the handshake: refused (CVE-2021-23222's class)."""
        if self._first.pending():
            raise ProtocolFault("client", "bytes behind an encryption request")
        if code == messages.SSL_CODE and self.tls:
            self.state.effects.append(ToClient(b"S"))
            self._start_tls(b"")
        else:
            self.state.effects.append(ToClient(b"N"))

    def _start_tls(self, first: bytes) -> None:
        self.tls = False  # once
        self._shaking = True
        self.state.effects.append(StartTls("client", first))

    def _start(self, packet: bytes, params: tuple[tuple[bytes, bytes], ...]) -> None:
        """The server gets the packet as it came, whatever is in it, and judges it."""
        state = self.state
        if self.turned_away is not None:
            state.fatal(self.turned_away)
            return
        if self.tls_required and not self._secure:
            state.fatal(TLS_REQUIRED)
            return
        given = [(k.decode("utf-8", "replace"), v.decode("utf-8", "replace")) for k, v in params]
        state.params = dict(given)
        note_startup(state.settings, given)
        state.to_server.append(packet)
        self._physical = is_physical(params)
        state.replicates = is_logical(params)
        state.phase = AUTHENTICATING
        rest = self._first.rest()
        if rest:
            self.client_bytes(rest)

    # ---- authentication

    def _authentication_answers(self) -> None:
        """Passwords and SASL answers go through; nothing else may come before ReadyForQuery's time."""
        frames = self._clients.frames
        while self.state.phase == AUTHENTICATING and frames.next():
            kind = frames.buf[frames.start]
            if kind not in (messages.PASSWORD, messages.TERMINATE):
                raise ProtocolFault("client", "a statement before authentication")
            if self._unbound and believes_unbound(frames.buf[frames.body : frames.end]):
                self.state.fatal(UNBOUND)
                return
            self._unbound = False
            self.state.to_server.append(frames.buf[frames.start : frames.end])

    def _authentication(self) -> None:
        frames = self._servers.frames
        state = self.state
        while state.phase == AUTHENTICATING and frames.next():
            kind, frame = frames.buf[frames.start], frames.buf[frames.start : frames.end]
            if kind == messages.AUTHENTICATION:
                frame = self._authentication_request(frame)
            elif kind == messages.PARAMETER_STATUS:
                name, value = messages.parse_parameter_status(frame, 5, len(frame))
                state.settings.report(name.decode("utf-8", "replace"), value.decode("utf-8", "replace"))
            state.to_client.append(frame)
        if state.phase == READY:
            self._servers.pump()
        elif state.phase == OPAQUE:
            state.to_client.append(frames.rest())
            state.to_server.append(self._clients.frames.rest())

    def _authentication_request(self, frame: bytes) -> bytes:
        code, _ = messages.parse_authentication(frame, 5, len(frame))
        if code == messages.AUTH_OK:
            self._authenticated()
        elif code == messages.AUTH_SASL:
            mechanisms = messages.parse_sasl_mechanisms(frame, 5, len(frame))
            if not self.bound:
                kept = without_channel_binding(mechanisms)
                self._unbound = self._secure and len(kept) < len(mechanisms)
                return messages.build_sasl_mechanisms(kept)
        return frame

    def _authenticated(self) -> None:
        """The principal is known. Until the catalog is, nothing is planned."""
        state = self.state
        if self._physical:
            state.phase = OPAQUE
            return
        state.authenticate()
        self._clients.frames.max_length = MAX_MESSAGE
        state.phase = READY
        self._ask_catalog(False)

    # ---- catalog

    def _ask_catalog(self, fresh: bool, changed: bool = False) -> None:
        """changed: a transaction of this link did."""
        self._clients.blocked = True
        state = self.state
        doubted = state.doubted and not changed and state.world is not None and not state.world.moved
        state.catalog_due = False
        state.doubted = doubted
        if fresh and state.world is not None:
            state.world.moved = False
        self._catalog_ticket = state.ask(
            LoadCatalog(state.principal.database, fresh, doubted, changed), CatalogJob(self)
        )

    def catalog(self, ticket: int, result: object) -> None:
        """Answer to LoadCatalog: a World, None (nothing is protected in this database), or why there is none."""
        state = self.state
        assert ticket == self._catalog_ticket  # one is under way at a time
        self._catalog_ticket = 0
        self._clients.blocked = False
        doubted, state.doubted = state.doubted, False
        if isinstance(result, Failure) and not doubted:
            if state.world is not None:
                state.world.moved = True
            if state.ledger.ready:
                state.fatal(result.refusal)
            else:
                state.unserved = result.refusal  # the server may have a reason of its own (3D000), which goes first
            return
        if isinstance(result, World):  # else nothing is protected, or what is known stands
            self._enter(result)
            if result.pooling.closed is not None:
                self._refuse_service(result.pooling.closed)
                return
        self._servers.known()
        self._after_replies()
        self._pump()

    def _refuse_service(self, refusal: Refusal) -> None:
        """A client that waits for nothing is told when it asks for something: it would read an error before that as a
        notice, and learn of the end only."""
        state = self.state
        state.unserved = refusal
        if state.ledger.ready and (len(state.ledger) or self._clients.stopped or self._clients.frames.pending()):
            state.fatal(refusal)
        elif state.ledger.ready:
            state.phase = UNSERVED

    def _enter(self, world: World) -> None:
        """The first world gives the role's search_path; if statements went through before it, nobody followed them."""
        state = self.state
        first, early = state.world is None, state.batch == 0 and not len(state.statements)
        state.renew(world)
        if first and world.pooling.between:
            distrust(state.settings)
        if first and early:
            user = state.principal.user
            default_path(state.settings, world.snapshot.search_path_of(user), world.snapshot.switches_role(user))
        elif first:
            state.settings.lose()
            if not len(state.ledger):  # nothing is owed, so what the server reported holds
                state.settings.ready(state.ledger.status == messages.IDLE)

    def _after_replies(self) -> None:
        """A reply may have been what the client's next message waited for."""
        state = self.state
        if state.phase != READY:
            return
        if self._servers.catalog_moved and not self._catalog_ticket:
            self._servers.catalog_moved = False
            self._ask_catalog(True, True)
        if self._servers.mending.take_done():
            self._clients.mended()
        if self._clients.stopped:
            self._pump()

    def _pump(self) -> None:
        self._clients.pump()
        if self.state.catalog_due and not self._catalog_ticket:
            self._ask_catalog(True)

    def _fault(self, fault: ProtocolFault) -> None:
        """Tell the client with 08P01, log, end the link."""
        if fault.side == "client" and self.state.phase != CLOSED:
            self.state.tell_last(Refusal("protocol", f"protocol violation: {fault.what}"))
        self._end(fault)

    def _end(self, fault: ProtocolFault) -> None:
        state = self.state
        state.outcome = "fault"
        state.note("protocol-fault", {"side": fault.side, "what": fault.what})
        state.close_both(f"protocol violation by the {fault.side}")


@final
class CatalogJob:
    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def answer(self, ticket: int, result: object) -> None:
        self._session.catalog(ticket, result)
