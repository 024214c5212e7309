"""A new process takes the place of the one that serves: no connection is refused or lost, whoever dies meanwhile."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.kit import process
from tests.kit.pgveil import Pgveil
from tests.kit.process import wait_for
from tests.kit.servers import Server, fresh_database

pytestmark = pytest.mark.server

POLICY = """\
version: 1
classes: {email: {kind: email}}
protect: {public.people: {email: email}}
roles: [{name: all, match: {user: "*"}, access: {default: reveal}}]
"""
CLIENTS = 4
linux = pytest.mark.skipif(sys.platform != "linux", reason="abstract Unix sockets")


@pytest.fixture
def shop(pg18: Server) -> Iterator[str]:
    with fresh_database(pg18) as name:
        pg18.psql("CREATE TABLE people(id int PRIMARY KEY, email text)", name)
        yield name


class Successors:
    """Processes that follow each other with one configuration."""

    def __init__(self, server: Server, shop: str, **settings: object) -> None:
        self.own = Pgveil.before(server, shop, {"people": POLICY}, **settings)
        self.own.write_config(listen=[f"127.0.0.1:{self.own.port}", f"unix:{self.own.base}"])
        self.own.command("keys", "init")
        self.processes: list[subprocess.Popen[bytes]] = []
        self.logs: list[Path] = []

    def launch(self, takeover: bool = True) -> "subprocess.Popen[bytes]":
        """Not waited for."""
        argv = [sys.executable, "-m", "proxy.cli", "run", "-c", str(self.own.config_path)]
        log = self.own.base / f"log-{len(self.processes)}"
        self.logs.append(log)
        made = process.launch(argv + ["--takeover"] * takeover, log, env=self.own._environment())
        self.processes.append(made)
        return made

    def said(self, number: int = -1) -> str:
        return self.logs[number].read_text() if self.logs[number].exists() else ""

    def ready(self, number: int = -1) -> None:
        made = self.processes[number]
        wait_for("it to be ready", lambda: "ready: listening" in self.said(number) or made.poll() is not None, 30)
        assert made.poll() is None, self.said(number)

    def start(self, takeover: bool = True) -> None:
        self.launch(takeover)
        self.ready()

    def gone(self, number: int, seconds: float = 40) -> int:
        return self.processes[number].wait(seconds)

    def __enter__(self) -> "Successors":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for made in self.processes:
                if made.poll() is None:
                    assert process.reap(made, signal.SIGTERM, 40) == 0
        finally:
            for made in self.processes:
                if made.poll() is None:
                    made.kill()
                    made.wait()
            self.own.close()


class Clients:
    """They connect, write and read what is protected, and disconnect, in a loop, by TCP and by the Unix socket."""

    def __init__(self, own: Pgveil, shop: str) -> None:
        self._own = own
        self._shop = shop
        self._stop = threading.Event()
        self.done = [0] * CLIENTS
        self.faults: list[str] = []
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(CLIENTS)]

    def _run(self, number: int) -> None:
        host = str(self._own.base) if number % 2 else "127.0.0.1"
        while not self._stop.is_set():
            key = number * 1_000_000 + self.done[number]
            try:
                self._once(host, key)
            except Exception as error:
                self.faults.append(f"{number}: {type(error).__name__}: {error}")
                return
            self.done[number] += 1

    def _once(self, host: str, key: int) -> None:
        email = f"p{key}@example.com"
        with psycopg.connect(
            host=host, port=self._own.port, dbname=self._shop, user="postgres", autocommit=True
        ) as link:
            with link.transaction():
                link.execute("INSERT INTO people VALUES (%s, %s)", (key, email))
            found = link.execute("SELECT id, email FROM people WHERE email = %s", (email,)).fetchall()
            assert found == [(key, email)], found

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def moved_on(self, by: int = 2) -> None:
        """Each has done some more."""
        before = list(self.done)
        wait_for(
            "clients to go on",
            lambda: self.faults or all(now >= was + by for was, now in zip(before, self.done, strict=True)),
            60,
        )
        assert self.faults == []

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)


def nothing_left(of: Successors, server: Server, shop: str) -> None:
    rows = json.loads(of.own.command("audit", "verify", "--json"))
    assert rows["faults"] == [] and rows["rows"] > 0
    assert server.psql("SELECT count(*) FROM people WHERE email LIKE '%@%'", shop).strip() == "0"
    children = [each.cmdline() for each in psutil.process_iter(["cmdline"]) if str(of.own.base) in str(each.info)]
    assert children == []


@linux
@pytest.mark.parametrize("workers", [1, 2])
def test_three_takeovers_while_clients_come_and_go(pg18: Server, shop: str, workers: int) -> None:
    with Successors(pg18, shop, workers=workers) as of:
        of.start()
        with Clients(of.own, shop) as clients:
            for number in range(3):
                clients.moved_on()
                of.start()
                clients.moved_on()
                assert of.gone(number) == 0, of.said(number)
            assert json.loads(of.own.page("/readyz")[1])["status"] == "ok"
        assert clients.faults == []
        assert (of.own.base / f".s.PGSQL.{of.own.port}").is_socket()
        process.reap(of.processes[-1], signal.SIGTERM)
        assert not (of.own.base / f".s.PGSQL.{of.own.port}").exists()
        nothing_left(of, pg18, shop)


@linux
@pytest.mark.parametrize("workers", [1, 2])
def test_a_new_one_that_dies_on_its_way(pg18: Server, shop: str, workers: int) -> None:
    with Successors(pg18, shop, workers=workers) as of:
        of.start()
        with Clients(of.own, shop) as clients:
            for _ in range(3):
                clients.moved_on(1)
                dying = of.launch()
                wait_for("it to ask", lambda: "takeover-begun" in of.said(0), 30)
                dying.kill()
                dying.wait()
                wait_for("the old one to see it", lambda: of.said(0).count("takeover-failed") >= 1, 30)
                of.logs[0].write_text("")
            clients.moved_on()
            of.start()
            clients.moved_on()
            assert of.gone(0) == 0
        assert clients.faults == []


@linux
def test_an_old_one_that_is_killed_leaves_its_place_to_the_new_one(pg18: Server, shop: str) -> None:
    with Successors(pg18, shop) as of:
        of.start()
        with of.own.connect(shop) as held:
            held.execute("INSERT INTO people VALUES (1, 'held@example.com')")
            of.start()
            assert held.execute("SELECT email FROM people").fetchone() == ("held@example.com",)
            of.processes[0].kill()
            of.processes[0].wait()
        with of.own.connect(shop) as link:
            assert link.execute("SELECT email FROM people").fetchone() == ("held@example.com",)
            assert link.execute("INSERT INTO people VALUES (2, 'new@example.com') RETURNING email").fetchone()


@linux
def test_links_of_the_old_one_go_on_to_their_end(pg18: Server, shop: str) -> None:
    with Successors(pg18, shop) as of:
        of.start()
        held = of.own.connect(shop)
        of.start()
        for number in range(3):
            held.execute("INSERT INTO people VALUES (%s, %s)", (number, f"{number}@example.com"))
        assert held.execute("SELECT count(email) FROM people").fetchone() == (3,)
        assert of.processes[0].poll() is None
        held.close()
        assert of.gone(0) == 0


@linux
@pytest.mark.parametrize("workers", [1, 2])
def test_ddl_on_either_side_is_known_to_the_other(pg18: Server, shop: str, workers: int) -> None:
    with Successors(pg18, shop, workers=workers) as of:
        of.start()
        old = of.own.connect(shop)
        old.execute("INSERT INTO people VALUES (1, 'old@example.com')")
        of.start()
        new = of.own.connect(shop)
        new.execute("INSERT INTO people VALUES (2, 'new@example.com')")
        for number, (maker, writer) in enumerate([(old, new), (new, old)] * 5):
            maker.execute(f"CREATE VIEW v{number} AS SELECT * FROM people".encode())
            with suppress(psycopg.errors.FeatureNotSupported):
                writer.execute(f"INSERT INTO v{number} VALUES ({100 + number}, 'clear@example.com')".encode())
        old.close()
        new.close()
        assert of.gone(0) == 0
        nothing = pg18.psql("SELECT count(*) FROM people WHERE email LIKE '%@%'", shop)
        assert nothing.strip() == "0"


@linux
def test_without_the_word_the_one_that_is_there_is_named(pg18: Server, shop: str) -> None:
    with Successors(pg18, shop) as of:
        of.start()
        second = of.launch(takeover=False)
        assert second.wait(30) == 3
        assert f"already in use by pgveil (pid {of.processes[0].pid})" in of.said()
        assert "`pgveil run --takeover` takes its place" in of.said()
        of.own.connect(shop).close()


@linux
@pytest.mark.parametrize("workers", [1, 2])
def test_a_new_one_comes_up_while_the_old_one_drains(pg18: Server, shop: str, workers: int) -> None:
    """Without being told to take over: the addresses are free, the vault is shared."""
    with Successors(pg18, shop, workers=workers) as of:
        of.start()
        busy = of.own.connect(shop)
        busy.execute("BEGIN")
        busy.execute("INSERT INTO people VALUES (1, 'busy@example.com')")
        of.processes[0].terminate()
        wait_for("it to drain", lambda: "draining" in of.said(0))
        of.start(takeover=False)
        with of.own.connect(shop) as link:
            link.execute("INSERT INTO people VALUES (2, 'new@example.com')")
            assert of.own.page("/readyz")[0] == 200
        busy.execute("INSERT INTO people VALUES (3, 'last@example.com')")
        busy.execute("COMMIT")
        assert of.gone(0) == 0
        busy.close()
        with of.own.connect(shop) as link:
            found = link.execute("SELECT email FROM people ORDER BY id").fetchall()
        assert [email for (email,) in found] == ["busy@example.com", "new@example.com", "last@example.com"]


@linux
@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second account")
def test_another_account_gets_nothing(pg18: Server, shop: str) -> None:
    with Successors(pg18, shop) as of:
        of.start()
        code = (
            "import socket; s = socket.socket(socket.AF_UNIX); "
            f"s.connect('\\0pgveil 127.0.0.1:{of.own.port}'); s.settimeout(10); print(s.recv(1000))"
        )
        nobody = process.unprivileged()
        assert nobody is not None
        python = shutil.which("python3", path="/usr/bin:/bin")
        if python is None:
            pytest.skip("no python3 that another account may run")
        assert process.run([python, "-c", code], nobody).strip() == "b''"
        assert "takeover-refused" in of.said()


def test_a_name_that_somebody_else_has_is_told(pg18: Server, shop: str) -> None:
    with Successors(pg18, shop) as of, socket.socket(socket.AF_UNIX) as other:
        other.bind(f"\0pgveil 127.0.0.1:{of.own.port}")
        of.start()
        assert "takeover-impossible" in of.said()
        of.own.connect(shop).close()
