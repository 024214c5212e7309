"""Rows from the client: cut, batched, given tokens; what is wrong with them is said with their number."""

import pytest

from proxy.errors import Refusal
from proxy.session import ledger
from proxy.session.copy_in import BATCH, FAILING_COPY, CopyIn, reading_of
from proxy.session.ledger import Owed
from proxy.session.outgoing import Tokens
from proxy.session.settings import Settings
from proxy.session.slots import Slot
from proxy.sql.plan import CopyPlan
from proxy.wire.copyrows import SIGNATURE
from tests.unit.session.driver import bound, plan, split

HEADER = SIGNATURE + bytes(8)


def settings(**reported: str) -> Settings:
    made = Settings()
    for name, value in ({"client_encoding": "UTF8"} | reported).items():
        made.report(name, value)
    return made


def copy_plan(text: str) -> CopyPlan:
    copy = plan(text)[1].statements[0].copy
    assert copy is not None
    return copy


def copying(text: str = "copy customers (id, email) from stdin", **reported: str) -> CopyIn:
    owed = Owed(ledger.QUERY)
    return CopyIn(bound(plan(text)[1]), copy_plan(text), owed, settings(**reported))


def values(copy: CopyIn, data: bytes) -> list[tuple[bytes, int]]:
    copy.feed(data)
    copy.finish()
    batch = copy.batch()
    return [] if batch is None else [(value, row) for _, value, row in batch.values]


def refusal_of(copy: CopyIn, data: bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        values(copy, data)
    return caught.value


def test_values_of_protected_columns_and_their_rows() -> None:
    assert values(copying(), b"1\ta@b.c\n2\t\\N\n3\td@e.f") == [(b"a@b.c", 1), (b"d@e.f", 3)]
    assert values(copying(), b"") == []


def test_a_batch_is_built_with_tokens_and_keeps_the_rest() -> None:
    copy = copying("copy customers (id, email) from stdin csv header")
    assert not copy.feed(b'id,email\r\n1,"a"\r\n2,')
    batch = copy.batch()
    assert batch is not None and batch.size == len(b'id,email\r\n1,"a"\r\n') and copy.pending == 2
    tokens: list[Tokens] = [(b"T1",)]
    assert split(batch.build(tokens)) == [b"d\0\0\0\x14id,email\r\n1,T1\r\n"]
    assert copy.batch() is None


def test_there_is_enough_for_a_batch() -> None:
    copy = copying()
    assert not copy.feed(b"1\ta\n")
    assert copy.feed(b"1\t" + b"x" * BATCH + b"\n")


def test_binary_tokens_of_a_uuid_column() -> None:
    text = "copy customers (ref, email) from stdin binary"
    copy = copying(text)
    row = b"\0\2" + b"\0\0\0\1x" + b"\0\0\0\1y"
    copy.feed(HEADER + row)
    batch = copy.batch()
    assert batch is not None
    token = b"0190a1b2-c3d4-8e5f-9a6b-7c8d9e0f1a2b"
    built = batch.build([(token,), (token,)])
    assert built.endswith(b"\0\2\0\0\0\x10" + bytes.fromhex(token.replace(b"-", b"").decode()) + b"\0\0\0\x24" + token)


def test_escapes_are_of_the_servers_encoding() -> None:
    """copyfromparse.c turns the line into it first."""
    assert values(copying(client_encoding="LATIN1"), b"1\t\xfc\\303\\274\\x41\n") == [("üüA".encode(), 1)]
    assert values(copying("copy customers (id, email) from stdin (encoding 'latin1')"), b"1\t\xfc\n2\t\\N\n") == [
        ("ü".encode(), 1)
    ]
    assert (
        refusal_of(copying(client_encoding="WIN1252"), b"1\ta\n2\t\x81\n").detail == "It is in row 2 of the COPY data."
    )


def test_binary_values_are_read_as_the_client_writes_whatever_encoding_says() -> None:
    text = "copy customers (id, email) from stdin (format binary, encoding 'latin1')"
    assert reading_of(copy_plan(text), settings()).client_encoding == ""
    assert reading_of(copy_plan(text), settings(client_encoding="LATIN2")).client_encoding == "iso8859-2"
    row = b"\0\2" + b"\0\0\0\1x" + b"\xff\xff\xff\xff" + b"\xff\xff"
    assert values(copying(text, client_encoding="LATIN1"), HEADER + row) == []


@pytest.mark.parametrize(
    ("options", "data", "message"),
    [
        ("", b"1\ta\n2\n", 'missing data for column "email"'),
        ("", b"1\ta\n2\tb\tc\n", "extra data after last expected column"),
        ("csv", b'1,a\n2,"b', "unterminated CSV quoted field"),
    ],
)
def test_what_is_wrong_with_a_row(options: str, data: bytes, message: str) -> None:
    refusal = refusal_of(copying(f"copy customers (id, email) from stdin {options}"), data)
    assert (refusal.code, refusal.message) == ("copy-format", message)
    assert refusal.detail == "It is in row 2 of the COPY data."


def test_what_is_wrong_with_the_stream() -> None:
    assert refusal_of(copying(), b"1\ta\n2\tb\r\n").code == "copy-format"


def test_a_batch_made_to_fail_ends_the_copy() -> None:
    copy = copying()
    copy.feed(b"1\ta\n")
    batch = copy.batch()
    assert batch is not None and batch.failing() == FAILING_COPY and copy.over
    batch.slot = Slot(b"", None, False, 1)
    batch.failing()
    assert batch.slot.owed is ledger.PLAIN_COPY_END
