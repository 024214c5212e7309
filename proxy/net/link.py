"""One link: a client connection, its server connection, and the session between them.

Carries bytes, performs effects, keeps both directions from filling memory. Decides nothing about messages. Flow
control: what one side can't take stops reading from the other; the session itself may pause a side too; reading goes
on when every reason is gone. Bytes for the client wait behind a gate while an audit record that they depend on is not
yet durable.

Invariants: whatever fails in here ends this link and no other, counted, its text told to nobody; a link that ended
leaves no connection behind, not even one that was still being made; no bytes go to a connection that is closing.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, cast, final

from proxy.errors import Bug, Refusal, Side, Unavailable
from proxy.net.answers import PENDING, Answers, Event
from proxy.net.tasks import Tasks
from proxy.net.tls import Handshake, negotiated, reason, shows, subject
from proxy.net.upstreams import Upstreams
from proxy.observe import count
from proxy.session.effects import (
    Again,
    Ask,
    CancelUpstream,
    Close,
    Effect,
    Failure,
    Find,
    Note,
    Pause,
    Request,
    Resume,
    Reveal,
    StartTls,
    ToClient,
    Tokenise,
    ToServer,
)
from proxy.session.session import Session

# Bytes a transport may hold before its writer is stopped; the kernel's socket buffers come on top.
WRITE_HIGH: Final = 256 * 1024
# Bytes for the client that may wait for the audit before the server is stopped: a few chunks of rows.
HELD_HIGH: Final = 1 << 20
# Values that a link may ask the vault about at the same time; what it asks beyond waits in the link, so that no link
# stands behind more than this of another in the vault's queue. One request counts as VALUES_EACH at least: 64 at once
# fill a commit.
VALUES_AT_ONCE: Final = 16_384
VALUES_EACH: Final = 256
# Audit events of a link that are made durable together: some milliseconds of work, in which others wait.
EVENTS_AT_ONCE: Final = 64
# Seconds that a peer gets to take the last bytes of a link that ends.
LINGER: Final = 10.0
# A peer that vanished without a word (power, cable, firewall) is missed after two minutes: it holds a place here and a
# session on the server. (option, value): seconds until the first probe, seconds between them, probes.
KEEPALIVE: Final = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6))


@final
class Half:
    """One of a link's two connections: an `asyncio.Protocol` in all but its class, which could not be compiled then."""

    def __init__(self, link: "Link", side: Side) -> None:
        self.link = link
        self.side: Side = side
        self._client = side == "client"
        self.transport: asyncio.Transport | None = None
        self._stops: set[str] = set()  # reasons for not reading
        self._linger: asyncio.TimerHandle | None = None
        self._shaking = False  # the connection is TLS's own, until its handshake is done
        self._closed = False  # by the peer or by us: nothing is written any more

    @property
    def protocol(self) -> asyncio.Protocol:
        """Itself, for the loop."""
        return cast(asyncio.Protocol, self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are of no such class
        self.transport.set_write_buffer_limits(WRITE_HIGH)
        _keep_alive(self.transport)
        if self._stops:
            # uvloop starts to read after this call, whatever it says; what comes before the stop is only early.
            asyncio.get_running_loop().call_soon(self._stop_now)
        self.link.connected(self)

    def data_received(self, data: bytes) -> None:
        self.link.received(self._client, data)

    def eof_received(self) -> bool:
        self.link.ended(self.side)
        self._closed = True
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        if self._linger is not None:
            self._linger.cancel()
        self.link.ended(self.side)

    def pause_writing(self) -> None:
        self.link.other(self.side).stop("writes")
        self.link.filled(self.side, True)

    def resume_writing(self) -> None:
        self.link.other(self.side).go("writes")
        self.link.filled(self.side, False)

    def stop(self, reason: str) -> None:
        """Don't read until `go` for the same reason."""
        if not self._stops and (transport := self._open()):
            transport.pause_reading()
        self._stops.add(reason)

    def go(self, reason: str) -> None:
        if reason not in self._stops:
            return
        self._stops.discard(reason)
        if not self._stops and (transport := self._open()):
            transport.resume_reading()

    def _stop_now(self) -> None:
        if self._stops and (transport := self._open()):
            transport.pause_reading()

    def write(self, data: bytes) -> None:
        transport = self.transport
        if transport is not None and not self._shaking and not self._closed:
            transport.write(data)

    def begin_tls(self) -> asyncio.Transport | None:
        """Read and write nothing more on this connection, but give it away for a handshake; None if it is gone. What
        follows on SSLRequest must not be read as if it were not encrypted, so this must not wait."""
        transport = self._open()
        if transport is not None:
            transport.pause_reading()
            self._shaking = True
        return transport

    def secured(self, transport: asyncio.Transport) -> None:
        """The handshake is done."""
        self._shaking = False
        self.transport = transport
        transport.set_write_buffer_limits(WRITE_HIGH)

    def close(self) -> None:
        """After what was written is sent, or when the peer does not take it in time."""
        if self._shaking:
            self.abort()  # there is nothing that could be said
        elif transport := self._open():
            transport.close()
            self._closed = True
            self._linger = asyncio.get_running_loop().call_later(LINGER, self.abort)

    def abort(self) -> None:
        self._closed = True
        if self.transport is not None:
            self.transport.abort()

    def _open(self) -> asyncio.Transport | None:
        """The transport, if it still takes and gives bytes."""
        if self.transport is None or self._shaking or self.transport.is_closing():
            return None
        return self.transport


def _keep_alive(transport: asyncio.Transport) -> None:
    """Have the kernel look after a peer that says nothing."""
    found: socket.socket | None = transport.get_extra_info("socket")
    if found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with suppress(OSError):  # the peer has gone already
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE:
            if hasattr(socket, name):
                found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


@final
class Link:
    """See the module. over: called once, when both connections are gone. handshake: of the client, None if it is not
    offered TLS."""

    def __init__(
        self,
        session: Session,
        upstreams: Upstreams,
        answers: Answers,
        tasks: Tasks,
        over: "Callable[[Link], None]",
        handshake: Handshake | None = None,
    ) -> None:
        self.session = session
        self.client = Half(self, "client")
        self.server = Half(self, "server")
        self._upstreams = upstreams
        self._answers = answers
        self._tasks = tasks
        self._over = over
        self._handshake = handshake
        self._dial: asyncio.Task[None] | None = None
        self._for_server: list[bytes] = []  # written before the server connection was there
        self._waiting = 0  # bytes of them
        self._ahead = 0  # of them: what the server had before it took the link
        # For the client, in order: bytes, and gates that are shut until an audit record is durable.
        self._queue: deque[bytes | Gate] = deque()
        self._queued = 0  # bytes
        self._full = self._told_full = False  # the client does not take what is written; what the session was told
        self._shut: deque[Gate] = deque()  # those in the queue whose events are not being recorded yet
        self._recording = False
        self._unasked: deque[tuple[int, Request]] = deque()  # questions for which it is not yet this link's turn
        self._asked = 0  # what is being asked, in values
        self._cancelling = False  # a cancel request is on its way; the client waits for the end of it
        self._secure = False  # the client's connection
        self._client_closing = False
        self._server_closing = False
        self._performing = False
        self._broken = False
        self._ended = False
        self._to_server_sent = self._to_client_sent = 0  # bytes, since they were last counted

    def other(self, side: Side) -> Half:
        return self.server if side == "client" else self.client

    # ---- what happens

    def connected(self, half: Half) -> None:
        if half.side == "client":
            return
        if self._ended or self._broken or self._server_closing:
            half.abort()  # whom it was for has gone meanwhile
            return
        if self._handshake is not None and half.transport is not None:
            self.session.bound = self._secure and shows(half.transport, self._handshake.identity.certificate)
        half.write(b"".join(self._for_server)[self._ahead :])
        self._for_server.clear()
        self.client.go("dial")

    def received(self, from_client: bool, data: bytes) -> None:
        """As `run`, spelled out: every byte comes by here."""
        if self._broken:
            return
        try:
            if from_client:
                self.session.client_bytes(data)
            else:
                self.session.server_bytes(data)
            self.perform()
        except Exception as error:  # noqa: BLE001 - the one place: this link ends, the others go on
            self._break(error)

    def filled(self, side: Side, full: bool) -> None:
        """A connection takes no more for now, or takes more again."""
        if side == "client":
            self._full = full
            self._tell_full()

    def _tell_full(self) -> None:
        full = self._full or self._queued > HELD_HIGH
        if full != self._told_full:
            self._told_full = full
            self.run(self.session.client_full, full)

    def ended(self, side: Side) -> None:
        """A connection is closed, by its peer or by us."""
        self.run(self.session.client_eof if side == "client" else self.session.server_eof)
        if self.client.transport is None and self.server.transport is None:
            self._finish()

    def run(self, step: Callable[..., None], *arguments: object) -> None:
        """Tell the session something and do what it wants then. One that breaks takes its link down, nothing else."""
        if self._broken:
            return
        try:
            step(*arguments)
            self.perform()
        except Exception as error:  # noqa: BLE001 - the one place: this link ends, the others go on
            self._break(error)

    def _break(self, error: Exception) -> None:
        self._broken = True
        self._answers.broken(error)
        self.abort()

    def tick(self, now: float) -> None:
        self.run(self.session.tick, now)
        self.run(self.count)

    def count(self) -> None:
        """Bring statements and bytes into the metrics: once a tick, not once a message."""
        for (kind, outcome), number in self.session.state.take_counts().items():
            count("statements", number, kind=kind, outcome=outcome)
        if self._to_server_sent:
            count("bytes", self._to_server_sent, direction="to_server")
        if self._to_client_sent:
            count("bytes", self._to_client_sent, direction="to_client")
        self._to_server_sent = self._to_client_sent = 0

    @property
    def outcome(self) -> str:
        """How it ended."""
        return "failed" if self._broken else self.session.state.outcome

    @property
    def key(self) -> bytes:
        """What a cancel request for it says: process ID and cancel key, b'' before the server gave them."""
        return self.session.state.cancel_key

    def abort(self) -> None:
        """End the link at once."""
        self.client.abort()
        self.server.abort()

    def drain(self) -> None:
        """The program stops: end the link if nothing is under way."""
        self.run(self.session.drain)

    def _finish(self) -> None:
        """Both connections are gone; one that is still being made is given up."""
        if self._ended:
            return
        self._ended = True
        if self._dial is not None:
            self._dial.cancel()
        self._upstreams.leave(self)
        self.run(self.count)
        self.session.release()
        self._queue.clear()
        self._for_server.clear()
        self._unasked.clear()
        self._over(self)

    # ---- effects

    def perform(self) -> None:
        """Do what the session wants. Answers that are there at once may bring more effects."""
        if self._performing:
            return
        self._performing = True
        try:
            while self._write():
                for effect in self.session.take_effects():
                    self._perform(effect)
        finally:
            self._performing = False

    def _write(self) -> bool:
        """Send the bytes if the session wants nothing else, which is what it mostly wants; whether it does."""
        state = self.session.state
        if state.effects:
            return True
        to_server, to_client = state.take_bytes()
        if to_server:
            self._to_server(to_server)
        if to_client:
            self._to_client(to_client)
        return bool(state.effects)

    def _perform(self, effect: Effect) -> None:
        if isinstance(effect, ToClient):
            self._to_client(effect.data)
        elif isinstance(effect, ToServer):
            self._to_server(effect.data)
        elif isinstance(effect, Ask):
            self._ask(effect.ticket, effect.request)
        elif isinstance(effect, Pause):
            (self.client if effect.side == "client" else self.server).stop("session")
        elif isinstance(effect, Resume):
            (self.client if effect.side == "client" else self.server).go("session")
        elif isinstance(effect, Close):
            self._close(effect.side)
        elif isinstance(effect, Note):
            self._answers.note(effect)
        elif isinstance(effect, CancelUpstream):
            self._cancelling = True
            self._tasks.spawn(self._cancel(effect.packet), "cancel")
        elif isinstance(effect, StartTls):
            self._start_tls(effect.first)
        elif isinstance(effect, Again):
            asyncio.get_running_loop().call_soon(self.run, self.session.go_on)
        else:
            raise Bug(f"unknown effect {type(effect).__name__}")

    def _to_client(self, data: bytes) -> None:
        self._to_client_sent += len(data)
        if not self._queue:
            self.client.write(data)
            return
        self._queue.append(data)
        self._queued += len(data)
        if self._queued > HELD_HIGH:
            self.server.stop("audit")
            self._tell_full()

    def _to_server(self, data: bytes) -> None:
        self._to_server_sent += len(data)
        if self.server.transport is not None:
            self.server.write(data)
            return
        self._for_server.append(data)
        self._waiting += len(data)
        if self._waiting > WRITE_HIGH:
            self.client.stop("dial")
        if self._dial is None:
            self._dial = self._tasks.spawn(self._connect(), "dial")

    async def _connect(self) -> None:
        first = b"".join(self._for_server) if self._upstreams.greets else b""
        self._ahead = len(first)
        try:
            server = await self._upstreams.connect(self.server.protocol, first)
            if not self._ended:
                self._upstreams.serve(self, server)
        except Unavailable as gone:
            refusal = Refusal("server-unreachable", str(gone), "Check `upstream` and the server.")
            self.run(self.session.unreachable, refusal)
        except Exception as error:  # noqa: BLE001 - the one place: this link ends, the others go on
            self._break(error)

    async def _cancel(self, packet: bytes) -> None:
        """The client's connection closes when the server has closed its own, so that a client which waits for that
        (PQcancel) does not hit its next statement."""
        await self._upstreams.cancel(packet)
        self._cancelling = False
        if self._client_closing:
            self._close("client")

    def _start_tls(self, first: bytes) -> None:
        if self._handshake is None:
            raise Bug("TLS to clients is not configured")
        plain = self.client.begin_tls()
        if plain is not None:
            self._tasks.spawn(self._shake(self._handshake, plain, first), "tls")

    async def _shake(self, handshake: Handshake, plain: asyncio.Transport, first: bytes) -> None:
        """Bounded in time by the session's start-up: when that is over, the connection closes under the handshake."""
        try:
            secure = await handshake.shake(plain, first, self._tasks)
            self._secure = True
            name = subject(secure)
        except (OSError, ValueError) as error:
            self._unsafe(plain, reason(error))
        except asyncio.CancelledError:
            self._unsafe(plain, "shutdown")
            raise
        except Exception as error:  # noqa: BLE001 - the one place: this link ends, the others go on
            self._break(error)
            self._unsafe(plain, "")
        else:
            self.client.secured(secure)
            self.run(self.session.tls_started, name, negotiated(secure))
            handshake.hand_over(secure, self.client.protocol)

    def _unsafe(self, plain: asyncio.Transport, why: str) -> None:
        """No handshake, no connection; it tells nobody but us that it is lost."""
        self.run(self.session.tls_failed, why)
        plain.abort()
        self.client.connection_lost(None)

    def _close(self, side: Side) -> None:
        if side == "server":
            self._server_closing = True
            self.server.close()
        elif self._queue or self._cancelling:
            self._client_closing = True
        else:
            self.client.close()

    # ---- questions

    def _ask(self, ticket: int, request: Request) -> None:
        try:
            result, events = self._answers.now(request)
        except Unavailable as gone:
            result, events = failure(gone), ()
        if result is PENDING:
            self._unasked.append((ticket, request))
            self._ask_on()
            return
        self._answer(ticket, result, events)

    def _ask_on(self) -> None:
        """Ask what waits, as far as it is this link's share."""
        waiting = self._unasked
        if self._ended:
            waiting.clear()
        while waiting and (not self._asked or self._asked + _weight(waiting[0][1]) <= VALUES_AT_ONCE):
            ticket, request = waiting.popleft()
            self._asked += _weight(request)
            self._tasks.spawn(self._later(ticket, request), type(request).__name__)

    async def _later(self, ticket: int, request: Request) -> None:
        events: Sequence[Event] = ()
        try:
            result, events = await self._answers.later(request)
        except Unavailable as gone:
            result = failure(gone)
        except Exception as error:  # noqa: BLE001 - the one place: this link ends, the others go on
            self._break(error)
            return
        self._asked -= _weight(request)
        self._ask_on()
        self.run(self._answer, ticket, result, events)

    def _answer(self, ticket: int, result: object, events: Sequence[Event]) -> None:
        if self._ended:
            return  # nobody sees it
        if events:
            self._shut_behind(events)
        self.session.answer(ticket, result)

    def _shut_behind(self, events: Sequence[Event]) -> None:
        """What comes now goes to the client when these events are durable; they share a record with those before that
        are not being written yet."""
        last = self._shut[-1] if self._shut else None
        if last is None or last.open or len(last.events) + len(events) > EVENTS_AT_ONCE:
            gate = Gate()
            self._queue.append(gate)
            self._shut.append(gate)
        self._shut[-1].events += events
        if not self._recording:
            self._recording = True
            self._tasks.spawn(self._record(), "audit")

    async def _record(self) -> None:
        """Nothing behind a gate goes to the client until its events are durable; never, if they can't be."""
        while self._shut:
            gate = self._shut.popleft()
            try:
                await self._answers.record(gate.events)
            except Unavailable as gone:
                self._withhold()
                self.run(self.session.lost, failure(gone).refusal)
            except Exception as error:  # noqa: BLE001 - the one place: this link ends, the others go on
                self._withhold()
                self._break(error)
            gate.open = True
            self._drain()
        self._recording = False

    def _withhold(self) -> None:
        """What waits for the client must never go out."""
        self._queue.clear()
        self._queued = 0
        for gate in self._shut:
            gate.open = True  # it is in no queue any more: nothing may come to stand behind it

    def _drain(self) -> None:
        """Send what no gate is before."""
        queue, ready = self._queue, []
        while queue:
            first = queue[0]
            if isinstance(first, Gate):
                if not first.open:
                    break
            else:
                ready.append(first)
                self._queued -= len(first)
            queue.popleft()
        if ready:
            self.client.write(b"".join(ready))
        if self._queued <= HELD_HIGH // 2:
            self.server.go("audit")
            self._tell_full()
        if not queue and self._client_closing:
            self._close("client")


@final
class Gate:
    """Audit events to be made durable; what stands behind it in the queue depends on them."""

    __slots__ = ("events", "open")

    def __init__(self) -> None:
        self.open = False
        self.events: list[Event] = []


def _weight(request: Request) -> int:
    """In values."""
    if isinstance(request, Tokenise | Find):
        return max(VALUES_EACH, len(request.items))
    if isinstance(request, Reveal):
        return max(VALUES_EACH, len(request.tokens) + len(request.plain))
    return VALUES_EACH


def failure(gone: Unavailable) -> Failure:
    return Failure(
        Refusal("vault-unavailable", f"{gone}; nothing was revealed, nothing stored", "Try again when it is back.")
    )
