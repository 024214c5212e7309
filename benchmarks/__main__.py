"""`make bench`: everything, in one run, as ratios. `--quick` for a look (a minute); the default takes some ten.

Absolute numbers are this machine's of this minute; compare within one run only.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import pgbench, protected, values
from tests.kit import compiled
from tests.kit.pgveil import Pgveil
from tests.kit.servers import Server, create, find


@contextmanager
def with_compiled(server: Server) -> Iterator[pgbench.Way | None]:
    """A pgveil with compiled modules; None where there is no C compiler."""
    if compiled.compiler() is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as base:
        pgveil = Pgveil.before(server, "postgres", {"bench": protected.POLICY})
        pgveil.env["PYTHONPATH"] = str(compiled.build(Path(base)))
        with pgveil:
            yield pgbench.Way(pgveil.port, pgveil.pid)


def main() -> int:
    quick = "--quick" in sys.argv[1:]
    install = find("15") or find("18")
    if install is None:
        print("no PostgreSQL found: sh tests/kit/install-system.sh")
        return 1
    server = create(install)
    server.start(max_connections="200")
    try:
        with (
            pgbench.pgbouncer(server) as pooler,
            Pgveil.before(server, "postgres", {"bench": protected.POLICY}) as pgveil,
            with_compiled(server) as compiled_way,
        ):
            ways = {
                "direct": pgbench.Way(server.port),
                "pgbouncer": pooler,
                "pgveil": pgbench.Way(pgveil.port, pgveil.pid),
                "compiled": compiled_way,
            }
            found = {name: way for name, way in ways.items() if way is not None}
            pgbench.compare(server, found, 1 if quick else 3, 1 if quick else 5)
            protected.compare(server.dsn(), pgveil.dsn("postgres"), 1 if quick else 3, 1.0 if quick else 3.0)
    finally:
        server.close()
    if not quick:
        values.main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
