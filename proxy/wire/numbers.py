"""Integers and numeric: client text or binary to a canonical text that is equal where PostgreSQL says equal, and back.

The canonical text has no leading '+', no trailing zeros behind the point and no exponent: 1.50, 1.5 and 15e-1 are one
number and so one token. A numeric with a scale gets its zeros back from the type. Source: int.c, numutils.c, numeric.c.
Hexadecimal and `1_000` (PostgreSQL 16 on) are refused: older servers reject them.
"""

import re
from decimal import ROUND_HALF_UP, Context, Decimal
from struct import Struct
from typing import Final

from proxy.wire.typespec import BadValue, TypeSpec, format_type, numeric_limits

_INTEGER: Final = re.compile(rb"[ \t\n\v\f\r]*([+-]?)0*(\d+)[ \t\n\v\f\r]*")
_NUMERIC: Final = re.compile(
    rb"[ \t\n\v\f\r]*(?:([+-]?)(\d+\.?\d*|\.\d+)(?:[eE]([+-]?\d+))?|(nan|[+-]?inf(?:inity)?))[ \t\n\v\f\r]*",
    re.IGNORECASE,
)
_NEWER: Final = re.compile(rb"\s*[+-]?(?:0[xob]_?[0-9a-f_]+|[\d_.]*\d_\d[\d_.]*(?:e[+-]?[\d_]+)?)\s*", re.IGNORECASE)

# numeric.h and numeric.c: NUMERIC_WEIGHT_MAX and NUMERIC_DSCALE_MAX.
_MAX_DIGITS: Final = 131072
_MAX_SCALE: Final = 16383
_BIG: Final = Context(prec=_MAX_DIGITS + _MAX_SCALE + 4000, rounding=ROUND_HALF_UP)
_HEAD: Final = Struct(">HhHH")
_NEGATIVE: Final = 0x4000
_SPECIAL: Final[dict[int, bytes]] = {0xC000: b"NaN", 0xD000: b"Infinity", 0xF000: b"-Infinity"}
_SPECIAL_SIGN: Final[dict[bytes, int]] = {text: sign for sign, text in _SPECIAL.items()}
_BYTES: Final[dict[str, int]] = {"int2": 2, "int4": 4, "int8": 8}


def read_integer(spec: TypeSpec, data: bytes, fmt: int) -> bytes:
    """Canonical text of an int2, int4 or int8."""
    size = _BYTES[spec.name]
    if fmt == 1:
        if len(data) != size:
            raise incorrect_binary()
        return b"%d" % int.from_bytes(data, "big", signed=True)
    found = _INTEGER.fullmatch(data)
    if found is None:
        raise _syntax(spec, data)
    # int() of thousands of digits is refused by Python; anything above 19 is out of range anyway.
    number = int(found[1] + found[2]) if len(found[2]) < 20 else 1 << 64
    if not -(1 << (size * 8 - 1)) <= number < 1 << (size * 8 - 1):
        raise BadValue("number-range", f"value is out of range for type {format_type(spec)}")
    return b"%d" % number


def in_range(spec: TypeSpec, canonical: bytes) -> bytes:
    """A canonical integer, if the type holds it; the words are those of the server's casts, not of its input."""
    size = _BYTES[spec.name] * 8 - 1
    if not -(1 << size) <= Decimal(canonical.decode("ascii")) < 1 << size:
        raise BadValue("number-range", f"{format_type(TypeSpec(spec.name, spec.oid, spec.size))} out of range")
    return canonical


def write_integer(spec: TypeSpec, canonical: bytes, fmt: int) -> bytes:
    return canonical if fmt == 0 else int(canonical).to_bytes(_BYTES[spec.name], "big", signed=True)


def read_numeric(spec: TypeSpec, data: bytes, fmt: int) -> bytes:
    """Canonical text of a numeric, rounded (half away from zero) to the type's scale if it has one."""
    value = _from_binary(data) if fmt == 1 else _from_text(spec, data)
    if spec.typmod == -1:
        return _plain(value)
    precision, scale = numeric_limits(spec.typmod)
    if value.is_nan():
        return b"NaN"
    if value.is_infinite():
        raise _overflow()
    rounded = value.quantize(Decimal(1).scaleb(-scale, _BIG), context=_BIG)
    if rounded and rounded.adjusted() >= precision - scale:
        raise _overflow()
    return _plain(rounded)


def write_numeric(spec: TypeSpec, canonical: bytes, fmt: int) -> bytes:
    """With the digits behind the point that the type's scale asks for."""
    if canonical in _SPECIAL_SIGN:
        # An infinity is sent with a scale of 32, an accident of its header's bits (numeric.c, NUMERIC_SHORT_DSCALE).
        return canonical if fmt == 0 else _HEAD.pack(0, 0, _SPECIAL_SIGN[canonical], 0 if canonical == b"NaN" else 32)
    whole, _, fraction = canonical.partition(b".")
    scale = len(fraction) if spec.typmod == -1 else max(numeric_limits(spec.typmod)[1], len(fraction), 0)
    fraction = fraction.ljust(scale, b"0")
    if fmt == 0:
        return whole + b"." + fraction if fraction else whole
    return _to_binary(whole, fraction)


def round_to_integer(canonical: bytes) -> bytes:
    """A canonical numeric as numeric's casts to integer types round it. Raises BadValue for NaN and infinities."""
    if canonical in _SPECIAL_SIGN:
        raise BadValue("unsupported-type", "this cast of a numeric is not supported")
    return _plain(Decimal(canonical.decode("ascii")).quantize(Decimal(1), context=_BIG))


def incorrect_binary() -> BadValue:
    return BadValue("binary-format", "incorrect binary data format")


def _syntax(spec: TypeSpec, data: bytes) -> BadValue:
    name = format_type(TypeSpec(spec.name, spec.oid, spec.size))
    if _NEWER.fullmatch(data) is not None:
        return BadValue("unsupported-type", f"this spelling of a number of type {name} is not supported")
    return BadValue("number-format", f"invalid input syntax for type {name}")


def _overflow() -> BadValue:
    return BadValue("number-range", "numeric field overflow")


def _from_text(spec: TypeSpec, data: bytes) -> Decimal:
    found = _NUMERIC.fullmatch(data)
    if found is None:
        raise _syntax(spec, data)
    sign, digits, exponent, special = found.groups()
    if special is not None:
        return Decimal(special.decode("ascii"))
    power = int(exponent) if exponent is not None and len(exponent) < 8 else 0 if exponent is None else 10_000_000
    whole, _, fraction = digits.partition(b".")
    too_long = len(fraction) - power > _MAX_SCALE or len(whole.lstrip(b"0")) + power > _MAX_DIGITS
    if too_long or abs(power) > _MAX_DIGITS + _MAX_SCALE:
        raise BadValue("number-range", "value overflows numeric format")
    return Decimal((sign + digits).decode("ascii")).scaleb(power, _BIG)


def _from_binary(data: bytes) -> Decimal:
    """numeric_recv: base-10000 digits; digits below the declared scale are cut off."""
    if len(data) < _HEAD.size:
        raise incorrect_binary()
    count, weight, sign, scale = _HEAD.unpack_from(data)
    if len(data) != _HEAD.size + 2 * count or scale > _MAX_SCALE:
        raise incorrect_binary()
    if sign in _SPECIAL:
        return Decimal(_SPECIAL[sign].decode("ascii"))
    groups = [int.from_bytes(data[at : at + 2], "big") for at in range(_HEAD.size, len(data), 2)]
    if sign not in (0, _NEGATIVE) or any(group > 9999 for group in groups):
        raise incorrect_binary()
    if not groups:
        return Decimal(0)
    digits = "".join([f"{group:04d}" for group in groups])
    exponent = 4 * (weight - count + 1)
    extra = -exponent - scale
    if extra > 0:
        digits, exponent = digits[:-extra] or "0", -scale
    return Decimal(("-" if sign else "") + digits).scaleb(exponent, _BIG)


def _to_binary(whole: bytes, fraction: bytes) -> bytes:
    scale = len(fraction)
    sign = _NEGATIVE if whole[:1] == b"-" else 0
    digits = whole.lstrip(b"-")
    digits = digits.rjust(-(-len(digits) // 4) * 4, b"0")
    weight = len(digits) // 4 - 1
    digits += fraction.ljust(-(-scale // 4) * 4, b"0")
    groups = [int(digits[at : at + 4]) for at in range(0, len(digits), 4)]
    while groups and groups[0] == 0:
        groups.pop(0)
        weight -= 1
    while groups and groups[-1] == 0:
        groups.pop()
    if not groups:
        sign = weight = 0
    return _HEAD.pack(len(groups), weight, sign, scale) + b"".join([group.to_bytes(2, "big") for group in groups])


def _plain(value: Decimal) -> bytes:
    if value.is_nan():
        return b"NaN"
    if value.is_infinite():
        return b"Infinity" if value > 0 else b"-Infinity"
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return b"0" if text in ("-0", "0") else text.encode("ascii")
