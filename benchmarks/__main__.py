"""`make bench`: everything, in one run, as ratios. `--quick` for a look (a minute); the default takes some ten.

Absolute numbers are this machine's of this minute; compare within one run only.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import passing, pgbench, protected, values
from benchmarks.forwarder import forwarder
from tests.kit import compiled
from tests.kit.pgveil import Pgveil
from tests.kit.servers import ROOT, Server, create, find


@contextmanager
def with_compiled(server: Server) -> Iterator[Pgveil | None]:
    """A pgveil with compiled modules, as `pip install .` gives it; None where there is no C compiler."""
    if compiled.compiler() is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as base:
        pgveil = Pgveil.before(server, "postgres", {"bench": protected.POLICY})
        pgveil.env["PYTHONPATH"] = str(compiled.build(Path(base)))
        with pgveil:
            yield pgveil


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
            forwarder(server.port) as bare,
            with_compiled(server) as built,
            Pgveil.before(server, "postgres", {"bench": protected.POLICY}) as plain,
        ):
            ways = {
                "direct": pgbench.Way(server.port),
                "pgbouncer": pooler,
                "forwarder": pgbench.Way(*bare),
                "compiled": None if built is None else pgbench.Way(built.port, built.pid),
                "plain": pgbench.Way(plain.port, plain.pid),
            }
            found = {name: way for name, way in ways.items() if way is not None}
            pgbench.compare(server, found, 1 if quick else 5, 1 if quick else 3)
            print(f"\npgveil below is {'plain: there is no C compiler' if built is None else 'compiled'}", end="")
            through = (built or plain).dsn("postgres")
            protected.compare(server.dsn(), through, 1 if quick else 3, 1.0 if quick else 3.0)
            print()
            if built is not None:
                paths = os.pathsep.join((built.env["PYTHONPATH"], str(ROOT)))
                argv = [sys.executable, "-m", "benchmarks.passing"]
                subprocess.run(argv, cwd="/", env=os.environ | {"PYTHONPATH": paths}, check=True)
    finally:
        server.close()
    passing.main()
    if not quick:
        values.main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
