"""What the names of statements and portals stand for: as the messages are sent, corrected as the replies come.

A message is planned by what its predecessors will have done. Within a batch that is certain: if a predecessor fails,
the server skips the message too. Across a Sync it is not: a name whose change in an earlier batch is not confirmed
may stand for what it stood for before. Such a name is `uncertain`, and whoever uses it waits.
"""

from typing import Generic, Protocol, TypeVar, final


class Meaning(Protocol):
    """serial: grows with each one made on the link. plain: nothing of it is ours."""

    serial: int
    plain: bool


T = TypeVar("T", bound=Meaning)


@final
class Change(Generic[T]):
    """A message that changes a name: from `old` to `new` (None: nothing). batch: State.batch when it was processed."""

    __slots__ = ("batch", "name", "names", "new", "old")

    def __init__(self, names: "Names[T]", name: bytes, old: T | None, new: T | None, batch: int) -> None:
        self.names = names
        self.name = name
        self.old = old
        self.new = new
        self.batch = batch

    def done(self) -> None:
        """The server did it."""
        self.names.done(self)

    def undo(self) -> None:
        """The server skipped the message, or refused it."""
        self.names.undo(self)


@final
class Names(Generic[T]):
    """See the module. Among plain meanings nothing is uncertain: whichever holds, the message passes as it is."""

    __slots__ = ("_now", "_open")

    def __init__(self) -> None:
        self._now: dict[bytes, T] = {}
        self._open: dict[bytes, list[Change[T]]] = {}

    def __len__(self) -> int:
        return len(self._now)

    def __contains__(self, name: bytes) -> bool:
        return name in self._now

    def get(self, name: bytes) -> T | None:
        return self._now.get(name)

    def all(self) -> dict[bytes, T]:
        return dict(self._now)

    def change(self, name: bytes, new: T | None, batch: int) -> Change[T] | None:
        """The name stands for `new` from now on. None: it stands for nothing, whatever comes."""
        old = self._now.get(name)
        if new is None:
            if old is None and name not in self._open:
                return None
            self._now.pop(name, None)
        else:
            self._now[name] = new
        made = Change(self, name, old, new, batch)
        self._open.setdefault(name, []).append(made)
        return made

    def changing(self, name: bytes) -> bool:
        """Whether a change of the name is not confirmed yet."""
        return name in self._open

    def uncertain(self, name: bytes, batch: int) -> bool:
        """Whether it depends on replies to an earlier batch what the name stands for."""
        changes = self._open.get(name)
        if changes is None or changes[-1].batch == batch:
            return False
        return any(meaning is not None and not meaning.plain for c in changes for meaning in (c.old, c.new))

    def done(self, change: Change[T]) -> None:
        self._leave(change)

    def undo(self, change: Change[T]) -> None:
        later = self._leave(change)
        if later is not None:
            later.old = change.old
        elif self._now.get(change.name) is change.new:
            self._set(change.name, change.old)

    def forget(self, name: bytes | None, serial: int) -> None:
        """Meanings older than `serial` are gone (DEALLOCATE, DISCARD, the end of a transaction); None: of all names."""
        for each in list(self._now) if name is None else [name]:
            meaning = self._now.get(each)
            if meaning is not None and meaning.serial <= serial:
                del self._now[each]
        for changes in self._open.values() if name is None else [self._open.get(name, [])]:
            for change in changes:
                if change.old is not None and change.old.serial <= serial:
                    change.old = None

    def _set(self, name: bytes, meaning: T | None) -> None:
        if meaning is None:
            self._now.pop(name, None)
        else:
            self._now[name] = meaning

    def _leave(self, change: Change[T]) -> Change[T] | None:
        """Take the change off the list; the one behind it."""
        changes = self._open.get(change.name)
        if changes is None or change not in changes:
            return None
        at = changes.index(change)
        del changes[at]
        later = changes[at] if at < len(changes) else None
        if not changes:
            del self._open[change.name]
        return later
