"""`sql.shape` on any text, against libpg_query's scanner as the second opinion where that accepts the text."""

import re

import postgast
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import Refusal
from proxy.sql.shape import (
    DOLLAR,
    STRINGS,
    Shape,
    analysis_text,
    first_word,
    literal_at,
    literal_value,
    offset,
    pieces,
    position_at,
    shape,
)

WORDS = ["select", "a", "u", "U", "e", "E", "b", "B", "x", "X", "n", "N", "uescape", "UESCAPE", "_é", "a$b$c", "e1"]
MARKS = [*"'\"$/*-+.&;:()[]<>=~!@#^|`?%,\\ \t\n\r\f\v019_", "é", "漢", "😀"]
RUNS = ["--", "/*", "*/", "''", '""', "$$", "$a$", "$é$", "$1", "..", "::", "U&'", 'u&"', "E'", "\\'", "\\\\", "\n'"]
NUMBERS = ["1", "10", "007", "1.5", ".5", "1.", "1e3", "1E-3", "1e", "1e+", "0x1F", "0o7", "0b1", "1_000", "1__0", "0x"]
STRINGS_WRITTEN = [
    "'a'",
    "'it''s'",
    "'a'\n'b'",
    "'a' -- c\n 'b'",
    "E'\\''",
    "e'\\\\'",
    "U&'\\0061'",
    "U&'!0061' UESCAPE '!'",
    "u&'a' /* /* */ */ uescape E'!'",
    "N'a'",
    "B'01'",
    "x'1f'\n'00'",
    "$$a$$",
    "$a$ $$ $a$",
    '"a b"',
    "U&\"d!0061\" UESCAPE '!'",
    '"it""s"',
    "/* ' */",
    "/* /* ' */ */",
    "-- '\n",
]
TOKENS = st.sampled_from(WORDS + MARKS + RUNS + NUMBERS + STRINGS_WRITTEN)
TEXTS = st.lists(st.one_of(TOKENS, TOKENS.map(lambda t: t + " ")), max_size=14).map(lambda ts: "".join(ts).encode())
CALM = st.lists(st.sampled_from([*WORDS[:2], *NUMBERS[:9], *STRINGS_WRITTEN, *"+-*/&,()=;"]), max_size=10).map(
    lambda ts: " ".join(ts).encode()
)
ANYTHING = st.one_of(st.binary(max_size=60), TEXTS, CALM)
COMMENT_IN_STRING = re.compile(rb"'[ \t\f\v\n\r]*--[^\n\r]*[\n\r](?:[ \t\f\v\n\r]|--[^\n\r]*[\n\r])*'")
KEPT = {"SCONST", "USCONST", "BCONST", "XCONST", "ICONST", "FCONST"}


def scanned(text: bytes) -> list[tuple[str, int, int]] | None:
    """(kind, start, end) of each token, byte offsets; None if the server's lexer rejects the text.

    libpg_query keeps comments as tokens and so does not continue a string behind one; servers do (tests/integration/
    test_literals_against_server.py). Such texts have no oracle here.
    """
    if COMMENT_IN_STRING.search(text):
        return None
    try:
        tokens = postgast.scan(text.decode()).tokens
    except (postgast.PgQueryError, UnicodeDecodeError):
        return None
    names = postgast.pg_query_pb2.Token
    named = [(names.Name(t.token), t.start, t.end) for t in tokens]
    return [token for token in named if token[0] not in ("C_COMMENT", "SQL_COMMENT")]


def literals(tokens: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """The literals among them; a UESCAPE clause joins what stands before it (parser.c does that, not the scanner)."""
    found: list[tuple[str, int, int]] = []
    for i, (kind, start, end) in enumerate(tokens):
        clause = i >= 2 and tokens[i - 1][0] == "UESCAPE" and kind == "SCONST"
        if clause and tokens[i - 2][0] == "USCONST":
            found[-1] = (found[-1][0], found[-1][1], end)
        elif not (clause and tokens[i - 2][0] == "UIDENT") and kind in KEPT:
            found.append((kind, start, end))
    return found


@settings(max_examples=500, deadline=None)
@given(ANYTHING, st.booleans())
def test_total_and_nothing_lost(text: bytes, conforming: bool) -> None:
    cut = shape(text, conforming)
    assert b"".join(pieces(text, cut)) == text
    assert len(cut.starts) == len(cut.ends) == len(cut.kinds)
    gaps = pieces(text, cut)[::2]
    marks = [b"\0" + cut.kinds[i : i + 1] for i in range(len(cut.kinds))]
    assert cut.key == b"".join([part for pair in zip(gaps, [*marks, b""], strict=True) for part in pair])
    assert [offset(cut, (2 * i + 1, 0)) for i in range(len(cut.starts))] == list(cut.starts)
    assert first_word(text) in text.lower()


@settings(max_examples=1500, deadline=None)
@given(st.one_of(TEXTS, CALM))
def test_literals_are_those_of_the_scanner(text: bytes) -> None:
    cut = shape(text, True)
    tokens = scanned(text)
    if tokens is None:
        return
    if cut.fault:
        assert cut.fault.startswith("UESCAPE")  # the parser's complaint, not the scanner's
        return
    expected = literals(tokens)
    assert list(zip(cut.starts, cut.ends, strict=True)) == [(s, e) for _, s, e in expected]
    for index, (kind, _, _) in enumerate(expected):
        assert kind in KIND_NAMES[cut.kinds[index : index + 1]]


KIND_NAMES = {
    b"s": ("SCONST",),
    b"e": ("SCONST",),
    b"d": ("SCONST",),
    b"u": ("USCONST",),
    b"i": ("ICONST", "FCONST"),
    b"n": ("ICONST", "FCONST"),
    b"b": ("BCONST",),
    b"x": ("XCONST",),
}


@settings(max_examples=1500, deadline=None)
@given(st.one_of(TEXTS, CALM))
def test_a_fault_is_a_rejection(text: bytes) -> None:
    cut = shape(text, True)
    if cut.fault and not cut.fault.startswith("UESCAPE"):
        assert scanned(text) is None


@settings(max_examples=1500, deadline=None)
@given(st.one_of(TEXTS, CALM), st.booleans())
def test_the_analysis_text_has_the_same_tokens_around_placeholders(text: bytes, conforming: bool) -> None:
    cut = shape(text, conforming)
    if cut.fault or set(cut.starts) & set(cut.ends):  # literals that touch are a syntax error
        return
    analysis = analysis_text(text, cut)
    again = shape(analysis.text, True)
    assert again.kinds == cut.kinds.replace(b"u", b"e")
    assert pieces(analysis.text, again)[::2] == pieces(text, cut)[::2]
    assert (again.starts, again.ends) == (analysis.starts, analysis.ends)
    for index, start in enumerate(analysis.starts):
        assert literal_at(analysis, start) == index
        assert position_at(analysis, start) == (2 * index + 1, 0)
        if cut.kinds[index] in STRINGS:
            assert literal_value(analysis.text, again, index, True) == b"pgv%d" % index
    for at in range(len(analysis.text) + 1):
        if not any(s < at < e for s, e in zip(analysis.starts, analysis.ends, strict=True)):
            assert offset(again, position_at(analysis, at)) == at


@settings(max_examples=300, deadline=None)
@given(CALM, st.data())
def test_other_literals_same_key(text: bytes, data: st.DataObject) -> None:
    cut = shape(text, True)
    parts = pieces(text, cut)
    for index in range(len(cut.kinds)):
        if cut.kinds[index] in STRINGS and cut.kinds[index] != DOLLAR[0]:
            value = data.draw(st.text("ab'\" é\n-/*$", max_size=6)).replace("'", "''").encode()
            parts[2 * index + 1] = {b"s": b"'%s'", b"e": b"E'%s'", b"u": b"u&'%s'"}[
                cut.kinds[index : index + 1]
            ] % value
    other = b"".join(parts)
    assert not cut.fault and shape(other, True).key == cut.key


@settings(max_examples=500, deadline=None)
@given(ANYTHING, st.booleans())
def test_a_value_is_utf8_without_nul_or_a_refusal(text: bytes, conforming: bool) -> None:
    cut: Shape = shape(text, conforming)
    for index in range(len(cut.kinds)):
        try:
            value = literal_value(text, cut, index, conforming)
        except Refusal:
            continue
        if is_utf8(text):
            assert is_utf8(value) and b"\0" not in value


def is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
