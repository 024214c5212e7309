"""What the server calls a result column that has no alias (parse_target.c FigureColname).

None where that is not followed here: a column whose name is not known makes its range opaque.
"""

from typing import Final

from proxy.sql.referee import Node

_FIXED: Final = {
    "A_ArrayExpr": "array", "RowExpr": "row", "CoalesceExpr": "coalesce", "GroupingFunc": "grouping",
    "XmlSerialize": "xmlserialize", "JsonParseExpr": "json", "JsonScalarExpr": "json_scalar",
    "JsonSerializeExpr": "json_serialize", "JsonObjectConstructor": "json_object",
    "JsonArrayConstructor": "json_array", "JsonArrayQueryConstructor": "json_array",
    "JsonObjectAgg": "json_objectagg", "JsonArrayAgg": "json_arrayagg",
}  # fmt: skip
# By their `op`: MinMaxExpr, JsonFuncExpr, XmlExpr. IS DOCUMENT, also an XmlExpr, is not followed.
_OPERATIONS: Final = {
    "IS_GREATEST": "greatest", "IS_LEAST": "least", "JSON_EXISTS_OP": "json_exists", "JSON_QUERY_OP": "json_query",
    "JSON_VALUE_OP": "json_value", "IS_XMLCONCAT": "xmlconcat", "IS_XMLELEMENT": "xmlelement",
    "IS_XMLFOREST": "xmlforest", "IS_XMLPARSE": "xmlparse", "IS_XMLPI": "xmlpi", "IS_XMLROOT": "xmlroot",
}  # fmt: skip
_UNNAMED_KINDS: Final = frozenset((
    "A_Const", "ParamRef", "BoolExpr", "NullTest", "BooleanTest", "SetToDefault", "JsonIsPredicate",
))  # fmt: skip
UNNAMED: Final = "?column?"


def label(node: Node) -> str | None:
    """The name of an expression without AS."""
    found = _strength(node)
    return None if found is None else found[0]


def _strength(node: Node) -> tuple[str, int] | None:
    """Name and strength: 2 a real one, 1 a type's, 0 none. None: not known."""
    kind = node.kind
    if kind in _UNNAMED_KINDS:
        return UNNAMED, 0
    if kind in _FIXED:
        return _FIXED[kind], 2
    if kind == "ColumnRef":
        return node.strings("fields")[-1], 2
    if kind == "A_Expr":
        return ("nullif", 2) if node.text("kind") == "AEXPR_NULLIF" else (UNNAMED, 0)
    if kind == "FuncCall":
        return node.strings("funcname")[-1], 2
    if kind in ("TypeCast", "CollateClause", "A_Indirection"):
        return _wrapped(node)
    if kind == "CaseExpr":
        return _case(node)
    if kind == "SubLink":
        return _sublink(node)
    if kind == "SQLValueFunction":
        return _value_function(node.text("op")), 2
    found = _OPERATIONS.get(node.text("op"))
    return None if found is None else (found, 2)


def _value_function(op: str) -> str:
    """SVFOP_CURRENT_TIMESTAMP_N is called current_timestamp."""
    return op.removeprefix("SVFOP_").removesuffix("_N").lower()


def _wrapped(node: Node) -> tuple[str, int] | None:
    steps = node.strings("indirection")
    if steps:
        return steps[-1], 2
    inner = node.node("arg")
    found = None if inner is None else _strength(inner)
    if node.kind != "TypeCast" or found is None or found[1] > 1:
        return found
    type_name = node.part("typeName", "TypeName")
    names = [] if type_name is None else type_name.strings("names")
    return (names[-1], 1) if names else found


def _case(node: Node) -> tuple[str, int] | None:
    default = node.node("defresult")
    if default is None:
        return "case", 1
    found = _strength(default)
    return found if found is None or found[1] > 1 else ("case", 1)


def _sublink(node: Node) -> tuple[str, int] | None:
    kind = node.text("subLinkType")
    if kind == "EXISTS_SUBLINK":
        return "exists", 2
    if kind == "ARRAY_SUBLINK":
        return "array", 2
    query = node.node("subselect")
    if kind != "EXPR_SUBLINK" or query is None:
        return UNNAMED, 0
    while (left := query.part("larg", "SelectStmt")) is not None:
        query = left
    targets = query.nodes("targetList")
    if not targets:
        return None
    value = targets[0].node("val")
    if targets[0].text("name"):
        return targets[0].text("name"), 2
    if value is None or _is_star(value):
        return None
    found = _strength(value)
    return None if found is None else (found[0], 2)  # the query has been read by then, so its name is a real one


def _is_star(value: Node) -> bool:
    """`*`, `t.*` or `(t).*`, whose first column may have any name."""
    last = (value.nodes("fields") or value.nodes("indirection"))[-1:]
    return bool(last) and last[0].kind == "A_Star"
