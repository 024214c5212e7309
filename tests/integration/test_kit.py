"""The kit's own promises, on real servers."""

import psycopg
import pytest

from tests.kit.servers import Server

pytestmark = pytest.mark.server


def test_the_server_is_the_version_it_says(pg: Server) -> None:
    assert pg.psql("SHOW server_version").startswith(pg.version)


def test_databases_are_fresh(pg: Server, database: str) -> None:
    assert pg.psql("CREATE TABLE t(a int); INSERT INTO t VALUES (1); SELECT count(*) FROM t", database) == "1\n"


@pytest.mark.parametrize("user", ["scram_user", "md5_user", "password_user"])
def test_accounts_ask_for_their_password(pg: Server, user: str) -> None:
    with pg.connect(user=user) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (user,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://{user}:wrong@127.0.0.1:{pg.port}/postgres")


def test_a_killed_server_comes_back_on_its_port(pg: Server, database: str) -> None:
    port = pg.port
    pg.kill9()
    with pytest.raises(psycopg.OperationalError):
        pg.connect(database)
    with pg.log_contains("database system is ready to accept connections"):
        pg.start()
    assert pg.port == port
    assert pg.psql("SELECT 1", database) == "1\n"
