"""What a scripted transcript plays in: a policy laid over a catalog, read from `tests/transcripts/scenes/NAME.yaml`.

    policy: |            the policy file's text
    tables:
      public.customers: {id: integer not null, email: text}

Tables get the OIDs 16400, 16410, … in order, columns are numbered from 1: transcripts name them so.
"""

from pathlib import Path

import yaml

from proxy.policy.load import load as load_policy
from proxy.session.world import World
from proxy.sql.analyze import analyse
from proxy.sql.catalog import Catalog, Column, Relation, snapshot
from tests.kit.playbook import Answerer, catalog_and_plans

# name -> (OID, name as format_type gives it), pg_type.dat
TYPES = {
    "boolean": 16,
    "bytea": 17,
    "bigint": 20,
    "integer": 23,
    "text": 25,
    "uuid": 2950,
    "date": 1082,
    "numeric": 1700,
    "json": 114,
    "character varying": 1043,
    "character": 1042,
    "timestamp with time zone": 1184,
}


def answerer(path: Path, database: str = "postgres") -> Answerer:
    """Answers to LoadCatalog and Analyse in that scene."""
    scene = yaml.safe_load(path.read_text())
    policy = load_policy([(path.name, scene["policy"])])
    tables = [relation(16400 + 10 * i, name, columns) for i, (name, columns) in enumerate(scene["tables"].items())]
    catalog = Catalog(database, 180000, tuple(tables), (), {"": '"$user", public'})
    return catalog_and_plans(World(policy, snapshot(catalog, policy, 1), 1), analyse)


def relation(oid: int, name: str, columns: dict[str, str]) -> Relation:
    schema, _, table = name.partition(".")
    made = [column(number, *item) for number, item in enumerate(columns.items(), 1)]
    return Relation(oid, schema, table, "r", tuple(made))


def column(number: int, name: str, declared: str) -> Column:
    """declared: 'character varying(50) not null'."""
    type_name, not_null = declared.removesuffix(" not null"), declared.endswith(" not null")
    base, _, size = type_name.partition("(")
    typmod = int(size.rstrip(")")) + 4 if size and base.startswith("character") else -1
    return Column(name, number, TYPES[base], type_name, typmod, not_null)
