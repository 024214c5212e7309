"""What the two lanes of a link share: settings, statements, portals, ledger, principal, effects.

One owner a field: `ClientLane` writes statements and portals, `ServerLane` settings and the ledger's head; both put
effects. Nothing here waits: a question goes out as `Ask` and its `Job` is called with the answer.
"""

from collections.abc import Mapping
from typing import Final, Protocol, final

from proxy.errors import Bug, Refusal, Side
from proxy.policy.access import Access, as_stored, resolve
from proxy.session.copy_in import CopyIn
from proxy.session.effects import (
    Again,
    Ask,
    Close,
    Context,
    Effect,
    Note,
    Principal,
    Request,
    ToClient,
    ToServer,
)
from proxy.session.ledger import PLAIN_SYNC, Ledger, Owed
from proxy.session.limits import Limits
from proxy.session.names import Names
from proxy.session.outflow import Outflow
from proxy.session.settings import Settings
from proxy.session.statements import Bound, Prepared
from proxy.session.world import World
from proxy.sql.catalog import ANYTHING, Snapshot
from proxy.sql.moves import overlay
from proxy.sql.plan import PreparedPlan, SessionEffect, StatementPlan
from proxy.wire import messages

# Effects that may change any setting; settings that decide how text is read; settings that decide what names mean.
READING: Final = frozenset(("client_encoding", "standard_conforming_strings", "datestyle", "intervalstyle", "timezone"))
DATABASES: Final = frozenset((b"CREATE DATABASE", b"DROP DATABASE", b"ALTER DATABASE"))
PATH: Final = frozenset(("search_path", "role", "session_authorization"))

STARTUP: Final = 0  # before the StartupMessage
AUTHENTICATING: Final = 1
READY: Final = 2
OPAQUE: Final = 3  # replication: passed as it is
CLOSED: Final = 4
UNSERVED: Final = 5  # whatever the client says next, it is told why this link can't go on
# What a link may do before other links get their turn, in values: some 5 ms. A statement that is planned or a result
# that is revealed counts as STATEMENT beside its values; what touches nothing protected costs a frame scan and counts
# nothing.
TURN: Final = 2048
STATEMENT: Final = 32
# Bytes from which a message that touches nothing is passed on as it comes, not held until it is whole.
LARGE: Final = 128 << 10
ENDS: Final = {"shutdown": "drained", "idle": "idle"}  # codes of refusals that end a link which did not fail
FOREVER: Final = 1 << 62  # serial of a portal that no end of a transaction takes along


class Job(Protocol):
    """Who asked, and goes on with the answer."""

    def answer(self, ticket: int, result: object) -> None: ...


@final
class Ignore:
    """Asks for the audit of a refusal: nothing goes out whatever becomes of it."""

    def answer(self, ticket: int, result: object) -> None:
        return


IGNORE: Final = Ignore()
AGAIN: Final = Again()


@final
class State:
    """See the module. `client`, `tls_subject`: of the client's connection, '' if there is none."""

    __slots__ = (
        "_next_ticket", "access", "barriers", "base", "batch", "cancel_key", "catalog_due", "client", "copy_in",
        "doubted", "effects", "elsewhere", "epoch", "executing", "jobs", "ledger", "limits", "mending", "midway",
        "naming", "outcome", "overlay", "params", "phase", "plain_statements", "portals", "prepared", "principal",
        "replicates", "serial", "settings", "statements", "statements_done", "tls_subject", "to_client", "to_server",
        "undone", "unserved", "work", "world", "yielding",
    )  # fmt: skip

    def __init__(self, client: str, tls_subject: str, limits: Limits) -> None:
        self.limits = limits
        self.client, self.tls_subject = client, tls_subject
        self.phase = STARTUP
        self.params: dict[str, str] = {}
        self.settings = Settings()
        self.ledger = Ledger()
        self.statements: Names[Prepared] = Names()
        self.portals: Names[Bound] = Names()
        self.prepared: dict[bytes, PreparedPlan] = {}  # by SQL PREPARE; they outlive a rollback
        self.world: World | None = None
        self.overlay: Snapshot | None = None  # the snapshot with this transaction's own DDL
        self.base: Snapshot | None = None  # the world's snapshot with this link's temporary relations
        self.access: Access | None = None
        self.principal = Principal("", "", "", client, tls_subject, "")
        self.effects: list[Effect] = []
        self.to_server = Outflow()
        self.to_client = Outflow()
        self.jobs: dict[int, Job] = {}
        self.copy_in: CopyIn | None = None  # a COPY FROM STDIN into protected columns that is under way
        self.barriers = self.naming = 0  # replies that must be in: before a plan; before a text touches nothing
        self.batch = 0  # Query, Sync and FunctionCall processed so far
        self.executing = -1  # the batch in which the last Execute was processed
        self.cancel_key = b""  # process ID and key, as the server gave them
        self.outcome = "closed"  # how the link ended, as the metric has it
        self.midway = self.replicates = False  # the client has got a part of a message; what it reads are tokens
        self.mending = False  # a failed reply is being made up for: nothing goes to the server
        self.serial = 0  # statements and portals made so far
        self.epoch = 0  # worlds and overlays so far: a plan holds for one
        self.catalog_due = False  # a message waits for the catalog to be read anew
        self.doubted = False  # only to be sure that what it names is not there
        self.elsewhere = False  # DDL in this transaction that is of no matter until something protected is named
        self.undone = False  # the transaction that ends next is rolled back, as far as is known
        self.unserved: Refusal | None = None  # why this link can't go on when the server is ready for it
        self.work = 0  # done in this turn (TURN)
        self.yielding = False  # other links have their turn: neither lane goes on
        self.plain_statements = 0  # forwarded without a plan, since they were last taken
        self.statements_done: dict[tuple[str, str], int] = {}  # (kind, outcome) -> how many, likewise
        self._next_ticket = 0

    # ---- effects

    def ask(self, request: Request, job: Job) -> int:
        """Put an Ask; `job` gets the answer."""
        self._next_ticket += 1
        self.jobs[self._next_ticket] = job
        self.flush()
        self.effects.append(Ask(self._next_ticket, request))
        return self._next_ticket

    def answered(self, ticket: int, result: object) -> None:
        job = self.jobs.pop(ticket, None)
        if job is None:
            raise Bug(f"answer to ticket {ticket}, which was not asked or is answered")
        job.answer(ticket, result)

    def worked(self, much: int) -> None:
        """Count work of this turn. When that is over, the lanes stop (`yielding`) until the session goes on."""
        self.work += much
        if self.work >= TURN and not self.yielding:
            self.yielding = True
            self.effects.append(AGAIN)

    def flush(self) -> None:
        """Bytes written so far become effects, one a side."""
        if self.to_server:
            self.effects.append(ToServer(self.to_server.take()))
        if self.to_client:
            self.effects.append(ToClient(self.to_client.take()))

    def take_bytes(self) -> tuple[bytes, bytes]:
        """Bytes written so far, for the server and for the client, where there are no effects before them."""
        assert not self.effects
        return self.to_server.take(), self.to_client.take()

    def count(self, kind: str, outcome: str) -> None:
        """One more statement that a plan was made for."""
        key = (kind, outcome)
        self.statements_done[key] = self.statements_done.get(key, 0) + 1

    def take_counts(self) -> dict[tuple[str, str], int]:
        """Statements since the last call: (kind, 'passed' | 'protected' | 'refused' | 'failed') -> how many."""
        done, self.statements_done = self.statements_done, {}
        if self.plain_statements:
            done[("other", "passed")] = self.plain_statements
            self.plain_statements = 0
        return done

    def note(self, kind: str, facts: Mapping[str, str | int | float]) -> None:
        self.effects.append(Note(kind, facts))

    def close(self, side: Side, reason: str) -> None:
        self.flush()
        self.effects.append(Close(side, reason))

    def close_both(self, reason: str) -> None:
        if self.phase == CLOSED:
            return
        self.close("client", reason)
        self.close("server", reason)
        self.phase = CLOSED
        self.jobs.clear()

    def next_serial(self) -> int:
        self.serial += 1
        return self.serial

    def fatal(self, refusal: Refusal) -> None:
        """Tell the client why, as the server would with FATAL, and end the link: its transaction is rolled back."""
        if self.phase == CLOSED:
            return
        self.outcome = ENDS.get(refusal.code, "failed")
        self.tell_last(refusal)
        self.note("fatal", {"code": refusal.code, "sqlstate": refusal.sqlstate})
        self.close_both(refusal.code)

    def tell_last(self, refusal: Refusal) -> None:
        """Why the link ends; in the middle of a message it would be read as the rest of it."""
        if not self.midway:
            self.to_client.append(error_response("FATAL", refusal))

    # ---- entries of the ledger that leave it

    def settle(self, owed: Owed) -> None:
        """Its reply is complete."""
        self._unbar(owed)
        if owed.change is not None:
            owed.change.done()

    def undo(self, owed: Owed) -> None:
        """The server skipped the message, or refused it: names mean what they meant before."""
        self._unbar(owed)
        if owed.change is not None:
            owed.change.undo()

    def _unbar(self, owed: Owed) -> None:
        if owed.barrier:
            owed.barrier = False
            self.barriers -= 1
            self.naming -= owed.naming

    # ---- what statements changed

    @property
    def passing(self) -> bool:
        """What later statements are read by may be taken back when the transaction ends or fails."""
        return self.overlay is not None or self.settings.moving

    def completed(self, tag: bytes, done: StatementPlan | None) -> None:
        """A statement ended well. COMMIT of a failed transaction has the tag ROLLBACK. ROLLBACK TO, which has it too,
        ends no transaction. With AND CHAIN no ReadyForQuery shows that one ended."""
        if tag not in (b"COMMIT", b"ROLLBACK", b"PREPARE TRANSACTION"):
            return
        if done is not None and any(effect.kind == "rollback-to" for effect in done.effects):
            return
        self.undone = False
        self.settings.end(tag != b"ROLLBACK")
        if tag == b"ROLLBACK":
            self.drop_overlay()

    def follow(self, done: StatementPlan, serial: int) -> bool:
        """A statement succeeded: follow what it changed. serial: of its Bound. True: DDL."""
        ddl = False
        for effect in done.effects:
            if effect.kind == "ddl":
                ddl = True
                self._overlay(done)
            elif effect.kind == "ddl-elsewhere":
                self.elsewhere = True
                self._overlay(done)
            elif effect.kind == "shadow" and effect.name is not None:
                self._shadow(effect.name)
            else:
                self._follow_setting(effect)
                self._follow_names(effect, serial, done.prepared)
        return ddl

    def _shadow(self, name: str) -> None:
        """Whatever becomes of the transaction: from now on the name may be a temporary relation's."""
        if self.base is not None:
            self.base = self.base.shadowed_by((name,))
        if self.overlay is not None:
            self.overlay = self.overlay.shadowed_by((name,))
        self.epoch += 1

    def declared(self, bound: Bound, done: StatementPlan) -> None:
        """DECLARE or CLOSE succeeded: a portal of that name is there, or is not."""
        for effect in done.effects:
            name = None if effect.name is None else effect.name.encode()
            if effect.kind == "close" and name is None:
                self.portals.forget(None, FOREVER)
            elif effect.kind in ("declare", "close") and name is not None:
                made = None
                if done.cursor is not None and done.cursor.outputs is not None:
                    made = bound.cursor(done, FOREVER if done.cursor.hold else self.next_serial())
                changed = self.portals.change(name, made, self.batch)
                if changed is not None:
                    changed.done()

    def _overlay(self, done: StatementPlan) -> None:
        """DDL of a transaction that others don't see yet."""
        snapshot = self.snapshot
        if snapshot is None:
            return
        snapshot = overlay(snapshot, done)
        if snapshot is not self.snapshot:
            self.overlay = snapshot
            self.epoch += 1

    def tell_elsewhere(self) -> bool:
        """The transaction has ended: all links of this world know of its DDL now. True: there was some, of which other
        processes are to be told."""
        told = self.elsewhere and self.world is not None
        if self.world is not None and told:
            self.world.moved = True
        self.elsewhere = False
        return told

    @property
    def outdated(self) -> bool:
        """The catalog is to be read anew before something protected is looked up in it; not in the middle of a
        transaction that has an overlay, which holds for the catalog as it was read."""
        return self.world is not None and self.world.moved and self.overlay is None

    def basis(self) -> object:
        """What plans are made for: while it is equal, a statement that was PREPAREd means what it meant."""
        snapshot = self.snapshot
        if snapshot is None:
            return None
        moved = (snapshot.moved, snapshot.dropped, snapshot.made, snapshot.widened)
        return (snapshot.protection, snapshot.shadowed, dict(snapshot.overlaid), moved, self.path)

    def drop_overlay(self) -> None:
        """The transaction whose own DDL it showed is over."""
        if self.overlay is not None:
            if self.overlay.moved == ANYTHING:  # what functions it made, that were called since, is not known
                self.settings.lose()
            self.overlay = None
            self.epoch += 1

    def _back_to_savepoint(self) -> None:
        """Which of the transaction's DDL is left is not known."""
        if self.overlay is None or self.base is None:
            return
        self.overlay = self.base.unsure_after(self.overlay)
        self.epoch += 1

    def _follow_setting(self, effect: SessionEffect) -> None:
        settings, kind, name = self.settings, effect.kind, effect.name
        if kind == "set" and name == "search_path":
            settings.move_path(effect.value, effect.local)
        elif kind == "set" and name == "pgveil.purpose":
            settings.purpose.set(effect.value, effect.local)
        elif kind == "set" and name in ("role", "session_authorization"):
            settings.move_role(name, effect.value, effect.local)
        elif kind == "set":
            settings.move_reading()
        elif kind in ("reset-all", "discard-all"):
            settings.move_path(None, False)
            settings.purpose.set(None, False)
            settings.move_reading()
            if kind == "discard-all":
                settings.move_role("session_authorization", None, False)
                self.portals.forget(None, FOREVER)
            if kind == "discard-all" and self.world is not None:
                self.base = self.world.snapshot  # no temporary relation is left
                self.epoch += 1
        elif kind == "unknown-setting" or (kind == "rollback-to" and settings.moving):
            settings.lose()
        if kind == "rollback-to":
            self._back_to_savepoint()

    def _follow_names(self, effect: SessionEffect, serial: int, made: PreparedPlan | None) -> None:
        """What was parsed behind the statement stays."""
        self._follow_prepared(effect, made)
        if effect.kind == "discard-all" or (effect.kind == "deallocate" and effect.name is None):
            self.statements.forget(None, serial)
        elif effect.kind == "deallocate" and effect.name is not None:
            self.statements.forget(effect.name.encode(), serial)

    def _follow_prepared(self, effect: SessionEffect, made: PreparedPlan | None) -> None:
        name = None if effect.name is None else effect.name.encode()
        if effect.kind == "prepare" and name is not None and made is not None:
            self.prepared[name] = made
        elif effect.kind == "discard-all" or (effect.kind == "deallocate" and name is None):
            self.prepared.clear()
        elif effect.kind == "deallocate" and name is not None:
            self.prepared.pop(name, None)

    # ---- who asks, and against what

    @property
    def path(self) -> tuple[str, ...] | None:
        """search_path as the server reads it, without schemas that the role may not use; None if that is not known."""
        names, snapshot = self.settings.path(), self.snapshot
        return names if names is None or snapshot is None else snapshot.path(names, self.settings.current_role)

    @property
    def snapshot(self) -> Snapshot | None:
        return self.base if self.overlay is None else self.overlay

    def authenticate(self) -> None:
        """AuthenticationOk came: the start-up parameters are now the principal; a ReadyForQuery will follow."""
        self.ledger.push(PLAIN_SYNC)
        get = self.params.get
        user = get("user", "")
        self.principal = Principal(
            user, get("database", user) or user, get("application_name", ""), self.client, self.tls_subject, ""
        )

    def renew(self, world: World) -> None:
        """Another policy or catalog from now on; rights are looked up anew."""
        if self.world is not None and self.world is not world and self.world.moved:
            world.moved = True  # seen while this one was being read
        self.world = world
        shadowed = frozenset() if self.base is None else self.base.shadowed
        self.base = world.snapshot.shadowed_by(shadowed) if shadowed else world.snapshot
        if self.overlay is not None:
            self.overlay = self.base.relaid(self.overlay)
        self.epoch += 1
        self.access = resolve(
            world.policy,
            user=self.principal.user,
            database=self.principal.database,
            application_name=self.principal.application_name,
            client=self.client,
            tls_subject=self.tls_subject,
        )
        if self.replicates:
            self.access = as_stored(self.access)

    def context(self, fingerprint: str, statement: str) -> Context:
        """For the audit; the purpose is the one declared now."""
        purpose = self.settings.declared_purpose
        if purpose != self.principal.purpose:
            old = self.principal
            self.principal = Principal(
                old.user, old.database, old.application_name, old.client, old.tls_subject, purpose
            )
        return Context(self.principal, self.access or Access(), fingerprint, statement)


def error_response(severity: str, refusal: Refusal) -> bytes:
    """An ErrorResponse frame; field codes after "Error and Notice Message Fields"."""
    fields = [(b"S", severity), (b"V", severity), (b"C", refusal.sqlstate), (b"M", refusal.message)]
    if refusal.detail:
        fields.append((b"D", refusal.detail))
    if refusal.hint:
        fields.append((b"H", refusal.hint))
    if refusal.position:
        fields.append((b"P", str(refusal.position)))
    if refusal.column:
        schema, _, rest = refusal.column.partition(".")
        table, _, column = rest.partition(".")
        fields += [(b"s", schema), (b"t", table), (b"c", column)]
    fields.append((b"R", "pgveil"))
    return messages.build_error_response([(code, text.encode()) for code, text in fields])
