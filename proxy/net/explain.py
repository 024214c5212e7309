"""What pgveil would do with a statement, in words: for `pgveil policy explain`.

Nothing is run and no value is shown: literals are named by their place in the text.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.errors import Refusal
from proxy.sql.analyze import analyse
from proxy.sql.catalog import Snapshot, split_path
from proxy.sql.plan import Input, Plan, StatementPlan

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Explanation:
    """outcome: 'passed' (nothing protected is in it), 'protected' or 'refused'. inputs: values that become tokens or
    are looked for. outputs: result columns that are revealed. refusal: what a client is told, None without one."""

    outcome: str
    inputs: tuple[Row, ...] = ()
    outputs: tuple[Row, ...] = ()
    refusal: Row | None = None

    def as_json(self) -> Row:
        return {
            "outcome": self.outcome,
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "refusal": self.refusal,
        }

    def lines(self) -> list[str]:
        """For people."""
        lines = [self.outcome]
        for row in self.inputs:
            lines.append(f"  {row['use']} {row['column']} (class {row['class']}): {row['place']}")
        for row in self.outputs:
            lines.append(f"  reveal {row['column']} (class {row['class']}): result column {row['place']}")
        if self.refusal is not None:
            lines += [f"  {name}: {value}" for name, value in self.refusal.items() if value]
        return lines


def explain(text: bytes, snapshot: Snapshot, user: str) -> Explanation:
    """text: UTF-8, one statement or several, as a simple Query brings them. user: whose search_path counts."""
    if not snapshot.touches(text):
        return Explanation("passed")
    plan = analyse(text, True, _path(snapshot, user), snapshot)
    if plan.refusal is not None:
        return Explanation("refused", refusal=_refusal(plan.refusal))
    outputs = tuple(row for number, each in enumerate(plan.statements, 1) for row in _outputs(plan, number, each))
    return Explanation("protected" if plan.touches else "passed", tuple(map(_input, plan.inputs)), outputs)


def _input(place: Input) -> Row:
    where = f"literal {place.literal + 1}" if place.literal is not None else f"${place.param}"
    return {
        "use": place.use,
        "column": place.column.label,
        "class": place.column.class_name,
        "place": where + (" (an array)" if place.array else ""),
    }


def _outputs(plan: Plan, number: int, statement: StatementPlan) -> list[Row]:
    prefix = f"{number}." if len(plan.statements) > 1 else ""
    return [
        {"column": output.column.label, "class": output.column.class_name, "place": f"{prefix}{at}"}
        for at, output in enumerate(statement.outputs or (), 1)
        if output is not None
    ]


def _refusal(refusal: Refusal) -> Row:
    return {
        "code": refusal.code,
        "sqlstate": refusal.sqlstate,
        "message": refusal.message,
        "detail": refusal.detail,
        "hint": refusal.hint,
        "column": refusal.column,
        "position": refusal.position,
    }


def _path(snapshot: Snapshot, user: str) -> tuple[str, ...] | None:
    """With which a session of the user's starts; None if that is not known."""
    try:
        if snapshot.switches_role(user):
            return None
        return snapshot.path(split_path(snapshot.search_path_of(user), user), user)
    except ValueError:
        return None
