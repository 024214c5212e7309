"""Laying the policy over a catalog: which columns are protected, which tables are closed, what reaches them.

A table that cannot be protected as its rules say is closed, not unprotected. Partitions and inheritance children hold
the same rows as their parent, so its rules are theirs. Whatever reads a protected table in another way (a view, a
function, an unprotected parent) is a dependent: statements that name it are refused. A table whose rows lie where their
tokens say (partitions by range or list) is closed too.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from proxy.policy.rules import Policy, Rule, ValueClass
from proxy.sql.bodies import builds as builds
from proxy.sql.bodies import identifiers as identifiers
from proxy.sql.bodies import moves, naming, runs_text
from proxy.sql.bodies import settles as settles
from proxy.sql.reach import Reached, reached
from proxy.sql.relations import Catalog, Column, Drift, Function, Name, ProtectedColumn, Relation
from proxy.wire.types import TypeSpec, by_oid, parse_type

TOKEN_LENGTH: Final = 36
HEADER: Final = 4  # atttypmod of varchar(n) and char(n) is n + VARHDRSZ
TABLES: Final = frozenset("rp")
READING: Final = frozenset("vmrpf")
STRATEGIES: Final = {"r": "RANGE", "l": "LIST"}  # pg_partitioned_table.partstrat
_NONE: Final[Mapping[str, str]] = MappingProxyType({})
THROUGH: Final = "its body writes to a table whose triggers may write to a protected one"
BUILDING: Final = "it runs statements that it builds as text"  # why such functions are refused


@dataclass(frozen=True, slots=True)
class Protection:
    """The policy laid over a catalog.

    columns: relation -> column name -> what protects it, for tables that exist. closed: tables whose rules don't
    match -> why. awaited: tables that don't exist yet -> their rules. dependents: views and tables through which a
    protected table is reached -> why they are refused; functions: the same for functions. writes: tables whose
    triggers write to a protected one -> why. reaching: OIDs of functions that reach a protected table.
    settling: what may change what names mean (search_path, the role). moving: what may change which schemas there are,
    or who may use them.
    """

    columns: Mapping[Name, Mapping[str, ProtectedColumn]]
    closed: Mapping[Name, str]
    awaited: Mapping[Name, tuple[Rule, ...]]
    dependents: Mapping[Name, str]
    functions: Mapping[Name, str]
    writes: Mapping[Name, str]
    reaching: frozenset[int]
    settling: Reached
    moving: Reached
    drift: tuple[Drift, ...]

    def names(self) -> frozenset[str]:
        """Names of which a text has to hold one to reach any of it."""
        parts: tuple[Mapping[Name, object], ...] = (
            self.columns, self.closed, self.awaited, self.dependents, self.functions, self.writes,
        )  # fmt: skip
        return frozenset([name for part in parts for _, name in part])


def lay(
    catalog: Catalog, policy: Policy, mixed: frozenset[str] = frozenset(), foreign: Mapping[str, str] = _NONE
) -> Protection:
    """Lay `policy` over `catalog`. Total: what doesn't fit is closed and in `drift`. mixed, foreign: labels of such
    columns, see `ProtectedColumn`."""
    work = _Work(policy)
    work.place(catalog)
    work.part(catalog.relations)
    work.inherit(catalog.relations)
    work.mix(catalog.relations, mixed, foreign)
    dependents = _dependents(catalog.relations, work)
    names = {*work.named(), *[name for _, name in dependents]}
    functions = naming(catalog.functions, names)
    building = _builders(catalog.functions, functions) if names else []
    writes = _armed(catalog.relations, building, names, work) | _writes(catalog.relations, functions, work)
    through = _through(catalog, {*work.columns, *work.closed}, functions + building, writes)
    return Protection(
        columns=MappingProxyType({name: MappingProxyType(found) for name, found in work.columns.items()}),
        closed=MappingProxyType(work.closed),
        awaited=MappingProxyType(work.awaited),
        dependents=MappingProxyType(dependents),
        functions=MappingProxyType(
            {(f.schema, f.name): BUILDING for f in building}
            | {(f.schema, f.name): "its body names a protected table" for f in functions}
            | {(f.schema, f.name): THROUGH for f in through}
        ),
        writes=MappingProxyType(writes),
        reaching=frozenset([f.oid for f in (*functions, *building, *through)]),
        settling=reached(catalog, lambda f: settles(f.source)) if names else Reached(),
        moving=reached(catalog, lambda f: moves(f.source)) if names else Reached(),
        drift=tuple(work.drift),
    )


class _Work:
    """What is being collected."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.columns: dict[Name, dict[str, ProtectedColumn]] = {}
        self.closed: dict[Name, str] = {}
        self.awaited: dict[Name, tuple[Rule, ...]] = {}
        self.drift: list[Drift] = []

    def named(self) -> set[str]:
        return {name for part in (self.columns, self.closed, self.awaited) for _, name in part}

    def place(self, catalog: Catalog) -> None:
        """Find the tables of the rules."""
        relations = {(r.schema, r.name): r for r in catalog.relations if not r.temporary}
        rules: dict[Name, list[Rule]] = {}
        for rule in self.policy.rules_for(catalog.database):
            rules.setdefault((rule.schema, rule.table), []).append(rule)
        for name, of_table in rules.items():
            relation = relations.get(name)
            if relation is None:
                self.awaited[name] = tuple(of_table)
            else:
                self.protect(relation, of_table)

    def protect(self, relation: Relation, rules: list[Rule]) -> None:
        found: dict[str, ProtectedColumn] = {}
        for rule in rules:
            try:
                found[rule.column] = protected(relation, rule, self.policy)
            except ValueError as fault:
                self.drift.append(_drift(rule, str(fault)))
                self.closed.setdefault((relation.schema, relation.name), f"{rule.label}: {fault}")
        self.columns[(relation.schema, relation.name)] = found

    def part(self, relations: tuple[Relation, ...]) -> None:
        """Close tables whose rows lie where their tokens say."""
        for relation in relations:
            name = (relation.schema, relation.name)
            held = next((held for held in self.columns.get(name, {}).values() if parted(relation, held.name)), None)
            if held is not None:
                rule = next(r for r in self.policy.rules if (r.schema, r.table, r.column) == (*name, held.name))
                what = f"the table is partitioned by {STRATEGIES[relation.key[0]]} of the column, so by its tokens"
                self.drift.append(_drift(rule, what))
                self.closed.setdefault(name, f"{held.label}: {what}")

    def inherit(self, relations: tuple[Relation, ...]) -> None:
        """Give children their parents' rules, grandchildren included."""
        children: dict[int, list[Relation]] = {}
        for relation in relations:
            for oid in relation.parents:
                children.setdefault(oid, []).append(relation)
        ready = [r for r in relations if (r.schema, r.name) in self.columns]
        while ready:
            parent = ready.pop()
            for child in children.get(parent.oid, ()):
                if self._give(parent, child):
                    ready.append(child)

    def mix(self, relations: tuple[Relation, ...], mixed: frozenset[str], foreign: Mapping[str, str]) -> None:
        """Rows of a child are its parent's, and a parent's may lie in any child: the family is mixed as one."""
        names = {r.oid: (r.schema, r.name) for r in relations}
        kin = [((r.schema, r.name), names[oid]) for r in relations for oid in r.parents if oid in names]
        held = [column for table in self.columns.values() for column in table.values()]
        for column in held:
            if column.label in mixed:
                self._spread(column, kin, "")
        for column in held:
            if column.label in foreign:
                self._spread(column, kin, foreign[column.label])

    def _spread(self, first: ProtectedColumn, kin: list[tuple[Name, Name]], foreign: str) -> None:
        """To the column, and to that of its name in all of its table's family."""
        ready, done = [(first.schema, first.table)], set[Name]()
        while ready:
            name = ready.pop()
            held = self.columns.get(name, {}).get(first.name)
            if held is None or name in done:
                continue
            done.add(name)
            self.columns[name][first.name] = replace(held, mixed=True, foreign=foreign or held.foreign)
            ready += [b if a == name else a for a, b in kin if name in (a, b)]

    def _give(self, parent: Relation, child: Relation) -> bool:
        """True if the child got something that it did not have."""
        above = self.columns[(parent.schema, parent.name)]
        name = (child.schema, child.name)
        before = self.columns.get(name)
        own = self.columns.setdefault(name, {})
        if (parent.schema, parent.name) in self.closed:
            self.closed.setdefault(name, f"its parent {parent.schema}.{parent.name} does not match the policy")
        key = next((column for column in above if parted(child, column)), "")
        if key:
            what = f"it is partitioned by {STRATEGIES[child.key[0]]} of {key}, so by its tokens"
            self.closed.setdefault(name, what)
        given = {column.name: column for column in child.columns}
        for column, held in above.items():
            mine = own.get(column)
            if mine is None and column in given:
                own[column] = replace(
                    held, schema=child.schema, table=child.name, relation_oid=child.oid, attnum=given[column].attnum
                )
            elif mine is None or (mine.class_name, mine.facade) != (held.class_name, held.facade):
                self.closed.setdefault(name, f"column {column} is protected otherwise than in its parent")
        return before is None or len(before) != len(own)


def _drift(rule: Rule, what: str) -> Drift:
    return Drift(rule.file, rule.line, rule.label, what, "Change the rule or the column, then reload the policy.")


def parted(relation: Relation, column: str) -> bool:
    """Whether a table is partitioned by ranges or lists of values of the column. HASH minds no token."""
    strategy, numbers = relation.key
    return strategy in STRATEGIES and any(c.attnum in numbers and c.name == column for c in relation.columns)


def protected(relation: Relation, rule: Rule, policy: Policy) -> ProtectedColumn:
    """The column that `rule` protects. Raises ValueError, saying why it can't be."""
    if relation.kind not in TABLES:
        raise ValueError(f"{relation.schema}.{relation.name} is not a table")
    column = next((c for c in relation.columns if c.name == rule.column), None)
    if column is None:
        raise ValueError(f"there is no column {rule.column}")
    if column.generated:
        raise ValueError("the column is generated by the database")
    value_class = policy.classes[rule.class_name]
    stored = stored_type(column, value_class)
    return ProtectedColumn(
        schema=relation.schema,
        table=relation.name,
        name=column.name,
        class_name=rule.class_name,
        deterministic=value_class.deterministic,
        stored=stored,
        facade=stored if rule.type is None else parse_type(rule.type),
        relation_oid=relation.oid,
        attnum=column.attnum,
        write_tokens=rule.write_tokens,
    )


def stored_type(column: Column, value_class: ValueClass) -> TypeSpec:
    """The column's type, if a token fits into it. Raises ValueError, saying why not."""
    spec = by_oid(column.type_oid, column.typmod)
    if spec is None or spec.name not in ("text", "varchar", "bpchar", "uuid"):
        raise ValueError(f"type {column.type_name} can't hold a token; text, varchar(36) or longer, and uuid can")
    if spec.typmod >= 0 and spec.typmod - HEADER < TOKEN_LENGTH:
        raise ValueError(f"type {column.type_name} is too short for a token of {TOKEN_LENGTH} characters")
    if not column.collation_deterministic and value_class.deterministic and not value_class.canonicalize:
        raise ValueError("its collation calls unequal bytes equal; its class has to say canonicalize: true")
    return spec


# ---- what reaches a protected table --------------------------------------------------------------------------------


def _dependents(relations: tuple[Relation, ...], work: _Work) -> dict[Name, str]:
    """Views over protected tables, views over those, and unprotected parents of protected children."""
    guarded = {*work.columns, *work.closed}
    reached = {r.oid: f"{r.schema}.{r.name}" for r in relations if (r.schema, r.name) in guarded}
    below: dict[int, list[int]] = {}
    for relation in relations:
        for parent in relation.parents:
            below.setdefault(parent, []).append(relation.oid)
    found: dict[Name, str] = {}
    while True:
        news = [
            (r, reached[oid])
            for r in relations
            if r.oid not in reached and r.kind in READING
            for oid in (*r.depends_on, *below.get(r.oid, ()))
            if oid in reached
        ]
        if not news:
            return found
        for relation, through in news:
            found[(relation.schema, relation.name)] = f"it reads {through}"
            reached[relation.oid] = through


def views_over(relations: Iterable[Relation], tables: Collection[Name]) -> list[int]:
    """OIDs of the views that read one of the tables, its parents or its children, or such a view."""
    reached = {r.oid for r in relations if (r.schema, r.name) in tables}
    found: list[int] = []
    before = -1
    while reached and before != len(reached):
        before = len(reached)
        for relation in relations:
            if relation.oid not in reached and not reached.isdisjoint((*relation.depends_on, *relation.parents)):
                reached.add(relation.oid)
                found += [relation.oid] if relation.kind == "v" else []
    return found


def _builders(functions: tuple[Function, ...], known: list[Function]) -> list[Function]:
    """Functions that run what they build as text, and functions that name one of those: which tables they reach shows
    in no catalog. As a trigger's function one is let be (audit, partitions): see `_armed`."""
    there = {id(f) for f in known}
    found = [f for f in functions if id(f) not in there and runs_text(f)]
    left = [f for f in functions if id(f) not in there and f not in found]
    return found + naming(left, {f.name for f in found})


# CREATE and ALTER may make a temporary relation that shadows a protected table.
_RISKY: Final = r"|\b(?:insert|merge|execute|create|alter)\b|\*|%rowtype"


def _writes(relations: tuple[Relation, ...], functions: list[Function], work: _Work) -> dict[Name, str]:
    """Unprotected tables with a trigger that may write values into a protected column.

    A trigger that names a protected table but neither its protected columns nor a whole row nor a computed statement
    nor a definition (`UPDATE customers SET orders = orders + 1`) is harmless.
    """
    columns = {column for table in work.columns.values() for column in table}
    columns |= {rule.column for rules in work.awaited.values() for rule in rules}
    if not columns:
        return {}
    risky = re.compile(identifiers(columns).pattern + _RISKY, re.IGNORECASE)
    by_oid_ = {f.oid: f for f in functions if risky.search(f.source)}
    guarded = {*work.columns, *work.closed}
    return {
        (r.schema, r.name): f"its trigger function {by_oid_[oid].name} reaches a protected table"
        for r in relations
        if (r.schema, r.name) not in guarded
        for oid in r.triggers
        if oid in by_oid_
    }


def _armed(relations: tuple[Relation, ...], building: list[Function], names: set[str], work: _Work) -> dict[Name, str]:
    """Unprotected tables with a trigger that hands a guarded name to a function which builds statements of it."""
    by_oid_ = {f.oid: f for f in building}
    guarded = {*work.columns, *work.closed}
    found: dict[Name, str] = {}
    for r in relations if building else ():
        oid = next((oid for oid in r.triggers if oid in by_oid_), None)
        if oid is not None and (r.schema, r.name) not in guarded and identifiers(names).search(r.arguments):
            why = f"its trigger hands the name of a protected table to {by_oid_[oid].name}, which builds statements"
            found[(r.schema, r.name)] = why
    return found


_STORING: Final = re.compile(r"\b(?:insert|update|merge|copy|execute)\b", re.IGNORECASE)


def _through(catalog: Catalog, guarded: set[Name], known: list[Function], writes: dict[Name, str]) -> list[Function]:
    """Add to `writes` what writes to one of these by another name: a view over it, a parent of it, a table whose
    foreign keys change it, one whose trigger does; functions that do are returned."""
    found: list[Function] = []
    while writes:
        before = len(writes), len(found)
        at = {r.oid: r for r in catalog.relations if (r.schema, r.name) in writes}
        below = {oid: r for r in at.values() for oid in r.parents}
        for r in catalog.relations:
            through = next((at[oid] for oid in (*r.depends_on, *r.changes) if oid in at), below.get(r.oid))
            if through is not None and (r.schema, r.name) not in guarded:
                writes.setdefault(
                    (r.schema, r.name), f"what is written to it may go on to {through.schema}.{through.name}"
                )
        there = {id(f) for f in (*known, *found)}
        left = [f for f in catalog.functions if id(f) not in there]
        storing = naming([f for f in left if _STORING.search(f.source)], {name for _, name in writes})
        found += storing + naming([f for f in left if f not in storing], {f.name for f in (*storing, *found)})
        for r in catalog.relations:
            name = next((f.name for f in found if f.oid in r.triggers), "")
            if name and (r.schema, r.name) not in guarded:
                writes.setdefault((r.schema, r.name), f"its trigger function {name} may go on to a protected table")
        if (len(writes), len(found)) == before:
            break
    return found


def new_table(protection: Protection, relation: Relation, policy: Policy, database: str) -> Protection:
    """With a table that was created since: protected if rules name it, closed if they don't match."""
    name = (relation.schema, relation.name)
    rules = [rule for rule in policy.rules_for(database) if (rule.schema, rule.table) == name]
    if not rules:
        return protection
    work = _Work(policy)
    work.protect(relation, rules)
    closed = {key: why for key, why in protection.closed.items() if key != name}
    return replace(
        protection,
        columns=MappingProxyType({**protection.columns, name: MappingProxyType(work.columns[name])}),
        closed=MappingProxyType({**closed, **work.closed}),
        awaited=MappingProxyType({key: value for key, value in protection.awaited.items() if key != name}),
    )


def without_table(protection: Protection, name: Name, policy: Policy, database: str) -> Protection:
    """Without a table that was dropped since: its rules wait for another of its name."""
    if name not in protection.columns and name not in protection.closed:
        return protection
    rules = tuple([rule for rule in policy.rules_for(database) if (rule.schema, rule.table) == name])
    awaited = {**protection.awaited, name: rules} if rules else protection.awaited
    return replace(
        protection,
        columns=MappingProxyType({key: value for key, value in protection.columns.items() if key != name}),
        closed=MappingProxyType({key: why for key, why in protection.closed.items() if key != name}),
        awaited=MappingProxyType({**awaited}),
    )
