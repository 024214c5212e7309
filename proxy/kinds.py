"""Types of settings: from the text in a file or variable to a value.

A leaf beside `config`, which has the table. Invariant: a reader raises ValueError with what to write, and never quotes
what it was given: that may hold a password.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

from proxy.documents import quote
from proxy.endpoints import Endpoint, Tcp, Unix, Url, read_endpoint, read_url, split_url, with_path

DEFAULT_PORT: Final = 6432
POSTGRES_PORT: Final = 5432
MOST_WORKERS: Final = 64  # each has a seat at the vault, and reads every catalog

TlsMode = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]
# As libpq has them.
Target = Literal["any", "read-write", "read-only", "primary", "standby", "prefer-standby"]


@dataclass(frozen=True, slots=True)
class Place:
    """What a reader of a value may need. base: directory of the file, for relative paths."""

    base: str

    def path(self, text: str) -> str:
        if not text:
            raise ValueError("a path is not empty")
        return os.path.normpath(os.path.join(self.base, os.path.expanduser(text)))


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of setting. read: from text to value, raises ValueError. many: a list (in a variable: with commas)."""

    name: str
    read: Callable[[str, Place], object]
    many: bool = False


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where the key that wraps all keys comes from. target: file path, variable's name or the provider's id."""

    scheme: Literal["file", "env", "awskms", "transit"]
    target: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.target}"


@dataclass(frozen=True, slots=True)
class Upstream:
    """A server of the application's. sslmode and the paths: only what the URL said; `tls.server` has the rest."""

    endpoint: Endpoint
    sslmode: TlsMode | None = None
    sslrootcert: str | None = None
    sslcert: str | None = None
    sslkey: str | None = None

    def __str__(self) -> str:
        return str(self.endpoint)


UNITS: Final = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
SECONDS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
UPSTREAM_QUERY: Final = ("sslmode", "sslrootcert", "sslcert", "sslkey")
KEY_SCHEMES: Final = ("file", "env", "awskms", "transit")
TARGET: Final = "target_session_attrs"
CATALOG_SCHEMES: Final = ("postgresql", "postgres")
VAULT_SCHEMES: Final = ("sqlite", "postgresql", "postgres", "mysql")
OFF: Final = "off"


def _number_and_unit(text: str) -> tuple[str, str]:
    number = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return number.strip(), text[len(number) :]


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise ValueError("write a whole number")
    return int(text)


def integer(least: int, most: int) -> Kind:
    def read(text: str, _place: Place) -> int:
        value = _whole(text)
        if not least <= value <= most:
            raise ValueError(f"it must be from {least} to {most}")
        return value

    return Kind("number", read)


def size(least: int, most: int) -> Kind:
    def read(text: str, _place: Place) -> int:
        number, unit = _number_and_unit(text)
        if unit not in UNITS:
            raise ValueError("a size is bytes, or a number with KiB, MiB or GiB")
        value = _whole(number) * UNITS[unit]
        if not least <= value <= most:
            raise ValueError(f"it must be from {show_size(least)} to {show_size(most)}")
        return value

    return Kind("size", read)


def duration(least: float, most: float) -> Kind:
    def read(text: str, _place: Place) -> float:
        number, unit = _number_and_unit(text)
        plain = number.replace(".", "", 1)
        if unit not in SECONDS or not (plain.isascii() and plain.isdigit() and len(plain) < 16):
            raise ValueError("a duration is seconds, or a number with ms, s, m, h or d")
        value = float(number) * SECONDS[unit]
        if not least <= value <= most:
            raise ValueError(f"it must be from {least:g} to {most:g} seconds")
        return value

    return Kind("duration", read)


def show_size(value: int) -> str:
    unit = next(name for name in ("GiB", "MiB", "KiB", "B") if value % UNITS[name] == 0 or name == "B")
    return f"{value // UNITS[unit]}{unit}" if unit != "B" else str(value)


def choice(choices: tuple[str, ...]) -> Kind:
    def read(text: str, _place: Place) -> str:
        if text not in choices:
            raise ValueError(f"one of: {', '.join(choices)}")
        return text

    return Kind(" or ".join(choices), read)


def read_boolean(text: str, _place: Place) -> bool:
    if text not in ("true", "false"):
        raise ValueError("write true or false")
    return text == "true"


def read_listen(text: str, _place: Place) -> Endpoint:
    return read_endpoint(text, DEFAULT_PORT)


def read_admin(text: str, _place: Place) -> Endpoint | None:
    return None if text == OFF else read_endpoint(text)


def read_upstream(text: str, place: Place) -> Upstream:
    if "://" not in text:
        endpoint = read_endpoint(text, POSTGRES_PORT)
        if isinstance(endpoint, Unix) and endpoint.port is None:
            endpoint = Unix(endpoint.directory, POSTGRES_PORT)
        return Upstream(endpoint)
    read_url(text, CATALOG_SCHEMES)
    parts = split_url(text)
    if parts.username or parts.password or parts.path not in ("", "/"):
        raise ValueError("leave user, password and database out: clients log in as they do now")
    if not parts.hostname or "," in parts.netloc:
        raise ValueError("name one host; for several give a list")
    query = dict(pair.partition("=")[::2] for pair in parts.query.split("&") if pair)
    if TARGET in query:
        raise ValueError(f"`{TARGET}` is a setting of its own")
    unknown = sorted(query.keys() - set(UPSTREAM_QUERY))
    if unknown:
        raise ValueError(f"{quote(unknown[0])} is no option of it; known are {', '.join(UPSTREAM_QUERY)}")
    if query.get("sslmode", "prefer") not in get_args(TlsMode):
        raise ValueError(f"sslmode is one of: {', '.join(get_args(TlsMode))}")
    paths = {key: place.path(query[key]) for key in UPSTREAM_QUERY[1:] if key in query}
    mode = cast("TlsMode | None", query.get("sslmode"))
    return Upstream(Tcp(parts.hostname, parts.port or POSTGRES_PORT), mode, **paths)


def read_catalog(text: str, _place: Place) -> Url:
    return read_url(text, CATALOG_SCHEMES)


def read_vault(text: str, place: Place) -> Url:
    url = read_url(text, VAULT_SCHEMES)
    if url.scheme != "sqlite":
        return url
    parts = split_url(text)
    if parts.netloc or len(parts.path) < 2:
        raise ValueError("SQLite: sqlite:////absolute/path or sqlite:///relative/path")
    # SQLAlchemy's reading: what follows sqlite:/// is the path.
    return with_path(url, "/" + place.path(parts.path[1:]))


def read_keys(text: str, place: Place) -> KeySource:
    scheme, colon, target = text.partition(":")
    if not colon or not target or scheme not in KEY_SCHEMES:
        raise ValueError("write file:PATH, env:NAME, awskms:… or transit:…")
    known = cast(Literal["file", "env", "awskms", "transit"], scheme)
    return KeySource(known, place.path(target) if known == "file" else target)


def read_path(text: str, place: Place) -> str:
    return place.path(text)


def read_workers(text: str, place: Place) -> int:
    """`auto`: one a processor that this process may use."""
    if text != "auto":
        found = integer(1, MOST_WORKERS).read(text, place)
        assert isinstance(found, int)
        return found
    own = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return min(len(own), MOST_WORKERS)


WORKERS: Final = Kind("number, or auto", read_workers)
BOOLEAN: Final = Kind("true or false", read_boolean)
PATH: Final = Kind("path", read_path)
PATHS: Final = Kind("path", read_path, many=True)
LISTEN: Final = Kind("address", read_listen, many=True)
ADMIN: Final = Kind("address", read_admin)
UPSTREAM: Final = Kind("address or URL", read_upstream, many=True)
CATALOG: Final = Kind("URL", read_catalog)
VAULT: Final = Kind("URL", read_vault)
KEYS: Final = Kind("key source", read_keys)
