"""PEER-FAILURES 73: what an unqualified name means is for the server to say, however search_path or the role was set.

Each case makes the server find a protected table in a schema that the login's own path does not lead to. The value is
tokenised there, or the statement is refused; it is never stored in clear.
"""

from collections.abc import Iterator

import psycopg
import pytest

from proxy import tokens
from tests.kit.pgveil import Pgveil
from tests.kit.servers import Server, fresh_database

pytestmark = pytest.mark.server

LONG = "s" * 63
SCHEMAS = ("tenant", "my-schema", "Äb", LONG)
POLICY = f"""\
version: 1
classes: {{email: {{kind: email}}}}
protect:
  tenant.customers: {{email: email}}
  my-schema.customers: {{email: email}}
  Äb.customers: {{email: email}}
  {LONG}.customers: {{email: email}}
roles: [{{name: all, match: {{user: "*"}}, access: {{default: reveal}}}}]
"""
SCHEMA = (
    "GRANT tenant TO names_app;"
    + "".join(
        f'CREATE SCHEMA "{name}"; GRANT ALL ON SCHEMA "{name}" TO PUBLIC;'
        f'CREATE TABLE "{name}".customers (id int, email text); GRANT ALL ON "{name}".customers TO PUBLIC;'
        for name in SCHEMAS
    )
    + """
CREATE FUNCTION set_tenant(t text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN PERFORM set_config('search_path', t, false); END $$;
CREATE FUNCTION outer_tenant() RETURNS void LANGUAGE sql AS $$ SELECT set_tenant('tenant') $$;
CREATE PROCEDURE go() LANGUAGE plpgsql AS $$ BEGIN SET search_path TO tenant; END $$;
CREATE TABLE plain (id int);
GRANT ALL ON plain TO PUBLIC;
CREATE FUNCTION settle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM set_config('search_path', 'tenant', false); RETURN NEW; END $$;
CREATE TRIGGER settle BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION settle();
CREATE PROCEDURE act() LANGUAGE plpgsql AS $$ BEGIN SET ROLE tenant; END $$;
"""
)
INSERT = "INSERT INTO customers VALUES (1, 's@cret.de')"
OPTIONS = [
    "-c role=tenant",
    "-c session_authorization=tenant",
    '--search_path="my-schema"',
    "-c search_path=Äb",
    f"-c search_path={LONG}",
    f"-c search_path={LONG}tail",
    "-D -csearch_path=nowhere -csearch_path=tenant",
    "-csearch_path=nowhere -c search_path=tenant",
    "-e -csearch_path=tenant",
]
STATEMENTS = [
    "SET ROLE tenant",
    "SET ROLE 'tenant'",
    "BEGIN; SET LOCAL ROLE tenant",
    "SET search_path TO tenant",
    f"SET search_path TO {LONG}tail",
    'SET search_path TO "Äb"',
    "SET search_path TO Äb",
    "SET SCHEMA 'tenant'",
    "SELECT set_config('search_path', 'ten' || 'ant', false)",
    "SELECT set_config('role', 'tenant', false)",
    "EXPLAIN ANALYZE SELECT set_config('search_path', 'tenant', false)",
    "PREPARE p AS SELECT set_config('search_path', 'tenant', false); EXECUTE p",
    "PREPARE p AS SELECT set_tenant('tenant'); EXECUTE p",
    "BEGIN; DECLARE k CURSOR FOR SELECT set_config('search_path', 'tenant', false); FETCH k",
    "SELECT set_tenant('tenant')",
    "SELECT outer_tenant()",
    "CALL go()",
    "CALL act()",
    "DO $$ BEGIN SET search_path TO tenant; END $$",
    "INSERT INTO public.plain VALUES (1)",
    "WITH x AS (INSERT INTO public.plain VALUES (1) RETURNING id) SELECT id FROM x",
    "UPDATE pg_settings SET setting = 'tenant' WHERE name = 'search_path'",
    "PREPARE p AS SELECT set_config('search_path', 'tenant', false); EXECUTE p",
    "DO $$ BEGIN PERFORM set_tenant('tenant'); END $$",
]


@pytest.fixture(scope="module", params=["15", "18"])
def scene(request: pytest.FixtureRequest) -> Iterator[tuple[Server, str, Pgveil]]:
    server: Server = request.getfixturevalue(f"pg{request.param}")
    server.accounts("names_app", "tenant")
    with fresh_database(server) as name:
        server.psql(SCHEMA, name)
        with Pgveil.before(server, name, {"shop": POLICY}) as pgveil:
            yield server, name, pgveil


def stored(server: Server, name: str) -> list[bytes]:
    """What the tables hold; they are empty afterwards."""
    with server.connect(name) as direct:
        direct.autocommit = True
        found: list[bytes] = []
        for schema in SCHEMAS:
            found += [row[0].encode() for row in direct.execute(f'SELECT email FROM "{schema}".customers'.encode())]
            direct.execute(f'TRUNCATE "{schema}".customers'.encode())
        return found


def written(connection: "psycopg.Connection", *before: str) -> bool:  # type: ignore[type-arg]
    """Whether the value was taken."""
    try:
        for text in (*before, INSERT):
            connection.execute(text.encode())
        connection.commit()
    except psycopg.Error as refused:
        assert refused.sqlstate in ("0A000", "42P01", "42501", "3F000"), refused
        return False
    return True


@pytest.mark.parametrize("options", OPTIONS)
def test_options(scene: tuple[Server, str, Pgveil], options: str) -> None:
    server, name, pgveil = scene
    user = "postgres" if "session_authorization" in options else "names_app"
    with psycopg.connect(pgveil.dsn(name, user=user), options=options) as app:
        written(app)
    assert all(tokens.looks_like(value) for value in stored(server, name))


@pytest.mark.parametrize("params", [{"role": "tenant"}, {"search_path": "tenant"}, {"Search_Path": "tenant"}])
def test_parameters(scene: tuple[Server, str, Pgveil], params: dict[str, str]) -> None:
    """libpq sends what it does not know in options only; asyncpg sends it as it is."""
    import asyncio

    import asyncpg

    server, name, pgveil = scene

    async def insert() -> None:
        link = await asyncpg.connect(
            host="127.0.0.1", port=pgveil.port, user="names_app", database=name, server_settings=params
        )
        try:
            await link.execute(INSERT)
        except asyncpg.PostgresError as refused:
            assert refused.sqlstate in ("0A000", "42P01"), refused
        finally:
            await link.close()

    asyncio.run(insert())
    assert all(tokens.looks_like(value) for value in stored(server, name))


@pytest.mark.parametrize("setting", ["role", "search_path"])
@pytest.mark.parametrize("whose", ["ROLE names_app", "DATABASE {}"])
def test_the_catalogs_settings(scene: tuple[Server, str, Pgveil], setting: str, whose: str) -> None:
    server, name, pgveil = scene
    place = f"ALTER {whose.format(name)}"
    server.psql(f"{place} SET {setting} = tenant", name)
    try:
        pgveil.restart()
        with pgveil.connect(name, "names_app") as app:
            written(app)
        assert all(tokens.looks_like(value) for value in stored(server, name))
    finally:
        server.psql(f"SET ROLE NONE; {place} RESET {setting}", name)
        pgveil.restart()


@pytest.mark.parametrize("statement", STATEMENTS)
def test_statements(scene: tuple[Server, str, Pgveil], statement: str) -> None:
    server, name, pgveil = scene
    for flight in ([statement], ["BEGIN", statement], [statement, "SELECT 1"]):
        with pgveil.connect(name, "names_app") as app:
            app.autocommit = True
            written(app, *flight)
        with pgveil.connect(name, "names_app") as app:
            app.autocommit = True
            written(app, "; ".join([*flight, INSERT]))
        assert all(tokens.looks_like(value) for value in stored(server, name)), flight


def test_the_role_that_is_named_is_followed(scene: tuple[Server, str, Pgveil]) -> None:
    """Not only refused: an application that works in its role's schema works."""
    server, name, pgveil = scene
    with pgveil.connect(name, "names_app") as app:
        app.autocommit = True
        assert written(app, "SET ROLE tenant")
        assert app.execute("SELECT email FROM customers WHERE email = 's@cret.de'").fetchall() == [("s@cret.de",)]
        app.execute("RESET ROLE")
        with pytest.raises(psycopg.errors.UndefinedTable):
            app.execute("SELECT email FROM customers")
    assert len(stored(server, name)) == 1
