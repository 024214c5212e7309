"""Whether a query only reads, so that nothing of it is left to undo when it is told to have failed.

Conservative: a function that is not known to have no effect may have one.
"""

from typing import Final

from proxy.sql.referee import Node, walk

_WRITES: Final = frozenset(("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "IntoClause"))
# Built-in functions without effects (pg_catalog is searched first, unless search_path says otherwise; see `analyze`).
_QUIET: Final = frozenset((
    # aggregates and window functions
    "array_agg", "avg", "bool_and", "bool_or", "count", "dense_rank", "every", "first_value", "json_agg", "jsonb_agg",
    "json_object_agg", "jsonb_object_agg", "lag", "last_value", "lead", "max", "min", "mode", "nth_value", "ntile",
    "percentile_cont", "percentile_disc", "rank", "row_number", "string_agg", "sum",
    # scalars and sets
    "abs", "age", "array_length", "array_to_string", "btrim", "cardinality", "ceil", "ceiling", "char_length",
    "coalesce", "concat", "concat_ws", "date_bin", "date_part", "date_trunc", "extract", "floor", "format",
    "generate_series", "initcap", "json_build_object", "jsonb_build_object", "json_build_array", "jsonb_build_array",
    "left", "length",
    "lower", "lpad", "ltrim", "make_date", "md5", "mod", "now", "position", "power", "regexp_replace", "replace",
    "right", "round", "row_to_json", "rpad", "rtrim", "split_part", "starts_with", "strpos", "substr", "substring",
    "timezone", "to_char", "to_date", "to_json", "to_jsonb", "to_number", "to_timestamp", "translate", "trim", "trunc",
    "unnest", "upper", "width_bucket",
))  # fmt: skip


def only_reads(node: Node) -> bool:
    """node: a statement. FOR UPDATE only reads: its locks go with a failed transaction as with any other."""
    for found in walk(node):
        if found.kind in _WRITES or "intoClause" in found.fields:
            return False
        if "funcname" in found.fields:
            names = found.strings("funcname")
            if names[-1] not in _QUIET or (len(names) > 1 and names[0] != "pg_catalog"):
                return False
    return True
