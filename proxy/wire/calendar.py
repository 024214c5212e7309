"""Days of PostgreSQL's calendar: proleptic Gregorian, counted as Julian days. Source: datetime.c, date2j and j2date.

Year 0 is 1 BC, year -1 is 2 BC. Integers only; nothing is checked here.
"""

from typing import Final

EPOCH_JULIAN: Final = 2451545  # 2000-01-01, POSTGRES_EPOCH_JDATE
DAY: Final = 86_400_000_000  # microseconds
_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def to_julian(year: int, month: int, day: int) -> int:
    if month > 2:
        month += 1
        year += 4800
    else:
        month += 13
        year += 4799
    century = year // 100
    julian = year * 365 - 32167 + year // 4 - century + century // 4
    return julian + 7834 * month // 256 + day


def from_julian(julian: int) -> tuple[int, int, int]:
    """(year, month, day)."""
    julian += 32044
    quad = julian // 146097
    extra = (julian - quad * 146097) * 4 + 3
    julian += 60 + quad * 3 + extra // 146097
    quad = julian // 1461
    julian -= quad * 1461
    year = julian * 4 // 1461
    julian = ((julian + 305) % 365 if year != 0 else (julian + 306) % 366) + 123
    year += quad * 4
    quad = julian * 2141 // 65536
    return year - 4800, (quad + 10) % 12 + 1, julian - 7834 * quad // 256


def days_in(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 29 if month == 2 and leap else _DAYS[month - 1]


def weekday(julian: int) -> int:
    """0 is Sunday."""
    return (julian + 1) % 7
