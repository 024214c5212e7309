"""One policy file, from YAML nodes to values, each with its place.

Pure: text in, values and faults out. What takes all files together (is each class defined, is a column protected twice)
is `policy.load`'s. A part that has a fault is left out or has its default, so that one fault doesn't bring others.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from types import MappingProxyType
from typing import Final

import phonenumbers
import yaml

from proxy.documents import Choice, Entry, Reader, is_mapping, is_text, line_of, quote
from proxy.policy.access import UNIX
from proxy.policy.names import BadName, check_name, parse_table, parse_type
from proxy.policy.rules import (
    INVALIDS,
    KINDS,
    LEVELS,
    NORMALIZED_KINDS,
    SEARCH_KINDS,
    TOKEN_MODES,
    Kind,
    Level,
    Match,
    RecordKey,
    RecordRule,
    RoleRule,
    Rule,
    SearchKind,
    ValueClass,
)

VERSION: Final = 1
TOP_KEYS: Final = ("version", "classes", "protect", "roles", "records")
CLASS_KEYS: Final = ("kind", "tokens", "search", "canonicalize", "region", "mask", "invalid")
COLUMN_KEYS: Final = ("class", "type", "write_tokens")
ROLE_KEYS: Final = ("name", "match", "access", "require_purpose", "search", "rows", "write")
MATCH_KEYS: Final = ("user", "database", "application_name", "client", "tls_subject")
RECORD_KEYS: Final = ("schema", "keys")
RECORD_KEY_KEYS: Final = ("kind", "unique")

# Class and role names become labels of metrics, key derivation input and audit columns.
WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
WORD_ADVICE: Final = "letters, digits, _ and -, at most 63, not starting with a digit or -"
DEFAULT: Final = "default"
LONGEST_MASK: Final = 64  # characters; a mask is a sign, not a text
MOST_ROWS: Final = 2**31 - 1
PATTERN_KINDS: Final = frozenset(KINDS) - {"date", "json"}


@dataclass(frozen=True, slots=True)
class PlacedClass:
    value: ValueClass
    file: str
    line: int


@dataclass(slots=True)
class Parsed:
    """What one file holds, in its order."""

    classes: list[PlacedClass] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    roles: list[RoleRule] = field(default_factory=list)
    records: list[RecordRule] = field(default_factory=list)


def parse(reader: Reader, text: str) -> Parsed:
    """All of one file. Faults are left in `reader`."""
    parsed = Parsed()
    root = reader.document(text)
    if root is None or (is_text(root) and not root.value):
        return parsed
    top = reader.fields(root, "the policy", TOP_KEYS)
    if is_mapping(root):
        _version(reader, top.get("version"))
    if "classes" in top:
        found = [_class(reader, each) for each in reader.entries(top["classes"].value, "classes")]
        parsed.classes = [each for each in found if each is not None]
    if "protect" in top:
        for table in reader.entries(top["protect"].value, "protect"):
            parsed.rules += _table(reader, table)
    if "roles" in top:
        parsed.roles = _roles(reader, top["roles"].value)
    if "records" in top:
        parsed.records = [_record(reader, each) for each in reader.entries(top["records"].value, "records")]
    return parsed


def _version(reader: Reader, entry: Entry | None) -> None:
    if entry is None:
        reader.fault(1, "the policy says no version", f"write `version: {VERSION}`")
    elif not is_text(entry.value) or entry.value.value != str(VERSION):
        reader.fault(entry.value, f"this pgveil reads policies of version {VERSION} only")


def word(reader: Reader, where: yaml.Node | int, text: str, what: str) -> bool:
    if WORD.fullmatch(text) is None:
        reader.fault(where, f"{quote(text)} can't be the name of a {what}", WORD_ADVICE)
        return False
    return True


# ---- classes -------------------------------------------------------------------------------------------------------


def _class(reader: Reader, entry: Entry) -> PlacedClass | None:
    name = entry.key
    if name == DEFAULT:
        reader.fault(entry.line, "no class can be named 'default'", "in `access` that word is for all other classes")
        return None
    word(reader, entry.line, name, "class")
    what = f"class {quote(name)}"
    fields = reader.fields(entry.value, what, CLASS_KEYS)
    kind: Kind | None = None
    if "kind" in fields:
        kind = reader.choice(fields["kind"].value, f"kind of {what}", KINDS)
    elif is_mapping(entry.value):
        reader.fault(entry.line, f"{what} has no kind", f"one of: {', '.join(KINDS)}")
    value = ValueClass(
        name,
        kind or "text",
        tokens=_one_of(reader, fields.get("tokens"), f"tokens of {what}", TOKEN_MODES, "deterministic"),
        search=_search_kinds(reader, fields.get("search"), what),
        canonicalize=_flag(reader, fields.get("canonicalize"), f"canonicalize of {what}"),
        region=_region(reader, fields.get("region"), what),
        mask=_mask(reader, fields.get("mask"), what),
        invalid=_one_of(reader, fields.get("invalid"), f"invalid of {what}", INVALIDS, "keep"),
    )
    if kind is not None:
        _class_sound(reader, fields, value)
    return PlacedClass(value, reader.file, entry.line)


def _one_of(reader: Reader, entry: Entry | None, what: str, choices: Sequence[Choice], fallback: Choice) -> Choice:
    return fallback if entry is None else reader.choice(entry.value, what, choices) or fallback


def _search_kinds(reader: Reader, entry: Entry | None, what: str) -> tuple[SearchKind, ...]:
    return () if entry is None else reader.choices(entry.value, f"search of {what}", SEARCH_KINDS)


def _class_sound(reader: Reader, fields: dict[str, Entry], value: ValueClass) -> None:
    what = f"class {quote(value.name)}"
    if value.search and not value.deterministic:
        reader.fault(fields["search"].line, f"{what} has random tokens and can't be searched", "leave `search` out")
    if "normalized" in value.search and value.kind not in NORMALIZED_KINDS:
        advice = f"kinds that have one: {', '.join(sorted(NORMALIZED_KINDS))}; `casefold` is for the others"
        reader.fault(fields["search"].line, f"kind {value.kind} has no normalized search ({what})", advice)
    if {"casefold", "pattern"} & set(value.search) and value.kind not in PATTERN_KINDS:
        reader.fault(fields["search"].line, f"kind {value.kind} has no casefold or pattern search ({what})")
    if value.region is not None and value.kind != "phone":
        reader.fault(fields["region"].line, f"only kind phone has a region ({what})")
    if value.canonicalize and value.kind == "json":
        reader.fault(fields["canonicalize"].line, f"kind json has no normal form ({what})")


def _flag(reader: Reader, entry: Entry | None, what: str) -> bool:
    return entry is not None and bool(reader.boolean(entry.value, what))


def _region(reader: Reader, entry: Entry | None, what: str) -> str | None:
    text = None if entry is None else reader.text(entry.value, f"region of {what}")
    if entry is None or text is None:
        return None
    if text not in phonenumbers.SUPPORTED_REGIONS:
        advice = "two capital letters, ISO 3166-1, such as US"
        reader.fault(entry.value, f"{quote(text)} is no region ({what})", advice)
        return None
    return text


def _mask(reader: Reader, entry: Entry | None, what: str) -> str | None:
    text = None if entry is None else reader.text(entry.value, f"mask of {what}")
    if entry is not None and text is not None and (len(text) > LONGEST_MASK or not text.isprintable()):
        reader.fault(entry.value, f"mask of {what} must be printable, at most {LONGEST_MASK} characters")
        return None
    return text


# ---- protected columns ---------------------------------------------------------------------------------------------


def _table(reader: Reader, entry: Entry) -> list[Rule]:
    try:
        database, schema, table = parse_table(entry.key)
    except BadName as bad:
        reader.fault(entry.line, f"{quote(entry.key)} {bad.message}", bad.advice)
        return []
    columns = reader.entries(entry.value, f"table {quote(entry.key)}")
    found = [_column(reader, each, Rule(database, schema, table, each.key, "")) for each in columns]
    return [rule for rule in found if rule is not None]


def _column(reader: Reader, entry: Entry, rule: Rule) -> Rule | None:
    what = f"column {quote(entry.key)}"
    try:
        check_name(entry.key)
    except BadName as bad:
        reader.fault(entry.line, f"{what} {bad.message}", bad.advice)
        return None
    shown, write_tokens = None, False
    name: str | None
    if is_text(entry.value):
        name = reader.text(entry.value, f"class of {what}")
    else:
        fields = reader.fields(entry.value, what, COLUMN_KEYS)
        if "class" in fields:
            name = reader.text(fields["class"].value, f"class of {what}")
        else:
            name = None
            if is_mapping(entry.value):
                reader.fault(entry.line, f"{what} has no class", "write `column: class`, or {class: …, type: …}")
        shown = _type(reader, fields.get("type"), what)
        write_tokens = _flag(reader, fields.get("write_tokens"), f"write_tokens of {what}")
    if name is None:
        return None
    place = (reader.file, entry.line)
    return Rule(rule.database, rule.schema, rule.table, rule.column, name, shown, write_tokens, *place)


def _type(reader: Reader, entry: Entry | None, what: str) -> str | None:
    text = None if entry is None else reader.text(entry.value, f"type of {what}")
    if entry is None or text is None:
        return None
    try:
        return parse_type(text)
    except BadName as bad:
        reader.fault(entry.value, f"type {quote(text)} of {what} {bad.message}", bad.advice)
        return None


# ---- roles ---------------------------------------------------------------------------------------------------------


def _roles(reader: Reader, node: yaml.Node) -> list[RoleRule]:
    if not isinstance(node, yaml.SequenceNode):
        reader.fault(node, "roles must be a list (- name: …)", "their order counts: the first that matches wins")
        return []
    return [role for role in (_role(reader, each) for each in node.value) if role is not None]


def _role(reader: Reader, node: yaml.Node) -> RoleRule | None:
    fields = reader.fields(node, "role", ROLE_KEYS)
    line = line_of(node)
    name = reader.text(fields["name"].value, "name of a role") if "name" in fields else None
    if name is None:
        if "name" not in fields and fields:
            reader.fault(line, "a role has no name")
        return None
    word(reader, line, name, "role")
    what = f"role {quote(name)}"
    if "match" not in fields:
        reader.fault(line, f"{what} does not say whom it matches", "`match: {}` matches everyone")
    access = _access(reader, fields.get("access"), what)
    default = access.pop(DEFAULT, "token")
    return RoleRule(
        name,
        _match(reader, fields.get("match"), what),
        default,
        MappingProxyType(access),
        _flag(reader, fields.get("require_purpose"), f"require_purpose of {what}"),
        _classes(reader, fields.get("search"), f"search of {what}") or False,
        _classes(reader, fields.get("write"), f"write of {what}"),
        reader.integer(fields["rows"].value, f"rows of {what}", 1, MOST_ROWS) if "rows" in fields else None,
        reader.file,
        line,
    )


def _access(reader: Reader, entry: Entry | None, what: str) -> dict[str, Level]:
    if entry is None:
        return {}
    levels: dict[str, Level] = {}
    for each in reader.entries(entry.value, f"access of {what}"):
        level = reader.choice(each.value, f"access of {what} to {quote(each.key)}", LEVELS)
        if level is not None:
            levels[each.key] = level
    return levels


def _classes(reader: Reader, entry: Entry | None, what: str) -> bool | tuple[str, ...] | None:
    """true, false or a list of classes."""
    if entry is None:
        return None
    if isinstance(entry.value, yaml.SequenceNode):
        return reader.texts(entry.value, what)
    return reader.boolean(entry.value, what)


def _match(reader: Reader, entry: Entry | None, what: str) -> Match:
    if entry is None:
        return Match()
    fields = reader.fields(entry.value, f"match of {what}", MATCH_KEYS)
    given = {key: reader.texts(each.value, f"{key} of {what}") for key, each in fields.items()}
    for key, each in fields.items():
        if not given[key]:
            reader.fault(each.line, f"{key} of {what} names nothing", "leave the key out to match all")
    if "client" in fields:
        given["client"] = _networks(reader, fields["client"], given["client"], what)
    empty: tuple[str, ...] = ()
    return Match(
        user=given.get("user", empty),
        database=given.get("database", empty),
        application_name=given.get("application_name", empty),
        client=given.get("client", empty),
        tls_subject=given.get("tls_subject", empty),
    )


def _networks(reader: Reader, entry: Entry, texts: tuple[str, ...], what: str) -> tuple[str, ...]:
    for text in texts:
        advice = network_fault(text)
        if advice is not None:
            reader.fault(entry.line, f"client {quote(text)} of {what} is no network", advice)
    return texts


def network_fault(text: str) -> str | None:
    """What to write in place of `text`, None if it is a network (or 'unix')."""
    if text == UNIX:
        return None
    try:
        ip_network(text)
    except ValueError:
        try:
            return f"its host bits are set; did you mean {ip_network(text, strict=False)}?"
        except ValueError:
            return f"CIDR such as 10.0.0.0/8 or 2001:db8::/32, or {UNIX}"
    return None


# ---- records -------------------------------------------------------------------------------------------------------


def _record(reader: Reader, entry: Entry) -> RecordRule:
    word(reader, entry.line, entry.key, "kind of record")
    what = f"record {quote(entry.key)}"
    fields = reader.fields(entry.value, what, RECORD_KEYS)
    schema = reader.text(fields["schema"].value, f"schema of {what}") if "schema" in fields else None
    keys = reader.entries(fields["keys"].value, f"keys of {what}") if "keys" in fields else []
    found = [_record_key(reader, each, what) for each in keys]
    return RecordRule(entry.key, tuple(k for k in found if k is not None), schema, reader.file, entry.line)


def _record_key(reader: Reader, entry: Entry, record: str) -> RecordKey | None:
    word(reader, entry.line, entry.key, "key")
    what = f"key {quote(entry.key)} of {record}"
    fields = reader.fields(entry.value, what, RECORD_KEY_KEYS)
    kinds = sorted(NORMALIZED_KINDS)
    if "kind" not in fields:
        if is_mapping(entry.value):
            reader.fault(entry.line, f"{what} has no kind", f"one of: {', '.join(kinds)}")
        return None
    kind = reader.choice(fields["kind"].value, f"kind of {what}", kinds)
    return None if kind is None else RecordKey(entry.key, kind, _flag(reader, fields.get("unique"), what))
