"""From fields of protected columns to what the principal sees in their place.

What a principal sees of a token is decided by the class of its vault entry (the answer's `Shown.level`); the column's
class decides the type that the client was told. The narrower of the two holds.
"""

from typing import Final, final

from proxy import tokens
from proxy.errors import Refusal
from proxy.policy.rules import Level
from proxy.policy.values import mask
from proxy.session.effects import Reveal, Revealed, Shown
from proxy.session.state import State
from proxy.session.statements import Bound
from proxy.sql.catalog import ProtectedColumn
from proxy.sql.plan import Output
from proxy.tokens import looks_like
from proxy.wire.messages import result_format
from proxy.wire.types import BadValue, Reading, TypeSpec, from_canonical, to_canonical

RANK: Final[dict[Level, int]] = {"deny": 0, "token": 1, "mask": 2, "reveal": 3}
TEXT: Final = TypeSpec("text", 25, -1)
MOMENTS: Final = frozenset(("date", "timestamp", "timestamptz"))
# Texts that are sent as they are stored, in UTF-8: nothing has to be padded or written anew, value by value.
AS_THEY_ARE: Final = frozenset(("text", "varchar"))
HOLDS_TOKEN: Final = frozenset(("text", "varchar", "bpchar", "uuid"))


@final
class Columns:
    """Protected columns of a result: their places, formats, and the principal's level for each column's class."""

    __slots__ = ("columns", "formats", "indexes", "levels", "width")

    def __init__(self, bound: Bound, outputs: tuple[Output | None, ...], fmt: int | None = None) -> None:
        """fmt: of all columns (COPY), None: as the portal's result formats say."""
        self.width = len(outputs)
        self.indexes = tuple([i for i, output in enumerate(outputs) if output is not None])
        self.columns = tuple([output.column for output in outputs if output is not None])
        self.formats = tuple([result_format(bound.formats, i) if fmt is None else fmt for i in self.indexes])
        self.levels = tuple([bound.access.level(column.class_name) for column in self.columns])

    def shown(self, fields: list[bytes | None]) -> int:
        """How many of the fields the principal sees in clear: what the `rows` cap counts."""
        width = len(self.indexes)
        clear = [at for at, level in enumerate(self.levels) if level == "reveal"]
        return sum([len(fields[at::width]) - fields[at::width].count(None) for at in clear])


def shown_type(column: ProtectedColumn, level: Level) -> TypeSpec:
    """The type that a client with this level is told. A masked moment is still a moment (policy.values), any other
    mask is a text; a token has the stored type."""
    if level == "reveal" or (level == "mask" and column.facade.name in MOMENTS):
        return column.facade
    return TEXT if level == "mask" else column.stored


def token_of(column: ProtectedColumn, fmt: int, field: bytes) -> bytes | None:
    """The token that the field holds, as text; None if it holds something else."""
    if fmt == 1 and column.stored.name == "uuid":
        field = tokens.from_binary(field) if len(field) == 16 else b""
    elif column.stored.name == "bpchar":
        field = field.rstrip(b" ")
    return field if looks_like(field) else None


def question(columns: Columns, fields: list[bytes | None], bound: Bound, reading: Reading) -> Reveal | None:
    """What has to be asked to show these fields (row by row, one a protected column); None: show them as they are."""
    width = len(columns.indexes)
    asked: dict[tuple[str, bytes], None] = {}
    plain: dict[tuple[str, bytes], None] = {}
    mixed: dict[str, None] = {}
    for at in range(width):
        column, fmt = columns.columns[at], columns.formats[at]
        skip = columns.levels[at] == "token"
        text = column.stored.name in AS_THEY_ARE
        name = column.class_name
        for field in set(fields[at::width]):
            if field is None:
                continue
            token = field if text and looks_like(field) else token_of(column, fmt, field)
            if token is None:
                plain[(name, plain_value(column, fmt, field, reading))] = None
                if column.deterministic and not column.mixed:
                    mixed[column.label] = None
            elif not skip:
                asked[(name, token)] = None
    if not asked and not plain:
        return None
    return Reveal(tuple(asked), tuple(plain), bound.context, tuple(mixed))


def plain_value(column: ProtectedColumn, fmt: int, field: bytes, reading: Reading) -> bytes:
    """A stored value that is no token, as UTF-8."""
    try:
        return to_canonical(TypeSpec(column.stored.name, column.stored.oid, column.stored.size), field, fmt, reading)
    except BadValue:
        return field


def replacements(
    columns: Columns, fields: list[bytes | None], answer: Revealed, state: State, reading: Reading
) -> list[bytes | None]:
    """What goes out in each field's place. Raises Refusal (a value that the client's encoding or type can't show)."""
    width = len(columns.indexes)
    shown: list[bytes | None] = [None] * len(fields)
    clear_values = answer.clear
    for at in range(width):
        clear = columns.levels[at] == "reveal" and not reading.client_encoding
        clear = clear and columns.columns[at].facade.name in AS_THEY_ARE
        column = fields[at::width]
        seen: dict[bytes | None, bytes | None] = {None: None}
        for field in column:
            if field in seen:
                continue
            assert field is not None
            ready = clear_values.get(field) if clear else None
            if ready is not None:
                seen[field] = ready
            else:
                seen[field] = _show(columns, at, field, answer, state, reading)
        shown[at::width] = [seen[field] for field in column]
    return shown


def _show(columns: Columns, at: int, field: bytes, answer: Revealed, state: State, reading: Reading) -> bytes | None:
    column, fmt, level = columns.columns[at], columns.formats[at], columns.levels[at]
    token = token_of(column, fmt, field)
    if token is not None and level == "token":
        return field
    if token is not None:
        found = answer.of(token)
    else:
        found = answer.plain.get((column.class_name, plain_value(column, fmt, field, reading)))
    if found is None:
        raise Refusal("vault-unavailable", f"no answer for a value of column {column.label}", column=column.label)
    if found.value is None:
        return None
    try:
        return _encoded(column, fmt, level, found, field, state, reading)
    except BadValue as bad:
        raise Refusal(bad.code, bad.message, column=column.label) from None


def _encoded(
    column: ProtectedColumn, fmt: int, level: Level, found: Shown, field: bytes, state: State, reading: Reading
) -> bytes:
    value = found.value
    assert value is not None
    rank = min(RANK[level], RANK[found.level])
    if rank == RANK["reveal"]:
        return from_canonical(column.facade, value, fmt, reading)
    if rank == RANK["mask"]:
        if found.level == "reveal" and state.world is not None:
            value = mask(state.world.policy.classes[column.class_name], value)
        return _masked(column, level, value, fmt, reading)
    return _token(column, level, value if found.level == "token" else field, fmt)


def _masked(column: ProtectedColumn, level: Level, value: bytes, fmt: int, reading: Reading) -> bytes:
    """A mask; a token of another class may give one that is not of the type that the client was told."""
    kind = shown_type(column, level)
    if kind.name not in MOMENTS and kind.name not in ("text", "varchar", "bpchar"):
        raise _other_class(column)
    return from_canonical(TypeSpec(kind.name, kind.oid, kind.size), value, fmt, reading)


def _token(column: ProtectedColumn, level: Level, value: bytes, fmt: int) -> bytes:
    kind = shown_type(column, level).name
    if kind not in HOLDS_TOKEN:
        raise _other_class(column)
    if kind == "uuid" and fmt == 1 and len(value) == 36:
        return tokens.to_binary(value)
    return value


def _other_class(column: ProtectedColumn) -> Refusal:
    return Refusal(
        "may-not-see",
        f"column {column.label} holds a token of another class, which can't be shown as {column.facade.name}",
        column=column.label,
    )
