"""Rows from the client: cut, batched, given tokens; what is wrong with them is said with their number."""

from collections.abc import Sequence

import pytest

from proxy.errors import Bug, Refusal
from proxy.policy.rules import ValueClass
from proxy.session import ledger
from proxy.session.copy_in import BATCH, FAILING_COPY, CopyBatch, CopyIn, reading_of, stored_as_they_are
from proxy.session.ledger import Owed
from proxy.session.settings import Settings
from proxy.session.slots import Slot
from proxy.session.world import World
from proxy.sql.plan import CopyPlan, Input
from proxy.wire import messages
from proxy.wire.copyrows import SIGNATURE
from proxy.wire.types import Reading, TypeSpec
from tests.unit.session.driver import POLICY, SHOP, bound, plan, split, world

HEADER = SIGNATURE + bytes(8)


def settings(**reported: str) -> Settings:
    made = Settings()
    for name, value in ({"client_encoding": "UTF8"} | reported).items():
        made.report(name, value)
    return made


RANDOM = world(policy=POLICY.replace("person: {kind: name}", "person: {kind: name, tokens: random}"))


def copy_plan(text: str, of: World = SHOP) -> CopyPlan:
    copy = plan(text, of)[1].statements[0].copy
    assert copy is not None
    return copy


def copying(text: str = "copy customers (id, email) from stdin", of: World = SHOP, **reported: str) -> CopyIn:
    owed = Owed(ledger.QUERY)
    return CopyIn(bound(plan(text, of)[1]), copy_plan(text, of), owed, settings(**reported))


def same(place: Input, values: Sequence[bytes]) -> Sequence[bytes]:
    """Stands for the vault."""
    return values


def made(copy: CopyIn) -> CopyBatch:
    found = copy.batch(same)
    assert found is not None
    return found[0]


def values(copy: CopyIn, data: bytes) -> list[Sequence[bytes]]:
    """What becomes tokens, column by column."""
    copy.feed(data)
    copy.finish()
    found = copy.batch(same)
    return [] if found is None else found[1]


def refusal_of(copy: CopyIn, data: bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        values(copy, data)
    return caught.value


def test_values_of_protected_columns() -> None:
    assert values(copying(), b"1\ta@b.c\n2\t\\N\n3\td@e.f\n4\ta@b.c") == [[b"a@b.c", b"d@e.f"]], "each once"
    assert values(copying(), b"") == []


def test_values_of_random_tokens_are_asked_for_one_by_one() -> None:
    copy = copying("copy customers (id, name) from stdin", RANDOM)
    assert not copy.feed(b"1\tA\n2\t\\N\n3\tA\n")
    found = copy.batch(same)
    assert found is not None and found[1] == [[b"A", b"A"]]
    assert split(found[0].build([(b"T1", b"T2")])) == [messages.build_copy_data(b"1\tT1\n2\t\\N\n3\tT2\n")]


def test_a_batch_is_built_with_tokens_and_keeps_the_rest() -> None:
    copy = copying("copy customers (id, email) from stdin csv header")
    assert not copy.feed(b'id,email\r\n1,"a"\r\n3,\r\n2,')
    batch = made(copy)
    assert batch.size == len(b'id,email\r\n1,"a"\r\n3,\r\n') and copy.pending == 2
    assert split(batch.build([(b"T1",)])) == [messages.build_copy_data(b"id,email\r\n1,T1\r\n3,\r\n")]
    assert copy.batch(same) is None


def test_there_is_enough_for_a_batch() -> None:
    copy = copying()
    assert not copy.feed(b"1\ta\n")
    assert copy.feed(b"1\t" + b"x" * BATCH + b"\n")


def test_binary_tokens_of_a_uuid_column() -> None:
    text = "copy customers (ref, email) from stdin binary"
    copy = copying(text)
    row = b"\0\2" + b"\0\0\0\1x" + b"\0\0\0\1y"
    copy.feed(HEADER + row)
    token = b"0190a1b2-c3d4-8e5f-9a6b-7c8d9e0f1a2b"
    built = made(copy).build([(token,), (token,)])
    assert built.endswith(b"\0\2\0\0\0\x10" + bytes.fromhex(token.replace(b"-", b"").decode()) + b"\0\0\0\x24" + token)


def test_escapes_are_of_the_servers_encoding() -> None:
    """copyfromparse.c turns the line into it first."""
    assert values(copying(client_encoding="LATIN1"), b"1\t\xfc\\303\\274\\x41\n") == [["üüA".encode()]]
    assert values(copying("copy customers (id, email) from stdin (encoding 'latin1')"), b"1\t\xfc\n2\t\\N\n") == [
        ["ü".encode()]
    ]
    assert (
        refusal_of(copying(client_encoding="WIN1252"), b"1\ta\n2\t\x81\n").detail == "It is in row 2 of the COPY data."
    )


def test_binary_values_are_read_as_the_client_writes_whatever_encoding_says() -> None:
    text = "copy customers (id, email) from stdin (format binary, encoding 'latin1')"
    assert reading_of(copy_plan(text), settings()).client_encoding == ""
    assert reading_of(copy_plan(text), settings(client_encoding="LATIN2")).client_encoding == "iso8859-2"
    row = b"\0\2" + b"\0\0\0\1x" + b"\xff\xff\xff\xff" + b"\xff\xff"
    assert values(copying(text, client_encoding="LATIN1"), HEADER + row) == [[]]


@pytest.mark.parametrize(
    ("options", "data", "message"),
    [
        ("", b"1\ta\n2\n", 'missing data for column "email"'),
        ("", b"1\ta\n2\tb\tc\n", "extra data after last expected column"),
        ("", b"0\tz\n1\n2\n", 'missing data for column "email"'),
        ("csv", b'1,a\n2,"b', "unterminated CSV quoted field"),
    ],
)
def test_what_is_wrong_with_a_row(options: str, data: bytes, message: str) -> None:
    refusal = refusal_of(copying(f"copy customers (id, email) from stdin {options}"), data)
    assert (refusal.code, refusal.message) == ("copy-format", message)
    assert refusal.detail == "It is in row 2 of the COPY data."


def test_what_is_wrong_with_the_stream() -> None:
    assert refusal_of(copying(), b"1\ta\n2\tb\r\n").code == "copy-format"


def test_which_row_holds_what_is_refused() -> None:
    def choosy(place: Input, values: Sequence[bytes]) -> None:
        if b"bad" in values:
            raise Refusal("value-rejected", "no")

    for options, data in (("", b"1\ta\n2\tb\n3\tbad\n4\tbad\n"), ("csv header", b"id,email\n1,a\n2,bad\n3,bad\n")):
        copy = copying(f"copy customers (id, email) from stdin {options}")
        copy.feed(data)
        with pytest.raises(Refusal) as caught:
            copy.batch(choosy)
        assert caught.value.detail == "It is in row 3 of the COPY data."


def test_rows_are_counted_over_batches_and_the_header_of_binary_is_none() -> None:
    copy = copying("copy customers (id, email) from stdin binary")
    row = b"\0\2" + b"\0\0\0\1x" + b"\0\0\0\1y"
    copy.feed(HEADER + row)
    made(copy)
    copy.feed(row + row + b"\0\1" + b"\0\0\0\1x")
    with pytest.raises(Refusal) as caught:
        copy.batch(same)
    assert caught.value.detail == "It is in row 4 of the COPY data."


def test_rows_that_are_bad_only_together_are_a_bug() -> None:
    copy = copying()
    copy.feed(b"1\ta\n2\tb\n")

    def together(place: Input, values: Sequence[bytes]) -> None:
        if len(values) > 1:
            raise Refusal("value-rejected", "no")

    with pytest.raises(Bug):
        copy.batch(together)


VARCHAR = TypeSpec("varchar", 1043, -1, 4 + 3)


@pytest.mark.parametrize(
    ("fields", "facade", "kind", "encoding", "expected"),
    [
        ([b"a", "ü".encode()], TypeSpec("text", 25, -1), ValueClass("c", "email"), "", True),
        ([], VARCHAR, ValueClass("c", "email"), "", True),
        ([b"abc"], VARCHAR, ValueClass("c", "email"), "", True),
        ([b"abcd"], VARCHAR, ValueClass("c", "email"), "", False),
        ([b"abcd"], TypeSpec("varchar", 1043, -1), ValueClass("c", "email"), "", True),
        ([b"a\0"], TypeSpec("text", 25, -1), ValueClass("c", "email"), "", False),
        ([b"\xc3", b"\xbc"], TypeSpec("text", 25, -1), ValueClass("c", "email"), "", False),
        ([b"a"], TypeSpec("text", 25, -1), ValueClass("c", "email"), "iso8859-1", False),
        ([b"a"], TypeSpec("text", 25, -1), ValueClass("c", "email", canonicalize=True), "", False),
        ([b"a"], TypeSpec("text", 25, -1), ValueClass("c", "email", invalid="reject"), "", False),
        ([b"a"], TypeSpec("bpchar", 1042, -1), ValueClass("c", "email"), "", False),
    ],
)
def test_which_fields_are_stored_as_they_are(
    fields: list[bytes], facade: TypeSpec, kind: ValueClass, encoding: str, expected: bool
) -> None:
    """Of all others each value is read by itself."""
    assert stored_as_they_are(fields, facade, kind, Reading(encoding)) is expected


def test_a_batch_made_to_fail_ends_the_copy() -> None:
    copy = copying()
    copy.feed(b"1\ta\n")
    batch = made(copy)
    assert batch.failing() == FAILING_COPY and copy.over
    batch.slot = Slot(b"", None, False, 1)
    batch.failing()
    assert batch.slot.owed is ledger.PLAIN_COPY_END
