"""How peers failed, as scenarios: the number in a test's name is the scenario's number in our list of them.

The table is c(id, email, phone, name, born, note), all but id and note protected. A statement is either answered as
PostgreSQL answers it, or refused; after each test no byte of the canary is in the data directory (tables, TOAST, WAL)
or the server's log. Literals go by a simple Query, parameters by the extended protocol, in text and binary.

Elsewhere: 48-74 (protocol) in tests/transcripts and tests/unit/session; 9, 12, 81 in test_check.py; 41 (citext) and 108
in test_check.py's refusals; 86 in tests/corpus; 88 in the catalog reader's tests; 94, 98-100 in tests/vault; 114 in
benchmarks. Later issues: 14 (JSON), 17, 47, 72, 89-93, 95-97, 104 (MERGE), 106, 107, 109.
"""

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.kit.differ import Connection, Param, Way, outcomes
from tests.kit.pgveil import Pgveil
from tests.kit.servers import Server

pytestmark = pytest.mark.server

POLICY = """
version: 1
classes:
  email: {kind: email}
  phone: {kind: phone, region: US}
  person: {kind: name}
  birthday: {kind: date}
  secret: {kind: text, tokens: random}
protect:
  public.c: {email: email, phone: phone, name: person, born: {class: birthday, type: date}}
  public.d: {email: email, full_name: person}
  public.s: {email: email}
  public.r: {secret: secret}
  public.w: {code: email, "Email": email, desc: person}
roles:
  - {name: app, match: {user: postgres}, access: {default: reveal}}
  - {name: masked, match: {user: masked}, access: {default: mask}}
"""
SCHEMA = """
CREATE TABLE c (id int PRIMARY KEY, email text UNIQUE, phone text, name varchar(60), born text, note text);
CREATE TABLE d (id int PRIMARY KEY, email text, full_name text);
CREATE TABLE r (id int PRIMARY KEY, secret text);
CREATE TABLE w (id int PRIMARY KEY, code char(40), "Email" text, "desc" text);
CREATE TABLE p (id int PRIMARY KEY, e text);
CREATE VIEW v AS SELECT id, email AS mail FROM c;
CREATE FUNCTION f(int) RETURNS text LANGUAGE sql AS 'SELECT email FROM c WHERE id = $1';
CREATE SCHEMA tenant2;
CREATE TABLE tenant2.c (id int PRIMARY KEY, email text);
CREATE ROLE masked LOGIN;
CREATE ROLE stranger LOGIN;
GRANT ALL ON ALL TABLES IN SCHEMA public TO masked, stranger;
"""


@pytest.fixture(scope="module")
def world(pg18: Server) -> Iterator[Pgveil]:
    with pg18.connect() as admin:
        admin.execute("CREATE DATABASE peers")
    with pg18.connect("peers") as owner:
        owner.execute(SCHEMA)  # type: ignore[arg-type]
    with Pgveil.before(pg18, "peers", {"peers": POLICY}) as pgveil:
        yield pgveil
    with pg18.connect() as admin:
        admin.execute("DROP DATABASE peers WITH (FORCE)")
        admin.execute("DROP ROLE masked")
        admin.execute("DROP ROLE stranger")


class Peer:
    """One link through pgveil, a look around it, and a word that must not be found in the server's files."""

    def __init__(self, pgveil: Pgveil, server: Server) -> None:
        self.pgveil, self.server = pgveil, server
        self.link = pgveil.connect("peers")
        self.raw = server.connect("peers")
        self.word = "zq" + secrets.token_hex(6)
        self.mail = f"{self.word}@x.org"
        self.other = f"{self.word}@y.net"

    def ask(
        self, sql: str, params: Sequence[Param] = (), way: Way | None = None, link: Connection | None = None
    ) -> Any:
        """Rows as text of the last result, or the SQLSTATE of an error as a str."""
        found = outcomes(link or self.link, sql, params, way or ("text" if params else "simple"))[-1]
        if found.report[1] is not None:
            return found.report[1].decode()
        return [tuple(None if cell is None else cell.decode() for cell in row) for row in found.rows]

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


@pytest.fixture
def peer(world: Pgveil, pg18: Server) -> Iterator[Peer]:
    made = Peer(world, pg18)
    made.raw.execute("TRUNCATE c, d, r, w, p, tenant2.c")
    try:
        yield made
        assert made.leaks() == []
    finally:
        made.link.close()
        made.raw.close()


def add(peer: Peer, count: int = 1) -> None:
    """Rows 1… with the canary in every protected column."""
    for i in range(1, count + 1):
        params = [str(i), f"{peer.word}{i}@x.org", f"+1202555{1000 + i}", f"{peer.word} {i}", "1990-02-28", "note"]
        assert peer.ask("INSERT INTO c VALUES ($1, $2, $3, $4, $5, $6)", params) == []


# ---- A: plaintext got into the database


def test_001_upsert_assignments(peer: Peer) -> None:
    add(peer)
    upsert = "INSERT INTO c(id,email) VALUES(1,$1) ON CONFLICT(id) DO UPDATE SET email="
    peer.both(f"{upsert}$2 RETURNING email", [peer.mail, peer.other], [(peer.other,)])
    peer.both(f"{upsert}excluded.email RETURNING email", [peer.mail], [(peer.mail,)])


def test_002_upsert_with_the_value_only_in_the_set_list(peer: Peer) -> None:
    add(peer)
    sql = "INSERT INTO c(id,note) VALUES(1,'n') ON CONFLICT(id) DO UPDATE SET name=$1, note='m' RETURNING name, note"
    peer.both(sql, [peer.word], [(peer.word, "m")])


def test_003_upsert_parameters_counted(peer: Peer) -> None:
    add(peer, 2)
    upsert = " ON CONFLICT(id) DO UPDATE SET email=$3 WHERE c.email<>$4 RETURNING id"
    sql = "INSERT INTO c(id,email) VALUES($1,$2),(2,'b@x')" + upsert
    peer.both(sql.replace("(2,'b@x')", "(3,'b@x')"), ["1", peer.mail, peer.other, "q"], [("1",), ("3",)])
    peer.both(sql, ["1", peer.mail, peer.other, f"{peer.word}2@x.org"], [("1",)])


@pytest.mark.parametrize("value", ["$1::varchar", "CAST($1 AS text)", "$1::text::varchar(50)", "($1)", "(($1::text))"])
def test_004_casts_around_the_value(peer: Peer, value: str) -> None:
    peer.both(f"INSERT INTO c(id,email) VALUES(1,{value}) RETURNING email", [peer.mail], [(peer.mail,)])


def test_004_functions_around_the_value(peer: Peer) -> None:
    for value in ("coalesce($1,'a@x')", "lower($1)", "$1||'x'", "CASE WHEN true THEN $1 END", "(SELECT $1 LIMIT 1)"):
        peer.both(f"INSERT INTO c(id,email) VALUES(1,{value})", [peer.mail], "0A000")


def test_005_update_with_case_or_join(peer: Peer) -> None:
    add(peer)
    peer.both("UPDATE c SET email=CASE id WHEN 1 THEN $1 ELSE email END", [peer.mail], "0A000")
    peer.both("UPDATE c SET email=s.e FROM (VALUES(1,$1),(2,$2)) s(id,e) WHERE s.id=c.id", [peer.mail, "q"], "0A000")


def test_006_concatenation(peer: Peer) -> None:
    add(peer)
    peer.refused("UPDATE c SET email=email||'.uk'", "UPDATE c SET email='a'||email")


def test_007_literal_positions(peer: Peer) -> None:
    add(peer)
    peer.both(
        "UPDATE c SET (email,phone)=ROW($1,'+12025550100') RETURNING email, phone", [peer.mail],
        [(peer.mail, "+12025550100")],
    )  # fmt: skip
    peer.both("UPDATE c SET (email,note)=($1,$2) RETURNING email, note", [peer.mail, "n"], [(peer.mail, "n")])
    peer.both("WITH x AS (UPDATE c SET email=$1 RETURNING email) SELECT * FROM x", [peer.mail], [(peer.mail,)])
    peer.both("WITH x AS (INSERT INTO c(id,email) VALUES (9,$1)) SELECT 1", [peer.mail], [("1",)])
    peer.both("UPDATE c SET email=(SELECT $1 UNION SELECT 'b')", [peer.mail], "0A000")


def test_008_not_understood_and_protected_is_refused(peer: Peer) -> None:
    add(peer)
    word = peer.word
    peer.refused(
        f"MERGE INTO c USING (VALUES(1,'{word}')) s(i,e) ON id=i WHEN MATCHED THEN UPDATE SET email=e",
        f"DO $$ BEGIN UPDATE c SET email='{word}'; END $$",
        f"CREATE RULE ru AS ON UPDATE TO p DO ALSO UPDATE c SET email='{word}'",
        f"PREPARE q AS INSERT INTO c(id,email) VALUES (7,'{word}')",
        f"SELECT query_to_xml('SELECT * FROM c WHERE email=''{word}''', true, true, '')",
        f"ALTER TABLE c ALTER COLUMN email SET DEFAULT '{word}'",
    )
    assert peer.ask("MERGE INTO p USING (VALUES(1,'x')) s(i,e) ON id=i WHEN NOT MATCHED THEN INSERT VALUES (i,e)") == []
    assert peer.stored("SELECT e FROM p") == ["x"]


def test_010_statements_in_one_text(peer: Peer) -> None:
    assert peer.ask(f"SELECT 1; INSERT INTO c(id,email) VALUES(1,'{peer.mail}'); SELECT email FROM c") == [(peer.mail,)]
    assert peer.ask(f"SELECT 1; INSERT INTO c(id,email) VALUES(2,lower('{peer.mail}')); SELECT 2") == "0A000"
    assert len(peer.stored()) == 1


def test_011_columns_changed_behind_our_back(peer: Peer) -> None:
    add(peer)
    peer.raw.execute("ALTER TABLE d ADD COLUMN extra text")
    try:
        answer = peer.ask(f"INSERT INTO d VALUES (1, '{peer.mail}', '{peer.word}')")
        assert answer in ([], "0A000")
        found = peer.ask("SELECT * FROM d")
        assert found == "0A000" or [row[1:3] for row in found] in ([], [(peer.mail, peer.word)])
    finally:
        peer.raw.execute("ALTER TABLE d DROP COLUMN extra")


def test_013_null_beside_a_value(peer: Peer) -> None:
    for params in ([None, peer.word], [peer.mail, None], [None, None]):
        peer.both("SELECT id FROM c WHERE email=$1 OR name=$2", params, [])
        peer.both("INSERT INTO c(id,email,name) VALUES (1,$1,$2) RETURNING email,name", params, [tuple(params)])


def test_015_table_made_in_the_same_transaction(peer: Peer) -> None:
    peer.ask("BEGIN")
    assert peer.ask("CREATE TABLE public.S (id int, email text)") == []
    assert peer.ask(f"INSERT INTO s VALUES (1, '{peer.mail}')") in ([], "0A000")
    peer.ask("ROLLBACK")
    peer.ask("BEGIN; CREATE TABLE public.s (id int, email text)")
    assert peer.ask("INSERT INTO public.s VALUES (1, $1) RETURNING email", [peer.mail]) in ([(peer.mail,)], "0A000")
    peer.ask("ROLLBACK")


def test_016_copy(peer: Peer) -> None:
    add(peer)
    peer.refused(
        "COPY c(id,email) FROM STDIN", "COPY c FROM STDIN (FORMAT csv)", "COPY public.c TO STDOUT (FORMAT binary)",
        "COPY (SELECT email FROM c) TO STDOUT", "COPY c(email,id) FROM STDIN WHERE id > 1",
    )  # fmt: skip


def test_018_columns_do_not_swap(peer: Peer) -> None:
    add(peer)
    sql = "UPDATE c SET phone=$2,email=$1 WHERE id=$3 RETURNING email,phone"
    peer.both(sql, [peer.mail, "+12025550133", "1"], [(peer.mail, "+12025550133")])
    sql = "INSERT INTO c(id,name,note,email) VALUES (7,$1,DEFAULT,$2),(8,DEFAULT,'n',$3) RETURNING id,name,email"
    peer.both(sql, [peer.word, peer.mail, peer.other], [("7", peer.word, peer.mail), ("8", None, peer.other)])


def test_019_a_name_within_another(peer: Peer) -> None:
    peer.both(
        "INSERT INTO d VALUES (1,$1,$2) RETURNING full_name,email", [peer.mail, peer.word], [(peer.word, peer.mail)]
    )
    peer.both(
        "INSERT INTO d(full_name,id,email) VALUES ($2,1,$1) RETURNING *",
        [peer.mail, peer.word],
        [("1", peer.mail, peer.word)],
    )


def test_020_the_same_name_in_another_schema(peer: Peer) -> None:
    add(peer)
    assert peer.ask("INSERT INTO tenant2.c VALUES (1, 'open@x.org')") == []
    peer.ask("SET search_path = tenant2, public")
    assert peer.ask("SELECT email FROM c") == [("open@x.org",)]
    assert peer.ask("SELECT email FROM ONLY public.c AS c") == [(f"{peer.word}1@x.org",)]
    peer.ask("SET search_path = public, tenant2")
    assert peer.ask("SELECT x.email FROM ONLY c x") == [(f"{peer.word}1@x.org",)]
    assert peer.ask(f"INSERT INTO c(id,email) VALUES (5,'{peer.mail}') RETURNING email") == [(peer.mail,)]
    assert peer.stored("SELECT email FROM tenant2.c") == ["open@x.org"]


# ---- B: wrong, unmasked or silently empty reads


def test_021_functions_over_values(peer: Peer) -> None:
    add(peer)
    for wanted in ("concat_ws('-',name,phone)", "CASE WHEN name IS NULL THEN phone ELSE name END", "upper(email)",
                   "length(phone)", "substr(phone,1,3)",
                   "max(name)", "coalesce(email,'x')", "to_json(email)"):  # fmt: skip
        peer.refused(f"SELECT {wanted} FROM c")


def masked(peer: Peer) -> Connection:
    return peer.pgveil.connect("peers", "masked")


def test_022_mask_is_not_lost_in_a_function(peer: Peer) -> None:
    add(peer)
    with masked(peer) as link:
        for wanted in ("lower(name)", "name||''", "format('%s',name)", "row_to_json(c)", "c::text", "array_agg(name)"):
            answer = peer.ask(f"SELECT {wanted} FROM c", link=link)
            assert answer in ("0A000", "42501"), wanted
        ((shown,),) = peer.ask("SELECT name FROM c", link=link)
        assert peer.word not in shown


def test_023_star_beside_columns(peer: Peer) -> None:
    add(peer)
    peer.ask("INSERT INTO d VALUES (1, $1, $2)", [f"{peer.word}1@x.org", peer.word])
    row = ("1", f"{peer.word}1@x.org", "+12025551001", f"{peer.word} 1", "1990-02-28", "note")
    assert peer.ask("SELECT born,* FROM c") == [("1990-02-28", *row)]
    other = ("1", f"{peer.word}1@x.org", peer.word)
    assert peer.ask("SELECT c.*,d.*,c.email FROM c JOIN d USING (id)") == [(*row, *other, row[1])]
    assert peer.ask("SELECT email, email, id, email FROM c") == [(row[1], row[1], "1", row[1])]


def test_024_error_details_by_role(peer: Peer) -> None:
    add(peer)
    duplicate = f"INSERT INTO c(id,email) VALUES (5,'{peer.word}1@x.org')"
    with pytest.raises(psycopg.errors.UniqueViolation) as seen:
        peer.link.execute(duplicate.encode())
    assert seen.value.diag.message_detail == f"Key (email)=({peer.word}1@x.org) already exists."
    with masked(peer) as link, pytest.raises(psycopg.Error) as hidden:
        link.execute(b"UPDATE c SET id=NULL")
    assert peer.word not in str(vars(hidden.value.diag)) + str(hidden.value)


def test_025_errors_are_no_oracle(peer: Peer) -> None:
    add(peer)
    with masked(peer) as link:
        asked = "SELECT 1/(ascii(substr(email,1,1))-{}) FROM c WHERE id=1"
        answers = {str(peer.ask(asked.format(code), link=link)) for code in (97, ord("z"), 120)}
        assert answers in ({"0A000"}, {"42501"})


def test_026_a_masked_role_may_not_search(peer: Peer) -> None:
    add(peer)
    with masked(peer) as link:
        assert peer.ask(f"SELECT id FROM c WHERE email='{peer.word}1@x.org'", link=link) == "42501"
        assert peer.ask("SELECT id FROM c WHERE email=$1", [peer.mail], link=link) == "42501"
        for text in ("email LIKE 'a%'", "born>'1990-01-01'"):
            assert peer.ask(f"SELECT id FROM c WHERE {text}", link=link) in ("42501", "0A000")
        assert peer.ask("SELECT id FROM c ORDER BY email LIMIT 1", link=link) in ("42501", "0A000")


def test_027_group_by_a_part_of_a_value(peer: Peer) -> None:
    with masked(peer) as link:
        assert peer.ask("SELECT count(*),array_agg(id) FROM c GROUP BY substr(email,1,1)", link=link) in (
            "42501",
            "0A000",
        )


def test_028_a_function_that_reads_the_column(peer: Peer) -> None:
    add(peer)
    peer.refused("SELECT f(1)", "SELECT public.f(id) FROM p", "DO $$ BEGIN PERFORM email FROM c; END $$")


def test_029_cursors(peer: Peer) -> None:
    add(peer)
    peer.refused("DECLARE k CURSOR WITH HOLD FOR SELECT * FROM c")
    assert peer.ask("FETCH ALL FROM k") == "34000"


def test_030_sql_prepare(peer: Peer) -> None:
    add(peer)
    peer.refused("PREPARE pr(int) AS SELECT email FROM c WHERE id=$1")
    assert peer.ask("EXECUTE pr(1)") == "26000"
    peer.refused("EXPLAIN SELECT email FROM c", "EXPLAIN ANALYZE SELECT email FROM c")


def test_031_distinct_and_random_tokens(peer: Peer) -> None:
    for i in (1, 2):
        peer.ask("INSERT INTO r VALUES ($1, $2)", [str(i), peer.word])
        peer.ask("INSERT INTO c(id, name) VALUES ($1, $2)", [str(i), peer.word])
    stored = peer.stored("SELECT secret FROM r")
    assert len(set(stored)) == 2
    assert peer.ask("SELECT secret FROM r") == [(peer.word,), (peer.word,)]
    for text in (
        "SELECT DISTINCT {} FROM {}",
        "SELECT {0} FROM {1} UNION SELECT {0} FROM {1}",
        "SELECT {0} FROM {1} GROUP BY {0}",
    ):
        assert peer.ask(text.format("name", "c")) == [(peer.word,)]
        peer.refused(text.format("secret", "r"))
    assert peer.ask("SELECT count(DISTINCT name) FROM c") == [("1",)]
    peer.refused("SELECT count(DISTINCT secret) FROM r", f"SELECT id FROM r WHERE secret = '{peer.word}'")


def test_032_order_of_values(peer: Peer) -> None:
    add(peer, 2)
    peer.refused(
        "SELECT email FROM c ORDER BY 1", "SELECT rank() OVER w FROM c WINDOW w AS (ORDER BY email)",
        "SELECT max(name) FROM c",
        "SELECT DISTINCT ON(email) email, id FROM c ORDER BY email", "SELECT email e FROM c ORDER BY e",
        "SELECT array_agg(id ORDER BY email) FROM c", "SELECT email FROM c ORDER BY email FETCH FIRST 1 ROW WITH TIES",
        "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY name) FROM c",
    )  # fmt: skip


def test_033_ranges(peer: Peer) -> None:
    peer.refused(
        "SELECT id FROM c WHERE born > '2000-01-01'",
        "SELECT id FROM c WHERE born BETWEEN '1990-01-01' AND '2000-01-01'",
        "SELECT least(born,'2000-01-01') FROM c", "SELECT id FROM c WHERE (email,id) < ('a',1)",
    )  # fmt: skip


def test_034_any(peer: Peer) -> None:
    add(peer, 3)
    one, two = f"{peer.word}1@x.org", f"{peer.word}2@x.org"
    peer.ask("INSERT INTO d(id,email) VALUES (1,$1)", [one])
    for way in ("text", "binary", "prepared"):
        assert peer.ask("SELECT email FROM c WHERE email=ANY($1) ORDER BY id", [[one, two, None]], way) in (
            [(one,), (two,)],
        )  # type: ignore[arg-type]
    assert peer.ask(f"SELECT id FROM c WHERE email=ANY(ARRAY['{one}','q'])") == [("1",)]
    assert peer.ask("SELECT id FROM c WHERE email IN (SELECT email FROM d)") == [("1",)]
    assert peer.ask("SELECT id FROM c WHERE email=ANY(SELECT email FROM d)") == [("1",)]
    assert peer.ask("SELECT id FROM c WHERE email<>ALL($1) ORDER BY id", [[one, two]]) == [("3",)]
    assert peer.ask(f"SELECT id FROM c WHERE email NOT IN ('{one}', NULL)") == []


def test_035_036_patterns(peer: Peer) -> None:
    add(peer)
    for pattern in ("LIKE 'a_c%'", "like '%'", "LIKE ''", "NOT LIKE 'x'", "ILIKE 'A%'", "~* 'x'", "SIMILAR TO 'a'",
                    "LIKE concat('a','%')", "LIKE 'a!%' ESCAPE '!'", "^@ 'a'"):  # fmt: skip
        peer.refused(f"SELECT id FROM c WHERE email {pattern}")
    peer.refused("SELECT id FROM c WHERE starts_with(email, 'a')")


def test_037_derived_tables(peer: Peer) -> None:
    add(peer)
    mail = f"{peer.word}1@x.org"
    peer.both("SELECT t.e FROM (SELECT email e FROM c WHERE email=$1) t WHERE t.e IS NOT NULL", [mail], [(mail,)])
    peer.both("SELECT * FROM (SELECT id, email FROM c) t WHERE email=$1", [mail], [("1", mail)])
    peer.both("SELECT (SELECT email FROM c x WHERE x.email=$1) FROM c", [mail], [(mail,)])
    peer.both("SELECT id FROM c WHERE EXISTS (SELECT 1 FROM c y WHERE y.email=$1 AND y.id=c.id)", [mail], [("1",)])
    peer.both(
        "SELECT t.email FROM p RIGHT JOIN c ON false, LATERAL (SELECT c.email) t WHERE t.email=$1", [mail], [(mail,)]
    )


def test_038_every_arm_of_or(peer: Peer) -> None:
    add(peer)
    mail = f"{peer.word}1@x.org"
    peer.both("SELECT id FROM c WHERE email IS NULL OR email=$1", [mail], [("1",)])
    peer.both("SELECT id FROM c WHERE note='x' OR (phone='q' OR NOT (email<>$1))", [mail], [("1",)])
    peer.both("SELECT id FROM c WHERE email IS NOT DISTINCT FROM $1", [mail], [("1",)])
    peer.both("SELECT id FROM c WHERE (email,phone)=($1,$2)", [mail, "+12025551001"], [("1",)])


def test_039_views(peer: Peer) -> None:
    add(peer)
    peer.refused("SELECT mail FROM v", f"SELECT id FROM v WHERE mail='{peer.mail}'",
                 f"INSERT INTO v VALUES (4,'{peer.mail}')",
                 "CREATE VIEW vv AS SELECT * FROM v")  # fmt: skip
    assert peer.ask(f"CREATE MATERIALIZED VIEW mv AS SELECT email FROM c WHERE email<>'{peer.mail}'") in ([], "0A000")
    assert isinstance(peer.ask("SELECT email FROM mv"), str)
    peer.ask("DROP MATERIALIZED VIEW mv")


def test_040_set_operations(peer: Peer) -> None:
    add(peer)
    peer.refused(f"SELECT email FROM c UNION SELECT '{peer.mail}'", "SELECT email FROM c UNION ALL SELECT note FROM c",
                 "SELECT note FROM c EXCEPT SELECT email FROM c")  # fmt: skip
    walk = "WITH RECURSIVE x(i,e) AS (SELECT id,email FROM c WHERE email=$1 UNION ALL "
    walk += "SELECT c.id,c.email FROM c JOIN x ON c.id=x.i+1) SELECT e FROM x"
    peer.both(walk, [f"{peer.word}1@x.org"], [(f"{peer.word}1@x.org",)])


def test_042_joins_and_insert_select(peer: Peer) -> None:
    add(peer)
    mail = f"{peer.word}1@x.org"
    assert peer.ask("INSERT INTO d(id,email) SELECT id,email FROM c RETURNING email") == [(mail,)]
    assert peer.ask("SELECT email FROM c JOIN d USING(email)") == [(mail,)]
    assert peer.ask("SELECT email FROM c NATURAL JOIN d") == [(mail,)]
    peer.refused("INSERT INTO d(id,full_name) SELECT id+1,email FROM c", "INSERT INTO p SELECT id,email FROM c")


def test_043_one_parameter_in_two_roles(peer: Peer) -> None:
    add(peer)
    mail = f"{peer.word}1@x.org"
    for way in ("text", "binary", "prepared"):
        assert peer.ask("UPDATE c SET email=$1 WHERE email=$1 RETURNING email", [mail], way) == [(mail,)]  # type: ignore[arg-type]
    assert peer.ask("SELECT id FROM c WHERE email=$1 OR phone=$1", [mail]) == [("1",)]
    assert peer.ask("INSERT INTO c(id,email,note) VALUES(9,$1,$1) RETURNING email,note", ["open note"]) == [
        ("open note",) * 2
    ]


def test_044_same_named_column_of_another_table(peer: Peer) -> None:
    add(peer)
    assert peer.ask("INSERT INTO tenant2.c VALUES (1,'open')") == []
    assert peer.ask("UPDATE c SET email=t.email FROM tenant2.c t WHERE t.id=c.id") == "0A000"
    peer.ask("INSERT INTO d(id,email) VALUES (1,$1)", [peer.other])
    assert peer.ask("UPDATE c SET email=d.email FROM d WHERE d.id=c.id RETURNING c.email") == [(peer.other,)]


def test_045_a_token_moved_to_another_column(peer: Peer) -> None:
    add(peer)
    peer.raw.execute("UPDATE c SET note=email, phone=email")
    (token,) = peer.stored("SELECT note FROM c")
    assert peer.ask("SELECT note FROM c") == [(token,)]
    assert peer.ask("SELECT phone FROM c") in ([(f"{peer.word}1@x.org",)], [(token,)])


def test_046_a_client_that_writes_a_token(peer: Peer) -> None:
    add(peer)
    (token,) = peer.stored()
    assert peer.ask("INSERT INTO c(id,email) VALUES (2,$1) RETURNING email", [token]) == [(token,)]
    assert peer.ask(f"SELECT id FROM c WHERE email='{token}'") == [("2",)]
    assert token not in peer.stored("SELECT email FROM c WHERE id=2")


def test_049_two_statements_in_one_flight(peer: Peer) -> None:
    with peer.link.pipeline():
        one = peer.link.execute("INSERT INTO c(id,email) VALUES (1,%s) RETURNING email", [peer.mail])
        two = peer.link.execute("INSERT INTO c(id,name) VALUES (2,%s) RETURNING name, id", [peer.word])
        three = peer.link.execute("SELECT email, name FROM c WHERE email=%s", [peer.mail])
    assert (one.fetchall(), two.fetchall(), three.fetchall()) == ([(peer.mail,)], [(peer.word, 2)], [(peer.mail, None)])


def test_050_unnamed_statement_bound_to_something_else(peer: Peer) -> None:
    add(peer)
    mail = f"{peer.word}1@x.org"
    for text in ("SELECT email FROM c", "BEGIN", "SELECT email FROM c", "COMMIT", "SELECT 1"):
        answer = peer.ask(text, way="text")
        assert answer == {"SELECT email FROM c": [(mail,)], "SELECT 1": [("1",)]}.get(text, [])


def test_063_a_refusal_fails_the_transaction(peer: Peer) -> None:
    peer.ask("BEGIN")
    assert peer.ask("INSERT INTO c(id,email) VALUES (1,$1)", [peer.mail]) == []
    peer.refused("SELECT upper(email) FROM c")
    assert peer.ask("SELECT 1") == "25P02"
    assert outcomes(peer.link, "COMMIT", (), "simple")[0].tag == "ROLLBACK"
    assert peer.stored() == []


# ---- D: names, catalog, DDL


def test_075_ddl_by_the_extended_protocol(peer: Peer) -> None:
    add(peer)
    other = peer.pgveil.connect("peers")
    try:
        assert peer.ask("ALTER TABLE c ADD COLUMN more text DEFAULT 'm'", way="text") == []
        for link in (peer.link, other):
            assert peer.ask("SELECT email, more FROM c WHERE id=1", link=link) == [(f"{peer.word}1@x.org", "m")]
        peer.ask("BEGIN; ALTER TABLE c ADD COLUMN never text")
        peer.ask("ROLLBACK")
        assert len(peer.ask("SELECT * FROM c")[0]) == 7
    finally:
        other.close()
        peer.ask("ALTER TABLE c DROP COLUMN more")


def test_076_rename_does_not_launder(peer: Peer) -> None:
    add(peer)
    peer.refused("ALTER TABLE c RENAME TO c2", "ALTER TABLE c SET SCHEMA tenant2")
    past = peer.server.connect("peers")
    peer.ask("INSERT INTO d(id,email) VALUES (1,$1)", [peer.mail])
    try:
        for link in (peer.link, past):
            link.execute(b"ALTER TABLE d RENAME COLUMN email TO mail")
            for text in (f"INSERT INTO d(id,mail) VALUES (4,'{peer.mail}')", "SELECT mail FROM d", "SELECT * FROM d"):
                assert peer.ask(text) in ("0A000", [("1", peer.mail, None)]), text
            assert peer.ask("ALTER TABLE d RENAME COLUMN mail TO email") == []
            assert peer.ask("SELECT email FROM d") == [(peer.mail,)]
    finally:
        past.close()


def test_077_search_path_moved_under_a_named_statement(peer: Peer) -> None:
    add(peer)
    peer.raw.execute("INSERT INTO tenant2.c VALUES (1, 'open@x.org')")
    peer.link.prepare_threshold = 0
    mail = f"{peer.word}1@x.org"
    assert peer.link.execute("SELECT email FROM c WHERE id=%s", [1]).fetchall() == [(mail,)]
    peer.ask("SELECT set_config('search_path','tenant2',false)")
    assert peer.link.execute("SELECT email FROM c WHERE id=%s", [1]).fetchall() == [("open@x.org",)]
    peer.ask("RESET search_path")
    assert peer.link.execute("SELECT email FROM c WHERE id=%s", [1]).fetchall() == [(mail,)]


def test_078_session_changes(peer: Peer) -> None:
    add(peer)
    mail = f"{peer.word}1@x.org"
    for change in ("SET standard_conforming_strings=off", "SET client_encoding='LATIN1'", "SET DateStyle='German'"):
        peer.ask(change)
        assert peer.ask(f"SELECT email FROM c WHERE email='{mail}'") == [(mail,)], change
        assert peer.ask(f"UPDATE c SET name='{peer.word}' RETURNING name") == [(peer.word,)], change
        peer.ask("RESET ALL")
    peer.ask("CREATE TEMP TABLE c (id int, email text)")
    answer = peer.ask("INSERT INTO c VALUES (1, 'temporary') RETURNING email")
    assert answer in ([("temporary",)], "0A000")
    assert peer.ask("SELECT email FROM public.c") == [(mail,)]
    assert peer.ask("DROP TABLE pg_temp.c") == []


def test_079_nothing_of_ours_in_the_transaction(peer: Peer) -> None:
    add(peer)
    peer.ask("BEGIN")
    assert peer.ask("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE") == []
    assert peer.ask("SELECT email FROM c") == [(f"{peer.word}1@x.org",)]
    assert peer.ask("SHOW transaction_isolation") == [("serializable",)]
    peer.ask("COMMIT")


def test_080_names(peer: Peer) -> None:
    sql = 'INSERT INTO w("id","Email","desc") VALUES (1,$1,$2) RETURNING "Email", "w"."desc", w.*'
    peer.both(sql, [peer.mail, peer.word], [(peer.mail, peer.word, "1", None, peer.mail, peer.word)])
    peer.both('INSERT INTO w(ID,U&"\\0045mail") VALUES (1,$1) RETURNING U&"\\0045mail"', [peer.mail], [(peer.mail,)])
    peer.both('INSERT INTO "public"."w"(id,code) VALUES (1,$1) RETURNING CODE', [peer.mail], [(peer.mail.ljust(40),)])


def test_082_dropped_column_shifts_positions(peer: Peer) -> None:
    peer.raw.execute("CREATE TABLE s (gone int, id int, email text, tail text)")
    try:
        peer.ask("ALTER TABLE s DROP COLUMN gone")
        assert peer.ask("INSERT INTO s VALUES (1, $1, 'open') RETURNING *", [peer.mail]) == [("1", peer.mail, "open")]
        assert peer.ask("SELECT * FROM s") == [("1", peer.mail, "open")]
    finally:
        peer.raw.execute("DROP TABLE s")


# ---- E: values


def test_083_char_padding(peer: Peer) -> None:
    assert peer.ask("INSERT INTO w(id,code) VALUES (1,$1) RETURNING code", [peer.word + "  "]) == [
        (peer.word.ljust(40),)
    ]
    peer.both("SELECT id FROM w WHERE code=$1", [peer.word], [("1",)])


@pytest.mark.parametrize("length", [0, 1, 2])
def test_084_113_short_values(peer: Peer, length: int) -> None:
    values = [(f"{i:x}" * 2)[:length] if length < 2 else f"{i:02x}" for i in range(256 if length else 3)]
    rows = ",".join(f"({i},'{value}')" for i, value in enumerate(values))
    assert peer.ask(f"INSERT INTO c(id,name) VALUES {rows}") == []
    assert [row[0] for row in peer.ask("SELECT name FROM c ORDER BY id")] == values
    assert all(len(token) == 36 for token in peer.stored("SELECT name FROM c"))
    assert peer.ask("SELECT count(*) FROM c WHERE name=$1", [values[1]]) == [(str(values.count(values[1])),)]
    assert peer.ask("SELECT count(*) FROM c WHERE name IS NULL") == [("0",)]


def test_085_declared_types(peer: Peer) -> None:
    add(peer)
    for way in ("text", "binary", "prepared"):
        found = outcomes(peer.link, "SELECT born FROM c WHERE born=$1", ["1990-02-28"], way)[-1]  # type: ignore[arg-type]
        assert found.columns[0][1] == 1082
        assert found.rows[0][0] in (b"1990-02-28", (-3594).to_bytes(4, "big", signed=True))
    assert peer.ask("INSERT INTO c(id,born) VALUES (2,'no date')") == "22007"
    assert peer.ask("INSERT INTO c(id,born) VALUES (2,$1)", ["2001-02-30"]) == "22008"


def test_086_bytes_outside_the_values_are_kept(peer: Peer) -> None:
    text = "SELECT /*+ hint */ 1.50, 'é😀', E'\\u00e9', $q$it's$q$, U&'\\00e9', email -- end\n FROM c WHERE email='{}'"
    add(peer)
    mail = f"{peer.word}1@x.org"
    assert peer.ask(text.format(mail)) == [("1.50", "é😀", "é", "it's", "é", mail)]


def test_087_plain_and_protected_rows(peer: Peer) -> None:
    add(peer)
    peer.raw.execute("INSERT INTO c(id,email,name) VALUES (2,'old@x.org','Old')")
    found = peer.ask("SELECT email, name FROM c ORDER BY id")
    assert found == [(f"{peer.word}1@x.org", f"{peer.word} 1"), ("old@x.org", "Old")]
    with peer.pgveil.connect("peers", "stranger") as link:
        answer = peer.ask("SELECT email, name FROM c ORDER BY id", link=link)
        assert "old@x.org" not in str(answer) and "Old" not in str(answer)
    with masked(peer) as link:
        assert "old@x.org" not in str(peer.ask("SELECT email FROM c", link=link))


# ---- G, H


def test_101_a_number_too_big(peer: Peer) -> None:
    assert peer.ask(f"INSERT INTO c(id,email) VALUES (3000000000,'{peer.mail}')") == "22003"
    assert peer.stored() == []


def test_102_a_foreign_uuid_is_a_value(peer: Peer) -> None:
    add(peer)
    foreign = "0198c0de-0000-8000-8000-000000000001"
    peer.raw.execute(f"INSERT INTO c(id,email) VALUES (2,'{foreign}')".encode())
    assert peer.ask("SELECT email FROM c WHERE id=2") == [(foreign,)]


def test_103_one_value_from_many_connections(peer: Peer) -> None:
    links = [peer.pgveil.connect("peers") for _ in range(20)]
    try:
        for i, link in enumerate(links):
            link.pgconn.send_query(f"INSERT INTO d(id,email) VALUES ({i},'{peer.mail}')".encode())
        for link in links:
            while result := link.pgconn.get_result():
                assert result.command_status == b"INSERT 0 1"
    finally:
        for link in links:
            link.close()
    assert len(set(peer.stored("SELECT email FROM d"))) == 1
    assert peer.ask("SELECT count(*) FROM d WHERE email=$1", [peer.mail]) == [("20",)]


def test_105_empty_queries(peer: Peer) -> None:
    for text in ("", ";", "-- x", "/* */"):
        assert outcomes(peer.link, text, (), "simple")[-1].tag == ""
        assert outcomes(peer.link, text, (), "text")[-1].tag == ""


STORED_PLAINTEXT_ELSEWHERE = [
    ("INSERT INTO c(id,email,note,name) VALUES (1,$1,'lit',$2)", []),
    ("INSERT INTO c(id,email,note,name) VALUES (1,$1,DEFAULT,$2)", []),
    ("INSERT INTO c(id,email,note,name) VALUES (1,$1,upper('x'),$2)", []),
    ("INSERT INTO c(id,email,name) VALUES (1,lower($1),$2)", "0A000"),
    ("INSERT INTO c(id,email,name) VALUES (1,$1||'b',$2)", "0A000"),
    ("INSERT INTO c(id,email,name) VALUES (1,'q','r') ON CONFLICT(id) DO UPDATE SET email=$1,name=$2", []),
    ("UPDATE c SET (email,name)=($1,$2)", []),
    ("UPDATE c SET email=CASE WHEN name=$2 THEN $1 END", "0A000"),
    ("WITH x AS (INSERT INTO c(id,email,name) VALUES (1,$1,$2) RETURNING id) SELECT FROM x WHERE false", []),
    ("INSERT INTO c(id,email,name) SELECT 1,$1,$2", []),
    ("INSERT INTO c(id,email) SELECT 1,unnest(ARRAY[$1,$2])", "0A000"),
    ("EXPLAIN ANALYZE INSERT INTO c(id,email,name) VALUES (1,$1,$2)", "0A000"),
]


@pytest.mark.parametrize(("sql", "wanted"), STORED_PLAINTEXT_ELSEWHERE)
def test_110_forms_that_stored_plaintext(peer: Peer, sql: str, wanted: object) -> None:
    peer.both(sql, [peer.mail, peer.word], wanted)


FOUND_NOTHING_ELSEWHERE = [
    "email=$1::text", "$1=email", "email IN ($1,'b')", "email=ANY(ARRAY[$1])", "(id,email)=(1,$1)",
    "EXISTS (WITH x AS (SELECT $1=c.email AS y) SELECT FROM x WHERE y)",
]  # fmt: skip


@pytest.mark.parametrize("condition", FOUND_NOTHING_ELSEWHERE)
def test_111_forms_that_found_nothing(peer: Peer, condition: str) -> None:
    add(peer)
    peer.both(f"SELECT id FROM c WHERE {condition}", [f"{peer.word}1@x.org"], [("1",)])


def test_112_the_link_survives(peer: Peer) -> None:
    for text in (
        "SELECT (((",
        "INSERT INTO c VALUES (",
        "SELECT email FROM c WHERE email = 'x",
        "\\",
        "SELECT $1",
        "{",
        "c",
    ):
        assert isinstance(peer.ask(text), str)
    assert peer.ask("SELECT 1") == [("1",)]


def test_114_many_values_of_one_statement(peer: Peer) -> None:
    rows = ",".join(f"({i},'{peer.word}{i}')" for i in range(3000))
    assert peer.ask(f"INSERT INTO c(id,name) VALUES {rows}") == []
    found = peer.ask("SELECT id, name FROM c")
    assert all(name == f"{peer.word}{i}" for i, name in found) and len(found) == 3000
