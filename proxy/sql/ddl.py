"""Definitions that name a protected table: CREATE TABLE, ALTER TABLE, CREATE INDEX, CREATE VIEW.

They may pass where every row keeps its tokens and no value is written into the database's own definitions; the rest is
refused. After them the catalog is read anew; until then what they changed is closed, or known by `created`.
"""

from dataclasses import replace
from typing import Final, final

from proxy.errors import Refusal
from proxy.policy.rules import Rule
from proxy.sql import predicates
from proxy.sql.expressions import Expressions
from proxy.sql.findings import Findings
from proxy.sql.names import column_of
from proxy.sql.plan import SessionEffect, StatementPlan
from proxy.sql.protection import STRATEGIES, parted, stored_type
from proxy.sql.queries import Queries
from proxy.sql.referee import Node, Statement, walk
from proxy.sql.relations import Column, Name, ProtectedColumn, Relation
from proxy.sql.scopes import OutColumn, Range, Scope
from proxy.sql.tables import Tables
from proxy.sql.terms import Held, unsupported
from proxy.wire.typespec import char_limit

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
_KIN: Final = frozenset((
    "AT_AddInherit", "AT_DropInherit", "AT_AttachPartition", "AT_DetachPartition", "AT_DetachPartitionFinalize",
))  # fmt: skip
_RENAMED: Final = frozenset(("OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_COLUMN", "OBJECT_TABCONSTRAINT", "OBJECT_INDEX"))
_PARTING: Final = frozenset(("AT_DropInherit", "AT_DetachPartition", "AT_DetachPartitionFinalize"))
# Constraints that hold no expression and compare nothing but for equality with another column's tokens.
_KEYS: Final = frozenset((
    "CONSTR_FOREIGN", "CONSTR_NOTNULL", "CONSTR_NULL", "CONSTR_IDENTITY", "CONSTR_ATTR_DEFERRABLE",
    "CONSTR_ATTR_NOT_DEFERRABLE", "CONSTR_ATTR_DEFERRED", "CONSTR_ATTR_IMMEDIATE", "CONSTR_ATTR_ENFORCED",
    "CONSTR_ATTR_NOT_ENFORCED",
))  # fmt: skip
_ASKING: Final = frozenset(("CONSTR_CHECK", "CONSTR_GENERATED"))
_UNIQUE: Final = frozenset(("CONSTR_PRIMARY", "CONSTR_UNIQUE"))
# Collations that are the same on every server; another may call unequal bytes equal.
_COLLATIONS: Final = frozenset(("default", "C", "POSIX", "ucs_basic"))
_VARYING: Final = frozenset(("text", "varchar"))
_POLICY_FIRST: Final = "Change the policy first, or keep the name."
_ELSEWHERE: Final = "Run it on a connection that does not go through pgveil, and check the policy afterwards."
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
            raise unsupported(
                f"{node.kind.removesuffix('Stmt')} is not supported where it names a protected table, or a function"
                " that reaches one",
                _ELSEWHERE,
            )
        before = len(self._findings.inputs)
        result = reader(node)
        stored = node.kind != "CreateTableAsStmt" or node.text("objtype") == "OBJECT_MATVIEW"
        if stored and len(self._findings.inputs) != before:
            label = self._findings.inputs[before].column.label
            message = f"a value of column {label} would be written into a definition of the database"
            raise unsupported(message, "Leave the value out of the definition.", label)
        return result

    # ---- CREATE TABLE

    def _create(self, node: Node) -> StatementPlan:
        relation = node.part("relation", "RangeVar")
        assert relation is not None
        name = self._new_name(relation)
        rules = {rule.column: rule for rule in self._tables.rules(name)}
        elements, parents = node.nodes("tableElts"), node.nodes("inhRelations")
        definitions = [element for element in elements if element.kind == "ColumnDef"]
        columns = tuple([self._column(i + 1, d, rules) for i, d in enumerate(definitions)])
        kind = "p" if "partspec" in node.fields else "r"
        made = Relation(0, name[0], name[1], kind, columns, temporary=name[0] == "pg_temp")
        if parents or "ofTypename" in node.fields or any(element.kind == "TableLikeClause" for element in elements):
            if rules:
                raise unsupported(
                    f"CREATE TABLE {name[0]}.{name[1]} takes columns from elsewhere (LIKE, INHERITS, OF)",
                    "Write its columns, as the policy protects some of them.",
                )
            self._inherited(node, made, parents)
            return StatementPlan("create", effects=DDL, altered=(name,) if parents else ())
        self._checks(elements, Scope((self._range(made),)), {rule.column: rule.label for rule in rules.values()})
        self._references(node, name, Scope((self._range(made),)))
        self._partition_key(node, Scope((self._range(made),)))
        tables = (f"{name[0]}.{name[1]}",) if rules else ()
        if node.flag("if_not_exists") and name in self._tables.snapshot.relations:
            return StatementPlan("create", tables, effects=DDL)  # it stays as it is
        if any(_collated(d) for d in definitions if d.text("colname") in rules):
            return StatementPlan("create", tables, effects=DDL, altered=(name,))
        return StatementPlan("create", tables, effects=DDL, created=(made,))

    def _inherited(self, node: Node, made: Relation, parents: list[Node]) -> None:
        """Columns, constraints and key of a table that takes its columns from others: what a parent protects is
        protected in it."""
        found = [self._tables.find(parent) for parent in parents]
        labels = {name: held.label for table in found for name, held in table.protected.items()}
        scope = Scope((self._range(made), *[table.range(None, [], True) for table in found]))
        self._checks(node.nodes("tableElts"), scope, labels)
        self._partition_key(node, scope)

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

    def _range(self, table: Relation) -> Range:
        """A table under its rules, be it new, changed or as it is in the catalog."""
        name = (table.schema, table.name)
        snapshot = self._tables.snapshot
        held = {
            **snapshot.with_relation(table).protection.columns.get(name, {}),
            **snapshot.protection.columns.get(name, {}),
        }
        return Range(
            table.name, tuple([OutColumn(c.name, self._tables.term(held.get(c.name))) for c in table.columns]), False,
            table.schema,
        )  # fmt: skip

    # ---- constraints and keys; scope: of the table, labels: of its protected columns

    def _checks(self, elements: list[Node], scope: Scope, labels: dict[str, str]) -> None:
        """DEFAULT, CHECK, keys and generated columns of a new table."""
        for element in elements:
            if element.kind == "Constraint":
                self._constraint(element, scope, "", "")
            for constraint in element.nodes("constraints") if element.kind == "ColumnDef" else ():
                column = element.text("colname")
                self._constraint(constraint, scope, column, labels.get(column, ""))

    def _constraint(self, node: Node, scope: Scope, column: str, label: str) -> None:
        """A constraint of a column (label: if that is protected) or of a table. Raises Refusal."""
        kind = node.text("contype")
        value = node.node("raw_expr")
        if kind == "CONSTR_DEFAULT" and label:
            if value is None or not value.flag("isnull"):
                raise _defined(label, "a DEFAULT")
        elif kind in ("CONSTR_IDENTITY", "CONSTR_GENERATED") and label:
            raise _defined(label, "GENERATED")
        elif kind in ("CONSTR_CHECK", "CONSTR_DEFAULT", "CONSTR_GENERATED"):
            self._expressions.plain(value, scope, kind.removeprefix("CONSTR_"))
        elif kind in _UNIQUE:
            self._unique([column] if column else node.strings("keys"), scope)
        elif kind not in _KEYS:
            raise unsupported(f"{kind.removeprefix('CONSTR_')} constraints are not supported on a protected table")

    @staticmethod
    def _unique(columns: list[str], scope: Scope) -> None:
        """Tokens clash where values do, if they are compared at all."""
        for column in columns:
            held = column_of(column, scope.ranges)
            if isinstance(held, Held):
                predicates.comparable(held.column)

    def _references(self, node: Node, name: Name, scope: Scope) -> None:
        """Foreign keys of a table, of columns that they name: rows of the other table are found by what lies in this
        one, so both hold tokens that compare as their values do, or neither does. Raises Refusal."""
        for element in walk(node):
            keys = [element] if element.kind == "Constraint" else element.nodes("constraints")
            own = [element.text("colname")] if element.kind == "ColumnDef" else element.strings("fk_attrs")
            for key in keys if own else ():
                other = key.part("pktable", "RangeVar") if key.text("contype") == "CONSTR_FOREIGN" else None
                there = ("", "") if other is None else self._tables.named(other)
                for left, right in zip(own, key.strings("pk_attrs"), strict=False) if there[0] else ():
                    _tied(self._held(name, left, name, scope), self._held(there, right, name, scope), there, right)

    def _held(self, table: Name, column: str, defined: Name, scope: Scope) -> ProtectedColumn | None:
        """What protects a column of a table; scope: of the one that is defined."""
        if table != defined:
            return self._tables.snapshot.protected_tables.get(table, {}).get(column)
        held = column_of(column, scope.ranges)
        return held.column if isinstance(held, Held) else None

    def _partition_key(self, node: Node, scope: Scope) -> None:
        """PARTITION BY: rows lie where their tokens say, which only HASH does not mind."""
        key = node.part("partspec", "PartitionSpec")
        for element in key.nodes("partParams") if key is not None else ():
            held = column_of(element.text("name"), scope.ranges)
            if isinstance(held, Held) and key is not None and key.text("strategy") != "PARTITION_STRATEGY_HASH":
                label = held.column.label
                message = f"column {label} is protected: rows would be parted by its tokens, not its values"
                raise unsupported(message, "Use PARTITION BY HASH, or another column.", label)
            self._expressions.plain(element.node("expr"), scope, "PARTITION BY an expression")

    # ---- ALTER TABLE, RENAME

    def _alter(self, node: Node) -> StatementPlan:
        relation = node.part("relation", "RangeVar")
        assert relation is not None
        name = self._tables.named(relation)
        rules = {rule.column: rule for rule in self._tables.rules(name)}
        scope = self._altered_scope(name, relation, node.nodes("cmds"))
        commands = node.nodes("cmds")
        if self._is_view(name):
            self._view_defaults(relation, commands)
        closing = [(command, self._command(command, name, rules, scope)) for command in commands]
        if scope.ranges or not rules:
            self._references(node, name, scope)
        done = StatementPlan("alter", (f"{name[0]}.{name[1]}",), effects=DDL)
        if all(command.text("subtype") == "AT_AddColumn" for command, others in closing if others):
            made = self._widened(name, rules, commands)
            if made is not None:
                return replace(done, created=(made,)) if made.oid == 0 else replace(done, widened=(made,))
        return replace(done, altered=self._over([other for _, others in closing for other in others]))

    def _is_view(self, name: Name) -> bool:
        known = self._tables.snapshot.relations.get(name)
        return known is not None and known.kind == "v"

    def _view_defaults(self, relation: Node, commands: list[Node]) -> None:
        """Raises Refusal for a DEFAULT of a view's column that holds a protected one's values."""
        named = [
            command.text("name")
            for command in commands
            if command.text("subtype") == "AT_ColumnDefault"
            and (definition := command.node("def")) is not None
            and not definition.flag("isnull")
        ]
        held = self._tables.find(relation).protected if named else {}
        for name in named:
            if name in held:
                raise _defined(held[name].label, "a DEFAULT")

    def _widened(self, name: Name, rules: dict[str, Rule], commands: list[Node]) -> Relation | None:
        """A table of the catalog, or of this transaction, with the columns that its commands add; None if they are not
        certain, or not those of one table alone. What the policy says of a column counts at once in a new table: no row
        of it can be from before."""
        relations = self._tables.snapshot.relations
        known = relations.get(name)
        added = [definition for command in commands if (definition := command.node("def")) is not None]
        added = [definition for definition in added if definition.kind == "ColumnDef"]
        if known is None or not added or known.kind != "r" or known.temporary or known.parents:
            return None
        if known.oid and any(known.oid in other.parents for other in relations.values()):
            return None
        if any(d.text("colname") in rules and (known.oid != 0 or _collated(d)) for d in added):
            return None
        there = {column.name for column in known.columns}
        columns = [self._column(0, d, {}) for d in added if d.text("colname") not in there]
        return replace(known, columns=(*known.columns, *columns))

    def _over(self, names: list[Name]) -> tuple[Name, ...]:
        """Relations and the views that read them."""
        relations = self._tables.snapshot.relations
        found = dict.fromkeys(names)
        news = [relations[name] for name in found if name in relations]
        while news:
            oids = {relation.oid for relation in news}
            news = [
                r for r in relations.values() if oids.intersection(r.depends_on) and (r.schema, r.name) not in found
            ]
            found |= dict.fromkeys([(r.schema, r.name) for r in news])
        return tuple(found)

    def _altered_scope(self, name: Name, relation: Node, commands: list[Node]) -> Scope:
        """The table with the columns that its commands add. Raises Refusal if they ask about columns that are not
        known."""
        snapshot = self._tables.snapshot
        known = snapshot.relations.get(name)
        asks = any(part.text("contype") in _ASKING for command in commands for part in walk(command))
        if asks and (known is None or name in snapshot.overlaid) and self._tables.guards(name):
            self._tables.find(relation)  # says why
        if known is None:
            return Scope()
        added = [command.node("def") for command in commands if command.text("subtype") == "AT_AddColumn"]
        columns = tuple([self._column(0, definition, {}) for definition in added if definition is not None])
        return Scope((self._range(replace(known, columns=known.columns + columns)),))

    def _command(self, node: Node, name: Name, rules: dict[str, Rule], scope: Scope) -> tuple[Name, ...]:
        """One command of ALTER TABLE; the tables whose columns, or rows, are others after it. Raises Refusal."""
        kind, definition, column = node.text("subtype"), node.node("def"), node.text("name")
        if kind in _SAFE:
            return ()
        if kind == "AT_DropColumn":
            return (name,)
        if kind in _KIN and definition is not None:
            return (name, self._kin(kind, name, definition))
        if kind == "AT_ColumnDefault":
            label = self._label(name, rules, column)
            if label and definition is not None and not definition.flag("isnull"):
                raise _defined(label, "a DEFAULT")
            self._expressions.plain(definition, Scope(), "DEFAULT")
            return (name,) if self._is_view(name) else ()
        if kind == "AT_AddConstraint" and definition is not None:
            self._constraint(definition, scope, "", "")
            return self._changing(name, definition)
        if kind == "AT_AddColumn" and definition is not None:
            self._column(0, definition, rules)
            column = definition.text("colname")
            for constraint in definition.nodes("constraints"):
                self._constraint(constraint, scope, column, self._label(name, rules, column))
            return (name,)
        if kind == "AT_AlterColumnType" and definition is not None:
            held = self._tables.snapshot.protected_tables.get(name, {}).get(column)
            self._retype(column, definition, rules.get(column), held, scope)
            return (name,)
        raise unsupported(f"ALTER TABLE … {kind.removeprefix('AT_')} is not supported on a protected table", _ELSEWHERE)

    def _changing(self, name: Name, constraint: Node) -> tuple[Name, ...]:
        """The table that a foreign key refers to, where its actions would have the triggers of this one run that may
        write to a protected table."""
        other = constraint.part("pktable", "RangeVar")
        return (
            () if other is None or name not in self._tables.snapshot.protection.writes else (self._tables.named(other),)
        )

    def _label(self, name: Name, rules: dict[str, Rule], column: str) -> str:
        """Of a protected column, under a rule of its own table or of a parent; '' if it is none."""
        held = self._tables.snapshot.protected_tables.get(name, {}).get(column)
        return rules[column].label if column in rules else "" if held is None else held.label

    def _kin(self, kind: str, name: Name, definition: Node) -> Name:
        """The other table of INHERIT, ATTACH and their opposites. Raises Refusal if one of the two would lose what
        protects it."""
        relation = definition.part("name", "RangeVar") or definition
        other = self._tables.named(relation)
        if not other[0]:
            message = f'it is not certain which table "{other[1]}" is: search_path is not known'
            raise Refusal("ambiguous-relation", message, f"Write the schema: schema.{other[1]}.")
        if kind == "AT_AttachPartition":
            self._bounds(name)
        if kind in _PARTING:
            child = name if kind == "AT_DropInherit" else other
            own = {rule.column for rule in self._tables.rules(child)}
            lost = next((c for c in self._tables.snapshot.protected_tables.get(child, {}) if c not in own), None)
            if lost is not None:
                label = f"{child[0]}.{child[1]}.{lost}"
                message = f"column {label} is protected as its parent's is, and would no longer be"
                raise unsupported(message, f"Give {child[0]}.{child[1]} rules of its own in the policy first.", label)
        return other

    def _bounds(self, name: Name) -> None:
        """A partition's bounds are values, if the key is one: they would stand in the database's own definitions."""
        snapshot = self._tables.snapshot
        relation = snapshot.relations.get(name)
        for column in snapshot.protected_tables.get(name, {}) if relation is not None else ():
            if relation is not None and parted(relation, column):
                strategy, label = STRATEGIES[relation.key[0]], f"{name[0]}.{name[1]}.{column}"
                message = f"column {label}, which is protected, has the table partitioned by {strategy} of its values"
                raise unsupported(message, "Use PARTITION BY HASH, or another column.", label)

    def _retype(
        self, column: str, definition: Node, rule: Rule | None, held: ProtectedColumn | None, scope: Scope
    ) -> None:
        using = definition.node("raw_default")
        if rule is not None:
            made = self._column(0, definition, {})
            if using is not None and not self._casts_itself(column, using, made, held):
                raise _defined(rule.label, "ALTER COLUMN TYPE … USING")
            self._holds(replace(made, name=column), rule)
            return
        self._expressions.plain(using, scope, "ALTER COLUMN TYPE … USING")

    def _casts_itself(self, column: str, using: Node, made: Column, held: ProtectedColumn | None) -> bool:
        """TYPE varchar(150) USING "name"::varchar(150), as Django has it: no token changes, and no value would, as the
        type is not shorter than before."""
        value, name = using.node("arg"), using.part("typeName", "TypeName")
        if held is None or using.kind != "TypeCast" or value is None or name is None:
            return False
        spec = self._findings.type_of(name)
        if value.kind != "ColumnRef" or value.strings("fields") != [column] or spec is None:
            return False
        texts = held.stored.name in _VARYING and held.facade.name in _VARYING and spec.name in _VARYING
        before, after = char_limit(held.facade.typmod), char_limit(spec.typmod)
        wide = after == -1 or (before != -1 and after >= before)
        return texts and wide and (spec.oid, spec.typmod) == (made.type_oid, made.typmod)

    def _rename(self, node: Node) -> StatementPlan:
        relation = node.part("relation", "RangeVar")
        kind, new = node.text("renameType"), node.text("newname")
        if relation is None or kind not in _RENAMED:
            raise unsupported("this RENAME reaches a protected table", _POLICY_FIRST)
        name = self._tables.named(relation)
        if kind in ("OBJECT_TABLE", "OBJECT_VIEW"):
            dependent = name in self._tables.snapshot.protection.dependents
            known = dependent if kind == "OBJECT_VIEW" else dependent or not self._tables.guards(name)
            if self._tables.rules(name) or not known:
                raise unsupported(f"renaming {name[0]}.{name[1]} would take it out of the policy", _POLICY_FIRST)
            return StatementPlan("alter", effects=DDL, altered=((name[0], new),))
        altered = (name,) if kind == "OBJECT_COLUMN" else ()
        return StatementPlan("alter", (f"{name[0]}.{name[1]}",), effects=DDL, altered=altered)

    # ---- CREATE INDEX, VIEW, TABLE AS

    def _index(self, node: Node) -> StatementPlan:
        relation = node.part("relation", "RangeVar")
        assert relation is not None
        altered = self._tables.changed(relation)
        if altered is not None and self._indexable(node, altered):
            return StatementPlan("create", (f"{altered[0]}.{altered[1]}",))
        table = self._tables.find(relation)
        scope = Scope((table.range(None, [], True),))
        for element in node.nodes("indexParams"):
            held = table.protected.get(element.text("name"))
            method = node.text("accessMethod")
            if held is not None and method not in ("btree", "hash", ""):
                message = f"column {held.label} is protected: a {method} index serves no equality"
                raise unsupported(message, "Use a btree or hash index.", held.label)
            if held is not None and node.flag("unique"):
                predicates.comparable(held)
            self._expressions.plain(element.node("expr"), scope, "CREATE INDEX on an expression")
        self._expressions.plain(node.node("whereClause"), scope, "CREATE INDEX … WHERE")
        return StatementPlan("create", tuple(self._tables.touched))

    def _indexable(self, node: Node, name: Name) -> bool:
        """Whether an index may be made on a table that this transaction altered, as migrations do: one of columns alone
        asks nothing of values. UNIQUE compares them; as columns may have other names by now, all have to stand that."""
        if "whereClause" in node.fields or any("expr" in element.fields for element in node.nodes("indexParams")):
            return False
        if not node.flag("unique"):
            return node.text("accessMethod") in ("btree", "hash", "")
        snapshot = self._tables.snapshot
        held = snapshot.protection.columns.get(name, {}).values()
        classes = [snapshot.policy.classes[rule.class_name] for rule in self._tables.rules(name)]
        sound = all(c.deterministic and not c.mixed and not c.foreign for c in held)
        return name in snapshot.relations and sound and all(known.deterministic for known in classes)

    def _view(self, node: Node) -> StatementPlan:
        view, query = node.part("view", "RangeVar"), node.node("query")
        assert view is not None and query is not None
        return self._derived(view, query)

    def _derived(self, view: Node, query: Node) -> StatementPlan:
        """A view or materialized view over protected tables: closed until the catalog shows what it reads."""
        name = self._new_name(view)
        if self._tables.rules(name):
            raise unsupported("a view can't take a protected table's name", _POLICY_FIRST)
        self._queries.top(query)
        return StatementPlan("create", tuple(self._tables.touched), effects=DDL, altered=self._over([name]))

    def _create_as(self, node: Node) -> StatementPlan:
        into, query = node.part("into", "IntoClause"), node.node("query")
        assert into is not None and query is not None
        relation = into.part("rel", "RangeVar")
        assert relation is not None
        if node.text("objtype") == "OBJECT_MATVIEW":
            return self._derived(relation, query)
        if query.kind == "ExecuteStmt":
            raise unsupported("CREATE TABLE AS EXECUTE is not supported for a protected table")
        self._queries.into(into, self._queries.top(query))
        return StatementPlan("create", tuple(self._tables.touched), effects=DDL)


def _tied(ours: ProtectedColumn | None, theirs: ProtectedColumn | None, table: Name, column: str) -> None:
    """A foreign key of one column to another. Raises Refusal if rows would not be found, or others."""
    if ours is not None and theirs is not None:
        predicates.same(ours, theirs, "FOREIGN KEY")
        return
    held = ours or theirs
    if held is not None:
        plain = f"{table[0]}.{table[1]}.{column}" if ours is not None else "the column that refers to it"
        raise Refusal(
            "class-mismatch",
            f"FOREIGN KEY of {held.label} can't be kept: {plain} is not protected, and tokens are no values",
            "Protect both columns with one class.",
            column=held.label,
        )


def _collated(definition: Node) -> bool:
    """Whether a column has a collation of which only the catalog says what it calls equal."""
    clause = definition.part("collClause", "CollateClause")
    return clause is not None and not _COLLATIONS.issuperset(clause.strings("collname")[-1:])


def _defined(label: str, what: str) -> Refusal:
    message = f"column {label} is protected: {what} would make values in the database that are no tokens"
    return unsupported(message, f"Leave {what} out.", label)
