"""Names that are not there: the server's own words, and nothing that another made in the meantime is missed."""

from collections.abc import Iterator
from typing import Any, cast

import psycopg
import pytest

from tests.kit.pgveil import Pgveil
from tests.kit.servers import Server, fresh_database

pytestmark = pytest.mark.server

POLICY = """\
version: 1
classes: {email: {kind: email}}
protect: {public.customers: {email: email, nick: email}, public.later: {email: email}}
roles: [{name: all, match: {user: "*"}, access: {default: reveal}}]
"""
SCHEMA = """\
CREATE TABLE customers (id int PRIMARY KEY, email text, note text, nick text);
CREATE TABLE orders (id int, email text, place int);
"""
STATEMENTS = [
    "select nosuch from customers",
    "select c.nosuch from customers c",
    "select public.customers.nosuch from customers",
    "select email from customers where nosuch = 'a'",
    "select 'éé', nosuch from customers where email = 'a'",
    "select email from customers order by nosuch",
    "select email from customers group by nosuch",
    "select t.nosuch from (select email from customers) t",
    "select nosuch from (select email from customers) t",
    "with x as (select email from customers) select nosuch from x",
    "select (select nosuch from orders) from customers",
    "select 1 from customers join orders using (nosuch)",
    "select 1 from customers join orders using (nick)",
    "select 1 from orders join customers using (nick)",
    "select x.email from customers",
    "select x.y.email from customers",
    "select x.* from customers",
    "select customers.email from customers c",
    "select nosuch.email from customers, orders",
    "insert into customers (nosuch) values ('a')",
    "insert into customers (id, email, nosuch) values (1, 'ä', 'a')",
    "insert into customers (id) values (1) on conflict (nosuch) do nothing",
    "insert into customers (id) values (1) on conflict (id) do update set nosuch = 1",
    "insert into customers (id) values (1) on conflict (id) do update set email = excluded.nosuch",
    "insert into customers (id) values (1) returning nosuch",
    "update customers set nosuch = 'a'",
    "update customers set (email, nosuch) = ('a', 'b')",
    "update customers set email = 'a' where nosuch = 1",
    "delete from customers where nosuch = 1",
    "select * from later",
    "select email from public.later where email = 'a'",
    "insert into later (email) values ('a')",
    "update later set email = 'a'",
    "delete from customers using later where later.email = customers.email",
]


def told(connection: "psycopg.Connection[Any]", sql: str, simple: bool) -> tuple[str | None, ...]:
    with pytest.raises(psycopg.Error) as caught:
        if simple:
            connection.execute(cast("Any", sql))
        else:
            connection.execute(cast("Any", sql), (), prepare=True)
    diag = caught.value.diag
    return diag.severity, diag.sqlstate, diag.message_primary, diag.message_hint, diag.statement_position


@pytest.fixture(scope="module", params=["15", "18"])
def scene(request: pytest.FixtureRequest) -> Iterator[tuple[Server, str, Pgveil]]:
    server: Server = request.getfixturevalue(f"pg{request.param}")
    with fresh_database(server) as name:
        server.psql(SCHEMA, name)
        with Pgveil.before(server, name, {"people": POLICY}) as pgveil:
            yield server, name, pgveil


@pytest.mark.parametrize("simple", [True, False], ids=["simple", "extended"])
def test_the_servers_own_words(scene: tuple[Server, str, Pgveil], simple: bool) -> None:
    server, name, pgveil = scene
    with server.connect(name) as direct, pgveil.connect(name) as through:
        direct.autocommit = through.autocommit = True
        expected = {sql: told(direct, sql, simple) for sql in STATEMENTS}
        assert {sql: told(through, sql, simple) for sql in STATEMENTS} == expected


def test_nothing_of_a_refused_statement_goes_to_the_server(scene: tuple[Server, str, Pgveil]) -> None:
    _, name, pgveil = scene
    with pgveil.connect(name) as app:
        told(app, "insert into customers (emial) values ('canary@example.com')", True)
        seen = app.execute("SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()").fetchone()
        assert seen is not None and "canary" not in seen[0]


def test_what_another_made_in_the_meantime_is_found(scene: tuple[Server, str, Pgveil]) -> None:
    server, name, pgveil = scene
    with pgveil.connect(name) as app:
        app.autocommit = True
        told(app, "select age from customers", True)
        server.psql("ALTER TABLE customers ADD age int", name)
        assert app.execute("select age, email from customers").fetchall() == []
        app.execute("insert into customers (id, age, email) values (1, 7, 'a@example.com')")
        told(app, "select email from later", True)
        server.psql("CREATE TABLE later (id int, email text)", name)
        app.execute("insert into later (email) values ('a@example.com')")
        assert app.execute("select email from later").fetchall() == [("a@example.com",)]
        server.psql("ALTER TABLE customers DROP age; DROP TABLE later; DELETE FROM customers", name)
        assert told(app, "select age from customers", True)[1] == "42703"
