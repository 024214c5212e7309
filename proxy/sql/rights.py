"""Which schemas of a search_path the server looks into: those that are there and that the role may use.

Follows namespace.c recomputeNamespacePath() and acl.c (pg_namespace_aclmask, roles_is_member_of). Pure: `net.catalog`
reads the grants. Rights of databases, tables and columns are no matter here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

Path = tuple[str, ...]
# Since PostgreSQL 14 these may use every schema.
_EVERYWHERE: Final = frozenset(("pg_read_all_data", "pg_write_all_data"))
_NOBODY: Final[Mapping[str, frozenset[str]]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Schemas:
    """names: schemas that are there, but for those of temporary tables. everyone: of these, what PUBLIC may use. roles:
    role -> all that it may use."""

    names: frozenset[str] = frozenset(("public",))
    everyone: frozenset[str] = frozenset(("public",))
    roles: Mapping[str, frozenset[str]] = field(default_factory=lambda: _NOBODY)

    def looked_into(self, path: Path, role: str | None) -> Path | None:
        """What is left of `path` for `role` (None: it is not known who asks); None if that is not certain. A schema
        that was not there stays: nothing is found in it, unless it was made since."""
        if any(name.startswith("pg_temp_") for name in path):
            return None  # of this session, which may use it, or of another
        mine = None if role is None else self.roles.get(role)
        if mine is None:
            return path if all(name in self.everyone or name not in self.names for name in path) else None
        return tuple([name for name in path if name in mine or name not in self.names])


def schemas(
    grants: Iterable[tuple[str, str | None]], roles: Iterable[tuple[str, bool]], members: Iterable[tuple[str, str]]
) -> Schemas:
    """grants: (schema, role with USAGE; '' for PUBLIC, None for nobody). roles: (name, superuser). members: (role, role
    whose rights it has without SET ROLE)."""
    granted: dict[str, set[str]] = {}
    names: set[str] = set()
    for schema, grantee in grants:
        names.add(schema)
        if grantee is not None:
            granted.setdefault(grantee, set()).add(schema)
    above: dict[str, list[str]] = {}
    for member, of in members:
        above.setdefault(member, []).append(of)
    everyone, all_ = frozenset(granted.get("", ())), frozenset(names)
    found: dict[str, frozenset[str]] = {}
    for role, superuser in roles:
        one = _one(role, above)
        own = set().union(*[granted.get(each, ()) for each in one])
        found[role] = all_ if superuser or not _EVERYWHERE.isdisjoint(one) else everyone | own
    return Schemas(all_, everyone, found)


def _one(role: str, above: Mapping[str, list[str]]) -> set[str]:
    """The role and those whose rights it has."""
    found, ready = {role}, [role]
    while ready:
        news = [each for each in above.get(ready.pop(), ()) if each not in found]
        found.update(news)
        ready += news
    return found
