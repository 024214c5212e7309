"""What the columns of a view hold, by its definition: a protected column's values as they are, or nothing of any.

A view is read as a subquery of its definition (pg_get_viewdef, with an empty search_path) would be: by what it names
and compares it is as good as a statement, or refused as one. Not here: views whose contents are stored, whose writes go
through rules or triggers of their own, or whose definition could not be had.

Invariant: a definition in which a protected column meets a value is refused; its tokens are not the definition's.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import final

from proxy.errors import Refusal
from proxy.sql.catalog import Snapshot
from proxy.sql.expressions import Expressions
from proxy.sql.findings import Findings
from proxy.sql.queries import Queries
from proxy.sql.referee import Node, parse
from proxy.sql.relations import ProtectedColumn, Relation
from proxy.sql.scopes import OutColumn, Outputs
from proxy.sql.shape import analysis_text, shape
from proxy.sql.tables import Tables, View
from proxy.sql.terms import Held, refuse, unsupported


@final
class Views:
    """Those that one statement names, each read once. Implements `tables.Definitions`."""

    __slots__ = ("_known", "_reading", "_snapshot")

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._known: dict[int, View] = {}
        self._reading: set[int] = set()

    def view(self, relation: Relation) -> View:
        """Raises Refusal, which names the view."""
        if relation.oid not in self._known:
            try:
                self._known[relation.oid] = self._read(relation)
            except Refusal as refusal:
                raise _of_view(relation, refusal) from None
        return self._known[relation.oid]

    def _read(self, relation: Relation) -> View:
        if relation.oid in self._reading:
            raise unsupported("its definition leads back to it")
        self._reading.add(relation.oid)
        text = relation.definition.encode()
        cut = shape(text, True)
        findings = Findings(text, cut, analysis_text(text, cut), True)
        tables = Tables(self._snapshot, (), self)
        queries = Queries(Expressions(findings, tables), tables, findings)
        outputs = queries.top(_select(findings))
        if findings.inputs or findings.edits or findings.unclassified() is not None:
            raise unsupported("its definition has a value in it that meets a protected column")
        self._reading.discard(relation.oid)
        return View(MappingProxyType(_columns(relation, outputs)), tuple(tables.touched))


def _select(findings: Findings) -> Node:
    statements = parse(findings.analysis.text)
    if len(statements) != 1 or statements[0].node.kind != "SelectStmt":
        raise unsupported("its definition is no SELECT")
    return statements[0].node


def _columns(relation: Relation, outputs: Outputs) -> Mapping[str, ProtectedColumn]:
    """The view's names of its columns; those that it may have been given since don't stand in its definition."""
    held = outputs.held()
    if held is not None and (outputs.opaque or len(outputs.columns) != len(relation.columns)):
        raise refuse(held.column, "a view whose columns are not all known")
    found: dict[str, ProtectedColumn] = {}
    for column, output in zip(relation.columns, outputs.columns, strict=False):
        if isinstance(output.term, Held):
            found[column.name] = _as_it_is(output, output.term, column.type_oid, column.typmod)
    return found


def _as_it_is(output: OutColumn, term: Held, oid: int, typmod: int) -> ProtectedColumn:
    """Clients are told the protected column's type: the view's own has to be that of its tokens."""
    stored = term.column.stored
    if term.made is not None or term.fits is not None or (stored.oid, stored.typmod) != (oid, typmod):
        raise refuse(term.column, f"a view whose column {output.name or ''} has another type")
    return term.column


def _of_view(relation: Relation, refusal: Refusal) -> Refusal:
    """With the view's name; its position is in the definition, which is not the client's text."""
    label = f"{relation.schema}.{relation.name}"
    message = (
        refusal.message if refusal.message.startswith("view ") else f"view {label} can't be read: {refusal.message}"
    )
    hint = refusal.hint or "Read the protected table itself."
    return replace(refusal, code="depends-on-protected", message=message, hint=hint, position=0)
