"""Reads a database's catalog through an account of our own; the rows become `sql.catalog.Catalog`.

On our own connection, never on a client's: a look-up in its transaction could fail or break it. Every name is
qualified and search_path is empty, so that no schema of the application's can steer what is read. Any account that can
connect can do it. Reading takes no lock on the application's tables, so that no transaction with open DDL can stop it;
what would (pg_get_expr from 17 on, pg_get_function_sqlbody) is only for `check`. Rows are looked at apart from that, of
protected columns that the account may read (`plaintext`, `tokens`): truth values and tokens come of it, no value.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar, final
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from proxy.errors import Unavailable
from proxy.net.upstreams import Standing
from proxy.sql.catalog import Catalog, Column, Function, Name, ProtectedColumn, Relation
from proxy.sql.protection import views_over
from proxy.sql.rights import Schemas, schemas

T = TypeVar("T")
RELATIONS: Final = """
SELECT c.oid, n.nspname, c.relname, c.relkind::pg_catalog.text, c.relpersistence::pg_catalog.text,
       c.relkind = 'v' AND (
           EXISTS (SELECT FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_type <> '1')
           OR EXISTS (SELECT FROM pg_catalog.pg_attrdef d WHERE d.adrelid = c.oid)) AS diverts
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c') AND n.nspname !~ '^pg_toast'
"""
COLUMNS: Final = """
SELECT a.attrelid, a.attname, a.attnum, a.atttypid, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type_name,
       a.atttypmod, a.attnotnull, CASE WHEN $1 THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END AS default,
       a.attgenerated <> '' AS generated, a.attidentity <> '' AS identity,
       coalesce(l.collisdeterministic, true) AS plain
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
ORDER BY a.attrelid, a.attnum
"""
# What a view's query, or the action of a rule on a table, reads.
DEPENDS: Final = """
SELECT DISTINCT r.ev_class, d.refobjid
FROM pg_catalog.pg_rewrite r
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> r.ev_class
"""
# tgargs is the arguments in the database's encoding, a zero byte after each: blanks take their place. chr(92), because
# what a backslash in a literal means is a setting.
TRIGGERS: Final = """
SELECT tgrelid, tgfoid, pg_catalog.convert_from(pg_catalog.decode(pg_catalog.replace(
           pg_catalog.encode(tgargs, 'escape'), pg_catalog.chr(92) || '000', pg_catalog.chr(92) || '040'
       ), 'escape'), pg_catalog.getdatabaseencoding()) AS args
FROM pg_catalog.pg_trigger WHERE NOT tgisinternal
"""
# Takes AccessShareLock on the view and what it reads.
DEFINITION: Final = "SELECT pg_catalog.pg_get_viewdef($1::pg_catalog.oid)"
LOCK_SECONDS: Final = 0.2
PARENTS: Final = "SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits"
# Functions whose body is text or parsed SQL, and other names for the server's own (in language internal: set_config
# may hide there); C ones can't name a table of the application's. Of parsed SQL and of aggregates the names of what
# they depend on: the server keeps book of it.
FUNCTIONS: Final = """
SELECT p.oid, n.nspname, p.proname, l.lanname,
       coalesce(p.prosrc, '') || CASE WHEN p.prosqlbody IS NULL AND p.prokind <> 'a' THEN '' ELSE coalesce((
           SELECT pg_catalog.string_agg(' ' || coalesce(c.relname, f.proname), '')
           FROM pg_catalog.pg_depend d
           LEFT JOIN pg_catalog.pg_class c
               ON c.oid = d.refobjid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
           LEFT JOIN pg_catalog.pg_proc f
               ON f.oid = d.refobjid AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
           WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid
       ), '') END AS source
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language l ON l.oid = p.prolang
WHERE (l.lanname <> 'c' OR p.prokind = 'a') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""
# Partition keys; columns that an expression of one reads depend on the table as plain ones do (heap.c
# StorePartitionKey).
KEYS: Final = """
SELECT p.partrelid, p.partstrat::pg_catalog.text AS strategy, p.partattrs::pg_catalog.int2[]::pg_catalog.int4[]
       || ARRAY(SELECT d.objsubid FROM pg_catalog.pg_depend d
                WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = d.classid
                  AND d.objid = p.partrelid AND d.refobjid = p.partrelid AND d.refobjsubid = 0 AND d.deptype = 'i'
               ) AS columns
FROM pg_catalog.pg_partitioned_table p
"""
# Functions of the application's own that run behind something else: whose it is, and whether it is enough to read that.
# relation 0: something that a statement need not name (an operator, a cast, a domain, an event trigger …).
RUNS: Final = """
SELECT DISTINCT d.refobjid AS function, coalesce(r.ev_class, p.polrelid, a.adrelid, i.indrelid, c.oid, o.conrelid,
                                                 t.tgrelid, 0) AS relation,
       coalesce(r.ev_type = '1', p.oid IS NOT NULL OR coalesce(g.attgenerated = 'v', false)) AS reads
FROM pg_catalog.pg_depend d
JOIN pg_catalog.pg_proc f ON f.oid = d.refobjid
JOIN pg_catalog.pg_language l ON l.oid = f.prolang
LEFT JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = d.objid
LEFT JOIN pg_catalog.pg_policy p ON d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND p.oid = d.objid
LEFT JOIN pg_catalog.pg_attrdef a ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND a.oid = d.objid
LEFT JOIN pg_catalog.pg_attribute g ON g.attrelid = a.adrelid AND g.attnum = a.adnum
LEFT JOIN pg_catalog.pg_index i ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND i.indexrelid = d.objid
LEFT JOIN pg_catalog.pg_class c ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.objid
LEFT JOIN pg_catalog.pg_constraint o
    ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND o.oid = d.objid AND o.conrelid <> 0
LEFT JOIN pg_catalog.pg_trigger t ON d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.oid = d.objid
WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.classid <> d.refclassid AND l.lanname <> 'c'
"""
# Tables that the actions of a foreign key write to.
CHANGES: Final = """
SELECT confrelid, conrelid FROM pg_catalog.pg_constraint
WHERE contype = 'f' AND (confdeltype NOT IN ('a', 'r') OR confupdtype NOT IN ('a', 'r'))
"""
SCHEMAS: Final = """
SELECT n.nspname, CASE e.grantee WHEN 0 THEN '' ELSE pg_catalog.pg_get_userbyid(e.grantee) END AS grantee
FROM pg_catalog.pg_namespace n
LEFT JOIN LATERAL pg_catalog.aclexplode(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) e
    ON e.privilege_type = 'USAGE'
WHERE n.nspname !~ '^pg_(temp|toast)'
"""
ROLES: Final = "SELECT r.rolname, r.rolsuper FROM pg_catalog.pg_roles r"
# acl.c roles_is_member_of(): since 16 each membership says whether it is inherited, before that the member.
MEMBERS: Final = """
SELECT pg_catalog.pg_get_userbyid(m.member) AS member, pg_catalog.pg_get_userbyid(m.roleid) AS role
FROM (SELECT member, roleid, {inherited} AS inherited FROM pg_catalog.pg_auth_members
      UNION SELECT d.datdba, r.oid, {implied} FROM pg_catalog.pg_database d, pg_catalog.pg_roles r
      WHERE d.datname = pg_catalog.current_database() AND r.rolname = 'pg_database_owner') m
JOIN pg_catalog.pg_roles o ON o.oid = m.member
WHERE coalesce(m.inherited, o.rolinherit)
"""
PG16: Final = 160000
# A role's own setting wins over the database's; both over the server's, which is what a role without any gets.
PATHS: Final = """
SELECT coalesce(r.rolname, '') AS role, s.setdatabase <> 0 AS here,
       (SELECT substr(e, 13) FROM unnest(s.setconfig) e WHERE e LIKE 'search\\_path=%') AS path,
       EXISTS (SELECT FROM unnest(s.setconfig) e WHERE e ~ '^(role|session_authorization)=') AS switched
FROM pg_catalog.pg_db_role_setting s
LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
WHERE s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))
ORDER BY here
"""
TOKEN: Final = "^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"  # as `tokens` has it
# A scan in physical order: where values are older than pgveil, they are at the start. Some million rows a second.
LOOK_SECONDS: Final = 2
# Some of the tokens in a column: from the start, where the oldest rows are, and from blocks all over the table.
SAMPLE: Final = 100
SAMPLED_BLOCKS: Final = 20.0
TOKENS: Final = """
(SELECT {column}::pg_catalog.text FROM {table} WHERE {column}::pg_catalog.text ~ $1 LIMIT {sample})
UNION
(SELECT {column}::pg_catalog.text FROM {table} TABLESAMPLE SYSTEM ($2) WHERE {column}::pg_catalog.text ~ $1
 LIMIT {sample})
"""
BLOCKS: Final = "SELECT relpages FROM pg_catalog.pg_class WHERE oid = $1"
PLAINTEXT: Final = "SELECT EXISTS (SELECT FROM {table} WHERE {column}::pg_catalog.text !~ $1)"
# Read before search_path is emptied: what our account starts with is the database's or server's default.
UNREADABLE: Final = '"'  # no list of names: not known
DEFAULT_PATH: Final = "SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'search_path'"
APPLICATION: Final = "pgveil-catalog"
DATABASE: Final = "postgres"  # where `catalog` names none
IN_RECOVERY: Final = "SELECT pg_catalog.pg_is_in_recovery()"
STANDING: Final = """
SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('default_transaction_read_only')::pg_catalog.bool
"""
CLUSTER: Final = "SELECT system_identifier FROM pg_catalog.pg_control_system()"
# How a log-in may fail; ValueError: of what the URL says.
REFUSED: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError)
# What is not there at all. A primary that is there and refuses (too many connections) must not be passed over.
UNREACHED: Final = (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError)

Places = Callable[[], Sequence[tuple[str, int]]]


@final
class CatalogReader:
    """url: postgresql://… of `catalog`; its database part is replaced by the one asked for. timeout: seconds. places:
    (host, port) of the servers to look for it at, instead of the URL's own, in that order. connecting: seconds for one
    of them.

    Of several servers a primary is asked, if one can be reached: what a standby has not got yet (a table that was just
    made) must not look as if it were not there.
    """

    def __init__(self, url: str, timeout: float, places: Places | None = None, connecting: float = 0.0) -> None:
        self._url = url
        self._timeout = timeout
        self._places = places
        self._connecting = connecting or timeout

    async def connect(self, database: str | None) -> "asyncpg.Connection[Any]":
        """Raises Unavailable."""
        try:
            return await self._connect(database)
        except REFUSED as error:
            raise Unavailable("the catalog", f"{type(error).__name__} as the `catalog` account") from None

    async def _connect(self, database: str | None) -> "asyncpg.Connection[Any]":
        if self._places is None:
            return await self._open(database, self._timeout)
        failure: BaseException = OSError()
        standbys = []
        for place in self._places():
            try:
                connection = await self._open(database, self._connecting, *place)
                if await _is_primary(connection):
                    return connection
                standbys.append(place)
            except UNREACHED as error:
                failure = error
        if standbys:
            return await self._open(database, self._connecting, *standbys[0])
        raise failure

    async def _open(
        self, database: str | None, seconds: float, host: str | None = None, port: int | None = None
    ) -> "asyncpg.Connection[Any]":
        return await asyncpg.connect(
            with_database(self._url, database) if database else self._url,
            host=host,
            port=port,
            timeout=seconds,
            command_timeout=self._timeout,
            server_settings={"application_name": APPLICATION, "default_transaction_read_only": "on"},
            statement_cache_size=0,
        )

    async def standing(self, host: str, port: int) -> Standing:
        """What the server there is, for a session without settings of its own. Raises Unavailable."""
        row = await self._ask(host, port, STANDING)
        return Standing(row[0], row[1])

    async def cluster(self, host: str, port: int) -> str:
        """The identifier that a cluster shares with its copies alone. Raises Unavailable."""
        return str((await self._ask(host, port, CLUSTER))[0])

    async def _ask(self, host: str, port: int, query: str) -> "asyncpg.Record":
        url = self._url if urlsplit(self._url).path.lstrip("/") else with_database(self._url, DATABASE)
        try:
            connection = await asyncpg.connect(
                url,
                host=host,
                port=port,
                timeout=self._timeout,
                command_timeout=self._timeout,
                server_settings={"application_name": APPLICATION},
                statement_cache_size=0,
            )
            try:
                row = await connection.fetchrow(query)
            finally:
                connection.terminate()
        except REFUSED as error:
            raise Unavailable("the server", f"{type(error).__name__} as the `catalog` account") from None
        assert row is not None
        return row

    async def read(
        self, database: str | None, expressions: bool = False, tables: Collection[Name] = frozenset()
    ) -> Catalog:
        """All of one database, in one snapshot. expressions: DEFAULTs too, which may wait for locks. tables: of which
        views over them are read with their definitions. Raises Unavailable."""
        connection = await self.connect(database)
        try:
            path: str = await connection.fetchval(DEFAULT_PATH)
            await connection.execute("SET search_path = ''")
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                catalog = await _read(connection, path, expressions)
                return await _with_definitions(connection, catalog, tables)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise Unavailable("the catalog", type(error).__name__) from None
        finally:
            connection.terminate()

    async def plaintext(self, database: str | None, columns: Sequence[ProtectedColumn]) -> dict[str, bool]:
        """Label -> whether the column holds values that are no tokens, of those that the account may read, to the end
        and in time. Only truth values leave the server. Never raises: it is no more than a look."""
        return await self._look(database, columns, _holds_plaintext)

    async def tokens(self, database: str | None, columns: Sequence[ProtectedColumn]) -> dict[str, tuple[bytes, ...]]:
        """Label -> some of the texts in the column that look like tokens (none: it has none), of those columns that the
        account may read in time. Never raises."""
        return await self._look(database, columns, _some_tokens)

    async def _look(
        self,
        database: str | None,
        columns: Sequence[ProtectedColumn],
        look: "Callable[[asyncpg.Connection[Any], ProtectedColumn], Awaitable[T | None]]",
    ) -> dict[str, T]:
        found: dict[str, T] = {}
        try:
            connection = await self.connect(database)
        except Unavailable:
            return found
        try:
            await connection.execute(
                f"SET search_path = ''; SET row_security = off; SET statement_timeout = '{LOOK_SECONDS}s'"
            )
            for column in columns:
                seen = await look(connection, column)
                if seen is not None:
                    found[column.label] = seen
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            pass  # the rest stays unknown
        finally:
            connection.terminate()
        return found


async def _is_primary(connection: "asyncpg.Connection[Any]") -> bool:
    """If not, or if that can't be told, the connection is closed."""
    try:
        primary = not await connection.fetchval(IN_RECOVERY)
    except BaseException:
        connection.terminate()
        raise
    if not primary:
        connection.terminate()
    return primary


async def _some_tokens(connection: "asyncpg.Connection[Any]", column: ProtectedColumn) -> tuple[bytes, ...] | None:
    table = f"{quoted(column.schema)}.{quoted(column.table)}"
    query = TOKENS.format(column=quoted(column.name), table=table, sample=SAMPLE)
    try:
        blocks = await connection.fetchval(BLOCKS, column.relation_oid) or 0
        share = min(100.0, 100.0 * SAMPLED_BLOCKS / max(blocks, 1))
        return tuple([row[0].encode() for row in await connection.fetch(query, TOKEN, share)])
    except (asyncpg.PostgresError, TimeoutError):
        return None


async def _holds_plaintext(connection: "asyncpg.Connection[Any]", column: ProtectedColumn) -> bool | None:
    table = f"{quoted(column.schema)}.{quoted(column.table)}"
    try:
        found: bool = await connection.fetchval(PLAINTEXT.format(column=quoted(column.name), table=table), TOKEN)
    except (asyncpg.PostgresError, TimeoutError):
        return None
    return found


async def _read(connection: "asyncpg.Connection[Any]", path: str, expressions: bool) -> Catalog:
    runs = await _runs(connection)
    relations = await _relations(connection, await _columns(connection, expressions), runs)
    functions = [
        Function(p["oid"], p["nspname"], p["proname"], p["lanname"], p["source"])
        for p in await connection.fetch(FUNCTIONS)
    ]
    database: str = await connection.fetchval("SELECT pg_catalog.current_database()")
    version = int(await connection.fetchval("SELECT pg_catalog.current_setting('server_version_num')"))
    paths, switched = await _paths(connection, path)
    unnamed = frozenset(runs[(0, False)])
    usable = await _schemas(connection, version)
    return Catalog(database, version, relations, tuple(functions), paths, switched, usable, unnamed)


async def _with_definitions(
    connection: "asyncpg.Connection[Any]", catalog: Catalog, tables: Collection[Name]
) -> Catalog:
    """With those of the views over `tables`. The server takes a lock on what a view reads: where another transaction
    has it for long, the definition is not known until the next reading."""
    views = views_over(catalog.relations, tables)
    texts: dict[int, str] = {}
    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'; SET LOCAL standard_conforming_strings = on")
    for oid in views:
        try:
            async with connection.transaction():
                texts[oid] = await connection.fetchval(DEFINITION, oid) or ""
        except asyncpg.LockNotAvailableError:
            break  # the others read the same tables, most likely
        except asyncpg.PostgresError:
            pass  # it was dropped just now, or the account may not ask
    if not texts:
        return catalog
    relations = [replace(r, definition=texts.get(r.oid, "")) for r in catalog.relations]
    return replace(catalog, relations=tuple(relations))


async def _columns(connection: "asyncpg.Connection[Any]", expressions: bool) -> dict[int, list[Column]]:
    """By the relation's OID."""
    columns: dict[int, list[Column]] = defaultdict(list)
    for a in await connection.fetch(COLUMNS, expressions):
        columns[a["attrelid"]].append(
            Column(
                a["attname"],
                a["attnum"],
                a["atttypid"],
                a["type_name"],
                a["atttypmod"],
                a["attnotnull"],
                a["default"],
                a["generated"],
                a["identity"],
                a["plain"],
            )
        )
    return columns


async def _runs(connection: "asyncpg.Connection[Any]") -> dict[tuple[int, bool], list[int]]:
    """(the relation's OID, whether to read it is enough) -> OIDs of functions."""
    runs: dict[tuple[int, bool], list[int]] = defaultdict(list)
    for f in await connection.fetch(RUNS):
        runs[(f["relation"], f["reads"])].append(f["function"])
    return runs


async def _pairs(connection: "asyncpg.Connection[Any]", query: str) -> dict[int, list[int]]:
    """The first column of what `query` gives -> the second ones."""
    found: dict[int, list[int]] = defaultdict(list)
    for row in await connection.fetch(query):
        found[row[0]].append(row[1])
    return found


async def _relations(
    connection: "asyncpg.Connection[Any]",
    columns: dict[int, list[Column]],
    runs: dict[tuple[int, bool], list[int]],
) -> tuple[Relation, ...]:
    reads, parents = await _pairs(connection, DEPENDS), await _pairs(connection, PARENTS)
    changes = await _pairs(connection, CHANGES)
    triggers: dict[int, list[int]] = defaultdict(list)
    arguments: dict[int, str] = defaultdict(str)
    for t in await connection.fetch(TRIGGERS):
        triggers[t["tgrelid"]].append(t["tgfoid"])
        arguments[t["tgrelid"]] += t["args"] + " "
    keys = {k["partrelid"]: (k["strategy"], tuple(sorted({*k["columns"]} - {0}))) for k in await connection.fetch(KEYS)}
    return tuple(
        [
            Relation(
                oid := c["oid"],
                c["nspname"],
                c["relname"],
                c["relkind"],
                tuple(columns[oid]),
                tuple(reads[oid]),
                tuple(parents[oid]),
                c["relpersistence"] == "t",
                tuple(triggers[oid]),
                arguments[oid].strip(),
                keys.get(oid, ("", ())),
                tuple(sorted(runs[(oid, True)])),
                tuple(sorted(runs[(oid, False)])),
                tuple(sorted(changes[oid])),
                "",
                c["diverts"],
            )
            for c in await connection.fetch(RELATIONS)
        ]
    )


async def _schemas(connection: "asyncpg.Connection[Any]", version: int) -> Schemas:
    inherited = ("inherit_option", "true") if version >= PG16 else ("NULL::pg_catalog.bool", "NULL")
    members = MEMBERS.format(inherited=inherited[0], implied=inherited[1])
    return schemas(
        [(n["nspname"], n["grantee"]) for n in await connection.fetch(SCHEMAS)],
        [(r["rolname"], r["rolsuper"]) for r in await connection.fetch(ROLES)],
        [(m["member"], m["role"]) for m in await connection.fetch(members)],
    )


async def _paths(connection: "asyncpg.Connection[Any]", own: str) -> tuple[dict[str, str], frozenset[str]]:
    """search_path by role, '' for the roles that have none of their own, and whose sessions start as another role. own:
    what our account starts with: the server's setting, if neither it nor the database has one."""
    paths: dict[str, str] = {}
    switched: set[str] = set()
    for row in await connection.fetch(PATHS):
        if row["path"] is not None:
            paths[row["role"]] = row["path"]
        if row["switched"]:
            switched.add(row["role"])
    user: str = await connection.fetchval("SELECT session_user")
    paths.setdefault("", UNREADABLE if user in paths else own)
    return paths, frozenset(switched)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def with_database(url: str, database: str) -> str:
    """The URL with its database part replaced."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path="/" + quote(database, safe="")))
