"""Reading an expression: what it is to us (`Term`), and a role for each literal and parameter in it.

The default is refusal: a kind of node that is not listed here, or one in which a protected column stands where only
equality is kept, raises Refusal naming the construct. Nothing protected in a listed kind: the result is plain.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, final

from proxy.errors import Refusal
from proxy.sql import names, predicates
from proxy.sql.catalog import ANY_SCHEMA
from proxy.sql.choices import TEXT, common
from proxy.sql.findings import INTEGERS, Findings
from proxy.sql.predicates import EQUALITY, settle
from proxy.sql.referee import Node, wrapped
from proxy.sql.relations import ProtectedColumn
from proxy.sql.scopes import Outputs, Scope
from proxy.sql.tables import Tables
from proxy.sql.terms import (
    DEFAULT,
    NULL,
    PLAIN,
    Array,
    Choice,
    Elements,
    Held,
    Null,
    Plain,
    Row,
    Term,
    Value,
    WholeRow,
    held_in,
    refuse,
)
from proxy.wire.types import TypeSpec

# Kinds whose parts are ordinary expressions and in which nothing protected may stand.
MIXING: Final = frozenset((
    "CoalesceExpr", "MinMaxExpr", "CaseExpr", "CaseWhen", "NamedArgExpr", "XmlExpr", "XmlSerialize", "List",
    "JsonIsPredicate", "JsonObjectConstructor", "JsonArrayConstructor", "JsonArrayQueryConstructor", "JsonFuncExpr",
    "JsonScalarExpr", "JsonParseExpr", "JsonSerializeExpr", "JsonValueExpr", "JsonKeyValue", "JsonObjectAgg",
    "JsonArrayAgg", "JsonAggConstructor", "JsonArgument", "JsonBehavior", "JsonOutput", "A_Indices", "ResTarget",
    "RangeTableFuncCol", "JsonTableColumn",
))  # fmt: skip
LEAVES: Final = frozenset((
    "SQLValueFunction", "CurrentOfExpr", "MergeSupportFunc", "String", "Integer", "Boolean", "Float", "JsonFormat",
    "JsonReturning", "A_Star",
))  # fmt: skip
CONSTRUCTS: Final = {
    "CoalesceExpr": "COALESCE", "MinMaxExpr": "GREATEST or LEAST", "CaseExpr": "CASE", "CaseWhen": "CASE",
    "XmlExpr": "an XML function", "XmlSerialize": "XMLSERIALIZE", "A_Indices": "an array subscript",
    "BooleanTest": "IS TRUE or its like", "NamedArgExpr": "a function", "List": "a function",
    "ResTarget": "an XML function", "RangeTableFuncCol": "XMLTABLE", "JsonTableColumn": "JSON_TABLE",
}  # fmt: skip
OPERATORS: Final = {
    "AEXPR_LIKE": "LIKE", "AEXPR_ILIKE": "ILIKE", "AEXPR_SIMILAR": "SIMILAR TO", "AEXPR_BETWEEN": "BETWEEN",
    "AEXPR_NOT_BETWEEN": "NOT BETWEEN", "AEXPR_BETWEEN_SYM": "BETWEEN SYMMETRIC",
    "AEXPR_NOT_BETWEEN_SYM": "NOT BETWEEN SYMMETRIC", "AEXPR_NULLIF": "NULLIF",
}  # fmt: skip
# Run a query that they are given as text, or read a table by its name.
DYNAMIC: Final = frozenset((
    "query_to_xml", "query_to_xmlschema", "query_to_xml_and_xmlschema", "cursor_to_xml", "cursor_to_xmlschema",
    "table_to_xml", "table_to_xmlschema", "table_to_xml_and_xmlschema", "schema_to_xml", "schema_to_xmlschema",
    "schema_to_xml_and_xmlschema", "database_to_xml", "database_to_xmlschema", "database_to_xml_and_xmlschema",
    "ts_stat", "ts_rewrite", "dblink", "dblink_exec", "dblink_open", "dblink_send_query", "dblink_build_sql_insert",
    "dblink_build_sql_update", "dblink_build_sql_delete", "crosstab", "crosstab2", "crosstab3", "crosstab4",
    "connectby", "xpath_table",
))  # fmt: skip
_SEARCHES: Final = frozenset(("<", ">", "<=", ">=", "~", "~*", "!~", "!~*", "~~", "~~*", "!~~", "!~~*", "^@"))
# Ask only whether an argument is NULL, or equal to others; give one of the values that they are given, as it is.
_ASKING: Final = frozenset(("count", "num_nulls", "num_nonnulls"))
_PICKING: Final = frozenset(("lag", "lead", "first_value", "last_value", "nth_value", "any_value"))
_IDENTITY_CASTS: Final = frozenset(("text", "varchar", "bpchar", "uuid"))


@final
class Expressions:
    """See the module. query: reads a SELECT (or another statement) in a scope; set by who reads queries."""

    __slots__ = ("_readers", "findings", "query", "settings", "tables")

    def __init__(self, findings: Findings, tables: Tables) -> None:
        self.findings = findings
        self.tables = tables
        self.query: Callable[[Node, Scope], Outputs] = _no_query
        self.settings: list[tuple[str | None, str | None, bool]] = []  # set_config calls: name, value, local
        self._readers: dict[str, Callable[[Node, Scope], Term]] = {
            "ColumnRef": names.column, "A_Const": self._constant, "ParamRef": self._parameter,
            "TypeCast": self._cast, "A_Expr": self._operator, "BoolExpr": self._bool, "NullTest": self._null_test,
            "BooleanTest": self._mixing, "SubLink": self._sublink, "FuncCall": self._function, "RowExpr": self._row,
            "A_ArrayExpr": self._array, "A_Indirection": self._indirection, "CollateClause": self._collate,
            "SetToDefault": self._default, "GroupingFunc": self._grouping, "SelectStmt": self._subquery,
            "CaseExpr": self._case, "CoalesceExpr": self._coalesce,
            "ColumnDef": self._typed, "TypeName": self._type_name, "SortBy": self._sorted,
        }  # fmt: skip

    # ---- the two ways in

    def term(self, node: Node, scope: Scope) -> Term:
        """What an expression is. Values in it that already met something have their role."""
        self.findings.go_on()
        reader = self._readers.get(node.kind)
        if reader is not None:
            return reader(node, scope)
        if node.kind in MIXING:
            return self._mixing(node, scope)
        if node.kind in LEAVES:
            return PLAIN
        raise Refusal(
            "unsupported-expression", f"{node.kind} is not supported in a statement that touches a protected table"
        )

    def plain(self, node: Node | None, scope: Scope, construct: str) -> None:
        """Read an expression in which nothing protected may come out."""
        if node is not None:
            settle(self.term(node, scope), self.findings, construct)

    def plain_all(self, nodes: list[Node], scope: Scope, construct: str) -> None:
        for node in nodes:
            self.plain(node, scope, construct)

    # ---- leaves

    def _constant(self, node: Node, scope: Scope) -> Term:
        if node.flag("isnull"):
            return NULL
        if "boolval" in node.fields or self.findings.literal(node) is None:
            return PLAIN
        if "bsval" in node.fields:
            self.findings.plain(node)
            return PLAIN
        return Value(node)

    def _parameter(self, node: Node, scope: Scope) -> Term:
        return Value(node)

    def _default(self, node: Node, scope: Scope) -> Term:
        return DEFAULT

    def _type_name(self, node: Node, scope: Scope) -> Term:
        for modifier in node.nodes("typmods"):
            self.findings.plain(modifier)
        return PLAIN

    def _typed(self, node: Node, scope: Scope) -> Term:
        """The type of a cast, or of a column of `AS t(a text)`."""
        type_name = node.part("typeName", "TypeName")
        return PLAIN if type_name is None else self._type_name(type_name, scope)

    # ---- casts and structure

    def _cast(self, node: Node, scope: Scope) -> Term:
        inner = node.node("arg")
        term = PLAIN if inner is None else self.term(inner, scope)
        if isinstance(term, Value | Array | Choice):
            return replace(term, casts=(*term.casts, node))
        if isinstance(term, Held):
            return self._held_cast(term.column, node)
        self._typed(node, scope)
        if isinstance(term, Null):
            return term if term.default else replace(term, casts=(*term.casts, node))
        settle(term, self.findings, "a cast")
        return PLAIN

    def _held_cast(self, column: ProtectedColumn, node: Node) -> Held:
        """A cast that leaves value and token alone: to text, or to varchar without a length."""
        name = node.part("typeName", "TypeName")
        spec = None if name is None else self.findings.type_of(name)
        known = column.facade.name in _IDENTITY_CASTS and column.stored.name in _IDENTITY_CASTS
        if spec is not None and known and spec.name in ("text", "varchar") and spec.typmod == -1:
            return Held(replace(column, facade=TypeSpec(spec.name, spec.oid, spec.size), stored=spec))
        raise refuse(column, "a cast to another type", hint="Read the column without the cast.")

    def _row(self, node: Node, scope: Scope) -> Term:
        return Row(tuple([self.term(arg, scope) for arg in node.nodes("args")]))

    def _array(self, node: Node, scope: Scope) -> Term:
        return Array(tuple([self.term(element, scope) for element in node.nodes("elements")]))

    def _indirection(self, node: Node, scope: Scope) -> Term:
        """(x).field, (x)[1]: of a row with a protected column refused, whatever the field."""
        self.plain(node.node("arg"), scope, "a field or an element of it")
        for step in node.nodes("indirection"):
            self.plain(step, scope, "an array subscript")
        return PLAIN

    def _collate(self, node: Node, scope: Scope) -> Term:
        self.plain(node.node("arg"), scope, "COLLATE")
        return PLAIN

    # ---- one of several

    def _case(self, node: Node, scope: Scope) -> Term:
        """CASE: conditions are read as conditions, and each result may be what the whole is."""
        arg = node.node("arg")
        asked = None if arg is None else self.term(arg, scope)
        results: list[Term] = []
        for when in node.nodes("args"):
            condition, result = when.node("expr"), when.node("result")
            assert condition is not None and result is not None
            if asked is None:
                self.plain(condition, scope, "CASE")
            else:
                predicates.equal(asked, self.term(condition, scope), self.findings, "CASE")
            results.append(self.term(result, scope))
        default = node.node("defresult")
        results.append(NULL if default is None else self.term(default, scope))
        return self._chosen(results, "CASE", True)

    def _coalesce(self, node: Node, scope: Scope) -> Term:
        terms = [self.term(arg, scope) for arg in node.nodes("args")]
        for term in terms if NULL in terms else ():
            if isinstance(term, Held) and term.column.facade.typmod != -1 and term.column.facade != term.column.stored:
                # the planner takes NULL out, and then the type has the modifier; in an answer to Describe it has not
                raise refuse(term.column, "COALESCE with NULL", hint="Leave NULL out.")
        return self._chosen(terms, "COALESCE", False)

    def _chosen(self, terms: list[Term], construct: str, last_first: bool) -> Term:
        """Columns of one class make a column; with values among them it is the place's to say what they are.

        last_first: parse_expr.c transformCaseExpr() puts ELSE before the others when it looks for their type.
        """
        if all(isinstance(term, Held) or term == NULL for term in terms):
            made, *rest = [terms[-1], *terms[:-1]] if last_first else terms
            for term in rest:
                made = predicates.union(made, term, construct, False, self.findings)
            return made
        return predicates.pending(tuple(terms), construct, self.findings, False)

    def _nullif(self, left: Node, right: Node, scope: Scope) -> Term:
        """NULLIF asks for equality; of varchar as of text, whose operator it is."""
        first, second = predicates.now(self.term(left, scope), self.findings), self.term(right, scope)
        if isinstance(first, Held):
            self._keeps_type(first.column, second)
            predicates.equal(first, second, self.findings, "NULLIF")
            varying = first.column.facade.name == "varchar"
            return Held(replace(first.column, facade=TEXT), first.made) if varying else first
        if isinstance(first, Value | Choice) and held_in(second) is None:
            return Choice((first,), "NULLIF", against=(second,))
        self._settle_both(first, second, "NULLIF")
        return PLAIN

    def _keeps_type(self, column: ProtectedColumn, other: Term) -> None:
        """Raises Refusal where NULLIF makes another type of the column's: it gives what its = compares, and an integer
        is compared with a fraction as numeric."""
        if column.facade.name not in INTEGERS or not isinstance(other, Value | Choice):
            return
        found = common(Choice((other,), "NULLIF"), column, self.findings)
        if found is not None and found.name not in INTEGERS:
            raise refuse(column, "NULLIF with a number of another type", hint="Cast it to the column's type.")

    def _settle_both(self, left: Term, right: Term, construct: str) -> None:
        for term in (left, right):
            settle(term, self.findings, construct)

    # ---- tests

    def _bool(self, node: Node, scope: Scope) -> Term:
        self.plain_all(node.nodes("args"), scope, "AND, OR or NOT")
        return PLAIN

    def _null_test(self, node: Node, scope: Scope) -> Term:
        inner = node.node("arg")
        term = PLAIN if inner is None else self.term(inner, scope)
        for part in term.terms if isinstance(term, Row) else (term,):
            if not isinstance(part, Held | Choice):
                settle(part, self.findings, "IS NULL of a row")
            if isinstance(part, Value):
                self.findings.asked_for_null(part)
        return PLAIN

    def _grouping(self, node: Node, scope: Scope) -> Term:
        for arg in node.nodes("args"):
            predicates.group_key(self.term(arg, scope), self.findings, "GROUPING")
        return PLAIN

    # ---- operators

    def _operator(self, node: Node, scope: Scope) -> Term:
        kind = node.text("kind")
        name = node.strings("name")
        left, right = node.node("lexpr"), node.node("rexpr")
        equality = name[-1:] and name[-1] in EQUALITY and name[:-1] in ([], ["pg_catalog"])
        if kind == "AEXPR_IN" and left is not None and right is not None:
            self._in(left, right, scope)
        elif kind in ("AEXPR_OP_ANY", "AEXPR_OP_ALL") and equality and left is not None and right is not None:
            construct = f"{name[-1]} {'ANY' if kind == 'AEXPR_OP_ANY' else 'ALL'}"
            predicates.any_of(self.term(left, scope), self.term(right, scope), self.findings, construct)
        elif kind in ("AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT") or (kind == "AEXPR_OP" and equality):
            construct = name[-1] if kind == "AEXPR_OP" else "IS DISTINCT FROM"
            if left is None or right is None:
                raise Refusal("unsupported-expression", f"operator {construct} with one operand is not supported")
            predicates.equal(self.term(left, scope), self.term(right, scope), self.findings, construct)
        elif kind == "AEXPR_NULLIF" and equality and left is not None and right is not None:
            return self._nullif(left, right, scope)
        else:
            self._other_operator(kind, name, (left, right), scope)
        return PLAIN

    def _in(self, left: Node, right: Node, scope: Scope) -> None:
        """left IN (list): the left side is read once, each element compared with it."""
        term = self.term(left, scope)
        elements = right.nodes("items") if right.kind == "List" else [right]
        if held_in(term) is None and len(elements) > 1:
            # A value would be compared with tokens and with plain values at once: settle() refuses what is held.
            settle(term, self.findings, "IN")
            self.plain_all(elements, scope, "IN (list with a protected column)")
            return
        known = len(self.findings.inputs)
        for element in elements:
            predicates.equal(term, self.term(element, scope), self.findings, "IN")
        constants = [element for element in elements if element.kind in ("A_Const", "ParamRef", "TypeCast")]
        if isinstance(term, Held) and len(constants) > 1:
            self.findings.listed(known)

    def _other_operator(self, kind: str, name: list[str], sides: tuple[Node | None, Node | None], scope: Scope) -> None:
        construct = OPERATORS.get(kind) or f"operator {name[-1] if name else ''}"
        for side in sides:
            if side is None:
                continue
            for part in side.nodes("items") if side.kind == "List" else [side]:
                term = self.term(part, scope)
                held = held_in(term)
                if held is not None and (kind != "AEXPR_NULLIF") and (kind != "AEXPR_OP" or name[-1] in _SEARCHES):
                    raise refuse(
                        held,
                        construct,
                        "search-not-exact",
                        "Ask =, <>, IN or IS NULL, or read the column and compare in the application.",
                    )
                settle(term, self.findings, construct)

    # ---- functions and subqueries

    def _function(self, node: Node, scope: Scope) -> Term:
        name = node.strings("funcname")
        self._callable(name)
        bare = name[-1] if name else ""
        if bare in DYNAMIC:
            self.runs_text(node)
        if bare == "set_config" and name[:-1] in ([], ["pg_catalog"]):
            self._set_config(node, scope)
            return PLAIN
        if bare == "unnest" and self.is_own(name) and len(node.nodes("args")) == 1:
            return self.unnested(node.nodes("args")[0], scope)[0]
        own = bare in _ASKING | _PICKING and self.is_own(name) and not node.flag("agg_within_group")
        picked: Term = PLAIN
        for index, arg in enumerate(node.nodes("args")):
            term = self.term(arg, scope)
            if own and index == 0 and isinstance(term, Held) and _picks(node, bare):
                picked = Held(predicates.unmodified(term.column), term.made)
            elif not own or bare not in _ASKING or not self._asked(term, node.flag("agg_distinct")):
                settle(term, self.findings, f"function {bare}()")
        for key in node.nodes("agg_order"):
            self.sort(key, scope, f"ORDER BY in {bare}()")
        self.plain(node.node("agg_filter"), scope, "FILTER")
        window = node.part("over", "WindowDef")
        if window is not None:
            self.window(window, scope)
        return picked

    def _asked(self, term: Term, distinct: bool) -> bool:
        """Whether a term may be counted, or asked for NULL: of a protected column that says nothing of its values."""
        if isinstance(term, WholeRow) and not term.choices:
            return not distinct
        parts = term.terms if isinstance(term, Row) else (term,)
        for part in parts if any(isinstance(part, Held) for part in parts) else ():
            if not isinstance(part, Held):
                settle(part, self.findings, "a row")
            elif distinct:
                predicates.comparable(part.column)
        return any(isinstance(part, Held) for part in parts)

    def unnested(self, arg: Node, scope: Scope) -> tuple[Term, bool]:
        """An argument of unnest() as the column that it makes. False: it may be an array of rows, which makes more."""
        term = self.term(arg, scope)
        if isinstance(term, Value) and (not term.casts or scalar_array(term.casts[-1])):
            return predicates.pending((Elements(term),), "unnest()", self.findings, False), bool(term.casts)
        if isinstance(term, Array) and all(self._text_array(cast) for cast in term.casts):
            return predicates.pending(term.terms, "unnest()", self.findings, False), True
        settle(term, self.findings, "function unnest()")
        return PLAIN, False

    def _text_array(self, cast: Node) -> bool:
        """A cast of an array that leaves tokens in it alone."""
        name = cast.part("typeName", "TypeName")
        spec = None if name is None else self.findings.type_of(name, True)
        return spec is not None and spec.name in ("text", "varchar") and spec.typmod == -1

    def is_own(self, name: list[str]) -> bool:
        """PostgreSQL's function: one of that name for text would be preferred to its count("any")."""
        if len(name) > 1:
            return name[:-1] == ["pg_catalog"]
        return not any(function.name == name[-1] for function in self.tables.snapshot.catalog.functions)

    def _callable(self, name: list[str]) -> None:
        """Raises Refusal for a function that reaches a protected table, or could."""
        functions = self.tables.snapshot.protection.functions
        bare = name[-1] if name else ""
        for schema, known in functions:
            if known == bare and (len(name) == 1 or schema in (name[-2], ANY_SCHEMA)):
                raise Refusal(
                    "depends-on-protected",
                    f"function {schema}.{known} can't be called: {functions[(schema, known)]}",
                    "Write the function's statement in the application.",
                )

    def runs_text(self, node: Node) -> None:
        """A function that runs a query which it is given as text. Raises Refusal unless the text names nothing."""
        args, name = node.nodes("args"), node.strings("funcname")[-1]
        if name == "ts_rewrite":
            args = args[1:] if len(args) == 2 else []  # ts_rewrite(query, target, substitute) runs nothing
        numbered = name.startswith("table_to") and args and self.findings.string(args[0]) is None
        if self.tables.any and (numbered or name.startswith(("schema_to", "database_to", "cursor_to"))):
            raise Refusal(
                "unsupported-expression",
                f"function {name}() may read a protected table",
                "Select from the tables themselves.",
            )
        for arg in args:
            text = self.findings.string(arg)
            if arg.kind == "TypeCast" or (text is None and arg.kind != "A_Const"):
                raise Refusal(
                    "unsupported-expression",
                    f"function {node.strings('funcname')[-1]}() runs a statement that can't be read here",
                    "Run the statement itself.",
                )
            if text is not None and self.tables.named_in(text.encode()):
                raise Refusal(
                    "unsupported-expression",
                    f"function {node.strings('funcname')[-1]}() reads a protected table",
                    "Run the statement itself.",
                )

    def _set_config(self, node: Node, scope: Scope) -> None:
        args = node.nodes("args")
        texts = [self.findings.string(arg) for arg in args[:2]]
        local = args[2].fields.get("boolval") if len(args) == 3 else None
        known = len(args) == 3 and args[2].kind == "A_Const" and local is not None
        is_local = isinstance(local, dict) and local.get("boolval") is True
        for arg in args:
            self.plain(arg, scope, "set_config()")
        name = texts[0] if texts and known else None
        self.settings.append((name, texts[1] if len(texts) > 1 else None, is_local))

    def sort(self, key: Node, scope: Scope, construct: str) -> None:
        """A SortBy that is an expression, not an output column."""
        node = key.node("node")
        predicates.order_key(PLAIN if node is None else self.term(node, scope), self.findings, construct)

    def _sorted(self, node: Node, scope: Scope) -> Term:
        """JSON_ARRAYAGG (… ORDER BY …)"""
        self.sort(node, scope, "ORDER BY")
        return PLAIN

    def window(self, node: Node, scope: Scope) -> None:
        for key in node.nodes("partitionClause"):
            predicates.group_key(self.term(key, scope), self.findings, "PARTITION BY")
        for key in node.nodes("orderClause"):
            self.sort(key, scope, "ORDER BY in a window")
        self.plain(node.node("startOffset"), scope, "a window frame")
        self.plain(node.node("endOffset"), scope, "a window frame")

    def _subquery(self, node: Node, scope: Scope) -> Term:
        """A SELECT inside another construct (JSON_ARRAY(SELECT …))."""
        outputs = self.query(node, scope)
        predicates.settle_all([column.term for column in outputs.columns], self.findings, "a JSON function")
        return PLAIN

    def _sublink(self, node: Node, scope: Scope) -> Term:
        kind = node.text("subLinkType")
        query = node.node("subselect")
        outputs = Outputs((), True) if query is None else self.query(query, scope)
        terms: tuple[Term, ...] = tuple([column.term for column in outputs.typed().columns])
        if kind == "EXISTS_SUBLINK":
            return PLAIN
        if kind == "EXPR_SUBLINK":
            return self._scalar(terms, outputs)
        if kind in ("ANY_SUBLINK", "ALL_SUBLINK"):
            self._quantified(node, terms, outputs, scope, kind)
            return PLAIN
        held = outputs.held()
        if held is not None:
            raise refuse(held.column, "ARRAY(subquery)")
        predicates.settle_all(terms, self.findings, "ARRAY(subquery)")
        return PLAIN

    def _scalar(self, terms: tuple[Term, ...], outputs: Outputs) -> Term:
        held = outputs.held()
        if held is not None and outputs.opaque:
            raise refuse(held.column, "a subquery whose columns are not all known")
        if len(terms) == 1:
            return terms[0]
        return Row(terms) if any(not isinstance(term, Plain) for term in terms) else PLAIN

    def _quantified(self, node: Node, terms: tuple[Term, ...], outputs: Outputs, scope: Scope, kind: str) -> None:
        test = node.node("testexpr")
        left = PLAIN if test is None else self.term(test, scope)
        name = node.strings("operName")
        construct = f"{name[-1]} {kind[:3]} (subquery)" if name else "IN (subquery)"
        name = name or ["="]
        held = outputs.held()
        if held is not None and outputs.opaque:
            raise refuse(held.column, construct)
        if name[-1] in EQUALITY and name[:-1] in ([], ["pg_catalog"]):
            if held is None and held_in(left) is None:
                predicates.settle_all((left, *terms), self.findings, construct)
            else:
                predicates.member(left, terms, self.findings, construct)
            return
        if held is not None:
            raise refuse(held.column, construct, "search-not-exact")
        predicates.settle_all((left, *terms), self.findings, construct)

    # ---- the rest

    def parts(self, value: object, scope: Scope, construct: str) -> None:
        """Read whatever expressions stand in a field."""
        self._parts([value], scope, construct)

    def _mixing(self, node: Node, scope: Scope) -> Term:
        """Every part is read; a protected value in one is refused."""
        construct = CONSTRUCTS.get(node.kind, "a JSON function")
        self._parts(list(node.fields.values()), scope, construct)
        return PLAIN

    def _parts(self, values: list[object], scope: Scope, construct: str) -> None:
        for value in values:
            if isinstance(value, list):
                self._parts(value, scope, construct)
            elif isinstance(value, dict):
                inner = _node_of(value)
                if inner is not None:
                    self.plain(inner, scope, construct)
                else:
                    self._parts(list(value.values()), scope, construct)


# Types of pg_catalog that are no rows, as they are written without a schema (gram.y gives int and its like one).
_SCALARS: Final = frozenset((
    "text", "uuid", "date", "timestamptz", "timestamp", "time", "timetz", "json", "jsonb", "inet", "cidr", "bytea",
    "int2", "int4", "int8", "float4", "float8", "bool", "name", "varchar", "bpchar", "numeric", "interval", "xml",
))  # fmt: skip


def scalar_array(cast: Node) -> bool:
    """Whether a cast is to an array of a type that is certain to be no row."""
    name = cast.part("typeName", "TypeName")
    names = [] if name is None else name.strings("names")
    return (len(names) == 2 and names[0] == "pg_catalog") or (names[-1:] == names and names[0] in _SCALARS)


def _node_of(value: object) -> Node | None:
    """A wrapped node; its kind begins with a capital letter, a field's name does not."""
    if isinstance(value, dict) and len(value) == 1:
        found = wrapped(value)
        if found is not None and found.kind[:1].isupper():
            return found
    return None


def _picks(node: Node, name: str) -> bool:
    """Whether a function gives a value of its first argument; a default, a third, is another value."""
    windowed = "over" in node.fields or name == "any_value"
    return name in _PICKING and windowed and len(node.nodes("args")) < 3 and not node.flag("agg_distinct")


def _no_query(node: Node, scope: Scope) -> Outputs:
    raise Refusal("unsupported-statement", "a subquery is not supported here")
