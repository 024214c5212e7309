"""What a policy says, as values: classes, protected columns, roles, records.

Not here: reading YAML (`policy.load`), who gets what (`policy.access`), what a value must look like (`policy.values`).
Invariant: a `Policy` that exists is sound in itself: each class that is named is defined, no column is protected
twice, no key is unknown. What only a live catalog can tell is checked elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, get_args

Kind = Literal["email", "phone", "login", "name", "address", "date", "national_id", "card", "ip", "text", "json"]
TokenMode = Literal["deterministic", "random"]
SearchKind = Literal["exact", "normalized", "casefold", "pattern"]
Level = Literal["reveal", "mask", "token", "deny"]
Invalid = Literal["keep", "reject"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
TOKEN_MODES: Final[tuple[TokenMode, ...]] = get_args(TokenMode)
SEARCH_KINDS: Final[tuple[SearchKind, ...]] = get_args(SearchKind)
LEVELS: Final[tuple[Level, ...]] = get_args(Level)
INVALIDS: Final[tuple[Invalid, ...]] = get_args(Invalid)

NORMALIZED_KINDS: Final[frozenset[Kind]] = frozenset({"email", "phone", "login"})


@dataclass(frozen=True, slots=True)
class ValueClass:
    """A kind of personal data. Columns of one class share tokens, so joins between them work.

    search: index kinds beside the implicit 'exact'. canonicalize: the normal form of the value is stored in its place,
    for columns whose type calls more than equal bytes equal (citext, numeric without scale). region: two letters, for
    phone numbers without a country code. mask: fixed text in place of the kind's mask. invalid: what becomes of a value
    that its kind does not recognise; 'keep' answers as a plaintext database does.
    """

    name: str
    kind: Kind
    tokens: TokenMode = "deterministic"
    search: tuple[SearchKind, ...] = ()
    canonicalize: bool = False
    region: str | None = None
    mask: str | None = None
    invalid: Invalid = "keep"

    @property
    def deterministic(self) -> bool:
        return self.tokens == "deterministic"


@dataclass(frozen=True, slots=True)
class Rule:
    """One protected column. Names are the catalog's, case and all. database None: in every database of the server.

    type: what clients see, in canonical spelling with modifiers ('date', 'int4', 'varchar(50)', 'numeric(10,2)'), or
    None: as stored. write_tokens: a token of ours that is written here stands for itself (restores).
    """

    database: str | None
    schema: str
    table: str
    column: str
    class_name: str
    type: str | None = None
    write_tokens: bool = False
    file: str = ""
    line: int = 0

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.table}.{self.column}"


@dataclass(frozen=True, slots=True)
class Match:
    """Who a role is for. Every key that is given must match; one of its alternatives is enough. () is: not given.

    client: networks in CIDR form, or 'unix' for a Unix socket. The others are case-sensitive globs.
    """

    user: tuple[str, ...] = ()
    database: tuple[str, ...] = ()
    application_name: tuple[str, ...] = ()
    client: tuple[str, ...] = ()
    tls_subject: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoleRule:
    """What the principals that match get.

    access: class -> level; `default` for the classes not in it. search: True or the classes that may be searched by
    equality without `reveal`. write: None is by level (`reveal` and `token` write, `mask` and `deny` don't), True and
    False are for all classes, a tuple names those that may be written. rows: cap on the revealed values of a statement.
    """

    name: str
    match: Match
    default: Level = "token"
    access: Mapping[str, Level] = field(default_factory=lambda: MappingProxyType({}))
    require_purpose: bool = False
    search: bool | tuple[str, ...] = False
    write: bool | tuple[str, ...] | None = None
    rows: int | None = None
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class RecordKey:
    name: str
    kind: Kind
    unique: bool = False


@dataclass(frozen=True, slots=True)
class RecordRule:
    """A kind of whole JSON record. schema: path of its JSON Schema as the policy wrote it, relative to `file`."""

    name: str
    keys: tuple[RecordKey, ...] = ()
    schema: str | None = None
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """All that the policy files say. digest: hex SHA-256 of the meaning (not of comments or order of keys)."""

    classes: Mapping[str, ValueClass] = field(default_factory=lambda: MappingProxyType({}))
    rules: tuple[Rule, ...] = ()
    roles: tuple[RoleRule, ...] = ()
    records: tuple[RecordRule, ...] = ()
    version: int = 1
    digest: str = ""

    def rules_for(self, database: str) -> tuple[Rule, ...]:
        """Rules that hold in `database`."""
        return tuple(rule for rule in self.rules if rule.database is None or rule.database == database)


NOTHING: Final = Policy()
