"""What a session asks of the outside, and what it is told. Pure data.

`Session` (session.session) gets bytes and answers and fills a list of effects; `net.link` performs them. The session
never waits: it asks (`Ask`) and goes on when `answer(ticket, result)` comes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from proxy.errors import Refusal, Side
from proxy.policy.access import Access

# ---- effects, in the order in which they are to be performed -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToServer:
    data: bytes


@dataclass(frozen=True, slots=True)
class ToClient:
    data: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Stop reading from `side` until Resume: too much of what it sent waits here."""

    side: Side


@dataclass(frozen=True, slots=True)
class Resume:
    side: Side


@dataclass(frozen=True, slots=True)
class StartTls:
    """Begin the handshake with `side` and call `tls_started` or `tls_failed`; until then nothing may be read. first:
    what came of it already (direct TLS), b'' otherwise."""

    side: Side
    first: bytes = b""

    def __repr__(self) -> str:
        return f"StartTls({self.side}, <{len(self.first)} bytes>)"


@dataclass(frozen=True, slots=True)
class Close:
    """Flush what was written to `side`, then close it. reason: for the log, no personal data."""

    side: Side
    reason: str


@dataclass(frozen=True, slots=True)
class CancelUpstream:
    """This link is a CancelRequest: send `packet` (whole, 16+ bytes) to the server on a connection of its own."""

    packet: bytes


@dataclass(frozen=True, slots=True)
class Again:
    """There is more to do at once: call `go_on()` when other links had their turn."""


@dataclass(frozen=True, slots=True)
class Note:
    """A fact for logs and metrics: counts, classes, fingerprints, never values."""

    kind: str
    facts: Mapping[str, str | int | float]


@dataclass(frozen=True, slots=True)
class Ask:
    """Do `request` and call `answer(ticket, result)`; result types stand beside each request below."""

    ticket: int
    request: "Request"


# ---- requests ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, as the server authenticated it; fixed for the life of a link but for `purpose`."""

    user: str
    database: str
    application_name: str
    client: str  # address, '' for a Unix socket
    tls_subject: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Context:
    """What an audit row says of a statement, and the rights it runs with. fingerprint: hex of the shape, literals not
    in it."""

    principal: Principal
    access: Access
    fingerprint: str
    statement: str  # 'select', 'insert', …


@dataclass(frozen=True, slots=True)
class Item:
    """One value to become a token. canonical: UTF-8, the type's equality form.

    may_be_token: the principal writes tokens through (level `token`, or a rule with write_tokens): a token of ours
    stands for itself then; anything else is a value.
    """

    class_name: str
    canonical: bytes
    may_be_token: bool = False

    def __repr__(self) -> str:
        return f"Item({self.class_name}, <hidden {len(self.canonical)} bytes>)"


@dataclass(frozen=True, slots=True)
class LoadCatalog:
    """Give the current `session.world.World` of `database`; `fresh` reads the catalog from the server anew. doubted:
    only because a statement names what is not there, so it need not be at once. changed: because a transaction of this
    link has changed it; the answer comes when every other process of this pgveil has read it too.

    Answer: World | Failure.
    """

    database: str
    fresh: bool
    doubted: bool = False
    changed: bool = False


@dataclass(frozen=True, slots=True)
class DatabasesChanged:
    """One was made, dropped, renamed or set otherwise; not `own`, where this link is. Whoever comes to another next
    needs a catalog that is read from now on.

    Answer: nothing that counts, when everybody knows.
    """

    own: str


@dataclass(frozen=True, slots=True)
class CatalogMoved:
    """DDL that makes no new way to anything protected has ended: `World.moved`. Links of this world know already.

    Answer: nothing that counts, when the links of other processes know too.
    """

    database: str


@dataclass(frozen=True, slots=True)
class Analyse:
    """Make the plan of a statement not seen before. text: UTF-8. Answer: `sql.plan.Plan` | Failure."""

    text: bytes
    standard_conforming_strings: bool
    search_path: tuple[str, ...] | None
    snapshot: object  # sql.catalog.Snapshot, opaque here

    def __repr__(self) -> str:
        return f"Analyse(<hidden {len(self.text)} bytes>)"


@dataclass(frozen=True, slots=True)
class Tokenise:
    """Store each value (durable before the answer) and give its token.

    Answer: tuple[bytes, ...], one 36-byte token an item, in order | Failure.
    """

    items: tuple[Item, ...]
    context: Context


@dataclass(frozen=True, slots=True)
class Find:
    """Tokens of values looked for; stores nothing, audited as a search (durable before the reply to the client).

    Answer: tuple[bytes, ...] as Tokenise | Failure. Deterministic classes only.
    """

    items: tuple[Item, ...]
    context: Context


@dataclass(frozen=True, slots=True)
class Reveal:
    """What the principal may see of these tokens, after the audit row is durable.

    tokens: distinct (class of the column, 36-byte text that looks like a token); the class is '' for one out of an
    error text. One that is not ours is a plain value of the column's class, or left alone where there is none.
    plain: distinct values found in protected columns that don't look like tokens, as (class, UTF-8 value); they are
    shown by the class's level (level token: as the token that the value has). mixed: the columns in which those were
    found, if they were not known to hold any; from now on they may not be compared. budget: bytes that the values of
    the tokens may have as they are stored, 0 for any number.
    Answer: Revealed | TooMuch | Failure.
    """

    tokens: tuple[tuple[str, bytes], ...]
    plain: tuple[tuple[str, bytes], ...]
    context: Context
    mixed: tuple[str, ...] = ()
    budget: int = 0

    def __repr__(self) -> str:
        return f"Reveal({len(self.tokens)} tokens, {len(self.plain)} plain)"


@dataclass(frozen=True, slots=True)
class Audit:
    """Record a refusal or another event; answer None | Failure."""

    action: Literal["refuse", "write"]
    classes: tuple[str, ...]
    context: Context
    outcome: str


Request = LoadCatalog | DatabasesChanged | CatalogMoved | Analyse | Tokenise | Find | Reveal | Audit

# ---- answers -----------------------------------------------------------------------------------------------------


class Shown(NamedTuple):
    """What stands in a token's place. value: UTF-8 canonical value (level reveal), mask text (level mask), the token
    itself (level token), or None for SQL NULL (erased, expired). A tuple: there is one for each value of a result."""

    class_name: str
    level: Literal["reveal", "mask", "token"]
    value: bytes | None

    def __repr__(self) -> str:
        return f"Shown({self.class_name}, {self.level}, <hidden>)"


@dataclass(frozen=True, slots=True)
class Revealed:
    """tokens: token -> Shown; absent: not ours and without a class. plain: (class, value) -> Shown. clear: token ->
    canonical value of those that are shown as they are, which need no Shown each: they are many."""

    tokens: Mapping[bytes, Shown]
    plain: Mapping[tuple[str, bytes], Shown]
    clear: Mapping[bytes, bytes] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Revealed({len(self.tokens) + len(self.clear)})"

    def of(self, token: bytes) -> Shown | None:
        """What stands in the token's place."""
        value = self.clear.get(token)
        return self.tokens.get(token) if value is None else Shown("", "reveal", value)


@dataclass(frozen=True, slots=True)
class TooMuch:
    """The values pass the budget: nothing was revealed. fits: how many of the tokens it is about enough for."""

    fits: int


@dataclass(frozen=True, slots=True)
class Failure:
    """An Ask that could not be done; `refusal` is what the client is told."""

    refusal: Refusal


Effect = ToServer | ToClient | Pause | Resume | StartTls | Close | CancelUpstream | Again | Note | Ask
