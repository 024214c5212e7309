"""What the literals of a statement mean: the value a server makes of each way to write one.

Works on the written text between the quotes, as `sql.shape` cut it; knows no statement. Follows scan.l (escapes,
doubled quotes, continued strings), parser.c (U&, UESCAPE), numeric.c and varbit.c of PostgreSQL 15 to 18. UTF-8 in,
UTF-8 out. Raises `Refusal` with the server's SQLSTATE and words, but never with a value in them.
"""

import re
from decimal import Decimal
from typing import Final

from proxy.errors import Refusal

# scan.l quotecontinue: a string goes on after white space (with -- comments) that has a newline in it.
GO_ON: Final = rb"'(?:[ \t\f\v]|--[^\n\r]*+)*+[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*+[\n\r])*+'"

_INNER: Final = re.compile(rb"''|" + GO_ON)
_ESCAPES: Final = re.compile(
    rb"\\(?:x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)|''|" + GO_ON, re.DOTALL
)
_LETTERS: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
# numeric.c: NUMERIC_MAX_PRECISION digits before the point, 14 bits of display scale behind it.
_MAX_BEFORE: Final = 131072
_MAX_BEHIND: Final = 16383
# Python writes no integer of more than 4,300 digits in decimal; nobody has a value of 13,000 bits.
_MAX_BITS: Final = 13_000


def standard(body: bytes) -> bytes:
    """Of '…': doubled quotes and continuations."""
    if b"'" not in body:
        return body
    return _INNER.sub(_quote, body)


def _quote(found: re.Match[bytes]) -> bytes:
    return b"'" if found.end() - found.start() == 2 and found.group() == b"''" else b""


def backslashed(body: bytes, byte_escapes: bool) -> bytes:
    """Of E'…', and of '…' while standard_conforming_strings is off.

    byte_escapes: whether \\xe9 and \\351 mean bytes of UTF-8. They are bytes of the *server's* encoding; refused
    where that is another.
    """
    if b"\\" not in body:
        return standard(body)
    parts: list[bytes] = []
    last = high = 0
    raw = False
    for found in _ESCAPES.finditer(body):
        start = found.start()
        mark = found.group()
        if high and (start != last or mark[:2] not in (b"\\u", b"\\U")):
            raise _pair()
        parts.append(body[last:start])
        last = found.end()
        if mark[:1] == b"'":
            parts.append(_quote(found))
            continue
        if mark[1:2] in b"uU":
            high = _unicode_escape(mark, high, parts)
            continue
        piece = _byte_escape(mark)
        raw = raw or piece == b"\0" or piece >= b"\x80"
        parts.append(piece)
    if high:
        raise _pair()
    parts.append(body[last:])
    value = b"".join(parts)
    return _checked(value, byte_escapes) if raw else value


def _unicode_escape(mark: bytes, high: int, parts: list[bytes]) -> int:
    if len(mark) == 2:
        raise Refusal("escape-invalid", "invalid Unicode escape", "Unicode escapes must be \\uXXXX or \\UXXXXXXXX.")
    return _unit(int(mark[2:], 16), high, parts)


def _byte_escape(mark: bytes) -> bytes:
    """A byte for \\ooo and \\xhh, a control character for \\n and the like, else what stands behind the backslash."""
    rest = mark[1:]
    if rest[:1] == b"x" and len(rest) > 1:
        return bytes([int(rest[1:], 16)])
    if rest[:1] in (b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7"):
        return bytes([int(rest, 8) & 0xFF])
    if rest == b"v":
        # A vertical tab since 16, the letter before (scan.l unescape_single_char); seen on 15 and 18.
        raise Refusal("escape-invalid", "\\v in a string literal is read in two ways", "Write \\x0b or v.")
    return _LETTERS.get(rest, rest)


def _checked(value: bytes, byte_escapes: bool) -> bytes:
    if b"\0" in value:
        raise Refusal("encoding-invalid", "a NUL byte in a string literal")
    if not byte_escapes:
        raise Refusal(
            "unsupported-encoding",
            "byte escapes in a string literal where the server's encoding is not UTF8",
            "Write the character itself or a \\u escape.",
        )
    try:
        value.decode()
    except UnicodeDecodeError:
        raise Refusal("encoding-invalid", "byte escapes in a string literal are not valid UTF-8") from None
    return value


def unicode(body: bytes, escape: bytes) -> bytes:
    """Of U&'…'. escape: the value of its UESCAPE string, or a backslash. parser.c str_udeescape works on what is
    left after doubled quotes and continuations."""
    if len(escape) != 1 or escape in b"0123456789abcdefABCDEF+'\" \t\n\r\f\v":
        raise Refusal("syntax", "invalid Unicode escape character")
    pieces = standard(body).split(escape)
    parts = [pieces[0]]
    high = 0
    index = 1
    while index < len(pieces):
        piece = pieces[index]
        if not piece and index + 1 < len(pieces):
            if high:
                raise _pair()
            parts.append(escape + pieces[index + 1])
            index += 2
            continue
        digits = _DIGITS.match(piece)
        if digits is None:
            raise Refusal("syntax", "invalid Unicode escape", "Unicode escapes must be \\XXXX or \\+XXXXXX.")
        high = _unit(int(digits.group().lstrip(b"+"), 16), high, parts)
        rest = piece[digits.end() :]
        if high and rest:
            raise _pair()
        parts.append(rest)
        index += 1
    if high:
        raise _pair()
    return b"".join(parts)


_DIGITS: Final = re.compile(rb"[0-9A-Fa-f]{4}|\+[0-9A-Fa-f]{6}")


def _unit(code: int, high: int, parts: list[bytes]) -> int:
    """Append what a Unicode escape stands for; returns it instead if it is the first half of a surrogate pair."""
    if not 0 < code <= 0x10FFFF:
        raise Refusal("syntax", "invalid Unicode escape value")
    low = 0xDC00 <= code <= 0xDFFF
    if bool(high) != low:
        raise _pair()
    if 0xD800 <= code <= 0xDBFF:
        return code
    if high:
        code = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00)
    parts.append(chr(code).encode())
    return 0


def _pair() -> Refusal:
    return Refusal("syntax", "invalid Unicode surrogate pair")


def number(written: bytes) -> bytes:
    """The number as its type's output function writes it: 1_000 is 1000, 0x1F 31, .50 0.50, 1e3 1000."""
    text = written.replace(b"_", b"").decode()
    if text[:1] == "0" and text[1:2] in ("x", "X", "o", "O", "b", "B"):
        base = {"x": 16, "o": 8, "b": 2}[text[1].lower()]
        whole = int(text[2:], base)
        if whole.bit_length() > _MAX_BITS:
            raise _overflow()
        return b"%d" % whole
    if text.isdecimal():
        return text.lstrip("0").encode() or b"0"
    exponent = text.lower().partition("e")[2]
    if len(exponent) > 8:  # Decimal would take minutes to write that many noughts
        raise _overflow()
    value = Decimal(text)
    power = value.as_tuple().exponent
    assert isinstance(power, int)  # neither NaN nor infinity can be written like this
    if value.adjusted() >= _MAX_BEFORE or -power > _MAX_BEHIND:
        raise _overflow()
    return format(value, "f").encode()


def _overflow() -> Refusal:
    return Refusal("number-range", "value overflows numeric format")


def bits(body: bytes, base: int) -> bytes:
    """Of B'…' (base 2) and X'…' (base 16): noughts and ones."""
    digits = _INNER.sub(b"", body).decode("latin-1")
    allowed = "01" if base == 2 else "0123456789abcdefABCDEF"
    if digits.strip(allowed):
        kind = "binary" if base == 2 else "hexadecimal"
        raise Refusal("number-format", f"a character of a bit string is not a valid {kind} digit")
    if base == 2:
        return digits.encode()
    return "".join([format(int(digit, 16), "04b") for digit in digits]).encode()
