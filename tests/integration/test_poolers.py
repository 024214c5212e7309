"""PgBouncer before pgveil, in session and in transaction mode, and behind it, where only sessions will do."""

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.kit.pgbouncer import PgBouncer, pgbouncer
from tests.kit.pgveil import Pgveil
from tests.kit.process import wait_for
from tests.kit.servers import Server, fresh_database

pytestmark = pytest.mark.server

POLICY = """\
version: 1
classes: {email: {kind: email}}
protect: {public.people: {email: email}}
roles:
  - {name: masked, match: {user: masked}, access: {default: mask}}
  - {name: careful, match: {user: careful}, access: {default: reveal}, require_purpose: true}
  - {name: all, match: {user: "*"}, access: {default: reveal}}
"""
TABLES = """\
CREATE TABLE people(id int PRIMARY KEY, email text);
CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.people(id int, email text);
GRANT ALL ON people TO PUBLIC;
"""
USERS = ("postgres", "masked", "careful")
ADA = "ada@example.com"
Connection = psycopg.Connection[Any]


@pytest.fixture
def shop(pg: Server) -> Iterator[str]:
    pg.accounts("masked", "careful")
    with fresh_database(pg) as name:
        pg.psql(TABLES, name)
        yield name


@contextlib.contextmanager
def link(way: Pgveil | PgBouncer, database: str, user: str = "postgres", **params: str) -> Iterator[Connection]:
    with psycopg.connect(way.dsn(database, user, **params), autocommit=True, prepare_threshold=None) as made:
        yield made


def stored(server: Server, database: str) -> list[object]:
    with server.connect(database) as direct:
        return [email for (email,) in direct.execute("SELECT email FROM public.people").fetchall()]


# ---- before pgveil


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_before_pgveil(pg: Server, shop: str, mode: str) -> None:
    """A link of pgveil's is a connection of the pooler's, with its server session, whoever uses it: that is exact."""
    with Pgveil.before(pg, shop, {"p": POLICY}) as pgveil, pgbouncer(pgveil.port, mode, USERS) as pool:
        with link(pool, shop) as one:
            one.execute("INSERT INTO people VALUES (1, %s)", (ADA,))
            asked = one.execute("SELECT id FROM people WHERE email = %s", (ADA,)).fetchall()
            assert asked == [(1,)]
            with one.transaction(), one.cursor("held") as cursor:
                assert cursor.execute("SELECT email FROM people").fetchall() == [(ADA,)]
            with one.cursor().copy("COPY people TO STDOUT") as rows:
                assert [bytes(row) for row in rows] == [f"1\t{ADA}\n".encode()]
            with one.cursor().copy("COPY people FROM STDIN") as data:
                data.write("2\tbob@example.com\n")
        with link(pool, shop, "masked") as other:
            assert other.execute("SELECT email FROM people WHERE id = 1").fetchone() == ("a***@***.com",)
        assert all("@" not in str(value) for value in stored(pg, shop))


def test_before_pgveil_sessions_are_clean_for_the_next(pg: Server, shop: str) -> None:
    """DISCARD ALL between clients takes along what pgveil knows of the session, too."""
    with Pgveil.before(pg, shop, {"p": POLICY}) as pgveil, pgbouncer(pgveil.port, "session", USERS) as pool:
        for number in range(4):
            with link(pool, shop) as one:
                one.execute(b"INSERT INTO people VALUES (%d, '%d@example.com')" % (number, number))
                assert one.execute("SELECT count(*) FROM people").fetchone() == (number + 1,)
                one.execute("PREPARE mine AS SELECT email FROM people WHERE id = $1")
                assert one.execute(b"EXECUTE mine(%d)" % number).fetchone() == (f"{number}@example.com",)
                one.execute("SET search_path = elsewhere")
                one.execute("INSERT INTO people VALUES (9, 'not protected here')")
        with link(pool, shop, "careful") as one:
            one.execute("SET pgveil.purpose = 'ticket 1'")
            assert len(one.execute("SELECT email FROM people").fetchall()) == 4
        with link(pool, shop, "careful") as one, pytest.raises(psycopg.errors.InsufficientPrivilege):
            one.execute("SELECT email FROM people")
        assert all("@" not in str(value) for value in stored(pg, shop))


def test_before_pgveil_a_purpose_for_a_transaction(pg: Server, shop: str) -> None:
    """In transaction mode a purpose is for the transaction: SET LOCAL."""
    with (
        Pgveil.before(pg, shop, {"p": POLICY}) as pgveil,
        pgbouncer(pgveil.port, "transaction", USERS) as pool,
        link(pool, shop, "careful") as one,
    ):
        with one.transaction():
            one.execute("SET LOCAL pgveil.purpose = 'ticket 2'")
            assert one.execute("SELECT email FROM people").fetchall() == []
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            one.execute("SELECT email FROM people")


# ---- behind pgveil


@contextlib.contextmanager
def pooled(pg: Server, shop: str, mode: str, more: str = "") -> Iterator[Pgveil]:
    """pgveil with PgBouncer as its server; the catalog is read past it."""
    with (
        pgbouncer(pg.port, mode, USERS, more) as pool,
        Pgveil.before(pg, shop, {"p": POLICY}, upstream=f"127.0.0.1:{pool.port}") as pgveil,
    ):
        yield pgveil


def test_behind_pgveil_with_sessions(pg: Server, shop: str) -> None:
    with pooled(pg, shop, "session") as pgveil:
        for number in range(4):
            with link(pgveil, shop) as one:
                one.execute(b"INSERT INTO people VALUES (%d, '%d@example.com')" % (number, number))
                assert one.execute("SELECT count(*) FROM people").fetchone() == (number + 1,)
                assert one.execute(b"SELECT id FROM people WHERE email = '%d@example.com'" % number).fetchall() == [
                    (number,)
                ]
                one.execute("SET search_path = elsewhere")
                one.execute("CREATE TEMP TABLE mine(email text)")
        assert all("@" not in str(value) for value in stored(pg, shop))
        assert "upstream-pooled" in pgveil.log and "upstream-shares-sessions" not in pgveil.log


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_behind_pgveil_sessions_that_are_shared_are_refused(pg: Server, shop: str, mode: str) -> None:
    with pooled(pg, shop, mode) as pgveil:
        for _ in range(2):
            with pytest.raises(psycopg.Error, match="one server session to several connections"):
                pgveil.connect(shop).execute("SELECT email FROM people")
        assert "upstream-shares-sessions" in pgveil.log
        status, page = pgveil.page("/readyz")
        assert status == 503 and "shares" in page
        told = pgveil_check(pgveil)
        assert "pool_mode = session" in told


def pgveil_check(pgveil: Pgveil) -> str:
    try:
        return pgveil.command("check")
    except RuntimeError as faults:
        return str(faults)


def test_behind_pgveil_a_pooler_that_drops_parameters(pg: Server, shop: str) -> None:
    """Where it does not pass on search_path of the start-up, that is not believed: the name is refused, or is what the
    server says it is, and nothing is stored in clear."""
    with pooled(pg, shop, "session", "ignore_startup_parameters = options, search_path") as pgveil:
        with link(pgveil, shop, options="-c search_path=elsewhere") as one:
            try:
                one.execute("INSERT INTO people VALUES (1, %s)", (ADA,))
            except psycopg.errors.FeatureNotSupported as refused:
                assert pg.version == "15" and "people" in str(refused)
            one.execute("INSERT INTO public.people VALUES (2, %s)", (ADA,))
        assert all("@" not in str(value) for value in stored(pg, shop)) and stored(pg, shop)


def test_without_a_pooler_nothing_is_said(pg: Server, shop: str) -> None:
    with Pgveil.before(pg, shop, {"p": POLICY}) as pgveil:
        pgveil.connect(shop, options="-c search_path=elsewhere").close()
        wait_for("the link to end", lambda: pgveil.metric("pgveil_open_links") == 0)
        assert "upstream-" not in pgveil.log
