"""Runs in a storm: proxies between client and pgveil, pgveil and server, pgveil and its catalog; links with errands
through all of them at once; then everything must be as if nothing had been.

    python -m tests.faults.storms --runs 1000 [--seed N] [--version 18]

After each run: no link, no server session, no open file is left over, nothing unexpected was counted, nothing was said
that the plaintext twin does not say, what lies in protected columns are tokens with entries in the vault, and a calm
link sees the values that belong there.
"""

import argparse
import asyncio
import contextlib
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import psutil
from prometheus_client.parser import text_string_to_metric_families

from proxy import tokens
from tests.kit import errands
from tests.kit.errands import Errand, Heard
from tests.kit.pgveil import Pgveil
from tests.kit.process import wait_for
from tests.kit.servers import Server, create, find, fresh_database
from tests.kit.storm import Proxy, Storm
from tests.kit.vaults import tag_key

DEADLINE: Final = 60.0  # seconds of an errand: longer is a hang. The weather holds one up for two at most
EXPECTED: Final = ("fatal",)  # errors that are counted because clients are told of them
FILES: Final = 4  # that pgveil may have open beside those it had: a connection of the vault's, one of the admin port


@dataclass
class Tally:
    """Of all runs."""

    runs: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    ended: int = 0  # connections that the weather ended
    frames: int = 0


class Stage:
    """Everything that stands between, and the accounts of it."""

    def __init__(self, server: Server, pgveil: Pgveil, names: tuple[str, str], storm: Storm, ways: list[Proxy]) -> None:
        self.server, self.pgveil, self.storm, self.ways = server, pgveil, storm, ways
        self.database, self.twin = names
        self.tally = Tally()
        self._front = ways[0]
        self._tag_key = tag_key(pgveil)
        self._admin = server.connect(self.database)
        self._calm()
        self._files = self._process.num_fds()

    def close(self) -> None:
        self._admin.close()

    @property
    def _process(self) -> psutil.Process:
        return psutil.Process(self.pgveil.pid)

    def run(self, number: int, seed: str) -> None:
        """One run. AssertionError says what is wrong and how to have it again."""
        dice = random.Random(f"{seed}-{number}")
        mine = [Errand(number * 10 + each, dice) for each in range(dice.randint(1, 4))]
        for way in self.ways:
            way.dice = random.Random(dice.random()) if dice.random() < 0.7 else None
        try:
            twins, heard = self._both(mine)
            for one, twin, came in zip(mine, twins, heard, strict=True):
                self._count(came)
                difference = errands.compare(one, twin, came)
                assert not difference, f"errand {one.number}: {difference}"
            self._after(mine)
        except BaseException as error:
            error.add_note(f"run {number} of PGVEIL_STORM_SEED={seed}")
            raise
        self.tally.runs += 1

    def _both(self, mine: list[Errand]) -> tuple[list[Heard], list[Heard]]:
        twins = self.storm.run(_all(mine, self.server.port, self.twin, False))
        assert all(twin.done for twin in twins)
        heard = self.storm.run(_all(mine, self._front.port, self.database, True), 2 * DEADLINE)
        self.tally.ended += sum(way.ended for way in self.ways)
        for way in self.ways:
            way.dice, way.ended = None, 0
        return twins, heard

    def _count(self, came: Heard) -> None:
        self.tally.frames += len(came.frames)
        self.tally.ends["whole" if came.done else "cut" if came.logged_in else "before the login"] += 1

    def _after(self, mine: list[Errand]) -> None:
        wait_for("links to end", lambda: self.pgveil.metric("pgveil_open_links") == 0, 20)
        try:
            wait_for("server sessions to end", lambda: self._sessions() == 0, 30)
        except TimeoutError as late:
            late.add_note(f"{self._activity()}, open in proxies: {[way.open_now for way in self.ways]}")
            raise
        self._rows([one.number for one in mine])
        wait_for("files to be closed", lambda: self._process.num_fds() <= self._files + FILES, 20)
        wrong = unexpected(self.pgveil)
        assert not wrong, f"{wrong}\n{self.pgveil.log[-2000:]}"

    def _sessions(self) -> int:
        """But the one that asks and those of the catalog's reader that are about to end."""
        sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        found = self._admin.execute(sql, (self.database,)).fetchone()
        return 0 if found is None else int(found[0])

    def _activity(self) -> str:
        sql = "SELECT state, wait_event, backend_start, left(query, 80) FROM pg_stat_activity WHERE datname = %s"
        return str(self._admin.execute(sql, (self.database,)).fetchall())

    def _rows(self, numbers: list[int]) -> None:
        sql = "SELECT grp, id, email, name FROM people WHERE grp = ANY(%s) ORDER BY 1, 2"
        stored = self._admin.execute(sql, (numbers,)).fetchall()
        clear = [row[:2] for row in stored for value in row[2:] if not tokens.is_ours(self._tag_key, value.encode())]
        assert not clear, f"no tokens in {clear}"
        with self.pgveil.connect(self.database) as link:
            seen = link.execute(sql, (numbers,)).fetchall()
        assert [row[:2] for row in seen] == [row[:2] for row in stored]
        wrong = [
            row for row in seen if row[2] != f"u{row[0]}.{row[1]}@example.org" or tokens.looks_like(row[3].encode())
        ]
        assert not wrong, f"values that belong elsewhere, or without an entry: {wrong}"

    def _calm(self) -> None:
        with self.pgveil.connect(self.database) as link:
            link.execute("SELECT email FROM people")


async def _all(mine: list[Errand], port: int, database: str, cancelling: bool) -> list[Heard]:
    return list(await asyncio.gather(*(_one(errand, port, database, cancelling) for errand in mine)))


async def _one(errand: Errand, port: int, database: str, cancelling: bool) -> Heard:
    try:
        return await asyncio.wait_for(errands.run(errand, port, database, cancelling), DEADLINE)
    except TimeoutError:
        raise AssertionError(f"errand {errand.number} hangs") from None


def unexpected(pgveil: Pgveil) -> dict[str, float]:
    """Errors that pgveil counted and that are nobody's but its own."""
    return {
        sample.labels["kind"]: sample.value
        for family in text_string_to_metric_families(pgveil.page("/metrics")[1])
        for sample in family.samples
        if sample.name == "pgveil_errors_total" and sample.value and sample.labels["kind"] not in EXPECTED
    }


@contextlib.contextmanager
def staged(server: Server) -> Iterator[Stage]:
    with fresh_database(server) as database, fresh_database(server) as twin, Storm() as storm:
        for name in (database, twin):
            server.psql(errands.SCHEMA, name)
        back, catalog = storm.proxy(server.port), storm.proxy(server.port)
        url = server.dsn(database).replace(str(server.port), str(catalog.port))
        settings = {"upstream": f"127.0.0.1:{back.port}", "catalog": url, "catalog_refresh": "1s"}
        with Pgveil.before(server, database, {"people": errands.POLICY}, **settings) as pgveil:
            front = storm.proxy(pgveil.port)
            stage = Stage(server, pgveil, (database, twin), storm, [front, back, catalog])
            try:
                yield stage
            finally:
                stage.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="runs of pgveil in a storm")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(10**9)))
    parser.add_argument("--version", default="18")
    given = parser.parse_args()
    install = find(given.version)
    assert install is not None, f"PostgreSQL {given.version} is not installed"
    server = create(install)
    print(f"PGVEIL_STORM_SEED={given.seed}", flush=True)
    began = time.monotonic()
    try:
        server.start()
        with staged(server) as stage:
            for number in range(1, given.runs + 1):
                stage.run(number, given.seed)
                if number % 100 == 0:
                    print(f"{number} runs, {time.monotonic() - began:.0f} s, {stage.tally}", flush=True)
            assert "whole" in stage.pgveil.command("audit", "verify")
    finally:
        server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
