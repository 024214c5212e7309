"""The command line: arguments, exit codes, what is printed. No server: what needs one is in tests/integration."""

import asyncio
import io
import json
import os
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from proxy import __version__, cli
from proxy.errors import Unavailable
from proxy.sql.catalog import Catalog
from proxy.vault.chain import AuditEvent
from proxy.vault.keys import load_provider
from proxy.vault.sqlite import SqliteStore
from proxy.vault.vault import Vault
from tests.unit.session import driver
from tests.vault.kit import Clock, Entropy, sources

CONFIG = """\
upstream: 127.0.0.1:1
catalog: postgresql://postgres@127.0.0.1:1/shop
policies: [policy.yaml]
vault: sqlite:///vault.db
keys: file:keys.json
admin: off
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a sound configuration, worked in."""
    for name in list(os.environ):
        if name.startswith("PGVEIL_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pgveil.yaml").write_text(CONFIG)
    (tmp_path / "policy.yaml").write_text(driver.POLICY)
    return tmp_path


@pytest.fixture
def run(base: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command: exit code, output, error output."""

    def call(*words: str) -> tuple[int, str, str]:
        try:
            code = cli.main(words)
        except SystemExit as left:
            code = int(left.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def vault(base: Path, run: Run) -> Path:
    """A vault with two values and what happened to them."""
    assert run("keys", "init")[0] == 0
    asyncio.run(_fill(base))
    return base / "vault.db"


async def _fill(base: Path) -> None:
    store = await SqliteStore.open(base / "vault.db")
    provider = load_provider(f"file:{base}/keys.json", {}, Entropy())
    vault = await Vault.open(store, provider, {"email": "deterministic"}, sources(clock=Clock()))
    tokens = await vault.tokenise([("email", b"ada@example.org"), ("email", b"bob@example.org")])
    await vault.audit.append(
        [AuditEvent("reveal", "ok", "ada", class_name="email", tokens=(token,)) for token in tokens]
    )
    await vault.audit.append([AuditEvent("search", "ok", "bob", class_name="email", tokens=(tokens[0],))])
    await vault.close()


# ---- arguments


@pytest.mark.parametrize("words", [("version", "--json"), ("--json", "version")])
def test_options_before_or_behind_the_command(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words) == (0, json.dumps({"version": __version__}) + "\n", "")


def test_version(run: Run) -> None:
    assert run("version") == (0, f"pgveil {__version__}\n", "")


@pytest.mark.parametrize("words", [("-c", "other.yaml", "policy", "show"), ("policy", "-c", "other.yaml", "show")])
def test_the_configuration_is_named(run: Run, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGVEIL_CONFIG", "third.yaml")
    code, _, told = run(*words)
    assert code == 2 and told == "pgveil: other.yaml: the configuration can't be read: No such file or directory\n"
    assert "third.yaml" in run("policy", "show")[2]


def test_a_configuration_that_is_not_utf8(run: Run, base: Path) -> None:
    (base / "pgveil.yaml").write_bytes(b"\xff")
    assert "it is not UTF-8" in run("policy", "show")[2]


def test_no_configuration_at_all(run: Run, base: Path) -> None:
    (base / "pgveil.yaml").unlink()
    code, out, told = run("policy", "show", "--json")
    assert code == 2 and "'vault' is missing" in told and json.loads(out)["ok"] is False


def test_arguments_that_are_none(run: Run) -> None:
    for words in (("bogus",), ("audit", "tail", "--bogus", "secret"), ("vault",), ()):
        code, _, told = run(*words)
        assert code == 2 and "usage" in told
    assert "secret" not in run("audit", "tail", "--bogus", "secret")[2]


@pytest.mark.parametrize(
    "words",
    [
        ("token", "create", "--name", "x", "--scopes", "a"),
        ("lookup", "-"),
        ("erase",),
        ("subject", "report", "-"),
        ("sessions", "--json"),
        ("keys", "rotate"),
        ("vault", "verify"),
    ],
)
def test_what_is_not_there_yet_says_so(run: Run, words: tuple[str, ...]) -> None:
    code, _, told = run(*words)
    assert code == 2 and "is not in this version" in told and "usage" not in told


def commands() -> list[tuple[str, ...]]:
    """All commands, from the parser itself."""
    found: list[tuple[str, ...]] = []

    def walk(parser: Any, words: tuple[str, ...]) -> None:
        inner = [
            action for action in parser._actions if hasattr(action, "choices") and isinstance(action.choices, dict)
        ]
        for action in inner:
            for name, each in action.choices.items():
                walk(each, (*words, name))
        if not inner:
            found.append(words)

    walk(cli._parser(), ())
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_help_has_its_options_and_an_example(run: Run, words: tuple[str, ...]) -> None:
    code, text, _ = run(*words, "--help")
    assert code == 0 and "-c FILE" in text and "--json" in text and "Example: pgveil " in text


def test_the_help_has_the_exit_codes(run: Run) -> None:
    assert "Exit codes: 0 done" in run("--help")[1]


# ---- exit codes


def test_something_that_is_not_reachable(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(*_: object) -> None:
        raise Unavailable("vault", "no answer")

    monkeypatch.setattr(cli, "open_store", gone)
    code, out, told = run("keys", "list", "--json")
    assert code == 3 and told == "pgveil: vault is not reachable: no answer\n"
    assert json.loads(out) == {"ok": False, "faults": ["vault is not reachable: no answer"]}


def test_an_interrupt_and_a_reader_that_left(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(error: BaseException) -> Callable[..., None]:
        def raise_it(*_: object, **__: object) -> None:
            raise error

        return raise_it

    monkeypatch.setattr(cli, "_print_rows", stop(KeyboardInterrupt()))
    assert run("policy", "show")[0] == 130
    monkeypatch.setattr(cli, "_print_rows", stop(BrokenPipeError()))
    monkeypatch.setattr(cli.os, "dup2", lambda *_: None)
    monkeypatch.setattr(cli.os, "open", lambda *_: 0)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(open(os.devnull, "wb")))  # noqa: SIM115
    assert cli.main(["policy", "show"]) == 0
    sys.stdout.close()


# ---- keys and vault


def test_a_key_file_is_made_once(run: Run, base: Path) -> None:
    code, out, _ = run("keys", "init", "--json")
    assert code == 0 and json.loads(out) == {"file": str(base / "keys.json")}
    assert (base / "keys.json").stat().st_mode & 0o777 == 0o600
    code, _, told = run("keys", "init")
    assert code == 2 and "never overwritten" in told


def test_keys_that_are_no_file_are_not_made(run: Run, base: Path) -> None:
    (base / "pgveil.yaml").write_text(CONFIG.replace("file:keys.json", "env:KEY"))
    code, _, told = run("keys", "init")
    assert code == 2 and "only file: keys are made here" in told


def test_keys_are_listed(run: Run, vault: Path) -> None:
    code, out, _ = run("keys", "list", "--json")
    assert code == 0 and [key["kind"] for key in json.loads(out)] == ["identity", "value", "audit"]
    assert "identity" in run("keys", "list")[1]


def test_stats(run: Run, vault: Path) -> None:
    code, out, _ = run("vault", "stats", "--json")
    found = json.loads(out)
    assert code == 0 and found["classes"] == [{"class": "email", "values": 2, "erased": 0}] and found["schema"] >= 1
    lines = run("vault", "stats")[1].splitlines()
    assert lines[0] == f"schema {found['schema']}, 2 values" and lines[1].split() == ["class", "values", "erased"]


def test_migrate(run: Run, vault: Path) -> None:
    code, out, _ = run("vault", "migrate", "--json")
    assert code == 0 and run("vault", "migrate") == (0, f"schema {json.loads(out)['schema']}\n", "")
    vault.unlink()
    code, _, told = run("vault", "migrate")
    assert code == 2 and "does not exist" in told and not vault.exists()


def test_a_vault_that_this_version_can_not_use(run: Run, base: Path) -> None:
    (base / "pgveil.yaml").write_text(CONFIG.replace("sqlite:///vault.db", "mysql://a/b"))
    code, _, told = run("vault", "stats")
    assert code == 2 and "mysql" in told


# ---- policy


def test_the_policy_is_shown(run: Run) -> None:
    code, out, _ = run("policy", "show", "--json")
    assert code == 0
    assert json.loads(out)[2] == {
        "column": "public.customers.born",
        "class": "birthday",
        "kind": "date",
        "tokens": "deterministic",
        "type": "date",
        "where": f"{os.getcwd()}/policy.yaml:12",
    }
    assert "public.customers.email" in run("policy", "show")[1]


def test_a_faulty_policy(run: Run, base: Path) -> None:
    (base / "policy.yaml").write_text(driver.POLICY.replace("kind: email", "kind: mail"))
    code, _, told = run("policy", "show")
    assert code == 2 and "policy.yaml:4" in told


def test_the_schema(run: Run) -> None:
    code, out, _ = run("policy", "schema")
    assert code == 0 and "properties" in json.loads(out)


def explained(monkeypatch: pytest.MonkeyPatch, statement: bytes) -> None:
    class Reader:
        def __init__(self, url: str, timeout: float) -> None:
            assert "@127.0.0.1:1/shop" in url and timeout == 30

        async def read(self, database: str | None) -> Catalog:
            return driver.world().snapshot.catalog

    monkeypatch.setattr("proxy.net.places.CatalogReader", Reader)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(statement)))


def test_a_statement_is_explained(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    explained(monkeypatch, b"select email from customers where id = 7")
    code, out, _ = run("policy", "explain", "--user", "shop")
    assert code == 0 and out == "protected\n  reveal public.customers.email (class email): result column 1\n"
    explained(monkeypatch, b"select email from customers order by email")
    code, out, _ = run("policy", "explain", "--json")
    assert code == 1 and json.loads(out)["refusal"]["code"] == "order-by-protected"


# ---- audit


def test_the_trail(run: Run, vault: Path) -> None:
    code, out, _ = run("audit", "tail", "-n", "2", "--json")
    rows = json.loads(out)
    assert code == 0 and [(row["action"], row["user"]) for row in rows] == [("reveal", "ada"), ("search", "bob")]
    token = rows[1]["tokens"][0]
    found = json.loads(run("audit", "search", "--token", token, "--json")[1])
    assert [row["action"] for row in found] == ["search", "reveal"]
    assert [row["user"] for row in json.loads(run("audit", "search", "--user", "bob", "--json")[1])] == ["bob"]
    assert token in run("audit", "search", "--user", "bob")[1]
    assert run("audit", "search", "--user", "nobody") == (0, "", "")


def test_the_trail_is_verified(run: Run, vault: Path) -> None:
    code, out, _ = run("audit", "verify")
    head = out.splitlines()[0].removeprefix("head ")
    assert code == 0 and head.startswith("main:4:") and out.endswith("4 rows, whole\n")
    assert json.loads(run("audit", "verify", "--json")[1]) == {"rows": 4, "faults": [], "heads": [head]}
    assert run("audit", "verify", "--head", head)[0] == 0
    code, out, _ = run("audit", "verify", "--head", head.replace("main:4:", "main:5:"))
    assert code == 1 and "row 5: no row of writer main with the noted hash" in out
    assert run("audit", "verify", "--head", "main:4")[0] == run("audit", "verify", "--head", "main:4:ff")[0] == 2
    _tamper(vault)
    code, out, _ = run("audit", "verify")
    assert code == 1 and "row 3: changed" in out and out.endswith("4 rows, BROKEN\n")


def _tamper(vault: Path) -> None:
    with closing(sqlite3.connect(vault)) as connection:
        changed = "UPDATE audit SET body = CAST(replace(body, 'ada', 'eve') AS BLOB) WHERE sequence = 3"
        connection.execute(changed)
        connection.commit()


def test_the_trail_is_exported_line_by_line(run: Run, vault: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "PAGE", 3)
    (base / "keys.json").unlink()  # no key is needed
    code, out, _ = run("audit", "export")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [row["sequence"] for row in rows] == [1, 2, 3, 4]
    assert rows[3]["action"] == "search" and len(rows[3]["hash"]) == 64 and "ada@" not in out


# ---- run, check, demo: what they are called with


def test_run_serves_with_the_settings(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve(settings: Any, open_store: object, say: Callable[[str], None]) -> None:
        assert open_store is cli.open_store
        say(f"ready: {settings.upstream[0]}")

    monkeypatch.setattr("proxy.boot.serve", serve)
    monkeypatch.setattr(cli, "setup", lambda *_: None)
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    assert run("run") == (0, "", "ready: 127.0.0.1:1\n")


def test_check_prints_what_it_finds(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Finding:
        def __init__(self, severity: str) -> None:
            self.severity = severity

        def as_json(self) -> dict[str, str]:
            return {"severity": self.severity}

        def __str__(self) -> str:
            return f"a {self.severity}"

    found: list[Finding] = []

    async def check(*_: object) -> list[Finding]:
        return found

    monkeypatch.setattr("proxy.net.check.check", check)
    monkeypatch.setattr("proxy.net.check.exit_code", lambda findings: len(findings))
    assert run("check") == (0, "sound\n", "")
    found += [Finding("fault"), Finding("warning")]
    assert run("check") == (2, "a fault\na warning\n1 fault\n", "")
    assert json.loads(run("check", "--json")[1])["ok"] is False


def test_demo_gets_its_ports(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.demo.demo", lambda *given: 0 if given == (True, 5, 0) else 1)
    assert run("demo", "--once", "--port", "5")[0] == 0
