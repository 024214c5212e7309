"""wire.types against PostgreSQL itself: every value that we read is read as the server reads it, or refused.

Each case is asked of the server under each DateStyle and TimeZone: what the value is under ISO and UTC (our canonical),
what the client would see, and its binary form. Where the server raises, so do we, with its SQLSTATE or 0A000; where it
does not, we are equal or say 0A000.
"""

import itertools
import random
from collections.abc import Iterator

import psycopg
import pytest

from proxy.errors import CODES
from proxy.wire.types import (
    BadValue,
    Reading,
    array_oid,
    by_oid,
    decode_array,
    encode_array,
    encoding_codec,
    format_type,
    from_canonical,
    parse_type,
    to_canonical,
)
from tests.kit.servers import Server

pytestmark = pytest.mark.server

PROBE = """
CREATE FUNCTION pg_temp.probe(t text, vs text[], style text, tz text) RETURNS SETOF text[] LANGUAGE plpgsql AS $$
DECLARE v text; out_ text; send text; answer text[]; canonical text;
BEGIN
  EXECUTE format('CREATE TEMP TABLE held (x %s)', t);
  SELECT left(typoutput::text, -3), left(typsend::text, -4) INTO out_, send FROM pg_type
    WHERE oid = (SELECT atttypid FROM pg_attribute WHERE attrelid = 'held'::regclass AND attname = 'x');
  FOREACH v IN ARRAY vs LOOP
    BEGIN
      PERFORM set_config('DateStyle', style, true), set_config('TimeZone', tz, true);
      EXECUTE format('INSERT INTO held VALUES (%L)', v);
      EXECUTE format('SELECT ARRAY[%sout(x)::text, encode(%ssend(x), ''hex'')] FROM held', out_, send) INTO answer;
      PERFORM set_config('DateStyle', 'ISO, MDY', true), set_config('TimeZone', 'UTC', true);
      SELECT x::text FROM held INTO canonical;
      answer := ARRAY['', answer[1], canonical, answer[2]];
      DELETE FROM held;
    EXCEPTION WHEN OTHERS THEN answer := ARRAY[SQLSTATE];
    END;
    RETURN NEXT answer;
  END LOOP;
  DROP TABLE held;
END $$
"""
STYLES = ["ISO, MDY", "ISO, DMY", "ISO, YMD", "SQL, MDY", "SQL, DMY", "German, DMY", "Postgres, MDY", "Postgres, DMY"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "<+05:30>-05:30", "America/Sao_Paulo"]

DATES = """
2000-01-02|1999-12-31|2000-2-29|1900-02-29|2000-13-01|2000-00-10|2000-01-32|0001-01-01|0000-01-01|0044-03-15 BC
4713-01-01 BC|4714-11-24 BC|4714-11-23 BC|5874897-12-31|5874898-01-01|10000-01-01|500-01-02|99-01-02|01-02-03|70-02-03
31/12/2000|12/31/2000|12-31-2000|31-12-2000|31.12.2000|12.31.2000|1/2/99|1/2/1999|2000/01/02|2000.01.02|20001231|001231
701231|Dec 31 2000|December 31, 2000|31 Dec 2000|31-Dec-2000|2000-Dec-31|Dec-31-2000|Sun Dec 31 2000|Sunday, 31 Dec 2000
Dec 32 2000|31-Feb-2000|infinity|-infinity|INFINITY|epoch|2000-01-02 +01|2000-01-02 12:34|2000-01-02 24:00:00
Sept 1 2000
2000-01-02T03:04:05Z|  2000-01-02  |abc|today|2000-01-02 AD|2000-01-02BC|2000-01-02 25:00|2000-1-2|2000-01-02 13:00 PM
2000-01-02 +16|20000230|2000-02-30|1/1/0000|44/03/15|15/03/0044 BC|J2451545|2000-366|2000.366|20000|Mon 2000-01-02|
2000-01-02 America/New_York|2000-01-02 UTC|00-01-02|1-1-1|0-1-1|3/15/44 BC|2000 Jan 2|2000, Jan 2|Jan/2/2000|Jan 2 20001
""".replace("\n", "|").split("|")[1:-1]
TIMES = """
|00:00:00|12:34:56|12:34:56.789|12:34:56.7890125|23:59:59.9999999|24:00:00|24:00:01|23:59:60|23:59:61|1:2|01:02:03.5 PM
12:00 AM|12:00 PM|13:00 AM|12:34:56+02|12:34:56 -05:30|12:34:56+0530|12:34:56Z|12:34:56 UTC|12:34:56+15:59:59
12:34:56+16|02:30:00|01:30:00|12:34:56.|12:60|12:34:56 America/New_York|00:00:00.0000005|00:00:00.0000015|12:34:56-3
12:34:56 GMT|12:34:56+05:61|12:34:56 Nowhere/Nothing|12:34:56+123|1:2:3
""".replace("\n", "|").split("|")[1:-1]
STAMPS = [
    "2000-01-02", "2021-03-28", "2021-10-31", "2021-03-14", "2021-11-07", "1883-11-18", "1890-06-01", "0001-01-01",
    "12000-07-01", "294276-12-31", "294277-01-01", "4713-01-01 BC", "2300-07-15", "1999-12-31", "31.12.1999",
    "1969-12-31", "2018-11-04",
]  # fmt: skip
WHOLE_STAMPS = [
    "Sun Dec 31 12:34:56 2000", "Sun Dec 31 12:34:56.5 2000 UTC", "Sun 31 Dec 12:34:56 2000", "infinity", "-infinity",
    "epoch", "now", "20001231T123456", "20001231 12:34:56", "2000-12-31t12:34", "Mar 15 12:00:00 0044 BC",
    "Sat Mar 15 12:00:00 0044 BC", "2000-12-31 12:34:56+00 BC", "12/31/2000 12:34:56", "31/12/2000 12:34:56", "x y",
    "4714-11-24 00:00:00+00 BC", "4714-11-23 23:59:59+00 BC", "4714-11-24 00:00:00+01 BC",
    "294276-12-31 23:59:59.999999",
]  # fmt: skip
INTEGERS = """
0|-0|+7|007|32767|32768|-32768|-32769|2147483647|2147483648|-2147483648|9223372036854775807|9223372036854775808| 5 |5 5
1.5|1e3|0x1F|1_000|-9223372036854775808|99999999999999999999999|abc||+|--1|0b11|0o17
""".replace("\n", "|").split("|")[1:-1]
NUMERICS = """
0|-0|0.00|1.50|1.5|15e-1|-1.005|1.005|1.015|-0.5|0.5|99999999.994|99999999.995|999999999|1e7|1e8|1e-20|.5|5.|.|1e|1e+2
NaN|nan|inf|-infinity|+Infinity|12345678901234567890.123456789012345678901234567890|0x1F|1_000.5|  7.25  |abc|1.2.3|+3
1e5000|1e131071|1e131072|1e-16383|1e-16384|10000|9999|0.0001|0.00001|100000000|12340000|-10000.0001|00012.3400|0e50|1e200000
1e-200000|5e-1|45|49.9999|50|150|-55|0.0004|0.00045|-0.00045|9.9999e3
""".replace("\n", "|").split("|")[1:-1]
UUIDS = [
    "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}", "a0eebc999c0b4ef8bb6d6bb9bd380a11",
    "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11", " a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc999c0b4ef8bb6d6bb9bd380a1",
    "{a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0e-ebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc999c0b4ef8bb6d6bb9bd380a11-", "x",
    "a0eebc99--9c0b4ef8bb6d6bb9bd380a11", "a0eebc999c0b4ef8bb6d6bb9bd380a11}",
]  # fmt: skip
BOOLS = ["t", "f", "TRUE", "fAl", "yes", "n", "on", "of", "off", "o", "1", "0", " t ", "tru e", "11", "", "ye", "y"]
WORDS = [
    "",
    "a",
    "abc",
    "abcd",
    "abc  ",
    "abcd ",
    "äöü",
    "äöüß",
    "äöü ",
    " ab",
    "a b",
    "abc\t",
    "😀😀😀",
    "😀😀😀😀",
    "  ",
]


@pytest.fixture
def probed(pg: Server) -> Iterator["psycopg.Connection"]:
    with psycopg.connect(pg.dsn(), autocommit=False) as connection:
        connection.execute(PROBE)
        yield connection


def ask(connection: "psycopg.Connection", kind: str, values: list[str], style: str, zone: str) -> list[list[str]]:
    query = "SELECT * FROM pg_temp.probe(%s, %s, %s, %s)"
    return [row[0] for row in connection.execute(query, (kind, values, style, zone)).fetchall()]


def check(connection: "psycopg.Connection", kind: str, values: list[str], style: str, zone: str) -> int:
    """How many were taken by both; asserts that none differs."""
    spec, reading = parse_type(kind), Reading("", style, zone)
    both, wrong = 0, []
    for value, (state, *told) in zip(values, ask(connection, kind, values, style, zone), strict=True):
        try:
            ours = to_canonical(spec, value.encode(), 0, reading)
        except BadValue as bad:
            if CODES[bad.code] not in (state, "0A000"):
                wrong.append((value, state, told, CODES[bad.code]))
            continue
        if state:
            wrong.append((value, state, told, ours))
            continue
        both += 1
        shown, canonical, sent = told
        if kind.startswith("numeric") and "." in canonical:
            canonical = canonical.rstrip("0").rstrip(".")
        if kind.startswith("numeric"):
            shown = shown if "(" in kind else canonical
        if ours.decode() != canonical:
            wrong.append((value, "canonical", canonical, ours))
            continue
        if kind == "numeric":
            sent = ask(connection, kind, [canonical], style, zone)[0][3]
        binary = bytes.fromhex(sent)
        for what, got, due in (
            ("shown", from_canonical(spec, ours, 0, reading), shown.encode()),
            ("sent", from_canonical(spec, ours, 1, reading), binary),
            ("read binary", to_canonical(spec, binary, 1, reading), ours),
            ("idempotent", to_canonical(spec, ours, 0, Reading()), ours),
        ):
            if got != due:
                wrong.append((value, what, due, got))
        again = (to_canonical(spec, shown.encode(), 0, reading), ours) if readable(kind, style, zone) else (b"", b"")
        if again[0] != again[1]:
            wrong.append((value, "read back", shown, again))
    assert wrong == [], (kind, style, zone)
    return both


def readable(kind: str, style: str, zone: str) -> bool:
    """Whether what the server shows has a meaning without a zone's abbreviation."""
    return not kind.endswith("with time zone") or style.startswith("ISO")


@pytest.mark.parametrize("style", STYLES)
def test_dates(probed: "psycopg.Connection", style: str) -> None:
    assert check(probed, "date", DATES, style, "Europe/Berlin") > 35


@pytest.mark.parametrize(
    "kind", ["timestamp", "timestamp with time zone", "timestamp(2)", "timestamp(0) with time zone"]
)
@pytest.mark.parametrize("zone", ZONES)
def test_timestamps(probed: "psycopg.Connection", kind: str, zone: str) -> None:
    stamps = [
        f"{day.removesuffix(' BC')} {time}{' BC' * day.endswith(' BC')}"
        for day, time in itertools.product(STAMPS, TIMES)
    ]
    assert check(probed, kind, stamps + WHOLE_STAMPS + DATES, "ISO, DMY", zone) > 250


@pytest.mark.parametrize("style", STYLES)
def test_timestamp_styles(probed: "psycopg.Connection", style: str) -> None:
    values = [f"{day} {time}" for day in STAMPS[:9] for time in TIMES[:8]] + WHOLE_STAMPS + DATES
    assert check(probed, "timestamp", values, style, "UTC") > 70
    for zone in ("UTC", "America/New_York", "Asia/Kathmandu", "<-03>+03"):
        assert check(probed, "timestamp with time zone", values, style, zone) > 70


@pytest.mark.parametrize("kind", ["smallint", "integer", "bigint"])
def test_integers(probed: "psycopg.Connection", kind: str) -> None:
    assert check(probed, kind, INTEGERS, "ISO, MDY", "UTC") > 5


@pytest.mark.parametrize(
    "kind", ["numeric", "numeric(10,2)", "numeric(4)", "numeric(3,-1)", "numeric(3,4)", "numeric(1000,500)"]
)
def test_numerics(probed: "psycopg.Connection", kind: str) -> None:
    chance = random.Random(7)
    made = [
        f"{chance.choice(['', '-'])}{chance.getrandbits(chance.randint(1, 120))}e{chance.randint(-40, 8)}"
        for _ in range(300)
    ]
    assert check(probed, kind, NUMERICS + made, "ISO, MDY", "UTC") > 15


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("uuid", UUIDS),
        ("boolean", BOOLS),
        ("text", WORDS),
        ("varchar(3)", WORDS),
        ("varchar", WORDS),
        ("name", [*WORDS, "x" * 70, "ä" * 40]),
    ],
)
def test_others(probed: "psycopg.Connection", kind: str, values: list[str]) -> None:
    assert check(probed, kind, values, "ISO, MDY", "UTC") > 3


def test_bpchar(probed: "psycopg.Connection") -> None:
    """char(n)::text has lost its blanks, so canonical and shown differ by them alone."""
    assert check(probed, "char(3)", WORDS, "ISO, MDY", "UTC") > 3


def test_names_and_oids(probed: "psycopg.Connection") -> None:
    rows = probed.execute("SELECT oid::int, typarray::int, typlen, typname FROM pg_type WHERE oid < 16384").fetchall()
    known = 0
    for oid, array, size, name in rows:
        spec = by_oid(oid)
        if spec is not None:
            known += 1
            assert (spec.oid, array_oid(spec), spec.size, spec.name) == (oid, array, size, name)
    assert known == 13


@pytest.mark.parametrize(
    "text",
    [
        "bool", "smallint", "int", "int8", "text", "varchar", "varchar(7)", "char", "char(4)", "bpchar", "date", "uuid",
        "timestamp(3)", "timestamptz(0)", "numeric", "numeric(5)", "numeric(10,2)", "numeric(3,-2)", "numeric(2,4)",
        "name", "decimal(4,1)", "timestamp with time zone", "timestamp (2) without time zone", "character varying(50)",
        "character varying", "character (3)",
    ],
)  # fmt: skip
def test_format_type(probed: "psycopg.Connection", text: str) -> None:
    probed.execute(f"CREATE TEMP TABLE t (x {text})")
    row = probed.execute(
        "SELECT atttypid::int, atttypmod, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 't'::regclass AND attname = 'x'"
    ).fetchone()
    spec = parse_type(text)
    assert (spec.oid, spec.typmod, format_type(spec)) == row
    assert parse_type(format_type(spec)) == spec


ARRAYS = [
    "{}", " { } ", "{a}", '{a,"b c",NULL,"NULL",""}', r'{"q\"x","b\\c",d\,e}', "{ a , b }", "{a b}", '{"a" , "b"}',
    "{null}", "{a,}", "{,a}", "{a", "a}", "{{a},{b}}", '{"a"b}', '{a"b"}', "{a}}", "{a} x", "[0:1]={a,b}", "",
    "{\n a\t}", r"{\ a\ }", r"{a\ , b}", r"{\NULL}", "{a{b}", '{"', '{"a}', "{\\", "{a\\", "{}x", "{,}", '{""}',
]  # fmt: skip


def test_arrays(probed: "psycopg.Connection") -> None:
    for text in ARRAYS:
        try:
            ours = decode_array(text.encode(), 0)
        except BadValue as bad:
            ours_state = CODES[bad.code]
            ours = None
        with probed.transaction(force_rollback=True):
            try:
                row = probed.execute("SELECT %s::text::text[], array_send(%s::text::text[])", (text, text)).fetchone()
            except psycopg.Error as error:
                assert ours is None, text
                assert ours_state in (error.sqlstate, "0A000"), text
                continue
            assert row is not None
            if ours is None:
                assert ours_state == "0A000", text
                continue
            assert [None if i is None else i.decode() for i in ours] == row[0], text
            assert decode_array(row[1], 1) == ours
            assert encode_array(25, ours, 1) == row[1]
    items: list[bytes | None] = [b"", None, b"a b", b"null", b'q"', b"b\\", b"{", b"}", b",", b"\t", b"x", "ä".encode()]
    told = [None if i is None else i.decode() for i in items]
    shown = probed.execute("SELECT array_out(%s::text[])::text", (told,)).fetchone()
    assert shown is not None
    assert encode_array(25, items, 0).decode() == shown[0]


ENCODINGS = (
    [f"LATIN{n}" for n in range(1, 11)]
    + [f"ISO_8859_{n}" for n in range(5, 9)]
    + [f"WIN125{n}" for n in range(9)]
    + ["WIN866", "WIN874", "KOI8R", "KOI8U", "EUC_CN"]
)
TRY_CONVERT = """
CREATE FUNCTION pg_temp.from_bytes(b bytea, e text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN RETURN convert_from(b, e); EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$;
CREATE FUNCTION pg_temp.to_bytes(t text, e text) RETURNS bytea LANGUAGE plpgsql AS $$
BEGIN RETURN convert_to(t, e); EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$
"""


def decoded(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except UnicodeError:
        return None


def encoded(text: str, codec: str) -> bytes | None:
    try:
        return text.encode(codec)
    except UnicodeError:
        return None


@pytest.mark.parametrize("name", ENCODINGS)
def test_encodings_are_exact(probed: "psycopg.Connection", name: str) -> None:
    codec = encoding_codec(name)
    assert codec
    probed.execute(TRY_CONVERT)
    sequences = [bytes([a]) for a in range(1, 256)]
    if name == "EUC_CN":
        sequences = [bytes((a, b)) for a in range(0xA0, 256) for b in range(0x80, 256)]
    query = "SELECT pg_temp.from_bytes(x, %s) FROM unnest(%s::bytea[]) WITH ORDINALITY u(x, o) ORDER BY o"
    theirs = [row[0] for row in probed.execute(query, (name, sequences)).fetchall()]
    assert [decoded(s, codec) for s in sequences] == theirs
    step = range(1, 0xD800) if name == "EUC_CN" else [*range(1, 0x3000), *range(0xF000, 0x10000)]
    characters = [chr(i) for i in step]
    query = "SELECT pg_temp.to_bytes(x, %s) FROM unnest(%s::text[]) WITH ORDINALITY u(x, o) ORDER BY o"
    sent = [row[0] for row in probed.execute(query, (name, characters)).fetchall()]
    assert [encoded(c, codec) for c in characters] == sent
