"""The JSON Schema of a policy file, for editors (`pgveil policy schema`).

Pure. It says what one file can say by itself; what takes all files together (is each class defined, is a column
protected twice) only `policy.load` tells. Invariant: what `load` accepts, the schema accepts; tests hold both to one
set of files.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from proxy.policy.names import TYPES
from proxy.policy.parse import LONGEST_MASK, MOST_ROWS, VERSION
from proxy.policy.rules import INVALIDS, KINDS, LEVELS, NORMALIZED_KINDS, SEARCH_KINDS, TOKEN_MODES

Json = str | int | bool | None | Sequence["Json"] | Mapping[str, "Json"]

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
WORD: Final = "^[A-Za-z_][A-Za-z0-9_-]{0,62}$"
CLASS_WORD: Final = "^(?!default$)[A-Za-z_][A-Za-z0-9_-]{0,62}$"
PART: Final = '("([^"]|"")+"|[^".]+)'
TABLE: Final = f"^({PART}\\.)?{PART}\\.{PART}$"

# What stands in the schema for editors to show, and in docs/reference/policy.md: one text for each key.
HELP: Final[dict[str, str]] = {
    "version": f"version of this format: {VERSION}",
    "classes": "kinds of personal data, by name; columns of one class share tokens",
    "protect": "tables (schema.table, or database.schema.table) and their protected columns",
    "roles": "who gets what; the first that matches wins, no match means `token` for every class",
    "records": "whole records (JSON objects) that the vault keeps under one token",
    "class.kind": "what the values are: their normal form, validity and mask",
    "class.tokens": "deterministic: equal values have equal tokens; random: every write has its own, nothing is found "
    "by value (default deterministic)",
    "class.search": "searches beside equality; not for random tokens",
    "class.canonicalize": "store the normal form in the value's place; needed where a column's type calls values equal "
    "that are written differently (default false)",
    "class.region": "country of phone numbers that are written without a country code",
    "class.mask": f"text shown in place of the kind's own mask, at most {LONGEST_MASK} characters",
    "class.invalid": "what becomes of a value that the kind does not recognise: keep stores it, as a plaintext "
    "database does; reject is error 22023 (default keep)",
    "column.class": "class of the column",
    "column.type": "type that clients see, where the database's is text or uuid for the token's sake",
    "column.write_tokens": "a token of ours that is written stands for itself, for restores (default false)",
    "role.name": "name, for the audit trail",
    "role.match": "whom it is for; all keys that are given must match, {} matches everyone",
    "role.access": "level for each class: reveal, mask, token or deny; `default` for those not named (default token)",
    "role.require_purpose": "nothing protected is touched before `SET pgveil.purpose = '…'` (default false)",
    "role.search": "true, or classes that may be compared with a value without `reveal` (default false)",
    "role.rows": "most values that a statement may reveal",
    "role.write": "true, false, or the classes that may be written (default: those of level reveal and token; an "
    "application of level mask would write masks back)",
    "match.user": "database account, as the server authenticated it (glob, or a list of them)",
    "match.database": "database (glob, or a list)",
    "match.application_name": "as the client gave it at start-up (glob, or a list); anyone can give any",
    "match.client": "network of the client (CIDR, or a list); `unix` is a Unix socket",
    "match.tls_subject": "subject of the client's certificate (glob, or a list); never matches without one",
    "record.schema": "JSON Schema file that records are held to, relative to the policy",
    "record.keys": "by what records are found",
    "key.kind": "email, phone or login",
    "key.unique": "no two records have the same (default false)",
}


def json_schema() -> dict[str, Json]:
    """Of one policy file, draft 2020-12."""
    top: dict[str, Json] = {
        "version": {"const": VERSION, "description": HELP["version"]},
        "classes": _map(CLASS_WORD, _class(), HELP["classes"]),
        "protect": _map(TABLE, {"type": "object", "additionalProperties": _column()}, HELP["protect"]),
        "roles": {"type": "array", "items": _role(), "description": HELP["roles"]},
        "records": _map(WORD, _record(), HELP["records"]),
    }
    whole: dict[str, Json] = {"$schema": DRAFT, "title": "pgveil policy"}
    return whole | _object("", top, ("version",))


def _object(prefix: str, properties: Mapping[str, Json], required: Sequence[str] = ()) -> dict[str, Json]:
    described: dict[str, Json] = {}
    for key, value in properties.items():
        help = HELP.get(f"{prefix}.{key}")
        described[key] = {**value, "description": help} if isinstance(value, Mapping) and help else value
    found: dict[str, Json] = {"type": "object", "properties": described, "additionalProperties": False}
    return found | {"required": list(required)} if required else found


def _map(pattern: str, value: Json, description: str) -> dict[str, Json]:
    return {
        "type": "object",
        "patternProperties": {pattern: value},
        "additionalProperties": False,
        "description": description,
    }


def _one_or_more(item: Mapping[str, Json]) -> dict[str, Json]:
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]}


def _class() -> Json:
    search: Json = {"anyOf": [{"enum": list(SEARCH_KINDS)}, {"type": "array", "items": {"enum": list(SEARCH_KINDS)}}]}
    properties: dict[str, Json] = {
        "kind": {"enum": list(KINDS)},
        "tokens": {"enum": list(TOKEN_MODES)},
        "search": search,
        "canonicalize": {"type": "boolean"},
        "region": {"type": "string", "pattern": "^[A-Z]{2}$"},
        "mask": {"type": ["string", "number", "boolean"], "maxLength": LONGEST_MASK},
        "invalid": {"enum": list(INVALIDS)},
    }
    return _object("class", properties, ("kind",))


def _column() -> Json:
    properties: dict[str, Json] = {
        "class": {"type": "string"},
        "type": {"type": "string", "examples": list(dict.fromkeys(TYPES.values()))},
        "write_tokens": {"type": "boolean"},
    }
    # A class may be called `on` or `1`-like words that YAML reads as something else; `load` takes what stands there.
    return {"anyOf": [{"type": ["string", "boolean"]}, _object("column", properties, ("class",))]}


def _role() -> Json:
    text: dict[str, Json] = {"type": ["string", "number", "boolean"]}
    keys = ("user", "database", "application_name", "client", "tls_subject")
    classes: Json = {"anyOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "string"}}]}
    properties: dict[str, Json] = {
        "name": {"type": "string", "pattern": WORD},
        "match": _object("match", {key: _one_or_more(text) for key in keys}),
        "access": {"type": "object", "additionalProperties": {"enum": list(LEVELS)}},
        "require_purpose": {"type": "boolean"},
        "search": classes,
        "rows": {"type": "integer", "minimum": 1, "maximum": MOST_ROWS},
        "write": classes,
    }
    return _object("role", properties, ("name", "match"))


def _record() -> Json:
    key = _object("key", {"kind": {"enum": sorted(NORMALIZED_KINDS)}, "unique": {"type": "boolean"}}, ("kind",))
    return _object("record", {"schema": {"type": "string"}, "keys": _map(WORD, key, HELP["record.keys"])})
