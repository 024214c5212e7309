"""The packets before and during start-up: encryption requests, cancel, StartupMessage, authentication.

pgveil authenticates nobody: the exchange passes through, the server decides, and what it authenticated (user,
database, start-up application_name) is the principal. Sources: protocol chapter, "Start-up", "SSL Session
Encryption", "GSSAPI Session Encryption", "Canceling Requests in Progress".
"""

import re
from collections.abc import Iterable
from typing import Final

from proxy.session.settings import UNKNOWN, Followed, Settings

# What isspace() of the C locale takes for one separates options; a backslash takes the next character as it is
# (pg_split_opts).
_OPTION: Final = re.compile(r"(?:[^ \t\n\v\f\r\\]|\\.)+", re.DOTALL)
# Commands of a server session that replicates, one in a text: the server reads a text that begins so by another grammar
# (repl_gram.y), and no statement of SQL does. SHOW is both.
_COMMAND: Final = re.compile(
    rb"[ \t\n\r\f\v]*(?:identify_system|base_backup|upload_manifest|start_replication|timeline_history"
    rb"|(?:create|alter|drop|read)_replication_slot)(?![a-z0-9_$\x80-\xff])[^;]*;?[ \t\n\r\f\v]*\Z",
    re.IGNORECASE,
)
# What parse_bool takes for true.
TRUE: Final = frozenset((b"1", b"on", b"t", b"tr", b"tru", b"true", b"y", b"ye", b"yes"))
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


def split_options(options: str) -> tuple[list[tuple[str, str]], bool]:
    """Settings given in the `options` start-up parameter, in order (-c name=value, -cname=value, --name=value). False:
    there is something else in it, so that these may not be all."""
    words = [_ESCAPED.sub(r"\1", word) for word in _OPTION.findall(options)]
    found: list[tuple[str, str]] = []
    certain = True
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        setting = word[2:] if word.startswith(("-c", "--")) else ""
        if word == "-c" and at < len(words):
            setting = words[at]
            at += 1
        name, equals, value = setting.partition("=")
        if equals:
            found.append((name.replace("-", "_").lower(), value))  # ParseLongOption()
        else:
            certain = False
    return found, certain


def note_startup(settings: Settings, params: Iterable[tuple[str, str]]) -> None:
    """Take from the StartupMessage what later statements are read by. Of what is given twice the last counts, options
    before parameters (process_startup_options)."""
    settings.user = ""
    pairs = [(name.lower(), value) for name, value in params]
    options = [value for name, value in pairs if name == "options"]
    given, certain = split_options(options[-1] if options else "")
    found = dict([*given, *pairs])
    settings.user = found.get("user", "")
    settings.given = not certain or "search_path" in found
    if "search_path" in found and certain:
        settings.search_path = Followed(found["search_path"])
    if "pgveil.purpose" in found:
        settings.purpose = Followed(found["pgveil.purpose"])
    if not certain or "session_authorization" in found:
        settings.role = Followed(UNKNOWN)
    elif "role" in found:
        settings.role = Followed(found["role"])


def default_path(settings: Settings, path: str, switched: bool) -> None:
    """The role's or database's own search_path, known from the catalog, unless the client gave one. switched: the
    session started as another role than who logged in."""
    if switched and not settings.role.value:
        settings.role = Followed(UNKNOWN)
    if "search_path" in settings.reported:
        settings.search_path = Followed(settings.reported["search_path"])
    elif not settings.given:
        settings.search_path = Followed(path)


def distrust(settings: Settings) -> None:
    """What stands before the server may not have passed on what the client asked for at its start."""
    if settings.given:
        settings.search_path = Followed(UNKNOWN)
    if settings.role.value:
        settings.role = Followed(UNKNOWN)


def is_physical(params: tuple[tuple[bytes, bytes], ...]) -> bool:
    """Replication without a database, on which no SQL runs. Given twice, the server would keep a database from the one
    and replication from the other (ProcessStartupPacket), so that is read like any link."""
    given = [value.lower() for name, value in params if name == b"replication"]
    return len(given) == 1 and given[0] in TRUE


def is_logical(params: tuple[tuple[bytes, bytes], ...]) -> bool:
    """Replication of a database: its sessions run SQL, and commands beside it."""
    return any(name == b"replication" and value.lower() == b"database" for name, value in params)


def is_command(text: bytes) -> bool:
    """What only a session that replicates understands. Slots and publications may be called as protected tables are."""
    return _COMMAND.match(text) is not None


def without_channel_binding(mechanisms: list[bytes]) -> list[bytes]:
    """SASL mechanisms that work where TLS ends at pgveil: -PLUS would bind to the wrong channel (RFC 5802, 6)."""
    return [m for m in mechanisms if not m.endswith(b"-PLUS")]


def believes_unbound(body: bytes) -> bool:
    """A SASLInitialResponse whose client could bind its channel and takes the server for one that can't (gs2-cbind-flag
    'y', RFC 5802, 6): a server that can refuses it, and it is signed, so it can't be put right on the way."""
    _, _, rest = body.partition(b"\0")
    return rest[4:6] == b"y,"
