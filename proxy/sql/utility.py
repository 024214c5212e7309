"""Statements that are no query: what they change for later statements, and whether they reach a protected table.

Not here: CREATE TABLE, ALTER TABLE and their like (`sql.ddl`).
"""

import re
from typing import Final, final

from proxy.sql.expressions import Expressions
from proxy.sql.findings import Findings
from proxy.sql.plan import SessionEffect
from proxy.sql.protection import builds, identifiers, settles
from proxy.sql.referee import Node, Statement, walk
from proxy.sql.tables import Tables
from proxy.sql.terms import unsupported

# Settings whose value a session has to know; the plan holds it.
FOLLOWED: Final = frozenset(("search_path", "pgveil.purpose", "role", "session_authorization"))
# Settings that decide how the next text is read; their value comes by ParameterStatus or not at all.
READING: Final = frozenset((
    "client_encoding", "standard_conforming_strings", "datestyle", "intervalstyle", "timezone", "backslash_quote",
))  # fmt: skip
# Pass whatever they name: they move no values and change no meaning that pgveil follows.
HARMLESS: Final = frozenset((
    "TruncateStmt", "VacuumStmt", "LockStmt", "GrantStmt", "CommentStmt", "AlterOwnerStmt", "ReindexStmt",
    "ClusterStmt", "RefreshMatViewStmt", "CheckPointStmt", "ListenStmt", "UnlistenStmt", "NotifyStmt",
    "VariableShowStmt", "ConstraintsSetStmt", "GrantRoleStmt", "SecLabelStmt",
    "AlterDefaultPrivilegesStmt", "DropOwnedStmt", "ReassignOwnedStmt", "LoadStmt", "DropStmt",
))  # fmt: skip
_DDL: Final = ("Create", "Alter", "Drop", "Rename", "View", "Rule", "Define", "Import", "CompositeType")
# DDL that makes no new way to anything protected if it names nothing of it, neither a table nor a function that reaches
# one. Not among these: what may change settings (ALTER ROLE … SET), extensions, imports; of functions those that run
# what they build as text.
_ELSEWHERE: Final = frozenset((
    "CreateStmt", "CreateTableAsStmt", "ViewStmt", "AlterTableStmt", "DropStmt", "CreateSeqStmt", "AlterSeqStmt",
    "CreateEnumStmt", "AlterEnumStmt", "CompositeTypeStmt", "CreateDomainStmt", "AlterDomainStmt", "CreateRangeStmt",
    "CreateStatsStmt", "AlterStatsStmt", "CreatePolicyStmt", "AlterPolicyStmt", "CreateRoleStmt", "AlterRoleStmt",
    "DropRoleStmt", "DefineStmt", "CreateOpClassStmt", "CreateOpFamilyStmt", "AlterOpFamilyStmt",
    "CreatePublicationStmt", "AlterPublicationStmt", "CreateTrigStmt", "RuleStmt", "RenameStmt",
    "AlterObjectSchemaStmt", "CreateSchemaStmt",
))  # fmt: skip
_TRANSACTION: Final = {
    "TRANS_STMT_BEGIN": "begin", "TRANS_STMT_START": "begin", "TRANS_STMT_COMMIT": "commit",
    "TRANS_STMT_ROLLBACK": "rollback", "TRANS_STMT_ROLLBACK_TO": "rollback-to", "TRANS_STMT_SAVEPOINT": "savepoint",
    "TRANS_STMT_PREPARE": "commit", "TRANS_STMT_COMMIT_PREPARED": "ddl", "TRANS_STMT_ROLLBACK_PREPARED": "ddl",
}  # fmt: skip
_DEFINED: Final = {"DoStmt": (), "CreateFunctionStmt": (SessionEffect("ddl"),)}
_SETS: Final = re.compile(rb"\bset_config\b", re.IGNORECASE)
_HINT: Final = "Run the statement itself through pgveil."
Effects = tuple[SessionEffect, ...]


@final
class Utility:
    """See the module."""

    __slots__ = ("_expressions", "_findings", "_tables")

    def __init__(self, expressions: Expressions, tables: Tables, findings: Findings) -> None:
        self._expressions = expressions
        self._tables = tables
        self._findings = findings

    def effects(self, statement: Statement) -> Effects | None:
        """Effects of a statement that may pass, or None: this is no utility statement of ours. Raises Refusal."""
        node = statement.node
        reader = {
            "TransactionStmt": self._transaction, "VariableSetStmt": self._set, "DiscardStmt": self._discard,
            "DeallocateStmt": self._deallocate, "PrepareStmt": self._prepare, "ExecuteStmt": self._execute,
            "FetchStmt": self._fetch, "ExplainStmt": self._explain, "DeclareCursorStmt": self._declare,
            "ClosePortalStmt": self._close,
        }.get(node.kind)  # fmt: skip
        if reader is not None:
            return reader(node)
        if node.kind in ("DoStmt", "CreateFunctionStmt"):
            self._body(statement)
            if self._settles(statement):
                # no catalog shows a function before its transaction ends, so that it can't be told when it is called
                return (*_DEFINED[node.kind], SessionEffect("unknown-setting"))
        elif not _lets_be(node) and (self._tables.reached_by(self._followed(statement)) or self._renames(node)):
            return None
        plain = node.kind in _ELSEWHERE or (node.kind == "CreateFunctionStmt" and self._readable(statement))
        if plain and not self._tables.named_in(self._findings.analysis.text):
            return (*_executed(node), SessionEffect("ddl-elsewhere"))
        return (*_executed(node), SessionEffect("ddl")) if node.kind.startswith(_DDL) else ()

    def _followed(self, statement: Statement) -> Node:
        """What of a definition may reach something. A trigger's function that builds its statements is let be, as are
        writes to tables that have one, unless the trigger hands it a guarded name. Raises Refusal."""
        node = statement.node
        names = node.strings("funcname")
        if node.kind != "CreateTrigStmt" or not names or not self._tables.only_builds(names[-1]):
            return node
        arguments = [name.encode() for name in node.strings("args")]
        for text in (*arguments, *self._findings.strings_within(statement.start, statement.end)):
            if self._tables.named_in(text):
                raise unsupported(
                    f"CREATE TRIGGER hands the name of a protected table to {names[-1]}(), which builds statements",
                    "Let the application write to both tables.",
                )
        return _without_name(node)

    def _readable(self, statement: Statement) -> bool:
        """A function whose body shows all that it may reach, and that this is nothing."""
        texts = self._findings.strings_within(statement.start, statement.end)
        return _language(statement.node, "options") in ("sql", "plpgsql") and not any(
            self._tables.named_in(text) or builds(text.decode("utf-8", "replace")) for text in texts
        )

    def _renames(self, node: Node) -> bool:
        """A table that takes a guarded name, or a schema that takes guarded tables along."""
        if node.kind != "RenameStmt":
            return False
        if node.text("renameType") == "OBJECT_SCHEMA":
            return self._tables.guards_schema(node.text("subname"), node.text("newname"))
        return self._tables.has_name(node.text("newname"))

    # ---- what changes the session

    def _transaction(self, node: Node) -> Effects:
        kind = _TRANSACTION.get(node.text("kind"))
        return () if kind is None else (SessionEffect(kind, node.text("savepoint_name") or None),)

    def _set(self, node: Node) -> Effects:
        kind, name, local = node.text("kind"), node.text("name").lower(), node.flag("is_local")
        if kind == "VAR_RESET_ALL":
            return (SessionEffect("reset-all"),)
        if kind == "VAR_SET_MULTI" or name not in FOLLOWED | READING:
            return ()
        if kind == "VAR_SET_CURRENT":
            return (SessionEffect("unknown-setting"),)
        value = None
        if kind == "VAR_SET_VALUE" and name in FOLLOWED:
            value = self._value(name, node.nodes("args"))
        return (SessionEffect("set", name, value, local),)

    def _value(self, name: str, args: list[Node]) -> str:
        words = [self._word(arg) for arg in args]
        if name != "search_path":
            return ", ".join(words)
        # guc_funcs.c flatten_set_variable_args: each argument is one name, whatever is in it
        return ", ".join(['"' + word.replace('"', '""') + '"' for word in words])

    def _word(self, arg: Node) -> str:
        text = self._findings.string(arg)
        if text is not None:
            return text
        self._findings.pin(arg)
        kinds = ("sval", "ival", "fval")
        return "".join([str(inner.get(kind, 0)) for kind in kinds if isinstance(inner := arg.fields.get(kind), dict)])

    def setting(self, name: str | None, value: str | None, local: bool) -> Effects:
        """Of set_config(); name None: not known."""
        if name is None:
            return (SessionEffect("unknown-setting"),)
        name = name.lower()
        if name not in FOLLOWED:
            return (SessionEffect("set", name, None, local),) if name in READING else ()
        if value is None:
            return (SessionEffect("unknown-setting"),)
        return (SessionEffect("set", name, value, local),)

    def _discard(self, node: Node) -> Effects:
        target = node.text("target") or "DISCARD_ALL"
        return {"DISCARD_ALL": (SessionEffect("discard-all"),), "DISCARD_TEMP": (SessionEffect("ddl"),)}.get(target, ())

    def _deallocate(self, node: Node) -> Effects:
        return (SessionEffect("deallocate", node.text("name") or None),)

    # ---- what runs another statement

    def _prepare(self, node: Node) -> Effects:
        self._inner(node, "PREPARE", "Use the extended protocol, or run the statement itself.")
        return (SessionEffect("prepare", node.text("name")),)

    def _execute(self, node: Node) -> Effects:
        return (SessionEffect("execute", node.text("name")),)

    def _fetch(self, node: Node) -> Effects:
        return () if node.flag("ismove") else (SessionEffect("fetch", node.text("portalname")),)

    def _explain(self, node: Node) -> Effects:
        """EXPLAIN ANALYZE runs its statement, EXPLAIN shows tokens: neither for a protected one."""
        self._inner(node, "EXPLAIN", "EXPLAIN it on a connection that does not go through pgveil.")
        return _executed(node)

    def _declare(self, node: Node) -> Effects:
        return (SessionEffect("declare", node.text("portalname")),)

    def _close(self, node: Node) -> Effects:
        return (SessionEffect("close", node.text("portalname") or None),)

    def _inner(self, node: Node, construct: str, hint: str) -> None:
        table = self._tables.reached(node)
        if table:
            message = f"{construct} of a statement on {table}, which is protected or reaches what is, is not supported"
            raise unsupported(message, hint)

    def _settles(self, statement: Statement) -> bool:
        """Whether DO or a new function may change settings that decide what names mean, itself or by what it calls."""
        protection = self._tables.snapshot.protection
        settling = protection.settling.names | protection.settling.writes | {"set_config"}
        called = any(settling & {*part.strings("funcname")[-1:]} for part in walk(_without_name(statement.node)))
        calls = identifiers(set(settling))
        texts = [t.decode("utf-8", "replace") for t in self._findings.strings_within(statement.start, statement.end)]
        return called or any(settles(text) or calls.search(text) for text in texts)

    def _body(self, statement: Statement) -> None:
        """DO and CREATE FUNCTION: their text is read only for names; what builds statements itself is refused.

        A function may call, or replace, one that reaches something: read anew, the catalog shows that this one does.
        """
        what = "DO" if statement.node.kind == "DoStmt" else "CREATE FUNCTION"
        if self._tables.reached_by(_without_name(statement.node)):
            raise unsupported(f"{what} that names a protected table is not supported", _HINT)
        for text in self._findings.strings_within(statement.start, statement.end):
            text = _SETS.sub(b" ", text)  # see _settles
            if self._tables.named_in(text) and (what == "DO" or self._tables.relation_named_in(text)):
                raise unsupported(f"{what} that names a protected table is not supported", _HINT)
            if what == "DO" and self._tables.any and builds(text.decode("utf-8", "replace")):
                raise unsupported("DO with EXECUTE builds statements that can't be read here", _HINT)
        if what == "DO" and self._tables.any and _language(statement.node) not in ("plpgsql", "sql"):
            raise unsupported("DO in this language can't be read here", _HINT)


def _without_name(node: Node) -> Node:
    """CREATE FUNCTION without the name that it gives, CREATE TRIGGER without its function's."""
    return Node(node.kind, {key: value for key, value in node.fields.items() if key != "funcname"})


def _lets_be(node: Node) -> bool:
    """What may name anything. Publications send tokens on; which rows, may be said with a value."""
    if node.kind in ("CreatePublicationStmt", "AlterPublicationStmt"):
        return not any("whereClause" in part.fields for part in walk(node))
    return node.kind in HARMLESS


def _executed(node: Node) -> Effects:
    """Prepared statements that a statement runs: EXPLAIN EXECUTE, CREATE TABLE … AS EXECUTE."""
    return tuple([SessionEffect("execute", found.text("name")) for found in walk(node) if found.kind == "ExecuteStmt"])


def _language(node: Node, options: str = "args") -> str:
    for option in node.nodes(options):
        if option.text("defname") == "language":
            value = option.node("arg")
            return "" if value is None else value.text("sval").lower()
    return "plpgsql"
