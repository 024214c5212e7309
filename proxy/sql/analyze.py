"""From a statement's text to its plan. The way in is `analyse`.

Steps: cut into a shape; parse what is left when values are taken out (`sql.referee`); ask whether anything protected
is named; if so read the statements with names resolved and each expression typed; check that every literal and every
parameter got a role. Whatever is not understood is a refusal: no exception gets out, and none means "forward".
"""

import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Final

from proxy.errors import Bug, Refusal
from proxy.sql.catalog import ANYTHING, Snapshot, split_path
from proxy.sql.copies import Copies
from proxy.sql.ddl import Definitions
from proxy.sql.dml import Writes
from proxy.sql.expressions import DYNAMIC, Expressions
from proxy.sql.findings import Findings, never
from proxy.sql.moves import moved_by, overlay
from proxy.sql.plan import CursorPlan, Edit, Output, Plan, PreparedPlan, SessionEffect, StatementPlan
from proxy.sql.prepare import Preparation, execution, without_parameters
from proxy.sql.queries import Queries
from proxy.sql.reads import only_reads
from proxy.sql.referee import Node, Statement, parse, walk
from proxy.sql.scopes import Outputs, Scope
from proxy.sql.shadows import shadows
from proxy.sql.shape import analysis_text, offset, shape
from proxy.sql.tables import Tables
from proxy.sql.terms import Held, refuse, unsupported
from proxy.sql.utility import Effects, Utility
from proxy.sql.views import Views

QUERIES: Final = {
    "SelectStmt": "select", "InsertStmt": "insert", "UpdateStmt": "update", "DeleteStmt": "delete",
    "MergeStmt": "merge",
}  # fmt: skip
_BARRIERS: Final = frozenset((
    "set", "reset-all", "discard-all", "deallocate", "ddl", "ddl-elsewhere", "prepare", "rollback", "rollback-to",
    "unknown-setting", "copy-in", "declare",
))  # fmt: skip
_BINARY, _HOLD = 0x0001, 0x0020  # CURSOR_OPT_* of parsenodes.h
_WRITING: Final = frozenset(("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "CopyStmt"))
_PATH_CHANGES: Final = frozenset(("reset-all", "discard-all", "rollback", "rollback-to", "unknown-setting"))
_ENDS: Final = frozenset(("commit", "rollback", "rollback-to"))
_PATH_SETTINGS: Final = frozenset(("search_path", "role", "session_authorization"))
# Run later, and perhaps more than once.
_LATER: Final = {"PrepareStmt": "PREPARE", "DeclareCursorStmt": "DECLARE CURSOR"}
# Fields of SELECT f(…) and nothing else.
_BARE_SELECT: Final = frozenset(("targetList", "limitOption", "op"))
_DEEP: Final = Refusal(
    "statement-too-large", "the statement is nested too deeply to be read", "Write it flatter, with IN or arrays."
)
# Not understood, names nothing protected and runs nothing that a name stands for: the server's to judge (it has syntax
# of its own version, and hints of its own). Should it take it, anything may have changed.
_RUNS: Final = re.compile(
    rb"(?<![a-z0-9_$\x80-\xff])(?:execute|fetch|move|do|prepare|explain|declare|copy)(?![a-z0-9_$\x80-\xff])",
    re.IGNORECASE,
)
_UNREAD: Final = Plan(
    statements=(StatementPlan("other", effects=(SessionEffect("unknown-setting"), SessionEffect("ddl"))),), barrier=True
)
_PATH: Final = Refusal(
    "unsupported-statement",
    "search_path puts another schema before pg_catalog: operators may not mean what they seem to",
    "Leave pg_catalog out of search_path; it is searched first then.",
)


def analyse(
    text: bytes,
    standard_conforming_strings: bool,
    search_path: tuple[str, ...] | None,
    snapshot: Snapshot,
    given_up: Callable[[], bool] = never,
) -> Plan:
    """The plan of `text` (UTF-8). Total: what can't be planned is a plan with a refusal.

    search_path: schemas in order, pg_catalog and pg_temp left out unless set; None: not known. given_up: looked at on
    the way: whether to end, since nobody waits for the plan any more.
    """
    findings: list[Findings] = []
    try:
        return _analyse(text, standard_conforming_strings, search_path, snapshot, findings, given_up)
    except Refusal as refusal:
        found = refusal
    except RecursionError:
        found = _DEEP
    except Exception as fault:  # noqa: BLE001 - an error in here must never mean "forward"
        what = f"the statement can't be read ({type(fault).__name__})"
        found = Refusal("unsupported-statement", what, "Please report it.")
    # a refusal may hang on a literal's value too (ORDER BY 2): it holds for texts with the same one
    # a copy: an exception keeps the frames that it came through, and those the text
    return Plan(refusal=replace(found), pinned=tuple(sorted({i for f in findings for i in f.pinned})))


def _analyse(
    text: bytes,
    conforming: bool,
    path: tuple[str, ...] | None,
    snapshot: Snapshot,
    out: list[Findings],
    given_up: Callable[[], bool],
) -> Plan:
    """out: gets the findings as soon as there are any, for a refusal."""
    cut = shape(text, conforming)
    if cut.fault:
        raise Refusal("syntax", cut.fault)
    findings = Findings(text, cut, analysis_text(text, cut), conforming, given_up)
    out.append(findings)
    findings.go_on()
    try:
        statements = parse(findings.analysis.text)
    except Refusal as refusal:
        if refusal.code == "syntax" and not snapshot.touches.names_in(text) and not _RUNS.search(text):
            return _UNREAD
        at = len(findings.analysis.text.decode("utf-8", "replace")[: refusal.position - 1].encode())
        raise _moved(refusal, at, text, findings) from None
    try:
        return _Reading(findings, snapshot, path).plan(statements)
    except Refusal as refusal:
        raise _moved(refusal, refusal.position - 1, text, findings) from None


def _moved(refusal: Refusal, at: int, text: bytes, findings: Findings) -> Refusal:
    """With its position in the client's text. at: byte of the analysis text, if the refusal has a position."""
    if not refusal.position:
        return refusal
    analysis, cut = findings.analysis, findings.cut
    index = next((i for i, end in enumerate(analysis.ends) if end > at), len(analysis.ends))
    if index < len(analysis.starts) and analysis.starts[index] <= at:
        there = cut.starts[index]
    else:
        there = offset(cut, (2 * index, at - (analysis.ends[index - 1] if index else 0)))
    position = len(text[:there].decode("utf-8", "replace")) + 1
    return replace(refusal, position=position)


class _Reading:
    """One text being read; later statements see the tables that earlier ones made."""

    def __init__(self, findings: Findings, snapshot: Snapshot, path: tuple[str, ...] | None) -> None:
        self.findings = findings
        self.snapshot = snapshot
        self.path = path
        self._before = (snapshot, path)  # what counted before the text
        self.highest = 0  # parameter number
        self.alone = False  # the text is one statement

    def plan(self, statements: list[Statement]) -> Plan:
        self.alone = len(statements) == 1
        plans = [self._statement(statement) for statement in statements]
        index = self.findings.unclassified()
        if index is not None:
            raise Refusal(
                "unclassified-literal",
                f"it is not certain what literal {index + 1} of the statement is for",
                "Write the statement in a simpler form, or send the value as a parameter.",
            )
        params, edits = self.findings.parameters(self.highest)
        inputs, all_edits = tuple(self.findings.inputs), _sorted(self.findings.edits + edits)
        if any(plan.prepared is not None and plan.prepared.touches for plan in plans):
            params, (inputs, all_edits) = None, without_parameters(inputs, all_edits)
        effects = [effect.kind for plan in plans for effect in plan.effects]
        return Plan(
            statements=tuple(plans),
            inputs=inputs,
            written=tuple(self.findings.assigned.values()),
            guessed=tuple(self.findings.guessed.values()),
            edits=all_edits,
            params=params,
            param_count=self.highest,
            pinned=tuple(sorted(self.findings.pinned)),
            barrier=any(kind in _BARRIERS for kind in effects),
        )

    def _statement(self, statement: Statement) -> StatementPlan:
        self.findings.go_on()
        tables = Tables(self.snapshot, self.path, Views(self.snapshot))
        expressions = Expressions(self.findings, tables)
        queries = Queries(expressions, tables, self.findings)
        Writes(expressions, queries, tables, self.findings)
        utility = Utility(expressions, tables, self.findings)
        node = statement.node
        if node.kind in QUERIES:
            plan = self._query(statement, tables, expressions, queries)
        elif node.kind == "CopyStmt" and tables.reached_by(node):
            self._operators()
            plan = Copies(expressions, queries, tables, self.findings).plan(statement)
        elif node.kind == "DeclareCursorStmt" and tables.reached_by(node):
            plan = self._declare(statement, tables, queries)
        elif node.kind == "PrepareStmt" and _explained(node) is not None and tables.reached_by(node):
            plan = self._prepare(statement, tables, expressions, queries)
        elif node.kind == "ExplainStmt" and _explained(node) is not None and tables.reached_by(node):
            plan = self._explain(statement, tables, queries)
        elif (effects := utility.effects(statement)) is not None:
            self._calls(node, expressions)
            made = execution(node, self.findings)
            prepared = PreparedPlan() if node.kind == "PrepareStmt" else None
            plan = StatementPlan("utility", effects=effects, prepared=prepared, execution=made)
            self.findings.within(statement.start, statement.end, bool(effects) and made is None)
        else:
            plan = self._define(statement, Definitions(expressions, queries, tables, self.findings))
        settings = _settings(node, expressions.settings, utility) + self._settled(node)
        if settings and node.kind in _LATER:
            message = f"{_LATER[node.kind]} of a statement that changes settings: when it does can't be followed"
            raise unsupported(message, "Run the statement itself.")
        plan = replace(plan, effects=plan.effects + settings + shadows(node, tables))
        plan = replace(plan, effects=plan.effects + self._moves(statement, tables, plan.effects))
        moved = self.snapshot.moved
        self.snapshot = overlay(self.snapshot, plan, "the same text changes it")
        if self.snapshot.moved != moved:
            self.path = None
        self._follow(plan.effects)
        return plan

    def _moves(self, statement: Statement, tables: Tables, known: Effects) -> Effects:
        """What a definition does to names, besides the tables that it makes or changes."""
        node = statement.node
        if node.kind in QUERIES and "intoClause" not in node.fields:
            return ()
        text = self.findings.analysis.text[statement.start : statement.end].decode("utf-8", "replace")
        strings = self.findings.strings_within(statement.start, statement.end)
        effects = moved_by(node, tables, [each.decode("utf-8", "replace") for each in strings], text)
        told = not effects or any(effect.kind.startswith("ddl") for effect in (*known, *effects))
        return effects if told else (*effects, SessionEffect("ddl-elsewhere"))

    def _settled(self, node: Node) -> Effects:
        """What functions that it calls may set, or those behind the tables and views that it names; pg_settings has a
        rule that sets."""
        protection = self.snapshot.protection
        named, written = _named(node)
        for found in (protection.settling, protection.moving):
            if not (found.names.isdisjoint(named) and found.writes.isdisjoint(written)):
                break
        else:
            return (SessionEffect("unknown-setting"),) if "pg_settings" in written else ()
        if protection.moving.names.isdisjoint(named) and protection.moving.writes.isdisjoint(written):
            return (SessionEffect("unknown-setting"),)
        return (SessionEffect("unknown-setting"), SessionEffect("ddl"), SessionEffect("moved", None, ANYTHING))

    def _query(self, statement: Statement, tables: Tables, expressions: Expressions, queries: Queries) -> StatementPlan:
        """SELECT, INSERT, UPDATE, DELETE, MERGE."""
        node = statement.node
        tag = QUERIES[node.kind]
        self._numbers(node)
        if not tables.reached_by(node):
            self._calls(node, expressions)
            self.findings.within(statement.start, statement.end, False)
            made = (SessionEffect("ddl-elsewhere"),) if "intoClause" in node.fields else ()
            return StatementPlan(tag, effects=made)
        self._operators()
        outputs = queries.top(node)
        self._all_parameters(node)
        held = outputs.held()
        if held is not None and outputs.opaque:
            raise refuse(held.column, "`*` over a table whose columns are not known", hint="Name the columns.")
        effects = (SessionEffect("ddl"),) if "intoClause" in node.fields else ()
        reads = tag == "select" and only_reads(node)
        return StatementPlan(tag, tuple(tables.touched), _outputs(outputs), effects, reads=reads)

    def _calls(self, node: Node, expressions: Expressions) -> None:
        """In a statement that names nothing protected all is harmless, but for functions that change settings or run
        text as a statement. What a function's own body calls is in the catalog, or will be."""
        for found in walk(node) if node.kind != "CreateFunctionStmt" else ():
            name = found.strings("funcname") if "funcname" in found.fields else []
            if name[-1:] == ["set_config"]:
                expressions.term(Node("FuncCall", found.fields), Scope())
            elif name and name[-1] in DYNAMIC:
                expressions.runs_text(Node("FuncCall", found.fields))

    def _numbers(self, node: Node) -> None:
        """The client's parameters in a statement."""
        for found in walk(node):
            if found.kind == "ParamRef":
                self.highest = max(self.highest, found.number("number"))

    def _operators(self) -> None:
        """Before anything protected is read: operators have to mean what they seem to. Raises Refusal."""
        if self.path is not None and "pg_catalog" in self.path[1:]:
            raise replace(_PATH)

    def _define(self, statement: Statement, definitions: Definitions) -> StatementPlan:
        self._operators()
        if statement.node.kind == "CreateTableAsStmt":
            self._numbers(statement.node)
        plan = definitions.plan(statement)
        self._all_parameters(statement.node)
        self.findings.within(statement.start, statement.end, True)
        return plan

    def _declare(self, statement: Statement, tables: Tables, queries: Queries) -> StatementPlan:
        """DECLARE CURSOR: what its query returns comes with FETCH."""
        node, query = statement.node, statement.node.node("query")
        assert query is not None
        self._numbers(query)
        self._operators()
        outputs = queries.top(query)
        self._all_parameters(query)
        held = outputs.held()
        if held is not None and (outputs.opaque or node.number("options") & _BINARY):
            what = "a cursor over columns that are not all known" if outputs.opaque else "a BINARY cursor"
            raise refuse(held.column, what, hint="Name the columns, and leave BINARY out.")
        cursor = CursorPlan(_outputs(outputs), bool(node.number("options") & _HOLD))
        effects = (SessionEffect("declare", node.text("portalname")),)
        return StatementPlan("declare", tuple(tables.touched), effects=effects, cursor=cursor)

    def _explain(self, statement: Statement, tables: Tables, queries: Queries) -> StatementPlan:
        """EXPLAIN: it shows tokens where the statement has values. With ANALYZE it runs the statement, so that it takes
        the rights of that; without, the server asks for the same rights too."""
        query = _explained(statement.node)
        assert query is not None
        self._numbers(query)
        self._operators()
        queries.top(query)
        self._all_parameters(query)
        if statement.node.nodes("options"):
            self._bracketed(statement.start)
        effects = (SessionEffect("ddl"),) if "intoClause" in query.fields else ()
        return StatementPlan("explain", tuple(tables.touched), effects=effects, reads=only_reads(query))

    def _prepare(
        self, statement: Statement, tables: Tables, expressions: Expressions, queries: Queries
    ) -> StatementPlan:
        """PREPARE: its parameters are those of EXECUTE, not the client's."""
        node, query = statement.node, _explained(statement.node)
        assert query is not None
        if not self.alone:
            raise unsupported("PREPARE of a statement on a protected table beside other statements", "Send it alone.")
        self._operators()
        outputs = queries.top(query)
        self._all_parameters(query)
        held = outputs.held()
        if held is not None and outputs.opaque:
            raise refuse(held.column, "PREPARE of a query whose columns are not all known", hint="Name the columns.")
        prepared = replace(
            Preparation(node, expressions, self.findings).plan(query, _outputs(outputs)),
            tag=QUERIES[query.kind], tables=tuple(tables.touched), reads=only_reads(query),
        )  # fmt: skip
        effects = (SessionEffect("prepare", node.text("name")),)
        return StatementPlan("prepare", tuple(tables.touched), effects=effects, prepared=prepared)

    def _bracketed(self, start: int) -> None:
        """Literals in EXPLAIN (…) are options; without brackets it has none."""
        tokens = self.findings.tokens
        first = bisect_left(tokens.starts, start) + 1
        if tokens.get(first) == b"(":
            self.findings.within(tokens.starts[first], tokens.starts[tokens.closing(first)], False)

    def _all_parameters(self, node: Node) -> None:
        for found in walk(node):
            if found.kind == "ParamRef" and found.location not in self.findings.params:
                raise Refusal(
                    "unclassified-literal",
                    f"it is not certain what parameter ${found.number('number')} is for",
                    "Write the statement in a simpler form.",
                )

    def _follow(self, effects: tuple[SessionEffect, ...]) -> None:
        """What a statement of the text changes for those behind it."""
        for effect in effects:
            if effect.kind in _ENDS:
                self._ended()
            if effect.kind == "shadow" and effect.name is not None:
                self.snapshot = self.snapshot.shadowed_by((effect.name,))
            if effect.kind == "set" and effect.name == "search_path" and effect.value is not None:
                found = _certain(effect.value)
                self.path = None if found is None else self.snapshot.path(found, None)
            elif effect.kind in _PATH_CHANGES or (effect.kind == "set" and effect.name in _PATH_SETTINGS):
                self.path = None

    def _ended(self) -> None:
        """Of what the text did to path and tables, it is not certain what is left behind the end of a transaction."""
        snapshot, path = self._before
        if self.path != path:
            self.path = None
        self.snapshot = snapshot.unsure_after(self.snapshot).shadowed_by(self.snapshot.shadowed)


def _explained(node: Node) -> Node | None:
    """The query in an EXPLAIN or PREPARE; None if it is of another statement."""
    query = node.node("query")
    return query if query is not None and query.kind in QUERIES else None


def _named(node: Node) -> tuple[set[str], set[str]]:
    """Names of the functions, tables and views that a statement names (not of those that it defines), and of what it
    writes to."""
    named: set[str] = set()
    written: set[str] = set()
    for found in walk(node) if node.kind != "CreateFunctionStmt" else ():
        if "relname" in found.fields:
            named.add(found.text("relname"))
        elif "funcname" in found.fields:
            named.update(found.strings("funcname")[-1:])
        target = found.part("relation", "RangeVar") if found.kind in _WRITING else None
        targets = found.nodes("relations") if found.kind == "TruncateStmt" else [target] if target is not None else []
        written.update([each.text("relname") for each in targets])
    return named, written


def _certain(path: str) -> tuple[str, ...] | None:
    """A search_path that is the same for whoever asks; None if it is not."""
    try:
        found = split_path(path, "$user")
    except ValueError:
        return None
    return None if "$user" in found else found


def _settings(node: Node, calls: list[tuple[str | None, str | None, bool]], utility: Utility) -> Effects:
    """Effects of set_config() calls; where one may not be reached, or not be the last, the value is not known."""
    certain = len(calls) == 1 and _is_call(node)
    effects: list[SessionEffect] = []
    for name, value, local in calls:
        effects += utility.setting(name, value if certain else None, local)
    return tuple(effects)


def _is_call(node: Node) -> bool:
    """SELECT f(…) and nothing else, so that f is called once (not in CASE, nor for each row that there may be)."""
    targets = node.nodes("targetList")
    value = targets[0].node("val") if len(targets) == 1 and set(node.fields) <= _BARE_SELECT else None
    return value is not None and value.kind == "FuncCall"


def _outputs(outputs: Outputs) -> tuple[Output | None, ...] | None:
    if outputs.held() is None:
        return None
    return tuple([Output(c.term.column) if isinstance(c.term, Held) else None for c in outputs.columns])


def _sorted(edits: list[Edit]) -> tuple[Edit, ...]:
    """By start; they must not overlap."""
    found = sorted(edits, key=lambda edit: (edit.start, edit.end))
    for before, after in pairwise(found):
        if after.start < before.end:
            raise Bug("edits overlap")
    return tuple(found)
