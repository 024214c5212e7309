"""Names of databases that stand for another one from one moment to the next, by a statement that no plan is made for:
it comes from a database where nothing is protected."""

import psycopg
import pytest

from proxy import tokens
from tests.kit.pgveil import Pgveil
from tests.kit.servers import Server, fresh_database

pytestmark = pytest.mark.server

POLICY = """\
version: 1
classes: {{email: {{kind: email}}}}
protect:
  {name}.public.customers: {{email: email}}
roles: [{{name: all, match: {{}}, access: {{default: reveal}}}}]
"""
# The columns in another order, and a view that was not there.
NEXT = """
CREATE TABLE public.customers (email text, id int);
CREATE MATERIALIZED VIEW seen AS SELECT email FROM public.customers;
"""
CHANGES = [
    ["DROP DATABASE {name}", "CREATE DATABASE {name} TEMPLATE {name}_next"],
    ["DROP DATABASE {name} WITH (FORCE)", "ALTER DATABASE {name}_next RENAME TO {name}"],
    ["BEGIN", "ALTER DATABASE {name} RENAME TO {name}_was", "ALTER DATABASE {name}_next RENAME TO {name}", "COMMIT"],
]


@pytest.mark.parametrize("statements", CHANGES)
def test_another_database_of_the_same_name(pg: Server, statements: list[str]) -> None:
    with fresh_database(pg) as name:
        pg.psql("CREATE TABLE public.customers (id int, email text)", name)
        pg.psql(f"CREATE DATABASE {name}_next")
        pg.psql(NEXT, f"{name}_next")
        try:
            with Pgveil.before(pg, name, {"own": POLICY.format(name=name)}) as pgveil:
                change_and_write(pgveil, name, [each.format(name=name) for each in statements])
            assert tokens.looks_like(pg.psql("SELECT email FROM customers", name).strip().encode()), "in clear"
        finally:
            for left in (f"{name}_next", f"{name}_was"):
                pg.psql(f"DROP DATABASE IF EXISTS {left}")


def change_and_write(pgveil: Pgveil, name: str, statements: list[str]) -> None:
    with pgveil.connect(name) as app:
        app.execute("INSERT INTO customers VALUES (1, 'a@b.de')")
    with pgveil.connect("postgres") as app:
        for statement in statements:
            app.execute(statement.encode())
    with pgveil.connect(name) as app:
        app.execute("INSERT INTO customers VALUES ('s@cret.de', 2)")
        assert app.execute("SELECT * FROM customers").fetchall() == [("s@cret.de", 2)]
        with pytest.raises(psycopg.errors.FeatureNotSupported, match=r"it reads public\.customers"):
            app.execute("SELECT * FROM seen")
