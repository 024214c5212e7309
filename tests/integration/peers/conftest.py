"""A pgveil and a database for each file of scenarios; a canary of its own for each test."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.integration.peers.world import ACCOUNTS, POLICY, SCHEMA, TABLES, Peer
from tests.kit.pgveil import Pgveil
from tests.kit.process import wait_for
from tests.kit.servers import Server, fresh_database

SEARCHES = ("SELECT FROM c WHERE email='a' OR name='a' OR phone='1'", "SELECT FROM d WHERE email='a'")


@dataclass(frozen=True, slots=True)
class World:
    server: Server
    pgveil: Pgveil
    database: str


@pytest.fixture(scope="module")
def world(pg18: Server) -> Iterator[World]:
    yield from running(pg18)


@pytest.fixture(scope="module")
def world15(pg15: Server) -> Iterator[World]:
    yield from running(pg15)


def running(server: Server) -> Iterator[World]:
    server.accounts(*ACCOUNTS)
    with fresh_database(server) as name:
        with server.connect(name) as owner:
            owner.execute(f"ALTER DATABASE {name} SET log_statement = 'all'; {SCHEMA}".encode())
        with Pgveil.before(server, name, {"peers": POLICY}) as pgveil:
            yield World(server, pgveil, name)


@pytest.fixture
def peer(world: World) -> Iterator[Peer]:
    yield from looked_after(world)


@pytest.fixture
def peer15(world15: World) -> Iterator[Peer]:
    yield from looked_after(world15)


def looked_after(world: World) -> Iterator[Peer]:
    made = Peer(world.pgveil, world.server, world.database)
    made.raw.execute(f"TRUNCATE {TABLES}".encode())
    if not searchable(made):  # for what another test wrote past pgveil
        made.pgveil.hangup()
        wait_for("columns to be open again", lambda: searchable(made), 30)
    try:
        yield made
        assert made.leaks() == []
    finally:
        made.close()


def searchable(peer: Peer) -> bool:
    return all(peer.ask(text) != "0A000" for text in SEARCHES)
