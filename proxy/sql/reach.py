"""What runs certain functions: by name, or behind a table, a view, an operator.

A statement need not name a function to run it: a view's query, a rule, a DEFAULT, a CHECK, an index, a trigger, a row
security policy do, in the table named, in its partitions, in tables that a foreign key's action changes, and in
whatever a function's body names. Operators, casts, domains and event triggers run theirs with no name at all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from proxy.sql.bodies import naming
from proxy.sql.relations import Catalog, Function, Relation

_VIEWS: Final = frozenset("vm")


@dataclass(frozen=True, slots=True)
class Reached:
    """names: of functions, and of tables and views that run one whenever they are named. writes: names of tables and
    views that do when they are written to. anywhere: something without a name runs one."""

    names: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    anywhere: bool = False


def reached(catalog: Catalog, start: Callable[[Function], bool]) -> Reached:
    """What runs one of the functions for which `start` is true."""
    found = [function for function in catalog.functions if start(function)]
    if not found:
        return Reached()
    reading: set[int] = set()
    writing: set[int] = set()
    while True:
        before = len(found), len(reading), len(writing)
        oids = {function.oid for function in found}
        for relation in catalog.relations:
            _relation(relation, oids, reading, writing)
        marked = reading | writing
        names = {function.name for function in found} | {r.name for r in catalog.relations if r.oid in marked}
        found += naming([function for function in catalog.functions if function.oid not in oids], names)
        if (len(found), len(reading), len(writing)) == before:
            break
    return Reached(
        frozenset([f.name for f in found] + [r.name for r in catalog.relations if r.oid in reading]),
        frozenset([r.name for r in catalog.relations if r.oid in writing]),
        not oids.isdisjoint(catalog.unnamed),
    )


def _relation(relation: Relation, functions: set[int], reading: set[int], writing: set[int]) -> None:
    """Mark it, and whatever is written to with it."""
    below = relation.depends_on
    if not functions.isdisjoint(relation.on_read) or (relation.kind in _VIEWS and not reading.isdisjoint(below)):
        reading.add(relation.oid)
    runs = not functions.isdisjoint(relation.on_write) or not functions.isdisjoint(relation.triggers)
    if runs or not writing.isdisjoint(relation.changes) or not writing.isdisjoint(below):
        writing.add(relation.oid)
    if relation.oid in writing:
        writing.update(relation.parents)  # rows for a parent go to its partitions
