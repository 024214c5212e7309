"""The `pgveil` command: arguments to calls, what comes back to lines and exit codes.

Exit codes: 0 done; 1 the answer is no (faults found, chain broken); 2 usage or configuration; 3 something needed is
not reachable. Secrets and personal data never come from arguments: `-` reads standard input.
"""

import argparse
import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

from proxy import __version__
from proxy.config import Settings, load
from proxy.documents import Faults
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except Faults as faults:
        return _say_faults([str(fault) for fault in faults.faults], arguments, USAGE)
    except (KeyFault, VaultFault) as fault:
        return _say_faults([str(fault)], arguments, USAGE)
    except Unavailable as gone:
        return _say_faults([str(gone)], arguments, UNREACHABLE)
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pgveil", description="Keeps personal data out of the application's database."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add(commands, "run", "serve clients until a signal stops it", run)
    _add(commands, "check", "check configuration and policy against the live catalog", check)
    demo = _add(commands, "demo", "a whole demonstration, with a database and a vault of its own", demonstrate)
    demo.add_argument("--once", action="store_true", help="show it, then stop and leave nothing behind")
    demo.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    demo.add_argument("--admin-port", type=int, default=0, help="port of /metrics (default: a free one)")
    _add_keys(commands)
    _add_policy(commands)
    _add_audit(commands)
    _add(commands, "version", "print the version", version)
    return parser


def _add(commands: Any, name: str, text: str, call: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    command.add_argument(
        "-c", dest="config", metavar="FILE", help=f"configuration (default $PGVEIL_CONFIG or {DEFAULT_CONFIG})"
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(command=call)
    return command


def _add_keys(commands: Any) -> None:
    keys = commands.add_parser("keys", help="the keys of the vault").add_subparsers(required=True, metavar="ACTION")
    _add(keys, "init", "make the key file, if there is none", keys_init)
    _add(keys, "list", "the data keys: ids, states, ages", keys_list)


def _add_policy(commands: Any) -> None:
    policy = commands.add_parser("policy", help="the policy").add_subparsers(required=True, metavar="ACTION")
    _add(policy, "show", "the policy as it is read", policy_show)
    _add(policy, "schema", "the JSON Schema of policy files, for editors", policy_schema)


def _add_audit(commands: Any) -> None:
    audit = commands.add_parser("audit", help="the audit trail").add_subparsers(required=True, metavar="ACTION")
    tail = _add(audit, "tail", "the newest events", audit_tail)
    tail.add_argument("-n", type=int, default=20, metavar="COUNT", help="how many (default 20)")
    search = _add(audit, "search", "events that name a token or a user", audit_search)
    search.add_argument("--token", help="a token, as it stands in the application's database")
    search.add_argument("--user", help="a database account")
    _add(audit, "verify", "prove that nothing was changed, removed or inserted", audit_verify)


# ---- commands


def run(arguments: argparse.Namespace) -> int:
    from proxy.boot import serve

    settings = _settings(arguments)
    setup(settings.log.format, settings.log.level)
    _run(serve(settings, open_store, _say))
    return DONE


def check(arguments: argparse.Namespace) -> int:
    from proxy.net.check import check as check_all
    from proxy.net.check import exit_code

    settings = _settings(arguments)
    findings = _run(check_all(settings, open_store))
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

    _print_rows(_run(read()), arguments)
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

    _print_rows(_run(read()), arguments)
    return DONE


def _audit_row(record: Any) -> dict[str, object]:
    from datetime import UTC, datetime

    event = record.event
    return {
        "time": datetime.fromtimestamp(record.wall / 1e6, UTC).isoformat(timespec="milliseconds"),
        "action": event.action,
        "outcome": event.outcome,
        "user": event.user,
        "role": event.role,
        "client": event.client,
        "purpose": event.purpose,
        "class": event.class_name,
        "count": event.count,
        "statement": event.statement,
        "fingerprint": event.fingerprint,
        "tokens": [token.decode() for token in event.tokens[:20]],
    }


def audit_verify(arguments: argparse.Namespace) -> int:
    from proxy.vault.audit import Audit
    from proxy.vault.keys import load_provider, open_keyring

    async def verify() -> Any:
        settings = _settings(arguments)
        store = await open_store(settings, True)
        try:
            provider = load_provider(str(settings.keys), os.environ, os.urandom)
            return await Audit(store, await open_keyring(store, provider, os.urandom, 0), None).verify()
        finally:
            await store.close()

    verdict = _run(verify())
    faults = [{"writer": f.writer, "sequence": f.sequence, "what": f.what} for f in verdict.faults]
    if arguments.json:
        print(json.dumps({"rows": verdict.rows, "faults": faults}))
    else:
        for fault in verdict.faults:
            print(f"writer {fault.writer}, row {fault.sequence}: {fault.what}")
        print(f"{verdict.rows} rows, {'whole' if not faults else 'BROKEN'}")
    return NO if faults else DONE


def version(arguments: argparse.Namespace) -> int:
    print(json.dumps({"version": __version__}) if arguments.json else f"pgveil {__version__}")
    return DONE


# ---- plumbing


def _settings(arguments: argparse.Namespace) -> Settings:
    """Raises ConfigFaults."""
    path = arguments.config or os.environ.get("PGVEIL_CONFIG")
    if path is None and os.path.exists(DEFAULT_CONFIG):
        path = DEFAULT_CONFIG
    return load(path, os.environ)


async def open_store(settings: Settings, read_only: bool = False) -> Store:
    """The store that `vault:` names. Raises StoreFault, Unavailable."""
    from proxy.vault.sqlite import SqliteStore

    if settings.vault.scheme != "sqlite":
        raise VaultFault("vault", f"{settings.vault.scheme}: stores are not there yet; use sqlite:////path")
    return await SqliteStore.open(Path(settings.vault.file), read_only)


def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:
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
