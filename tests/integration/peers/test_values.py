"""E, G, H: values, the vault and its tokens, what was measured."""

import hashlib

import pytest

from tests.integration.peers.world import Peer, add, masked
from tests.kit.differ import WAYS

pytestmark = pytest.mark.server


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
        found = peer.outcome("SELECT born FROM c WHERE born=$1", ["1990-02-28"], way)
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
    with peer.connect("stranger") as link:
        answer = peer.ask("SELECT email, name FROM c ORDER BY id", link=link)
        assert "old@x.org" not in str(answer) and "Old" not in str(answer)
    with masked(peer) as link:
        assert "old@x.org" not in str(peer.ask("SELECT email FROM c", link=link))


def test_101_a_number_too_big(peer: Peer) -> None:
    assert peer.ask(f"INSERT INTO c(id,email) VALUES (3000000000,'{peer.mail}')") == "22003"
    assert peer.stored() == []


def test_102_a_foreign_uuid_is_a_value(peer: Peer) -> None:
    add(peer)
    foreign = "0198c0de-0000-8000-8000-000000000001"
    peer.raw.execute(f"INSERT INTO c(id,email) VALUES (2,'{foreign}')".encode())
    assert peer.ask("SELECT email FROM c WHERE id=2") == [(foreign,)]


def test_103_one_value_from_many_connections(peer: Peer) -> None:
    links = [peer.connect() for _ in range(20)]
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
        assert peer.outcome(text).tag == ""
        assert peer.outcome(text, (), "text").tag == ""


STORED_PLAINTEXT_ELSEWHERE = [
    ("INSERT INTO c(id,email,note,name) VALUES (1,$1,'lit',$2)", []),
    ("INSERT INTO c(id,email,note,name) VALUES (1,$1,DEFAULT,$2)", []),
    ("INSERT INTO c(id,email,note,name) VALUES (1,$1,upper('x'),$2)", []),
    ("INSERT INTO c(id,email,name) VALUES (1,lower($1),$2)", "0A000"),
    ("INSERT INTO c(id,email,name) VALUES (1,$1||'b',$2)", "0A000"),
    ("INSERT INTO c(id,email,name) VALUES (1,'q','r') ON CONFLICT(id) DO UPDATE SET email=$1,name=$2", []),
    ("UPDATE c SET (email,name)=($1,$2)", []),
    ("UPDATE c SET email=CASE WHEN name=$2 THEN $1 END", []),
    ("WITH x AS (INSERT INTO c(id,email,name) VALUES (1,$1,$2) RETURNING id) SELECT FROM x WHERE false", []),
    ("INSERT INTO c(id,email,name) SELECT 1,$1,$2", []),
    ("INSERT INTO c(id,email) SELECT * FROM unnest(ARRAY[1,2], ARRAY[$1,$2])", []),
    ("EXPLAIN (COSTS OFF) INSERT INTO c(id,email,name) VALUES (1,$1,$2)", [("Insert on c",), ("  ->  Result",)]),
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


def test_084_a_thousand_short_values(peer: Peer) -> None:
    values = [chr(0x4E00 + i) for i in range(1000)]
    assert peer.ask("INSERT INTO c(id,email) VALUES " + ",".join(f"({n},'{v}')" for n, v in enumerate(values))) == []
    assert [row[0] for row in peer.ask("SELECT email FROM c ORDER BY id")] == values
    assert peer.ask("SELECT count(*) FROM c WHERE email=''") == [("0",)]
    peer.ask("UPDATE c SET email='' WHERE id=1")
    for way in WAYS[1:]:
        assert peer.ask("SELECT note, id FROM c WHERE email=$1", [""], way)[0][0] is None


def test_085_a_declared_integer(peer: Peer) -> None:
    peer.both("INSERT INTO k VALUES (1,$1) RETURNING num", ["2147483647"], [("2147483647",)])
    peer.ask("INSERT INTO k VALUES (1,42)")
    for way in WAYS[1:]:
        told = peer.outcome("SELECT num FROM k WHERE num=$1", ["42"], way)
        assert told.columns[0][1:3] == (23, -1) and told.rows[0][0] in (b"42", b"\0\0\0*")


def test_086_composed_and_decomposed_are_two_values(peer: Peer) -> None:
    one, two = "Zoe\u0308", "Zo\u00eb"
    peer.ask("INSERT INTO c(id,name) VALUES (1,$1),(2,$2)", [one, two])
    assert peer.ask("SELECT name FROM c ORDER BY id") == [(one,), (two,)]
    assert peer.ask("SELECT count(DISTINCT name) FROM c") == [("2",)]
    assert peer.ask("SELECT id FROM c WHERE name=$1", [two]) == [("2",)]
    assert peer.ask(f"SELECT id FROM c WHERE name='{one}'") == [("1",)]


def test_087_searches_joins_and_counts_during_a_migration(peer: Peer) -> None:
    """Half of the rows hold what was there before: right, or refused; never silently without them."""
    old = f"old{peer.word[2:6]}@x.org"  # it is there in clear already, so no canary
    peer.ask("INSERT INTO d VALUES (1,$1,'One'),(3,$2,'Three')", [peer.mail, old])
    peer.raw.execute("INSERT INTO d VALUES (2,%s,'Two')", [old])
    assert peer.ask("SELECT count(*), count(email) FROM d") == [("3", "3")]
    assert peer.ask("SELECT email FROM d ORDER BY id") == [(peer.mail,), (old,), (old,)]
    for sql, wanted in (
        (f"SELECT id FROM d WHERE email='{old}' ORDER BY id", [("2",), ("3",)]),
        ("SELECT a.id FROM d a JOIN d b USING (email) WHERE b.id=3 ORDER BY a.id", [("2",), ("3",)]),
        ("SELECT count(DISTINCT email) FROM d", [("2",)]),
        ("SELECT email, count(*) FROM d GROUP BY email ORDER BY 2", [(peer.mail, "1"), (old, "2")]),
        (f"SELECT id FROM d WHERE email <> '{old}'", [("1",)]),
    ):
        assert peer.ask(sql) in (wanted, "0A000"), sql


def test_096_long_lists_and_deep_trees(peer: Peer) -> None:
    """Answered or refused within the test's time, and the link goes on."""
    add(peer)
    mail = f"{peer.word}1@x.org"
    many = [f"{i}@x.org" for i in range(5000)]
    listed = ",".join(f"'{one}'" for one in many)
    assert peer.ask(f"SELECT id FROM c WHERE email IN ({listed},'{mail}')") == [("1",)]
    assert peer.ask("SELECT id FROM c WHERE email=ANY($1)", [[*many, mail]]) == [("1",)]
    deep = " OR ".join(f"id={i + 7}" for i in range(3000))
    assert peer.ask(f"SELECT id FROM c WHERE {deep} OR email='{mail}'") in ([("1",)], "0A000", "54001", "54000")
    nested = "(" * 3000 + f"email='{mail}'" + ")" * 3000
    assert peer.ask(f"SELECT id FROM c WHERE {nested}") in ([("1",)], "0A000", "54001", "54000", "42601")
    assert peer.ask("SELECT email FROM c") == [(mail,)]


def test_100_no_file_of_pgveil_holds_a_value_or_its_plain_digest(peer: Peer) -> None:
    values = [peer.word, peer.mail, "+12025550199"]
    assert peer.ask("INSERT INTO c(id,name,email,phone) VALUES (1,$1,$2,$3)", values) == []
    held = b"".join(path.read_bytes() for path in peer.pgveil.base.rglob("*") if path.is_file())
    for raw in {text.encode() for value in values for text in (value, value.lower(), value.upper())}:
        assert raw not in held
        for name in ("md5", "sha1", "sha256", "sha512", "blake2b"):
            digest = hashlib.new(name, raw)
            assert digest.digest()[:16] not in held and digest.hexdigest()[:32].encode() not in held


def test_101_a_declared_integer_too_big(peer: Peer) -> None:
    peer.both("INSERT INTO k VALUES (1,$1)", ["3000000000"], "22003")
    assert peer.ask("INSERT INTO k VALUES (1,3000000000)") == "22003"
    assert peer.stored("SELECT num FROM k") == []


def test_102_a_live_token_of_another_class(peer: Peer) -> None:
    """In a column where rows from before lie: shown by the rights to what it stands for, to nobody else."""
    add(peer)
    (phone,) = peer.stored("SELECT phone FROM c")
    peer.raw.execute("INSERT INTO d VALUES (7,%s,'x')", [phone])
    assert peer.ask("SELECT email FROM d", link=peer.connect("stranger")) == [(phone,)]
    shown = peer.ask("SELECT email FROM d", link=masked(peer))
    assert shown not in ([("+12025551001",)], [(phone,)])
    assert peer.ask("SELECT email FROM d") in ([("+12025551001",)], [(phone,)])


def test_103_fifty_connections_and_winners_that_roll_back(peer: Peer) -> None:
    links = [peer.connect() for _ in range(50)]
    for link in links:
        peer.ask("BEGIN", link=link)
    for i, link in enumerate(links):
        link.pgconn.send_query(f"INSERT INTO d(id,email) VALUES ({i},'{peer.mail}')".encode())
    for link in links:
        while result := link.pgconn.get_result():
            assert result.command_status == b"INSERT 0 1"
    for i, link in enumerate(links):
        peer.ask("ROLLBACK" if i % 2 == 0 else "COMMIT", link=link)
    assert len(set(peer.stored("SELECT email FROM d"))) == 1
    assert peer.ask("SELECT count(*) FROM d WHERE email=$1", [peer.mail]) == [("25",)]
    assert peer.ask("SELECT DISTINCT email FROM d") == [(peer.mail,)]


def test_104_a_cte_that_writes(peer: Peer) -> None:
    mail = peer.mail
    peer.both("WITH x AS (INSERT INTO c(id,email) VALUES(1,$1) RETURNING email) SELECT * FROM x", [mail], [(mail,)])
    add(peer)
    peer.both("WITH x AS (UPDATE c SET email=$1 RETURNING id,email), y AS (SELECT email FROM x WHERE email=$1) TABLE y",
              [mail], [(mail,)])  # fmt: skip


PRIMARY_KEYS = """SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, ct.relname AS TABLE_NAME,
  a.attname AS COLUMN_NAME,
  (information_schema._pg_expandarray(i.indkey)).n AS KEY_SEQ, ci.relname AS PK_NAME,
  information_schema._pg_expandarray(i.indkey) AS KEYS, a.attnum AS A_ATTNUM
FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid)
  JOIN pg_catalog.pg_namespace n ON (ct.relnamespace = n.oid)
  JOIN pg_catalog.pg_index i ON ( a.attrelid = i.indrelid) JOIN pg_catalog.pg_class ci ON (ci.oid = i.indexrelid)
WHERE true AND n.nspname = 'public' AND ct.relname = 'c' AND i.indisprimary"""


def test_106_system_columns_and_what_tools_ask(peer: Peer) -> None:
    add(peer)
    mail = f"{peer.word}1@x.org"
    ((*row, ctid, xmin, oid),) = peer.ask("SELECT *, ctid, xmin, tableoid FROM c")
    assert row[1:3] == [mail, "+12025551001"] and ctid.startswith("(0,") and xmin and oid
    assert peer.ask("SELECT ctid, email, xmin, phone FROM c")[0][1::2] == (mail, "+12025551001")
    for way in WAYS:
        keys = peer.ask(f"SELECT column_name, key_seq FROM ({PRIMARY_KEYS}) r WHERE a_attnum = (keys).x", (), way)
        assert keys in ([("id", "1")], [("id", "\0\0\0\1")])


def test_108_statistics_hold_tokens(peer: Peer) -> None:
    """And so do the views of what runs."""
    rows = ",".join(f"({i},'{peer.word} {i % 3}','+1202555{i:04}')" for i in range(300))
    assert peer.ask(f"INSERT INTO c(id,name,phone) VALUES {rows}") == []
    assert peer.ask("ANALYZE c") == []
    asked = "SELECT most_common_vals::text || coalesce(histogram_bounds::text, '') FROM pg_stats WHERE tablename = 'c'"
    found = str(peer.raw.execute(asked.encode()).fetchall())
    assert "-" in found and peer.word not in found and "+1202555" not in found
    assert peer.ask("SELECT count(*) FROM c WHERE name=$1", [f"{peer.word} 1"]) == [("100",)]
    assert peer.word not in str(peer.raw.execute("SELECT query FROM pg_stat_activity").fetchall())


RETURNED_TOKENS_ELSEWHERE = [
    "email||''", "upper(email)", "max(email)", "string_agg(email, ',')", "to_json(email)", "coalesce(email,'x')",
    "json_build_object('e', email)", "array_agg(email)", "nullif(email,name)", "email::varchar(3)",
    "format('%s', email)",
]  # fmt: skip


@pytest.mark.parametrize("output", RETURNED_TOKENS_ELSEWHERE)
def test_111_outputs_that_were_tokens(peer: Peer, output: str) -> None:
    add(peer)
    peer.refused(f"SELECT {output} FROM c", f"SELECT {output} FROM c UNION SELECT '{peer.mail}'")
