"""A statement with its literals lifted out: PostgreSQL's lexer, as far as literals go, in one pass.

Cuts a text into gap0 literal0 gap1 literal1 … gapN. Not a tokenizer: a gap (words, operators, comments, quoted
identifiers, parameters) is never looked into. Follows src/backend/parser/scan.l of PostgreSQL 15 to 18, whose lexers
differ only in what they reject (16 added \\v as a blank, `0x1F` and `1_000`).

Invariants: total on any bytes; pieces join to the text; equal keys mean equal gaps and equal kinds of literals; what
the server's lexer would not get through has a `fault`. All text is UTF-8 (`session` transcodes); offsets are bytes.
"""

import hashlib
import re
from typing import Final, final

from proxy.sql import literals
from proxy.sql.literals import GO_ON

Position = tuple[int, int]

# Kinds of literals, one byte each: they stand in the key.
PLAIN: Final = b"s"  # '…', backslashes mean something when standard_conforming_strings is off
ESCAPE: Final = b"e"  # E'…'
UNICODE: Final = b"u"  # U&'…', with its UESCAPE clause
DOLLAR: Final = b"d"  # $tag$…$tag$
INTEGER: Final = b"i"  # decimal digits without a leading zero
NUMBER: Final = b"n"  # any other number: 1.5, 1e3, 0x1F, 1_000, 007
BITS: Final = b"b"  # B'…'
HEX: Final = b"x"  # X'…'
STRINGS: Final = PLAIN + ESCAPE + UNICODE + DOLLAR
NUMBERS: Final = INTEGER + NUMBER


@final
class Shape:
    """key: gaps, joined by NUL and the kind of the literal between. starts, ends: byte offsets of each literal.

    kinds: one byte a literal (see the constants). fault: why the server's lexer would reject the text ('' if it would
    not); the literals before the fault are there, the rest is the last gap.
    """

    __slots__ = ("ends", "fault", "key", "kinds", "starts")

    def __init__(self, key: bytes, starts: tuple[int, ...], ends: tuple[int, ...], kinds: bytes, fault: str) -> None:
        self.key = key
        self.starts = starts
        self.ends = ends
        self.kinds = kinds
        self.fault = fault

    def __repr__(self) -> str:
        return f"Shape({fingerprint(self.key)}, {len(self.starts)} literals)"


@final
class Analysis:
    """The text as a parser shall see it: a placeholder in each string's place (`analysis_text`).

    starts, ends: byte offsets of each literal of the shape in `text`.
    """

    __slots__ = ("ends", "starts", "text")

    def __init__(self, text: bytes, starts: tuple[int, ...], ends: tuple[int, ...]) -> None:
        self.text = text
        self.starts = starts
        self.ends = ends


# ---- the pattern ---------------------------------------------------------------------------------------------------
# Possessive throughout: flex does not back up either, and no text can make it slow. One match takes everything up to
# the next literal, then the literal in one of the groups; no group: the end, or something that has no end.

_LETTER: Final = rb"A-Za-z_\x80-\xff"
_BLANK: Final = rb" \t\n\r\f\v"
_STANDARD: Final = rb"'(?:[^']++|''|" + GO_ON + rb")*+'"
_BACKSLASHED: Final = rb"'(?:[^'\\]++|\\.|''|" + GO_ON + rb")*+'"
_BITS: Final = rb"'(?:[^']++|" + GO_ON + rb")*+'"
_TAG: Final = rb"\$(?:[" + _LETTER + rb"][" + _LETTER + rb"0-9]*+)?\$"
_COMMENT: Final = rb"/\*(?:[^*/]++|\*(?!/)|/(?!\*))*+\*/"  # without a comment in it
_DIGITS: Final = rb"[0-9](?:_?[0-9])*+"
_SKIP: Final = (
    rb"(?:[^'\"$/\-.0-9A-Za-z_\x80-\xff\x00]++"
    rb"|(?:[ac-df-tv-wyzACDF-TVWYZ_\x80-\xff]|[bBeExX](?!')|[uU](?!&['\"]))[A-Za-z_\x80-\xff0-9$]*+"
    rb"|\"[^\"]*+\"|\.\.|\.(?![0-9])|--[^\n\r]*+|-|/(?!\*)|" + _COMMENT + rb"|\$[0-9]++|\$(?!\$|[" + _LETTER + rb"])"
    rb"|\$(?!" + _TAG[2:] + rb"))*+"
)
_NUMBER: Final = (
    rb"0[xX](?:_?[0-9A-Fa-f])++|0[oO](?:_?[0-7])++|0[bB](?:_?[01])++"
    rb"|(?:" + _DIGITS + rb"(?:\.(?!\.)(?:" + _DIGITS + rb")?)?|\." + _DIGITS + rb")(?:[eE][-+]?" + _DIGITS + rb")?"
)


def _pattern(quoted: bytes) -> re.Pattern[bytes]:
    groups = (
        quoted,
        rb"(?:0|[1-9][0-9]*+)(?![0-9A-Za-z_.\x80-\xff])",
        _NUMBER,
        rb"[eE]" + _BACKSLASHED,
        rb"[bB]" + _BITS,
        rb"[xX]" + _BITS,
        rb"[uU]&" + _STANDARD,
        _TAG,
        rb"[uU]&\"[^\"]*+(?:\"\"[^\"]*+)*+\"",
        rb"/\*",
    )
    return re.compile(_SKIP + b"(?:" + b"|".join([b"(" + g + b")" for g in groups]) + b")?", re.DOTALL)


_CONFORMING: Final = _pattern(_STANDARD)
_TRADITIONAL: Final = _pattern(_BACKSLASHED)
_KINDS: Final = (b"", PLAIN, INTEGER, NUMBER, ESCAPE, BITS, HEX, UNICODE, DOLLAR)
_LAST_SIMPLE: Final = 6
_UNICODE_GROUP: Final = 7
_DOLLAR_GROUP: Final = 8
_NAME_GROUP: Final = 9
_MARKS: Final = tuple([b"\0" + kind for kind in _KINDS])

_UNTERMINATED: Final = "unterminated quoted string"
_UNTERMINATED_DOLLAR: Final = "unterminated dollar-quoted string"
_UNTERMINATED_COMMENT: Final = "unterminated /* comment"
_UNSAFE: Final = "unsafe use of string constant with Unicode escapes"
_UESCAPE: Final = "UESCAPE must be followed by a simple string literal"
_FAULTS: Final = {
    b"'": _UNTERMINATED,
    b"e": _UNTERMINATED,
    b"u": _UNTERMINATED,
    b'"': "unterminated quoted identifier",
    b"b": "unterminated bit string literal",
    b"x": "unterminated hexadecimal string literal",
    b"\0": "a NUL byte in the statement",
}


def shape(text: bytes, standard_conforming_strings: bool) -> Shape:
    """Cut `text`. Never raises; see Shape.fault."""
    match = (_CONFORMING if standard_conforming_strings else _TRADITIONAL).match
    starts: list[int] = []
    ends: list[int] = []
    parts: list[bytes] = []
    kinds: list[bytes] = []
    fault = ""
    position = gap = 0
    while True:
        found = match(text, position)
        assert found is not None  # everything in the pattern is optional
        group = found.lastindex
        if group is None:
            position = found.end()
            if position < len(text):
                fault = _FAULTS.get(text[position : position + 1].lower(), _UNTERMINATED)
            break
        start, position = found.span(group)
        if group > _LAST_SIMPLE:
            position, fault = _rest(text, group, start, position, standard_conforming_strings)
            if fault:
                break
            if group > _DOLLAR_GROUP:
                continue
        starts.append(start)
        ends.append(position)
        kinds.append(_KINDS[group])
        parts.append(text[gap:start])
        parts.append(_MARKS[group])
        gap = position
    parts.append(text[gap:])
    return Shape(b"".join(parts), tuple(starts), tuple(ends), b"".join(kinds), fault)


def _rest(text: bytes, group: int, start: int, end: int, conforming: bool) -> tuple[int, str]:
    """End of what one pattern cannot say, and the fault if it has none."""
    if group == _DOLLAR_GROUP:
        close = text.find(text[start:end], end)
        return (end, _UNTERMINATED_DOLLAR) if close < 0 else (close + end - start, "")
    if group in (_UNICODE_GROUP, _NAME_GROUP):
        if group == _UNICODE_GROUP and not conforming:
            return end, _UNSAFE
        clause = _uescape(text, end, conforming)
        return (end, _UESCAPE) if clause is None else (clause[1], "")
    close = _comment_end(text, start)
    return (end, _UNTERMINATED_COMMENT) if close < 0 else (close, "")


_COMMENT_MARK: Final = re.compile(rb"/\*|\*/")


def _comment_end(text: bytes, start: int) -> int:
    """Offset behind the comment that opens at `start`, nested ones included; -1 if it is not closed."""
    depth = 0
    for mark in _COMMENT_MARK.finditer(text, start):
        depth += 1 if mark.group() == b"/*" else -1
        if depth == 0:
            return mark.end()
    return -1


_BLANKS: Final = re.compile(rb"(?:[" + _BLANK + rb"]|--[^\n\r]*+|" + _COMMENT + rb")*+")


def _blank_end(text: bytes, start: int) -> int:
    """Offset of the first byte from `start` on that is no white space and no comment."""
    while True:
        found = _BLANKS.match(text, start)
        assert found is not None
        start = found.end()
        if text[start : start + 2] != b"/*":
            return start
        close = _comment_end(text, start)
        if close < 0:
            return start
        start = close


_UESCAPE_WORD: Final = re.compile(rb"[uU][eE][sS][cC][aA][pP][eE](?![" + _LETTER + rb"0-9$])")
_SIMPLE_STRING: Final = re.compile(rb"(" + _STANDARD + rb")|([eE]" + _BACKSLASHED + rb")|(" + _TAG + rb")", re.DOTALL)
_SIMPLE_TRADITIONAL: Final = re.compile(
    rb"(" + _BACKSLASHED + rb")|([eE]" + _BACKSLASHED + rb")|(" + _TAG + rb")", re.DOTALL
)


def _uescape(text: bytes, end: int, conforming: bool) -> tuple[int, int] | None:
    """Where the string of a UESCAPE clause behind `end` starts and ends; (end, end) if there is no clause, None if
    something else than a string follows the word. parser.c base_yylex: any one simple string will do."""
    word = _UESCAPE_WORD.match(text, _blank_end(text, end))
    if word is None:
        return end, end
    start = _blank_end(text, word.end())
    found = (_SIMPLE_STRING if conforming else _SIMPLE_TRADITIONAL).match(text, start)
    if found is None:
        return None
    if found.lastindex != 3:
        return start, found.end()
    close = text.find(found.group(), found.end())
    return None if close < 0 else (start, close + found.end() - start)


# ---- values --------------------------------------------------------------------------------------------------------


def literal_value(
    text: bytes, cut: Shape, index: int, standard_conforming_strings: bool, byte_escapes: bool = True
) -> bytes:
    """What literal `index` means: a string's value, a number as its type writes it (0x1F is 31), bits as 0 and 1.

    byte_escapes: see literals.backslashed; False where the server's encoding is not UTF8. Raises Refusal for what the
    server would reject, with its SQLSTATE and no value in it.
    """
    start, end, kind = cut.starts[index], cut.ends[index], cut.kinds[index : index + 1]
    if kind in NUMBERS:
        return literals.number(text[start:end])
    if kind == UNICODE:
        return _unicode_value(text, start, standard_conforming_strings)
    if kind in (BITS, HEX):
        return literals.bits(text[start + 2 : end - 1], 2 if kind == BITS else 16)
    return _simple_value(text[start:end], kind, standard_conforming_strings, byte_escapes)


def _simple_value(written: bytes, kind: bytes, conforming: bool, byte_escapes: bool) -> bytes:
    if kind == DOLLAR:
        tag = written.index(b"$", 1) + 1
        return written[tag:-tag]
    if kind == ESCAPE:
        return literals.backslashed(written[2:-1], byte_escapes)
    if conforming:
        return literals.standard(written[1:-1])
    return literals.backslashed(written[1:-1], byte_escapes)


_UNICODE_STRING: Final = re.compile(rb"..(" + _STANDARD + rb")", re.DOTALL)


def _unicode_value(text: bytes, start: int, conforming: bool) -> bytes:
    found = _UNICODE_STRING.match(text, start)
    assert found is not None  # it was cut here
    clause = _uescape(text, found.end(), conforming)
    assert clause is not None
    escape = b"\\"
    if clause[0] != clause[1]:
        written = text[clause[0] : clause[1]]
        escape = _simple_value(written, {b"$": DOLLAR, b"'": PLAIN}.get(written[:1], ESCAPE), conforming, True)
    return literals.unicode(found.group(1)[1:-1], escape)


# ---- positions -----------------------------------------------------------------------------------------------------


def offset(cut: Shape, position: Position) -> int:
    """Byte offset in the text of a position in its shape (piece 2k: gap k, piece 2k+1: literal k)."""
    piece, within = position
    index = piece >> 1
    if piece & 1:
        return cut.starts[index] + within
    return (cut.ends[index - 1] if index else 0) + within


def pieces(text: bytes, cut: Shape) -> list[bytes]:
    """gap0, literal0, gap1 … gapN; joined they are the text."""
    result: list[bytes] = []
    gap = 0
    for start, end in zip(cut.starts, cut.ends, strict=True):
        result.append(text[gap:start])
        result.append(text[start:end])
        gap = end
    result.append(text[gap:])
    return result


def analysis_text(text: bytes, cut: Shape) -> Analysis:
    """The text for a parser: string k reads `pgvk`, a string of the same kind; numbers and bits stay.

    No value is in it, and no backslash: it means the same whatever standard_conforming_strings is. The kind is kept
    because E'a' below a line that ends in 'b' is a syntax error where 'a' would continue it; only U&'…' becomes E'…'
    lest a name `uescape` behind it be taken for a clause. Only for texts without a fault.
    """
    parts: list[bytes] = []
    starts: list[int] = []
    ends: list[int] = []
    gap = length = 0
    for index, start in enumerate(cut.starts):
        end = cut.ends[index]
        literal = _placeholder(cut.kinds[index], index) or text[start:end]
        length += start - gap
        starts.append(length)
        length += len(literal)
        ends.append(length)
        parts.append(text[gap:start])
        parts.append(literal)
        gap = end
    parts.append(text[gap:])
    return Analysis(b"".join(parts), tuple(starts), tuple(ends))


def _placeholder(kind: int, index: int) -> bytes:
    if kind == PLAIN[0]:
        return b"'pgv%d'" % index
    if kind in (ESCAPE[0], UNICODE[0]):
        return b"E'pgv%d'" % index
    if kind == DOLLAR[0]:
        return b"$$pgv%d$$" % index
    return b""


def position_at(analysis: Analysis, at: int) -> Position:
    """Position of a byte offset in the analysis text. An offset inside a literal is an error of the caller.

    The end of literal k is the start of gap k+1: (2k+2, 0). Where two literals touch, so is the start of the second.
    """
    index = literal_from(analysis, at)
    if index < len(analysis.starts) and analysis.starts[index] == at:
        return 2 * index + 1, 0
    start = analysis.ends[index - 1] if index else 0
    if index < len(analysis.starts) and at > analysis.starts[index]:
        raise ValueError("the offset lies inside a literal")
    return 2 * index, at - start


def literal_from(analysis: Analysis, at: int) -> int:
    """Index of the first literal that ends behind byte offset `at` of the analysis text."""
    low, high = 0, len(analysis.ends)
    while low < high:
        middle = (low + high) >> 1
        if analysis.ends[middle] <= at:
            low = middle + 1
        else:
            high = middle
    return low


def literal_at(analysis: Analysis, at: int) -> int | None:
    """Index of the literal that starts at byte offset `at` of the analysis text."""
    index = literal_from(analysis, at)
    return index if index < len(analysis.starts) and analysis.starts[index] == at else None


# ---- cheap looks at a text -----------------------------------------------------------------------------------------

_WORD: Final = re.compile(rb"[" + _LETTER + rb"][" + _LETTER + rb"0-9$]*+")


def first_word(text: bytes) -> bytes:
    """The first word, ASCII lower case, after blanks, comments and empty statements; b'' if something else stands
    there ("(SELECT …)", a quoted name, nothing)."""
    found = _WORD.match(text, _statement_start(text))
    return found.group().lower() if found is not None else b""


def _statement_start(text: bytes) -> int:
    start = _blank_end(text, 0)
    while text[start : start + 1] == b";":
        start = _blank_end(text, start + 1)
    return start


def fingerprint(key: bytes) -> str:
    """16 hex digits for logs and audit rows; no literal goes into it."""
    return hashlib.blake2b(key, digest_size=8).hexdigest()
