"""What `sql.shape` says a literal means is what a real server says, and so is what it rejects."""

import psycopg
import pytest

from proxy.errors import Refusal
from proxy.sql.shape import literal_value, shape
from tests.kit.servers import Server

pytestmark = pytest.mark.server

ANY = [
    "'a@b.c'",
    "''",
    "'it''s'",
    "'é漢😀'",
    "'a'\n'b'",
    "'a' -- note\n  -- 'more'\n\t'b'''",
    "'a'\r'b'\n\n'c'",
    "''\n''",
    "E'it''s'",
    "E''",
    r"E'a\b\f\n\r\t\\\'\"z'",
    r"E'\101\1011\7\08\377'",
    r"E'\400x'",
    r"E'\x41\x4g\xg'",
    r"E'\xc3\xa9'",
    r"E'\303\251'",
    r"E'\xe9'",
    r"E'\xed\xa0\x80'",
    r"E'\xf4\x90\x80\x80'",
    r"E'\0'",
    r"E'\x00'",
    r"E'\u0041\U00000041\U0001F600\u00e9'",
    r"E'\ud83d\ude00'",
    r"E'\uD83D\U0000DE00x'",
    r"E'\ud83d'",
    r"E'\ud83dx'",
    r"E'\ud83d\n'",
    r"E'\ud83d\ud83d'",
    r"E'\ude00'",
    r"E'\u0000'",
    r"E'\U00110000'",
    r"E'\u12'",
    r"E'\u'",
    r"E'\U0000004'",
    "E'a\\\nb'",
    "E'a\\n'\n'\\t''b'",
    "E'\\ud83d'\n'\\ude00'",
    "E'\\4'\n'1'",
    r"E'\é'",
    "$$$$",
    "$$it's \\ fine$$",
    "$a$ $b$ $$ $a $a$",
    "$é_1$x$é_1$",
    "$a$b$$a$",
    "b''",
    "B'0101'",
    "b'01'\n'10'",
    "b'012'",
    "x'1Ff'",
    "X''",
    "X'g'",
    "0",
    "7",
    "007",
    "123456789012345678901234567890",
    "1.",
    "1.0",
    ".50",
    "1.50e1",
    "1.50E+3",
    "15e-3",
    "1.e2",
    "0e5",
    "0e-5",
    "0.0",
    "00.10",
    "1e131071",
    "1e131072",
    "1e-16383",
    "1e-16384",
    "1e999999999",
]
CONFORMING = [
    "'a\\'",
    "'a\\nb'",
    r"U&'d\0061t\+000061'",
    r"U&'\\ \'''",
    r"U&'it''s \\\\'",
    r"U&'\d83d\de00\+00d83d\+00de00'",
    r"U&'\d83d'",
    r"U&'\d83d\\'",
    r"U&'\d83dx\de00'",
    r"U&'\de00'",
    r"U&'\0000'",
    r"U&'\+110000'",
    r"U&'\006'",
    r"U&'\+00006'",
    "U&'\\00'\n'61'",
    "u&'\\'\n'\\'",
    "U&'d!0061!!' UESCAPE '!'",
    "U&'d!0061' /* a /* b */ */ uescape -- c\n E'\\x21'",
    "U&'d!0061' UESCAPE $$!$$",
    "U&'d!0061' UESCAPE ''\n'!'",
    "U&'d''0061' UESCAPE ''''",
    "U&'da0061' UESCAPE 'a'",
    "U&'d!0061' UESCAPE '!!'",
    "U&'d!0061' UESCAPE ''",
    "U&'d+0061' UESCAPE '+'",
    "U&'dé0061' UESCAPE 'é'",
    "U&'é\\00e9\\6f22'",
    "U&''",
]
TRADITIONAL = [r"'it\'s'", r"'a\n\\\101\x41\u0041'", "'a\\\nb'", r"'\ud83d\ude00'", r"'\u12'", "'a'\n'\\t'", "'\\\\'"]
NEW = ["0x1F", "0XFf_ff", "0o17", "0b101", "1_000", "1_0.0_1e1_0", "0x_1"]


@pytest.fixture(scope="module")
def connection(pg: Server) -> psycopg.Connection:
    connection = pg.connect()
    connection.autocommit = True
    connection.execute("SET escape_string_warning = off; SET backslash_quote = on")
    yield connection
    connection.close()


def said(connection: psycopg.Connection, written: str) -> bytes | str:
    """What the server answers to SELECT: the text of the value, or the SQLSTATE."""
    result = connection.pgconn.exec_(b"SELECT " + written.encode())
    state = result.error_field(psycopg.pq.DiagnosticField.SQLSTATE)
    return state.decode() if state else result.get_value(0, 0)


def ours(written: str, conforming: bool) -> bytes | str:
    text = b"SELECT " + written.encode()
    cut = shape(text, conforming)
    assert (cut.starts, cut.ends, cut.fault) == ((7,), (len(text),), "")
    try:
        return literal_value(text, cut, 0, conforming)
    except Refusal as refusal:
        return refusal.sqlstate


@pytest.mark.parametrize("written", ANY + CONFORMING)
def test_value_with_standard_conforming_strings(connection: psycopg.Connection, written: str) -> None:
    connection.execute("SET standard_conforming_strings = on")
    assert ours(written, True) == said(connection, written)


@pytest.mark.parametrize("written", ANY + TRADITIONAL)
def test_value_without_standard_conforming_strings(connection: psycopg.Connection, written: str) -> None:
    connection.execute("SET standard_conforming_strings = off")
    assert ours(written, False) == said(connection, written)


def test_vertical_tab_is_refused_because_versions_differ(pg18: Server, pg15: Server) -> None:
    assert ours(r"E'\v'", True) == "22025"
    with pg18.connect() as newer, pg15.connect() as older:
        assert (said(newer, r"E'\v'"), said(older, r"E'\v'")) == (b"\v", b"v")


@pytest.mark.parametrize("written", NEW)
def test_numbers_that_16_added(pg18: Server, pg15: Server, written: str) -> None:
    with pg18.connect() as connection:
        assert ours(written, True) == said(connection, written)
    with pg15.connect() as connection:
        assert said(connection, written) == "42601"


@pytest.mark.parametrize(
    "written",
    ["'a", "E'\\", "$$a$", '"a""', "/* /* */ 1", "b'0", "x'0", "U&'a' UESCAPE 1", "U&'a' UESCAPE", "E'a\\'"],
)
def test_faults_are_rejected_by_the_server(connection: psycopg.Connection, written: str) -> None:
    connection.execute("SET standard_conforming_strings = on")
    assert shape(b"SELECT " + written.encode(), True).fault
    assert said(connection, written) == "42601"


def test_unicode_strings_need_standard_conforming_strings(connection: psycopg.Connection) -> None:
    connection.execute("SET standard_conforming_strings = off")
    assert shape(b"SELECT U&'a'", False).fault == "unsafe use of string constant with Unicode escapes"
    assert said(connection, "U&'a'") == "0A000"
