"""Transcripts on the pure session: bytes in whole, byte by byte or cut at random; answers at once or at the last
legal moment.

`passthrough` takes a plain transcript: each side must get what the other sent, byte for byte. `Playbook` takes a
scripted one. In it, messages of one direction come in the order written; a line that expects something must hold when
it is reached, and with answers given at once nothing else may have come by the next line that the world says.
"""

import random
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Literal

from proxy.session.effects import (
    Again,
    Analyse,
    Ask,
    Audit,
    CancelUpstream,
    CatalogMoved,
    Close,
    DatabasesChanged,
    Failure,
    LoadCatalog,
    StartTls,
    ToClient,
    ToServer,
)
from proxy.session.session import Session
from tests.kit import messages
from tests.kit.notation import ANY, Arg, Message, Str, Val, Word, parse
from tests.kit.questions import count, describe, split_answer
from tests.kit.transcript import Bindings, Mismatch, Step, Transcript, explain, groups, matches, normal

Cutting = Literal["whole", "bytes", "random"]
CUTTINGS: Final[tuple[Cutting, ...]] = ("whole", "bytes", "random")


def cut(data: bytes, how: Cutting, dice: random.Random) -> Iterator[bytes]:
    """`data` in pieces; none of them empty."""
    at = 0
    while at < len(data):
        size = {"whole": len(data), "bytes": 1, "random": dice.randint(1, 20)}[how]
        yield data[at : at + size]
        at += size


# ---- the two ends -------------------------------------------------------------------------------------------------


class End:
    """What the session wrote to one side: bytes not yet looked at, and whether it closed."""

    def __init__(self, back: bool) -> None:
        self.back = back
        self.data = b""
        self.events: deque[str] = deque()

    def take(self, expected: Message) -> Message | None:
        """The next message; what kind of thing it is depends on what is expected. None: nothing whole is there."""
        if expected.name in messages.UNTYPED:
            return self._untyped()
        if expected.name in ("SSLAnswer", "GSSAnswer"):
            one, self.data = self.data[:1], self.data[1:]
            return Message(expected.name, (Word(one.decode("latin-1")),)) if one else None
        frames, _ = messages.split_frames(self.data)
        if frames:
            self.data = self.data[len(frames[0]) :]
            return normal([messages.take(frames[0][:1], frames[0][5:], self.back)])[0]
        return Message(self.events.popleft()) if self.events and not self.data else None

    def _untyped(self) -> Message | None:
        size = int.from_bytes(self.data[:4], "big")
        if len(self.data) < max(size, 4):
            return None
        body, self.data = self.data[4:size], self.data[size:]
        return messages.take_untyped(body)

    def left(self) -> list[Message]:
        came, rest = messages.split(self.data, self.back)
        return [*came, *([Message("Rest", (Val(rest),))] if rest else []), *(Message(event) for event in self.events)]


Answerer = Callable[[object], object]
UNANSWERED: Final = object()  # an Answerer's "not mine"


class Table:
    """A session and its two ends. `answerer` answers what no transcript speaks of; the rest waits in `asks`."""

    def __init__(self, session: Session, answerer: Answerer, how: Cutting, dice: random.Random) -> None:
        self.session = session
        self.ends = {"server": End(back=False), "client": End(back=True)}
        self.asks: deque[Ask] = deque()
        self.notes: list[object] = []
        self._answerer, self._how, self._dice = answerer, how, dice

    def feed(self, side: Literal["client", "server"], data: bytes) -> None:
        give = self.session.client_bytes if side == "client" else self.session.server_bytes
        for piece in cut(data, self._how, self._dice):
            give(piece)
            self.drain()

    def end(self, side: Literal["client", "server"]) -> None:
        (self.session.client_eof if side == "client" else self.session.server_eof)()
        self.drain()

    def answer(self, ticket: int, result: object) -> None:
        self.session.answer(ticket, result)
        self.drain()

    def drain(self) -> None:
        """Perform all effects; answering an Ask gives more, which come after those that are already out."""
        effects = self.session.take_effects()
        while effects:
            asked = [effect for effect in effects if isinstance(effect, Ask)]
            for effect in effects:
                self._perform(effect)
            for ask in asked:
                result = self._answerer(ask.request)
                if result is UNANSWERED:
                    self.asks.append(ask)
                else:
                    self.session.answer(ask.ticket, result)
            effects = self.session.take_effects()

    def _perform(self, effect: object) -> None:
        if isinstance(effect, ToServer):
            self.ends["server"].data += effect.data
        elif isinstance(effect, ToClient):
            self.ends["client"].data += effect.data
        elif isinstance(effect, CancelUpstream):
            self.ends["server"].data += effect.packet
        elif isinstance(effect, Close):
            self.ends[effect.side].events.append("Close")
        elif isinstance(effect, StartTls):
            self.ends[effect.side].events.append("StartTls")
        elif isinstance(effect, Again):
            self.session.go_on()
        elif not isinstance(effect, Ask):
            self.notes.append(effect)


# ---- start-up, where a transcript doesn't have its own --------------------------------------------------------------

STATUS: Final = {
    "server_version": "18.0",
    "client_encoding": "UTF8",
    "server_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "integer_datetimes": "on",
    "standard_conforming_strings": "on",
}


def start(table: Table, transcript: Transcript) -> None:
    """Bring the session to READY as the headers say, and forget what went through."""
    if "raw" in transcript.header("startup"):
        return
    user = (transcript.header("user") or transcript.header("role") or ["postgres"])[0]
    params = [Str(text.encode()) for text in ("user", user, "database", "postgres")]
    table.feed("client", messages.build(Message("Startup", (Word("3.0"), *params)), back=False))
    settings = dict(setting.partition("=")[::2] for setting in transcript.header("setting"))
    lines = [Message("AuthenticationOk")]
    lines += [
        Message("ParameterStatus", (Str(name.encode()), Str(value.encode())))
        for name, value in (STATUS | settings).items()
    ]
    lines += [parse("BackendKeyData 1 x'00000001'"), parse("ReadyForQuery I")]
    table.feed("server", b"".join(messages.build(line, back=True) for line in lines))
    for end in table.ends.values():
        assert not end.events, "the session closed at start-up"
        end.data = b""


# ---- plain transcripts --------------------------------------------------------------------------------------------


def passthrough(
    transcript: Transcript, version: str, how: Cutting, answerer: Answerer, dice: random.Random | None = None
) -> None:
    """Each side gets the other's bytes. Replies come one by one: a message may wait for the reply to an earlier one."""
    table = Table(Session(), answerer, how, dice or random.Random(0))
    start(table, transcript)
    names = Bindings()
    for sent, replies in groups(transcript.of(version)):
        to_server = b"".join(_all(sent, names, back=False))
        table.feed("client", to_server)
        to_client = _all(replies, names, back=True)
        for reply in to_client:
            table.feed("server", reply)
        _same(transcript, sent, to_server, table.ends["server"])
        _same(transcript, replies, b"".join(to_client), table.ends["client"])
        if replies and replies[-1].message.name == "EOF":
            table.end("server")
    assert not table.asks, f"asked: {table.asks}"


def _all(steps: list[Step], names: Bindings, back: bool) -> list[bytes]:
    return [_one(step.message, names, back) for step in steps if step.message.name not in ("EOF", "Nothing")]


def _one(message: Message, names: Bindings, back: bool) -> bytes:
    """A message as bytes; what the recording left open (`_`, `#1`) gets some value."""
    args = tuple(_invented(arg, names) for arg in message.args)
    if message.name == "Rest":
        assert isinstance(args[0], Val)
        return args[0].data
    return messages.build(Message(message.name, args), back)


def _invented(arg: Arg, names: Bindings) -> Arg:
    if isinstance(arg, tuple):
        return tuple(_invented(one, names) for one in arg)
    if isinstance(arg, Word) and arg.name.startswith("#"):
        return names.numbers.setdefault(arg.name, 20000 + len(names.numbers))
    return Val(b"1234") if arg == ANY else arg


def _same(transcript: Transcript, steps: list[Step], wanted: bytes, end: End) -> None:
    got, end.data = end.data, b""
    if got != wanted:
        came = [str(m) for m in messages.split(got, end.back)[0]]
        raise explain(transcript, steps[0] if steps else None, came, steps)


# ---- scripted transcripts -----------------------------------------------------------------------------------------


class Playbook:
    """One run of a scripted transcript. delay: an answer is held back until nothing else can go on."""

    def __init__(
        self, transcript: Transcript, answerer: Answerer, how: Cutting = "whole", delay: bool = False, seed: int = 0
    ) -> None:
        self.transcript, self.delay = transcript, delay
        audits = any(step.side == "ask" and step.message.name == "audit" for step in transcript.steps)
        self._base = answerer
        self.table = Table(Session(), self._answer_rest if not audits else answerer, how, random.Random(seed))
        self.names = Bindings()
        self.strict = not delay and how == "whole"
        self._open: deque[list[Ask]] = deque()  # asked for by an `ask` line, not answered yet
        self._held: deque[tuple[list[Ask], Step]] = deque()

    def _answer_rest(self, request: object) -> object:
        return None if isinstance(request, Audit) else self._base(request)

    def play(self) -> None:
        """Mismatch at the first line that doesn't hold."""
        start(self.table, self.transcript)
        steps = deque(self.transcript.of("18"))
        while steps:
            step = steps.popleft()
            if step.side in ("c>", "s>"):
                self._say(step, steps)
            elif step.side == "ask":
                self._asked(step)
            elif step.side == "answer":
                self._answered(step)
            else:
                self._expect(step)
        self._release()
        self._nothing_left(None)

    # ---- what the world says

    def _say(self, step: Step, steps: deque[Step]) -> None:
        """Lines of one side that stand together come in one piece, then are cut."""
        if self.strict:
            self._nothing_left(step)
        together = [step]
        while steps and steps[0].side == step.side and step.message.name != "EOF":
            together.append(steps.popleft())
        side: Literal["client", "server"] = "client" if step.side == "c>" else "server"
        self.table.feed(side, b"".join(self._build(one, side) for one in together if one.message.name != "EOF"))
        if together[-1].message.name == "EOF":
            self.table.end(side)

    def _build(self, step: Step, side: str) -> bytes:
        try:
            return messages.build(self.names.fill(step.message), back=side == "server")
        except KeyError as unknown:
            raise Mismatch(f"{self.transcript.path}:{step.line}: {unknown} is not known here") from None

    def _answered(self, step: Step) -> None:
        if not self._open:
            raise explain(self.transcript, step, ["nothing was asked"], [step])
        self._held.append((self._open.popleft(), step))
        if not self.delay:
            self._release()

    def _release(self) -> None:
        while self._held:
            self._give(*self._held.popleft())

    def _give(self, asks: list[Ask], step: Step) -> None:
        results = split_answer([ask.request for ask in asks], step.message, self.names)
        for ask, result in zip(asks, results, strict=True):
            self.table.answer(ask.ticket, result)

    # ---- what must have come

    def _expect(self, step: Step) -> None:
        end = self.table.ends["server" if step.side == ">s" else "client"]
        wanted = step.message
        came = end.take(wanted)
        while came is None and self._held:
            self._give(*self._held.popleft())
            came = end.take(wanted)
        if came is None or not matches(wanted, came, self.names):
            others = [came] if came else [f"nothing; open: {[describe([ask.request]) for ask in self.table.asks]}"]
            raise explain(self.transcript, step, [*others, *end.left()], [step])

    def _asked(self, step: Step) -> None:
        """One or more Asks of that kind, in order, whose items together are those written."""
        wanted = step.message
        taken: list[Ask] = []
        while not self._covers(taken, wanted):
            while not self.table.asks and self._held:
                self._give(*self._held.popleft())
            if not self.table.asks:
                raise explain(
                    self.transcript,
                    step,
                    [describe([ask.request for ask in taken]) if taken else "no question"],
                    [step],
                )
            taken.append(self.table.asks.popleft())
        if not matches(wanted, describe([ask.request for ask in taken]), self.names):
            raise explain(self.transcript, step, [describe([ask.request for ask in taken])], [step])
        self._open.append(taken)

    def _covers(self, taken: list[Ask], wanted: Message) -> bool:
        return bool(taken) and count(describe([ask.request for ask in taken])) >= count(wanted)

    def _nothing_left(self, step: Step | None) -> None:
        left: list[object] = [f">s {m}" for m in self.table.ends["server"].left()]
        left += [f">c {m}" for m in self.table.ends["client"].left()]
        left += [f"ask {describe([ask.request])}" for ask in self.table.asks]
        if left:
            raise explain(self.transcript, step, left, [])


# ---- answerers ----------------------------------------------------------------------------------------------------


def catalog_and_plans(world: object, analyse: Callable[..., object]) -> Answerer:
    """Answers LoadCatalog with `world` and Analyse with `analyse`; leaves the rest to the transcript."""

    def answerer(request: object) -> object:
        if isinstance(request, LoadCatalog):
            return world
        if isinstance(request, CatalogMoved | DatabasesChanged):
            return None
        if isinstance(request, Analyse):
            return analyse(request.text, request.standard_conforming_strings, request.search_path, request.snapshot)
        return UNANSWERED

    return answerer


def nothing_protected(request: object) -> object:
    """The answerer of a database with nothing protected in it. Anything else is a Bug that the session raises."""
    return None if isinstance(request, LoadCatalog | DatabasesChanged) else Failure
