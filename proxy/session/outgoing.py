"""Messages to the server that carry tokens in a value's place, and the ones that are bound to fail.

A refusal comes from the server's own state machine: a message of the same type, bound to fail, goes in the refused
one's place and its ErrorResponse is replaced, so transaction state and order of replies are right by construction.
"""

from collections.abc import Sequence
from typing import Final, Protocol, final

from proxy.errors import Refusal
from proxy.session.ledger import Owed
from proxy.session.statements import Prepared
from proxy.sql.plan import ParamUse, Plan, Rendered, render
from proxy.sql.shape import Shape
from proxy.wire import messages
from proxy.wire.types import array_oid

Tokens = tuple[bytes | None, ...]

# Fails while it is analysed (22P02), in any encoding and search_path; says in the server's log what happened. In a
# failed transaction the server answers 25P02 first, as it would have answered the statement itself.
MOST_PARAMETERS: Final = 65535  # an Int16 counts them
FAILING_SQL: Final = b"SELECT 'refused by pgveil'::pg_catalog.int4"
FAILING_QUERY: Final = messages.build_query(FAILING_SQL)


def failing_parse(name: bytes) -> bytes:
    return messages.build_parse(name, FAILING_SQL, ())


# A statement of this name is never made: a Bind of it fails (26000) whatever the refused one's parameters are.
NOBODY: Final = b"refused by pgveil"
FAILING_BIND: Final = messages.build_bind(b"", NOBODY, (), (), ())
FAILING_EXECUTE: Final = messages.build_execute(NOBODY, 0)  # nor a portal (34000)


class Outgoing(Protocol):
    """A message waiting for its tokens. owed: its reply, pushed when it goes."""

    owed: Owed

    def build(self, tokens: Sequence[Tokens]) -> bytes:
        """The frame; tokens: for each input of the plan, one token a value (None for NULL)."""
        ...

    def failing(self) -> bytes: ...


def literal(tokens: Tokens, array: bool) -> bytes:
    """Tokens as an SQL literal: 'token', NULL, or an array's text."""
    if not array:
        return b"NULL" if tokens[0] is None else b"'" + tokens[0] + b"'"
    return b"'" + array_text(tokens) + b"'"


def array_text(tokens: Tokens) -> bytes:
    return b"{" + b",".join([b"NULL" if t is None else t for t in tokens]) + b"}"


def rendered(plan: Plan, text: bytes, shape: Shape, tokens: Sequence[Tokens]) -> Rendered:
    """The statement with its values replaced (UTF-8)."""
    replacements = [
        literal(t, p.array) if p.literal is not None else b"" for p, t in zip(plan.inputs, tokens, strict=True)
    ]
    return render(plan, text, shape, replacements)


@final
class QueryMessage:
    """A simple Query. codec: of the client's text, '' for UTF-8."""

    __slots__ = ("_codec", "_shape", "_text", "owed")

    def __init__(self, text: bytes, shape: Shape, codec: str, owed: Owed) -> None:
        self._text = text
        self._shape = shape
        self._codec = codec
        self.owed = owed

    def build(self, tokens: Sequence[Tokens]) -> bytes:
        bound = self.owed.bound
        assert bound is not None
        bound.rendered = rendered(bound.plan, self._text, self._shape, tokens)
        bound.text = self._text
        return messages.build_query(recode(bound.rendered.text, self._codec))

    def failing(self) -> bytes:
        return FAILING_QUERY


@final
class ParseMessage:
    """A Parse; the types of parameters that carry tokens are those of the stored columns."""

    __slots__ = ("_codec", "owed")

    def __init__(self, codec: str, owed: Owed) -> None:
        self._codec = codec
        self.owed = owed

    def build(self, tokens: Sequence[Tokens]) -> bytes:
        statement = self.owed.statement
        assert statement is not None and statement.shape is not None
        statement.rendered = rendered(statement.plan, statement.text, statement.shape, tokens)
        text = recode(statement.rendered.text, self._codec)
        return messages.build_parse(statement.name, text, server_oids(statement))

    def failing(self) -> bytes:
        assert self.owed.statement is not None
        return failing_parse(self.owed.statement.name)


@final
class BindMessage:
    """A Bind: parameters with protected values become tokens in text format, the others stay as they came."""

    __slots__ = ("_formats", "_params", "_portal", "_results", "_statement", "owed")

    def __init__(self, parts: messages.Bind, statement: Prepared, owed: Owed) -> None:
        self._portal = parts.portal
        self._formats = parts.param_formats
        self._params = parts.params
        self._results = parts.result_formats
        self._statement = statement
        self.owed = owed

    def build(self, tokens: Sequence[Tokens]) -> bytes:
        plan = self._statement.plan
        formats: list[int] = []
        params: list[bytes | None] = []
        for use in server_params(plan, len(self._params)):
            raw = self._params[use.source - 1]
            if use.input is None or raw is None:
                formats.append(messages.param_format(self._formats, use.source - 1) if use.input is None else 0)
                params.append(raw)
                continue
            formats.append(0)
            found = tokens[use.input]
            params.append(array_text(found) if plan.inputs[use.input].array else found[0])
        return messages.build_bind(self._portal, self._statement.name, formats, params, self._results)

    def failing(self) -> bytes:
        return FAILING_BIND


def recode(text: bytes, codec: str) -> bytes:
    """UTF-8 to the client's encoding. The text came from there and tokens are ASCII: it can't fail."""
    return text if not codec else text.decode().encode(codec)


def client_params(plan: Plan) -> int:
    """How many parameters the statement has for its client."""
    if plan.params is None:
        return plan.param_count
    return max([use.source for use in plan.params], default=0)


def server_params(plan: Plan, supplied: int) -> tuple[ParamUse, ...]:
    """What each parameter of the server's statement is made of; `supplied` counts the client's when the plan has none
    of its own."""
    if plan.params is not None:
        return plan.params
    return tuple([ParamUse(i + 1) for i in range(max(supplied, plan.param_count))])


def server_oids(statement: Prepared) -> tuple[int, ...]:
    """Parameter types for the server's Parse: as declared, but for those that carry tokens."""
    plan, declared = statement.plan, statement.oids
    if plan.params is None:
        return declared
    oids: list[int] = []
    for use in plan.params:
        if use.input is None:
            oids.append(declared[use.source - 1] if use.source <= len(declared) else 0)
            continue
        place = plan.inputs[use.input]
        stored = place.column.stored
        oids.append(array_oid(stored) if place.array else stored.oid)
    return tuple(oids)


def wrong_count(parts: messages.Bind, plan: Plan) -> bytes:
    """A Bind with as many parameters as the client gave, all NULL: the server says what it says to a wrong number."""
    right = len(server_params(plan, 0))
    count = min(len(parts.params) + right - client_params(plan), MOST_PARAMETERS)
    return messages.build_bind(parts.portal, parts.statement, (), [None] * (count - (count == right)), ())


def refused(message: Outgoing, refusal: Refusal) -> bytes:
    """Make `message` fail: its owed reply is replaced by `refusal`."""
    message.owed.refusal = refusal
    message.owed.bound = None
    return message.failing()
