"""A process that writes values to a SQLite vault and acknowledges each on its standard output; killed by tests.

usage: writer.py VAULT KEYS PREFIX [LOCK]   (LOCK: an inherited descriptor that makes it a member)
"""

import asyncio
import os
import sys
import time
from pathlib import Path

from proxy.vault.chain import AuditEvent
from proxy.vault.committer import Sources
from proxy.vault.keys import load_provider
from proxy.vault.sqlite import SqliteStore
from proxy.vault.vault import Vault
from tests.vault.kit import spawn


async def main(path: str, keys: str, prefix: str, lock: str = "") -> None:
    outside = Sources(spawn, os.urandom, lambda: time.time_ns() // 1000, time.monotonic_ns)
    store = await SqliteStore.open(Path(path), lock=int(lock) if lock else None)
    vault = await Vault.open(store, load_provider(f"file:{keys}", {}, os.urandom), {"email": "deterministic"}, outside)
    await asyncio.gather(*[_write(vault, f"{prefix}-{lane}") for lane in range(8)])


async def _write(vault: Vault, prefix: str) -> None:
    for number in range(1_000_000):
        value = f"{prefix}-{number}@example.com".encode()
        token = (await vault.tokenise([("email", value)], AuditEvent("write", "ok", user="writer")))[0]
        os.write(1, b"%s %s\n" % (token, value))  # one write, so that a line is whole or not there


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
