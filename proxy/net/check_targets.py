"""Rules laid on one database's catalog, as far as they fit: which columns they mean, and where they don't fit.

Pure. A column is a target even if its type can't hold a token, so that all that is wrong with it is found at once;
partitions and children have their parents' targets.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from proxy.documents import meant, quote
from proxy.net.check_facts import Facts
from proxy.net.check_findings import Finding, Severity
from proxy.policy.rules import Policy, Rule, ValueClass
from proxy.sql.protection import HEADER, TABLES, TOKEN_LENGTH
from proxy.sql.relations import Catalog, Column, Drift, Name, Relation
from proxy.wire.types import TypeSpec, by_oid, format_type, parse_type

KINDS: Final = {
    "v": "a view",
    "m": "a materialized view",
    "f": "a foreign table",
    "S": "a sequence",
    "c": "a composite type",
    "i": "an index",
}
CAN: Final = "text, varchar and char of 36 or more, and uuid"
HOLDING: Final = ("text", "varchar", "bpchar", "uuid")


@dataclass(frozen=True, slots=True)
class Target:
    """A column that a rule means. inherited: through a parent."""

    relation: Relation
    column: Column
    rule: Rule
    value_class: ValueClass
    inherited: bool = False

    @property
    def label(self) -> str:
        return f"{self.relation.schema}.{self.relation.name}.{self.column.name}"

    @property
    def table(self) -> str:
        return f"{self.relation.schema}.{self.relation.name}"

    @property
    def stored(self) -> TypeSpec | None:
        """The column's type, None if it can't hold tokens."""
        spec = by_oid(self.column.type_oid, self.column.typmod)
        return spec if spec is not None and spec.name in HOLDING else None

    @property
    def shown(self) -> TypeSpec | None:
        """The type that clients see."""
        return self.stored if self.rule.type is None else parse_type(self.rule.type)

    def finding(self, severity: Severity, code: str, message: str, todo: str, database: str = "") -> Finding:
        return Finding(severity, code, self.rule.file, self.rule.line, message, todo, database)


@dataclass(frozen=True, slots=True)
class Targets:
    """All targets of a database: table OID -> attribute number -> target."""

    catalog: Catalog
    by_table: dict[int, dict[int, Target]] = field(default_factory=dict)

    def all(self) -> Iterator[Target]:
        for columns in self.by_table.values():
            yield from columns.values()

    def at(self, table: int, attnum: int) -> Target | None:
        return self.by_table.get(table, {}).get(attnum)

    def named(self, table: int) -> dict[str, Target]:
        return {target.column.name: target for target in self.by_table.get(table, {}).values()}

    def first(self, table: int) -> Target:
        return next(iter(self.by_table[table].values()))


def find_targets(catalog: Catalog, policy: Policy, default: bool = True) -> tuple[Targets, list[Finding]]:
    """What `policy` protects in the database, and the rules that don't find theirs.

    default: rules without a database part are meant for this one; if not, their tables may well be missing here.
    """
    findings: list[Finding] = []
    targets = Targets(catalog)
    relations = {(r.schema, r.name): r for r in catalog.relations if not r.temporary}
    for rule in policy.rules_for(catalog.database):
        relation = relations.get((rule.schema, rule.table))
        column = None if relation is None else next((c for c in relation.columns if c.name == rule.column), None)
        if relation is None:
            if default or rule.database is not None:
                findings.append(_no_table(rule, catalog.database, relations))
        elif relation.kind not in TABLES:
            findings.append(_no_real_table(rule, relation))
        elif column is None:
            findings.append(_no_column(rule, relation))
        else:
            target = Target(relation, column, rule, policy.classes[rule.class_name])
            targets.by_table.setdefault(relation.oid, {})[column.attnum] = target
    _inherit(targets, catalog)
    return targets, findings


def _no_table(rule: Rule, database: str, relations: Iterable[Name]) -> Finding:
    known = [f"{schema}.{name}" for schema, name in relations if schema not in ("pg_catalog", "information_schema")]
    table = f"{rule.schema}.{rule.table}"
    near = meant(table, known)
    hint = f"{near} If not: " if near.startswith("did you mean") else ""
    return Finding(
        "warning",
        "no-table",
        rule.file,
        rule.line,
        f"{table} does not exist in database {quote(database)}",
        f"{hint}create it through pgveil, then it is protected from the start",
    )


def _no_real_table(rule: Rule, relation: Relation) -> Finding:
    what = KINDS.get(relation.kind, "no table")
    message = f"{relation.schema}.{relation.name} is {what}, which holds no values of its own"
    return Finding("fault", "not-a-table", rule.file, rule.line, message, "protect the table that its rows come from")


def _no_column(rule: Rule, relation: Relation) -> Finding:
    message = f"{relation.schema}.{relation.name} has no column {quote(rule.column)}"
    return Finding(
        "fault", "no-column", rule.file, rule.line, message, meant(rule.column, [c.name for c in relation.columns])
    )


def _inherit(targets: Targets, catalog: Catalog) -> None:
    """Children hold their parent's rows (partitions) or are read with them (inheritance)."""
    children: dict[int, list[Relation]] = {}
    for relation in catalog.relations:
        for parent in relation.parents:
            children.setdefault(parent, []).append(relation)
    ready = list(targets.by_table)
    while ready:
        parent = ready.pop()
        for child in children.get(parent, ()):
            own = targets.by_table.setdefault(child.oid, {})
            before = len(own)
            for name, above in targets.named(parent).items():
                column = next((c for c in child.columns if c.name == name), None)
                if column is not None and column.attnum not in own:
                    own[column.attnum] = replace(above, relation=child, column=column, inherited=True)
            if len(own) != before:
                ready.append(child.oid)


# ---- types ---------------------------------------------------------------------------------------------------------


def check_types(targets: Targets, facts: Facts) -> list[Finding]:
    """Whether columns can hold tokens, mean the equality that tokens have, and show what their class's values are."""
    names = {oid: (name, base) for oid, name, base in facts.types}
    findings: list[Finding] = []
    for target in targets.all():
        if not target.inherited:
            findings += _column_type(target, *names.get(target.column.type_oid, ("", "")))
    return findings


def untold(drift: Iterable[Drift], findings: Iterable[Finding]) -> list[Finding]:
    """What `run` calls drift, and so refuses, without a fault of ours at that place."""
    told = {(each.file, each.line) for each in findings if each.severity == "fault"}
    return [
        Finding("fault", "drift", each.file, each.line, f"{each.column}: {each.what}", each.todo)
        for each in drift
        if (each.file, each.line) not in told
    ]


def _column_type(target: Target, name: str, base: str) -> Iterator[Finding]:
    column, stored = target.column, target.stored
    what = f"{target.label} is {column.type_name}"
    if column.generated:
        message = f"{target.label} is generated by the database, which would compute it on tokens"
        yield target.finding(
            "fault", "generated-column", message, "protect the columns that it is made of, drop this one"
        )
    elif name == "citext":
        if not target.value_class.canonicalize:
            message = f"{what}: it calls values equal that differ in case"
            todo = f"{_alter(target)}, and say `canonicalize: true` in class {quote(target.value_class.name)}"
            yield target.finding("fault", "type-equality", message, todo)
    elif stored is None:
        yield target.finding("fault", "column-type", _cannot_hold(what, base), _other_type(target))
    elif stored.typmod >= HEADER and stored.typmod - HEADER < TOKEN_LENGTH:
        message = f"{what}, too short for a token of {TOKEN_LENGTH} characters"
        todo = f"{_alter(target)}, and say `type: {column.type_name}` in the rule"
        yield target.finding("fault", "column-length", message, todo)
    elif (
        not column.collation_deterministic and target.value_class.deterministic and not target.value_class.canonicalize
    ):
        message = f"{target.label} has a nondeterministic collation: it calls values equal that differ in bytes"
        todo = f"say `canonicalize: true` in class {quote(target.value_class.name)}, or use another collation"
        yield target.finding("fault", "type-equality", message, todo)
    else:
        yield from _shown_type(target)


def _alter(target: Target) -> str:
    table = f"{sql_name(target.relation.schema)}.{sql_name(target.relation.name)}"
    return f"ALTER TABLE {table} ALTER {sql_name(target.column.name)} TYPE text"


def sql_name(name: str) -> str:
    """As one writes it in SQL; a name that may be a keyword is left to its reader."""
    return name if re.fullmatch("[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


def _cannot_hold(what: str, base: str) -> str:
    if base:
        return f"{what}, a domain over {base}; only {CAN} themselves hold tokens"
    return f"{what}, which can't hold a token; {CAN} can"


def _other_type(target: Target) -> str:
    """text for the tokens; what the column is now, for the clients, if they can be shown that."""
    alter = _alter(target)
    spec = by_oid(target.column.type_oid, target.column.typmod)
    if spec is None or target.rule.type is not None:
        return alter
    return f"{alter}, and say `type: {format_type(spec)}` in the rule, so that clients see what they see now"


def _shown_type(target: Target) -> Iterator[Finding]:
    shown = target.shown
    kind = target.value_class.kind
    if target.rule.type is None and shown is not None and shown.name == "uuid" and kind != "text":
        name = quote(target.value_class.name)
        message = f"{target.label} is uuid, so clients write UUIDs, but class {name} is of kind {kind}"
        yield target.finding("warning", "value-type", message, "say `type: text` (or what the values are) in the rule")


# ---- columns of one class ------------------------------------------------------------------------------------------

# char(n) against text is compared as text, without its blanks (pg_cast), as its tokens are.
_FAMILIES: Final = {"varchar": "text", "bpchar": "text", "name": "text", "int2": "int8", "int4": "int8"}


def check_classes(targets: Targets) -> list[Finding]:
    """Columns of one class whose equal values may have unequal tokens, or that the database can't compare."""
    groups: dict[str, list[Target]] = {}
    for target in targets.all():
        if not target.inherited and target.stored is not None and target.value_class.deterministic:
            groups.setdefault(target.value_class.name, []).append(target)
    return [finding for group in groups.values() for finding in _unlike(group)]


def _unlike(group: list[Target]) -> Iterator[Finding]:
    """Each target against the first of its class that is stored or shown as another type."""
    first = group[0]
    for target in group[1:]:
        if first.stored is None or target.stored is None or first.shown is None or target.shown is None:
            continue
        pair = f"{target.label} and {first.label} are of class {quote(target.value_class.name)}, but"
        if (first.stored.name == "uuid") != (target.stored.name == "uuid"):
            message = (
                f"{pair} stored as {format_type(target.stored)} and {format_type(first.stored)}, which can't be joined"
            )
            yield target.finding("warning", "class-types", message, "give both columns one type in the database")
        if _family(first.shown) != _family(target.shown):
            message = (
                f"{pair} show {format_type(target.shown)} and {format_type(first.shown)}: "
                "one value is written differently in the two and gets two tokens, so joins don't find it"
            )
            yield target.finding(
                "warning", "class-types", message, "give both rules one `type`, or each a class of its own"
            )


def _family(spec: TypeSpec) -> str:
    """Types of one family write equal values in one way. Numeric with a scale writes that many digits."""
    return format_type(spec) if spec.name == "numeric" else _FAMILIES.get(spec.name, spec.name)
