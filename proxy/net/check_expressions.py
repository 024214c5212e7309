"""How an SQL expression of the catalog (CHECK, index, policy, generated column) uses columns of its table.

Pure. The expression is what pg_get_expr() prints under an empty search_path, so every name that is not PostgreSQL's
own is qualified. What can't be read is taken to use every column it names as a value.
"""

import re
from collections.abc import Iterable
from typing import Final, Literal

from proxy.errors import Refusal
from proxy.sql.protection import identifiers
from proxy.sql.referee import Node, parse, walk

# null: only whether there is a value. equality: compared for equality with another column. value: anything else.
Use = Literal["null", "equality", "value"]
_EQUAL: Final = ({"="}, {"<>"})
_EQUAL_KINDS: Final = ("AEXPR_OP", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT")

# Node kinds and functions of PostgreSQL's own that only look at what they are given: an expression made of nothing
# else may be run by an account of ours, whoever wrote it. No function that reads files, sleeps or has an effect.
_SAFE_NODES: Final = frozenset(
    {
        "SelectStmt", "ResTarget", "BoolExpr", "NullTest", "BooleanTest", "A_Expr", "ColumnRef", "String", "TypeCast",
        "A_Const", "Integer", "Float", "Boolean", "A_ArrayExpr", "List", "CoalesceExpr", "CaseExpr", "CaseWhen",
        "FuncCall", "RowExpr", "CollateClause",
    }
)  # fmt: skip
_SAFE_FUNCTIONS: Final = frozenset(
    {
        "length", "char_length", "character_length", "octet_length", "bit_length", "lower", "upper", "initcap", "btrim",
        "ltrim", "rtrim", "substr", "substring", "left", "right", "position", "strpos", "starts_with", "reverse",
        "replace", "translate", "split_part", "similar_to_escape", "like_escape", "regexp_like", "ascii", "concat",
    }
)  # fmt: skip


def uses(expression: str, names: Iterable[str]) -> dict[str, Use]:
    """Which of `names` the expression reads, and the most telling way in which it does."""
    wanted = set(names)
    root = _tree(expression)
    if root is None:
        found = identifiers(wanted).findall(expression) if wanted else []
        folded = {text.lower() for text in found}
        return {name: "value" for name in wanted if name.lower().replace('"', '""') in folded}
    count: dict[str, list[int]] = {}
    for node in walk(root):
        if node.kind == "ColumnRef":
            _add(count, _read(node, wanted), 0)
        elif node.kind == "NullTest":
            _add(count, _read(_bare(node.node("arg")), wanted), 1)
        elif node.kind == "A_Expr" and node.text("kind") in _EQUAL_KINDS and set(node.strings("name")) in _EQUAL:
            sides = [_bare(node.node("lexpr")), _bare(node.node("rexpr"))]
            if all(side is not None and side.kind == "ColumnRef" for side in sides):
                for side in sides:
                    _add(count, _read(side, wanted), 2)
    return {name: _worst(*numbers) for name, numbers in count.items()}


def is_safe(expression: str) -> bool:
    """Whether it is made of constants, columns and harmless functions and operators of PostgreSQL's own only."""
    root = _tree(expression)
    return root is not None and all(_safe(node) for node in walk(root))


def assigns(source: str, column: str) -> bool:
    """Whether a PL/pgSQL body plainly assigns NEW.<column>: `NEW.c := …`, `NEW.c = …;` or `INTO NEW.c`."""
    name = rf'new\s*\.\s*(?:{re.escape(column)}|"{re.escape(column)}")'
    begin = r"(?:^|;|\bbegin\b|\bthen\b|\belse\b|\bloop\b)\s*"
    return re.search(rf"{begin}{name}\s*:?=|{name}\s*:=|\binto\s+(?:strict\s+)?{name}\b", source, re.I) is not None


def _tree(expression: str) -> Node | None:
    try:
        statements = parse(b"SELECT " + expression.encode())
    except (Refusal, RecursionError):
        return None
    return statements[0].node if len(statements) == 1 else None


def _bare(node: Node | None) -> Node | None:
    """Without the casts around it, which PostgreSQL puts around every varchar."""
    while node is not None and node.kind == "TypeCast":
        node = node.node("arg")
    return node


def _read(node: Node | None, wanted: set[str]) -> set[str]:
    """The wanted columns that a column reference means: all of them if it is a whole row."""
    if node is None or node.kind != "ColumnRef":
        return set()
    if any(part.kind == "A_Star" for part in node.nodes("fields")):
        return set(wanted)
    return {node.strings("fields")[-1]} & wanted


def _add(count: dict[str, list[int]], names: set[str], place: int) -> None:
    for name in names:
        count.setdefault(name, [0, 0, 0])[place] += 1


def _worst(all_of_them: int, null: int, equal: int) -> Use:
    if all_of_them > null + equal:
        return "value"
    return "equality" if equal else "null"


def _safe(node: Node) -> bool:
    if node.kind in ("typeName", "TypeName"):
        names = node.strings("names")
        return len(names) == 1 or names[:1] == ["pg_catalog"]
    if node.kind == "FuncCall":
        names = node.strings("funcname")
        return names[-1] in _SAFE_FUNCTIONS and (len(names) == 1 or names[0] == "pg_catalog")
    if node.kind == "A_Expr":
        return len(node.strings("name")) == 1
    # Fields of one node type come with the field's name, which is in lower case.
    return node.kind in _SAFE_NODES or node.kind[:1].islower()
