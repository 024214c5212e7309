"""YAML as nodes with lines. What policies and configuration say about faults is tested with them."""

from proxy.documents import Fault, Faults, Reader, line_of, meant, quote


def test_a_fault_says_where_and_what_to_do() -> None:
    assert str(Fault("p.yaml", 3, "wrong", "do so")) == "p.yaml:3: wrong (do so)"
    assert str(Fault("p.yaml", 0, "wrong")) == "p.yaml: wrong"
    assert str(Faults([Fault("a", 1, "x"), Fault("b", 2, "y")])) == "a:1: x\nb:2: y"


def test_scalars_are_what_stands_there() -> None:
    reader = Reader("f")
    root = reader.document("a: 007\nb: yes\nc: 'x'\nd: [1, two]")
    assert root is not None
    entries = {entry.key: entry for entry in reader.entries(root, "it")}
    assert [reader.text(entries[key].value, key) for key in "abc"] == ["007", "yes", "x"]
    assert reader.texts(entries["d"].value, "d") == ("1", "two")
    assert reader.texts(entries["a"].value, "a") == ("007",)
    assert line_of(entries["c"].value) == entries["c"].line == 3
    assert reader.faults == []


def test_an_alias_stands_for_its_node() -> None:
    reader = Reader("f")
    root = reader.document("a: &x {k: v}\nb: *x")
    assert root is not None
    for entry in reader.entries(root, "it"):
        assert [each.key for each in reader.entries(entry.value, "inner")] == ["k"]


def test_words_of_the_file_are_short_and_printable_in_faults() -> None:
    assert quote("a\nb\x1b") == "'a?b?'"
    assert quote("x" * 41) == "'" + "x" * 40 + "…'"


def test_what_was_meant() -> None:
    assert meant("Emial", ["email", "phone"]) == "did you mean email?"
    assert meant("zzz", ["email", "phone"]) == "one of: email, phone"
    assert meant("zzz", []) == ""
