"""Tokens that are not those of their column's values here."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import pytest

from proxy.errors import Unavailable
from proxy.net.strangers import ANOTHER_VAULT, Judgement, Strangers, form, judge
from proxy.sql.catalog import ProtectedColumn
from proxy.wire.types import parse_type
from tests.unit.session import driver
from tests.vault.kit import asynchronous

TABLE = driver.world().snapshot.protected_tables[("public", "customers")]
EMAIL, NAME = TABLE["email"], TABLE["name"]
HERE, THERE, PERSON, GONE = b"here", b"there", b"person", b"gone"
KNOWN: dict[bytes, str | None] = {HERE: "email", PERSON: "person", GONE: None}


class Memory:
    """The vault, as far as it is asked."""

    def __init__(self) -> None:
        self.facts: dict[str, str] = {}
        self.gone = self.full = False

    async def acquaint(self, tokens: Collection[bytes]) -> Mapping[bytes, str | None]:
        if self.gone:
            raise Unavailable("the vault")
        return {token: KNOWN[token] for token in tokens if token in KNOWN}

    def recall(self, name: str) -> str | None:
        return self.facts.get(name)

    async def remember(self, facts: Mapping[str, str]) -> None:
        if self.full:
            raise Unavailable("the vault")
        self.facts.update(facts)


class Rows:
    """Tokens by column; one that is left out can't be read."""

    def __init__(self, **held: tuple[bytes, ...]) -> None:
        self.held = held
        self.asked: list[list[str]] = []

    async def tokens(self, database: str, columns: Sequence[ProtectedColumn]) -> Mapping[str, tuple[bytes, ...]]:
        self.asked.append([column.name for column in columns])
        await asyncio.sleep(0)
        return {column.label: self.held[column.name] for column in columns if column.name in self.held}


@pytest.mark.parametrize(
    ("seen", "record", "expected"),
    [
        ((), "", Judgement()),
        ((), "person text", Judgement()),
        ((HERE,), "", Judgement(seen=1)),
        ((HERE,), "email text", Judgement(seen=1)),
        ((THERE, THERE), "", Judgement(ANOTHER_VAULT, seen=2)),
        ((THERE, HERE), "", Judgement("", stray=True, seen=2)),
        ((PERSON,), "", Judgement("tokens of class person", seen=1)),
        ((PERSON, HERE), "", Judgement("", stray=True, seen=2)),
        ((GONE,), "", Judgement(lost=1, seen=1)),
        ((GONE, HERE), "", Judgement(lost=1, seen=2)),
        ((HERE,), "email date", Judgement("tokens of values that were stored as email date", seen=1)),
        ((GONE,), "person text", Judgement("tokens of values that were stored as person text", lost=1, seen=1)),
    ],
)
def test_what_a_sample_shows(seen: tuple[bytes, ...], record: str, expected: Judgement) -> None:
    found = judge(EMAIL, seen, {token: KNOWN[token] for token in seen if token in KNOWN}, record)
    assert replace(found, lost=expected.lost if expected.foreign else found.lost) == expected


def test_a_length_makes_no_other_token() -> None:
    assert form(EMAIL) == form(replace(EMAIL, facade=parse_type("varchar(9)"))) == "email text"
    assert form(replace(EMAIL, facade=parse_type("char(9)"))) == "email bpchar"


@asynchronous
async def test_another_vault_is_found_and_that_its_rows_are_gone() -> None:
    rows, memory = Rows(email=(THERE,), name=()), Memory()
    it = Strangers(rows, memory)
    assert (await it.look("shop", [EMAIL, NAME])).changed
    assert it.of("shop") == {EMAIL.label: ANOTHER_VAULT} and not it.ready
    assert it.told() == {f"shop {EMAIL.label}": ANOTHER_VAULT} and it.of("other") == {}
    assert memory.facts == {f"column shop {NAME.label}": "person text"}, "not of what is not known to be right"
    assert not (await it.look("shop", [EMAIL, NAME])).changed, "no news"
    rows.held["email"] = ()
    assert (await it.look("shop", [EMAIL])).changed and it.ready and it.of("shop") == {} and it.told() == {}
    assert memory.facts[f"column shop {EMAIL.label}"] == "email text"


@asynchronous
async def test_strangers_among_others() -> None:
    it = Strangers(Rows(email=(THERE, HERE)), Memory())
    seen = await it.look("shop", [EMAIL])
    assert seen.stray == {EMAIL.label} and not seen.changed and it.ready


@asynchronous
async def test_lost_values_are_told_and_close_nothing() -> None:
    rows = Rows(email=(GONE, HERE))
    it = Strangers(rows, Memory())
    await it.look("shop", [EMAIL])
    assert it.ready and it.of("shop") == {} and "1 of 2" in it.told()[f"shop {EMAIL.label}"]
    rows.held["email"] = (GONE,)
    await it.look("shop", [EMAIL])
    assert not it.ready, "an empty vault with the keys of another"
    rows.held["email"] = (HERE,)
    await it.look("shop", [EMAIL])
    assert it.ready and it.told() == {}


@asynchronous
async def test_without_sight_of_the_rows_the_record_counts() -> None:
    memory = Memory()
    it = Strangers(Rows(), memory)
    await it.look("shop", [EMAIL])
    assert memory.facts == {f"column shop {EMAIL.label}": "email text"}
    other = replace(EMAIL, class_name="free")
    it.suspect("shop", [other], [])
    await it.look("shop", [other])
    assert "email text" in it.of("shop")[EMAIL.label] and not it.ready
    await it.look("shop", [EMAIL])
    assert it.ready


@asynchronous
async def test_a_new_policy_closes_what_is_read_otherwise_until_a_look() -> None:
    it = Strangers(Rows(email=()), Memory())
    other = replace(EMAIL, class_name="free")
    it.suspect("shop", [EMAIL, NAME], [EMAIL, NAME])
    assert it.ready
    it.suspect("shop", [other, NAME], [EMAIL, NAME])
    assert list(it.of("shop")) == [EMAIL.label]
    await it.look("shop", [other, NAME])
    assert it.ready


@asynchronous
async def test_a_vault_that_does_not_answer_changes_nothing() -> None:
    memory = Memory()
    it = Strangers(Rows(email=(THERE,)), memory)
    memory.gone = True
    assert not (await it.look("shop", [EMAIL])).changed and it.ready
    memory.gone, memory.full = False, True
    assert (await it.look("shop", [EMAIL, NAME])).changed and memory.facts == {}


@asynchronous
async def test_another_look_is_for_what_is_closed_and_keeps_its_distance() -> None:
    rows = Rows(email=(THERE,), name=())
    it = Strangers(rows, Memory())
    assert not (await it.look_again("shop", [EMAIL, NAME])).changed and rows.asked == []
    await it.look("shop", [EMAIL, NAME])
    rows.held["email"] = ()
    assert (await it.look_again("shop", [EMAIL, NAME])).changed and rows.asked[1:] == [["email"]]
    it.suspect("shop", [replace(EMAIL, class_name="free")], [EMAIL])
    assert not (await it.look_again("shop", [EMAIL])).changed, "just looked at"
    assert not (await it.look("shop", [])).changed
