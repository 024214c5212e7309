"""EXECUTE of statements that SQL PREPARE made: its plan is that of the text with what the statement takes and returns.

A name stands for what the server confirmed last, since PREPARE and DEALLOCATE are barriers; a portal that runs EXECUTE
is looked at again when it is run. A PREPAREd statement holds for the policy, the catalog and the search_path that it
was planned for. Not here: statements of the protocol (`session.statements`).
"""

from dataclasses import replace
from typing import Protocol, final

from proxy.errors import Refusal
from proxy.session import ledger
from proxy.session.effects import Context
from proxy.session.ledger import Owed
from proxy.session.outgoing import FAILING_BIND, FAILING_EXECUTE
from proxy.session.permit import permit_again
from proxy.session.slots import Place
from proxy.session.state import State
from proxy.session.statements import Bound
from proxy.sql.plan import Execution, Plan, PreparedPlan, StatementPlan
from proxy.sql.prepare import bound_to


def resolved(state: State, plan: Plan) -> Plan:
    """The plan with the inputs and outputs of the statements that it EXECUTEs. Raises Refusal."""
    if not any(statement.execution is not None for statement in plan.statements):
        return plan
    made: set[str | None] = set()  # by earlier statements of the same text; those touch nothing protected
    for index, statement in enumerate(plan.statements):
        made.update([effect.name for effect in statement.effects if effect.kind == "prepare"])
        run = statement.execution
        known = None if run is None or run.name in made else state.prepared.get(run.name.encode())
        if run is not None and known is not None and known.touches and run.name.encode() not in state.statements:
            plan = _with(plan, index, statement, run, known)
    return plan


def _with(plan: Plan, index: int, statement: StatementPlan, run: Execution, known: PreparedPlan) -> Plan:
    inputs, edits = bound_to(known, run)
    first = len(plan.inputs)
    moved = [replace(edit, input=first + edit.input) for edit in edits if edit.input is not None]
    statements = list(plan.statements)
    statements[index] = replace(
        statement, tag=known.tag, tables=known.tables, outputs=known.outputs if run.shows else None, reads=known.reads,
        execution=replace(run, known=known),
    )  # fmt: skip
    return replace(
        plan,
        statements=tuple(statements),
        inputs=plan.inputs + inputs,
        edits=tuple(sorted([*plan.edits, *moved], key=lambda edit: edit.start)),
        written=plan.written + known.written,
        guessed=plan.guessed + known.guessed,
    )


def allow(state: State, plan: Plan) -> None:
    """Raises Refusal for what PREPARE and EXECUTE may not do now."""
    made: set[str] = set()
    for statement in plan.statements:
        for effect in statement.effects:
            if effect.name is None:
                continue
            if effect.kind == "prepare":
                made.add(effect.name)
                _bounded(state)
            elif effect.kind == "execute" and effect.name not in made:
                _execute(state, effect.name.encode(), statement.execution)


def _bounded(state: State) -> None:
    """The names of SQL PREPARE are kept as long as the connection."""
    most = state.limits.statements
    if len(state.prepared) >= most:
        raise Refusal("statement-too-large", f"more than {most} prepared statements", "DEALLOCATE some.")


def _execute(state: State, name: bytes, run: Execution | None) -> None:
    statement, known = state.statements.get(name), state.prepared.get(name)
    if statement is None and known is None:
        shown = name.decode("utf-8", "replace")
        hint = "It was not prepared on this connection, or its PREPARE was refused."
        raise Refusal("unknown-statement", f'prepared statement "{shown}" does not exist', hint)
    if statement is not None and not statement.plain:
        raise Refusal(
            "unsupported-statement",
            "EXECUTE of a statement on protected columns that was prepared by protocol messages",
            "Use Bind and Execute messages.",
        )
    meant = None if run is None else run.known
    if known is None and meant is None:
        return
    if known is not None and known.touches and (statement is not None or meant is None):
        raise Refusal(
            "unsupported-statement",
            "EXECUTE of a statement on protected columns in another statement",
            "EXECUTE it by itself.",
        )
    if known is None or (meant is not None and known is not meant) or known.basis != state.basis():
        raise stale()


def stale() -> Refusal:
    """The server's own words for a plan that changed."""
    hint = "Policy, catalog or search_path changed since it was prepared: DEALLOCATE it and PREPARE it again."
    return Refusal("plan-changed", "cached plan must not change result type", hint)


def _bindable(state: State, name: bytes) -> None:
    """Raises Refusal unless a Bind message may use the statement that SQL made."""
    known = state.prepared.get(name)
    if known is not None and known.touches:
        raise Refusal(
            "unsupported-statement",
            "a Bind message for a statement on protected columns that SQL PREPARE made",
            "EXECUTE it, or prepare it by a Parse message.",
        )
    if known is not None and known.basis != state.basis():
        raise stale()


def based(state: State, plan: Plan) -> Plan:
    """The plan whose PREPAREs know what they are made for."""
    if not any(statement.prepared is not None for statement in plan.statements):
        return plan
    basis = state.basis()
    statements = [
        s if s.prepared is None else replace(s, prepared=replace(s.prepared, basis=basis)) for s in plan.statements
    ]
    return replace(plan, statements=tuple(statements))


class ByNameLane(Protocol):
    """What the client's lane does with them."""

    state: State

    def send(self, data: bytes, owed: Owed | None) -> None: ...

    def wait(self, place: Place) -> None: ...

    def unbound(self, portal: bytes) -> Owed: ...

    def note(self, refusal: Refusal, about: Context | None) -> None: ...


@final
class ByName:
    """Messages that run what SQL made."""

    __slots__ = ("_lane",)

    def __init__(self, lane: ByNameLane) -> None:
        self._lane = lane

    def bind(self, name: bytes, portal: bytes, frame: bytes) -> None:
        """A Bind of a statement that no message of ours has made."""
        try:
            _bindable(self._lane.state, name)
        except Refusal as refusal:
            self._refuse(FAILING_BIND, Owed(ledger.BIND), refusal)
            return
        self._lane.send(frame, self._lane.unbound(portal))

    def may_run(self, bound: Bound, place: Place) -> bool:
        """Whether a portal may be run as it was bound, and the statements that it runs by name are what they were then.
        False: the message is held, or refused."""
        state = self._lane.state
        assert state.access is not None
        named = any(effect.kind == "execute" for statement in bound.plan.statements for effect in statement.effects)
        if named and state.barriers > 0:
            self._lane.wait(place)
            return False
        try:
            if state.access is not bound.access or state.access.require_purpose:
                permit_again(bound.plan, bound.access, state.access, state.settings.declared_purpose)
            if named:
                allow(state, bound.plan)
        except Refusal as refusal:
            self._refuse(FAILING_EXECUTE, Owed(ledger.EXECUTE), refusal)
            return False
        return True

    def _refuse(self, failing: bytes, owed: Owed, refusal: Refusal) -> None:
        owed.refusal = refusal
        self._lane.send(failing, owed)
        self._lane.note(refusal, None)
