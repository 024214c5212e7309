"""pgveil dies by SIGKILL in the middle of COPY … FROM STDIN: all of it is there or nothing, tokens only, each with its
entry in the vault."""

import contextlib
import random
import threading

import psycopg
import pytest

from tests.faults.test_kill import SEED, Row, Stage, chain, people, staged
from tests.kit.servers import Server

pytestmark = pytest.mark.server

ROWS = 6_000
PIECES = 30
COPY = "COPY people (id, email, name, street, born) FROM STDIN"


def rows(first: int, salt: int) -> dict[int, Row]:
    """Names are of a few, the rest is each row's own."""
    return {
        number: (
            f"p{number}.{salt}@example.org",
            f"Name {number % 7}",
            f"{number} Long Street",
            f"1987-04-{number % 28 + 1:02}",
        )
        for number in range(first, first + ROWS)
    }


class Copying(threading.Thread):
    """Sends the rows in pieces; `reached` is set when `pieces` of them are sent."""

    def __init__(self, stage: Stage, data: dict[int, Row], pieces: int) -> None:
        super().__init__(daemon=True)
        self.stage, self.data, self.pieces = stage, data, pieces
        self.reached = threading.Event()
        self.done = False

    def run(self) -> None:
        lines = ["\t".join([str(number), *row]) + "\n" for number, row in self.data.items()]
        step = ROWS // PIECES
        with (
            contextlib.suppress(psycopg.OperationalError),
            psycopg.connect(
                self.stage.pgveil.dsn(self.stage.database, application_name="writer"), autocommit=True
            ) as link,
        ):
            with link.cursor().copy(COPY) as copy:
                for piece in range(PIECES):
                    copy.write("".join(lines[piece * step : (piece + 1) * step]))
                    if piece + 1 == self.pieces:
                        self.reached.set()
            self.done = True
        self.reached.set()


def test_pgveil_killed_during_copy(pg18: Server) -> None:
    print(f"PGVEIL_KILL_SEED={SEED}")
    dice = random.Random(f"{SEED}-copy")
    with staged(pg18) as stage:
        for number, pieces in enumerate((1, dice.randint(2, PIECES // 2), dice.randint(PIECES // 2, PIECES), PIECES)):
            data = rows(number * ROWS, dice.randrange(10**6))
            stage.states |= {key: {None, row} for key, row in data.items()}
            copying = Copying(stage, data, pieces)
            copying.start()
            assert copying.reached.wait(60)
            stage.pgveil.kill9()
            copying.join(60)
            assert not copying.is_alive()
            stage.pgveil.start()
            stage.check()
            with stage.pgveil.connect(stage.database) as link:
                there = len(people(link).keys() & data.keys())
            assert there == ROWS if copying.done else there in (0, ROWS), "all or nothing"
            assert chain(stage.pgveil).faults == ()
        copying = Copying(stage, data := rows(10 * ROWS, 0), PIECES)
        stage.states |= {key: {row} for key, row in data.items()}
        copying.run()
        assert copying.done
        stage.check()
