"""Other ways to write a statement that leave its plan as it is, and trees of statements to compare.

Used on every corpus case. libpg_query's scanner cuts the tokens here: a second opinion beside `sql.shape`.
"""

from dataclasses import dataclass
from typing import Any

import postgast
from google.protobuf.json_format import MessageToDict

from proxy.sql.plan import Plan, render
from proxy.sql.shape import DOLLAR, ESCAPE, INTEGER, PLAIN, STRINGS, UNICODE, analysis_text, literal_at, pieces, shape

TOKEN = b"'01890a5d-ac96-8b00-8000-000000000000'"
_PLACES = ("location", "stmtlen", "liststart", "listend")
_COMMENTS = ("SQL_COMMENT", "C_COMMENT")


@dataclass(frozen=True)
class Token:
    """kind: as in gram.y. text: as written, or of the literal where `literal` is its index. spaced: blanks or comments
    stand before it."""

    kind: str
    text: bytes
    literal: int | None
    spaced: bool


def tokens(text: bytes, conforming: bool = True) -> list[Token]:
    """The tokens of a text that has no fault, comments left out."""
    cut = shape(text, conforming)
    parts = pieces(text, cut)
    analysis = analysis_text(text, cut)
    found: list[Token] = []
    end = 0
    for token in postgast.scan(analysis.text.decode()).tokens:
        kind = postgast.pg_query_pb2.Token.Name(token.token)
        if kind in _COMMENTS:
            continue
        index = literal_at(analysis, token.start)
        written = parts[2 * index + 1] if index is not None else analysis.text[token.start : token.end]
        found.append(Token(kind, written, index, token.start > end))
        end = token.end
    return found


def respelled(text: bytes, conforming: bool = True) -> bytes:
    """Words in the other case, comments and new lines for blanks."""
    blanks = (b"\n", b" /* 'x' /* ; */ */ ", b" -- it's\n\t", b"\r\n  ")
    parts: list[bytes] = []
    for i, token in enumerate(tokens(text, conforming)):
        if token.spaced and parts:
            # Two strings on two lines would be one.
            parts.append(b" /**/ " if token.kind == "SCONST" else blanks[i % len(blanks)])
        word = token.literal is None and not token.text.startswith((b'"', b"U&", b"u&"))
        parts.append(token.text.swapcase() if word else token.text)
    return b"".join(parts)


def canonical(text: bytes, conforming: bool = True) -> list[bytes]:
    """Tokens of a text, words in lower case: equal for texts that differ in blanks, comments and case only."""
    return [
        t.text.lower() if t.literal is None and not t.text.startswith((b'"', b"U&", b"u&")) else t.text
        for t in tokens(text, conforming)
    ]


def with_other_literals(text: bytes, conforming: bool, kept: tuple[int, ...]) -> bytes:
    """Another text of the same shape: other strings and whole numbers, but for the literals of `kept`."""
    cut = shape(text, conforming)
    parts = pieces(text, cut)
    for index in range(len(cut.kinds)):
        kind = cut.kinds[index : index + 1]
        if index not in kept and kind in STRINGS:
            parts[2 * index + 1] = {
                PLAIN: b"'it''s other'",
                ESCAPE: b"E'\\tother'",
                UNICODE: b"U&'\\0061' UESCAPE '\\'" if conforming else b"",
                DOLLAR: b"$q$it's $$ other$q$",
            }[kind]
        elif index not in kept and kind == INTEGER:
            parts[2 * index + 1] = b"%d" % (7919 + index)
    return b"".join(parts)


def with_parameters(text: bytes, plan: Plan, conforming: bool) -> bytes | None:
    """The text with a parameter for each literal that is an input; None if an input is not just a literal."""
    cut = shape(text, conforming)
    parts = pieces(text, cut)
    for number, value in enumerate(plan.inputs, 1):
        alone = [e for e in plan.edits if e.input == number - 1]
        if value.literal is None or value.casts or value.negative or cut.kinds[value.literal] not in STRINGS:
            return None
        if (
            len(alone) != 1
            or alone[0].start != (2 * value.literal + 1, 0)
            or alone[0].end != (2 * value.literal + 2, 0)
        ):
            return None
        # A blank keeps it from running into a word before it.
        parts[2 * value.literal + 1] = b" $%d " % number
    return b"".join(parts)


def spliced(text: bytes, plan: Plan, conforming: bool) -> bytes:
    """What the server gets, with one token for all values."""
    return render(plan, text, shape(text, conforming), [TOKEN] * len(plan.inputs)).text


def tree(text: bytes, conforming: bool = True) -> Any:
    """libpg_query's tree without places and without what constants say. Raises postgast.PgQueryError."""
    result = postgast.parse(analysis_text(text, shape(text, conforming)).text.decode())
    return _bare(MessageToDict(result)["stmts"])


def _bare(node: Any) -> Any:
    if isinstance(node, list):
        return [_bare(item) for item in node]
    if isinstance(node, dict):
        kept = {k: v for k, v in node.items() if not k.replace("_", "").lower().endswith(_PLACES)}
        return {k: "constant" if k in ("aConst", "A_Const") else _bare(v) for k, v in kept.items()}
    if isinstance(node, str) and node.startswith("pgv") and node[3:].isdigit():
        return "constant"
    return node
