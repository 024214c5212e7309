"""Types of settings: what each reads, and what it says of the rest."""

import pytest

from proxy import kinds
from proxy.endpoints import Tcp, Unix
from proxy.kinds import KeySource, Kind, Place, Upstream

HERE = Place("/etc/pgveil")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (kinds.integer(1, 10), "10", 10),
        (kinds.size(0, 1 << 40), "512", 512),
        (kinds.size(0, 1 << 40), "4MiB", 4 << 20),
        (kinds.size(0, 1 << 40), "1 KiB", 1024),
        (kinds.duration(0, 1e6), "250ms", 0.25),
        (kinds.duration(0, 1e6), "1.5m", 90.0),
        (kinds.duration(0, 1e6), "2h", 7200.0),
        (kinds.duration(0, 1e6), "7", 7.0),
        (kinds.BOOLEAN, "true", True),
        (kinds.BOOLEAN, "false", False),
        (kinds.choice(("a", "b")), "b", "b"),
        (kinds.PATH, "tls/cert.pem", "/etc/pgveil/tls/cert.pem"),
        (kinds.PATH, "/x/../y", "/y"),
        (kinds.LISTEN, "0.0.0.0", Tcp("0.0.0.0", 6432)),
        (kinds.ADMIN, "off", None),
        (kinds.ADMIN, "127.0.0.1:1", Tcp("127.0.0.1", 1)),
        (kinds.UPSTREAM, "db", Upstream(Tcp("db", 5432))),
        (kinds.UPSTREAM, "unix:/run/postgresql", Upstream(Unix("/run/postgresql", 5432))),
        (kinds.UPSTREAM, "unix:/run/postgresql:5433", Upstream(Unix("/run/postgresql", 5433))),
        (kinds.UPSTREAM, "postgresql://db", Upstream(Tcp("db", 5432))),
        (
            kinds.UPSTREAM,
            "postgres://[::1]:5/?sslmode=verify-full&sslrootcert=ca.pem&sslcert=/c&sslkey=k",
            Upstream(Tcp("::1", 5), "verify-full", "/etc/pgveil/ca.pem", "/c", "/etc/pgveil/k"),
        ),
        (kinds.KEYS, "file:keys.json", KeySource("file", "/etc/pgveil/keys.json")),
        (kinds.KEYS, "env:KEY", KeySource("env", "KEY")),
    ],
)
def test_values(kind: Kind, text: str, value: object) -> None:
    assert kind.read(text, HERE) == value


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        (kinds.integer(1, 10), "11", "from 1 to 10"),
        (kinds.integer(1, 10), "ten", "whole number"),
        (kinds.integer(1, 10), "²", "whole number"),
        (kinds.size(1024, 2 << 30), "1", "from 1KiB to 2GiB"),
        (kinds.size(3, 1000), "1", "from 3 to 1000"),
        (kinds.size(0, 10), "1MB", "KiB, MiB or GiB"),
        (kinds.size(0, 10), "MiB", "whole number"),
        (kinds.duration(1, 60), "1h", "from 1 to 60 seconds"),
        (kinds.duration(1, 60), "1w", "ms, s, m, h or d"),
        (kinds.duration(1, 60), "1.2.3s", "ms, s, m, h or d"),
        (kinds.duration(1, 60), "s", "ms, s, m, h or d"),
        (kinds.BOOLEAN, "yes", "true or false"),
        (kinds.choice(("a", "b")), "c", "one of: a, b"),
        (kinds.PATH, "", "not empty"),
        (kinds.UPSTREAM, "postgresql://me:geheim@db", "leave user"),
        (kinds.UPSTREAM, "postgresql://db/shop", "leave user"),
        (kinds.UPSTREAM, "postgresql:///", "one host"),
        (kinds.UPSTREAM, "postgresql://a,b/", "one host"),
        (kinds.UPSTREAM, "postgresql://db/?target_session_attrs=any", "setting of its own"),
        (kinds.UPSTREAM, "postgresql://db/?sslmod=x", "'sslmod' is no option"),
        (kinds.UPSTREAM, "postgresql://db/?sslmode=yes", "sslmode is one of"),
        (kinds.UPSTREAM, "http://db", "starts with postgresql://"),
        (kinds.VAULT, "sqlite://x.db", "sqlite:///"),
        (kinds.VAULT, "sqlite:///", "sqlite:///"),
        (kinds.VAULT, "redis://x", "starts with"),
        (kinds.KEYS, "file:", "file:PATH"),
        (kinds.KEYS, "geheim", "file:PATH"),
    ],
)
def test_no_values(kind: Kind, text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        kind.read(text, HERE)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "stands_for"),
    [
        ("sqlite:///vault.db", "sqlite:////etc/pgveil/vault.db"),
        ("sqlite:////var/vault.db?mode=ro", "sqlite:////var/vault.db?mode=ro"),
        ("postgresql://u:p@h/vault", "postgresql://u:p@h/vault"),
    ],
)
def test_vaults(text: str, stands_for: str) -> None:
    assert getattr(kinds.VAULT.read(text, HERE), "text", None) == stands_for


def test_how_they_are_shown() -> None:
    assert str(KeySource("file", "/k")) == "file:/k"
    assert str(Upstream(Tcp("db", 1))) == "db:1"
