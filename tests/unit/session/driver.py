"""A link played by hand: a shop with a policy, a vault that is a dictionary, and the session between two ends.

Each test says what the client sends and what the server answers, in bytes made by `wire.messages`, and looks at what
came out at either end. Questions about the catalog and plans are answered at once by the product's own code, others by
the dictionary, unless `held` is set: then they wait in `asks` until `release()`.
"""

from collections.abc import Callable

from proxy import tokens
from proxy.errors import Refusal
from proxy.policy.access import Access
from proxy.policy.load import load
from proxy.policy.values import mask
from proxy.session.effects import (
    Again,
    Analyse,
    Ask,
    Audit,
    CatalogMoved,
    Close,
    Context,
    DatabasesChanged,
    Effect,
    Failure,
    Find,
    LoadCatalog,
    Note,
    Pause,
    Principal,
    Resume,
    Reveal,
    Revealed,
    Shown,
    ToClient,
    Tokenise,
    TooMuch,
    ToServer,
)
from proxy.session.limits import DEFAULTS, Limits
from proxy.session.session import Session
from proxy.session.statements import Bound
from proxy.session.world import World
from proxy.sql.analyze import analyse
from proxy.sql.catalog import Catalog, Column, Function, Relation, snapshot
from proxy.sql.plan import Plan
from proxy.sql.shape import Shape, shape
from proxy.wire import messages as m

POLICY = """
version: 1
classes:
  email: {kind: email}
  person: {kind: name}
  birthday: {kind: date}
  free: {kind: text}
protect:
  public.customers:
    email: email
    name: person
    born: {class: birthday, type: date}
    ref: free
roles:
  - {name: shop, match: {user: shop}, access: {default: reveal}}
  - {name: support, match: {user: support}, access: {default: mask}, search: true}
  - {name: viewer, match: {user: viewer}, access: {default: token}}
  - {name: mixed, match: {user: mixed}, access: {email: token, default: reveal}}
  - {name: capped, match: {user: capped}, access: {default: reveal}, rows: 3}
  - {name: purposeful, match: {user: purposeful}, access: {default: reveal}, require_purpose: true}
  - {name: nobody, match: {user: nobody}, access: {default: deny}}
"""
CUSTOMERS, NOTES = 16400, 16410
STATUS = {
    "client_encoding": "UTF8",
    "server_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "TimeZone": "UTC",
    "standard_conforming_strings": "on",
}
TAG = b"t" * 32
WHO = Principal("shop", "shop", "", "10.0.0.1", "", "")


def relation(oid: int, schema: str, name: str, columns: str, **more: object) -> Relation:
    types = {"int": (23, "integer"), "text": (25, "text"), "uuid": (2950, "uuid")}
    made = []
    for number, column in enumerate(columns.split(", "), 1):
        title, kind = column.split(" ")
        made.append(Column(title, number, *types[kind], -1))
    return Relation(oid, schema, name, "r", tuple(made), **more)  # type: ignore[arg-type]


RELATIONS = (
    relation(CUSTOMERS, "public", "customers", "id int, email text, name text, born text, ref uuid, note text"),
    relation(NOTES, "public", "notes", "id int, body text"),
    relation(16420, "other", "customers", "id int, email text"),
)
REACHING = Function(16500, "public", "mails", "sql", "select email from public.customers")
SETTLING = (
    Function(16501, "public", "set_tenant", "plpgsql", "begin perform set_config('search_path', $1, false); end"),
    Function(16502, "public", "outer_tenant", "plpgsql", "begin perform Set_Tenant('x'); end"),
)


def world(version: int = 1, policy: str = POLICY, relations: tuple[Relation, ...] = RELATIONS) -> World:
    catalog = Catalog("shop", 180000, relations, (REACHING, *SETTLING), {"": '"$user", public'})
    rules = load([("p.yaml", policy)])
    return World(rules, snapshot(catalog, rules, version), version)


SHOP = world()


def plan(text: str, of: World = SHOP) -> tuple[Shape, Plan]:
    """The product's own plan of a statement."""
    raw = text.encode()
    return shape(raw, True), analyse(raw, True, ("public",), of.snapshot)


def bound(made: Plan, access: Access | None = None, formats: tuple[int, ...] = ()) -> Bound:
    """Of a plan, for a principal who sees all if not said otherwise."""
    access = access or Access("shop", "reveal")
    return Bound(made, access, Context(WHO, access, "00", "select"), formats, 1)


class Vault:
    """Values and their tokens, and what was asked of it."""

    def __init__(self) -> None:
        self.values: dict[bytes, tuple[str, bytes]] = {}
        self.stored: list[tuple[str, bytes]] = []
        self.found: list[tuple[str, bytes]] = []

    def token(self, name: str, value: bytes) -> bytes:
        token = tokens.deterministic(name.encode().ljust(32), TAG, value)
        self.values[token] = (name, value)
        return token

    def tokenise(self, request: Tokenise | Find) -> tuple[bytes, ...]:
        pairs = [(item.class_name, item.canonical) for item in request.items]
        (self.stored if isinstance(request, Tokenise) else self.found).extend(pairs)
        return tuple(
            item.canonical
            if item.may_be_token and item.canonical in self.values
            else self.token(item.class_name, item.canonical)
            for item in request.items
        )

    def reveal(self, request: Reveal, policy: World) -> Revealed | TooMuch:
        size = sum(len(self.values[token][1]) for _, token in request.tokens if token in self.values)
        if request.budget and size > request.budget:
            return TooMuch(max(1, len(request.tokens) * request.budget // size))
        access = request.context.access
        classes = policy.policy.classes

        def shown(name: str, value: bytes, token: bytes) -> Shown:
            level = access.level(name)
            if level == "mask":
                return Shown(name, "mask", mask(classes[name], value))
            return Shown(name, "reveal", value) if level == "reveal" else Shown(name, "token", token)

        found: dict[bytes, Shown] = {}
        for name, token in request.tokens:
            if token in self.values:
                found[token] = shown(*self.values[token], token)
            elif name:
                found[token] = shown(name, token, self.token(name, token))
        plain = {(name, value): shown(name, value, self.token(name, value)) for name, value in request.plain}
        return Revealed(found, plain)


class Link:
    """A session with what came out of it. user: decides the role. held: questions to the vault wait."""

    def __init__(
        self,
        user: str = "shop",
        world_: World | Failure | None = None,
        *,
        protected: bool = True,
        ready: bool = True,
        limits: Limits = DEFAULTS,
        settings: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
    ) -> None:
        self.world = world() if world_ is None and protected else world_
        self.session = Session("10.0.0.1", limits=limits)
        self.vault = Vault()
        self.user = user
        self.held: tuple[type, ...] = ()
        self.asks: list[Ask] = []
        self.asked: list[object] = []
        self.to_server = b""
        self.to_client = b""
        self.events: list[Effect] = []
        self.fail: dict[type, Refusal] = {}
        self.settings = STATUS | (settings or {})
        self.params = {"user": user, "database": "shop"} | (params or {})
        if ready:
            self.start()

    def start(self) -> None:
        """Bring it to where statements may come, and forget what went through."""
        self.startup()
        self.session.server_bytes(self.greeting())
        self.drain()
        self.to_server = self.to_client = b""
        self.events.clear()
        self.asked.clear()

    def startup(self) -> None:
        packet = m.build_startup(m.PROTOCOL_3_0, [(k.encode(), v.encode()) for k, v in self.params.items()])
        self.session.client_bytes(packet)
        self.drain()

    def greeting(self) -> bytes:
        statuses = [m.build_parameter_status(k.encode(), v.encode()) for k, v in self.settings.items()]
        return b"".join(
            [
                m.build_authentication(m.AUTH_OK),
                *statuses,
                m.build_backend_key_data(1, b"1234"),
                m.build_ready_for_query(m.IDLE),
            ]
        )

    # ---- what arrives

    def client(self, *frames: bytes) -> "Link":
        self.session.client_bytes(b"".join(frames))
        return self.drain()

    def server(self, *frames: bytes) -> "Link":
        self.session.server_bytes(b"".join(frames))
        return self.drain()

    def release(self, count: int = -1) -> "Link":
        """Answer questions that waited, the oldest first."""
        while self.asks and count:
            count -= 1
            ask = self.asks.pop(0)
            self.session.answer(ask.ticket, self.reply(ask.request))
            self.drain()
        return self

    def drain(self) -> "Link":
        while effects := self.session.take_effects():
            waiting = [self.perform(effect) for effect in effects]
            for ask in waiting:
                if ask is not None:
                    self.session.answer(ask.ticket, self.reply(ask.request))
        return self

    def perform(self, effect: Effect) -> Ask | None:
        if isinstance(effect, ToServer):
            self.to_server += effect.data
        elif isinstance(effect, ToClient):
            self.to_client += effect.data
        elif isinstance(effect, Again):
            self.session.go_on()
        elif not isinstance(effect, Ask):
            self.events.append(effect)
        elif isinstance(effect.request, self.held):
            self.asks.append(effect)
        else:
            return effect
        return None

    def reply(self, request: object) -> object:
        self.asked.append(request)
        if type(request) in self.fail:
            return Failure(self.fail[type(request)])
        if isinstance(request, LoadCatalog):
            return self.world
        if isinstance(request, Analyse):
            return analyse(
                request.text,
                request.standard_conforming_strings,
                request.search_path,
                request.snapshot,  # type: ignore[arg-type]
            )
        if isinstance(request, Audit | CatalogMoved | DatabasesChanged):
            return None
        if isinstance(request, Reveal):
            assert isinstance(self.world, World)
            return self.vault.reveal(request, self.world)
        assert isinstance(request, Tokenise | Find)
        return self.vault.tokenise(request)

    # ---- what came out

    def sent(self) -> list[bytes]:
        """Frames that reached the server since the last look."""
        out, self.to_server = split(self.to_server), b""
        return out

    def got(self) -> list[bytes]:
        """Frames that reached the client since the last look."""
        out, self.to_client = split(self.to_client), b""
        return out

    def errors(self) -> list[dict[bytes, bytes]]:
        """Fields of the ErrorResponses among what reached the client since the last look."""
        return [error(frame) for frame in self.got() if frame[:1] == b"E"]

    @property
    def closed(self) -> bool:
        return any(isinstance(event, Close) for event in self.events)

    def notes(self, kind: str) -> list[Note]:
        return [event for event in self.events if isinstance(event, Note) and event.kind == kind]

    def flow(self) -> list[Pause | Resume]:
        return [event for event in self.events if isinstance(event, Pause | Resume)]


def split(data: bytes) -> list[bytes]:
    """Typed frames; what is left at the end comes out as it is."""
    out = []
    while data:
        size = 1 + int.from_bytes(data[1:5], "big") if len(data) >= 5 else len(data)
        out.append(data[:size])
        data = data[size:]
    return out


def kinds(frames: list[bytes]) -> str:
    return b"".join(frame[:1] for frame in frames).decode("latin-1")


def error(frame: bytes) -> dict[bytes, bytes]:
    return dict(m.parse_report(frame, 5, len(frame)))


# ---- messages, short ------------------------------------------------------------------------------------------------

SYNC, FLUSH, COPY_DONE = m.build_sync(), m.build_flush(), m.build_copy_done()
PARSED, BOUND, CLOSED = m.build_parse_complete(), m.build_bind_complete(), m.build_close_complete()
NO_DATA, SUSPENDED = m.build_no_data(), m.build_portal_suspended()
EMAIL = m.Field(b"email", CUSTOMERS, 2, 25, -1, -1, 0)
NAME = m.Field(b"name", CUSTOMERS, 3, 25, -1, -1, 0)
BORN = m.Field(b"born", CUSTOMERS, 4, 25, -1, -1, 0)
REF = m.Field(b"ref", CUSTOMERS, 5, 2950, 16, -1, 0)
ID = m.Field(b"id", CUSTOMERS, 1, 23, 4, -1, 0)


def query(text: str | bytes) -> bytes:
    return m.build_query(text.encode() if isinstance(text, str) else text)


def parse(text: str, name: bytes = b"", oids: tuple[int, ...] = ()) -> bytes:
    return m.build_parse(name, text.encode(), oids)


def bind(
    params: list[bytes | None] | None = None,
    name: bytes = b"",
    portal: bytes = b"",
    formats: tuple[int, ...] = (),
    results: tuple[int, ...] = (),
) -> bytes:
    return m.build_bind(portal, name, formats, params or [], results)


def describe(name: bytes = b"", kind: int = m.STATEMENT) -> bytes:
    return m.build_describe(kind, name)


def execute(portal: bytes = b"", rows: int = 0) -> bytes:
    return m.build_execute(portal, rows)


def close(name: bytes, kind: int = m.STATEMENT) -> bytes:
    return m.build_close(kind, name)


def ready(status: str = "I") -> bytes:
    return m.build_ready_for_query(ord(status))


def done(tag: str) -> bytes:
    return m.build_command_complete(tag.encode())


def failed(code: str = "42601", message: str = "no", **more: str) -> bytes:
    fields = {"S": "ERROR", "V": "ERROR", "C": code, "M": message} | more
    return m.build_error_response([(k.encode(), v.encode()) for k, v in fields.items()])


def row(*fields: bytes | None) -> bytes:
    return m.build_data_row(fields)


def columns(*fields: m.Field) -> bytes:
    return m.build_row_description(fields)


Step = Callable[[Link], object]
