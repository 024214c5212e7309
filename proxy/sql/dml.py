"""Reading INSERT, UPDATE and DELETE: which value goes into which column, and what RETURNING shows."""

from typing import final

from proxy.sql import predicates
from proxy.sql.expressions import Expressions
from proxy.sql.findings import Findings
from proxy.sql.names import undefined
from proxy.sql.plan import Edit
from proxy.sql.queries import Queries
from proxy.sql.referee import Node
from proxy.sql.relations import ProtectedColumn
from proxy.sql.scopes import Outputs, Range, Scope
from proxy.sql.shape import position_at
from proxy.sql.spans import name_end, quoted_name
from proxy.sql.tables import Table, Tables
from proxy.sql.terms import PLAIN, Held, Null, Row, Term, held_in, refuse, unsupported


@final
class Writes:
    """See the module."""

    __slots__ = ("_expressions", "_findings", "_queries", "_tables")

    def __init__(self, expressions: Expressions, queries: Queries, tables: Tables, findings: Findings) -> None:
        self._expressions = expressions
        self._queries = queries
        self._tables = tables
        self._findings = findings
        queries.statement = self.statement

    def statement(self, node: Node, scope: Scope) -> Outputs:
        """A statement that may stand in WITH; its outputs are those of RETURNING. Raises Refusal."""
        readers = {"InsertStmt": self._insert, "UpdateStmt": self._update, "DeleteStmt": self._delete}
        reader = readers.get(node.kind)
        if reader is None:
            raise unsupported(
                f"{_NAMES.get(node.kind, node.kind)} is not supported where it touches a protected table"
                + (f" ({table})" if (table := self._tables.reached(node)) else ""),
                "Use INSERT … ON CONFLICT, UPDATE or DELETE.",
            )
        inner = self._queries.with_clause(node, scope)
        outputs = reader(node, inner)
        self._queries.finish_with(inner)
        return outputs

    def _target(self, node: Node) -> tuple[Table, Range]:
        relation = node.part("relation", "RangeVar")
        assert relation is not None
        table = self._tables.target(relation)
        alias = relation.part("alias", "Alias")
        name = None if alias is None else alias.text("aliasname")
        return table, table.range(name, [], name is None)

    def _returning(self, node: Node, target: Range, others: tuple[Range, ...], scope: Scope) -> Outputs:
        clause = node.part("returningClause", "ReturningClause")
        if clause is None:
            return Outputs()
        taken = {r.name for r in (target, *others)}
        marks = {"old": "old", "new": "new"}
        for option in clause.nodes("options"):
            kind = "old" if option.text("option").endswith("OLD") else "new"
            marks[kind] = option.text("value")
        versions = tuple(
            [
                Range(m, target.columns, target.opaque, None, False, target.table)
                for m in marks.values()
                if m not in taken
            ]
        )
        inner = scope.inner((target, *others, *versions))
        return self._queries.settled(self._queries.targets(clause.nodes("exprs"), inner))

    # ---- INSERT

    def _insert(self, node: Node, scope: Scope) -> Outputs:
        table, target = self._target(node)
        source = node.node("selectStmt")
        named = node.nodes("cols")
        if source is not None:
            if source.nodes("valuesLists") and not _decorated(source):
                self._values(node, table, named, source, scope)
            else:
                columns, opaque = self._queries.rows(source, scope)
                terms = [term for _, term in columns]
                self._assign(self._columns(node, table, named, len(terms), opaque), terms, table, opaque)
        conflict = node.part("onConflictClause", "OnConflictClause")
        if conflict is not None:
            self._conflict(conflict, table, target, scope)
        return self._returning(node, target, (), scope)

    def _values(self, node: Node, table: Table, named: list[Node], source: Node, scope: Scope) -> None:
        rows = [row.nodes("items") for row in source.nodes("valuesLists")]
        width = max([len(row) for row in rows])
        columns = self._columns(node, table, named, width, False)
        for row in rows:
            terms = [self._expressions.term(item, scope) for item in row]
            self._assign(columns, terms, table, False)

    def _columns(self, node: Node, table: Table, named: list[Node], width: int, opaque: bool) -> list[str]:
        """Names of the columns that are written. Without a list they are written into the statement: a column that was
        dropped meanwhile must not shift the values."""
        if named:
            for column in named:
                self._known(table, column)
                for step in column.nodes("indirection"):
                    self._expressions.plain(step, Scope(), "an array subscript")
            return [column.text("name") for column in named]
        if table.relation is None:
            return []
        live = [column.name for column in table.relation.columns]
        if not table.protected:
            return live[:width]
        if opaque or width > len(live):
            raise unsupported(
                f"INSERT into {table.label} without a column list: its columns can't be counted",
                "Write the columns: INSERT INTO … (a, b) …",
            )
        self._list(node, live[:width])
        return live[:width]

    def _list(self, node: Node, columns: list[str]) -> None:
        """Put the column list behind the table's name and alias. Raises Unclear."""
        relation = node.part("relation", "RangeVar")
        assert relation is not None
        tokens = self._findings.tokens
        last = name_end(tokens, relation.location)
        if tokens.get(last + 1) == b"as":
            last = name_end(tokens, tokens.starts[last + 2])
        at = position_at(self._findings.analysis, tokens.ends[last])
        quoted = ", ".join([quoted_name(name) for name in columns])
        self._findings.edits.append(Edit(at, at, text=f" ({quoted})".encode()))

    def _known(self, table: Table, column: Node) -> None:
        """A target column that the catalog has; no part of a protected one."""
        name = column.text("name")
        if table.protected and not table.has(name):
            raise undefined(f'column "{name}" of relation "{table.name}" does not exist', column)
        steps = column.nodes("indirection")
        if steps and name in table.protected:
            raise refuse(table.protected[name], "assignment to a part of it")

    def _assign(self, columns: list[str], terms: list[Term], table: Table, opaque: bool) -> None:
        if opaque and (table.protected or any(held_in(term) is not None for term in terms)):
            raise unsupported(
                f"INSERT into {table.label} from a query whose columns are not all known",
                "Write the columns of the query.",
            )
        for i, term in enumerate(terms):
            column = columns[i] if i < len(columns) else ""
            held = table.protected.get(column)
            predicates.assign(held, f"{table.label}.{column}" if column else table.label, term, self._findings)

    def _guessed(self, infer: Node | None, table: Table) -> None:
        """A value for a column of the arbiter is compared with what is there, and the row count tells the outcome.
        Without names, or by a constraint's, any column may be the arbiter."""
        named = {element.text("name") for element in infer.nodes("indexElems")} if infer is not None else set()
        given = {place.column.label for place in self._findings.inputs if place.use == "write"}
        for name, column in table.protected.items():
            if column.label in given and (name in named or not named):
                self._findings.guessed[column.label] = column

    def _conflict(self, clause: Node, table: Table, target: Range, scope: Scope) -> None:
        infer = clause.part("infer", "InferClause")
        self._guessed(infer, table)
        inner = scope.inner((target,))
        if infer is not None:
            for element in infer.nodes("indexElems"):
                name = element.text("name")
                if name and table.protected and not table.has(name):
                    raise undefined(f'column "{name}" does not exist', infer)
                self._arbiter(element, table, inner)
            self._expressions.plain(infer.node("whereClause"), inner, "ON CONFLICT … WHERE")
        excluded = Range("excluded", target.columns, target.opaque, None, False, target.table)
        both = scope.inner((target, excluded))
        self._set(clause.nodes("targetList"), table, both)
        self._expressions.plain(clause.node("whereClause"), both, "WHERE")

    def _arbiter(self, element: Node, table: Table, scope: Scope) -> None:
        """ON CONFLICT (column): a unique index on tokens finds equal values if they are deterministic."""
        held = table.protected.get(element.text("name"))
        if held is not None:
            predicates.comparable(held)
        self._expressions.plain(element.node("expr"), scope, "ON CONFLICT on an expression")

    # ---- UPDATE, DELETE

    def _update(self, node: Node, scope: Scope) -> Outputs:
        table, target = self._target(node)
        others = self._queries.from_clause(node.nodes("fromClause"), scope.inner((target,)))
        inner = scope.inner((target, *others))
        self._set(node.nodes("targetList"), table, inner)
        self._expressions.plain(node.node("whereClause"), inner, "WHERE")
        return self._returning(node, target, others, scope)

    def _delete(self, node: Node, scope: Scope) -> Outputs:
        _, target = self._target(node)
        others = self._queries.from_clause(node.nodes("usingClause"), scope.inner((target,)))
        inner = scope.inner((target, *others))
        self._expressions.plain(node.node("whereClause"), inner, "WHERE")
        return self._returning(node, target, others, scope)

    def _set(self, targets: list[Node], table: Table, scope: Scope) -> None:
        """SET a = x, (b, c) = …: libpg_query repeats the source of a row for each of its columns."""
        sources: list[Term] = []
        for target in targets:
            self._known(table, target)
            for step in target.nodes("indirection"):
                self._expressions.plain(step, scope, "an array subscript")
            value = target.node("val")
            assert value is not None
            if value.kind == "MultiAssignRef":
                number = value.number("colno")
                if number == 1:
                    sources = self._row(value, scope)
                term = sources[number - 1] if number <= len(sources) else PLAIN
            else:
                term = self._expressions.term(value, scope)
            held: ProtectedColumn | None = table.protected.get(target.text("name"))
            predicates.assign(held, f"{table.label}.{target.text('name')}", term, self._findings)

    def _row(self, value: Node, scope: Scope) -> list[Term]:
        """The terms of a row's source, one for each column; plain ones if they can't be told apart."""
        source = value.node("source")
        term = PLAIN if source is None else self._expressions.term(source, scope)
        count = value.number("ncolumns")
        if isinstance(term, Row):
            return list(term.terms)
        return [term] * count if isinstance(term, Held | Null) and count == 1 else self._plain_row(term, count)

    def _plain_row(self, term: Term, count: int) -> list[Term]:
        predicates.settle(term, self._findings, "a row as the source of SET")
        return [PLAIN] * count


_NAMES = {"MergeStmt": "MERGE"}


def _decorated(source: Node) -> bool:
    """VALUES … ORDER BY, LIMIT, WITH: a query, not just rows."""
    return any(key in source.fields for key in ("sortClause", "limitCount", "limitOffset", "withClause"))
