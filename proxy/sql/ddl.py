"""Definitions that name a protected table: CREATE TABLE, ALTER TABLE, CREATE INDEX, CREATE VIEW.

They may pass where every row keeps its tokens and no value is written into the database's own definitions; the rest is
refused. After them the catalog is read anew; until then what they changed is closed, or known by `created`.
"""

from typing import Final, final

from proxy.errors import Refusal
from proxy.policy.rules import Rule
from proxy.sql.expressions import Expressions
from proxy.sql.findings import Findings
from proxy.sql.plan import SessionEffect, StatementPlan
from proxy.sql.protection import stored_type
from proxy.sql.queries import Queries
from proxy.sql.referee import Node, Statement
from proxy.sql.relations import Column, Name, Relation
from proxy.sql.scopes import OutColumn, Range, Scope
from proxy.sql.tables import Tables

DDL: Final = (SessionEffect("ddl"),)
# ALTER TABLE commands that neither move values nor change what a column is.
_SAFE: Final = frozenset((
    "AT_SetNotNull", "AT_DropNotNull", "AT_DropConstraint", "AT_ValidateConstraint", "AT_ChangeOwner",
    "AT_SetStatistics", "AT_SetStorage", "AT_SetCompression", "AT_EnableTrig", "AT_EnableAlwaysTrig",
    "AT_EnableReplicaTrig", "AT_DisableTrig", "AT_EnableTrigAll", "AT_DisableTrigAll", "AT_EnableTrigUser",
    "AT_DisableTrigUser", "AT_ReplicaIdentity", "AT_EnableRowSecurity", "AT_DisableRowSecurity",
    "AT_ForceRowSecurity", "AT_NoForceRowSecurity", "AT_SetRelOptions", "AT_ResetRelOptions", "AT_SetOptions",
    "AT_ResetOptions", "AT_ClusterOn", "AT_DropCluster", "AT_SetLogged", "AT_SetUnLogged", "AT_SetTableSpace",
    "AT_SetAccessMethod", "AT_AddIdentity", "AT_SetIdentity", "AT_DropIdentity", "AT_AlterConstraint",
))  # fmt: skip
_CLOSING: Final = frozenset((
    "AT_DropColumn", "AT_AddInherit", "AT_DropInherit", "AT_AttachPartition", "AT_DetachPartition",
    "AT_DetachPartitionFinalize",
))  # fmt: skip
_KEYS: Final = frozenset(("CONSTR_PRIMARY", "CONSTR_UNIQUE", "CONSTR_FOREIGN", "CONSTR_NOTNULL", "CONSTR_NULL"))
_ATTRIBUTES: Final = frozenset((
    "CONSTR_ATTR_DEFERRABLE", "CONSTR_ATTR_NOT_DEFERRABLE", "CONSTR_ATTR_DEFERRED", "CONSTR_ATTR_IMMEDIATE",
    "CONSTR_ATTR_ENFORCED", "CONSTR_ATTR_NOT_ENFORCED",
))  # fmt: skip
_SERIAL: Final = {"serial": "int4", "bigserial": "int8", "smallserial": "int2", "serial4": "int4", "serial8": "int8"}


@final
class Definitions:
    """See the module."""

    __slots__ = ("_expressions", "_findings", "_queries", "_tables")

    def __init__(self, expressions: Expressions, queries: Queries, tables: Tables, findings: Findings) -> None:
        self._expressions = expressions
        self._queries = queries
        self._tables = tables
        self._findings = findings

    def plan(self, statement: Statement) -> StatementPlan:
        """Plan a statement that names something guarded. Raises Refusal."""
        node = statement.node
        reader = {
            "CreateStmt": self._create, "AlterTableStmt": self._alter, "RenameStmt": self._rename,
            "IndexStmt": self._index, "ViewStmt": self._view, "CreateTableAsStmt": self._create_as,
        }.get(node.kind)  # fmt: skip
        if reader is None:
            raise Refusal(
                "unsupported-statement",
                f"{node.kind.removesuffix('Stmt')} is not supported where it names a protected table, or a function"
                " that reaches one",
                "Run it on a connection that does not go through pgveil, and check the policy afterwards.",
            )
        before = len(self._findings.inputs)
        result = reader(node)
        if len(self._findings.inputs) != before and node.kind != "CreateTableAsStmt":
            column = self._findings.inputs[before].column
            raise Refusal(
                "unsupported-statement",
                f"a value of column {column.label} would be written into a definition of the database",
                "Leave the value out of the definition.",
                column=column.label,
            )
        return result

    # ---- CREATE TABLE

    def _create(self, node: Node) -> StatementPlan:
        relation = node.part("relation", "RangeVar")
        assert relation is not None
        name = self._new_name(relation)
        rules = {rule.column: rule for rule in self._tables.rules(name)}
        definitions = [element for element in node.nodes("tableElts") if element.kind == "ColumnDef"]
        columns = [self._column(i + 1, d, rules) for i, d in enumerate(definitions)]
        kind = "p" if "partspec" in node.fields else "r"
        made = Relation(0, name[0], name[1], kind, tuple(columns), temporary=name[0] == "pg_temp")
        whole = len(definitions) == len([e for e in node.nodes("tableElts") if e.kind != "Constraint"])
        inherits = bool(node.nodes("inhRelations"))
        if inherits or not whole or "ofTypename" in node.fields:
            if rules:
                raise Refusal(
                    "unsupported-statement",
                    f"CREATE TABLE {name[0]}.{name[1]} takes columns from elsewhere (LIKE, INHERITS, OF)",
                    "Write its columns, as the policy protects some of them.",
                )
            self._checks(node.nodes("tableElts"), None, rules)
            return StatementPlan("create", effects=DDL, altered=(name,) if inherits else ())
        self._checks(node.nodes("tableElts"), made, rules)
        tables = (f"{name[0]}.{name[1]}",) if rules else ()
        return StatementPlan("create", tables, effects=DDL, created=(made,))

    def _new_name(self, relation: Node) -> Name:
        if relation.text("relpersistence") == "t":
            return ("pg_temp", relation.text("relname"))
        schema = relation.text("schemaname") or self._tables.creation_schema(relation.text("relname"))
        return (schema, relation.text("relname"))

    def _column(self, number: int, node: Node, rules: dict[str, Rule]) -> Column:
        name = node.text("colname")
        type_name = node.part("typeName", "TypeName")
        names = [] if type_name is None else type_name.strings("names")
        spec = None if type_name is None else self._findings.type_of(type_name)
        column = Column(
            name,
            number,
            0 if spec is None else spec.oid,
            _SERIAL.get(names[-1], names[-1]) if names else "",
            -1 if spec is None else spec.typmod,
        )
        if name in rules:
            self._holds(column, rules[name])
        return column

    def _holds(self, column: Column, rule: Rule) -> None:
        """A protected column of a new table has to hold a token."""
        try:
            stored_type(column, self._tables.snapshot.policy.classes[rule.class_name])
        except ValueError as fault:
            raise Refusal(
                "unsupported-type",
                f"column {rule.label} is protected: {fault}",
                "Declare it text; pgveil keeps the length that the policy's `type` states.",
                column=rule.label,
            ) from None

    def _checks(self, elements: list[Node], made: Relation | None, rules: dict[str, Rule]) -> None:
        """DEFAULT, CHECK and generated columns of a new table."""
        scope = Scope() if made is None else Scope((self._range(made),))
        for element in elements:
            if element.kind == "Constraint":
                self._constraint(element, scope, None)
            for constraint in element.nodes("constraints") if element.kind == "ColumnDef" else ():
                self._constraint(constraint, scope, rules.get(element.text("colname")))

    def _range(self, made: Relation) -> Range:
        protection = self._tables.snapshot.with_relation(made).protection.columns.get((made.schema, made.name), {})
        from_names = [OutColumn(c.name, self._tables.term(protection.get(c.name))) for c in made.columns]
        return Range(made.name, tuple(from_names), False, made.schema)

    def _constraint(self, node: Node, scope: Scope, rule: Rule | None) -> None:
        """A constraint of a column (under `rule` if that is protected) or of a table. Raises Refusal."""
        kind = node.text("contype")
        value = node.node("raw_expr")
        if kind == "CONSTR_DEFAULT" and rule is not None:
            if value is None or value.kind != "A_Const" or not value.flag("isnull"):
                raise _defined(rule, "a DEFAULT")
        elif kind in ("CONSTR_IDENTITY", "CONSTR_GENERATED") and rule is not None:
            raise _defined(rule, "GENERATED")
        elif kind in ("CONSTR_CHECK", "CONSTR_DEFAULT", "CONSTR_GENERATED"):
            self._expressions.plain(value, scope, kind.removeprefix("CONSTR_"))
        elif kind == "CONSTR_EXCLUSION":
            raise Refusal("unsupported-statement", "EXCLUDE constraints are not supported on a protected table")
        elif kind not in _KEYS | _ATTRIBUTES | {"CONSTR_IDENTITY"}:
            raise Refusal("unsupported-statement", f"{kind} is not supported on a protected table")

    # ---- ALTER TABLE, RENAME

    def _alter(self, node: Node) -> StatementPlan:
        relation = node.part("relation", "RangeVar")
        assert relation is not None
        name = self._tables.named(relation)
        rules = {rule.column: rule for rule in self._tables.rules(name)}
        known = self._tables.snapshot.relations.get(name)
        scope = Scope() if known is None else Scope((self._range(known),))
        closing = [self._command(command, rules, scope) for command in node.nodes("cmds")]
        label = f"{name[0]}.{name[1]}"
        return StatementPlan("alter", (label,), effects=DDL, altered=(name,) if any(closing) else ())

    def _command(self, node: Node, rules: dict[str, Rule], scope: Scope) -> bool:
        """One command of ALTER TABLE; true if the table's columns change. Raises Refusal."""
        kind, definition = node.text("subtype"), node.node("def")
        rule = rules.get(node.text("name"))
        if kind in _SAFE:
            return False
        if kind in _CLOSING:
            return True
        if kind == "AT_ColumnDefault":
            if rule is not None and definition is not None and not definition.flag("isnull"):
                raise _defined(rule, "a DEFAULT")
            self._expressions.plain(definition, Scope(), "DEFAULT")
            return False
        if kind == "AT_AddConstraint" and definition is not None:
            self._constraint(definition, scope, None)
            return False
        if kind == "AT_AddColumn" and definition is not None:
            self._column(0, definition, rules)
            for constraint in definition.nodes("constraints"):
                self._constraint(constraint, scope, rules.get(definition.text("colname")))
            return True
        if kind == "AT_AlterColumnType" and definition is not None:
            return self._retype(node, definition, rule, scope)
        raise Refusal(
            "unsupported-statement",
            f"ALTER TABLE … {kind.removeprefix('AT_')} is not supported on a protected table",
            "Run it on a connection that does not go through pgveil, and check the policy afterwards.",
        )

    def _retype(self, node: Node, definition: Node, rule: Rule | None, scope: Scope) -> bool:
        using = definition.node("raw_default")
        if rule is not None:
            if using is not None:
                raise _defined(rule, "ALTER COLUMN TYPE … USING")
            type_name = definition.part("typeName", "TypeName")
            spec = None if type_name is None else self._findings.type_of(type_name)
            known = Column(node.text("name"), 0, 0, "of the new kind", -1)
            if spec is not None:
                known = Column(node.text("name"), 0, spec.oid, spec.name, spec.typmod)
            self._holds(known, rule)
        self._expressions.plain(using, scope, "ALTER COLUMN TYPE … USING")
        return True

    def _rename(self, node: Node) -> StatementPlan:
        relation = node.part("relation", "RangeVar")
        kind, new = node.text("renameType"), node.text("newname")
        if relation is None or kind not in ("OBJECT_TABLE", "OBJECT_COLUMN", "OBJECT_TABCONSTRAINT", "OBJECT_INDEX"):
            raise Refusal("unsupported-statement", "this RENAME reaches a protected table", _POLICY_FIRST)
        name = self._tables.named(relation)
        if kind == "OBJECT_TABLE":
            if self._tables.rules(name) or self._tables.guards(name):
                raise Refusal(
                    "unsupported-statement",
                    f"renaming {name[0]}.{name[1]} would take it out of the policy",
                    _POLICY_FIRST,
                )
            return StatementPlan("alter", effects=DDL, altered=((name[0], new),))
        altered = (name,) if kind == "OBJECT_COLUMN" else ()
        return StatementPlan("alter", (f"{name[0]}.{name[1]}",), effects=DDL, altered=altered)

    # ---- CREATE INDEX, VIEW, TABLE AS

    def _index(self, node: Node) -> StatementPlan:
        relation = node.part("relation", "RangeVar")
        assert relation is not None
        table = self._tables.find(relation)
        scope = Scope((table.range(None, [], True),))
        for element in node.nodes("indexParams"):
            held = table.protected.get(element.text("name"))
            if held is not None and node.text("accessMethod") not in ("btree", "hash", ""):
                raise Refusal(
                    "unsupported-statement",
                    f"column {held.label} is protected: a {node.text('accessMethod')} index serves no equality",
                    "Use a btree or hash index.",
                    column=held.label,
                )
            self._expressions.plain(element.node("expr"), scope, "CREATE INDEX on an expression")
        self._expressions.plain(node.node("whereClause"), scope, "CREATE INDEX … WHERE")
        return StatementPlan("create", tuple(self._tables.touched))

    def _view(self, node: Node) -> StatementPlan:
        view, query = node.part("view", "RangeVar"), node.node("query")
        assert view is not None and query is not None
        return self._derived(view, query)

    def _derived(self, view: Node, query: Node) -> StatementPlan:
        """A view or materialized view over protected tables: closed until the catalog shows what it reads."""
        if self._tables.rules(self._new_name(view)):
            raise Refusal("unsupported-statement", "a view can't take a protected table's name", _POLICY_FIRST)
        self._queries.query(query, Scope())
        return StatementPlan("create", tuple(self._tables.touched), effects=DDL, altered=(self._new_name(view),))

    def _create_as(self, node: Node) -> StatementPlan:
        into, query = node.part("into", "IntoClause"), node.node("query")
        assert into is not None and query is not None
        relation = into.part("rel", "RangeVar")
        assert relation is not None
        if node.text("objtype") == "OBJECT_MATVIEW":
            before = len(self._findings.inputs)
            plan = self._derived(relation, query)
            if len(self._findings.inputs) != before:
                raise Refusal("unsupported-statement", "a materialized view's definition would hold a protected value")
            return plan
        if query.kind == "ExecuteStmt":
            raise Refusal("unsupported-statement", "CREATE TABLE AS EXECUTE is not supported for a protected table")
        self._queries.into(into, self._queries.query(query, Scope()))
        return StatementPlan("create", tuple(self._tables.touched), effects=DDL)


_POLICY_FIRST: Final = "Change the policy first, or keep the name."


def _defined(rule: Rule, what: str) -> Refusal:
    return Refusal(
        "unsupported-statement",
        f"column {rule.label} is protected: {what} would make values in the database that are no tokens",
        f"Leave {what} out.",
        column=rule.label,
    )
