r"""One protocol message as text and back: `Bind "" "s1" [0] ['a@b.c', NULL, x'00ff'] [1]`.

Knows nothing about the wire (tests.kit.messages does). Arguments:

    "text"   a C string           'text'   a value         x'00ff'   a value that is no text     NULL
    12 -1    integers             [a, b]   a list          S I 3.0   a bare word
    T1       a token, bound on first sight                 #1        an integer bound on first sight
    _        anything             ...      any arguments from here on

In both kinds of string \\ \" \' \n \r \t \xHH are escapes and ‹T1› stands for the token's 36 characters.
Invariant: parse(show(m)) == m for every message.
"""

import re
from dataclasses import dataclass
from typing import Final, TypeAlias


@dataclass(frozen=True, slots=True)
class Str:
    """A zero-terminated string of the protocol."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Val:
    """A counted value: parameter, column, CopyData."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Word:
    """A bare word: T1, #1, _, ..., S, I."""

    name: str


Arg: TypeAlias = "Str | Val | Word | int | tuple[Arg, ...] | None"


@dataclass(frozen=True, slots=True)
class Message:
    name: str
    args: tuple[Arg, ...] = ()

    def __str__(self) -> str:
        return show(self)


ANY: Final = Word("_")
REST: Final = Word("...")

_LEX: Final = re.compile(
    r"""[\s,]*(?: "(?P<str>(?:[^"\\]|\\.)*)" | x'(?P<hex>[0-9a-fA-F\s]*)' | '(?P<val>(?:[^'\\]|\\.)*)'
    | (?P<punct>[\[\]]) | (?P<int>-?(?:0|[1-9]\d*))(?![\w.]) | (?P<word>[\w.#*+/!-]+) )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_NAMED: Final = {"n": b"\n", "r": b"\r", "t": b"\t"}
_PRINTED: Final = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def parse(line: str) -> Message:
    """ValueError, with the place, where `line` is not a message."""
    args = parse_args(line)
    if not args or not isinstance(args[0], Word):
        raise ValueError(f"no message name: {line!r}")
    return Message(args[0].name, args[1:])


def parse_args(line: str) -> tuple[Arg, ...]:
    stack: list[list[Arg]] = [[]]
    at, end = 0, len(line.rstrip())
    while at < end:
        found = _LEX.match(line, at)
        if not found:
            raise ValueError(f"not understood from column {at + 1}: {line[at:]!r}")
        at = found.end()
        _place(stack, found, line)
    if len(stack) != 1:
        raise ValueError(f"a list is not closed: {line!r}")
    return tuple(stack[0])


def _place(stack: list[list[Arg]], found: re.Match[str], line: str) -> None:
    if found["punct"] == "[":
        stack.append([])
    elif found["punct"] == "]":
        if len(stack) == 1:
            raise ValueError(f"a list ends that did not begin: {line!r}")
        done = tuple(stack.pop())
        stack[-1].append(done)
    else:
        stack[-1].append(_atom(found))


def _atom(found: re.Match[str]) -> Arg:
    if found["str"] is not None:
        return Str(unescape(found["str"]))
    if found["val"] is not None:
        return Val(unescape(found["val"]))
    if found["hex"] is not None:
        return Val(bytes.fromhex(found["hex"]))
    if found["int"] is not None:
        return int(found["int"])
    return None if found["word"] == "NULL" else Word(found["word"])


def unescape(text: str) -> bytes:
    out, at = bytearray(), 0
    for found in _ESCAPE.finditer(text):
        out += text[at : found.start()].encode()
        code = found[1]
        out += bytes.fromhex(code[1:]) if len(code) == 3 else _NAMED.get(code, code.encode())
        at = found.end()
    return bytes(out) + text[at:].encode()


def show(message: Message) -> str:
    return " ".join([message.name, *map(show_arg, message.args)])


def show_arg(arg: Arg) -> str:
    if isinstance(arg, tuple):
        return "[" + ", ".join(map(show_arg, arg)) + "]"
    if isinstance(arg, Str):
        return _quoted(arg.data, '"')
    if isinstance(arg, Val):
        return _quoted(arg.data, "'") if _is_text(arg.data) else f"x'{arg.data.hex()}'"
    if arg is None:
        return "NULL"
    return arg.name if isinstance(arg, Word) else str(arg)


def _is_text(data: bytes) -> bool:
    try:
        return all(char in "\n\r\t" or char.isprintable() for char in data.decode())
    except UnicodeDecodeError:
        return False


def _quoted(data: bytes, quote: str) -> str:
    return quote + "".join(_char(char, quote) for char in data.decode("utf-8", "surrogateescape")) + quote


def _char(char: str, quote: str) -> str:
    if char == quote:
        return "\\" + char
    if char in _PRINTED:
        return _PRINTED[char]
    if char.isprintable():
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
