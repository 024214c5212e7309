"""asyncpg, unmodified: everything it sends is prepared and binary."""

import asyncio
from datetime import date
from typing import Any

import asyncpg
import pytest

from tests.drivers.conftest import Twins, by_asyncpg

pytestmark = pytest.mark.server

INSERT = "INSERT INTO customers (email, full_name, phone, born) VALUES ($1, $2, $3, $4)"
PEOPLE = [
    ("ada@example.com", "Ada Quill", "+1 212 555 0101", date(1987, 4, 12)),
    ("bob@example.org", "Bob Tock", None, None),
    ("zoe@example.com", "Zoë Ångström", "", date(1968, 2, 29)),
]


def test_crud(twins: Twins) -> None:
    async def script(link: Any) -> object:
        seen: list[object] = [await link.fetchval(INSERT + " RETURNING id", *PEOPLE[0])]
        await link.executemany(INSERT, PEOPLE[1:])
        seen += await link.fetch("SELECT * FROM customers ORDER BY id")
        seen += await link.fetch(
            "SELECT id FROM customers WHERE email = ANY($1::text[]) ORDER BY id", [p[0] for p in PEOPLE[1:]]
        )
        seen += await link.fetch("SELECT id, born FROM customers WHERE born = $1", PEOPLE[0][3])
        seen.append(
            await link.execute("UPDATE customers SET born = $1 WHERE email = $2", date(2000, 1, 1), PEOPLE[1][0])
        )
        seen += await link.fetch("DELETE FROM customers WHERE full_name = $1 RETURNING email, born", "Bob Tock")
        seen.append(await link.fetchval("SELECT count(*) FROM customers"))
        return seen

    assert "zoe@example.com" in str(by_asyncpg(twins, script))


def test_prepared_statements_and_cursors(twins: Twins) -> None:
    async def script(link: Any) -> object:
        await link.executemany(INSERT, PEOPLE)
        statement = await link.prepare("SELECT id, email, born FROM customers WHERE email = $1")
        seen: list[object] = [[(p.name) for p in statement.get_parameters()]]
        seen.append([(a.name, a.type.name) for a in statement.get_attributes()])
        for person in PEOPLE:
            seen.append(await statement.fetchrow(person[0]))
        async with link.transaction():
            async for row in link.cursor("SELECT email, full_name FROM customers ORDER BY id", prefetch=2):
                seen.append(row)
            cursor = await link.cursor("SELECT born FROM customers ORDER BY id")
            seen += [await cursor.fetchrow(), await cursor.fetch(5)]
        return seen

    assert "'date'" in str(by_asyncpg(twins, script))


def test_transactions_and_errors(twins: Twins) -> None:
    async def script(link: Any) -> object:
        seen: list[object] = []
        async with link.transaction():
            await link.execute(INSERT, *PEOPLE[0])
            try:
                async with link.transaction():
                    await link.execute(INSERT, *PEOPLE[0])
            except asyncpg.UniqueViolationError as error:
                seen += [error.sqlstate, error.detail, error.constraint_name, error.table_name]
            await link.execute(INSERT, *PEOPLE[1])
        return [*seen, *await link.fetch("SELECT email FROM customers ORDER BY id")]

    assert "Key (email)=(ada@example.com) already exists" in str(by_asyncpg(twins, script))


def test_a_table_that_changes_under_a_prepared_statement(twins: Twins) -> None:
    """DDL of the link's own, then the next statement: asyncpg prepares anew where the server tells it to."""

    async def script(link: Any) -> object:
        await link.execute(INSERT, *PEOPLE[0])
        asked = "SELECT * FROM customers WHERE email = $1"
        seen: list[object] = [await link.fetchrow(asked, PEOPLE[0][0])]
        await link.execute("ALTER TABLE customers ADD COLUMN vip boolean NOT NULL DEFAULT false")
        try:
            seen.append(await link.fetchrow(asked, PEOPLE[0][0]))
            await link.execute("UPDATE customers SET vip = true WHERE email = $1", PEOPLE[0][0])
            seen.append(await link.fetchrow(asked, PEOPLE[0][0]))
        finally:
            await link.execute("ALTER TABLE customers DROP COLUMN vip")
        seen.append(await link.fetchrow(asked, PEOPLE[0][0]))
        return seen

    for name in (twins.plain, twins.hidden):
        twins.server.psql("ALTER TABLE customers OWNER TO shop_app", name)
    by_asyncpg(twins, script)


def test_a_pool(twins: Twins) -> None:
    async def script(url: str) -> object:
        async with asyncpg.create_pool(url, min_size=2, max_size=4) as pool:
            await asyncio.gather(*(pool.execute(INSERT, f"p{i}@example.com", "P", None, None) for i in range(40)))
            found = await asyncio.gather(
                *(pool.fetch("SELECT email FROM customers WHERE email = $1", f"p{i}@example.com") for i in range(40))
            )
        return found

    direct, through = (asyncio.run(script(url)) for url in twins.urls())
    assert direct == through
    twins.assert_hidden()
