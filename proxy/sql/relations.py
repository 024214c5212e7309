"""What the server's catalog says, as values, and the protected column, which is a catalog column under a rule.

Not here: reading the rows (`net.catalog`), laying a policy over them (`sql.protection`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.sql.rights import Schemas
from proxy.wire.types import TypeSpec

Name = tuple[str, str]  # schema, relation or function


@dataclass(frozen=True, slots=True)
class Column:
    """One live column. typmod as pg_attribute.atttypmod. deterministic: of its collation."""

    name: str
    attnum: int
    type_oid: int
    type_name: str  # format_type(): 'character varying(50)'
    typmod: int
    not_null: bool = False
    default: str | None = None  # pg_get_expr of the DEFAULT or generation expression, where `check` asks
    generated: bool = False
    identity: bool = False
    collation_deterministic: bool = True


@dataclass(frozen=True, slots=True)
class Relation:
    """kind: pg_class.relkind ('r' table, 'p' partitioned, 'v' view, 'm' matview, 'f' foreign, 'S' sequence, 'i' …).

    depends_on: OIDs of relations that its rules read: a view's query, or CREATE RULE on a table (pg_depend of its
    pg_rewrite rows). parents: inheritance/partition parents' OIDs. temporary: in some session's pg_temp schema.
    triggers: OIDs of its triggers' functions; arguments: what they hand to these, with blanks between. key: strategy
    ('r' range, 'l' list, 'h' hash) and attribute numbers of a partition key, those that its expressions read included.
    on_read, on_write: OIDs of functions that run when it is read (a view's, row security's) or written to (of DEFAULTs,
    CHECKs, indexes, rules, WHEN). changes: OIDs of tables that the actions of foreign keys on it write to. definition:
    of a view over a table that the policy names (pg_get_viewdef with an empty search_path), '' if it could not be had.
    diverts: of a view, what is written to it goes through rules or DEFAULTs of its own.
    """

    oid: int
    schema: str
    name: str
    kind: str
    columns: tuple[Column, ...]
    depends_on: tuple[int, ...] = ()
    parents: tuple[int, ...] = ()
    temporary: bool = False
    triggers: tuple[int, ...] = ()
    arguments: str = ""
    key: tuple[str, tuple[int, ...]] = ("", ())
    on_read: tuple[int, ...] = ()
    on_write: tuple[int, ...] = ()
    changes: tuple[int, ...] = ()
    definition: str = ""
    diverts: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """A function or procedure whose body may touch relations. source: prosrc, or the SQL body's text."""

    oid: int
    schema: str
    name: str
    language: str
    source: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """All that was read of one database at one moment. search_paths: role name ('' = the database's or server's
    default) -> setting text, from pg_db_role_setting and the server default. switched: role names ('' = all) whose
    sessions start as another role. schemas: those there are, and who may use them. unnamed: OIDs of functions that run
    without a name in the statement (of operators, casts, domains, event triggers)."""

    database: str
    server_version: int
    relations: tuple[Relation, ...]
    functions: tuple[Function, ...]
    search_paths: Mapping[str, str]
    switched: frozenset[str] = frozenset()
    schemas: Schemas = field(default_factory=Schemas)
    unnamed: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class ProtectedColumn:
    """A column that the policy protects.

    class_name: policy class. deterministic: token mode. stored: type in the database (text, varchar, bpchar, uuid).
    facade: the type that clients see and whose rules the value obeys (policy `type`, else `stored`).
    relation_oid 0 and attnum 0: the table does not exist yet (declared by a CREATE TABLE of this link). mixed: values
    that are no tokens have been seen in it, so that equality of tokens would miss rows. foreign: what other tokens than
    those of its values it holds ('tokens of another vault'), '' if none are known. loose: it is a result whose type is
    told without a modifier, though its values have one (numeric(10,2) in UNION with NULL).
    """

    schema: str
    table: str
    name: str
    class_name: str
    deterministic: bool
    stored: TypeSpec
    facade: TypeSpec
    relation_oid: int
    attnum: int
    write_tokens: bool = False
    mixed: bool = False
    foreign: str = ""
    loose: bool = False

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.table}.{self.name}"


@dataclass(frozen=True, slots=True)
class Drift:
    """A rule that does not hold in this catalog. column: 'schema.table.column'. todo: what to do."""

    file: str
    line: int
    column: str
    what: str
    todo: str
