"""Every transcript, by what it can be asked: a real server, pgveil before one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.messages import split_frames
from tests.kit.pgveil import Pgveil
from tests.kit.replay import Cut, prepare, replay
from tests.kit.servers import Server, fresh_database
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
    with Pgveil.before(pg) as running:
        yield running


@pytest.mark.server
@pytest.mark.parametrize("cut", ["whole", "message", "byte"])
@pytest.mark.parametrize("path", THROUGH, ids=lambda path: path.stem)
def test_plain_through(path: Path, cut: Cut, pg: Server, pgveil: Pgveil, database: str) -> None:
    transcript = load(path)
    prepare(transcript, pg, database)
    replay(transcript, pgveil.port, database, pg.version, cut)


# RowDescription and ParameterDescription hold OIDs of this database, the others numbers of this server process.
OWN_NUMBERS = (b"T", b"t", b"K", b"A")


@pytest.mark.server
@pytest.mark.parametrize("path", THROUGH, ids=lambda path: path.stem)
def test_plain_through_frame_by_frame(path: Path, pg: Server, pgveil: Pgveil) -> None:
    """With an empty policy the bytes are those of the server itself, source positions of errors included."""
    transcript = load(path)
    came = []
    for port in (pg.port, pgveil.port):
        with fresh_database(pg) as database:
            prepare(transcript, pg, database)
            came.append(comparable(replay(transcript, port, database, pg.version)))
    assert came[0] == came[1]


def comparable(received: bytes) -> list[bytes]:
    """The frames; the one byte that answers an SSLRequest is none."""
    frames, rest = split_frames(received.removeprefix(b"N") if received[1:2] == b"R" else received)
    return [frame[:1] if frame[:1] in OWN_NUMBERS else frame for frame in frames] + [rest]
