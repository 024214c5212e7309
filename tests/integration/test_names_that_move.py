"""Names that lead elsewhere than search_path alone says: schemas that a role may not use, tables dropped or moved in
the same transaction, functions behind views, defaults, operators, or made a moment ago.

Three schemas have a table `customers`: `tenant` and `public` have it protected, `open` does not, and `hidden` is one
that the application may not use. A value that is meant for a protected table is never stored in clear in one; and what
went through at all lies where plain PostgreSQL would have put it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from proxy import tokens
from tests.kit.pgveil import Pgveil
from tests.kit.servers import Server, fresh_database

pytestmark = pytest.mark.server

POLICY = """\
version: 1
classes: {email: {kind: email}}
protect:
  tenant.customers: {email: email}
  public.customers: {email: email}
  hidden.members: {email: email}
  future.customers: {email: email}
roles: [{name: all, match: {user: "*"}, access: {default: reveal}}]
"""
SCHEMA = """
CREATE SCHEMA tenant; CREATE SCHEMA open; CREATE SCHEMA hidden; CREATE SCHEMA empty;
GRANT ALL ON SCHEMA tenant, open, public, empty TO PUBLIC;
CREATE TABLE tenant.customers (id int, email text); CREATE TABLE public.customers (id int, email text);
CREATE TABLE open.customers (id int, email text); CREATE TABLE hidden.customers (id int, email text);
CREATE TABLE hidden.members (id int, email text); CREATE TABLE open.members (id int, email text);
CREATE TABLE tenant.members (id int, email text);
CREATE FUNCTION settle() RETURNS int LANGUAGE plpgsql AS $$
BEGIN PERFORM set_config('search_path', 'tenant', false); RETURN 1; END $$;
CREATE FUNCTION settle(text) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN PERFORM set_config('search_path', 'tenant', false); RETURN true; END $$;
CREATE FUNCTION settling() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM set_config('search_path', 'tenant', false); RETURN NEW; END $$;
CREATE FUNCTION renames() RETURNS void LANGUAGE plpgsql AS 'BEGIN ALTER SCHEMA tenant RENAME TO lodger; END';
CREATE FUNCTION hides() RETURNS void LANGUAGE plpgsql AS 'BEGIN REVOKE ALL ON SCHEMA open FROM PUBLIC; END';
CREATE FUNCTION named_settle(text, text, bool) RETURNS text LANGUAGE internal AS 'set_config_by_name';
CREATE TABLE behind_truncate (id int);
CREATE FUNCTION on_truncate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM settle(); RETURN NULL; END $$;
CREATE TRIGGER t BEFORE TRUNCATE ON behind_truncate EXECUTE FUNCTION on_truncate();
CREATE VIEW behind_view AS SELECT settle() AS x;
CREATE VIEW behind_two AS SELECT * FROM behind_view;
CREATE TABLE behind_default (id int DEFAULT settle(), note text);
CREATE TABLE behind_check (id int, note text CHECK (settle(note)));
CREATE TABLE behind_policy (id int, note text); INSERT INTO behind_policy VALUES (1, 'x');
ALTER TABLE behind_policy ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON behind_policy USING (settle(note));
CREATE TABLE behind_rule (id int); CREATE RULE r AS ON INSERT TO behind_rule DO ALSO SELECT settle();
CREATE TABLE behind_parent (id int) PARTITION BY LIST (id);
CREATE TABLE behind_part PARTITION OF behind_parent FOR VALUES IN (1);
CREATE TRIGGER t BEFORE INSERT ON behind_part FOR EACH ROW EXECUTE FUNCTION settling();
CREATE TABLE behind_key (id int PRIMARY KEY); INSERT INTO behind_key VALUES (1);
CREATE TABLE behind_reference (id int REFERENCES behind_key ON DELETE CASCADE); INSERT INTO behind_reference VALUES (1);
CREATE TRIGGER t AFTER DELETE ON behind_reference FOR EACH ROW EXECUTE FUNCTION settling();
CREATE VIEW behind_writes AS SELECT id FROM behind_part;
CREATE FUNCTION through_table() RETURNS void LANGUAGE sql AS 'INSERT INTO behind_default (note) VALUES (1)';
CREATE FUNCTION step(int, int) RETURNS int LANGUAGE sql AS 'SELECT settle()';
CREATE AGGREGATE behind_aggregate (int) (SFUNC = step, STYPE = int, INITCOND = '0');
GRANT ALL ON ALL TABLES IN SCHEMA public, tenant, open TO PUBLIC;
"""
INSERT = "INSERT INTO customers VALUES (1, 's@cret.de')"
MEMBER = "INSERT INTO members VALUES (1, 's@cret.de')"
COPIES = count(1)
PROTECTED = ("tenant.customers", "public.customers", "hidden.members")
OWNED = """
GRANT moves_group, moves_other TO moves_app;
ALTER TABLE open.customers OWNER TO moves_app; ALTER TABLE tenant.customers OWNER TO moves_app;
ALTER SCHEMA open OWNER TO moves_app; ALTER SCHEMA tenant OWNER TO moves_app;
"""


@dataclass
class Scene:
    server: Server
    template: str
    pgveil: Pgveil
    protected: frozenset[int]  # OIDs, which a copy of the database keeps

    @contextmanager
    def database(self, sql: str = "") -> Iterator[str]:
        """A copy of its own, with more in it."""
        name = f"{self.template}_{next(COPIES)}"  # pgveil keeps what it knows of a name
        self.server.psql(f"CREATE DATABASE {name} TEMPLATE {self.template}")
        try:
            self.server.psql(f"GRANT CREATE ON DATABASE {name} TO moves_app; {sql}", name)
            yield name
        finally:
            self.server.psql(f"DROP DATABASE {name} WITH (FORCE)")

    def run(self, database: str, texts: list[str], user: str = "moves_app") -> str:
        """'', or the SQLSTATE of the refusal; what is open then is committed all the same."""
        with self.pgveil.connect(database, user) as app:
            app.autocommit = True
            try:
                for text in texts:
                    app.execute(text.encode())
            except psycopg.Error as refused:
                return refused.sqlstate or "?"
            finally:
                if app.info.transaction_status == TransactionStatus.INTRANS:
                    app.execute(b"COMMIT")
        return ""

    def lies(self, database: str) -> list[str]:
        """Values in clear in protected tables, whatever they are called by now, and tokens in others."""
        wrong = []
        with self.server.connect(database) as direct:
            query = (
                b"SELECT c.oid, c.oid::regclass::text FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid"
                b" WHERE attname = 'email' AND relkind = 'r'"
            )
            for oid, table in direct.execute(query).fetchall():
                for (value,) in direct.execute(f"SELECT email FROM {table}".encode()).fetchall():
                    if tokens.looks_like(value.encode()) != (oid in self.protected):
                        wrong.append(table)
        return wrong


@pytest.fixture(scope="module", params=["15", "18"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    server: Server = request.getfixturevalue(f"pg{request.param}")
    server.accounts("moves_app", "moves_group", "moves_other")
    with fresh_database(server) as name:
        server.psql(SCHEMA + OWNED, name)
        oids = server.psql("".join(f"SELECT '{table}'::regclass::oid;" for table in PROTECTED), name).split()
        with Pgveil.before(server, name, {"shop": POLICY}) as pgveil:
            yield Scene(server, name, pgveil, frozenset(map(int, oids)))


def refused(code: str) -> bool:
    return code in ("0A000", "42P01", "42501", "3F000", "2BP01", "25P02", "55000")


# ---- schemas that the role may not use


SKIPPED = ("hidden, tenant", "hidden, public", '"$user", hidden, tenant', "nowhere, hidden, tenant")


@pytest.mark.parametrize("path", SKIPPED)
def test_schemas_without_usage_are_skipped(scene: Scene, path: str) -> None:
    """`hidden.customers` is not protected, and the role may not look into `hidden`."""
    with scene.database() as name:
        assert scene.run(name, [f"SET search_path TO {path}", INSERT]) == ""
        assert scene.lies(name) == []


def test_a_protected_table_behind_a_closed_schema_is_not_meant(scene: Scene) -> None:
    with scene.database() as name:
        assert scene.run(name, ["SET search_path TO hidden, open", MEMBER]) == ""
        assert scene.server.psql("SELECT email FROM open.members", name).strip() == "s@cret.de"
        assert scene.lies(name) == []


def test_a_schema_that_is_not_there_yet_is_not_created_in(scene: Scene) -> None:
    """The policy waits for future.customers; the server makes the table in `empty`, where nothing is protected."""
    with scene.database() as name:
        create = "CREATE TABLE customers (id int, email text)"
        assert refused(scene.run(name, ["SET search_path TO future, empty", "BEGIN", create, INSERT]))
        assert scene.lies(name) == []
        texts = ["CREATE SCHEMA future", "SET LOCAL search_path TO future, empty", create, INSERT]
        for begin in (["BEGIN"], []):
            assert scene.run(name, [*begin, "; ".join(texts[:2]), *texts[2:]] if not begin else ["BEGIN", *texts]) in (
                "", "42P06", "42P07",
            )  # fmt: skip
        where = "SELECT count(*) FROM future.customers WHERE length(email) = 36"
        assert scene.server.psql(where, name).strip() == "1"


GRANTS: list[tuple[str, list[str]]] = [
    ("GRANT USAGE ON SCHEMA hidden TO moves_app", []),
    ("GRANT USAGE ON SCHEMA hidden TO PUBLIC", []),
    ("GRANT USAGE ON SCHEMA hidden TO moves_group", []),
    ("GRANT USAGE ON SCHEMA hidden TO moves_other", ["SET ROLE moves_other"]),
    ("GRANT USAGE ON SCHEMA hidden TO moves_other", ["BEGIN", "SET LOCAL ROLE moves_other"]),
    ("GRANT pg_read_all_data TO moves_app", []),
]


@pytest.mark.parametrize(("grant", "before"), GRANTS)
def test_who_may_use_a_schema_is_read_with_the_catalog(scene: Scene, grant: str, before: list[str]) -> None:
    """Direct grants, PUBLIC's, those of groups, of the role in force: then hidden.members is the protected one."""
    try:
        with scene.database(f"GRANT ALL ON hidden.members TO PUBLIC; {grant}") as name:
            assert scene.run(name, [*before, "SET search_path TO hidden, open", MEMBER]) == ""
            assert scene.server.psql("SELECT count(*) FROM hidden.members", name).strip() == "1"
            assert scene.lies(name) == []
    finally:
        scene.server.psql("REVOKE pg_read_all_data FROM moves_app")


def test_the_role_in_force_is_what_counts(scene: Scene) -> None:
    """moves_app may use `hidden` through a grant of its own, moves_other may not."""
    sql = "GRANT ALL ON hidden.members TO PUBLIC; GRANT USAGE ON SCHEMA hidden TO moves_app"
    with scene.database(sql) as name:
        assert scene.run(name, ["SET search_path TO hidden, open", "SET ROLE moves_other", MEMBER]) == ""
        assert scene.server.psql("SELECT email FROM open.members", name).strip() == "s@cret.de"
        assert scene.run(name, ["SET ROLE moves_other", "SET search_path TO hidden, open", "RESET ROLE", MEMBER]) == ""
        assert scene.server.psql("SELECT count(*) FROM hidden.members", name).strip() == "1"
        assert scene.lies(name) == []


# ---- what the same transaction, or the statement before, did

MOVING: list[list[str]] = [
    ["DROP TABLE open.customers"],
    ["DROP TABLE customers"],
    ["DROP SCHEMA open CASCADE"],
    ["ALTER TABLE open.customers RENAME TO old"],
    ["ALTER TABLE open.customers SET SCHEMA empty"],
    ["ALTER SCHEMA open RENAME TO shut"],
    ["REVOKE ALL ON SCHEMA open FROM PUBLIC, moves_app"],
    ["ALTER SCHEMA open OWNER TO moves_other", "REVOKE ALL ON SCHEMA open FROM PUBLIC"],
    ["SAVEPOINT s", "DROP TABLE open.customers", "SAVEPOINT t", "ROLLBACK TO t"],
    ["SAVEPOINT s", "DROP TABLE open.customers", "ROLLBACK TO s"],
    ["SELECT public.hides()"],
    ["DO $$ BEGIN REVOKE ALL ON SCHEMA open FROM PUBLIC, moves_app; END $$"],
    ["DO $$ BEGIN ALTER SCHEMA open RENAME TO shut; END $$"],
    ["DROP OWNED BY moves_app"],
    ["CREATE TABLE empty.customers (id int, email text)", "SET search_path TO empty, tenant"],
    ["CREATE VIEW empty.customers AS SELECT 1 AS id, 'x'::text AS email", "SET search_path TO empty, tenant"],
    ["SELECT 1 AS id, 'x'::text AS email INTO empty.customers", "SET search_path TO empty, tenant"],
    ["CREATE TABLE empty.customers AS SELECT 1 AS id, 'x'::text AS email", "SET search_path TO empty, tenant"],
    ["SET search_path TO hidden, tenant", "SET ROLE postgres"],
]


@pytest.mark.parametrize("moving", MOVING, ids=lambda texts: texts[-2 if len(texts) > 1 else -1])
def test_what_a_transaction_moves_is_not_mistaken(scene: Scene, moving: list[str]) -> None:
    """open.customers hides tenant.customers on the path, until the transaction takes it away."""
    first = "SET search_path TO open, tenant"
    begun = any(text.startswith("SAVEPOINT") for text in moving)
    for flight in ([first, "BEGIN", *moving, INSERT], [first, *moving, INSERT], ["; ".join([first, *moving, INSERT])]):
        if begun and flight[1:2] != ["BEGIN"]:
            continue
        with scene.database() as name:
            code = scene.run(name, flight)
            assert not code or refused(code), (flight, code)
            assert scene.lies(name) == [], flight


RENAMED = "INSERT INTO lodger.customers VALUES (1, 's@cret.de')"


@pytest.mark.parametrize(
    "rename",
    [
        "ALTER SCHEMA tenant RENAME TO lodger",
        "SELECT public.renames()",
        "DO $$ BEGIN ALTER SCHEMA tenant RENAME TO lodger; END $$",
        "DO $$ BEGIN PERFORM renames(); END $$",
    ],
)
def test_a_schema_that_is_renamed_takes_its_tables_along(scene: Scene, rename: str) -> None:
    """By hand, in a function, in DO: the protected table is lodger.customers then, which no rule names."""
    for flight in (["BEGIN", rename, RENAMED], ["; ".join([rename, RENAMED])]):
        with scene.database() as name:
            assert refused(scene.run(name, flight)), flight
            assert scene.lies(name) == []


def test_a_migration_makes_schema_and_table_in_one_transaction(scene: Scene) -> None:
    """Not only refused: what tools do works, in one transaction and in one text."""
    texts = [
        "BEGIN", "CREATE SCHEMA future", "GRANT USAGE ON SCHEMA future TO PUBLIC", "SET LOCAL search_path TO future",
        "CREATE TABLE customers (id int, email text)", INSERT, "COMMIT",
    ]  # fmt: skip
    for flight in (texts, ["; ".join(texts)]):
        with scene.database() as name:
            assert scene.run(name, flight) == ""
            assert scene.server.psql("SELECT count(*) FROM future.customers WHERE length(email) = 36", name) == "1\n"
            more = ["BEGIN", "DROP TABLE tenant.customers", "CREATE TABLE tenant.customers (id int, email text)",
                    "INSERT INTO tenant.customers VALUES (1, 's@cret.de')"]  # fmt: skip
            assert scene.run(name, more) == ""
            assert scene.server.psql("SELECT count(*) FROM tenant.customers WHERE length(email) = 36", name) == "1\n"


# ---- functions that set search_path, behind something

BEHIND = [
    "SELECT * FROM behind_view",
    "SELECT * FROM behind_two",
    "INSERT INTO behind_default (note) VALUES ('x')",
    "INSERT INTO behind_check VALUES (1, 'x')",
    "SELECT * FROM behind_policy",
    "UPDATE behind_policy SET note = 'y'",
    "INSERT INTO behind_rule VALUES (1)",
    "INSERT INTO behind_parent VALUES (1)",
    "INSERT INTO behind_part VALUES (1)",
    "INSERT INTO behind_writes VALUES (1)",
    "COPY behind_part FROM STDIN",
    "COPY behind_parent FROM STDIN",
    "DELETE FROM behind_key",
    "TRUNCATE behind_truncate",
    "SELECT through_table()",
    "SELECT behind_aggregate(1)",
    "SELECT named_settle('search_path', 'tenant', false)",
    "SELECT x FROM (SELECT 1) s (x) WHERE EXISTS (SELECT FROM behind_view)",
    "CREATE TABLE made AS SELECT * FROM behind_view",
    "PREPARE p AS SELECT * FROM behind_view; EXECUTE p",
    "BEGIN; DECLARE k CURSOR FOR SELECT * FROM behind_view; FETCH k; COMMIT",
    "EXPLAIN ANALYZE SELECT * FROM behind_view",
]


@pytest.mark.parametrize("statement", BEHIND)
def test_functions_that_set_the_path_unseen(scene: Scene, statement: str) -> None:
    with scene.database() as name, scene.pgveil.connect(name, "moves_app") as app:
        app.autocommit = True
        try:
            app.execute("SET search_path TO open, public")  # customers is not protected there
            if statement.startswith("COPY"):
                with app.cursor().copy(statement.encode()) as copy:
                    copy.write(b"1\n")
            else:
                for text in statement.split("; "):
                    app.execute(text.encode())
            app.execute(INSERT.encode())
        except psycopg.Error as why:
            assert refused(why.sqlstate or ""), why
        assert scene.lies(name) == []


IMPLICIT = [
    ("CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = step)", "SELECT 1 === 2"),
    ("CREATE TYPE box2 AS (a int); CREATE FUNCTION cast_it(box2) RETURNS int LANGUAGE sql AS 'SELECT settle()';"
     "CREATE CAST (box2 AS int) WITH FUNCTION cast_it(box2)", "SELECT ROW(1)::box2::int"),
    ("CREATE DOMAIN noted AS text CHECK (settle(VALUE))", "SELECT 'x'::noted"),
    ("CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM settle(); END';"
     "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION on_ddl()",
     "CREATE TABLE IF NOT EXISTS some_table (id int)"),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "statement"), IMPLICIT)
def test_functions_that_set_the_path_without_a_name(scene: Scene, sql: str, statement: str) -> None:
    with scene.database(sql) as name:
        for last in (INSERT, "INSERT INTO public.customers VALUES (1, 's@cret.de')"):
            code = scene.run(name, ["SET search_path TO open, public", statement, last])
            assert not code or (refused(code) and "public." not in last), code
            assert scene.lies(name) == []


# ---- functions made a moment ago

BUILDER = "CREATE FUNCTION {name}() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE {text}; RETURN 1; END $$"
WRITES = "'INSERT INTO tenant.cus' || 'tomers VALUES (1, ''s@cret.de'')'"
SETS = "CREATE FUNCTION fresh() RETURNS int LANGUAGE plpgsql AS $$ BEGIN SET search_path TO tenant; RETURN 1; END $$"
MADE = [
    ([BUILDER.format(name="fresh", text=WRITES)], "SELECT fresh()"),
    ([BUILDER.format(name="fresh", text=WRITES)], "SELECT public.fresh()"),
    ([BUILDER.format(name="fresh", text=WRITES), "CREATE FUNCTION two() RETURNS int LANGUAGE sql AS 'SELECT fresh()'"],
     "SELECT two()"),
    ([BUILDER.format(name="fresh", text=WRITES), "ALTER FUNCTION fresh() RENAME TO other"], "SELECT other()"),
    ([BUILDER.format(name="fresh", text=WRITES), "ALTER FUNCTION fresh() SET SCHEMA empty"], "SELECT empty.fresh()"),
    ([BUILDER.format(name="fresh", text=WRITES), "CREATE VIEW seen AS SELECT fresh()"], "SELECT * FROM seen"),
    (["SAVEPOINT s", BUILDER.format(name="fresh", text=WRITES), "SAVEPOINT t", "ROLLBACK TO t"], "SELECT fresh()"),
    ([BUILDER.format(name="fresh", text=WRITES), "CREATE TABLE d (a int DEFAULT fresh(), b int)"],
     "INSERT INTO d (b) VALUES (1)"),
    ([SETS], "SELECT fresh()"),
    ([SETS, "CREATE VIEW seen AS SELECT fresh()"], "SELECT * FROM seen"),
    ([SETS, "CREATE TABLE d (a int DEFAULT fresh(), b int)"], "INSERT INTO d (b) VALUES (1)"),
    ([SETS, "CREATE FUNCTION two() RETURNS int LANGUAGE sql AS 'SELECT fresh()'"], "SELECT two()"),
    ([SETS, "ALTER FUNCTION fresh() RENAME TO other"], "SELECT other()"),
    ([SETS, "CREATE FUNCTION two(int, int) RETURNS int LANGUAGE sql AS 'SELECT fresh()'",
      "CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = two)"], "SELECT 1 === 2"),
    ([SETS, "CREATE FUNCTION two(int, int) RETURNS int LANGUAGE sql AS 'SELECT fresh()'",
      "CREATE AGGREGATE three (int) (SFUNC = two, STYPE = int, INITCOND = '0')"], "SELECT three(1)"),
    ([SETS, "CREATE FUNCTION tr() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM fresh(); RETURN NEW; END'",
      "CREATE TABLE d (a int)", "CREATE TRIGGER t BEFORE INSERT ON d FOR EACH ROW EXECUTE FUNCTION tr()"],
     "INSERT INTO d VALUES (1)"),
    (["DO $$ BEGIN CREATE FUNCTION fresh() RETURNS int LANGUAGE plpgsql AS "
      "'BEGIN SET search_path TO tenant; RETURN 1; END'; END $$"], "SELECT fresh()"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "call"), MADE)
def test_functions_made_in_the_same_transaction(scene: Scene, before: list[str], call: str) -> None:
    for flight in (["BEGIN", *before, "SET search_path TO open, public", call, INSERT],
                   ["; ".join([*before, "SET search_path TO open, public", call, INSERT])]):  # fmt: skip
        if "SAVEPOINT s" in before and flight[0] != "BEGIN":
            continue
        with scene.database("GRANT CREATE ON SCHEMA public TO PUBLIC") as name:
            code = scene.run(name, flight)
            assert not code or refused(code), (flight, code)
            assert scene.lies(name) == [], flight


# ---- partitions

PARTED = """
CREATE TABLE {table} (id int, email text) PARTITION BY LIST (email); GRANT ALL ON {table} TO PUBLIC;
CREATE TABLE empty.leaf (id int, email text); ALTER TABLE {table} OWNER TO moves_app;
ALTER TABLE empty.leaf OWNER TO moves_app
"""


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE tenant.one PARTITION OF tenant.customers FOR VALUES IN ('s@cret.de')",
        "ALTER TABLE tenant.customers ATTACH PARTITION empty.leaf FOR VALUES IN ('s@cret.de')",
        "SELECT * FROM tenant.customers",
    ],
)
def test_bounds_of_partitions_are_values(scene: Scene, statement: str) -> None:
    sql = "DROP TABLE tenant.customers;" + PARTED.format(table="tenant.customers")
    with scene.database(sql) as name, scene.pgveil.connect(name, "moves_app") as app:
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="partitioned by LIST"):
            app.execute(statement.encode())
        bounds = "SELECT string_agg(pg_get_expr(relpartbound, oid), '') FROM pg_class"
        assert "cret" not in scene.server.psql(bounds, name)
