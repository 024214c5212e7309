"""Every transcript, by what it can be asked: a real server, pgveil before one."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.pgveil import Pgveil
from tests.kit.replay import Cut, prepare, replay
from tests.kit.servers import Server
from tests.kit.transcript import load

HERE = Path(__file__).parent
PLAIN = sorted(HERE.glob("plain/*.wire"))
THROUGH = [path for path in PLAIN if not load(path).header("direct")]


def test_every_transcript_can_be_read() -> None:
    for path in HERE.rglob("*.wire"):
        assert load(path).title, path
        assert "\ns>\n" not in path.read_text(), f"{path}: not recorded"


@pytest.mark.server
@pytest.mark.parametrize("path", PLAIN, ids=lambda path: path.stem)
def test_plain_direct(path: Path, pg: Server, database: str) -> None:
    transcript = load(path)
    prepare(transcript, pg, database)
    replay(transcript, pg.port, database, pg.version)


@pytest.fixture(scope="module")
def pgveil(pg: Server) -> Iterator[Pgveil]:
    """pgveil with an empty policy."""
    if importlib.util.find_spec("proxy.cli") is None:
        pytest.skip("there is no proxy.cli yet")
    with Pgveil.before(pg) as running:
        yield running


@pytest.mark.server
@pytest.mark.parametrize("cut", ["whole", "message", "byte"])
@pytest.mark.parametrize("path", THROUGH, ids=lambda path: path.stem)
def test_plain_through(path: Path, cut: Cut, pg: Server, pgveil: Pgveil, database: str) -> None:
    transcript = load(path)
    prepare(transcript, pg, database)
    replay(transcript, pgveil.port, database, pg.version, cut)
