"""date, timestamp and timestamptz: client text or binary to a canonical text, and back.

The canonical text is what the server shows under DateStyle ISO and TimeZone UTC, which is equal where PostgreSQL says
equal. Not here: taking text apart (`moments`), zones (`zones`). Source: date.c, timestamp.c, datetime.c
(EncodeDateOnly, EncodeDateTime, EncodeTimezone, AdjustTimestampForTypmod).
"""

from struct import Struct
from typing import Final

from proxy.wire.calendar import DAY, EPOCH_JULIAN, from_julian, to_julian, weekday
from proxy.wire.moments import Moment, parse
from proxy.wire.numbers import incorrect_binary
from proxy.wire.typespec import BadValue, Reading, TypeSpec, format_type
from proxy.wire.zones import Zone, zone

# date.h, datatype/timestamp.h: the largest and smallest integers stand for the infinities.
_DATE_INFINITY: Final = (1 << 31) - 1
_TIME_INFINITY: Final = (1 << 63) - 1
_FIRST_DAY: Final = -EPOCH_JULIAN  # 4714-11-24 BC
_LAST_DAY: Final = 2147483494 - EPOCH_JULIAN  # DATE_END_JULIAN, first one out of range
_FIRST_MICRO: Final = -211813488000000000  # MIN_TIMESTAMP
_END_MICRO: Final = 9223371331200000000  # END_TIMESTAMP
_EPOCH_1970: Final = -10957

_DAY_NAMES: Final = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_MONTH_NAMES: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ISO_UTC: Final = Reading()
_date_binary: Final = Struct(">i")
_time_binary: Final = Struct(">q")


def _parsed(data: bytes, type_name: str, reading: Reading) -> Moment:
    """A zone's name must be one even where the zone says nothing about the value."""
    moment = parse(data, type_name, reading.date_style)
    if isinstance(moment.zone, str):
        zone(moment.zone)
    return moment


# ---- date ---------------------------------------------------------------------------------------------------------


def read_date(spec: TypeSpec, data: bytes, fmt: int, reading: Reading) -> bytes:
    return _show_date(_days(data, fmt, reading), "ISO, MDY").encode("ascii")


def write_date(spec: TypeSpec, canonical: bytes, fmt: int, reading: Reading) -> bytes:
    days = _days(canonical, 0, _ISO_UTC)
    return _date_binary.pack(days) if fmt == 1 else _show_date(days, reading.date_style).encode("ascii")


def _days(data: bytes, fmt: int, reading: Reading) -> int:
    """Days since 2000-01-01."""
    if fmt == 1:
        if len(data) != _date_binary.size:
            raise incorrect_binary()
        days: int = _date_binary.unpack(data)[0]
        if days in (_DATE_INFINITY, -_DATE_INFINITY - 1):
            return days
    else:
        moment = _parsed(data, "date", reading)
        if moment.special:
            return {"infinity": _DATE_INFINITY, "-infinity": -_DATE_INFINITY - 1}.get(moment.special, _EPOCH_1970)
        days = to_julian(moment.year, moment.month, moment.day) - EPOCH_JULIAN
    if not _FIRST_DAY <= days < _LAST_DAY:
        raise BadValue("value-range", "date out of range")
    return days


def _show_date(days: int, date_style: str) -> str:
    if days == _DATE_INFINITY:
        return "infinity"
    if days == -_DATE_INFINITY - 1:
        return "-infinity"
    year, month, day = from_julian(days + EPOCH_JULIAN)
    return _numeric_date(year, month, day, date_style) + _era(year)


def _era(year: int) -> str:
    return "" if year > 0 else " BC"


def _numeric_date(year: int, month: int, day: int, date_style: str) -> str:
    shown = f"{year if year > 0 else 1 - year:04d}"
    style = date_style.partition(",")[0]
    first, second = (day, month) if "DMY" in date_style else (month, day)
    if style == "SQL":
        return f"{first:02d}/{second:02d}/{shown}"
    if style == "German":
        return f"{day:02d}.{month:02d}.{shown}"
    if style == "Postgres":
        return f"{first:02d}-{second:02d}-{shown}"
    return f"{shown}-{month:02d}-{day:02d}"


# ---- from one to another -------------------------------------------------------------------------------------------


def convert_moment(source: TypeSpec, target: TypeSpec, canonical: bytes, time_zone: str) -> bytes:
    """A canonical date, timestamp or timestamptz as the server's casts between them make it, in a session of that
    TimeZone (timestamp.c: date2timestamp, timestamp2timestamptz, timestamptz_date …). Raises BadValue."""
    if source.name == target.name:
        return canonical
    micros = _instant(source, canonical)
    if micros in (_TIME_INFINITY, -_TIME_INFINITY - 1):
        return b"infinity" if micros > 0 else b"-infinity"
    if source.name == "timestamptz":
        micros += _known(time_zone).at_utc(micros)[0] * 1_000_000
    elif target.name == "timestamptz":
        micros -= _known(time_zone).at_local(micros) * 1_000_000
    if target.name == "date":
        days = micros // DAY
        return _show_date(days, "ISO, MDY").encode("ascii")
    return _show_timestamp(target, _in_range(micros), _ISO_UTC).encode("ascii")


def equal_moment(source: TypeSpec, facade: TypeSpec, canonical: bytes, time_zone: str) -> bytes | None:
    """The one canonical value of a column's type that the server calls equal to one of another type, None if there is
    none (a date and a time that is not midnight). Raises BadValue where there are two (an hour that a clock skips)."""
    bare = TypeSpec(facade.name, facade.oid, facade.size)
    found = convert_moment(source, bare, canonical, time_zone)
    if source.name == "timestamptz" and facade.name == "timestamp" and b"inf" not in found:
        _alone(_micros(bare, found, 0, _ISO_UTC), _micros(source, canonical, 0, _ISO_UTC), time_zone)
    return found if convert_moment(bare, source, found, time_zone) == canonical else None


def _alone(local: int, utc: int, time_zone: str) -> None:
    """Raises BadValue if another local time is the same instant."""
    rules = _known(time_zone)
    offsets = {rules.at_utc(utc + days * DAY)[0] for days in (-1, 1)}
    for offset in offsets:
        other = utc + offset * 1_000_000
        if other != local and other - rules.at_local(other) * 1_000_000 == utc:
            raise BadValue("unsupported-type", "two local times are this instant; compare with a time without zone")


def _instant(spec: TypeSpec, canonical: bytes) -> int:
    if spec.name != "date":
        return _micros(spec, canonical, 0, _ISO_UTC)
    days = _days(canonical, 0, _ISO_UTC)
    if days in (_DATE_INFINITY, -_DATE_INFINITY - 1):
        return _TIME_INFINITY if days > 0 else -_TIME_INFINITY - 1
    return _in_range(days * DAY)


def _known(time_zone: str) -> Zone:
    if not time_zone:
        raise BadValue("unsupported-type", "the meaning of this timestamp depends on TimeZone; write its offset")
    return zone(time_zone)


# ---- timestamps ---------------------------------------------------------------------------------------------------


def read_timestamp(spec: TypeSpec, data: bytes, fmt: int, reading: Reading) -> bytes:
    """timestamp and timestamptz, rounded to the type's precision."""
    micros = _rounded(_micros(spec, data, fmt, reading), spec.typmod)
    return _show_timestamp(spec, micros, _ISO_UTC).encode("ascii")


def write_timestamp(spec: TypeSpec, canonical: bytes, fmt: int, reading: Reading) -> bytes:
    micros = _micros(spec, canonical, 0, _ISO_UTC)
    return _time_binary.pack(micros) if fmt == 1 else _show_timestamp(spec, micros, reading).encode("ascii")


def _micros(spec: TypeSpec, data: bytes, fmt: int, reading: Reading) -> int:
    """Microseconds since 2000-01-01 00:00, UTC for timestamptz."""
    if fmt == 1:
        if len(data) != _time_binary.size:
            raise incorrect_binary()
        micros: int = _time_binary.unpack(data)[0]
        return micros if micros in (_TIME_INFINITY, -_TIME_INFINITY - 1) else _in_range(micros)
    moment = _parsed(data, format_type(TypeSpec(spec.name, spec.oid, spec.size)), reading)
    if moment.special:
        return {"infinity": _TIME_INFINITY, "-infinity": -_TIME_INFINITY - 1}.get(moment.special, _EPOCH_1970 * DAY)
    micros = (to_julian(moment.year, moment.month, moment.day) - EPOCH_JULIAN) * DAY + moment.time
    if spec.name == "timestamptz":
        micros -= _offset(moment, micros, reading) * 1_000_000
    return _in_range(micros)


def _offset(moment: Moment, local: int, reading: Reading) -> int:
    if isinstance(moment.zone, int):
        return moment.zone
    name = reading.time_zone if moment.zone is None else moment.zone
    if not name:
        raise BadValue("unsupported-type", "the meaning of this timestamp depends on TimeZone; write its offset")
    return zone(name).at_local(local)


def _in_range(micros: int) -> int:
    if not _FIRST_MICRO <= micros < _END_MICRO:
        raise BadValue("value-range", "timestamp out of range")
    return micros


def _rounded(micros: int, typmod: int) -> int:
    """To `typmod` digits of a second, half away from 2000-01-01."""
    if typmod == -1 or typmod >= 6 or micros in (_TIME_INFINITY, -_TIME_INFINITY - 1):
        return micros
    scale: int = 10 ** (6 - typmod)
    if micros >= 0:
        micros = (micros + scale // 2) // scale * scale
        if micros >= _END_MICRO:  # the server rounds it to a value that it would not read again
            raise BadValue("unsupported-type", "a timestamp that rounds to one out of range is not supported")
        return micros
    return -((-micros + scale // 2) // scale * scale)


def _show_timestamp(spec: TypeSpec, micros: int, reading: Reading) -> str:
    if micros == _TIME_INFINITY:
        return "infinity"
    if micros == -_TIME_INFINITY - 1:
        return "-infinity"
    style, offset, abbreviation = reading.date_style, 0, ""
    with_zone = spec.name == "timestamptz"
    if with_zone:
        offset, abbreviation = zone(reading.time_zone).at_utc(micros)
    days, rest = divmod(micros + offset * 1_000_000, DAY)
    year, month, day = from_julian(days + EPOCH_JULIAN)
    clock = _clock(rest)
    if style.startswith("Postgres"):
        date = f"{day:02d} {_MONTH_NAMES[month - 1]}" if "DMY" in style else f"{_MONTH_NAMES[month - 1]} {day:02d}"
        shown = f"{_DAY_NAMES[weekday(days + EPOCH_JULIAN)]} {date} {clock} {year if year > 0 else 1 - year:04d}"
    else:
        shown = f"{_numeric_date(year, month, day, style)} {clock}"
    if with_zone:
        shown += _displacement(offset) if style.startswith("ISO") else f" {abbreviation or _displacement(offset)}"
    return shown + _era(year)


def _clock(rest: int) -> str:
    seconds, fraction = divmod(rest, 1_000_000)
    shown = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return shown if not fraction else f"{shown}.{fraction:06d}".rstrip("0")


def _displacement(offset: int) -> str:
    """+HH, +HH:MM or +HH:MM:SS, as short as it can be."""
    size = abs(offset)
    shown = f"{'-' if offset < 0 else '+'}{size // 3600:02d}"
    if size % 3600:
        shown += f":{size // 60 % 60:02d}"
    return shown if not size % 60 else f"{shown}:{size % 60:02d}"
