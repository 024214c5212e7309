"""YAML documents as nodes that know their line, and the faults found in them.

A leaf: policies and configuration are both read through it. It knows nothing of either. Nothing here opens a file.

Invariants: reading never stops at the first fault; a scalar is the text that stands in the file (a column named `on`
is no boolean); a key that stands twice is a fault. Fault texts quote keys and short plain words of the file only, so
that a password in a URL never comes into one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final, TypeVar

import yaml

Choice = TypeVar("Choice", bound=str)

BOOLEANS: Final = {"true": True, "false": False}
NULL_TAG: Final = "tag:yaml.org,2002:null"
TEXT_TAG: Final = "tag:yaml.org,2002:str"
LONGEST_QUOTE: Final = 40  # of a file's own words in a fault: enough for a name


@dataclass(frozen=True, slots=True)
class Fault:
    """line: 1-based, 0 for the file as a whole. advice: what to do, '' if the message says it."""

    file: str
    line: int
    message: str
    advice: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}" + (f" ({self.advice})" if self.advice else "")


class Faults(Exception):
    """All that is wrong with some documents, in order of file and line."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults: tuple[Fault, ...] = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping and what stands behind it."""

    key: str
    line: int
    value: yaml.Node


@dataclass(slots=True)
class Reader:
    """Reads nodes of one file and keeps what is wrong with them. A `None` (or empty) answer has left a fault behind."""

    file: str
    faults: list[Fault] = field(default_factory=list)

    def fault(self, where: yaml.Node | int, message: str, advice: str = "") -> None:
        line = where if isinstance(where, int) else line_of(where)
        self.faults.append(Fault(self.file, line, message, advice))

    def document(self, text: str) -> yaml.Node | None:
        """The root node of the one document in `text`, None if it is empty or no YAML."""
        try:
            return yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as wrong:
            mark = wrong.problem_mark or wrong.context_mark
            self.fault(mark.line + 1 if mark else 0, f"no YAML: {wrong.problem or wrong.context}")
        except (yaml.YAMLError, RecursionError) as wrong:
            self.fault(0, f"no YAML: {type(wrong).__name__}", "unprintable characters, or nested too deeply")
        return None

    def entries(self, node: yaml.Node, what: str) -> list[Entry]:
        """Of a mapping with free keys."""
        if not isinstance(node, yaml.MappingNode):
            self.fault(node, f"{what} must be a mapping (key: value)")
            return []
        found: dict[str, Entry] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.fault(key, f"a key of {what} must be a plain word")
            elif key.value in found:
                self.fault(key, f"{quote(key.value)} stands twice in {what}", "keep one of them")
            else:
                found[key.value] = Entry(key.value, line_of(key), value)
        return list(found.values())

    def fields(self, node: yaml.Node, what: str, known: Iterable[str]) -> dict[str, Entry]:
        """Of a mapping with fixed keys; unknown ones are faults."""
        names = list(known)
        found: dict[str, Entry] = {}
        for entry in self.entries(node, what):
            if entry.key in names:
                found[entry.key] = entry
            else:
                self.fault(entry.line, f"unknown key {quote(entry.key)} in {what}", meant(entry.key, names))
        return found

    def text(self, node: yaml.Node, what: str) -> str | None:
        """A scalar as it stands there; null is none."""
        if not isinstance(node, yaml.ScalarNode) or node.tag == NULL_TAG:
            self.fault(node, f"{what} must be a text")
            return None
        return str(node.value)

    def texts(self, node: yaml.Node, what: str) -> tuple[str, ...]:
        """A list of scalars, or one alone."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found = [self.text(each, what) for each in nodes]
        return tuple(each for each in found if each is not None)

    def boolean(self, node: yaml.Node, what: str) -> bool | None:
        word = node.value.lower() if isinstance(node, yaml.ScalarNode) and node.tag != TEXT_TAG else ""
        if word not in BOOLEANS:
            self.fault(node, f"{what} must be true or false")
        return BOOLEANS.get(word)

    def integer(self, node: yaml.Node, what: str, least: int, most: int) -> int | None:
        text = node.value if isinstance(node, yaml.ScalarNode) else ""
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
        if number is None or not least <= number <= most:
            self.fault(node, f"{what} must be a whole number from {least} to {most}")
            return None
        return number

    def choice(self, node: yaml.Node, what: str, choices: Sequence[Choice]) -> Choice | None:
        text = self.text(node, what)
        if text is None:
            return None
        for each in choices:
            if each == text:
                return each
        self.fault(node, f"{what} can't be {quote(text)}", meant(text, choices))
        return None

    def choices(self, node: yaml.Node, what: str, choices: Sequence[Choice]) -> tuple[Choice, ...]:
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found = [self.choice(each, what, choices) for each in nodes]
        return tuple(dict.fromkeys(each for each in found if each is not None))


def line_of(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def is_text(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode)


def is_mapping(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode)


def quote(word: str) -> str:
    """A word of the file in a fault: printable and short."""
    plain = "".join(c if c.isprintable() else "?" for c in word[:LONGEST_QUOTE])
    return f"'{plain}{'…' if len(word) > LONGEST_QUOTE else ''}'"


def meant(word: str, known: Sequence[str]) -> str:
    """'did you mean …?', or all that could be meant."""
    near = get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"one of: {', '.join(known)}" if known else ""
