"""Cursors of SQL over protected columns: DECLARE, FETCH, MOVE and CLOSE say what they say on a plaintext database."""

from collections.abc import Iterator
from typing import Any, cast

import psycopg
import pytest

from tests.kit.pgveil import Pgveil
from tests.kit.servers import Server, fresh_database

pytestmark = pytest.mark.server

POLICY = """\
version: 1
classes: {email: {kind: email}, day: {kind: date}}
protect: {public.people: {email: email, born: {class: day, type: date}}}
roles:
  - {name: masked, match: {user: masked}, access: {default: mask}}
  - {name: all, match: {user: "*"}, access: {default: reveal}}
"""
TABLE = "CREATE TABLE people (id int PRIMARY KEY, email text, born %s, note text); GRANT ALL ON people TO PUBLIC"
Connection = psycopg.Connection[Any]
DECLARE = "DECLARE c CURSOR FOR SELECT email FROM people WHERE id = 5"
SCRIPTS = [
    [DECLARE, "FETCH 1 FROM c", "FETCH 1 FROM c", "MOVE BACKWARD 1 FROM c", "CLOSE c", "FETCH 1 FROM c"],
    [DECLARE, "CLOSE c", "DECLARE c CURSOR FOR SELECT note, id FROM people WHERE id = 6", "FETCH ALL FROM c"],
    ["DECLARE c CURSOR FOR SELECT note FROM people WHERE id = 6", "CLOSE ALL", DECLARE, "FETCH c"],
    [DECLARE, "COMMIT", "FETCH ALL FROM c"],
    [DECLARE, "ROLLBACK", "FETCH ALL FROM c"],
    ["SAVEPOINT s", DECLARE, "ROLLBACK TO s", "FETCH ALL FROM c"],
    [
        "DECLARE h CURSOR WITH HOLD FOR SELECT id, email, born FROM people WHERE id IN (1, 2) ORDER BY id",
        "COMMIT", "FETCH 1 FROM h", "ROLLBACK", "FETCH 1 FROM h", "CLOSE ALL", "FETCH 1 FROM h",
    ],
    ["DECLARE h CURSOR WITH HOLD FOR SELECT id, email FROM people", "ROLLBACK", "FETCH 1 FROM h"],
    ["DECLARE h CURSOR WITH HOLD FOR SELECT id, email FROM people", "COMMIT", "DISCARD ALL", "FETCH 1 FROM h"],
    [
        "DECLARE c CURSOR FOR SELECT email FROM people ORDER BY id FOR UPDATE", "FETCH 1 FROM c",
        "UPDATE people SET note = 'here', email = 'new@x.de' WHERE CURRENT OF c",
        "SELECT id, email, note FROM people WHERE note = 'here'",
    ],
    ["DECLARE c SCROLL CURSOR FOR SELECT id, email FROM people ORDER BY id", "FETCH LAST FROM c", "FETCH FIRST FROM c",
     "FETCH ABSOLUTE 4 FROM c", "FETCH RELATIVE -2 FROM c", "FETCH PRIOR FROM c", "FETCH FORWARD ALL FROM c"],
    ['DECLARE "My C" CURSOR FOR SELECT email FROM people WHERE email = \'u7@x.de\'', 'FETCH FROM "My C"'],
    ["DECLARE c CURSOR FOR SELECT email FROM people WHERE id = 5; FETCH c; FETCH c", "FETCH ALL FROM c"],
    [DECLARE + "; CLOSE c; DECLARE c CURSOR FOR SELECT id FROM people ORDER BY id; FETCH 2 FROM c"],
    [DECLARE + "; MOVE c; FETCH BACKWARD 1 FROM c"],
    ["FETCH ALL FROM nosuch", "SELECT 1"],
]  # fmt: skip


@pytest.fixture(scope="module", params=["15", "18"])
def scene(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Pgveil, str, str]]:
    server: Server = request.getfixturevalue(f"pg{request.param}")
    server.accounts("masked")
    with fresh_database(server) as plain, fresh_database(server) as protected:
        server.psql(TABLE % "date", plain)
        server.psql(TABLE % "text", protected)
        with Pgveil.before(server, protected, {"people": POLICY}) as pgveil:
            yield server, pgveil, plain, protected


@pytest.fixture
def both(scene: tuple[Server, Pgveil, str, str]) -> Iterator[tuple[Connection, Connection]]:
    """Direct to plaintext, through to tokens; not in autocommit."""
    server, pgveil, plain, protected = scene
    with server.connect(plain) as direct, pgveil.connect(protected) as through:
        for connection in (direct, through):
            connection.autocommit = False
            connection.execute("TRUNCATE people")
            people = [(i, f"u{i}@x.de", f"1990-01-{i + 1:02}", "n") for i in range(20)]
            connection.cursor().executemany("INSERT INTO people VALUES (%s, %s, %s, %s)", people)
            connection.commit()
        yield direct, through


def told(connection: Connection, text: str) -> object:
    """All results of a simple Query, or the SQLSTATE."""
    results = []
    connection.pgconn.send_query(text.encode())
    while result := connection.pgconn.get_result():
        if result.status == psycopg.pq.ExecStatus.FATAL_ERROR:
            results.append(result.error_field(psycopg.pq.DiagnosticField.SQLSTATE))
            continue
        names = [(result.fname(i), result.ftype(i), result.fformat(i)) for i in range(result.nfields)]
        rows = [[result.get_value(i, j) for j in range(result.nfields)] for i in range(result.ntuples)]
        results.append((result.command_status, names, rows))  # type: ignore[arg-type]
    return results, connection.info.transaction_status


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_scripts(both: tuple[Connection, Connection], script: list[str]) -> None:
    direct, through = both
    for connection in both:
        connection.execute("SELECT 1")  # begins the transaction
    for text in script:
        if text == "DISCARD ALL":
            for connection in both:
                connection.rollback()
        assert told(through, text) == told(direct, text), text


@pytest.mark.parametrize("kind", [{}, {"scrollable": True}, {"withhold": True}], ids=str)
@pytest.mark.parametrize("binary", [False, True])
def test_a_drivers_server_side_cursor(both: tuple[Connection, Connection], kind: dict[str, bool], binary: bool) -> None:
    seen = []
    for connection in both:
        with connection.cursor("srv", binary=binary, **kind) as cursor:
            cursor.itersize = 7
            cursor.execute("SELECT id, email, born FROM people WHERE email <> %s ORDER BY id", ("u3@x.de",))
            found: list[object] = [[(d.name, d.type_code) for d in cast("Any", cursor.description)]]
            found += [cursor.fetchmany(3), cursor.fetchone(), list(cursor)]
            if kind.get("scrollable"):
                cursor.scroll(-10)
                found.append(cursor.fetchmany(2))
            if kind.get("withhold"):
                connection.commit()
                found.append(cursor.fetchall())
        connection.commit()
        seen.append(found)
    assert seen[0] == seen[1] and len(seen[0]) > 3


def test_what_roles_see(both: tuple[Connection, Connection], scene: tuple[Server, Pgveil, str, str]) -> None:
    _, pgveil, _, protected = scene
    with pgveil.connect(protected, "masked") as link, link.cursor("m") as cursor:
        link.autocommit = False
        cursor.execute("SELECT email FROM people WHERE id = 1")
        assert cursor.fetchall() == [("u***@***.de",)]


def test_a_binary_cursor_is_refused(both: tuple[Connection, Connection]) -> None:
    _, through = both
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="BINARY"):
        through.execute("DECLARE b BINARY CURSOR FOR SELECT email FROM people")


def test_a_portal_of_the_protocol_is_fetched_from(both: tuple[Connection, Connection]) -> None:
    """Names of portals and of cursors are one (portalmem.c): FETCH, Describe and Execute reach either."""
    for connection in both:
        connection.execute("DECLARE c CURSOR FOR SELECT email FROM people ORDER BY id")
        described = connection.pgconn.describe_portal(b"c")
        assert (described.fname(0), described.ftype(0)) == (b"email", 25)
        assert connection.execute("FETCH 2 FROM c").fetchall() == [("u0@x.de",), ("u1@x.de",)]
