"""Prepared statements and portals as the link knows them, before the server has confirmed them.

A portal keeps the plan that it was bound with, even if its statement is closed or parsed anew.
"""

from typing import final

from proxy.policy.access import Access
from proxy.session.effects import Context
from proxy.sql.plan import FORWARD, Output, Plan, Rendered, StatementPlan
from proxy.sql.shape import Shape


@final
class Prepared:
    """A statement parsed on this link.

    text: as the client wrote it, in UTF-8 if `utf8`, else as it came. plan: made in `epoch` (State.epoch) and for
    `search_path`. oids: parameter types as the client declared them. plain: nothing of it is ours.
    """

    __slots__ = (
        "epoch", "name", "oids", "plain", "plan", "rendered", "search_path", "serial", "shape", "text", "utf8",
    )  # fmt: skip

    def __init__(self, name: bytes, text: bytes, utf8: bool, plan: Plan, oids: tuple[int, ...], serial: int) -> None:
        self.name = name
        self.text = text
        self.utf8 = utf8
        self.plan = plan
        self.plain = plan is FORWARD or plan.idle
        self.oids = oids
        self.serial = serial
        self.epoch = 0
        self.search_path: tuple[str, ...] | None = None
        self.shape: Shape | None = None
        self.rendered: Rendered | None = None

    def passes(self, text: bytes, oids: tuple[int, ...], epoch: int) -> bool:
        """Whether it is this one and was found to touch nothing, in this epoch and whatever the client's encoding."""
        found = self.plan is FORWARD and not self.utf8 and self.epoch == epoch
        return found and self.text == text and self.oids == oids and text.isascii()

    def renew(self, plan: Plan, epoch: int, search_path: tuple[str, ...] | None) -> None:
        """Its plan as of this epoch and search_path."""
        self.plan = plan
        self.plain = plan is FORWARD or plan.idle
        self.epoch = epoch
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
        "access", "context", "formats", "plain", "plan", "rendered", "revealed", "serial", "statement", "text",
    )  # fmt: skip

    def __init__(self, plan: Plan, access: Access, context: Context, formats: tuple[int, ...], serial: int) -> None:
        self.plan = plan
        self.access = access
        self.context = context
        self.formats = formats
        self.serial = serial
        self.plain = False
        self.statement = 0
        self.revealed = 0
        self.rendered: Rendered | None = None
        self.text = b""

    def cursor(self, done: StatementPlan, serial: int) -> "Bound":
        """The portal that a DECLARE made."""
        assert done.cursor is not None
        fetched = StatementPlan("fetch", done.tables, done.cursor.outputs)
        return Bound(Plan(statements=(fetched,)), self.access, self.context, (), serial)

    @property
    def current(self) -> StatementPlan | None:
        """The statement whose reply is coming."""
        statements = self.plan.statements
        return statements[self.statement] if self.statement < len(statements) else None

    def outputs(self) -> tuple[Output | None, ...] | None:
        """Outputs of the statement whose reply is coming; None: nothing protected in it."""
        current = self.current
        return None if current is None else current.outputs

    def __repr__(self) -> str:
        return f"Bound({self.context.statement}, {self.context.fingerprint})"
