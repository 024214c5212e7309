"""Tables for a terminal: plain text in columns that fit a width.

Not a layout engine: one line a row. Invariants: no line is wider than asked for, if every column can have a few
characters; what is not printable never reaches the terminal (an account's or application's name could carry escape
sequences).
"""

import unicodedata
from collections.abc import Sequence
from typing import Final

GAP: Final = "  "
CUT: Final = "…"
NARROWEST: Final = 6


def table(names: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None) -> list[str]:
    """Lines: the names, then the rows. width: characters a line may have, None for any; the widest columns are cut."""
    shown = [[printable(cell) for cell in row] for row in (names, *rows)]
    widths = _fit([max(map(columns, cells)) for cells in zip(*shown, strict=True)], width)
    return [GAP.join(map(_pad, row, widths)).rstrip() for row in shown]


def printable(text: str) -> str:
    return "".join(char if char.isprintable() else "�" for char in text)


def columns(text: str) -> int:
    """Cells of a terminal that the text takes (UAX #11: wide characters take two, combining ones none)."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _fit(widths: list[int], width: int | None) -> list[int]:
    """The widest columns give first."""
    if width is None:
        return widths
    room = width - len(GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths) > NARROWEST:
        widest = widths.index(max(widths))
        widths[widest] -= 1
    return widths


def _pad(text: str, width: int) -> str:
    while columns(text) > width:
        text = text.removesuffix(CUT)[:-1] + CUT
    return text + " " * (width - columns(text))
