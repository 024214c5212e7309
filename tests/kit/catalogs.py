"""Small catalogs as data: tests/corpus/catalogs/<name>.yaml gives relations, functions and the policy over them.

    relations:
      public.customers: [id int4 not null, email text, -, note varchar(50)]     # - is a dropped column
      public.names: {kind: v, depends_on: [public.customers], columns: [name text]}
    functions:
      public.f: {language: sql, source: "select 1"}
    search_paths: {"": '"$user", public'}
    policy: {version: 1, classes: …, protect: …}

OIDs are counted from 16384 in the order of the file. Names with a dot in them are not for this place.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from proxy.policy.load import load
from proxy.sql.catalog import Snapshot, snapshot
from proxy.sql.relations import Catalog, Column, Function, Relation

FIRST_OID = 16384
CATALOGS = Path(__file__).resolve().parents[1] / "corpus" / "catalogs"

TYPES = {
    "bool": (16, "boolean"),
    "int2": (21, "smallint"),
    "int4": (23, "integer"),
    "int8": (20, "bigint"),
    "text": (25, "text"),
    "text[]": (1009, "text[]"),
    "bpchar": (1042, "character"),
    "varchar": (1043, "character varying"),
    "date": (1082, "date"),
    "timestamp": (1114, "timestamp without time zone"),
    "timestamptz": (1184, "timestamp with time zone"),
    "numeric": (1700, "numeric"),
    "uuid": (2950, "uuid"),
    "jsonb": (3802, "jsonb"),
    "citext": (16000, "citext"),
}


@dataclass(frozen=True)
class World:
    catalog: Catalog
    snapshot: Snapshot


@cache
def world(name: str, directory: Path = CATALOGS) -> World:
    """The catalog of that name with its policy laid over it. Raises FileNotFoundError, ValueError, PolicyFaults."""
    path = directory / f"{name}.yaml"
    data = yaml.safe_load(path.read_text())
    catalog = build(data)
    policy = load([(path.name, yaml.safe_dump(data.get("policy", {"version": 1})))])
    return World(catalog, snapshot(catalog, policy, 1))


def build(data: dict[str, Any]) -> Catalog:
    relations: dict[str, Any] = data.get("relations") or {}
    functions: dict[str, Any] = data.get("functions") or {}
    oids = {name: FIRST_OID + i for i, name in enumerate([*relations, *functions])}
    return Catalog(
        database=data.get("database", "shop"),
        server_version=data.get("server_version", 180000),
        relations=tuple(_relation(name, relations[name], oids) for name in relations),
        functions=tuple(_function(name, functions[name], oids) for name in functions),
        search_paths=data.get("search_paths", {"": '"$user", public'}),
    )


def _relation(label: str, data: Any, oids: dict[str, int]) -> Relation:
    if isinstance(data, list):
        data = {"columns": data}
    schema, _, name = label.partition(".")
    columns = [_column(text, i + 1) for i, text in enumerate(data["columns"]) if text != "-"]
    return Relation(
        oid=oids[label],
        schema=schema,
        name=name,
        kind=data.get("kind", "r"),
        columns=tuple(columns),
        depends_on=tuple(oids[other] for other in data.get("depends_on", ())),
        parents=tuple(oids[other] for other in data.get("parents", ())),
        temporary=data.get("temporary", False),
        triggers=tuple(oids[other] for other in data.get("triggers", ())),
        definition=data.get("definition", ""),
        diverts=data.get("diverts", False),
    )


def _function(label: str, data: Any, oids: dict[str, int]) -> Function:
    schema, _, name = label.partition(".")
    return Function(oids[label], schema, name, data.get("language", "sql"), data["source"])


def _column(text: str, attnum: int) -> Column:
    """'name type [not null] [default …]'; a name with blanks stands in double quotes."""
    if text.startswith('"'):
        name, _, rest = text[1:].partition('" ')
    else:
        name, _, rest = text.partition(" ")
    rest, _, default = rest.partition(" default ")
    not_null = rest.endswith(" not null")
    oid, written, typmod = column_type(rest.removesuffix(" not null"))
    return Column(name, attnum, oid, written, typmod, not_null=not_null, default=default or None)


def column_type(text: str) -> tuple[int, str, int]:
    """(OID, format_type() text, typmod) of 'varchar(50)', 'numeric(10,2)', 'text' …"""
    base, _, modifiers = text.partition("(")
    if base not in TYPES:
        raise ValueError(f"no type {base!r} here; add it to TYPES")
    oid, written = TYPES[base]
    if not modifiers:
        return oid, written, -1
    numbers = [int(n) for n in modifiers.rstrip(")").split(",")]
    typmod = numbers[0] + 4 if len(numbers) == 1 else (numbers[0] << 16 | numbers[1]) + 4
    return oid, f"{written}({modifiers}", typmod
