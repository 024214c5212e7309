"""Where something listens or is reached, and URLs that may hold a secret.

A leaf of plain values and their readers; nothing is looked up or connected. Invariant: neither `repr` nor `str` of
anything here shows a password. All readers raise ValueError with a message that does not quote its input.
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

SECRET_WORDS: Final = ("password", "passwd", "secret", "token")
HIDDEN: Final = "***"


@dataclass(frozen=True, slots=True)
class Tcp:
    """host: name or address, without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Unix:
    """A socket in `directory`, named as PostgreSQL names its own (libpq: .s.PGSQL.<port>), so that clients find it by
    directory and port. port None: not said; the reader of the whole configuration fills it in."""

    directory: str
    port: int | None = None

    @property
    def path(self) -> str:
        return f"{self.directory.rstrip('/')}/.s.PGSQL.{self.port}"

    def __str__(self) -> str:
        return f"unix:{self.directory}" + (f":{self.port}" if self.port is not None else "")


Endpoint = Tcp | Unix


@dataclass(frozen=True, slots=True, repr=False)
class Url:
    """A URL as it was given. text: for the library that connects; it may hold a password."""

    text: str

    @property
    def scheme(self) -> str:
        return self.text.partition(":")[0].lower()

    @property
    def file(self) -> str:
        """Of sqlite:///…: the path of the database file, absolute once the configuration was read."""
        return self.text.partition(":///")[2].partition("?")[0]

    @property
    def safe(self) -> str:
        """Without user and secrets, for people."""
        parts = urlsplit(self.text)
        host = parts.netloc.rpartition("@")[2]
        query = [
            (key, HIDDEN if any(word in key.lower() for word in SECRET_WORDS) else value)
            for key, value in parse_qsl(parts.query, keep_blank_values=True)
        ]
        # SQLite's paths need all their slashes, which urlunsplit drops when there is no host.
        start = f"{parts.scheme}://{host}" if "//" in self.text else f"{parts.scheme}:"
        return start + parts.path + (f"?{urlencode(query, safe='*/')}" if query else "")

    def __str__(self) -> str:
        return self.safe

    def __repr__(self) -> str:
        return f"Url({self.safe!r})"


def read_port(text: str) -> int:
    """Raises ValueError."""
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536):
        raise ValueError("a port is a number from 1 to 65535")
    return int(text)


def read_endpoint(text: str, default_port: int | None = None) -> Endpoint:
    """`host:port`, `[v6]:port`, `unix:/directory` or `unix:/directory:port`. Raises ValueError."""
    if text.startswith("unix:"):
        directory, colon, port = text[5:].rpartition(":")
        if not colon:
            directory = port
        if not directory.startswith("/"):
            raise ValueError("a Unix socket is unix:/directory or unix:/directory:port")
        return Unix(directory, read_port(port) if colon else None)
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif not colon or ":" in host:
        if default_port is None or colon:
            raise ValueError("write host:port, [address]:port for IPv6, or unix:/directory")
        host, port = text, str(default_port)
    if not host or any(c.isspace() or c in "/@?#" for c in host):
        raise ValueError("write host:port, [address]:port for IPv6, or unix:/directory")
    return Tcp(host, read_port(port))


def read_url(text: str, schemes: tuple[str, ...]) -> Url:
    """Raises ValueError."""
    scheme = text.partition(":")[0].lower()
    if scheme not in schemes or not text[len(scheme) :].startswith("://"):
        raise ValueError(f"write a URL that starts with {' or '.join(f'{each}://' for each in schemes)}")
    split_url(text)
    return Url(text)


def split_url(text: str) -> SplitResult:
    """urlsplit that has looked at host and port too. Raises ValueError without the URL in its text."""
    try:
        parts = urlsplit(text)
        _ = parts.port, parts.hostname
    except ValueError:
        raise ValueError("this is no URL: host or port can't be read") from None
    return parts


def with_path(url: Url, path: str) -> Url:
    """The URL with another path."""
    parts = urlsplit(url.text)
    if not parts.netloc:
        return Url(f"{parts.scheme}://{path}" + (f"?{parts.query}" if parts.query else ""))
    return Url(urlunsplit(parts._replace(path=path)))
