"""Starting, ending and sharing addresses, with real processes."""

import os
import signal
from collections.abc import Iterator

import psycopg
import pytest

from tests.kit.pgveil import Pgveil
from tests.kit.process import wait_for
from tests.kit.servers import Server, fresh_database

POLICY = """\
version: 1
classes: {email: {kind: email}}
protect: {public.people: {email: email}}
roles: [{name: all, match: {user: "*"}, access: {default: reveal}}]
"""


@pytest.fixture(scope="module")
def shop(pg18: Server) -> Iterator[str]:
    with fresh_database(pg18) as name:
        pg18.psql("CREATE TABLE people(id int PRIMARY KEY, email text); GRANT ALL ON people TO PUBLIC", name)
        yield name


def on_unix(server: Server, shop: str, first: Pgveil | None = None) -> Pgveil:
    """Not started; on a Unix socket, that of `first` if there is one."""
    made = Pgveil.before(server, shop, {"people": POLICY})
    of = first or made
    made.write_config(listen=f"unix:{of.base}:{of.port}")
    return made


def test_a_unix_socket_in_use_is_not_taken_away(pg18: Server, shop: str) -> None:
    with on_unix(pg18, shop) as first:
        dsn = f"host={first.base} port={first.port} dbname={shop} user=postgres"
        second = on_unix(pg18, shop, first)
        with pytest.raises(
            RuntimeError, match=r"exit 3:\npgveil: the address unix:.* is not reachable: Address already"
        ):
            second.start()
        psycopg.connect(dsn).close()
        first.kill9()
        assert (first.base / f".s.PGSQL.{first.port}").is_socket()
        second.start()  # the socket of a killed process is nobody's
        psycopg.connect(dsn).close()
        second.stop()
        second.close()


def test_the_end_of_a_drain_is_told(pg18: Server, shop: str) -> None:
    with Pgveil.before(pg18, shop, {"people": POLICY}, timeouts={"drain": "0.2s"}) as own:
        busy = own.connect(shop)
        busy.execute("BEGIN")
        own.stop()
        with pytest.raises(psycopg.errors.AdminShutdown):
            busy.execute("SELECT 1")
        busy.close()


def test_a_vault_that_another_process_writes(pg18: Server, shop: str) -> None:
    with Pgveil.before(pg18, shop, {"people": POLICY}) as first:
        second = Pgveil.before(pg18, shop, {"people": POLICY}, vault=f"sqlite:///{first.base}/vault.db")
        second.write_config(keys=f"file:{first.base}/keys.json")
        (second.base / "keys.json").write_text("")
        with pytest.raises(RuntimeError, match="exit 2:\npgveil: vault: "):
            second.start()
        second.close()


def test_several_addresses(pg18: Server, shop: str) -> None:
    own = Pgveil.before(pg18, shop, {"people": POLICY})
    own.write_config(listen=[f"127.0.0.1:{own.port}", f"[::1]:{own.port}", f"unix:{own.base}"])
    with own:
        for host in ("127.0.0.1", "::1", str(own.base)):
            psycopg.connect(f"host={host} port={own.port} dbname={shop} user=postgres").close()
        wait_for("no link", lambda: own.metric("pgveil_open_links") == 0)


def test_hanging_up_again_and_again_during_the_start(pg18: Server, shop: str) -> None:
    own = Pgveil.before(pg18, shop, {"people": POLICY})
    with own:
        for _ in range(20):
            os.kill(own.pid, signal.SIGHUP)
        own.connect(shop).close()


def test_a_statement_is_explained_against_the_live_catalog(pg18: Server, shop: str) -> None:
    own = Pgveil.before(pg18, shop, {"people": POLICY})
    told = own.command("policy", "explain", stdin="SELECT id, email FROM people WHERE email = 'ada@example.org'")
    assert "reveal public.people.email (class email): result column 2" in told and "ada" not in told
    own.close()
