"""The table of the list, the roles, and what a test does with them.

The table is c(id, email, phone, name, born, note), all but id and note protected. The server logs every statement.
After each test no byte of the canary is in the data directory (tables, TOAST, WAL) or in that log. Literals go by a
simple Query, parameters by the extended protocol, in text and as prepared.
"""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.kit.differ import Connection, Outcome, Param, Way, outcomes
from tests.kit.pgveil import Pgveil
from tests.kit.servers import Server

POLICY = """
version: 1
classes:
  email: {kind: email}
  phone: {kind: phone, region: US}
  person: {kind: name}
  birthday: {kind: date}
  secret: {kind: text, tokens: random}
  number: {kind: text}
protect:
  public.c: {email: email, phone: phone, name: person, born: {class: birthday, type: date}}
  public.d: {email: email, full_name: person}
  public.s: {email: email}
  public.r: {secret: secret}
  public.w: {code: email, "Email": email, desc: person, "dotted.name": email}
  public.n: {name: person, full_name: person}
  public.k: {num: {class: number, type: integer}}
  public.e_parents: {email: email}
  public.e: {email: email, other: email, name: person}
roles:
  - {name: app, match: {user: postgres}, access: {default: reveal}}
  - {name: masked, match: {user: masked}, access: {default: mask}}
  - {name: phones, match: {user: phones}, access: {default: token, phone: reveal}}
  - {name: careful, match: {user: careful}, access: {default: reveal}, require_purpose: true}
"""
SCHEMA = """
CREATE TABLE c (id int PRIMARY KEY, email text UNIQUE, phone text, name varchar(60), born text, note text);
CREATE TABLE d (id int PRIMARY KEY, email text, full_name text);
CREATE TABLE r (id int PRIMARY KEY, secret text);
CREATE TABLE w (id int PRIMARY KEY, code char(40), "Email" text, "desc" text, "dotted.name" text);
CREATE TABLE n (id int PRIMARY KEY, name text, full_name text);
CREATE TABLE k (id int PRIMARY KEY, num text);
CREATE TABLE e_parents (email text PRIMARY KEY);
CREATE TABLE e (id int PRIMARY KEY, email text REFERENCES e_parents DEFERRABLE, other text, name text NOT NULL,
    CHECK (id < 1000), EXCLUDE (name WITH =));
CREATE TABLE p (id int PRIMARY KEY, e text);
CREATE VIEW v AS SELECT id, email AS mail FROM c;
CREATE FUNCTION f(int) RETURNS text LANGUAGE sql AS 'SELECT email FROM c WHERE id = $1';
CREATE SCHEMA tenant2;
CREATE TABLE tenant2.c (id int PRIMARY KEY, email text);
CREATE TABLE t (id int PRIMARY KEY, e text);
CREATE FUNCTION copy() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.e := (SELECT email FROM c WHERE id = NEW.id); RETURN NEW; END';
CREATE TRIGGER copy BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION copy();
CREATE VIEW vv AS SELECT id, mail AS post FROM v;
CREATE VIEW barrier WITH (security_barrier) AS SELECT email FROM c WHERE id > 0;
CREATE MATERIALIZED VIEW mv AS SELECT id, email FROM c;
GRANT ALL ON ALL TABLES IN SCHEMA public TO masked, stranger, phones, careful;
GRANT ALL ON SCHEMA tenant2, public TO stranger;
GRANT ALL ON ALL TABLES IN SCHEMA tenant2 TO stranger;
"""
BODIES = {
    "by_sql": "SELECT set_config('search_path','{}',false)",
    "by_perform": "BEGIN PERFORM set_config('search_path','{}',false); RETURN ''; END",
    "by_set": "BEGIN SET search_path = {}; RETURN ''; END",
    "by_execute": "BEGIN EXECUTE 'SET search'||'_path = {}'; RETURN ''; END",
}
SCHEMA += "".join(
    f"CREATE FUNCTION {name}_{to}() RETURNS text LANGUAGE {'sql' if name == 'by_sql' else 'plpgsql'}"
    f" AS $$ {body.format(to)} $$;"
    for name, body in BODIES.items()
    for to in ("public", "tenant2")
)
TABLES = "c, d, r, w, p, n, k, e, e_parents, tenant2.c"
ACCOUNTS = ("masked", "stranger", "phones", "careful")


class Peer:
    """One link through pgveil, a look around it, and a word that must not be found in the server's files."""

    def __init__(self, pgveil: Pgveil, server: Server, database: str) -> None:
        self.pgveil, self.server, self.database = pgveil, server, database
        self._open: list[Connection] = []
        self.link = self.connect()
        self.raw = server.connect(database)
        self.word = "zq" + secrets.token_hex(6)
        self.mail = f"{self.word}@x.org"
        self.other = f"{self.word}@y.net"

    def connect(self, user: str = "postgres", **params: str) -> Connection:
        """Another link, closed with the rest."""
        self._open.append(self.pgveil.connect(self.database, user, **params))
        return self._open[-1]

    def close(self) -> None:
        for connection in [*self._open, self.raw]:
            connection.close()

    def ask(
        self, sql: str, params: Sequence[Param] = (), way: Way | None = None, link: Connection | None = None
    ) -> Any:
        """Rows as text of the last result, or the SQLSTATE of an error as a str."""
        found = self.outcome(sql, params, way, link)
        if found.report[1] is not None:
            return found.report[1].decode()
        return [tuple(None if cell is None else cell.decode() for cell in row) for row in found.rows]

    def outcome(
        self, sql: str, params: Sequence[Param] = (), way: Way | None = None, link: Connection | None = None
    ) -> Outcome:
        """All that the client sees of the last result."""
        return outcomes(link or self.link, sql, params, way or ("text" if params else "simple"))[-1]

    def stored(self, sql: str = "SELECT email FROM c ORDER BY id") -> list[Any]:
        """What is in the database, past pgveil."""
        return [row[0] for row in self.raw.execute(sql.encode()).fetchall()]

    def both(self, literal: str, params: Sequence[Param], wanted: object) -> None:
        """The statement with its parameters, and with literals in their place: the same answer, each undone."""
        text = literal
        for number in range(len(params), 0, -1):
            param = params[number - 1]
            text = text.replace(f"${number}", "NULL" if param is None else "'" + str(param).replace("'", "''") + "'")
        attempts: list[tuple[str, Sequence[Param], Way]] = [(text, (), "simple"), (literal, params, "text")]
        for sql, given, way in [*attempts, (literal, params, "prepared")]:
            self.ask("BEGIN")
            assert self.ask(sql, given, way) == wanted, (way, sql)
            self.ask("ROLLBACK")

    def refused(self, *texts: str) -> None:
        for text in texts:
            assert self.ask(text) == "0A000", text

    def leaks(self) -> list[Path]:
        self.raw.execute("CHECKPOINT")
        word = self.word.encode()
        files = [path for path in self.server.base.rglob("*") if path.is_file() and not path.is_symlink()]
        return [path for path in files if word in _bytes(path)]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # the server removes files of its own
        return b""


def add(peer: Peer, count: int = 1) -> None:
    """Rows 1… with the canary in every protected column."""
    for i in range(1, count + 1):
        params = [str(i), f"{peer.word}{i}@x.org", f"+1202555{1000 + i}", f"{peer.word} {i}", "1990-02-28", "note"]
        assert peer.ask("INSERT INTO c VALUES ($1, $2, $3, $4, $5, $6)", params) == []


def masked(peer: Peer) -> Connection:
    return peer.connect("masked")
