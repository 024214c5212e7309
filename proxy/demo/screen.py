"""What the demonstration prints: titles, statements, tables, refusals. Colour on a terminal only."""

import os
import shutil
import textwrap
from collections.abc import Sequence
from typing import Final, TextIO, final

from proxy.tables import printable, table

NARROW: Final = 72
WIDE: Final = 140
WIDTH_OF_NO_TERMINAL: Final = 100
INDENT: Final = "  "
BOLD: Final = "1"
FAINT: Final = "2"
RED: Final = "31"
CYAN: Final = "36"


@final
class Screen:
    """out: where to."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._colour = out.isatty() and "NO_COLOR" not in os.environ  # https://no-color.org
        width = shutil.get_terminal_size((WIDTH_OF_NO_TERMINAL, 24)).columns
        self._width = min(max(width, NARROW), WIDE)

    def title(self, text: str) -> None:
        self._print()
        self._print(self._in(BOLD, text))

    def say(self, *lines: str) -> None:
        for line in lines:
            self._print(INDENT + line)

    def statement(self, who: str, sql: str, *parameters: str) -> None:
        """A statement, whose it is, and its parameters."""
        given = ", ".join(f"${number} = {value}" for number, value in enumerate(parameters, 1))
        prompt = f"{who}> "
        room = self._width - len(INDENT) - len(prompt)
        for number, line in enumerate(textwrap.wrap(sql, room, break_long_words=False, break_on_hyphens=False)):
            start = self._in(FAINT, prompt) if number == 0 else " " * len(prompt)
            self._print(f"{INDENT}{start}{self._in(CYAN, line)}")
        if given:
            self._print(f"{INDENT}{' ' * len(prompt)}{self._in(FAINT, 'with ' + given)}")

    def table(self, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        head, *lines = table(names, rows, self._width - 2 * len(INDENT))
        self._print(2 * INDENT + self._in(FAINT, head))
        for line in lines:
            self._print(2 * INDENT + line)

    def error(self, sqlstate: str, message: str, detail: str = "", hint: str = "", column: str = "") -> None:
        self._print(f"{2 * INDENT}{self._in(RED, 'ERROR ' + sqlstate)}  {printable(message)}")
        for name, text in (("column", column), ("detail", detail), ("hint", hint)):
            if text:
                self._print(f"{2 * INDENT}{self._in(FAINT, name.rjust(11))}  {printable(text)}")

    def _in(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colour else text

    def _print(self, text: str = "") -> None:
        print(text, file=self._out, flush=True)
