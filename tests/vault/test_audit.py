"""The audit trail on every store: found again, and proven."""

import asyncio
import dataclasses
from pathlib import Path

import pytest

from proxy import tokens
from proxy.errors import Bug
from proxy.vault import chain
from proxy.vault.audit import Anchor, Audit, Verdict
from proxy.vault.chain import AuditEvent
from proxy.vault.faults import Damaged
from proxy.vault.keys import open_keyring
from proxy.vault.store import INDEXED_TOKENS, AuditHead
from proxy.vault.vault import Vault
from tests.vault.kit import Clock, Entropy, asynchronous, provider, sources
from tests.vault.shelves import Shelf, SqliteShelf
from tests.vault.test_vault import CLASSES, opened

EVENT = AuditEvent("reveal", "ok", user="support", class_name="email", count=1)


def _tokens(count: int, first: int = 0) -> tuple[bytes, ...]:
    return tuple(
        tokens.random(bytes(32), number.to_bytes(12, "big"))
        for number in range(first << 10, (first << 10) + count * 64, 64)
    )


async def _trail(shelf: Shelf, count: int = 5) -> list[str]:
    """Write a start row and `count` events, a commit each; give what verify says."""
    async with opened(shelf) as vault:
        for number in range(count):
            await vault.audit.append([dataclasses.replace(EVENT, tokens=_tokens(2, number))])
    return await _faults(shelf)


async def _faults(shelf: Shelf) -> list[str]:
    """What verify says, without a vault that would write."""
    store = await shelf.open()
    try:
        audit = Audit(store, await open_keyring(store, provider(), Entropy(), 0), None)
        return [f"{fault.sequence}: {fault.what}" for fault in (await audit.verify()).faults]
    finally:
        await store.close()


# ---- found again -------------------------------------------------------------------------------------------------


@asynchronous
async def test_the_tail_is_the_newest_in_order(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        assert await vault.audit.tail(5) == []
        await vault.audit.append([])
        for user in ("a", "b", "c"):
            await vault.audit.append([dataclasses.replace(EVENT, user=user)])
        assert [record.event.user for record in await vault.audit.tail(2)] == ["b", "c"]


@asynchronous
async def test_who_has_seen_this_persons_data(shelf: Shelf) -> None:
    """Few tokens are found by the index, many in a block; both by one search."""
    few, many = _tokens(3), _tokens(INDEXED_TOKENS + 1)
    async with opened(shelf) as vault:
        for user, seen in (("ann", few), ("bob", many), ("cid", many), ("dan", _tokens(3, 9000))):
            await vault.audit.append([dataclasses.replace(EVENT, user=user, tokens=seen)])
        found = await vault.audit.search(token=few[1])
        assert [record.event.user for record in found] == ["cid", "bob", "ann"]
        assert sorted(found[0].event.tokens) == sorted(many)
        assert [record.event.user for record in await vault.audit.search(token=many[-1])] == ["cid", "bob"]
        assert await vault.audit.search(token=few[1], user="bob") == [found[1]]
        assert await vault.audit.search(token=few[1], since=found[0].wall) == found[:1]
        assert await vault.audit.search(token=few[1], limit=2) == found[:2]
        assert await vault.audit.search(token=b"no token") == []
        assert await vault.audit.search(token=_tokens(1, 77_777)[0]) == []


@asynchronous
async def test_a_search_by_user_and_time_goes_through_all_pages(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        events = [dataclasses.replace(EVENT, user="ab"[number % 2]) for number in range(1200)]
        await vault.audit.append(events)
        assert len(await vault.audit.search(user="a")) == 600
        assert len(await vault.audit.search(user="a", limit=7)) == 7
        wall = (await vault.audit.tail(1))[0].wall
        assert len(await vault.audit.search(since=wall, limit=5000)) == 1201
        assert await vault.audit.search(since=wall + 1) == []
        assert (await vault.audit.verify()).rows == 1201


@asynchronous
async def test_every_field_of_an_event_comes_back(shelf: Shelf) -> None:
    event = AuditEvent(
        action="mask",
        outcome="ok",
        user="u\0",
        database="d",
        application="Żółć \udcff",
        client="::1",
        tls_subject="CN=x",
        purpose='"quoted"',
        role="support",
        fingerprint="ab12",
        statement="select",
        class_name="email",
        count=7,
        tokens=_tokens(1),
    )
    async with opened(shelf) as vault:
        await vault.audit.append([event])
        assert (await vault.audit.tail(1))[0].event == event


@asynchronous
async def test_reading_alone_needs_no_committer_and_writes_nothing(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        await vault.audit.append([EVENT])
        reader = Audit(vault._store, vault._keyring, None)
        assert len(await reader.tail(9)) == 2
        with pytest.raises(Bug, match="read only"):
            await reader.append([EVENT])


# ---- proven ------------------------------------------------------------------------------------------------------


@asynchronous
async def test_a_trail_as_written_is_whole_over_restarts_and_clock_jumps(shelf: Shelf) -> None:
    clock = Clock()
    for jump in (0, -(10**12), 10**13):
        clock.now += jump
        vault = await Vault.open(await shelf.open(), provider(), CLASSES, sources(str(jump), clock))
        await asyncio.gather(*[vault.audit.append([EVENT, EVENT]) for _ in range(20)])
        await vault.audit.append([dataclasses.replace(EVENT, tokens=_tokens(INDEXED_TOKENS + 1))])
        verdict = await vault.audit.verify()
        await vault.close()
        assert verdict.faults == ()
    assert verdict.rows == 3 * 42


@pytest.mark.parametrize("field", ["wall", "mono", "body", "tokens", "hash"])
@asynchronous
async def test_a_changed_row_is_found(shelf: Shelf, field: str) -> None:
    assert await _trail(shelf) == []
    row = shelf.row(3)
    other = chain.body(dataclasses.replace(EVENT, user="somebody else"))
    changes: dict[str, object] = {
        "wall": row.wall + 1,
        "mono": row.mono + 1,
        "body": other,
        "tokens": b"",
        "hash": bytes(32),
    }
    shelf.put_row(dataclasses.replace(row, **{field: changes[field]}))  # type: ignore[arg-type]
    faults = await _faults(shelf)
    assert faults[0] == "3: changed, or not the row that stood here"
    assert len(faults) == (2 if field == "hash" else 1)


@asynchronous
async def test_a_row_that_does_not_read_is_found(shelf: Shelf) -> None:
    await _trail(shelf)
    shelf.put_row(dataclasses.replace(shelf.row(3), body=b"\xff"))
    assert "3: does not read as an audit row" in await _faults(shelf)
    async with opened(shelf) as vault:
        with pytest.raises(Damaged, match="audit row 3 of writer main does not read"):
            await vault.audit.tail(99)


@asynchronous
async def test_a_removed_row_is_found(shelf: Shelf) -> None:
    await _trail(shelf)
    shelf.drop_row(3)
    assert await _faults(shelf) == ["4: rows 3 to 3 are missing"]


@asynchronous
async def test_reordered_rows_are_found(shelf: Shelf) -> None:
    await _trail(shelf)
    three, four = shelf.row(3), shelf.row(4)
    shelf.put_row(dataclasses.replace(four, sequence=3))
    shelf.put_row(dataclasses.replace(three, sequence=4))
    assert [fault.split(":")[0] for fault in await _faults(shelf)] == ["3", "4", "5"]


@asynchronous
async def test_an_inserted_row_is_found_even_with_a_right_hash(shelf: Shelf) -> None:
    await _trail(shelf)
    last = shelf.row(6)
    head = AuditHead("main", 6, last.hash, "", b"")
    shelf.put_row(chain.link(head, "main", last.wall, 0, chain.body(EVENT), b""))
    assert await _faults(shelf) == ["7: stands behind the signed end of the chain"]


@asynchronous
async def test_a_chain_made_anew_without_a_row_is_found(shelf: Shelf) -> None:
    """Whoever can write the store can compute every hash, but not sign the head."""
    await _trail(shelf)
    rows = [shelf.row(number) for number in (1, 2, 4, 5, 6)]
    parts = [(row.body, row.tokens) for row in rows]
    forged, head = chain.extend(None, "main", (rows[0].wall, 1), parts, bytes(32), shelf.head().key_id)
    shelf.drop_row(6)
    for row in forged:
        shelf.put_row(row)
    assert await _faults(shelf) == ["6: rows 6 to 6 are missing at the end"]
    assert head is not None
    shelf.put_head(head)
    assert await _faults(shelf) == ["5: the head's signature is not ours"]
    with pytest.raises(Damaged, match="audit head of writer main is not signed"):
        async with opened(shelf):
            pass


@asynchronous
async def test_a_last_row_made_anew_is_found(shelf: Shelf) -> None:
    await _trail(shelf)
    before = shelf.row(5)
    head = AuditHead("main", 5, before.hash, "", b"")
    shelf.put_row(chain.link(head, "main", before.wall, 0, chain.body(EVENT), b""))
    assert await _faults(shelf) == ["6: the chain does not end as its head says"]


@asynchronous
async def test_a_token_taken_out_of_the_index_is_found(tmp_path: Path) -> None:
    shelf = SqliteShelf(tmp_path / "vault.db")
    await _trail(shelf)
    shelf.execute("DELETE FROM audit_token WHERE token = ?", shelf.row(4).tokens[:16])
    assert await _faults(shelf) == ["4: 2 tokens, 1 of them in the index"]


@asynchronous
async def test_a_trail_that_grows_meanwhile_is_whole(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        await vault.audit.append([EVENT] * 1000)
        writing = asyncio.get_running_loop().create_task(_write_until_cancelled(vault))
        for least in range(1010, 1100, 5):
            verdict = await _verify_once_there(vault, least)
            assert verdict.faults == ()
        writing.cancel()
        await asyncio.wait([writing])


async def _verify_once_there(vault: Vault, rows: int) -> Verdict:
    verdict = await vault.audit.verify()
    while verdict.rows < rows and not verdict.faults:
        await asyncio.sleep(0)
        verdict = await vault.audit.verify()
    return verdict


async def _write_until_cancelled(vault: Vault) -> None:
    while True:
        await vault.audit.append([EVENT] * 3)
        await asyncio.sleep(0)


@asynchronous
async def test_rows_cut_off_at_the_end_are_found(shelf: Shelf) -> None:
    await _trail(shelf)
    shelf.drop_row(6)
    shelf.drop_row(5)
    assert await _faults(shelf) == ["6: rows 5 to 6 are missing at the end"]


@asynchronous
async def test_a_removed_head_is_found(shelf: Shelf) -> None:
    await _trail(shelf)
    shelf.drop_head()
    assert await _faults(shelf) == ["6: the signed head is missing"]
    with pytest.raises(Damaged, match="audit head of writer main is missing, its rows are not"):
        async with opened(shelf):
            pass


@asynchronous
async def test_a_head_signed_with_a_key_that_is_not_ours_is_found(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        await vault.audit.append([EVENT])
        shelf.put_head(dataclasses.replace(shelf.head(), key_id="a0"))
        verdict = await vault.audit.verify()
        assert [fault.what for fault in verdict.faults] == ["the head's signature is not ours"]


@asynchronous
async def test_a_writer_whose_trail_vanished_is_found(shelf: Shelf) -> None:
    if not shelf.shared:
        return
    async with opened(shelf, writer="one") as one:
        await one.audit.append([EVENT])
    async with opened(shelf, writer="two") as two:
        await two.audit.append([EVENT])
        assert (await two.audit.verify()).faults == ()
        for sequence in (1, 2):
            shelf.drop_row(sequence, "one")
        shelf.drop_head("one")
        faults = (await two.audit.verify()).faults
    assert [fault.what for fault in faults] == ["the trail of writer one up to row 2 is gone or another"]


@asynchronous
async def test_verify_stops_collecting_at_a_hundred_faults(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        await vault.audit.append([EVENT] * 150)
        for number in range(1, 140):
            shelf.put_row(dataclasses.replace(shelf.row(number), mono=-1))
        assert len((await vault.audit.verify()).faults) == 100


# ---- held against what was noted elsewhere -----------------------------------------------------------------------


@asynchronous
async def test_a_run_begins_with_a_row_and_an_empty_trail_is_a_cut_one(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        assert vault.audit.head is None
        assert [fault.what for fault in (await vault.audit.verify()).faults] == [
            "the trail is empty, but each run of pgveil begins with a row"
        ]
        await vault.audit.begin()
        await vault.audit.begin()
        verdict = await vault.audit.verify()
        assert (verdict.rows, verdict.faults, verdict.heads) == (1, (), (vault.audit.head,))
    shelf.drop_row(1)
    shelf.drop_head()
    assert await _faults(shelf) == ["0: the trail is empty, but each run of pgveil begins with a row"]


@asynchronous
async def test_a_trail_that_was_put_back_is_found_by_what_was_noted(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        await vault.audit.append([EVENT])
        old, head = vault.audit.head, shelf.head()
        await vault.audit.append([EVENT])
        noted = vault.audit.head
        assert old is not None and noted is not None and Anchor.read(str(noted)) == noted
        assert (await vault.audit.verify([old, noted])).faults == ()
    shelf.drop_row(3)
    shelf.put_head(head)
    async with opened(shelf, seed="later") as vault:
        assert (await vault.audit.verify([old])).faults == ()
        [fault] = (await vault.audit.verify([noted])).faults
        assert (fault.writer, fault.sequence) == ("main", 3) and "cut off" in fault.what
        await vault.audit.append([EVENT])
        assert len((await vault.audit.verify([noted])).faults) == 1, "other rows in its place are no proof"
        reader = Audit(vault._store, vault._keyring, None)
        await reader.begin()
        assert reader.head is None


@pytest.mark.parametrize("text", ["", "main", "main:1", "main:x:" + "0" * 64, "main:1:" + "g" * 64, "main:1:00"])
def test_what_is_no_end_of_a_trail(text: str) -> None:
    with pytest.raises(ValueError):
        Anchor.read(text)
