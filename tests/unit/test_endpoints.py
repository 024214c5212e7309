"""Addresses and URLs; no password comes out."""

import pytest

from proxy.endpoints import Endpoint, Tcp, Unix, Url, read_endpoint, read_port, read_url, with_path


@pytest.mark.parametrize(
    ("text", "port", "endpoint", "shown"),
    [
        ("127.0.0.1:6432", None, Tcp("127.0.0.1", 6432), "127.0.0.1:6432"),
        ("db.internal", 5432, Tcp("db.internal", 5432), "db.internal:5432"),
        ("[::1]:6432", None, Tcp("::1", 6432), "[::1]:6432"),
        ("unix:/run/pgveil", None, Unix("/run/pgveil"), "unix:/run/pgveil"),
        ("unix:/run/pgveil:5433", None, Unix("/run/pgveil", 5433), "unix:/run/pgveil:5433"),
    ],
)
def test_endpoints(text: str, port: int | None, endpoint: Endpoint, shown: str) -> None:
    assert read_endpoint(text, port) == endpoint
    assert str(endpoint) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "db",
        ":1",
        "db:",
        "db:0",
        "db:65536",
        "db:x",
        "::1",
        "::1:6432",
        "a b:1",
        "u@h:1",
        "http://x:1",
        "unix:run",
        "[]:1",
    ],
)
def test_no_endpoints(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        read_endpoint(text)
    assert not text or text not in str(caught.value)


def test_a_socket_is_named_as_postgresql_names_it() -> None:
    assert Unix("/run/pgveil/", 6432).path == "/run/pgveil/.s.PGSQL.6432"


@pytest.mark.parametrize("text", ["٣", "1e3", "-1", "99999999999999999999"])
def test_ports_are_plain_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="1 to 65535"):
        read_port(text)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("postgresql://reader:geheim@db:5432/shop", "postgresql://db:5432/shop"),
        (
            "postgresql://reader@db/shop?sslmode=require&password=geheim",
            "postgresql://db/shop?sslmode=require&password=***",
        ),
        ("sqlite:////var/lib/vault.db", "sqlite:////var/lib/vault.db"),
    ],
)
def test_no_secret_of_a_url_is_shown(text: str, safe: str) -> None:
    url = read_url(text, ("postgresql", "sqlite"))
    assert (url.safe, str(url), repr(url)) == (safe, safe, f"Url({safe!r})")
    assert url.text == text


@pytest.mark.parametrize(
    "text", ["", "geheim", "postgresql:geheim", "mysql://geheim", "postgresql://h:geheim/x", "postgresql://[geheim/"]
)
def test_no_urls(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        read_url(text, ("postgresql",))
    assert "geheim" not in str(caught.value)


def test_paths_of_urls() -> None:
    assert Url("sqlite:////a/b.db?x=1").file == "/a/b.db"
    assert with_path(Url("sqlite:///b.db?x=1"), "//a/b.db").text == "sqlite:////a/b.db?x=1"
    assert with_path(Url("postgresql://u@h/x"), "/y").text == "postgresql://u@h/y"
