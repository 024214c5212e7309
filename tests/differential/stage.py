"""Where a differential test plays: a server, pgveil before it, and pairs of databases with the same contents.

A schema is schemas/NAME.sql (with ‹plain|tokenised› where the two databases differ), NAME.data.sql, which goes into
the tokenised database through pgveil, and NAME.yaml, its policy.
"""

import contextlib
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import psycopg
import yaml

from proxy import tokens
from tests.differential.casefile import HERE
from tests.kit.differ import Pair, outcomes
from tests.kit.pgveil import Pgveil
from tests.kit.servers import Server
from tests.kit.vaults import tag_key

SCHEMAS: Final = HERE / "schemas"
_EITHER: Final = re.compile("‹([^|›]*)\\|([^›]*)›")
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Names:
    """A pair of databases."""

    plain: str
    tokenised: str


class Stage:
    """One server and one pgveil, a pair of template databases, as many copies as wanted."""

    def __init__(self, server: Server, pgveil: Pgveil, schema: str, templates: Names) -> None:
        self.server, self.pgveil, self.schema, self._templates = server, pgveil, schema, templates
        self.protected = _protected(schema)
        self._tag_key = tag_key(pgveil)

    @contextlib.contextmanager
    def databases(self) -> Iterator[Names]:
        """Fresh copies, dropped afterwards."""
        number = next(_NUMBERS)
        names = Names(f"plain{number}", f"tokenised{number}")
        with self.server.connect() as admin:
            _sql(admin, f"CREATE DATABASE {names.plain} TEMPLATE {self._templates.plain}")
            _sql(admin, f"CREATE DATABASE {names.tokenised} TEMPLATE {self._templates.tokenised}")
        try:
            yield names
        finally:
            with self.server.connect() as admin:
                _sql(admin, f"DROP DATABASE {names.plain} WITH (FORCE)")
                _sql(admin, f"DROP DATABASE {names.tokenised} WITH (FORCE)")

    def pair(self, names: Names) -> Pair:
        return Pair(self.server.connect(names.plain), self.pgveil.connect(names.tokenised))

    def faults(self, names: Names) -> list[str]:
        """What is not as it must be: contents that differ once revealed, protected columns with more than tokens."""
        with (
            self.server.connect(names.plain) as direct,
            self.pgveil.connect(names.tokenised) as through,
            self.server.connect(names.tokenised) as raw,
        ):
            return [*_differing(direct, through), *self._untokenised(raw)]

    def _untokenised(self, raw: "psycopg.Connection[Any]") -> list[str]:
        found = []
        for table, column in self.protected:
            if not _rows(raw, f"SELECT 1 WHERE to_regclass('{table}') IS NOT NULL"):
                continue
            values = [
                str(row[0]).rstrip() for row in _rows(raw, f'SELECT "{column}" FROM {table}') if row[0] is not None
            ]
            if not all(tokens.is_ours(self._tag_key, value.encode()) for value in values):
                found.append(f"{table}.{column} holds something but tokens")
        return found


def _differing(direct: "psycopg.Connection[Any]", through: "psycopg.Connection[Any]") -> list[str]:
    listing = (
        "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_class c JOIN pg_namespace n"
        " ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_|information_schema)' ORDER BY 1"
    )
    tables, others = _rows(direct, listing), _rows(through, listing)
    if tables != others:
        return [f"tables differ: {tables} {others}"]
    found = []
    for (table,) in tables:
        query = f"SELECT * FROM {table}"
        if sorted(map(repr, _rows(direct, query))) != sorted(map(repr, _rows(through, query))):
            found.append(f"{table} differs: {_rows(direct, query)} {_rows(through, query)}")
    return found


def _protected(schema: str) -> list[tuple[str, str]]:
    """(quoted table, column) of the policy."""
    policy = yaml.safe_load((SCHEMAS / f"{schema}.yaml").read_text())
    out = []
    for table, columns in policy["protect"].items():
        quoted = ".".join(f'"{part}"' for part in table.split("."))
        out += [(quoted, column) for column in columns]
    return out


@contextlib.contextmanager
def stage(server: Server, schema: str) -> Iterator[Stage]:
    """Everything up, the templates filled."""
    number = next(_NUMBERS)
    templates = Names(f"plain_template{number}", f"tokenised_template{number}")
    ddl, data = (SCHEMAS / f"{schema}.sql").read_text(), (SCHEMAS / f"{schema}.data.sql").read_text()
    with server.connect() as admin:
        _sql(admin, f"CREATE DATABASE {templates.plain}")
        _sql(admin, f"CREATE DATABASE {templates.tokenised}")
    with server.connect(templates.plain) as plain, server.connect(templates.tokenised) as tokenised:
        _sql(plain, _EITHER.sub(r"\1", ddl) + data)
        _sql(tokenised, _EITHER.sub(r"\2", ddl))
    policies = {schema: (SCHEMAS / f"{schema}.yaml").read_text()}
    with Pgveil.before(server, templates.tokenised, policies) as pgveil:
        with pgveil.connect(templates.tokenised) as through:
            _sql(through, data)
        # A database can be a template only while nobody is connected to it, pgveil's catalog reader included.
        with server.connect() as admin:
            for name in (templates.plain, templates.tokenised):
                _sql(admin, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
                _sql(admin, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        yield Stage(server, pgveil, schema, templates)
    with server.connect() as admin:
        for name in (templates.plain, templates.tokenised):
            _sql(admin, f"DROP DATABASE {name} WITH (FORCE)")


def _sql(connection: "psycopg.Connection[Any]", text: str) -> None:
    connection.execute(text.encode())


def _rows(connection: "psycopg.Connection[Any]", text: str) -> list[tuple[str | None, ...]]:
    """As text: psycopg has no date for 'infinity'."""
    (found,) = outcomes(connection, text, (), "text")
    assert found.report[1] is None, found.report
    return [tuple(None if cell is None else cell.decode() for cell in row) for row in found.rows]
