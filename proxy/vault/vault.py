"""The vault: values in, tokens out, and back. What `net.answers` uses.

Not here: who may see what (policy), where bytes lie (store), when they are written (committer).

Invariants: a token is given out only when its entry is durable; one token means one value (a stored MAC that differs
is an error, never a merge); plaintext is never cached; a store that can't be reached raises Unavailable and never
looks like a token without an entry.
"""

import asyncio
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Self, TypeVar

from proxy import tokens as token_text
from proxy.errors import Unavailable
from proxy.vault import crypto
from proxy.vault.audit import Audit
from proxy.vault.batch import Batcher
from proxy.vault.cache import EntryCache
from proxy.vault.chain import AuditEvent
from proxy.vault.committer import Committer, Limits, Sources, Write
from proxy.vault.faults import Damaged, OverBudget, StoreFault
from proxy.vault.keys import KeyProvider, Keyring, open_keyring
from proxy.vault.mint import Fresh, Mint
from proxy.vault.mint import Mode as Mode
from proxy.vault.opening import Opened, Opening
from proxy.vault.store import Store, StoredEntry

# Values worked on before other links get a turn: 3 µs each to reveal, 20 to make a token and seal.
_TURN: Final = 512
_TURN_NEW: Final = 128
_TURN_BYTES: Final = 256 << 10
# Bytes of values read from the store at once, for however many that asked.
_READ_BYTES: Final = 8 << 20


T = TypeVar("T")


class Entry(NamedTuple):
    """A value and the class it was stored under. value: UTF-8, canonical."""

    class_name: str
    value: bytes

    def __repr__(self) -> str:
        return f"Entry({self.class_name}, <hidden {len(self.value)} bytes>)"


@dataclass(frozen=True, slots=True)
class Erased:
    """The value was erased; its token stays."""

    class_name: str


@dataclass(frozen=True, slots=True)
class Absent:
    """A token of this vault's key that has no entry."""


@dataclass(frozen=True, slots=True)
class _Read:
    """Answer of the store. all: what is not in `found` is not there; else it may be."""

    found: Mapping[bytes, StoredEntry]
    all: bool


Revelation = Entry | Erased | Absent
ABSENT: Final = Absent()


class Vault:
    """One vault of one process, shared by all its links. Made by `open`; `close` it."""

    def __init__(self, store: Store, keyring: Keyring, sources: Sources, limits: Limits) -> None:
        self._store = store
        self._keyring = keyring
        self._sources = sources
        self._timeout = limits.timeout
        self._forms: dict[str, str] = {}
        self._facts: dict[str, str] = {}
        self._mint = Mint(keyring, sources.entropy, limits.known_tokens)
        self._cache = EntryCache(limits.cache_bytes)
        self._opening = Opening(keyring, self._cache)
        self._committer = Committer(store, keyring, sources, limits)
        self._reader: Batcher[frozenset[bytes], _Read] = Batcher(
            self._read,
            len,
            sources.spawn,
            "vault-read",
            weight=limits.read_tokens,
            queue=limits.queue,
            timeout=limits.timeout,
        )
        self.audit: Final = Audit(store, keyring, self._committer)

    @classmethod
    async def open(
        cls,
        store: Store,
        provider: KeyProvider,
        classes: Mapping[str, Mode],
        sources: Sources,
        limits: Limits | None = None,
    ) -> Self:
        """Unwrap the keys (a new vault gets its first), find the end of the audit chain. The vault owns `store`.

        Raises KeyFault (wrong keys), Damaged (audit head), Unavailable.
        """
        keyring = await open_keyring(store, provider, sources.entropy, sources.wall() // 1_000_000)
        vault = cls(store, keyring, sources, limits or Limits())
        vault.configure(classes)
        vault._facts.update(await store.facts())
        await vault._committer.open_chain()
        return vault

    def configure(self, classes: Mapping[str, Mode], forms: Mapping[str, str] | None = None) -> None:
        """Token modes from now on. A class that is not in `classes` any more keeps its mode: statements planned under
        the policy before may still be on their way. forms: class -> what equality means among its values, remembered
        with the first of them as 'class NAME'."""
        self._mint.configure(classes)
        self._forms.update(forms or {})

    def recall(self, name: str) -> str | None:
        """What is remembered under a name; no I/O."""
        return self._facts.get(name)

    async def remember(self, facts: Mapping[str, str]) -> None:
        """Name -> text, durable on return. Raises Unavailable."""
        await self._committer.write(Write(facts=facts))
        self._facts.update(facts)

    async def tokenise(self, items: Sequence[tuple[str, bytes]], audit: AuditEvent | None = None) -> list[bytes]:
        """Tokens (36 bytes) of (class, canonical value) items, in order; every value is durable on return.

        audit: becomes durable in the same commit, once a class, with that class's tokens and count filled in.
        Raises Unavailable, Damaged (the vault holds another value under a token); Bug for an unknown class.
        """
        tokens: list[bytes] = []
        fresh = Fresh()
        for at in range(0, len(items), _TURN_NEW):
            if at:
                await asyncio.sleep(0)
            tokens += self._mint.make(items[at : at + _TURN_NEW], self._sources.wall() // 1_000_000, fresh)
        await self._store_fresh(fresh, _events(audit, items, tokens) if audit is not None else ())
        return tokens

    def find(self, items: Sequence[tuple[str, bytes]]) -> list[bytes]:
        """Tokens that the values have, stored or not; no I/O. Raises Bug for a random or unknown class."""
        return self._mint.find(items)

    async def reveal(self, tokens: Iterable[bytes], budget: int = 0) -> dict[bytes, Revelation]:
        """What stands behind tokens (texts), one by one; for the rest as `opened`."""
        return _revelations(await self.opened(tokens, budget))

    async def opened(self, tokens: Iterable[bytes], budget: int = 0) -> Opened:
        """What stands behind tokens (texts).

        budget: bytes of values, as they are stored (0: any number). Raises OverBudget when there are more, Unavailable
        when the store can't be asked, Damaged or KeyFault naming a token whose row does not open.
        """
        stored, missing, size = self._opening.held(tokens)
        if budget and size > budget:
            raise OverBudget(max(1, len(stored) * budget // size))
        if missing:
            stored.update(await self._fetch(missing, budget, size))
        opened = Opened()
        entries = list(stored.items())
        for at in range(0, len(entries), _TURN):
            if at:
                await asyncio.sleep(0)
            self._opening.open(entries[at : at + _TURN], opened)
        return opened

    def opened_cached(self, tokens: Sequence[bytes]) -> Opened | None:
        """As `opened`, from memory only; None if the store has to be asked for any of them, or they are many."""
        if len(tokens) > _TURN:
            return None
        held, missing, size = self._opening.held(tokens)
        if missing or size > _TURN_BYTES:
            return None
        opened = Opened()
        self._opening.open(list(held.items()), opened)
        return opened

    def tokenise_cached(self, items: Sequence[tuple[str, bytes]]) -> list[bytes] | None:
        """As `tokenise`, if all values are known to be stored; None if any has to be written, or they are many."""
        return None if len(items) > _TURN_NEW else self._mint.known(items)

    async def acquaint(self, tokens: Iterable[bytes]) -> dict[bytes, str | None]:
        """Token (text) -> class of its entry, None if there is none; texts that are no tokens of this vault are left
        out. Opens nothing. Raises Unavailable."""
        ours = {token_text.to_binary(token): token for token in set(tokens) if self.is_ours(token)}
        if not ours:
            return {}
        found = await self._in_time(self._store.classes(sorted(ours)))
        return {token: found.get(binary) for binary, token in ours.items()}

    async def ping(self) -> None:
        """Ask the store anything. Raises Unavailable, also when it does not answer in time."""
        await self._in_time(self._store.schema_version())

    def is_ours(self, token: bytes) -> bool:
        """Whether a text is a token made with this vault's key; no I/O."""
        return token_text.is_ours(self._keyring.tag_key, token)

    def forget(self, tokens: Iterable[bytes]) -> None:
        """Drop tokens (36 bytes) from the caches: their entries changed in the store."""
        tokens = tuple(tokens)
        self._mint.forget(tokens)
        self._cache.forget(tokens)

    async def close(self) -> None:
        """Answer what waits, then close the store."""
        await self._committer.close()
        await self._reader.close()
        await self._store.close()

    async def _store_fresh(self, fresh: Fresh, events: Sequence[AuditEvent]) -> None:
        entries = fresh.entries
        if not entries and not events:
            return
        await self._claim({entry.class_name for entry in entries.values()})
        existing = await self._committer.write(Write(tuple(entries.values()), events))
        for token, entry in entries.items():
            if not crypto.same(existing.get(entry.token, entry.mac), entry.mac):
                raise Damaged("stands for another value than the one written now", token, entry.key_id)
        self._mint.stored(fresh)
        self._cache.add([(token, entry) for token, entry in entries.items() if entry.token not in existing])

    async def _claim(self, names: Collection[str]) -> None:
        """Before a class's first value: what equality means among its values, for all processes of the vault. Raises
        StoreFault if another one came first and means something else."""
        if self.settled(names):
            return
        facts = {f"class {name}": self._forms[name] for name in names if name in self._forms}
        self._facts.update(await self._in_time(self._store.claim(facts)))
        self._agree(names)

    def settled(self, names: Iterable[str]) -> bool:
        """Whether values of these classes are known to get their tokens as this process makes them; no I/O."""
        forms, facts = self._forms, self._facts
        return all(name not in forms or facts.get(f"class {name}") == forms[name] for name in names)

    async def settle(self, names: Collection[str]) -> None:
        """Look what other processes of the vault say of these classes. Raises StoreFault if it is something else (what
        is looked for here would not be found though it is there), Unavailable."""
        if not self.settled(names):
            self._facts.update(await self._in_time(self._store.facts()))
            self._agree(names)

    def _agree(self, names: Iterable[str]) -> None:
        for name in names:
            was, now = self._facts.get(f"class {name}"), self._forms.get(name)
            if was is not None and now is not None and was != now:
                raise StoreFault(f"tokens of class '{name}' are made from {was}, by this process's policy from {now}")

    async def _in_time(self, call: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout):
                return await call
        except TimeoutError:
            raise Unavailable("vault", f"no answer within {self._timeout:g} s") from None

    async def _fetch(self, tokens: Sequence[bytes], budget: int, size: int) -> dict[bytes, StoredEntry | None]:
        """Entries of tokens (texts) from the store, None for those that have none; `size` bytes of others count against
        the budget. Raises OverBudget, Unavailable."""
        found: dict[bytes, StoredEntry] = {}
        binaries = dict(zip(token_text.to_binaries(tokens), tokens, strict=True))
        missing = frozenset(binaries)
        while missing:
            read = await self._reader.submit(missing)
            came = {binary: read.found[binary] for binary in missing if binary in read.found}
            size = _within(budget, came.values(), size)
            found.update(came)
            missing = frozenset() if read.all else missing - came.keys()
        self._cache.add([(binaries[binary], entry) for binary, entry in found.items() if entry.sealed is not None])
        return {token: found.get(binary) for binary, token in binaries.items()}

    async def _read(self, questions: Sequence[frozenset[bytes]]) -> _Read:
        asked = questions[0] if len(questions) == 1 else frozenset().union(*questions)
        found = await self._store.get(sorted(asked), _READ_BYTES)
        return _Read(found, sum([entry.size for entry in found.values()]) < _READ_BYTES)


def _revelations(opened: Opened) -> dict[bytes, Revelation]:
    revealed: dict[bytes, Revelation] = dict.fromkeys(opened.absent, ABSENT)
    revealed.update({token: Erased(name) for token, name in opened.erased.items()})
    for name, values in opened.values.items():
        revealed.update({token: Entry(name, value) for token, value in values.items()})
    return revealed


def _within(budget: int, entries: Collection[StoredEntry], size: int) -> int:
    """Bytes with these, after `size` before them. Raises OverBudget."""
    size += sum([entry.size for entry in entries])
    if budget and size > budget:
        raise OverBudget(max(1, len(entries) * budget // size))
    return size


def _events(audit: AuditEvent, items: Sequence[tuple[str, bytes]], tokens: Sequence[bytes]) -> tuple[AuditEvent, ...]:
    by_class: dict[str, list[bytes]] = {}
    for (class_name, _), token in zip(items, tokens, strict=True):
        by_class.setdefault(class_name, []).append(token)
    return tuple(
        replace(audit, class_name=class_name, tokens=tuple(found), count=len(found))
        for class_name, found in by_class.items()
    )
