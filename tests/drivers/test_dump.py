"""pg_dump and pg_restore, unmodified: a tokenised database through pgveil and back into another, and past pgveil."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers.conftest import Twins
from tests.kit.servers import fresh_database

pytestmark = pytest.mark.server

PEOPLE = r"""
INSERT INTO customers (id, email, full_name, phone, street, born, note) VALUES
    (1, 'ada@example.com', 'Ada Quill', '+1 212 555 0101', E'1 Inkwell\tLane\\N', '1987-04-12', 'note'),
    (2, 'bob@example.org', E'Bob O''Tock\nJr.', NULL, NULL, NULL, NULL),
    (3, 'zoe@example.com', 'Zoë Ångström', '', '', '1968-02-29', '\.');
INSERT INTO newsletter VALUES ('ada@example.com');
INSERT INTO orders (customer_id, total) VALUES (1, 7), (3, 8.5);
"""
ROWS = b"SELECT c.*, n.email IS NOT NULL FROM customers c LEFT JOIN newsletter n USING (email) ORDER BY id"
KINDS = {
    "plain": [],
    "inserts": ["--inserts"],
    "column-inserts": ["--column-inserts", "--rows-per-insert=2"],
    "custom": ["-Fc"],
    "directory": ["-Fd", "-j2"],
    "data-only": ["--data-only"],
}


def run(twins: Twins, tool: str, *args: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run([twins.server.install.tool(tool), *args], input=stdin, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def filled(twins: Twins) -> Twins:
    twins.server.psql("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO shop_app", twins.hidden)  # to be dumped
    with twins.pgveil.connect(twins.hidden, "shop_app") as link:
        link.execute(PEOPLE.encode())
    return twins


@pytest.fixture
def other(filled: Twins) -> Iterator[str]:
    """An empty database, under the same policy."""
    with fresh_database(filled.server) as name:
        filled.server.psql("GRANT ALL ON SCHEMA public TO PUBLIC", name)
        yield name


def dump(twins: Twins, url: str, place: Path, kind: str) -> Path:
    made = place / "dump"
    run(twins, "pg_dump", "-d", url, "--no-owner", "--no-privileges", "-f", str(made), *KINDS[kind])
    return made


def restore(twins: Twins, url: str, made: Path, kind: str) -> None:
    if kind in ("custom", "directory"):
        run(twins, "pg_restore", "-d", url, "--no-owner", "--exit-on-error", str(made))
    else:
        run(twins, "psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", str(made))


def contents(made: Path) -> bytes:
    files = [made] if made.is_file() else sorted(made.iterdir())
    return b"".join([file.read_bytes() for file in files])


@pytest.mark.parametrize("kind", KINDS)
def test_through_pgveil_and_back(filled: Twins, other: str, tmp_path: Path, kind: str) -> None:
    through = filled.pgveil
    made = dump(filled, through.dsn(filled.hidden, "shop_app"), tmp_path, kind)
    assert kind in ("custom", "directory") or b"ada@example.com" in contents(made), "values, for who may see them"
    if kind == "data-only":
        schema = run(filled, "pg_dump", "-d", filled.server.dsn(filled.hidden), "--schema-only", "--no-owner", "-x")
        filled.server.psql(schema.decode(), other, "shop_app")
    restore(filled, through.dsn(other, "shop_app"), made, kind)
    with through.connect(other, "shop_app") as link, through.connect(filled.hidden, "shop_app") as old:
        assert link.execute(ROWS).fetchall() == old.execute(ROWS).fetchall() != []
    with filled.server.connect(other) as direct, filled.server.connect(filled.hidden) as old:
        assert (
            direct.execute(b"SELECT email, phone FROM customers ORDER BY id").fetchall()
            == old.execute(b"SELECT email, phone FROM customers ORDER BY id").fetchall()
        ), "the same tokens"


@pytest.mark.parametrize("kind", ["plain", "inserts", "custom"])
def test_past_pgveil(filled: Twins, other: str, tmp_path: Path, kind: str) -> None:
    """A dump of the database itself holds tokens; put back past pgveil, the values are there again through it."""
    made = dump(filled, filled.server.dsn(filled.hidden), tmp_path, kind)
    if kind != "custom":
        assert not any(word.encode() in contents(made) for word in ("ada@", "Quill", "Zoë", "Inkwell", "1987"))
    restore(filled, filled.server.dsn(other, "shop_app"), made, kind)
    with filled.pgveil.connect(other, "shop_app") as link, filled.pgveil.connect(filled.hidden, "shop_app") as old:
        assert link.execute(ROWS).fetchall() == old.execute(ROWS).fetchall() != []


@pytest.mark.parametrize("kind", ["plain", "column-inserts", "custom", "directory"])
def test_by_one_who_sees_tokens(filled: Twins, other: str, tmp_path: Path, kind: str) -> None:
    """A dump holds tokens, and no value; put back by one who writes tokens, the values are there again for who may see
    them."""
    through = filled.pgveil
    filled.server.psql("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO analyst", filled.hidden)
    made = dump(filled, through.dsn(filled.hidden, "analyst"), tmp_path, kind)
    if kind in ("plain", "column-inserts"):
        held = contents(made)
        assert b"CREATE TABLE" in held
        assert not any(word.encode() in held for word in ("ada@", "Quill", "Zoë", "Inkwell", "1987"))
    filled.server.psql("GRANT ALL ON SCHEMA public TO analyst", other)
    restore(filled, through.dsn(other, "analyst"), made, kind)
    filled.server.psql("GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC", other)
    with through.connect(other, "shop_app") as link, through.connect(filled.hidden, "shop_app") as old:
        assert link.execute(ROWS).fetchall() == old.execute(ROWS).fetchall() != []


def test_four_at_once(filled: Twins, other: str, tmp_path: Path) -> None:
    """pg_dump -j and pg_restore -j: several links, which share a snapshot."""
    through, made = filled.pgveil, tmp_path / "dump"
    with through.connect(filled.hidden, "shop_app") as link:
        for number in range(10, 400):
            link.execute("INSERT INTO newsletter VALUES (%s)", (f"n{number}@example.com",))
    run(
        filled,
        "pg_dump",
        "-d",
        through.dsn(filled.hidden, "shop_app"),
        "-Fd",
        "-j4",
        "--no-owner",
        "-x",
        "-f",
        str(made),
    )
    run(filled, "pg_restore", "-d", through.dsn(other, "shop_app"), "-j4", "--no-owner", "--exit-on-error", str(made))
    with through.connect(other, "shop_app") as link, through.connect(filled.hidden, "shop_app") as old:
        for sql in (ROWS, b"SELECT email FROM newsletter ORDER BY email IS NULL, 1 = 2"):
            assert sorted(map(str, link.execute(sql).fetchall())) == sorted(map(str, old.execute(sql).fetchall())) != []
