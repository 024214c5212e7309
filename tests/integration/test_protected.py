"""Protected columns beside a plaintext twin: what a client can see is the same, on the wire and in its driver."""

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from proxy import tokens
from tests.kit.differ import WAYS, Pair, Param, Way, outcomes
from tests.kit.pgveil import Pgveil
from tests.kit.servers import Server, fresh_database

pytestmark = pytest.mark.server

LONG_NAME = ("a_long_name_" * 6)[:63]
POLICY = f"""\
version: 1
classes:
  text: {{kind: text}}
  other: {{kind: text}}
  born: {{kind: date}}
  mail: {{kind: email}}
protect:
  public.kinds:
    t: text
    v: {{class: text, type: varchar(60)}}
    c: {{class: other, type: char(40)}}
    u: {{class: other, type: uuid}}
  public.facades:
    d: {{class: born, type: date}}
    i: {{class: other, type: integer}}
    n: {{class: other, type: "numeric(10,2)"}}
    ts: {{class: other, type: timestamptz}}
    u: {{class: other, type: uuid}}
    s: {{class: other, type: varchar(5)}}
  public.inner:
    d: {{class: born, type: date}}
    i: {{class: other, type: integer}}
  public."Mixed Case": {{"E-Mail": mail, {LONG_NAME}: text}}
  public.parents: {{mail: mail}}
  public.children: {{mail: mail}}
roles:
  - {{name: all, match: {{user: postgres}}, access: {{default: reveal}}}}
"""
PLAIN = f"""\
CREATE TABLE kinds (id int PRIMARY KEY, t text, v varchar(60), c char(40), u uuid);
CREATE TABLE facades (id int PRIMARY KEY, d date, i integer, n numeric(10,2), ts timestamptz, u uuid, s varchar(5));
CREATE TABLE inner_ (id int PRIMARY KEY, d date, i integer);
CREATE TABLE "Mixed Case" ("Id" int PRIMARY KEY, "E-Mail" text, {LONG_NAME} text);
CREATE TABLE parents (mail text PRIMARY KEY);
CREATE TABLE children (id int PRIMARY KEY, mail text REFERENCES parents ON DELETE CASCADE ON UPDATE CASCADE);
""".replace("inner_", '"inner"')
TOKENS = f"""\
CREATE TABLE kinds (id int PRIMARY KEY, t text, v varchar(60), c char(40), u uuid);
CREATE TABLE facades (id int PRIMARY KEY, d text, i text, n text, ts varchar(36), u text, s varchar(40));
CREATE TABLE inner_ (id int PRIMARY KEY, d uuid, i uuid);
CREATE TABLE "Mixed Case" ("Id" int PRIMARY KEY, "E-Mail" text, {LONG_NAME} text);
CREATE TABLE parents (mail text PRIMARY KEY);
CREATE TABLE children (id int PRIMARY KEY, mail text REFERENCES parents ON DELETE CASCADE ON UPDATE CASCADE);
""".replace("inner_", '"inner"')
SOMEONE = "0191d5c8-7a3e-7c1a-8f00-000000000001"


@pytest.fixture(scope="module")
def twins(pg: Server) -> Iterator[tuple[str, str]]:
    with fresh_database(pg) as plain, fresh_database(pg) as hidden:
        pg.psql(PLAIN, plain)
        pg.psql(TOKENS, hidden)
        yield plain, hidden


@pytest.fixture(scope="module")
def pgveil(pg: Server, twins: tuple[str, str]) -> Iterator[Pgveil]:
    with Pgveil.before(pg, twins[1], {"kinds": POLICY}) as running:
        yield running


@pytest.fixture
def differ(pg: Server, pgveil: Pgveil, twins: tuple[str, str]) -> Iterator[Pair]:
    """Empty tables on both sides."""
    empty = 'TRUNCATE kinds, facades, "inner", "Mixed Case", parents, children'
    for name in twins:
        pg.psql(empty, name)
    pair = Pair(pg.connect(twins[0]), pgveil.connect(twins[1]))
    yield pair
    pair.close()


def same(differ: Pair, sql: str, params: tuple[Param, ...] = (), ways: tuple[Way, ...] | None = None) -> None:
    """Equal, and no refusal, in every way (a statement that writes: give one)."""
    for way in ways or (WAYS[1:] if params else WAYS):
        step = differ.step(sql, params, way)
        assert step.verdict == "equal", str(step)


def both(differ: Pair, sql: str) -> None:
    for connection in (differ.direct, differ.through):
        connection.execute(sql.encode())


def hidden(server: Server, database: str, sql: str) -> None:
    """Every value of the query, asked of the database itself, is a token or NULL."""
    with server.connect(database) as direct:
        for row in direct.execute(sql.encode()).fetchall():
            assert all(v is None or tokens.looks_like(str(v).strip().encode()) for v in row)


# ---- types


KINDS = f"""INSERT INTO kinds VALUES
    (1, 'x', 'varchar', 'char', '{SOMEONE}'), (2, '', '', '', NULL), (3, NULL, NULL, NULL, NULL),
    (4, 'trailing  ', 'trailing  ', 'trailing  ', '{SOMEONE.upper()}'),
    (5, E'\\\\ \\'"\\t\\n', 'Zoë 😀', 'Zoë', '{{{SOMEONE}}}')"""


def test_column_types(differ: Pair, pg: Server, twins: tuple[str, str]) -> None:
    same(differ, KINDS, ways=("simple",))
    for asked in ("t", "v", "c", "u", "*", "id, c, t"):
        same(differ, f"SELECT {asked} FROM kinds ORDER BY id")
    hidden(pg, twins[1], "SELECT t, v, c, u FROM kinds")


@pytest.mark.parametrize(
    "column, value", [("t", "x"), ("v", "varchar"), ("c", "char"), ("c", "char   "), ("u", SOMEONE)]
)
def test_equality_is_the_types(differ: Pair, column: str, value: str) -> None:
    same(differ, KINDS, ways=("simple",))
    for op in ("=", "<>", "IS DISTINCT FROM"):
        same(differ, f"SELECT id FROM kinds WHERE {column} {op} '{value}'")
        same(differ, f"SELECT id FROM kinds WHERE {column} {op} $1", (value,))
    same(differ, f"SELECT id FROM kinds WHERE {column} IN ('{value}', '{value}')")
    same(differ, f"SELECT count(DISTINCT {column}), count({column}) FROM kinds")
    same(differ, f"SELECT id FROM kinds WHERE {column} = ANY($1)", ([value],))


FACADES = f"""INSERT INTO facades VALUES
    (1, '1987-04-12', 42, 12.345, '2026-01-10 12:34:56.789+02', '{SOMEONE}', 'short'),
    (2, '12/31/1999', -1, '7', '2026-07-01 00:00:00', '{SOMEONE.upper()}', ''),
    (3, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, 'infinity', 2147483647, 'NaN', '-infinity', NULL, 'abc  '),
    (5, '0044-03-15 BC', '0', 0, 'epoch', NULL, 'zażół')"""


@pytest.mark.parametrize("style", ["ISO, MDY", "German, DMY", "SQL, DMY", "Postgres, MDY"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu"])
def test_facades_are_the_types_they_say(
    differ: Pair, pg: Server, twins: tuple[str, str], style: str, zone: str
) -> None:
    both(differ, f"SET TimeZone = '{zone}'")
    same(differ, FACADES, ways=("simple",))
    both(differ, f"SET DateStyle = '{style}'")
    for asked in ("d", "i", "n", "ts", "u", "s", "*"):
        same(differ, f"SELECT {asked} FROM facades ORDER BY id")
    hidden(pg, twins[1], "SELECT d, i, n, ts, u, s FROM facades")


@pytest.mark.parametrize(
    "column, text",
    [("d", "1987-04-12"), ("i", " 42 "), ("n", "12.35"), ("n", "12.350"), ("ts", "2026-01-10 10:34:56.789+00"),
     ("u", SOMEONE.replace("-", "")), ("s", "short")],
)  # fmt: skip
def test_facades_are_compared_as_their_types(differ: Pair, column: str, text: str) -> None:
    same(differ, FACADES, ways=("simple",))
    same(differ, f"SELECT id, {column} FROM facades WHERE {column} = $1", (text,))
    same(differ, f"SELECT id FROM facades WHERE {column} IN ('{text}')")
    same(differ, f"UPDATE facades SET {column} = $1 WHERE id = 3", (text,), ways=("text",))
    same(differ, f"SELECT id, {column} FROM facades WHERE {column} = $1", (text,))


def test_facades_on_uuid_columns(differ: Pair, pg: Server, twins: tuple[str, str]) -> None:
    insert = 'INSERT INTO "inner" VALUES ($1, $2, $3) RETURNING d, i'
    same(differ, insert, ("1", "2001-02-03", "17"), ways=("prepared",))
    same(differ, insert, ("2", None, None), ways=("binary",))
    same(differ, 'SELECT * FROM "inner" WHERE d = $1 AND i = $2', ("2001-02-03", "17"))
    hidden(pg, twins[1], 'SELECT d, i FROM "inner"')


def test_drivers_get_python_values(differ: Pair) -> None:
    both(
        differ,
        FACADES.replace("'infinity'", "'2020-02-02'")
        .replace("'0044-03-15 BC'", "NULL")
        .replace("'-infinity'", "NULL")
        .replace("'NaN'", "NULL"),
    )
    seen = [
        [
            c.cursor(binary=bool(binary)).execute("SELECT d, i, n, ts, u, s FROM facades ORDER BY id").fetchall()
            for binary in (0, 1)
        ]
        for c in (differ.direct, differ.through)
    ]
    assert seen[0] == seen[1]
    [direct, through] = [
        c.cursor(binary=True)
        .execute("SELECT id FROM facades WHERE u = %s AND i = %s", (uuid.UUID(SOMEONE), 42))
        .fetchall()
        for c in (differ.direct, differ.through)
    ]
    assert direct == through == [(1,)]


# ---- errors of values


FAULTY = [
    ("UPDATE facades SET d = '2001-02-30' WHERE id = 1", "22008"),
    ("UPDATE facades SET d = 'someday' WHERE id = 1", "22007"),
    ("UPDATE facades SET i = '99999999999' WHERE id = 1", "22003"),
    ("UPDATE facades SET i = 'twelve' WHERE id = 1", "22P02"),
    ("UPDATE facades SET n = '123456789.00' WHERE id = 1", "22003"),
    ("UPDATE facades SET ts = '2001-02-03 25:00' WHERE id = 1", "22008"),
    ("UPDATE facades SET u = 'no-uuid' WHERE id = 1", "22P02"),
    ("UPDATE facades SET s = 'too long' WHERE id = 1", "22001"),
    ("UPDATE kinds SET v = repeat('x', 61) WHERE id = 1", None),  # a computed value: refused
    (f"UPDATE kinds SET v = '{'x' * 61}' WHERE id = 1", "22001"),
    (f"UPDATE kinds SET c = '{'x' * 41}' WHERE id = 1", "22001"),
    ("SELECT * FROM facades WHERE d = 'someday'", "22007"),
    ("SELECT * FROM facades WHERE i = 'twelve'", "22P02"),
]


@pytest.mark.parametrize("sql, state", FAULTY)
def test_a_value_that_is_none_fails_as_on_the_server(differ: Pair, sql: str, state: str | None) -> None:
    same(differ, FACADES, ways=("simple",))
    for way in WAYS:
        step = differ.step(sql, (), way)
        assert step.verdict == ("equal" if state else "refused"), str(step)
        assert state is None or step.through[-1].sqlstate == state, str(step)


def test_a_parameter_that_is_none_fails_as_on_the_server(differ: Pair) -> None:
    for column, value in (("d", "2001-02-30"), ("i", "twelve"), ("s", "too long"), ("u", "no"), ("n", "1e20")):
        same(differ, f"UPDATE facades SET {column} = $1", (value,))
        same(differ, f"INSERT INTO facades (id, {column}) VALUES (1, $1)", (value,))
    same(differ, "INSERT INTO kinds (id, t) VALUES (1, $1)", (b"\xff\xfe",))  # 22021


# ---- sizes, names, encodings, old strings


def test_values_of_a_megabyte(differ: Pair, pg: Server, twins: tuple[str, str]) -> None:
    big = "größer " * 150_000
    assert len(big.encode()) > 1_000_000
    same(differ, "INSERT INTO kinds (id, t) VALUES (1, $1)", (big,), ways=("prepared",))
    same(differ, f"INSERT INTO kinds (id, t) VALUES (2, '{'y' * 1_000_000}')", ways=("simple",))
    same(differ, "SELECT t FROM kinds ORDER BY id")
    same(differ, "SELECT id FROM kinds WHERE t = $1", (big,))
    hidden(pg, twins[1], "SELECT t FROM kinds")


def test_mixed_case_and_long_names(differ: Pair, pg: Server, twins: tuple[str, str]) -> None:
    same(differ, """INSERT INTO "Mixed Case" VALUES (1, 'a@example.com', 'long')""", ways=("simple",))
    same(differ, 'SELECT * FROM "Mixed Case"')
    same(
        differ,
        f"""SELECT {LONG_NAME.upper()}, m."E-Mail" "Other Name" FROM "Mixed Case" m WHERE "E-Mail" = 'a@example.com'""",
    )
    same(differ, f"""SELECT {LONG_NAME}_and_what_is_cut_off FROM "Mixed Case" WHERE "Id" = 1""")
    hidden(pg, twins[1], f'SELECT "E-Mail", {LONG_NAME} FROM "Mixed Case"')


def test_latin1_and_utf8_clients_share_values(differ: Pair, pgveil: Pgveil, twins: tuple[str, str]) -> None:
    with pgveil.connect(twins[1], client_encoding="LATIN1") as latin, pgveil.connect(twins[1]) as utf8:
        latin.execute("INSERT INTO kinds (id, t) VALUES (1, 'café'), (2, %s)", ("thé",))
        assert latin.execute("SELECT t FROM kinds ORDER BY id").fetchall() == [("café",), ("thé",)]
        assert utf8.execute("SELECT t FROM kinds ORDER BY id").fetchall() == [("café",), ("thé",)]
        assert utf8.execute("SELECT id FROM kinds WHERE t = 'café'").fetchall() == [(1,)]
        assert latin.execute("SELECT id FROM kinds WHERE t = %s", ("thé",)).fetchall() == [(2,)]
        raw = outcomes(latin, "SELECT t FROM kinds WHERE id = 1", way="simple")[0].rows
        assert raw == (("café".encode("latin-1"),),)
        utf8.execute("INSERT INTO kinds (id, t) VALUES (3, '日本')")
        with pytest.raises(psycopg.errors.UntranslatableCharacter):
            latin.execute("SELECT t FROM kinds WHERE id = 3")


def test_a_latin1_client_beside_its_twin(differ: Pair) -> None:
    both(differ, "SET client_encoding = 'LATIN1'")
    same(differ, "INSERT INTO kinds (id, t, c) VALUES (1, 'Zoë', 'Zoë')", ways=("simple",))
    same(differ, "SELECT t, c FROM kinds WHERE t = 'Zoë'")
    same(differ, "SELECT t, c FROM kinds WHERE c = $1", ("Zoë".encode("latin-1"),))


def test_strings_of_old(differ: Pair) -> None:
    both(differ, "SET standard_conforming_strings = off; SET escape_string_warning = off")
    same(differ, r"INSERT INTO kinds (id, t) VALUES (1, 'it\'s a \\ \x41'), (2, E'\\x'), (3, $$\x$$)", ways=("simple",))
    same(differ, r"SELECT id, t FROM kinds WHERE t = 'it\'s a \\ A'")
    both(differ, "SET standard_conforming_strings = on")
    same(differ, r"SELECT id, t FROM kinds WHERE t IN ('it''s a \ A', '\x', 'nothing\')")


# ---- constraints


def test_uniqueness_and_foreign_keys(differ: Pair, pg: Server, twins: tuple[str, str]) -> None:
    for sql in (
        "INSERT INTO parents VALUES ('a@example.com'), ('b@example.com')",
        "INSERT INTO parents VALUES ('a@example.com')",
        "INSERT INTO parents VALUES ('a@example.com') ON CONFLICT (mail) DO NOTHING RETURNING mail",
        "INSERT INTO children VALUES (1, 'a@example.com'), (2, 'b@example.com'), (3, NULL)",
        "INSERT INTO children VALUES (4, 'nobody@example.com')",
        "UPDATE parents SET mail = 'b@example.com' WHERE mail = 'a@example.com'",
        "UPDATE parents SET mail = 'c@example.com' WHERE mail = 'a@example.com' RETURNING mail",
    ):
        same(differ, sql, ways=("simple",))
    for sql in (
        "SELECT * FROM children ORDER BY id",
        "SELECT c.id, p.mail FROM children c JOIN parents p USING (mail) ORDER BY c.id",
        "SELECT mail, count(*) FROM children GROUP BY mail",
        "SELECT p.mail FROM parents p WHERE NOT EXISTS (SELECT FROM children c WHERE c.mail = p.mail)",
    ):
        same(differ, sql)
    same(differ, "DELETE FROM parents WHERE mail = 'b@example.com'", ways=("simple",))
    same(differ, "SELECT * FROM children ORDER BY id")
    hidden(pg, twins[1], "SELECT mail FROM parents UNION ALL SELECT mail FROM children")


def told(connection: "psycopg.Connection[Any]", sql: str) -> tuple[str | None, ...]:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(sql.encode())
    diag = caught.value.diag
    return (diag.sqlstate, diag.message_primary, diag.message_detail, diag.table_name, diag.constraint_name)


def test_details_of_the_servers_errors_are_the_twins(differ: Pair) -> None:
    both(differ, "INSERT INTO parents VALUES ('a@example.com'); INSERT INTO children VALUES (1, 'a@example.com')")
    for sql in (
        "INSERT INTO parents VALUES ('a@example.com')",
        "INSERT INTO children VALUES (2, 'nobody@example.com')",
        "INSERT INTO children VALUES (1, 'a@example.com')",
    ):
        assert told(differ.direct, sql) == told(differ.through, sql)
