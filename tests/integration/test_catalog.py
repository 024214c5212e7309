"""Reading the catalog of real servers while others work in them."""

import asyncio

import psycopg

from proxy.net.catalog import CatalogReader
from proxy.sql.catalog import Catalog
from tests.kit.servers import Server

DDL = """
CREATE TABLE customers(id int DEFAULT 1, email text DEFAULT 'x');
CREATE FUNCTION mails() RETURNS SETOF text LANGUAGE sql BEGIN ATOMIC SELECT email FROM customers; END;
CREATE FUNCTION all_mails() RETURNS SETOF text LANGUAGE sql BEGIN ATOMIC SELECT * FROM mails(); END;
"""


def read(server: Server, database: str, expressions: bool = False) -> Catalog:
    return asyncio.run(CatalogReader(server.dsn(database), 5).read(database, expressions))


def test_a_transaction_with_open_ddl_does_not_stop_the_reading(pg: Server, database: str) -> None:
    """pg_get_expr (from 17 on) and pg_get_function_sqlbody would wait for its locks, and every link with them."""
    with psycopg.connect(pg.dsn(database)) as other:
        other.execute(DDL)
        other.commit()
        other.execute("LOCK TABLE customers IN ACCESS EXCLUSIVE MODE")
        catalog = read(pg, database)
    assert any(relation.name == "customers" for relation in catalog.relations)


def test_a_parsed_body_names_what_it_reaches(pg: Server, database: str) -> None:
    with pg.connect(database) as connection:
        connection.execute(DDL)
    sources = {function.name: function.source for function in read(pg, database).functions}
    assert "customers" in sources["mails"]
    assert "mails" in sources["all_mails"]


def test_defaults_are_read_where_they_are_asked_for(pg: Server, database: str) -> None:
    with pg.connect(database) as connection:
        connection.execute(DDL)
    for asked, wanted in ((False, None), (True, "'x'::text")):
        table = next(r for r in read(pg, database, asked).relations if r.name == "customers")
        assert [column.default for column in table.columns if column.name == "email"] == [wanted]


TRIGGERS = r"""
CREATE TABLE orders(id int);
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER a BEFORE INSERT ON orders EXECUTE FUNCTION f('one', E'b\\000ä"', 3);
CREATE TRIGGER b BEFORE INSERT ON orders EXECUTE FUNCTION f();
"""


def test_what_triggers_hand_to_their_functions(pg: Server, database: str) -> None:
    with pg.connect(database) as connection:
        connection.execute(TRIGGERS)
        connection.execute("ALTER ROLE CURRENT_USER SET standard_conforming_strings = off")
        try:
            orders = next(r for r in read(pg, database).relations if r.name == "orders")
        finally:
            connection.execute("ALTER ROLE CURRENT_USER RESET standard_conforming_strings")
    assert len(orders.triggers) == 2
    words = orders.arguments.split()
    assert (words[0], words[-1]) == ("one", "3") and words[1].startswith("b\\") and words[1].endswith('ä"')


def test_an_aggregate_names_its_functions(pg: Server, database: str) -> None:
    with pg.connect(database) as connection:
        connection.execute("CREATE FUNCTION step(int, int) RETURNS int LANGUAGE sql AS 'SELECT $1'")
        connection.execute("CREATE AGGREGATE last_of (int) (SFUNC = step, STYPE = int)")
    sources = {function.name: function.source for function in read(pg, database).functions}
    assert "step" in sources["last_of"].split()
