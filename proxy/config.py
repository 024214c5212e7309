"""Settings: one table (name, type, default, help, reason), and their values for one process.

The dataclasses below are the table: each field is a setting. The file, environment variables, the reference page and
the faults are all made from them. Not here: policies' content (`policy.load`), what settings do.

Invariants: a `Settings` that exists is sound in itself; an environment variable wins over the file; an unknown key in
the file is a fault; every limit says why it is there; no secret comes into `repr`, `str` or a fault.
"""

import glob
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass, replace
from typing import Any, Final, Literal, cast, get_args
from urllib.parse import SplitResult, urlsplit

import yaml

from proxy.documents import Entry, Fault, Faults, Reader, is_text, quote
from proxy.endpoints import Endpoint, Tcp, Unix, Url
from proxy.kinds import (
    ADMIN,
    BOOLEAN,
    CATALOG,
    DEFAULT_PORT,
    KEYS,
    LISTEN,
    OFF,
    PATH,
    PATHS,
    POSTGRES_PORT,
    UPSTREAM,
    UPSTREAM_QUERY,
    VAULT,
    WORKERS,
    KeySource,
    Kind,
    Place,
    Target,
    TlsMode,
    Upstream,
    choice,
    duration,
    integer,
    size,
)

ENV: Final = "PGVEIL_"

Enforcement = Literal["enforce", "observe"]
LogFormat = Literal["plain", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]


class ConfigFaults(Faults):
    """All that is wrong with the configuration, environment variables included (their name stands as the file's)."""


# ---- the table -----------------------------------------------------------------------------------------------------


def setting(kind: Kind, help: str, default: object = ..., reason: str = "") -> Any:
    """A field of the table. default: as a user would write it, `...` if there is none, None for 'not set'. reason: of a
    limit, why there is one and why this one."""
    metadata = {"kind": kind, "help": help, "default": default, "reason": reason}
    if default is ...:
        return field(metadata=metadata)
    return field(metadata=metadata, default_factory=lambda: _default(kind, default))


def _default(kind: Kind, default: object) -> object:
    if default is None:
        return None
    here = Place(os.curdir)
    if isinstance(default, tuple):
        return tuple(kind.read(each, here) for each in default)
    return (kind.read(str(default), here),) if kind.many else kind.read(str(default), here)


def section(of: type) -> Any:
    return field(default_factory=of)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    cert: str | None = setting(PATH, "certificate chain (PEM) shown to clients; with it, TLS is offered", None)
    key: str | None = setting(PATH, "private key of that certificate (PEM)", None)
    ca: str | None = setting(PATH, "CA whose client certificates are accepted; their subject is `tls_subject`", None)
    require: bool = setting(BOOLEAN, "refuse clients without TLS (Unix sockets excepted)", "false")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTls:
    mode: TlsMode = setting(choice(get_args(TlsMode)), "as libpq's sslmode, towards the server", "prefer")
    ca: str | None = setting(PATH, "CA of the server's certificate (PEM); not set: the system's", None)
    cert: str | None = setting(PATH, "certificate shown to the server (PEM)", None)
    key: str | None = setting(PATH, "private key of that certificate (PEM)", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    client: ClientTls = section(ClientTls)
    server: ServerTls = section(ServerTls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    connections: int = setting(
        integer(1, 100_000),
        "client connections at a time; one more is refused with 53300",
        "1000",
        "each costs two sockets and its buffers; a server takes 100 by default, so this leaves room for poolers",
    )
    message: int = setting(
        size(64 << 10, 1 << 30),
        "largest message, or row of a COPY, in which values are replaced; a larger one is refused",
        "64MiB",
        "it is held whole, several times: a value of 1 MB is ordinary, PostgreSQL's own bound is 1 GB",
    )
    statement: int = setting(
        size(1 << 10, 1 << 30),
        "longest text of a statement that is analysed; a longer one is refused if it may touch a protected table",
        "16MiB",
        "analysis needs some ten times the text; dumps with large INSERTs stay below this",
    )
    waiting: int = setting(
        size(16 << 10, 256 << 20),
        "bytes from a client that may wait for the vault, per connection; then reading pauses",
        "1MiB",
        "enough for a pipelined batch of thousands of statements; times `connections` it bounds memory",
    )
    result_buffer: int = setting(
        size(16 << 10, 1 << 30),
        "bytes of a result that may wait for the vault, per connection; then reading from the server pauses",
        "4MiB",
        "a vault call serves some thousand rows at once, more gains nothing; a result of any size streams",
    )
    statements: int = setting(
        integer(1, 10_000_000),
        "prepared statements and portals a connection may hold",
        "100000",
        "each keeps its plan; an application that never closes them would grow pgveil until it dies",
    )
    plans: int = setting(
        integer(16, 10_000_000),
        "statement shapes whose plans are kept",
        "20000",
        "a few kilobytes each; applications have hundreds of shapes, those with generated SQL some thousands",
    )
    vault_batch: int = setting(
        integer(1, 100_000),
        "values in one call to the vault",
        "2000",
        "larger ones gain no speed and keep others waiting",
    )
    vault_cache: int = setting(
        size(0, 64 << 30),
        "memory for vault entries read lately, as ciphertext",
        "64MiB",
        "some 300,000 entries: the customers that an application works with today",
    )
    search_values: int = setting(
        integer(1, 100_000_000),
        "values that one search in the vault may look at or answer with (for later: nothing uses it yet)",
        "100000",
        "each candidate is decrypted to be sure; above this a search takes seconds",
    )
    compute_rows: int = setting(
        integer(1, 100_000_000),
        "rows that a statement may bring to be computed on revealed values (for later: nothing uses it yet)",
        "200000",
        "they are held in memory, revealed, for the time of the statement",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    startup: float = setting(
        duration(0.1, 3600),
        "from a client's connection to its first ReadyForQuery",
        "60s",
        "PostgreSQL's authentication_timeout; a silent peer holds a connection no longer",
    )
    connect: float = setting(
        duration(0.1, 600), "to connect to the server", "10s", "a server that is down should be an error, not a hang"
    )
    analyse: float = setting(
        duration(0.01, 600),
        "to understand a statement not seen before",
        "5s",
        "an ordinary one takes a millisecond; the longest bound by `limits.statement` about a second",
    )
    vault: float = setting(
        duration(0.1, 600),
        "for a call to the vault, then 57P03",
        "10s",
        "longer than a busy disk needs; a client should learn that its vault is gone",
    )
    catalog: float = setting(
        duration(0.1, 600), "to read the catalog", "30s", "a catalog of 100,000 columns takes some seconds"
    )
    idle: float = setting(
        duration(0, 365 * 86400),
        "without a statement, outside of a transaction; then the link ends (57P05). 0: none",
        "0s",
        "as the server's idle_session_timeout; idle transactions are left to the server's own setting",
    )
    drain: float = setting(
        duration(0, 86400),
        "for links to end their transactions at shutdown",
        "25s",
        "Kubernetes kills after 30 seconds",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    format: LogFormat = setting(choice(get_args(LogFormat)), "one line an event, for people or as JSON", "plain")
    level: LogLevel = setting(choice(get_args(LogLevel)), "least level that is written", "info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    indexed_tokens: int = setting(
        integer(0, 100_000),
        "a statement that reveals more tokens than this keeps them as one block (for later: nothing uses it yet)",
        "1000",
        "a row for each would make an export of a million values write a million rows",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One process's settings. warnings: what looks like a mistake but need not be one."""

    listen: tuple[Endpoint, ...] = setting(
        LISTEN,
        "where clients connect: host:port or unix:/directory, or a list of them",
        f"127.0.0.1:{DEFAULT_PORT}",
    )
    upstream: tuple[Upstream, ...] = setting(
        UPSTREAM,
        "the application's server: host:port, unix:/directory:port, or postgresql://host:port/?sslmode=…; of a "
        "list, the first that takes a link",
    )
    target_session_attrs: Target = setting(
        choice(get_args(Target)), "as libpq's: which of `upstream` a link may go to", "any"
    )
    catalog: Url = setting(
        CATALOG,
        "account that reads the catalog; any that can connect. The database part is a default",
    )
    policies: tuple[str, ...] = setting(PATHS, "policy files, or patterns of them; [] protects nothing")
    vault: Url = setting(VAULT, "where values live: sqlite:////path, postgresql://…, mysql://…")
    keys: KeySource = setting(KEYS, "where the key comes from that wraps all keys: file:PATH, env:NAME, …")
    admin: Endpoint | None = setting(
        ADMIN, f"where metrics, health and the API are served; `{OFF}`: nowhere", "127.0.0.1:9187"
    )
    workers: int = setting(
        WORKERS,
        "processes that serve links; `auto`: as many as there are processors. One more watches over them, from 2 on",
        "1",
    )
    takeover: bool = setting(
        BOOLEAN,
        "take the place of the pgveil that listens here, as `run --takeover` does, without losing a connection",
        "false",
    )
    enforcement: Enforcement = setting(
        choice(get_args(Enforcement)),
        "observe: reads that would be refused pass with tokens in them, and are logged",
        "enforce",
    )
    policy_poll: float = setting(
        duration(0.1, 86400),
        "how often policy and certificate files are looked at for changes (SIGHUP does it at once)",
        "5s",
    )
    catalog_refresh: float = setting(
        duration(1, 86400), "how often the catalog is read anew; DDL through pgveil does it at once", "60s"
    )
    tls: Tls = section(Tls)
    limits: Limits = section(Limits)
    timeouts: Timeouts = section(Timeouts)
    log: Log = section(Log)
    audit: Audit = section(Audit)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A setting as the reference page shows it. default: as one would write it, None if it must be given."""

    name: str
    kind: Kind
    default: str | None
    help: str
    reason: str

    @property
    def variable(self) -> str:
        return ENV + self.name.upper().replace(".", "__")


def table() -> tuple[Row, ...]:
    """All settings, in the order of the dataclasses."""
    return tuple(_rows(Settings, ""))


def _rows(of: type, prefix: str) -> Iterator[Row]:
    for each in fields(of):
        inner = _section(each)
        if inner is not None:
            yield from _rows(inner, f"{prefix}{each.name}.")
        elif "kind" in each.metadata:
            data = each.metadata
            default = None if data["default"] is ... else data["default"] or ""
            yield Row(prefix + each.name, data["kind"], default, data["help"], data["reason"])


def _section(each: "Field[Any]") -> type | None:
    return each.type if isinstance(each.type, type) and is_dataclass(each.type) and not each.metadata else None


# ---- reading -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it was written. origin: file or variable; line 0 for a variable."""

    texts: tuple[str, ...]
    origin: str
    line: int


def load(path: str | None, environ: Mapping[str, str]) -> Settings:
    """Settings of the file at `path` (None: of the environment alone) and PGVEIL_… variables.

    Raises ConfigFaults, OSError and UnicodeDecodeError if the file can't be read.
    """
    if path is None:
        return read("", None, environ)
    with open(path, encoding="utf-8") as file:
        return read(file.read(), path, environ)


def read(text: str, path: str | None, environ: Mapping[str, str]) -> Settings:
    """As `load`, of a text that stands at `path`. Raises ConfigFaults."""
    rows = table()
    reader = Reader(path or "configuration")
    given = _from_file(reader, text, rows)
    for row in rows:
        value = environ.get(row.variable, "")
        if value:  # empty is how charts and compose files say 'not set'
            texts = tuple(each.strip() for each in value.split(",")) if row.kind.many else (value,)
            given[row.name] = Given(texts, f"${row.variable}", 0)
    place = Place(os.path.dirname(os.path.abspath(path)) if path else os.getcwd())
    values = _values(rows, given, place, reader)
    if not reader.faults:
        settings = _finish(_build(Settings, values, ""), given, reader.faults)
    if reader.faults:
        raise ConfigFaults(sorted(reader.faults, key=lambda fault: (fault.line == 0, fault.line)))
    return replace(settings, warnings=_unknown_variables(rows, environ, settings.keys))


def _from_file(reader: Reader, text: str, rows: tuple[Row, ...]) -> dict[str, Given | None]:
    """None: it stands there, but not as it should, and that was said."""
    root = reader.document(text)
    found: dict[str, Given | None] = {}
    if root is not None and not (is_text(root) and not root.value):
        _flatten(reader, root, "", {row.name: row for row in rows}, found)
    return found


def _flatten(
    reader: Reader, node: yaml.Node, prefix: str, rows: Mapping[str, Row], found: dict[str, Given | None]
) -> None:
    """Nested mappings to dotted names, with the texts that stand there."""
    inside = [name[len(prefix) :] for name in rows if name.startswith(prefix)]
    known = dict.fromkeys(name.partition(".")[0] for name in inside)
    what = prefix.rstrip(".") or "the configuration"
    for entry in reader.fields(node, what, known).values():
        name = prefix + entry.key
        if name in rows:
            texts = _texts(reader, entry, rows[name])
            found[name] = None if texts is None else Given(texts, reader.file, entry.line)
        else:
            _flatten(reader, entry.value, f"{name}.", rows, found)


def _texts(reader: Reader, entry: Entry, row: Row) -> tuple[str, ...] | None:
    if row.kind.many:
        return reader.texts(entry.value, row.name)
    text = reader.text(entry.value, row.name)
    return None if text is None else (text,)


def _values(
    rows: tuple[Row, ...], given: Mapping[str, Given | None], place: Place, reader: Reader
) -> dict[str, object]:
    values: dict[str, object] = {}
    for row in rows:
        each = given.get(row.name)
        if each is not None:
            _value(row, each, place, values, reader.faults)
        elif row.default is None and row.name not in given:
            reader.fault(0, f"'{row.name}' is missing", f"set it in the file or as {row.variable}")
    return values


def _value(row: Row, given: Given, place: Place, values: dict[str, object], faults: list[Fault]) -> None:
    try:
        read_all = tuple(row.kind.read(text, place) for text in given.texts)
    except ValueError as wrong:
        faults.append(Fault(given.origin, given.line, f"'{row.name}' is no {row.kind.name}", str(wrong)))
        return
    values[row.name] = read_all if row.kind.many else read_all[0]


def _build(of: type, values: Mapping[str, object], prefix: str) -> Any:
    given: dict[str, object] = {}
    for each in fields(of):
        inner = _section(each)
        if inner is not None:
            given[each.name] = _build(inner, values, f"{prefix}{each.name}.")
        elif prefix + each.name in values:
            given[each.name] = values[prefix + each.name]
    return of(**given)


def _finish(settings: Settings, given: Mapping[str, Given | None], faults: list[Fault]) -> Settings:
    """What takes several settings together: ports of Unix sockets, TLS files in pairs, one sslmode."""

    def fault(name: str, message: str, advice: str) -> None:
        place = given.get(name) or Given((), "configuration", 0)
        faults.append(Fault(place.origin, place.line, message, advice))

    if not settings.listen:
        fault("listen", "'listen' names no address", "such as 127.0.0.1:6432")
    _check_upstream(settings, fault)
    _check_tls(settings, given, fault)
    return replace(settings, listen=_with_ports(settings.listen), tls=_merged(settings))


def _check_tls(settings: Settings, given: Mapping[str, Given | None], fault: Callable[[str, str, str], None]) -> None:
    client, server = settings.tls.client, settings.tls.server
    for name, cert, key in (("client", client.cert, client.key), ("server", server.cert, server.key)):
        if (cert is None) != (key is None):
            there, missing = ("key", "cert") if cert is None else ("cert", "key")
            fault(f"tls.{name}.{there}", f"'tls.{name}.{there}' needs 'tls.{name}.{missing}'", "give both or none")
    if client.cert is None and (client.require or client.ca):
        name = "tls.client.require" if client.require else "tls.client.ca"
        fault(name, f"'{name}' needs 'tls.client.cert'", "without a certificate TLS is not offered")
    for name in UPSTREAM_QUERY:
        if len(_told(settings, name)) > 1:
            fault("upstream", f"{name} of several 'upstream' differ", "one holds for all of them: give it once")
    modes = _told(settings, "sslmode")
    if modes and "tls.server.mode" in given and modes != {server.mode}:
        fault("tls.server.mode", "'tls.server.mode' and sslmode of 'upstream' differ", "give one of them")


def _told(settings: Settings, name: str) -> set[str]:
    """What URLs in `upstream` say about it: one thing, or none of them does."""
    return {value for each in settings.upstream if (value := getattr(each, name)) is not None}


def _check_upstream(settings: Settings, fault: Callable[[str, str, str], None]) -> None:
    """The catalog is read where links may go (docs/adr/0010): an account's address elsewhere would never be used."""
    addresses = [each.endpoint for each in settings.upstream]
    if not addresses:
        fault("upstream", "'upstream' names no server", "such as 127.0.0.1:5432")
    for address in sorted({str(each) for each in addresses if addresses.count(each) > 1}):
        fault("upstream", f"'upstream' names {address} twice", "name each server once")
    parts = urlsplit(settings.catalog.text)
    if len(addresses) > 1 and parts.netloc.rpartition("@")[2] and not _among(parts, addresses):
        advice = (
            "the catalog is read at the servers of `upstream`: name one of them, or none (postgresql://reader@/shop)"
        )
        fault("catalog", "'catalog' names a server that is not among those of 'upstream'", advice)


def _among(parts: SplitResult, addresses: list[Endpoint]) -> bool:
    return Tcp(parts.hostname or "", parts.port or POSTGRES_PORT) in addresses


def _with_ports(listen: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """A Unix socket without a port has that of the first TCP address, as PostgreSQL's has its server's."""
    port = next((each.port for each in listen if isinstance(each, Tcp)), DEFAULT_PORT)
    return tuple(Unix(e.directory, port) if isinstance(e, Unix) and e.port is None else e for e in listen)


def _merged(settings: Settings) -> Tls:
    """What URLs in `upstream` say about TLS goes over `tls.server`."""
    server = settings.tls.server
    mode, ca, cert, key = (next(iter(_told(settings, name)), None) for name in UPSTREAM_QUERY)
    merged = ServerTls(
        mode=cast("TlsMode | None", mode) or server.mode,
        ca=ca or server.ca,
        cert=cert or server.cert,
        key=key or server.key,
    )
    return replace(settings.tls, server=merged)


def _unknown_variables(rows: tuple[Row, ...], environ: Mapping[str, str], keys: KeySource) -> tuple[str, ...]:
    """Kubernetes sets PGVEIL_SERVICE_… and PGVEIL_PORT… for a service of that name; those are nobody's mistake."""
    known = {row.variable for row in rows} | {f"{ENV}CONFIG"}
    if keys.scheme == "env":
        known.add(keys.target)
    foreign = (f"{ENV}SERVICE_", f"{ENV}PORT")
    found = [name for name in environ if name.startswith(ENV) and name not in known and not name.startswith(foreign)]
    return tuple(f"environment variable {quote(name)} is no setting" for name in sorted(found))


def policy_sources(settings: Settings) -> tuple[tuple[str, str], ...]:
    """(path, text) of all policy files, sorted within each pattern, none twice: what `policy.load.load` takes.

    Raises ConfigFaults if a pattern finds nothing or a file can't be read: a policy that is not there must not look
    like one that protects nothing.
    """
    faults: list[Fault] = []
    paths: dict[str, str] = {}
    for pattern in settings.policies:
        found = sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else [pattern]
        if not found:
            faults.append(Fault(pattern, 0, "no policy file is there", "`policies: []` protects nothing"))
        for path in found:
            if os.path.exists(path) and not os.path.isfile(path):  # a pipe would be waited for at each look
                faults.append(Fault(path, 0, "the policy can't be read: it is no regular file"))
                continue
            try:
                with open(path, encoding="utf-8") as file:
                    paths[path] = file.read()
            except (OSError, UnicodeDecodeError) as wrong:
                why = wrong.strerror if isinstance(wrong, OSError) else "it is not UTF-8"
                faults.append(Fault(path, 0, f"the policy file can't be read: {why}"))
    if faults:
        raise ConfigFaults(faults)
    return tuple(paths.items())
