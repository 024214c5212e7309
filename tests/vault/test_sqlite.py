"""What only an embedded store can suffer: kill -9, a second writer, a full disk, strange files; and canaries."""

import asyncio
import dataclasses
import hashlib
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.errors import Unavailable
from proxy.vault.chain import AuditEvent
from proxy.vault.committer import Limits, Sources
from proxy.vault.faults import StoreFault
from proxy.vault.keys import init_key_file, load_provider
from proxy.vault.sqlite import SqliteStore
from proxy.vault.sqlite_schema import MIGRATIONS
from proxy.vault.store import INDEXED_TOKENS, Group
from proxy.vault.vault import Entry, Vault
from tests.vault.kit import Clock, asynchronous, provider, sources, spawn
from tests.vault.test_store import entry
from tests.vault.test_vault import CLASSES

ROOT = Path(__file__).parents[2]
EVENT = AuditEvent("write", "ok", user="shop_app")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault.db"


async def _vault(path: Path, limits: Limits | None = None) -> Vault:
    return await Vault.open(await SqliteStore.open(path), provider(), CLASSES, sources(os.urandom(4).hex()), limits)


# ---- kill -9 -----------------------------------------------------------------------------------------------------


def test_what_was_acknowledged_outlives_kill_9(path: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    init_key_file(keys, os.urandom)
    acknowledged: dict[bytes, bytes] = {}
    for round_number in range(10):
        acknowledged |= _killed_writer(path, keys, f"round{round_number}")
    asyncio.run(_check_acknowledged(path, keys, acknowledged))


def _killed_writer(path: Path, keys: Path, prefix: str) -> dict[bytes, bytes]:
    """Let a writer write, kill it at a random moment; what it acknowledged."""
    command = [sys.executable, "-m", "tests.vault.writer", str(path), str(keys), prefix]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(random.randint(1, 300))]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.read().splitlines(keepends=True)
    assert process.returncode == -signal.SIGKILL
    return dict(line.split() for line in lines if line.endswith(b"\n"))


async def _check_acknowledged(path: Path, keys: Path, acknowledged: dict[bytes, bytes]) -> None:
    outside = Sources(spawn, os.urandom, Clock().wall, Clock().mono)
    found = load_provider(f"file:{keys}", {}, os.urandom)
    vault = await Vault.open(await SqliteStore.open(path), found, CLASSES, outside)
    assert len(acknowledged) >= 10
    revealed = await vault.reveal(acknowledged)
    assert revealed == {token: Entry("email", value) for token, value in acknowledged.items()}
    verdict = await vault.audit.verify()
    await vault.close()
    assert verdict.faults == ()
    assert verdict.rows >= len(acknowledged)


# ---- who may open it ---------------------------------------------------------------------------------------------


@asynchronous
async def test_a_second_writer_is_refused_and_readers_are_not(path: Path) -> None:
    writer = await _vault(path)
    token = (await writer.tokenise([("email", b"x")], EVENT))[0]
    with pytest.raises(StoreFault, match=r"another pgveil writes .*vault\.db; a SQLite vault has one writer"):
        await SqliteStore.open(path)
    readers = [await SqliteStore.open(path, read_only=True) for _ in range(2)]
    for reader in readers:
        assert len(await reader.audit_recent(None, 0, 10)) == 2
        with pytest.raises(Unavailable, match="SQLITE_READONLY"):
            await reader.commit(Group([entry(1)]))
        await reader.close()
    assert await writer.reveal([token]) == {token: Entry("email", b"x")}
    await writer.close()
    await (await SqliteStore.open(path)).close()


@asynchronous
async def test_a_reader_does_not_make_a_vault(path: Path) -> None:
    with pytest.raises(Unavailable, match="SQLITE_CANTOPEN"):
        await SqliteStore.open(path, read_only=True)
    path.touch()
    with pytest.raises(StoreFault, match="older than this program: `pgveil vault migrate`"):
        await SqliteStore.open(path, read_only=True)


@asynchronous
async def test_a_vault_is_made_for_its_owner_only(path: Path) -> None:
    vault = await _vault(path)
    await vault.tokenise([("email", b"x")])
    files = list(path.parent.iterdir())
    assert {file.name for file in files} == {"vault.db", "vault.db.lock", "vault.db-wal", "vault.db-shm"}
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)
    await vault.close()


@asynchronous
async def test_a_place_that_cant_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreFault, match="can't be opened for writing: No such file or directory"):
        await SqliteStore.open(tmp_path / "nowhere" / "vault.db")
    (tmp_path / "vault.db").mkdir()
    with pytest.raises(StoreFault, match="can't be opened for writing: Is a directory"):
        await SqliteStore.open(tmp_path / "vault.db")


@asynchronous
async def test_files_that_are_no_vault_are_left_alone(path: Path) -> None:
    path.write_bytes(b"something else, and long enough to be looked at. " * 100)
    before = path.read_bytes()
    with pytest.raises(StoreFault, match="not an SQLite database"):
        await SqliteStore.open(path)
    assert path.read_bytes() == before
    path.unlink()
    _execute(path, "CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(StoreFault, match="SQLite database of another program"):
        await SqliteStore.open(path)
    assert path.read_bytes() == before


@asynchronous
async def test_a_vault_of_a_newer_program_is_refused(path: Path) -> None:
    await (await SqliteStore.open(path)).close()
    _execute(path, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    for read_only in (False, True):
        with pytest.raises(
            StoreFault, match=f"version {len(MIGRATIONS) + 1}; this program knows up to {len(MIGRATIONS)}"
        ):
            await SqliteStore.open(path, read_only)


@asynchronous
async def test_migrations_run_once_and_a_failed_one_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await (await SqliteStore.open(path)).close()
    broken = (*MIGRATIONS, ("CREATE TABLE half (x)", "CREATE TABLE half (x)"))
    monkeypatch.setattr("proxy.vault.sqlite.MIGRATIONS", broken)
    with pytest.raises(Unavailable):
        await SqliteStore.open(path)
    assert _execute(path, "SELECT count(*) FROM sqlite_schema WHERE name = 'half'") == [(0,)]
    monkeypatch.setattr("proxy.vault.sqlite.MIGRATIONS", (*MIGRATIONS, ("CREATE TABLE half (x)",)))
    store = await SqliteStore.open(path)
    assert await store.schema_version() == len(MIGRATIONS) + 1
    await store.close()


# ---- a store that fails ------------------------------------------------------------------------------------------


def test_a_full_disk_refuses_and_heals(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("this user may not mount a small disk")
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(1 << 20))
    try:
        asyncio.run(_fill(disk, ballast.unlink))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_file_that_may_not_grow_refuses_and_heals(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))  # Python ignores SIGXFSZ: writes fail with EFBIG
    try:
        asyncio.run(_fill(tmp_path, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def _fill(disk: Path, heal: Callable[[], None]) -> None:
    vault = await _vault(disk / "vault.db")
    stored: dict[bytes, bytes] = {}
    with pytest.raises(Unavailable, match=r"SQLite says SQLITE_(FULL|IOERR_WRITE|IOERR_SHMSIZE)"):
        for number in range(1000):
            value = b"%d " % number + bytes(20_000)
            stored[(await vault.tokenise([("email", value)], EVENT))[0]] = value
    assert stored
    with pytest.raises(Unavailable):
        await vault.tokenise([("email", bytes(20_000))], EVENT)
    assert await vault.reveal(stored) == {token: Entry("email", value) for token, value in stored.items()}
    heal()
    value = b"there is room again"
    stored[(await vault.tokenise([("email", value)], EVENT))[0]] = value
    verdict = await vault.audit.verify()
    await vault.close()
    assert verdict.faults == ()
    again = await _vault(disk / "vault.db")
    assert await again.reveal(stored) == {token: Entry("email", value) for token, value in stored.items()}
    await again.close()


@asynchronous
async def test_a_locked_vault_refuses_and_heals(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.vault.sqlite.BUSY_MS", 1)
    vault = await _vault(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="SQLITE_BUSY"):
        await vault.tokenise([("email", b"x")], EVENT)
    other.execute("ROLLBACK")
    other.close()
    token = (await vault.tokenise([("email", b"x")], EVENT))[0]
    assert await vault.reveal([token]) == {token: Entry("email", b"x")}
    await vault.close()


@asynchronous
async def test_a_damaged_schema_refuses_and_heals(path: Path) -> None:
    vault = await _vault(path, Limits(cache_bytes=0))
    token = (await vault.tokenise([("email", b"x")]))[0]
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("ALTER TABLE entry RENAME TO gone")
    with pytest.raises(Unavailable, match="SQLITE_ERROR"):
        await vault.reveal([token])
    other.execute("ALTER TABLE gone RENAME TO entry")
    other.close()
    assert await vault.reveal([token]) == {token: Entry("email", b"x")}
    await vault.close()


@asynchronous
async def test_a_vault_that_vanished_is_not_made_anew(path: Path) -> None:
    store = await SqliteStore.open(path)
    assert await store.keys() == ()
    with pytest.raises(Unavailable, match="SQLITE_CONSTRAINT"):
        await store.commit(Group([dataclasses.replace(entry(1), mac=None)]))  # type: ignore[arg-type]
    path.unlink()
    with pytest.raises(Unavailable, match="removed or replaced"):
        await store.commit(Group([entry(1)]))
    assert not path.exists()
    await store.close()
    await store.close()


@asynchronous
async def test_a_vault_that_was_replaced_takes_nothing(path: Path) -> None:
    """What was written to the removed file would be gone with the process, and nobody would know."""
    store = await SqliteStore.open(path)
    await store.commit(Group([entry(1)]))
    path.rename(path.with_suffix(".old"))
    for _ in range(2):
        with pytest.raises(Unavailable, match="removed or replaced"):
            await store.commit(Group([entry(2)]))
        with pytest.raises(Unavailable, match="removed or replaced"):
            await store.get([entry(1).token])
        path.touch()
    await store.close()


# ---- canaries ----------------------------------------------------------------------------------------------------


@asynchronous
async def test_peer_100_no_file_of_the_vault_holds_a_value_or_an_unkeyed_digest_of_one(path: Path) -> None:
    values = [b"canary.ann@example.com", b"+48123456789", b"Canary Street 17", b"canary" * 2000]
    vault = await _vault(path)
    items = [(class_name, value) for class_name in CLASSES for value in values]
    found = await vault.tokenise(items, EVENT)
    await vault.audit.append([AuditEvent("search", "ok", tokens=tuple(found[:8]))] * (INDEXED_TOKENS + 1))
    await vault.reveal(found)
    files = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    await vault.close()
    files["after checkpoint"] = path.read_bytes()
    assert len(files["vault.db-wal"]) > 10_000
    for value in values:
        for forbidden in _forms(value):
            assert not [name for name, content in files.items() if forbidden in content]


def _forms(value: bytes) -> list[bytes]:
    digests = [hashlib.new(name, value).digest() for name in ("md5", "sha1", "sha256", "sha512")]
    forms = [value[:12], value.hex().encode(), *digests, *(digest.hex().encode() for digest in digests)]
    return [*forms, *(digest[:16] for digest in digests)]


def _execute(path: Path, statement: str) -> list[tuple]:  # type: ignore[type-arg]
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def test_a_row_whose_body_became_text_is_found(path: Path) -> None:
    async def write() -> None:
        vault = await _vault(path)
        await vault.audit.append([AuditEvent("reveal", "ok", user="shop")])
        await vault.close()

    async def verify() -> tuple[str, ...]:
        vault = await _vault(path)
        try:
            return tuple([fault.what for fault in (await vault.audit.verify()).faults])
        finally:
            await vault.close()

    asyncio.run(write())
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE audit SET body = CAST(body AS TEXT) WHERE sequence = 2")
    connection.close()
    assert "changed, or not the row that stood here" in asyncio.run(verify())


@asynchronous
async def test_a_vault_has_one_writer_whatever_it_is_called(path: Path, tmp_path: Path) -> None:
    vault = await _vault(path)
    link = tmp_path / "link.db"
    link.symlink_to(path)
    with pytest.raises(StoreFault, match="another pgveil writes"):
        await SqliteStore.open(link)
    await vault.close()
    hard = tmp_path / "hard.db"
    hard.hardlink_to(path)
    for name in (path, hard):
        with pytest.raises(StoreFault, match="hard links"):
            await SqliteStore.open(name)
