"""The packets before and during start-up: encryption requests, cancel, StartupMessage, authentication.

pgveil authenticates nobody: the exchange passes through, the server decides, and what it authenticated (user,
database, start-up application_name) is the principal. Sources: protocol chapter, "Start-up", "SSL Session
Encryption", "GSSAPI Session Encryption", "Canceling Requests in Progress".
"""

import re
from typing import Final

from proxy.session.settings import UNKNOWN, Settings

# An unescaped space separates options; a backslash takes the next character as it is (pg_split_opts).
_OPTION: Final = re.compile(r"(?:[^\s\\]|\\.)+", re.DOTALL)
# What parse_bool takes for true.
TRUE: Final = frozenset((b"1", b"on", b"t", b"tr", b"tru", b"true", b"y", b"ye", b"yes"))
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


def split_options(options: str) -> dict[str, str]:
    """Settings given in the `options` start-up parameter (-c name=value, -cname=value, --name=value)."""
    words = [_ESCAPED.sub(r"\1", word) for word in _OPTION.findall(options)]
    found: dict[str, str] = {}
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "-c" and at < len(words):
            setting = words[at]
            at += 1
        elif word.startswith("--"):
            setting = word[2:].replace("-", "_")
        elif word.startswith("-c"):
            setting = word[2:]
        else:
            continue
        name, equals, value = setting.partition("=")
        if equals:
            found[name.replace("-", "_").lower()] = value
    return found


def note_startup(settings: Settings, params: dict[str, str]) -> None:
    """Take from the StartupMessage what later statements are read by."""
    given = split_options(params.get("options", ""))
    given.update({name.lower(): value for name, value in params.items()})
    settings.user = params.get("user", "")
    if "search_path" in given:
        settings.search_path = type(settings.search_path)(given["search_path"])
    if "pgveil.purpose" in given:
        settings.purpose = type(settings.purpose)(given["pgveil.purpose"])


def default_path(settings: Settings, path: tuple[str, ...]) -> None:
    """The role's or database's own search_path, known from the catalog, unless the client gave one."""
    if "search_path" in settings.reported:
        settings.search_path = type(settings.search_path)(settings.reported["search_path"])
    elif settings.search_path.value == UNKNOWN:
        quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in path)
        settings.search_path = type(settings.search_path)(quoted)


def is_physical(params: tuple[tuple[bytes, bytes], ...]) -> bool:
    """Replication without a database, on which no SQL runs. Given twice, the server would keep a database from the one
    and replication from the other (ProcessStartupPacket), so that is read like any link."""
    given = [value.lower() for name, value in params if name == b"replication"]
    return len(given) == 1 and given[0] in TRUE


def without_channel_binding(mechanisms: list[bytes]) -> list[bytes]:
    """SASL mechanisms that work where TLS ends at pgveil: -PLUS would bind to the wrong channel (RFC 5802, 6)."""
    return [m for m in mechanisms if not m.endswith(b"-PLUS")]
