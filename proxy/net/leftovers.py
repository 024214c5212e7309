"""Columns that hold values which are no tokens: rows from before pgveil, or written around it.

Equality of tokens would miss such rows, so comparisons with the column are refused while there are any. They are
looked for when a database's catalog is first read, when the policy changes, and before such a refusal goes out; links
report those that come in a result. A look reads rows only where the `catalog` account may, and only for a stated time:
what it could not read to the end stays as it was known, and that nobody knows is told: in the log, in /readyz, by
`pgveil check`. It is no refusal, or no database could be served whose rows only its applications may read.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol, final

from proxy.observe import log
from proxy.sql.catalog import ProtectedColumn

# A look may take as long as a scan of the table: the next one waits this many times as long, or 0.2 s.
REST: Final = 10.0
LEAST: Final = 0.2
UNSEEN: Final = (
    "it is not known whether all values of this column are tokens: searches miss those that are not. Give the `catalog`"
    " account SELECT on it, or see to it and send SIGHUP"
)
ADVICE: Final = "write these rows anew through pgveil; until then comparisons with the column are refused"


class Looks(Protocol):
    async def plaintext(self, database: str, columns: Sequence[ProtectedColumn]) -> Mapping[str, bool]:
        """Label -> whether the column holds values that are no tokens; those left out could not be read to the end."""


@final
class Pace:
    """When columns may be looked at again."""

    def __init__(self) -> None:
        self._due: dict[tuple[str, str], float] = {}  # (database, label) -> from when on

    def due(self, database: str, columns: Sequence[ProtectedColumn]) -> list[ProtectedColumn]:
        """Those of the columns that may be looked at now; they may not again before `done`, or for a little while."""
        now = asyncio.get_running_loop().time()
        due = [column for column in columns if self._due.get((database, column.label), 0.0) <= now]
        for column in due:
            self._due[(database, column.label)] = now + LEAST
        return due

    def done(self, database: str, columns: Sequence[ProtectedColumn], began: float) -> None:
        now = asyncio.get_running_loop().time()
        for column in columns:
            self._due[(database, column.label)] = now + max(LEAST, REST * (now - began))


@final
class Leftovers:
    """See the module."""

    def __init__(self, looks: Looks) -> None:
        self._looks: Final = looks
        self._known: dict[str, frozenset[str]] = {}
        self._unseen: dict[str, frozenset[str]] = {}
        self._pace: Final = Pace()

    def of(self, database: str) -> frozenset[str]:
        """Labels: 'schema.table.column'."""
        return self._known.get(database, frozenset())

    def unseen(self) -> list[str]:
        """'database schema.table.column' of those that nobody could look through."""
        return sorted(f"{database} {label}" for database, labels in self._unseen.items() for label in labels)

    def seen(self, database: str, labels: Collection[str]) -> bool:
        """Such values came in a result. True: that is news."""
        return self._now(database, self.of(database).union(labels))

    async def look(self, database: str, columns: Sequence[ProtectedColumn], trusted: bool = False) -> bool:
        """Look at all of these columns. trusted: the operator says that the rows are put right; what can't be read is
        believed to be. True: something changed."""
        labels = {column.label for column in columns}
        found = await self._looks.plaintext(database, columns) if columns else {}
        known = self.of(database)
        self._doubt(database, labels, set() if trusted else labels - set(found))
        kept = {label for label in known if label not in found and not (trusted and label in labels)}
        return self._now(database, kept.union([label for label, plain in found.items() if plain]))

    async def look_again(self, database: str, columns: Sequence[ProtectedColumn]) -> bool:
        """The same for those of the columns that are known to hold some and were not looked at just now."""
        known = self.of(database)
        due = self._pace.due(database, [column for column in columns if column.label in known])
        if not due:
            return False
        began = asyncio.get_running_loop().time()
        changed = await self.look(database, due)
        self._pace.done(database, due, began)
        return changed

    def _doubt(self, database: str, asked: set[str], unread: set[str]) -> None:
        before = self._unseen.get(database, frozenset())
        for label in sorted(unread - before):
            log("rows-unseen", "warning", database=database, column=label, advice=UNSEEN)
        self._unseen[database] = (before - asked) | unread

    def _now(self, database: str, labels: Collection[str]) -> bool:
        known = self.of(database)
        for label in sorted(set(labels) - known):
            log("plaintext-rows", "warning", database=database, column=label, advice=ADVICE)
        for label in sorted(known - set(labels)):
            log("plaintext-rows-gone", database=database, column=label)
        self._known[database] = frozenset(labels)
        return self._known[database] != known
