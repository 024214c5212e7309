"""PostgreSQL's own grammar (libpg_query): a text's statements as a tree of nodes. The only door to the library.

Not a reading of the tree: `sql.scopes` and the modules above it say what names mean. Takes the analysis text of
`sql.shape`, in which no value stands.

Invariants: never runs the C stack over (left-recursive chains are counted first: libpg_query's tree writer has no
depth check, 200,000 chained operators crash it); too deep a tree raises RecursionError, as any Python recursion does.
"""

import json
import re
from collections.abc import Iterator
from typing import Final, final

from postgast.native import lib

from proxy.errors import Refusal

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None

# A link in a chain takes some 250 bytes of C stack: 8,000 links stay below 2 MB, a small thread's stack.
MAX_CHAIN: Final = 8_000
# `<<` and `==` are operators that chain, as OPERATOR(pg_catalog.=) is; <, =, <= and <> do not (gram.y, %nonassoc).
_CHAINED: Final = re.compile(
    rb"[-+*/%^|&~!@#?`\[]|::|(?<![<>=])(?!(?:<=|>=|<>|=>)(?![<>=]))[<>=]{2,}"
    rb"|\b(?:join|union|except|intersect|not|is|collate|at|isnull|notnull|escape|operator)\b",
    re.IGNORECASE,
)
_OUTSIDE: Final = re.compile(rb"\"[^\"]*+\"|'[^']*+'|\$\$[^$]*+\$\$|--[^\n\r]*+|/\*")
_COMMENT_MARK: Final = re.compile(rb"/\*|\*/")
_QUOTED: Final = re.compile(r'"(.*)"', re.DOTALL)


@final
class Node:
    """One node of the tree. kind: its struct's name ('SelectStmt'). Fields with default values are absent."""

    __slots__ = ("fields", "kind")

    def __init__(self, kind: str, fields: dict[str, Json]) -> None:
        self.kind = kind
        self.fields = fields

    def node(self, name: str) -> "Node | None":
        """A field of any node type."""
        return wrapped(self.fields.get(name))

    def part(self, name: str, kind: str) -> "Node | None":
        """A field of one node type."""
        value = self.fields.get(name)
        return Node(kind, value) if isinstance(value, dict) else None

    def nodes(self, name: str) -> "list[Node]":
        """A list of nodes; empty places in it are left out."""
        value = self.fields.get(name)
        if not isinstance(value, list):
            return []
        return [node for node in map(wrapped, value) if node is not None]

    def text(self, name: str) -> str:
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> int:
        value = self.fields.get(name)
        return value if isinstance(value, int) else 0

    def flag(self, name: str) -> bool:
        return self.fields.get(name) is True

    @property
    def location(self) -> int:
        """Byte offset in the parsed text; 0 if it stands at the start, -1 if unknown."""
        return self.number("location")

    def strings(self, name: str) -> list[str]:
        """A list of String nodes, as a qualified name is one."""
        return [node.text("sval") for node in self.nodes(name) if node.kind == "String"]

    def __repr__(self) -> str:
        return f"Node({self.kind})"


def wrapped(value: Json) -> Node | None:
    """The node in {"Kind": {…}}, or None."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    ((kind, fields),) = value.items()
    return Node(kind, fields) if isinstance(fields, dict) else None


@final
class Statement:
    """One statement of a text. start, end: byte offsets of its text, without the ';'."""

    __slots__ = ("end", "node", "start")

    def __init__(self, node: Node, start: int, end: int) -> None:
        self.node = node
        self.start = start
        self.end = end


def parse(text: bytes) -> list[Statement]:
    """The statements of `text` (UTF-8, without values). Raises Refusal('syntax') with the grammar's own words,
    Refusal('statement-too-large'), RecursionError."""
    if b"\0" in text:
        raise Refusal("syntax", "a NUL byte in the statement")
    if len(text) > MAX_CHAIN and sum(1 for _ in _CHAINED.finditer(text)) > MAX_CHAIN:
        raise Refusal(
            "statement-too-large",
            f"a statement on protected tables has more than {MAX_CHAIN} chained operators",
            "Split it, or use parameters and arrays.",
        )
    tree = json.loads(_tree(without_comments(text)))
    return [_statement(Node("RawStmt", raw), len(text)) for raw in tree.get("stmts", [])]


def without_comments(text: bytes) -> bytes:
    """The same text with blanks in the comments' place; every other byte stays where it is.

    libpg_query's lexer hands comments to the parser as tokens, and the words that decide by what follows them (NOT,
    NULLS, WITH) then see the comment: it rejects `a NOT /* c */ IN (1)`, which every server takes.
    """
    if b"--" not in text and b"/*" not in text:
        return text
    parts: list[bytes] = []
    kept = at = 0
    while (found := _OUTSIDE.search(text, at)) is not None:
        at = found.end()
        if found.group()[:1] not in (b"-", b"/"):
            continue
        if found.group() == b"/*":
            at = _comment_end(text, found.start())
        parts += (text[kept : found.start()], b" " * (at - found.start()))
        kept = at
    parts.append(text[kept:])
    return b"".join(parts)


def _comment_end(text: bytes, start: int) -> int:
    depth = 0
    for mark in _COMMENT_MARK.finditer(text, start):
        depth += 1 if mark.group() == b"/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


def _statement(raw: Node, size: int) -> Statement:
    node, start, length = raw.node("stmt"), raw.number("stmt_location"), raw.number("stmt_len")
    assert node is not None  # a RawStmt is one statement
    return Statement(node, start, start + length if length else size)


def _tree(text: bytes) -> bytes:
    result = lib.pg_query_parse(text)
    try:
        if result.error:
            error = result.error.contents
            raise _syntax(error.message or b"", error.cursorpos)
        tree: bytes = result.parse_tree
        return tree
    finally:
        lib.pg_query_free_parse_result(result)


def _syntax(message: bytes, cursor: int) -> Refusal:
    """The server's own words; a placeholder that they quote is called a literal."""
    words = message.decode("utf-8", "replace")
    quoted = _QUOTED.search(words)
    if quoted is not None and quoted.group(1).lstrip("EUeu&'$").startswith("pgv"):
        words = words[: quoted.start()] + "a literal" + words[quoted.end() :]
    return Refusal("syntax", words, position=max(cursor, 0))  # in characters: scanner_errposition


def walk(root: Node) -> Iterator[Node]:
    """All nodes below and including `root`, in no order; also those in fields of one type, whose kind is ''."""
    stack: list[Json] = [{root.kind: root.fields}]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack += value
        elif isinstance(value, dict):
            for kind, fields in value.items():
                if isinstance(fields, dict):
                    yield Node(kind, fields)
                    stack.append(fields)
                elif isinstance(fields, list):
                    stack += fields
