"""Descriptions and reports on their way to the client: RowDescription, ParameterDescription, errors, notices.

Clients see the types and texts of a plaintext database, as far as they may; `pgveil` never adds what they may not.
"""

import re
from typing import Final

from proxy import tokens
from proxy.errors import Refusal
from proxy.session.effects import Reveal, Revealed
from proxy.session.ledger import Owed
from proxy.session.outgoing import client_params, server_params
from proxy.session.reveal import shown_type
from proxy.session.state import State
from proxy.session.statements import Bound, Prepared
from proxy.session.values import UNKNOWN_OIDS
from proxy.sql.catalog import Snapshot
from proxy.sql.plan import Output, Plan, Rendered, client_offset
from proxy.wire import messages
from proxy.wire.types import array_oid, parse_type

Fields = list[tuple[bytes, bytes]]
TEXTS: Final = (b"M", b"D", b"H", b"W", b"q")
# What of an error may quote a row: detail, context, internal query. SQLSTATE class 22 quotes operands in its message.
ROW_TEXTS: Final = (b"D", b"W", b"q")
# Violated constraints whose report names the table that the row is of: not null, unique, check, exclusion, foreign key.
CONSTRAINTS: Final = frozenset((b"23502", b"23505", b"23514", b"23P01", b"23503"))
QUOTED_TAIL: Final = re.compile(rb': ".*"', re.DOTALL)
# Blanks behind a token that end a column in "Key (a)=(…)" or "Failing row contains (…, …)".
PADDING: Final = re.compile(rb" +(?=[,)])")
WITHHELD: Final = b"(withheld by pgveil: it may quote protected values)"


def describe_rows(frame: bytes, outputs: tuple[Output | None, ...] | None, bound: Bound, snapshot: Snapshot) -> bytes:
    """A RowDescription as the client is to see it. Raises Refusal (policy-drift) if the server's result is not the
    one that was planned."""
    fields = messages.parse_row_description(frame, 5, len(frame))
    planned = outputs if outputs is not None else (None,) * len(fields)
    if len(planned) != len(fields):
        raise _drift(f"{len(fields)} columns came where {len(planned)} were planned")
    for field, output in zip(fields, planned, strict=True):
        if output is None and snapshot.column(field.table_oid, field.attnum) is not None:
            raise _drift("a protected column came where none was planned")
    if outputs is None:
        return frame
    return messages.build_row_description(
        [
            field if output is None else _described(field, output, bound)
            for field, output in zip(fields, planned, strict=True)
        ]
    )


def _described(field: messages.Field, output: Output, bound: Bound) -> messages.Field:
    column = output.column
    shown = shown_type(column, bound.access.level(column.class_name))
    typmod = shown.typmod
    if column.loose:  # whether it has a modifier hangs on what the planner leaves of the expression
        typmod = field.typmod if shown.name == column.stored.name else -1
    return messages.Field(field.name, field.table_oid, field.attnum, shown.oid, shown.size, typmod, field.format)


def _drift(what: str) -> Refusal:
    return Refusal(
        "policy-drift",
        f"the database has changed under the policy: {what}",
        "The catalog is being read anew; connect again.",
    )


def client_types(statement: Prepared, oids: tuple[int, ...]) -> tuple[int, ...]:
    """Parameter types as the client's own statement has them; `oids` are the server's."""
    plan = statement.plan
    told = [0] * client_params(plan)
    for use, oid in zip(server_params(plan, len(oids)), oids, strict=False):
        at = use.source - 1
        if use.input is None:
            told[at] = oid
        elif told[at] == 0:
            told[at] = _client_type(statement, use.input, at)
    return tuple(told)


def _client_type(statement: Prepared, index: int, at: int) -> int:
    declared = statement.oids[at] if at < len(statement.oids) else 0
    if declared not in UNKNOWN_OIDS:
        return declared
    place = statement.plan.inputs[index]
    spec = place.undeclared
    if place.use == "search" and not (place.casts or place.listed or place.context) and spec.name == "varchar":
        spec = parse_type("text")  # varchar has no operators of its own: oper() takes text's
    return array_oid(spec) if place.array else spec.oid


# ---- errors and notices


def adapted(fields: Fields, head: Owed | None, state: State) -> Fields:
    """The server's report with positions as in the client's text, and without what may quote a row if the principal
    may not see all that the statement touches."""
    rendered, text = _sent(head)
    told = fields
    if rendered is not None and rendered.spans:
        told = [(code, _moved(value, rendered, text) if code == b"P" else value) for code, value in told]
    if head is not None and _touches(head) and not _sees_all(state):
        given = dict(fields)
        shown = _shows_detail(given, head, state)
        raised = _is_raised(given) and _holds_values(state)
        told = [(code, _without_row(code, value, given, shown, raised)) for code, value in told]
    return told


def _sent(head: Owed | None) -> tuple[Rendered | None, bytes]:
    if head is None:
        return None, b""
    if head.bound is not None:
        return head.bound.rendered, head.bound.text
    if head.statement is not None:
        return head.statement.rendered, head.statement.text
    return None, b""


def _plan(head: Owed) -> Plan | None:
    return head.bound.plan if head.bound is not None else None if head.statement is None else head.statement.plan


def _touches(head: Owed) -> bool:
    plan = _plan(head)
    return plan is not None and not plan.idle


def _sees_all(state: State) -> bool:
    access, world = state.access, state.world
    if access is None or world is None:
        return False
    return all(access.level(name) == "reveal" for name in world.policy.classes)


def _moved(position: bytes, rendered: Rendered, text: bytes) -> bytes:
    """A 1-based character position in the sent text, as one in the client's."""
    if not position.isdigit():
        return position
    sent = rendered.text.decode("utf-8", "replace")
    at = client_offset(rendered.spans, len(sent[: int(position) - 1].encode()))
    return str(len(text[:at].decode("utf-8", "replace")) + 1).encode()


def _shows_detail(given: dict[bytes, bytes], head: Owed, state: State) -> bool:
    """The detail of a violated constraint quotes a row of the table that the report names, and a foreign key's one of
    the statement's: the principal sees all that is protected in these."""
    if given.get(b"C") not in CONSTRAINTS or _is_raised(given) or state.access is None or state.snapshot is None:
        return False
    named = tuple([given.get(code, b"").decode("utf-8", "replace") for code in (b"s", b"t")])
    if (named[0], named[1]) not in state.snapshot.relations:
        return False
    plan = _plan(head)
    tables = {f"{named[0]}.{named[1]}"}.union(*[statement.tables for statement in plan.statements] if plan else ())
    columns = [c for t in state.snapshot.protected_tables.values() for c in t.values()]
    return all(state.access.level(c.class_name) == "reveal" for c in columns if f"{c.schema}.{c.table}" in tables)


def _is_raised(given: dict[bytes, bytes]) -> bool:
    """Whether the text is a function's own (RAISE, plpy.error …): it may hold what the function has read."""
    return given.get(b"C", b"")[:2] == b"P0" or given.get(b"F", b"").startswith(b"pl")


def _holds_values(state: State) -> bool:
    """Whether some protected column is known to hold values that are no tokens."""
    tables = () if state.snapshot is None else state.snapshot.protected_tables.values()
    return any(column.mixed for table in tables for column in table.values())


def _without_row(code: bytes, value: bytes, given: dict[bytes, bytes], shown: bool, raised: bool) -> bytes:
    """shown: the detail may be. raised: message and hint are a function's own, and may quote a value."""
    if code in ROW_TEXTS and not (shown and code == b"D"):
        return WITHHELD
    if raised and code in (b"M", b"H"):
        return WITHHELD
    if code == b"M" and given.get(b"C", b"")[:2] == b"22":
        return QUOTED_TAIL.sub(b": " + WITHHELD, value)
    return value


def question(fields: Fields, head: Owed | None, state: State) -> Reveal | None:
    """What has to be asked to show the tokens in a report; None if there are none."""
    found: dict[tuple[str, bytes], None] = {}
    access = state.access
    if access is None or access.rows is not None or access.needs_purpose(state.settings.declared_purpose):
        return None  # a report is no way round a cap or a purpose
    for code, value in fields:
        if code in TEXTS:
            for start, end in tokens.find(value):
                found[("", value[start:end])] = None
    if not found:
        return None
    bound = None if head is None else head.bound
    context = bound.context if bound is not None else state.context("", "error")
    return Reveal(tuple(found), (), context)


def with_values(fields: Fields, answer: Revealed, state: State) -> Fields:
    """The report with what may be seen in the tokens' place."""
    return [(code, _with_values(value, answer, state) if code in TEXTS else value) for code, value in fields]


def _with_values(text: bytes, answer: Revealed, state: State) -> bytes:
    pieces: list[bytes] = []
    at = 0
    for start, end in tokens.find(text):
        shown = answer.of(text[start:end])
        if shown is None or shown.level not in ("reveal", "mask") or shown.value is None:
            continue
        pieces += (text[at:start], _in_client_encoding(shown.value, state))
        blanks = PADDING.match(text, end)
        at = end
        if blanks is not None:  # char(n) in a key or a row: as wide as the token with its blanks was
            missing = blanks.end() - start - len(shown.value.decode("utf-8", "replace"))
            pieces.append(b" " * missing)
            at = blanks.end()
    pieces.append(text[at:])
    return b"".join(pieces)


def _in_client_encoding(value: bytes, state: State) -> bytes:
    codec = state.settings.reading.client_encoding
    return value.decode("utf-8", "replace").encode(codec, "replace") if codec else value
