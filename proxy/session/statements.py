"""Prepared statements and portals as the link knows them, before the server has confirmed them.

A portal keeps the plan that it was bound with, even if its statement is closed or parsed anew. Names are looked up
as the messages are *sent*; `Ledger` puts a name's previous meaning back when the server skips the message.
"""

from typing import final

from proxy.policy.access import Access
from proxy.session.effects import Context
from proxy.sql.plan import FORWARD, Output, Plan, Rendered
from proxy.sql.shape import Shape


@final
class Prepared:
    """A statement parsed on this link.

    text: UTF-8, as the client wrote it (as it came if plain). plan: made against the snapshot `version` and
    `search_path`. oids: parameter types as the client declared them. batch: State.batch when its Parse was processed.
    confirmed: ParseComplete came. plain: nothing of it is ours. shadows: if its Parse fails, the name stands for a
    statement that is not plain.
    """

    __slots__ = (
        "batch", "confirmed", "name", "oids", "plain", "plan", "rendered", "search_path", "shadows", "shape",
        "text", "version",
    )  # fmt: skip

    def __init__(self, name: bytes, text: bytes, plan: Plan, oids: tuple[int, ...], batch: int) -> None:
        self.name = name
        self.text = text
        self.plan = plan
        self.plain = plan is FORWARD or plan.idle
        self.oids = oids
        self.batch = batch
        self.confirmed = False
        self.shadows = False
        self.version = 0
        self.search_path: tuple[str, ...] | None = None
        self.shape: Shape | None = None
        self.rendered: Rendered | None = None

    def renew(self, plan: Plan, version: int, search_path: tuple[str, ...] | None) -> None:
        """Its plan as of this snapshot and search_path."""
        self.plan = plan
        self.plain = plan is FORWARD or plan.idle
        self.version = version
        self.search_path = search_path

    def __repr__(self) -> str:
        return f"Prepared(<hidden {len(self.text)} bytes>)"


@final
class Bound:
    """What to do with a statement's reply: a portal, or the statements of a simple Query.

    plan; access and context of the principal when it was bound; formats: result format codes (() for Query: text).
    statement: index of the statement whose reply is coming (Query only). revealed: values shown so far.
    rendered/text: to map error positions back.
    """

    __slots__ = (
        "access", "batch", "context", "described", "formats", "plan", "rendered", "revealed", "statement", "text",
    )  # fmt: skip

    def __init__(self, plan: Plan, access: Access, context: Context, formats: tuple[int, ...], batch: int) -> None:
        self.plan = plan
        self.access = access
        self.context = context
        self.formats = formats
        self.batch = batch
        self.statement = 0
        self.revealed = 0
        self.described = False
        self.rendered: Rendered | None = None
        self.text = b""

    def outputs(self) -> tuple[Output | None, ...] | None:
        """Outputs of the statement whose reply is coming; None: nothing protected in it."""
        statements = self.plan.statements
        if self.statement < len(statements):
            return statements[self.statement].outputs
        return None

    def __repr__(self) -> str:
        return f"Bound({self.context.statement}, {self.context.fingerprint})"
