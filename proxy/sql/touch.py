"""The touch test: can a text reach anything protected, or change how later texts are read?

One look at the lower-cased text, about a microsecond, or none at a text seen before. Not a parser: it may say yes to a
text that touches nothing (a name in a comment), never no to one that does. Names match as whole identifiers, with or
without quotes.

What says yes: a name of the protected world; `U&"` (an identifier that hides its name); `pgveil.` (our own settings);
`set_config`, `pg_settings`, functions whose body sets something, and functions that run SQL from a string; a statement
that begins with a word which changes what names or later statements mean. BEGIN, COMMIT and SAVEPOINT are not among
these: a session sees them in the server's replies.
"""

import re
from collections.abc import Iterable
from typing import Final, final

# Words at the start of a statement. DECLARE, FETCH and CLOSE concern the names of portals, EXECUTE those of statements,
# EXPLAIN may hold an EXECUTE, DO builds statements that no catalog shows.
WORDS: Final = (
    b"set", b"reset", b"discard", b"deallocate", b"prepare", b"execute", b"declare", b"fetch", b"close", b"explain",
    b"create", b"alter", b"drop", b"import", b"do", b"rollback", b"abort", b"grant", b"revoke", b"reassign",
)  # fmt: skip

# Anywhere: U&", pgveil., set_config, pg_settings (it can be updated), and functions that run a query given as text or
# read a table by its name: query_to_xml and its like, ts_stat and ts_rewrite, and of extensions dblink, tablefunc and
# xml2. Written from a rare byte on: the search skips by first bytes.
ANYWHERE: Final = (
    rb'&"', rb"gveil\.", rb"_config(?<=set_config)", rb"g_settings", rb"_to_xml", rb"blink",
    rb"_(?:stat(?<=ts_stat)|rewrite(?<=ts_rewrite))(?![a-z_])", rb"b(?<=crosstab)", rb"by(?<=connectby)",
    rb"xpath_table",
)  # fmt: skip

# Blanks, empty statements, and comments without another inside; one that nests is taken for a match.
_GAP: Final = rb"(?:[ \t\n\r\f\v;(]++|--[^\n\r]*+|/\*(?:[^*/]++|\*(?!/)|/(?!\*))*+\*/)*+"
_START: Final = re.compile(_GAP + rb"(?:(?:" + b"|".join(WORDS) + rb")(?![a-z0-9_$\x80-\xff])|/\*)")
_LATER: Final = re.compile(rb";" + _START.pattern)
# PostgreSQL cuts identifiers to 63 bytes (at a character's end, so to 60 at least): a longer one may mean this name.
_MAX_NAME: Final = 63
_MAY_BE_CUT: Final = 60
# Texts that touch nothing are remembered, all digits alike, since names without digits can't tell them apart: those
# with no string, comment or dollar quote in them, which hold data or are new each time. At most KEPT of LONGEST bytes,
# a megabyte a database; then the memory starts anew.
KEPT: Final = 512
LONGEST: Final = 2048
_DIGIT: Final = re.compile("[0-9]")
_ZEROS: Final = bytes.maketrans(b"123456789", b"000000000")
_DATA: Final = re.compile(rb"'|\$[^0-9]|--|/\*")


@final
class Touch:
    """The compiled test. names: as the catalog has them, case and all (case is not looked at). settling: names of
    functions that may change settings."""

    __slots__ = ("_digits", "_named", "_passed", "_search", "_settling", "names")

    def __init__(self, names: Iterable[str], settling: frozenset[str] = frozenset()) -> None:
        self.names = frozenset(names)
        self._settling = settling
        self._named = _compiled(self.names).search
        self._search = _compiled(self.names | settling).search if settling else self._named
        self._digits = any(_DIGIT.search(name) is not None for name in self.names | settling)
        self._passed: dict[bytes, None] = {}

    def __call__(self, text: bytes) -> bool:
        """Whether `text` (UTF-8, or any encoding if the text is ASCII) may touch something."""
        if self._digits or len(text) > LONGEST:
            return self._looked(text)
        alike = text.translate(_ZEROS)
        if alike in self._passed:
            return False
        if self._looked(text):
            return True
        if _DATA.search(alike) is None:
            if len(self._passed) >= KEPT:
                self._passed.clear()
            self._passed[alike] = None
        return False

    def _looked(self, text: bytes) -> bool:
        low = text.lower()
        if _START.match(low) is not None or self._search(low) is not None:
            return True
        return b";" in low[:-1] and _LATER.search(low) is not None

    def names_in(self, text: bytes) -> bool:
        """Whether `text`, whatever it is, has one of the names or one of the marks in it."""
        return self._named(text.lower()) is not None

    def with_names(self, names: Iterable[str]) -> "Touch":
        new = self.names.union(names)
        return self if new == self.names else Touch(new, self._settling)

    def __repr__(self) -> str:
        return f"Touch({len(self.names)} names)"


def _compiled(names: frozenset[str]) -> re.Pattern[bytes]:
    """Each alternative begins with a letter of its own: then `re` skips by a table of first bytes."""
    parts = list(ANYWHERE)
    for name in sorted(names, key=len, reverse=True):
        raw = name.encode().lower().replace(b'"', b'""')
        rest = rb"" if _MAY_BE_CUT <= len(name.encode()) <= _MAX_NAME else rb"(?![a-z0-9_$\x80-\xff])"
        parts.append(re.escape(raw) + rb"(?<![a-z0-9_$\x80-\xff]" + re.escape(raw) + rb")" + rest)
    return re.compile(b"|".join(parts))
