"""Types that a protected column can show: from a client's value to the canonical one that becomes a token, and back.

A canonical value is UTF-8 text that is equal exactly where PostgreSQL calls two values of the type equal, however they
were written: without trailing blanks for char(n), lower case for uuid, ISO in UTC for timestamps, no trailing zeros for
numbers. Not here: classes' own normal forms (`policy.values`).

Invariants: to_canonical() of a canonical value is that value; nothing is guessed: a form whose meaning is not certain
raises BadValue; no message holds the value.
"""

import re
from typing import Final

from proxy.wire.arrays import decode_array, encode_array
from proxy.wire.dates import (
    convert_moment,
    equal_moment,
    read_date,
    read_timestamp,
    write_date,
    write_timestamp,
)
from proxy.wire.encodings import UNSAFE_ENCODINGS, encoding_codec, encoding_named, from_utf8, to_utf8
from proxy.wire.floats import FLOATS, equal_number, float_to_integer, float_to_numeric, read_float
from proxy.wire.numbers import (
    in_range,
    incorrect_binary,
    read_integer,
    read_numeric,
    round_to_integer,
    write_integer,
    write_numeric,
)
from proxy.wire.typespec import (
    BadValue,
    Reading,
    TypeSpec,
    array_oid,
    by_oid,
    char_limit,
    element_of,
    format_type,
    parse_type,
    value_type,
)

__all__ = [
    "UNSAFE_ENCODINGS",
    "BadValue",
    "Reading",
    "TypeSpec",
    "apply_cast",
    "array_oid",
    "by_oid",
    "canonical_uuid",
    "decode_array",
    "element_of",
    "encode_array",
    "encoding_codec",
    "encoding_named",
    "equal_value",
    "format_type",
    "from_canonical",
    "parse_type",
    "from_utf8",
    "to_canonical",
    "to_utf8",
    "value_type",
]

TEXTS: Final = frozenset(("text", "varchar", "bpchar", "name"))
INTEGERS: Final = frozenset(("int2", "int4", "int8"))
MOMENTS: Final = frozenset(("date", "timestamp", "timestamptz"))
NAME_BYTES: Final = 63  # NAMEDATALEN - 1

_HEX_UUID: Final = re.compile(rb"(?:[0-9A-Fa-f]{4}-?){7}[0-9A-Fa-f]{4}")
_BOOLS: Final[dict[bytes, bytes]] = {
    **dict.fromkeys((b"t", b"tr", b"tru", b"true", b"y", b"ye", b"yes", b"on", b"1"), b"true"),
    **dict.fromkeys((b"f", b"fa", b"fal", b"fals", b"false", b"n", b"no", b"of", b"off", b"0"), b"false"),
}
# What a cast to text gives without asking DateStyle, TimeZone or the digits that were written.
_PLAIN_AS_TEXT: Final = TEXTS | INTEGERS | {"uuid", "bool"}
# A reading under which only text that means the same under every setting is accepted.
_UNKNOWN_SETTINGS: Final = Reading("", "", "")


def to_canonical(spec: TypeSpec, data: bytes, fmt: int, reading: Reading) -> bytes:
    """The canonical value of what a client gave for a column of type `spec` (the rules of assignment: a text that is
    too long raises, unless what is too much is blanks). fmt: 0 text, 1 binary. Raises BadValue."""
    if fmt not in (0, 1):
        raise BadValue("value-rejected", f"unsupported format code: {fmt}")
    name = spec.name
    if name in TEXTS:
        return _fit_text(spec, to_utf8(data, reading), False)
    if name == "uuid":
        return _binary_uuid(data) if fmt == 1 else canonical_uuid(data)
    if name in INTEGERS:
        return read_integer(spec, data, fmt)
    if name in FLOATS:
        return read_float(spec, data, fmt)
    if name == "numeric":
        return read_numeric(spec, data, fmt)
    if name == "date":
        return read_date(spec, data, fmt, reading)
    return _read_bool(data, fmt) if name == "bool" else read_timestamp(spec, data, fmt, reading)


def from_canonical(spec: TypeSpec, canonical: bytes, fmt: int, reading: Reading) -> bytes:
    """What the server would send for a canonical value of type `spec`. Raises BadValue (encoding-untranslatable; and as
    to_canonical() if the value is none of this type)."""
    name = spec.name
    if name in TEXTS:
        return from_utf8(_padded(spec, canonical), reading)
    canonical = to_canonical(TypeSpec(name, spec.oid, spec.size), canonical, 0, _ISO_UTF8)
    if name == "uuid":
        return canonical if fmt == 0 else bytes.fromhex(canonical.replace(b"-", b"").decode("ascii"))
    if name in INTEGERS:
        return write_integer(spec, canonical, fmt)
    if name == "numeric":
        return write_numeric(spec, canonical, fmt)
    if name == "date":
        return write_date(spec, canonical, fmt, reading)
    if name == "bool":
        return canonical[:1] if fmt == 0 else b"%c" % (canonical == b"true")
    return write_timestamp(spec, canonical, fmt, reading)


_ISO_UTF8: Final = Reading()
_NUMERIC: Final = parse_type("numeric")


def apply_cast(source: TypeSpec, cast: TypeSpec, canonical: bytes, reading: Reading = _UNKNOWN_SETTINGS) -> bytes:
    """The canonical value after an explicit cast from `source` to `cast`, which cuts text to length silently.

    reading: of the session, for text cast to a date; without it only forms that mean the same under every setting are
    taken. Raises BadValue (unsupported-type) for a cast whose result depends on more than the canonical value.
    """
    text = source.name in TEXTS
    if cast.name in TEXTS and source.name in _PLAIN_AS_TEXT:
        return _fit_text(cast, canonical, True)
    if text or source.name == cast.name:
        if not text:
            reading = _ISO_UTF8
        return to_canonical(cast, canonical, 0, Reading("", reading.date_style, reading.time_zone))
    if source.name in INTEGERS and cast.name in INTEGERS:
        return in_range(cast, canonical)
    if source.name in INTEGERS and cast.name == "numeric":
        return to_canonical(cast, canonical, 0, _ISO_UTF8)
    if source.name == "numeric" and cast.name in INTEGERS:
        return in_range(cast, round_to_integer(canonical))
    if source.name in FLOATS and cast.name == "numeric":
        return read_numeric(cast, float_to_numeric(source, canonical), 0)
    if source.name in FLOATS and cast.name in INTEGERS:
        return in_range(cast, float_to_integer(canonical))
    if source.name in MOMENTS and cast.name in MOMENTS:
        return to_canonical(cast, convert_moment(source, cast, canonical, reading.time_zone), 0, _ISO_UTF8)
    raise BadValue("unsupported-type", f"a cast from {format_type(source)} to {format_type(cast)} is not supported")


def equal_value(source: TypeSpec, facade: TypeSpec, canonical: bytes, reading: Reading) -> bytes | None:
    """The canonical value of a column's type that the server calls equal to one of another type of numbers or moments;
    None if there is none. Raises BadValue (unsupported-type) where that is not certain."""
    if source.name in MOMENTS:
        return equal_moment(source, facade, canonical, reading.time_zone)
    value: bytes | None = canonical
    if source.name in FLOATS:
        value = equal_number(facade, canonical)
    if value is None:
        return None
    try:
        return to_canonical(
            TypeSpec(facade.name, facade.oid, facade.size), read_numeric(_NUMERIC, value, 0), 0, _ISO_UTF8
        )
    except BadValue:
        return None  # no number of that type: a fraction, or out of its range


def canonical_uuid(text: bytes) -> bytes:
    """Any spelling that uuid_in() takes (upper case, braces, hyphens after any group of four digits or none), as its
    output. Raises BadValue."""
    inner = text[1:-1] if text[:1] == b"{" and text[-1:] == b"}" else text
    if _HEX_UUID.fullmatch(inner) is None:
        raise BadValue("number-format", "invalid input syntax for type uuid")  # 22P02
    return _uuid_text(inner.replace(b"-", b"").lower())


def _uuid_text(digits: bytes) -> bytes:
    return b"-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _binary_uuid(data: bytes) -> bytes:
    if len(data) != 16:
        raise incorrect_binary()
    return _uuid_text(data.hex().encode("ascii"))


def _read_bool(data: bytes, fmt: int) -> bytes:
    if fmt == 1:
        if len(data) != 1:
            raise incorrect_binary()
        return b"true" if data != b"\0" else b"false"
    found = _BOOLS.get(data.strip(b" \t\n\v\f\r").lower())
    if found is None:
        raise BadValue("number-format", "invalid input syntax for type boolean")
    return found


def _fit_text(spec: TypeSpec, value: bytes, explicit: bool) -> bytes:
    """The text as a column of the type holds it (varchar.c, bpchar.c, name.c)."""
    if spec.name == "text":
        return value
    if spec.name == "name":
        return value if len(value) <= NAME_BYTES else value[:NAME_BYTES].decode("utf-8", "ignore").encode()
    limit = char_limit(spec.typmod)
    if limit >= 0 and len(value) > limit:
        value = _cut(spec, value, limit, explicit)
    return value.rstrip(b" ") if spec.name == "bpchar" else value


def _cut(spec: TypeSpec, value: bytes, limit: int, explicit: bool) -> bytes:
    text = value.decode()
    if len(text) <= limit:
        return value
    if not explicit and text[limit:].strip(" "):
        raise BadValue("value-too-long", f"value too long for type {format_type(spec)}")
    return text[:limit].encode()


def _padded(spec: TypeSpec, canonical: bytes) -> bytes:
    """char(n) is sent with blanks up to n characters."""
    limit = char_limit(spec.typmod) if spec.name == "bpchar" else -1
    missing = limit - len(canonical.decode()) if limit >= 0 else 0
    return canonical + b" " * missing if missing > 0 else canonical
