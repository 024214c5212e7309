"""The ledger against a server that answers as the protocol chapter says, however late its replies come."""

from collections import deque
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.session import ledger
from proxy.session.ledger import Owed
from proxy.session.limits import DEFAULTS
from proxy.session.state import State
from proxy.session.statements import Prepared
from proxy.sql.plan import FORWARD, Edit, Plan

DATA = 0  # CopyData: no reply of its own
PROTECTED = Plan(edits=(Edit((0, 0), (0, 0), text=b" "),))


@dataclass(eq=False)
class Message:
    """outcome: ok, fail; copy: COPY FROM STDIN that ends well, copy-fail: its end is an error, copy-data: its data."""

    kind: int
    outcome: str = "ok"
    name: bytes | None = None
    protected: bool = False
    owed: Owed | None = None
    statement: Prepared | None = None


@dataclass
class Server:
    """postgres.c's loop, as far as order and names go."""

    skipping: bool = False
    copying: Message | None = None
    statements: dict[bytes, Prepared] = field(default_factory=dict)

    def process(self, message: Message) -> list[tuple[str, Message]]:
        if self.skipping:
            if message.kind != ledger.SYNC:
                return []
            self.skipping = False
            return [("ready", message)]
        if self.copying is not None:
            return self._copy(self.copying, message)
        if message.kind in (DATA, ledger.COPY_END):
            return []
        if message.kind == ledger.QUERY:
            self.statements.pop(b"", None)
        if message.outcome == "fail":
            return self._failed(message)
        if message.outcome.startswith("copy"):
            self.copying = message
            return [("copy in", message)]
        self._names(message)
        if message.kind == ledger.SYNC:
            return [("ready", message)]
        if message.kind in (ledger.QUERY, ledger.FUNCTION):
            return [("result", message), ("ready", message)]
        return [("done", message)]

    def _copy(self, copy: Message, message: Message) -> list[tuple[str, Message]]:
        ended = message.kind == ledger.COPY_END
        if not ended and not (message.kind == DATA and copy.outcome == "copy-data"):
            return []
        self.copying = None
        if copy.outcome != "copy":
            return self._failed(copy)
        return [("result", copy), ("ready", copy)] if copy.kind == ledger.QUERY else [("done", copy)]

    def _failed(self, message: Message) -> list[tuple[str, Message]]:
        if message.kind in (ledger.QUERY, ledger.SYNC, ledger.FUNCTION):
            return [("error", message), ("ready", message)]
        self.skipping = True
        return [("error", message)]

    def _names(self, message: Message) -> None:
        if message.name is None:
            return
        if message.kind == ledger.PARSE:
            assert message.statement is not None
            self.statements[message.name] = message.statement
        elif message.kind == ledger.CLOSE:
            self.statements.pop(message.name, None)


class Wire:
    """Client, ledger and server with whatever is between them."""

    def __init__(self) -> None:
        self.state = State("", "", DEFAULTS)
        self.server = Server()
        self.coming: deque[Message] = deque()
        self.replies: deque[tuple[str, Message]] = deque()
        self.serial = 0

    def send(self, message: Message) -> None:
        if message.kind == DATA:
            self.coming.append(message)
            return
        message.owed = self.owed(message)
        if self.state.ledger.push(message.owed):
            self.coming.append(message)
        else:
            self.state.undo(message.owed)

    def owed(self, message: Message) -> Owed:
        """As ClientLane makes it."""
        state, owed = self.state, Owed(message.kind)
        if message.kind in (ledger.QUERY, ledger.SYNC, ledger.FUNCTION):
            state.batch += 1
        if message.kind == ledger.QUERY:
            owed.change = state.statements.change(b"", None, state.batch)
        elif message.kind == ledger.PARSE and message.name is not None:
            plan = PROTECTED if message.protected else FORWARD
            statement = Prepared(message.name, b"", True, plan, (), state.next_serial())
            message.statement = statement
            owed.change = state.statements.change(message.name, statement, state.batch)
        elif message.kind == ledger.CLOSE and message.name is not None:
            owed.change = state.statements.change(message.name, None, state.batch)
        return owed

    def process(self) -> None:
        if self.coming:
            self.replies += self.server.process(self.coming.popleft())

    def deliver(self) -> None:
        if not self.replies:
            return
        reply, message = self.replies.popleft()
        state = self.state
        head = state.ledger.head()
        assert head is message.owed, (reply, message)
        assert head is not None
        if reply == "error":
            for entry in reversed(state.ledger.error()):
                state.undo(entry)
        elif reply == "copy in":
            state.ledger.copy_in()
        elif reply == "ready":
            assert state.ledger.ready_for_query(ord("I")) is head
            state.settle(head)
        elif reply == "done":
            state.ledger.done()
            state.settle(head)

    def settle(self) -> None:
        while self.coming or self.replies:
            self.process()
            self.deliver()

    def check(self) -> None:
        book = self.state.ledger
        assert book.head() is None
        assert book.sent == book.ready
        assert not book.copying
        assert book.skipping == self.server.skipping
        ours, theirs = self.state.statements.all(), dict(self.server.statements)
        assert ours == theirs


def _copy(kind: int, outcome: str, syncs: int) -> list[Message]:
    """libpq sends its Sync along with Execute; the server ignores it until the data has ended."""
    early = [Message(ledger.SYNC) for _ in range(syncs)]
    return [Message(kind, outcome), *early, Message(DATA), Message(DATA), Message(ledger.COPY_END)]


names = st.sampled_from([b"", b"s", b"t"])
outcomes = st.sampled_from(["ok", "ok", "ok", "fail"])
copies = st.sampled_from(["copy", "copy-fail", "copy-data"])
# A Parse of the unnamed statement that fails drops the one before; that is not modelled: its Bind fails at the server.
one = (
    st.builds(Message, st.just(ledger.PARSE), outcomes, names.filter(bool), st.booleans())
    | st.builds(Message, st.just(ledger.PARSE), st.just("ok"), st.just(b""), st.booleans())
    | st.builds(Message, st.just(ledger.CLOSE), outcomes, names)
    | st.builds(
        Message,
        st.sampled_from(
            [
                *(ledger.BIND, ledger.DESCRIBE_STATEMENT, ledger.DESCRIBE_PORTAL, ledger.EXECUTE),
                *(ledger.SYNC, ledger.SYNC, ledger.QUERY, ledger.FUNCTION),
            ]
        ),
        outcomes,
    )
    | st.just(None).map(lambda _: Message(ledger.COPY_END))
)
copy = st.builds(_copy, st.sampled_from([ledger.QUERY, ledger.EXECUTE]), copies, st.integers(0, 2))
scripts = st.lists(one.map(lambda message: [message]) | copy, max_size=25)


@settings(deadline=None)
@given(scripts, st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=60))
def test_replies_come_in_order_and_names_are_the_servers(
    script: list[list[Message]], pace: list[tuple[int, int]]
) -> None:
    wire = Wire()
    turns = iter(pace)
    for unit in script:
        for message in unit:
            wire.send(message)
            processed, delivered = next(turns, (0, 0))
            for _ in range(processed):
                wire.process()
            for _ in range(delivered):
                wire.deliver()
    wire.settle()
    wire.check()


@settings(deadline=None)
@given(scripts)
def test_a_message_that_is_not_sent_would_not_have_been_read(script: list[list[Message]]) -> None:
    """With every reply in before the next message, what the ledger drops is what the server skips."""
    wire = Wire()
    for message in [message for unit in script for message in unit]:
        skipping = wire.server.skipping and message.kind not in (ledger.SYNC, DATA)
        wire.send(message)
        assert (len(wire.coming) == 0) == skipping
        wire.settle()
    wire.check()
