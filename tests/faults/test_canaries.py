"""Canaries: values planted through every way in, read, searched for, refused, and made to violate constraints, by each
role; then nothing outside the vault's ciphertext knows them.

Looked through: pgveil's log (both formats, level debug), /metrics and /readyz, the vault's files, what the audit
commands print, the application's data directory with its WAL, the server's log of all statements, and the texts of
pgveil's own refusals. A control word planted in a column that nobody protects proves that the looking finds things.
"""

import base64
import contextlib
import itertools
import json
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from psycopg import ClientCursor

from tests.kit.pgveil import Pgveil
from tests.kit.servers import Server, create, find

pytestmark = pytest.mark.server

POLICY = """\
version: 1
classes:
  email: {kind: email, search: [normalized, pattern]}
  name: {kind: name, search: [casefold, pattern]}
  street: {kind: address, tokens: random}
  code: {kind: text}
  day: {kind: date}
protect:
  public.people: {email: email, name: name, street: street, born: {class: day, type: date}}
  public.codes: {code: code, tag: {class: code, type: varchar(60)}}
roles:
  - {name: shop, match: {user: shop}, access: {default: reveal}}
  - {name: support, match: {user: support}, access: {default: mask}}
  - {name: checkers, match: {user: checker}, access: {default: mask}, search: [email, name]}
  - {name: auditors, match: {user: auditor}, access: {default: deny}}
  - {name: readers, match: {user: reader}, access: {default: reveal}, write: false}
"""
SCHEMA = """\
CREATE TABLE people (id int PRIMARY KEY, email text UNIQUE CHECK (email <> 'x'), name text NOT NULL, street text,
    born text, n int CHECK (n > 0), note text);
CREATE TABLE codes (code char(60) PRIMARY KEY, tag varchar(60), person int REFERENCES people (id));
CREATE VIEW mails AS SELECT id, email AS mail FROM people;
CREATE FUNCTION shout(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no: %%'', $1; END';
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
"""
ROLES: Final = ("shop", "support", "checker", "auditor", "reader", "nobody_known")
LOGGING: Final = {
    "log_statement": "all",
    "log_min_messages": "debug1",
    "log_min_error_statement": "debug5",
    "log_error_verbosity": "verbose",
    "log_parameter_max_length": "-1",
    "log_parameter_max_length_on_error": "-1",
    "log_min_duration_statement": "0",
    "full_page_writes": "on",
}
Link = psycopg.Connection[Any]


# ---- words that must not be seen -----------------------------------------------------------------------------------


class Canaries:
    """Values with one stem in all of them, a number each: what is found says where it was planted."""

    def __init__(self) -> None:
        self.stem = "zq" + secrets.token_hex(5)
        self.control = "zk" + secrets.token_hex(5)
        self._numbers = itertools.count(1)
        stem = self.stem.encode()
        # As it is, in hexadecimal (bytea), and inside base64 at each of its three alignments.
        forms = [stem, stem.hex().encode(), *(_inner_base64(stem, at) for at in range(3))]
        self._pattern = re.compile(b"|".join(map(re.escape, forms)) + b"[0-9]*", re.IGNORECASE)

    def word(self) -> str:
        return f"{self.stem}{next(self._numbers)}"

    def mail(self) -> str:
        return f"{self.word()}@example.org"

    def seen(self, data: bytes | str) -> list[str]:
        """What of them stands in `data`, with what is around it."""
        raw = data.encode() if isinstance(data, str) else data
        return [
            raw[max(0, m.start() - 60) : m.end() + 20].decode(errors="replace") for m in self._pattern.finditer(raw)
        ]

    def in_files(self, base: Path, *leave_out: str) -> list[str]:
        return [
            f"{path.relative_to(base)}: {found}"
            for path in sorted(base.rglob("*"))
            if path.is_file() and path.name not in leave_out
            for found in self.seen(_bytes(path))[:40]
        ]


def _bytes(path: Path) -> bytes:
    with contextlib.suppress(FileNotFoundError):  # a WAL segment that was recycled meanwhile
        return path.read_bytes() if path.is_file() else b""
    return b""


def _inner_base64(stem: bytes, at: int) -> bytes:
    """The characters that depend on the stem alone, where it stands `at` bytes behind a multiple of three."""
    text = base64.b64encode(b"\0" * at + stem)
    return text[(at * 8 + 5) // 6 : (at + len(stem)) * 8 // 6]


# ---- the stage -----------------------------------------------------------------------------------------------------


@dataclass
class World:
    server: Server
    pgveil: Pgveil
    canaries: Canaries
    refusals: list[str] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=dict)

    def connect(self, user: str) -> Link:
        return self.pgveil.connect("postgres", user)

    def ask(self, link: Link, sql: str, params: Sequence[object] = (), binary: bool = False) -> list[Any]:
        """Rows; an error is what the statement is worth, and is kept if it is pgveil's own."""
        try:
            with link.cursor(binary=binary) as cursor:
                cursor.execute(sql.encode(), params or None, binary=binary)
                self._count("done")
                return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            self.failed(error)
            return []

    def failed(self, error: psycopg.Error) -> None:
        told = error.diag
        self._count(told.sqlstate or "link")
        assert told.sqlstate, "a link ended"
        if told.source_function == "pgveil":
            names = [name for name in dir(told) if not name.startswith("_")]
            self.refusals.append("|".join(str(getattr(told, name)) for name in names))

    def _count(self, what: str) -> None:
        self.outcomes[what] = self.outcomes.get(what, 0) + 1


@pytest.fixture(scope="module")
def logging_server() -> Iterator[Server]:
    """One that logs all that it is asked."""
    install = find("18")
    if install is None:
        pytest.skip("PostgreSQL 18 is not installed")
    server = create(install)
    try:
        server.start(**LOGGING)
        for role in ROLES:
            server.psql(f"CREATE ROLE {role} LOGIN")
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def begun(server: Server, form: str) -> Iterator[World]:
    """form: of pgveil's log."""
    server.psql(SCHEMA.replace("%%", "%"))
    log = {"format": form, "level": "debug"}
    try:
        with Pgveil.before(server, "postgres", {"people": POLICY}, log=log) as pgveil:
            yield World(server, pgveil, Canaries())
    finally:
        server.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO PUBLIC")


# ---- what is done with them ----------------------------------------------------------------------------------------

# {m} a mail, {w} a word, {i} a number for an id, {h} the word in hexadecimal; each statement gets its own.
STATEMENTS: Final = (
    # written
    "INSERT INTO people (id, email, name, street) VALUES ({i}, '{m}', '{w}', '{w} street')",
    "INSERT INTO people VALUES ({i}, '{m}', '{w}', E'{w}\\n', '1987-04-12', 1, 'n'), (-{i}, 'o{m}', U&'{w}', '', NULL)",
    "INSERT INTO people (id, email, name) VALUES ({i}, $q${m}$q$, '{w}'\n'{w}') RETURNING *",
    "INSERT INTO people (id, email, name) SELECT {i}, '{m}', '{w}'",
    "WITH made AS (INSERT INTO people (id, email, name) VALUES ({i}, '{m}', '{w}') RETURNING email) SELECT * FROM made",
    "INSERT INTO people (id, email, name) VALUES (1, '{m}', '{w}') ON CONFLICT (id) DO UPDATE SET email = '{m}'",
    "INSERT INTO people (id, email, name) VALUES (1, '{m}', '{w}')"
    " ON CONFLICT (id) DO UPDATE SET email = EXCLUDED.email",
    "UPDATE people SET email = '{m}', street = '{w}' WHERE id = 1",
    "UPDATE people SET (email, name) = ('{m}', '{w}') WHERE id = 1",
    "UPDATE people p SET name = '{w}' FROM codes c WHERE c.person = p.id AND p.email = '{m}'",
    "INSERT INTO codes VALUES ('{w}', '{w}', NULL)",
    "INSERT INTO people (id, email, name) VALUES ({i}, '{m}', '{w}'); UPDATE people SET name = '{w}' WHERE id = {i}",
    # searched for
    "SELECT * FROM people WHERE email = '{m}' OR name IN ('{w}', '{w}') OR email = ANY(ARRAY['{m}'])",
    "SELECT * FROM mails WHERE mail = '{m}'",
    "SELECT id FROM people WHERE email LIKE '%{w}%' OR name ~* '{w}'",
    "SELECT id FROM people WHERE lower(email) = '{m}' ORDER BY name",
    "SELECT id FROM people WHERE name > '{w}'",
    "SELECT email || '{w}' FROM people",
    "SELECT CASE WHEN email = '{m}' THEN 'x' END FROM people",
    "SELECT p.* FROM people p JOIN codes c ON c.code = '{w}'",
    "DELETE FROM people WHERE email = '{m}' RETURNING name",
    "EXPLAIN SELECT * FROM people WHERE email = '{m}'",
    "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM people WHERE email = '{m}'",
    "PREPARE a AS INSERT INTO people (id, email, name) VALUES ({i}, '{m}', '{w}')",
    "PREPARE b AS INSERT INTO people (id, email, name) VALUES ($1, $2, $3)",
    # not understood, or not answered
    "COPY people (id, email) FROM '/{w}'",
    "COPY (SELECT * FROM people WHERE email = '{m}') TO '/{w}'",
    "DO $$ BEGIN INSERT INTO people (id, email, name) VALUES ({i}, '{m}', '{w}'); END $$",
    "MERGE INTO people p USING (VALUES ({i}, '{m}')) v(id, email) ON p.id = v.id"
    " WHEN NOT MATCHED THEN INSERT (id, email, name) VALUES (v.id, v.email, '{w}')",
    'INSERT INTO people SELECT * FROM json_populate_record(NULL::people, \'{{"id": {i}, "email": "{m}"}}\')',
    "INSERT INTO people (id, email, name) VALUES ({i}, convert_from('\\x{h}', 'UTF8'), 'n')",
    "INSERT INTO people (id, email, name) VALUES ({i}, lower('{m}'), upper('{w}'))",
    "INSERT INTO people (id, email, name) VALUES ({i}, '{m}'",
    "INSERT INTO people (id, email, nmae) VALUES ({i}, '{m}', '{w}')",
    "SELEC email FROM people WHERE email = '{m}'",
    "SELECT email FROM people WHERE email = '{m}",
    "SELECT shout(email) FROM people WHERE email <> '{m}'",
    "INSERT INTO people (id, email, name) SELECT {i}, shout(email), '{w}' FROM people WHERE email <> '{m}'",
    "ALTER TABLE people ALTER email SET DEFAULT '{m}'",
    "ALTER TABLE people ADD CHECK (email <> '{m}')",
    "CREATE INDEX ON people (email) WHERE email <> '{m}'",
    "CREATE VIEW v{i} AS SELECT * FROM people WHERE email = '{m}'",
    "CREATE TABLE copy{i} AS SELECT id, '{w}' || email FROM people",
    # against what the table says
    "INSERT INTO people (id, email, name) VALUES (1, '{m}', '{w}')",
    "INSERT INTO people (id, email, name, n) VALUES ({i}, '{m}', '{w}', -1)",
    "INSERT INTO people (id, email, name) VALUES ({i}, '{m}', NULL)",
    "INSERT INTO people (id, email, name, born) VALUES ({i}, '{m}', '{w}', '{w}')",
    "INSERT INTO codes VALUES ('{w}{w}{w}{w}{w}{w}{w}', '{w}', 1)",
    "INSERT INTO codes VALUES ('{w}', '{w}', 987654)",
    "UPDATE people SET email = (SELECT '{m}') ",
)
# The same with parameters, in text and binary, once and as a prepared statement.
INSERTED: Final = "INSERT INTO people (id, email, name, street) VALUES (%s, %s, %s, %s)"
SEARCHED: Final = "SELECT * FROM people WHERE email = %s OR name = %s OR street = %s"


def play(world: World, user: str, ids: Iterator[int]) -> None:
    """All that a user may try, on one link."""
    canaries = world.canaries
    with world.connect(user) as link:
        for template in STATEMENTS:
            word = canaries.word()
            sql = template.format(i=next(ids), m=canaries.mail(), w=word, h=word.encode().hex())
            world.ask(link, sql)
            world.ask(link, "BEGIN")
            world.ask(link, sql.replace(word, canaries.word()))
            world.ask(link, "ROLLBACK")
        for binary in (False, True):
            parameters(world, link, ids, binary)
        world.ask(link, "DEALLOCATE ALL")
        copies(world, link)


def parameters(world: World, link: Link, ids: Iterator[int], binary: bool) -> None:
    canaries = world.canaries
    for _ in range(7):  # psycopg prepares at the sixth
        row = (next(ids), canaries.mail(), canaries.word(), canaries.word())
        world.ask(link, INSERTED, row, binary)
        world.ask(link, SEARCHED, row[1:], binary)
    world.ask(link, "UPDATE people SET email = %s WHERE name = %s", (canaries.mail(), canaries.word()), binary)
    world.ask(link, "SELECT id FROM people WHERE email LIKE %s", (f"%{canaries.word()}%",), binary)
    world.ask(link, "SELECT * FROM people WHERE email = ANY(%s)", ([canaries.mail()],), binary)
    world.ask(link, "INSERT INTO people (id, email) VALUES (%s, %s)", (next(ids), canaries.mail()), binary)
    with contextlib.suppress(psycopg.Error):
        rows = [(next(ids), canaries.mail(), canaries.word(), None) for _ in range(3)]
        link.cursor().executemany(INSERTED.encode(), rows)
    with contextlib.suppress(psycopg.Error):
        ClientCursor(link).execute(INSERTED.encode(), (next(ids), canaries.mail(), canaries.word(), None))
    # Both of one e-mail address: the server's error would name it.
    twice = canaries.mail()
    for _ in range(2):
        world.ask(link, INSERTED, (next(ids), twice, canaries.word(), None), binary)


def copies(world: World, link: Link) -> None:
    for options in ("", " WITH (FORMAT csv)", " WITH (FORMAT binary)"):
        try:
            with link.cursor().copy(f"COPY people (id, email, name) FROM STDIN{options}".encode()) as copy:
                copy.write(f"999\t{world.canaries.mail()}\t{world.canaries.word()}\n".encode())
        except psycopg.Error as error:
            world.failed(error)


def audit(pgveil: Pgveil) -> str:
    """All that the audit commands print."""
    shown = [pgveil.command("audit", "tail", "-n", "100000"), pgveil.command("audit", "verify")]
    shown += [pgveil.command("audit", "search", "--user", user, "--json") for user in ROLES]
    return "\n".join([*shown, pgveil.command("policy", "show"), pgveil.command("keys", "list")])


@pytest.mark.parametrize("form", ["plain", "json"])
def test_canaries_are_nowhere(logging_server: Server, form: str) -> None:
    with begun(logging_server, form) as world:
        plant(world)
        look(world)


def plant(world: World) -> None:
    canaries, ids = world.canaries, itertools.count(100)
    first = (canaries.mail(), canaries.word(), canaries.word(), canaries.control)
    with world.connect("shop") as shop:
        shop.execute(b"INSERT INTO people VALUES (1, %s, %s, %s, '1987-04-12', 1, %s)", first)
        for user in ROLES:
            play(world, user, ids)
        shown = [repr(world.ask(shop, "SELECT * FROM people")), repr(world.ask(shop, "SELECT * FROM codes"))]
    assert canaries.seen(shown[0]) and canaries.seen(shown[1]), "who may see them sees them"
    world.server.psql("ANALYZE people; ANALYZE codes; CHECKPOINT; SELECT pg_switch_wal()")


def look(world: World) -> None:
    canaries, server, pgveil = world.canaries, world.server, world.pgveil
    status, metrics = pgveil.page("/metrics")
    ready = pgveil.page("/readyz")
    assert (status, ready[0]) == (200, 200) and json.loads(ready[1])
    assert canaries.seen(metrics) == canaries.seen(ready[1]) == []
    assert canaries.seen(audit(pgveil)) == []
    assert canaries.seen("\n".join(world.refusals)) == [] and len(world.refusals) > 50, world.outcomes
    # Its log and its vault (files of a running process, log of writes included), its keys.
    assert canaries.in_files(pgveil.base) == []
    assert {"vault.db", "vault.db-wal", "pgveil.log"} <= {path.name for path in pgveil.base.iterdir()}
    # Tables, indexes, statistics, TOAST, WAL, and the log of every statement.
    assert canaries.in_files(server.base) == []
    assert canaries.control in server.log, "the log has what was asked"
    assert any(canaries.control.encode() in _bytes(path) for path in (server.data / "base").rglob("*"))


def test_execute_behind_a_refused_prepare(logging_server: Server) -> None:
    with begun(logging_server, "plain") as world, world.connect("shop") as shop:
        world.ask(shop, "PREPARE b AS INSERT INTO people (id, email, name) VALUES ($1, $2, $3)")
        word = world.canaries.word()
        world.ask(shop, f"EXECUTE b (1, '{word}@example.org', '{word}')")
        assert world.canaries.in_files(world.server.base) == []


def test_the_search_finds_every_form() -> None:
    canaries = Canaries()
    word = canaries.word()
    for shift in range(3):
        assert canaries.seen(base64.b64encode(b"x" * shift + word.encode() + b"tail"))
    assert canaries.seen(word.upper()) and canaries.seen(word.encode().hex()) and not canaries.seen("zq12345")
