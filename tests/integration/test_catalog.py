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


VIEWS = r"""
CREATE VIEW mails AS SELECT email || ' \ ' AS m FROM customers;
CREATE VIEW other AS SELECT 1 AS one;
CREATE VIEW above AS SELECT m FROM mails;
ALTER VIEW above ALTER COLUMN m SET DEFAULT 'x';
CREATE RULE r AS ON INSERT TO mails DO INSTEAD NOTHING;
"""


def test_views_over_what_the_policy_names_come_with_their_definitions(pg: Server, database: str) -> None:
    """Unless another transaction holds what they read."""
    reader = CatalogReader(pg.dsn(database), 5)
    with pg.connect(database) as other:
        other.execute(DDL + VIEWS)
        other.execute("ALTER ROLE CURRENT_USER SET standard_conforming_strings = off")
        try:
            catalog = asyncio.run(reader.read(database, tables={("public", "customers")}))
        finally:
            other.execute("ALTER ROLE CURRENT_USER RESET standard_conforming_strings")
        views = {relation.name: relation for relation in catalog.relations if relation.schema == "public"}
        assert "email || ' \\ '::text) AS m\n   FROM public.customers;" in views["mails"].definition
        assert views["above"].definition.endswith("FROM public.mails;")
        assert [views[name].diverts for name in ("mails", "above", "other", "customers")] == [True, True, False, False]
        assert views["other"].definition == ""
        other.execute("BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE")
        catalog = asyncio.run(reader.read(database, tables={("public", "customers")}))
        assert all(relation.definition == "" for relation in catalog.relations)


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


ROLES = """
CREATE ROLE rights_group; CREATE ROLE rights_one; CREATE ROLE rights_two NOINHERIT; CREATE ROLE rights_three;
CREATE ROLE rights_super SUPERUSER; CREATE ROLE rights_reader; CREATE ROLE rights_owner;
CREATE ROLE rights_below IN ROLE rights_owner; CREATE ROLE rights_aside NOINHERIT IN ROLE rights_owner;
GRANT pg_read_all_data TO rights_reader; GRANT rights_group TO rights_one, rights_two;
GRANT rights_one, rights_super TO rights_three;
CREATE SCHEMA a; CREATE SCHEMA b AUTHORIZATION rights_group; CREATE SCHEMA c AUTHORIZATION rights_three;
REVOKE ALL ON SCHEMA c FROM rights_three; CREATE SCHEMA d; GRANT USAGE ON SCHEMA d TO PUBLIC;
GRANT CREATE ON SCHEMA a TO rights_one; GRANT USAGE ON SCHEMA a TO rights_one;
REVOKE USAGE ON SCHEMA public FROM PUBLIC;
"""
ENDS = ("group", "one", "two", "three", "super", "reader", "owner", "below", "aside")
NAMES = ", ".join(f"rights_{end}" for end in ENDS)
ASKED = (
    "SELECT r.rolname, n.nspname, has_schema_privilege(r.oid, n.oid, 'USAGE') FROM pg_roles r, pg_namespace n"
    " WHERE n.nspname !~ '^pg_(temp|toast)'"
)


def test_who_may_use_which_schema_is_what_the_server_says(pg: Server, database: str) -> None:
    """Through grants, groups with and without INHERIT, the database's owner, roles that may use all."""
    with pg.connect(database) as connection:
        connection.execute(ROLES.encode())
        try:
            connection.execute(f"ALTER DATABASE {database} OWNER TO rights_owner".encode())
            found = read(pg, database).schemas
            for role, schema, usable in connection.execute(ASKED.encode()).fetchall():
                assert (schema in found.roles[role]) is usable, (role, schema)
        finally:
            connection.execute(f"ALTER DATABASE {database} OWNER TO postgres".encode())
            connection.execute(f"DROP OWNED BY {NAMES}".encode())
            connection.execute(f"DROP ROLE {NAMES}".encode())
