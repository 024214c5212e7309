"""How an item of FROM is written: its alias, what it calls, and what its columns are called.

Follows addRangeTableEntryForFunction (parse_relation.c). Not here: what they hold (`sql.queries`).
"""

from typing import Final

from proxy.sql.expressions import scalar_array
from proxy.sql.labels import label
from proxy.sql.referee import Node
from proxy.sql.scopes import ColumnTerm, OutColumn, Outputs
from proxy.sql.terms import PLAIN

# Set-returning functions of pg_catalog with one column, called as their alias or themselves. unnest() of an array of
# rows has more, so it is not among them.
_SCALAR_FUNCTIONS: Final = frozenset((
    "generate_series", "generate_subscripts", "regexp_split_to_table", "string_to_table", "json_object_keys",
    "jsonb_object_keys",
))  # fmt: skip


def called(node: Node) -> str | None:
    """What a function in FROM is called that has no alias (addRangeTableEntryForFunction)."""
    if node.kind != "RangeFunction":
        return "json_table" if node.kind == "JsonTable" else "xmltable"
    return next((label(item) for function in node.nodes("functions") for item in function.nodes("items")), None)


def only_call(node: Node) -> Node | None:
    """The call that a FROM item is, if it is one alone."""
    functions = node.nodes("functions")
    if node.kind != "RangeFunction" or len(functions) != 1 or node.flag("is_rowsfrom") or node.nodes("coldeflist"):
        return None
    items = functions[0].nodes("items")
    return items[0] if len(items) == 1 and items[0].kind == "FuncCall" else None


def an_array(arg: Node) -> bool:
    """Whether an argument of unnest() is certain to be no array of rows."""
    return arg.kind == "A_ArrayExpr" or (arg.kind == "TypeCast" and scalar_array(arg))


def unnested_columns(
    terms: list[ColumnTerm], alias: str | None, renamed: list[str], ordinality: bool
) -> tuple[OutColumn, ...]:
    """A single column is called as its alias, several as the function (addRangeTableEntryForFunction)."""
    names_ = [alias or "unnest"] if len(terms) == 1 else ["unnest"] * len(terms)
    terms = [*terms, PLAIN] if ordinality else terms
    names_ = [*names_, "ordinality"][: len(terms)]
    return tuple([OutColumn((renamed[i : i + 1] or [names_[i]])[0], term) for i, term in enumerate(terms)])


def scalar_function(node: Node) -> str | None:
    """The name of the function in FROM if it is one that returns one column of a simple type."""
    call = only_call(node)
    name = [] if call is None else call.strings("funcname")
    if not name or name[-1] not in _SCALAR_FUNCTIONS or name[:-1] not in ([], ["pg_catalog"]):
        return None
    return name[-1]


def alias_of(node: Node) -> tuple[str | None, list[str]]:
    alias = node.part("alias", "Alias")
    return (None, []) if alias is None else (alias.text("aliasname"), alias.strings("colnames"))


def renamed(outputs: Outputs, names_: list[str]) -> Outputs:
    if not names_:
        return outputs
    columns = [
        OutColumn(names_[i] if i < len(names_) else column.name, column.term)
        for i, column in enumerate(outputs.columns)
    ]
    return Outputs(tuple(columns), outputs.opaque)
