"""Which names a statement may give to a temporary relation, so that on this connection they no longer stand for a
protected table.

Other connections' temporary relations are nothing to this one (namespace.c: pg_temp is the session's own). What makes
one here is a statement that names it, or a function; a function whose body names something guarded can't be called, nor
one that runs what it builds as text, and writes to a table whose trigger could make one are refused. So what the
connection's own statements made is all that there can be. Not seen: a trigger that puts the name together from rows.
"""

from collections.abc import Iterator
from typing import Final

from proxy.sql.plan import SessionEffect
from proxy.sql.referee import Node
from proxy.sql.tables import Tables

# Where the new relation's name stands in a statement that makes one.
_TARGETS: Final = {"CreateStmt": "relation", "ViewStmt": "view", "CreateSeqStmt": "sequence"}
_INTO: Final = {"CreateTableAsStmt": "into", "SelectStmt": "intoClause"}


def shadows(node: Node, tables: Tables) -> tuple[SessionEffect, ...]:
    """'shadow' effects of a statement; their names are guarded ones."""
    return tuple([SessionEffect("shadow", name) for name in _made(node, tables) if tables.has_name(name)])


def _made(node: Node, tables: Tables) -> Iterator[str]:
    if node.kind == "RenameStmt":
        relation = node.part("relation", "RangeVar")
        if relation is not None and node.text("renameType") != "OBJECT_COLUMN" and not tables.is_permanent(relation):
            yield node.text("newname")
        return
    target = _target(node)
    if target is None:
        return
    name, schema = target.text("relname"), target.text("schemaname")
    temporary = target.text("relpersistence") == "t" or schema.startswith("pg_temp")
    if temporary or (not schema and tables.creates_temporary()):
        yield name


def _target(node: Node) -> Node | None:
    if node.kind in _TARGETS:
        return node.part(_TARGETS[node.kind], "RangeVar")
    into = node.part(_INTO[node.kind], "IntoClause") if node.kind in _INTO else None
    return None if into is None else into.part("rel", "RangeVar")
