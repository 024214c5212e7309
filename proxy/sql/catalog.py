"""The `Snapshot` that statements are read against: the server's catalog with the policy laid over it.

Pure: `net.catalog` reads the rows, `sql.protection` lays the policy over them. A rule that no longer matches its
catalog makes its table *closed*: each statement that names it is refused until they match again.

Invariants: a snapshot never changes; the names of all that is protected, closed, awaited or depends on one of these
are in the touch test, so that a text that doesn't match can't reach any of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from proxy.policy.rules import Policy, Rule
from proxy.sql.protection import Protection, lay, new_table, without_table
from proxy.sql.reach import Reached
from proxy.sql.relations import Catalog as Catalog
from proxy.sql.relations import Column as Column
from proxy.sql.relations import Drift as Drift
from proxy.sql.relations import Function as Function
from proxy.sql.relations import Name as Name
from proxy.sql.relations import ProtectedColumn as ProtectedColumn
from proxy.sql.relations import Relation as Relation
from proxy.sql.rights import Path
from proxy.sql.touch import Touch

# Why a table is closed that a transaction made before it came back to a savepoint: it may be there or not.
UNSURE: Final = "it may have been made in this transaction; commit first"
# What a transaction did to schemas: more rights were given, some taken, or anything may have happened.
GRANTED: Final = "granted"
RIGHTS: Final = "rights"
ANYTHING: Final = "anything"
WIDENED: Final = "columns were added to it in this transaction; commit first"
ANY_SCHEMA: Final = ""  # of a function that was made in the transaction
_EMPTY: Final[Mapping[Name, str]] = MappingProxyType({})
_EMPTY_LABELS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Catalog and policy of one database at one moment, or with a transaction's own DDL laid over it (`sql.moves`), or
    a link's temporary relations (`shadowed_by`). Made by `snapshot`.

    made: schemas that the transaction made. moved: what it did to others: '', GRANTED, RIGHTS or ANYTHING. dropped:
    what it dropped or took away from where it was. widened: tables of the catalog that it gave columns.
    """

    version: int
    catalog: Catalog
    policy: Policy
    protection: Protection
    touches: Touch
    relations: Mapping[Name, Relation]
    by_name: Mapping[str, tuple[Relation, ...]]
    by_place: Mapping[tuple[int, int], ProtectedColumn]
    overlaid: Mapping[Name, str] = field(default_factory=lambda: _EMPTY)
    shadowed: frozenset[str] = frozenset()  # guarded names that may be the connection's own temporary relations
    made: frozenset[str] = frozenset()
    moved: str = ""
    dropped: frozenset[Name] = frozenset()
    widened: frozenset[Name] = frozenset()

    @property
    def database(self) -> str:
        return self.catalog.database

    @property
    def closed(self) -> Mapping[Name, str]:
        return {**self.protection.closed, **self.overlaid}

    @property
    def drift(self) -> tuple[Drift, ...]:
        return self.protection.drift

    @property
    def awaited(self) -> Mapping[Name, tuple[Rule, ...]]:
        return self.protection.awaited

    @property
    def protected_tables(self) -> Mapping[Name, Mapping[str, ProtectedColumn]]:
        return self.protection.columns

    def column(self, relation_oid: int, attnum: int) -> ProtectedColumn | None:
        """What protects a column that the server names by OID and number, if anything does."""
        return self.by_place.get((relation_oid, attnum))

    def labelled(self, label: str) -> ProtectedColumn | None:
        """The protected column that a refusal names ('schema.table.column')."""
        for table in self.protection.columns.values():
            for column in table.values():
                if column.label == label:
                    return column
        return None

    def search_path_of(self, user: str) -> str:
        """The search_path with which `user`'s sessions start, as it is written."""
        paths = self.catalog.search_paths
        return paths.get(user, paths.get("", '"$user", public'))

    def switches_role(self, user: str) -> bool:
        """Whether `user`'s sessions start as another role (ALTER ROLE or ALTER DATABASE … SET role)."""
        return bool(self.catalog.switched & {user, ""})

    def path(self, names: Path, role: str | None) -> Path | None:
        """What of a search_path is looked into for a role (None: not known); None if that is not certain."""
        if self.moved in (RIGHTS, ANYTHING) or self.protection.settling.anywhere:
            return None
        found = self.catalog.schemas.looked_into(names, role)
        return found if found == names or not self.moved else None

    @property
    def schemas(self) -> frozenset[str]:
        """Those that are there."""
        return self.catalog.schemas.names | self.made

    def with_relation(self, relation: Relation) -> "Snapshot":
        """With a table that this link's transaction made (OID 0 if the server's is not known)."""
        name = (relation.schema, relation.name)
        others = tuple([r for r in self.by_name.get(relation.name, ()) if (r.schema, r.name) != name])
        protection = self.protection
        if not relation.temporary:
            protection = new_table(protection, relation, self.policy, self.catalog.database)
        shadowed = self.shadowed | {relation.name} if relation.temporary else self.shadowed
        closed = {key: why for key, why in self.overlaid.items() if key != name or why != UNSURE}  # made again
        return replace(
            self,
            shadowed=shadowed,
            overlaid=MappingProxyType(closed),
            protection=protection,
            relations=MappingProxyType({**self.relations, name: relation}),
            by_name=MappingProxyType({**self.by_name, relation.name: (*others, relation)}),
        )

    def with_columns(self, relation: Relation) -> "Snapshot":
        """With a table of the catalog that this link's transaction gave columns, none of them protected."""
        name = (relation.schema, relation.name)
        others = tuple([r for r in self.by_name.get(relation.name, ()) if (r.schema, r.name) != name])
        return replace(
            self,
            widened=self.widened | {name},
            relations=MappingProxyType({**self.relations, name: relation}),
            by_name=MappingProxyType({**self.by_name, relation.name: (*others, relation)}),
        )

    def shadowed_by(self, names: Iterable[str]) -> "Snapshot":
        """With names that may stand for temporary relations of this link."""
        return replace(self, shadowed=self.shadowed.union(names))

    def relaid(self, other: "Snapshot") -> "Snapshot":
        """With the DDL of a transaction that was laid over another snapshot: the catalog shows none of it before its
        end."""
        laid = replace(self, made=other.made, moved=other.moved)
        for schema, table in other.dropped:
            laid = laid.without(schema, table)
        for relation in other.relations.values():
            if relation.oid == 0:
                laid = laid.with_relation(relation)
        for name in other.widened:
            known, wide = laid.relations.get(name), other.relations.get(name)
            if known is not None and wide is not None and wide.columns[: len(known.columns)] == known.columns:
                laid = laid.with_columns(replace(known, columns=wide.columns))
            else:
                laid = laid.closed_by(*name, WIDENED)
        for (schema, table), reason in other.overlaid.items():
            laid = laid.closed_by(schema, table, reason)
        return laid._programs_of(other)

    def unsure_after(self, other: "Snapshot") -> "Snapshot":
        """After ROLLBACK TO in a transaction whose DDL was laid over `other`: which of it is left is not known. No
        table of its own shadows another; what was closed stays so. Nor is one that a rule waits for said not to be
        there."""
        made = {name: UNSURE for name, r in other.relations.items() if r.oid == 0 and name in self.awaited}
        doubt = RIGHTS if other.made or other.dropped or other.moved else ""
        laid = replace(self, moved=ANYTHING if other.moved == ANYTHING else doubt)
        wide = dict.fromkeys(other.widened, WIDENED)
        for (schema, table), reason in {**made, **wide, **other.overlaid}.items():
            laid = laid.closed_by(schema, table, reason)
        return laid._programs_of(other)

    def _programs_of(self, other: "Snapshot") -> "Snapshot":
        """With the functions that a transaction made, and what runs those that change settings."""
        laid = self
        for (schema, name), why in other.protection.functions.items():
            if schema == ANY_SCHEMA:
                laid = laid.with_function(name, why)
        more = other.protection.settling
        return laid if more == self.protection.settling else laid.settled_by(more.names, more.anywhere)

    def without(self, schema: str, table: str) -> "Snapshot":
        """Without a table or view that the transaction dropped or took away."""
        name = (schema, table)
        others = tuple([relation for relation in self.by_name.get(table, ()) if (relation.schema, table) != name])
        return replace(
            self,
            dropped=self.dropped | {name},
            protection=without_table(self.protection, name, self.policy, self.catalog.database),
            relations=MappingProxyType({key: value for key, value in self.relations.items() if key != name}),
            by_name=MappingProxyType({**self.by_name, table: others}),
        )

    def with_function(self, name: str, why: str) -> "Snapshot":
        """With a function that can't be called until the catalog shows what it does."""
        functions = MappingProxyType({**self.protection.functions, (ANY_SCHEMA, name): why})
        protection = replace(self.protection, functions=functions)
        return replace(self, protection=protection, touches=self.touches.with_names((name,)))

    def settled_by(self, names: Iterable[str], anywhere: bool = False) -> "Snapshot":
        """With functions, tables and views that may change settings; anywhere: so may anything."""
        known = self.protection.settling
        more = Reached(known.names.union(names), known.writes, known.anywhere or anywhere)
        touches = Touch(self.touches.names, marks(self.protection) | more.names)
        return replace(self, protection=replace(self.protection, settling=more), touches=touches)

    def closed_by(self, schema: str, table: str, reason: str) -> "Snapshot":
        """With a table closed, because this link's transaction changed it."""
        overlaid = MappingProxyType({**self.overlaid, (schema, table): reason})
        return replace(self, overlaid=overlaid, touches=self.touches.with_names((table,)))


def snapshot(
    catalog: Catalog,
    policy: Policy,
    version: int,
    mixed: frozenset[str] = frozenset(),
    foreign: Mapping[str, str] = _EMPTY_LABELS,
) -> Snapshot:
    """Lay `policy` over `catalog`. version: grows with each snapshot of a process. mixed: labels of columns in which
    values that are no tokens were seen. foreign: labels of those with other tokens than of their values -> which."""
    protection = lay(catalog, policy, mixed, foreign)
    by_name: dict[str, tuple[Relation, ...]] = {}
    for relation in catalog.relations:
        by_name[relation.name] = (*by_name.get(relation.name, ()), relation)
    columns = [column for table in protection.columns.values() for column in table.values()]
    return Snapshot(
        version=version,
        catalog=catalog,
        policy=policy,
        protection=protection,
        touches=Touch(protection.names(), marks(protection)),
        relations=MappingProxyType({(r.schema, r.name): r for r in catalog.relations}),
        by_name=MappingProxyType(by_name),
        by_place=MappingProxyType({(c.relation_oid, c.attnum): c for c in columns}),
    )


def marks(protection: Protection) -> frozenset[str]:
    """Names of what may change settings, or schemas."""
    settling, moving = protection.settling, protection.moving
    return settling.names | settling.writes | moving.names | moving.writes


def split_path(text: str, user: str) -> tuple[str, ...]:
    """A search_path setting as schema names: folded unless quoted, "$user" expanded (SplitIdentifierString).

    Raises ValueError if it is no list of identifiers, or of some whose folding or truncation depends on the server.
    """
    names: list[str] = []
    rest = text.strip(_BLANKS)
    while rest:
        name, rest = _path_item(rest)
        names.append(user if name == "$user" else name)
        if rest:
            if rest[0] != "," or not rest[1:].strip(_BLANKS):
                raise ValueError("not a list of names")
            rest = rest[1:].strip(_BLANKS)
    return tuple([name for name in names if name])


def _path_item(text: str) -> tuple[str, str]:
    if not text.startswith('"'):
        end = min([i for i in map(text.find, "," + _BLANKS) if i >= 0], default=len(text))
        if not end:
            raise ValueError("an empty name without quotes")
        return _folded(text[:end]), text[end:].strip(_BLANKS)
    end = 1
    while True:
        end = text.find('"', end)
        if end < 0:
            raise ValueError("unterminated quoted name")
        if text[end + 1 : end + 2] != '"':
            return _short(text[1:end].replace('""', '"')), text[end + 1 :].strip(_BLANKS)
        end += 2


_BLANKS: Final = " \t\n\r\f"  # scansup.c scanner_isspace()
_UPPER: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FOLD: Final = str.maketrans(_UPPER, _UPPER.lower())
_NAMEDATALEN: Final = 64


def _folded(name: str) -> str:
    """downcase_truncate_identifier(): ASCII letters; others only where the server's encoding has one byte for each."""
    folded = name.translate(_FOLD)
    if folded != name.lower():
        raise ValueError("a name whose folding depends on the server")
    return _short(folded)


def _short(name: str) -> str:
    if len(name.encode()) >= _NAMEDATALEN:
        raise ValueError("a name that the server cuts")
    return name
