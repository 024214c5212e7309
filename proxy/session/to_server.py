"""From the client to the server: each message is forwarded, given tokens for values, or made to fail.

A lane is a queue of slots; the head drains while it is ready. Messages are planned strictly in order; planning stops
(`_held`) while a plan is being made, while a reply that changes how text is read is owed (`State.barriers`), or while
it is not known which statement a name stands for. Tokens are asked for ahead, so one vault call serves a pipeline.
"""

from collections import deque
from dataclasses import replace
from typing import Final, final

from proxy.errors import ProtocolFault, Refusal
from proxy.session import executing, functions, ledger
from proxy.session.effects import Audit, Context, Failure, Pause, Resume
from proxy.session.from_stdin import WHILE_COPYING, FromStdin, too_large
from proxy.session.ledger import Owed
from proxy.session.outgoing import (
    BindMessage,
    Outgoing,
    ParseMessage,
    QueryMessage,
    client_params,
    refused,
    wrong_count,
)
from proxy.session.planning import UNCUT, Planned, Planner, same_text
from proxy.session.slots import NOTHING, NULL, Place, Slot, TokenJob, Wanted, sought
from proxy.session.startup import is_command
from proxy.session.state import IGNORE, READY, STATEMENT, State
from proxy.session.statements import Prepared
from proxy.session.through import Through
from proxy.session.values import sent_type
from proxy.sql.plan import FORWARD, Plan
from proxy.sql.shape import Shape, fingerprint, first_word, shape
from proxy.wire import messages
from proxy.wire.frames import Frames

FLUSH: Final = messages.build_flush()
PREPARE_AGAIN: Final = "Policy, catalog or search_path changed since it was prepared: prepare it again."
EMPTY: Final = shape(b"", True)
NOT_READ: Final = messages.Bind(b"", b"", (), [], ())


@final
class ClientLane:
    """See the module."""

    __slots__ = (
        "_about", "_by_name", "_copying", "_flushed", "_held", "_lane", "_paused", "_planner", "_through", "_waiting",
        "blocked", "frames", "state",
    )  # fmt: skip

    def __init__(self, state: State, max_length: int) -> None:
        self.state = state
        self.frames = Frames("client", max_length)
        self.blocked = False  # the catalog is being read: nothing is planned
        self._planner = Planner(state)
        self._copying = FromStdin(self, self._planner)
        self._by_name = executing.ByName(self)
        self._through = Through(self)
        self._lane: deque[Slot] = deque()
        self._waiting = 0  # bytes in the lane
        self._held: Place | None = None
        self._paused = False
        self._about: Context | None = None  # the statement of the message at hand
        self._flushed = False  # the server was asked to send the reply that the held message waits for

    # ---- in

    def pump(self) -> None:
        """Process messages until one has to wait."""
        state, frames = self.state, self.frames
        if frames.left:
            self._through.go_on()
        while (
            state.phase == READY
            and not self.blocked
            and not state.mending
            and not state.yielding
            and not self._planner.waiting
        ):
            held = self._held
            if held is not None:
                self._take(held)
                if self._held is not None:
                    break
                self._flushed = False
            elif not frames.left and frames.next():
                self._message(frames.buf, frames.start, frames.body, frames.end)
            elif frames.left or not frames.pending() or not self._through.take():
                break
        if state.copy_in is not None:
            self._copying.send_on()
        self._flow()

    def _take(self, held: Place) -> None:
        """Try the held message again; it may be held again."""
        self._held = None
        self._message(held[0], held[1], held[2], held[3])

    def _message(self, buf: bytes, start: int, body: int, end: int) -> None:
        kind = buf[start]
        self._about = None
        copying = self.state.copy_in is not None or self.state.ledger.copying or self._copying.lost
        if copying and kind not in WHILE_COPYING and self._copying.left(buf[start:end]):
            return
        if kind == messages.BIND:
            self._bind(buf, start, body, end)
        elif kind == messages.EXECUTE:
            self._execute(buf, start, body, end)
        elif kind == messages.SYNC:
            self.forward(buf, start, end, self.ending(ledger.SYNC, ledger.PLAIN_SYNC))
        elif kind == messages.QUERY:
            self._query(buf, start, body, end)
        elif kind == messages.PARSE:
            self._parse(buf, start, body, end)
        elif kind == messages.DESCRIBE:
            self._describe(buf, start, body, end)
        elif kind == messages.CLOSE:
            self._close(buf, start, body, end)
        elif kind == messages.FUNCTION_CALL:
            self._function(buf, start, body, end)
        elif kind in (messages.COPY_DATA, messages.COPY_DONE, messages.COPY_FAIL):
            self._copying.message(kind, buf, start, body, end)
        elif kind in (messages.FLUSH, messages.TERMINATE, messages.PASSWORD):
            self.send(buf[start:end], None)
        else:
            raise ProtocolFault("client", f"unknown message type {kind}")

    def release(self) -> None:
        """The link is over."""
        self.frames.rest()
        self._lane.clear()
        self._held = None

    # ---- out

    def send(self, data: bytes, owed: Owed | None) -> None:
        """A message that is ready; it goes at once if nothing waits before it."""
        if self._lane:
            self._lane.append(Slot(data, owed, True, len(data)))
            self._waiting += len(data)
        elif self.let_go(owed):
            self.state.to_server.append(data)

    def forward(self, buf: bytes, start: int, end: int, owed: Owed) -> None:
        """A message as it came."""
        if self._lane:
            self.send(buf[start:end], owed)
        elif self.let_go(owed):
            self.state.to_server.stretch(buf, start, end)

    def enqueue(self, owed: Owed | None, size: int) -> Slot:
        """A place in the lane for a message that waits for `size` bytes of values to become tokens."""
        slot = Slot(b"", owed, False, size)
        self._lane.append(slot)
        self._waiting += size
        return slot

    def let_go(self, owed: Owed | None) -> bool:
        """Count the message in. False: the server, skipping to Sync after an error, would not read it."""
        if owed is None:
            return True
        if self.state.ledger.push(owed):
            return True
        self.state.undo(owed)
        return False

    @property
    def holding(self) -> bool:
        return bool(self._lane)

    def slot_ready(self, slot: Slot) -> None:
        slot.ready = True
        self._drain()
        self._flow()

    def _drain(self) -> None:
        lane = self._lane
        while lane and lane[0].ready and not self.state.mending:
            slot = lane.popleft()
            self._waiting -= slot.size
            if self.let_go(slot.owed):
                self.state.to_server.append(slot.data)

    def mended(self) -> None:
        """What waited for a failed reply to be made up for goes on."""
        self._drain()
        self.pump()

    def slot_refused(self, slot: Slot, failure: Failure, context: Context) -> None:
        self.note(failure.refusal, context)
        self.slot_ready(slot)

    def _flow(self) -> None:
        """Pause the client when too much of what it sent waits."""
        waiting = self._waiting + self.frames.pending()
        limit = self.state.limits.waiting
        if not self._paused and waiting > limit and self.stopped:
            self._paused = True
            self.state.effects.append(Pause("client"))
        elif self._paused and (waiting <= limit // 2 or not self.stopped):
            self._paused = False
            self.state.effects.append(Resume("client"))

    @property
    def stopped(self) -> bool:
        """Something waits: a slot for its tokens, a message for its plan or for a reply."""
        held = self._held is not None or self.blocked or self.state.mending or self.state.yielding
        return held or bool(self._lane) or self._planner.waiting

    def _dispatch(self, message: Outgoing, wanted: list[Wanted], context: Context, audited: list[Wanted]) -> None:
        """Send `message` when the tokens of its values are there."""
        size = sum([len(item.canonical) for each in wanted for item in each.items])
        self.state.worked(sum([len(each.items) for each in wanted]))
        slot = self.enqueue(message.owed, size)
        job = TokenJob(self, slot, message, wanted, context)
        job.start(self.state, tuple([item for each in audited for item in each.items]))

    def refuse_bind(self, statement: Prepared, owed: Owed, refusal: Refusal) -> None:
        """A Bind of `statement` that is not read."""
        self._about = self._context_of(statement.plan, statement.shape, statement.text)
        owed = Owed(ledger.BIND) if owed is ledger.PLAIN_BIND else owed
        self._refuse(BindMessage(NOT_READ, statement, owed), refusal)

    def _refuse(self, message: Outgoing, refusal: Refusal) -> None:
        self.send(refused(message, refusal), message.owed)
        self.note(refusal, self._about)

    def _context_of(self, plan: Plan, cut: Shape | None, text: bytes) -> Context:
        """What the audit says of a statement; of a refused one there is no plan, only its first word."""
        tag = plan.statements[0].tag if plan.statements else first_word(text).decode("ascii", "replace")
        return self.state.context("" if cut is None or cut is UNCUT else fingerprint(cut.key), tag)

    def _resolved(self, planned: Planned) -> Planned:
        """With what the statements take and return that it EXECUTEs."""
        self._about = self._context_of(planned.plan, planned.shape, planned.text)
        return Planned(planned.text, planned.shape, executing.resolved(self.state, planned.plan))

    def _unsettled(self) -> bool:
        """Whether a reply that is owed may change how the next statement is read."""
        state = self.state
        if self._planner.answered:
            return False
        if state.barriers > 0:
            return True
        return state.passing and (state.ledger.may_end() or any(slot.owed is not None for slot in self._lane))

    def _outdated(self, text: bytes, place: Place, utf8: bool = False) -> bool:
        """Whether the message waits for the catalog: the session asks for it."""
        if not self._planner.outdated(text, utf8):
            return False
        self._held = place
        self.state.catalog_due = True
        return True

    def wait(self, place: Place) -> None:
        """Hold the message until a reply that is owed is in; Flush makes the server send it."""
        self._held = place
        if not self._flushed:
            self._flushed = True
            self.send(FLUSH, None)

    # ---- Query

    def _query(self, buf: bytes, start: int, body: int, end: int) -> None:
        raw = messages.parse_query(buf, body, end)
        if self._planner.plain(raw) or (self.state.replicates and is_command(raw)):
            self.state.plain_statements += 1
            self.forward(buf, start, end, self.ending(ledger.QUERY, ledger.PLAIN_QUERY))
            return
        if self._unsettled():
            self.wait((buf, start, body, end))
            return
        if self._outdated(raw, (buf, start, body, end)):
            return
        try:
            planned = self._planner.plan(raw)
            if planned is None:
                self._held = (buf, start, body, end)
                return
            self._query_planned(self._resolved(planned), buf[start:end])
        except Refusal as refusal:
            self._refuse(QueryMessage(b"", EMPTY, "", self.ending(ledger.QUERY, None)), refusal)

    def _query_planned(self, planned: Planned, frame: bytes) -> None:
        self.state.worked(STATEMENT)
        plan = planned.plan
        about = self._about = self._context_of(plan, planned.shape, planned.text)
        if plan.refusal is not None:
            raise replace(plan.refusal)
        if plan.idle:
            self.send(frame, self.ending(ledger.QUERY, ledger.PLAIN_QUERY))
            return
        self._planner.read_at_once(plan)
        self._planner.allow(plan)
        if any(place.literal is None for place in plan.inputs):
            raise Refusal("syntax", "a simple query has no parameters")
        wanted = [self._planner.literal(planned, place) for place in plan.inputs]
        owed = self.ending(ledger.QUERY, None)
        owed.bound = self._planner.bound(plan, about, ())
        self._barring(owed)
        self.state.count(owed.bound.context.statement, "protected" if plan.touches else "passed")
        if not plan.edits:
            self.send(frame, owed)
            return
        message = QueryMessage(planned.text, planned.shape, self.state.settings.codec or "", owed)
        self._dispatch(message, wanted, about, sought(plan, wanted))

    def ending(self, kind: int, plain: Owed | None) -> Owed:
        """The entry of a message that ends in ReadyForQuery; it marks the portals that may die with it."""
        state = self.state
        first = state.executing != state.batch
        state.batch += 1
        dropped = state.statements.change(b"", None, state.batch) if kind == ledger.QUERY else None
        if plain is not None and not len(state.portals) and dropped is None:
            return plain
        owed = Owed(kind)
        owed.mark = state.serial
        owed.change = dropped
        owed.first = first
        return owed

    # ---- Parse

    def _parse(self, buf: bytes, start: int, body: int, end: int) -> None:
        name, text, oids = messages.parse_fields(buf, body, end)
        if self._same_again(name, text, oids):
            self.state.plain_statements += 1
            self.forward(buf, start, end, ledger.PLAIN_PARSE)
            return
        if self._planner.plain(text):
            self.state.plain_statements += 1
            self.forward(buf, start, end, self._register(self._prepared(name, text, False, FORWARD, oids)))
            return
        if self._unsettled():
            self.wait((buf, start, body, end))
            return
        if self._outdated(text, (buf, start, body, end)):
            return
        try:
            planned = self._planner.plan(text)
            if planned is None:
                self._held = (buf, start, body, end)
                return
            planned = self._resolved(planned)
            statement = self._prepared(name, planned.text, True, planned.plan, oids)
            self._parse_planned(statement, planned, buf[start:end])
        except Refusal as refusal:
            owed = self._register(self._prepared(name, b"", True, Plan(refusal=replace(refusal)), oids))
            self._refuse(ParseMessage("", owed), refusal)

    def _parse_planned(self, statement: Prepared, planned: Planned, frame: bytes) -> None:
        self.state.worked(STATEMENT)
        plan = planned.plan
        self._about = self._context_of(plan, planned.shape, planned.text)
        if plan.refusal is not None:
            raise replace(plan.refusal)
        extra = plan.params is not None and len(plan.params) > client_params(plan)
        if extra and len(statement.oids) > client_params(plan):
            raise Refusal("unsupported-statement", "more parameter types are declared than the statement has")
        literals = [place for place in plan.inputs if place.literal is not None]
        if literals:
            self._planner.allow(plan)
        wanted = [NOTHING if p.literal is None else self._planner.literal(planned, p) for p in plan.inputs]
        statement.shape = planned.shape
        if not plan.edits and plan.params is None:
            self.send(frame, self._register(statement))
            return
        message = ParseMessage(self.state.settings.codec or "", self._register(statement))
        self._dispatch(message, wanted, self._about, [])

    def _prepared(self, name: bytes, text: bytes, utf8: bool, plan: Plan, oids: tuple[int, ...]) -> Prepared:
        state = self.state
        statement = Prepared(name, text, utf8, plan, oids, state.next_serial())
        statement.epoch = state.epoch
        if utf8:
            statement.search_path = state.path
        return statement

    def _same_again(self, name: bytes, text: bytes, oids: tuple[int, ...]) -> bool:
        """Whether the name stands for this very statement, which touches nothing: then it does whatever happens."""
        state = self.state
        known = state.statements.get(name)
        unsure = self._planner.answered or state.naming > 0 or state.statements.changing(name)
        if known is None or unsure or not known.passes(text, oids, state.epoch):
            return False
        known.serial = state.next_serial()
        return True

    def _register(self, statement: Prepared) -> Owed:
        """The name stands for this statement from now on, unless the server does not take it."""
        statements = self.state.statements
        if len(statements) >= self.state.limits.statements and statement.name not in statements:
            raise ProtocolFault("client", f"more than {len(statements)} prepared statements")
        owed = Owed(ledger.PARSE, statement=statement)
        owed.change = statements.change(statement.name, statement, self.state.batch)
        return owed

    # ---- Bind

    def _bind(self, buf: bytes, start: int, body: int, end: int) -> None:
        portal, name = messages.bind_names(buf, body, end)
        if not self._known(name, (buf, start, body, end)):
            return
        statement = self.state.statements.get(name)
        if statement is None or statement.plain:
            if self.state.prepared:
                self._by_name.bind(name, portal, buf[start:end])
            else:
                self.forward(buf, start, end, self.unbound(portal))
            return
        parts = messages.parse_bind(buf, body, end)
        try:
            self._bind_planned(parts, statement, buf[start:end])
        except Refusal as refusal:
            owed = self.unbound(portal)
            owed = Owed(ledger.BIND) if owed is ledger.PLAIN_BIND else owed
            self._refuse(BindMessage(parts, statement, owed), refusal)

    def unbound(self, portal: bytes) -> Owed:
        """The entry of a Bind whose portal is not ours (any more)."""
        change = self.state.portals.change(portal, None, self.state.batch)
        if change is None:
            return ledger.PLAIN_BIND
        owed = Owed(ledger.BIND)
        owed.change = change
        return owed

    def _known(self, name: bytes, place: Place) -> bool:
        """Whether it is certain what the name stands for, and that its plan is of today; else the message is held."""
        state = self.state
        if state.naming > 0 or state.statements.uncertain(name, state.batch):
            self.wait(place)
            return False
        statement = state.statements.get(name)
        if statement is None and state.barriers > 0:  # a PREPARE of that name may be under way
            self.wait(place)
            return False
        if statement is None or (statement.plain and not statement.utf8 and statement.epoch == state.epoch):
            return True  # its text can't name anything of ours, whatever the path
        if self._unsettled():
            self.wait(place)
            return False
        if self._outdated(statement.text, place, statement.utf8):
            return False
        if statement.epoch == state.epoch and statement.search_path == state.path:
            return True
        return self._replan(statement, place)

    def _replan(self, statement: Prepared, place: Place) -> bool:
        """Policy, catalog or search_path changed since Parse: plan the text anew. False: the plan is being made.

        The server holds the text that was sent at Parse, so other edits would mean another statement: refused with
        the server's own words for a plan that changed, which drivers answer by preparing again.
        """
        plan = FORWARD
        if statement.plan.refusal is not None:
            plan = statement.plan
        elif not self._planner.plain(statement.text, statement.utf8):
            made = self._planner.again(statement)
            if made is None:
                self._held = place
                return False
            plan = made
        if plan.refusal is None and not same_text(plan, statement.plan):
            plan = Plan(refusal=Refusal("plan-changed", "cached plan must not change result type", PREPARE_AGAIN))
        statement.renew(plan, self.state.epoch, self.state.path)
        return True

    def _bind_planned(self, parts: messages.Bind, statement: Prepared, frame: bytes) -> None:
        state, plan = self.state, statement.plan
        state.worked(STATEMENT)
        about = self._about = self._context_of(plan, statement.shape, statement.text)
        if plan.refusal is not None:
            raise replace(plan.refusal)
        self._planner.be_certain()
        self._planner.allow(plan)
        if plan.inputs and len(frame) > state.limits.message:
            raise too_large("a message", len(frame), state.limits.message)
        if len(parts.params) != client_params(plan):
            self.send(wrong_count(parts, plan), self.unbound(parts.portal))
            return
        if len(state.portals) >= state.limits.statements and parts.portal not in state.portals:
            raise ProtocolFault("client", f"more than {len(state.portals)} portals on protected tables")
        assert statement.shape is not None
        bound = self._planner.bound(plan, about, parts.result_formats)
        bound.rendered, bound.text = statement.rendered, statement.text
        wanted = [self._parameter(parts, statement, index) for index in range(len(plan.inputs))]
        audited = self._searched(statement) + sought(plan, wanted)
        state.count(bound.context.statement, "protected" if plan.touches else "passed")
        owed = Owed(ledger.BIND, bound, statement)
        owed.change = state.portals.change(parts.portal, bound, state.batch)
        if plan.params is None and not audited:
            self.send(frame, owed)
            return
        self._dispatch(BindMessage(parts, statement, owed), wanted, bound.context, audited)

    def _parameter(self, parts: messages.Bind, statement: Prepared, index: int) -> Wanted:
        """The values of input `index` if a parameter carries it (a literal's token is in the text already)."""
        place = statement.plan.inputs[index]
        if place.param is None:
            return NOTHING
        at = place.param - 1
        data = parts.params[at]
        if data is None:
            return NULL
        source = sent_type(place, statement.oids[at] if at < len(statement.oids) else 0)
        return self._planner.wanted(place, source, data, messages.param_format(parts.param_formats, at))

    def _searched(self, statement: Prepared) -> list[Wanted]:
        """Literals that the statement looks for: each execution is a search of its own and is recorded as one."""
        places = [p for p in statement.plan.inputs if p.literal is not None and (p.use == "search" or p.sought)]
        if not places or statement.shape is None:
            return []
        planned = Planned(statement.text, statement.shape, statement.plan)
        return [self._planner.literal(planned, place) for place in places]

    # ---- Describe, Execute, Close, FunctionCall

    def _describe(self, buf: bytes, start: int, body: int, end: int) -> None:
        kind, name = messages.parse_describe(buf, body, end)
        state = self.state
        if kind == messages.PORTAL:
            if state.portals.uncertain(name, state.batch):
                self.wait((buf, start, body, end))
                return
            bound = state.portals.get(name)
            owed = ledger.PLAIN_DESCRIBE_PORTAL if bound is None else Owed(ledger.DESCRIBE_PORTAL, bound)
            self.forward(buf, start, end, owed)
            return
        if not self._known(name, (buf, start, body, end)):
            return
        statement = state.statements.get(name)
        if statement is None or statement.plain or statement.plan.refusal is not None:
            self.forward(buf, start, end, ledger.PLAIN_DESCRIBE_STATEMENT)
            return
        about = self._context_of(statement.plan, statement.shape, statement.text)
        bound = self._planner.bound(statement.plan, about, ())
        self.send(buf[start:end], Owed(ledger.DESCRIBE_STATEMENT, bound, statement))

    def _execute(self, buf: bytes, start: int, body: int, end: int) -> None:
        portals = self.state.portals
        name = messages.execute_portal(buf, body, end)
        if portals.uncertain(name, self.state.batch):
            self.wait((buf, start, body, end))
            return
        bound = portals.get(name)
        first = self.state.executing != self.state.batch
        self.state.executing = self.state.batch
        if bound is None:
            self.forward(buf, start, end, ledger.PLAIN_EXECUTE)
            return
        if not self._by_name.may_run(bound, (buf, start, body, end)):
            return
        owed = Owed(ledger.EXECUTE, bound)
        owed.first = first
        self._barring(owed)
        self.send(buf[start:end], owed)

    def _close(self, buf: bytes, start: int, body: int, end: int) -> None:
        kind, name = messages.parse_close(buf, body, end)
        state = self.state
        owed = Owed(ledger.CLOSE)
        if kind == messages.PORTAL:
            owed.change = state.portals.change(name, None, state.batch)
        else:
            owed.change = state.statements.change(name, None, state.batch)
        self.forward(buf, start, end, ledger.PLAIN_CLOSE if owed.change is None else owed)

    def _function(self, buf: bytes, start: int, body: int, end: int) -> None:
        refusal = functions.refusal(messages.function_oid(buf, body, end))
        if self.state.snapshot is None or refusal is None:
            self.forward(buf, start, end, self.ending(ledger.FUNCTION, ledger.PLAIN_FUNCTION))
            return
        owed = self.ending(ledger.FUNCTION, None)
        owed.refusal = refusal
        self.send(messages.build_function_call(0), owed)
        self.note(refusal, None)

    # ---- entries

    def _barring(self, owed: Owed) -> None:
        """Planning waits for the reply to this entry, if its plan says so."""
        if owed.bound is not None and owed.bound.plan.barrier:
            owed.barrier = True
            owed.naming = owed.bound.plan.naming
            self.state.barriers += 1
            self.state.naming += owed.naming

    def note(self, refusal: Refusal, about: Context | None) -> None:
        """A refusal is counted, logged and recorded."""
        state = self.state
        context = about or state.context("", "")
        state.count(context.statement or "other", "refused")
        facts = {"code": refusal.code, "sqlstate": refusal.sqlstate, "column": refusal.column}
        state.note("refusal", facts | {"fingerprint": context.fingerprint})
        known = None if state.snapshot is None else state.snapshot.labelled(refusal.column)
        state.ask(Audit("refuse", () if known is None else (known.class_name,), context, refusal.code), IGNORE)
