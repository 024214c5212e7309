"""One `World` a database: the policy laid over the catalog as last read. Replaced, never changed.

A database's catalog is read when its first client comes, again after DDL seen by a link, on a timer, and when the
policy changes. Who waits for the same reading shares it.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Final, Protocol, final

from proxy.errors import Unavailable
from proxy.net.leftovers import Leftovers, Looks
from proxy.net.poolers import Look, nothing_between
from proxy.net.strangers import Records, Samples, Strangers
from proxy.net.tasks import Tasks
from proxy.observe import count, log
from proxy.policy.rules import Policy
from proxy.session.world import DIRECT, Pooling, World
from proxy.sql.catalog import Catalog, Name, ProtectedColumn, Snapshot, snapshot

# Seconds between readings that a name which is not there gives rise to. One costs some tens of milliseconds.
DOUBTS: Final = 0.2
STRAYS: Final = "write these rows anew, then send SIGHUP; until then comparisons with the column are refused"


class Reader(Looks, Samples, Protocol):
    async def read(self, database: str, *, tables: Collection[Name]) -> Catalog:
        """All of one database, in one snapshot; with the definitions of views over these. Raises Unavailable."""


@final
class Worlds:
    """plans: shapes whose plans a world keeps. changed: called with each new world. tasks: owns the readings. records:
    the vault. pooling: looks what stands before the server."""

    def __init__(
        self,
        reader: Reader,
        policy: Policy,
        plans: int,
        changed: Callable[[World], None],
        tasks: Tasks,
        records: Records,
        pooling: Look = nothing_between,
    ) -> None:
        self._plans: Final = plans
        self._look_between: Final = pooling
        self._pooling: dict[str, Pooling] = {}
        self._reader: Final = reader
        self._changed = changed
        self._tasks: Final = tasks
        self.policy = policy
        self._worlds: dict[str, World] = {}
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._failed: set[str] = set()  # databases whose last reading failed
        self._leftovers: Final = Leftovers(reader)
        self._strays: dict[str, frozenset[str]] = {}  # labels; no look can show that there are none left
        self.strangers: Final = Strangers(reader, records)
        self._doubts: dict[str, float] = {}  # when the last reading for a doubt began
        self._changes = 0
        # Databases whose name may stand for another one since the change of that number: whoever comes to one waits for
        # a reading that began after it. What was known goes on until then, for links that are there.
        self._stale: dict[str, int] = {}
        self._version = 0
        # Called when a change of a database's catalog could not be read: its links know less than there is.
        self.forsaken: Callable[[str], None] = lambda database: None

    @property
    def all(self) -> tuple[World, ...]:
        return tuple(self._worlds.values())

    @property
    def unseen(self) -> list[str]:
        """Columns of which it is not known whether all their values are tokens."""
        return self._leftovers.unseen()

    @property
    def shared(self) -> list[str]:
        """Databases to which a pooler shares server sessions out."""
        return sorted(name for name, pooling in self._pooling.items() if pooling.closed is not None)

    @property
    def unread(self) -> tuple[str, ...]:
        """Databases whose catalog could not be read when it was last tried."""
        return tuple(sorted(self._failed))

    def protects(self, database: str) -> bool:
        return any(rule.database in (None, database) for rule in self.policy.rules)

    def known(self, database: str) -> World | None:
        """None: it is to be loaded."""
        return None if database in self._stale else self._worlds.get(database)

    def databases_changed(self, own: str) -> None:
        """Databases were made, dropped or renamed: their names may stand for others. own: where that was done, which it
        can't have been done to."""
        self._changes += 1
        others = (self._worlds.keys() | self._reading.keys()) - {own}
        self._stale.update(dict.fromkeys(others, self._changes))

    async def reread(self, database: str) -> None:
        """Its catalog has changed. Raises Unavailable; then whoever comes waits for a reading that succeeds, and those
        that are there are forsaken."""
        if database not in self._worlds and database not in self._reading:
            return
        try:
            await self.load(database, True)
        except Unavailable:
            self._changes += 1
            self._stale[database] = self._changes
            self.forsaken(database)
            raise

    def moved(self, database: str) -> None:
        """DDL elsewhere, in another process."""
        world = self._worlds.get(database)
        if world is not None:
            world.moved = True
        elif database in self._reading:
            self._changes += 1
            self._stale[database] = self._changes

    async def load(self, database: str, fresh: bool, doubted: bool = False) -> World:
        """The database's world; `fresh`: with a catalog read from now on, or (doubted) from soon on. Raises
        Unavailable."""
        world = self.known(database)
        if world is not None and not fresh:
            return world
        fresh = fresh or database in self._stale
        if doubted and await self._pause(database):
            return self._worlds[database]
        if fresh and database in self._reading:
            # That reading may have begun before the change that the caller knows of. Its failure is not ours.
            await asyncio.wait([self._reading[database]])
        task = self._reading.get(database)
        if task is None:
            task = self._tasks.spawn(self._read(database), f"catalog {database}")
            self._reading[database] = task
            task.add_done_callback(lambda done: self._done(database, done))
        await asyncio.shield(task)
        world = self._worlds[database]  # the policy may have been renewed since the reading ended
        if doubted and await self._look_again(database, world.snapshot):
            self._lay_again(database)
        return self._worlds[database]

    async def _pause(self, database: str) -> bool:
        """A client that names what is not there in a loop must not have the catalog read without end. True: another
        had it read meanwhile."""
        loop = asyncio.get_running_loop()
        asked = loop.time()
        wait = self._doubts.get(database, 0.0) + DOUBTS - asked
        if wait > 0:
            await asyncio.sleep(wait)
            if self._doubts[database] >= asked and database not in self._reading:
                return True
        self._doubts[database] = loop.time()
        return False

    def _done(self, database: str, task: "asyncio.Task[None]") -> None:
        del self._reading[database]
        if not task.cancelled():
            task.exception()  # who waited for it has it; if all of them left, nobody misses it

    async def _read(self, database: str) -> None:
        change = self._stale.get(database)
        try:
            catalog = await self._reader.read(database, tables=tables_of(self.policy, database))
        except Unavailable:
            self._failed.add(database)
            raise
        self._failed.discard(database)
        if database not in self._pooling:
            self._pooling[database] = await self._look_between(database)
        known = self._worlds.get(database)
        laid = snapshot(catalog, self.policy, 0)
        if known is None or change is not None:
            await self._leftovers.look(database, comparable(laid))
            await self._acquaint(database, protected(laid))
        elif known.snapshot.catalog != catalog:
            there = {(column.label, column.relation_oid) for column in protected(known.snapshot)}
            news = [column for column in protected(laid) if (column.label, column.relation_oid) not in there]
            await self._acquaint(database, news)
        known = self._worlds.get(database)
        if known is None or known.snapshot.catalog != catalog or known.policy is not self.policy or change is not None:
            self._replace(database, catalog)
        if self._stale.get(database) == change:
            self._stale.pop(database, None)

    def _replace(self, database: str, catalog: Catalog) -> World:
        self._version += 1
        mixed = self._leftovers.of(database) | self._strays.get(database, frozenset())
        laid = snapshot(catalog, self.policy, self._version, mixed, self.strangers.of(database))
        world = World(self.policy, laid, self._version, self._plans, self._pooling.get(database, DIRECT))
        before = self._worlds.get(database)
        world.moved = before is not None and before.moved  # seen while this one was being read
        self._worlds[database] = world
        count("catalog_refreshes", outcome="loaded")
        for drift in world.snapshot.drift:
            log(
                "drift",
                "warning",
                database=database,
                column=drift.column,
                file=drift.file,
                line=drift.line,
                fault=drift.what,
            )
        self._changed(world)
        return world

    def renew(self, policy: Policy) -> None:
        """Another policy from now on, over the catalogs as they are known."""
        before, self.policy = self.policy, policy
        for database, world in list(self._worlds.items()):
            laid = snapshot(world.snapshot.catalog, policy, 0)
            self.strangers.suspect(database, protected(laid), protected(world.snapshot))
            self._replace(database, world.snapshot.catalog)
            self._tasks.spawn(self._look(database, False), f"rows {database}")
        if any(not tables_of(policy, name) <= tables_of(before, name) for name in self._worlds):
            self._tasks.spawn(self.refresh(), "views over other tables")

    # ---- rows from before

    def mixed(self, database: str, labels: Collection[str]) -> bool:
        """Values that are no tokens were seen in these columns. True: that is news."""
        news = self._leftovers.seen(database, labels)
        if news:
            self._lay_again(database)
        return news

    def strayed(self, database: str, classes: Collection[str]) -> bool:
        """Tokens that are none of the vault's were seen in columns of these classes. True: that is news."""
        world = self._worlds.get(database)
        found = [] if world is None else [c.label for c in comparable(world.snapshot) if c.class_name in classes]
        news = self._keep_strays(database, found)
        if news:
            self._lay_again(database)
        return news

    def _keep_strays(self, database: str, labels: Collection[str]) -> bool:
        """True: that is news."""
        known = self._strays.get(database, frozenset())
        for label in sorted(set(labels) - known):
            log("stray-tokens", "error", database=database, column=label, advice=STRAYS)
        self._strays[database] = known.union(labels)
        return self._strays[database] != known

    def look_again(self) -> None:
        """The operator says that such rows have been put right."""
        strays, self._strays = self._strays, {}
        for database in self._worlds:
            self._tasks.spawn(self._look(database, True, bool(strays.get(database))), f"rows {database}")

    async def _look(self, database: str, trusted: bool, news: bool = False) -> None:
        laid = self._worlds[database].snapshot
        changed = await self._leftovers.look(database, comparable(laid), trusted)
        if await self._acquaint(database, protected(laid)) or changed or news:
            self._lay_again(database)

    async def _acquaint(self, database: str, columns: list[ProtectedColumn]) -> bool:
        """Show tokens of the columns to the vault. True: something changed."""
        seen = await self.strangers.look(database, columns)
        deterministic = {column.label for column in columns if column.deterministic}
        return self._keep_strays(database, seen.stray & deterministic) or seen.changed

    async def _look_again(self, database: str, laid: Snapshot) -> bool:
        changed = await self._leftovers.look_again(database, comparable(laid))
        return (await self.strangers.look_again(database, protected(laid))).changed or changed

    def _lay_again(self, database: str) -> None:
        world = self._worlds.get(database)
        if world is not None:
            self._replace(database, world.snapshot.catalog)

    async def refresh(self) -> None:
        """Read every known database's catalog anew. A failure leaves what is known: a table that has changed meanwhile
        answers with the server's own error, or is found by its row description."""
        for database in list(self._worlds):
            await self._look_at_the_way(database)
            try:
                await self.load(database, True)
            except Unavailable as gone:
                count("catalog_refreshes", outcome="failed")
                log("catalog-unavailable", "warning", database=database, what=gone.what)

    async def _look_at_the_way(self, database: str) -> None:
        """To the server: a pooler may have been put there meanwhile. One that was seen to share sessions is not
        believed to have stopped."""
        known, found = self._pooling.get(database, DIRECT), await self._look_between(database)
        if known != found and known.closed is None:
            self._pooling[database] = found
            self._lay_again(database)


def tables_of(policy: Policy, database: str) -> frozenset[Name]:
    """Those that the policy names."""
    return frozenset([(rule.schema, rule.table) for rule in policy.rules_for(database)])


def protected(laid: Snapshot) -> list[ProtectedColumn]:
    """All protected columns that are there."""
    return [column for table in laid.protected_tables.values() for column in table.values() if column.relation_oid]


def comparable(laid: Snapshot) -> list[ProtectedColumn]:
    """Those whose tokens are compared."""
    return [column for column in protected(laid) if column.deterministic]
