"""COPY of protected columns: the same data in and out as on a plaintext database, tokens in the tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import psycopg
import pytest

from tests.kit.pgveil import Pgveil
from tests.kit.process import wait_for
from tests.kit.servers import Server, fresh_database
from tests.kit.wireclient import WireClient

pytestmark = pytest.mark.server

POLICY = """\
version: 1
classes: {email: {kind: email}, person: {kind: name}, day: {kind: date}, number: {kind: text},
          street: {kind: address, tokens: random}}
protect:
  public.people:
    email: email
    full_name: person
    born: {class: day, type: date}
    tax: {class: number, type: integer}
    code: {class: number, type: integer}
    street: street
roles:
  - {name: masked, match: {user: masked}, access: {default: mask}}
  - {name: few, match: {user: few}, access: {default: reveal}, rows: 3}
  - {name: tokens, match: {user: tokens}, access: {default: token}}
  - {name: blind, match: {user: blind}, access: {default: deny}}
  - {name: all, match: {user: "*"}, access: {default: reveal}}
"""
TABLE = """\
CREATE TABLE people (id int, email varchar(200) UNIQUE, full_name text, born %s, tax %s, code %s, street text,
                     note text DEFAULT 'dflt', twice int GENERATED ALWAYS AS (id * 2) STORED);
GRANT ALL ON people TO PUBLIC;
"""
ROWS = [
    (1, "a@x.de", 'Ann "Q" O\'Neil', "1990-01-02", 7, 77, "Main\tSt\\1\nB", "n1"),
    (2, None, "", "0044-03-15", -5, None, "\\N", None),
    (3, "ü@x.de", "日本", "2000-02-29", None, 88, "a,b;c|d", "x\ty"),
    (4, "", "NULL", None, 0, -1, "  lead", '"'),
]
INSERT = "INSERT INTO people (id, email, full_name, born, tax, code, street, note) VALUES (%s,%s,%s,%s,%s,%s,%s,%s)"
OUT = [
    "people TO STDOUT",
    "people (email, id, born) TO STDOUT",
    "people (id, note) TO STDOUT",
    "people TO STDOUT (FORMAT csv)",
    "people TO STDOUT CSV HEADER",
    "people TO STDOUT CSV FORCE QUOTE *",
    r"people TO STDOUT (FORMAT csv, DELIMITER ';', QUOTE '''', ESCAPE '\', NULL 'NULL', FORCE_QUOTE (email, note))",
    "people TO STDOUT (DELIMITER '|', NULL '')",
    "people TO STDOUT (HEADER)",
    "people TO STDOUT (FORMAT binary)",
    "(SELECT id, email, born FROM people WHERE email <> 'a@x.de' ORDER BY id) TO STDOUT",
    "(SELECT full_name, upper(note) FROM people ORDER BY id) TO STDOUT CSV",
    "(SELECT tax, born, email, id FROM people) TO STDOUT BINARY",
    "(SELECT id, note FROM people) TO STDOUT",
    "(SELECT email FROM people WHERE id <> 3) TO STDOUT (ENCODING 'latin1')",
    "(SELECT email, note FROM people) TO STDOUT CSV NULL 'n\u00fcl' ENCODING 'latin1'",
    "(SELECT email, note FROM people WHERE id <> 3) TO STDOUT (FORMAT binary, ENCODING 'latin1')",
    "(SELECT full_name FROM people) TO STDOUT (ENCODING 'latin1')",
    "(SELECT '\\.', full_name FROM people WHERE id < 3) TO STDOUT CSV",
    "(SELECT email FROM people WHERE false) TO STDOUT CSV HEADER",
    "(SELECT email FROM people WHERE false) TO STDOUT BINARY",
    "(DELETE FROM people WHERE id = 99 RETURNING email) TO STDOUT",
    "(UPDATE people SET note = note RETURNING email, id) TO STDOUT",
    "BINARY people TO STDOUT",
    "people TO STDOUT WITH DELIMITER AS '|' NULL AS 'n'",
    "people TO STDOUT (FORMAT csv, DELIMITER '.')",
    "people TO STDOUT CSV DELIMITER ';' QUOTE '@' ESCAPE '@'",
    "people TO STDOUT (FORMAT csv, FORCE_NULL (email))",
    "people (id) TO STDOUT (FORMAT csv, FORCE_QUOTE (email))",
    "people TO STDOUT (FORMAT binary, HEADER)",
    "people TO STDOUT (HEADER match)",
    "people TO STDOUT (FREEZE)",
    "people TO STDOUT DELIMITER 'ab'",
    "people TO STDOUT (FORMAT nosuch)",
    "people TO STDOUT WHERE id = 1",
    "(SELECT email, 1/(3-id) FROM people ORDER BY id) TO STDOUT",
    "(WITH x AS (SELECT email FROM people WHERE id < 3) SELECT * FROM x ORDER BY 1 IS NULL) TO STDOUT CSV HEADER",
    "people (email, email) TO STDOUT",
    "people (nosuch) TO STDOUT",
    "people (twice) TO STDOUT",
    "nosuch TO STDOUT",
]
BINARY = b"PGCOPY\n\xff\r\n\0" + bytes(8)
IN: list[tuple[str, bytes]] = [
    ("people (id, email, full_name, born, tax) FROM STDIN", b"10\tm@x.de\tM\t1999-12-31\t5\n11\t\\N\t\\N\t\\N\t\\N\n"),
    ("people FROM STDIN", b"12\tz@x.de\tZ\t\\N\t\\N\t5\tRoad\tnote\n"),
    ("people (id, email) FROM STDIN", b"13\ty\\\\x\\tq@x.de\n14\t\\171\\x79\n"),
    (
        "people (email, id, born, full_name) FROM STDIN CSV HEADER",
        b'email,id,born,n\n"q""@x.de",15,2001-01-01,"li\nne"\n,16,,""\n',
    ),
    (
        r"people (id, email) FROM STDIN (FORMAT csv, DELIMITER ';', QUOTE '''', ESCAPE '\', NULL 'NULL')",
        b"17;'it\\'s;x'\n18;NULL\n19;'NULL'\n",
    ),
    ("people (id, email) FROM STDIN CSV FORCE NOT NULL email", b"20,\n"),
    ("people (id, full_name) FROM STDIN CSV FORCE NULL full_name", b'21,""\n'),
    ("people (id, email) FROM STDIN WHERE id > 22", b"22\tw1@x.de\n23\tw2@x.de\n"),
    ("people (id, email) FROM STDIN WHERE email <> 'w3@x.de'", b"24\tw3@x.de\n25\tw4@x.de\n"),
    ("people (id, email) FROM STDIN", b"26\te1@x.de\n\\.\n"),
    ("people (id, email) FROM STDIN", b"27\te2@x.de"),
    ("people (id, email) FROM STDIN", b"28\tcr@x.de\r\n29\tcr2@x.de\r\n"),
    (
        "people (id, email) FROM STDIN (FORMAT binary)",
        BINARY + b"\0\2\0\0\0\4\0\0\0\x1f\0\0\0\6b1@x.d" + b"\0\2\0\0\0\4\0\0\0\x20\xff\xff\xff\xff" + b"\xff\xff",
    ),
    (
        "people (id, born, tax) FROM STDIN (FORMAT binary)",
        BINARY + b"\0\3\0\0\0\4\0\0\0\x21\0\0\0\4\0\0\1\0\0\0\0\4\0\0\0\7" + b"\xff\xff",
    ),
    ("people (id, email) FROM STDIN (ENCODING 'latin1')", b"34\t\xfc3@x.de\n"),
    ("people (id, email) FROM STDIN (ENCODING 'ISO-8859-1')", b"134\t\xfc4@x.de\\303\\274\n"),
    ("people (id, email, note) FROM STDIN CSV NULL 'n\u00fcl' ENCODING 'latin1'", b"135,n\xfcl,n\xfcl\n"),
    (
        "people (id, email) FROM STDIN (FORMAT binary, ENCODING 'latin1')",
        BINARY + b"\0\2\0\0\0\4\0\0\0\x88\0\0\0\5\xc3\xbc@xd" + b"\xff\xff",
    ),
    ("people (id, email) FROM STDIN (HEADER MATCH)", b"id\temail\n137\tm137@x.de\n"),
    ("people (id, email) FROM STDIN CSV FORCE NOT NULL email FORCE NULL email", b'138,\n139,""\n'),
    ("people (id, email) FROM STDIN", b"140\tx@x.de\\\n\n"),
    ("people (id, email) FROM STDIN", b"141\tlast@x.de\\"),
    ("people (id, email) FROM STDIN", b"142\tbig@x.de" + b"\\142" * 40 + b"\n"),
    ("people (id, full_name) FROM STDIN", b"143\t" + b"x" * 1_000_000 + b"\n144\t\xc3\xbc\n"),
    ("people (id, email) FROM STDIN", b""),
    ("people (id, code, street) FROM STDIN", b"35\t5\tst\n36\t5\tst\n"),
    ("people (id, note) FROM STDIN", b"37\tplain\n"),
    ("people (id, email) FROM STDIN", b"".join([b"%d\tu%d@x.de\n" % (i, i) for i in range(1000, 6000)])),
    ("people (id, full_name) FROM STDIN CSV", b"".join([b'%d,"Ann ""%d"""\n' % (i, i % 9) for i in range(6000, 9000)])),
    ("people (id, full_name) FROM STDIN CSV", b"".join([b'%d,"Ann\n%d"\n' % (i, i) for i in range(9000, 9300)])),
    ("people (id, street) FROM STDIN", b"".join([b"%d\tsame\\tstreet\n" % i for i in range(9300, 9600)])),
    ("people (id, tax, email) FROM STDIN (FREEZE false)", b"9600\t 007 \tf@x.de\n9601\t7\t\\N\n"),
    ("people (id, email) FROM STDIN (FORMAT csv, HEADER 1)", b"what,ever\n9700,h1@x.de\n"),
    ("people (id, email) FROM STDIN (FORMAT csv, HEADER off)", b"9701,h2@x.de\n"),
    ("people (id, email) FROM STDIN (FORMAT csv, HEADER MATCH)", b'id,"email"\n9702,h3@x.de\n'),
    ("people (id, email) FROM STDIN (FORMAT csv, FORCE_NOT_NULL *)", b"9703,nn@x.de\n"),
    ("people (id, full_name) FROM STDIN (FORMAT csv, FORCE_NULL *, NULL 'x')", b'9704,"x"\n9705,""\n'),
    ("people (id, email) FROM STDIN WITH DELIMITER AS ',' NULL AS 'n'", b"9706,o1@x.de\n9707,n\n"),
    ("people (id, email) FROM STDIN USING DELIMITERS ','", b"9708,o2@x.de\n"),
    ("people (id, email) FROM STDIN DELIMITERS ',' WITH NULL AS 'x'", b"9709,o3@x.de\n9710,x\n"),
    (
        "BINARY people (id, email) FROM STDIN",
        BINARY + b"\0\2\0\0\0\4\0\0\x25\xff\0\0\0\6ob@x.d" + b"\xff\xff",
    ),
    ("people (id, full_name) FROM STDIN CSV", b'9711,"a\r\n1,b"\r\n9712,c\r\n'),
    ("people (id, full_name) FROM STDIN CSV", b'9713,"a\r1,b"\r9714,c\r'),
    ("people (id, full_name) FROM STDIN CSV", b'9715,"a\n\\.\nb"\n9716,\\.\n'),
    ("people (full_name, id) FROM STDIN CSV", b"\\.,9717\nb,9718\n"),
    ("people (id, full_name) FROM STDIN CSV", b'9719,a"b"c\n9720, "d" \n9721,""""\n'),
    (r"people (id, full_name) FROM STDIN CSV ESCAPE '\'", b'9722,"a\\"b\\\\c"\n9723,"x\\n"\n'),
    ("people (id, full_name) FROM STDIN", b"9724\ta\\rb\\n\\t\\b\\f\\v\\x41\\x4\\101\\8\\q\\\\\n9725\t\\xc3\\xbc\n"),
    ("people (id, full_name) FROM STDIN", b"9726\tx\\N\n9727\t\\Nx\n9728\t\\\\N\n"),
    (r"people (id, full_name) FROM STDIN (NULL 'a\b')", b"9729\ta\\b\n9730\t\\N\n"),
    (
        "people (id, email) FROM STDIN WHERE email IN ('in@x.de', 'x') OR id = 9733",
        b"9731\tin@x.de\n9732\ty\n9733\tq\n",
    ),
    ("people (id, born) FROM STDIN", b"9734\tepoch\n"),
    # what fails
    ("people (id, email) FROM STDIN (FORMAT csv, QUOTE 'ab')", b"1,a\n"),
    ("people (id, email) FROM STDIN (FORMAT csv, DELIMITER '\"')", b"1,a\n"),
    ("people (id, email) FROM STDIN (DELIMITER 'a')", b"1,a\n"),
    ("people (id, email) FROM STDIN (FORMAT 'TEXT')", b"1\ta\n"),
    ("people (id, email) FROM STDIN (FORMAT text, FORMAT csv)", b"1,a\n"),
    ("people (id, email) FROM STDIN (FORCE_NOT_NULL (email))", b"1\ta\n"),
    ("people (id, email) FROM STDIN (FORMAT csv, FORCE_NOT_NULL (full_name))", b"1,a\n"),
    ("people (id, email) FROM STDIN (FORMAT csv, HEADER 2)", b"a\nb\n"),
    ("people (id, email) FROM STDIN (FREEZE)", b"9800\tfr@x.de\n"),
    ("people (id, email) FROM STDIN CSV", b"9801,a1@x.de\r\n9802,a2@x.de\n"),
    ("people (id, email) FROM STDIN CSV", b"9803,a3@x.de\n9804,a4@x.de\r\n"),
    ("people (id, email) FROM STDIN CSV", b"9805,a5@x.de\n\n9806,a6@x.de\n"),
    ("people (id, email) FROM STDIN", b"9807\ta7@x.de\r\n\\.\n"),
    ("people (id, email) FROM STDIN", b"9808\t\\0\n"),
    ("people (id, email) FROM STDIN", b"9809\ta\0b\n"),
    ("people (id, email) FROM STDIN BINARY", BINARY + b"\0\2\0\0\0\4\0\0\x26\x52\0\0\0\6b1@"),
    ("people (id, email) FROM STDIN BINARY", BINARY + b"\0\3\0\0\0\4\0\0\x26\x52\0\0\0\6b1@x.d\xff\xff"),
    ("people (id, email) FROM STDIN BINARY", BINARY + b"\0\2\0\0\0\4\0\0\x26\x52\xff\xff\xff\xfe"),
    ("people (id, email, email) FROM STDIN", b"1\tx\ty\n"),
    ("people (id, email) FROM STDIN WHERE nosuch = 1", b"1\tx\n"),
    ("people (id, email) FROM STDIN", b"40\ta@x.de\n"),
    ("people (id, email) FROM STDIN", b"41\tok@x.de\n42\n"),
    ("people (id, email) FROM STDIN", b"43\ta\tb\n"),
    ("people (id, born) FROM STDIN", b"44\t2001-02-30\n"),
    ("people (id, tax) FROM STDIN", b"45\tabc\n"),
    ("people (id, email) FROM STDIN", b"46\t" + b"x" * 300 + b"\n"),
    ("people (id, email) FROM STDIN", b"abc\tok2@x.de\n"),
    ("people (id, email) FROM STDIN CSV", b"47,\xff\xfe\n"),
    ("people (id, email) FROM STDIN (FORMAT binary)", b"no signature at all"),
    ("people (id, email) FROM STDIN (HEADER MATCH)", b"id\tmail\n150\tm150@x.de\n"),
    ("people (id, email) FROM STDIN", b"151\tok3@x.de\r\n152\tok4@x.de\n"),
    ("people (id, email) FROM STDIN", b"153\tok5@x.de\n154\tok6\r@x.de\n"),
    ("people (id, email) FROM STDIN", b"155\tok7@x.de\n\\.156\tok8@x.de\n"),
    ("people (id, email) FROM STDIN CSV", b"157,ok9@x.de\n158,ok\r10@x.de\n"),
    ("people (id, email) FROM STDIN CSV", b'159,"ok11@x.de\n'),
    ("people (id, email) FROM STDIN (ENCODING 'latin1')", b"160\t\\374@x.de\n"),
    ("people (id, email) FROM STDIN (FORMAT binary)", BINARY + b"\xff\xff" + b"behind"),
    ("people (id, nosuch) FROM STDIN", b"48\t1\n"),
    ("people (id, twice) FROM STDIN", b"48\t1\n"),
]
# How client writes are cut: what is sent in one call becomes one CopyData or, in libpq's buffer, part of one.
CUTS = (1 << 20, 7)


@dataclass
class Scene:
    server: Server
    pgveil: Pgveil
    plain: str
    tokens: str


@pytest.fixture(scope="module", params=["15", "18"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    server: Server = request.getfixturevalue(f"pg{request.param}")
    server.accounts("masked", "few", "tokens", "blind")
    with fresh_database(server) as plain, fresh_database(server) as protected:
        server.psql(TABLE % ("date", "int", "int"), plain)
        server.psql(TABLE % ("text", "text", "uuid"), protected)
        with Pgveil.before(server, protected, {"people": POLICY}) as pgveil:
            yield Scene(server, pgveil, plain, protected)


Connection = psycopg.Connection[Any]


@pytest.fixture
def both(scene: Scene) -> Iterator[tuple[Connection, Connection]]:
    """Direct to plaintext, through to tokens; the same rows in both."""
    with scene.server.connect(scene.plain) as direct, scene.pgveil.connect(scene.tokens) as through:
        for connection in (direct, through):
            connection.autocommit = True
            connection.execute("TRUNCATE people")
            connection.cursor().executemany(INSERT, ROWS)
        yield direct, through


def out(connection: Connection, what: str) -> object:
    """CopyData as it came, frame by frame, or what was told."""
    try:
        with connection.cursor().copy(cast("Any", "COPY " + what)) as copy:
            return [bytes(data) for data in copy]
    except psycopg.Error as error:
        return error.sqlstate


def into(connection: Connection, what: str, data: bytes, size: int) -> object:
    """Rows written, or what was told; then whether the link still works."""
    try:
        with connection.cursor() as cursor:
            with cursor.copy(cast("Any", "COPY " + what)) as copy:
                for at in range(0, len(data), size):
                    copy.write(data[at : at + size])
            return cursor.rowcount
    except psycopg.Error as error:
        return error.sqlstate, connection.execute("SELECT 1").fetchone()


def rows(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT * FROM people ORDER BY id, note").fetchall()


@pytest.mark.parametrize("what", OUT)
def test_out(both: tuple[Connection, Connection], what: str) -> None:
    direct, through = both
    assert out(through, what) == out(direct, what)


@pytest.mark.parametrize("size", CUTS)
def test_in(both: tuple[Connection, Connection], scene: Scene, size: int) -> None:
    direct, through = both
    for what, data in IN:
        if size == 7 and len(data) > 10_000:
            continue
        assert into(through, what, data, size) == into(direct, what, data, size), what
        assert rows(through) == rows(direct), what
    plain = (
        "SELECT count(*) FROM people WHERE concat_ws(',', email, full_name, born, street) ~ '[@ü日]|-\\d\\d-\\d\\d$'"
    )
    assert scene.server.psql(plain, scene.tokens).strip() == "0"


def test_a_default_marker(both: tuple[Connection, Connection], scene: Scene) -> None:
    if scene.server.install.version.startswith("15"):
        pytest.skip("the DEFAULT option came with 16")
    direct, through = both
    what, data = "people (id, email, note) FROM STDIN (DEFAULT '\\D')", b"50\td@x.de\t\\D\n"
    assert into(through, what, data, 1 << 20) == into(direct, what, data, 1 << 20) == 1
    assert rows(through) == rows(direct)


def test_rows_that_are_left_out(both: tuple[Connection, Connection], scene: Scene) -> None:
    """ON_ERROR of 17: rows whose other columns don't fit are left out, and said to be. One whose protected value does
    not fit is an error: the server can't see that it doesn't."""
    if scene.server.install.version.startswith("15"):
        pytest.skip("ON_ERROR came with 17")
    what = "people (id, email, born) FROM STDIN (ON_ERROR ignore, LOG_VERBOSITY verbose)"
    told: tuple[list[object], list[object]] = ([], [])
    for connection, heard in zip(both, told, strict=True):
        connection.add_notice_handler(
            lambda notice, heard=heard: heard.append((notice.message_primary, notice.context))
        )  # type: ignore[misc]
        data = b"201\tl1@x.de\t2001-01-01\nbad\tl2@x.de\t2001-01-02\n203\tl3@x.de\t\\N\n"
        assert into(connection, what, data, 1 << 20) == 2
    assert told[0] == told[1] != []
    assert rows(both[0]) == rows(both[1])
    assert into(both[1], what, b"204\tl4@x.de\t2001-02-30\n", 99) == ("22008", (1,))


@pytest.mark.parametrize(
    ("options", "data"),
    [
        ("ON_ERROR ignore, REJECT_LIMIT 1", b"301\tr1@x.de\nbad\ty\nbad\tz\n302\tr2@x.de\n"),
        ("ON_ERROR ignore, REJECT_LIMIT 3", b"303\tr3@x.de\nbad\ty\nbad\tz\n304\tr4@x.de\n"),
        ("ON_ERROR ignore, LOG_VERBOSITY silent", b"305\tr5@x.de\nbad\ty\n306\tr6@x.de\n"),
        ("ON_ERROR ignore, FORMAT csv", b'307,r7@x.de\nbad,"y\nz"\n308,r8@x.de\n'),
        ("ON_ERROR stop", b"309\tr9@x.de\nbad\ty\n"),
        ("ON_ERROR ignore", b"310\tr10@x.de\n311\n"),
        ("REJECT_LIMIT 3", b"312\tr12@x.de\n"),
    ],
)
def test_rows_that_may_fail(both: tuple[Connection, Connection], scene: Scene, options: str, data: bytes) -> None:
    """Options of 17 and 18; the servers before say that they don't know them."""
    direct, through = both
    what = f"people (id, email) FROM STDIN ({options})"
    told = [into(connection, what, data, 1 << 20) for connection in both]
    if scene.server.install.version.startswith("15"):
        assert [isinstance(each, tuple) for each in told] == [True, True]
    else:
        assert told[0] == told[1]
    assert rows(through) == rows(direct)


def failure(connection: Connection, what: str, data: bytes) -> list[str | None]:
    """All that the client is told."""
    with pytest.raises(psycopg.Error) as caught, connection.cursor().copy(cast("Any", "COPY " + what)) as copy:
        copy.write(data)
    diag = caught.value.diag
    return [diag.sqlstate, diag.message_primary, diag.message_detail, diag.context, diag.constraint_name]


def test_where_an_error_is(both: tuple[Connection, Connection], scene: Scene) -> None:
    lines = [b"%d\tv%d@x.de\n" % (i, i) for i in range(9_999)]
    cases = [
        ("people (id, email) FROM STDIN", b"".join([*lines, b"1\ta@x.de\n", *lines])),
        ("people (id, email) FROM STDIN CSV", b"".join([*lines, b"x\tb\n"]).replace(b"\t", b",")),
    ]
    direct, through = both
    for what, data in cases:
        told = failure(through, what, data)
        assert told == failure(direct, what, data)
        assert "line 10000" in str(told)
    with scene.pgveil.connect(scene.tokens, "tokens") as blind:
        told = failure(blind, *cases[0])
        assert told[0] == "23505" and "@" not in str(told), "nothing of a value to who may not see it"


# ---- cancelled, and left alone


@pytest.mark.parametrize("what", ["(SELECT email, full_name FROM people, generate_series(1, 10000000)) TO STDOUT"])
def test_cancelled_on_the_way_out(both: tuple[Connection, Connection], what: str) -> None:
    for connection in both:
        with pytest.raises(psycopg.errors.QueryCanceled), connection.cursor().copy(cast("Any", "COPY " + what)) as copy:
            assert copy.read()
            connection.cancel_safe()
            while copy.read():
                pass
        assert connection.execute("SELECT email FROM people WHERE id = 1").fetchone() == ("a@x.de",)


def test_cancelled_on_the_way_in(both: tuple[Connection, Connection]) -> None:
    """The server looks for it between rows, so some more have to come."""
    for connection in both:
        number = 300
        with (
            pytest.raises(psycopg.errors.QueryCanceled),
            connection.cursor().copy("COPY people (id, email) FROM STDIN") as copy,
        ):
            copy.write(b"300\tc300@x.de\n")
            connection.cancel_safe()
            while number < 100_000:
                number += 1
                copy.write(b"%d\tc%d@x.de\n" % (number, number))
        assert connection.execute("SELECT count(*) FROM people").fetchone() == (4,)


@pytest.mark.parametrize("what", ["in", "out"])
def test_a_client_that_is_gone(both: tuple[Connection, Connection], scene: Scene, what: str) -> None:
    direct, through = both
    with WireClient.login(scene.pgveil.port, scene.tokens, "postgres", application_name="gone") as client:
        if what == "in":
            client.send('Query "COPY people (id, email) FROM STDIN"')
            assert client.read().name == "CopyInResponse"
            client.send(b"d\0\0\0\x1d" + b"400\tg400@x.de\n401\tg401@x.")
        else:
            client.send('Query "COPY (SELECT email FROM people, generate_series(1, 10000000)) TO STDOUT"')
            assert client.read().name == "CopyOutResponse"
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gone'"
    wait_for("its server session to end", lambda: direct.execute(sessions).fetchone() == (0,), 30)
    assert through.execute("SELECT count(*) FROM people").fetchone() == (4,)


def test_round_trip_through_both(both: tuple[Connection, Connection]) -> None:
    direct, through = both
    data = cast("list[bytes]", out(through, "people TO STDOUT"))
    for connection in (direct, through):
        connection.execute("TRUNCATE people")
        assert into(connection, "people FROM STDIN", b"".join(data), 1 << 20) == len(ROWS)
    assert rows(through) == rows(direct) != []


def test_what_the_client_gives_up_is_undone(both: tuple[Connection, Connection]) -> None:
    for connection in both:
        with pytest.raises(KeyError), connection.cursor().copy("COPY people (id, email) FROM STDIN") as copy:
            copy.write(b"60\tgone@x.de\n")
            raise KeyError
        assert connection.execute("SELECT count(*) FROM people WHERE id = 60").fetchone() == (0,)


def test_an_error_of_the_server_in_the_middle(both: tuple[Connection, Connection]) -> None:
    """The rest of the data is on its way when it comes; the transaction has failed as any other."""
    for connection in both:
        data = b"bad\tx@x.de\n" + b"".join([b"%d\tlate%d@x.de\n" % (i, i) for i in range(20_000)])
        with (
            pytest.raises(psycopg.errors.InvalidTextRepresentation),
            connection.transaction(),
            connection.cursor().copy("COPY people (id, email) FROM STDIN") as copy,
        ):
            copy.write(data)
        assert connection.execute("SELECT count(*) FROM people").fetchone() == (4,)


def test_several_statements_in_a_text(both: tuple[Connection, Connection]) -> None:
    for connection in both:
        pg = connection.pgconn
        pg.send_query(b"SELECT 1; COPY (SELECT email FROM people WHERE id = 1) TO STDOUT; SELECT id FROM people")
        seen = []
        while result := pg.get_result():
            seen.append(result.status)
            if result.status == psycopg.pq.ExecStatus.COPY_OUT:
                size, data = pg.get_copy_data(0)
                assert data is not None and bytes(data) == b"a@x.de\n" and size == 7
                while pg.get_copy_data(0)[0] > 0:
                    pass
        assert [psycopg.pq.ExecStatus(status).name for status in seen] == [
            "TUPLES_OK",
            "COPY_OUT",
            "COMMAND_OK",
            "TUPLES_OK",
        ]


# ---- who


def test_what_roles_see(both: tuple[Connection, Connection], scene: Scene) -> None:
    what = "(SELECT email, born FROM people WHERE id < 4 ORDER BY id) TO STDOUT"
    with scene.pgveil.connect(scene.tokens, "masked") as masked:
        assert out(masked, what) == [b"***@***.de\t1990-01-01\n", b"\\N\t0044-01-01\n", b"***@***.de\t2000-01-01\n"]
    with scene.pgveil.connect(scene.tokens, "blind") as blind:
        assert out(blind, what) == "42501"
    with scene.pgveil.connect(scene.tokens, "few") as few:
        few.autocommit = True
        assert out(few, what) == "54000" and few.execute("SELECT 1").fetchone() == (1,)
    with scene.pgveil.connect(scene.tokens, "tokens") as reader, scene.server.connect(scene.tokens) as direct:
        assert out(reader, what) == out(direct, what), "a dump of one who sees tokens holds tokens"


def test_who_may_not_write(both: tuple[Connection, Connection], scene: Scene) -> None:
    with scene.pgveil.connect(scene.tokens, "masked") as masked:
        masked.autocommit = True
        assert into(masked, "people (id, email) FROM STDIN", b"70\tm@x.de\n", 99) == ("42501", (1,))
        assert into(masked, "people (id, note) FROM STDIN", b"70\tm\n", 99) == 1


def test_a_restore_by_one_who_writes_tokens(both: tuple[Connection, Connection], scene: Scene) -> None:
    _, through = both
    before = rows(through)
    with scene.pgveil.connect(scene.tokens, "tokens") as restorer:
        restorer.autocommit = True
        dump = cast("list[bytes]", out(restorer, "people TO STDOUT"))
        restorer.execute("TRUNCATE people")
        assert into(restorer, "people FROM STDIN", b"".join(dump), 1 << 20) == 4
    assert rows(through) == before


def test_the_servers_files_are_refused(both: tuple[Connection, Connection]) -> None:
    _, through = both
    for what in ("people TO '/tmp/people'", "people FROM '/tmp/people'", "people TO PROGRAM 'cat'"):
        assert out(through, what) == "0A000"
