"""pgbench, unmodified, through a pgveil that protects another table of the same database."""

import os
import re
import subprocess
from collections.abc import Iterator

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


@pytest.fixture(scope="module")
def pgveil(pg: Server) -> Iterator[tuple[Pgveil, str]]:
    with fresh_database(pg) as name:
        pg.psql("CREATE TABLE people(id int PRIMARY KEY, email text)", name)
        with Pgveil.before(pg, name, {"people": POLICY}) as running:
            assert pgbench(pg, running, name, "-i", "-s", "1", "-q")
            yield running, name


def pgbench(server: Server, pgveil: Pgveil, database: str, *args: str) -> str:
    """What it prints; it must exit 0."""
    environment = os.environ | {"PGHOST": "127.0.0.1", "PGPORT": str(pgveil.port), "PGUSER": "postgres"}
    argv = [server.install.tool("pgbench"), *args, database]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
@pytest.mark.parametrize("more", [("-S",), (), ("-N",), ("-C", "-S")], ids=["select", "tpc-b", "update", "connect"])
def test_every_transaction_is_done(pg: Server, pgveil: tuple[Pgveil, str], mode: str, more: tuple[str, ...]) -> None:
    running, database = pgveil
    each = 10 if "-C" in more else 50
    with pg.connect(database) as direct:
        before = direct.execute("SELECT count(*) FROM pgbench_history").fetchone()
        said = pgbench(pg, running, database, "-n", "-c", "4", "-j", "2", "-t", str(each), "-M", mode, *more)
        after = direct.execute("SELECT count(*) FROM pgbench_history").fetchone()
    assert re.search(rf"transactions actually processed: {4 * each}/{4 * each}\b", said), said
    assert "number of failed transactions: 0" in said
    assert before is not None and after is not None
    assert after[0] - before[0] == (0 if "-S" in more else 4 * each)


def test_all_rows_were_loaded_by_copy(pg: Server, pgveil: tuple[Pgveil, str]) -> None:
    assert pg.psql("SELECT count(*) FROM pgbench_accounts", pgveil[1]) == "100000\n"
