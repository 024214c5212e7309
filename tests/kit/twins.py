"""A scene (tests.kit.scene) made real: a plaintext database, its tokenised twin with pgveil before it.

    with twins(server, "shop") as made, made.databases() as names: …

Invariant: the plaintext database has the types that the policy says, the tokenised one those that the scene says.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.kit.pgveil import Pgveil
from tests.kit.servers import Server, fresh_database

SCENES: Final = Path(__file__).parents[1] / "transcripts" / "scenes"
LOADER: Final = "shop"  # who runs the set-up: sees values, as on a plaintext database


@dataclass(frozen=True, slots=True)
class Names:
    """A pair of databases."""

    plain: str
    tokenised: str


class Twins:
    """A server, a running pgveil, and fresh pairs of databases as wanted."""

    def __init__(self, server: Server, pgveil: Pgveil, scene: dict[str, Any]) -> None:
        self.server, self.pgveil, self._scene = server, pgveil, scene

    @property
    def tables(self) -> list[str]:
        """DDL of the tokenised side."""
        return ddl(self._scene, plain=False)

    @contextlib.contextmanager
    def databases(self, setup: Sequence[str]) -> Iterator[Names]:
        """With the scene's tables, owned by LOADER, in which `setup` was run: direct, and through pgveil."""
        with fresh_database(self.server) as plain, fresh_database(self.server) as tokenised:
            make(self.server, plain, ddl(self._scene, plain=True))
            make(self.server, tokenised, ddl(self._scene, plain=False))
            with (
                self.server.connect(plain, LOADER) as direct,
                self.pgveil.connect(tokenised, LOADER) as through,
            ):
                for sql in setup:
                    direct.execute(sql.encode())
                    through.execute(sql.encode())
            yield Names(plain, tokenised)


def load_scene(name: str) -> dict[str, Any]:
    scene: dict[str, Any] = yaml.safe_load((SCENES / f"{name}.yaml").read_text())
    return scene


@contextlib.contextmanager
def twins(server: Server, name: str) -> Iterator[Twins]:
    """Everything up; the accounts that the policy names may log in."""
    scene = load_scene(name)
    policy = yaml.safe_load(scene["policy"])
    server.accounts(*(role["match"]["user"] for role in policy["roles"]))
    with fresh_database(server) as home:
        make(server, home, ddl(scene, plain=False))
        with Pgveil.before(server, home, {name: scene["policy"]}) as pgveil:
            yield Twins(server, pgveil, scene)


def make(server: Server, database: str, tables: Sequence[str]) -> None:
    with server.connect(database) as owner:
        owner.execute(b"GRANT ALL ON SCHEMA public TO PUBLIC")
    with server.connect(database, LOADER) as owner:
        for table in tables:
            owner.execute(table.encode())
        owner.execute(b"GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC")


def ddl(scene: dict[str, Any], plain: bool) -> list[str]:
    """CREATE TABLE for each table of the scene."""
    protect = yaml.safe_load(scene["policy"])["protect"]
    out = []
    for table, columns in scene["tables"].items():
        rules = protect.get(table, {}) if plain else {}
        lines = [f"{column} {declared(rules.get(column), text)}" for column, text in columns.items()]
        out.append(f"CREATE TABLE {table} ({', '.join(lines)})")
    return out


def declared(rule: object, text: str) -> str:
    """The column's type on the plaintext side."""
    return str(rule["type"]) if isinstance(rule, dict) and "type" in rule else text
