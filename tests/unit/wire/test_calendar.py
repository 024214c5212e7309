"""calendar: against Python's own, and beyond what Python's has."""

import datetime

from proxy.wire.calendar import EPOCH_JULIAN, days_in, from_julian, to_julian, weekday


def test_against_datetime() -> None:
    epoch = datetime.date(2000, 1, 1).toordinal()
    for ordinal in range(1, datetime.date.max.toordinal(), 997):
        day = datetime.date.fromordinal(ordinal)
        julian = ordinal - epoch + EPOCH_JULIAN
        assert to_julian(day.year, day.month, day.day) == julian
        assert from_julian(julian) == (day.year, day.month, day.day)
        assert weekday(julian) == day.isoweekday() % 7


def test_the_ends_of_the_calendar() -> None:
    assert to_julian(-4713, 11, 24) == 0
    assert from_julian(0) == (-4713, 11, 24)
    assert from_julian(to_julian(5874897, 12, 31)) == (5874897, 12, 31)


def test_every_day_of_a_leap_cycle() -> None:
    julian = to_julian(1999, 12, 31)
    for year in range(2000, 2005):
        for month in range(1, 13):
            for day in range(1, days_in(year, month) + 1):
                julian += 1
                assert from_julian(julian) == (year, month, day)


def test_leap_years() -> None:
    assert [days_in(y, 2) for y in (1900, 2000, 2023, 2024, 0)] == [28, 29, 28, 29, 29]
    assert days_in(1900, 12) == 31
