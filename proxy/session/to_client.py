"""From the server to the client: each reply is forwarded, revealed, or replaced.

The ledger says what a reply answers. Rows with protected columns go out as chunks: the tokens of all whole rows that
arrived together are asked for at once; what follows waits behind them in the lane, within a bound (`Pause`).

Invariant: before a client is told that a transaction with DDL has ended, every link knows of it. Else another one could
write through a view of which only its maker knows, in clear.
"""

from typing import Final, final

from proxy.errors import Bug, ProtocolFault, Refusal
from proxy.session import ledger, reports
from proxy.session.copy_in import BATCH, CopyIn
from proxy.session.copy_out import CopyOut
from proxy.session.effects import Audit, CatalogMoved, DatabasesChanged, Pause, Resume, Revealed
from proxy.session.ledger import Owed
from proxy.session.mending import Mending
from proxy.session.pieces import CopyPiece, OutSlot, PieceJob, Pieces, RowsPiece
from proxy.session.reveal import Columns
from proxy.session.state import CLOSED, DATABASES, IGNORE, LARGE, STATEMENT, State, error_response
from proxy.session.statements import Bound
from proxy.wire import messages, rows
from proxy.wire.copyrows import Part
from proxy.wire.frames import Frames
from proxy.wire.types import Reading

# First letters of SELECT, INSERT and UPDATE: of a statement with no plan, the ends of these mean nothing.
NOTHING_NEW: Final = b"SIU"
# Bytes of rows that are asked for together: some 3,000 tokens, whose values are seldom more than a piece may have
# (pieces.PIECE), so that few are asked for twice; and a turn's work. What a chunk costs by itself is lost in that.
CHUNK: Final = 128 << 10
# The server's answer to every statement in a failed transaction (postgres.c, errdetail_abort is version dependent).
IN_FAILED_TRANSACTION: Final = (
    (b"S", b"ERROR"),
    (b"V", b"ERROR"),
    (b"C", b"25P02"),
    (b"M", b"current transaction is aborted, commands ignored until end of transaction block"),
)


@final
class ErrorJob:
    """An ErrorResponse or NoticeResponse in whose texts tokens stand."""

    __slots__ = ("_fields", "_kind", "_lane", "_slot")

    def __init__(self, lane: "ServerLane", slot: OutSlot, kind: int, fields: reports.Fields) -> None:
        self._lane = lane
        self._slot = slot
        self._kind = kind
        self._fields = fields

    def answer(self, ticket: int, result: object) -> None:
        shown = result if isinstance(result, Revealed) else Revealed({}, {})
        fields = reports.with_values(self._fields, shown, self._lane.state)
        self._slot.data = messages.build_report(self._kind, fields)
        self._lane.slot_ready(self._slot)


@final
class ToldJob:
    """Others are told of what the server has done; what is behind the slot says to the client that it is done."""

    __slots__ = ("_lane", "_slot")

    def __init__(self, lane: "ServerLane", slot: OutSlot) -> None:
        self._lane = lane
        self._slot = slot

    def answer(self, ticket: int, result: object) -> None:
        self._lane.slot_ready(self._slot)


@final
class ServerLane:
    """See the module."""

    __slots__ = (
        "_columns", "_copied", "_copied_size", "_copy", "_in_rows", "_lane", "_paused", "_pieces", "_rows_of",
        "_untold", "_waiting", "catalog_moved", "close_when_empty", "ddl_done", "frames", "mending", "state",
    )  # fmt: skip

    def __init__(self, state: State, max_length: int) -> None:
        self.state = state
        self.frames = Frames("server", max_length)
        self.mending = Mending(state)
        self.ddl_done = False  # DDL succeeded in this transaction
        self.catalog_moved = False  # such a transaction has ended: the catalog is to be read anew
        self.close_when_empty = False  # the server is gone; what waits goes out first
        self._untold: list[OutSlot] = []  # what is behind them waits until the catalog was read
        self._pieces = Pieces(state, self)
        self._lane = self._pieces.lane
        self._waiting = 0
        self._paused = False
        self._in_rows = False
        self._rows_of: Bound | None = None
        self._columns: Columns | None = None
        self._copy: CopyOut | None = None
        self._copied: list[list[Part]] = []  # frames of a COPY that wait to be asked for together
        self._copied_size = 0

    # ---- in

    def pump(self) -> None:
        frames = self.frames
        if frames.left:
            self._pass_on(frames.left)
        while self.state.phase != CLOSED and not self.state.yielding and not frames.left:
            if not frames.next():
                if not frames.pending() or not self._large():
                    break
                continue
            kind = frames.buf[frames.start]
            if kind == messages.DATA_ROW:
                if not self.mending.dropping:
                    self._row()
                continue
            if kind == messages.COPY_DATA and self._copy is not None:
                self._copy_frame(self._copy.take(frames.buf[frames.body : frames.end]))
                continue
            if self._copied:
                self._copy_rows()
            self._in_rows = False
            self._message(kind, frames.buf, frames.start, frames.body, frames.end)
        if self._copied:
            self._copy_rows()
        if self._paused or self._waiting or self.state.yielding:
            self._flow()

    def _message(self, kind: int, buf: bytes, start: int, body: int, end: int) -> None:
        if kind == messages.READY_FOR_QUERY:
            if end != body + 1:
                raise ProtocolFault("server", "a ReadyForQuery of another length")
            self._ready(buf, start, end)
        elif kind in (messages.COMMAND_COMPLETE, messages.EMPTY_QUERY, messages.PORTAL_SUSPENDED):
            self._complete(kind, buf, start, end)
        elif kind == messages.BIND_COMPLETE:
            self._acknowledged(ledger.BIND, buf, start, end)
        elif kind in (messages.ROW_DESCRIPTION, messages.NO_DATA):
            self._described(kind, buf, start, end)
        elif kind == messages.PARSE_COMPLETE:
            self._acknowledged(ledger.PARSE, buf, start, end)
        elif kind == messages.CLOSE_COMPLETE:
            self._acknowledged(ledger.CLOSE, buf, start, end)
        elif kind == messages.PARAMETER_DESCRIPTION:
            self._send(self._parameters(buf, body, end))
        else:
            self._other(kind, buf, body, end, buf[start:end])

    def _other(self, kind: int, buf: bytes, body: int, end: int, frame: bytes) -> None:
        """Messages that are rarer than these."""
        if kind == messages.ERROR_RESPONSE:
            self._error(buf, body, end)
        elif kind == messages.NOTICE_RESPONSE and not self.mending.dropping:
            self._report(kind, messages.parse_report(buf, body, end), frame, self.state.ledger.head())
        elif kind == messages.PARAMETER_STATUS:
            name, value = messages.parse_parameter_status(buf, body, end)
            self.state.settings.report(name.decode("utf-8", "replace"), value.decode("utf-8", "replace"))
            self._tell(frame)
        elif kind == messages.NOTIFICATION:
            self._tell(frame)
        elif kind == messages.BACKEND_KEY_DATA:
            self.state.cancel_key = buf[body:end]
            self._send(frame)
        elif kind in (messages.COPY_IN_RESPONSE, messages.COPY_OUT_RESPONSE):
            self._copy_begins(kind)
            self._send(frame)
        elif kind == messages.COPY_DONE and self._copy is not None:
            self._copy_frame(self._copy.rest())
            self._copy_rows()
            self._copy = None
            self._send(frame)
        else:
            self._send(frame)

    def _large(self) -> bool:
        """Take a large row with nothing protected in it, of which the beginning is here, in parts, as it comes."""
        need = self.frames.begun(LARGE)
        if not need or self._lane or self._copied:
            return False
        if self.frames.kind == messages.DATA_ROW:
            self._begin_rows()
            passes = self._columns is None or self.mending.dropping
        else:
            passes = self.frames.kind == messages.COPY_DATA and self._copy is None
        if passes:
            self._pass_on(need)
        return passes

    def _pass_on(self, need: int) -> None:
        """What is here of a message, of which `need` bytes are still to be taken."""
        data = self.frames.part(need)
        if not self.mending.dropping:
            self.state.to_client.append(data)
            self.state.midway = self.frames.left > 0

    def release(self) -> None:
        """The link is over."""
        self.frames.rest()
        self._pieces.clear()

    # ---- out

    def _forward(self, buf: bytes, start: int, end: int) -> None:
        """A reply as it came."""
        if self.mending.dropping:
            return
        if self._lane:
            self._push(OutSlot(buf[start:end], True, end - start))
        else:
            self.state.to_client.stretch(buf, start, end)

    def _send(self, data: bytes) -> None:
        """A reply."""
        if not self.mending.dropping:
            self._tell(data)

    def _tell(self, data: bytes) -> None:
        """What is for the client whatever becomes of the reply at hand."""
        if self._lane:
            self._push(OutSlot(data, True, len(data)))
        else:
            self.state.to_client.append(data)

    def _push(self, slot: OutSlot) -> None:
        self._lane.append(slot)
        self._waiting += slot.size

    def _shut(self) -> OutSlot:
        """What is sent from now on waits for it."""
        slot = OutSlot(b"", False, 0)
        self._push(slot)
        return slot

    def known(self) -> None:
        """The catalog was read, by everybody. For a change since that reading began there will be another."""
        if not self.catalog_moved:
            untold, self._untold = self._untold, []
            for slot in untold:
                self.slot_ready(slot)

    def slot_ready(self, slot: OutSlot) -> None:
        slot.ready = True
        lane = self._lane
        while lane and lane[0].ready:
            first = lane.popleft()
            self._waiting -= first.size
            self._pieces.left(first)
            if first.refusal is not None:
                self._fail(first.refusal, first.owed)
                break
            self.state.to_client.append(first.data)
        if not lane and self.close_when_empty:
            self.state.close_both("server gone")
        self._pieces.advance()
        self._flow()

    def stalled(self, full: bool) -> None:
        """Whether the client has enough to take for now."""
        self._pieces.stalled = full
        self._pieces.advance()

    @property
    def waiting(self) -> bool:
        """Rows or reports wait for the vault."""
        return bool(self._lane)

    def _flow(self) -> None:
        limit = self.state.limits.result
        waiting = self._waiting + (self.frames.pending() if self.state.yielding else 0)
        if not self._paused and waiting > limit:
            self._paused = True
            self.state.effects.append(Pause("server"))
        elif self._paused and waiting <= limit // 2:
            self._paused = False
            self.state.effects.append(Resume("server"))

    def _fail(self, refusal: Refusal, owed: Owed | None) -> None:
        """What is owed to the client can't be given: nothing of the chunk goes out, nor of what came behind it."""
        self._pieces.clear()
        self._waiting = 0
        if owed is None or self.close_when_empty:
            self.state.fatal(refusal)
        else:
            self.mending.begin(refusal, owed)

    # ---- rows

    def _bound_now(self) -> Bound | None:
        head = self.state.ledger.head()
        return None if head is None else head.bound

    def _begin_rows(self) -> None:
        if not self._in_rows:
            self._in_rows = True
            self._rows_of = bound = self._bound_now()
            outputs = None if bound is None else bound.outputs()
            self._columns = None if bound is None or outputs is None else Columns(bound, outputs)

    def _row(self) -> None:
        frames = self.frames
        self._begin_rows()
        columns, bound = self._columns, self._rows_of
        if columns is None or bound is None:
            frames.more()
            self._forward(frames.buf, frames.start, frames.end)
            return
        self._protected_rows(bound, columns)

    def _protected_rows(self, bound: Bound, columns: Columns) -> None:
        """Whole rows that are here, as one chunk."""
        frames = self.frames
        fields: list[bytes | None] = []
        end = min(frames.limit(), max(frames.end, frames.start + CHUNK))
        stop = rows.collect(frames.buf, frames.start, end, columns.indexes, columns.width, fields)
        data = frames.buf[frames.start : stop]
        frames.skip_to(stop)
        self._show(RowsPiece(data, columns, fields), columns, bound, None)

    def _show(self, piece: RowsPiece | CopyPiece, columns: Columns, bound: Bound, reading: Reading | None) -> None:
        """Rows go out when it is known what may be seen of them."""
        self.state.worked(STATEMENT + len(piece.fields))
        slot = OutSlot(b"", False, piece.size, self.state.ledger.head())
        job = PieceJob(self._pieces, slot, piece, columns, bound, reading)
        if self._capped(bound, columns.shown(piece.fields), slot):
            return
        if job.question is None:
            self._send(piece.untouched())
        else:
            self._push(slot)
            self._pieces.put(job)

    # ---- COPY

    def _copy_begins(self, kind: int) -> None:
        state = self.state
        head = state.ledger.head()
        bound = None if head is None else head.bound
        current = None if bound is None else bound.current
        copy = None if current is None else current.copy
        if kind == messages.COPY_IN_RESPONSE:
            state.ledger.copy_in()
            if head is not None and bound is not None and copy is not None and copy.into is not None:
                state.copy_in = CopyIn(bound, copy, head, state.settings)
        elif bound is not None and copy is not None:
            if copy.into is not None:
                raise ProtocolFault("server", "a COPY to the client where one from it was asked for")
            self._copy = CopyOut(bound, copy, state.settings)

    def _copy_frame(self, parts: list[Part]) -> None:
        self._copied.append(parts)
        self._copied_size += sum([len(part.data) for part in parts])
        if self._copied_size >= BATCH:
            self._copy_rows()

    def _copy_rows(self) -> None:
        """Send on the frames of a COPY that are here, as one chunk."""
        frames, copy = self._copied, self._copy
        if not frames or copy is None:
            return
        self._copied, size, self._copied_size = [], self._copied_size, 0
        if self.mending.dropping:
            return
        piece = CopyPiece(copy, frames, copy.tokens(frames), size)
        self._show(piece, copy.columns, copy.bound, copy.reading)

    def _capped(self, bound: Bound, shown: int, slot: OutSlot) -> bool:
        """Count what is seen in clear. True: it is more than the role may see, and the reply has failed."""
        bound.revealed += shown
        cap = bound.access.rows
        if cap is None or bound.revealed <= cap:
            return False
        slot.refusal = _too_many(cap)
        classes = tuple(sorted({output.column.class_name for output in bound.outputs() or () if output is not None}))
        self.state.ask(Audit("refuse", classes, bound.context, slot.refusal.code), IGNORE)
        self._push(slot)
        self.slot_ready(slot)
        return True

    # ---- replies

    def _acknowledged(self, kind: int, buf: bytes, start: int, end: int) -> None:
        """kind: of the message that is answered."""
        head = self._expect(kind)
        self.state.settle(head)
        self.state.ledger.done()
        self._forward(buf, start, end)

    def _expect(self, kind: int) -> Owed:
        head = self.state.ledger.head()
        if head is None or head.kind != kind:
            raise ProtocolFault("server", "a reply to a message that was not sent")
        if head.refusal is not None:
            raise Bug("a message that was bound to fail succeeded")
        return head

    def _complete(self, kind: int, buf: bytes, start: int, end: int) -> None:
        """CommandComplete, EmptyQueryResponse or PortalSuspended."""
        head = self.state.ledger.head()
        if head is None:
            raise ProtocolFault("server", "a result that was not asked for")
        if head.refusal is not None:
            raise Bug("a statement that was bound to fail succeeded")
        bound = head.bound
        if kind == messages.COMMAND_COMPLETE and end < start + 6:
            raise ProtocolFault("server", "a CommandComplete without a tag")
        if kind == messages.COMMAND_COMPLETE and (bound is not None or buf[start + 5] not in NOTHING_NEW):
            self._completed(buf[start + 5 : end - 1], bound)
            if bound is not None and bound.current is not None:
                self.state.declared(bound, bound.current)
                self.ddl_done = self.state.follow(bound.current, bound.serial) or self.ddl_done
        if head.kind == ledger.EXECUTE:
            self.state.ledger.done()
            self.state.settle(head)
        elif bound is not None:
            bound.statement += 1
        self._forward(buf, start, end)

    def _completed(self, tag: bytes, bound: Bound | None) -> None:
        """DATABASES are told of by their tags, which are there where nothing is protected and no statement is planned.
        COMMIT ends a transaction whose ReadyForQuery may come much later, or say that the next one has begun."""
        self.state.completed(tag, None if bound is None else bound.current)
        if tag in DATABASES:
            self.state.ask(DatabasesChanged(self.state.principal.database), ToldJob(self, self._shut()))
        elif tag == b"COMMIT":
            self._tell_others()

    def _tell_others(self) -> None:
        """A transaction has ended: what is sent from now on waits until its DDL is known to all."""
        state = self.state
        if state.tell_elsewhere():
            state.ask(CatalogMoved(state.principal.database), ToldJob(self, self._shut()))
        if self.ddl_done:
            self.ddl_done = False
            self.catalog_moved = True  # the session asks for it
            self._untold.append(self._shut())

    def _described(self, kind: int, buf: bytes, start: int, end: int) -> None:
        """RowDescription or NoData: ends a Describe, begins a result of a Query."""
        head = self.state.ledger.head()
        if head is None:
            raise ProtocolFault("server", "a row description that was not asked for")
        bound, snapshot = head.bound, self.state.snapshot
        frame = b""
        if kind == messages.ROW_DESCRIPTION and bound is not None and snapshot is not None:
            try:
                frame = reports.describe_rows(buf[start:end], bound.outputs(), bound, snapshot)
            except Refusal as drift:
                self._drifted(drift)
                return
        if head.kind in (ledger.DESCRIBE_STATEMENT, ledger.DESCRIBE_PORTAL):
            self.state.ledger.done()
        if frame:
            self._send(frame)
        else:
            self._forward(buf, start, end)

    def _drifted(self, drift: Refusal) -> None:
        """The server's columns are not those that were planned with."""
        assert self.state.world is not None
        self.state.world.moved = True  # for whoever names something protected next
        self._pieces.clear()
        self.state.fatal(drift)

    def _parameters(self, buf: bytes, body: int, end: int) -> bytes:
        head = self._expect(ledger.DESCRIBE_STATEMENT)
        if head.statement is None or head.statement.plain:
            return buf[body - 5 : end]
        oids = messages.parse_parameter_description(buf, body, end)
        return messages.build_parameter_description(reports.client_types(head.statement, oids))

    def _ready(self, buf: bytes, start: int, end: int) -> None:
        state, status = self.state, buf[start + 5]
        if state.unserved is not None:
            state.fatal(state.unserved)
            return
        ended = state.ledger.ready_for_query(status)
        if ended is not None:
            state.settle(ended)
        if status == messages.IDLE:
            self._transaction_ended(ended)
        state.settings.ready(status == messages.IDLE)
        if self.mending.dropping:
            self.mending.ready(status)
        else:
            self._forward(buf, start, end)

    def _transaction_ended(self, ended: Owed | None) -> None:
        state = self.state
        state.settings.end(not state.undone)
        state.undone = False
        state.drop_overlay()
        self._tell_others()
        if len(state.portals) and ended is not None:
            state.portals.forget(None, ended.mark)

    # ---- errors

    def _error(self, buf: bytes, body: int, end: int) -> None:
        state = self.state
        fields = messages.parse_report(buf, body, end)
        head = state.ledger.head()
        refusal = None if head is None else head.refusal
        failed = state.ledger.status == messages.FAILED
        state.undone = True
        self._copy = None
        if state.copy_in is not None:
            state.copy_in.over = True
        state.settings.unreported = state.settings.unreported or state.settings.reading_moved
        for entry in reversed(state.ledger.error()):
            state.undo(entry)
        if head is not None and head.bound is not None:
            head.failed = True
        if self.mending.dropping:
            if dict(fields).get(b"V", b"ERROR") == b"ERROR":
                self.mending.failed()
            else:
                self._tell(buf[body - 5 : end])  # the server's last words
            return
        if refusal is not None:
            self._refused(refusal, fields, failed)
            return
        if head is not None and head.bound is not None:
            state.count(head.bound.context.statement, "failed")
        self._report(messages.ERROR_RESPONSE, fields, buf[body - 5 : end], head)

    def _refused(self, refusal: Refusal, fields: reports.Fields, failed: bool) -> None:
        """The error of a message that was made to fail: ours in its place, but for a transaction that had failed
        before, whose answer is the same to every statement."""
        severity = dict(fields).get(b"V", b"ERROR")
        if severity != b"ERROR":
            self._send(messages.build_report(messages.ERROR_RESPONSE, fields))
        elif failed:
            self._send(messages.build_report(messages.ERROR_RESPONSE, list(IN_FAILED_TRANSACTION)))
        else:
            self._send(error_response("ERROR", refusal))

    def _report(self, kind: int, fields: reports.Fields, frame: bytes, head: Owed | None) -> None:
        """An ErrorResponse or NoticeResponse of the server, with values in the place of tokens where they may be
        seen."""
        state = self.state
        if state.snapshot is None:
            self._send(frame)
            return
        told = reports.adapted(fields, head, state)
        asked = reports.question(told, head, state)
        if asked is None:
            self._send(frame if told is fields else messages.build_report(kind, told))
            return
        slot = OutSlot(b"", False, len(frame))
        self._push(slot)
        state.ask(asked, ErrorJob(self, slot, kind, told))


def _too_many(cap: int) -> Refusal:
    return Refusal(
        "too-many-rows",
        f"the statement shows more than {cap} protected values, the `rows` cap of this role",
        "Select fewer rows, or raise `rows` in the policy.",
    )
