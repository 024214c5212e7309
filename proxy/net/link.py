"""One link: a client connection, its server connection, and the session between them.

Carries bytes, performs effects, keeps both directions from filling memory. Decides nothing about messages. Flow
control: what one side can't take stops reading from the other; the session itself may pause a side too; reading goes
on when every reason is gone. Bytes for the client wait behind a gate while an audit record that they depend on is not
yet durable.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, cast, final

from proxy.errors import Bug, Refusal, Side, Unavailable
from proxy.net.answers import PENDING, Answers, Event
from proxy.net.tasks import Tasks
from proxy.net.upstream import Upstream
from proxy.observe import count
from proxy.session.effects import (
    Ask,
    CancelUpstream,
    Close,
    Effect,
    Failure,
    Note,
    Pause,
    Request,
    Resume,
    StartTls,
    ToClient,
    ToServer,
)
from proxy.session.session import Session

# Bytes a transport may hold before its writer is stopped; the kernel's socket buffers come on top.
WRITE_HIGH: Final = 256 * 1024
# Bytes for the client that may wait for the audit before the server is stopped: a few chunks of rows.
HELD_HIGH: Final = 1 << 20
# Seconds that a peer gets to take the last bytes of a link that ends.
LINGER: Final = 10.0


@final
class Half(asyncio.Protocol):
    """One of a link's two connections."""

    def __init__(self, link: "Link", side: Side) -> None:
        self.link = link
        self.side: Side = side
        self.transport: asyncio.Transport | None = None
        self._stops: set[str] = set()  # reasons for not reading

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are of no such class
        self.transport.set_write_buffer_limits(WRITE_HIGH)
        self.link.connected(self)

    def data_received(self, data: bytes) -> None:
        self.link.received(self.side, data)

    def eof_received(self) -> bool:
        self.link.ended(self.side)
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        self.link.ended(self.side)

    def pause_writing(self) -> None:
        self.link.other(self.side).stop("writes")

    def resume_writing(self) -> None:
        self.link.other(self.side).go("writes")

    def stop(self, reason: str) -> None:
        """Don't read until `go` for the same reason."""
        if not self._stops and self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()
        self._stops.add(reason)

    def go(self, reason: str) -> None:
        self._stops.discard(reason)
        if not self._stops and self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def write(self, data: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def close(self) -> None:
        """After what was written is sent."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()


@final
class Link:
    """See the module. `over` is called once, when both connections are gone."""

    def __init__(
        self, session: Session, upstream: Upstream, answers: Answers, tasks: Tasks, over: "Callable[[Link], None]"
    ) -> None:
        self.session = session
        self.client = Half(self, "client")
        self.server = Half(self, "server")
        self._upstream = upstream
        self._answers = answers
        self._tasks = tasks
        self._over = over
        self._dialling = False
        self._for_server: list[bytes] = []  # written before the server connection was there
        # For the client, in order: bytes, and gates that are shut until an audit record is durable.
        self._queue: deque[bytes | Gate] = deque()
        self._queued = 0  # bytes
        self._client_closing = False
        self._performing = False
        self._ended = False
        self._sent = {"to_server": 0, "to_client": 0}  # bytes, since they were last counted

    def other(self, side: Side) -> Half:
        return self.server if side == "client" else self.client

    # ---- what happens

    def connected(self, half: Half) -> None:
        if half.side == "server":
            waiting, self._for_server = self._for_server, []
            half.write(b"".join(waiting))

    def received(self, side: Side, data: bytes) -> None:
        if side == "client":
            self._run(self.session.client_bytes, data)
        else:
            self._run(self.session.server_bytes, data)

    def ended(self, side: Side) -> None:
        """A connection is closed, by its peer or by us."""
        if side == "client":
            self.session.client_eof()
        else:
            self.session.server_eof()
        self.perform()
        if self.client.transport is None and (self.server.transport is None or self._ended):
            self._finish()

    def _run(self, step: Callable[[bytes], None], data: bytes) -> None:
        """A session that breaks takes its link down and nothing else."""
        try:
            step(data)
            self.perform()
        except Exception as error:  # noqa: BLE001 - the one place: this link ends, the others go on
            self._answers.broken(error)
            self.abort()

    def tick(self, now: float) -> None:
        self.session.tick(now)
        self.perform()
        self.count()

    def count(self) -> None:
        """Bring statements and bytes into the metrics: once a tick, not once a message."""
        for (kind, outcome), number in self.session.state.take_counts().items():
            count("statements", number, kind=kind, outcome=outcome)
        for direction, number in self._sent.items():
            if number:
                count("bytes", number, direction=direction)
                self._sent[direction] = 0

    def abort(self) -> None:
        """End the link at once."""
        for half in (self.client, self.server):
            if half.transport is not None:
                half.transport.abort()

    def drain(self) -> None:
        """The program stops: end the link if nothing is under way."""
        self.session.drain()
        self.perform()

    def _finish(self) -> None:
        if not self._ended:
            self._ended = True
            self.count()
            self.server.close()
            self._over(self)

    # ---- effects

    def perform(self) -> None:
        """Do what the session wants. Answers that are there at once may bring more effects."""
        if self._performing:
            return
        self._performing = True
        try:
            effects = self.session.take_effects()
            while effects:
                for effect in effects:
                    self._perform(effect)
                effects = self.session.take_effects()
        finally:
            self._performing = False

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
            self._tasks.spawn(self._upstream.cancel(effect.packet), "cancel")
        elif isinstance(effect, StartTls):
            self._tasks.spawn(self._start_tls(), "tls")
        else:
            raise Bug(f"unknown effect {type(effect).__name__}")

    def _to_client(self, data: bytes) -> None:
        self._sent["to_client"] += len(data)
        if not self._queue:
            self.client.write(data)
            return
        self._queue.append(data)
        self._queued += len(data)
        if self._queued > HELD_HIGH:
            self.server.stop("audit")

    def _to_server(self, data: bytes) -> None:
        self._sent["to_server"] += len(data)
        if self.server.transport is not None:
            self.server.write(data)
            return
        self._for_server.append(data)
        if not self._dialling:
            self._dialling = True
            self._tasks.spawn(self._dial(), "dial")

    async def _dial(self) -> None:
        try:
            await self._upstream.connect(self.server)
        except Unavailable as gone:
            self.session.unreachable(Refusal("server-unreachable", str(gone), "Check `upstream` and the server."))
            self.perform()

    async def _start_tls(self) -> None:
        raise Bug("TLS to clients is not configured")

    def _close(self, side: Side) -> None:
        if side == "client" and self._queue:
            self._client_closing = True
            return
        half = self.client if side == "client" else self.server
        half.close()
        transport = half.transport
        if transport is not None:
            asyncio.get_running_loop().call_later(LINGER, transport.abort)

    # ---- questions

    def _ask(self, ticket: int, request: Request) -> None:
        try:
            result, events = self._answers.now(request)
        except Unavailable as gone:
            result, events = failure(gone), ()
        if result is PENDING:
            self._tasks.spawn(self._later(ticket, request), type(request).__name__)
            return
        self._answer(ticket, result, events)

    async def _later(self, ticket: int, request: Request) -> None:
        events: Sequence[Event] = ()
        try:
            result, events = await self._answers.later(request)
        except Unavailable as gone:
            result = failure(gone)
        except Exception as error:  # noqa: BLE001 - the one place: this link ends, the others go on
            self._answers.broken(error)
            self.abort()
            return
        try:
            self._answer(ticket, result, events)
            self.perform()
        except Exception as error:  # noqa: BLE001 - the one place: this link ends, the others go on
            self._answers.broken(error)
            self.abort()

    def _answer(self, ticket: int, result: object, events: Sequence[Event]) -> None:
        if events:
            gate = Gate()
            self._queue.append(gate)
            self._tasks.spawn(self._record(events, gate), "audit")
        self.session.answer(ticket, result)

    async def _record(self, events: Sequence[Event], gate: "Gate") -> None:
        """Nothing behind the gate goes to the client until the events are durable; never, if they can't be."""
        try:
            await self._answers.record(events)
        except Unavailable as gone:
            self._queue.clear()
            self._queued = 0
            self.session.lost(failure(gone).refusal)
            self.perform()
        gate.open = True
        self._drain()

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
        if not queue and self._client_closing:
            self._close("client")


@final
class Gate:
    """An audit record that is being made durable; what stands behind it in the queue depends on it."""

    __slots__ = ("open",)

    def __init__(self) -> None:
        self.open = False


def failure(gone: Unavailable) -> Failure:
    return Failure(
        Refusal("vault-unavailable", f"{gone}; nothing was revealed, nothing stored", "Try again when it is back.")
    )
