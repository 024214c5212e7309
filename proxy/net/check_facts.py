"""Reads what `pgveil check` needs to know beyond `sql.catalog.Catalog`: what hangs on the tables that rules name.

Catalog tables only, each name qualified, under an empty search_path, in the caller's read-only transaction; an account
that may only connect can read all of it. What partitions have from their parent is left out: it is found there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

PG14: Final = 140000
PG15: Final = 150000

CONSTRAINTS: Final = """
SELECT c.oid, c.conrelid, c.conname, c.contype::pg_catalog.text AS kind, c.confrelid,
       coalesce(c.conkey, '{}') AS columns, coalesce(c.confkey, '{}') AS ref_columns,
       ARRAY(SELECT o.oprname::pg_catalog.text
             FROM pg_catalog.unnest(c.conexclop) WITH ORDINALITY AS e (oid, n)
             JOIN pg_catalog.pg_operator o ON o.oid = e.oid ORDER BY e.n) AS operators,
       ARRAY(SELECT pg_catalog.pg_get_indexdef(c.conindid, n, true)
             FROM pg_catalog.generate_series(1, pg_catalog.cardinality(c.conexclop)) AS k (n) ORDER BY n) AS keys,
       coalesce(pg_catalog.pg_get_expr(c.conbin, c.conrelid), '') AS expression
FROM pg_catalog.pg_constraint c
WHERE (c.conrelid = ANY ($1::pg_catalog.oid[]) OR c.confrelid = ANY ($1::pg_catalog.oid[]))
  AND c.contype IN ('c', 'f', 'x') AND c.conparentid = 0 AND (c.contype <> 'c' OR c.conislocal)
ORDER BY c.conname
"""
INDEXES: Final = """
SELECT i.indrelid, x.relname, i.indisunique, m.amname,
       (i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1] AS columns,
       ARRAY(SELECT o.opcname::pg_catalog.text
             FROM pg_catalog.unnest(i.indclass::pg_catalog.oid[]) WITH ORDINALITY AS k (oid, n)
             JOIN pg_catalog.pg_opclass o ON o.oid = k.oid ORDER BY k.n) AS classes,
       ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, k.n, true)
             FROM pg_catalog.generate_series(1, i.indnkeyatts) AS k (n) ORDER BY k.n) AS keys,
       coalesce(pg_catalog.pg_get_expr(i.indpred, i.indrelid), '') AS predicate
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
JOIN pg_catalog.pg_am m ON m.oid = x.relam
WHERE i.indrelid = ANY ($1::pg_catalog.oid[]) AND NOT i.indisexclusion
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = i.indexrelid)
ORDER BY x.relname
"""
TRIGGERS: Final = """
SELECT t.tgrelid, t.tgname, n.nspname, p.proname, l.lanname, t.tgargs, t.tgqual IS NOT NULL AS conditional,
       coalesce(p.prosrc, '') AS source, pg_catalog.pg_get_triggerdef(t.oid) AS definition
FROM pg_catalog.pg_trigger t
JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language l ON l.oid = p.prolang
WHERE t.tgrelid = ANY ($1::pg_catalog.oid[]) AND NOT t.tgisinternal AND t.tgparentid = 0
ORDER BY t.tgname
"""
RULES: Final = """
SELECT r.ev_class, r.rulename FROM pg_catalog.pg_rewrite r
WHERE r.ev_class = ANY ($1::pg_catalog.oid[]) AND r.ev_type <> '1' ORDER BY r.rulename
"""
POLICIES: Final = """
SELECT p.polrelid, p.polname, coalesce(pg_catalog.pg_get_expr(p.polqual, p.polrelid), '') AS seen,
       coalesce(pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid), '') AS written
FROM pg_catalog.pg_policy p WHERE p.polrelid = ANY ($1::pg_catalog.oid[]) ORDER BY p.polname
"""
# Expressions of statistics objects came with PostgreSQL 14.
STATISTICS: Final = """
SELECT s.stxrelid, s.stxname, s.stxkeys::pg_catalog.int2[] AS columns, {expressions} AS expressions
FROM pg_catalog.pg_statistic_ext s WHERE s.stxrelid = ANY ($1::pg_catalog.oid[]) ORDER BY s.stxname
"""
# Column lists and row filters came with PostgreSQL 15.
PUBLICATIONS: Final = """
SELECT c.oid, t.pubname, {columns} AS columns, {filter} AS filter
FROM pg_catalog.pg_publication_tables t
JOIN pg_catalog.pg_namespace n ON n.nspname = t.schemaname
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
WHERE c.oid = ANY ($1::pg_catalog.oid[]) ORDER BY t.pubname
"""
PUBLISHED: Final = """
ARRAY(SELECT a.attnum FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = ANY (t.attnames))
"""
PARTITIONING: Final = """
SELECT p.partrelid, p.partstrat::pg_catalog.text AS strategy, p.partattrs::pg_catalog.int2[] AS columns,
       coalesce(pg_catalog.pg_get_expr(p.partexprs, p.partrelid), '') AS expressions
FROM pg_catalog.pg_partitioned_table p WHERE p.partrelid = ANY ($1::pg_catalog.oid[])
"""
# Names of types that OIDs of a database's own stand for: extensions' (citext) and domains, with what they are over.
TYPES: Final = """
SELECT t.oid, t.typname,
       CASE WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) ELSE '' END AS base
FROM pg_catalog.pg_type t
WHERE t.oid IN (SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE a.attrelid = ANY ($1::pg_catalog.oid[]))
"""
# What runs a function without being one, by a statement that need not name it. Triggers are looked at by their tables.
CALLERS: Final = """
SELECT DISTINCT d.refobjid, pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) AS caller
FROM pg_catalog.pg_depend d
JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid
JOIN pg_catalog.pg_language l ON l.oid = p.prolang
WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND l.lanname NOT IN ('internal', 'c')
  AND d.classid IN (
      'pg_catalog.pg_operator'::pg_catalog.regclass, 'pg_catalog.pg_cast'::pg_catalog.regclass,
      'pg_catalog.pg_rewrite'::pg_catalog.regclass, 'pg_catalog.pg_attrdef'::pg_catalog.regclass,
      'pg_catalog.pg_constraint'::pg_catalog.regclass, 'pg_catalog.pg_policy'::pg_catalog.regclass,
      'pg_catalog.pg_class'::pg_catalog.regclass, 'pg_catalog.pg_event_trigger'::pg_catalog.regclass
  )
ORDER BY caller
"""
SLOTS: Final = """
SELECT s.slot_name FROM pg_catalog.pg_replication_slots s
WHERE s.slot_type = 'logical' AND s.database = pg_catalog.current_database() AND NOT s.temporary ORDER BY s.slot_name
"""
READABLE: Final = """
SELECT a.attrelid, a.attnum FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
WHERE a.attrelid = ANY ($1::pg_catalog.oid[]) AND a.attnum > 0 AND NOT a.attisdropped
  AND pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE')
  AND pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT')
"""


@dataclass(frozen=True, slots=True)
class Constraint:
    """kind: 'c' check, 'f' foreign key, 'x' exclusion. table, ref_table: OIDs; columns: attribute numbers (0 in an
    exclusion: an expression). operators, keys: of an exclusion, by column; keys: column names and expressions."""

    oid: int
    table: int
    name: str
    kind: str
    columns: tuple[int, ...]
    ref_table: int = 0
    ref_columns: tuple[int, ...] = ()
    operators: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    expression: str = ""


@dataclass(frozen=True, slots=True)
class Index:
    """columns, classes, keys: attribute number (0: an expression), operator class and text of each key."""

    table: int
    name: str
    unique: bool
    method: str
    columns: tuple[int, ...]
    classes: tuple[str, ...]
    keys: tuple[str, ...]
    predicate: str = ""


@dataclass(frozen=True, slots=True)
class Trigger:
    """arguments: of CREATE TRIGGER. definition: its whole text if it has a WHEN, else ''."""

    table: int
    name: str
    function: str
    language: str
    source: str
    arguments: tuple[str, ...] = ()
    definition: str = ""


@dataclass(frozen=True, slots=True)
class Attached:
    """Anything else that hangs on a table. columns: attribute numbers it names. expressions: that it has."""

    table: int
    name: str
    columns: tuple[int, ...] = ()
    expressions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """partitioning: `name` is the strategy (r, l, h). types: type OID -> (name, base of a domain). readable: (table,
    attribute number) that our account may read. callers: function OID -> what runs it, in the server's words."""

    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    rules: tuple[Attached, ...] = ()
    policies: tuple[Attached, ...] = ()
    statistics: tuple[Attached, ...] = ()
    publications: tuple[Attached, ...] = ()
    partitioning: tuple[Attached, ...] = ()
    slots: tuple[str, ...] = ()
    types: tuple[tuple[int, str, str], ...] = ()
    readable: frozenset[tuple[int, int]] = frozenset()
    callers: tuple[tuple[int, str], ...] = ()


async def read_facts(connection: "asyncpg.Connection[Any]", tables: Sequence[int], version: int) -> Facts:
    """What hangs on `tables` (OIDs). version: server_version_num. Raises asyncpg's errors."""

    async def rows(query: str) -> list[Any]:
        return list(await connection.fetch(query, list(tables)))

    statistics = STATISTICS.format(
        expressions="pg_catalog.pg_get_statisticsobjdef_expressions(s.oid)"
        if version >= PG14
        else "NULL::pg_catalog.text[]"
    )
    publications = PUBLICATIONS.format(
        columns=PUBLISHED if version >= PG15 else "'{}'::pg_catalog.int2[]",
        filter="coalesce(t.rowfilter, '')" if version >= PG15 else "''",
    )
    return Facts(
        constraints=tuple([_constraint(c) for c in await rows(CONSTRAINTS)]),
        indexes=tuple([_index(i) for i in await rows(INDEXES)]),
        triggers=tuple([_trigger(t) for t in await rows(TRIGGERS)]),
        rules=tuple([Attached(r["ev_class"], r["rulename"]) for r in await rows(RULES)]),
        policies=tuple([Attached(p[0], p[1], (), _filled(p["seen"], p["written"])) for p in await rows(POLICIES)]),
        statistics=tuple([Attached(s[0], s[1], tuple(s[2]), tuple(s[3] or ())) for s in await rows(statistics)]),
        publications=tuple([Attached(p[0], p[1], tuple(p[2]), _filled(p["filter"])) for p in await rows(publications)]),
        partitioning=tuple([Attached(p[0], p[1], tuple(p[2]), _filled(p[3])) for p in await rows(PARTITIONING)]),
        slots=tuple([s["slot_name"] for s in await connection.fetch(SLOTS)]),
        types=tuple([(t["oid"], t["typname"], t["base"]) for t in await rows(TYPES)]),
        readable=frozenset([(r["attrelid"], r["attnum"]) for r in await rows(READABLE)]),
        callers=tuple([(c["refobjid"], c["caller"]) for c in await connection.fetch(CALLERS)]),
    )


def _filled(*texts: str) -> tuple[str, ...]:
    return tuple([text for text in texts if text])


def _constraint(c: Any) -> Constraint:
    return Constraint(
        c["oid"], c["conrelid"], c["conname"], c["kind"], tuple(c["columns"]), c["confrelid"],
        tuple(c["ref_columns"]), tuple(c["operators"]), tuple(c["keys"]), c["expression"],
    )  # fmt: skip


def _index(i: Any) -> Index:
    return Index(
        i["indrelid"], i["relname"], i["indisunique"], i["amname"], tuple(i["columns"]), tuple(i["classes"]),
        tuple(i["keys"]), i["predicate"],
    )  # fmt: skip


def _trigger(t: Any) -> Trigger:
    """tgargs: each argument ends with a zero byte (pg_trigger)."""
    arguments = [text.decode("utf-8", "replace") for text in bytes(t["tgargs"]).split(b"\0")[:-1]]
    name = t["proname"] if t["nspname"] == "pg_catalog" else f"{t['nspname']}.{t['proname']}"
    definition = t["definition"] if t["conditional"] else ""
    return Trigger(t["tgrelid"], t["tgname"], name, t["lanname"], t["source"], tuple(arguments), definition)
