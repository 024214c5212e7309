"""Transcripts: protocol scenarios as data (`*.wire`), their reading and the comparison of messages.

One step a line; `#` begins a comment line, the first one is the title:

    c> MESSAGE    the client sends            s> MESSAGE    the server sends
    >s MESSAGE    what the server must get    >c MESSAGE    what the client must get
    ask …         what pgveil must ask        answer …      what it is told
    policy shop   role support   setting k=v  setup SQL     startup raw     (headers, before the first step)
    direct WHY    pgveil answers otherwise, on purpose: not replayed through it
    live WHAT     a scripted one whose client's lines are also replayed through pgveil before a real server; WHAT is
                  `twin` where a plaintext database replies the same, else `pgveil`

`s>@15` and such hold for that server version only. A file with only `c>` and `s>` lines is replayed against real
servers (tests.kit.replay), with a policy against a plaintext database and a tokenised one (tests.kit.twins); the
others run on the pure session (tests.kit.playbook).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from tests.kit.notation import ANY, REST, Arg, Message, Str, Val, Word, parse, parse_args

Side = Literal["c>", "s>", ">s", ">c", "ask", "answer"]
STEPS: Final = ("c>", "s>", ">s", ">c", "ask", "answer")
HEADERS: Final = ("policy", "role", "setting", "setup", "startup", "user", "direct", "live")
_LINE: Final = re.compile(r"(c>|s>|>s|>c|ask|answer)(?:@(\d+))?(?:\s+(.*))?$")


@dataclass(frozen=True, slots=True)
class Step:
    """One line. version: '' for any server. For 'answer' the message's name is 'answer'."""

    line: int
    side: Side
    message: Message
    version: str = ""

    def __str__(self) -> str:
        mark = f"@{self.version}" if self.version else ""
        return str(self.message) if self.side == "answer" else f"{self.side}{mark} {self.message}"


@dataclass(frozen=True, slots=True)
class Transcript:
    path: str
    title: str
    headers: tuple[tuple[str, str], ...]
    steps: tuple[Step, ...]

    def header(self, name: str) -> list[str]:
        return [text for known, text in self.headers if known == name]

    @property
    def plain(self) -> bool:
        """Only client and server lines: a real server can be asked."""
        return all(step.side in ("c>", "s>") for step in self.steps)

    def of(self, version: str) -> tuple[Step, ...]:
        """The steps that hold for that server version."""
        return tuple(step for step in self.steps if step.version in ("", version))

    def client_view(self) -> "Transcript":
        """A scripted one as its client sees it: what it sends, and what must come back as a server's replies."""
        symbols: dict[int, str] = {}
        seen = tuple(_as_client(step, symbols) for step in self.steps if step.side in ("c>", ">c"))
        return replace(self, steps=seen)

    def __str__(self) -> str:
        return Path(self.path).stem


def _as_client(step: Step, symbols: dict[int, str]) -> Step:
    if step.side == "c>":
        return step
    message = Message("EOF") if step.message.name == "Close" else symbolic(step.message, symbols)
    return replace(step, side="s>", message=message)


def load(path: Path) -> Transcript:
    return read(path.read_text(), str(path))


def read(text: str, path: str = "-") -> Transcript:
    """ValueError with path and line where a line is not understood."""
    title, headers, steps = "", [], []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line.startswith("#"):
            title = title or line.lstrip("# ")
        elif line:
            try:
                got = _line(number, line)
            except ValueError as e:
                raise ValueError(f"{path}:{number}: {e}") from None
            steps.append(got) if isinstance(got, Step) else headers.append(got)
    return Transcript(path, title, tuple(headers), tuple(steps))


def _line(number: int, line: str) -> Step | tuple[str, str]:
    found = _LINE.match(line)
    if not found:
        name, _, rest = line.partition(" ")
        if name not in HEADERS:
            raise ValueError(f"neither a step nor a header: {line!r}")
        return name, rest
    side, version, rest = found[1], found[2] or "", found[3] or ""
    message = Message("answer", parse_args(rest)) if side == "answer" else parse(rest or "Nothing")
    return Step(number, side, message, version)  # type: ignore[arg-type]


# ---- comparing ----------------------------------------------------------------------------------------------------

_TOKEN_NAME: Final = re.compile(r"T\d+$")
_IN_TEXT: Final = re.compile("‹(T\\d+)›")
_UUID: Final = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(slots=True)
class Bindings:
    """What T1 and #1 stand for; each is bound on first sight and must be the same from then on."""

    tokens: dict[str, bytes] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)

    def token(self, name: str, seen: bytes) -> bool:
        """Whether `seen` (36 characters, or 16 bytes of a binary uuid) is that token."""
        text = uuid_text(seen) if len(seen) == 16 else seen
        if not _UUID.fullmatch(text) or any(text == other for n, other in self.tokens.items() if n != name):
            return False
        return self.tokens.setdefault(name, text) == text

    def number(self, name: str, seen: int) -> bool:
        return self.numbers.setdefault(name, seen) == seen

    def fill(self, message: Message) -> Message:
        """The message with every bound name replaced; KeyError for an unbound one."""
        return Message(message.name, tuple(self._fill(arg) for arg in message.args))

    def _fill(self, arg: Arg) -> Arg:
        if isinstance(arg, tuple):
            return tuple(self._fill(one) for one in arg)
        if isinstance(arg, Word) and _TOKEN_NAME.match(arg.name):
            return Val(self.tokens[arg.name])
        if isinstance(arg, Word) and arg.name.startswith("#"):
            return self.numbers[arg.name]
        if isinstance(arg, Str | Val):
            return type(arg)(self.fill_text(arg.data))
        return arg

    def fill_text(self, data: bytes) -> bytes:
        if "‹".encode() not in data:
            return data
        return _IN_TEXT.sub(lambda m: self.tokens[m[1]].decode(), data.decode()).encode()


def uuid_text(raw: bytes) -> bytes:
    digits = raw.hex()
    return "-".join([digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]]).encode()


def matches(expected: Message, seen: Message, names: Bindings) -> bool:
    """Whether `seen` is what the transcript says; binds names that are new."""
    return expected.name == seen.name and _all_match(expected.args, seen.args, names)


def _all_match(expected: Sequence[Arg], seen: Sequence[Arg], names: Bindings) -> bool:
    if expected and expected[-1] == REST:
        expected, seen = expected[:-1], seen[: len(expected) - 1]
    return len(expected) == len(seen) and all(_matches(e, s, names) for e, s in zip(expected, seen, strict=True))


def _matches(expected: Arg, seen: Arg, names: Bindings) -> bool:
    if expected == ANY:
        return True
    if isinstance(expected, tuple):
        return isinstance(seen, tuple) and _all_match(expected, seen, names)
    if isinstance(expected, Word) and _TOKEN_NAME.match(expected.name):
        return isinstance(seen, Val) and names.token(expected.name, seen.data)
    if isinstance(expected, Word) and expected.name.startswith("#"):
        return isinstance(seen, int) and names.number(expected.name, seen)
    if isinstance(expected, Str | Val):
        return type(seen) is type(expected) and _text_matches(expected.data, seen.data, names)
    return type(expected) is type(seen) and expected == seen


def _text_matches(expected: bytes, seen: bytes, names: Bindings) -> bool:
    """Equal, where ‹T1› in the expected text is a token's 36 characters."""
    pieces = re.split("‹(T\\d+)›".encode(), expected)
    if len(pieces) == 1:
        return expected == seen
    pattern = b"(.{36})".join(map(re.escape, pieces[::2]))
    found = re.fullmatch(pattern, seen, re.DOTALL)
    return found is not None and all(
        names.token(name.decode(), text) for name, text in zip(pieces[1::2], found.groups(), strict=True)
    )


# What differs from one build or run of the server to the next and means nothing: file, line, routine.
_VOLATILE: Final = {"F", "L", "R"}


def normal(came: Iterable[Message]) -> list[Message]:
    """Messages as they are compared: errors without source positions, runs of ParameterStatus in name order."""
    out: list[Message] = []
    for message in map(_normal, came):
        if message.name == "ParameterStatus":
            at = len(out)
            while at and out[at - 1].name == "ParameterStatus" and str(out[at - 1]) > str(message):
                at -= 1
            out.insert(at, message)
        else:
            out.append(message)
    return out


def _normal(message: Message) -> Message:
    if message.name not in ("ErrorResponse", "NoticeResponse"):
        return message
    pairs = list(zip(message.args[::2], message.args[1::2], strict=True))
    kept = [pair for pair in pairs if not (isinstance(pair[0], Word) and pair[0].name in _VOLATILE)]
    return Message(message.name, tuple(arg for pair in kept for arg in pair))


def symbolic(message: Message, symbols: dict[int, str]) -> Message:
    """Numbers that another database or connection would have otherwise become #1, #2, …"""
    if message.name == "RowDescription":
        return Message(message.name, tuple(_column(column, symbols) for column in message.args))
    if message.name == "ParameterDescription" and isinstance(message.args[0], tuple):
        return Message(message.name, (tuple(_oid(oid, symbols) for oid in message.args[0]),))
    if message.name == "NotificationResponse":
        return Message(message.name, (Word("#pid"), *message.args[1:]))
    if message.name == "BackendKeyData":
        return Message(message.name, (Word("#pid"), Word("_")))
    if message.name == "ParameterStatus" and message.args[0] == Str(b"server_version"):
        return Message(message.name, (message.args[0], Word("_")))
    return message


def _column(column: Arg, symbols: dict[int, str]) -> Arg:
    assert isinstance(column, tuple)
    name, table, attnum, oid, *rest = column
    return (name, _oid(table, symbols), attnum, _oid(oid, symbols), *rest)


def _oid(oid: Arg, symbols: dict[int, str]) -> Arg:
    if not isinstance(oid, int) or oid < 16384:  # FirstNormalObjectId, access/transam.h
        return oid
    return Word(symbols.setdefault(oid, f"#{len(symbols) + 1}"))


class Mismatch(AssertionError):
    """A transcript and the world differ; the text shows the lines around, and up to where all was as written."""


def explain(transcript: Transcript, step: Step | None, came: Iterable[object], wanted: Iterable[object]) -> Mismatch:
    """`step`: the first one that doesn't hold, None for something left over at the end."""
    line = step.line if step else 10**9
    before = [f"    {s}" for s in transcript.steps if s.line < line][-12:]
    shown = [f"{transcript.path}{f':{line}' if step else ''}: {transcript.title}", *before]
    shown += ["    ---- asserted until here", *(f"  - {one}" for one in wanted), *(f"  + {one}" for one in came)]
    return Mismatch("\n" + "\n".join(shown))


def groups(steps: Sequence[Step]) -> Iterator[tuple[list[Step], list[Step]]]:
    """What the client writes at once, and the replies that it then waits for."""
    sent: list[Step] = []
    expected: list[Step] = []
    for step in steps:
        if step.side == "c>" and expected:
            yield sent, expected
            sent, expected = [], []
        (sent if step.side == "c>" else expected).append(step)
    yield sent, expected
