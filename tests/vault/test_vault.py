"""The vault on every store: values in, tokens out, and back; damage and races."""

import asyncio
import dataclasses
import gc
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from types import CodeType, CoroutineType, FrameType, FunctionType, MethodType, ModuleType

import pytest

from proxy import tokens
from proxy.errors import Bug, Unavailable
from proxy.vault.chain import AuditEvent
from proxy.vault.committer import Limits
from proxy.vault.faults import Damaged, KeyFault, OverBudget, StoreFault
from proxy.vault.memory import MemoryStore
from proxy.vault.opening import Opened
from proxy.vault.vault import Absent, Entry, Erased, Mode, Vault
from tests.vault.kit import asynchronous, provider, sources
from tests.vault.shelves import Shelf

CLASSES: Mapping[str, Mode] = {"email": "deterministic", "phone": "deterministic", "street": "random"}
ANN, BOB = b"ann@example.com", b"bob@example.com"
CODE = (ModuleType, FunctionType, MethodType, FrameType, CoroutineType, CodeType, type, asyncio.AbstractEventLoop)
EVENT = AuditEvent("write", "ok", user="shop_app")


@asynccontextmanager
async def opened(
    shelf: Shelf, keys: str = "kek", seed: str = "", writer: str = "main", limits: Limits | None = None
) -> AsyncIterator[Vault]:
    store = await shelf.open(writer)
    try:
        vault = await Vault.open(store, provider(keys), CLASSES, sources(seed), limits)
    except BaseException:
        await store.close()
        raise
    try:
        yield vault
    finally:
        await vault.close()


# ---- in and out --------------------------------------------------------------------------------------------------


@asynchronous
async def test_values_come_back_after_reopening(shelf: Shelf) -> None:
    values = [b"", b"x", ANN, b"\0\xff", "Żółć 😀".encode(), bytes(1 << 20)]
    async with opened(shelf) as vault:
        found = await vault.tokenise([("email", value) for value in values])
    async with opened(shelf, seed="later") as vault:
        revealed = await vault.reveal(found)
        assert [revealed[token] for token in found] == [Entry("email", value) for value in values]


@asynchronous
async def test_deterministic_tokens_are_equal_as_values_are(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        first, second, other, phone = await vault.tokenise(
            [("email", ANN), ("email", ANN), ("email", BOB), ("phone", ANN)]
        )
        assert first == second
        assert len({first, other, phone}) == 3
        assert vault.find([("email", ANN), ("phone", ANN)]) == [first, phone]


@asynchronous
async def test_random_tokens_are_unlinkable_in_the_store_too(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        one, two = await vault.tokenise([("street", b"Main St"), ("street", b"Main St")])
        assert one != two
        assert await vault.reveal([one, two]) == {one: Entry("street", b"Main St"), two: Entry("street", b"Main St")}
        rows = [shelf.entry(tokens.to_binary(token)) for token in (one, two)]
        assert rows[0].mac != rows[1].mac
        with pytest.raises(Bug, match="class street has random tokens"):
            vault.find([("street", b"Main St")])


@asynchronous
async def test_peer_113_ten_thousand_short_values_come_back_as_themselves(shelf: Shelf) -> None:
    values = [chr(number).encode("utf-8", "surrogatepass") for number in range(10_000)]
    async with opened(shelf, limits=Limits(cache_bytes=0)) as vault:
        found = await vault.tokenise([("email", value) for value in values])
        assert len(set(found)) == len(values)
        revealed = await vault.reveal(found)
        assert [revealed[token] for token in found] == [Entry("email", value) for value in values]


@asynchronous
async def test_what_is_not_ours_is_not_in_the_answer_and_ours_without_entry_is_absent(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        stored = (await vault.tokenise([("email", ANN)]))[0]
        absent = vault.find([("email", BOB)])[0]
        foreign = [tokens.random(bytes(32), bytes(12)), b"", b"x" * 36, b"\xff" * 36, stored.upper(), stored[:-1]]
        assert await vault.reveal([stored, absent, *foreign]) == {stored: Entry("email", ANN), absent: Absent()}
        assert await vault.reveal([]) == {}


@pytest.mark.parametrize("cache", [0, 64 << 20])
@asynchronous
async def test_values_that_pass_the_budget_are_not_read(shelf: Shelf, cache: int) -> None:
    async with opened(shelf, limits=Limits(cache_bytes=cache)) as vault:
        values = [("email", b"%d" % number + b"x" * 10_000) for number in range(10)]
        tokens = await vault.tokenise(values)
        with pytest.raises(OverBudget) as told:
            await vault.reveal(tokens, 60_000)
        assert 4 <= told.value.fits <= 6
        assert len(await vault.reveal(tokens[:5], 60_000)) == 5
        assert len(await vault.reveal(tokens)) == 10


@asynchronous
async def test_more_than_is_read_at_once_comes_all_the_same(shelf: Shelf) -> None:
    """Of many readers together too, and what is not there is absent, not unread."""
    async with opened(shelf, limits=Limits(cache_bytes=0)) as vault:
        tokens = await vault.tokenise([("email", b"%d" % number + b"x" * (3 << 20)) for number in range(6)])
        lost = vault.find([("email", BOB)])
        one, *others = await asyncio.gather(vault.reveal(tokens + lost), *[vault.reveal([token]) for token in tokens])
        assert [one[token] for token in tokens] == [each[token] for each, token in zip(others, tokens, strict=True)]
        assert one[lost[0]] == Absent()


@asynchronous
async def test_an_erased_value_keeps_its_token_and_may_be_written_again(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        token = (await vault.tokenise([("email", ANN)]))[0]
        shelf.put_entry(dataclasses.replace(shelf.entry(tokens.to_binary(token)), sealed=None))
        vault.forget([token])
        assert await vault.reveal([token]) == {token: Erased("email")}
        assert await vault.tokenise([("email", ANN)]) == [token]
        vault.forget([token])
        assert await vault.reveal([token]) == {token: Entry("email", ANN)}


@asynchronous
async def test_classes_change_at_a_reload(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        with pytest.raises(Bug, match="not told of class name"):
            await vault.tokenise([("name", ANN)])
        vault.configure({"name": "random"})
        assert len(set(await vault.tokenise([("name", ANN), ("name", ANN)]))) == 2
        assert len(await vault.tokenise([("email", ANN)])) == 1


@asynchronous
async def test_two_sidecars_of_one_vault_make_the_same_tokens(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        first = await vault.tokenise([("email", ANN)])
    async with opened(shelf, seed="other process") as vault:
        assert await vault.tokenise([("email", ANN)]) == first


# ---- races -------------------------------------------------------------------------------------------------------


@asynchronous
async def test_peer_103_fifty_writers_of_one_value_get_one_token(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        found = await asyncio.gather(*[vault.tokenise([("email", ANN)]) for _ in range(50)])
        assert len({token for each in found for token in each}) == 1
        assert await vault.reveal(found[0]) == {found[0][0]: Entry("email", ANN)}


@asynchronous
async def test_peer_103_fifty_writers_in_several_sidecars(shelf: Shelf) -> None:
    if not shelf.shared:
        return
    async with opened(shelf, writer="one") as one, opened(shelf, writer="two", seed="2") as two:
        calls = [vault.tokenise([("email", ANN)], EVENT) for vault in (one, two) for _ in range(25)]
        assert len({token for each in await asyncio.gather(*calls) for token in each}) == 1
        assert (await one.audit.verify()).faults == ()


@asynchronous
async def test_a_reader_that_leaves_takes_nobody_with_it(shelf: Shelf) -> None:
    async with opened(shelf, limits=Limits(cache_bytes=0)) as vault:
        found = await vault.tokenise([("email", ANN)])
        loop = asyncio.get_running_loop()
        readers = [loop.create_task(vault.reveal(found)) for _ in range(10)]
        await asyncio.sleep(0)
        readers[0].cancel()
        answers = await asyncio.gather(*readers, return_exceptions=True)
        assert answers[1:] == [{found[0]: Entry("email", ANN)}] * 9


# ---- damage ------------------------------------------------------------------------------------------------------


@asynchronous
async def test_a_wrong_key_file_fails_at_the_start_and_names_ids(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        found = await vault.tokenise([("email", ANN)])
    with pytest.raises(KeyFault, match=r"wrapped by KEK k[0-9a-f]{8}; test:other holds only k[0-9a-f]{8}"):
        async with opened(shelf, keys="other"):
            pass
    async with opened(shelf) as vault:
        assert await vault.reveal(found) == {found[0]: Entry("email", ANN)}


@pytest.mark.parametrize("damage", ["changed", "truncated", "empty", "swapped", "copied", "class", "version", "key"])
@asynchronous
async def test_a_damaged_row_is_an_error_with_token_and_key_and_harms_no_other(shelf: Shelf, damage: str) -> None:
    async with opened(shelf) as vault:
        ann, bob = await vault.tokenise([("email", ANN), ("email", BOB)])
    row, other = (shelf.entry(tokens.to_binary(token)) for token in (ann, bob))
    assert row.sealed is not None
    changed = {
        "changed": {"sealed": row.sealed[:-1] + bytes((row.sealed[-1] ^ 1,))},
        "truncated": {"sealed": row.sealed[:-3]},
        "empty": {"sealed": b""},
        "swapped": {"sealed": other.sealed},
        "copied": {"sealed": other.sealed, "mac": other.mac, "created": other.created},
        "class": {"class_name": "phone"},
        "version": {"version": 2},
        "key": {"key_id": "v0"},
    }[damage]
    shelf.put_entry(dataclasses.replace(row, **changed))  # type: ignore[arg-type]
    async with opened(shelf) as vault:
        key_id = "v0" if damage == "key" else row.key_id
        with pytest.raises((Damaged, KeyFault)) as caught:
            await vault.reveal([ann, bob])
        assert ann.decode() in str(caught.value)
        assert key_id in str(caught.value)
        assert isinstance(caught.value, Unavailable)
        assert ANN.decode() not in str(caught.value)
        assert await vault.reveal([bob]) == {bob: Entry("email", BOB)}
        shelf.put_entry(row)
        assert await vault.reveal([ann]) == {ann: Entry("email", ANN)}


@asynchronous
async def test_two_values_under_one_token_are_an_error_never_a_merge(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        ann = vault.find([("email", ANN)])[0]
        bob = (await vault.tokenise([("email", BOB)]))[0]
        row = shelf.entry(tokens.to_binary(bob))
        shelf.put_entry(dataclasses.replace(row, token=tokens.to_binary(ann)))
        with pytest.raises(Damaged, match=f"{ann.decode()} under key v.* stands for another value"):
            await vault.tokenise([("email", ANN)])
        assert await vault.tokenise([("email", BOB)]) == [bob]


@asynchronous
async def test_peer_98_absent_is_not_unreachable(shelf: Shelf) -> None:
    """In one result of a thousand: a row that was deleted, and then a store that does not answer."""
    values = [b"%d@example.com" % number for number in range(1000)]
    async with opened(shelf, limits=Limits(cache_bytes=0)) as vault:
        found = await vault.tokenise([("email", value) for value in values])
        shelf.drop_entry(tokens.to_binary(found[500]))
        expected = {token: Entry("email", value) for token, value in zip(found, values, strict=True)}
        assert await vault.reveal(found) == expected | {found[500]: Absent()}
    with pytest.raises(Unavailable):
        await vault.reveal(found)


@asynchronous
async def test_peer_99_a_store_that_fails_mints_no_second_token(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        found = await vault.tokenise([("email", ANN)])
    with pytest.raises(Unavailable):
        await vault.tokenise([("email", BOB)])
    async with opened(shelf) as vault:
        assert await vault.tokenise([("email", ANN)]) == found
        assert await vault.reveal(vault.find([("email", BOB)])) == {vault.find([("email", BOB)])[0]: Absent()}


# ---- bounds and secrets ------------------------------------------------------------------------------------------


@asynchronous
async def test_repeated_writes_and_reads_cost_no_call_to_the_store(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        found = await vault.tokenise([("email", ANN)])
        await vault._store.close() if not shelf.shared else None
        shelf.drop_entry(tokens.to_binary(found[0]))
        assert await vault.tokenise([("email", ANN)]) == found
        assert await vault.reveal(found) == {found[0]: Entry("email", ANN)}


def _values(found: Opened | None) -> dict[str, dict[bytes, bytes]]:
    assert found is not None and len(found) == sum(map(len, found.values.values())) and "ann" not in repr(found)
    return found.values


@asynchronous
async def test_what_is_at_hand_needs_no_waiting(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        assert vault.tokenise_cached([("email", ANN)]) is None
        found = await vault.tokenise([("email", ANN), ("street", b"Main St")])
        foreign = tokens.random(bytes(32), bytes(12))
        assert vault.tokenise_cached([("email", ANN), ("email", ANN)]) == found[:1] * 2
        assert _values(vault.opened_cached([found[0], foreign, b"x"])) == {"email": {found[0]: ANN}}
        assert _values(vault.opened_cached([])) == {}
        for items in ([("email", ANN), ("email", BOB)], [("street", b"Main St")], [("email", ANN)] * 1000):
            assert vault.tokenise_cached(items) is None
        with pytest.raises(Bug, match="not told of class"):
            vault.tokenise_cached([("nobody's", ANN)])
        assert vault.opened_cached([found[0], *vault.find([("email", BOB)])]) is None
        many = await vault.tokenise([("email", b"%d" % number) for number in range(1000)])
        assert vault.opened_cached(many) is None
        vault.forget(found)
        assert vault.opened_cached(found) is None
        assert vault.tokenise_cached([("email", ANN)]) is None


@asynchronous
async def test_a_store_that_answers_is_reachable(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        await vault.ping()


@asynchronous
async def test_a_store_that_does_not_answer_is_unavailable_in_time() -> None:
    vault = await Vault.open(_Stalled(), provider(), CLASSES, sources(), Limits(timeout=0.01))
    with pytest.raises(Unavailable, match=r"no answer within 0\.01 s"):
        await vault.ping()


class _Stalled(MemoryStore):
    """Opens, and then answers nothing."""

    async def schema_version(self) -> int:
        await asyncio.Event().wait()
        return 0


@asynchronous
async def test_no_cache_holds_a_plaintext(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        value = bytes(reversed(ANN))  # no constant of this module, so that only the vault could hold it
        found = await vault.tokenise([("email", value)])
        assert (await vault.reveal(found))[found[0]] == Entry("email", value)
        held = list(_held(vault))
        assert len(vault._cache._entries) == 1
        assert tokens.to_binary(found[0]) in held
        assert value not in held


def _held(root: object) -> Iterator[object]:
    """Whatever can be reached from an object without going through code."""
    seen: dict[int, object] = {}
    waiting = [root]
    while waiting:
        one = waiting.pop()
        if id(one) not in seen and not isinstance(one, CODE):
            seen[id(one)] = one
            waiting += gc.get_referents(one)
            yield one


def test_an_entry_hides_its_value() -> None:
    assert repr(Entry("email", ANN)) == "Entry(email, <hidden 15 bytes>)"


@asynchronous
async def test_a_write_and_its_audit_share_a_commit(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        items = [("email", ANN), ("street", b"Main St"), ("email", BOB), ("email", ANN)]
        found = await vault.tokenise(items, EVENT)
        events = [record.event for record in await vault.audit.tail(2)]
        assert [(event.class_name, event.count) for event in events] == [("email", 3), ("street", 1)]
        assert set(events[0].tokens) == {found[0], found[2]}
        await vault.tokenise([("email", ANN)], EVENT)  # nothing new to store, but an event
        assert len(await vault.audit.search(token=found[0])) == 2


# ---- what is remembered ------------------------------------------------------------------------------------------


@asynchronous
async def test_what_was_remembered_is_known_after_reopening(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        assert vault.recall("a") is None
        await vault.remember({"a": "1", "b": "2"})
        await vault.remember({"a": "3"})
        assert vault.recall("a") == "3"
    async with opened(shelf) as vault:
        assert (vault.recall("a"), vault.recall("b")) == ("3", "2")


@asynchronous
async def test_a_class_is_remembered_with_its_first_value(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        vault.configure({}, {"email": "values as they are", "phone": "normal form"})
        await vault.tokenise([("email", ANN)])
        assert vault.recall("class email") == "values as they are" and vault.recall("class phone") is None
        vault.configure({}, {"email": "another"})
        with pytest.raises(StoreFault, match=r"class 'email' are made from values as they are, .* from another"):
            await vault.tokenise([("email", BOB)])
    async with opened(shelf) as vault:
        assert vault.recall("class email") == "values as they are"


@asynchronous
async def test_tokens_and_their_classes(shelf: Shelf) -> None:
    async with opened(shelf) as vault:
        email, street = await vault.tokenise([("email", ANN), ("street", BOB)])
        lost = vault.find([("email", b"lost")])[0]
        other = b"01234567-89ab-8def-8123-456789abcdef"
        assert await vault.acquaint([email, street, lost, other, b"x"]) == {
            email: "email",
            street: "street",
            lost: None,
        }
        assert await vault.acquaint([other]) == {}
