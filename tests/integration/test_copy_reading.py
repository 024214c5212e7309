"""Odd COPY data is read as the server reads it.

With a mark put behind each value, the server stores each value with the mark; what the server refuses is refused here,
or by the server all the same.
"""

from collections.abc import Iterator
from random import Random
from typing import Any, cast

import psycopg
import pytest

from proxy.wire.copyfields import CopyFields
from proxy.wire.copyrows import BadCopy
from tests.kit import copydata
from tests.kit.servers import Server

pytestmark = pytest.mark.server

CASES = 400  # of each seed
MARK = "~"
# Before 18 the server takes what stands before an end marker for a row (copyfromparse.c); here it is an error as in 18.
STRICTER = "end-of-copy marker is not alone on its line"


@pytest.fixture(scope="module", params=["15", "18"])
def table(request: pytest.FixtureRequest) -> "Iterator[tuple[psycopg.Connection[Any], int]]":
    server: Server = request.getfixturevalue(f"pg{request.param}")
    with server.connect() as connection:
        connection.execute("CREATE TEMP TABLE odd (n serial, a text DEFAULT 'da', b text DEFAULT 'db')")
        yield connection, int(request.param)


Rows = list[tuple[str | None, ...]]


def stored(connection: "psycopg.Connection[Any]", options: str, data: bytes) -> Rows | None:
    """What is in the table then; None: it was refused."""
    connection.execute("TRUNCATE odd")
    try:
        with connection.cursor().copy(cast("Any", f"COPY odd (a, b) FROM STDIN {options}")) as copy:
            copy.write(data)
    except psycopg.Error:
        return None
    return connection.execute("SELECT a, b FROM odd ORDER BY n").fetchall()


def marked(rows: Rows | None) -> Rows | None:
    def one(value: str | None) -> str | None:
        return value if value is None or value in ("da", "db") else value + MARK

    return None if rows is None else [tuple([one(value) for value in row]) for row in rows]


@pytest.mark.parametrize("seed", range(2))
def test_values_are_those_that_the_server_reads(table: "tuple[psycopg.Connection[Any], int]", seed: int) -> None:
    connection, version = table
    random = Random(seed)
    agreed = 0
    for _ in range(CASES):
        form, options = copydata.form(random, version)
        data = copydata.stream(random, form)
        want = marked(stored(connection, options, data))
        try:
            sent = copydata.changed(form, data, random.choice((1, 2, 3, 1000)), MARK.encode())
        except BadCopy as bad:
            assert want is None or (version < 18 and str(bad) == STRICTER), (options, data, str(bad))
            continue
        assert stored(connection, options, sent) == want, (options, data, sent)
        agreed += want is not None
    assert agreed > CASES // 5


@pytest.mark.parametrize("seed", range(2))
def test_values_are_written_as_the_server_writes_them(table: "tuple[psycopg.Connection[Any], int]", seed: int) -> None:
    connection, _ = table
    random = Random(seed)
    for _ in range(CASES // 2):
        form, words = copydata.base(random)
        marks = (*copydata.ODD, form.delimiter, form.quote, form.escape, b"\b\f\v")
        width = random.choice((1, 2))
        row = [b"".join([random.choice(marks) for _ in range(random.randrange(4))]) for _ in range(width)]
        query = "SELECT " + ", ".join([f"convert_from('\\x{value.hex()}', 'UTF8')" for value in row])
        with connection.cursor().copy(cast("Any", f"COPY ({query}) TO STDOUT ({', '.join(words)})")) as copy:
            wrote = b"".join([bytes(piece) for piece in copy])
        fields = CopyFields(form, width)
        assert form.delimiter.join([fields.encode(value, i) or b"" for i, value in enumerate(row)]) + b"\n" == wrote
