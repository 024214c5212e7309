"""psycopg 3, by the names of its own suite, which its source distribution leaves out, on both twins.

What differs from link to link by nature (pids) is compared within the link.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from typing import Any

import psycopg
import pytest
from psycopg.types import TypeInfo
from psycopg.types.composite import CompositeInfo
from psycopg.types.enum import EnumInfo
from psycopg.types.range import RangeInfo

from tests.drivers.conftest import Twins
from tests.drivers.test_psycopg import INSERT, PEOPLE, Link, same

pytestmark = pytest.mark.server

COLUMNS = "email, full_name, phone, street, born, note"
TYPES = ("text", "text", "text", "text", "date", "text")
OWN = """\
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE place AS (name text, at point);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE DOMAIN short AS varchar(4);
"""


def filled(link: Link) -> None:
    link.cursor().executemany(INSERT, PEOPLE)


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_cursor_server(twins: Twins, binary: bool) -> None:
    def script(link: Link) -> object:
        filled(link)
        seen: list[object] = []
        with link.transaction(), link.cursor("of mine", binary=binary, scrollable=True) as cursor:
            cursor.execute(f"SELECT id, {COLUMNS} FROM customers WHERE email <> %s ORDER BY id", ("nobody",))
            seen += [cursor.fetchone(), cursor.fetchmany(1), [(c.name, c.type_code) for c in cursor.description or ()]]
            cursor.scroll(-1)
            seen.append(cursor.fetchall())
            cursor.scroll(0, mode="absolute")
            cursor.itersize = 2
            seen.append(list(cursor))
        with link.transaction():
            held = link.cursor("held", withhold=True).execute("SELECT email FROM customers ORDER BY id")
        seen.append(held.fetchall())
        held.close()
        with pytest.raises(psycopg.errors.InvalidCursorName) as caught:
            held.execute("FETCH ALL FROM held")  # closed, as any other name would be
        return [*seen, caught.value.sqlstate, link.execute("SELECT name FROM pg_cursors").fetchall()]

    assert "ada@example.com" in str(same(twins, script))


@pytest.mark.parametrize("form", ["", " (FORMAT binary)"], ids=["text", "binary"])
def test_copy(twins: Twins, form: str) -> None:
    def script(link: Link) -> object:
        with link.cursor().copy(f"COPY customers ({COLUMNS}) FROM STDIN{form}") as copy:
            copy.set_types(TYPES)
            for person in PEOPLE:
                copy.write_row(person)
        with link.cursor().copy(f"COPY customers ({COLUMNS}) TO STDOUT{form}") as copy:
            copy.set_types(TYPES)
            return list(copy.rows())

    def given_up(link: Link) -> object:
        with pytest.raises(KeyError), link.cursor().copy(f"COPY customers ({COLUMNS}) FROM STDIN{form}") as copy:
            copy.set_types(TYPES)
            copy.write_row(PEOPLE[0])
            raise KeyError("given up")
        with (
            pytest.raises(psycopg.DataError) as caught,
            link.cursor().copy(f"COPY customers FROM STDIN{form}") as c,
        ):
            c.write(b"1\n" * 3)
        filled(link)
        seen = [caught.value.sqlstate, link.info.transaction_status]
        return [*seen, link.execute("SELECT email FROM customers ORDER BY id").fetchall()]

    assert "ada@example.com" in str(same(twins, script))
    for name in (twins.plain, twins.hidden):
        twins.server.psql("TRUNCATE customers RESTART IDENTITY CASCADE", name)
    same(twins, given_up)


def test_notify(twins: Twins) -> None:
    def script(link: Link) -> object:
        link.execute("LISTEN events")
        link.execute("NOTIFY events, 'one'")
        link.execute("SELECT pg_notify('events', 'two'), pg_backend_pid()")
        seen = [(n.channel, n.payload, n.pid == link.info.backend_pid) for n in link.notifies(timeout=10, stop_after=2)]
        heard: list[str] = []
        link.add_notify_handler(lambda notify: heard.append(notify.payload))
        link.execute("NOTIFY events, 'three'")
        filled(link)
        link.execute("UNLISTEN *")
        link.execute("NOTIFY events, 'four'")
        return [seen, heard]

    assert "three" in str(same(twins, script))


def test_tpc(twins: Twins) -> None:
    def script(url: str) -> object:
        link = psycopg.connect(url)
        seen: list[object] = []
        for name in ("kept", "undone", "found"):
            link.tpc_begin(link.xid(7, name, "branch"))
            link.execute(INSERT, (f"{name}@example.com", name, None, None, None, None))
            link.tpc_prepare()
            seen.append(link.info.transaction_status)
            if name == "found":
                link.close()
            else:
                link.tpc_commit() if name == "kept" else link.tpc_rollback()
        with psycopg.connect(url, autocommit=True) as other:
            for xid in other.tpc_recover():
                seen += [xid.gtrid, xid.bqual]
                other.tpc_commit(xid)
            return [seen, other.execute("SELECT email, full_name FROM customers ORDER BY id").fetchall()]

    direct, through = (script(url) for url in twins.urls())
    assert direct == through
    twins.assert_hidden()


def test_prepared(twins: Twins) -> None:
    """The threshold, the least recently used one that goes, DEALLOCATE ALL behind the driver's back, a changed type."""

    def script(link: Link) -> object:
        filled(link)
        link.prepare_threshold, link.prepared_max = 2, 2
        seen: list[object] = []
        for turn in range(5):
            for asked in ("email = %s", "full_name = %s", "email <> %s"):
                rows = link.execute(f"SELECT id, born FROM customers WHERE {asked} ORDER BY id", ("ada@example.com",))
                seen.append(rows.fetchall())
            seen.append(link.execute("SELECT statement FROM pg_prepared_statements ORDER BY statement").fetchall())
            if turn == 3:
                link.execute("DEALLOCATE ALL")
        for value in (1, "1", 1.5, None, date(2020, 1, 1)):
            seen.append(link.execute("SELECT %s", (value,), prepare=True).fetchall())
        return seen

    same(twins, script)


def test_typeinfo(twins: Twins) -> None:
    def script(link: Link) -> object:
        link.execute("DROP TYPE IF EXISTS mood, place, span CASCADE")
        link.execute("DROP DOMAIN IF EXISTS short")
        for statement in OWN.splitlines():
            link.execute(statement.encode())
        filled(link)
        enum, composite = EnumInfo.fetch(link, "mood"), CompositeInfo.fetch(link, "place")
        span = RangeInfo.fetch(link, "span")
        assert enum is not None and composite is not None and span is not None
        composite.register(link)
        for name in ("short", "customers", "text", "nosuch"):
            TypeInfo.fetch(link, name)
        asked = (
            "SELECT ROW('x', '(1,2)')::place, 'ok'::mood, '[1,2)'::span, 'abc'::short, email FROM customers ORDER BY id"
        )
        return [enum.labels, composite.field_names, [str(v) for row in link.execute(asked).fetchall() for v in row]]

    same(twins, script)


def test_cancel(twins: Twins) -> None:
    def script(link: Link) -> object:
        filled(link)
        asked = threading.Timer(0.1, link.cancel_safe)
        asked.start()
        with pytest.raises(psycopg.errors.QueryCanceled) as caught:
            link.execute("SELECT pg_sleep(30), email FROM customers")
        asked.join()
        return [str(caught.value), link.info.transaction_status, link.execute("SELECT email FROM customers").fetchall()]

    same(twins, script)


def test_connection(twins: Twins) -> None:
    def script(link: Link) -> object:
        names = (
            "client_encoding",
            "TimeZone",
            "server_version",
            "application_name",
            "is_superuser",
            "DateStyle",
            "nosuch",
        )
        seen: list[object] = [link.info.parameter_status(name) for name in names]
        seen += [link.info.server_version, link.info.user, link.info.encoding, link.info.transaction_status]
        (pid,) = link.execute("SELECT pg_backend_pid()").fetchone() or (0,)
        seen.append(pid == link.info.backend_pid)
        notices: list[tuple[str | None, str | None]] = []
        link.add_notice_handler(lambda diag: notices.append((diag.severity, diag.message_primary)))
        link.execute("DO $$ BEGIN RAISE NOTICE 'hello'; RAISE WARNING 'there'; END $$")
        link.execute("SET client_encoding TO latin1")
        seen += [notices, link.info.encoding, link.execute("SELECT 'é', %s", ("ñ",)).fetchall()]
        link.execute("RESET ALL")
        link.set_isolation_level(psycopg.IsolationLevel.SERIALIZABLE)
        link.set_read_only(True)
        with link.transaction(), pytest.raises(psycopg.errors.ReadOnlySqlTransaction) as caught, link.transaction():
            link.execute(INSERT, PEOPLE[0])
        seen += [caught.value.diag.message_primary]
        link.set_read_only(None)
        filled(link)
        return seen

    options = {"application_name": "suite", "options": "-c datestyle=german -c timezone=Asia/Tokyo"}
    assert "german" in str(same(twins, script, **options)).lower()


def test_cursor_multiple_statements(twins: Twins) -> None:
    def script(link: Link) -> object:
        filled(link)
        cursor = link.execute(
            "SELECT email FROM customers WHERE id = 1; SELECT 1 WHERE false; UPDATE customers SET note = ''"
        )
        seen: list[object] = []
        while True:
            rows = cursor.fetchall() if cursor.description else None
            seen.append((cursor.statusmessage, cursor.rowcount, rows))
            if not cursor.nextset():
                break
        with pytest.raises(psycopg.errors.DivisionByZero):
            link.execute("UPDATE customers SET full_name = 'Gone'; SELECT 1 / 0")
        return [*seen, link.execute("SELECT full_name FROM customers ORDER BY id").fetchall()]

    assert "UPDATE 3" in str(same(twins, script))


def test_pipeline_aborted_and_nested(twins: Twins) -> None:
    def script(link: Link) -> object:
        filled(link)
        seen: list[object] = []
        with link.pipeline() as outer:
            first = link.execute("SELECT email FROM customers ORDER BY id")
            with link.pipeline(), link.transaction():
                link.execute("UPDATE customers SET full_name = %s WHERE email = %s", ("Nested", "ada@example.com"))
            failing = link.execute("SELECT 1 / %s", (0,))
            for step in (lambda: link.execute("SELECT email FROM customers"), outer.sync):  # whichever sees the answer
                with suppress(psycopg.errors.DivisionByZero, psycopg.errors.PipelineAborted):
                    step()
            with pytest.raises(psycopg.Error):
                failing.fetchall()
            seen.append(first.fetchall())
            seen.append(link.execute("SELECT full_name FROM customers ORDER BY id").fetchall())
        return seen

    assert "Nested" in str(same(twins, script))


def test_async_connections_side_by_side(twins: Twins) -> None:
    async def one(url: str, number: int) -> object:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as link:
            person = (f"p{number}@example.com", f"P {number}", None, None, None, None)
            await link.execute(INSERT, person)
            async with link.transaction(), link.cursor(f"c{number}") as cursor:
                await cursor.execute("SELECT full_name, born FROM customers WHERE email = %s", (person[0],))
                return [row async for row in cursor]

    async def script(url: str) -> object:
        return await asyncio.gather(*[one(url, number) for number in range(12)])

    direct, through = (asyncio.run(script(url)) for url in twins.urls())
    assert direct == through
    twins.assert_hidden()


def ended(action: Callable[[Any], object], link: Link) -> str | None:
    with pytest.raises(psycopg.OperationalError) as caught:
        action(link)
    return caught.value.sqlstate


def test_a_connection_that_the_server_ends(twins: Twins) -> None:
    def script(url: str) -> object:
        with psycopg.connect(url, autocommit=True) as link, psycopg.connect(url, autocommit=True) as other:
            filled(link)
            other.execute("SELECT pg_terminate_backend(%s, 10000)", (link.info.backend_pid,))
            state = ended(lambda one: one.execute("SELECT email FROM customers"), link)
            return [state, link.broken, link.closed]

    direct, through = (script(url) for url in twins.urls())
    assert direct == through == ["57P01", True, True]
