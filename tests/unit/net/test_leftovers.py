"""Columns that hold values which are no tokens."""

import asyncio
from collections.abc import Mapping, Sequence

from proxy.net.leftovers import Leftovers
from proxy.sql.catalog import ProtectedColumn
from tests.unit.session import driver
from tests.vault.kit import asynchronous

TABLE = driver.world().snapshot.protected_tables[("public", "customers")]
EMAIL, NAME = TABLE["email"], TABLE["name"]


class Rows:
    """What a look finds, and what it was for."""

    def __init__(self, **plain: bool) -> None:
        self.plain = plain
        self.asked: list[list[str]] = []

    async def plaintext(self, database: str, columns: Sequence[ProtectedColumn]) -> Mapping[str, bool]:
        self.asked.append([column.name for column in columns])
        await asyncio.sleep(0)
        return {column.label: self.plain[column.name] for column in columns if column.name in self.plain}


@asynchronous
async def test_a_look_finds_them_and_that_they_are_gone() -> None:
    rows = Rows(email=True, name=False)
    left = Leftovers(rows)
    assert await left.look("shop", [EMAIL, NAME])
    assert left.of("shop") == {EMAIL.label} and left.of("other") == frozenset()
    assert not await left.look("shop", [EMAIL, NAME]), "no news"
    rows.plain = {"email": False, "name": True}
    assert await left.look("shop", [EMAIL, NAME])
    assert left.of("shop") == {NAME.label}


@asynchronous
async def test_what_a_look_cannot_read_stays_as_it_is_known() -> None:
    left = Leftovers(Rows())
    assert left.seen("shop", (EMAIL.label,)) and not left.seen("shop", (EMAIL.label,))
    assert not await left.look("shop", [EMAIL, NAME])
    assert left.of("shop") == {EMAIL.label}
    assert await left.look("shop", [EMAIL, NAME], trusted=True)
    assert left.of("shop") == frozenset()


@asynchronous
async def test_a_column_of_another_policy_is_kept() -> None:
    left = Leftovers(Rows(name=False))
    left.seen("shop", (EMAIL.label, NAME.label))
    await left.look("shop", [NAME], trusted=True)
    assert left.of("shop") == {EMAIL.label}


@asynchronous
async def test_no_column_no_look() -> None:
    rows = Rows()
    assert not await Leftovers(rows).look("shop", []) and rows.asked == []


@asynchronous
async def test_another_look_is_for_known_ones_and_keeps_its_distance() -> None:
    rows = Rows(email=True, name=True)
    left = Leftovers(rows)
    assert not await left.look_again("shop", [EMAIL, NAME]) and rows.asked == []
    left.seen("shop", (EMAIL.label,))
    both = await asyncio.gather(left.look_again("shop", [EMAIL, NAME]), left.look_again("shop", [EMAIL, NAME]))
    assert both == [False, False] and rows.asked == [["email"]]
    rows.plain["email"] = False
    await left.look_again("shop", [EMAIL, NAME])
    assert left.of("shop") == {EMAIL.label}, "just looked at"
    left._pace._due.clear()
    assert await left.look_again("shop", [EMAIL, NAME]) and left.of("shop") == frozenset()


@asynchronous
async def test_what_nobody_could_look_through_is_told() -> None:
    rows = Rows(email=False)
    left = Leftovers(rows)
    await left.look("shop", [EMAIL, NAME])
    assert left.unseen() == [f"shop {NAME.label}"]
    await left.look("shop", [EMAIL])
    assert left.unseen() == [f"shop {NAME.label}"], "not asked about"
    await left.look("shop", [NAME], trusted=True)
    assert left.unseen() == []
    rows.plain = {}
    await left.look("shop", [EMAIL])
    rows.plain = {"email": False}
    await left.look("shop", [EMAIL])
    assert left.unseen() == []
