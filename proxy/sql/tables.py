"""Which relation a name means under a search_path, and whether a statement may touch it.

Follows namespace.c: pg_temp and pg_catalog first, then the path. Where the path or what lies in it is not known for
certain, a name that could mean something guarded is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol, final

from proxy.errors import Refusal
from proxy.policy.rules import Rule
from proxy.sql.catalog import ANYTHING, Snapshot
from proxy.sql.names import undefined
from proxy.sql.protection import BUILDING
from proxy.sql.referee import Node, walk
from proxy.sql.relations import Name, ProtectedColumn, Relation
from proxy.sql.scopes import ColumnTerm, OutColumn, Range
from proxy.sql.terms import PLAIN, Held
from proxy.sql.touch import Touch

NOTHING: Final[Mapping[str, ProtectedColumn]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Table:
    """A relation that may be touched. relation: None if the catalog does not have it (its columns are unknown)."""

    schema: str
    name: str
    relation: Relation | None
    protected: Mapping[str, ProtectedColumn]

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}"

    def range(self, alias: str | None, renamed: list[str], qualified: bool) -> Range:
        """As a FROM item. qualified: its columns may be named with its schema."""
        if self.relation is None:
            return Range(alias or self.name, (), True)
        columns = [
            OutColumn(renamed[i] if i < len(renamed) else column.name, self.term(column.name))
            for i, column in enumerate(self.relation.columns)
        ]
        schema = self.schema if qualified else None
        return Range(alias or self.name, tuple(columns), False, schema, True, self.label if self.protected else "")

    def term(self, column: str) -> ColumnTerm:
        held = self.protected.get(column)
        return PLAIN if held is None else Held(held)

    def has(self, column: str) -> bool:
        return self.relation is None or any(c.name == column for c in self.relation.columns)


@dataclass(frozen=True, slots=True)
class View:
    """columns: its own names -> the protected columns whose values they hold. tables: labels of the protected tables
    that it reads."""

    columns: Mapping[str, ProtectedColumn]
    tables: tuple[str, ...]


class Definitions(Protocol):
    """Reads views. Here so that names can be looked up without knowing how queries are read."""

    def view(self, relation: Relation) -> View:
        """Raises Refusal."""


@final
class Tables:
    """Looks names up in one snapshot under one search_path (None: unknown)."""

    __slots__ = ("_guarded", "_names", "_path", "_views", "snapshot", "touched")

    def __init__(
        self, snapshot: Snapshot, search_path: tuple[str, ...] | None, views: Definitions | None = None
    ) -> None:
        protection = snapshot.protection
        self._views = views
        self.snapshot = snapshot
        self._path = search_path
        self._guarded: frozenset[Name] = frozenset().union(
            protection.columns, protection.closed, protection.awaited, protection.dependents, protection.writes,
            snapshot.overlaid,
        )  # fmt: skip
        self._names = frozenset([name for _, name in self._guarded])
        self.touched: dict[str, None] = {}  # labels of protected tables met

    # ---- is anything touched

    def reached_by(self, root: Node) -> bool:
        """Whether any name in the tree could be something guarded; names of CTEs are taken for tables."""
        return self.reached(root) != ""

    def reached(self, root: Node) -> str:
        """The first such name, as it stands in the statement; '' if there is none."""
        functions = {name for _, name in self.snapshot.protection.functions}
        for node in walk(root):
            fields = node.fields
            if "relname" in fields:
                if self.could_be(node):
                    return ".".join(filter(None, (node.text("schemaname"), node.text("relname"))))
            elif "funcname" in fields:
                names = node.strings("funcname")
                if names and names[-1] in functions:
                    return ".".join(names) + "()"
        return ""

    @property
    def any(self) -> bool:
        """Whether anything is guarded in this database at all."""
        return bool(self._guarded)

    def named_in(self, text: bytes) -> bool:
        """Whether a text (a function's body, a query in a string) names something guarded."""
        return self.snapshot.touches.names_in(text)

    def relation_named_in(self, text: bytes) -> bool:
        """The same for tables and views only, functions that reach one left out."""
        return Touch(self._names).names_in(text)

    def only_builds(self, name: str) -> bool:
        """Whether functions of that name are refused for no more than running what they build as text."""
        reasons = {why for (_, known), why in self.snapshot.protection.functions.items() if known == name}
        return reasons == {BUILDING}

    def could_be(self, node: Node) -> bool:
        """Whether a RangeVar could mean something guarded."""
        name, schema = node.text("relname"), node.text("schemaname")
        if name not in self._names:
            return False
        return not schema or self.snapshot.moved == ANYTHING or (schema, name) in self._guarded

    @property
    def crowded(self) -> bool:
        """Whether several schemas have a table with a guarded name, so that search_path decides which is meant."""
        return any(len(self._places(name)) > 1 for name in self._names)

    def _places(self, name: str) -> set[Name]:
        there = {(r.schema, name) for r in self.snapshot.by_name.get(name, ()) if not r.temporary}
        return there | {key for key in self._guarded if key[1] == name}

    # ---- lookups

    def find(self, node: Node) -> Table:
        """The relation that a RangeVar means, for reading. Raises Refusal."""
        schema, name = node.text("schemaname"), node.text("relname")
        if self.snapshot.moved == ANYTHING and name in self._names:
            raise Refusal(
                "changed-in-transaction",
                f'it is not certain which table "{name}" is: this transaction changed schemas, or what may change them',
                "COMMIT first.",
            )
        place = schema or self._schema(name)
        # A guarded name that is nowhere on the path: forwarded, it would be found there by a server that knows better.
        lost = not place and name in self._names and (place, name) not in self.snapshot.overlaid
        found = None if lost else self._allowed(place, name)
        if found is None:
            shown = f"{schema}.{name}" if schema else name
            raise undefined(f'relation "{shown}" does not exist', node, "undefined-table")
        return found

    def target(self, node: Node) -> Table:
        """The same, for writing."""
        table = self.find(node)
        why = self.snapshot.protection.writes.get((table.schema, table.name))
        if why is not None:
            raise Refusal(
                "depends-on-protected",
                f"writing to {table.label} may write to a protected table: {why}",
                "Drop the trigger, or protect the table it writes to in another way.",
            )
        relation = table.relation
        if relation is not None and relation.definition and (relation.diverts or relation.triggers):
            raise Refusal(
                "depends-on-protected",
                f"view {table.label} can't be written to: it has rules, triggers or defaults of its own",
                "Write to the protected table itself.",
            )
        return table

    def protected(self, node: Node) -> Table | None:
        """The protected (or closed, or awaited) table that a RangeVar of a utility statement means, else None."""
        if not self.could_be(node):
            return None
        return self.find(node)

    def named(self, node: Node) -> Name:
        """Which table a definition names; closed and awaited ones too. Raises Refusal if that is not certain."""
        schema, name = node.text("schemaname"), node.text("relname")
        if not schema and name in self.snapshot.shadowed:
            raise _shadowed(name)
        if schema or self._path is None or name not in self._names:
            return (schema or self._schema(name), name)
        guarded = {schema for schema, known in self._guarded if known == name}
        for schema in self._path:
            if (schema, name) in self.snapshot.relations or schema in guarded:
                return (schema, name)
        return ("", name)

    def changed(self, node: Node) -> Name | None:
        """Which table a definition names, if this transaction has closed it. Raises Refusal if that is not certain."""
        name = None if self.snapshot.moved == ANYTHING else self.named(node)
        return name if name in self.snapshot.overlaid else None

    def creation_schema(self, name: str) -> str:
        """Where CREATE without a schema puts a relation. Raises Refusal if that is not certain."""
        schemas = {schema for schema, known in self._guarded if known == name}
        if self._path is None:
            if schemas:
                raise _ambiguous(name, "search_path is not known")
            return ""
        if self._path[:1] == ("pg_temp",):
            return "pg_temp"
        known = {schema for schema, _ in self.snapshot.relations} | self.snapshot.schemas
        return next((schema for schema in self._path if schema in known), self._path[-1] if self._path else "")

    def creates_temporary(self) -> bool:
        """Whether CREATE without a schema may make a temporary relation."""
        return self._path is None or self._path[:1] == ("pg_temp",)

    def is_permanent(self, node: Node) -> bool:
        """Whether a RangeVar is certain to mean no temporary relation."""
        schema, name = node.text("schemaname"), node.text("relname")
        if schema:
            return not schema.startswith("pg_temp")
        found = self.snapshot.by_name.get(name, ())
        return bool(found) and not any(relation.temporary for relation in found)

    def rules(self, name: Name) -> tuple[Rule, ...]:
        """The policy's rules for a table, be it there or not."""
        snapshot = self.snapshot
        return tuple([r for r in snapshot.policy.rules_for(snapshot.database) if (r.schema, r.table) == name])

    def has_name(self, name: str) -> bool:
        return name in self._names

    def guards_schema(self, *schemas: str) -> bool:
        return any(schema in schemas for schema, _ in self._guarded)

    def guards(self, name: Name) -> bool:
        return name in self._guarded

    @staticmethod
    def term(held: ProtectedColumn | None) -> ColumnTerm:
        return PLAIN if held is None else Held(held)

    def _allowed(self, schema: str, name: str) -> Table | None:
        """None: the policy has it, the catalog does not."""
        key = (schema, name)
        snapshot, protection = self.snapshot, self.snapshot.protection
        label = f"{schema}.{name}" if schema else name  # made by the transaction, where is not known
        if key in snapshot.overlaid:
            raise Refusal(
                "changed-in-transaction", f"table {label} is closed: {snapshot.overlaid[key]}", "COMMIT first."
            )
        if key in protection.closed:
            raise Refusal(
                "policy-drift",
                f"table {label} is closed: its policy does not match the database ({protection.closed[key]})",
                "Run `pgveil check`, then mend the policy or the table.",
            )
        if key in protection.awaited:
            return None
        if key in protection.dependents:
            return self._view(key, label)
        columns = protection.columns.get(key, NOTHING)
        if columns:
            self.touched[label] = None
        return Table(schema, name, snapshot.relations.get(key), columns)

    def _view(self, key: Name, label: str) -> Table:
        """A view over something protected. Raises Refusal."""
        relation = self.snapshot.relations.get(key)
        if relation is None or not relation.definition or self._views is None:
            raise Refusal(
                "depends-on-protected",
                f"{label} can't be read: {self.snapshot.protection.dependents[key]}, which is protected",
                "Read the protected table itself.",
            )
        view = self._views.view(relation)
        self.touched.update(dict.fromkeys(view.tables))
        return Table(*key, relation, view.columns)

    def _schema(self, name: str) -> str:
        """The schema in which an unqualified name is found; '' if in none that we know."""
        snapshot = self.snapshot
        found = snapshot.by_name.get(name, ())
        if name not in self._names:
            return self._visible(name, found)
        if name in snapshot.shadowed:
            raise _shadowed(name)
        found = tuple([relation for relation in found if not relation.temporary])  # of other sessions
        if self._path is None:
            return self._only(name, found)
        if ("pg_catalog", name) in snapshot.relations:
            return "pg_catalog"
        for schema in ("pg_temp", *self._path):
            key = (schema, name)
            if key in snapshot.relations or key in snapshot.overlaid or key in snapshot.protection.awaited:
                return schema
        # a temporary view over something protected, of this session or another
        return next((s for s, known in snapshot.protection.dependents if known == name and s.startswith("pg_temp")), "")

    def _visible(self, name: str, found: tuple[Relation, ...]) -> str:
        """Of a name that is nowhere guarded: only its columns matter."""
        if self._path is None or any(relation.temporary for relation in found):
            return found[0].schema if len(found) == 1 else ""
        schemas = {relation.schema for relation in found}
        return next((s for s in ("pg_catalog", *self._path) if s in schemas), "")

    def _only(self, name: str, found: tuple[Relation, ...]) -> str:
        """The search_path is not known."""
        places = {(r.schema, name) for r in found} | self._places(name)
        if len(places) != 1:
            raise _ambiguous(name, "search_path is not known and several schemas have such a table")
        return next(iter(places))[0]


def _shadowed(name: str) -> Refusal:
    return Refusal(
        "ambiguous-relation",
        f'it is not certain which table "{name}" is: this connection may have a temporary one of that name',
        f"Write the schema: pg_temp.{name} or schema.{name}.",
    )


def _ambiguous(name: str, why: str) -> Refusal:
    return Refusal(
        "ambiguous-relation",
        f'it is not certain which table "{name}" is: {why}',
        f"Write the schema: schema.{name}.",
    )
