import asyncio
from collections.abc import Mapping

import pytest

from proxy.errors import Unavailable
from proxy.vault.chain import AuditEvent
from proxy.vault.committer import Committer, Limits, Write
from proxy.vault.faults import Damaged
from proxy.vault.keys import Keyring, open_keyring
from proxy.vault.memory import MemoryStore
from proxy.vault.store import AuditHead, Group, StoredEntry
from tests.vault.kit import Entropy, asynchronous, provider, sources

EVENT = AuditEvent("reveal", "ok")
ENTRY = StoredEntry(bytes(16), "email", "v1", 1, 0, b"mac", b"sealed")


class _Flaky(MemoryStore):
    """Fails when told, before or after the group took effect, and remembers groups."""

    def __init__(self) -> None:
        super().__init__()
        self.fail = ""
        self.groups: list[Group] = []

    async def commit(self, group: Group) -> Mapping[bytes, bytes]:
        self.groups.append(group)
        if self.fail == "before":
            raise Unavailable("vault")
        existing = await super().commit(group)
        if self.fail == "after":
            raise Unavailable("vault")
        return existing


async def _committer(store: MemoryStore, limits: Limits | None = None) -> tuple[Committer, Keyring]:
    keyring = await open_keyring(store, provider(), Entropy(), 0)
    committer = Committer(store, keyring, sources(), limits or Limits())
    await committer.open_chain()
    return committer, keyring


def _actions(store: MemoryStore) -> list[str]:
    return [row.body.split(b'"')[3].decode() for _, row in sorted(store.rows.items())]


@asynchronous
async def test_entries_and_events_of_all_links_share_a_transaction() -> None:
    store = _Flaky()
    committer, _ = await _committer(store)
    writes = [Write((ENTRY,)), Write((), (EVENT,)), Write((), (EVENT,))]
    await asyncio.gather(*[committer.write(write) for write in writes])
    assert len(store.groups) == 1
    assert [row.sequence for row in store.groups[0].rows] == [1, 2, 3]
    assert _actions(store) == ["start", "reveal", "reveal"]


@pytest.mark.parametrize("moment", ["before", "after"])
@asynchronous
async def test_a_failed_commit_leaves_a_chain_without_gap_or_repeat(moment: str) -> None:
    store = _Flaky()
    committer, _ = await _committer(store)
    await committer.write(Write((), (EVENT,)))
    store.fail = moment
    with pytest.raises(Unavailable):
        await committer.write(Write((), (EVENT,)))
    store.fail = ""
    await committer.write(Write((), (EVENT,)))
    expected = 3 if moment == "before" else 4
    assert [row.sequence for _, row in sorted(store.rows.items())] == list(range(1, expected + 1))
    assert store.heads["main"].sequence == expected


@asynchronous
async def test_a_start_row_is_written_once_and_only_with_events() -> None:
    store = _Flaky()
    committer, _ = await _committer(store)
    await committer.write(Write((ENTRY,)))
    assert not store.rows
    await committer.write(Write((), (EVENT,)))
    await committer.write(Write((), (EVENT,)))
    again, _ = await _committer(store)
    await again.write(Write((), (EVENT,)))
    assert _actions(store) == ["start", "reveal", "reveal", "start", "reveal"]


@asynchronous
async def test_durability_of_audit_is_the_limits_choice() -> None:
    store = _Flaky()
    for fsync in (True, False):
        committer, _ = await _committer(store, Limits(audit_fsync=fsync))
        await committer.write(Write((), (EVENT,)))
    assert [group.durable for group in store.groups] == [True, False]


@asynchronous
async def test_a_chain_goes_on_only_from_a_head_that_is_ours() -> None:
    store = _Flaky()
    committer, keyring = await _committer(store)
    await committer.write(Write((), (EVENT,)))
    head = store.heads["main"]
    store.heads["main"] = AuditHead("main", 1, head.hash, keyring.audit_key_id, head.signature)
    with pytest.raises(Damaged, match="audit head of writer main is not signed with key a"):
        await committer.open_chain()


@asynchronous
async def test_a_group_is_bounded_by_bytes() -> None:
    store = _Flaky()
    committer, _ = await _committer(store, Limits(group_bytes=2000))
    large = StoredEntry(bytes(16), "email", "v1", 1, 0, b"mac", bytes(1000))
    await asyncio.gather(*[committer.write(Write((large,))) for _ in range(3)])
    assert [len(group.entries) for group in store.groups] == [1, 1, 1]
    await committer.close()
