"""Known answers: if one of these changes, trails that exist don't verify any more."""

import dataclasses

import pytest

from proxy import tokens
from proxy.vault import chain
from proxy.vault.chain import AuditEvent
from proxy.vault.store import AuditHead, AuditRow

KEY = bytes(range(32))
TOKENS = tuple(tokens.random(KEY, bytes((number,)) * 12) for number in range(3))
EVENT = AuditEvent("reveal", "ok", user="shop_app", class_name="email", count=3, tokens=TOKENS)


def _row(**changes: object) -> AuditRow:
    row = chain.link(None, "main", 1_700_000_000_000_000, 5, chain.body(EVENT), chain.pack_tokens(EVENT.tokens))
    return dataclasses.replace(row, **changes)  # type: ignore[arg-type]


def test_known_row() -> None:
    row = _row()
    assert row.body == b'{"action":"reveal","class_name":"email","count":3,"outcome":"ok","user":"shop_app"}'
    assert row.sequence == 1
    assert row.hash.hex() == "a3be64303707cd0912953a97ec7bef833a5a40cd13a2824505b64dcbf878ed42"


def test_known_signature() -> None:
    head = chain.sign(KEY, "a1", _row())
    assert head.signature.hex() == "7bb25a19db2d7076f9db2d58bb8614eb85ae921e6c827ec5df64cd1e68fd8553"
    assert chain.is_signed(KEY, head)
    assert not chain.is_signed(bytes(32), head)
    assert not chain.is_signed(KEY, dataclasses.replace(head, sequence=2))


@pytest.mark.parametrize(
    "changes",
    [{"writer": "x"}, {"sequence": 2}, {"wall": 1}, {"mono": 1}, {"body": b"{}"}, {"tokens": b""}, {"mono": -1}],
    ids=str,
)
def test_a_hash_covers_all_that_a_row_says(changes: dict[str, object]) -> None:
    row = _row()
    assert chain.row_hash(chain.FIRST_HASH, row) == row.hash
    assert chain.row_hash(chain.FIRST_HASH, _row(**changes)) != row.hash
    assert chain.row_hash(bytes(31) + b"\1", row) != row.hash


def test_tokens_are_packed_sorted_and_distinct() -> None:
    packed = chain.pack_tokens([*reversed(TOKENS), TOKENS[0]])
    assert packed == b"".join(sorted(tokens.to_binary(token) for token in TOKENS))


def test_a_row_reads_as_the_event_it_was() -> None:
    record = chain.read(_row())
    assert dataclasses.replace(record.event, tokens=()) == dataclasses.replace(EVENT, tokens=())
    assert sorted(record.event.tokens) == sorted(TOKENS)
    assert (record.writer, record.sequence, record.wall) == ("main", 1, 1_700_000_000_000_000)


def test_an_event_of_several_classes() -> None:
    event = dataclasses.replace(EVENT, class_name="", classes=(("phone", 1), ("email", 2)), tokens=())
    row = chain.link(None, "main", 1, 2, chain.body(event), b"")
    assert row.body == b'{"action":"reveal","classes":{"email":2,"phone":1},"count":3,"outcome":"ok","user":"shop_app"}'
    read = chain.read(row).event
    assert dict(read.classes) == dict(event.classes) and read.named == "email, phone"
    assert chain.read(_row()).event.named == "email"


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b'{"action":"reveal"}', b"\xff", b'{"action":"x","count":1,"classes":3}']
)
def test_a_body_that_is_none_of_ours(text: bytes) -> None:
    with pytest.raises(ValueError):
        chain.read(_row(body=text))


def test_rows_follow_each_other_and_the_last_is_signed() -> None:
    parts = [(chain.body(EVENT), b""), (chain.body(EVENT), b"")]
    rows, head = chain.extend(None, "main", (1, 2), parts, KEY, "a1")
    more, last = chain.extend(head, "main", (3, 4), parts[:1], KEY, "a1")
    assert [row.sequence for row in rows + more] == [1, 2, 3]
    for before, row in zip(rows, (rows + more)[1:], strict=True):
        assert chain.row_hash(before.hash, row) == row.hash
    assert last is not None
    assert (last.sequence, last.hash) == (3, more[0].hash)
    assert chain.is_signed(KEY, last)
    assert chain.extend(last, "main", (5, 6), [], KEY, "a1") == ([], last)


def test_a_start_row_names_the_newest_heads_of_others() -> None:
    heads = [AuditHead(f"w{number}", number, bytes((number,)) * 32, "a1", b"") for number in range(20)]
    row = chain.link(None, "main", 1, 1, chain.start_body(heads), b"")
    assert chain.linked_heads(row) == [(head.writer, head.sequence, head.hash) for head in heads[4:]]
    assert chain.read(row).event.action == "start"
    assert chain.linked_heads(_row()) == []


@pytest.mark.parametrize("heads", [b"3", b"[3]", b'[["w",1]]', b'[["w","x","00"]]', b'[["w",1,"zz"]]'])
def test_damaged_links_do_not_read(heads: bytes) -> None:
    with pytest.raises((ValueError, TypeError)):
        chain.linked_heads(_row(body=b'{"action":"start","count":0,"heads":%b}' % heads))


def test_an_event_hides_its_tokens_from_logs() -> None:
    assert TOKENS[0].decode() not in repr(EVENT)
