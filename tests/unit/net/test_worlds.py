"""Catalogs and policies that change while links wait for them."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from proxy.errors import Refusal, Unavailable
from proxy.net.tasks import Tasks
from proxy.net.worlds import Worlds
from proxy.observe import REGISTRY
from proxy.session.world import DIRECT, Pooling, World
from proxy.sql.analyze import analyse
from proxy.sql.catalog import Catalog
from tests.unit.net.stage import Shelf, catalog, policy, turns, until
from tests.unit.net.test_strangers import HERE, PERSON, THERE, Memory
from tests.unit.session import driver
from tests.vault.kit import asynchronous

OTHER = Catalog("other", 180000, driver.RELATIONS, (), {"": "public"})
MORE = driver.POLICY.replace("    ref: free\n", "    ref: free\n    note: free\n")
ONE_DATABASE = driver.POLICY.replace("public.customers", "shop.public.customers")
DRIFTED = driver.POLICY.replace("    ref: free\n", "    ref: free\n    nosuch: free\n")


class Scene:
    def __init__(self, text: str = driver.POLICY) -> None:
        self.shelf = Shelf(catalog(), OTHER)
        self.changed: list[World] = []
        self.memory = Memory()
        self.tasks = Tasks()
        self.worlds = Worlds(self.shelf, policy(text), 100, self.changed.append, self.tasks, self.memory)

    def load(self, database: str = "shop", fresh: bool = False) -> "asyncio.Task[World]":
        return self.tasks.spawn(self.worlds.load(database, fresh), "load")


def scene(test: Callable[[Scene], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @asynchronous
    async def run() -> None:
        made = Scene()
        await test(made)
        await made.tasks.cancel()

    return run


async def doubted_until(it: Scene, expected: dict[str, str]) -> None:
    """Read for a doubt until that is known: rows are looked at again at a pace that follows how long a look takes."""
    for _ in range(100):
        found = compared(await it.worlds.load("shop", True, True))
        if found == expected:
            return
    raise AssertionError(found)


def refreshes(outcome: str) -> float:
    return REGISTRY.get_sample_value("pgveil_catalog_refreshes_total", {"outcome": outcome}) or 0.0


@scene
async def test_who_waits_for_the_same_reading_shares_it(it: Scene) -> None:
    it.shelf.slow = True
    first, second = it.load(), it.load()
    await until(lambda: it.shelf.began == 1)
    it.shelf.go()
    assert await first is await second
    assert it.shelf.began == 1 and it.changed == [await first] == list(it.worlds.all)
    assert await it.worlds.load("shop", False) is it.worlds.known("shop")


@scene
async def test_databases_are_read_apart(it: Scene) -> None:
    shop, other = await it.worlds.load("shop", False), await it.worlds.load("other", False)
    assert (shop.snapshot.database, other.snapshot.database) == ("shop", "other") and it.shelf.began == 2
    assert shop.version != other.version and it.worlds.known("none") is None


@scene
async def test_a_reading_that_began_before_the_change_is_not_fresh(it: Scene) -> None:
    it.shelf.slow = True
    early = it.load()
    await until(lambda: it.shelf.began == 1)
    after, after_too = it.load(fresh=True), it.load(fresh=True)
    await turns()
    assert it.shelf.began == 1 and not after.done()
    it.shelf.catalogs["shop"] = Catalog("shop", 180000, driver.RELATIONS[:1], (), {"": "public"})
    it.shelf.go()
    await until(lambda: it.shelf.began == 2)
    assert early.done() and not after.done()
    it.shelf.go()
    assert await after is await after_too and it.shelf.began == 2
    assert len((await after).snapshot.catalog.relations) == 1 and len((await early).snapshot.catalog.relations) == 3


@scene
async def test_a_fresh_reading_behind_one_that_fails_is_made_all_the_same(it: Scene) -> None:
    it.shelf.slow = it.shelf.gone = True
    early = it.load()
    await until(lambda: it.shelf.began == 1)
    after = it.load(fresh=True)
    await turns()
    it.shelf.go()
    await until(lambda: it.shelf.began == 2)
    with pytest.raises(Unavailable):
        await early
    it.shelf.gone = False
    it.shelf.go()
    with pytest.raises(Unavailable):  # `gone` counted when that reading began
        await after
    third = it.load(fresh=True)
    await until(lambda: it.shelf.began == 3)
    assert it.worlds.unread == ("shop",)
    it.shelf.go()
    assert (await third).snapshot.database == "shop" and it.worlds.unread == ()


@scene
async def test_the_same_catalog_again_keeps_the_world_and_its_plans(it: Scene) -> None:
    world = await it.worlds.load("shop", False)
    assert await it.worlds.load("shop", True) is world and it.shelf.began == 2 and len(it.changed) == 1


@scene
async def test_who_leaves_takes_the_reading_from_nobody(it: Scene) -> None:
    it.shelf.slow = True
    leaves, stays = it.load(), it.load()
    await until(lambda: it.shelf.began == 1)
    leaves.cancel()
    await until(leaves.done)
    it.shelf.go()
    assert (await stays).snapshot.database == "shop"


@scene
async def test_a_reading_that_nobody_waits_for_any_more_may_fail(it: Scene) -> None:
    it.shelf.slow = it.shelf.gone = True
    load = it.load()
    await until(lambda: it.shelf.began == 1)
    load.cancel()
    await until(load.done)
    it.shelf.go()
    await until(lambda: it.worlds.unread == ("shop",))
    await turns()


@scene
async def test_a_new_policy_counts_for_a_reading_under_way(it: Scene) -> None:
    it.shelf.slow = True
    load = it.load()
    await until(lambda: it.shelf.began == 1)
    it.worlds.renew(policy(MORE))
    it.shelf.go()
    world = await load
    assert world.policy is it.worlds.policy and world.snapshot.labelled("public.customers.note") is not None


@scene
async def test_a_policy_renewed_between_the_end_of_a_reading_and_its_answer(it: Scene) -> None:
    """The reading ended, whom it is for has not run yet: it must not go on with the world before."""
    it.shelf.slow = True
    load = it.load()
    await until(lambda: it.shelf.began == 1)
    it.shelf.go()
    await until(lambda: it.changed)
    assert not load.done()
    it.worlds.renew(policy(MORE))
    assert (await load).policy is it.worlds.policy


@scene
async def test_a_new_policy_renews_every_world(it: Scene) -> None:
    for database in ("shop", "other"):
        await it.worlds.load(database, False)
    it.worlds.renew(policy(ONE_DATABASE))
    assert len(it.changed) == 4 and it.shelf.began == 2
    assert it.worlds.protects("shop") and not it.worlds.protects("other")
    assert it.worlds.known("other") is it.changed[-1] and not it.changed[-1].snapshot.protected_tables
    assert it.changed[-2].snapshot.protected_tables


@scene
async def test_a_refresh_that_fails_keeps_what_is_known(it: Scene) -> None:
    world = await it.worlds.load("shop", False)
    await it.worlds.load("other", False)
    before = refreshes("failed")
    it.shelf.catalogs.pop("shop")
    await it.worlds.refresh()
    assert it.worlds.known("shop") is world and it.worlds.unread == ("shop",)
    assert refreshes("failed") == before + 1 and it.shelf.began == 4


@scene
async def test_a_refresh_during_which_the_policy_changes(it: Scene) -> None:
    await it.worlds.load("shop", False)
    it.shelf.slow = True
    refresh = it.tasks.spawn(it.worlds.refresh(), "refresh")
    await until(lambda: it.shelf.began == 2)
    it.worlds.renew(policy(MORE))
    it.shelf.go()
    await refresh
    known = it.worlds.known("shop")
    assert known is not None and known.policy is it.worlds.policy


@asynchronous
async def test_rules_that_do_not_hold_are_told() -> None:
    it = Scene(DRIFTED)
    world = await it.worlds.load("shop", False)
    assert [drift.column for drift in world.snapshot.drift] == ["public.customers.nosuch"]


# ---- rows from before ------------------------------------------------------------------------------------------------

EMAIL, FULL_NAME = "public.customers.email", "public.customers.name"


def compared(world: World | None) -> dict[str, str]:
    """Column -> 'ok' or the code of the refusal of a comparison with it."""
    assert world is not None
    found = {}
    for column in ("email", "name"):
        plan = analyse(f"select id from customers where {column} = 'x'".encode(), True, ("public",), world.snapshot)
        found[column] = plan.refusal.code if plan.refusal else "ok"
    return found


@scene
async def test_values_from_before_are_looked_for_when_a_catalog_is_first_read(it: Scene) -> None:
    it.shelf.plain = {EMAIL}
    assert compared(await it.load()) == {"email": "plaintext-rows", "name": "ok"}
    await it.load(fresh=True)
    await it.load("other")
    assert it.shelf.looked == ["shop", "other"], "not at every reading"


@scene
async def test_values_that_are_seen_close_the_column_for_comparisons(it: Scene) -> None:
    first = await it.load()
    it.worlds.mixed("shop", (EMAIL,))
    assert compared(it.worlds.known("shop")) == {"email": "plaintext-rows", "name": "ok"}
    assert it.changed == [first, it.worlds.known("shop")]
    it.worlds.mixed("shop", (EMAIL,))
    assert len(it.changed) == 2, "no news"
    it.worlds.mixed("shop", (FULL_NAME,))
    assert compared(it.worlds.known("shop")) == {"email": "plaintext-rows", "name": "plaintext-rows"}


@scene
async def test_a_new_policy_is_looked_at_as_well_and_forgets_nothing(it: Scene) -> None:
    await it.load()
    it.worlds.mixed("shop", (EMAIL,))
    it.shelf.plain, it.shelf.hidden = {FULL_NAME}, {EMAIL}
    it.worlds.renew(policy(MORE))
    assert compared(it.worlds.known("shop"))["email"] == "plaintext-rows"
    await until(lambda: compared(it.worlds.known("shop"))["name"] == "plaintext-rows")
    assert compared(it.worlds.known("shop"))["email"] == "plaintext-rows"


@scene
async def test_who_has_put_the_rows_right_says_so(it: Scene) -> None:
    await it.load()
    it.worlds.mixed("shop", (EMAIL, FULL_NAME))
    it.shelf.plain, it.shelf.hidden = {FULL_NAME}, {EMAIL}
    it.worlds.look_again()
    await until(lambda: compared(it.worlds.known("shop")) == {"email": "ok", "name": "plaintext-rows"})
    changed = len(it.changed)
    it.worlds.look_again()
    await until(lambda: len(it.shelf.looked) == 3)
    await turns()
    assert len(it.changed) == changed, "no news"


@scene
async def test_no_deterministic_column_no_look(it: Scene) -> None:
    it.worlds.renew(policy(driver.POLICY.replace("}\n", ", tokens: random}\n", 4)))
    await it.load()
    assert it.shelf.looked == []


@scene
async def test_readings_for_a_doubt_wait_a_little_and_are_shared(it: Scene) -> None:
    await it.load()
    await it.worlds.load("shop", True, True)
    many = [it.tasks.spawn(it.worlds.load("shop", True, True), "load") for _ in range(20)]
    await turns()
    assert it.shelf.began == 2, "not before its time"
    await asyncio.gather(*many)
    assert it.shelf.began <= 4, "one, and one for those who asked while it ran"


@scene
async def test_rows_that_are_put_right_are_found_before_a_comparison_is_refused(it: Scene) -> None:
    it.shelf.plain, it.shelf.hidden = {EMAIL}, {FULL_NAME}
    await it.load()
    it.worlds.mixed("shop", (FULL_NAME,))
    for left, expected in (({EMAIL}, "plaintext-rows"), (set(), "ok")):
        it.shelf.plain = left
        await doubted_until(it, {"email": expected, "name": "plaintext-rows"})


@scene
async def test_a_reading_for_a_doubt_looks_at_rows_where_some_are_known_only(it: Scene) -> None:
    await it.load()
    await it.worlds.load("shop", True, True)
    assert it.shelf.looked == ["shop"]


# ---- tokens of others ------------------------------------------------------------------------------------------------

OTHER_CLASS = driver.POLICY.replace("    email: email\n", "    email: free\n")


@scene
async def test_another_vaults_tokens_close_the_column(it: Scene) -> None:
    it.shelf.held = {EMAIL: (THERE,), FULL_NAME: (PERSON, THERE)}
    assert compared(await it.load()) == {"email": "foreign-tokens", "name": "plaintext-rows"}
    assert not it.worlds.strangers.ready
    it.shelf.held = {}
    await doubted_until(it, {"email": "ok", "name": "plaintext-rows"})
    it.worlds.look_again()
    await until(lambda: compared(it.worlds.known("shop")) == {"email": "ok", "name": "ok"})


@scene
async def test_a_table_that_appears_is_looked_at(it: Scene) -> None:
    whole = it.shelf.catalogs["shop"]
    it.shelf.catalogs["shop"] = Catalog("shop", 180000, whole.relations[1:], (), {"": "public"})
    await it.load()
    it.shelf.catalogs["shop"], it.shelf.held = whole, {EMAIL: (THERE,)}
    assert compared(await it.load(fresh=True)) == {"email": "foreign-tokens", "name": "ok"}


@scene
async def test_a_column_that_gets_another_class_is_closed_until_it_is_seen_to_be_empty(it: Scene) -> None:
    await it.load()
    it.worlds.renew(policy(OTHER_CLASS))
    assert compared(it.worlds.known("shop"))["email"] == "foreign-tokens"
    await until(lambda: compared(it.worlds.known("shop"))["email"] == "ok")
    it.shelf.held = {EMAIL: (HERE,)}
    it.worlds.renew(policy(driver.POLICY))
    await until(lambda: compared(it.worlds.known("shop"))["email"] == "ok")
    it.worlds.renew(policy(OTHER_CLASS))
    await turns()
    assert compared(it.worlds.known("shop"))["email"] == "foreign-tokens"


@scene
async def test_a_stranger_in_a_result_closes_its_class_for_comparisons(it: Scene) -> None:
    it.worlds.strayed("shop", ("email",))
    await it.load()
    it.worlds.strayed("shop", ("email",))
    it.worlds.strayed("shop", ("email",))
    assert compared(it.worlds.known("shop")) == {"email": "plaintext-rows", "name": "ok"} and len(it.changed) == 2


# ---- databases whose names may stand for others


@scene
async def test_another_database_of_a_name_is_read_before_anybody_gets_it(it: Scene) -> None:
    before, elsewhere = await it.worlds.load("shop", False), await it.worlds.load("other", False)
    it.worlds.databases_changed("other")
    assert it.worlds.known("shop") is None and it.worlds.known("other") is elsewhere
    assert before in it.worlds.all, "links that are there go on, and get new policies"
    it.shelf.plain = {"public.customers.email"}  # a copy of another one may have the same catalog
    after = await it.worlds.load("shop", False)
    assert after is not before and it.worlds.known("shop") is after and it.changed[-1] is after
    assert compared(after) != compared(before) and it.shelf.began == 3
    assert await it.worlds.load("shop", False) is after and it.shelf.began == 3


@scene
async def test_a_reading_that_began_before_databases_changed_is_none_of_the_next(it: Scene) -> None:
    it.shelf.slow = True
    early = it.load()
    await until(lambda: it.shelf.began == 1)
    it.worlds.databases_changed("other")
    late = it.load()
    await turns()
    it.shelf.go()
    await early
    await until(lambda: it.shelf.began == 2)
    assert it.worlds.known("shop") is None and not late.done()
    it.shelf.go()
    assert await late is it.worlds.known("shop")


@scene
async def test_what_can_not_be_read_again_stays_doubted(it: Scene) -> None:
    await it.worlds.load("shop", False)
    it.worlds.databases_changed("other")
    it.shelf.gone = True
    with pytest.raises(Unavailable):
        await it.worlds.load("shop", False)
    assert it.worlds.known("shop") is None
    it.shelf.gone = False
    assert await it.worlds.load("shop", False) is it.worlds.known("shop")


def test_what_stands_before_the_server_is_looked_at_with_the_first_reading_and_on_the_timer() -> None:
    """One that was seen to share sessions is not believed to have stopped."""
    seen = [DIRECT, DIRECT, Pooling(True), Pooling(True, Refusal("pooled-transactions", "shared"))]
    asked: list[str] = []

    async def look(database: str) -> Pooling:
        asked.append(database)
        return seen[min(len(asked), len(seen)) - 1] if len(asked) < 6 else DIRECT

    @asynchronous
    async def test() -> None:
        it = Scene()
        it.worlds = Worlds(it.shelf, policy(driver.POLICY), 100, it.changed.append, it.tasks, it.memory, look)
        first = await it.worlds.load("shop", False)
        assert first.pooling == DIRECT and await it.worlds.load("shop", True) and asked == ["shop"]
        for expected in (DIRECT, Pooling(True), seen[3], seen[3], seen[3]):
            await it.worlds.refresh()
            world = it.worlds.known("shop")
            assert world is not None and world.pooling == expected
        assert it.worlds.shared == ["shop"] and [world.pooling for world in it.changed] == [DIRECT, *seen[2:]]
        await it.tasks.cancel()

    test()
