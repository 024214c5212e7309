"""One statement on two connections, a plaintext database direct and a tokenised one through pgveil, four ways each;
what a client can see must be the same.

Compared: rows (as the client's bytes, before any decoding), column names, type OIDs, command tags, SQLSTATE,
transaction status. Not compared: texts of errors, and by default the order of rows where a statement has no ORDER BY.
The rule of the differential tests: equal, or SQLSTATE 0A000 through pgveil; anything else is wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, cast

import psycopg
from psycopg import pq

Way = Literal["simple", "text", "binary", "prepared"]
WAYS: Final[tuple[Way, ...]] = ("simple", "text", "binary", "prepared")
Verdict = Literal["equal", "refused", "wrong"]
REFUSED: Final = "0A000"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one result says. columns: (name, type OID, typmod). rows: field bytes, None for NULL. status: I, T or E."""

    tag: str
    sqlstate: str
    columns: tuple[tuple[str, int, int], ...]
    rows: tuple[tuple[bytes | None, ...], ...]
    status: str

    def unordered(self) -> "Outcome":
        return replace(self, rows=tuple(sorted(self.rows, key=repr)))

    def __repr__(self) -> str:
        return f"Outcome({self.tag or self.sqlstate}, {self.columns}, {len(self.rows)} rows, {self.status})"


@dataclass(frozen=True, slots=True)
class Difference:
    """A statement with what both sides said."""

    sql: str
    way: Way
    verdict: Verdict
    direct: tuple[Outcome, ...]
    through: tuple[Outcome, ...]

    def __str__(self) -> str:
        lines = [f"{self.verdict} ({self.way}): {self.sql}", f"  direct:  {list(self.direct)}"]
        lines.append(f"  through: {list(self.through)}")
        return "\n".join([*lines, *self._first_rows()])

    def _first_rows(self) -> list[str]:
        for direct, through in zip(self.direct, self.through, strict=False):
            for a, b in zip(direct.rows, through.rows, strict=False):
                if a != b:
                    return [f"  first rows that differ: {a} {b}"]
        return []


def outcomes(
    connection: "psycopg.Connection[Any]", sql: str, params: Sequence[bytes | None] = (), way: Way = "text"
) -> tuple[Outcome, ...]:
    """Run it that way. params: as text, for the ways that have any; ValueError for 'simple' with parameters."""
    wire = connection.pgconn
    text = sql.encode(connection.info.encoding)
    if way == "simple":
        if params:
            raise ValueError("a simple Query has no parameters")
        results = _simple(wire, text)
    elif way == "prepared":
        results = _prepared(wire, text, params)
    else:
        results = [wire.exec_params(text, params, result_format=int(way == "binary"))]
    return tuple(_outcome(wire, result) for result in results)


def _simple(wire: pq.abc.PGconn, text: bytes) -> list[pq.abc.PGresult]:
    wire.send_query(text)
    out = []
    while result := wire.get_result():
        out.append(result)
    return out


def _prepared(wire: pq.abc.PGconn, text: bytes, params: Sequence[bytes | None]) -> list[pq.abc.PGresult]:
    """Parse, Describe, Bind, Execute with a name, each with its own Sync; then the name is given back."""
    prepared = wire.prepare(b"differ", text)
    if prepared.status != pq.ExecStatus.COMMAND_OK:
        return [prepared]
    described = wire.describe_prepared(b"differ")
    done = wire.exec_prepared(b"differ", cast(Any, params))  # None is NULL, whatever its annotation says
    if wire.transaction_status != pq.TransactionStatus.INERROR:
        wire.exec_(b"DEALLOCATE differ")
    return [described, done]


def _outcome(wire: pq.abc.PGconn, result: pq.abc.PGresult) -> Outcome:
    state = result.error_field(pq.DiagnosticField.SQLSTATE)
    names = [(result.fname(i) or b"").decode() for i in range(result.nfields)]
    columns = tuple((name, result.ftype(i), result.fmod(i)) for i, name in enumerate(names))
    rows = tuple(tuple(result.get_value(r, c) for c in range(result.nfields)) for r in range(result.ntuples))
    tag = (result.command_status or b"").decode()
    return Outcome(
        tag, state.decode() if state else "", columns, rows, pq.TransactionStatus(wire.transaction_status).name
    )


def judge(sql: str, way: Way, direct: tuple[Outcome, ...], through: tuple[Outcome, ...]) -> Difference:
    """equal; refused: it ended with 0A000 and what came before is the same; wrong."""
    a, b = (direct, through) if "order by" in sql.lower() else (_unordered(direct), _unordered(through))
    if a == b:
        return Difference(sql, way, "equal", direct, through)
    refused = bool(b) and b[-1].sqlstate == REFUSED and b[:-1] == a[: len(b) - 1]
    return Difference(sql, way, "refused" if refused else "wrong", direct, through)


def _unordered(results: tuple[Outcome, ...]) -> tuple[Outcome, ...]:
    return tuple(result.unordered() for result in results)


class Differ:
    """Two connections kept in step. `run` after `run`; a failed transaction is rolled back on both by `reset`."""

    def __init__(
        self, direct: Callable[[], "psycopg.Connection[Any]"], through: Callable[[], "psycopg.Connection[Any]"]
    ) -> None:
        self.direct, self.through = direct(), through()

    def run(self, sql: str, params: Sequence[bytes | None] = (), way: Way = "text") -> Difference:
        """Both run it, once."""
        return judge(sql, way, outcomes(self.direct, sql, params, way), outcomes(self.through, sql, params, way))

    def run_undone(self, sql: str, params: Sequence[bytes | None] = ()) -> list[Difference]:
        """Every way that fits, each in a transaction of its own that is rolled back: for statements that write."""
        out = []
        for way in WAYS if not params else WAYS[1:]:
            self._both(b"BEGIN")
            out.append(self.run(sql, params, way))
            self._both(b"ROLLBACK")
        return out

    def reset(self) -> None:
        self._both(b"ROLLBACK")

    def _both(self, command: bytes) -> None:
        for connection in (self.direct, self.through):
            connection.pgconn.exec_(command)

    def close(self) -> None:
        self.direct.close()
        self.through.close()
