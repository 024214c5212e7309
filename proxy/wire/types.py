"""Types that a protected column can show: names, OIDs, text and binary formats, canonical forms."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TypeSpec:
    """A PostgreSQL type. name: canonical, without modifiers ('text', 'varchar', 'bpchar', 'uuid', 'date', 'int4',
    'numeric', 'timestamptz' …). oid, size (typlen) and typmod as in RowDescription (typmod -1: none)."""

    name: str
    oid: int
    size: int
    typmod: int = -1
