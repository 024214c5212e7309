import tracemalloc

from proxy import tokens
from proxy.vault.cache import EntryCache, KnownTokens
from proxy.vault.store import StoredEntry

SIZE = 580  # of an entry with an envelope of 100 bytes


def _text(number: int) -> bytes:
    return tokens.from_binary(number.to_bytes(16, "big"))


def _entry(number: int, size: int = 100) -> tuple[bytes, StoredEntry]:
    return _text(number), StoredEntry(number.to_bytes(16, "big"), "email", "v1", 1, 0, bytes(32), bytes(size))


def test_known_tokens_forget_what_was_used_least_recently() -> None:
    known = KnownTokens(4)
    for name in (b"a", b"b", b"c"):
        known.add(name, name.upper())
    assert known.get(b"a") == b"A"  # used, so it is young again
    known.add(b"d", b"D")
    assert known.get(b"a") == b"A"
    known.add(b"e", b"E")
    assert [known.get(name) for name in (b"a", b"b", b"d", b"e")] == [b"A", None, b"D", b"E"]
    known.forget([b"A", b"D", b"never there"])
    assert [known.get(name) for name in (b"a", b"d", b"e")] == [None, None, b"E"]


def test_known_tokens_are_bounded() -> None:
    known = KnownTokens(100)
    for number in range(1000):
        known.add(number.to_bytes(12, "big"), _text(number))
        known.get((number // 2).to_bytes(12, "big"))
        assert len(known) <= 100
    last = [known.get(number.to_bytes(12, "big")) for number in range(990, 1000)]
    assert last == [_text(number) for number in range(990, 1000)]


def test_entries_are_bounded_by_bytes() -> None:
    cache = EntryCache(64 * SIZE)
    cache.add(_entry(number) for number in range(100))
    assert cache.size == 64 * SIZE
    assert cache.get(_text(35)) is None
    assert cache.get(_text(36)) == _entry(36)[1]
    cache.add([_entry(200)])
    assert cache.get(_text(36)) is not None
    assert cache.get(_text(37)) is None


def test_a_large_entry_does_not_push_out_the_others() -> None:
    cache = EntryCache(64 * SIZE)
    cache.add([_entry(1), _entry(2, 101)])
    assert cache.get(_text(1)) is not None
    assert cache.get(_text(2)) is None


def test_an_entry_counts_once_and_a_tombstone_is_small() -> None:
    cache = EntryCache(64 * SIZE)
    cache.add([_entry(1), _entry(1)])
    assert cache.size == SIZE
    cache.add([(_text(0), StoredEntry(bytes(16), "email", "v1", 1, 0, b"", None))])
    assert cache.size == 2 * SIZE - 100
    cache.forget([_text(1), _text(9)])
    assert cache.size == SIZE - 100


def test_the_bytes_counted_are_those_taken() -> None:
    """As they come from a store: each entry with strings of its own."""
    cache = EntryCache(64 << 20)
    tracemalloc.start()
    try:
        for n in range(20_000):
            binary = n.to_bytes(16, "big")
            entry = StoredEntry(binary, f"class{n % 7}", f"v{n:08x}", 1, n << 32, bytes(32), bytes(60))
            cache.add([(_text(n), entry)])
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert cache.size * 0.75 < taken < cache.size * 1.15
