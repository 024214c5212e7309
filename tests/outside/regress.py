"""PostgreSQL's own regression SQL, direct and through pgveil: nobody should be able to tell which is which.

    python -m tests.outside.regress DIR --out /tmp/out [--lib DIR] [--protect public.t.column]… [--through-only]

DIR is src/test/regress of PostgreSQL's source, of the server's own major version; --lib a directory with regress.so
built from its regress.c (and autoinc.so, refint.so). Not part of `make test`: the files are not ours to ship, and a
run takes minutes. Without --protect, a table that the suite does not use is protected: every difference is a fault.
With it, columns that the suite uses are: a difference has to be a refusal, and what they hold has to be tokens.

Every file of parallel_schedule runs in order, as pg_regress runs it, on fresh clusters: twice direct, to know what
differs by itself, once through. Printed per file: seconds direct and through, refusals, lines that differ otherwise.
"""

import argparse
import difflib
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from proxy.errors import Refusal
from proxy.sql.referee import parse
from tests.kit import servers
from tests.kit.pgveil import Pgveil
from tests.kit.servers import Server

UNUSED = ("public.zz_customers.email",)
SETTINGS = ("lc_messages TO 'C'", "lc_monetary TO 'C'", "lc_numeric TO 'C'", "lc_time TO 'C'", "bytea_output TO 'hex'",
            "timezone_abbreviations TO 'Default'")  # fmt: skip
SLOT = "regress_written"
TOKEN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
SECONDS = 300


@dataclass
class Run:
    """One pass over the schedule. refused: per file, code -> count; written: plaintext that reached the columns."""

    place: Path
    seconds: dict[str, float] = field(default_factory=dict)
    refused: dict[str, Counter[str]] = field(default_factory=dict)
    written: dict[str, list[str]] = field(default_factory=dict)

    def text(self, name: str) -> list[str]:
        return (self.place / f"{name}.out").read_text("utf-8", "surrogateescape").splitlines()


def schedule(source: Path, only: Sequence[str]) -> list[str]:
    lines = (source / "parallel_schedule").read_text().splitlines()
    names = [name for line in lines if line.startswith("test:") for name in line[5:].split()]
    return [name for name in names if not only or name in only or name == "test_setup"]


def policy(columns: Sequence[str]) -> str:
    tables: dict[str, list[str]] = {}
    for column in columns:
        table, name = column.rsplit(".", 1)
        tables.setdefault(table, []).append(name)
    lines = ["version: 1", "classes:", "  any: {kind: text}", "protect:"]
    for table, names in tables.items():
        lines += [f"  {table}:", *[f"    {name}: any" for name in names]]
    return "\n".join([*lines, "roles:", "  - {name: all, match: {}, access: {default: reveal}}", ""])


# ---- running


def prepare(server: Server, decoded: bool) -> None:
    server.psql("CREATE DATABASE regression TEMPLATE = template0 LC_COLLATE = 'C' LC_CTYPE = 'C'")
    server.psql("".join([f"ALTER DATABASE regression SET {setting};" for setting in SETTINGS]))
    if decoded:
        server.psql(f"SELECT pg_create_logical_replication_slot('{SLOT}', 'test_decoding')", "regression")


def environment(args: argparse.Namespace, work: Path, port: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return kept | {
        "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "postgres", "LANG": "C", "LC_MESSAGES": "C",
        "PGTZ": "America/Los_Angeles", "PGDATESTYLE": "Postgres, MDY", "PGSSLMODE": "disable",
        "PGOPTIONS": "-c intervalstyle=postgres_verbose", "PG_ABS_SRCDIR": str(args.source),
        "PG_ABS_BUILDDIR": str(work), "PG_LIBDIR": str(args.lib), "PG_DLSUFFIX": ".so",
    }  # fmt: skip


def play(args: argparse.Namespace, server: Server, port: int, run: Run, pgveil: Pgveil | None) -> None:
    """Each file by psql, one after the other."""
    work = args.out / "work"  # the same for all runs: its name is printed
    (work / "results").mkdir(parents=True, exist_ok=True)
    os.chmod(work / "results", 0o777)
    run.place.mkdir(parents=True, exist_ok=True)
    for name in schedule(args.source, args.only):
        before = 0 if pgveil is None else len(pgveil.log)
        env = environment(args, work, port) | {"PGAPPNAME": f"pg_regress/{name}"}
        began = time.monotonic()
        psql(args, server, name, run.place / f"{name}.out", env, work)
        run.seconds[name] = time.monotonic() - began
        if pgveil is not None:
            run.refused[name] = Counter(refusals(pgveil.log[before:]))
            if args.protect:
                run.written[name] = list(written(server, args.protect))


def psql(args: argparse.Namespace, server: Server, name: str, out: Path, env: dict[str, str], work: Path) -> None:
    tool = servers.find("18") if args.bind else server.install
    assert tool is not None, "--bind takes the psql of 18"
    argv = [tool.tool("psql"), "-X", "-a", "-q", "-d", "regression"]
    argv += ["-v", "HIDE_TABLEAM=on", "-v", "HIDE_TOAST_COMPRESSION=on"]
    text = (args.source / "sql" / f"{name}.sql").read_bytes()
    if args.bind and name != "test_setup":
        text = extended(text)
    with out.open("wb") as into:
        try:
            subprocess.run(argv, input=text, stdout=into, stderr=into, env=env, cwd=work, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            into.write(b"\n(timeout)\n")


def extended(text: bytes) -> bytes:
    """The same file with each statement that stands on lines of its own sent by Parse, Bind and Execute."""
    out: list[bytes] = []
    held: list[bytes] = []
    for line in text.splitlines(keepends=True):
        held.append(line)
        whole = b"".join(held)
        if line.startswith((b"\\", b"--")) or not line.strip():
            out, held = [*out, *held], []
        elif line.rstrip().endswith(b";") and statements(whole) == 1:
            plain = b"\\" in whole or b" stdin" in whole.lower() or b"copy" in whole.lower()
            out.append(whole if plain else whole.rstrip()[:-1] + b" \\bind \\g\n")
            held = []
    return b"".join([*out, *held])


def statements(text: bytes) -> int:
    """0: not one that libpg_query reads, or not at its end yet."""
    try:
        return len(parse(text))
    except (Refusal, RecursionError):
        return 0


def refusals(log: str) -> Iterator[str]:
    for line in log.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("event") == "refusal":
            yield str(entry.get("code"))
        elif entry.get("event") == "link-broken":
            yield f"BROKEN {entry.get('error')} {entry.get('reason')}"


def written(server: Server, protect: Sequence[str]) -> Iterator[str]:
    """What reached the protected columns and is no token, from the write-ahead log: dropped tables included."""
    # synchronous_commit is off here, and only what has been flushed is decoded
    server.psql("SET synchronous_commit = on; SELECT pg_logical_emit_message(true, '', '')", "regression")
    rows = server.psql(f"SELECT data FROM pg_logical_slot_get_changes('{SLOT}', NULL, NULL)", "regression")
    columns = {tuple(column.rsplit(".", 1)) for column in protect}
    for row in rows.splitlines():
        if row.startswith("table "):
            table = row[6:].split(":", 1)[0].replace('"', "")
            for column in [name for known, name in columns if known == table]:
                found = re.search(rf' "?{column}"?\[[^\]]*\]:(\'(?:[^\']|\'\')*\'|\w+)', row)
                if found and found.group(1) not in ("null", "unchanged") and not TOKEN.fullmatch(found.group(1)[1:-1]):
                    yield f"{table}.{column} = {found.group(1)}"


# ---- comparing


def differences(first: list[str], second: list[str], through: list[str]) -> list[tuple[list[str], list[str]]]:
    """Hunks of (direct lines, lines through), without those that differ between the two direct runs as well."""
    noisy: set[int] = set()
    for tag, i, j, _, _ in difflib.SequenceMatcher(None, first, second, False).get_opcodes():
        if tag != "equal":
            noisy.update(range(i, max(j, i + 1)))
    hunks = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, first, through, False).get_opcodes():
        if tag != "equal" and not noisy.issuperset(range(i, max(j, i + 1))):
            hunks.append((first[i:j], through[k:m]))
    return hunks


def report(args: argparse.Namespace, runs: Sequence[Run]) -> int:
    """Print the table, write the hunks to OUT/diffs; the number of files that differ."""
    first, second, through = runs
    differing = 0
    with (args.out / "diffs").open("w", errors="surrogateescape") as out:
        for name in schedule(args.source, args.only):
            hunks = differences(first.text(name), second.text(name), through.text(name))
            refused = through.refused.get(name, Counter())
            plain = through.written.get(name, [])
            differing += bool(hunks or plain)
            state = "differs" if hunks else "equal"
            times = f"{first.seconds.get(name, 0):6.2f} {through.seconds.get(name, 0):6.2f}"
            print(f"{name:24} {state:8} {len(hunks):4} hunks {times} s  {dict(refused) or ''} {plain[:3] or ''}")
            for before, after in hunks:
                out.write(f"=== {name}\n")
                out.writelines([f"- {line}\n" for line in before] + [f"+ {line}\n" for line in after])
    total = sum(through.refused.values(), Counter())
    direct, slow = sum(first.seconds.values()), sum(through.seconds.values())
    print(f"{differing} files differ; direct {direct:.1f} s, through {slow:.1f} s; refused {dict(total)}")
    return differing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--lib", type=Path, default=Path("/nonexistent"))
    parser.add_argument("--version", default="15")
    parser.add_argument("--only", action="append", default=[], help="a file; those it builds on have to be named too")
    parser.add_argument("--protect", action="append", default=[], metavar="SCHEMA.TABLE.COLUMN")
    parser.add_argument("--bind", action="store_true", help="by the extended protocol (psql 18), test_setup excepted")
    parser.add_argument("--through-only", action="store_true", help="the direct outputs are in OUT from before")
    args = parser.parse_args()
    install = servers.find(args.version)
    if install is None:
        sys.exit(f"PostgreSQL {args.version} is not installed")
    runs = [Run(args.out / name) for name in ("direct1", "direct2", "through")]
    for run in runs:
        timings = run.place / "seconds.json"
        if args.through_only and run is not runs[2]:
            run.seconds = json.loads(timings.read_text())
            continue
        server = servers.create(install)
        try:
            server.start()
            prepare(server, bool(args.protect) and run is runs[2])
            if run is not runs[2]:
                play(args, server, server.port, run, None)
            else:
                text = policy(args.protect or UNUSED)
                with Pgveil.before(server, "regression", {"regress": text}, log={"format": "json"}) as pgveil:
                    play(args, server, pgveil.port, run, pgveil)
                    (args.out / "pgveil.log").write_text(pgveil.log)
        finally:
            server.close()
        timings.write_text(json.dumps(run.seconds))
    return 1 if report(args, runs) else 0


if __name__ == "__main__":
    sys.exit(main())
