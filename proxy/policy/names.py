"""Names of tables and types as policies write them.

Pure. Names are the catalog's, case and all: nothing is folded. Only what is written decides; whether a table exists is
the catalog's to say.
"""

import re
from dataclasses import dataclass
from typing import Final

# NAMEDATALEN - 1 of a server as it is built everywhere; PostgreSQL cuts longer names, so they'd never match.
LONGEST_NAME: Final = 63

PART: Final = re.compile(r'"((?:[^"]|"")*)"|([^".]+)')


@dataclass(frozen=True, slots=True)
class BadName(Exception):
    """message: what is wrong; advice: what to write."""

    message: str
    advice: str = ""


def parse_table(text: str) -> tuple[str | None, str, str]:
    """(database or None, schema, table) of `schema.table` or `database.schema.table`, parts quoted or not.

    Raises BadName.
    """
    parts = _parts(text)
    for part in parts:
        check_name(part)
    if len(parts) == 2:
        return None, parts[0], parts[1]
    if len(parts) == 3:
        return parts[0], parts[1], parts[2]
    raise BadName("is no table name", "write schema.table or database.schema.table, such as public.customers")


def check_name(name: str) -> None:
    """Raises BadName for what can't be the name of anything in PostgreSQL."""
    if not name or "\0" in name:
        raise BadName("has an empty part")
    if len(name.encode("utf-8", "replace")) > LONGEST_NAME:
        raise BadName(f"is longer than {LONGEST_NAME} bytes", "PostgreSQL cuts such names; write what the catalog has")


def _parts(text: str) -> list[str]:
    parts: list[str] = []
    at = 0
    while True:
        found = PART.match(text, at)
        if found is None:
            raise BadName("is no table name", 'a part with a dot or quote in it is quoted: public."odd.name"')
        parts.append(found[2] if found[1] is None else found[1].replace('""', '"'))
        at = found.end()
        if at == len(text):
            return parts
        if text[at] != ".":
            raise BadName("is no table name", "a dot stands between schema and table, quotes around a whole part")
        at += 1


# ---- types ---------------------------------------------------------------------------------------------------------

TYPES: Final[dict[str, str]] = {
    "text": "text",
    "varchar": "varchar",
    "character varying": "varchar",
    "char": "bpchar",
    "character": "bpchar",
    "bpchar": "bpchar",
    "uuid": "uuid",
    "date": "date",
    "smallint": "int2",
    "int2": "int2",
    "integer": "int4",
    "int": "int4",
    "int4": "int4",
    "bigint": "int8",
    "int8": "int8",
    "numeric": "numeric",
    "decimal": "numeric",
    "timestamp": "timestamp",
    "timestamp without time zone": "timestamp",
    "timestamptz": "timestamptz",
    "timestamp with time zone": "timestamptz",
}

# Least and most of each modifier (pg_type docs: 8.1.2, 8.3, 8.5). A varchar can't be longer than MaxAttrSize.
MODIFIERS: Final[dict[str, tuple[tuple[int, int], ...]]] = {
    "varchar": ((1, 10485760),),
    "bpchar": ((1, 10485760),),
    "numeric": ((1, 1000), (-1000, 1000)),
    "timestamp": ((0, 6),),
    "timestamptz": ((0, 6),),
}

TYPE: Final = re.compile(
    r"([a-z][a-z0-9]*(?: varying)?) ?(?:\( ?([0-9]{1,9}) ?(?:, ?(-?[0-9]{1,9}) ?)?\))? ?(with(?:out)? time zone)?"
)


def parse_type(text: str) -> str:
    """The canonical spelling of a type that a protected column may show: 'int4', 'varchar(50)', 'numeric(10,2)'.

    Raises BadName.
    """
    found = TYPE.fullmatch(" ".join(text.lower().split()))
    name = None if found is None else TYPES.get(" ".join(filter(None, (found[1], found[4]))))
    if found is None or name is None:
        raise BadName("is no type that a protected column can show", f"one of: {', '.join(dict.fromkeys(TYPES))}")
    given = [int(each) for each in (found[2], found[3]) if each is not None]
    bounds = MODIFIERS.get(name, ())
    if len(given) > len(bounds) or any(not low <= n <= high for n, (low, high) in zip(given, bounds, strict=False)):
        raise BadName("has modifiers that the type can't have")
    if not given and found[1] in ("char", "character"):
        given = [1]  # SQL: char is char(1)
    return f"{name}({','.join(map(str, given))})" if given else name


def wider_than_value(type_name: str) -> bool:
    """The type calls values equal that are written differently: 1.0 and 1.00 where no scale makes them one."""
    return type_name == "numeric"


def is_moment(type_name: str | None) -> bool:
    """A date or a timestamp, with modifiers or without."""
    return type_name is not None and type_name.partition("(")[0] in ("date", "timestamp", "timestamptz")
