"""COPY … FROM STDIN into protected columns, from the side of the client's messages: which CopyData is rows of ours.

A client may send CopyData before the server has asked for any; it waits here until it is known whether it is ours. Rows
of a COPY that has failed go nowhere, not even to a server that would ignore them.
"""

from functools import partial
from typing import Final, Protocol, final

from proxy.errors import Refusal
from proxy.session import ledger
from proxy.session.copy_in import FAILING_COPY, CopyIn
from proxy.session.effects import Context
from proxy.session.ledger import Owed
from proxy.session.planning import Planner
from proxy.session.slots import Lane, Place, Slot, TokenJob
from proxy.session.state import State
from proxy.wire import messages

WHILE_COPYING: Final = frozenset(
    (messages.COPY_DATA, messages.COPY_DONE, messages.COPY_FAIL, messages.FLUSH, messages.SYNC, messages.TERMINATE)
)


class CopyLane(Lane, Protocol):
    """The client's lane."""

    state: State

    @property
    def holding(self) -> bool:
        """Messages wait before this one."""
        ...

    def send(self, data: bytes, owed: Owed | None) -> None: ...

    def wait(self, place: Place) -> None: ...

    def enqueue(self, owed: Owed | None, size: int) -> Slot: ...

    def note(self, refusal: Refusal, about: Context | None) -> None: ...


@final
class FromStdin:
    """See the module."""

    __slots__ = ("_lane", "_planner", "lost")

    def __init__(self, lane: CopyLane, planner: Planner) -> None:
        self._lane = lane
        self._planner = planner
        self.lost = False  # the server ends the connection: what still comes goes nowhere

    def message(self, kind: int, buf: bytes, start: int, body: int, end: int) -> None:
        """CopyData, CopyDone or CopyFail."""
        lane, state = self._lane, self._lane.state
        copying = state.copy_in
        if self.lost:
            return
        if copying is None:
            if state.barriers and not state.ledger.copying:
                lane.wait((buf, start, body, end))
            elif kind != messages.COPY_DATA or not self._ignored():
                lane.send(buf[start:end], None if kind == messages.COPY_DATA else ledger.PLAIN_COPY_END)
            return
        if kind != messages.COPY_DATA:
            state.copy_in = None
        if copying.over:
            return
        try:
            if kind == messages.COPY_DATA:
                if copying.feed(buf[body:end]):
                    self._batch(copying)
                return
            if kind == messages.COPY_DONE:
                copying.finish()
            self._batch(copying)
        except Refusal as refusal:
            self._refuse(copying, refusal)
            return
        lane.send(buf[start:end], ledger.PLAIN_COPY_END)

    def _ignored(self) -> bool:
        """Whether no COPY can be under way: the server would ignore CopyData (postgres.c), and it may be rows of ours,
        for a COPY that failed."""
        owed = self._lane.state.ledger
        if self._lane.state.snapshot is None or self._lane.holding:
            return False
        return owed.skipping or not (owed.copying or owed.may_end())

    def send_on(self) -> None:
        """Rows that came together are sent on together."""
        copying = self._lane.state.copy_in
        if copying is None or copying.over:
            return
        try:
            self._batch(copying)
        except Refusal as refusal:
            self._refuse(copying, refusal)

    def left(self, frame: bytes) -> bool:
        """A message came that does not belong into a COPY. True: one is under way, and the server ends the connection
        at such a message, whatever it says (copyfromparse.c, CopyGetData): where anything is protected it gets one that
        says nothing."""
        lane, copying = self._lane, self._lane.state.copy_in
        if self.lost:
            return True
        if copying is not None and not copying.over:
            self.send_on()
            self.lost = not copying.over
        elif copying is None and lane.state.ledger.copying and not lane.holding:
            self.lost = True
        if self.lost:
            lane.send(frame if lane.state.snapshot is None else messages.build(frame[0], b""), None)
        else:
            lane.state.copy_in = None
        return self.lost

    def _batch(self, copying: CopyIn) -> None:
        """Send on the rows that are here. Raises Refusal."""
        fmt = 1 if copying.form.kind == "binary" else 0
        made = copying.batch(partial(self._planner.copied, fmt=fmt, reading=copying.reading))
        most = self._lane.state.limits.message
        if copying.pending > most:
            raise too_large("a row of COPY", copying.pending, most)
        if made is None:
            return
        batch, wanted = made
        batch.slot = self._lane.enqueue(None, batch.size)
        TokenJob(self._lane, batch.slot, batch, wanted, copying.bound.context).start(self._lane.state)

    def _refuse(self, copying: CopyIn, refusal: Refusal) -> None:
        """Make the COPY fail; its error is replaced."""
        copying.over = True
        copying.owed.refusal = refusal
        copying.owed.bound = None
        self._lane.send(FAILING_COPY, ledger.PLAIN_COPY_END)
        self._lane.note(refusal, copying.bound.context)


def too_large(what: str, size: int, most: int) -> Refusal:
    """what: holds values, in `size` bytes; `most` may be."""
    return Refusal(
        "statement-too-large",
        f"{what} of {size} bytes holds values of protected columns",
        f"At most {most} bytes can be read at once (limits.message).",
    )
