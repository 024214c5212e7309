"""Hot standbys of a test's server: made by pg_basebackup, streaming from it."""

import tempfile
from pathlib import Path

from tests.kit import process
from tests.kit.servers import Server, own


def standby_of(primary: Server) -> Server:
    """A running standby with the primary's settings. It serves reads; `promote` makes it a primary."""
    install = primary.install
    base = Path(tempfile.mkdtemp(prefix=f"pg{install.version}-standby-"))
    own(base, install.owner)
    server = Server(install, base)
    source = f"host=127.0.0.1 port={primary.port} user=postgres"
    argv = [install.tool("pg_basebackup"), "-D", str(server.data), "-d", source, "-R", "--no-sync", "-c", "fast"]
    process.run(argv, install.owner)
    server.start()
    return server


def promote(standby: Server) -> None:
    """Comes back when it takes writes."""
    standby.psql("SELECT pg_promote(true, 60)")
    process.wait_for("promotion", lambda: standby.psql("SELECT pg_is_in_recovery()").strip() == "f", 30)


def replayed(primary: Server, standby: Server) -> None:
    """Comes back when the standby has all that the primary has now."""
    lsn = primary.psql("SELECT pg_current_wal_insert_lsn()").strip()
    caught_up = f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'"
    process.wait_for("replay", lambda: standby.psql(caught_up).strip() == "t", 30)
