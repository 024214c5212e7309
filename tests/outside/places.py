"""Where a suite runs: at a server of its own, or at what stands before one.

direct, again     the server; twice, to know what differs by itself
pgbouncer         Debian's, session mode
pgveil            with an empty policy
protecting        pgveil with a policy that protects a table which no suite uses
revealing         pgveil with columns of the suite's own tables protected, for a principal that sees their values
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pgbench import pgbouncer
from tests.kit import servers
from tests.kit.pgveil import EMPTY_POLICY, Pgveil
from tests.kit.servers import Server

NAMES = ("direct", "again", "pgbouncer", "pgveil", "protecting", "revealing")
UNUSED = "public.zz_customers.email"
# where an extension is not to be had (PostgreSQL 18 of the wheel), its tests fail everywhere, and only they
EXTENSION = re.compile(r"(?i)\bcreate extension (?:if not exists )?(\w+)")
TOLERANT = r"DO $$ BEGIN CREATE EXTENSION IF NOT EXISTS \1; EXCEPTION WHEN feature_not_supported THEN NULL; END $$"


@dataclass(frozen=True, slots=True)
class Place:
    """port: what the suite connects to. server: behind it. database: the suite's. out: where its words are kept."""

    name: str
    port: int
    server: Server
    database: str
    out: Path
    pgveil: Pgveil | None = None

    def file(self, suite: str, kind: str) -> Path:
        return self.out / f"{suite}-{self.name}.{kind}"


@dataclass(frozen=True, slots=True)
class Needs:
    """Of a suite: its database, SQL to run there, settings of the server, which of its columns `revealing` protects."""

    database: str
    sql: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    protected: tuple[str, ...] = ()


@contextlib.contextmanager
def place(name: str, version: str, needs: Needs, out: Path) -> Iterator[Place | None]:
    """A fresh cluster with what the suite needs; None where there is no such place for it.

    Every cluster has the table that only `protecting` protects, so that catalogs are the same everywhere."""
    install = servers.find(version)
    if install is None:
        raise SystemExit(f"PostgreSQL {version} is not installed")
    server = servers.create(install)
    try:
        server.start(**dict(needs.settings))
        if needs.database != "postgres":
            server.psql(f"CREATE DATABASE {needs.database}")
        server.psql("CREATE TABLE public.zz_customers (email text)", needs.database)
        server.psql(EXTENSION.sub(TOLERANT, needs.sql), needs.database)
        with standing(name, server, needs, out) as found:
            yield found
    finally:
        server.close()


@contextlib.contextmanager
def standing(name: str, server: Server, needs: Needs, out: Path) -> Iterator[Place | None]:
    database = needs.database
    if name == "pgbouncer":
        with pgbouncer(server) as way:
            yield None if way is None else Place(name, way.port, server, database, out)
    elif name == "revealing" and not needs.protected:
        yield None
    elif name in ("pgveil", "protecting", "revealing"):
        columns = {"pgveil": (), "protecting": (UNUSED,), "revealing": needs.protected}[name]
        with Pgveil.before(server, database, {"suite": policy(columns)}, log={"format": "json"}) as pgveil:
            yield Place(name, pgveil.port, server, database, out, pgveil)
    else:
        yield Place(name, server.port, server, database, out)


def policy(columns: Sequence[str]) -> str:
    """columns: schema.table.column, all of one class, which everybody sees."""
    if not columns:
        return EMPTY_POLICY
    tables: dict[str, list[str]] = {}
    for column in columns:
        table, _, name = column.rpartition(".")
        tables.setdefault(table, []).append(f"    {name}: any")
    lines = ["version: 1", "classes:", "  any: {kind: text}", "protect:"]
    for table, rules in tables.items():
        lines += [f"  {table}:", *rules]
    return "\n".join([*lines, "roles:", "  - {name: all, match: {}, access: {default: reveal}}", ""])


def chosen(names: Sequence[str]) -> list[str]:
    """The two direct runs always; `names` of the others, all where none is named."""
    return [name for name in NAMES if not names or name in names or name in ("direct", "again")]
