"""A message on its way to the server, and the job that fetches the tokens it waits for."""

from typing import Final, Protocol, final

from proxy.session.effects import Context, Failure, Find, Item, Tokenise
from proxy.session.ledger import Owed
from proxy.session.outgoing import Outgoing, Tokens, refused
from proxy.session.state import State
from proxy.sql.plan import Plan

Place = tuple[bytes, int, int, int]  # of a message: buffer, start, body, end


@final
class Slot:
    """data: the frame, empty until ready. owed: what it will be answered with, None for no answer. size: bytes that
    wait in it, those of its values while their tokens are asked for."""

    __slots__ = ("data", "owed", "ready", "size")

    def __init__(self, data: bytes, owed: Owed | None, ready: bool, size: int) -> None:
        self.data = data
        self.owed = owed
        self.ready = ready
        self.size = size


@final
class Wanted:
    """Values of one input of a message. write: store them; else look for them."""

    __slots__ = ("items", "nulls", "write")

    def __init__(self, values: Tokens, items: tuple[Item, ...], write: bool) -> None:
        self.nulls: Final = tuple([value is None for value in values])
        self.items: Final = items
        self.write: Final = write


def sought(plan: Plan, wanted: list[Wanted]) -> list[Wanted]:
    """What is written and looked for at the same time: it is recorded as a search too."""
    return [item for place, item in zip(plan.inputs, wanted, strict=True) if place.sought]


NOTHING: Final = Wanted((), (), False)  # of an input whose token is in the text already
NULL: Final = Wanted((None,), (), False)


class Lane(Protocol):
    def slot_ready(self, slot: Slot) -> None: ...

    def slot_refused(self, slot: Slot, failure: Failure, context: Context) -> None: ...


@final
class TokenJob:
    """Asks for the tokens of a message, then builds it. One Tokenise and one Find at most, whatever it holds."""

    __slots__ = ("_context", "_find", "_found", "_lane", "_message", "_slot", "_store", "_stored", "_wanted")

    def __init__(self, lane: Lane, slot: Slot, message: Outgoing, wanted: list[Wanted], context: Context) -> None:
        self._context = context
        self._lane = lane
        self._slot = slot
        self._message = message
        self._wanted = wanted
        self._store = 0
        self._find = 0
        self._stored: tuple[bytes, ...] = ()
        self._found: tuple[bytes, ...] = ()

    def start(self, state: State, audited: tuple[Item, ...] = ()) -> None:
        """audited: more items to record as looked for (a prepared statement's own literals)."""
        stores = tuple([item for w in self._wanted if w.write for item in w.items])
        finds = tuple([item for w in self._wanted if not w.write for item in w.items]) + audited
        if stores:
            self._store = state.ask(Tokenise(stores, self._context), self)
        if finds:
            self._find = state.ask(Find(finds, self._context), self)
        self._finish()

    def answer(self, ticket: int, result: object) -> None:
        if self._slot.ready:
            return  # the other question failed and the message was made to fail
        if isinstance(result, Failure):
            self._slot.data = refused(self._message, result.refusal)
            self._lane.slot_refused(self._slot, result, self._context)
            return
        assert isinstance(result, tuple)
        if ticket == self._store:
            self._store, self._stored = 0, result
        else:
            self._find, self._found = 0, result
        self._finish()

    def _finish(self) -> None:
        if self._store or self._find:
            return
        stored = found = 0
        tokens: list[Tokens] = []
        for wanted in self._wanted:
            count = len(wanted.items)
            if wanted.write:
                tokens.append(_spread(wanted.nulls, self._stored[stored : stored + count]))
                stored += count
            else:
                tokens.append(_spread(wanted.nulls, self._found[found : found + count]))
                found += count
        self._slot.data = self._message.build(tokens)
        self._lane.slot_ready(self._slot)


def _spread(nulls: tuple[bool, ...], tokens: tuple[bytes, ...]) -> Tokens:
    """Tokens at the places that are not NULL."""
    if len(nulls) == len(tokens):
        return tokens
    left = iter(tokens)
    return tuple([None if null else next(left) for null in nulls])
