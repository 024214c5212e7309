"""Does what sessions ask: plans, tokens, values, audit records. The one place where vault, audit, catalog and sessions
meet; it translates between their words.

`now` answers what needs no waiting; `later` the rest. Both give the answer and the audit events that have to be
durable before anything more goes to the client (`record`).
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from time import perf_counter
from typing import Final, Literal, final

from proxy.errors import Refusal
from proxy.net.notices import Bus, Notice
from proxy.net.tasks import failed
from proxy.net.worlds import Worlds
from proxy.observe import count, note, took
from proxy.policy.rules import Level, ValueClass
from proxy.policy.values import mask
from proxy.session.effects import (
    Analyse,
    Audit,
    CatalogMoved,
    Context,
    DatabasesChanged,
    Failure,
    Find,
    Item,
    LoadCatalog,
    Note,
    Request,
    Reveal,
    Revealed,
    Shown,
    Tokenise,
    TooMuch,
)
from proxy.sql.analyze import analyse
from proxy.sql.catalog import Snapshot
from proxy.sql.findings import TOO_LONG
from proxy.sql.plan import Plan
from proxy.vault.chain import Action, AuditEvent
from proxy.vault.faults import OverBudget
from proxy.vault.opening import Opened
from proxy.vault.vault import Entry, Vault

Event = AuditEvent
Answer = tuple[object, Sequence[Event]]
PENDING: Final = object()
WAIT: Final[Answer] = (PENDING, ())
# Bytes of a text that takes well below a second to understand. Longer ones wait for each other, not for these.
SHORT: Final = 8 << 10
# Values looked for before other links get a turn: some 10 µs each.
TURN: Final = 128
ACTIONS: Final[Mapping[Level, str]] = {"reveal": "revealed", "mask": "masked", "token": "token", "deny": "denied"}


@final
class Answers:
    """analysers: where plans are made, off the loop: of short texts, of long ones. analyse_timeout: seconds a plan may
    take. others: processes of this pgveil that have to know what links of this one have changed."""

    def __init__(
        self, vault: Vault, worlds: Worlds, analysers: tuple[Executor, Executor], analyse_timeout: float, others: Bus
    ) -> None:
        self._vault = vault
        self._worlds = worlds
        self._analysers = analysers
        self._analyse_timeout = analyse_timeout
        self._others = others

    # ---- asked by links

    def now(self, request: Request) -> Answer:
        """The answer if it is at hand, else WAIT. Raises Unavailable."""
        if isinstance(request, Find):
            ready = len(request.items) <= TURN and self._vault.settled({item.class_name for item in request.items})
            return self._find(request) if ready else WAIT
        if isinstance(request, Reveal):
            opened = self._vault.opened_cached([token for _, token in request.tokens])
            return WAIT if opened is None else self._revealed(request, opened)
        if isinstance(request, Tokenise):
            items = self._items(request.items)
            # Whether a token written through belongs there is not known without asking.
            known = len(items) == len(request.items)
            tokens = self._vault.tokenise_cached(_pairs(items)) if known else None
            return WAIT if tokens is None else (self._woven(request.items, tokens), self._written(request))
        if isinstance(request, LoadCatalog) and not request.fresh:
            if not self._worlds.protects(request.database):
                return None, ()
            world = self._worlds.known(request.database)
            return WAIT if world is None else (world, ())
        if isinstance(request, DatabasesChanged):
            self._worlds.databases_changed(request.own)
        if isinstance(request, DatabasesChanged | CatalogMoved):
            return WAIT if self._others.peers else (None, ())
        return WAIT

    async def later(self, request: Request) -> Answer:
        """The answer, after waiting. Raises Unavailable."""
        if isinstance(request, Tokenise):
            return await self._tokenise(request)
        if isinstance(request, Reveal):
            return await self._reveal(request)
        if isinstance(request, Analyse):
            return await self._analyse(request), ()
        if isinstance(request, LoadCatalog):
            return await self._load(request), ()
        if isinstance(request, Audit):
            await self.record(
                [_event(request.context, request.action, request.outcome, c) for c in request.classes or ("",)]
            )
            return None, ()
        if isinstance(request, CatalogMoved):
            await self._others.tell(Notice("moved", request.database))
            return None, ()
        if isinstance(request, DatabasesChanged):
            await self._others.tell(Notice("databases", request.own))
            return None, ()
        assert isinstance(request, Find)  # of the rest `now` waits for nothing
        return await self._find_many(request)

    async def record(self, events: Sequence[Event]) -> None:
        """Make audit events durable. Raises Unavailable."""
        began = perf_counter()
        await self._vault.audit.append(events)
        took("audit_seconds", perf_counter() - began)

    def note(self, effect: Note) -> None:
        note(effect.kind, effect.facts, "warning")

    def broken(self, error: Exception) -> None:
        """A link ended with an error that should not be: counted, with its type and place, never with its text."""
        failed(error, "link-broken")

    # ---- catalog and plans

    async def _load(self, request: LoadCatalog) -> object:
        if not self._worlds.protects(request.database):
            return None
        if not request.changed:
            return await self._worlds.load(request.database, request.fresh, request.doubted)
        others = self._others.tell(Notice("catalog", request.database))
        for outcome in await asyncio.gather(self._worlds.reread(request.database), others, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
        return await self._worlds.load(request.database, False)

    async def _analyse(self, request: Analyse) -> Plan | Failure:
        began = perf_counter()
        given_up = threading.Event()
        assert isinstance(request.snapshot, Snapshot)
        call = asyncio.get_running_loop().run_in_executor(
            self._analysers[len(request.text) > SHORT],
            analyse,
            request.text,
            request.standard_conforming_strings,
            request.search_path,
            request.snapshot,
            given_up.is_set,
        )
        try:
            plan = await asyncio.wait_for(call, self._analyse_timeout)
        except TimeoutError:
            return Failure(TOO_LONG)
        finally:
            given_up.set()
        took("analyse_seconds", perf_counter() - began)
        return plan

    # ---- tokens

    def _items(self, items: Sequence[Item]) -> list[Item]:
        """Those that are values, not tokens written through."""
        return [item for item in items if not self._passes(item)]

    def _passes(self, item: Item) -> bool:
        return item.may_be_token and self._vault.is_ours(item.canonical)

    def _woven(self, items: Sequence[Item], tokens: Sequence[bytes]) -> tuple[bytes, ...]:
        """Tokens of all items in order; one written through stands for itself."""
        if len(tokens) == len(items):
            return tuple(tokens)
        made = iter(tokens)
        return tuple([item.canonical if self._passes(item) else next(made) for item in items])

    async def _tokenise(self, request: Tokenise) -> Answer:
        began = perf_counter()
        items = self._items(request.items)
        if len(items) < len(request.items):
            refusal = await self._misplaced([item for item in request.items if self._passes(item)])
            if refusal is not None:
                return Failure(refusal), [_event(request.context, "refuse", refusal.code, "")]
        tokens = await self._vault.tokenise(_pairs(items))
        took("vault_seconds", perf_counter() - began, call="tokenise")
        return self._woven(request.items, tokens), self._written(request)

    async def _misplaced(self, through: Sequence[Item]) -> Refusal | None:
        """A token that is written through has to be of the column's class: in another column it would compare with
        nothing that it equals, and lead those who may read that class to a value of this one."""
        known = await self._vault.acquaint({item.canonical for item in through})
        for item in through:
            there = known.get(item.canonical)
            if there != item.class_name:
                what = "has no value in the vault" if there is None else f"is of class {there}"
                return Refusal(
                    "token-misplaced",
                    f"a token that is to be written to a column of class {item.class_name} {what}",
                    "Write it only to columns of its own class.",
                )
        return None

    def _written(self, request: Tokenise) -> Sequence[Event]:
        """Writes are counted; what was stored is its own record."""
        for name, number in Counter([item.class_name for item in request.items]).items():
            _count("tokenised", name, number)
        return ()

    def _find(self, request: Find) -> Answer:
        items = self._items(request.items)
        refusal = _may_not_search(request.context, items)
        if refusal is not None:
            return Failure(refusal), ()
        return self._found(request, self._vault.find(_pairs(items)))

    async def _find_many(self, request: Find) -> Answer:
        """As `_find`, with turns for other links: `= ANY($1)` may bring a hundred thousand values."""
        items = self._items(request.items)
        refusal = _may_not_search(request.context, items)
        if refusal is not None:
            return Failure(refusal), ()
        began = perf_counter()
        await self._vault.settle({item.class_name for item in items})
        tokens: list[bytes] = []
        for start in range(0, len(items), TURN):
            tokens += self._vault.find(_pairs(items[start : start + TURN]))
            await asyncio.sleep(0)
        took("vault_seconds", perf_counter() - began, call="find")
        return self._found(request, tokens)

    def _found(self, request: Find, made: Sequence[bytes]) -> Answer:
        tokens = self._woven(request.items, made)
        classes = Counter([item.class_name for item in request.items])
        for name, number in classes.items():
            _count("searched", name, number)
        return tokens, [_seen(request.context, "search", classes, tokens)] if classes else ()

    # ---- values

    async def _reveal(self, request: Reveal) -> Answer:
        began = perf_counter()
        try:
            opened = await self._vault.opened([token for _, token in request.tokens], request.budget)
        except OverBudget as over:
            return TooMuch(over.fits), ()
        took("vault_seconds", perf_counter() - began, call="reveal")
        return self._revealed(request, opened)

    def _revealed(self, request: Reveal, opened: Opened) -> Answer:
        """What may be seen, and the events that say so."""
        database = request.context.principal.database
        if request.mixed and self._worlds.mixed(database, request.mixed):
            self._others.mention(Notice("mixed", database, tuple(request.mixed)))
        showing = _Showing(self._worlds.policy.classes, request.context, self._vault)
        clear = showing.clear(opened)
        tokens: dict[bytes, Shown] = {}
        plain: dict[tuple[str, bytes], Shown] = {}
        try:
            if len(clear) < len(request.tokens):
                self._stray(request, opened)
                showing.tokens(request.tokens, opened, clear, tokens)
            for column_class, value in request.plain:
                plain[(column_class, value)] = showing.plain(column_class, value)
        except Refusal as refusal:
            event = _event(request.context, "refuse", refusal.code, "")
            return Failure(refusal), [event]
        return Revealed(tokens, plain, clear), showing.events()

    def _stray(self, request: Reveal, opened: Opened) -> None:
        """Texts in protected columns that look like tokens and are none of ours."""
        if len(opened) == len(request.tokens):
            return
        ours = {*opened.absent, *opened.erased, *[token for each in opened.values.values() for token in each]}
        strays = {name for name, token in request.tokens if name and token not in ours}
        database = request.context.principal.database
        if strays and self._worlds.strayed(database, strays):
            self._others.mention(Notice("strayed", database, tuple(strays)))


@final
class _Showing:
    """Decides for each value of one question, and keeps what the audit has to say."""

    def __init__(self, classes: Mapping[str, ValueClass], context: Context, vault: Vault) -> None:
        self._classes = classes
        self._context = context
        self._vault = vault
        self._done: dict[Level, list[bytes]] = {}
        self._counts: dict[Level, dict[str, int]] = {}

    def clear(self, opened: Opened) -> dict[bytes, bytes]:
        """The values of classes that are shown as they are: class by class, not value by value."""
        clear: dict[bytes, bytes] = {}
        for name, values in opened.values.items():
            if self._context.access.level(name) == "reveal":
                clear.update(values)
                self._counts.setdefault("reveal", {})[name] = len(values)
                self._done.setdefault("reveal", []).extend(values)
        return clear

    def tokens(
        self,
        asked: Sequence[tuple[str, bytes]],
        opened: Opened,
        clear: Mapping[bytes, bytes],
        shown: dict[bytes, Shown],
    ) -> None:
        """Puts what is shown of the other tokens into `shown`. Raises Refusal as `_token`."""
        entries = {token: Entry(name, value) for name, each in opened.values.items() for token, value in each.items()}
        for column_class, token in asked:
            if token not in clear:
                made = self._token(column_class, token, entries.get(token), opened)
                if made is not None:
                    shown[token] = made

    def _token(self, column_class: str, token: bytes, entry: Entry | None, opened: Opened) -> Shown | None:
        """Raises Refusal: may-not-see, or a token of ours without an entry (then its value is lost or not here)."""
        if entry is not None:
            level = self._context.access.level(entry.class_name)
            self._note(level, entry.class_name, token)
            return Shown(entry.class_name, *self._by_level(level, entry.class_name, entry.value, token))
        if token in opened.erased:
            return Shown(opened.erased[token], "reveal", None)
        if not column_class:
            return None
        if token not in opened.absent:
            return self.plain(column_class, token)
        raise Refusal(
            "vault-unavailable",
            f"the vault has no entry for token {token.decode()}",
            "It is another vault than the one that made it, or an older copy: restore it.",
        )

    def plain(self, class_name: str, value: bytes) -> Shown:
        """A value that lies in the column as it is: shown as one of its class."""
        level = self._context.access.level(class_name)
        labels = {"class": class_name}
        count("plaintext_values", 1.0, **labels)
        self._note(level, class_name, None)
        stand_in: bytes | None = None
        kind = self._classes.get(class_name)  # not there: the policy of the statement was another
        if level == "token" and kind is not None and kind.tokens == "deterministic":
            stand_in = self._vault.find([(class_name, value)])[0]
        return Shown(class_name, *self._by_level(level, class_name, value, stand_in))

    def _by_level(
        self, level: Level, class_name: str, value: bytes, token: bytes | None
    ) -> tuple[Literal["reveal", "mask", "token"], bytes | None]:
        if level == "reveal":
            return level, value
        if level == "mask":
            return level, mask(self._classes.get(class_name) or ValueClass(class_name, "text"), value)
        if level == "token":
            return level, token
        raise Refusal(
            "may-not-see",
            f"the result holds a value of class {class_name}, which is denied to this principal",
            "Leave the column out.",
        )

    def _note(self, level: Level, class_name: str, token: bytes | None) -> None:
        counts = self._counts.setdefault(level, {})
        counts[class_name] = counts.get(class_name, 0) + 1
        if token is not None:
            self._done.setdefault(level, []).append(token)

    def events(self) -> list[Event]:
        """One a level; tokens shown as tokens show nothing."""
        events: list[Event] = []
        for level, classes in self._counts.items():
            for class_name, number in classes.items():
                _count(ACTIONS[level], class_name, number)
            if level in ("reveal", "mask"):
                events.append(_seen(self._context, level, classes, self._done.get(level, ())))
        return events


def _pairs(items: Sequence[Item]) -> list[tuple[str, bytes]]:
    return [(item.class_name, item.canonical) for item in items]


def _count(action: str, class_name: str, number: int) -> None:
    labels = {"action": action, "class": class_name}
    count("values", float(number), **labels)


def _may_not_search(context: Context, items: Sequence[Item]) -> Refusal | None:
    """Values that this principal may not look for (it may compare with tokens only)."""
    for item in items:
        if not context.access.may_search(item.class_name):
            return Refusal(
                "may-not-search",
                f"this principal may not search columns of class {item.class_name} by value",
                "Compare with a token, or give the role `reveal` or `search` for the class.",
            )
    return None


def _seen(context: Context, action: Action, classes: Mapping[str, int], tokens: Sequence[bytes]) -> Event:
    """One for all classes of a question: a row each would be one more thing to write before values go out."""
    if len(classes) == 1:
        ((name, number),) = classes.items()
        return _event(context, action, "ok", name, tuple(tokens), number)
    several = tuple(classes.items())
    return _event(context, action, "ok", "", tuple(tokens), sum(classes.values()), several)


def _event(
    context: Context,
    action: Action,
    outcome: str,
    class_name: str,
    tokens: tuple[bytes, ...] = (),
    number: int = 0,
    classes: tuple[tuple[str, int], ...] = (),
) -> Event:
    who = context.principal
    return AuditEvent(
        action=action,
        outcome=outcome,
        user=who.user,
        database=who.database,
        application=who.application_name,
        client=who.client,
        tls_subject=who.tls_subject,
        purpose=who.purpose,
        role=context.access.role,
        fingerprint=context.fingerprint,
        statement=context.statement,
        class_name=class_name,
        tokens=tokens,
        count=number or len(tokens),
        classes=classes,
    )
