"""Large messages of the client that touch nothing: they go on to the server as they come, and are never held whole.

Not here: messages that carry values; those come whole, within `Limits.message`, above which they are dropped as they
come.
"""

from typing import Final, Protocol, final

from proxy.errors import Refusal
from proxy.session import ledger
from proxy.session.from_stdin import too_large
from proxy.session.ledger import Owed
from proxy.session.state import LARGE, State
from proxy.session.statements import Prepared
from proxy.wire import messages
from proxy.wire.frames import Frames

NAMES: Final = 2  # at the beginning of a Bind: of its portal, of its statement


class ThroughLane(Protocol):
    """What the client's lane does with them."""

    frames: Frames
    state: State

    @property
    def holding(self) -> bool:
        """Messages wait before this one."""
        ...

    def let_go(self, owed: Owed | None) -> bool: ...

    def unbound(self, portal: bytes) -> Owed: ...

    def ending(self, kind: int, plain: Owed | None) -> Owed: ...

    def refuse_bind(self, statement: Prepared, owed: Owed, refusal: Refusal) -> None: ...


@final
class Through:
    """See the module."""

    __slots__ = ("_lane", "_passing")

    def __init__(self, lane: ThroughLane) -> None:
        self._lane = lane
        self._passing = False  # what is still to come of the message is for the server

    def take(self) -> bool:
        """Begin with a large message of which only the beginning is here. False: it has to come whole."""
        lane = self._lane
        need = lane.frames.begun(LARGE)
        if not need or lane.holding or lane.state.copy_in is not None:
            return False
        kind = lane.frames.kind
        if kind == messages.BIND:
            return self._bind(need)
        if kind == messages.QUERY and lane.state.snapshot is None:
            lane.state.plain_statements += 1
            self._pass(need, lane.ending(ledger.QUERY, ledger.PLAIN_QUERY))
            return True
        if kind == messages.COPY_DATA and lane.state.ledger.copying:
            self._pass(need, None)
            return True
        return False

    def _bind(self, need: int) -> bool:
        lane, frames, state = self._lane, self._lane.frames, self._lane.state
        if frames.buf.count(0, frames.body, frames.limit()) < NAMES:
            return False
        portal, name = messages.bind_names(frames.buf, frames.body, frames.limit())
        if state.naming > 0 or state.statements.uncertain(name, state.batch):
            return False
        statement = state.statements.get(name)
        if statement is None and (state.prepared or state.barriers):
            return False  # SQL may have made it
        if statement is None or (statement.plain and not statement.utf8 and statement.epoch == state.epoch):
            self._pass(need, lane.unbound(portal))
            return True
        most = state.limits.message
        if need <= most or not statement.plan.inputs:
            return False
        lane.refuse_bind(statement, lane.unbound(portal), too_large("a message", need, most))
        self._passing = False
        self._part(need)
        return True

    def _pass(self, need: int, owed: Owed | None) -> None:
        self._passing = self._lane.let_go(owed)
        self._part(need)

    def go_on(self) -> None:
        """More of it may be here."""
        if self._lane.frames.left:
            self._part(self._lane.frames.left)

    def _part(self, need: int) -> None:
        """Take what is here of a message of which `need` bytes are still to be taken."""
        data = self._lane.frames.part(need)
        if self._passing:
            self._lane.state.to_server.append(data)
