"""What the server owes: one entry for each message sent to it that it will answer.

Between the two directions stands this queue. An entry knows how its reply ends and what is to be done with it
(forward, reveal, replace). Rules it owns, all from "Message Flow" of PostgreSQL's protocol chapter and postgres.c:

- Query, Sync and FunctionCall are answered up to a ReadyForQuery; the other messages up to one message.
- An error in Parse, Bind, Describe, Execute or Close makes the server skip *everything* up to the next Sync, simple
  queries included; an error in Query, FunctionCall or Sync (a deferred constraint) does not.
- While COPY FROM STDIN runs, the server reads Sync and Flush and ignores them, so a Sync sent behind the Execute and
  before CopyDone/CopyFail is never answered.
- COPY messages outside of COPY are ignored.

It is not concerned with values, and holds no bytes of a message.
"""

from typing import Final, final

from proxy.errors import Refusal
from proxy.session.names import Change
from proxy.session.statements import Bound, Prepared

QUERY: Final = 1
PARSE: Final = 2
BIND: Final = 3
DESCRIBE_STATEMENT: Final = 4
DESCRIBE_PORTAL: Final = 5
EXECUTE: Final = 6
CLOSE: Final = 7
SYNC: Final = 8
FUNCTION: Final = 9
ENDING: Final = frozenset((QUERY, EXECUTE, SYNC, FUNCTION))
# Entries that left the queue before its list is cut: then that costs nothing an entry.
SPENT: Final = 256
COPY_END: Final = 10  # CopyDone or CopyFail: no reply of its own, ends the stretch in which Sync is ignored


@final
class Owed:
    """One reply that the server owes.

    kind: of the message sent. bound: what to reveal (Query, Execute, Describe), None if nothing protected is in it.
    statement: the one parsed or described. change: of what a name stands for, to be undone if the server skips the
    message. refusal: the message was made to fail; its error is replaced. mark: portals bound up to this serial die if
    the transaction ends here. barrier, naming: counted in State.barriers, State.naming. number: of the message, as
    Ledger.pushed counts. first: no Execute stands before it in its batch. failed: the server answered it with an error
    in the end.
    """

    __slots__ = (
        "barrier", "bound", "change", "failed", "first", "kind", "mark", "naming", "number", "refusal", "statement",
    )  # fmt: skip

    def __init__(
        self,
        kind: int,
        bound: Bound | None = None,
        statement: Prepared | None = None,
        refusal: Refusal | None = None,
    ) -> None:
        self.kind = kind
        self.bound = bound
        self.statement = statement
        self.refusal = refusal
        self.change: Change[Prepared] | Change[Bound] | None = None
        self.mark = 0
        self.number = 0
        self.first = True
        self.failed = False
        self.barrier = False
        self.naming = False


# Most messages carry nothing of ours: one shared entry a kind, no object a message.
PLAIN_QUERY: Final = Owed(QUERY)
PLAIN_PARSE: Final = Owed(PARSE)
PLAIN_BIND: Final = Owed(BIND)
PLAIN_DESCRIBE_STATEMENT: Final = Owed(DESCRIBE_STATEMENT)
PLAIN_DESCRIBE_PORTAL: Final = Owed(DESCRIBE_PORTAL)
PLAIN_EXECUTE: Final = Owed(EXECUTE)
PLAIN_CLOSE: Final = Owed(CLOSE)
PLAIN_SYNC: Final = Owed(SYNC)
PLAIN_FUNCTION: Final = Owed(FUNCTION)
PLAIN_COPY_END: Final = Owed(COPY_END)


@final
class Ledger:
    """The queue itself. `sent`: messages so far that end in a ReadyForQuery; `ready`: ReadyForQuery got so far;
    `pushed`: messages so far, `last`: the kind of the last one."""

    __slots__ = ("_at", "_queue", "copying", "last", "pushed", "ready", "sent", "skipping", "status")

    def __init__(self) -> None:
        self._queue: list[Owed] = []
        self._at = 0  # in it, of the head: a list is quicker than a deque once compiled
        self.skipping = False
        self.copying = False
        self.sent = 0
        self.ready = 0
        self.pushed = 0
        self.last = 0
        self.status = ord("I")

    def __len__(self) -> int:
        return len(self._queue) - self._at

    def push(self, owed: Owed) -> bool:
        """A message goes to the server. False: the server will ignore it; don't send it."""
        kind = owed.kind
        if self.skipping:
            if kind != SYNC:
                return False
            self.skipping = False
        self.pushed = owed.number = self.pushed + 1
        self.last = kind
        if self.copying and kind in (SYNC, COPY_END):
            self.copying = kind == SYNC  # a Sync is read and ignored by the server
            return True
        if kind in (QUERY, SYNC, FUNCTION):
            self.sent += 1
        self._queue.append(owed)
        return True

    def may_end(self) -> bool:
        """Whether a reply that is owed may end the transaction: of a Query, an Execute, a Sync, or of an earlier batch.
        An error in what else is owed makes the server skip what is sent now as well."""
        return any(owed.kind in ENDING for owed in self._queue[self._at :])

    def head(self) -> Owed | None:
        """The entry that the server answers now; COPY_END markers have no answer and are stepped over."""
        queue = self._queue
        while self._at < len(queue):
            first = queue[self._at]
            if first.kind != COPY_END:
                return first
            self.done()
        return None

    def done(self) -> None:
        """The head's reply is complete (any but ReadyForQuery)."""
        at = self._at + 1
        if at == len(self._queue):
            self._queue.clear()
            at = 0
        elif at >= SPENT and at * 2 >= len(self._queue):
            del self._queue[:at]
            at = 0
        self._at = at

    def ready_for_query(self, status: int) -> Owed | None:
        """A ReadyForQuery came. Returns the entry it ends; None if none was owed."""
        head = self.head()
        if head is None or head.kind not in (QUERY, SYNC, FUNCTION):
            self.skipping = False  # a Sync sent into a COPY that had failed already
            return None
        self.done()
        self.status = status
        self.ready += 1
        self.copying = False
        return head

    def error(self) -> list[Owed]:
        """An ErrorResponse came for the head. Returns the entries that the server skips, the failed one first; empty
        if the head goes on to its own ReadyForQuery."""
        head = self.head()
        self.copying = False
        if head is None or head.kind in (QUERY, SYNC, FUNCTION):
            return []
        skipped: list[Owed] = []
        queue = self._queue[self._at :]
        for entry in queue:
            if entry.kind == SYNC:
                break
            if entry.kind in (QUERY, FUNCTION):
                self.sent -= 1
            skipped.append(entry)
        self._be(queue[len(skipped) :])
        if not self._queue:
            self.skipping = True
        return skipped

    def _be(self, queue: list[Owed]) -> None:
        self._queue, self._at = queue, 0

    def copy_in(self) -> None:
        """CopyInResponse came: Syncs already sent are being ignored up to the CopyDone/CopyFail (this COPY's own: a
        Query may hold several)."""
        self.head()  # steps over CopyDone of a COPY that failed before
        queue = self._queue[self._at :]
        kept = queue[:1]
        for at in range(1, len(queue)):
            entry = queue[at]
            if entry.kind == COPY_END:
                self._be(kept + queue[at + 1 :])
                return
            if entry.kind == SYNC:
                self.sent -= 1
            else:
                kept.append(entry)
        self._be(kept)
        self.copying = True
