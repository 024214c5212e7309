"""What dies, and when: pgveil by SIGKILL under load, the server likewise, the vault's disk while pgveil runs.

Writers keep a ledger of what they were told. Whatever died: a protected column holds tokens only, every token has its
entry in the vault, a row is what its writer was told (or, where it was told nothing, what it was or what it asked
for), and the audit chain is whole. PGVEIL_KILL_SEED repeats a run's choices, PGVEIL_KILL_ROUNDS sets their number.
"""

import asyncio
import contextlib
import os
import random
import resource
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, cast

import psycopg
import pytest
from psycopg import ClientCursor
from psycopg.pq import TransactionStatus

from proxy import tokens
from proxy.vault.audit import Audit, Verdict
from proxy.vault.keys import load_provider, open_keyring
from proxy.vault.sqlite import SqliteStore
from tests.kit.pgveil import Pgveil
from tests.kit.process import wait_for
from tests.kit.servers import Server, create, find, fresh_database
from tests.kit.vaults import tag_key

pytestmark = pytest.mark.server

ROUNDS: Final = int(os.environ.get("PGVEIL_KILL_ROUNDS", "25"))
SEED: Final = os.environ.get("PGVEIL_KILL_SEED") or str(random.SystemRandom().randrange(10**9))
POLICY = """\
version: 1
classes:
  email: {kind: email}
  name: {kind: name}
  street: {kind: address, tokens: random}
  day: {kind: date}
protect:
  public.people: {email: email, name: name, street: street, born: {class: day, type: date}}
roles: [{name: all, match: {user: "*"}, access: {default: reveal}}]
"""
SCHEMA = "CREATE TABLE people (id int PRIMARY KEY, email text UNIQUE, name text, street text, born text, n int)"
COLUMNS: Final = ("email", "name", "street", "born")
INSERT: Final = b"INSERT INTO people (id, email, name, street, born) VALUES (%s, %s, %s, %s, %s)"
UPDATE: Final = b"UPDATE people SET email = %s, name = %s, street = %s, born = %s WHERE id = %s"
DELETE: Final = b"DELETE FROM people WHERE id = %s"

Row = tuple[str, str, str, str]
Link = psycopg.Connection[Any]
States = dict[int, set[Row | None]]


# ---- writers and what they know ------------------------------------------------------------------------------------


@dataclass
class Progress:
    """Changes that were acknowledged, of all writers; who waits for a number is woken."""

    done: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def add(self) -> None:
        with self.changed:
            self.done += 1
            self.changed.notify_all()

    def reach(self, number: int, writers: "list[Writer]") -> None:
        """Wait until so many changes are done, or all writers gone."""
        with self.changed:
            while self.done < number and any(writer.is_alive() for writer in writers):
                self.changed.wait(0.1)


class Writer(threading.Thread):
    """Changes rows of its own until its link ends. states: of each row, all that it may be (None: not there)."""

    def __init__(self, dsn: str, ids: Iterator[int], seed: str, progress: Progress) -> None:
        super().__init__(daemon=True)
        self.dsn, self.ids, self.progress = dsn, ids, progress
        self.dice = random.Random(seed)
        self.states: States = {}
        self.fault: BaseException | None = None
        self.enough = threading.Event()

    def run(self) -> None:
        try:
            with psycopg.connect(self.dsn, autocommit=True, connect_timeout=20) as link:
                while not self.enough.is_set():
                    self._change(link)
        except psycopg.OperationalError:
            pass  # the link ended: that is what happens here
        except BaseException as error:
            self.fault = error

    def _change(self, link: Link) -> None:
        how: Callable[[Link], dict[int, Row | None]] = self.dice.choice(
            [self._by_insert, self._by_literals, self._by_many, self._by_transaction, self._by_update, self._by_delete]
        )
        for number, row in how(link).items():
            self.states[number] = {row}
        self.progress.add()

    def _row(self, number: int) -> Row:
        """name: of a few, so that writers share tokens; the rest is this row's own."""
        salt = self.dice.randrange(10**6)
        born = f"19{self.dice.randrange(10, 99)}-0{self.dice.randrange(1, 10)}-11"
        return (f"p{number}.{salt}@example.org", f"Name {salt % 7}", f"{salt} Long Street", born)

    def _ask(self, number: int, row: Row | None) -> None:
        """From now on until it is answered the row may be either."""
        self.states.setdefault(number, {None}).add(row)

    def _fresh(self) -> tuple[int, Row]:
        number = next(self.ids)
        row = self._row(number)
        self._ask(number, row)
        return number, row

    def _by_insert(self, link: Link) -> dict[int, Row | None]:
        number, row = self._fresh()
        link.execute(INSERT, (number, *row), prepare=self.dice.random() < 0.5)
        return {number: row}

    def _by_literals(self, link: Link) -> dict[int, Row | None]:
        number, row = self._fresh()
        ClientCursor(link).execute(INSERT, (number, *row))
        return {number: row}

    def _by_many(self, link: Link) -> dict[int, Row | None]:
        """Pipelined."""
        fresh = dict(self._fresh() for _ in range(4))
        link.cursor().executemany(INSERT, [(number, *row) for number, row in fresh.items()])
        return dict(fresh)

    def _by_transaction(self, link: Link) -> dict[int, Row | None]:
        fresh = dict(self._fresh() for _ in range(2))
        with link.transaction():
            for number, row in fresh.items():
                link.execute(INSERT, (number, *row))
        return dict(fresh)

    def _by_update(self, link: Link) -> dict[int, Row | None]:
        there = self._there()
        if there is None:
            return self._by_insert(link)
        row = self._row(there)
        self._ask(there, row)
        link.execute(UPDATE, (*row, there))
        return {there: row}

    def _by_delete(self, link: Link) -> dict[int, Row | None]:
        there = self._there()
        if there is None or self.dice.random() < 0.7:
            return self._by_insert(link)
        self._ask(there, None)
        link.execute(DELETE, (there,))
        return {there: None}

    def _there(self) -> int | None:
        known = [number for number, states in self.states.items() if None not in states and len(states) == 1]
        return self.dice.choice(known) if known else None


class Stage:
    """A database, pgveil before it, and the rows as all writers together know them."""

    def __init__(self, server: Server, pgveil: Pgveil, database: str) -> None:
        self.server, self.pgveil, self.database = server, pgveil, database
        self.states: States = {}
        self._next = 1
        self._tag_key = tag_key(pgveil)

    def writers(self, count: int, seed: str) -> list[Writer]:
        progress = Progress()
        out = []
        for number in range(count):
            dsn = self.pgveil.dsn(self.database, application_name="writer")
            ids = iter(range(self._next, self._next + 100_000))
            self._next += 100_000
            out.append(Writer(dsn, ids, f"{seed}-{number}", progress))
        return out

    def under_load(self, count: int, changes: int, seed: str, strike: Callable[[], object]) -> None:
        """`count` writers; `strike` after so many changes; then every writer's link ends, and what it knows is kept."""
        writers = self.writers(count, seed)
        for writer in writers:
            writer.start()
        writers[0].progress.reach(changes, writers)
        strike()
        for writer in writers:
            writer.join(30)
            assert not writer.is_alive(), "a link outlived the other side"
            assert writer.fault is None, repr(writer.fault)
            self.states |= writer.states

    def settled(self) -> None:
        """Wait until no server session of a writer is left: a dead client's last statement runs to its end."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name = 'writer'"
        with self.server.connect() as admin:
            wait_for("writers' sessions to end", lambda: admin.execute(query, (self.database,)).fetchone() == (0,), 30)

    def check(self) -> None:
        """Raises AssertionError where something is not as it must be, with ids only."""
        self.settled()
        with self.server.connect(self.database) as direct:
            raw = direct.execute("SELECT id, email, name, street, born FROM people").fetchall()
        clear = [row[0] for row in raw if not all(tokens.is_ours(self._tag_key, value.encode()) for value in row[1:])]
        assert clear == [], "protected columns of these rows hold something but tokens"
        with self.pgveil.connect(self.database) as link:
            seen = people(link)
        self._compare(seen)

    def _compare(self, seen: dict[int, Row]) -> None:
        assert seen.keys() <= self.states.keys()
        wrong = [number for number, states in self.states.items() if seen.get(number) not in states]
        assert wrong == [], "these rows are not what their writers were told"
        # From now on each is what it is.
        self.states = {number: {seen.get(number)} for number in self.states}


def people(link: Link) -> dict[int, Row]:
    """Rows as a client sees them."""
    found = link.execute("SELECT id, email, name, street, born FROM people").fetchall()
    return {number: (email, name, street, str(born)) for number, email, name, street, born in found}


def chain(pgveil: Pgveil) -> Verdict:
    async def verify() -> Verdict:
        store = await SqliteStore.open(pgveil.base / "vault.db", read_only=True)
        try:
            provider = load_provider(f"file:{pgveil.base}/keys.json", {}, os.urandom)
            return await Audit(store, await open_keyring(store, provider, os.urandom, 0), None).verify()
        finally:
            await store.close()

    return asyncio.run(verify())


@contextlib.contextmanager
def staged(server: Server) -> Iterator[Stage]:
    with fresh_database(server) as database:
        server.psql(SCHEMA, database)
        with Pgveil.before(server, database, {"people": POLICY}) as pgveil:
            yield Stage(server, pgveil, database)


# ---- pgveil dies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("half", [1, 2])
def test_pgveil_killed_under_load(pg18: Server, half: int) -> None:
    seed = f"{SEED}-{half}"
    print(f"PGVEIL_KILL_SEED={SEED}")
    dice = random.Random(seed)
    with staged(pg18) as stage:
        for number in range(ROUNDS):
            stage.under_load(dice.randint(2, 4), dice.randint(0, 40), f"{seed}-{number}", stage.pgveil.kill9)
            stage.pgveil.start()
            stage.check()
            assert chain(stage.pgveil).faults == (), f"after {number + 1} kills"
        assert "whole" in stage.pgveil.command("audit", "verify")
        assert len(stage.states) > ROUNDS


# ---- the server dies -----------------------------------------------------------------------------------------------


@pytest.fixture
def mortal() -> Iterator[Server]:
    """A server that the test may kill. Its commits are in the kernel's hands before they are acknowledged."""
    install = find("18")
    if install is None:
        pytest.skip("PostgreSQL 18 is not installed")
    server = create(install)
    try:
        server.start(synchronous_commit="on")
        yield server
    finally:
        server.close()


def test_the_server_killed_under_load(mortal: Server) -> None:
    print(f"PGVEIL_KILL_SEED={SEED}")
    dice = random.Random(SEED)
    with staged(mortal) as stage:
        pid = stage.pgveil.pid
        for number in range(5):
            stage.under_load(3, dice.randint(5, 40), f"{SEED}-{number}", mortal.kill9)
            assert stage.pgveil.running
            with pytest.raises(psycopg.OperationalError):
                stage.pgveil.connect(stage.database)
            mortal.start(synchronous_commit="on")
            stage.check()
        assert stage.pgveil.pid == pid and stage.pgveil.running
        assert chain(stage.pgveil).faults == ()
        wait_for("links to be gone", lambda: stage.pgveil.metric("pgveil_open_links") == 0)


# ---- the vault's disk ----------------------------------------------------------------------------------------------


@pytest.fixture
def stage(pg18: Server) -> Iterator[Stage]:
    with staged(pg18) as stage:
        yield stage


@contextlib.contextmanager
def full_disk(pgveil: Pgveil) -> Iterator[None]:
    """No file of pgveil's is written beyond its first byte, its log neither (EFBIG, where a full disk says ENOSPC)."""
    if not hasattr(resource, "prlimit"):
        pytest.skip("only Linux limits another process's files")
    _, hard = resource.prlimit(pgveil.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pgveil.pid, resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.prlimit(pgveil.pid, resource.RLIMIT_FSIZE, (hard, hard))


def told(link: Link, sql: bytes, *params: object) -> str:
    """SQLSTATE."""
    with pytest.raises(psycopg.Error) as caught:
        link.execute(sql, params)
    return caught.value.sqlstate or ""


def refuses(stage: Stage, link: Link) -> None:
    """Writes of values get 57P03, change nothing and leave the link; so do reads, whose transaction has failed then, or
    whose link has ended if it was the audit that could not be written (docs/adr/0004). What needs no vault goes on."""
    with stage.server.connect(stage.database) as direct:
        before = direct.execute("SELECT * FROM people ORDER BY id").fetchall()
        assert told(link, INSERT, 99, "new@example.org", "New", "1 New Street", "2001-01-01") == "57P03"
        assert told(link, UPDATE, "new@example.org", "New", "1 New Street", "2001-01-01", 1) == "57P03"
        for query in (b"SELECT email FROM people WHERE id = 1", b"UPDATE people SET n = 1 RETURNING street"):
            with stage.pgveil.connect(stage.database, application_name="writer") as reader:
                reader.execute("BEGIN")
                assert told(reader, query) == "57P03"
                assert reader.broken or reader.info.transaction_status == TransactionStatus.INERROR
        stage.settled()
        assert direct.execute("SELECT * FROM people ORDER BY id").fetchall() == before
    assert link.execute("SELECT n FROM people WHERE id = 1").fetchone() == (None,)


def works(stage: Stage, link: Link, number: int) -> None:
    row = (f"p{number}@example.org", "Ada", f"{number} Back Street", "1987-04-12")
    link.execute(INSERT, (number, *row))
    assert people(link)[number] == row
    with stage.server.connect(stage.database) as direct:
        stored = direct.execute("SELECT email, name, street, born FROM people").fetchall()
    assert all(tokens.looks_like(value.encode()) for row in stored for value in row)


def test_a_full_disk_refuses_and_heals(stage: Stage) -> None:
    with stage.pgveil.connect(stage.database) as link:
        works(stage, link, 1)
        for number in (2, 3):
            with full_disk(stage.pgveil):
                refuses(stage, link)
            works(stage, link, number)
    assert chain(stage.pgveil).faults == ()


def test_a_disk_that_fills_under_load(stage: Stage) -> None:
    print(f"PGVEIL_KILL_SEED={SEED}")
    dice, pid = random.Random(SEED), stage.pgveil.pid
    for number in range(5):
        with contextlib.ExitStack() as full:
            stage.under_load(
                3, dice.randint(5, 40), f"{SEED}-{number}", lambda: full.enter_context(full_disk(stage.pgveil))
            )
        stage.check()
    assert stage.pgveil.pid == pid and stage.pgveil.running
    assert chain(stage.pgveil).faults == ()


def test_peer_64_94_a_vault_that_is_no_file_refuses_and_heals(stage: Stage) -> None:
    vault = stage.pgveil.base / "vault.db"
    with stage.pgveil.connect(stage.database) as link:
        works(stage, link, 1)
        with full_disk(stage.pgveil):
            refuses(stage, link)  # and drops its connections to the file
            vault.rename(f"{vault}.away")
            vault.mkdir()
        refuses(stage, link)
        vault.rmdir()
        (stage.pgveil.base / "vault.db.away").rename(vault)
        works(stage, link, 2)
        with stage.pgveil.connect(stage.database) as other:
            works(stage, other, 3)
    assert cast(dict[str, Any], stage.pgveil.json("audit", "verify"))["faults"] == []
