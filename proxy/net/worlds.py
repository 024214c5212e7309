"""One `World` a database: the policy laid over the catalog as last read. Replaced, never changed.

A database's catalog is read when its first client comes, again after DDL seen by a link, on a timer, and when the
policy changes. Who waits for the same reading shares it.
"""

import asyncio
from collections.abc import Callable
from typing import Final, final

from proxy.errors import Unavailable
from proxy.net.catalog import CatalogReader
from proxy.observe import count, log
from proxy.policy.rules import Policy
from proxy.session.world import World
from proxy.sql.catalog import Catalog, snapshot


@final
class Worlds:
    """plans: shapes whose plans a world keeps. changed: called with each new world."""

    def __init__(self, reader: CatalogReader, policy: Policy, plans: int, changed: Callable[[World], None]) -> None:
        self._plans: Final = plans
        self._reader: Final = reader
        self._changed = changed
        self.policy = policy
        self._worlds: dict[str, World] = {}
        self._reading: dict[str, asyncio.Task[World]] = {}
        self._version = 0

    @property
    def all(self) -> tuple[World, ...]:
        return tuple(self._worlds.values())

    def protects(self, database: str) -> bool:
        return any(rule.database in (None, database) for rule in self.policy.rules)

    def known(self, database: str) -> World | None:
        return self._worlds.get(database)

    async def load(self, database: str, fresh: bool) -> World:
        """The database's world; `fresh`: with a catalog read from now on. Raises Unavailable."""
        world = self._worlds.get(database)
        if world is not None and not fresh:
            return world
        if fresh and database in self._reading:
            # That reading may have begun before the change that the caller knows of.
            await asyncio.wait([self._reading[database]])
        task = self._reading.get(database)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._read(database), name=f"catalog {database}")
            self._reading[database] = task
            task.add_done_callback(lambda _: self._reading.pop(database, None))
        return await asyncio.shield(task)

    async def _read(self, database: str) -> World:
        catalog = await self._reader.read(database)
        known = self._worlds.get(database)
        if known is not None and known.snapshot.catalog == catalog and known.policy is self.policy:
            return known
        return self._replace(database, catalog)

    def _replace(self, database: str, catalog: Catalog) -> World:
        self._version += 1
        world = World(self.policy, snapshot(catalog, self.policy, self._version), self._version, self._plans)
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
        self.policy = policy
        for database, world in list(self._worlds.items()):
            self._replace(database, world.snapshot.catalog)

    async def refresh(self) -> None:
        """Read every known database's catalog anew. A failure leaves what is known: a table that has changed meanwhile
        answers with the server's own error, or is found by its row description."""
        for database in list(self._worlds):
            try:
                await self.load(database, True)
            except Unavailable as gone:
                count("catalog_refreshes", outcome="failed")
                log("catalog-unavailable", "warning", database=database, what=gone.what)
