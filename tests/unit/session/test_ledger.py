"""The queue of replies that the server owes, case by case; for all sequences see tests/property/test_ledger.py."""

from proxy.session import ledger
from proxy.session.ledger import Ledger, Owed


def book(*kinds: int) -> tuple[Ledger, list[Owed]]:
    made, entries = Ledger(), [Owed(kind) for kind in kinds]
    for entry in entries:
        assert made.push(entry)
    return made, entries


def test_an_error_in_an_extended_message_skips_to_sync_simple_queries_included() -> None:
    made, entries = book(ledger.PARSE, ledger.BIND, ledger.QUERY, ledger.FUNCTION, ledger.SYNC)
    assert made.error() == entries[:4]
    assert made.head() is entries[4] and made.sent == 1
    assert not made.skipping
    assert made.ready_for_query(ord("I")) is entries[4]
    assert (made.sent, made.ready, made.status) == (1, 1, ord("I"))


def test_an_error_in_a_query_skips_nothing() -> None:
    made, entries = book(ledger.QUERY, ledger.QUERY)
    assert made.error() == []
    assert made.head() is entries[0]


def test_an_error_without_a_sync_skips_what_is_sent_later() -> None:
    made, entries = book(ledger.EXECUTE)
    assert made.error() == entries
    assert made.skipping
    assert not made.push(Owed(ledger.QUERY)) and not made.push(ledger.PLAIN_COPY_END)
    assert made.push(ledger.PLAIN_SYNC) and not made.skipping
    assert made.head() is ledger.PLAIN_SYNC


def test_an_error_that_nothing_was_sent_for() -> None:
    assert Ledger().error() == []


def test_a_ready_for_query_that_is_not_owed() -> None:
    made, entries = book(ledger.PARSE)
    assert made.ready_for_query(ord("I")) is None
    assert made.head() is entries[0]
    assert Ledger().ready_for_query(ord("I")) is None


def test_syncs_in_copy_are_not_answered() -> None:
    made, entries = book(ledger.EXECUTE, ledger.SYNC)
    made.copy_in()
    assert made.copying and made.sent == 0
    assert made.push(ledger.PLAIN_SYNC) and made.copying and len(made) == 1
    assert made.push(ledger.PLAIN_COPY_END) and not made.copying
    assert made.push(ledger.PLAIN_SYNC)
    made.done()
    assert made.head() is ledger.PLAIN_SYNC and entries


def test_copy_done_sent_before_its_answer() -> None:
    made, entries = book(ledger.EXECUTE, ledger.SYNC, ledger.COPY_END, ledger.SYNC)
    made.copy_in()
    assert not made.copying and made.sent == 1
    made.done()
    assert made.head() is entries[3]


def test_what_is_sent_behind_a_copy_and_before_its_end_keeps_its_place() -> None:
    """The server reads Parse, Bind … in COPY as an error; the order of what is owed is not the ledger's to change."""
    made, entries = book(ledger.EXECUTE, ledger.PARSE, ledger.SYNC, ledger.BIND)
    made.copy_in()
    assert made.copying and made.sent == 0
    for entry in (entries[0], entries[1], entries[3]):
        assert made.head() is entry
        made.done()
    assert made.head() is None


def test_two_copies_in_one_query_each_have_their_end() -> None:
    made, entries = book(ledger.QUERY)
    made.copy_in()
    assert made.push(ledger.PLAIN_COPY_END)
    made.copy_in()
    assert made.copying
    assert made.push(ledger.PLAIN_SYNC) and made.sent == 1
    assert made.push(ledger.PLAIN_COPY_END)
    assert made.ready_for_query(ord("I")) is entries[0]


def test_copy_done_outside_of_copy_is_stepped_over() -> None:
    made, entries = book(ledger.COPY_END, ledger.QUERY)
    assert made.head() is entries[1]
    only, _ = book(ledger.COPY_END)
    assert only.head() is None and len(only) == 0
    only.copy_in()
    assert only.copying


def test_what_may_end_a_transaction() -> None:
    assert not book(ledger.PARSE, ledger.BIND)[0].may_end()
    for kind in (ledger.QUERY, ledger.EXECUTE, ledger.SYNC, ledger.FUNCTION):
        assert book(ledger.PARSE, kind)[0].may_end()


def test_a_sync_that_ended_the_skipping_although_it_was_taken_for_copys() -> None:
    """Sent while COPY seemed to run, read when it had failed: its ReadyForQuery must not leave the link deaf."""
    made, _ = book(ledger.EXECUTE)
    made.copy_in()
    made.push(ledger.PLAIN_SYNC)
    made.error()
    assert made.skipping
    assert made.ready_for_query(ord("I")) is None
    assert not made.skipping
    assert made.push(ledger.PLAIN_BIND)


def test_what_is_skipped_is_no_longer_expected_to_end() -> None:
    made, entries = book(ledger.PARSE, ledger.QUERY)
    assert made.error() == entries and made.sent == 0


def test_what_was_answered_is_forgotten_while_more_is_owed() -> None:
    made, entries = book(*[ledger.BIND] * (ledger.SPENT + 1))
    for entry in entries[:-1]:
        assert made.head() is entry
        made.done()
    assert len(made) == 1 and made.head() is entries[-1]
    assert len(made._queue) == 1, "the answered ones are not kept"
    assert made.push(ledger.PLAIN_SYNC) and made.error() == [entries[-1]] and len(made) == 1
