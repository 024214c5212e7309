"""From a statement's text to its plan, and from its values to what the vault is asked for. Used by `ClientLane`.

One text is planned at a time: `plan` gives the plan, or asks for it and gives None; then the caller holds its message
and comes again with the same text when `waiting` has gone.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, final

from proxy.errors import Refusal
from proxy.policy.rules import ValueClass
from proxy.session import executing
from proxy.session.copy_in import reading_of, stored_as_they_are
from proxy.session.effects import Analyse, Context, Failure, Item
from proxy.session.permit import permit, permit_value
from proxy.session.reveal import MOMENTS, token_of
from proxy.session.slots import Wanted
from proxy.session.state import State
from proxy.session.statements import Bound, Prepared
from proxy.session.values import INTEGERS, items, read, sent_type
from proxy.session.world import Key, World
from proxy.sql.catalog import Snapshot
from proxy.sql.plan import Input, Output, Plan, StatementPlan
from proxy.sql.shape import NUMBERS, Shape, literal_value, shape
from proxy.wire.types import Reading, TypeSpec, parse_type

NUMERIC: Final = parse_type("numeric")
# Bytes of a text that is cut into its shape while all links wait, 2 s a MB where nothing is compiled. A longer one is
# cut when it has been understood, which is done elsewhere and bounded in time; of that there is no plan to be found.
MOST_CUT: Final = 256 << 10
UNCUT: Final = shape(b"", True)
# What may have been put right by another way than this proxy.
DOUBTED: Final = frozenset(("undefined-column", "undefined-table", "plaintext-rows", "foreign-tokens"))
UNREPORTED: Final = Refusal(
    "changed-in-transaction",
    "a setting that decides how statements and values are read has changed since the server was last ready",
    "Send Sync behind the statement that sets it.",
)


# What may bring former settings or tables back; what may change how dates in literals are read.
ENDS: Final = frozenset(("commit", "rollback", "rollback-to"))
ANY_SETTING: Final = frozenset(("reset-all", "unknown-setting"))
STYLES: Final = frozenset(("datestyle", "intervalstyle", "timezone"))
MIXED: Final = Refusal(
    "changed-in-transaction",
    "a statement of this text changes how the statements behind it are read",
    "Send it in a message of its own.",
)


def gives_moments(outputs: tuple[Output | None, ...] | None) -> bool:
    """Whether a result holds values that are written as DateStyle and TimeZone say."""
    return any(output is not None and output.column.facade.name in MOMENTS for output in outputs or ())


def same_text(plan: Plan, old: Plan) -> bool:
    """Whether both plans send the same statement with the same parameters."""
    return plan.edits == old.edits and plan.inputs == old.inputs and plan.params == old.params


@final
class Planned:
    """A text (UTF-8) with its shape and plan."""

    __slots__ = ("plan", "shape", "text")

    def __init__(self, text: bytes, cut: Shape, plan: Plan) -> None:
        self.text = text
        self.shape = cut
        self.plan = plan


@final
class Planner:
    """See the module."""

    __slots__ = ("_answer", "_cut", "_doubt", "_key", "_snapshot", "_state", "_ticket", "_world")

    def __init__(self, state: State) -> None:
        self._state = state
        self._ticket = 0
        self._answer: Plan | None = None
        self._doubt = ""  # what the catalog is being read for
        # what the plan that is being made is for
        self._cut: tuple[bytes, Shape] | None = None
        self._key: Key | None = None
        self._snapshot: Snapshot | None = None
        self._world: World | None = None

    @property
    def waiting(self) -> bool:
        """A plan is being made."""
        return self._ticket != 0

    @property
    def answered(self) -> bool:
        """The plan that the held message waited for is here; `plan` will give it."""
        return self._answer is not None

    def plain(self, text: bytes, utf8: bool = False) -> bool:
        """The touch test: true if the text can't touch anything protected and changes nothing that we follow.

        utf8: the text is UTF-8, whatever the client's encoding.
        """
        if self._answer is not None or self._state.naming > 0:
            return False
        snapshot = self._state.snapshot
        if snapshot is None:
            return True
        codec = self._state.settings.codec
        if not utf8 and codec != "" and not text.isascii():
            # What can't be read exactly can still be searched: an ASCII name has its own bytes in every encoding.
            return (
                codec is None and all(name.isascii() for name in snapshot.touches.names) and not snapshot.touches(text)
            )
        return not snapshot.touches(text)

    def outdated(self, text: bytes, utf8: bool = False) -> bool:
        """Whether the catalog has to be read anew before this text is planned: DDL elsewhere was seen since, and the
        text names something protected."""
        snapshot = self._state.snapshot
        if snapshot is None or self._answer is not None or not self._state.outdated:
            return False
        if not utf8 and self._state.settings.codec != "" and not text.isascii():
            return True
        return snapshot.touches.names_in(text)

    def plan(self, raw: bytes, utf8: bool = False) -> Planned | None:
        """The plan of a text, or None if it is being made. Raises Refusal: encoding, size, settings not known yet."""
        if self._answer is not None and self._cut is not None:
            plan, (text, cut) = self._answer, self._cut
            self._answer = self._cut = None
            return None if self._doubtful(plan) else Planned(text, cut, plan)
        self.be_certain()
        state = self._state
        text = raw if utf8 else self._utf8(raw)
        if len(text) > state.limits.statement:
            raise Refusal(
                "statement-too-large",
                f"a statement of {len(text)} bytes names something protected",
                f"Send at most {state.limits.statement} bytes a statement; use parameters for large values.",
            )
        conforming = state.settings.conforming
        cut = shape(text, conforming) if len(text) <= MOST_CUT else UNCUT
        key = (cut.key, conforming, state.path)
        if state.world is not None and state.snapshot is state.world.snapshot and cut is not UNCUT and not cut.fault:
            known = state.world.plans.get(key, text, cut)
            if known is not None:
                return None if self._doubtful(known) else Planned(text, cut, known)
        self._cut, self._key = (text, cut), key
        self._world, self._snapshot = state.world, state.snapshot
        self._ticket = state.ask(Analyse(text, conforming, key[2], state.snapshot), self)
        return None

    def again(self, statement: Prepared) -> Plan | None:
        """Of a statement that was planned for another catalog, policy or search_path."""
        try:
            planned = self.plan(statement.text, statement.utf8)
        except Refusal as refusal:
            return Plan(refusal=replace(refusal))
        if planned is None:
            return None
        statement.shape = planned.shape
        return planned.plan

    def _doubtful(self, plan: Plan) -> bool:
        """Whether the plan says that something is not there, or is there that should not be, and nobody has looked for
        that: it may have been changed by another way than this proxy. The message comes again when one has."""
        state, refusal = self._state, plan.refusal
        doubt = "" if refusal is None or refusal.code not in DOUBTED else refusal.message
        if not doubt or doubt == self._doubt:
            self._doubt = ""
            return False
        self._doubt = doubt
        state.catalog_due = state.doubted = True
        return True

    def be_certain(self) -> None:
        """Raises Refusal while a setting that text is read by has changed and was not reported yet."""
        if self._state.settings.unreported:
            raise Refusal(
                "unsupported-statement",
                "a setting that decides how statements are read has changed, and the server has not reported it yet",
                "Send Sync before the next statement on protected tables.",
            )

    def answer(self, ticket: int, result: object) -> None:
        """A plan for a world that is gone meanwhile is no answer: the held message asks again."""
        assert ticket == self._ticket and self._cut is not None and self._key is not None  # one is made at a time
        self._ticket = 0
        if self._snapshot is not self._state.snapshot:
            self._cut = None
            return
        if isinstance(result, Failure):
            self._answer = Plan(refusal=result.refusal)
            return
        assert isinstance(result, Plan)
        self._answer = result
        text, cut = self._cut
        if cut is UNCUT:
            self._cut = (text, cut if result.refusal is not None else shape(text, self._key[1]))
            return
        placed = result.refusal is not None and result.refusal.position  # holds for this text's literals only
        if self._world is not None and self._snapshot is self._world.snapshot and not cut.fault and not placed:
            self._world.plans.put(self._key, text, cut, result)

    def _utf8(self, raw: bytes) -> bytes:
        codec = self._state.settings.codec
        if codec is None:
            name = self._state.settings.reported.get("client_encoding", "")
            raise Refusal(
                "unsupported-encoding",
                f"client_encoding {name} can't be read exactly in statements on protected tables",
                "SET client_encoding = 'UTF8'.",
            )
        try:
            return raw.decode(codec or "utf-8").encode()
        except UnicodeDecodeError:
            message = f'invalid byte sequence for encoding "{codec or "UTF8"}"'
            raise Refusal("encoding-invalid", message, "Check client_encoding.") from None

    # ---- rights and values

    def read_at_once(self, plan: Plan) -> None:
        """Raises Refusal if, of several statements in a text, one changes what those behind it are read by, or how the
        values that they give are written."""
        passing = self._state.passing
        styled = bool(plan.inputs) or any(gives_moments(statement.outputs) for statement in plan.statements)
        for statement in plan.statements[:-1]:
            for effect in statement.effects:
                ends = passing and effect.kind in ENDS
                if ends or (styled and (effect.kind in ANY_SETTING or effect.name in STYLES)):
                    raise replace(MIXED)

    def allow(self, plan: Plan) -> None:
        """Raises Refusal if the principal may not run the plan."""
        state = self._state
        assert state.access is not None
        plan = self._fetching(plan)
        permit(plan, state.access, state.settings.declared_purpose)
        for statement in plan.statements:
            if statement.copy is not None:
                self.be_certain()
                reading_of(statement.copy, state.settings)
        executing.allow(state, plan)

    def _fetching(self, plan: Plan) -> Plan:
        """The plan with what its FETCHes get: from a cursor of the same text, or from a portal that is there."""
        effects = [effect for statement in plan.statements for effect in statement.effects]
        names = {effect.name for effect in effects if effect.kind == "fetch" and effect.name is not None}
        if not names:
            return plan
        cursors: dict[str, tuple[StatementPlan, ...]] = {}
        for name in names:
            portal = self._state.portals.get(name.encode())
            if portal is not None:
                cursors[name] = portal.plan.statements[:1]
        statements: list[StatementPlan] = []
        for statement in plan.statements:
            for effect in statement.effects:
                if effect.kind == "declare" and effect.name is not None:
                    made = statement.cursor
                    cursors[effect.name] = () if made is None else (replace(statement, outputs=made.outputs),)
                elif effect.kind == "fetch" and effect.name is not None and cursors.get(effect.name):
                    (cursor,) = cursors[effect.name]
                    statement = replace(statement, tables=cursor.tables, outputs=cursor.outputs)
            statements.append(statement)
        return replace(plan, statements=tuple(statements))

    def bound(self, plan: Plan, context: Context, formats: tuple[int, ...]) -> Bound:
        state = self._state
        assert state.access is not None
        return Bound(executing.based(state, self._fetching(plan)), state.access, context, formats, state.next_serial())

    def copied(self, place: Input, fields: Sequence[bytes], fmt: int, reading: Reading) -> Wanted:
        """The values of fields of COPY that go into one column. Raises Refusal."""
        state = self._state
        assert state.world is not None and state.access is not None
        facade, kind = place.column.facade, state.world.policy.classes[place.column.class_name]
        if self._writes_tokens(place):
            values = tuple([self._copied_through(place, field, fmt, reading, kind) for field in fields])
        elif stored_as_they_are(fields, facade, kind, reading):
            values = tuple(fields)
        else:
            source = TypeSpec(facade.name, facade.oid, facade.size)
            values = tuple([value for field in fields for value in read(place, source, field, fmt, reading, kind)])
        return Wanted(values, items(place, values, state.access), True)

    def _copied_through(self, place: Input, field: bytes, fmt: int, reading: Reading, kind: ValueClass) -> bytes | None:
        """The token that the field holds, else its value."""
        token = token_of(place.column, fmt, field)
        facade = place.column.facade
        source = TypeSpec(facade.name, facade.oid, facade.size)
        return token or read(place, source, field, fmt, reading, kind)[0]

    def _writes_tokens(self, place: Input) -> bool:
        access = self._state.access
        assert access is not None
        return place.column.write_tokens or access.writes_tokens(place.column.class_name)

    def _written_through(self, place: Input, fmt: int, data: bytes) -> Wanted | None:
        """A token of one who writes tokens stands for itself, whatever the type of its value is."""
        name = place.column.class_name
        if place.array or not self._writes_tokens(place):
            return None
        token = token_of(place.column, fmt, data)
        return None if token is None else Wanted((token,), (Item(name, token, True),), place.use == "write")

    def literal(self, planned: Planned, place: Input) -> Wanted:
        """The value of a literal input. Raises Refusal."""
        assert place.literal is not None
        settings = self._state.settings
        data = literal_value(planned.text, planned.shape, place.literal, settings.conforming, settings.byte_escapes)
        if place.negative:
            data = b"-" + data
        source = sent_type(place, 0)
        if planned.shape.kinds[place.literal] in NUMBERS and source.name in INTEGERS:
            source = NUMERIC  # it has a type that holds it: bigint and numeric are compared with an integer column too
        return self.wanted(place, source, data, 0)

    def wanted(self, place: Input, source: TypeSpec, data: bytes, fmt: int) -> Wanted:
        """The values at an input. Raises Refusal."""
        state = self._state
        assert state.world is not None and state.access is not None
        if state.settings.unreported:
            raise replace(UNREPORTED)
        token = self._written_through(place, fmt, data)
        if token is not None:
            return token
        if not place.array:  # of an array the vault says which elements are tokens
            permit_value(place, state.access)
        reading = state.settings.literal_reading if place.literal is not None else state.settings.reading
        values = read(place, source, data, fmt, reading, state.world.policy.classes[place.column.class_name])
        return Wanted(values, items(place, values, state.access), place.use == "write")
