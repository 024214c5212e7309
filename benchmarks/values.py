"""Values a second through a link, and where their time goes.

Results (1 column of 10,000 rows, 5 of 100,000) read direct, through pgveil unprotected, and protected: with the vault's
cache cold (`cold`, after a restart) and once it has seen them (`again`; 500,000 values are more than it holds, so that
is a read from the vault's file too). COPY in, of values that are new and of values that are known. CPU is that of the
pgveil process, all threads; `a core` is what one core would do. Then the stages of a value inside, each by itself.

Run: python -m benchmarks.values
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import psutil
import psycopg

from benchmarks.vault import open_vault
from proxy.policy.access import Access
from proxy.session.effects import Context, Principal, Revealed
from proxy.session.limits import DEFAULTS
from proxy.session.reveal import Columns, question, replacements
from proxy.session.state import State
from proxy.session.statements import Bound
from proxy.sql.catalog import ProtectedColumn
from proxy.sql.plan import Output, Plan
from proxy.vault.chain import AuditEvent
from proxy.vault.committer import Limits
from proxy.wire import rows
from proxy.wire.messages import build_data_row
from proxy.wire.types import Reading, parse_type
from tests.kit.pgveil import Pgveil
from tests.kit.servers import Server, create, find

COLUMNS = ("email", "name", "phone", "street", "town")
CLASSES = ", ".join(f"{name}: {{kind: text}}" for name in COLUMNS)
RULES = ", ".join(f"{name}: {name}" for name in COLUMNS)
POLICY = f"""version: 1
classes: {{{CLASSES}}}
protect: {{public.guarded: {{{RULES}}}, public.again: {{{RULES}}}}}
roles: [{{name: bench, match: {{user: postgres}}, access: {{default: reveal}}}}]
"""
SIZES = ((1, 10_000), (5, 100_000))
CHUNK = 6_000


# ---- through a link


def main() -> None:
    install = find("15") or find("18")
    if install is None:
        raise SystemExit("no PostgreSQL found: sh tests/kit/install-system.sh")
    server = create(install)
    server.start()
    try:
        with Pgveil.before(server, "postgres", {"bench": POLICY}) as pgveil:
            load(server, pgveil)
            for width, height in SIZES:
                results(server, pgveil, width, height)
    finally:
        server.close()
    session(*asyncio.run(stages()))


def measured(pgveil: Pgveil, work: Callable[[], object], times: int) -> tuple[float, float]:
    """Seconds, and the process's CPU seconds, of the quickest of several runs."""
    process = psutil.Process(pgveil.pid)
    best = (float("inf"), float("inf"))
    for _ in range(times):
        before = sum(process.cpu_times()[:2])
        begun = time.perf_counter()
        work()
        spent = time.perf_counter() - begun
        best = (min(best[0], spent), min(best[1], sum(process.cpu_times()[:2]) - before))
    return best


def line(what: str, values: int, spent: tuple[float, float], direct: float) -> None:
    seconds, cpu = spent
    core = f"{values / cpu:12,.0f} a core {cpu / values * 1e6:8.2f} µs" if cpu else ""
    print(f"{what:34}{values / seconds:12,.0f} values/s{direct / seconds:8.2f} of direct{core}", flush=True)


def load(server: Server, pgveil: Pgveil) -> None:
    width, height = SIZES[-1]
    lines = [b"\t".join([b"%s%d@example.org" % (name.encode(), i) for name in COLUMNS]) + b"\n" for i in range(height)]
    data = b"".join(lines)
    columns = ", ".join(f"{name} text" for name in COLUMNS)
    for table in ("open", "guarded", "again"):
        server.psql(f"CREATE TABLE {table} (id serial, {columns})", "postgres")

    def copy(dsn: str, table: str) -> Callable[[], None]:
        statement = f"COPY {table} ({', '.join(COLUMNS)}) FROM STDIN"

        def work() -> None:
            with psycopg.connect(dsn) as connection, connection.cursor() as cursor, cursor.copy(statement) as to:
                for at in range(0, len(data), 1 << 16):
                    to.write(data[at : at + (1 << 16)])

        return work

    values = width * height
    direct = measured(pgveil, copy(server.dsn(), "open"), 1)[0]
    through = pgveil.dsn("postgres")
    server.psql("TRUNCATE open", "postgres")
    line("COPY in, unprotected", values, measured(pgveil, copy(through, "open"), 1), direct)
    line("COPY in, new values", values, measured(pgveil, copy(through, "guarded"), 1), direct)
    line("COPY in, known values", values, measured(pgveil, copy(through, "again"), 1), direct)


def results(server: Server, pgveil: Pgveil, width: int, height: int) -> None:
    chosen = ", ".join(COLUMNS[:width])

    def read(dsn: str, table: str) -> Callable[[], None]:
        connection = psycopg.connect(dsn, autocommit=True)
        connection.execute("SELECT 1")
        return lambda: connection.execute(f"SELECT {chosen} FROM {table} LIMIT {height}") and None

    values = width * height
    title = f"{width} x {height:,}"
    direct = measured(pgveil, read(server.dsn(), "open"), 3)[0]
    line(f"{title}, unprotected", values, measured(pgveil, read(pgveil.dsn("postgres"), "open"), 3), direct)
    pgveil.restart()
    protected = read(pgveil.dsn("postgres"), "guarded")
    line(f"{title}, protected, cold", values, measured(pgveil, protected, 1), direct)
    line(f"{title}, protected, again", values, measured(pgveil, protected, 3), direct)


# ---- inside


async def stages() -> tuple[list[bytes], dict[bytes, bytes]]:
    """The vault's; gives tokens and their values."""
    print(f"\nstages, of {CHUNK:,} values in 3 columns")
    with tempfile.TemporaryDirectory() as directory:
        vault = await open_vault(Path(directory) / "vault.db", Limits(cache_bytes=1 << 30))
        items = [("email", b"user%d@example.org" % number) for number in range(CHUNK)]
        rounds = count()

        async def new() -> None:
            await vault.tokenise([("email", b"%d.%b" % (at, value)) for at in [next(rounds)] for _, value in items])

        await stage("vault: tokenise, new", new)
        await vault.tokenise(items)
        await stage("vault: tokenise, known", lambda: vault.tokenise(items))
        tokens = await vault.tokenise(items)
        await stage("vault: reveal, cached", lambda: vault.reveal(tokens))

        async def uncached() -> None:
            vault.forget(tokens)
            await vault.reveal(tokens)

        await stage("vault: reveal, from the file", uncached)
        event = AuditEvent("reveal", "ok", user="bench", class_name="email", count=CHUNK, tokens=tuple(tokens))
        await stage("audit: one row of the chunk", lambda: vault.audit.append([event]))
        await vault.close()
        return tokens, dict(zip(tokens, [value for _, value in items], strict=True))


async def stage(what: str, work: Callable[[], object]) -> None:
    best = float("inf")
    for _ in range(3):
        before = time.process_time()
        done = work()
        if asyncio.iscoroutine(done):
            await done
        best = min(best, time.process_time() - before)
    print(f"{what:34}{best / CHUNK * 1e6:8.2f} µs a value", flush=True)


def session(tokens: list[bytes], values: dict[bytes, bytes]) -> None:
    """The pure half: fields out of rows, the question about them, fields into rows."""
    width = 3
    spec = parse_type("text")
    places = [ProtectedColumn("s", "t", f"c{n}", "email", True, spec, spec, 1, n, False, False) for n in range(width)]
    access = Access("bench", "reveal")
    context = Context(Principal("bench", "shop", "", "", "", ""), access, "00", "select")
    bound = Bound(Plan(), access, context, (), 1)
    columns = Columns(bound, tuple([Output(place) for place in places]))
    data = b"".join([build_data_row(tokens[at : at + width]) for at in range(0, len(tokens), width)])
    fields: list[bytes | None] = []
    answer = Revealed({}, {}, values)
    state, reading = State("", "", DEFAULTS), Reading("", "ISO, MDY", "UTC")

    def collect() -> None:
        fields.clear()
        rows.collect(data, 0, len(data), columns.indexes, width, fields)

    asyncio.run(stage("session: fields out of rows", collect))
    asyncio.run(stage("session: the question", lambda: question(columns, fields, bound, reading)))
    asyncio.run(stage("session: the answer", lambda: replacements(columns, fields, answer, state, reading)))
    shown = replacements(columns, fields, answer, state, reading)
    asyncio.run(stage("session: fields into rows", lambda: rows.rewrite(data, 0, len(data), columns.indexes, shown)))


if __name__ == "__main__":
    main()
