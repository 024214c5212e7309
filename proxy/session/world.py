"""What all links of one database share: policy, catalog snapshot, and the plans made from them.

A `World` is never changed, only replaced (policy reload, catalog refresh), but for two things that its links share:
the plan cache grows within a bound, and `moved` says that a link has seen DDL elsewhere, so that the catalog is to be
read anew before a statement is planned that names something protected. Migrations would wait for a reading behind each
of their statements otherwise. A plan belongs to (shape, standard_conforming_strings, search_path) of one world.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, final

from proxy.errors import Refusal
from proxy.policy.rules import Policy
from proxy.sql.catalog import Snapshot
from proxy.sql.plan import Plan
from proxy.sql.shape import Shape, literal_value

Key = tuple[bytes, bool, tuple[str, ...] | None]
Pins = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Pooling:
    """What stands between pgveil and the server. between: something that hands out server sessions, and may not have
    passed on what a link asked for at its start. closed: why no link can go through it, None if they can."""

    between: bool = False
    closed: Refusal | None = None


DIRECT: Final = Pooling()

# Plans of one shape that differ by a pinned literal (ORDER BY 1, ORDER BY 2 …).
MAX_PINNED: Final = 64


@final
class PlanCache:
    """shape -> plan, at most `limit` shapes, the oldest leave.

    A shape with pinned literals has a plan for each combination of their values.
    """

    __slots__ = ("_limit", "_plans", "hits", "misses")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._plans: OrderedDict[Key, tuple[tuple[int, ...], dict[Pins, Plan]]] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._plans)

    def take_counts(self) -> tuple[int, int]:
        """Hits and misses since the last call."""
        counts = self.hits, self.misses
        self.hits = self.misses = 0
        return counts

    def get(self, key: Key, text: bytes, shape: Shape) -> Plan | None:
        found = self._plans.get(key)
        if found is not None:
            plan = found[1].get(pins(found[0], text, shape, key[1]))
            if plan is not None:
                self.hits += 1
                return plan
        self.misses += 1
        return None

    def put(self, key: Key, text: bytes, shape: Shape, plan: Plan) -> None:
        found = self._plans.get(key)
        try:
            values = pins(plan.pinned, text, shape, key[1])
        except Refusal:
            return  # a literal that the server will not read
        if found is None or found[0] != plan.pinned or len(found[1]) >= MAX_PINNED:
            # A shape pins the same literals each time unless the values themselves changed its reading: start anew.
            found = (plan.pinned, {})
            self._plans[key] = found
            if len(self._plans) > self._limit:
                self._plans.popitem(last=False)
        found[1][values] = plan


def pins(indexes: tuple[int, ...], text: bytes, shape: Shape, conforming: bool) -> Pins:
    """Values of the pinned literals, as the plan depends on them."""
    return tuple([literal_value(text, shape, i, conforming) for i in indexes])


@final
class World:
    """policy, snapshot, plans, moved, pooling. `version` grows with each replacement, never used twice in a process."""

    __slots__ = ("moved", "plans", "policy", "pooling", "snapshot", "version")

    def __init__(
        self, policy: Policy, snapshot: Snapshot, version: int, plans: int = 20_000, pooling: Pooling = DIRECT
    ) -> None:
        self.policy = policy
        self.snapshot = snapshot
        self.version = version
        self.plans = PlanCache(plans)
        self.moved = False
        self.pooling = pooling
