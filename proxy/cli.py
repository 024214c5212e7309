"""The `pgveil` command: arguments to calls, what comes back to lines and exit codes.

Exit codes: 0 done; 1 the answer is no (faults found, chain broken); 2 usage or configuration; 3 something needed is
not reachable. Secrets and personal data never come from arguments: `-` reads standard input.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from proxy import __version__
from proxy.config import Settings, load
from proxy.documents import Fault, Faults
from proxy.errors import Unavailable
from proxy.observe import setup
from proxy.tables import table
from proxy.vault.faults import KeyFault, VaultFault
from proxy.vault.store import Store

DONE: Final = 0
NO: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
DEFAULT_CONFIG: Final = "pgveil.yaml"
PAGE: Final = 500  # audit rows read at once


# What CONTRACT names and this version has not: said plainly, so that a script does not take it for a typing error.
LATER: Final = {
    "token": "tokens of the admin port",
    "lookup": "values in the vault by what they are",
    "erase": "erase a person's values",
    "subject": "all about a person: report, erase",
    "sessions": "who is connected",
}
LATER_KEYS: Final = {
    "rotate": "a new data key",
    "reencrypt": "write old entries under the new key",
    "rewrap": "wrap the data keys with a new key",
    "destroy": "make a data key unreadable",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    parser = _parser()
    arguments, unknown = parser.parse_known_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    if unknown and command is not later:
        parser.error(" ".join(["unknown arguments", *(each for each in unknown if each.startswith("-"))]))
    try:
        return command(arguments)
    except Faults as faults:
        return _say_faults([str(fault) for fault in faults.faults], arguments, USAGE)
    except (KeyFault, VaultFault) as fault:
        return _say_faults([str(fault)], arguments, USAGE)
    except Unavailable as gone:
        return _say_faults([str(gone)], arguments, UNREACHABLE)
    except BrokenPipeError:  # `pgveil audit export | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return 130


Commands = Any  # argparse's own type is generic over a private one


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pgveil",
        description="Keeps personal data out of the application's database.",
        epilog="Exit codes: 0 done, 1 the answer is no, 2 usage or configuration, 3 something is not reachable.",
    )
    _common(parser, None, False)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    serve = _add(commands, "run", "serve clients until a signal stops it", run, "run -c pgveil.yaml")
    text = "take the place of the pgveil that listens there, without losing a connection"
    serve.add_argument("--takeover", action="store_true", help=text)
    _add(commands, "check", "check configuration and policy against the live catalog", check, "check --json")
    demo = _add(
        commands, "demo", "a whole demonstration, with a database and a vault of its own", demonstrate, "demo --once"
    )
    demo.add_argument("--once", action="store_true", help="show it, then stop and leave nothing behind")
    demo.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    demo.add_argument("--admin-port", type=int, default=0, help="port of /metrics (default: a free one)")
    _add_keys(commands)
    _add_vault(commands)
    _add_policy(commands)
    _add_audit(commands)
    for name, text in LATER.items():
        _add_later(commands, name, text)
    _add(commands, "version", "print the version", version, "version --json")
    return parser


def _common(parser: argparse.ArgumentParser, config: object, as_json: object) -> None:
    """-c and --json, which may stand before the command or behind it."""
    text = f"configuration (default $PGVEIL_CONFIG or {DEFAULT_CONFIG})"
    parser.add_argument("-c", dest="config", metavar="FILE", default=config, help=text)
    parser.add_argument("--json", action="store_true", default=as_json, help="print JSON")


def _add(
    commands: Commands, name: str, text: str, call: Callable[[argparse.Namespace], int], example: str
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text, epilog=f"Example: pgveil {example}"
    )
    _common(command, argparse.SUPPRESS, argparse.SUPPRESS)
    command.set_defaults(command=call)
    return command


def _group(commands: Commands, name: str, text: str) -> Commands:
    group = commands.add_parser(name, help=text, description=text)
    _common(group, argparse.SUPPRESS, argparse.SUPPRESS)
    return group.add_subparsers(title="actions", required=True, metavar="ACTION")


def _add_later(commands: Commands, name: str, text: str) -> None:
    command = _add(commands, name, f"{text} (not in this version)", later, "version")
    command.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    command.set_defaults(later=command.prog)


def _add_keys(commands: Commands) -> None:
    keys = _group(commands, "keys", "the keys of the vault")
    _add(keys, "init", "make the key file, if there is none", keys_init, "keys init -c pgveil.yaml")
    _add(keys, "list", "the data keys: ids, states, ages", keys_list, "keys list --json")
    for name, text in LATER_KEYS.items():
        _add_later(keys, name, text)


def _add_vault(commands: Commands) -> None:
    vault = _group(commands, "vault", "the vault")
    _add(vault, "stats", "how many values it holds, by class", vault_stats, "vault stats --json")
    _add(vault, "migrate", "bring it to this version's schema; `run` does it too", vault_migrate, "vault migrate")
    _add_later(vault, "verify", "open every entry")


def _add_policy(commands: Commands) -> None:
    policy = _group(commands, "policy", "the policy")
    _add(policy, "show", "the policy as it is read", policy_show, "policy show")
    _add(policy, "schema", "the JSON Schema of policy files, for editors", policy_schema, "policy schema > schema.json")
    text = "what becomes of a statement that standard input brings"
    explain = _add(policy, "explain", text, policy_explain, "policy explain --user shop_app < statement.sql")
    explain.add_argument("--database", help="the database it would run in (default: that of `catalog`)")
    explain.add_argument("--user", default="", help="the account whose search_path counts")


def _add_audit(commands: Commands) -> None:
    audit = _group(commands, "audit", "the audit trail")
    tail = _add(audit, "tail", "the newest events", audit_tail, "audit tail -n 50")
    tail.add_argument("-n", type=int, default=20, metavar="COUNT", help="how many (default 20)")
    search = _add(audit, "search", "events that name a token or a user", audit_search, "audit search --user support")
    search.add_argument("--token", help="a token, as it stands in the application's database")
    search.add_argument("--user", help="a database account")
    text = "prove that nothing was changed, removed or inserted"
    verify = _add(audit, "verify", text, audit_verify, "audit verify --head main:1200:5f0c…")
    verify.add_argument(
        "--head",
        action="append",
        default=[],
        metavar="WRITER:ROW:HASH",
        help="an end of the trail as it was noted elsewhere: shows that nothing was cut off since",
    )
    _add(audit, "export", "all events, one JSON object a line", audit_export, "audit export > audit.jsonl")


# ---- commands


def later(arguments: argparse.Namespace) -> int:
    return _say_faults([f"`{arguments.later}` is not in this version"], arguments, USAGE)


def run(arguments: argparse.Namespace) -> int:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # one that comes while modules load must not end the process
    from proxy.boot import serve

    settings = _settings(arguments)
    if arguments.takeover:
        settings = replace(settings, takeover=True)
    setup(settings.log.format, settings.log.level)
    run_loop(serve(settings, open_store, _say))
    return DONE


def check(arguments: argparse.Namespace) -> int:
    from proxy.net.check import check as check_all
    from proxy.net.check import exit_code

    settings = _settings(arguments)
    findings = run_loop(check_all(settings, open_store))
    faults = [each for each in findings if each.severity == "fault"]
    if arguments.json:
        print(json.dumps({"ok": not faults, "findings": [each.as_json() for each in findings]}, indent=2))
    else:
        for each in findings:
            print(each)
        print("sound" if not faults else f"{len(faults)} fault{'s' if len(faults) != 1 else ''}")
    return exit_code(findings)


def demonstrate(arguments: argparse.Namespace) -> int:
    from proxy.demo import demo

    return demo(arguments.once, arguments.port, arguments.admin_port)


def keys_init(arguments: argparse.Namespace) -> int:
    from proxy.vault.keys import init_key_file

    settings = _settings(arguments)
    if settings.keys.scheme != "file":
        raise KeyFault(f"keys: {settings.keys.scheme} is not a file; only file: keys are made here")
    init_key_file(Path(settings.keys.target), os.urandom)
    if arguments.json:
        print(json.dumps({"file": settings.keys.target}))
    else:
        print(f"made {settings.keys.target}: keep a copy of it apart from the vault; without it nothing can be read")
    return DONE


def keys_list(arguments: argparse.Namespace) -> int:
    async def read() -> list[dict[str, object]]:
        store = await open_store(_settings(arguments), True)
        try:
            return [
                {"id": key.id, "kind": key.kind, "state": key.state, "kek": key.kek, "created": key.created}
                for key in await store.keys()
            ]
        finally:
            await store.close()

    _print_rows(run_loop(read()), arguments)
    return DONE


def vault_stats(arguments: argparse.Namespace) -> int:
    async def read() -> tuple[int, list[dict[str, object]]]:
        store = await open_store(_settings(arguments), True)
        try:
            counts = await store.counts()
            rows: list[dict[str, object]] = [
                {"class": name, "values": values, "erased": erased} for name, (values, erased) in counts.items()
            ]
            return await store.schema_version(), rows
        finally:
            await store.close()

    schema, rows = run_loop(read())
    if arguments.json:
        print(json.dumps({"schema": schema, "classes": rows}, indent=2))
    else:
        print(f"schema {schema}, {sum(row['values'] for row in rows)} values")
        _print_rows(rows, arguments)
    return DONE


def vault_migrate(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    if settings.vault.scheme == "sqlite" and not os.path.exists(settings.vault.file):
        raise VaultFault("vault", f"{settings.vault.file} does not exist; `pgveil run` makes it")

    async def migrate() -> int:
        store = await open_store(settings)
        try:
            return await store.schema_version()
        finally:
            await store.close()

    schema = run_loop(migrate())
    print(json.dumps({"schema": schema}) if arguments.json else f"schema {schema}")
    return DONE


def policy_show(arguments: argparse.Namespace) -> int:
    from proxy.net.reload import read_policy

    _, policy = read_policy(_settings(arguments))
    rows: list[dict[str, object]] = [
        {
            "column": ".".join(filter(None, (rule.database, rule.schema, rule.table, rule.column))),
            "class": rule.class_name,
            "kind": policy.classes[rule.class_name].kind,
            "tokens": policy.classes[rule.class_name].tokens,
            "type": rule.type or "",
            "where": f"{rule.file}:{rule.line}",
        }
        for rule in policy.rules
    ]
    _print_rows(rows, arguments)
    return DONE


def policy_schema(arguments: argparse.Namespace) -> int:
    from proxy.policy.schema import json_schema

    print(json.dumps(json_schema(), indent=2))
    return DONE


def policy_explain(arguments: argparse.Namespace) -> int:
    from proxy.net.explain import explain
    from proxy.net.places import catalog_reader
    from proxy.net.reload import read_policy
    from proxy.sql.catalog import snapshot

    settings = _settings(arguments)
    _, policy = read_policy(settings)
    text = sys.stdin.buffer.read()
    catalog = run_loop(catalog_reader(settings).read(arguments.database))
    found = explain(text, snapshot(catalog, policy, 1), arguments.user)
    if arguments.json:
        print(json.dumps(found.as_json(), indent=2))
    else:
        print("\n".join(found.lines()))
    return NO if found.outcome == "refused" else DONE


def audit_tail(arguments: argparse.Namespace) -> int:
    return _audit(arguments, lambda audit: audit.tail(arguments.n))


def audit_search(arguments: argparse.Namespace) -> int:
    token = arguments.token.encode() if arguments.token else None
    return _audit(arguments, lambda audit: audit.search(token=token, user=arguments.user))


def _audit(arguments: argparse.Namespace, question: Callable[[Any], Coroutine[Any, Any, Any]]) -> int:
    from proxy.vault.audit import Audit
    from proxy.vault.keys import load_provider, open_keyring

    async def read() -> list[dict[str, object]]:
        settings = _settings(arguments)
        store = await open_store(settings, True)
        try:
            provider = load_provider(str(settings.keys), os.environ, os.urandom)
            audit = Audit(store, await open_keyring(store, provider, os.urandom, 0), None)
            return [_audit_row(record) for record in await question(audit)]
        finally:
            await store.close()

    _print_rows(run_loop(read()), arguments)
    return DONE


def audit_export(arguments: argparse.Namespace) -> int:
    """Needs no key: the trail holds none of the values. Chain by chain, each from its first row on."""
    from proxy.vault.chain import read

    async def export() -> None:
        store = await open_store(_settings(arguments), True)
        try:
            for writer in await store.audit_writers():
                last = 0
                while rows := await store.audit_chain(writer, last, PAGE):
                    for row in rows:
                        place = {"writer": row.writer, "sequence": row.sequence, "hash": row.hash.hex()}
                        print(json.dumps(place | _audit_row(read(row), None)))
                    last = rows[-1].sequence
        finally:
            await store.close()

    run_loop(export())
    return DONE


def _audit_row(record: Any, tokens: int | None = 20) -> dict[str, object]:
    """tokens: how many to show at most."""
    from datetime import UTC, datetime

    event = record.event
    return {
        "time": datetime.fromtimestamp(record.wall / 1e6, UTC).isoformat(timespec="milliseconds"),
        "action": event.action,
        "outcome": event.outcome,
        "user": event.user,
        "role": event.role,
        "client": event.client,
        "tls_subject": event.tls_subject,
        "purpose": event.purpose,
        "class": event.named,
        "count": event.count,
        "classes": dict(event.classes) or ({event.class_name: event.count} if event.class_name else {}),
        "statement": event.statement,
        "fingerprint": event.fingerprint,
        "tokens": [token.decode() for token in event.tokens[:tokens]],
    }


def audit_verify(arguments: argparse.Namespace) -> int:
    from proxy.vault.audit import Anchor, Audit
    from proxy.vault.keys import load_provider, open_keyring

    try:
        anchors = [Anchor.read(text) for text in arguments.head]
    except ValueError:
        return _say_faults(["--head is WRITER:ROW:HASH, as `audit verify` prints it"], arguments, USAGE)

    async def verify() -> Any:
        settings = _settings(arguments)
        store = await open_store(settings, True)
        try:
            provider = load_provider(str(settings.keys), os.environ, os.urandom)
            return await Audit(store, await open_keyring(store, provider, os.urandom, 0), None).verify(anchors)
        finally:
            await store.close()

    verdict = run_loop(verify())
    faults = [{"writer": f.writer, "sequence": f.sequence, "what": f.what} for f in verdict.faults]
    if arguments.json:
        print(json.dumps({"rows": verdict.rows, "faults": faults, "heads": [str(head) for head in verdict.heads]}))
    else:
        for fault in verdict.faults:
            print(f"writer {fault.writer}, row {fault.sequence}: {fault.what}")
        for head in verdict.heads:
            print(f"head {head}")
        print(f"{verdict.rows} rows, {'whole' if not faults else 'BROKEN'}")
    return NO if faults else DONE


def version(arguments: argparse.Namespace) -> int:
    print(json.dumps({"version": __version__}) if arguments.json else f"pgveil {__version__}")
    return DONE


# ---- plumbing


def _settings(arguments: argparse.Namespace) -> Settings:
    """Raises Faults."""
    path = arguments.config or os.environ.get("PGVEIL_CONFIG")
    if not path and os.path.exists(DEFAULT_CONFIG):
        path = DEFAULT_CONFIG
    try:
        return load(path or None, os.environ)
    except (OSError, UnicodeDecodeError) as wrong:
        why = wrong.strerror if isinstance(wrong, OSError) else "it is not UTF-8"
        raise Faults([Fault(str(path), 0, f"the configuration can't be read: {why}")]) from None


async def open_store(settings: Settings, read_only: bool = False, lock: int | None = None) -> Store:
    """The store that `vault:` names. lock: of the vault, as another process of this pgveil gave it. Raises StoreFault,
    Unavailable."""
    from proxy.vault.sqlite import SqliteStore

    if settings.vault.scheme != "sqlite":
        raise VaultFault("vault", f"{settings.vault.scheme}: stores are not there yet; use sqlite:////path")
    return await SqliteStore.open(Path(settings.vault.file), read_only, lock)


def run_loop(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """On uvloop where there is one."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.run(coroutine)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(coroutine)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _say_faults(faults: list[str], arguments: argparse.Namespace, code: int) -> int:
    if arguments.json:
        print(json.dumps({"ok": False, "faults": faults}))
    for fault in faults:
        _say(f"pgveil: {fault}")
    return code


def _print_rows(rows: list[dict[str, object]], arguments: argparse.Namespace) -> None:
    """A table of what is there, or JSON."""
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    if rows:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        for line in table(list(rows[0]), [[_cell(value) for value in row.values()] for row in rows], width):
            print(line)


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ",".join(str(each) for each in value)
    return str(value)


if __name__ == "__main__":
    sys.exit(main())
