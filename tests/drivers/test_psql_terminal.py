r"""psql as somebody at a terminal uses it: \copy in all directions, \crosstabview, \gexec, cursors, pipelines, Tab."""

import os
import pty
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers.conftest import Twins
from tests.drivers.test_psql import psql
from tests.kit.process import wait_for

pytestmark = pytest.mark.server

SCRIPTS = {
    "crosstabview": r"SELECT id, full_name, email FROM customers \crosstabview",
    "copy out": r"\copy (SELECT id, email, born FROM customers ORDER BY id) TO STDOUT CSV HEADER",
    "copy to a program": r"\copy customers (id, email) TO PROGRAM 'cat' WITH (FORMAT csv, FORCE_QUOTE *)",
    "gexec": r"SELECT 'SELECT email FROM customers WHERE id = ' || id FROM customers ORDER BY id \gexec",
    "gset": "SELECT email AS mail, born FROM customers WHERE id = 1 \\gset a_\n\\echo :a_mail :a_born",
    "gx": r"SELECT * FROM customers WHERE email = 'ada@example.com' \gx",
    "gdesc": r"SELECT email, born, id, count(*) OVER () FROM customers \gdesc",
    "fetch count": "\\set FETCH_COUNT 1\nSELECT email, full_name FROM customers;",
    "no autocommit": "\\set AUTOCOMMIT off\nUPDATE customers SET email = 'x@example.com' WHERE id = 1;\nROLLBACK;\n"
    "SELECT email FROM customers WHERE id = 1;",
    "rollback of a statement": "\\set ON_ERROR_ROLLBACK on\nBEGIN;\nSELECT 1/0;\nSELECT email FROM customers;\nCOMMIT;",
    "encoding": "\\encoding latin1\nSELECT email, 'ü' FROM customers WHERE id = 1;",
    "large object": r"\lo_unlink 1",
    "errverbose": "SELECT 1/0 FROM customers;\n\\errverbose",
}
NEW = {
    "bind": r"SELECT id FROM customers WHERE email = $1 \bind 'ada@example.com' \g",
    "named": "SELECT id FROM customers WHERE email = $1 \\parse s\n\\bind_named s 'ada@example.com' \\g\n\\close s",
    "pipeline": "\\startpipeline\nSELECT email FROM customers WHERE id = $1 \\bind 1 \\sendpipeline\n"
    "INSERT INTO newsletter VALUES ($1) \\bind 'pipe@example.com' \\sendpipeline\n"
    "SELECT email FROM newsletter WHERE email = $1 \\bind 'pipe@example.com' \\sendpipeline\n\\endpipeline",
}
MAKE = """INSERT INTO customers (id, email, full_name, born) VALUES (1, 'ada@example.com', 'Ada Quill', '1987-04-12'),
    (2, 'bob@example.org', 'Bob Tock', NULL)"""


@pytest.fixture
def filled(twins: Twins) -> Twins:
    for url in twins.urls():
        assert psql(twins, url, "-c", MAKE)[0] == 0
    return twins


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_scripts(filled: Twins, script: str) -> None:
    direct, through = (psql(filled, url, "-f", "-", stdin=script + "\n") for url in filled.urls())
    assert through == direct
    assert through[1] or through[2]


@pytest.mark.parametrize("script", NEW.values(), ids=NEW)
def test_scripts_of_18(filled: Twins, script: str) -> None:
    if filled.server.version == "15":
        pytest.skip("psql 18")
    direct, through = (psql(filled, url, "-f", "-", stdin=script + "\n") for url in filled.urls())
    assert through == direct
    assert "ERROR" not in through[2]


def test_copy_from_a_file_and_a_program(filled: Twins, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text('5,"c@example.com","Cy\nMulti"\n')
    script = (
        f"\\copy customers (id, email, full_name) FROM '{rows}' CSV\n"
        f"\\copy customers (id, email, full_name) FROM PROGRAM 'sed s/^5/6/ {rows} | sed s/c@/d@/' CSV\n"
        "SELECT id, email, full_name FROM customers WHERE email IN ('c@example.com', 'd@example.com') ORDER BY id;\n"
    )
    direct, through = (psql(filled, url, "-f", "-", stdin=script) for url in filled.urls())
    assert through == direct and "d@example.com" in through[1] and not through[2]
    filled.assert_hidden()


class Terminal:
    """psql at a terminal of its own."""

    def __init__(self, twins: Twins, url: str) -> None:
        self.master, slave = pty.openpty()
        env = os.environ | {"TERM": "xterm", "PAGER": "cat"}
        argv = [twins.server.install.tool("psql"), "-X", "-d", url]
        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, env=env, cwd="/", start_new_session=True
        )
        os.close(slave)
        self.seen = ""

    def types(self, keys: str, until: str) -> str:
        """What came since, when `until` was among it."""
        self.seen = ""
        os.write(self.master, keys.encode())
        wait_for(f"{until!r} at the terminal", lambda: until in self._read(), 20)
        return self.seen

    def _read(self) -> str:
        while select.select([self.master], [], [], 0)[0]:
            self.seen += os.read(self.master, 65536).decode(errors="replace")
        return self.seen

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal(filled: Twins) -> Iterator[Terminal]:
    if filled.server.version != "15":
        pytest.skip("the wheel's psql is built without line editing")
    made = Terminal(filled, filled.urls()[1])
    try:
        yield made
    finally:
        made.close()


def test_tab_completes_names_of_tables_and_columns(terminal: Terminal) -> None:
    r"""psql asks the catalog with the beginning of a name; then the statement runs."""
    terminal.types("SELECT 1 AS ready;\n", "(1 row)")
    terminal.types("SELECT count(*) FROM newsl\t", "newsletter")
    assert " 0\r\n" in terminal.types(";\n", "(1 row)")
    terminal.types("SELECT email FROM customers WHERE full_\t", "full_name")
    assert "ada@example.com" in terminal.types("= 'Ada Quill';\n", "(1 row)")
