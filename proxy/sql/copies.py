"""COPY between the client and a protected table, or of a query that reads one: which fields are which columns, and how
they are written.

COPY to or from a file or program of the server is refused: the server would read or write it with tokens in it. Not
here: the rows (`wire.copyrows`).
"""

from typing import Final, final

from proxy.errors import Refusal
from proxy.sql.expressions import Expressions
from proxy.sql.findings import Findings
from proxy.sql.plan import CopyPlan, Edit, Output, SessionEffect, StatementPlan
from proxy.sql.predicates import at_home
from proxy.sql.queries import Queries
from proxy.sql.reads import only_reads
from proxy.sql.referee import Node, Statement
from proxy.sql.scopes import Outputs, Scope
from proxy.sql.shape import position_at
from proxy.sql.spans import name_end, quoted_name
from proxy.sql.tables import Table, Tables
from proxy.sql.terms import Held
from proxy.wire.copyrows import CopyFormat
from proxy.wire.types import encoding_named

DOT_IS_DATA: Final = 180000  # from this version on a line `\.` ends no csv data
# Options that are the server's business alone.
_PASSED: Final = frozenset(("freeze", "on_error", "reject_limit", "log_verbosity"))
_TRUE: Final = frozenset(("true", "on", "1", "match"))


@final
class Copies:
    """See the module."""

    __slots__ = ("_expressions", "_findings", "_queries", "_tables")

    def __init__(self, expressions: Expressions, queries: Queries, tables: Tables, findings: Findings) -> None:
        self._expressions = expressions
        self._findings = findings
        self._queries = queries
        self._tables = tables

    def plan(self, statement: Statement) -> StatementPlan:
        """Raises Refusal."""
        node = statement.node
        if node.text("filename") or node.flag("is_program"):
            raise Refusal(
                "copy-protected",
                f"COPY of {self._tables.reached(node)}, which is protected, with a file or program of the server",
                "COPY … TO STDOUT or FROM STDIN, in psql \\copy.",
            )
        made = self._from(node) if node.flag("is_from") else self._to(node)
        self._findings.within(statement.start, statement.end, True)
        return made

    # ---- COPY … TO STDOUT

    def _to(self, node: Node) -> StatementPlan:
        query, relation = node.node("query"), node.part("relation", "RangeVar")
        if query is not None:
            outputs = self._query(query)
            names = tuple([column.name or "" for column in outputs.columns])
            terms = [column.term for column in outputs.columns]
            shown = tuple([Output(term.column) if isinstance(term, Held) else None for term in terms])
        else:
            assert relation is not None
            table = self._tables.find(relation)
            names = self._columns(node, relation, table)
            held = [table.protected.get(name) for name in names]
            shown = tuple([None if column is None else Output(column) for column in held])
        if not any(shown):
            return StatementPlan("copy", tuple(self._tables.touched))
        form, encoding = self._form(node, names)
        reads = query is None or only_reads(query)
        copy = CopyPlan(form, encoding, names=names)
        return StatementPlan("copy", tuple(self._tables.touched), shown, reads=reads, copy=copy)

    def _query(self, query: Node) -> Outputs:
        outputs = self._queries.top(query)
        held = outputs.held()
        if held is not None and outputs.opaque:
            raise Refusal(
                "unsupported-statement",
                f"COPY of a query whose columns are not all known, {held.column.label} among them",
                "Name the columns.",
                column=held.column.label,
            )
        return outputs

    # ---- COPY … FROM STDIN

    def _from(self, node: Node) -> StatementPlan:
        relation = node.part("relation", "RangeVar")
        assert relation is not None
        table = self._tables.target(relation)
        names = self._columns(node, relation, table)
        scope = Scope((table.range(None, [], True),))
        self._expressions.plain(node.node("whereClause"), scope, "WHERE")
        into = tuple([table.protected.get(name) for name in names])
        touched = tuple(self._tables.touched)
        if not any(into):
            return StatementPlan("copy", touched)
        for column in into:
            if column is not None:
                at_home(column, "equal values would not be equal to them")
        form, encoding = self._form(node, names)
        copy = CopyPlan(form, encoding, into, names)
        return StatementPlan("copy", touched, effects=(SessionEffect("copy-in"),), copy=copy)

    # ---- columns

    def _columns(self, node: Node, relation: Node, table: Table) -> tuple[str, ...]:
        """Names of the columns, in order. A list is put into the statement where there is none: a column that was added
        or dropped meanwhile must not shift the fields."""
        named = node.strings("attlist")
        if table.relation is None:
            raise Refusal(
                "unsupported-statement",
                f"COPY of {table.name}, whose columns are not known",
                "Try again when its transaction is over.",
            )
        if named:
            for name in named:
                if not table.has(name):
                    message = f'column "{name}" of relation "{table.name}" does not exist'
                    raise Refusal("undefined-column", message)
            return tuple(named)
        live = [column.name for column in table.relation.columns if not column.generated]
        self._list(relation, live)
        return tuple(live)

    def _list(self, relation: Node, columns: list[str]) -> None:
        tokens = self._findings.tokens
        # A RangeVar's location is the start of a token (gram.y, relation_expr): `at` finds it.
        at = position_at(self._findings.analysis, tokens.ends[name_end(tokens, relation.location)])
        quoted = ", ".join([quoted_name(name) for name in columns])
        self._findings.edits.append(Edit(at, at, text=f" ({quoted})".encode()))

    # ---- options

    def _form(self, node: Node, names: tuple[str, ...]) -> tuple[CopyFormat, str]:
        """The format and the ENCODING. What the server would refuse is left to it."""
        found = {option.text("defname"): option for option in node.nodes("options")}
        kind = self._word(found.get("format"), "text").decode("utf-8", "replace")
        csv = kind == "csv"
        if kind not in ("text", "csv", "binary"):
            raise Refusal("copy-option", f'COPY format "{kind}" not recognized')
        for name in found:
            if name not in _PASSED | _KNOWN:
                raise Refusal("copy-protected", f"COPY with option {name} is not supported on a protected table")
        quote = self._byte(found.get("quote"), b'"')
        form = CopyFormat(
            kind="csv" if csv else "binary" if kind == "binary" else "text",
            delimiter=self._byte(found.get("delimiter"), b"," if csv else b"\t"),
            null=self._word(found.get("null"), "" if csv else "\\N"),
            quote=quote,
            escape=self._byte(found.get("escape"), quote),
            header=self._true(found.get("header")),
            default=None if "default" not in found else self._word(found["default"], ""),
            quoted=self._fields(found.get("force_quote"), names),
            not_null=self._all_fields(found.get("force_not_null"), names),
            null_quoted=self._all_fields(found.get("force_null"), names),
            dot_ends=self._tables.snapshot.catalog.server_version < DOT_IS_DATA,
        )
        return form, self._encoding(found.get("encoding"))

    def _encoding(self, option: Node | None) -> str:
        """As the server reports it, '' if it isn't said."""
        if option is None:
            return ""
        name = self._word(option, "").decode("utf-8", "replace")
        known = encoding_named(name)
        if known is None:
            raise Refusal(
                "unsupported-encoding",
                f"COPY in encoding {name} can't be read exactly",
                "Leave ENCODING out, or use UTF8.",
            )
        return known

    def _word(self, option: Node | None, default: str) -> bytes:
        arg = None if option is None else option.node("arg")
        return default.encode() if arg is None else self._findings.written(arg.text("sval"))

    def _byte(self, option: Node | None, default: bytes) -> bytes:
        word = self._word(option, default.decode())
        if len(word) != 1:
            assert option is not None
            raise Refusal("copy-protected", f"COPY {option.text('defname')} must be a single one-byte character")
        return word

    def _true(self, option: Node | None) -> bool:
        """HEADER: alone, a boolean, or MATCH (defGetCopyHeaderChoice)."""
        if option is None:
            return False
        arg = option.node("arg")
        if arg is None or arg.kind == "Boolean":
            return arg is None or arg.flag("boolval")
        if arg.kind == "Integer":
            self._findings.pin(arg)
            return arg.number("ival") == 1
        return self._findings.written(arg.text("sval")).lower().decode("utf-8", "replace") in _TRUE

    @staticmethod
    def _fields(option: Node | None, names: tuple[str, ...]) -> frozenset[int] | None:
        """Indexes of the columns that an option names; None for `*`."""
        arg = None if option is None else option.node("arg")
        if arg is None:
            return frozenset()
        if arg.kind == "A_Star":
            return None
        listed = arg.strings("items")
        return frozenset([index for index, name in enumerate(names) if name in listed])

    def _all_fields(self, option: Node | None, names: tuple[str, ...]) -> frozenset[int]:
        fields = self._fields(option, names)
        return frozenset(range(len(names))) if fields is None else fields


_KNOWN: Final = frozenset((
    "format", "delimiter", "null", "quote", "escape", "header", "default", "force_quote", "force_not_null",
    "force_null", "encoding",
))  # fmt: skip
