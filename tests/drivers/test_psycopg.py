"""psycopg 3, unmodified: sync and async, text and binary, prepared, pipelines, executemany, types."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from tests.drivers.conftest import Twins

pytestmark = pytest.mark.server

INSERT = "INSERT INTO customers (email, full_name, phone, street, born, note) VALUES (%s, %s, %s, %s, %s, %s)"
PEOPLE = [
    ("ada@example.com", "Ada Quill", "+1 212 555 0101", "1 Inkwell Lane", date(1987, 4, 12), "note"),
    ("bob@example.org", "Bob Tock", None, None, None, None),
    ("zoe@example.com", "Zoë Ångström", "", "", date(1968, 2, 29), "'"),
]
Link = psycopg.Connection[Any]


def same(twins: Twins, script: Callable[[Link], object], **options: object) -> object:
    """The script on both; what it returns must be equal."""
    results = []
    for url in twins.urls():
        with psycopg.connect(url, autocommit=True, **options) as link:  # type: ignore[arg-type]
            results.append(script(link))
    assert results[0] == results[1]
    twins.assert_hidden()
    return results[1]


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("prepare", [False, True], ids=["once", "prepared"])
def test_rows(twins: Twins, binary: bool, prepare: bool) -> None:
    def script(link: Link) -> object:
        cursor = link.cursor(binary=binary)
        for person in PEOPLE:
            cursor.execute(INSERT + " RETURNING id, email, born", person, prepare=prepare)
        seen: list[object] = [cursor.fetchall()]
        for asked, params in (
            ("SELECT * FROM customers ORDER BY id", ()),
            ("SELECT id, born FROM customers WHERE email = %s AND full_name <> %s", ("ada@example.com", "x")),
            (
                "SELECT id FROM customers WHERE email = ANY(%s) ORDER BY id",
                (["ada@example.com", "zoe@example.com", "x"],),
            ),
            ("SELECT id FROM customers WHERE born = %s", (date(1987, 4, 12),)),
            ("SELECT count(DISTINCT full_name) FROM customers WHERE phone IS NULL OR phone = %s", ("",)),
            (
                "UPDATE customers SET born = %s, full_name = %s WHERE email = %s RETURNING *",
                (date(2000, 1, 1), "A", "ada@example.com"),
            ),
            ("DELETE FROM customers WHERE email IN (%s, %s) RETURNING email", ("bob@example.org", "nobody")),
        ):
            cursor.execute(asked, params, prepare=prepare)
            seen += [cursor.fetchall(), cursor.statusmessage, [(c.name, c.type_code) for c in cursor.description or ()]]
        return seen

    assert "ada@example.com" in str(same(twins, script))


def test_executemany_and_pipelines(twins: Twins) -> None:
    def script(link: Link) -> object:
        cursor = link.cursor()
        cursor.executemany(INSERT + " RETURNING id, email", PEOPLE, returning=True)
        seen: list[object] = [[r.fetchall() for r in cursor.results()]]
        with link.pipeline() as pipeline:
            cursors = [link.execute("SELECT email, born FROM customers WHERE id = %s", (i,)) for i in range(1, 50)]
            link.execute("UPDATE customers SET full_name = %s WHERE id = %s", ("In a pipeline", 1))
            pipeline.sync()
            seen.append([each.fetchall() for each in cursors])
        seen.append(link.execute("SELECT full_name FROM customers ORDER BY id").fetchall())
        return seen

    same(twins, script)


def test_an_error_in_a_pipeline(twins: Twins) -> None:
    def script(link: Link) -> object:
        link.execute(INSERT, PEOPLE[0])
        states: list[object] = []
        with pytest.raises(psycopg.Error) as caught, link.pipeline():
            link.execute("SELECT email FROM customers WHERE id = 1")
            link.execute(INSERT, PEOPLE[0])
            link.execute("SELECT email FROM customers WHERE id = 1")
        states += [caught.value.sqlstate, caught.value.diag.message_detail]
        return [*states, link.info.transaction_status, link.execute("SELECT email FROM customers").fetchall()]

    assert "23505" in str(same(twins, script))


def test_transactions(twins: Twins) -> None:
    def script(link: Link) -> object:
        seen: list[object] = []
        with link.transaction():
            link.execute(INSERT, PEOPLE[0])
            with pytest.raises(psycopg.errors.UniqueViolation), link.transaction():
                link.execute(INSERT, PEOPLE[0])
            with link.transaction() as inner:
                link.execute(INSERT, PEOPLE[1])
                seen.append(link.execute("SELECT email FROM customers ORDER BY id").fetchall())
                raise psycopg.Rollback(inner)
        seen.append(link.execute("SELECT email FROM customers").fetchall())
        return seen

    same(twins, script)


def test_types_beside_protected_columns(twins: Twins) -> None:
    def script(link: Link) -> object:
        link.execute(INSERT, PEOPLE[0])
        order = uuid.UUID("0191d5c8-7a3e-7c1a-8f00-000000000001")
        link.execute(
            "INSERT INTO orders VALUES (%s, 1, %s, %s)", (order, Decimal("24.90"), datetime(2026, 1, 1, tzinfo=UTC))
        )
        asked = (
            "SELECT o.*, email, born, %s::int[] FROM orders o JOIN customers c ON c.id = customer_id WHERE o.id = %s"
        )
        return [
            link.cursor(binary=b, row_factory=dict_row).execute(asked, ([1, 2], order)).fetchall()
            for b in (False, True)
        ]

    assert "Decimal('24.90')" in str(same(twins, script))


def test_client_side_binding(twins: Twins) -> None:
    def script(link: Link) -> object:
        cursor = psycopg.ClientCursor(link)
        for person in PEOPLE:
            cursor.execute(INSERT, person)
        query = sql.SQL("SELECT {} FROM customers WHERE email = {}").format(
            sql.Identifier("born"), sql.Literal("zoe@example.com")
        )
        return [
            cursor.execute(query).fetchall(),
            cursor.execute("SELECT id FROM customers WHERE born = %s", (PEOPLE[0][4],)).fetchall(),
        ]

    same(twins, script)


def test_many_rows_in_a_stream(twins: Twins) -> None:
    def script(link: Link) -> object:
        people = [(f"p{i}@example.com", f"P {i}", None, None, None, None) for i in range(500)]
        link.cursor().executemany(INSERT, people)
        return list(link.cursor().stream("SELECT id, email, full_name FROM customers ORDER BY id"))

    assert len(list(same(twins, script))) == 500  # type: ignore[call-overload]


def test_async(twins: Twins) -> None:
    async def script(url: str) -> object:
        async with await psycopg.AsyncConnection.connect(url) as link, link.cursor() as cursor:
            await cursor.executemany(INSERT, PEOPLE)
            await link.commit()
            await cursor.execute("SELECT * FROM customers WHERE full_name = %s", ("Zoë Ångström",))
            first = await cursor.fetchall()
            async with link.pipeline():
                await cursor.execute("SELECT email FROM customers ORDER BY id")
            return [first, await cursor.fetchall()]

    direct, through = (asyncio.run(script(url)) for url in twins.urls())
    assert direct == through
    twins.assert_hidden()
