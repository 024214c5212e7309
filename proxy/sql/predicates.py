"""What may be asked of protected columns in the database itself: equality, because tokens keep it.

Each function takes the terms of a comparison, gives the literals and parameters in it their roles, or raises Refusal.
A comparison without a protected column is harmless, whatever it is.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from proxy.errors import Refusal
from proxy.sql import choices
from proxy.sql.findings import Findings, Use
from proxy.sql.referee import Node
from proxy.sql.relations import ProtectedColumn
from proxy.sql.terms import Array, Choice, Elements, Held, Null, Row, Term, Value, WholeRow, held_in, refuse
from proxy.wire.types import TypeSpec

EQUALITY: Final = frozenset(("=", "<>"))  # the lexer makes != into <>
_TEXTS: Final = frozenset(("text", "varchar", "bpchar"))


def settle(term: Term, findings: Findings, construct: str) -> None:
    """A term where nothing protected may be: literals and parameters in it are harmless. Raises Refusal."""
    if isinstance(term, Choice) and term.fate.plain:
        return
    held = held_in(term)
    if held is not None:
        raise refuse(held, term.what if isinstance(term, Choice) else construct)
    if isinstance(term, Elements):
        term = term.value
    if isinstance(term, WholeRow):
        settle_all(term.choices, findings, construct)
    elif isinstance(term, Choice):
        term.fate.plain = True
        settle_all((*term.terms, *term.against), findings, construct)
        for cast in term.casts:
            _settle_cast(cast, findings)
    elif isinstance(term, Value):
        findings.plain(term.node)
        for cast in term.casts:
            _settle_cast(cast, findings)
    elif isinstance(term, Row | Array):
        for inner in term.terms:
            settle(inner, findings, construct)
        for cast in getattr(term, "casts", ()):
            _settle_cast(cast, findings)


def settle_all(terms: Iterable[Term], findings: Findings, construct: str) -> None:
    for term in terms:
        settle(term, findings, construct)


def now(term: Term, findings: Findings) -> Term:
    """A choice that an earlier place of the statement decided is a protected column's value like any other."""
    return (choices.decided(term, findings) or term) if isinstance(term, Choice) else term


def choose(choice: Choice, column: ProtectedColumn, use: Use, findings: Findings, construct: str) -> None:
    """The choice stands for values of `column`: its values become tokens. Raises Refusal."""

    def held(found: ProtectedColumn) -> None:
        if use == "write":
            _copy(column, found)
        else:
            same(column, found, construct)

    choices.place(
        choice, column, use, findings, choices.Meeting(held, lambda term: _one(column, term, findings, choice.what))
    )


def _settle_cast(cast: Node, findings: Findings) -> None:
    name = cast.part("typeName", "TypeName")
    for modifier in name.nodes("typmods") if name is not None else ():
        findings.plain(modifier)


def equal(left: Term, right: Term, findings: Findings, construct: str = "=") -> None:
    """left = right, or <>, IS [NOT] DISTINCT FROM, one element of IN."""
    left, right = _met(left, findings, construct), _met(right, findings, construct)
    if held_in(left) is None and held_in(right) is None:
        settle(left, findings, construct)
        settle(right, findings, construct)
        return
    if isinstance(left, Row) and isinstance(right, Row) and len(left.terms) == len(right.terms):
        for a, b in zip(left.terms, right.terms, strict=True):
            equal(a, b, findings, construct)
        return
    if isinstance(right, Held) and not isinstance(left, Held):
        left, right = right, left
    if not isinstance(left, Held):
        column = held_in(left) or held_in(right)
        assert column is not None
        raise refuse(column, f"{construct} between a row or an array and something else")
    _looked_for(left, findings)
    _one(left.column, right, findings, construct)


def _met(term: Term, findings: Findings, construct: str) -> Term:
    """A term that is compared: a choice with a protected column in it is of that column (COALESCE(email, ''))."""
    term = now(term, findings)
    held = held_in(term)
    if not isinstance(term, Choice) or held is None:
        return term
    comparable(held)
    choose(term, held, "search", findings, construct)
    return Held(held, term.fate)


def _looked_for(term: Term, findings: Findings) -> None:
    """A value of the statement's own that is stored is compared too, which takes the right to search."""
    if isinstance(term, Held) and term.made is not None:
        findings.used(term.made.places, "search")


def _one(column: ProtectedColumn, other: Term, findings: Findings, construct: str) -> None:
    comparable(column)
    other = now(other, findings)
    _looked_for(other, findings)
    if isinstance(other, Value):
        findings.place(other, column, "search")
    elif isinstance(other, Choice):
        choose(other, column, "search", findings, construct)
    elif isinstance(other, Held):
        same(column, other.column, construct)
    elif not isinstance(other, Null) or other.default:
        raise Refusal(
            "class-mismatch",
            f"column {column.label} is protected: {construct} compares it with something that is not of class "
            f"{column.class_name}",
            "Compare it with a literal, a parameter, or a column of the same class.",
            column=column.label,
        )


def comparable(column: ProtectedColumn) -> None:
    """Raises Refusal if what lies in the column is not equal where its values are."""
    if not column.deterministic:
        raise Refusal(
            "random-token-equality",
            f"column {column.label} has random tokens (class {column.class_name}): equal values are not equal there",
            "Use `tokens: deterministic` for the class, or look for the row by another column.",
            column=column.label,
        )
    at_home(column, "a comparison would miss those rows")
    if column.mixed:
        raise Refusal(
            "plaintext-rows",
            f"column {column.label} holds values that are no tokens: a comparison would miss those rows",
            "Write them anew through pgveil: UPDATE … SET column = 'value'.",
            column=column.label,
        )


def at_home(column: ProtectedColumn, why: str) -> None:
    """Raises Refusal if what lies in the column is of another vault, class or type than what would be put there."""
    if column.foreign:
        raise Refusal(
            "foreign-tokens",
            f"column {column.label} holds {column.foreign}: {why}",
            "Start pgveil with the vault, keys and policy that these rows were written with, or empty the column.",
            column=column.label,
        )


def same(left: ProtectedColumn, right: ProtectedColumn, construct: str) -> None:
    """Raises Refusal if two columns' tokens don't compare as their values do."""
    comparable(left)
    comparable(right)
    if left.class_name != right.class_name:
        raise _mismatch(
            left, right, f"classes {left.class_name} and {right.class_name} have tokens of their own", construct
        )
    kinds = {left.facade.name, right.facade.name}
    alike = len(kinds) == 1 or kinds in ({"text", "varchar"}, {"text", "bpchar"})
    if not alike or (left.stored.name == "uuid") != (right.stored.name == "uuid"):
        raise _mismatch(left, right, "their types don't compare as their tokens do", construct)


def _mismatch(left: ProtectedColumn, right: ProtectedColumn, why: str, construct: str) -> Refusal:
    return Refusal(
        "class-mismatch",
        f"{construct} of {left.label} and {right.label} can't be answered: {why}",
        "Give both columns one class and one type.",
        column=left.label,
    )


def any_of(left: Term, right: Term, findings: Findings, construct: str) -> None:
    """left = ANY (array) or <> ALL (array)."""
    left = _met(left, findings, construct)
    if held_in(left) is None and held_in(right) is None:
        settle(left, findings, construct)
        settle(right, findings, construct)
        return
    if not isinstance(left, Held):
        column = held_in(left) or held_in(right)
        assert column is not None
        raise refuse(column, construct)
    column = left.column
    comparable(column)
    _looked_for(left, findings)
    if isinstance(right, Value):
        findings.place(right, column, "search", array=True)
    elif isinstance(right, Array):
        _elements(column, right, findings, construct)
    elif not isinstance(right, Null):
        raise refuse(column, f"{construct} with a computed array")


def _elements(column: ProtectedColumn, array: Array, findings: Findings, construct: str) -> None:
    """ARRAY['a', $1]: the array stays, its elements become tokens. It is text[] for the server, which char(n)
    compares otherwise; a cast that could cut a token or is no text is not followed."""
    for cast in array.casts:
        name = cast.part("typeName", "TypeName")
        spec = None if name is None else findings.type_of(name, True)
        if spec is None or spec.name not in ("text", "varchar") or spec.typmod != -1:
            raise refuse(column, f"{construct} with a cast array", hint="Leave the cast of ARRAY[…] out.")
    if column.facade.name == "bpchar" or (array.casts and column.stored.name not in _TEXTS):
        raise refuse(column, f"{construct} with ARRAY[…]", hint="Use IN (…), or one array parameter.")
    for term in array.terms:
        if isinstance(term, Array):
            raise refuse(column, f"{construct} with a nested array")
        _one(column, term, findings, construct)


def member(left: Term, outputs: tuple[Term, ...], findings: Findings, construct: str) -> None:
    """left [= ANY | <> ALL | IN] (subquery with these columns)."""
    terms = left.terms if isinstance(left, Row) else (left,)
    if len(terms) != len(outputs):
        if any(held_in(t) is not None for t in (*terms, *outputs)):
            raise Refusal("unsupported-expression", f"{construct} of {len(terms)} values with {len(outputs)} columns")
        settle(left, findings, construct)
        return
    for term, output in zip(terms, outputs, strict=True):
        equal(term, output, findings, construct)


# ---- sorting, grouping, assigning ----------------------------------------------------------------------------------


def order_key(term: Term, findings: Findings, construct: str = "ORDER BY") -> None:
    held = held_in(term)
    if held is not None:
        raise Refusal(
            "order-by-protected",
            f"column {held.label} is protected: {construct} would sort its tokens, not its values",
            "Sort by another column, or sort in the application.",
            column=held.label,
        )
    settle(term, findings, construct)


def group_key(term: Term, findings: Findings, construct: str) -> None:
    """GROUP BY, DISTINCT, PARTITION BY: equality, so deterministic tokens keep it."""
    term = now(term, findings)
    if isinstance(term, Row):
        for inner in term.terms:
            group_key(inner, findings, construct)
    elif isinstance(term, Held):
        comparable(term.column)
    else:
        settle(term, findings, construct)


def merge(left: ProtectedColumn, right: ProtectedColumn, construct: str) -> ProtectedColumn:
    """The column that two make: an arm of UNION each, or sides of USING. Raises Refusal.

    The type is parse_coerce.c's select_common_type(): of text and varchar, which turn into each other, the first; a
    length stays only if both have it.
    """
    if left.class_name != right.class_name:
        raise _mismatch(left, right, f"classes {left.class_name} and {right.class_name} differ", construct)
    if (left.stored.name == "uuid") != (right.stored.name == "uuid"):
        raise _mismatch(left, right, "their types differ", construct)
    made = replace(
        left,
        mixed=left.mixed or right.mixed,
        foreign=left.foreign or right.foreign,
        loose=left.loose or right.loose,
    )
    if left.facade == right.facade:
        return made
    if not {left.facade.name, right.facade.name} <= {"text", "varchar"}:
        raise _mismatch(left, right, "their types differ", construct)
    return unmodified(made)


def unmodified(column: ProtectedColumn) -> ProtectedColumn:
    """The column with its type without a modifier. Values of char(n) and numeric(p,s) go on looking as theirs."""
    shown = column.facade
    if shown.name not in ("text", "varchar"):
        return replace(column, loose=True)
    return replace(column, facade=TypeSpec(shown.name, shown.oid, shown.size), loose=True)


def settle_pending(findings: Findings) -> None:
    """At the end of a statement: values that met nothing protected are harmless."""
    for choice in findings.pending:
        if choice.fate.column is None:
            settle(choice, findings, choice.what)
    findings.pending.clear()


def pending(terms: tuple[Term, ...], construct: str, findings: Findings, raw: bool = True) -> Choice:
    """A column of values, to become a protected column's or harmless by what it meets."""
    choice = Choice(terms, construct, raw=raw)
    findings.pending.append(choice)
    return choice


def union(left: Term, right: Term, construct: str, distinct: bool, findings: Findings) -> Term:
    """The column that two arms of a set operation make. Raises Refusal."""
    left, right = now(left, findings), now(right, findings)
    if not distinct and isinstance(left, Choice) and isinstance(right, Choice | Null):
        return pending((left, right), construct, findings)
    if isinstance(left, Null) and isinstance(right, Choice) and not distinct:
        return pending((left, right), construct, findings)
    settle_all([term for term in (left, right) if isinstance(term, Choice)], findings, construct)
    if isinstance(left, Null):
        left, right = right, left
    if isinstance(left, Held):
        if distinct:
            comparable(left.column)
        if isinstance(right, Null):
            # select_common_typmod(): NULL has none, so the column has none
            loose = unmodified(left.column)
            return Held(loose, left.made, None if left.source.facade == loose.facade else left.source.facade)
        if isinstance(right, Held):
            if distinct:
                comparable(right.column)
            both = merge(left.column, right.column, construct)
            same_length = left.source.facade == right.source.facade
            fits = left.source.facade if same_length and left.source.facade != both.facade else None
            return Held(both, left.made or right.made, fits)
    held = left if isinstance(left, Held) else right
    if isinstance(held, Held):
        raise Refusal(
            "class-mismatch",
            f"{construct} puts column {held.column.label}, which is protected, and something else into one column",
            "Select columns of the same class in both arms.",
            column=held.column.label,
        )
    return left


def assign(column: ProtectedColumn | None, label: str, term: Term, findings: Findings) -> None:
    """`term` is stored in a column: a protected one, or (None) one called `label`. Raises Refusal."""
    if column is None:
        held = held_in(term)
        if held is not None:
            raise Refusal(
                "unprotected-target",
                f"a value of {held.label}, which is protected, would be stored in {label}, which is not",
                f"Protect {label} with class {held.class_name}.",
                column=held.label,
            )
        settle(term, findings, f"a value for {label}")
        return
    findings.assigned[column.label] = column
    term = now(term, findings)
    if isinstance(term, Value | Choice):
        at_home(column, "equal values would not be equal to them")
    if isinstance(term, Value):
        findings.place(term, column, "write")
    elif isinstance(term, Choice):
        choose(term, column, "write", findings, "assignment")
    elif isinstance(term, Held):
        if term.made is not None:
            findings.used(term.made.places, "write")
        _copy(column, term.source)
    elif not isinstance(term, Null):
        held = held_in(term)
        raise refuse(
            held or column,
            f"a computed value for {column.label}",
            hint="Compute the value in the application and send it as a literal or a parameter.",
        )


def _copy(target: ProtectedColumn, source: ProtectedColumn) -> None:
    if source.foreign != target.foreign:
        at_home(source, "they would be among those of another kind")
        at_home(target, "equal values would not be equal to them")
    if source.mixed and not target.mixed:
        comparable(source)  # its rows without tokens would be missed in the target too
    if target.class_name != source.class_name:
        raise _mismatch(target, source, f"classes {target.class_name} and {source.class_name} differ", "assignment")
    fits = target.facade == source.facade or (
        target.facade.name in ("text", "varchar")
        and target.facade.typmod == -1
        and source.facade.name in ("text", "varchar")
    )
    if not fits or (target.stored.name == "uuid") != (source.stored.name == "uuid"):
        raise _mismatch(target, source, "their types differ", "assignment")
