"""How a text is cut: one example a rule of scan.l. The property test compares with a real scanner on many more."""

import pytest

from proxy.errors import Refusal
from proxy.sql.shape import (
    analysis_text,
    fingerprint,
    first_word,
    literal_at,
    literal_from,
    literal_value,
    offset,
    pieces,
    position_at,
    shape,
)


def lifted(text: str, conforming: bool = True) -> list[str]:
    cut = shape(text.encode(), conforming)
    assert cut.fault == ""
    return [f"{chr(k)}:{p.decode()}" for k, p in zip(cut.kinds, pieces(text.encode(), cut)[1::2], strict=True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("select 'a', E'b', 1", ["s:'a'", "e:E'b'", "i:1"]),
        ("'it''s'", ["s:'it''s'"]),
        ("'a\\'", ["s:'a\\'"]),
        ("'a'\n'b'", ["s:'a'\n'b'"]),
        ("'a' \t -- x 'y'\n -- z\r'b'", ["s:'a' \t -- x 'y'\n -- z\r'b'"]),
        ("'a' 'b'", ["s:'a'", "s:'b'"]),
        ("'a' /* \n */ 'b'", ["s:'a'", "s:'b'"]),
        ("'a'\nE'b'", ["s:'a'", "e:E'b'"]),
        ("e'\\''", ["e:e'\\''"]),
        ("E'a'\n'\\''", ["e:E'a'\n'\\''"]),
        ("N'a'", ["s:'a'"]),
        ("like'a'", ["s:'a'"]),
        ("B'01' x'1f'\n'0'", ["b:B'01'", "x:x'1f'\n'0'"]),
        ("U&'d\\0061'", ["u:U&'d\\0061'"]),
        ("u&'d!0061' UESCAPE '!', 'x'", ["u:u&'d!0061' UESCAPE '!'", "s:'x'"]),
        ("u&'a' -- c\n /* /* */ */ uEscape E'!'", ["u:u&'a' -- c\n /* /* */ */ uEscape E'!'"]),
        ("U&'a' uescape $x$!$x$", ["u:U&'a' uescape $x$!$x$"]),
        ("U&'a' uescapes", ["u:U&'a'"]),
        ("U&\"d!0061\" UESCAPE '!' = 'x'", ["s:'x'"]),
        ("u & 'a'", ["s:'a'"]),
        ("u&$$a$$", ["d:$$a$$"]),
        ("$$a'b$$ $t$ $$ $s$ $t$", ["d:$$a'b$$", "d:$t$ $$ $s$ $t$"]),
        ("$é$a$é$", ["d:$é$a$é$"]),
        ("a$b$c, d$$e", []),
        ("$1, $23 = $1$$a$$", ["d:$$a$$"]),
        ("$abc", []),
        ("$1a 'x'", ["s:'x'"]),
        ('"a\'b" "it""s" \'x\'', ["s:'x'"]),
        ("a -- 'b'\n 'c'", ["s:'c'"]),
        ("a /* 'b' /* 'c' */ 'd' */ 'e'", ["s:'e'"]),
        ("+--'a'\n- 1", ["i:1"]),
        ("1*/*'a'*/2", ["i:1", "i:2"]),
        ("/*/ */ 1 */", ["i:1"]),
        ("/***/ 1 /**/ 2", ["i:1", "i:2"]),
        ("0 12 007", ["i:0", "i:12", "n:007"]),
        ("1.5 .5 1. 1e3 1.5E-3 .1e+1", ["n:1.5", "n:.5", "n:1.", "n:1e3", "n:1.5E-3", "n:.1e+1"]),
        ("0x1F 0O17 0b1 1_000 1_0.0_1", ["n:0x1F", "n:0O17", "n:0b1", "n:1_000", "n:1_0.0_1"]),
        ("1..10", ["n:1", "i:10"]),
        ("a[1:2]", ["i:1", "i:2"]),
        ("t.a, a.1, a1, é1, _1", ["n:.1"]),
        ("-1 - -2", ["i:1", "i:2"]),
        ("'1'::int", ["s:'1'"]),
        ("1e", ["n:1"]),
    ],
)
def test_literals(text: str, expected: list[str]) -> None:
    assert lifted(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"'it\'s'", [r"s:'it\'s'"]),
        ("'a\\\\'", ["s:'a\\\\'"]),
        (r"$$a\$$ 'b'", ["d:$$a\\$$", "s:'b'"]),
        ("\"a\\\" 'b'", ["s:'b'"]),
        (r"""U&"a" uescape '\'' 1""", ["i:1"]),
    ],
)
def test_literals_without_standard_conforming_strings(text: str, expected: list[str]) -> None:
    assert lifted(text, conforming=False) == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("select 'a", "unterminated quoted string"),
        ("'a''", "unterminated quoted string"),
        ("E'a\\'", "unterminated quoted string"),
        ("U&'a", "unterminated quoted string"),
        ('"a""', "unterminated quoted identifier"),
        ("b'0", "unterminated bit string literal"),
        ("X'0", "unterminated hexadecimal string literal"),
        ("$a$ $a", "unterminated dollar-quoted string"),
        ("/* /* */", "unterminated /* comment"),
        ("U&'a' UESCAPE 1", "UESCAPE must be followed by a simple string literal"),
        ("U&'a' UESCAPE U&'!'", "UESCAPE must be followed by a simple string literal"),
        ("U&'a' UESCAPE $$!", "UESCAPE must be followed by a simple string literal"),
        ("U&'a' UESCAPE /* '!'", "UESCAPE must be followed by a simple string literal"),
        ('U&"a" UESCAPE', "UESCAPE must be followed by a simple string literal"),
        ("select 1\0", "a NUL byte in the statement"),
    ],
)
def test_faults(text: str, fault: str) -> None:
    cut = shape(text.encode(), True)
    assert cut.fault == fault
    assert b"".join(pieces(text.encode(), cut)) == text.encode()


def test_a_continuation_that_is_not_closed_is_a_fault() -> None:
    assert shape(b"'a'\n'b", True).fault == "unterminated quoted string"


def test_unicode_strings_are_a_fault_without_standard_conforming_strings() -> None:
    assert shape(b"select U&'a'", False).fault == "unsafe use of string constant with Unicode escapes"
    assert shape(b'select U&"a"', False).fault == ""


def test_key_joins_gaps_with_kinds() -> None:
    assert shape(b"select 'a', 1.5 from t", True).key == b"select \0s, \0n from t"
    assert shape(b"select 'b', 2.5 from t", True).key == shape(b"select 'a', 1.5 from t", True).key
    assert shape(b"select 'b', 2 from t", True).key != shape(b"select 'a', 1.5 from t", True).key


def test_repr_has_no_value() -> None:
    assert "secret" not in repr(shape(b"select 'secret'", True))


def test_fingerprint_is_of_the_key() -> None:
    assert fingerprint(shape(b"select 'a'", True).key) == fingerprint(shape(b"select 'b'", True).key)
    assert len(fingerprint(b"")) == 16


TEXT = b"a = 'long value' or b = E'x\\n' and c = 1.5 -- d"


def test_positions_hold_for_every_text_of_a_shape() -> None:
    cut, other = shape(TEXT, True), shape(b"a = '' or b = E'' and c = .5 -- d", True)
    assert cut.key == other.key
    assert TEXT[offset(cut, (4, 5)) :].startswith(b"c = 1.5")
    assert offset(other, (4, 5)) == 22
    assert (offset(cut, (0, 2)), offset(cut, (1, 0)), offset(cut, (2, 0))) == (2, 4, 16)


def test_analysis_text() -> None:
    text = b"'v' U&'v' uescape '!' $t$v$t$ E'v' B'1' 2"
    analysis = analysis_text(text, shape(text, True))
    assert analysis.text == b"'pgv0' E'pgv1' $$pgv2$$ E'pgv3' B'1' 2"
    assert [analysis.text[s:e] for s, e in zip(analysis.starts, analysis.ends, strict=True)] == analysis.text.split()


def test_position_of_an_analysis_offset() -> None:
    cut = shape(TEXT, True)
    analysis = analysis_text(TEXT, cut)
    at = analysis.text.index(b"c = ")
    assert position_at(analysis, at) == (4, 5)
    assert offset(cut, position_at(analysis, at)) == TEXT.index(b"c = ")
    assert position_at(analysis, 0) == (0, 0)
    assert position_at(analysis, 4) == (1, 0)
    assert position_at(analysis, analysis.ends[0]) == (2, 0)
    assert position_at(analysis, len(analysis.text)) == (6, 5)
    assert (literal_at(analysis, 4), literal_at(analysis, 5), literal_at(analysis, 999)) == (0, None, None)
    assert (literal_from(analysis, 0), literal_from(analysis, 999)) == (0, 3)
    with pytest.raises(ValueError, match="inside"):
        position_at(analysis, 5)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (b"", b""),
        (b" ; ;; ", b""),
        (b"-- a\n/* b /* c */ */ ; SELECT 1;\n", b"select"),
        (b"/* a", b""),
        (b"/* a /* b */", b""),
        (b"(select 1)", b""),
        (b"Set x = 1 ; ", b"set"),
        (b"begin; commit", b"begin"),
        ("é1$ a".encode(), "é1$".encode()),
    ],
)
def test_the_first_word(text: bytes, word: bytes) -> None:
    assert first_word(text) == word


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'it''s'", "it's"),
        ("'a' -- b\n'c'", "ac"),
        ("E'\\x41\\u00e9\\n'", "Aé\n"),
        ("U&'d!0061!!' uescape '!'", "da!"),
        ("U&'d!0061' uescape E'\\x21'", "da"),
        ("U&'d!0061' uescape $$!$$", "da"),
        ("U&'d\\0061'", "da"),
        ("$t$a'$t$", "a'"),
        ("b'01'", "01"),
        ("x'1F'", "00011111"),
        ("0x1F", "31"),
        ("12", "12"),
    ],
)
def test_values(text: str, value: str) -> None:
    written = text.encode()
    assert literal_value(written, shape(written, True), 0, True) == value.encode()


def test_values_without_standard_conforming_strings() -> None:
    text = rb"'it\'s', $$\'$$"
    cut = shape(text, False)
    assert [literal_value(text, cut, i, False) for i in (0, 1)] == [b"it's", b"\\'"]


def test_byte_escapes_mean_something_else_in_other_server_encodings() -> None:
    text = rb"E'\xc3\xa9'"
    assert literal_value(text, shape(text, True), 0, True) == "é".encode()
    with pytest.raises(Refusal) as caught:
        literal_value(text, shape(text, True), 0, True, byte_escapes=False)
    assert caught.value.code == "unsupported-encoding"


def test_ten_megabytes_in_one_pass() -> None:
    text = b"select " + b"a + /* x */ b, " * 300_000 + b"'" + b"it''s\n" * 900_000 + b"'"
    cut = shape(text, True)
    assert (cut.fault, len(cut.starts), cut.ends[0]) == ("", 1, len(text))
