"""What tools ask the catalogs passes as it is: queries of drivers and ORMs (introspection.sql), psql, pg_dump.

Each is asked directly and through pgveil, of the same database, which has protected tables.
"""

import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.differential.casefile import HERE
from tests.differential.stage import Names, Stage
from tests.kit.differ import Pair, judge, outcomes
from tests.kit.servers import url

pytestmark = pytest.mark.server

QUERIES = [line for line in (HERE / "introspection.sql").read_text().splitlines() if line and not line.startswith("--")]
# Outside of a transaction only.
ALONE = ("VACUUM",)
COMMANDS = (
    r"\d", r"\d customers", r"\d+ customers", r'\d "Mixed"."People Table"', r"\d sales.customers", r"\d+", r"\dt+",
    r"\di+", r"\ds", r"\dv+", r"\df+", r"\dp", r"\z customers", r"\l", r"\dn+", r"\dx", r"\dT+", r"\du", r"\dC", r"\do",
    r"\sf twice", r"\sv cheap", r"\dd", r"\ddp", r"\dE", r"\dF", r"\dL", r"\dm", r"\dO", r"\dP", r"\drds", r"\dRp",
    r"\dRs", r"\dX", r"\dy", r"\da", r"\db", r"\dc", r"\dA", r"\des", r"\encoding",
)  # fmt: skip
DUMPS = (("-s",), ("-s", "--no-owner", "-t", "customers"), ("--section=pre-data",), ("--section=post-data",))
_RANDOM = re.compile(rb"(?m)^\\(?:un)?restrict .*$")


@pytest.fixture(scope="module", params=["shop", "shop15"])
def scene(request: pytest.FixtureRequest) -> Iterator[tuple[Stage, Names]]:
    stage: Stage = request.getfixturevalue(request.param)
    with stage.databases() as names:
        yield stage, names


def test_queries(scene: tuple[Stage, Names]) -> None:
    stage, names = scene
    pair = Pair(stage.server.connect(names.tokenised), stage.pgveil.connect(names.tokenised))
    wrong = []
    for query in QUERIES:
        for way in ("simple", "text", "prepared"):
            sides = []
            for side in (pair.direct, pair.through):
                alone = query.startswith(ALONE)
                side.execute("SELECT 1" if alone else "BEGIN")
                sides.append(outcomes(side, query, (), way))
                side.execute("SELECT 1" if alone else "ROLLBACK")
            step = judge(query, (), way, sides[0], sides[1])
            wrong += [str(step)] if step.verdict != "equal" or step.direct[-1].sqlstate else []
    pair.close()
    assert not wrong, "\n".join(wrong)


def test_commands_of_psql(scene: tuple[Stage, Names]) -> None:
    stage, names = scene
    options = [part for command in COMMANDS for part in ("-c", command)]
    direct, through = (_run(stage, "psql", port, names.tokenised, "-X", "-a", *options) for port in _ports(stage))
    assert through == direct and through[0] == 0


def test_pg_dump(scene: tuple[Stage, Names]) -> None:
    """Definitions as they are in the database; rows with values in the place of tokens."""
    stage, names = scene
    for options in DUMPS:
        direct, through = (_run(stage, "pg_dump", port, names.tokenised, *options) for port in _ports(stage))
        assert through == direct and through[0] == 0, options
    plain = _run(stage, "pg_dump", stage.server.port, names.plain, "-a")
    assert _run(stage, "pg_dump", stage.pgveil.port, names.tokenised, "-a") == plain
    assert b"ann@x.org" in plain[1]


def _ports(stage: Stage) -> tuple[int, int]:
    return stage.server.port, stage.pgveil.port


def _run(stage: Stage, tool: str, port: int, database: str, *options: str) -> tuple[int, bytes, bytes]:
    argv = [stage.server.install.tool(tool), "-d", url(port, database, "postgres", {}), *options]
    done = subprocess.run(argv, capture_output=True, timeout=60)
    return done.returncode, _RANDOM.sub(b"", done.stdout), done.stderr
