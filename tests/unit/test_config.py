"""Settings from a file and the environment; all faults at once."""

from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from proxy.config import ConfigFaults, Settings, load, policy_sources, read, table
from proxy.endpoints import Tcp, Unix

LEAST = """\
upstream: 127.0.0.1:5432
catalog: postgresql://reader:geheim@127.0.0.1:5432/shop
policies: [policies/*.yaml]
vault: sqlite:///vault.db
keys: file:keys.json
"""
PATH = "/etc/pgveil/pgveil.yaml"


def faults(text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigFaults) as caught:
        read(text, PATH, environ)
    assert "geheim" not in str(caught.value)
    return [str(fault) for fault in caught.value.faults]


def test_the_least_that_must_be_said() -> None:
    settings = read(LEAST, PATH, {})
    assert settings.listen == (Tcp("127.0.0.1", 6432),)
    assert settings.admin == Tcp("127.0.0.1", 9187)
    assert settings.policies == ("/etc/pgveil/policies/*.yaml",)
    assert settings.vault.file == "/etc/pgveil/vault.db"
    assert settings.keys.target == "/etc/pgveil/keys.json"
    assert (settings.enforcement, settings.limits.connections, settings.timeouts.startup) == ("enforce", 1000, 60.0)
    assert (settings.tls.client.cert, settings.tls.server.mode, settings.log.format) == (None, "prefer", "plain")
    assert settings.warnings == ()


def test_everything_can_be_said_in_the_file() -> None:
    text = (
        LEAST
        + """\
listen: [0.0.0.0:7000, "unix:/run/pgveil", "unix:/run/other:5433"]
admin: off
enforcement: observe
tls:
  client: {cert: c.pem, key: k.pem, ca: ca.pem, require: true}
  server: {mode: verify-full, ca: /ca.pem}
limits: {connections: 5, result_buffer: 1MiB}
timeouts: {vault: 500ms}
log: {format: json, level: debug}
audit: {indexed_tokens: 0}
"""
    )
    settings = read(text, PATH, {})
    assert settings.listen == (Tcp("0.0.0.0", 7000), Unix("/run/pgveil", 7000), Unix("/run/other", 5433))
    assert settings.admin is None
    assert (settings.tls.client.cert, settings.tls.client.require) == ("/etc/pgveil/c.pem", True)
    assert (settings.tls.server.mode, settings.tls.server.ca) == ("verify-full", "/ca.pem")
    assert (settings.limits.connections, settings.limits.result_buffer, settings.timeouts.vault) == (5, 1 << 20, 0.5)
    assert (settings.log.format, settings.log.level, settings.audit.indexed_tokens) == ("json", "debug", 0)


def test_a_socket_alone_has_the_default_port() -> None:
    assert read(LEAST + "listen: unix:/run/pgveil", PATH, {}).listen == (Unix("/run/pgveil", 6432),)


def test_the_environment_wins() -> None:
    environ = {
        "PGVEIL_LISTEN": "127.0.0.1:1, unix:/s",
        "PGVEIL_LIMITS__CONNECTIONS": "7",
        "PGVEIL_TLS__SERVER__MODE": "disable",
        "PGVEIL_ADMIN": "",
    }
    settings = read(LEAST + "limits: {connections: 5}", PATH, environ)
    assert settings.listen == (Tcp("127.0.0.1", 1), Unix("/s", 1))
    assert (settings.limits.connections, settings.tls.server.mode) == (7, "disable")
    assert settings.admin == Tcp("127.0.0.1", 9187)


def test_the_environment_alone_is_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {
        "PGVEIL_UPSTREAM": "db",
        "PGVEIL_CATALOG": "postgresql://h/x",
        "PGVEIL_POLICIES": "a.yaml,b.yaml",
        "PGVEIL_VAULT": "sqlite:///v.db",
        "PGVEIL_KEYS": "env:PGVEIL_SECRET",
        "PGVEIL_SECRET": "geheim",
    }
    settings = load(None, environ)
    assert settings.policies == (str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"))
    assert settings.warnings == ()
    assert "geheim" not in repr(settings)


def test_unknown_variables_are_told_but_are_no_faults() -> None:
    environ = {"PGVEIL_LISTN": "x", "PGVEIL_SERVICE_HOST": "x", "PGVEIL_PORT_6432_TCP": "x", "PGVEIL_CONFIG": "x"}
    assert read(LEAST, PATH, environ).warnings == ("environment variable 'PGVEIL_LISTN' is no setting",)


def test_no_secret_is_shown() -> None:
    assert "geheim" not in repr(read(LEAST, PATH, {}))


def test_all_faults_at_once() -> None:
    text = """\
listen: nowhere:x
upstram: db
catalog: postgresql://u:geheim@h:x/y
vault: redis://geheim
keys: []
limits: {connections: many, plan: 1}
tls: on
"""
    assert faults(text, PGVEIL_LOG__LEVEL="loud") == [
        f"{PATH}:1: 'listen' is no address (a port is a number from 1 to 65535)",
        f"{PATH}:2: unknown key 'upstram' in the configuration (did you mean upstream?)",
        f"{PATH}:3: 'catalog' is no URL (this is no URL: host or port can't be read)",
        f"{PATH}:4: 'vault' is no URL (write a URL that starts with "
        "sqlite:// or postgresql:// or postgres:// or mysql://)",
        f"{PATH}:5: keys must be a text",
        f"{PATH}:6: unknown key 'plan' in limits (did you mean plans?)",
        f"{PATH}:6: 'limits.connections' is no number (write a whole number)",
        f"{PATH}:7: tls must be a mapping (key: value)",
        f"{PATH}: 'upstream' is missing (set it in the file or as PGVEIL_UPSTREAM)",
        f"{PATH}: 'policies' is missing (set it in the file or as PGVEIL_POLICIES)",
        "$PGVEIL_LOG__LEVEL: 'log.level' is no debug or info or warning or error (one of: debug, info, warning, error)",
    ]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("listen: []", ":6: 'listen' names no address"),
        ("tls: {client: {cert: a}}", ":6: 'tls.client.cert' needs 'tls.client.key'"),
        ("tls: {client: {key: a}}", ":6: 'tls.client.key' needs 'tls.client.cert'"),
        ("tls: {server: {cert: a}}", ":6: 'tls.server.cert' needs 'tls.server.key'"),
        ("tls: {client: {require: true}}", ":6: 'tls.client.require' needs 'tls.client.cert'"),
        ("tls: {client: {ca: a}}", ":6: 'tls.client.ca' needs 'tls.client.cert'"),
    ],
)
def test_settings_that_do_not_go_together(more: str, says: str) -> None:
    assert [fault for fault in faults(LEAST + more) if says in fault]


def test_one_sslmode() -> None:
    url = LEAST.replace("127.0.0.1:5432\n", "postgresql://db/?sslmode=require&sslrootcert=ca.pem\n", 1)
    server = read(url, PATH, {}).tls.server
    assert (server.mode, server.ca) == ("require", "/etc/pgveil/ca.pem")
    assert read(url + "tls: {server: {mode: require}}", PATH, {}).tls.server.mode == "require"
    assert "differ" in faults(url + "tls: {server: {mode: disable}}")[0]


SEVERAL = LEAST.replace("127.0.0.1:5432\n", "[127.0.0.1:5432, 'postgresql://db2/?sslmode=require']\n", 1)


def test_several_servers() -> None:
    settings = read(SEVERAL + "target_session_attrs: primary", PATH, {})
    assert [str(each) for each in settings.upstream] == ["127.0.0.1:5432", "db2:5432"]
    assert settings.target_session_attrs == "primary"
    assert settings.tls.server.mode == "require"  # of one, for all
    listed = read(LEAST, PATH, {"PGVEIL_UPSTREAM": "127.0.0.1:5432, unix:/run"}).upstream
    assert [str(each) for each in listed] == ["127.0.0.1:5432", "unix:/run:5432"]


@pytest.mark.parametrize("catalog", ["postgresql://reader@127.0.0.1/shop", "postgresql://reader@/shop"])
def test_several_servers_and_the_catalog(catalog: str) -> None:
    assert len(read(SEVERAL, PATH, {"PGVEIL_CATALOG": catalog}).upstream) == 2


def test_what_servers_can_not_be_together() -> None:
    assert "not among those of 'upstream'" in faults(SEVERAL, PGVEIL_CATALOG="postgresql://reader@elsewhere/shop")[0]
    assert "names no server" in faults(LEAST.replace("127.0.0.1:5432\n", "[]\n", 1))[0]
    assert "names 127.0.0.1:5432 twice" in faults(LEAST, PGVEIL_UPSTREAM="127.0.0.1,postgresql://127.0.0.1")[0]
    urls = "postgresql://a/?sslmode=require,postgresql://b/?sslmode=disable"
    told = faults(LEAST, PGVEIL_UPSTREAM=urls, PGVEIL_CATALOG="postgresql://reader@/shop")
    assert "sslmode of several 'upstream' differ" in told[0]


def test_load_reads_the_file(tmp_path: Path) -> None:
    file = tmp_path / "pgveil.yaml"
    file.write_text(LEAST)
    assert load(str(file), {}).vault.file == str(tmp_path / "vault.db")
    with pytest.raises(FileNotFoundError):
        load(str(tmp_path / "other.yaml"), {})


def test_policy_files(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.yaml").write_text(name)
    (tmp_path / "z.txt").write_bytes(b"\xff")
    config = str(tmp_path / "pgveil.yml")

    def sources(policies: str) -> list[tuple[str, str]]:
        settings = read(LEAST.replace("[policies/*.yaml]", policies), config, {})
        return [(Path(path).name, text) for path, text in policy_sources(settings)]

    assert sources("[]") == []
    assert sources("'*.yaml'") == [("a.yaml", "a"), ("b.yaml", "b")]
    assert sources("[b.yaml, '*.yaml']") == [("b.yaml", "b"), ("a.yaml", "a")]
    with pytest.raises(ConfigFaults) as caught:
        sources("[nothing/*.yaml, missing.yaml, z.txt]")
    assert [fault.message for fault in caught.value.faults] == [
        "no policy file is there",
        "the policy file can't be read: No such file or directory",
        "the policy file can't be read: it is not UTF-8",
    ]


def test_the_table_is_complete() -> None:
    rows = table()
    assert len({row.name for row in rows}) == len(rows)
    for row in rows:
        assert row.help and row.variable.startswith("PGVEIL_")
        assert bool(row.reason) == row.name.startswith(("limits.", "timeouts.", "audit.")), row.name


def test_every_field_is_a_setting_or_a_section() -> None:
    known = {row.name.partition(".")[0] for row in table()}
    assert {each.name for each in fields(Settings)} - known == {"warnings"}
    assert is_dataclass(Settings)


def test_an_empty_file_lacks_what_must_be_said() -> None:
    assert [fault.partition(" is ")[0] for fault in faults("# nothing\n")] == [
        f"{PATH}: '{name}'" for name in ("upstream", "catalog", "policies", "vault", "keys")
    ]
