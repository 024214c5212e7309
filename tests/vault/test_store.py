"""What every store promises (proxy/vault/store.py), on each of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.vault.faults import StoreFault
from proxy.vault.store import INDEXED_TOKENS, AuditHead, AuditRow, Group, Store, StoredEntry, StoredKey
from tests.vault.kit import asynchronous
from tests.vault.shelves import Shelf, put


@asynccontextmanager
async def opened(shelf: Shelf, writer: str = "main") -> AsyncIterator[Store]:
    store = await shelf.open(writer)
    try:
        yield store
    finally:
        await store.close()


def entry(number: int, mac: bytes = b"m" * 32, sealed: bytes | None = b"sealed") -> StoredEntry:
    return StoredEntry(_token(number), "email", "v1", 1, 7, mac, sealed)


def row(sequence: int, tokens: int = 0, wall: int = 0, writer: str = "main") -> AuditRow:
    packed = b"".join(_token(number) for number in range(1, tokens + 1))
    return AuditRow(writer, sequence, wall or sequence, 0, b"{}", packed, bytes((sequence % 256,)) * 32)


def _token(number: int) -> bytes:
    return number.to_bytes(16, "big")


def _head(sequence: int, writer: str = "main") -> AuditHead:
    return AuditHead(writer, sequence, b"h" * 32, "a1", b"s" * 32)


# ---- entries -----------------------------------------------------------------------------------------------------


@asynchronous
async def test_what_was_put_is_got_after_reopening(shelf: Shelf) -> None:
    large = entry(2, sealed=bytes(1 << 20))
    async with opened(shelf) as store:
        assert await put(store, entry(1), large) == {}
    async with opened(shelf) as store:
        assert await store.get([_token(1), _token(2), _token(3)]) == {_token(1): entry(1), _token(2): large}
        assert await store.get([]) == {}


@asynchronous
async def test_an_entry_is_never_overwritten_and_its_mac_comes_back(shelf: Shelf) -> None:
    async with opened(shelf) as store:
        await put(store, entry(1))
        assert await put(store, entry(1, b"x" * 32), entry(2)) == {_token(1): b"m" * 32}
        assert await store.get([_token(1), _token(2)]) == {_token(1): entry(1), _token(2): entry(2)}


@asynchronous
async def test_of_two_in_one_group_the_first_stays_and_its_mac_comes_back(shelf: Shelf) -> None:
    async with opened(shelf) as store:
        assert await put(store, entry(1), entry(1, b"x" * 32)) == {_token(1): b"m" * 32}
        assert (await store.get([_token(1)]))[_token(1)] == entry(1)


@asynchronous
async def test_a_tombstone_is_got_and_revived(shelf: Shelf) -> None:
    async with opened(shelf) as store:
        await put(store, entry(1, sealed=None))
        assert (await store.get([_token(1)]))[_token(1)].sealed is None
        assert await put(store, entry(1)) == {}
        assert (await store.get([_token(1)]))[_token(1)] == entry(1)


@pytest.mark.parametrize("count", [1, 2, 16, 17, 512, 513, 3000])
@asynchronous
async def test_batches_of_every_size(shelf: Shelf, count: int) -> None:
    async with opened(shelf) as store:
        await put(store, *map(entry, range(count)))
        assert len(await put(store, *map(entry, range(count + 1)))) == count
        found = await store.get([_token(number) for number in range(count + 5)])
        assert set(found) == {_token(number) for number in range(count + 1)}


@asynchronous
async def test_reading_stops_when_enough_bytes_are_read(shelf: Shelf) -> None:
    async with opened(shelf) as store:
        await put(store, *[entry(number, sealed=bytes(1000)) for number in range(8)], entry(8, sealed=None))
        tokens = [_token(number) for number in range(9)]
        assert len(await store.get(tokens, 2500)) == 3
        assert len(await store.get(tokens, 1)) == 1
        assert len(await store.get(tokens, 100_000)) == 9
        assert await store.get([_token(9)], 1) == {}


@asynchronous
async def test_fifty_writers_of_one_token_agree(shelf: Shelf) -> None:
    async with opened(shelf) as store:
        macs = [bytes((number,)) * 32 for number in range(50)]
        answers = await asyncio.gather(*[put(store, entry(1, mac)) for mac in macs])
        stored = (await store.get([_token(1)]))[_token(1)].mac
        assert sum(answer == {} for answer in answers) == 1
        assert all(answer in ({}, {_token(1): stored}) for answer in answers)


# ---- keys --------------------------------------------------------------------------------------------------------


@asynchronous
async def test_first_keys_are_stored_once_in_order(shelf: Shelf) -> None:
    keys = tuple(StoredKey(f"v{number}", "value", "active", "k1", 7, b"c" * 16, b"w" * 60) for number in (3, 1, 2))
    async with opened(shelf) as store:
        assert await store.keys() == ()
        assert sorted(await asyncio.gather(*[store.add_first_keys(keys) for _ in range(5)])) == [False] * 4 + [True]
    async with opened(shelf) as store:
        assert await store.keys() == keys
        assert not await store.add_first_keys(keys[:1])
        assert await store.keys() == keys


# ---- audit -------------------------------------------------------------------------------------------------------


@asynchronous
async def test_rows_are_read_by_chain_by_time_and_by_token(shelf: Shelf) -> None:
    rows = [row(1), row(2, 3), row(3, INDEXED_TOKENS), row(4, INDEXED_TOKENS + 1), row(5, 1)]
    async with opened(shelf) as store:
        await store.commit(Group(rows=rows, head=_head(5)))
        assert await store.audit_chain("main", 0, 100) == rows
        assert await store.audit_chain("main", 1, 2) == rows[1:3]
        assert await store.audit_chain("other", 0, 100) == []
        assert await store.audit_recent(None, 0, 2) == [rows[4], rows[3]]
        assert await store.audit_recent((4, "main", 4), 2, 100) == [rows[2], rows[1]]
        assert await store.audit_by_token(_token(1), 100) == [rows[4], rows[3], rows[2], rows[1]]
        assert await store.audit_by_token(_token(1), 2) == [rows[4], rows[3]]
        assert await store.audit_by_token(_token(INDEXED_TOKENS + 1), 100) == [rows[3]]
        assert await store.audit_by_token(_token(INDEXED_TOKENS + 2), 100) == []
        assert await store.audit_heads() == (_head(5),)
        assert await store.audit_writers() == ("main",)
        assert await store.audit_indexed("main", 1, 5) == 3 + INDEXED_TOKENS + 1


@asynchronous
async def test_a_token_is_found_only_where_tokens_begin(shelf: Shelf) -> None:
    across = _token(1)[8:] + _token(2)[:8]
    async with opened(shelf) as store:
        await store.commit(Group(rows=[row(1, 3), row(2, INDEXED_TOKENS + 1)], head=_head(2)))
        assert await store.audit_by_token(across, 100) == []


@asynchronous
async def test_rows_of_one_moment_are_in_sequence(shelf: Shelf) -> None:
    rows = [row(number, wall=9) for number in (1, 2, 3)]
    async with opened(shelf) as store:
        await store.commit(Group(rows=rows, head=_head(3)))
        assert await store.audit_recent(None, 9, 100) == rows[::-1]
        assert await store.audit_recent((9, "main", 2), 9, 100) == rows[:1]
        assert await store.audit_recent(None, 10, 100) == []


@asynchronous
async def test_the_same_block_of_many_tokens_is_found_in_both_its_rows(shelf: Shelf) -> None:
    rows = [row(1, INDEXED_TOKENS + 1), row(2, INDEXED_TOKENS + 1)]
    async with opened(shelf) as store:
        await store.commit(Group(rows=rows, head=_head(2)))
        assert await store.audit_by_token(_token(1), 100) == rows[::-1]
        assert await store.audit_chain("main", 0, 100) == rows


@asynchronous
async def test_a_group_is_there_as_a_whole_or_not_at_all(shelf: Shelf) -> None:
    async with opened(shelf) as store:
        await store.commit(Group([entry(1)], [row(1)], _head(1)))
        with pytest.raises(StoreFault, match="another process writes the same audit chain"):
            await store.commit(Group([entry(2)], [row(2), row(1)], _head(2)))
        assert await store.get([_token(2)]) == {}
        assert await store.audit_chain("main", 0, 100) == [row(1)]
        assert await store.audit_heads() == (_head(1),)
        await store.commit(Group([entry(2)], [row(2)], _head(2), durable=False))
        assert await store.audit_heads() == (_head(2),)


@asynchronous
async def test_writers_have_chains_of_their_own(shelf: Shelf) -> None:
    if not shelf.shared:
        return
    async with opened(shelf, "one") as one, opened(shelf, "two") as two:
        assert (one.writer, two.writer) == ("one", "two")
        await one.commit(Group(rows=[row(1, writer="one")], head=_head(1, "one")))
        await two.commit(Group(rows=[row(1, writer="two")], head=_head(1, "two")))
        assert await two.audit_writers() == ("one", "two")
        assert await two.audit_heads() == (_head(1, "one"), _head(1, "two"))


@asynchronous
async def test_the_schema_has_a_number(shelf: Shelf) -> None:
    async with opened(shelf) as store:
        assert await store.schema_version() >= 1


@asynchronous
async def test_counts_are_by_class(shelf: Shelf) -> None:
    async with opened(shelf) as store:
        assert await store.counts() == {}
        await store.commit(Group([entry(1), entry(2), entry(3, sealed=None)]))
        (found,) = (await store.counts()).values()
        assert found == (2, 1)
