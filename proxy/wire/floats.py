"""float4 and float8 as values that go into numeric and integer columns: read, and converted as the server does.

No protected column has such a type: equality of floats is not that of what they were written as. Source: float.c
(float8in, dtoi4), numeric.c (float8_numeric, float4_numeric).
"""

import math
import re
from decimal import Decimal
from struct import Struct
from typing import Final

from proxy.wire.numbers import incorrect_binary
from proxy.wire.typespec import BadValue, TypeSpec, numeric_limits

FLOATS: Final = frozenset(("float4", "float8"))
_TEXT: Final = re.compile(
    rb"[ \t\n\v\f\r]*([+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf(?:inity)?))[ \t\n\v\f\r]*", re.IGNORECASE
)
_SINGLE: Final = Struct(">f")
_DOUBLE: Final = Struct(">d")
# Digits that survive the way into a float and back: FLT_DIG, DBL_DIG.
_DIGITS: Final = {"float4": 6, "float8": 15}
_EXACT: Final = 1 << 53  # integers up to here are floats of their own


def read_float(spec: TypeSpec, data: bytes, fmt: int) -> bytes:
    """The shortest text that is that number: canonical in so far as equal floats have equal texts. Raises BadValue."""
    layout = _SINGLE if spec.name == "float4" else _DOUBLE
    if fmt == 1:
        if len(data) != layout.size:
            raise incorrect_binary()
        return _shown(layout.unpack(data)[0])
    found = _TEXT.fullmatch(data)
    if found is None:
        raise BadValue("number-format", f"invalid input syntax for type {_name(spec)}")
    value = float(found[1])
    if spec.name == "float4" and math.isfinite(value):
        try:
            value = _SINGLE.unpack(_SINGLE.pack(value))[0]
        except OverflowError:
            raise _out_of_range(spec) from None
    if (math.isinf(value) and b"n" not in found[1].lower()) or (value == 0 and _nonzero(found[1])):
        raise _out_of_range(spec)
    return _shown(value)


def _nonzero(text: bytes) -> bool:
    return any(digit in b"123456789" for digit in text.lower().partition(b"e")[0])


def _name(spec: TypeSpec) -> str:
    return "real" if spec.name == "float4" else "double precision"


def _out_of_range(spec: TypeSpec) -> BadValue:
    return BadValue("number-range", f"value is out of range for type {_name(spec)}")


def _shown(value: float) -> bytes:
    return repr(value + 0.0).encode("ascii")


def float_to_numeric(source: TypeSpec, value: bytes) -> bytes:
    """The text that the server's cast to numeric reads: 15 digits of a float8, 6 of a float4."""
    return f"{float(value):.{_DIGITS[source.name]}g}".encode("ascii")


def float_to_integer(value: bytes) -> bytes:
    """Rounded half to even (rint). Raises BadValue for what is no number."""
    number = float(value)
    if not math.isfinite(number):
        raise BadValue("number-range", "integer out of range")
    return b"%d" % round(number)


def equal_number(facade: TypeSpec, value: bytes) -> bytes | None:
    """The one number of the column's type that is this float as a float8; None if there is none. Raises BadValue where
    there may be several."""
    number = float(value)
    precision = numeric_limits(facade.typmod)[0] if facade.name == "numeric" and facade.typmod != -1 else 0
    if not math.isfinite(number):
        if facade.name != "numeric":
            return None
        raise BadValue("unsupported-type", "a comparison of numeric with this value is not supported")
    if facade.name == "numeric" and not 0 < precision <= _DIGITS["float8"]:
        raise BadValue("unsupported-type", "numeric of more than 15 digits is not compared with a float exactly")
    if facade.name == "int8" and abs(number) >= _EXACT:
        raise BadValue("unsupported-type", "bigint is not compared with a float of this size exactly")
    found = Decimal(float_to_numeric(TypeSpec("float8", 701, 8), value).decode("ascii"))
    return f"{found:f}".encode("ascii") if float(found) == number else None
