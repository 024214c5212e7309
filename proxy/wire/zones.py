"""Time zones as the server's TimeZone setting names them: offsets at a local time and at an instant.

Not here: names of zones inside values (`dates`). Times are microseconds since 2000-01-01 00:00, local or UTC. The rules
come from the system's time zone database, which PostgreSQL packages use too. Offsets are seconds east of Greenwich.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, final
from zoneinfo import ZoneInfo

from proxy.wire.calendar import DAY, EPOCH_JULIAN, from_julian
from proxy.wire.typespec import BadValue

# What SET TIME ZONE with a number or an interval becomes: <+05:30>-05:30 (timezone.c, check_timezone).
_FIXED: Final = re.compile(r"<([+-]?\w[\w:]*)>([+-])(\d{1,2})(?::(\d{2}))?(?::(\d{2}))?")
_FOUR_CENTURIES: Final = 400  # the Gregorian calendar repeats, weekdays and all
_LAST_YEAR: Final = 9900  # of what Python's datetime can hold, with a margin


@final
class Zone:
    """One time zone: a fixed offset, or the rules of `info`."""

    __slots__ = ("_abbreviation", "_info", "_offset")

    def __init__(self, info: ZoneInfo | None, offset: int, abbreviation: str) -> None:
        self._info = info
        self._offset = offset
        self._abbreviation = abbreviation

    def at_local(self, local: int) -> int:
        """The offset at a local time. In a gap or an overlap it is the smaller one: the time before a spring-forward,
        after a fall-back (datetime.c, DetermineTimeZoneOffset)."""
        if self._info is None:
            return self._offset
        moment = _datetime(local).replace(tzinfo=self._info)
        return min(_seconds(moment), _seconds(moment.replace(fold=1)))

    def at_utc(self, utc: int) -> tuple[int, str]:
        """The offset and the zone's abbreviation at an instant."""
        if self._info is None:
            return self._offset, self._abbreviation
        moment = _datetime(utc).replace(tzinfo=UTC).astimezone(self._info)
        return _seconds(moment), moment.tzname() or ""


def _seconds(moment: datetime) -> int:
    offset = moment.utcoffset()
    return 0 if offset is None else offset.days * 86400 + offset.seconds


def _datetime(micros: int) -> datetime:
    """The same moment in a year that Python knows and that has the same rules."""
    days, rest = divmod(micros, DAY)
    year, month, day = from_julian(days + EPOCH_JULIAN)
    if year < 2:
        return datetime(2, 1, 1)  # before all rules: local mean time
    if year > _LAST_YEAR:
        year = 2400 + year % _FOUR_CENTURIES
    return datetime(year, month, day) + timedelta(microseconds=rest)


# The cache is of constants: the database does not change while a process runs. 128: a few zones a fleet.
@lru_cache(maxsize=128)
def zone(name: str) -> Zone:
    """The zone of that name. Raises BadValue (unsupported-type) if it is not known here."""
    if name == "UTC":
        return Zone(None, 0, name)
    fixed = _FIXED.fullmatch(name)
    if fixed is not None:
        seconds = int(fixed[3]) * 3600 + int(fixed[4] or 0) * 60 + int(fixed[5] or 0)
        return Zone(None, seconds if fixed[2] == "-" else -seconds, fixed[1])
    try:
        return Zone(ZoneInfo(name), 0, "")
    except (KeyError, ValueError, OSError):
        raise BadValue("unsupported-type", "the session's TimeZone is not in pgveil's time zone database") from None
