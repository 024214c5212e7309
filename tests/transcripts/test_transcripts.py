"""Every transcript, by what it can be asked: a real server, pgveil before one, pgveil before a tokenised twin."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.kit.messages import split_frames
from tests.kit.pgveil import Pgveil
from tests.kit.replay import Cut, prepare, prepared, replay
from tests.kit.servers import Server, fresh_database
from tests.kit.transcript import load
from tests.kit.twins import Twins, make, twins

HERE = Path(__file__).parent
PLAIN = sorted(HERE.glob("plain/*.wire"))
PROTECTED = sorted(HERE.glob("protected/*.wire"))
LIVE = [path for path in sorted(HERE.glob("session/*.wire")) if load(path).header("live")]
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


@pytest.fixture(scope="module")
def shop(pg: Server) -> Iterator[Twins]:
    with twins(pg, "shop") as made:
        yield made


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
    assert frames(path, pg, pg.port) == frames(path, pg, pgveil.port)


# In a database with protected tables only large objects are served by FunctionCall.
BESIDE = [path for path in THROUGH if not path.stem.startswith("function-call")]


@pytest.mark.server
@pytest.mark.parametrize("path", BESIDE, ids=lambda path: path.stem)
def test_plain_beside_protected_tables(path: Path, pg: Server, shop: Twins) -> None:
    """So they are where a policy protects tables that the transcript does not use."""
    assert frames(path, pg, pg.port) == frames(path, pg, shop.pgveil.port, shop.tables)


def frames(path: Path, server: Server, port: int, tables: Sequence[str] = ()) -> list[bytes]:
    """All that a client gets in a fresh database with these tables."""
    transcript = load(path)
    with fresh_database(server) as database:
        if tables:
            make(server, database, tables)
        prepare(transcript, server, database)
        return comparable(replay(transcript, port, database, server.version))


def comparable(received: bytes) -> list[bytes]:
    """The frames; the one byte that answers an SSLRequest is none."""
    frames, rest = split_frames(received.removeprefix(b"N") if received[1:2] == b"R" else received)
    return [frame[:1] if frame[:1] in OWN_NUMBERS else frame for frame in frames] + [rest]


# ---- protected columns: a plaintext database says what a client must see


@pytest.mark.server
@pytest.mark.parametrize("path", PROTECTED, ids=lambda path: path.stem)
def test_protected_direct(path: Path, pg: Server) -> None:
    """What the files say is what the plaintext database says."""
    transcript = load(path)
    with prepared(transcript, pg) as database:
        replay(transcript, pg.port, database, pg.version)


@pytest.mark.server
@pytest.mark.parametrize("cut", ["whole", "message", "byte"])
@pytest.mark.parametrize("path", PROTECTED, ids=lambda path: path.stem)
def test_protected_through(path: Path, cut: Cut, pg: Server, shop: Twins) -> None:
    """The tokenised twin through pgveil says the same."""
    transcript = load(path)
    with shop.databases(transcript.header("setup")) as names:
        replay(transcript, shop.pgveil.port, names.tokenised, pg.version, cut)


@pytest.mark.server
@pytest.mark.parametrize("path", LIVE, ids=lambda path: path.stem)
def test_scripted_live(path: Path, pg: Server, shop: Twins) -> None:
    """The client's lines of a scripted transcript, through pgveil; where it says `live twin`, direct too."""
    transcript = load(path)
    seen = transcript.client_view()
    with shop.databases(transcript.header("setup")) as names:
        replay(seen, shop.pgveil.port, names.tokenised, pg.version)
        if transcript.header("live") == ["twin"]:
            replay(seen, pg.port, names.plain, pg.version)
