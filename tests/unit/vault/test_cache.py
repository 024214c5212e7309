from proxy.vault.cache import EntryCache, KnownTokens
from proxy.vault.store import StoredEntry


def _entry(number: int, size: int = 100) -> StoredEntry:
    return StoredEntry(number.to_bytes(16, "big"), "email", "v1", 1, 0, bytes(32), bytes(size))


def test_known_tokens_forget_the_least_recently_used() -> None:
    known = KnownTokens(2)
    known.add([b"a", b"b"])
    assert b"a" in known
    known.add([b"c"])
    assert (b"a" in known, b"b" in known, b"c" in known) == (True, False, True)
    known.forget([b"a", b"never there"])
    assert b"a" not in known


def test_entries_are_bounded_by_bytes() -> None:
    cache = EntryCache(64 * 500)
    cache.add(_entry(number) for number in range(100))
    assert cache.size == 64 * 500
    assert cache.get(_entry(35).token) is None
    assert cache.get(_entry(36).token) == _entry(36)
    cache.add([_entry(200)])
    assert cache.get(_entry(36).token) is not None
    assert cache.get(_entry(37).token) is None


def test_a_large_entry_does_not_push_out_the_others() -> None:
    cache = EntryCache(64 * 500)
    cache.add([_entry(1), _entry(2, 101)])
    assert cache.get(_entry(1).token) is not None
    assert cache.get(_entry(2).token) is None


def test_an_entry_counts_once_and_a_tombstone_is_small() -> None:
    cache = EntryCache(64 * 500)
    cache.add([_entry(1), _entry(1)])
    assert cache.size == 500
    cache.add([StoredEntry(bytes(16), "email", "v1", 1, 0, b"", None)])
    assert cache.size == 900
    cache.forget([_entry(1).token, b"never there"])
    assert cache.size == 400
