"""Columns whose tokens are not those of their values here: another vault's, another class's, of values read otherwise.

A new vault in front of old tokens, or a policy that gives a column another class, would make every search come back
empty and let UNIQUE hold nothing, without a word. So some tokens of each protected column are shown to the vault when
a catalog is first read, when a table appears, when the policy changes, and before a refusal for them goes out. Columns
with none but strangers are closed for values (`foreign-tokens`); strangers among others make it `mixed` (leftovers).

Where the `catalog` account may not read rows, the vault's own record of each column's class and type is what counts.
Not found: strangers among others that no sample hits, until a result shows one.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, final

from proxy.errors import Unavailable
from proxy.net.leftovers import Pace
from proxy.observe import count, log
from proxy.sql.catalog import ProtectedColumn

ANOTHER_VAULT: Final = "tokens that this vault did not make"
PERHAPS: Final = "what may be"  # as long as the column can't be read
ADVICE: Final = "start pgveil with the vault, keys and policy that these rows were written with, or empty the column"
LOST_ADVICE: Final = "the vault is an older copy: restore a newer one; these values can't be revealed"


class Samples(Protocol):
    async def tokens(self, database: str, columns: Sequence[ProtectedColumn]) -> Mapping[str, tuple[bytes, ...]]:
        """Label -> some texts of the column that look like tokens; columns left out could not be read."""


class Records(Protocol):
    """The vault, as far as it is asked here."""

    async def acquaint(self, tokens: Collection[bytes]) -> Mapping[bytes, str | None]:
        """Token -> class of its entry, None if there is none; tokens made elsewhere are left out. Raises
        Unavailable."""

    def recall(self, name: str) -> str | None:
        """What was remembered under a name."""

    async def remember(self, facts: Mapping[str, str]) -> None:
        """Name -> text, durable on return. Raises Unavailable."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a sample shows. foreign: as in `ProtectedColumn`. stray: some are not of this vault or class, others are.
    lost: how many of `seen` have no entry in the vault."""

    foreign: str = ""
    stray: bool = False
    lost: int = 0
    seen: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look has brought. stray: labels of columns with strangers among others."""

    changed: bool = False
    stray: frozenset[str] = frozenset()


def form(column: ProtectedColumn) -> str:
    """What decides which token a value of the column gets: 'class type'."""
    name = column.facade.name
    return f"{column.class_name} {'text' if name == 'varchar' else name}"


def judge(column: ProtectedColumn, seen: Sequence[bytes], known: Mapping[bytes, str | None], record: str) -> Judgement:
    """seen: tokens of the column. known: as the vault has them. record: the column's form as remembered, ''."""
    ours = [token for token in seen if token in known]
    if seen and not ours:
        return Judgement(ANOTHER_VAULT, seen=len(seen))
    classes = {name for token in ours if (name := known[token]) is not None}
    lost = sum(known[token] is None for token in ours)
    if classes and column.class_name not in classes:
        return Judgement(f"tokens of class {min(classes)}", lost=lost, seen=len(seen))
    now = form(column)
    if ours and record and (record.split()[-1] != now.split()[-1] if classes else record != now):
        return Judgement(f"tokens of values that were stored as {record}", lost=lost, seen=len(seen))
    return Judgement("", len(ours) < len(seen) or len(classes) > 1, lost, len(seen))


@final
class Strangers:
    """See the module."""

    def __init__(self, samples: Samples, records: Records) -> None:
        self._samples: Final = samples
        self._records: Final = records
        self._foreign: dict[str, dict[str, str]] = {}
        self._lost: dict[str, dict[str, str]] = {}
        self._gone: set[tuple[str, str]] = set()  # columns all of whose sampled values are lost
        self._pace: Final = Pace()

    def of(self, database: str) -> Mapping[str, str]:
        """Label -> what it holds."""
        return self._foreign.get(database, {})

    @property
    def ready(self) -> bool:
        return not self._gone and not any(self._foreign.values())

    def told(self) -> dict[str, str]:
        """'database schema.table.column' -> what is wrong, for /readyz."""
        parts = [*self._lost.items(), *self._foreign.items()]
        return {f"{database} {label}": what for database, part in parts for label, what in part.items()}

    def suspect(self, database: str, columns: Collection[ProtectedColumn], before: Collection[ProtectedColumn]) -> None:
        """The policy has changed: what is read in another way is closed until a look has cleared it."""
        forms = {column.label: form(column) for column in before}
        for column in columns:
            was = forms.get(column.label) or self._records.recall(_name(database, column))
            if was is not None and was != form(column):
                self._foreign.setdefault(database, {})[column.label] = f"{PERHAPS} tokens of values stored as {was}"

    async def look(self, database: str, columns: Sequence[ProtectedColumn]) -> Seen:
        """Look at all of these columns. Raises nothing: what can't be seen stays as it is known."""
        if not columns:
            return Seen()
        before = dict(self.of(database))
        seen = await self._samples.tokens(database, columns)
        try:
            known = await self._records.acquaint({token for tokens in seen.values() for token in tokens})
        except Unavailable:
            return Seen()
        found = {c.label: judge(c, seen[c.label], known, self._record(database, c)) for c in columns if c.label in seen}
        for column in columns:
            self._take(database, column, found.get(column.label))
        await self._remember(database, columns)
        stray = frozenset([label for label, judged in found.items() if judged.stray])
        return Seen(before != self.of(database), stray)

    async def look_again(self, database: str, columns: Sequence[ProtectedColumn]) -> Seen:
        """The same for those of the columns that are known to hold some and were not looked at just now."""
        due = self._pace.due(database, [column for column in columns if column.label in self.of(database)])
        if not due:
            return Seen()
        began = asyncio.get_running_loop().time()
        seen = await self.look(database, due)
        self._pace.done(database, due, began)
        return seen

    def _record(self, database: str, column: ProtectedColumn) -> str:
        return self._records.recall(_name(database, column)) or ""

    def _take(self, database: str, column: ProtectedColumn, judged: Judgement | None) -> None:
        label, foreign = column.label, self._foreign.setdefault(database, {})
        if judged is None:
            record = self._record(database, column)
            known = not record or record == form(column)
            if known and not foreign.get(label, "").startswith(PERHAPS):
                return
            judged = Judgement("" if known else f"{PERHAPS} tokens of values stored as {record}")
        if judged.foreign and foreign.get(label) != judged.foreign:
            count("unknown_tokens", max(judged.seen, 1), **{"class": column.class_name, "why": "foreign"})
            log("foreign-tokens", "error", database=database, column=label, what=judged.foreign[:200], advice=ADVICE)
        elif not judged.foreign and label in foreign:
            log("foreign-tokens-gone", database=database, column=label)
        foreign.pop(label, None)
        if judged.foreign:
            foreign[label] = judged.foreign
        self._lose(database, column, judged)

    def _lose(self, database: str, column: ProtectedColumn, judged: Judgement) -> None:
        """Tokens of ours without an entry. Equality holds (the key is the same), their values are gone."""
        label, lost = column.label, self._lost.setdefault(database, {})
        self._gone.discard((database, label))
        if not judged.lost:
            lost.pop(label, None)
            return
        if judged.lost == judged.seen:
            self._gone.add((database, label))
        if label not in lost:
            count("unknown_tokens", judged.lost, **{"class": column.class_name, "why": "lost"})
            log("lost-tokens", "error", database=database, column=label, tokens=judged.lost, advice=LOST_ADVICE)
        lost[label] = f"the vault has no value for {judged.lost} of {judged.seen} tokens looked at"

    async def _remember(self, database: str, columns: Sequence[ProtectedColumn]) -> None:
        """The forms of columns that hold nothing else."""
        clean = [column for column in columns if column.label not in self.of(database)]
        news = {_name(database, c): form(c) for c in clean if self._record(database, c) != form(c)}
        if news:
            try:
                await self._records.remember(news)
            except Unavailable:
                log("vault-unavailable", "warning", what="the record of columns' classes")


def _name(database: str, column: ProtectedColumn) -> str:
    return f"column {database} {column.label}"
