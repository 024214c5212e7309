"""D: names, catalog, DDL."""

import pytest

from proxy import tokens
from tests.integration.peers.world import Peer, add
from tests.kit.differ import Way

pytestmark = pytest.mark.server


def test_075_ddl_by_the_extended_protocol(peer: Peer) -> None:
    add(peer)
    other = peer.connect()
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
    past = peer.server.connect(peer.database)
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
    peer.both(sql, [peer.mail, peer.word], [(peer.mail, peer.word, "1", None, peer.mail, peer.word, None)])
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


MOVERS = ("by_sql", "by_perform", "by_set", "by_execute")
CALLS = ["SELECT public.{}()", "SELECT id FROM public.p WHERE public.{}() IS NOT NULL", "SELECT 1 ORDER BY public.{}()"]


@pytest.mark.parametrize("way", ["simple", "prepared"])
@pytest.mark.parametrize("how", MOVERS)
@pytest.mark.parametrize("fixture", ["peer", "peer15"])
def test_077_search_path_moved_by_a_function(fixture: str, how: str, way: Way, request: pytest.FixtureRequest) -> None:
    """Both ways between public and a schema that nobody protects; 18 reports search_path, 15 does not."""
    here: Peer = request.getfixturevalue(fixture)
    for start, to in (("public", "tenant2"), ("tenant2", "public")):
        for call in CALLS:
            here.raw.execute("INSERT INTO tenant2.c VALUES (1, 'open@x.org'); INSERT INTO p VALUES (1,'x')")
            moved(here, start, call.format(f"{how}_{to}"), way)
            here.raw.execute("DELETE FROM c; DELETE FROM tenant2.c; DELETE FROM p")


def moved(peer: Peer, start: str, call: str, way: Way) -> None:
    """Reads and writes of c before and after the call: each as its table demands, or refused."""
    link = peer.connect(options=f"-c search_path={start}")
    peer.ask("SELECT email FROM c WHERE id=1", (), way, link)
    peer.ask(call, (), way, link)
    there = peer.ask("SHOW search_path", link=link) == [("tenant2",)]
    found = [("open@x.org",)] if there else []
    assert peer.ask("SELECT email FROM c WHERE id=1", (), way, link) in ("0A000", found), (there, call)
    text = "open@y.org" if there else peer.mail
    written = peer.ask(f"INSERT INTO c(id,email) VALUES (9,'{text}') RETURNING email", (), way, link)
    assert written in ("0A000", [(text,)]), (there, call)
    assert peer.stored("SELECT email FROM tenant2.c WHERE id=9") in ([], ["open@y.org"]), (there, call)
    assert all(tokens.looks_like(value.encode()) for value in peer.stored()), (there, call)


def test_080_names_with_dots_and_keywords(peer: Peer) -> None:
    peer.both('INSERT INTO w(id,"dotted.name") VALUES (1,$1) RETURNING "dotted.name", public.w."dotted.name"',
              [peer.mail], [(peer.mail, peer.mail)])  # fmt: skip
    peer.both('INSERT INTO "c"("id","email") VALUES (1,$1) RETURNING "c"."email", C.EMAIL, public.c.Email',
              [peer.mail], [(peer.mail,) * 3])  # fmt: skip
    assert peer.ask("SELECT w.dotted.name FROM w") in ("42P01", "0A000", "3F000")


def test_081_definitions_with_values_or_parts_of_them(peer: Peer) -> None:
    for text in (
        "CREATE INDEX ON c(lower(email))", "CREATE INDEX ON c(email) WHERE email LIKE '%@%'",
        f"CREATE INDEX ON c(id) WHERE email='{peer.mail}'", "ALTER TABLE c ADD CHECK (email LIKE '%@%')",
        "ALTER TABLE c ALTER COLUMN email TYPE varchar(20)", "CREATE STATISTICS st ON lower(email), id FROM c",
    ):  # fmt: skip
        peer.ask("BEGIN")
        assert peer.ask(text) == "0A000", text
        peer.ask("ROLLBACK")


def test_082_a_row_and_a_star_after_a_drop(peer: Peer) -> None:
    peer.raw.execute("CREATE TABLE s (gone int, id int, email text, tail text)")
    try:
        peer.ask("ALTER TABLE s DROP COLUMN gone")
        peer.both("INSERT INTO s VALUES (1,$1,'open'),(2,NULL,'t') RETURNING s", [peer.mail], "0A000")
        peer.both("INSERT INTO s VALUES (1,$1) RETURNING tail,*", [peer.mail], [(None, "1", peer.mail, None)])
        with peer.link.cursor() as cursor, cursor.copy(b"COPY s FROM STDIN") as into:
            into.write(f"1\t{peer.mail}\topen\n".encode())
        assert peer.ask("SELECT * FROM s") == [("1", peer.mail, "open")]
    finally:
        peer.raw.execute("DROP TABLE s")


EVIL = """CREATE SCHEMA evil; CREATE TABLE evil.pg_class (LIKE pg_catalog.pg_class);
CREATE VIEW evil.pg_namespace AS SELECT * FROM pg_catalog.pg_namespace WHERE false;
CREATE FUNCTION evil.no(oid, oid) RETURNS bool LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR evil.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = evil.no)"""


def test_088_a_search_path_that_leads_the_catalog_astray(peer: Peer) -> None:
    """Of the account that reads the catalog, and of a client: tables and operators of the same names come first."""
    add(peer)
    peer.raw.execute(EVIL.encode())
    try:
        peer.raw.execute("ALTER ROLE postgres SET search_path = evil, pg_catalog, public")
        peer.pgveil.restart()
        astray, sound = (peer.connect(options=f"-c search_path={p}") for p in ("evil,pg_catalog,public", "public"))
        for sql in ("SELECT email FROM c", "SELECT email FROM public.c"):
            assert peer.ask(sql, link=astray) in ("0A000", [(f"{peer.word}1@x.org",)])
            assert peer.ask(sql, link=sound) == [(f"{peer.word}1@x.org",)]
        assert peer.ask(f"INSERT INTO c(id,email) VALUES (2,'{peer.mail}')", link=sound) == []
    finally:
        peer.raw.execute("ALTER ROLE postgres RESET search_path; DROP SCHEMA evil CASCADE")
        peer.pgveil.restart()
