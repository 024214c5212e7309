"""Text and message are the same thing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit.notation import Message, Str, Val, Word, parse, show

words = st.sampled_from(["T1", "#1", "_", "...", "S", "3.0"]).map(Word)
atoms = st.one_of(st.binary().map(Str), st.binary().map(Val), words, st.integers(-(2**31), 2**32), st.none())
args = st.recursive(atoms, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=8)


@given(st.builds(Message, st.sampled_from(["Bind", "DataRow"]), st.lists(args, max_size=5).map(tuple)))
def test_every_message_can_be_written_and_read(message: Message) -> None:
    assert parse(show(message)) == message


def test_a_line_reads_as_it_looks() -> None:
    line = r"""Bind "p" "s\n" [0, 1] ['a@b.c', NULL, x'00ff', T1] []"""
    expected = Message("Bind", (Str(b"p"), Str(b"s\n"), (0, 1), (Val(b"a@b.c"), None, Val(b"\0\xff"), Word("T1")), ()))
    assert parse(line) == expected
    assert show(expected) == line


@pytest.mark.parametrize("line", ["", '"x"', "Bind [", "Bind ]", "Bind 'x", "Bind ¤"])
def test_what_is_no_message_is_refused(line: str) -> None:
    with pytest.raises(ValueError):
        parse(line)
