"""Who sees, finds and writes what, on a real server; and that the audit trail has it."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any, cast

import psycopg
import pytest

from proxy import tokens
from tests.kit.pgveil import Pgveil
from tests.kit.servers import Server, fresh_database

pytestmark = pytest.mark.server

ROLES = ("shop_app", "support", "agent", "analyst", "blind", "reporter", "checker", "reader")
POLICY = """\
version: 1
classes:
  email: {kind: email}
  name: {kind: name}
  day: {kind: date}
protect:
  public.people: {email: email, name: name, born: {class: day, type: date}}
roles:
  - {name: shop, match: {user: shop_app}, access: {default: reveal}}
  - {name: support, match: {user: support}, access: {default: mask, name: reveal}}
  - {name: agents, match: {user: agent}, access: {default: reveal}, require_purpose: true}
  - {name: blind, match: {user: blind}, access: {default: reveal, email: deny}}
  - {name: reporters, match: {user: reporter}, access: {default: reveal}, rows: 4}
  - {name: checkers, match: {user: checker}, access: {default: mask}, search: [email]}
  - {name: readers, match: {user: reader}, access: {default: reveal}, write: false}
  - {name: named, match: {application_name: "audit-*"}, access: {default: deny}}
"""
SCHEMA = """\
CREATE TABLE people (id int PRIMARY KEY, email text UNIQUE CHECK (email <> ''), name text, born text);
GRANT ALL ON people TO PUBLIC;
"""
ADA = (1, "ada@example.com", "Ada Quill", "1987-04-12")
BOB = (2, "bob@example.org", "Bob Tock", "1990-11-30")
VALUES = [ADA[1], ADA[2], ADA[3], BOB[1], BOB[2], BOB[3]]
Connect = Callable[..., "psycopg.Connection[Any]"]


@pytest.fixture(scope="module")
def shop(pg18: Server) -> Iterator[str]:
    pg18.accounts(*ROLES)
    with fresh_database(pg18) as name:
        pg18.psql(SCHEMA, name)
        yield name


@pytest.fixture(scope="module")
def pgveil(pg18: Server, shop: str) -> Iterator[Pgveil]:
    with Pgveil.before(pg18, shop, {"people": POLICY}) as running:
        yield running


@pytest.fixture
def connect(pgveil: Pgveil, pg18: Server, shop: str) -> Iterator[Connect]:
    """Connections through pgveil; the table holds Ada and Bob."""
    pg18.psql("TRUNCATE people", shop)
    made: list[psycopg.Connection[Any]] = []

    def make(user: str, **params: str) -> "psycopg.Connection[Any]":
        made.append(pgveil.connect(shop, user, **params))
        return made[-1]

    make("shop_app").cursor().executemany("INSERT INTO people VALUES (%s, %s, %s, %s)", [ADA, BOB])
    yield make
    for each in made:
        each.close()


def rows(connection: "psycopg.Connection[Any]", sql: str, *params: object) -> list[tuple[Any, ...]]:
    return connection.execute(sql.encode(), params).fetchall()


def stored(server: Server, database: str, column: str) -> list[str]:
    with server.connect(database) as direct:
        return [value for (value,) in direct.execute(f"SELECT {column} FROM people ORDER BY id".encode()).fetchall()]


def refused(connection: "psycopg.Connection[Any]", sql: str, *params: object) -> str:
    """All that the client is told; SQLSTATE first."""
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(sql.encode(), params)
    told = caught.value.diag
    fields = (told.sqlstate, told.message_primary, told.message_detail, told.message_hint, told.context)
    return "|".join(field or "" for field in fields)


def trail(pgveil: Pgveil, **wanted: str) -> list[dict[str, Any]]:
    """Audit rows, newest last, that have these fields."""
    every = cast(list[dict[str, Any]], pgveil.json("audit", "tail", "-n", "1000"))
    return [row for row in every if all(row[key] == value for key, value in wanted.items())]


def concerning(pgveil: Pgveil, name: str, **wanted: str) -> dict[str, Any]:
    """The newest of them that concern a class."""
    return [row for row in trail(pgveil, **wanted) if name in row["classes"]][-1]


PEOPLE = "SELECT id, email, name, born FROM people ORDER BY id"


# ---- levels


def test_reveal(connect: Connect, pgveil: Pgveil, pg18: Server, shop: str) -> None:
    got = rows(connect("shop_app"), PEOPLE)
    assert [(i, e, n, str(b)) for i, e, n, b in got] == [ADA, BOB]
    for column in ("email", "name", "born"):
        assert all(tokens.looks_like(value.encode()) for value in stored(pg18, shop, column))
    seen = concerning(pgveil, "email", action="reveal", user="shop_app")
    assert (seen["outcome"], seen["role"], seen["client"], seen["statement"]) == ("ok", "shop", "127.0.0.1", "select")
    assert sorted(seen["tokens"]) == sorted([t for c in ("email", "name", "born") for t in stored(pg18, shop, c)])
    assert seen["count"] == 6 and sorted(seen["classes"].values()) == [2, 2, 2]


def test_mask_and_reveal_by_class(connect: Connect, pgveil: Pgveil) -> None:
    got = rows(connect("support"), PEOPLE)
    assert [row[2] for row in got] == [ADA[2], BOB[2]]
    assert not any(value in str(got) for value in (ADA[1], BOB[1], ADA[3], BOB[3]))
    assert concerning(pgveil, "email", action="mask", user="support")["classes"] == {"email": 2, "day": 2}
    assert concerning(pgveil, "name", action="reveal", user="support")["classes"] == {"name": 2}


def test_no_role_means_tokens(connect: Connect, pg18: Server, shop: str) -> None:
    got = rows(connect("analyst"), PEOPLE)
    assert [row[1] for row in got] == stored(pg18, shop, "email")
    assert [row[3] for row in got] == stored(pg18, shop, "born"), "no date, so no date is promised"


@pytest.mark.parametrize("binary", [False, True])
def test_deny_by_class(connect: Connect, pgveil: Pgveil, binary: bool) -> None:
    blind = connect("blind")
    assert "42501" in refused(blind, "SELECT id, email FROM people")
    assert "42501" in refused(blind, "SELECT * FROM people")
    got = blind.cursor(binary=binary).execute("SELECT name, born FROM people ORDER BY id").fetchall()
    assert [(n, str(b)) for n, b in got] == [ADA[2:], BOB[2:]]
    assert trail(pgveil, action="refuse", user="blind")


def test_an_application_name_makes_a_role(connect: Connect) -> None:
    assert "42501" in refused(connect("postgres", application_name="audit-1"), "SELECT email FROM people")


# ---- purpose


def test_a_purpose_is_demanded_and_recorded(connect: Connect, pgveil: Pgveil) -> None:
    agent = connect("agent")
    assert "42501" in (told := refused(agent, "SELECT email FROM people")) and "pgveil.purpose" in told
    assert "42501" in refused(agent, "INSERT INTO people (id, email) VALUES (9, 'x@example.com')")
    assert rows(agent, "SELECT count(*) FROM people") == [(2,)]
    agent.execute("SET pgveil.purpose = 'ticket 12'")
    assert rows(agent, "SELECT email FROM people WHERE id = 1") == [(ADA[1],)]
    assert trail(pgveil, action="reveal", user="agent")[-1]["purpose"] == "ticket 12"
    agent.execute("RESET pgveil.purpose")
    assert "42501" in refused(agent, "SELECT email FROM people")


def test_a_purpose_in_the_options(connect: Connect, pgveil: Pgveil) -> None:
    agent = connect("agent", options="-c pgveil.purpose=returns")
    assert rows(agent, "SELECT email FROM people WHERE id = 2") == [(BOB[1],)]
    assert trail(pgveil, action="reveal", user="agent")[-1]["purpose"] == "returns"


def test_a_purpose_that_is_rolled_back_is_none(connect: Connect) -> None:
    agent = connect("agent")
    for command in ("BEGIN", "SET pgveil.purpose = 'x'"):
        agent.execute(command)
    assert rows(agent, "SELECT email FROM people WHERE id = 1") == [(ADA[1],)]
    agent.execute("ROLLBACK")
    assert "42501" in refused(agent, "SELECT email FROM people")
    for command in ("BEGIN", "SAVEPOINT s", "SET pgveil.purpose = 'x'", "ROLLBACK TO s"):
        agent.execute(command)
    assert "42501" in refused(agent, "SELECT email FROM people")
    agent.execute("ROLLBACK")


def test_a_local_purpose_ends_with_its_transaction(connect: Connect) -> None:
    agent = connect("agent")
    for command in ("BEGIN", "SET LOCAL pgveil.purpose = 'x'"):
        agent.execute(command)
    assert rows(agent, "SELECT email FROM people WHERE id = 1") == [(ADA[1],)]
    agent.execute("COMMIT")
    assert "42501" in refused(agent, "SELECT email FROM people")


# ---- searching, rows, writing


@pytest.mark.parametrize("user", ["support", "analyst"])
def test_searching_by_value_needs_reveal(connect: Connect, pgveil: Pgveil, user: str) -> None:
    link = connect(user)
    for sql in ("SELECT id FROM people WHERE email = %s", "DELETE FROM people WHERE %s = email"):
        for known in (ADA[1], "nobody@example.com"):
            told = refused(link, sql, known)
            assert "42501" in told and known not in told, sql
    assert trail(pgveil, action="refuse", user=user)


def test_a_token_role_searches_by_token(connect: Connect, pg18: Server, shop: str) -> None:
    token = stored(pg18, shop, "email")[0]
    assert rows(connect("analyst"), "SELECT id FROM people WHERE email = %s", token) == [(1,)]


def test_search_lets_a_guess_be_confirmed_and_is_recorded(
    connect: Connect, pgveil: Pgveil, pg18: Server, shop: str
) -> None:
    checker = connect("checker")
    [(number, email)] = rows(checker, "SELECT id, email FROM people WHERE email = %s", ADA[1])
    assert number == 1 and email != ADA[1]
    assert "42501" in refused(checker, "SELECT id FROM people WHERE name = %s", ADA[2])
    assert trail(pgveil, action="search", user="checker")[-1]["tokens"] == [stored(pg18, shop, "email")[0]]


def test_rows_cap(connect: Connect) -> None:
    reporter = connect("reporter")
    assert len(rows(reporter, "SELECT email, name FROM people")) == 2
    assert "54000" in refused(reporter, "SELECT email, name, born FROM people")
    assert rows(reporter, "SELECT email FROM people WHERE id = 1") == [(ADA[1],)], "the link goes on"


def test_rows_cap_in_a_transaction(connect: Connect) -> None:
    """As any error: the transaction has failed, and what it wrote is undone."""
    reporter = connect("reporter")
    for text in (
        "SELECT email, name, born FROM people",
        "UPDATE people SET id = id + 10 RETURNING email, name, born",
    ):
        with pytest.raises(psycopg.errors.ProgramLimitExceeded), reporter.transaction():
            reporter.execute("UPDATE people SET id = 7 WHERE id = 1")
            reporter.execute(cast("Any", text))
        assert rows(reporter, "SELECT id, email FROM people ORDER BY id") == [(1, ADA[1]), (2, BOB[1])]
    reporter.execute("BEGIN")
    assert "54000" in refused(reporter, "SELECT email, name, born FROM people")
    assert "25P02" in refused(reporter, "SELECT 1")
    reporter.execute("ROLLBACK")
    assert rows(reporter, "SELECT 1") == [(1,)]


def test_rows_cap_behind_what_is_committed(connect: Connect) -> None:
    """An error would say that nothing was written: the link ends, the outcome is unknown to its client."""
    reporter = connect("reporter")
    assert "54000" in refused(reporter, "UPDATE people SET id = id + 10 RETURNING email, name, born")
    assert reporter.broken


def test_rows_cap_in_a_pipeline(connect: Connect) -> None:
    """Behind the failed statement the server ran others: it can't be said that they were skipped."""
    reporter = connect("reporter")
    with pytest.raises(psycopg.OperationalError), reporter.pipeline():
        reporter.execute("SELECT email, name, born FROM people")
        reporter.execute("UPDATE people SET id = id + 10")
        reporter.execute("SELECT 1")
    assert reporter.broken


def test_write_false(connect: Connect) -> None:
    reader = connect("reader")
    assert rows(reader, "SELECT email FROM people WHERE email = %s", ADA[1]) == [(ADA[1],)]
    for sql in ("INSERT INTO people (id, email) VALUES (9, 'x@example.com')", "UPDATE people SET name = 'x'"):
        assert "42501" in refused(reader, sql)
    assert "42501" in refused(connect("support"), "UPDATE people SET email = 'm**@example.com' WHERE id = 1")


def test_a_token_role_writes_tokens_and_values(connect: Connect, pg18: Server, shop: str) -> None:
    analyst, token = connect("analyst"), stored(pg18, shop, "name")[0]
    analyst.execute("UPDATE people SET name = %s WHERE id = 2", (token,))
    analyst.execute("INSERT INTO people (id, email) VALUES (3, 'new@example.com')")
    assert rows(connect("shop_app"), "SELECT name, email FROM people WHERE id > 1 ORDER BY id") == [
        (ADA[2], BOB[1]),
        (None, "new@example.com"),
    ]
    assert all(tokens.looks_like(value.encode()) for value in stored(pg18, shop, "email"))


def test_a_revealing_role_cannot_smuggle_a_token_in(connect: Connect, pg18: Server, shop: str) -> None:
    app, token = connect("shop_app"), stored(pg18, shop, "email")[0]
    app.execute("UPDATE people SET name = %s WHERE id = 2", (token,))
    assert rows(app, "SELECT name FROM people WHERE id = 2") == [(token,)], "a value like any other"


# ---- a principal stays who logged in


@pytest.mark.parametrize(
    "command",
    [
        "SET ROLE shop_app",
        "SET SESSION AUTHORIZATION shop_app",
        "SET application_name = 'shop'",
        "SET LOCAL ROLE shop_app",
    ],
)
def test_peer_92_nothing_set_later_gives_more(connect: Connect, pg18: Server, shop: str, command: str) -> None:
    everyone = connect("postgres")
    everyone.execute("BEGIN")
    everyone.execute(command.encode())
    assert rows(everyone, "SELECT email FROM people ORDER BY id") == [(value,) for value in stored(pg18, shop, "email")]
    everyone.execute("ROLLBACK")


def test_nothing_set_later_takes_a_denial_away(connect: Connect) -> None:
    denied = connect("postgres", application_name="audit-2")
    denied.execute("SET application_name = 'other'")
    assert "42501" in refused(denied, "SELECT email FROM people")


# ---- half-migrated columns


def test_a_plaintext_value_is_treated_as_one_of_its_class(
    connect: Connect, pg18: Server, shop: str, pgveil: Pgveil
) -> None:
    pg18.psql("INSERT INTO people VALUES (3, 'old@example.com', 'Old Timer', '1950-01-02')", shop)
    before = pgveil.metric("pgveil_plaintext_values_total", **{"class": "email"})
    old = "SELECT email, name, born FROM people WHERE id = 3"
    assert [(e, n, str(b)) for e, n, b in rows(connect("shop_app"), old)] == [
        ("old@example.com", "Old Timer", "1950-01-02")
    ]
    [(email, name, born)] = rows(connect("support"), old)
    assert email != "old@example.com" and name == "Old Timer" and str(born) != "1950-01-02"
    for binary in (False, True):
        [seen] = connect("analyst").cursor(binary=binary).execute(old.encode()).fetchall()
        assert not {"old@example.com", "Old Timer", "1950-01-02"} & set(map(str, seen))
        assert all(value is None or uuid.UUID(value).version == 8 for value in seen)
    assert "42501" in refused(connect("blind"), "SELECT email FROM people WHERE id = 3")
    assert pgveil.metric("pgveil_plaintext_values_total", **{"class": "email"}) > before


# ---- error texts


def test_a_duplicate_shows_its_value_to_those_who_may_see_it(connect: Connect, pg18: Server, shop: str) -> None:
    again = f"INSERT INTO people (id, email) VALUES (9, '{ADA[1]}')"
    assert f"Key (email)=({ADA[1]}) already exists" in (told := refused(connect("shop_app"), again))
    assert told.startswith("23505")
    told = refused(connect("analyst"), again)
    assert told.startswith("23505") and ADA[1] not in told


@pytest.mark.parametrize("user", ["analyst", "support", "checker"])
def test_no_error_tells_a_value(connect: Connect, pg18: Server, shop: str, user: str) -> None:
    pg18.psql("INSERT INTO people VALUES (4, 'old@example.com', 'Old Timer', '1950-01-02')", shop)
    link = connect(user)
    for sql in (
        "SELECT email::int FROM people WHERE id = 4",
        "SELECT name::date FROM people",
        "SELECT born::int FROM people WHERE id = 4",
        "UPDATE people SET id = 1 WHERE id = 4",
        "INSERT INTO people SELECT id + 1, email, name, born FROM people WHERE id = 4",
        "INSERT INTO people (id, email) VALUES (1, 'old@example.com')",
    ):
        told = refused(link, sql)
        assert not [v for v in [*VALUES, "old@example.com", "Old Timer", "1950"] if v in told and v not in sql], told


# ---- cursors, prepared statements


def test_a_cursor_reveals_what_is_fetched(connect: Connect) -> None:
    for user, wanted in (("shop_app", [ADA[1], BOB[1]]), ("support", None)):
        link = connect(user)
        with link.transaction():
            try:
                link.execute("DECLARE c CURSOR FOR SELECT email FROM people ORDER BY id")
                got = [rows(link, "FETCH 1 FROM c")[0][0], rows(link, "FETCH NEXT FROM c")[0][0]]
            except psycopg.errors.FeatureNotSupported:
                raise psycopg.Rollback from None
            assert got == wanted if wanted else ADA[1] not in str(got)


def test_peer_91_a_statement_prepared_before_a_policy_change(pg18: Server) -> None:
    with fresh_database(pg18) as shop, Pgveil.before(pg18, shop, {"people": POLICY}) as own:
        pg18.accounts(*ROLES)
        pg18.psql(SCHEMA, shop)
        app = own.connect(shop, "shop_app")
        app.execute("INSERT INTO people (id, email) VALUES (50, 'fifty@example.com')")
        asked = "SELECT email FROM people WHERE id = %s"
        assert app.execute(asked, (50,), prepare=True).fetchall() == [("fifty@example.com",)]
        with own.log_contains("policy-loaded"):
            own.write_policy(
                "people", POLICY.replace("shop_app}, access: {default: reveal}", "shop_app}, access: {default: mask}")
            )
            own.hangup()
        assert "fifty" not in str(app.execute(asked, (50,), prepare=True).fetchall())
        app.close()


# ---- the trail


def test_the_trail_is_whole_and_holds_no_value(connect: Connect, pgveil: Pgveil) -> None:
    rows(connect("shop_app"), PEOPLE)
    refused(connect("support"), "SELECT id FROM people WHERE email = %s", ADA[1])
    every = trail(pgveil)
    assert {"reveal", "refuse"} <= {row["action"] for row in every}
    text = json.dumps(every) + pgveil.log
    assert not [value for value in VALUES if value in text]
    verdict = cast(dict[str, Any], pgveil.json("audit", "verify"))
    assert verdict["faults"] == [] and verdict["rows"] >= len(every)
