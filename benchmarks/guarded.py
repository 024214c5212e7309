"""What protection costs by the number of clients: pgbench's own scripts on an unprotected and on a protected table,
through pgveil, in turns. CPU is that of the pgveil process, all threads.

One client waits for what is written before it is answered (the audit's row, a new value); many share those commits. The
server and the vault both fsync.

Run: python -m benchmarks.guarded [SECONDS]
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.pgbench import Way
from tests.kit import compiled
from tests.kit.pgveil import Pgveil
from tests.kit.servers import Server, create, find

POLICY = """version: 1
classes: {one: {kind: text}, two: {kind: text}, three: {kind: text}}
protect:
  public.guarded: {a: one, b: two, c: three}
roles: [{name: bench, match: {user: postgres}, access: {default: reveal}}]
"""
TABLES = ("open", "guarded")
ROWS = 1000
ROUNDS = 3
READ = "\\set id random(1, {rows})\nSELECT a, b, c FROM {table} WHERE id = :id;\n"
INSERT = """\\set a random(1, 1000000000000)
\\set b random(1, 1000000000000)
\\set c random(1, 1000000000000)
INSERT INTO {table} (a, b, c) VALUES (:a, :b, :c);
"""


def main() -> int:
    install = find("15") or find("18")
    if install is None:
        print("no PostgreSQL found: sh tests/kit/install-system.sh")
        return 1
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    server = create(install)
    server.start(max_connections="100", fsync="on", synchronous_commit="on")
    try:
        with tempfile.TemporaryDirectory() as base:
            pgveil = Pgveil.before(server, "postgres", {"bench": POLICY})
            if compiled.compiler() is not None:
                pgveil.env["PYTHONPATH"] = str(compiled.build(Path(base)))
            with pgveil:
                compare(server, pgveil, Path(base), seconds)
    finally:
        server.close()
    return 0


def compare(server: Server, pgveil: Pgveil, base: Path, seconds: int) -> None:
    with pgveil.connect() as connection, connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"CREATE TABLE {table} (id serial PRIMARY KEY, a text, b text, c text)")
            rows = [(f"one {n}", f"two {n}", f"three {n}") for n in range(ROWS)]
            cursor.executemany(f"INSERT INTO {table} (a, b, c) VALUES (%s, %s, %s)", rows)
    way = Way(pgveil.port, pgveil.pid)
    print(f"{'':20}{'clients':>8}{'open/s':>10}{'guarded/s':>11}{'ratio':>7}{'open µs':>9}{'guarded µs':>12}")
    for name, script in (("point read, 3 values", READ), ("insert, 3 new values", INSERT)):
        for table in TABLES:
            (base / table).write_text(script.format(table=table, rows=ROWS))
        for clients in (1, 8, 32):
            seen: dict[str, list[tuple[float, float]]] = {table: [] for table in TABLES}
            for _ in range(ROUNDS):
                for table in TABLES:
                    seen[table].append(once(str(server.bindir / "pgbench"), way, base / table, clients, seconds))
            rate = {table: median([each for each, _ in values]) for table, values in seen.items()}
            cpu = {table: median([each for _, each in values]) * 1e6 for table, values in seen.items()}
            rates = f"{rate['open']:10,.0f}{rate['guarded']:11,.0f}{rate['guarded'] / rate['open']:7.2f}"
            print(f"{name:20}{clients:8}{rates}{cpu['open']:9.0f}{cpu['guarded']:12.0f}", flush=True)


def once(tool: str, way: Way, script: Path, clients: int, seconds: int) -> tuple[float, float]:
    """Transactions a second, and seconds of processor time a transaction of what is between."""
    argv = [tool, "-n", "-M", "prepared", "-f", str(script), "-c", str(clients), "-j", "1", "-T", str(seconds)]
    argv += ["-h", "127.0.0.1", "-p", str(way.port), "-U", "postgres", "postgres"]
    before = way.cpu()
    done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 60, check=True).stdout
    told = {line.split(" = ")[0]: line for line in done.splitlines()}
    count = int(next(line for line in done.splitlines() if "actually processed" in line).split(": ")[1].split("/")[0])
    return float(told["tps"].split()[2]), (way.cpu() - before) / count


if __name__ == "__main__":
    sys.exit(main())
