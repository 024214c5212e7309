"""Several processes of one pgveil at one SQLite vault: who may, whose chain, whose turn, and what a kill -9 leaves."""

import asyncio
import fcntl
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from proxy.errors import Bug
from proxy.vault.audit import Verdict
from proxy.vault.chain import AuditEvent
from proxy.vault.committer import Sources
from proxy.vault.faults import StoreFault
from proxy.vault.keys import KeyProvider, init_key_file, load_provider
from proxy.vault.sqlite import SqliteStore
from proxy.vault.sqlite_lock import SEATS, Membership
from proxy.vault.sqlite_schema import MIGRATIONS
from proxy.vault.vault import Entry, Vault
from tests.vault.kit import Clock, asynchronous, provider, sources, spawn
from tests.vault.test_vault import CLASSES

ROOT = Path(__file__).parents[2]
EVENT = AuditEvent("write", "ok", user="shop_app")
Lines = dict[bytes, bytes]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault.db"


async def _vault(path: Path, seed: str, lock: int | None = None) -> Vault:
    return await Vault.open(await SqliteStore.open(path, lock=lock), provider(), CLASSES, sources(seed))


# ---- who may -----------------------------------------------------------------------------------------------------


@asynchronous
async def test_members_write_beside_each_other_each_a_chain_of_its_own(path: Path) -> None:
    store = await SqliteStore.open(path)
    first = await Vault.open(store, provider(), CLASSES, sources("one"))
    second = await _vault(path, "two", store.lock_descriptor)
    for number in range(20):
        same, own = [("email", b"same%d" % number)], [("email", b"own%d" % number)]
        made = await asyncio.gather(first.tokenise(same, EVENT), second.tokenise(same, EVENT))
        assert made[0] == made[1]
        token = (await second.tokenise(own, EVENT))[0]
        assert await first.reveal([token]) == {token: Entry("email", b"own%d" % number)}
    verdict = await first.audit.verify()
    await first.close()
    await second.close()
    assert verdict.faults == ()
    assert [head.writer for head in verdict.heads] == ["main", "main-2"]


@asynchronous
async def test_the_lock_outlives_who_took_it_and_a_free_seat_is_taken_again(path: Path) -> None:
    first = await SqliteStore.open(path)
    second = await SqliteStore.open(path, lock=first.lock_descriptor)
    await first.close()
    with pytest.raises(StoreFault, match="another pgveil writes"):
        await SqliteStore.open(path)
    third = await SqliteStore.open(path, lock=second.lock_descriptor)
    assert (second.writer, third.writer) == ("main-2", "main")
    await second.close()
    await third.close()
    await (await SqliteStore.open(path)).close()


@asynchronous
async def test_a_descriptor_that_is_not_the_lock_makes_no_member(path: Path, tmp_path: Path) -> None:
    store, other = await SqliteStore.open(path), await SqliteStore.open(tmp_path / "other.db")
    with pytest.raises(StoreFault, match=r"not that of .*vault\.db\.lock"):
        await SqliteStore.open(path, lock=other.lock_descriptor)
    another = os.open(f"{path}.lock", os.O_RDONLY)
    with pytest.raises(StoreFault, match="does not hold"):
        await SqliteStore.open(path, lock=another)
    os.close(another)
    with pytest.raises(StoreFault, match="can't be used: Bad file descriptor"):
        await SqliteStore.open(path, lock=999_999)
    assert os.fstat(store.lock_descriptor)  # what is the caller's stays open
    await other.close()
    await store.close()


@asynchronous
async def test_a_lock_that_was_let_go_is_not_taken_for_held_by_another(path: Path) -> None:
    store = await SqliteStore.open(path)
    another = os.open(f"{path}.lock", os.O_RDONLY)
    fcntl.flock(store.lock_descriptor, fcntl.LOCK_UN)
    fcntl.flock(another, fcntl.LOCK_EX)
    with pytest.raises(StoreFault, match="does not hold"):
        await SqliteStore.open(path, lock=store.lock_descriptor)
    os.close(another)
    await store.close()


@asynchronous
async def test_a_member_runs_no_migration(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await SqliteStore.open(path)
    newer = (*MIGRATIONS, ("CREATE TABLE more (x)",))
    with monkeypatch.context() as patched:
        patched.setattr("proxy.vault.sqlite.MIGRATIONS", newer)
        with pytest.raises(StoreFault, match="needs a migration, for which the processes that use it have to end"):
            await SqliteStore.open(path, lock=store.lock_descriptor)
    assert await store.schema_version() == len(MIGRATIONS)
    await store.close()


def test_a_reader_is_no_member(path: Path) -> None:
    async def look() -> None:
        await (await SqliteStore.open(path)).close()
        reader = await SqliteStore.open(path, read_only=True)
        try:
            with pytest.raises(Bug, match="only reads"):
                _ = reader.lock_descriptor
        finally:
            await reader.close()

    asyncio.run(look())


def test_seats_are_bounded(path: Path) -> None:
    with ExitStack() as stack:
        first = Membership.take(path)
        stack.callback(first.close)
        for _ in range(SEATS - 1):
            stack.callback(Membership.join(path, first.descriptor).close)
        with pytest.raises(StoreFault, match=f"{SEATS} processes"):
            Membership.join(path, first.descriptor)
    Membership.take(path).close()


def test_a_turn_waits_for_the_others(path: Path) -> None:
    first = Membership.take(path)
    second = Membership.join(path, first.descriptor)
    order: list[str] = []

    def other() -> None:
        with second.turn():
            order.append("second")

    thread = threading.Thread(target=other)
    with first.turn():
        thread.start()
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    second.close()
    first.close()


def test_without_such_locks_of_the_system_a_vault_has_one_member(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.vault.sqlite_lock._SET", None)
    member = Membership.take(path)
    with member.turn():
        pass
    with pytest.raises(StoreFault, match="this system has no locks"):
        Membership.join(path, member.descriptor)
    member.close()


# ---- kill -9 -----------------------------------------------------------------------------------------------------


class _Writers:
    """Processes that write to one vault until they are killed; what each acknowledged."""

    def __init__(self, path: Path, keys: Path, lock: int) -> None:
        self._command = [sys.executable, "-m", "tests.vault.writer", str(path), str(keys)]
        self._lock = lock
        self.acknowledged: Lines = {}
        self._running: list[subprocess.Popen[bytes]] = []
        self._started = 0

    def start(self) -> None:
        self._started += 1
        command = [*self._command, f"writer{self._started}", str(self._lock)]
        self._running.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, pass_fds=(self._lock,), bufsize=0)
        )

    def read(self, number: int, lines: int) -> None:
        """So many more acknowledgements of one of them: it goes on."""
        out = self._running[number].stdout
        assert out is not None
        for _ in range(lines):
            self._take(out.readline())

    def kill(self, number: int) -> None:
        process = self._running.pop(number)
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate(timeout=60)
        for line in rest.splitlines(keepends=True):
            self._take(line)
        assert process.returncode == -signal.SIGKILL

    def close(self) -> None:
        while self._running:
            self.kill(0)

    def _take(self, line: bytes) -> None:
        assert line, "a writer ended"
        if line.endswith(b"\n"):
            token, value = line.split()
            self.acknowledged[token] = value


@contextmanager
def _writing(path: Path, keys: Path, count: int) -> Iterator[_Writers]:
    asyncio.run(_made(path, keys))
    member = Membership.take(path)
    try:
        writers = _Writers(path, keys, member.descriptor)
        try:
            for _ in range(count):
                writers.start()
            yield writers
        finally:
            writers.close()
    finally:
        member.close()


async def _made(path: Path, keys: Path) -> None:
    """Members run no migration."""
    await (await Vault.open(await SqliteStore.open(path), _keys(keys), CLASSES, sources("made"))).close()


def _keys(path: Path) -> KeyProvider:
    return load_provider(f"file:{path}", {}, os.urandom)


def test_kill_9_of_one_of_three_writing_processes_20_times(path: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    init_key_file(keys, os.urandom)
    with _writing(path, keys, 3) as writers:
        for _ in range(20):
            for number in range(3):
                writers.read(number, random.randint(1, 40))
            writers.kill(random.randrange(3))
            writers.start()
            for number in range(2):  # the others go on
                writers.read(number, 10)
    assert _ask(path, "SELECT count(*) FROM audit_token WHERE token NOT IN (SELECT token FROM entry)") == [(0,)]
    verdict = asyncio.run(_check_acknowledged(path, keys, writers.acknowledged))
    assert verdict.faults == ()
    assert verdict.rows >= len(writers.acknowledged) > 1000
    # A seat is taken again, so there are as many chains as there were processes at once, not as many as ever were.
    assert 3 <= len(verdict.heads) <= 5


async def _check_acknowledged(path: Path, keys: Path, acknowledged: Lines) -> Verdict:
    outside = Sources(spawn, os.urandom, Clock().wall, Clock().mono)
    vault = await Vault.open(await SqliteStore.open(path), _keys(keys), CLASSES, outside)
    revealed = await vault.reveal(acknowledged)
    assert revealed == {token: Entry("email", value) for token, value in acknowledged.items()}
    for token, value in acknowledged.items():
        assert vault.find([("email", value)]) == [token]
    verdict = await vault.audit.verify()
    await vault.close()
    return verdict


def _ask(path: Path, query: str) -> list[tuple]:  # type: ignore[type-arg]
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


# ---- what equality means -----------------------------------------------------------------------------------------


@asynchronous
async def test_processes_that_mean_different_things_by_a_class_find_out_before_they_write_or_search(path: Path) -> None:
    store = await SqliteStore.open(path)
    one = await Vault.open(store, provider(), CLASSES, sources("one"))
    other = await _vault(path, "other", store.lock_descriptor)
    one.configure(CLASSES, {"email": "lower case"})
    other.configure(CLASSES, {"email": "as it is", "phone": "digits"})
    await other.settle(["email"])  # there is no value yet: nothing that could be missed
    assert not other.settled(["email"])
    await one.tokenise([("email", b"ann")])
    assert one.settled(["email"]) and one.recall("class email") == "lower case"
    for _ in range(2):
        with pytest.raises(StoreFault, match="made from lower case, by this process's policy from as it is"):
            await other.settle(["email", "phone"])
        with pytest.raises(StoreFault, match="class 'email'"):
            await other.tokenise([("email", b"bob")])
        assert not other.settled(["email"])
    await other.tokenise([("phone", b"1"), ("street", b"x")])
    assert other.settled(["phone", "street"])
    assert not [row for row in await one.audit.tail(10) if row.event.action == "write"]
    await one.close()
    await other.close()
