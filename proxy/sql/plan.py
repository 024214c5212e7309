"""What pgveil does for a statement shape. Pure data plus `render`.

A plan knows no values. It speaks of *positions in the shape*: a text is cut by `sql.shape` into pieces
gap0 literal0 gap1 literal1 … gapN; gaps are equal for all texts of one shape, so (piece, offset) is a position that
holds for each of them. Piece 2k is gap k, piece 2k+1 is literal k; in a literal the offset is 0 (its start) and a
position just behind literal k is (2k+2, 0).

All text is UTF-8 here; `session` transcodes when client_encoding is another.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from proxy.errors import Refusal
from proxy.sql.relations import ProtectedColumn, Relation
from proxy.sql.shape import Shape, offset
from proxy.wire.copyrows import CopyFormat
from proxy.wire.types import TypeSpec

Position = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Input:
    """A place of the statement where a protected value stands.

    Exactly one of `literal` (index of a shape literal) and `param` (1-based, as the client numbered it) is set.
    use: 'write' stores the value; 'search' looks for it by equality. casts: explicit casts in the statement around
    the value, innermost first, applied to the value before it becomes a token (varchar(n) truncates …).
    array: the value is an array whose elements are values (`= ANY($1)`, `= ANY('{a,b}')`).
    negative: a number literal with a minus sign before it, which belongs to the value. listed: one of several in
    IN (…), which have one type, the column's; elsewhere a varchar is compared as text. context: the type that the
    statement gives the value where neither the client nor a cast does, if that is not the column's own (a result of
    CASE, a row of VALUES: text). sought: what is written is compared with stored values as well.
    """

    column: ProtectedColumn
    use: Literal["write", "search"]
    literal: int | None = None
    param: int | None = None
    casts: tuple[TypeSpec, ...] = ()
    array: bool = False
    negative: bool = False
    listed: bool = False
    context: TypeSpec | None = None
    sought: bool = False

    @property
    def undeclared(self) -> TypeSpec:
        """The type of a parameter here for which the client declares none."""
        if self.context is not None:
            return self.context
        return self.casts[0] if self.casts else self.column.facade


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the bytes from `start` to `end` (Positions; may be equal: an insertion).

    With `input` set: by the token of plan.inputs[input], as a literal of `array` shape or not. Otherwise by `text`
    (a renumbered parameter `$3`, a column list; nothing where a cast falls away).
    """

    start: Position
    end: Position
    input: int | None = None
    text: bytes = b""


@dataclass(frozen=True, slots=True)
class ParamUse:
    """What the server's parameter number (index + 1) is made of.

    source: the client's parameter, 1-based. input: index into plan.inputs when it carries protected values, else
    None. oid: type that the server must be told when the client declared one or none (0: as the client declared).
    """

    source: int
    input: int | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """A result column that carries values of a protected column, unchanged."""

    column: ProtectedColumn


@dataclass(frozen=True, slots=True)
class SessionEffect:
    """What a statement changes in the state that later statements are read by.

    kind: 'set' (name, value; value None = DEFAULT), 'reset-all', 'discard-all', 'deallocate' (name; None = ALL),
    'prepare', 'execute', 'declare', 'fetch' (name),
    'close' (a cursor's name; None = ALL), 'unknown-setting' (any setting may have changed), 'begin', 'commit',
    'rollback', 'rollback-to', 'savepoint', 'ddl', 'ddl-elsewhere' (DDL that makes no new way to anything protected),
    'shadow' (a guarded name may be a temporary relation of this connection); 'made-schema', 'moved', 'dropped',
    'closed', 'function', 'settling': see `sql.moves`.
    local: SET LOCAL.
    `value` is only filled for settings that pgveil follows (search_path, role, session_authorization, pgveil.*).
    """

    kind: str
    name: str | None = None
    value: str | None = None
    local: bool = False


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """A COPY to or from the client. form: how its rows are written. encoding: of the ENCODING option, '' for
    client_encoding. into: COPY FROM: for each field the protected column that it goes into, None for others; None as a
    whole for COPY TO, whose fields are the statement's outputs. names: of the fields."""

    form: CopyFormat
    encoding: str = ""
    into: tuple[ProtectedColumn | None, ...] | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CursorPlan:
    """What FETCH gets from a cursor. outputs as in `StatementPlan`. hold: it outlives its transaction."""

    outputs: tuple[Output | None, ...] | None
    hold: bool = False


@dataclass(frozen=True, slots=True)
class PreparedPlan:
    """What EXECUTE of a statement gives and gets that PREPARE makes. touches: something protected is in it, else the
    rest is empty. inputs: of its parameters, `param` the place in EXECUTE's list. tag, tables, outputs, reads: as in
    `StatementPlan`; written, guessed: as in `Plan`. basis: by the session, what it was planned for: it holds while that
    is equal."""

    touches: bool = False
    inputs: tuple[Input, ...] = ()
    written: tuple[ProtectedColumn, ...] = ()
    guessed: tuple[ProtectedColumn, ...] = ()
    tag: str = ""
    tables: tuple[str, ...] = ()
    outputs: tuple[Output | None, ...] | None = None
    reads: bool = False
    basis: object = None


@dataclass(frozen=True, slots=True)
class Execution:
    """An EXECUTE. arguments: for each the index of its string literal, -1 for NULL, None for anything else. shows: it
    returns what the statement returns (EXPLAIN EXECUTE does not). known: by the session, the statement that it runs,
    whose inputs and outputs the plan has."""

    name: str
    arguments: tuple[int | None, ...] = ()
    shows: bool = True
    known: PreparedPlan | None = None


@dataclass(frozen=True, slots=True)
class StatementPlan:
    """One statement of the text.

    tag: 'select', 'insert', 'update', 'delete', 'merge', 'utility' …, for audit and metrics.
    tables: protected tables it touches, 'schema.table'. outputs: one entry a result column, None where nothing
    protected is in it; None as a whole if no result column carries any, or it returns no rows. width: number of result
    columns when outputs is set. effects: see SessionEffect. created: tables it makes, for later statements of the
    transaction; altered: (schema, name) of relations that are not what the catalog says until it is read anew; widened:
    tables that have got columns that are not protected. reads: it only reads, so there is nothing to undo. copy: it is
    a COPY of protected columns. cursor: it is a DECLARE of a query on a protected table. prepared: it is a PREPARE.
    execution: it is an EXECUTE, or EXPLAIN of one.
    """

    tag: str
    tables: tuple[str, ...] = ()
    outputs: tuple[Output | None, ...] | None = None
    effects: tuple[SessionEffect, ...] = ()
    created: tuple[Relation, ...] = ()
    altered: tuple[tuple[str, str], ...] = ()
    widened: tuple[Relation, ...] = ()
    reads: bool = False
    copy: CopyPlan | None = None
    cursor: CursorPlan | None = None
    prepared: PreparedPlan | None = None
    execution: Execution | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole text. refusal set: nothing else counts. inputs/edits empty and no outputs: forward as it is.

    params: the server's parameters when they differ from the client's (else None: same numbers, same types).
    pinned: indexes of literals whose *value* the plan depends on (ORDER BY 1, varchar(20), SET … TO 'x'); a cached
    plan holds only for texts with the same values there.
    edits are sorted by start and don't overlap. barrier: the replies must be in before the next message is planned.
    written: protected columns that are assigned to, be it NULL. guessed: those whose values ON CONFLICT may look for.
    """

    statements: tuple[StatementPlan, ...] = ()
    inputs: tuple[Input, ...] = ()
    edits: tuple[Edit, ...] = ()
    params: tuple[ParamUse, ...] | None = None
    param_count: int = 0
    pinned: tuple[int, ...] = ()
    barrier: bool = False
    refusal: Refusal | None = None
    written: tuple[ProtectedColumn, ...] = ()
    guessed: tuple[ProtectedColumn, ...] = ()

    @property
    def idle(self) -> bool:
        """Nothing of it is ours: forward and forget."""
        return self.refusal is None and not self.edits and not any(s.tables or s.effects for s in self.statements)

    @property
    def naming(self) -> bool:
        """It makes, or may make, a new way to something protected: by names that touch nothing until it is done."""
        return any(effect.kind == "ddl" for statement in self.statements for effect in statement.effects)

    @property
    def touches(self) -> bool:
        return bool(self.inputs) or any(s.outputs is not None or s.tables for s in self.statements)


FORWARD: Final = Plan()


@dataclass(frozen=True, slots=True)
class Rendered:
    """Text to send, and how far it shifted: spans as (client start, client end, server start, server end), bytes."""

    text: bytes
    spans: tuple[tuple[int, int, int, int], ...] = field(default=())

    def __repr__(self) -> str:
        return f"Rendered(<hidden {len(self.text)} bytes>, {len(self.spans)} spans)"


def render(plan: Plan, text: bytes, cut: Shape, replacements: Sequence[bytes]) -> Rendered:
    """The statement to send: `text` but for plan.edits.

    replacements: for each of plan.inputs the finished literal (b"'0190…'"); only those that an edit names are used.
    A blank is put where new text would run together with what stands beside it (`U&` before a token that replaces
    $$…$$ would make a Unicode string of it), and nowhere else.
    """
    if not plan.edits:
        return Rendered(text)
    parts: list[bytes] = []
    spans: list[tuple[int, int, int, int]] = []
    gap = length = 0
    for edit in plan.edits:
        start, end = offset(cut, edit.start), offset(cut, edit.end)
        new = _apart(text, start, end, edit.text if edit.input is None else replacements[edit.input])
        length += start - gap
        spans.append((start, end, length, length + len(new)))
        length += len(new)
        parts.append(text[gap:start])
        parts.append(new)
        gap = end
    parts.append(text[gap:])
    return Rendered(b"".join(parts), tuple(spans))


def _apart(text: bytes, start: int, end: int, new: bytes) -> bytes:
    """`new` for text[start:end], with a blank on either side where the lexer would read over the seam.

    Where the byte at the seam stays what it was, the seam was there before.
    """
    if not new:
        return b" " if _runs_together(text[max(start - 2, 0) : start], text[end : end + 1]) else b""
    if start == end or text[start : start + 1] != new[:1]:
        new = b" " + new if _runs_together(text[max(start - 2, 0) : start], new[:1]) else new
    if start == end or text[end - 1 : end] != new[-1:]:
        new = new + b" " if _runs_together(new[-2:], text[end : end + 1]) else new
    return new


_WORD: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$") | frozenset(
    range(128, 256)
)
_OPERATOR: Final = frozenset(b"~!@#^&|`?+-*/%<>=")


def _runs_together(before: bytes, after: bytes) -> bool:
    """Whether two neighbours may be one token: words, numbers and parameters, a prefix and its string, operators."""
    if not before or not after:
        return False
    last, first = before[-1], after[0]
    if first in b"'\"":
        return last in _WORD or last in b"'\"" or before.lower() == b"u&"
    return (last in _WORD and first in _WORD) or (last in _OPERATOR and first in _OPERATOR)


def client_offset(spans: tuple[tuple[int, int, int, int], ...], server_offset: int) -> int:
    """Byte offset in the client's text of a byte offset in what was sent; inside a replaced span: its start."""
    shift = 0
    for client_start, client_end, server_start, server_end in spans:
        if server_offset < server_start:
            break
        if server_offset < server_end:
            return client_start
        shift = client_end - server_end
    return server_offset + shift
