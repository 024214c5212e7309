"""Replication through pgveil: PostgreSQL's own programs do what they do past it. What they carry is tokens."""

import io
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.kit.pgveil import Pgveil
from tests.kit.process import wait_for
from tests.kit.servers import Server, fresh_database
from tests.kit.wireclient import WireClient, names

pytestmark = pytest.mark.server

POLICY = """\
version: 1
classes: {email: {kind: email}}
protect: {public.people: {email: email}}
roles: [{name: all, match: {user: "*"}, access: {default: reveal}}]
"""
FREE = "SELECT NOT active FROM pg_replication_slots WHERE slot_name = 'veil_copied'"
ADA = "ada.replicates@example.com"


@dataclass(frozen=True, slots=True)
class Scene:
    server: Server
    pgveil: Pgveil
    database: str

    def where(self, database: str = "") -> str:
        return f"host=127.0.0.1 port={self.pgveil.port} user=walsender dbname={database or 'replication'}"

    def program(self, name: str, *args: str, database: str = "") -> subprocess.CompletedProcess[bytes]:
        argv = [self.server.install.tool(name), "-d", self.where(database), *args]
        done = subprocess.run(argv, capture_output=True, timeout=120, cwd="/")
        assert done.returncode == 0, done.stderr.decode()
        return done


@pytest.fixture(scope="module")
def scene(pg: Server) -> Iterator[Scene]:
    if "walsender" not in pg.psql("SELECT rolname FROM pg_roles").split():
        pg.psql("CREATE ROLE walsender LOGIN REPLICATION")
    with fresh_database(pg) as name:
        pg.psql("CREATE TABLE people(id int PRIMARY KEY, email text); GRANT ALL ON people TO PUBLIC", name)
        with Pgveil.before(pg, name, {"people": POLICY}) as pgveil:
            with pgveil.connect(name) as link:
                link.execute("INSERT INTO people VALUES (1, %s)", (ADA,))
            yield Scene(pg, pgveil, name)


def holds(place: Path, word: str) -> list[Path]:
    return [path for path in place.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


@pytest.mark.parametrize("method", ["stream", "fetch"])
def test_pg_basebackup(scene: Scene, tmp_path: Path, method: str) -> None:
    """Plain: all files, with the log of the meantime over a connection of its own; no value is in them."""
    made = tmp_path / "copy"
    scene.program("pg_basebackup", "-D", str(made), "-X", method, "-c", "fast", "--no-sync")
    assert (made / "PG_VERSION").read_text().strip() == scene.server.version
    assert list((made / "pg_wal").glob("0000*")) and (made / "backup_manifest").exists()
    assert holds(made, ADA) == []


def test_pg_basebackup_as_a_tape(scene: Scene) -> None:
    done = scene.program("pg_basebackup", "-D", "-", "-F", "tar", "-X", "fetch", "-c", "fast", "--no-sync")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tape:
        assert "PG_VERSION" in tape.getnames() and "global/pg_control" in tape.getnames()
    assert ADA.encode() not in done.stdout


def test_pg_receivewal(scene: Scene, tmp_path: Path) -> None:
    """A slot is made, the log comes as it is written, synchronously, and the slot is dropped again."""
    scene.program("pg_receivewal", "--slot", "veil_wal", "--create-slot", "--if-not-exists")
    argv = [scene.server.install.tool("pg_receivewal"), "-d", scene.where(), "-D", str(tmp_path), "--slot", "veil_wal"]
    with subprocess.Popen([*argv, "--synchronous"], stderr=subprocess.PIPE, cwd="/") as running:
        try:
            with scene.pgveil.connect(scene.database) as link:
                link.execute("CREATE TABLE IF NOT EXISTS ticks(id int)")
                asked = (
                    "SELECT flush_lsn >= %s::pg_lsn FROM pg_stat_replication WHERE application_name = 'pg_receivewal'"
                )
                link.execute("INSERT INTO ticks VALUES (1)")
                (end,) = link.execute("SELECT pg_current_wal_lsn()::text").fetchone() or ("",)

                def received() -> bool:
                    link.execute("INSERT INTO ticks VALUES (1)")
                    there = link.execute(asked, (end,)).fetchone() == (True,)
                    return there and any(tmp_path.glob("*.partial"))

                wait_for("the log to be received", received, 30)
        finally:
            running.send_signal(signal.SIGINT)
            running.communicate(timeout=30)
    scene.program("pg_receivewal", "--slot", "veil_wal", "--drop-slot")


def slot(scene: Scene, plugin: str) -> bool:
    """Whether there is such a plugin, of which pg_recvlogical makes a slot."""
    try:
        scene.program(
            "pg_recvlogical", "--slot", "veil_rows", "--create-slot", "-P", plugin, "--if-not-exists",
            database=scene.database,
        )  # fmt: skip
    except AssertionError as missing:
        if "could not access file" not in str(missing):
            raise
        return False
    return True


def test_pg_recvlogical(scene: Scene, tmp_path: Path) -> None:
    """Changes in text, as test_decoding writes them: the token."""
    if not slot(scene, "test_decoding"):
        pytest.skip("no test_decoding in this installation")
    out = tmp_path / "changes"
    argv = [scene.server.install.tool("pg_recvlogical"), "-d", scene.where(scene.database), "--slot", "veil_rows"]
    with subprocess.Popen([*argv, "--start", "-f", str(out), "-F", "1"], stderr=subprocess.PIPE, cwd="/") as running:
        try:
            active = "SELECT active FROM pg_replication_slots WHERE slot_name = 'veil_rows'"
            wait_for("it to stream", lambda: scene.server.psql(active).strip() == "t")  # SIGHUP would end it before
            with scene.pgveil.connect(scene.database) as link:
                link.execute("UPDATE people SET id = 2 WHERE email = %s", (ADA,))
                link.execute("UPDATE people SET id = 1 WHERE email = %s", (ADA,))

            def seen() -> bool:
                running.send_signal(signal.SIGHUP)  # opens its file anew, and so writes what it has
                return out.exists() and out.read_text().count("UPDATE") == 2

            wait_for("the changes to come", seen, 30)
        finally:
            running.send_signal(signal.SIGINT)
            running.communicate(timeout=30)
    with scene.server.connect(scene.database) as direct:
        token = direct.execute("SELECT email FROM people WHERE id = 1").fetchone()
    assert token is not None and token[0] in out.read_text() and ADA not in out.read_text()
    scene.program("pg_recvlogical", "--slot", "veil_rows", "--drop-slot", database=scene.database)


def test_slots_and_publications_called_as_a_protected_table(scene: Scene) -> None:
    """What a subscriber says, by hand: commands and SQL on one link, then the stream."""
    with scene.pgveil.connect(scene.database) as link, scene.server.connect(scene.database) as direct:
        link.execute("DROP PUBLICATION IF EXISTS people")
        link.execute("CREATE PUBLICATION people FOR TABLE people")
        (token,) = direct.execute("SELECT email FROM people WHERE id = 1").fetchone() or ("",)
        with WireClient(scene.pgveil.port) as client:
            client.start(user="walsender", database=scene.database, replication="database")
            assert "42501" in str(client.query(f"UPDATE people SET email = '{ADA}'")[0])
            made = client.query('CREATE_REPLICATION_SLOT "people" TEMPORARY LOGICAL pgoutput')
            assert names(made)[-1] == "ReadyForQuery" and "ErrorResponse" not in names(made)
            assert token in str(client.query("SELECT email FROM people WHERE id = 1")[1]), "SQL on such a link"
            assert "ErrorResponse" not in names(client.query("IDENTIFY_SYSTEM"))
            start = "START_REPLICATION SLOT people LOGICAL 0/0 (proto_version '1', publication_names 'people')"
            client.send(f'Query "{start}"')
            client.expect("CopyBothResponse")
            link.execute("UPDATE people SET email = email WHERE id = 1")
            streamed = b""
            while b"U" not in streamed or token.encode() not in streamed:
                frame = client.read_frame(30)
                assert frame[:1] == b"d", frame
                streamed += frame
            assert ADA.encode() not in streamed
            client.send("CopyDone")
            ended = client.read_until_ready()
            assert "CopyDone" in names(ended) and "ErrorResponse" not in names(ended)
        link.execute("DROP PUBLICATION people")


def test_a_physical_link_runs_no_statement(scene: Scene) -> None:
    """Nothing is read on it, because the server runs no SQL there."""
    where = f"{scene.where()} replication=true"
    with psycopg.connect(where, autocommit=True) as link:
        result = link.pgconn.exec_(b"SELECT email FROM people")
        assert b"cannot execute SQL commands in WAL sender" in result.error_message


def test_a_subscription_carries_tokens(scene: Scene) -> None:
    """Logical replication of a protected table, its connection through pgveil: rows and changes come as tokens, and
    through pgveil they are values there too."""
    with fresh_database(scene.server) as copy, scene.server.connect(copy) as there:
        there.execute("CREATE TABLE people(id int PRIMARY KEY, email text)")
        with scene.pgveil.connect(scene.database) as link, scene.server.connect(scene.database) as direct:
            link.execute("CREATE PUBLICATION copied FOR TABLE people")
            direct.execute("SELECT pg_create_logical_replication_slot('veil_copied', 'pgoutput')")
            try:
                there.execute(
                    f"CREATE SUBSCRIPTION copied CONNECTION '{scene.where(scene.database)}' PUBLICATION copied"
                    " WITH (create_slot = false, slot_name = 'veil_copied')".encode()
                )
                rows = "SELECT email FROM people WHERE id = 1"
                (token,) = direct.execute(rows.encode()).fetchone() or ("",)
                first = wait_for("the first copy", lambda: there.execute(rows.encode()).fetchone(), 60)
                assert first == (token,)
                link.execute("INSERT INTO people VALUES (3, %s)", (ADA,))
                later = b"SELECT email FROM people WHERE id = 3"
                assert wait_for("a change", lambda: there.execute(later).fetchone(), 60) == (token,)
                with scene.pgveil.connect(copy) as through:
                    assert through.execute(later).fetchone() == (ADA,)
            finally:
                for end in ("DISABLE", "SET (slot_name = NONE)"):
                    there.execute(f"ALTER SUBSCRIPTION copied {end}".encode())
                there.execute("DROP SUBSCRIPTION copied")
                wait_for("the slot to be free", lambda: direct.execute(FREE).fetchone() == (True,), 30)
                direct.execute("SELECT pg_drop_replication_slot('veil_copied')")
                link.execute("DROP PUBLICATION copied; DELETE FROM people WHERE id = 3")
