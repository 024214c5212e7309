"""dates: canonical forms, styles, zones, limits. (Against a server: tests/integration.)"""

import pytest

from proxy.wire.dates import convert_moment, equal_moment, read_date, read_timestamp, write_date, write_timestamp
from proxy.wire.typespec import BadValue, Reading, TypeSpec, parse_type

DATE, STAMP, STAMPTZ = (parse_type(t) for t in ("date", "timestamp", "timestamptz"))
ISO = Reading()


def test_date_binary() -> None:
    for text, days in ((b"2000-01-01", 0), (b"1999-12-31", -1), (b"infinity", 2**31 - 1), (b"-infinity", -(2**31))):
        assert write_date(DATE, text, 1, ISO) == days.to_bytes(4, "big", signed=True)
        assert read_date(DATE, days.to_bytes(4, "big", signed=True), 1, ISO) == text


@pytest.mark.parametrize(
    ("style", "shown"),
    [
        ("ISO, MDY", b"2000-12-31"),
        ("SQL, MDY", b"12/31/2000"),
        ("SQL, DMY", b"31/12/2000"),
        ("German, DMY", b"31.12.2000"),
        ("Postgres, MDY", b"12-31-2000"),
        ("Postgres, DMY", b"31-12-2000"),
    ],
)
def test_date_styles(style: str, shown: bytes) -> None:
    reading = Reading(date_style=style)
    assert write_date(DATE, b"2000-12-31", 0, reading) == shown
    assert read_date(DATE, shown, 0, reading) == b"2000-12-31"


def test_dates_before_christ_and_the_epoch() -> None:
    assert read_date(DATE, b"44-3-15 BC".rjust(12, b"0"), 0, ISO) == b"0044-03-15 BC"
    assert write_date(DATE, b"0044-03-15 BC", 0, Reading(date_style="SQL, DMY")) == b"15/03/0044 BC"
    assert read_date(DATE, b"epoch", 0, ISO) == b"1970-01-01"
    assert read_date(DATE, b"2000-01-02 23:00 Europe/Berlin", 0, ISO) == b"2000-01-02"


def bad(spec: TypeSpec, data: bytes, fmt: int = 0, reading: Reading = ISO) -> str:
    with pytest.raises(BadValue) as caught:
        (read_date if spec is DATE else read_timestamp)(spec, data, fmt, reading)
    return caught.value.code


def test_refused() -> None:
    assert bad(DATE, b"4714-11-23 BC") == bad(DATE, b"5874898-01-01") == "value-range"
    assert bad(STAMP, b"294277-01-01") == bad(STAMP, b"4714-11-23 BC") == "value-range"
    assert bad(DATE, b"123", 1) == bad(STAMP, b"1234567", 1) == "binary-format"
    assert bad(STAMP, (9223371331200000000).to_bytes(8, "big"), 1) == "value-range"
    assert bad(DATE, b"2000-01-02 Nowhere/Nothing") == "unsupported-type"
    assert bad(STAMPTZ, b"2000-01-02 12:00", reading=Reading(time_zone="")) == "unsupported-type"
    assert bad(parse_type("timestamp(0)"), b"294276-12-31 23:59:59.9") == "unsupported-type"


@pytest.mark.parametrize(
    ("text", "zone", "canonical"),
    [
        (b"2021-07-01 12:00", "Europe/Berlin", b"2021-07-01 10:00:00+00"),
        (b"2021-01-01 12:00+05:30", "Europe/Berlin", b"2021-01-01 06:30:00+00"),
        (b"2021-01-01 12:00 America/New_York", "UTC", b"2021-01-01 17:00:00+00"),
        (b"infinity", "UTC", b"infinity"),
        (b"-infinity", "UTC", b"-infinity"),
        (b"epoch", "Europe/Berlin", b"1970-01-01 00:00:00+00"),
    ],
)
def test_timestamptz(text: bytes, zone: str, canonical: bytes) -> None:
    reading = Reading(time_zone=zone)
    assert read_timestamp(STAMPTZ, text, 0, reading) == canonical
    assert read_timestamp(STAMPTZ, write_timestamp(STAMPTZ, canonical, 0, reading), 0, reading) == canonical
    assert read_timestamp(STAMPTZ, write_timestamp(STAMPTZ, canonical, 1, reading), 1, reading) == canonical


@pytest.mark.parametrize(
    ("style", "zone", "shown"),
    [
        ("ISO, MDY", "UTC", b"1999-12-31 22:30:05.25+00"),
        ("ISO, MDY", "Asia/Kathmandu", b"2000-01-01 04:15:05.25+05:45"),
        ("ISO, MDY", "<-01:02:03>+01:02:03", b"1999-12-31 21:28:02.25-01:02:03"),
        ("SQL, DMY", "Europe/Berlin", b"31/12/1999 23:30:05.25 CET"),
        ("German, DMY", "UTC", b"31.12.1999 22:30:05.25 UTC"),
        ("Postgres, MDY", "America/New_York", b"Fri Dec 31 17:30:05.25 1999 EST"),
        ("Postgres, DMY", "UTC", b"Fri 31 Dec 22:30:05.25 1999 UTC"),
    ],
)
def test_timestamptz_styles(style: str, zone: str, shown: bytes) -> None:
    assert write_timestamp(STAMPTZ, b"1999-12-31 22:30:05.25+00", 0, Reading("", style, zone)) == shown


def test_timestamps_without_zone() -> None:
    assert read_timestamp(STAMP, b"2000-01-02 12:00+05", 0, ISO) == b"2000-01-02 12:00:00"
    assert write_timestamp(STAMP, b"0044-03-15 12:00:00 BC", 0, Reading(date_style="Postgres, MDY")).endswith(
        b"0044 BC"
    )
    assert read_timestamp(STAMP, b"0044-03-15 12:00:00 BC", 0, ISO) == b"0044-03-15 12:00:00 BC"


@pytest.mark.parametrize(
    ("precision", "text", "canonical"),
    [
        (0, b"2000-01-01 00:00:00.5", b"2000-01-01 00:00:01"),
        (0, b"1999-12-31 23:59:59.5", b"1999-12-31 23:59:59"),  # half away from 2000-01-01
        (2, b"2000-01-01 00:00:00.125", b"2000-01-01 00:00:00.13"),
        (6, b"2000-01-01 00:00:00.123456", b"2000-01-01 00:00:00.123456"),
        (0, b"infinity", b"infinity"),
    ],
)
def test_precision(precision: int, text: bytes, canonical: bytes) -> None:
    assert read_timestamp(parse_type(f"timestamp({precision})"), text, 0, ISO) == canonical


BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("source", "target", "value", "made"),
    [
        ("date", "timestamp", b"2000-01-02", b"2000-01-02 00:00:00"),
        ("date", "timestamptz", b"2000-07-02", b"2000-07-01 22:00:00+00"),
        ("timestamp", "date", b"1999-12-31 23:59:59.5", b"1999-12-31"),
        ("timestamp", "timestamptz", b"2000-01-02 12:00:00", b"2000-01-02 11:00:00+00"),
        ("timestamp", "timestamptz", b"2020-03-29 02:30:00", b"2020-03-29 01:30:00+00"),
        ("timestamptz", "timestamp", b"2000-07-02 11:00:00+00", b"2000-07-02 13:00:00"),
        ("timestamptz", "date", b"2000-07-01 22:30:00+00", b"2000-07-02"),
        ("date", "date", b"2000-01-02", b"2000-01-02"),
        ("date", "timestamptz", b"infinity", b"infinity"),
        ("timestamptz", "date", b"-infinity", b"-infinity"),
    ],
)
def test_from_one_to_another(source: str, target: str, value: bytes, made: bytes) -> None:
    assert convert_moment(parse_type(source), parse_type(target), value, BERLIN) == made


def test_from_one_to_another_needs_a_time_zone() -> None:
    with pytest.raises(BadValue, match="TimeZone"):
        convert_moment(DATE, STAMPTZ, b"2000-01-02", "")
    with pytest.raises(BadValue, match="out of range"):
        convert_moment(DATE, STAMP, b"300000-01-01", "UTC")


@pytest.mark.parametrize(
    ("source", "facade", "value", "found"),
    [
        ("timestamp", "date", b"2000-01-02 00:00:00", b"2000-01-02"),
        ("timestamp", "date", b"2000-01-02 00:00:01", None),
        ("timestamptz", "date", b"2000-01-01 23:00:00+00", b"2000-01-02"),
        ("timestamptz", "date", b"2000-01-02 00:00:00+00", None),
        ("date", "timestamptz", b"2000-01-02", b"2000-01-01 23:00:00+00"),
        ("timestamptz", "timestamp", b"2000-01-02 11:00:00+00", b"2000-01-02 12:00:00"),
        ("timestamptz", "timestamp", b"infinity", b"infinity"),
    ],
)
def test_what_the_server_calls_equal(source: str, facade: str, value: bytes, found: bytes | None) -> None:
    assert equal_moment(parse_type(source), parse_type(facade), value, BERLIN) == found


def test_an_instant_that_is_two_local_times() -> None:
    """02:30 and 03:30 on the day that summer time begins: a gap is read as the time before it."""
    with pytest.raises(BadValue, match="two local times"):
        equal_moment(STAMPTZ, STAMP, b"2020-03-29 01:30:00+00", BERLIN)
