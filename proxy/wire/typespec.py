"""Names, OIDs and modifiers of the types that a protected column can show, and what is wrong with a value.

Not here: reading and writing values (`types` and what it calls). Source: pg_type.dat, format_type.c, and the typmodin
functions of each type. Types with an OID of a database's own (citext, domains, enums) have no place in this table.
"""

import re
from dataclasses import dataclass
from typing import Final

VARHDRSZ: Final = 4  # added to the modifier of varchar(n), bpchar(n) and numeric(p,s) (c.h)
MAX_CHARS: Final = 10485760  # varchar(n), char(n): MaxAttrSize (htup_details.h)
MAX_PRECISION: Final = 1000  # numeric: NUMERIC_MAX_PRECISION, and the bounds of its scale
MAX_FRACTION: Final = 6  # timestamp(p): MAX_TIMESTAMP_PRECISION


@dataclass(frozen=True, slots=True)
class TypeSpec:
    """A PostgreSQL type. name: canonical, without modifiers ('text', 'varchar', 'bpchar', 'uuid', 'date', 'int4',
    'numeric', 'timestamptz' …). oid, size (typlen) and typmod as in RowDescription (typmod -1: none)."""

    name: str
    oid: int
    size: int
    typmod: int = -1


@dataclass(frozen=True, slots=True)
class Reading:
    """What decides how a client's text is read and written.

    client_encoding: Python codec, '' if the text is UTF-8 already. date_style: as the server reports it ('ISO, MDY');
    '' refuses every date whose meaning it would decide. time_zone: the server's TimeZone; '' refuses every timestamp
    that needs it.
    """

    client_encoding: str = ""
    date_style: str = "ISO, MDY"
    time_zone: str = "UTC"


class BadValue(Exception):
    """A value that its type does not take. code: key of errors.CODES; message: the server's words, not the value."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


# name: (OID, OID of its array, typlen, name for people as format_type() spells it)
_TYPES: Final[dict[str, tuple[int, int, int, str]]] = {
    "bool": (16, 1000, 1, "boolean"),
    "name": (19, 1003, 64, "name"),
    "int8": (20, 1016, 8, "bigint"),
    "int2": (21, 1005, 2, "smallint"),
    "int4": (23, 1007, 4, "integer"),
    "text": (25, 1009, -1, "text"),
    "bpchar": (1042, 1014, -1, "character"),
    "varchar": (1043, 1015, -1, "character varying"),
    "date": (1082, 1182, 4, "date"),
    "timestamp": (1114, 1115, 8, "timestamp without time zone"),
    "timestamptz": (1184, 1185, 8, "timestamp with time zone"),
    "numeric": (1700, 1231, -1, "numeric"),
    "uuid": (2950, 2951, 16, "uuid"),
}
# Of values, never of a protected column: floats equal each other otherwise than what they were written as.
_VALUES_ONLY: Final[dict[int, tuple[str, int, int]]] = {700: ("float4", 1021, 4), 701: ("float8", 1022, 8)}
_SPELLINGS: Final[dict[str, str]] = {
    **{name: name for name in _TYPES},
    **{told: name for name, (_, _, _, told) in _TYPES.items()},
    "char": "bpchar",
    "int": "int4",
    "decimal": "numeric",
    "dec": "numeric",
}
_BY_OID: Final[dict[int, str]] = {oid: name for name, (oid, _, _, _) in _TYPES.items()}
_BY_ARRAY: Final[dict[int, int]] = {
    **{array: oid for oid, array, _, _ in _TYPES.values()},
    **{array: oid for oid, (_, array, _) in _VALUES_ONLY.items()},
}
_BARE: Final[dict[str, TypeSpec]] = {name: TypeSpec(name, t[0], t[2]) for name, t in _TYPES.items()}
SUPPORTED: Final = ", ".join(sorted(_TYPES))

_TEXT: Final = re.compile(r"\s*([a-z_0-9]+(?:\s+varying)?)\s*(\([^()]*\))?\s*((?:with|without)\s+time\s+zone)?\s*")
_NUMBERS: Final = re.compile(r"\(\s*(-?\d{1,9})\s*(?:,\s*(-?\d{1,9})\s*)?\)")


def by_oid(oid: int, typmod: int = -1) -> TypeSpec | None:
    """The type of that OID, None if it is not in the table."""
    name = _BY_OID.get(oid)
    if name is None:
        return None
    bare = _BARE[name]
    return bare if typmod == -1 else TypeSpec(name, oid, bare.size, typmod)


def value_type(oid: int) -> TypeSpec | None:
    """The type of a value: those of columns, and floats."""
    found = _VALUES_ONLY.get(oid)
    return by_oid(oid) if found is None else TypeSpec(found[0], oid, found[2])


def array_oid(spec: TypeSpec) -> int:
    """The OID of the type's array."""
    return _TYPES[spec.name][1]


def element_of(oid: int) -> int:
    """The element type's OID of an array type in the table; 0 if it is none."""
    return _BY_ARRAY.get(oid, 0)


def parse_type(text: str) -> TypeSpec:
    """A type as policies and format_type() spell it: 'date', 'varchar(20)', 'timestamp(3) with time zone'.

    Raises ValueError, naming what is supported.
    """
    found = _TEXT.fullmatch(text.lower().removeprefix("pg_catalog."))
    name = None if found is None else _SPELLINGS.get(" ".join(found[1].split()))
    if found is None or name is None:
        raise ValueError(f"type {text!r} is not supported (supported: {SUPPORTED})")
    if found[3] is not None:
        if name != "timestamp":
            raise ValueError(f"type {text!r} is not supported (supported: {SUPPORTED})")
        name = "timestamptz" if found[3].split()[0] == "with" else name
    typmod = -1 if found[2] is None else _typmod(name, found[2], text)
    # CHARACTER alone is one character, bpchar alone has no limit (gram.y, "character").
    if name == "bpchar" and found[2] is None and found[1] != "bpchar":
        typmod = VARHDRSZ + 1
    return TypeSpec(name, _TYPES[name][0], _TYPES[name][2], typmod)


def _typmod(name: str, modifiers: str, text: str) -> int:
    numbers = _NUMBERS.fullmatch(modifiers)
    if numbers is None:
        raise ValueError(f"type {text!r} has modifiers that are no numbers")
    first, second = int(numbers[1]), int(numbers[2] or 0)
    if name == "numeric":
        if not 1 <= first <= MAX_PRECISION or not -MAX_PRECISION <= second <= MAX_PRECISION:
            raise ValueError(f"type {text!r}: precision is 1 to 1000, scale -1000 to 1000")
        return (first << 16 | second & 0x7FF) + VARHDRSZ
    if numbers[2] is not None or name not in ("varchar", "bpchar", "timestamp", "timestamptz"):
        raise ValueError(f"type {text!r} takes no such modifiers")
    if name in ("timestamp", "timestamptz"):
        if not 0 <= first <= MAX_FRACTION:
            raise ValueError(f"type {text!r}: precision is 0 to {MAX_FRACTION}")
        return first
    if not 1 <= first <= MAX_CHARS:
        raise ValueError(f"type {text!r}: length is 1 to {MAX_CHARS}")
    return first + VARHDRSZ


def format_type(spec: TypeSpec) -> str:
    """The type as format_type() of PostgreSQL spells it."""
    told = _TYPES[spec.name][3]
    if spec.typmod == -1:
        return "bpchar" if spec.name == "bpchar" else told
    if spec.name == "numeric":
        precision, scale = numeric_limits(spec.typmod)
        return f"{told}({precision},{scale})"
    if spec.name in ("varchar", "bpchar"):
        return f"{told}({spec.typmod - VARHDRSZ})"
    if spec.name in ("timestamp", "timestamptz"):
        head, _, tail = told.partition(" ")
        return f"{head}({spec.typmod}) {tail}"
    return told


def numeric_limits(typmod: int) -> tuple[int, int]:
    """(precision, scale) of a numeric's modifier; the scale is signed in 11 bits (numeric.c, numeric_typmod_scale)."""
    return (typmod - VARHDRSZ) >> 16 & 0xFFFF, ((typmod - VARHDRSZ & 0x7FF) ^ 1024) - 1024


def char_limit(typmod: int) -> int:
    """n of varchar(n) and bpchar(n); -1: no limit."""
    return -1 if typmod < VARHDRSZ else typmod - VARHDRSZ
