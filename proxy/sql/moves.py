"""What a definition does to names, beyond the tables that it makes: schemas and rights on them, tables dropped or
moved, functions that later statements may call.

The catalog shows none of it before the transaction ends. So each is an effect that `overlay` lays over the snapshot:
'made-schema' (name), 'moved' (value: GRANTED, RIGHTS, ANYTHING of `sql.catalog`), 'dropped' and 'closed' (name: table,
value: schema), 'function' (name; value: why it can't be called), 'settling' (name; None: anything may).
"""

import re
from dataclasses import replace
from typing import Final

from proxy.sql.bodies import identifiers, moves, runs_text, settles
from proxy.sql.catalog import ANYTHING, GRANTED, RIGHTS, Snapshot
from proxy.sql.plan import SessionEffect, StatementPlan
from proxy.sql.protection import BUILDING
from proxy.sql.reach import Reached
from proxy.sql.referee import Node, walk
from proxy.sql.relations import Function
from proxy.sql.tables import Tables
from proxy.sql.terms import unsupported

Effects = tuple[SessionEffect, ...]
KINDS: Final = frozenset(("made-schema", "moved", "dropped", "closed", "function", "settling"))
_TABLES: Final = frozenset((
    "OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_FOREIGN_TABLE", "OBJECT_SEQUENCE",
))  # fmt: skip
_ROUTINES: Final = frozenset(("OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE", "OBJECT_AGGREGATE"))
# Where the new relation's name stands.
_MAKES: Final = {
    "CreateStmt": "relation", "ViewStmt": "view", "CreateSeqStmt": "sequence", "CreateForeignTableStmt": "base",
}  # fmt: skip
_INTO: Final = {"CreateTableAsStmt": "into", "SelectStmt": "intoClause"}
# What runs functions without being named.
_UNNAMED: Final = frozenset((
    "DefineStmt", "CreateCastStmt", "CreateDomainStmt", "AlterDomainStmt", "CreateOpClassStmt", "AlterOpFamilyStmt",
    "CreateRangeStmt", "CreateEventTrigStmt", "AlterOperatorStmt",
))  # fmt: skip
_NEVER: Final = frozenset(("DropStmt", "GrantStmt", "CommentStmt", "DoStmt"))
_SETS: Final = re.compile(r"\bset_config\b", re.IGNORECASE)  # a mark of the touch test; such functions are settling
_CREATES: Final = re.compile(
    r"\bcreate\s+(?:or\s+replace\s+)?(?:function|procedure|aggregate|operator|cast|domain|trigger|rule|view)\b",
    re.IGNORECASE,
)
CHANGED: Final = "it was changed in this transaction; commit first"


def overlay(snapshot: Snapshot, done: StatementPlan, why: str = CHANGED) -> Snapshot:
    """A snapshot with what a statement's DDL did to it. why: what it changed is closed."""
    for effect in done.effects:
        snapshot = _laid(snapshot, effect, why) if effect.kind in KINDS else snapshot
    for relation in done.created:
        snapshot = snapshot.with_relation(relation)
    for relation in done.widened:
        snapshot = snapshot.with_columns(relation)
    for schema, table in done.altered:
        snapshot = snapshot.closed_by(schema, table, why)
    return snapshot


def _laid(snapshot: Snapshot, effect: SessionEffect, why: str) -> Snapshot:
    kind, name, value = effect.kind, effect.name or "", effect.value or ""
    if kind == "made-schema":
        return replace(snapshot, made=snapshot.made | {name})
    if kind == "moved":
        order = ("", GRANTED, RIGHTS, ANYTHING)
        return replace(snapshot, moved=max(snapshot.moved, value, key=order.index))
    if kind == "dropped":
        return snapshot.without(value, name)
    if kind == "closed":
        return snapshot.closed_by(value, name, why)
    if kind == "function":
        return snapshot.with_function(name, value)
    return snapshot.settled_by((name,) if name else (), anywhere=not name)


def moved_by(node: Node, tables: Tables, texts: list[str], text: str) -> Effects:
    """Effects of a definition. texts: its string literals (bodies of functions). text: the statement without them."""
    if not tables.any:
        return ()
    reader = {
        "CreateSchemaStmt": _create_schema, "DropStmt": _drop, "RenameStmt": _rename,
        "AlterObjectSchemaStmt": _set_schema,
    }.get(node.kind)  # fmt: skip
    found = () if reader is None else reader(node, tables)
    if node.kind in ("CreateFunctionStmt", "DoStmt"):
        return _program(node, tables, texts)
    return found + _rights(node) + _makes(node, tables) + _settled(node, tables, text)


def _moved(how: str) -> Effects:
    return (SessionEffect("moved", None, how),)


def _rights(node: Node) -> Effects:
    """Who may use which schema, and who has whose rights."""
    kind = node.kind
    if kind == "GrantRoleStmt" or (kind == "GrantStmt" and node.text("objtype") == "OBJECT_SCHEMA"):
        return _moved(GRANTED if node.flag("is_grant") else RIGHTS)
    if kind == "CreateRoleStmt" and node.nodes("options"):
        return _moved(GRANTED)
    if kind in ("AlterRoleStmt", "DropRoleStmt", "DropOwnedStmt", "ReassignOwnedStmt"):
        return _moved(RIGHTS)
    if kind == "AlterOwnerStmt" and node.text("objectType") == "OBJECT_SCHEMA":
        return _moved(RIGHTS)
    return _moved(ANYTHING) if kind == "ImportForeignSchemaStmt" else ()


def _create_schema(node: Node, tables: Tables) -> Effects:
    name = node.text("schemaname")
    if not name or "authrole" in node.fields or node.nodes("schemaElts"):
        return _moved(RIGHTS)
    return (SessionEffect("made-schema", name),)


def _drop(node: Node, tables: Tables) -> Effects:
    kind, found = node.text("removeType"), list[SessionEffect]()
    cascading = kind in ("OBJECT_SCHEMA", "OBJECT_EXTENSION") or node.text("behavior") == "DROP_CASCADE"
    if cascading and tables.crowded:
        found += _moved(RIGHTS)
    for item in node.nodes("objects"):
        names = item.strings("items")
        if kind == "OBJECT_SCHEMA":
            inside = [name for schema, name in tables.snapshot.relations if schema == item.text("sval")]
            found += [SessionEffect("dropped", name, item.text("sval")) for name in inside if tables.has_name(name)]
        elif kind in _TABLES and names and tables.has_name(names[-1]):
            found += _gone(names, tables)
    return tuple(found)


def _gone(names: list[str], tables: Tables) -> Effects:
    schema, table = names[-2] if len(names) > 1 else "", names[-1]
    if not schema and table in tables.snapshot.shadowed:
        return ()  # nothing is found by the name alone
    place = tables.named(Node("RangeVar", {"schemaname": schema, "relname": table}))
    return (SessionEffect("dropped", table, place[0]),) if place[0] else _moved(RIGHTS)


def _rename(node: Node, tables: Tables) -> Effects:
    kind, relation = node.text("renameType"), node.part("relation", "RangeVar")
    if kind in ("OBJECT_SCHEMA", "OBJECT_ROLE"):
        return _moved(RIGHTS)
    if kind in _ROUTINES:
        old = _routine(node)
        return _renamed(old, node.text("newname"), tables)
    if kind in _TABLES and relation is not None:
        name = relation.text("relname")
        gone = _gone(list(filter(None, (relation.text("schemaname"), name))), tables) if tables.has_name(name) else ()
        return gone + _renamed(name, node.text("newname"), tables)
    return ()


def _renamed(old: str, new: str, tables: Tables) -> Effects:
    """A function, or a table with a trigger, under another name is what it was."""
    protection = tables.snapshot.protection
    why = next((why for (_, known), why in protection.functions.items() if known == old), None)
    found: Effects = () if why is None else (SessionEffect("function", new, why),)
    if old in protection.settling.names | protection.settling.writes:
        found += (SessionEffect("settling", new),)
    return found


def _set_schema(node: Node, tables: Tables) -> Effects:
    kind, relation, new = node.text("objectType"), node.part("relation", "RangeVar"), node.text("newschema")
    if kind == "OBJECT_EXTENSION":
        return _moved(ANYTHING)
    if kind in _ROUTINES:
        return _renamed(_routine(node), _routine(node), tables)
    if kind not in _TABLES or relation is None or not tables.has_name(relation.text("relname")):
        return ()
    name = relation.text("relname")
    gone = _gone(list(filter(None, (relation.text("schemaname"), name))), tables)
    return (*gone, SessionEffect("closed", name, new))


def _routine(node: Node) -> str:
    found = node.node("object")
    names = [] if found is None else found.strings("objname")
    return names[-1] if names else ""


def _makes(node: Node, tables: Tables) -> Effects:
    """A relation with a guarded name in a schema where none is guarded: later names may mean it."""
    target = node.part(_MAKES[node.kind], "RangeVar") if node.kind in _MAKES else None
    into = node.part(_INTO[node.kind], "IntoClause") if node.kind in _INTO else None
    if into is not None:
        target = into.part("rel", "RangeVar")
    if node.kind == "CreateForeignTableStmt":
        base = node.part("base", "CreateStmt")
        target = None if base is None else base.part("relation", "RangeVar")
    if target is None or not tables.has_name(target.text("relname")) or tables.could_be(target):
        return ()  # what is guarded is read by `sql.ddl`
    schema = target.text("schemaname")
    temporary = target.text("relpersistence") == "t" or schema.startswith("pg_temp")
    return (SessionEffect("closed", target.text("relname"), schema),) if schema and not temporary else ()


def _settled(node: Node, tables: Tables, text: str) -> Effects:
    """What a definition puts a function behind that changes settings."""
    names = tables.snapshot.protection.settling.names
    if not names or node.kind in _NEVER or not identifiers(set(names)).search(text):
        return ()
    if node.kind in _UNNAMED and node.text("kind") != "OBJECT_AGGREGATE":
        return (SessionEffect("settling"),)
    found = {part.text("relname") for part in walk(node) if "relname" in part.fields}
    found.update(node.strings("defnames")[-1:])
    return tuple([SessionEffect("settling", name) for name in sorted(found)])


def _program(node: Node, tables: Tables, texts: list[str]) -> Effects:
    """DO and CREATE FUNCTION, by their text. A body in parsed SQL is nothing but calls."""
    protection, body = tables.snapshot.protection, " ".join(texts)
    moving = moves(body) or _calls(node, texts, protection.moving)
    if node.kind == "DoStmt":
        if _CREATES.search(body) and (moving or settles(body) or _calls(node, texts, protection.settling)):
            raise unsupported(
                "DO that creates a function which changes settings or schemas", "Run CREATE FUNCTION itself."
            )
        return (SessionEffect("ddl"), *_moved(ANYTHING)) if moving else ()
    name, found = node.strings("funcname")[-1], list[SessionEffect]()
    if any(settles(text) for text in texts) or _calls(node, texts, protection.settling, "set_config"):
        found.append(SessionEffect("settling", name))
    made = Function(0, "", name, _language(node), body)
    reaches = any(tables.named_in(_SETS.sub(" ", text).encode()) for text in texts) or tables.reached_by(_body(node))
    if made.language != "c" and (runs_text(made) or reaches or moving):
        found.append(SessionEffect("function", name, BUILDING))
    return tuple(found)


def _calls(node: Node, texts: list[str], reached: Reached, *more: str) -> bool:
    """Whether a program names any of it."""
    names = {*reached.names, *reached.writes, *more}
    called = any(not names.isdisjoint(part.strings("funcname")[-1:]) for part in walk(_body(node)))
    return called or (bool(names) and any(identifiers(names).search(text) for text in texts))


def _body(node: Node) -> Node:
    return Node(node.kind, {key: value for key, value in node.fields.items() if key != "funcname"})


def _language(node: Node) -> str:
    for option in node.nodes("options"):
        if option.text("defname") == "language":
            value = option.node("arg")
            return "" if value is None else value.text("sval").lower()
    return "sql"
