"""After a failure behind the server's answer (the vault is gone, a cap is passed, an encoding can't show the value): an
error that is true, as if the server itself had failed at that place of the result.

The rest of the reply is dropped. What the server has done must come to what an error would have left:

    sent behind the failed reply     transaction then   what makes it true
    nothing, the batch is open       any                a Parse that fails: the server undoes the batch, skips to Sync
    its own end only (Sync, Query)   open               a Parse that fails and a Sync: the transaction is failed now
    its own end only                 none               nothing is to be undone if it was one statement that only read
    anything else, or it wrote       none               nothing can: the link ends (FATAL), its outcome unknown

While this is under way nothing of the client's goes to the server (`State.mending`). Not here: which replies fail, and
when (`to_client`).
"""

from typing import Final, final

from proxy.errors import Refusal
from proxy.session import ledger
from proxy.session.ledger import Owed
from proxy.session.outgoing import NOBODY, failing_parse
from proxy.session.state import State, error_response
from proxy.wire import messages

OFF: Final = 0
DROPPING: Final = 1  # up to the ReadyForQuery of the failed reply's batch
UNDOING: Final = 2  # up to the error of the Parse that was put into the open batch
FAILING: Final = 3  # up to the ReadyForQuery of the batch that makes the transaction a failed one


@final
class Mending:
    """See the module. One failure at a time: what is dropped can't fail."""

    __slots__ = ("_done", "_owed", "_refusal", "_stage", "_state")

    def __init__(self, state: State) -> None:
        self._state = state
        self._stage = OFF
        self._done = False
        self._refusal: Refusal | None = None
        self._owed: Owed | None = None

    @property
    def dropping(self) -> bool:
        """Replies are not for the client."""
        return self._stage != OFF

    def take_done(self) -> bool:
        """Whether it has ended since the last call."""
        done, self._done = self._done, False
        return done

    def begin(self, refusal: Refusal, owed: Owed) -> None:
        """The reply to `owed` (Query or Execute) failed with `refusal`; all before it is with the client."""
        state, bound = self._state, owed.bound
        behind = state.ledger.pushed - owed.number
        synced = owed.kind == ledger.EXECUTE and behind == 1 and state.ledger.last == ledger.SYNC
        if bound is None or len(bound.plan.statements) != 1 or behind > int(synced):
            state.fatal(refusal)
            return
        state.count(bound.context.statement, "failed")
        state.note("reveal-failed", {"code": refusal.code, "sqlstate": refusal.sqlstate})
        state.mending = True
        self._refusal, self._owed = refusal, owed
        if owed.kind == ledger.EXECUTE and not synced:
            self._inject(UNDOING)
        elif len(state.ledger):
            self._stage = DROPPING
        else:
            self._ended(state.ledger.status)

    def failed(self) -> None:
        """An ErrorResponse came while replies are dropped."""
        if self._stage == UNDOING:
            self._end(b"")

    def lost(self) -> None:
        """The server is gone."""
        if self._refusal is not None:
            self._state.fatal(self._refusal)

    def ready(self, status: int) -> None:
        """A ReadyForQuery came while replies are dropped."""
        if self._stage == FAILING:
            self._end(messages.build_ready_for_query(status))
        else:
            self._ended(status)

    def _ended(self, status: int) -> None:
        """The batch of the failed reply is over."""
        assert self._refusal is not None and self._owed is not None and self._owed.bound is not None
        only_read = self._owed.bound.plan.statements[0].reads and self._owed.first
        if self._owed.failed or (status == messages.IDLE and only_read):
            self._end(error_response("ERROR", self._refusal) + messages.build_ready_for_query(status))
        elif status == messages.IN_TRANSACTION:
            self._fail()
        else:
            self._state.fatal(self._refusal)

    def _fail(self) -> None:
        """Make the open transaction a failed one, in a batch of its own."""
        self._inject(FAILING)
        self._state.ledger.push(Owed(ledger.SYNC))
        self._state.to_server.append(messages.build_sync())

    def _inject(self, stage: int) -> None:
        assert self._refusal is not None
        self._stage = stage
        self._state.to_client.append(error_response("ERROR", self._refusal))
        self._state.ledger.push(Owed(ledger.PARSE, refusal=self._refusal))
        # with a name, so that the client's unnamed statement stays
        self._state.to_server.append(failing_parse(NOBODY))

    def _end(self, last: bytes) -> None:
        """last: what the client still has to get."""
        if last:
            self._state.to_client.append(last)
        self._stage = OFF
        self._done = True
        self._refusal = self._owed = None
        self._state.mending = False
