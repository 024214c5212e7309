"""psql, unmodified: scripts, variables, \\d, -c, \\gdesc, what of \\copy is refused."""

import subprocess

import pytest

from tests.drivers.conftest import Twins

pytestmark = pytest.mark.server

SCRIPT = r"""
\set mail 'ada@example.com'
INSERT INTO customers (email, full_name, phone, born, note)
    VALUES (:'mail', 'Ada Quill', '+1 212 555 0101', '1987-04-12', 'note') RETURNING id, email, born;
INSERT INTO customers (email, full_name) VALUES
    ('bob@example.org', $$Bob O'Tock$$), (E'zoe\x40example.com', U&'Zo\00EB');
INSERT INTO newsletter VALUES (:'mail'), ('nobody@example.com');
SELECT id, email, full_name, born FROM customers WHERE email = :'mail';
SELECT email, full_name FROM customers WHERE id = 2 \gset
\echo :email :full_name
SELECT c.full_name FROM customers c JOIN newsletter USING (email) WHERE c.email IN (:'mail', 'x');
SELECT id, email, born FROM customers \gdesc
BEGIN;
UPDATE customers SET full_name = 'Ada Inkwell' WHERE email = :'mail' RETURNING full_name;
ROLLBACK;
SELECT full_name FROM customers WHERE id = 1;
SELECT id FROM customers WHERE email = $1 \bind 'bob@example.org' \g
\x on
SELECT * FROM customers WHERE id = 1;
\x off
SELECT 1 AS one \; SELECT email FROM customers WHERE id = 1;
DELETE FROM newsletter WHERE email = 'nobody@example.com' RETURNING email;
SELECT nosuch FROM orders;
SELECT 1/0 FROM customers;
INSERT INTO customers (email, full_name) VALUES (:'mail', 'Again');
\echo :SQLSTATE :ROW_COUNT
\d newsletter
\dt
"""


def psql(twins: Twins, url: str, *args: str, stdin: str = "") -> tuple[int, str, str]:
    argv = [twins.server.install.tool("psql"), "-X", "-d", url, *args]
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_a_script(twins: Twins) -> None:
    script = SCRIPT
    if twins.server.version == "15":
        script = script.replace(r"SELECT id FROM customers WHERE email = $1 \bind 'bob@example.org' \g", "")
    direct, through = (psql(twins, url, "-f", "-", stdin=script) for url in twins.urls())
    assert through == direct
    assert "Ada Quill" in direct[1] and "bob@example.org Bob O'Tock" in direct[1]
    twins.assert_hidden()


@pytest.mark.parametrize("args", [("-Atc",), ("-Ac",), ("--csv", "-c"), ("-H", "-c"), ("-1", "-c")])
def test_one_command(twins: Twins, args: tuple[str, ...]) -> None:
    make = "INSERT INTO customers (email, full_name, born) VALUES ('ada@example.com', 'Ada', '1987-04-12')"
    for sql in (make, "SELECT email, born FROM customers; SELECT count(*) FROM customers", "SELECT 1/0"):
        direct, through = (psql(twins, url, *args, sql) for url in twins.urls())
        assert through == direct


@pytest.mark.parametrize(
    "meta", [r"\d customers", r"\d+ orders", r"\dn", r"\df", r"\l", r"\du", r"\dv", r"\dp", r"\di"]
)
def test_meta_commands_pass(twins: Twins, meta: str) -> None:
    """Their own statements are those of the catalog; they touch no protected column."""
    hidden = twins.server.dsn(twins.hidden, "shop_app")
    direct, through = (psql(twins, url, "-c", meta) for url in (hidden, twins.urls()[1]))
    assert direct[0] == 0 and through == direct


def test_refusals_read_like_errors(twins: Twins) -> None:
    url = twins.urls()[1]
    for sql in (
        "SELECT id FROM customers ORDER BY email",
        "COPY customers TO '/dev/null'",
    ):
        code, out, err = psql(twins, url, "-v", "VERBOSITY=verbose", "-c", sql)
        assert code == 1 and not out and "ERROR:  0A000" in err and "HINT" in err


def test_other_accounts_see_less(twins: Twins) -> None:
    make = "INSERT INTO customers (email, full_name, born) VALUES ('ada@example.com', 'Ada Quill', '1987-04-12')"
    psql(twins, twins.urls()[1], "-c", make)
    for account in ("support", "analyst"):
        code, out, err = psql(twins, twins.urls(account)[1], "-Atc", "SELECT email, full_name, born FROM customers")
        assert code == 0 and out and not err
        assert not [value for value in ("ada@example.com", "Ada Quill", "1987-04-12") if value in out]
