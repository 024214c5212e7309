"""What one link has made is known to every other before its client is told that it is done."""

from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest

from tests.kit.pgveil import Pgveil
from tests.kit.servers import Server, fresh_database

pytestmark = pytest.mark.server

POLICY = """\
version: 1
classes: {email: {kind: email}}
protect: {public.people: {email: email}}
roles: [{name: all, match: {user: "*"}, access: {default: reveal}}]
"""
TIMES = 50


@pytest.fixture
def shop(pg18: Server) -> Iterator[str]:
    with fresh_database(pg18) as name:
        pg18.psql("CREATE TABLE people(id int, email text)", name)
        yield name


def test_nobody_writes_in_clear_through_a_view_made_a_moment_ago(pg18: Server, shop: str) -> None:
    with Pgveil.before(pg18, shop, {"people": POLICY}) as pgveil:
        with pgveil.connect(shop) as maker, pgveil.connect(shop) as writer:
            writer.execute("INSERT INTO people VALUES (0, 'first@example.com')")
            for number in range(TIMES):
                maker.execute(f"CREATE VIEW v{number} AS SELECT * FROM people".encode())
                with suppress(psycopg.errors.FeatureNotSupported):
                    writer.execute(f"INSERT INTO v{number} VALUES (1, 'clear@example.com')".encode())
        assert pg18.psql("SELECT count(*) FROM people WHERE email LIKE '%@%'", shop).strip() == "0"
