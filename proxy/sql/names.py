"""What a column reference means in a scope. See `sql.scopes` for the rules."""

from proxy.errors import Refusal
from proxy.sql.referee import Node
from proxy.sql.relations import ProtectedColumn
from proxy.sql.scopes import SYSTEM_COLUMNS, ColumnTerm, OutColumn, Outputs, Range, Scope
from proxy.sql.terms import PLAIN, Held, Term


def column(node: Node, scope: Scope) -> Term:
    """The term of a ColumnRef; a whole row for a range's name or `t.*`. Raises Refusal."""
    fields = node.nodes("fields")
    names = [field.text("sval") for field in fields if field.kind == "String"]
    if fields[-1].kind == "A_Star":  # of a range: `*` alone stands in select lists only, see `star`
        found = _range(names, scope)
        return PLAIN if found is None else found.whole()
    if len(names) == 1:
        return _bare(node, names[0], scope)
    return _qualified(node, names, scope)


def _bare(node: Node, name: str, scope: Scope) -> Term:
    level: Scope | None = scope
    maybe = False
    while level is not None:
        found = _at_level(name, level)
        if found is not None:
            if maybe and isinstance(found, Held):
                raise _unsure(name)
            return found
        for candidate in level.ranges:
            if candidate.listed and candidate.hidden is not None:
                raise _hidden(candidate.hidden, name)
        maybe = maybe or any(r.vague and r.listed for r in level.ranges)
        level = level.parent
    if name in SYSTEM_COLUMNS:
        return PLAIN
    found_range = _range([name], scope)
    if found_range is not None:
        return found_range.whole()
    if not maybe and _protected_table(scope):
        raise undefined(f'column "{name}" does not exist', node)
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


def _qualified(node: Node, names: list[str], scope: Scope) -> Term:
    found = _range(names[:-1], scope)
    name = names[-1]
    if found is None:
        if _protected_table(scope):
            raise _no_range(names[-2], node, scope)
        return PLAIN
    term = found.find(name)
    if term is not None:
        return term
    held = found.whole().column
    if held is not None and found.vague:
        # s.name may be that column, or name(s): a function of the whole row (parse_func.c ParseFuncOrColumn)
        raise _hidden(held, name)
    if name in SYSTEM_COLUMNS or found.vague:
        return PLAIN
    if found.table or held is not None:
        raise undefined(f"column {names[-2]}.{name} does not exist", node)
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
    """What a name alone means among FROM items; None if no known column has it. Raises Refusal if a protected column
    may have it."""
    found = _at_level(name, Scope(ranges))
    hidden = next((r.hidden for r in ranges if r.listed and r.hidden is not None), None)
    if found is None and hidden is not None:
        raise _hidden(hidden, name)
    return found


def is_column(name: str, scope: Scope) -> bool:
    """Whether a name alone is a column of the level's own FROM items (parse_clause.c findTargetlistEntrySQL92 asks
    colNameToVar for no others: GROUP BY prefers a result column to one of the query around)."""
    return _at_level(name, scope) is not None


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


def undefined(message: str, node: Node, code: str = "undefined-column", hint: str = "") -> Refusal:
    """What the server says of a name that is not there (parse_relation.c, parse_target.c), where it stands."""
    return Refusal(code, message, hint, position=node.location + 1)


def _no_range(name: str, node: Node, scope: Scope) -> Refusal:
    """parse_relation.c errorMissingRTE()."""
    level: Scope | None = scope
    while level is not None:
        for candidate in level.ranges:
            if candidate.name is not None and candidate.table.endswith(f".{name}"):
                message = f'invalid reference to FROM-clause entry for table "{name}"'
                hint = f'Perhaps you meant to reference the table alias "{candidate.name}".'
                return undefined(message, node, "undefined-table", hint)
        level = level.parent
    return undefined(f'missing FROM-clause entry for table "{name}"', node, "undefined-table")


def _unsure(name: str) -> Refusal:
    return Refusal(
        "ambiguous-relation",
        f'it is not certain which column "{name}" is: a table in FROM has columns that are not known',
        "Write the column with its table's alias.",
    )


def _hidden(column: ProtectedColumn, name: str) -> Refusal:
    return Refusal(
        "unsupported-expression",
        f"column {column.label} is protected, and it is not certain whether {name} is it: its range has columns whose "
        "names are not known",
        "Name each column of the subquery, with AS and without `*`.",
        column=column.label,
    )
