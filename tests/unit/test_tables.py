"""Tables fit their width, whatever is in them, and bring nothing to the terminal but what prints."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.tables import GAP, NARROWEST, columns, printable, table


def test_columns_are_as_wide_as_what_is_in_them() -> None:
    assert table(["id", "name"], [["1", "Ada"], ["22", ""]]) == ["id  name", "1   Ada", "22"]


def test_no_rows_are_the_names() -> None:
    assert table(["id", "name"], []) == ["id  name"]


def test_the_widest_column_is_cut_first() -> None:
    assert table(["id", "token"], [["1", "0123456789abcdef"]], 14) == ["id  token", "1   012345678…"]


def test_wide_and_combining_characters_are_counted_as_shown() -> None:
    assert columns("日本") == 4
    assert columns("e\N{COMBINING ACUTE ACCENT}") == 1
    assert table(["a", "b"], [["日本", "x"], ["abc", "y"]]) == ["a     b", "日本  x", "abc   y"]


def test_escape_sequences_do_not_reach_the_terminal() -> None:
    assert printable("a\x1b[31m\r\nb") == "a�[31m��b"
    assert "\x1b" not in "".join(table(["\x1b"], [["\x1b]0;x\x07"]]))


@given(
    st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(st.text(), min_size=n, max_size=n), min_size=1)),
    st.integers(40, 120),
)
def test_no_line_is_wider_than_asked_for(rows: list[list[str]], width: int) -> None:
    assert width >= 4 * NARROWEST + 3 * len(GAP)
    assert all(columns(line) <= width for line in table(rows[0], rows[1:], width))
