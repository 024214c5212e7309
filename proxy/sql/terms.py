"""What an expression of a statement can be to us: plain, a protected column's value, or a value not yet placed.

A `Value` (literal, parameter, with casts around it) is placed by what it meets: assigned to or compared with a
protected column it becomes an input; anywhere else it is harmless. What mixes a protected value with anything else is
no term: it is refused where it is met.
"""

from dataclasses import dataclass

from proxy.errors import Refusal
from proxy.sql.referee import Node
from proxy.sql.relations import ProtectedColumn


@dataclass(frozen=True, slots=True)
class Plain:
    """No protected value is in it."""


@dataclass(frozen=True, slots=True)
class Held:
    """Exactly a value of a protected column. made: its tokens are those that this statement puts in place of a VALUES
    list's own values, whatever casts the statement has around them."""

    column: ProtectedColumn
    made: bool = False


@dataclass(frozen=True, slots=True)
class Value:
    """A literal or a parameter. node: the A_Const or ParamRef; casts: TypeCast nodes around it, innermost first."""

    node: Node
    casts: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Null:
    """NULL, with or without a cast, or DEFAULT (default=True)."""

    default: bool = False


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
class WholeRow:
    """A table's row as one value. column: a protected column in it, None if there is none."""

    column: ProtectedColumn | None


Term = Plain | Held | Value | Null | Row | Array | WholeRow
PLAIN = Plain()
NULL = Null()
DEFAULT = Null(True)


def held_in(term: Term) -> ProtectedColumn | None:
    """A protected column whose value is in the term, if there is one."""
    if isinstance(term, Held):
        return term.column
    if isinstance(term, WholeRow):
        return term.column
    if isinstance(term, Row | Array):
        return next((column for column in map(held_in, term.terms) if column is not None), None)
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
