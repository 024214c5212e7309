"""Looking into the vault of a pgveil that a test started: its keys, from its key file and its SQLite store."""

import asyncio
import os
from pathlib import Path

from proxy.vault.keys import load_provider, open_keyring
from proxy.vault.sqlite import SqliteStore
from tests.kit.pgveil import Pgveil


def tag_key(pgveil: Pgveil) -> bytes:
    """What its tokens are tagged with. It may run meanwhile."""
    return asyncio.run(_tag_key(pgveil.base))


async def _tag_key(base: Path) -> bytes:
    store = await SqliteStore.open(base / "vault.db", read_only=True)
    try:
        provider = load_provider(f"file:{base}/keys.json", {}, os.urandom)
        return (await open_keyring(store, provider, os.urandom, 0)).tag_key
    finally:
        await store.close()
