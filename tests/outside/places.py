"""Where a suite runs: at a server of its own, or at what stands before one.

direct, again     the server; twice, to know what differs by itself
pgbouncer         Debian's, session mode
pgveil            with an empty policy
protecting        pgveil with a policy that protects a table which no suite uses
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.pgbench import pgbouncer
from tests.kit import servers
from tests.kit.pgveil import EMPTY_POLICY, Pgveil
from tests.kit.servers import Server

NAMES = ("direct", "again", "pgbouncer", "pgveil", "protecting")
PROTECTING = """version: 1
classes:
  any: {kind: text}
protect:
  public.zz_customers:
    email: any
roles:
  - {name: all, match: {}, access: {default: reveal}}
"""


@dataclass(frozen=True, slots=True)
class Place:
    """port: what the suite connects to. server: behind it. database: the suite's."""

    name: str
    port: int
    server: Server
    database: str
    pgveil: Pgveil | None = None


@contextlib.contextmanager
def place(name: str, version: str, database: str, setup: str, settings: dict[str, str]) -> Iterator[Place | None]:
    """A fresh cluster with `database`, in which the SQL of `setup` has run; None where PgBouncer is not installed.

    Every cluster has the table that only `protecting` protects, so that catalogs are the same everywhere."""
    install = servers.find(version)
    if install is None:
        raise SystemExit(f"PostgreSQL {version} is not installed")
    server = servers.create(install)
    try:
        server.start(**settings)
        if database != "postgres":
            server.psql(f"CREATE DATABASE {database}")
        server.psql("CREATE TABLE public.zz_customers (email text)", database)
        server.psql(setup, database)
        with standing(name, server, database) as found:
            yield found
    finally:
        server.close()


@contextlib.contextmanager
def standing(name: str, server: Server, database: str) -> Iterator[Place | None]:
    if name == "pgbouncer":
        with pgbouncer(server) as way:
            yield None if way is None else Place(name, way.port, server, database)
    elif name in ("pgveil", "protecting"):
        policy = EMPTY_POLICY if name == "pgveil" else PROTECTING
        with Pgveil.before(server, database, {"suite": policy}, log={"format": "json"}) as pgveil:
            yield Place(name, pgveil.port, server, database, pgveil)
    else:
        yield Place(name, server.port, server, database)


def chosen(names: Sequence[str]) -> list[str]:
    """The two direct runs always; `names` of the others, all where none is named."""
    return [name for name in NAMES if not names or name in names or name in ("direct", "again")]
