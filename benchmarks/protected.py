"""What protection costs: the same statements through pgveil on a protected and on an unprotected table, in turns.

Point reads (3 protected columns, warm), point reads by a protected column, inserts, results of 1,000 rows. psycopg 3,
prepared, one connection: a link's latency, not a machine's throughput.
"""

import time
from collections.abc import Callable
from statistics import median

import psycopg

POLICY = """version: 1
classes:
  email: {kind: email}
  person: {kind: name}
  phone: {kind: phone, region: US}
protect:
  public.guarded: {email: email, name: person, phone: phone}
roles: [{name: bench, match: {user: postgres}, access: {default: reveal}}]
"""
TABLE = "(id int primary key, email text, name text, phone text)"
ROWS = 1000


def prepare(direct: "psycopg.Connection", through: "psycopg.Connection") -> None:
    for table in ("guarded", "open"):
        through.execute(f"DROP TABLE IF EXISTS {table}")
        through.execute(f"CREATE TABLE {table} {TABLE}")
        with through.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {table} VALUES (%s, %s, %s, %s)",
                [(i, f"user{i}@example.org", f"Name {i}", f"+1212555{i:04}") for i in range(ROWS)],
            )


def rate(work: Callable[[int], None], seconds: float) -> float:
    count, end = 0, time.perf_counter() + seconds
    started = time.perf_counter()
    while time.perf_counter() < end:
        work(count)
        count += 1
    return count / (time.perf_counter() - started)


def works(connection: "psycopg.Connection", table: str, base: int) -> dict[str, Callable[[int], None]]:
    def read(n: int) -> None:
        connection.execute(
            f"SELECT email, name, phone FROM {table} WHERE id = %s", (n % ROWS,), prepare=True
        ).fetchone()

    def search(n: int) -> None:
        email = f"user{n % ROWS}@example.org"
        connection.execute(f"SELECT id FROM {table} WHERE email = %s", (email,), prepare=True).fetchone()

    def insert(n: int) -> None:
        values = (base + n, f"new{base + n}@example.org", f"New {n}", f"+1212556{n % 10000:04}")
        connection.execute(f"INSERT INTO {table} VALUES (%s, %s, %s, %s)", values, prepare=True)

    def rows(_: int) -> None:
        connection.execute(f"SELECT email, name, phone FROM {table} WHERE id < {ROWS}", prepare=True).fetchall()

    return {
        "point read, 3 columns": read,
        "point read by e-mail": search,
        "insert, 3 values": insert,
        "1,000 rows": rows,
    }


def compare(direct_dsn: str, through_dsn: str, rounds: int, seconds: float) -> None:
    with (
        psycopg.connect(direct_dsn, autocommit=True) as direct,
        psycopg.connect(through_dsn, autocommit=True) as through,
    ):
        prepare(direct, through)
        through.execute("ALTER TABLE open ADD CONSTRAINT c CHECK (id >= 0)")
        names = list(works(through, "open", 0))
        print(f"\nstatements/s on one connection, median of {rounds} rounds of {seconds} s")
        print(f"{'':24}{'direct':>10}{'unprotected':>13}{'protected':>11}   protected/unprotected")
        for name in names:
            seen: dict[str, list[float]] = {"direct": [], "open": [], "guarded": []}
            for turn in range(rounds):
                base = 10_000 + turn * 100_000
                seen["direct"].append(rate(works(direct, "open", base + 5_000_000)[name], seconds))
                seen["open"].append(rate(works(through, "open", base)[name], seconds))
                seen["guarded"].append(rate(works(through, "guarded", base)[name], seconds))
            d, o, g = (median(seen[key]) for key in ("direct", "open", "guarded"))
            print(f"{name:24}{d:10,.0f}{o:13,.0f}{g:11,.0f}{g / o:24.2f}", flush=True)
