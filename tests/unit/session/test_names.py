"""Names while replies are owed; for all sequences see tests/property/test_ledger.py."""

from dataclasses import dataclass

from proxy.session.names import Names


@dataclass(eq=False)
class Thing:
    serial: int
    plain: bool = False


def test_a_change_counts_at_once_and_is_certain_in_its_own_batch() -> None:
    names: Names[Thing] = Names()
    one = Thing(1)
    change = names.change(b"a", one, 0)
    assert names.get(b"a") is one and b"a" in names and len(names) == 1
    assert not names.uncertain(b"a", 0) and names.uncertain(b"a", 1)
    assert change is not None
    change.done()
    assert not names.uncertain(b"a", 1) and names.all() == {b"a": one}


def test_undone_in_any_order() -> None:
    for order in ((0, 1), (1, 0)):
        names: Names[Thing] = Names()
        changes = [names.change(b"a", Thing(i), 0) for i in range(2)]
        for index in order:
            change = changes[index]
            assert change is not None
            change.undo()
        assert names.all() == {}


def test_nothing_stays_nothing_unless_a_change_is_open() -> None:
    names: Names[Thing] = Names()
    assert names.change(b"a", None, 0) is None
    one = names.change(b"a", Thing(1), 0)
    two, three = names.change(b"a", None, 0), names.change(b"a", None, 0)
    assert one is not None and two is not None and three is not None
    one.done()
    two.undo()
    three.done()
    assert names.get(b"a") is None


def test_among_plain_meanings_nothing_is_uncertain() -> None:
    names: Names[Thing] = Names()
    names.change(b"a", Thing(1, True), 0)
    names.change(b"a", Thing(2, True), 1)
    assert not names.uncertain(b"a", 2) and not names.uncertain(b"b", 2)


def test_forgetting_spares_what_is_newer() -> None:
    names: Names[Thing] = Names()
    old, new = Thing(1), Thing(5)
    first = names.change(b"a", old, 0)
    assert first is not None
    first.done()
    second = names.change(b"a", new, 0)
    names.change(b"b", Thing(2), 0)
    names.forget(None, 3)
    assert names.all() == {b"a": new}
    assert second is not None
    second.undo()
    assert names.get(b"a") is None
    names.change(b"c", Thing(6), 0)
    names.forget(b"c", 6)
    names.forget(b"d", 6)
    assert b"c" not in names


def test_a_change_that_is_no_longer_open() -> None:
    names: Names[Thing] = Names()
    change = names.change(b"a", Thing(1), 0)
    assert change is not None
    change.done()
    change.done()
    names.change(b"a", Thing(2), 0)
    change.done()
    assert len(names) == 1


def test_an_undone_change_does_not_touch_what_the_name_stands_for_since() -> None:
    """Forgotten meanwhile (DEALLOCATE, the end of the transaction): there is nothing to put back."""
    names: Names[Thing] = Names()
    first = names.change(b"a", Thing(1), 0)
    second = names.change(b"a", Thing(2), 0)
    assert first is not None and second is not None
    first.done()
    names.forget(b"a", 2)
    second.undo()
    assert names.get(b"a") is None


def test_a_name_is_changing_until_the_server_has_said_so() -> None:
    names: Names[Thing] = Names()
    change = names.change(b"a", Thing(1), 0)
    assert names.changing(b"a") and not names.changing(b"b") and change is not None
    change.done()
    assert not names.changing(b"a")
