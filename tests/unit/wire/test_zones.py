"""zones: gaps, overlaps, far years, fixed offsets."""

import datetime

import pytest

from proxy.wire.calendar import DAY, EPOCH_JULIAN, to_julian
from proxy.wire.typespec import BadValue
from proxy.wire.zones import zone


def micros(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    return (to_julian(year, month, day) - EPOCH_JULIAN) * DAY + (hour * 60 + minute) * 60_000_000


def test_utc() -> None:
    assert zone("UTC").at_local(0) == 0
    assert zone("UTC").at_utc(0) == (0, "UTC")


@pytest.mark.parametrize(
    ("moment", "hours"),
    [
        ((2021, 1, 1), -5),
        ((2021, 7, 1), -4),
        ((2021, 3, 14, 2, 30), -5),  # does not exist: read as the standard time before
        ((2021, 11, 7, 1, 30), -5),  # twice: the later one
        ((12000, 7, 1), -4),
        ((294276, 7, 1), -4),
    ],
)
def test_new_york(moment: tuple[int, ...], hours: int) -> None:
    assert zone("America/New_York").at_local(micros(*moment)) == hours * 3600


def test_local_mean_time_before_all_rules() -> None:
    offset = zone("America/New_York").at_local(micros(-4000, 1, 1))
    assert offset == -(4 * 3600 + 56 * 60 + 2)
    assert zone("America/New_York").at_utc(micros(1, 1, 1)) == (offset, "LMT")


def test_abbreviations() -> None:
    berlin = zone("Europe/Berlin")
    assert berlin.at_utc(micros(2021, 7, 1)) == (7200, "CEST")
    assert berlin.at_utc(micros(2021, 1, 1)) == (3600, "CET")


@pytest.mark.parametrize(
    ("name", "seconds", "shown"),
    [
        ("<+05:30>-05:30", 19800, "+05:30"),
        ("<-03>+03", -10800, "-03"),
        ("<+01:02:03>-01:02:03", 3723, "+01:02:03"),
    ],
)
def test_fixed_offsets(name: str, seconds: int, shown: str) -> None:
    assert zone(name).at_local(0) == seconds
    assert zone(name).at_utc(0) == (seconds, shown)


@pytest.mark.parametrize("name", ["Nowhere/Nothing", "../etc/passwd", "", "America", "posixrules\0"])
def test_unknown(name: str) -> None:
    with pytest.raises(BadValue) as caught:
        zone(name)
    assert caught.value.code == "unsupported-type"


def test_a_zone_without_an_offset_counts_as_utc() -> None:
    from proxy.wire.zones import _seconds

    assert _seconds(datetime.datetime(2000, 1, 1)) == 0
