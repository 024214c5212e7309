"""moments: what text says, and what is refused. (Against a server: tests/integration.)"""

import pytest

from proxy.wire.moments import Moment, parse
from proxy.wire.typespec import BadValue

NOON = 12 * 3600 * 1_000_000


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2000-01-02", Moment(2000, 1, 2)),
        (" 2000/1/2\n", Moment(2000, 1, 2)),
        ("2000.01.02", Moment(2000, 1, 2)),
        ("20000102", Moment(2000, 1, 2)),
        ("000102", Moment(2000, 1, 2)),
        ("700102", Moment(1970, 1, 2)),
        ("Jan 2 2000", Moment(2000, 1, 2)),
        ("Sunday, January 2, 2000", Moment(2000, 1, 2)),
        ("2-jan-2000", Moment(2000, 1, 2)),
        ("2000-Sept-02", Moment(2000, 9, 2)),
        ("0044-03-15 BC", Moment(-43, 3, 15)),
        ("0044-03-15 AD", Moment(44, 3, 15)),
        ("2000-01-02T12:00Z", Moment(2000, 1, 2, NOON, 0)),
        ("2000-01-02 12:00:00 PM UTC", Moment(2000, 1, 2, NOON, 0)),
        ("2000-01-02 12:00 AM", Moment(2000, 1, 2, 0)),
        ("2000-01-02 01:00 pm", Moment(2000, 1, 2, NOON + 3_600_000_000)),
        ("2000-01-02 +01", Moment(2000, 1, 2, 0, 3600)),
        ("2000-01-02 12:00:00.25-0530", Moment(2000, 1, 2, NOON + 250_000, -19800)),
        ("2000-01-02 12:00+05:30:15", Moment(2000, 1, 2, NOON, 19815)),
        ("2000-01-02 12:00:00. +5", Moment(2000, 1, 2, NOON, 18000)),
        ("2000-01-02 12:00 Europe/Berlin", Moment(2000, 1, 2, NOON, "Europe/Berlin")),
        ("2000-01-02 12:00 America/New_York", Moment(2000, 1, 2, NOON, "America/New_York")),
        ("2000-01-02 Europe/Berlin", Moment(2000, 1, 2, 0, "Europe/Berlin")),
        ("2000-01-02 24:00:00", Moment(2000, 1, 2, 2 * NOON)),
        ("2000-01-02 11:59:60", Moment(2000, 1, 2, NOON)),
        ("Sun Jan 02 12:00:00 2000", Moment(2000, 1, 2, NOON)),
        ("Sun 02 Jan 12:00:00 2000 GMT", Moment(2000, 1, 2, NOON, 0)),
        ("Sun Jan 02 12:00:00 2000 Europe/Berlin", Moment(2000, 1, 2, NOON, "Europe/Berlin")),
        ("Tue Jan 02 12:00:00 0044 BC", Moment(-43, 1, 2, NOON)),
        ("Infinity", Moment(special="infinity")),
        ("-infinity", Moment(special="-infinity")),
        ("epoch", Moment(special="epoch")),
    ],
)
def test_read(text: str, moment: Moment) -> None:
    assert parse(text.encode(), "date", "ISO, MDY") == moment


@pytest.mark.parametrize(
    ("text", "style", "moment"),
    [
        ("01/02/2000", "SQL, MDY", Moment(2000, 1, 2)),
        ("01/02/2000", "SQL, DMY", Moment(2000, 2, 1)),
        ("01-02-03", "ISO, YMD", Moment(2001, 2, 3)),
        ("01.02.2000", "German, DMY", Moment(2000, 2, 1)),
        ("1-2-99", "Postgres, MDY", Moment(1999, 1, 2)),
    ],
)
def test_date_style_decides(text: str, style: str, moment: Moment) -> None:
    assert parse(text.encode(), "date", style) == moment
    with pytest.raises(BadValue) as caught:
        parse(text.encode(), "date", "")
    assert caught.value.code == "unsupported-type"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2000-13-01", "value-range"),
        ("2000-02-30", "value-range"),
        ("2000-01-00", "value-range"),
        ("0000-01-01", "value-range"),
        ("0000-01-01 BC", "value-range"),
        ("31/12/2000", "value-range"),
        ("2000-01-02 24:00:01", "value-range"),
        ("2000-01-02 25:00", "value-range"),
        ("2000-01-02 12:60", "value-range"),
        ("2000-01-02 12:00:61", "value-range"),
        ("2000-01-02 13:00 PM", "value-range"),
        ("2000-01-02 12:00+16", "time-zone-range"),
        ("2000-01-02 12:00+15:60", "time-zone-range"),
        ("2000-01-02 12:00+15:59:60", "time-zone-range"),
        ("abc", "value-format"),
        ("", "value-format"),
        ("２０００-01-01", "value-format"),
        ("now", "unsupported-type"),
        ("J2451545", "unsupported-type"),
        ("2000-366", "unsupported-type"),
        ("2000-01-02 12:00 EST", "unsupported-type"),
        ("Sun Jan 02 12:00:00 2000 EST", "unsupported-type"),
    ],
)
def test_refused(text: str, code: str) -> None:
    with pytest.raises(BadValue) as caught:
        parse(text.encode(), "date", "ISO, MDY")
    assert caught.value.code == code
    assert not text or text not in caught.value.message


def test_year_first_order_takes_no_long_year_last() -> None:
    with pytest.raises(BadValue) as caught:
        parse(b"01-02-2000", "date", "ISO, YMD")
    assert caught.value.code == "value-range"
