"""Where an expression begins and ends in the text: what the tree does not say.

libpg_query gives the place of a cast's `::`, not the end of its type, so the casts around a value are followed token
by token. Works on the analysis text; what it can't follow is refused by the caller (`Unclear`).
"""

import re
from bisect import bisect_left
from typing import Final, final

from proxy.sql.referee import Node

_TOKEN: Final = re.compile(
    rb"[ \t\n\r\f\v]++|--[^\n\r]*+|(?P<comment>/\*)"
    rb"|(?P<token>[uU]&\"[^\"]*+(?:\"\"[^\"]*+)*+\"|\"[^\"]*+(?:\"\"[^\"]*+)*+\"|(?:[eEnNbBxX]|[uU]&)?'[^']*+'|\$\$[^$]*+\$\$"
    rb"|[A-Za-z_\x80-\xff][A-Za-z_\x80-\xff0-9$]*+|\$[0-9]++|[0-9][0-9A-Za-z_.]*+|::|[^-+*/<>=~!@#%^&|`?])"
    rb"|(?P<operator>(?:(?!--|/\*)[-+*/<>=~!@#%^&|`?])++)",
    re.DOTALL,
)
_COMMENT_MARK: Final = re.compile(rb"/\*|\*/")
_SPECIAL: Final = re.compile(rb"[~!@#%^&|`?]")
_WORD: Final = re.compile(rb"[A-Za-z_\x80-\xff]")


class Unclear(Exception):
    """The text around a value does not read as its tree says."""


@final
class Tokens:
    """The analysis text cut into tokens, blanks and comments left out. starts, ends: byte offsets."""

    __slots__ = ("ends", "starts", "text")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.starts: list[int] = []
        self.ends: list[int] = []
        at = 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            assert found is not None  # each byte is part of something
            at = found.end()
            if found.lastgroup == "comment":
                at = _comment_end(text, found.start())
            elif found.lastgroup is not None:
                if found.lastgroup == "operator":
                    at = found.start() + _operator_length(found.group())
                self.starts.append(found.start())
                self.ends.append(at)

    def at(self, offset: int) -> int:
        """Index of the token that starts at `offset`."""
        index = bisect_left(self.starts, offset)
        if index == len(self.starts) or self.starts[index] != offset:
            raise Unclear
        return index

    def get(self, index: int) -> bytes:
        """The token in lower case; b'' behind the end."""
        if 0 <= index < len(self.starts):
            return self.text[self.starts[index] : self.ends[index]].lower()
        return b""

    def is_name(self, index: int) -> bool:
        token = self.get(index)
        return token[:1] == b'"' or token[:3] == b'u&"' or (_WORD.match(token) is not None and b"'" not in token)

    def closing(self, index: int) -> int:
        """Index of the bracket that closes the one at `index`."""
        depth = 0
        while index < len(self.starts):
            token = self.get(index)
            depth += (token in (b"(", b"[")) - (token in (b")", b"]"))
            if depth == 0:
                return index
            index += 1
        raise Unclear


def _operator_length(run: bytes) -> int:
    """scan.l operator: signs at its end are of their own (`=-5`), unless something that SQL has no operator of is in
    it."""
    return len(run) if _SPECIAL.search(run) else len(run.rstrip(b"+-")) or 1


def _comment_end(text: bytes, start: int) -> int:
    depth = 0
    for mark in _COMMENT_MARK.finditer(text, start):
        depth += 1 if mark.group() == b"/*" else -1
        if depth == 0:
            return mark.end()
    raise Unclear


def signed_span(tokens: Tokens, sign: int, start: int, end: int) -> tuple[int, int]:
    """Byte span of a negative number, brackets between sign and number included: -(5). start, end: of the number."""
    first, last = tokens.at(sign), _last(tokens, start, end)
    for token in range(first, tokens.at(start)):
        if tokens.get(token) == b"(":
            last += 1
            if tokens.get(last) != b")":
                raise Unclear
    return tokens.starts[first], tokens.ends[last]


def cast_span(tokens: Tokens, start: int, end: int, casts: tuple[Node, ...]) -> tuple[int, int]:
    """Byte span of a value and the casts around it, innermost first. start, end: of the value itself."""
    first, last = tokens.at(start), _last(tokens, start, end)
    for cast in casts:
        first, last = _one_cast(tokens, first, last, cast)
    return tokens.starts[first], tokens.ends[last]


def _last(tokens: Tokens, start: int, end: int) -> int:
    """Index of the last token of a value between two offsets: 1e-5 and s.p0 have three."""
    last = tokens.at(start)
    while last + 1 < len(tokens.ends) and tokens.ends[last] < end:
        last += 1
    return last


def _one_cast(tokens: Tokens, first: int, last: int, cast: Node) -> tuple[int, int]:
    type_name = cast.part("typeName", "TypeName")
    if type_name is None:
        raise Unclear
    if cast.location < 0:  # type 'literal'
        return tokens.at(type_name.location), last
    mark = tokens.at(cast.location)
    if tokens.get(mark) == b"::":
        while last + 1 < mark:  # parentheses around the value
            first, last = first - 1, last + 1
            if tokens.get(first) != b"(" or tokens.get(last) != b")":
                raise Unclear
        if last + 1 != mark or tokens.at(type_name.location) != mark + 1:
            raise Unclear
        return first, type_end(tokens, mark + 1)
    if tokens.get(mark) != b"cast" or tokens.get(mark + 1) != b"(" or mark >= first:
        raise Unclear
    close = tokens.closing(mark + 1)
    if close <= last:
        raise Unclear
    return mark, close


def cast_marks(tokens: Tokens, cast: Node) -> tuple[tuple[int, int], ...]:
    """Byte spans of what makes an expression in brackets, or of one word, a cast: `::type`, or `CAST` and `AS type`."""
    type_name = cast.part("typeName", "TypeName")
    if type_name is None or cast.location < 0:
        raise Unclear
    mark, first = tokens.at(cast.location), tokens.at(type_name.location)
    last = type_end(tokens, first)
    if tokens.get(mark) == b"::":
        return ((tokens.starts[mark], tokens.ends[last]),)
    if tokens.get(mark) != b"cast" or tokens.get(first - 1) != b"as" or tokens.get(last + 1) != b")":
        raise Unclear
    return (tokens.starts[mark], tokens.ends[mark]), (tokens.starts[first - 1], tokens.ends[last])


def type_end(tokens: Tokens, index: int) -> int:
    """Index of the last token of the type name that starts at `index` (gram.y Typename)."""
    word = tokens.get(index)
    if not tokens.is_name(index) or word == b"setof":
        raise Unclear
    at = _words_end(tokens, index, word)
    if tokens.get(at + 1) == b"(":
        at = tokens.closing(at + 1)
    if word in (b"time", b"timestamp") and tokens.get(at + 1) in (b"with", b"without"):
        at += 3
    if word == b"interval":
        raise Unclear
    if tokens.get(at + 1) == b"array":
        at += 1
    while tokens.get(at + 1) == b"[":
        at = tokens.closing(at + 1)
    return at


def _words_end(tokens: Tokens, index: int, word: bytes) -> int:
    """Index of the last word of the name: `character varying`, `pg_catalog.text`."""
    at = index
    if word in (b"character", b"char", b"nchar", b"national", b"bit", b"double"):
        if word == b"national":
            at += 1
        if tokens.get(at + 1) in (b"varying", b"precision"):
            at += 1
        return at
    while tokens.get(at + 1) == b".":
        at += 2
    if tokens.get(at + 1) == b"%":
        raise Unclear
    return at


def name_end(tokens: Tokens, location: int) -> int:
    """Index of the last token of the qualified name that starts at `location`."""
    at = _part_end(tokens, tokens.at(location))
    while tokens.get(at + 1) == b".":
        at = _part_end(tokens, at + 2)
    return at


def _part_end(tokens: Tokens, index: int) -> int:
    """`U&"…" UESCAPE '!'` is one name."""
    escaped = tokens.get(index)[:3] == b'u&"' and tokens.get(index + 1) == b"uescape"
    return index + 2 if escaped else index


# Keywords that are no column name without quotes (kwlist.h of PostgreSQL 15 to 18: RESERVED and TYPE_FUNC_NAME).
_WORDS: Final = """
all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation
column concurrently constraint create cross current_catalog current_date current_role current_schema current_time
current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze
from full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit
localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references
returning right select session_user similar some symmetric system_user table tablesample then to trailing true
union unique user using variadic verbose when where window with
"""
_KEYWORDS: Final = frozenset(_WORDS.split())
_BARE: Final = re.compile(r"[a-z_][a-z0-9_]*")


def quoted_name(name: str) -> str:
    """An identifier as it has to be written (quote_identifier)."""
    if _BARE.fullmatch(name) and name not in _KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'
