r"""COPY by drivers and tools, unmodified: asyncpg (all binary), psycopg 3 (text, binary, by rows), psql's \copy."""

import io
from collections.abc import Callable
from datetime import date
from typing import Any

import asyncpg
import psycopg
import pytest

from tests.drivers.conftest import Twins, by_asyncpg
from tests.drivers.test_psql import psql

pytestmark = pytest.mark.server

COLUMNS = ["id", "email", "full_name", "phone", "born", "note"]
PEOPLE = [
    (1, "ada@example.com", "Ada Quill", "+1 212 555 0101", date(1987, 4, 12), "note"),
    (2, "bob@example.org", 'Bob "B" O\'Tock\t\\N', None, None, None),
    (3, "zoe@example.com", "Zoë\nÅngström", "", date(1968, 2, 29), "\\."),
]
MANY = [(i, f"p{i}@example.org", f"Name {i % 7}", None, date(2000, 1, 1 + i % 28), "") for i in range(10, 3000)]


def by_psycopg(twins: Twins, script: Callable[[psycopg.Connection[Any]], object]) -> object:
    seen = []
    for url in twins.urls():
        with psycopg.connect(url, autocommit=True) as link:
            seen.append(script(link))
    assert seen[0] == seen[1]
    twins.assert_hidden()
    return seen[1]


def test_records_by_asyncpg(twins: Twins) -> None:
    async def script(link: Any) -> object:
        seen = [await link.copy_records_to_table("customers", records=PEOPLE, columns=COLUMNS)]
        seen.append(await link.copy_records_to_table("customers", records=MANY, columns=COLUMNS))
        return seen + await link.fetch("SELECT * FROM customers ORDER BY id")

    assert "Zoë" in str(by_asyncpg(twins, script))


def test_records_that_asyncpg_gives_up(twins: Twins) -> None:
    async def script(link: Any) -> object:
        seen: list[object] = [await link.copy_records_to_table("customers", records=PEOPLE, columns=COLUMNS)]
        with pytest.raises(TypeError):
            await link.copy_records_to_table("customers", records=[(4, 5, 6)], columns=["id", "email", "full_name"])
        with pytest.raises(asyncpg.UniqueViolationError) as caught:
            await link.copy_records_to_table("customers", records=[(9, *PEOPLE[0][1:])], columns=COLUMNS)
        seen += [caught.value.detail, await link.fetchval("SELECT count(*) FROM customers")]
        return seen

    assert "ada@example.com" in str(by_asyncpg(twins, script))


@pytest.mark.parametrize("form", ["text", "csv", "binary"])
def test_out_and_in_again_by_asyncpg(twins: Twins, form: str) -> None:
    async def script(link: Any) -> object:
        await link.copy_records_to_table("customers", records=PEOPLE + MANY, columns=COLUMNS)
        table, query = io.BytesIO(), io.BytesIO()
        seen = [await link.copy_from_table("customers", output=table, columns=COLUMNS, format=form)]
        text = "SELECT email, born FROM customers WHERE email = 'ada@example.com'"
        seen.append(await link.copy_from_query(text, output=query, format=form))
        await link.execute("TRUNCATE customers CASCADE")
        table.seek(0)
        seen.append(await link.copy_to_table("customers", source=table, columns=COLUMNS, format=form))
        return [*seen, table.getvalue(), query.getvalue(), *await link.fetch("SELECT * FROM customers ORDER BY id")]

    assert "ada@example.com" in str(by_asyncpg(twins, script))


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_rows_by_psycopg(twins: Twins, binary: bool) -> None:
    form = "(FORMAT binary)" if binary else ""
    types = ["int4", "text", "text", "text", "date", "text"]

    def script(link: psycopg.Connection[Any]) -> object:
        names = ", ".join(COLUMNS)
        with link.cursor().copy(f"COPY customers ({names}) FROM STDIN {form}".encode()) as copy:
            copy.set_types(types)
            for person in PEOPLE + MANY:
                copy.write_row(person)
        with link.cursor().copy(f"COPY (SELECT {names} FROM customers) TO STDOUT {form}".encode()) as copy:
            copy.set_types(types)
            return list(copy.rows())

    assert by_psycopg(twins, script) == PEOPLE + MANY


def test_rows_over_two_connections_by_psycopg(twins: Twins) -> None:
    """Out of one COPY into another: the blocks are the driver's own."""

    def script(link: psycopg.Connection[Any]) -> object:
        with link.cursor().copy(f"COPY customers ({', '.join(COLUMNS)}) FROM STDIN".encode()) as copy:
            for person in PEOPLE + MANY:
                copy.write_row(person)
        link.execute("CREATE TEMP TABLE moved (email text)")
        with link.cursor().copy("COPY customers (email) TO STDOUT") as copy:
            blocks = [bytes(block) for block in copy]
        link.execute("TRUNCATE newsletter")
        with link.cursor().copy("COPY newsletter FROM STDIN") as copy:
            for block in blocks:
                copy.write(block)
        return link.execute("SELECT c.id FROM customers c JOIN newsletter USING (email) ORDER BY id").fetchall()

    assert by_psycopg(twins, script) == [(person[0],) for person in PEOPLE + MANY]


def test_copy_of_psql(twins: Twins) -> None:
    r"""\copy from its standard input with an end marker, from a file and to one."""
    data = "".join([f"{i}\tp{i}@example.org\tName {i}\t2001-02-03\n" for i in range(1, 2000)])
    script = rf"""
\copy customers (id, email, full_name, born) from stdin
{data}\.
\copy (select email, born from customers where email in ('p7@example.org', 'nobody')) to stdout csv header
\copy customers (id, email) from program 'printf "5000,x@example.org\\n5001,\\n"' (format csv)
\copy customers (id, email, full_name) from program 'printf "5000,x@example.org,X\\n"' (format csv)
\copy customers to program 'sort | tail -n 2'
copy customers (id, email, full_name) from stdin;
6000	y@example.org	Y
\.
select count(*), count(distinct email) from customers;
"""
    direct, through = (psql(twins, url, "-f", "-", stdin=script) for url in twins.urls())
    assert direct == through
    assert "p7@example.org,2001-02-03" in through[1] and "2001" in through[1]
    twins.assert_hidden()
