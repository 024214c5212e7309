"""Planted values are looked for everywhere but where they belong: in no log, metric, readiness answer, vault file, audit
output or error of pgveil's own, in no file of the application's database, its server's log of all statements
included. Roles that may see, may see a part, or may see nothing go every way there is."""

import hashlib
import re
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.differential.ways import WAYS, Connection, Outcome, outcomes
from tests.kit import servers
from tests.kit.pgveil import Pgveil
from tests.kit.servers import Server

pytestmark = pytest.mark.server

POLICY = """
version: 1
classes:
  email: {kind: email, search: [normalized, pattern]}
  person: {kind: name}
  checked: {kind: email, invalid: reject}
  street: {kind: address, tokens: random}
  birthday: {kind: date}
protect:
  public.c: {email: email, name: person, street: street, checked: checked, short: person,
    born: {class: birthday, type: date}}
roles:
  - {name: app, match: {user: app}, access: {default: reveal}}
  - {name: masked, match: {user: masked}, access: {default: mask}}
  - {name: denied, match: {user: denied}, access: {default: deny}}
  - {name: searcher, match: {user: searcher}, access: {default: mask}, search: true, require_purpose: true}
"""
ROLES = ("app", "masked", "denied", "searcher", "nobody_special")
SCHEMA = """
CREATE TABLE c (id serial PRIMARY KEY, email text UNIQUE, name text, street text, checked text, short varchar(40),
  born text, note text, n int CHECK (n > 0));
"""
WORD = "kanarienvogel"


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of our own: it logs every statement."""
    install = servers.find("18")
    if install is None:
        pytest.skip("PostgreSQL 18 is not installed")
    server = servers.create(install)
    try:
        server.start(log_statement="all", log_min_duration_statement="0", log_parameter_max_length="-1",
                     log_parameter_max_length_on_error="-1", log_error_verbosity="verbose")  # fmt: skip
        with server.connect() as owner:
            owner.execute(SCHEMA.encode())
            for role in ROLES:
                owner.execute(f"CREATE ROLE {role} LOGIN".encode())
            owner.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {', '.join(ROLES)}".encode())
            owner.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {', '.join(ROLES)}".encode())
        yield server
    finally:
        server.close()


WRITES = (
    "INSERT INTO c (email, name) VALUES ({0}, {1})",
    "INSERT INTO c (email, name, street, short, born) VALUES ({0}, {1}, {1}, {1}, '1987-06-05') RETURNING *",
    "INSERT INTO c (email) VALUES ({0}) ON CONFLICT (email) DO UPDATE SET name = {1}",
    "INSERT INTO c (email) VALUES ({0}::text), (lower({1}))",
    "INSERT INTO c (checked) VALUES ({1})",
    "INSERT INTO c (short) VALUES ({1} || {0})",
    "INSERT INTO c (email, n) VALUES ({0}, 0)",
    "INSERT INTO c (email, born) VALUES ({0}, {1})",
    "UPDATE c SET name = {1} WHERE email = {0}",
    "UPDATE c SET (name, street) = ({1}, {0}) WHERE n IS NULL",
    "UPDATE c SET note = {0} || email",
    "UPDATE c SET email = {0}",
    "WITH x AS (INSERT INTO c (email, name) VALUES ({0}, {1}) RETURNING email, name) SELECT email, name FROM x",
)
READS = (
    "SELECT * FROM c WHERE email = {0}",
    "SELECT id FROM c WHERE email IN ({0}, {1}) OR name IS DISTINCT FROM {1}",
    "SELECT id FROM c WHERE email LIKE {0}",
    "SELECT upper(email) FROM c WHERE name = {1}",
    "SELECT email::int FROM c",
    "SELECT id FROM c WHERE born = {1}",
    "SELECT id, email FROM c WHERE email = {0} AND 1 / (id - id) = 1",
    "SELECT email FROM c ORDER BY email",
    "SELECT nosuch FROM c WHERE email = {0}",
    "SELECT id FROM c WHERE email = {0} AND",
    "COPY c (email) FROM STDIN",
    "DO $$ BEGIN PERFORM {0} FROM c; END $$",
    "EXPLAIN SELECT id FROM c WHERE email = {0}",
    "DELETE FROM c WHERE email = {0} RETURNING email",
)


def values(number: int) -> tuple[str, str]:
    return f"{WORD}{number}@{WORD}.org", f"{WORD.capitalize()} O'{WORD} {number}"


def quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def play(link: Connection, first: int) -> list[Outcome]:
    """Every statement, with literals and with parameters."""
    seen: list[Outcome] = []
    for number, text in enumerate((*WRITES, *READS), first):
        mail, name = values(number)
        seen += outcomes(link, text.format(quoted(mail), quoted(name)), (), "simple")
        given = [mail, name][: 1 + ("{1}" in text)] if "{0}" in text else []
        if "{0}" in text or "{1}" not in text:
            for way in WAYS[1:]:
                seen += outcomes(link, text.format("$1", "$2"), given, way)
    return seen


def hidden_in(data: bytes) -> bool:
    return WORD.encode() in data.lower() or WORD.encode("utf-16-le") in data.lower()


def files(base: Path) -> list[Path]:
    return [path for path in base.rglob("*") if path.is_file() and not path.is_symlink()]


def fetch(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.read()


@pytest.mark.parametrize("form", ["json", "plain"])
def test_planted_values_are_nowhere(server: Server, form: str) -> None:
    with Pgveil.before(server, "postgres", {"c": POLICY}, log={"format": form, "level": "debug"}) as pgveil:
        told = _all_roles(pgveil)
        pages = {path: fetch(pgveil.admin_url(path)) for path in ("/metrics", "/readyz", "/healthz")}
        pgveil.kill9()  # what is on the disk when nothing could be tidied
        found = [str(path) for path in files(pgveil.base) if hidden_in(path.read_bytes())]
        printed = [pgveil.command("audit", *action) for action in (("tail",), ("verify",))]
        pgveil.start()
    with server.connect() as owner:
        owner.execute("CHECKPOINT")
        stored = owner.execute("SELECT email FROM c WHERE email IS NOT NULL").fetchall()
    found += [str(path) for path in files(server.base) if hidden_in(path.read_bytes())]
    found += [path for path, page in pages.items() if hidden_in(page)]
    found += ["audit" for text in printed if hidden_in(text.encode())]
    assert found == []
    assert len(stored) > 3
    assert "LOG:  statement: INSERT INTO c" in server.log.replace("LOG:  00000: ", "LOG:  ")
    ours = [outcome.report for outcome in told if outcome.routine == "pgveil"]
    assert len(ours) > 20
    assert not [report for report in ours if any(hidden_in(part or b"") for part in report)]


def _all_roles(pgveil: Pgveil) -> list[Outcome]:
    told: list[Outcome] = []
    for index, role in enumerate(ROLES):
        with pgveil.connect("postgres", role) as link:
            seen = play(link, 100 * index)
        if role == "searcher":
            with pgveil.connect("postgres", role, options="-c pgveil.purpose=test") as link:
                seen += play(link, 100 * index + 50)
        if role != "app":
            _nothing_shown(role, seen)
        told += seen
    return told


def _nothing_shown(role: str, seen: list[Outcome]) -> None:
    """A role without `reveal` reads the app's values in no row and no error."""
    for outcome in seen:
        cells = [cell for row in outcome.rows for cell in row if cell is not None]
        parts = [*cells, *(part for part in outcome.report if part is not None)]
        assert not [part for part in parts if re.search(rb"(?i)kanarienvogel\d{1,2}@", part)], (role, outcome)


def test_a_refused_statement_never_reaches_the_server(server: Server) -> None:
    with Pgveil.before(server, "postgres", {"c": POLICY}) as pgveil, pgveil.connect("postgres", "app") as link:
        before = len(server.log)
        for marker in ("upper(email)", "email || 'marked'", "max(name)"):
            with pytest.raises(psycopg.Error) as refused:
                link.execute(f"SELECT {marker} FROM c WHERE note = 'untouched-note'".encode())
            assert refused.value.sqlstate == "0A000"
        assert "untouched-note" not in server.log[before:] and "FROM c" not in server.log[before:]


def test_the_vault_holds_no_plain_digest(server: Server) -> None:
    """Peer failure 100: a copy of the vault confirms no guess by an unkeyed digest."""
    value = values(1)[0]
    with Pgveil.before(server, "postgres", {"c": POLICY}) as pgveil:
        with pgveil.connect("postgres", "app") as link:
            link.execute("INSERT INTO c (email) VALUES (%s)", [value])
        pgveil.kill9()
        with sqlite3.connect(pgveil.base / "vault.db") as vault:
            dump = "\n".join(vault.iterdump()).lower()
        vault.close()
        for name in ("md5", "sha1", "sha256", "sha512", "blake2b"):
            for text in (value, f"email{value}", f"{value}email", f"email:{value}"):
                assert hashlib.new(name, text.encode()).hexdigest() not in dump
        pgveil.start()
