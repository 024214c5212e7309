"""One text on two connections, a plaintext database direct and its tokenised twin through pgveil, in one way of the
protocol; what a client can see must be the same.

Compared: rows as the client's bytes, column names, type OIDs and modifiers, parameter types, command tags, transaction
status, and of an error SQLSTATE, all texts, position and object names. Order of rows only where the text orders them.

`step` asks pgveil first. Where it refuses, the plaintext side gets a statement that fails in the same way instead, so
both stay in the same state and nothing happened on either.
"""

import itertools
import re
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final, Literal, cast

import psycopg
from psycopg import pq

# bytes go as they are, in text format, whatever the parameter's type.
Param = str | bytes | None | list[str | None]
Way = Literal["simple", "text", "binary", "prepared"]
Verdict = Literal["equal", "refused", "wrong"]
WAYS: Final[tuple[Way, ...]] = ("simple", "text", "binary", "prepared")
FIELDS: Final = (
    pq.DiagnosticField.SEVERITY, pq.DiagnosticField.SQLSTATE, pq.DiagnosticField.MESSAGE_PRIMARY,
    pq.DiagnosticField.MESSAGE_DETAIL, pq.DiagnosticField.MESSAGE_HINT, pq.DiagnosticField.STATEMENT_POSITION,
    pq.DiagnosticField.SCHEMA_NAME, pq.DiagnosticField.TABLE_NAME, pq.DiagnosticField.COLUMN_NAME,
    pq.DiagnosticField.DATATYPE_NAME, pq.DiagnosticField.CONSTRAINT_NAME,
)  # fmt: skip
REFUSED: Final = ("0A000", "54000")
FAILS: Final = "SELECT pgveil.refused"  # 42P01 when parsed, as a refusal is
_BRACKETS: Final = re.compile(r"\([^()]*\)")
_NAMES = itertools.count()
Cell = bytes | None
Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Outcome:
    """What one result says. report: FIELDS of an error; routine: its R field, 'pgveil' for one of ours."""

    tag: str
    report: tuple[Cell, ...]
    columns: tuple[tuple[bytes, int, int, int], ...]
    parameters: tuple[int, ...]
    rows: tuple[tuple[Cell, ...], ...]
    status: str
    routine: str = ""

    @property
    def sqlstate(self) -> str:
        """Empty where it is no error."""
        return (self.report[1] or b"").decode()

    def comparable(self, ordered: bool) -> "Outcome":
        rows = self.rows if ordered else tuple(sorted(self.rows, key=repr))
        return replace(self, rows=rows, routine="")


@dataclass(frozen=True)
class Step:
    """A text, how it was sent, and what both sides said."""

    sql: str
    params: tuple[Param, ...]
    way: Way
    verdict: Verdict
    direct: tuple[Outcome, ...]
    through: tuple[Outcome, ...]

    def __str__(self) -> str:
        lines = [f"{self.verdict} ({self.way}): {self.sql}"]
        lines += [f"  with: {list(self.params)}"] if self.params else []
        for name, outcomes in (("direct", self.direct), ("through", self.through)):
            lines += [f"  {name}: {_short(outcome)}" for outcome in outcomes]
        return "\n".join(lines)


def _short(outcome: Outcome) -> str:
    report = [part.decode(errors="replace") for part in outcome.report if part is not None]
    rows = list(outcome.rows[:12])
    return f"{outcome.tag or report} {list(outcome.columns)} {list(outcome.parameters)} {rows} {outcome.status}"


class Pair:
    """Two connections kept in step: a plaintext database direct, its tokenised twin through pgveil."""

    def __init__(self, direct: Connection, through: Connection) -> None:
        self.direct, self.through = direct, through

    def close(self) -> None:
        self.direct.close()
        self.through.close()

    def step(self, sql: str, params: Sequence[Param] = (), way: Way = "text") -> Step:
        """Both run it, once, in that way. A simple Query has no parameters: use another way."""
        through = outcomes(self.through, sql, params, way)
        code = refusal(through)
        if code not in REFUSED:
            return judge(sql, params, way, outcomes(self.direct, sql, params, way), through)
        direct = outcomes(self.direct, FAILS, (), way)
        in_step = direct[-1].status == through[-1].status
        return Step(sql, tuple(params), way, "refused" if in_step else "wrong", direct, through)

    def both(self, command: str) -> None:
        for connection in (self.direct, self.through):
            done = connection.pgconn.exec_(command.encode())
            assert done.status == pq.ExecStatus.COMMAND_OK, done.error_message

    def undone(self, sql: str, params: Sequence[Param], way: Way) -> Step:
        """The same in a transaction that is rolled back."""
        self.both("BEGIN")
        step = self.step(sql, params, way)
        self.both("ROLLBACK")
        return step


def judge(
    sql: str, params: Sequence[Param], way: Way, direct: tuple[Outcome, ...], through: tuple[Outcome, ...]
) -> Step:
    """What both said to a text that was not refused: equal or wrong."""
    same = _equal(direct, through, "order by" in _outermost(sql.lower()))
    return Step(sql, tuple(params), way, "equal" if same else "wrong", direct, through)


def _outermost(sql: str) -> str:
    """Without what stands in brackets: a window or a subquery orders no result."""
    shorter = _BRACKETS.sub("", sql)
    return sql if shorter == sql else _outermost(shorter)


def _equal(direct: tuple[Outcome, ...], through: tuple[Outcome, ...], ordered: bool) -> bool:
    if refusal(through) is not None:
        if not _says_the_same(direct[-1], through[-1]):
            return False
        # A literal's fault is seen when the text is parsed here, and when it runs there.
        direct, through = direct[: len(through) - 1], through[:-1]
    return [a.comparable(ordered) for a in direct] == [b.comparable(ordered) for b in through]


def _says_the_same(direct: Outcome, through: Outcome) -> bool:
    """An error that pgveil found in a value in the server's stead: same SQLSTATE; its words leave the value out."""
    return direct.report[1] == through.report[1] and direct.status == through.status


def refusal(found: tuple[Outcome, ...]) -> str | None:
    """The SQLSTATE of pgveil's own error, if the last outcome is one."""
    if not found or found[-1].routine != "pgveil":
        return None
    return found[-1].sqlstate


def outcomes(connection: Connection, sql: str, params: Sequence[Param] = (), way: Way = "text") -> tuple[Outcome, ...]:
    """What that connection says to it. A simple Query has no parameters."""
    wire = connection.pgconn
    text = sql.encode(connection.info.encoding)
    given = [_text(param) for param in params]
    if way == "simple":
        assert not params
        wire.send_query(text)
        return _arriving(wire)
    if way == "text":
        wire.send_query_params(text, given)
        return _arriving(wire)
    found = _named(wire, text, params, binary=way == "binary")
    return tuple(_outcome(wire, result) for result in found)


def _arriving(wire: pq.abc.PGconn) -> tuple[Outcome, ...]:
    """Every result; a COPY's rows are those of its own, nothing is sent where one waits for data."""
    found = []
    while result := wire.get_result():
        found.append((result, _copied(wire, result)))
    return tuple(
        replace(_outcome(wire, result), rows=rows) if rows else _outcome(wire, result) for result, rows in found
    )


def _copied(wire: pq.abc.PGconn, result: pq.abc.PGresult) -> tuple[tuple[Cell, ...], ...]:
    rows: list[tuple[Cell, ...]] = []
    if result.status == pq.ExecStatus.COPY_IN:
        wire.put_copy_end()
    while result.status == pq.ExecStatus.COPY_OUT and (got := wire.get_copy_data(0))[0] > 0:
        rows.append((bytes(got[1]),))
    return tuple(rows)


def _named(wire: pq.abc.PGconn, text: bytes, params: Sequence[Param], binary: bool) -> list[pq.abc.PGresult]:
    """Parse, Describe, Bind and Execute with a name, each with its own Sync; then the name is given back."""
    name = b"differ%d" % next(_NAMES)
    parsed = wire.prepare(name, text)
    if parsed.status != pq.ExecStatus.COMMAND_OK:
        return [parsed]
    described = wire.describe_prepared(name)
    oids = [described.param_type(i) for i in range(described.nparams)]
    cells = [_binary(p, oid) if binary else (_text(p), 0) for p, oid in zip(params, oids, strict=False)]
    values, formats = [cell for cell, _ in cells], [pq.Format(code) for _, code in cells]
    done = wire.exec_prepared(name, cast(Any, values), formats, pq.Format(int(binary)))
    if wire.transaction_status != pq.TransactionStatus.INERROR:
        wire.exec_(b"DEALLOCATE " + name)
    return [described, done]


def _outcome(wire: pq.abc.PGconn, result: pq.abc.PGresult) -> Outcome:
    columns = tuple(
        (result.fname(i) or b"", result.ftype(i), result.fmod(i), result.fformat(i)) for i in range(result.nfields)
    )
    rows = tuple(tuple(result.get_value(r, c) for c in range(result.nfields)) for r in range(result.ntuples))
    return Outcome(
        (result.command_status or b"").decode(),
        tuple(result.error_field(field) for field in FIELDS),
        columns,
        tuple(result.param_type(i) for i in range(result.nparams)),
        rows,
        pq.TransactionStatus(wire.transaction_status).name,
        (result.error_field(pq.DiagnosticField.SOURCE_FUNCTION) or b"").decode(),
    )


# ---- parameters --------------------------------------------------------------------------------------------------


def _text(param: Param) -> Cell:
    if isinstance(param, list):
        return ("{" + ",".join(map(_element, param)) + "}").encode()
    return param.encode() if isinstance(param, str) else param


def _element(value: str | None) -> str:
    return "NULL" if value is None else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


_INTEGERS: Final = {21: "!h", 23: "!i", 20: "!q"}
_EPOCH: Final = date(2000, 1, 1)


def _binary(param: Param, oid: int) -> tuple[Cell, int]:
    """(bytes, format) for a parameter of that type: binary where it is written here, else text."""
    if isinstance(param, list):
        return (_array(param), 1) if oid in (1009, 1015) else (_text(param), 0)
    if param is None:
        return None, 1
    if isinstance(param, bytes):
        return param, 0
    try:
        if oid in _INTEGERS:
            return struct.pack(_INTEGERS[oid], int(param)), 1
        if oid == 2950:
            return uuid.UUID(param).bytes, 1
        if oid == 1082:
            return struct.pack("!i", (date.fromisoformat(param) - _EPOCH).days), 1
    except (ValueError, struct.error):
        return param.encode(), 0
    return param.encode(), int(oid in (25, 1042, 1043))


def _array(values: list[str | None]) -> bytes:
    """As array_send() writes a one-dimensional text[]."""
    parts = [struct.pack("!iiI", 1 if values else 0, int(None in values), 25)]
    parts += [struct.pack("!ii", len(values), 1)] if values else []
    for value in values:
        data = b"" if value is None else value.encode()
        parts.append(struct.pack("!i", -1 if value is None else len(data)) + data)
    return b"".join(parts)
