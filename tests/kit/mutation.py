"""Conversations made worse: a corpus, and changes of bytes, frames, lengths, order and ends, by dice.

An input is a tuple of events: ("c", bytes) and ("s", bytes) arrive from client and server; ("a", n) gives n answers
that were asked for; ("C",) and ("S",) end a side; ("f",) the client takes no more, ("e",) it does again; ("x", n)
lets a part of the outside fail from now on; ("t",) lets time pass. Not here: what runs them, what must hold.
"""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.kit import messages
from tests.kit.notation import ANY, Arg, Message, Val, Word
from tests.kit.transcript import read

Event = tuple[str, bytes | int]
Input = tuple[Event, ...]

LENGTHS: Final = (0, 1, 3, 4, 5, 8, 255, 256, 65535, 0x3FFFFFFF, 0x40000000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
KINDS: Final = b"QPBDECSHXpFdcf1234567ACDEGHIKNRSTVWZntsv\0\x16\xff"
# Words that statements are made of, and what has a meaning in COPY or text.
WORDS: Final = (
    b"email", b"customers", b"from customers", b"'", b"''", b"\\", b"$1", b"$2", b";", b"--", b"/*", b"*/", b"\0",
    b"begin", b"rollback", b"set search_path to other", b"deallocate all", b"copy customers from stdin", b"\xff\xfe",
    b"E'\\x41'", b"U&'\\0061'", b"$a$", b"::text", b"create view v as select email from customers", b"(", b")",
    b"\\.\n", b"\t", b"\n", b"\\N", b"\xc3\xbc", b"copy customers to stdout", b"execute s",
    b"prepare s as select 1", b"fetch all from c",
)  # fmt: skip


def corpus(folder: Path) -> list[Input]:
    """What the transcripts there say, client and server in their order, whole and one message an event."""
    found: list[Input] = []
    for path in sorted(folder.rglob("*.wire")):
        script = read(path.read_text(), str(path))
        events = [
            (step.side[0], _bytes(step.message, step.side == "s>"))
            for step in script.of("18")
            if step.side in ("c>", "s>") and step.message.name not in ("EOF", "Nothing", "Rest")
        ]
        if "raw" not in script.header("startup"):
            found.append(tuple(events))
    return found


def _bytes(message: Message, back: bool) -> bytes:
    return messages.build(Message(message.name, tuple(map(_known, message.args))), back)


def _known(arg: Arg) -> Arg:
    """What a recording left open gets some value, a token the canary's place."""
    if isinstance(arg, tuple):
        return tuple(map(_known, arg))
    if isinstance(arg, Word) and arg.name.startswith("#"):
        return 16400
    if isinstance(arg, Word) and arg.name[:1] == "T" and arg.name[1:].isdigit():
        return Val(b"@token%d" % int(arg.name[1:]))
    return Val(b"1234") if arg == ANY else arg


# ---- changes -------------------------------------------------------------------------------------------------------


def mutate(one: Input, others: Sequence[Input], dice: random.Random) -> Input:
    """One to a few changes."""
    events = list(one)
    for _ in range(dice.choice((1, 1, 2, 3, 6))):
        change = dice.choice(CHANGES)
        events = change(events, others, dice) or list(one)
    return tuple(events[:200])


Events = list[Event]
Change = Callable[[bytes, random.Random], bytes]


def _inside(events: Events, dice: random.Random) -> int:
    """The index of an event with bytes, -1 if there is none."""
    there = [i for i, event in enumerate(events) if isinstance(event[1], bytes) and event[1]]
    return dice.choice(there) if there else -1


def _changed(events: Events, dice: random.Random, change: Change) -> Events:
    at = _inside(events, dice)
    if at >= 0:
        kind, data = events[at]
        assert isinstance(data, bytes)
        events[at] = (kind, change(data, dice)[: 1 << 16])
    return events


def _flip(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]


def _byte(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + bytes([dice.choice((0, 1, 0x27, 0x5C, 0x7F, 0x80, 0xFF))]) + data[at + 1 :]


def _length(data: bytes, dice: random.Random) -> bytes:
    """An absurd number where a length or a count may be."""
    size = dice.choice((2, 4, 4))
    at = 1 if dice.random() < 0.4 else dice.randrange(len(data))
    number = dice.choice(LENGTHS) & ((1 << 8 * size) - 1)
    return data[:at] + number.to_bytes(size, "big") + data[at + size :]


def _near(data: bytes, dice: random.Random) -> bytes:
    """A number that is off by a little."""
    at = dice.randrange(len(data))
    number = int.from_bytes(data[at : at + 2], "big") + dice.choice((-2, -1, 1, 2))
    return data[:at] + (number & 0xFFFF).to_bytes(2, "big") + data[at + 2 :]


def _word(data: bytes, dice: random.Random) -> bytes:
    """A word put in; the length of a sole frame is made right again, mostly."""
    at = dice.randrange(len(data) + 1)
    out = data[:at] + dice.choice(WORDS) + data[at:]
    return sized(out) if dice.random() < 0.8 else out


def _gone(data: bytes, dice: random.Random) -> bytes:
    at, to = sorted((dice.randrange(len(data)), dice.randrange(len(data) + 1)))
    return sized(data[:at] + data[to:]) if dice.random() < 0.5 else data[:at] + data[to:]


def _kind(data: bytes, dice: random.Random) -> bytes:
    return bytes([dice.choice(KINDS)]) + data[1:]


def _repeated(data: bytes, dice: random.Random) -> bytes:
    return data * dice.choice((2, 3, 40))


def sized(data: bytes) -> bytes:
    """With the length of one frame."""
    return data if len(data) < 5 else data[:1] + (len(data) - 1).to_bytes(4, "big") + data[5:]


def _bytes_changed(events: Events, others: Sequence[Input], dice: random.Random) -> Events:
    changes = (_flip, _byte, _length, _length, _near, _word, _word, _gone, _kind, _repeated)
    return _changed(events, dice, dice.choice(changes))


def _cut(events: Events, others: Sequence[Input], dice: random.Random) -> Events:
    at = _inside(events, dice)
    if at < 0:
        return events
    kind, data = events[at]
    assert isinstance(data, bytes)
    size = dice.randrange(1, len(data) + 1)
    return [*events[:at], (kind, data[:size]), *_more(dice), (kind, data[size:]), *events[at + 1 :]]


def _more(dice: random.Random) -> Events:
    return [dice.choice(WORLD)] if dice.random() < 0.5 else []


WORLD: Final[tuple[Event, ...]] = (
    ("a", 1), ("a", 1), ("a", 99), ("f", 0), ("e", 0), ("x", 0), ("x", 1), ("x", 2), ("x", 3), ("t", 0), ("C", 0),
    ("S", 0),
)  # fmt: skip


def _happens(events: Events, others: Sequence[Input], dice: random.Random) -> Events:
    events.insert(dice.randrange(len(events) + 1), dice.choice(WORLD))
    return events


def _dropped(events: Events, others: Sequence[Input], dice: random.Random) -> Events:
    if events:
        del events[dice.randrange(len(events))]
    return events


def _swapped(events: Events, others: Sequence[Input], dice: random.Random) -> Events:
    if len(events) > 1:
        at = dice.randrange(len(events) - 1)
        events[at], events[at + 1] = events[at + 1], events[at]
    return events


def _joined(events: Events, others: Sequence[Input], dice: random.Random) -> Events:
    """All of one side at once, the other behind it: a pipeline."""
    return [event for side in "cs" for event in events if event[0] == side]


def _spliced(events: Events, others: Sequence[Input], dice: random.Random) -> Events:
    other = dice.choice(others)
    at, of = dice.randrange(len(events) + 1), dice.randrange(len(other) + 1)
    return [*events[:at], *other[of : of + dice.randrange(1, 12)], *events[at:]]


def _other_side(events: Events, others: Sequence[Input], dice: random.Random) -> Events:
    at = _inside(events, dice)
    if at >= 0:
        events[at] = ("s" if events[at][0] == "c" else "c", events[at][1])
    return events


CHANGES: Final = (
    _bytes_changed, _bytes_changed, _bytes_changed, _bytes_changed, _cut, _happens, _dropped, _swapped, _joined,
    _spliced, _spliced, _other_side,
)  # fmt: skip
