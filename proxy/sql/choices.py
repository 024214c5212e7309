"""Values of which one is meant, and that one place names: results of CASE and COALESCE, rows of VALUES, elements of
unnest(). All of them become tokens where the place meets a protected column.

Not here: what they may meet (`sql.predicates`), how they are read (`sql.expressions`, `sql.queries`).

Invariant: what has been taken for harmless once is never a protected column's, and the other way round (`Fate`).
Their common type is PostgreSQL's select_common_type() as far as it is certain; mixed types are refused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from proxy.sql.findings import Findings, Inside, Use
from proxy.sql.referee import Node
from proxy.sql.relations import ProtectedColumn
from proxy.sql.spans import Unclear
from proxy.sql.terms import Choice, Elements, Held, Null, Term, Value, refuse
from proxy.wire.types import TypeSpec, parse_type

TEXT: Final = parse_type("text")
VARYING: Final = frozenset(("text", "varchar"))
WITHOUT: Final = "Write the value without the cast."


@dataclass(frozen=True, slots=True)
class Meeting:
    """What else the values meet. column: a value of this column is one of them; other: NULLIF compares them with this.
    Both raise Refusal."""

    column: Callable[[ProtectedColumn], None]
    other: Callable[[Term], None]


def place(choice: Choice, column: ProtectedColumn, use: Use, findings: Findings, meeting: Meeting) -> None:
    """Every value of the choice stands for one of `column`. Raises Refusal."""
    if choice.fate.plain:
        raise refuse(column, f"{choice.what} whose value is used in another way too", hint="Give the value twice.")
    _place(choice, column, use, findings, meeting, None)


def decided(choice: Choice, findings: Findings) -> Held | None:
    """The choice as values of the column that an earlier place made it, None if nothing did. Raises Refusal."""
    column = choice.fate.column
    if column is None:
        return None
    if _changing(_specs(choice.casts, column, findings)) != _changing(choice.fate.casts):
        raise refuse(column, f"{choice.what} under two casts", hint=WITHOUT)
    _uncast(choice.casts, column, findings)
    return Held(column, choice.fate)


def _place(
    choice: Choice, column: ProtectedColumn, use: Use, findings: Findings, meeting: Meeting, above: TypeSpec | None
) -> None:
    """above: the type of the set operation that a raw choice is an arm of."""
    casts = _specs(choice.casts, column, findings)
    context = above if above is not None and choice.raw else common(choice, column, findings) or TEXT
    choice.fate.column, choice.fate.casts = column, casts
    _uncast(choice.casts, column, findings)
    before = len(findings.inputs)
    for term in choice.terms:
        _one(term, choice, column, use, findings, meeting, context)
    choice.fate.places.update(dict.fromkeys(range(before, len(findings.inputs))))
    for other in choice.against:  # of text, so that both are the column's as they are
        if column.facade.name not in VARYING or choice.casts:
            raise refuse(column, choice.what)
        meeting.other(other)


def _one(
    term: Term,
    choice: Choice,
    column: ProtectedColumn,
    use: Use,
    findings: Findings,
    meeting: Meeting,
    context: TypeSpec,
) -> None:
    if isinstance(term, Value):
        findings.place(term, column, use, inside=Inside(context, choice.casts))
    elif isinstance(term, Elements) and (term.value.casts or term.value.node.kind == "ParamRef"):
        findings.place(term.value, column, use, array=True, inside=Inside(context, choice.casts))
    elif isinstance(term, Null) and not term.default:
        _uncast(term.casts, column, findings)
    elif isinstance(term, Held):
        _keeps(term.column, choice.casts, findings)
        meeting.column(term.source)
    elif isinstance(term, Choice) and not choice.casts:
        if term.fate.plain:
            raise refuse(column, f"{term.what} whose value is used in another way too", hint="Give the value twice.")
        held = decided(term, findings)
        if held is not None:
            findings.used(term.fate.places, use)
            choice.fate.places.update(term.fate.places)
            meeting.column(held.source)
        else:
            _place(term, column, use, findings, meeting, context)
    else:
        raise refuse(column, f"{choice.what} with a computed value")


Known = dict[int, TypeSpec | None]  # by a choice's fate: one may be in others any number of times


def common(choice: Choice, column: ProtectedColumn, findings: Findings, known: Known | None = None) -> TypeSpec | None:
    """The type of its values, without a modifier; None if none of them has one. Raises Refusal. known: of choices that
    were looked at."""
    known = {} if known is None else known
    if id(choice.fate) not in known:
        known[id(choice.fate)] = _common(choice, column, findings, known)
    return known[id(choice.fate)]


def _common(choice: Choice, column: ProtectedColumn, findings: Findings, known: Known) -> TypeSpec | None:
    found: TypeSpec | None = None
    for term in choice.terms:
        spec = _type(term, column, findings, known)
        if spec is None or found is None:
            found = found or spec
        elif spec.name != found.name and not {spec.name, found.name} <= VARYING:
            raise refuse(column, f"{choice.what} of values of two types", hint="Cast each value to one type.")
    return found


def _type(term: Term, column: ProtectedColumn, findings: Findings, known: Known) -> TypeSpec | None:
    """None: unknown, as a string literal or a parameter alone is."""
    if isinstance(term, Held):
        return _bare(term.column.facade)
    if isinstance(term, Choice):
        found = _specs(term.casts, column, findings)[-1:] or (common(term, column, findings, known),)
        return found[0] and _bare(found[0]) if found[0] is not None or term.raw else TEXT
    if isinstance(term, Elements):
        return _element(term, column, findings)
    if not isinstance(term, Value | Null):
        return None
    if term.casts:
        return _bare(_specs(term.casts[-1:], column, findings)[0])
    return findings.number_type(term.node) if isinstance(term, Value) else None


def _element(term: Elements, column: ProtectedColumn, findings: Findings) -> TypeSpec | None:
    last = term.value.casts[-1:]
    return _bare(_specs(last, column, findings, True)[0]) if last else None


def _specs(
    casts: tuple[Node, ...], column: ProtectedColumn, findings: Findings, array: bool = False
) -> tuple[TypeSpec, ...]:
    return tuple([findings.cast(cast, column, array) for cast in casts])


def _changing(specs: tuple[TypeSpec, ...]) -> tuple[TypeSpec, ...]:
    """Casts that may make another text of a text."""
    return tuple([spec for spec in specs if spec.name not in VARYING or spec.typmod != -1])


def _bare(spec: TypeSpec) -> TypeSpec:
    return TypeSpec(spec.name, spec.oid, spec.size)


def _keeps(held: ProtectedColumn, casts: tuple[Node, ...], findings: Findings) -> None:
    """Raises Refusal unless the casts leave values of the column as they are."""
    for spec in _specs(casts, held, findings):
        same = spec.name == held.facade.name or {spec.name, held.facade.name} <= VARYING
        if not same or spec.typmod != -1:
            raise refuse(held, "a cast to another type", hint="Read the column without the cast.")


def _uncast(casts: tuple[Node, ...], column: ProtectedColumn, findings: Findings) -> None:
    """Casts that tokens would not survive are not sent; they are applied to the values."""
    for cast in casts:
        try:
            findings.uncast(cast)
        except Unclear:
            raise refuse(column, "a cast around its value", hint=WITHOUT) from None
