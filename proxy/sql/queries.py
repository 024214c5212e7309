"""Reading a SELECT: FROM, joins, WITH, set operations, and which result columns hold protected values.

Follows parse_clause.c and parse_cte.c for names and for what `*`, USING and an alias with columns make of them.
"""

from collections.abc import Callable
from typing import Final, final

from proxy.errors import Refusal
from proxy.sql import from_items, names, predicates
from proxy.sql.expressions import Expressions
from proxy.sql.findings import Findings
from proxy.sql.labels import label
from proxy.sql.predicates import settle, settle_all
from proxy.sql.referee import Node
from proxy.sql.scopes import ColumnTerm, Cte, Ctes, OutColumn, Outputs, Range, Scope
from proxy.sql.tables import Tables
from proxy.sql.terms import NULL, PLAIN, Choice, Held, Null, Plain, Term, Value, refuse, unsupported

# Of a subquery or a join: the server counts them in 16 bits (access/attnum.h). With `*` over what `*` made, a short
# text asks for more than there is memory.
_MOST_COLUMNS: Final = 32767
_SET_OPERATIONS: Final = {"SETOP_UNION": "UNION", "SETOP_INTERSECT": "INTERSECT", "SETOP_EXCEPT": "EXCEPT"}


@final
class WithQuery(Cte):
    """A WITH query, read when it is first named, or at the end. read_node: how to read its statement."""

    __slots__ = ("_node", "_outputs", "_queries", "_reading", "_scope", "base")

    def __init__(self, queries: "Queries", node: Node, scope: Scope) -> None:
        self._queries = queries
        self._node = node
        self._scope = scope
        self._outputs: Outputs | None = None
        self._reading = False
        self.base: Outputs | None = None  # of the first arm, while a recursive query reads its second

    def read(self) -> Outputs:
        if self._outputs is not None:
            return self._outputs
        if self._reading:
            if self.base is None:
                raise unsupported("a WITH query that names itself outside its second arm")
            return self.base
        self._reading = True
        self._outputs = self._queries.with_query(self, self._node, self._scope)
        return self._outputs


@final
class Queries:
    """See the module. statement: reads INSERT, UPDATE and DELETE inside WITH; set by who reads those."""

    __slots__ = ("_expressions", "_findings", "_tables", "statement")

    def __init__(self, expressions: Expressions, tables: Tables, findings: Findings) -> None:
        self._expressions = expressions
        self._tables = tables
        self._findings = findings
        self.statement: Callable[[Node, Scope], Outputs] = self.select
        expressions.query = self.query

    def top(self, node: Node) -> Outputs:
        """A whole statement that returns rows, or may. Raises Refusal if the client would get tokens of its own values
        (those that it only looks for are not in the vault)."""
        outputs = self.query(node, Scope())
        predicates.settle_pending(self._findings)
        for column in outputs.columns:
            term = predicates.now(column.term, self._findings)
            if isinstance(term, Held) and term.made is not None:
                what = "a value of the statement's own, which is compared with it or stored in it, as a result"
                raise refuse(term.column, what, hint="Return the table's own column.")
        return outputs

    def query(self, node: Node, scope: Scope) -> Outputs:
        """Any statement that returns rows."""
        return self.select(node, scope) if node.kind == "SelectStmt" else self.statement(node, scope)

    def select(self, node: Node, scope: Scope) -> Outputs:
        """A SELECT, VALUES or set operation as a subquery: its values are harmless."""
        return self.settled(self.rows(node, scope))

    def rows(self, node: Node, scope: Scope) -> tuple[list[tuple[str | None, Term]], bool]:
        """The same, with values in its columns still to be placed (INSERT … SELECT). True: opaque."""
        inner = self.with_clause(node, scope)
        if node.nodes("valuesLists"):
            columns, opaque = self._values(node, inner), False
            self._sort_values(node, columns, inner)
        elif node.text("op") in _SET_OPERATIONS:
            outputs = self._set_operation(node, inner)
            columns, opaque = [(c.name, c.term) for c in outputs.columns], outputs.opaque
        else:
            columns, opaque = self._simple(node, inner)
        self._limits(node, inner)
        self.finish_with(inner)
        return columns, opaque

    def _limits(self, node: Node, scope: Scope) -> None:
        for limit in ("limitOffset", "limitCount"):
            self._expressions.plain(node.node(limit), scope, "LIMIT")

    def settled(self, found: tuple[list[tuple[str | None, Term]], bool]) -> Outputs:
        columns, opaque = found
        return Outputs(tuple([OutColumn(name, self._column(term)) for name, term in columns]), opaque)

    def _column(self, term: Term) -> ColumnTerm:
        if isinstance(term, Held | Choice | Plain):
            return term
        if isinstance(term, Null):
            return NULL if term.default else term
        if isinstance(term, Value):
            return predicates.pending((term,), "a value in a subquery", self._findings)
        settle(term, self._findings, "a whole row or an array of it as a column")
        return PLAIN

    # ---- WITH

    def with_clause(self, node: Node, scope: Scope) -> Scope:
        """The scope in which the statement's own names are looked up; its WITH queries are in it."""
        clause = node.part("withClause", "WithClause")
        if clause is None:
            return scope.inner()
        ctes: Ctes = {}
        recursive = clause.flag("recursive")
        around = Scope((), scope, ctes)
        for query in clause.nodes("ctes"):
            # without RECURSIVE a query sees those before it, with it all of them
            place = around if recursive else Scope((), scope, dict(ctes))
            ctes[query.text("ctename")] = WithQuery(self, query, place)
        return around

    @staticmethod
    def finish_with(scope: Scope) -> None:
        """Read the WITH queries that nothing named: they hold literals, and those that write do run."""
        for cte in (scope.ctes or {}).values():
            cte.read()

    def with_query(self, cte: WithQuery, node: Node, scope: Scope) -> Outputs:
        query = node.node("ctequery")
        assert query is not None
        renamed = node.strings("aliascolnames")
        op = query.text("op")
        if query.kind == "SelectStmt" and op in _SET_OPERATIONS and scope.cte(node.text("ctename")) is cte:
            outputs = self._recursive(cte, query, scope, renamed)
        else:
            outputs = from_items.renamed(self.query(query, scope), renamed)
        if "search_clause" in node.fields or "cycle_clause" in node.fields:
            self._marks(node, outputs, scope)
            return Outputs(outputs.columns, True)
        return outputs

    def _marks(self, node: Node, outputs: Outputs, scope: Scope) -> None:
        held = outputs.held()
        if held is not None:
            raise refuse(held.column, "SEARCH or CYCLE in a WITH query that returns it")
        cycle = node.part("cycle_clause", "CTECycleClause")
        if cycle is not None:
            self._expressions.plain(cycle.node("cycle_mark_value"), scope, "CYCLE")
            self._expressions.plain(cycle.node("cycle_mark_default"), scope, "CYCLE")

    def _recursive(self, cte: WithQuery, query: Node, scope: Scope, renamed: list[str]) -> Outputs:
        """The first arm gives the columns that the second sees; what comes of both must be the same."""
        first = query.part("larg", "SelectStmt")
        assert first is not None
        inner = self.with_clause(query, scope)
        left = self._settled(self.select(first, inner))
        cte.base = from_items.renamed(left, renamed)
        outputs = self._combined(query, left, inner)
        self._limits(query, inner)
        self.finish_with(inner)
        for before, after in zip(left.columns, outputs.columns, strict=False):
            if not isinstance(after.term, Held):
                continue
            if not isinstance(before.term, Held):
                raise refuse(after.term.column, "a recursive query whose first arm has NULL for it")
            if before.term.column.mixed is not after.term.column.mixed:
                predicates.comparable(after.term.column)  # in its second arm it was taken for one without such rows
        return from_items.renamed(outputs, renamed)

    def _settled(self, outputs: Outputs) -> Outputs:
        """The columns with no value among them that has yet to meet something."""
        columns = [OutColumn(c.name, c.term if isinstance(c.term, Held | Null) else PLAIN) for c in outputs.columns]
        settle_all([c.term for c in outputs.columns if isinstance(c.term, Choice)], self._findings, "WITH RECURSIVE")
        return Outputs(tuple(columns), outputs.opaque)

    # ---- set operations and VALUES

    def _set_operation(self, node: Node, scope: Scope) -> Outputs:
        first = node.part("larg", "SelectStmt")
        assert first is not None
        return self._combined(node, self.select(first, scope), scope)

    def _combined(self, node: Node, left: Outputs, scope: Scope) -> Outputs:
        second = node.part("rarg", "SelectStmt")
        assert second is not None
        right = self.select(second, scope)
        construct = _SET_OPERATIONS[node.text("op")]
        outputs = self._unite(left, right, construct, not node.flag("all") or construct != "UNION")
        for key in node.nodes("sortClause"):
            self._sort(key, outputs, scope.inner(), "ORDER BY")
        return outputs

    def _unite(self, left: Outputs, right: Outputs, construct: str, distinct: bool) -> Outputs:
        opaque = left.opaque or right.opaque or len(left.columns) != len(right.columns)
        held = left.held() or right.held()
        if opaque:
            if held is not None:
                raise refuse(held.column, f"{construct} of queries whose columns are not all known")
            settle_all([c.term for c in left.columns + right.columns], self._findings, construct)
            return Outputs(left.columns, True)
        columns = []
        for a, b in zip(left.columns, right.columns, strict=True):
            term = predicates.union(a.term, b.term, construct, distinct, self._findings)
            columns.append(OutColumn(a.name, self._column(term)))
        return Outputs(tuple(columns))

    def _values(self, node: Node, scope: Scope) -> list[tuple[str | None, Term]]:
        """VALUES as a query: what its rows have in a column is one of several."""
        rows = [row.nodes("items") for row in node.nodes("valuesLists")]
        if any(len(row) != len(rows[0]) for row in rows):
            raise Refusal("syntax", "VALUES lists must all be the same length")
        terms = [[self._expressions.term(item, scope) for item in row] for row in rows]
        return [(f"column{i + 1}", self._column_of([row[i] for row in terms])) for i in range(len(rows[0]))]

    def _column_of(self, terms: list[Term]) -> Term:
        if all(isinstance(term, Value | Choice | Null | Held) for term in terms) and any(
            isinstance(term, Value | Choice) for term in terms
        ):
            return predicates.pending(tuple(terms), "VALUES", self._findings, False)
        merged = self._column(terms[0])
        for term in terms[1:]:
            if term != merged or not isinstance(term, Held):
                union = predicates.union(merged, self._column(term), "VALUES", False, self._findings)
                merged = self._column(union)
        return merged

    def _sort_values(self, node: Node, columns: list[tuple[str | None, Term]], scope: Scope) -> None:
        outputs = self._shown(columns, False)
        inner = scope.inner((Range("*VALUES*", outputs.columns),))
        for key in node.nodes("sortClause"):
            self._sort(key, outputs, inner, "ORDER BY")

    # ---- SELECT

    def _simple(self, node: Node, scope: Scope) -> tuple[list[tuple[str | None, Term]], bool]:
        ranges = self.from_clause(node.nodes("fromClause"), scope)
        inner = scope.inner(ranges)
        self._expressions.plain(node.node("whereClause"), inner, "WHERE")
        columns, opaque = self.targets(node.nodes("targetList"), inner)
        outputs = self._shown(columns, opaque)
        self._group(node, outputs, inner)
        self._expressions.plain(node.node("havingClause"), inner, "HAVING")
        for window in node.nodes("windowClause"):
            self._expressions.window(window, inner)
        self._distinct(node, outputs, inner)
        for key in node.nodes("sortClause"):
            self._sort(key, outputs, inner, "ORDER BY")
        into = node.part("intoClause", "IntoClause")
        if into is not None:
            self.into(into, outputs)
        return columns, opaque

    @staticmethod
    def _shown(columns: list[tuple[str | None, Term]], opaque: bool) -> Outputs:
        """For looking names and numbers up; values are no columns to sort by."""
        return Outputs(
            tuple([OutColumn(name, term if isinstance(term, Held | Choice) else PLAIN) for name, term in columns]),
            opaque,
        )

    def into(self, clause: Node, outputs: Outputs) -> None:
        """A new table of a query's rows. Raises Refusal if it would hold protected values, or be protected itself."""
        held = outputs.held()
        if held is not None:
            raise stored_elsewhere(held)
        settle_all([c.term for c in outputs.columns], self._findings, "a new table")
        relation = clause.part("rel", "RangeVar")
        if relation is not None and self._tables.could_be(relation):
            raise unsupported(
                f"a query can't make table {relation.text('relname')}, which the policy protects",
                "CREATE TABLE first, then INSERT … SELECT.",
            )

    def targets(self, nodes: list[Node], scope: Scope) -> tuple[list[tuple[str | None, Term]], bool]:
        """A select list, or RETURNING."""
        columns: list[tuple[str | None, Term]] = []
        opaque = False
        for target in nodes:
            value = target.node("val")
            assert value is not None
            starred = _starred(value)
            if starred is not None:
                self._findings.go_on()
                outputs = names.star(starred, scope)
                columns += [(column.name, column.term) for column in outputs.columns]
                opaque = opaque or outputs.opaque
                _bounded(len(columns))
                continue
            term = self._expressions.term(value, scope)
            if value.kind == "A_Indirection" and value.nodes("indirection")[-1].kind == "A_Star":
                opaque = True
                continue
            columns.append((target.text("name") or label(value), term))
        return columns, opaque

    def _group(self, node: Node, outputs: Outputs, scope: Scope) -> None:
        pending = node.nodes("groupClause")
        while pending:
            key = pending.pop()
            if key.kind == "GroupingSet":
                pending += key.nodes("content")
                continue
            if key.kind == "RowExpr":
                pending += key.nodes("args")
                continue
            term = self._numbered(key, outputs)
            if term is None:
                term = self._named(key, outputs, scope, False)
            predicates.group_key(term, self._findings, "GROUP BY")

    def _distinct(self, node: Node, outputs: Outputs, scope: Scope) -> None:
        clause = node.fields.get("distinctClause")
        if not isinstance(clause, list):
            return
        keys = [key for key in node.nodes("distinctClause") if key.kind != "List"]
        if not keys:
            for column in outputs.columns:
                predicates.group_key(column.term, self._findings, "DISTINCT")
            return
        for key in keys:
            term = self._numbered(key, outputs) or self._named(key, outputs, scope, True)
            predicates.group_key(term, self._findings, "DISTINCT ON")

    def _sort(self, key: Node, outputs: Outputs, scope: Scope, construct: str) -> None:
        node = key.node("node")
        assert node is not None
        term = self._numbered(node, outputs) or self._named(node, outputs, scope, True)
        predicates.order_key(term, self._findings, construct)

    def _numbered(self, node: Node, outputs: Outputs) -> Term | None:
        """ORDER BY 1: the plan depends on the number."""
        number = node.fields.get("ival") if node.kind == "A_Const" else None
        if not isinstance(number, dict):
            return None
        self._findings.pin(node)
        index = number.get("ival", 0)
        held = outputs.held()
        if outputs.opaque and held is not None:
            raise refuse(held.column, "a column number beside columns that are not all known")
        if isinstance(index, int) and 0 < index <= len(outputs.columns):
            return outputs.columns[index - 1].term
        return PLAIN

    def _named(self, node: Node, outputs: Outputs, scope: Scope, outputs_first: bool) -> Term:
        """parse_clause.c findTargetlistEntrySQL92: ORDER BY and DISTINCT ON look at the result's names first, GROUP BY
        at the tables' columns."""
        fields = node.strings("fields") if node.kind == "ColumnRef" else []
        if len(fields) == 1 and len(node.nodes("fields")) == 1:
            found = [column.term for column in outputs.columns if column.name == fields[0]]
            if found and (outputs_first or not names.is_column(fields[0], scope)):
                return next((term for term in found if isinstance(term, Held)), found[0])
            if outputs.opaque or any(column.name is None for column in outputs.columns):
                held = outputs.held()
                if held is not None:
                    raise refuse(held.column, "sorting or grouping beside columns that are not all known")
        return self._expressions.term(node, scope)

    # ---- FROM

    def from_clause(self, items: list[Node], scope: Scope) -> tuple[Range, ...]:
        ranges: tuple[Range, ...] = ()
        for item in items:
            ranges += self._item(item, scope.inner(ranges), scope)
        return ranges

    def _item(self, node: Node, lateral: Scope, scope: Scope) -> tuple[Range, ...]:
        """The ranges that a FROM item makes. lateral: with the items before it in sight, which only functions and what
        is marked LATERAL see (parse_relation.c, p_lateral_only)."""
        if node.kind == "RangeVar":
            return (self._range(node, scope),)
        if node.kind == "RangeSubselect":
            return (self._subselect(node, lateral if node.flag("lateral") else scope),)
        if node.kind == "JoinExpr":
            return self._join(node, lateral, scope)
        if node.kind == "RangeTableSample":
            self._expressions.plain_all(node.nodes("args"), scope, "TABLESAMPLE")
            self._expressions.plain(node.node("repeatable"), scope, "TABLESAMPLE")
            inner = node.node("relation")
            assert inner is not None
            return self._item(inner, lateral, scope)
        if node.kind in ("RangeFunction", "RangeTableFunc", "JsonTable"):
            return (self._function(node, lateral),)
        raise unsupported(f"{node.kind} in FROM is not supported beside a protected table")

    def _range(self, node: Node, scope: Scope) -> Range:
        alias, renamed = from_items.alias_of(node)
        name = node.text("relname")
        cte = None if node.text("schemaname") else scope.cte(name)
        if cte is not None:
            outputs = from_items.renamed(cte.read().typed(), renamed)
            return Range(alias or name, outputs.columns, outputs.opaque)
        return self._tables.find(node).range(alias, renamed, alias is None)

    def _subselect(self, node: Node, scope: Scope) -> Range:
        alias, renamed = from_items.alias_of(node)
        query = node.node("subquery")
        assert query is not None
        outputs = from_items.renamed(self.query(query, scope).typed(), renamed)
        return Range(alias, outputs.columns, outputs.opaque)

    def _function(self, node: Node, lateral: Scope) -> Range:
        """A function, XMLTABLE or JSON_TABLE: its columns hold nothing protected, since its arguments don't."""
        alias, renamed = from_items.alias_of(node)
        unnested = self._unnested(node, lateral)
        if unnested is not None:
            return Range(
                alias or "unnest", from_items.unnested_columns(unnested, alias, renamed, node.flag("ordinality"))
            )
        for name, value in node.fields.items():
            if name != "alias":
                self._expressions.parts(value, lateral, "a function in FROM")
        single = from_items.scalar_function(node)
        if single is not None:
            columns = renamed or [alias or single]
            if node.flag("ordinality") and len(columns) < 2:
                columns.append("ordinality")
            return Range(alias or single, tuple([OutColumn(column, PLAIN) for column in columns]))
        return Range(alias or from_items.called(node), tuple([OutColumn(column, PLAIN) for column in renamed]), True)

    def _unnested(self, node: Node, lateral: Scope) -> list[ColumnTerm] | None:
        """The columns of unnest($1::text[], $2::int[], …), None if it is not that, or they are not all known."""
        call = from_items.only_call(node)
        name = [] if call is None else call.strings("funcname")
        args = [] if call is None else call.nodes("args")
        if name[-1:] != ["unnest"] or not self._expressions.is_own(name) or not all(map(from_items.an_array, args)):
            return None
        return [self._column(self._expressions.unnested(arg, lateral)[0]) for arg in args]

    # ---- joins

    def _join(self, node: Node, lateral: Scope, scope: Scope) -> tuple[Range, ...]:
        left_node, right_node = node.node("larg"), node.node("rarg")
        assert left_node is not None and right_node is not None
        left = self._item(left_node, lateral, scope)
        right = self._item(right_node, lateral.inner(left), scope)
        self._expressions.plain(node.node("quals"), scope.inner(left + right), "ON")
        using = self._using(node, left, right)
        columns, opaque = self._joined(using, left, right)
        alias, renamed = from_items.alias_of(node)
        table = next((r.table for r in left + right if r.table), "")
        if alias is not None:
            outputs = from_items.renamed(Outputs(columns, opaque), renamed)
            return (Range(alias, outputs.columns, outputs.opaque, None, True, table),)
        inner = tuple([r.unlisted() for r in left + right])
        using_alias = node.part("join_using_alias", "Alias")
        if using_alias is not None:
            merged = columns[: len(using)]
            inner += (Range(using_alias.text("aliasname"), merged, False, None, False),)
        return (*inner, Range(None, columns, opaque, None, True, table))

    @staticmethod
    def _using(node: Node, left: tuple[Range, ...], right: tuple[Range, ...]) -> list[str]:
        if not node.flag("isNatural"):
            return node.strings("usingClause")
        both = [r for r in left + right if r.listed]
        if any(r.vague for r in both):
            held = next((w.column for w in (r.whole() for r in both) if w.column is not None), None)
            if held is not None:
                raise refuse(held, "NATURAL JOIN with a table whose columns are not known")
        mine = {c.name for r in right if r.listed for c in r.columns}
        return [c.name for r in left if r.listed for c in r.columns if c.name is not None and c.name in mine]

    def _joined(
        self, using: list[str], left: tuple[Range, ...], right: tuple[Range, ...]
    ) -> tuple[tuple[OutColumn, ...], bool]:
        """Columns of a join: those of USING once, then the rest of both sides."""
        _bounded(sum([len(r.columns) for r in left + right if r.listed]))
        merged = [OutColumn(name, self._merged(name, left, right)) for name in using]
        taken = set(using)
        rest = [c for r in left + right if r.listed for c in r.columns if c.name not in taken]
        return (*merged, *rest), any(r.opaque for r in left + right if r.listed)

    def _merged(self, name: str, left: tuple[Range, ...], right: tuple[Range, ...]) -> ColumnTerm:
        a, b = names.column_of(name, left), names.column_of(name, right)
        if a is None or b is None:
            for known in (a, b):
                if isinstance(known, Held):
                    raise _not_in_both(name, known, left if a is None else right, "left" if a is None else "right")
            return PLAIN
        predicates.equal(a, b, self._findings, "JOIN USING")
        if isinstance(a, Choice) and isinstance(b, Held):
            return Held(b.column, a.fate)
        if isinstance(a, Held) and isinstance(b, Choice):
            return Held(a.column, b.fate)
        if isinstance(a, Held) and isinstance(b, Held):
            return Held(predicates.merge(a.column, b.column, "JOIN USING"))
        return a if isinstance(a, Held) else b


def _bounded(columns: int) -> None:
    if columns > _MOST_COLUMNS:
        message = f"a query on protected tables has more than {_MOST_COLUMNS} columns"
        raise Refusal("statement-too-large", message, "Name the columns that are needed.")


def _not_in_both(name: str, held: Held, side: tuple[Range, ...], which: str) -> Refusal:
    """USING (name): held is its column in the other table."""
    if any(found.vague for found in side if found.listed):
        return refuse(held.column, "JOIN USING with a table whose columns are not known")
    message = f'column "{name}" specified in USING clause does not exist in {which} table'
    return Refusal("undefined-column", message)


def stored_elsewhere(term: Held) -> Refusal:
    return Refusal(
        "unprotected-target",
        f"a new table would hold values of {term.column.label}, which is protected, and not be protected itself",
        "Create the table with a policy rule of its own, then INSERT … SELECT into it.",
        column=term.column.label,
    )


def _starred(node: Node) -> list[str] | None:
    """The names before `*` if a target is `*` or `t.*`."""
    if node.kind != "ColumnRef" or not node.nodes("fields") or node.nodes("fields")[-1].kind != "A_Star":
        return None
    return node.strings("fields")
