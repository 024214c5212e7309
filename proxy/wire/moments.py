"""Text of dates and timestamps as PostgreSQL's datetime parser reads it, taken apart.

Not here: types, time zones' rules (`dates`). What is read: ISO 8601 and PostgreSQL's own output in each DateStyle, the
numeric forms whose order DateStyle decides, months by name. Everything else PostgreSQL may or may not take, so it is
refused as unsupported, not guessed (Julian days, day of year, `now`, abbreviations of zones, …); text without any
digit or known word is what the server calls invalid. Source: datetime.c, ParseDateTime, DecodeDateTime, DecodeDate.
"""

import re
from dataclasses import dataclass
from typing import Final

from proxy.wire.calendar import days_in
from proxy.wire.typespec import BadValue

_MONTHS: Final = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH: Final = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)"
)
_WEEKDAY: Final = (
    r"(?:(?:sun(?:day)?|mon(?:day)?|tue(?:s|sday)?|wed(?:s|nesday)?|thu(?:r|rs|rsday)?|fri(?:day)?"
    r"|sat(?:urday)?),?\s+)?"
)
_TIME: Final = r"(\d{1,2}):(\d{1,2})(?::(\d{1,2})(\.\d*)?)?(?:\s*(am|pm)(?![a-z]))?"
_ZONE: Final = r"(z|utc|gmt|[+-]\d{1,4}(?::\d{2}(?::\d{2})?)?|[a-z]+/[a-z_/+\-0-9]+)"
_BC: Final = r"(?:\s*(bc|ad))?"
_SEP: Final = r"(?:[-/]|,?\s+)"
_YEAR: Final = r"(\d{4,7})"

_DATES: Final = tuple(
    [
        (order, re.compile(form))
        for order, form in (
            ("ymd", r"(\d{3,7})-(\d{1,2})-(\d{1,2})"),
            ("ymd", r"(\d{3,7})/(\d{1,2})/(\d{1,2})"),
            ("ymd", r"(\d{3,7})\.(\d{1,2})\.(\d{1,2})"),
            ("?", r"(\d{1,2})-(\d{1,2})-(\d{4,7}|\d{1,2})"),
            ("?", r"(\d{1,2})/(\d{1,2})/(\d{4,7}|\d{1,2})"),
            ("?", r"(\d{1,2})\.(\d{1,2})\.(\d{4,7}|\d{1,2})"),
            ("ymd", r"(\d{4})(\d{2})(\d{2})"),
            ("ymd", r"(\d{2})(\d{2})(\d{2})"),
            ("mdy", _WEEKDAY + _MONTH + _SEP + r"(\d{1,2})" + _SEP + _YEAR),
            ("dmy", _WEEKDAY + r"(\d{1,2})" + _SEP + _MONTH + _SEP + _YEAR),
            ("ymd", _WEEKDAY + _YEAR + _SEP + _MONTH + _SEP + r"(\d{1,2})"),
        )
    ]
)
# After the date; and PostgreSQL's DateStyle 'Postgres', which puts the time before the year.
_AFTER: Final = re.compile(r"(?:(?:\s*t\s*|\s+)" + _TIME + r"(?:\s*" + _ZONE + r")?|\s+" + _ZONE + r")?" + _BC)
_MIXED: Final = tuple(
    [
        (order, re.compile(_WEEKDAY + form + r"\s+" + _TIME + r"\s+" + _YEAR + r"(?:\s+" + _ZONE + r")?" + _BC))
        for order, form in (("mdy", _MONTH + r"\s+(\d{1,2})"), ("dmy", r"(\d{1,2})\s+" + _MONTH))
    ]
)
# Words that mean something to the parser, so that their presence says nothing about the text's being wrong.
_SOMETHING: Final = re.compile(r"\d|now|today|tomorrow|yesterday|allballs|infinity|epoch")


@dataclass(frozen=True, slots=True)
class Moment:
    """A date (year 0 is 1 BC), a time of the day in microseconds (0 if none, up to 24:00:00 and a leap second), and a
    zone: seconds east, a name, or None. special: 'infinity', '-infinity', 'epoch' or ''."""

    year: int = 2000
    month: int = 1
    day: int = 1
    time: int = 0
    zone: int | str | None = None
    special: str = ""


def parse(data: bytes, type_name: str, date_style: str) -> Moment:
    """Read the text of a value. type_name: for messages. Raises BadValue."""
    if not data.isascii():
        raise BadValue("value-format", f"invalid input syntax for type {type_name}")
    original = data.decode("ascii").strip(" \t\n\v\f\r")
    text = original.lower()
    if text in ("infinity", "-infinity", "epoch"):
        return Moment(special=text)
    for order, form in _DATES:
        found = form.match(text)
        after = None if found is None else _AFTER.fullmatch(text, found.end())
        if found is not None and after is not None:
            t = after.groups()
            zone_at = after.start(6) if t[5] is not None else after.start(7)
            date = _date(order, (found[1], found[2], found[3]), t[7] == "bc", date_style)
            return Moment(*date, _time(t[:5]), _zone(t[5] or t[6], original[zone_at:] if zone_at >= 0 else ""))
    for order, form in _MIXED:
        found = form.fullmatch(text)
        if found is not None:
            g = found.groups()
            date = _date(order, (g[0], g[1], g[7]), g[9] == "bc", date_style)
            return Moment(*date, _time(g[2:7]), _zone(g[8], original[found.start(9) :]))
    if _SOMETHING.search(text) is None:
        raise BadValue("value-format", f"invalid input syntax for type {type_name}")
    raise BadValue("unsupported-type", f"this form of a {type_name} is not supported; write YYYY-MM-DD")


def out_of_range() -> BadValue:
    return BadValue("value-range", "date/time field value out of range")


def _date(order: str, parts: tuple[str, str, str], bc: bool, date_style: str) -> tuple[int, int, int]:
    """(year, month, day) of three fields in `order`; '?': as DateStyle has it."""
    if order == "?":
        order = _order(date_style)
        if order == "ymd" and len(parts[2]) > 2:
            raise out_of_range()
    field = dict(zip(order, parts, strict=True))
    year, day = int(field["y"]), int(field["d"])
    name = field["m"]
    month = _MONTHS.index(name[:3]) + 1 if name[0].isalpha() else int(name)
    if bc:
        year = 1 - year
        if year > 0:
            raise out_of_range()
    elif year == 0 and len(field["y"]) > 2:
        raise out_of_range()
    elif len(field["y"]) <= 2:
        year += 2000 if year < 70 else 1900
    if not 1 <= month <= 12 or not 1 <= day <= days_in(year, month):
        raise out_of_range()
    return year, month, day


def _order(date_style: str) -> str:
    for order in ("DMY", "MDY", "YMD"):
        if order in date_style:
            return order.lower()
    raise BadValue("unsupported-type", "the meaning of this date depends on DateStyle; write YYYY-MM-DD")


def _time(parts: tuple[str | None, ...]) -> int:
    """Microseconds of hours, minutes, seconds, fraction, am/pm; the fraction rounded as rint() does."""
    if parts[0] is None:
        return 0
    hour, minute, second = int(parts[0]), int(parts[1] or 0), int(parts[2] or 0)
    micros = round(float("0" + (parts[3] or "") + "0") * 1_000_000)
    if parts[4] is not None:
        if hour > 12:
            raise out_of_range()
        hour = hour % 12 + (12 if parts[4] == "pm" else 0)
    if minute > 59 or second > 60 or hour > 24 or (hour == 24 and (minute or second or micros)):
        raise out_of_range()
    return (hour * 3600 + minute * 60 + second) * 1_000_000 + micros


def _zone(text: str | None, original: str) -> int | str | None:
    """Seconds east of Greenwich, or a name in the spelling it was written in."""
    if text is None:
        return None
    if text[0] not in "+-":
        return 0 if "/" not in text else original[: len(text)]
    hours, _, rest = text[1:].partition(":")
    minutes, _, seconds = rest.partition(":")
    if not rest and len(hours) > 2:
        hours, minutes = hours[:-2], hours[-2:]
    if int(hours) > 15 or int(minutes or 0) > 59 or int(seconds or 0) > 59:
        raise BadValue("time-zone-range", "time zone displacement out of range")
    offset = int(hours) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return -offset if text[0] == "-" else offset
