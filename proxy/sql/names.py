"""What a column reference means in a scope. See `sql.scopes` for the rules."""

from proxy.errors import Refusal
from proxy.sql.referee import Node
from proxy.sql.relations import ProtectedColumn
from proxy.sql.scopes import SYSTEM_COLUMNS, ColumnTerm, OutColumn, Outputs, Range, Scope
from proxy.sql.terms import PLAIN, Held, Term, WholeRow


def column(node: Node, scope: Scope) -> Term:
    """The term of a ColumnRef; a whole row for a range's name or `t.*`. Raises Refusal."""
    fields = node.nodes("fields")
    names = [field.text("sval") for field in fields if field.kind == "String"]
    if fields and fields[-1].kind == "A_Star":
        if not names:
            return WholeRow(_any_held(scope))
        found = _range(names, scope)
        return PLAIN if found is None else found.whole()
    if len(names) == 1:
        return _bare(names[0], scope)
    return _qualified(names, scope)


def _any_held(scope: Scope) -> ProtectedColumn | None:
    for found in scope.ranges:
        whole = found.whole()
        if whole.column is not None:
            return whole.column
    return None


def _bare(name: str, scope: Scope) -> Term:
    level: Scope | None = scope
    maybe = False
    while level is not None:
        found = _at_level(name, level)
        if found is not None:
            if maybe and isinstance(found, Held):
                raise _unsure(name)
            return found
        maybe = maybe or any(r.vague and r.listed for r in level.ranges)
        level = level.parent
    if name in SYSTEM_COLUMNS:
        return PLAIN
    found_range = _range([name], scope)
    if found_range is not None:
        return found_range.whole()
    if not maybe and (table := _protected_table(scope)):
        raise _no_column(name, table)
    return PLAIN


def _at_level(name: str, level: Scope) -> ColumnTerm | None:
    best: ColumnTerm | None = None
    for candidate in level.ranges:
        if not candidate.listed:
            continue
        found = candidate.find(name)
        if found is not None and (best is None or isinstance(found, Held)):
            best = found
    return best


def _qualified(names: list[str], scope: Scope) -> Term:
    found = _range(names[:-1], scope)
    name = names[-1]
    if found is None:
        if table := _protected_table(scope):
            raise Refusal(
                "unknown-relation",
                f'missing FROM-clause entry for table "{names[-2]}"',
                f"The statement also names {table}, which is protected.",
            )
        return PLAIN
    term = found.find(name)
    if term is not None:
        return term
    if name in SYSTEM_COLUMNS or found.vague:
        return PLAIN
    if found.table:
        raise _no_column(name, found.table)
    whole = found.whole()
    if whole.column is not None:
        raise _no_column(name, whole.column.label)
    return PLAIN


def _range(names: list[str], scope: Scope) -> Range | None:
    """The innermost range of that name; names: [[database,] schema,] range."""
    level: Scope | None = scope
    while level is not None:
        for candidate in level.ranges:
            if candidate.name == names[-1] and (len(names) == 1 or candidate.schema == names[-2]):
                return candidate
        level = level.parent
    return None


def column_of(name: str, ranges: tuple[Range, ...]) -> ColumnTerm | None:
    """What a name alone means among FROM items; None if no known column has it."""
    return _at_level(name, Scope(ranges))


def is_column(name: str, scope: Scope) -> bool:
    """Whether a name alone is a column of some table in sight, or may be (parse_clause.c asks colNameToVar, which looks
    at all levels)."""
    level: Scope | None = scope
    while level is not None:
        if _at_level(name, level) is not None:
            return True
        level = level.parent
    return False


def star(names: list[str], scope: Scope) -> Outputs:
    """The columns of `*` (no names) or `t.*`. Raises Refusal."""
    if names:
        found = _range(names, scope)
        if found is None:
            return Outputs((), True)
        return Outputs(found.columns, found.opaque)
    columns: list[OutColumn] = []
    opaque = False
    for candidate in scope.ranges:
        if candidate.listed:
            columns += candidate.columns
            opaque = opaque or candidate.opaque
    return Outputs(tuple(columns), opaque)


def _protected_table(scope: Scope) -> str:
    level: Scope | None = scope
    while level is not None:
        for candidate in level.ranges:
            if candidate.table:
                return candidate.table
        level = level.parent
    return ""


def _no_column(name: str, table: str) -> Refusal:
    return Refusal(
        "unknown-relation",
        f'column "{name}" is not in the catalog of {table} as last read',
        "If it was just added by another way than pgveil, try again in a moment.",
    )


def _unsure(name: str) -> Refusal:
    return Refusal(
        "ambiguous-relation",
        f'it is not certain which column "{name}" is: a table in FROM has columns that are not known',
        "Write the column with its table's alias.",
    )
