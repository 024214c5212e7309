"""What the text of a function's body tells: whom it names, whether it builds statements, what it may change.

Not a parser: the languages are many. Says yes where it is not certain. What a body calls is found by name, so a
function counts as what any function that it names counts as.
"""

import re
from collections.abc import Iterable
from typing import Final

from proxy.sql.relations import Function

_HIDDEN: Final = r'|\bu&"'  # an identifier that may be any name

# EXECUTE of PL/pgSQL (not that of CREATE TRIGGER, nor of one constant without escapes, which is read as part of the
# body), and the ways of other languages to run a text.
_CONSTANT: Final = r"(?:'[^'\\]*(?:''[^'\\]*)*'|\$(\w*)\$[^$]*\$\1\$)\s*(?:;|\b(?:into|using|loop)\b)"
_BUILDS: Final = re.compile(
    rf"\bexecute\b(?!\s+(?:function|procedure)\b|\s*{_CONSTANT})|\bspi_|\bplpy\.|\bplv8\.", re.IGNORECASE
)

# Functions that run a query given as text or read a table by its name (DYNAMIC in sql.expressions), in any language.
_TEXT_RUNNERS: Final = re.compile(
    r"\b(?:query|cursor|table|schema|database)_to_xml|\bts_(?:stat|rewrite)\b|\bdblink|\bcrosstab|\bconnectby\b|\bxpath_table\b",
    re.IGNORECASE,
)


_SETTLES: Final = re.compile(
    r"\bsearch_path\b|\b(?:re)?set\s+(?:(?:local|session)\s+)?(?:role|session|all)\b|\bdiscard\s+all\b",
    re.IGNORECASE,
)
# A name of the application's own (set_config('app.tenant', …), as row security wants it) changes nothing; a computed
# one may be any. set_config_by_name: what a function in language `internal` calls it.
_CONFIGURES: Final = re.compile(r"\bset_config(?:_by_name)?\b(?!\s*\(\s*'(?!pgveil\.)\w+\.[\w.]+'\s*,)", re.IGNORECASE)
# Schemas that come, go or are renamed, and who may use them: names then mean other tables.
_MOVES: Final = re.compile(
    r"\b(?:create|alter|drop)\s+(?:schema|extension|role|user|group)\b|\b(?:grant|revoke)\b|\b(?:drop|reassign)\s+owned\b",
    re.IGNORECASE,
)


def settles(source: str) -> bool:
    """Whether a body may change what names mean when it has run. What a function sets in its own SET clause is no part
    of its body, and is undone."""
    return _SETTLES.search(source) is not None or _CONFIGURES.search(source) is not None


def moves(source: str) -> bool:
    """Whether a body may change which schemas there are, or who may use them."""
    return _MOVES.search(source) is not None


def builds(source: str) -> bool:
    """Whether a body runs statements that it builds as text."""
    return _BUILDS.search(source) is not None


def runs_text(function: Function) -> bool:
    """Whether a function does, or has a function of the server's do it."""
    source = function.source
    return (function.language != "sql" and builds(source)) or _TEXT_RUNNERS.search(source) is not None


def identifiers(names: set[str]) -> re.Pattern[str]:
    """Any of `names` as a whole identifier, in any case."""
    escaped = [re.escape(name.replace('"', '""')) for name in sorted(names, key=len, reverse=True)]
    return re.compile(r"(?<![\w$])(?:" + "|".join(escaped) + r")(?![\w$])", re.IGNORECASE)


def naming(functions: Iterable[Function], names: set[str]) -> list[Function]:
    """Functions whose text names one of `names`, or a function that does."""
    left = list(functions)
    found: list[Function] = []
    while names:
        pattern = re.compile(identifiers(names).pattern + _HIDDEN, re.IGNORECASE)
        news = [f for f in left if pattern.search(f.source)]
        found += news
        known = {id(f) for f in news}
        left = [f for f in left if id(f) not in known]
        names = {f.name for f in news}
    return found
