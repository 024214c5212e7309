"""What an expression of a statement can be to us: plain, a protected column's value, or a value not yet placed.

A `Value` (literal, parameter, with casts around it) is placed by what it meets: assigned to or compared with a
protected column it becomes an input; anywhere else it is harmless. What mixes a protected value with anything else is
no term: it is refused where it is met.
"""

from dataclasses import dataclass, field, replace
from typing import final

from proxy.errors import Refusal
from proxy.sql.referee import Node
from proxy.sql.relations import ProtectedColumn
from proxy.wire.types import TypeSpec


@dataclass(frozen=True, slots=True)
class Plain:
    """No protected value is in it."""


@dataclass(frozen=True, slots=True)
class Held:
    """Exactly a value of a protected column. made: it is one of the statement's own values (see `Choice`), whose tokens
    may stand for nothing that the vault holds, and whose type need not be the column's. fits: the type with a length
    that its values have, where the expression's own type has lost it (NULL beside it)."""

    column: ProtectedColumn
    made: "Fate | None" = None
    fits: TypeSpec | None = None

    @property
    def source(self) -> ProtectedColumn:
        """The column by what its values are."""
        return self.column if self.fits is None else replace(self.column, facade=self.fits)


@dataclass(frozen=True, slots=True)
class Value:
    """A literal or a parameter. node: the A_Const or ParamRef; casts: TypeCast nodes around it, innermost first."""

    node: Node
    casts: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Null:
    """NULL, with or without a cast, or DEFAULT (default=True). casts: TypeCast nodes around it, innermost first."""

    default: bool = False
    casts: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """ROW(…), (a, b), or a subquery of several columns. names: of the columns, for messages."""

    terms: tuple["Term", ...]


@dataclass(frozen=True, slots=True)
class Array:
    """ARRAY[…]. casts: TypeCast nodes around it."""

    terms: tuple["Term", ...]
    casts: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Elements:
    """The elements of an array value, one a row: unnest($1::text[])."""

    value: Value


@final
class Fate:
    """What became of the values of a `Choice`, which several places of a statement may name: nothing yet, harmless
    (plain), or values of `column` under these casts, the plan's inputs `places`."""

    __slots__ = ("casts", "column", "places", "plain")

    def __init__(self) -> None:
        self.plain = False
        self.places: dict[int, None] = {}  # a set in order
        self.column: ProtectedColumn | None = None
        self.casts: tuple[TypeSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several terms: the results of CASE and COALESCE, a column of VALUES or of a subquery. What it meets first
    decides for all of its values.

    what: the construct, for messages. casts: TypeCast nodes around it, innermost first. raw: an arm of a set operation,
    whose type the other arms have a say in. against: what NULLIF compares it with.
    """

    terms: tuple["Term", ...]
    what: str
    fate: Fate = field(default_factory=Fate, compare=False)
    casts: tuple[Node, ...] = ()
    raw: bool = False
    against: tuple["Term", ...] = ()


@dataclass(frozen=True, slots=True)
class WholeRow:
    """A row as one value. column: a protected column in it, None if there is none. choices: its columns that may turn
    out to be one."""

    column: ProtectedColumn | None
    choices: tuple[Choice, ...] = ()


Term = Plain | Held | Value | Null | Row | Array | Elements | Choice | WholeRow
PLAIN = Plain()
NULL = Null()
DEFAULT = Null(True)


def held_in(term: Term) -> ProtectedColumn | None:
    """A protected column whose value is in the term, if there is one."""
    if isinstance(term, Held):
        return term.column
    if isinstance(term, WholeRow):
        return term.column or next((c.fate.column for c in term.choices if c.fate.column is not None), None)
    if isinstance(term, Choice):
        return _held_by(term, set())
    if isinstance(term, Row | Array):
        return next((column for column in map(held_in, term.terms) if column is not None), None)
    return None


def _held_by(choice: Choice, seen: set[int]) -> ProtectedColumn | None:
    """seen: fates of choices that were looked into: one may be in others any number of times."""
    if choice.fate.column is not None or id(choice.fate) in seen:
        return choice.fate.column
    seen.add(id(choice.fate))
    for term in choice.terms:
        held = _held_by(term, seen) if isinstance(term, Choice) else held_in(term)
        if held is not None:
            return held
    return None


def unsupported(message: str, hint: str = "", column: str = "") -> Refusal:
    """A statement that is not supported, or not where something protected is near."""
    return Refusal("unsupported-statement", message, hint, column=column)


def refuse(column: ProtectedColumn, construct: str, code: str = "unsupported-expression", hint: str = "") -> Refusal:
    """A protected column meets a construct that can't be answered exactly."""
    return Refusal(
        code,
        f"column {column.label} is protected: {construct} can't be answered exactly",
        hint or "Compare it with =, <>, IN or IS NULL, or read the column itself and compute in the application.",
        column=column.label,
    )
