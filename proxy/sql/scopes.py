"""What names mean at a place of a statement: ranges (FROM items) with their columns, CTEs, and the levels around.

Follows parse_relation.c: a column is looked for level by level from the inside; a name that no column has may be a
range itself (a whole row). A range whose columns are not all known is *opaque*: a name not found elsewhere may be its.
"""

from dataclasses import dataclass, field, replace
from typing import Final, Protocol, final

from proxy.sql.terms import Choice, Held, Null, Plain, WholeRow

# pg_attribute's system columns (heap.c SysAtt); ctid and tableoid tell nothing about a value.
SYSTEM_COLUMNS: Final = frozenset(("ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"))

ColumnTerm = Plain | Held | Null | Choice


@dataclass(frozen=True, slots=True)
class OutColumn:
    """A column of a range or of a result. name: None if it is not known how the server names it."""

    name: str | None
    term: ColumnTerm


@dataclass(frozen=True, slots=True)
class Outputs:
    """Columns of a query's result. opaque: there are more, or others, which hold nothing protected."""

    columns: tuple[OutColumn, ...] = ()
    opaque: bool = False

    def held(self) -> Held | None:
        for column in self.columns:
            if isinstance(column.term, Held):
                return column.term
            if isinstance(column.term, Choice) and column.term.fate.column is not None:
                return Held(column.term.fate.column, column.term.fate)
        return None

    def typed(self) -> "Outputs":
        """As columns of a subquery, whose types are settled."""
        if not any(isinstance(c.term, Choice) and c.term.raw for c in self.columns):
            return self
        columns = [
            replace(c, term=replace(c.term, raw=False)) if isinstance(c.term, Choice) else c for c in self.columns
        ]
        return Outputs(tuple(columns), self.opaque)


@final
class Range:
    """One FROM item. name: its alias or name; None for a join without alias. listed: its columns are found by their
    name alone and stand in `*` (a joined table's are not: the join's are)."""

    __slots__ = ("_named", "columns", "hidden", "listed", "name", "opaque", "schema", "table", "vague")

    def __init__(
        self,
        name: str | None,
        columns: tuple[OutColumn, ...],
        opaque: bool = False,
        schema: str | None = None,
        listed: bool = True,
        table: str = "",
    ) -> None:
        self.name = name
        self.columns = columns
        self._named: dict[str, ColumnTerm] | None = None
        self.opaque = opaque
        self.vague = opaque or any(c.name is None for c in columns)  # a name not found here may be its all the same
        # a protected column whose name is not known: one not found here may be its
        self.hidden = next((c.term.column for c in columns if c.name is None and isinstance(c.term, Held)), None)
        self.schema = schema
        self.listed = listed
        self.table = table  # 'schema.table' of a protected table whose columns are all known

    def find(self, name: str) -> ColumnTerm | None:
        """The column's term; a held one if several have that name (the server calls it ambiguous)."""
        if self._named is None:
            self._named = named = {}
            for column in self.columns:
                if column.name is not None and (column.name not in named or isinstance(column.term, Held)):
                    named[column.name] = column.term
        return self._named.get(name)

    def whole(self) -> WholeRow:
        held = next((c.term for c in self.columns if isinstance(c.term, Held)), None)
        choices = tuple([c.term for c in self.columns if isinstance(c.term, Choice)])
        return WholeRow(None if held is None else held.column, choices)

    def unlisted(self) -> "Range":
        return Range(self.name, self.columns, self.opaque, self.schema, False, self.table)


@dataclass(frozen=True, slots=True)
class Scope:
    """One level of names. parent: the level around it."""

    ranges: tuple[Range, ...] = ()
    parent: "Scope | None" = None
    ctes: "Ctes | None" = None
    windows: tuple[str, ...] = field(default=())

    def cte(self, name: str) -> "Cte | None":
        scope: Scope | None = self
        while scope is not None:
            if scope.ctes is not None and (found := scope.ctes.get(name)) is not None:
                return found
            scope = scope.parent
        return None

    def inner(self, ranges: tuple[Range, ...] = (), ctes: "Ctes | None" = None) -> "Scope":
        return Scope(ranges, self, ctes)


class Cte(Protocol):
    """A WITH query. Here so that a scope need not know how queries are read."""

    def read(self) -> Outputs:
        """Its columns. Raises Refusal."""


Ctes = dict[str, Cte]
