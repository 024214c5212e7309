"""Values a second into and out of a SQLite vault, beside a bare INSERT and SELECT of the same bytes; audit events too.

Run: python -m benchmarks.vault [DIRECTORY]   (where the files go decides what an fsync costs)
"""

import asyncio
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from proxy.tokens import random
from proxy.vault.chain import AuditEvent
from proxy.vault.committer import Limits, Sources
from proxy.vault.keys import LocalKeys
from proxy.vault.sqlite import SqliteStore
from proxy.vault.vault import Vault

SECONDS = 1.5
TASKS: set[asyncio.Task[None]] = set()
ENTRY_BYTES = 16 + 5 + 9 + 32 + 45  # token, class, key id, MAC, envelope of 15 bytes


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as directory:
        for size in (1, 100):
            bare = _bare_writes(Path(directory) / f"bare{size}.db", size)
            _line(f"bare INSERT, {size} a commit", bare, bare)
            for links in (1, 50):
                path = Path(directory) / f"vault{size}-{links}.db"
                _line(f"tokenise {size}, {links} links", asyncio.run(_writes(path, size, links)), bare)
        bare = _bare_reads(Path(directory) / "bare100.db")
        _line("bare SELECT of 100", bare, bare)
        _line("reveal 100, from disk", asyncio.run(_reads(Path(directory) / "vault100-1.db", 0)), bare)
        _line("reveal 100, from cache", asyncio.run(_reads(Path(directory) / "vault100-1.db", 1 << 30)), bare)
        for tokens in (1, 16, 64, 65, 1000):
            for fsync in (True, False):
                path = Path(directory) / f"audit{tokens}-{fsync}.db"
                rate = asyncio.run(_audits(path, tokens, fsync))
                print(f"audit of {tokens:4} tokens, fsync {fsync!s:5}      {rate:10,.0f} events/s, 1 link")


def _line(what: str, rate: float, bare: float) -> None:
    print(f"{what:38} {rate:10,.0f} values/s   {rate / bare:6.2f} of bare")


async def open_vault(path: Path, limits: Limits) -> Vault:
    def spawn(coro: Coroutine[Any, Any, None], *, name: str) -> None:
        task = asyncio.get_running_loop().create_task(coro, name=name)
        TASKS.add(task)
        task.add_done_callback(TASKS.discard)

    outside = Sources(spawn, os.urandom, lambda: time.time_ns() // 1000, time.monotonic_ns)
    keys = LocalKeys("bench", {"k": bytes(32)}, "k", os.urandom)
    return await Vault.open(await SqliteStore.open(path), keys, {"email": "deterministic"}, outside, limits)


async def _writes(path: Path, size: int, links: int) -> float:
    vault = await open_vault(path, Limits())
    end = time.perf_counter() + SECONDS

    async def link(name: int) -> int:
        done = 0
        while time.perf_counter() < end:
            await vault.tokenise([("email", b"%04d.%04d@x.org" % (name, done + each)) for each in range(size)])
            done += size
        return done

    done = await asyncio.gather(*[link(name) for name in range(links)])
    await vault.close()
    return sum(done) / SECONDS


async def _reads(path: Path, cache: int) -> float:
    vault = await open_vault(path, Limits(cache_bytes=cache))
    tokens = vault.find([("email", b"%04d.%04d@x.org" % (0, each)) for each in range(10_000)])
    await vault.reveal(tokens)
    begun = time.perf_counter()
    for at in range(0, len(tokens), 100):
        await vault.reveal(tokens[at : at + 100])
    rate = len(tokens) / (time.perf_counter() - begun)
    await vault.close()
    return rate


async def _audits(path: Path, tokens: int, fsync: bool) -> float:
    vault = await open_vault(path, Limits(audit_fsync=fsync))
    done, spent = 0, 0.0
    while spent < SECONDS / 3:
        seen = tuple(random(bytes(32), os.urandom(12)) for _ in range(tokens))
        event = AuditEvent("reveal", "ok", user="shop_app", class_name="email", count=tokens, tokens=seen)
        begun = time.perf_counter()
        await vault.audit.append([event])
        spent += time.perf_counter() - begun
        done += 1
    rate = done / spent
    await vault.close()
    return rate


def _bare_writes(path: Path, size: int) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE entry (token BLOB PRIMARY KEY, rest BLOB) WITHOUT ROWID")
    done, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < SECONDS:
        connection.execute("BEGIN IMMEDIATE")
        rows = [(os.urandom(16), bytes(ENTRY_BYTES - 16)) for _ in range(size)]
        connection.executemany("INSERT INTO entry VALUES (?, ?)", rows)
        connection.execute("COMMIT")
        done += size
    connection.close()
    return done / (time.perf_counter() - begun)


def _bare_reads(path: Path) -> float:
    connection = sqlite3.connect(path)
    tokens = [row[0] for row in connection.execute("SELECT token FROM entry ORDER BY random() LIMIT 10000")]
    query = f"SELECT * FROM entry WHERE token IN ({','.join('?' * 100)})"
    begun = time.perf_counter()
    for at in range(0, len(tokens) // 100 * 100, 100):
        connection.execute(query, tokens[at : at + 100]).fetchall()
    rate = len(tokens) / (time.perf_counter() - begun)
    connection.close()
    return rate


if __name__ == "__main__":
    main()
