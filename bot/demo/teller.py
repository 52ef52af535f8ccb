"""Prints a story: who did what, when, and what was seen."""

import sys
import time
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

_WIDTH_WITHOUT_TERMINAL = 120
_STAMP = 11  # characters


def console() -> Console:
    """Colours and the terminal's width where there is a terminal; plain text of a fixed width elsewhere."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL)


class Teller:
    def __init__(self, console: Console) -> None:
        """The clock of the story begins now."""
        self._console = console
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def chapter(self, title: str) -> None:
        self._console.print()
        self._console.print(Text(f"━━ {title}", style="bold"))

    def tells(self, text: str, style: str = "") -> None:
        """One thing that happened, with the time."""
        stamp = f"[{self.elapsed:5.1f} s]".ljust(_STAMP)
        self._print(Text(text, style=style), Text().append(stamp, style="dim"))

    def shows(self, lines: Iterable[str], style: str = "") -> None:
        """What stands in a message, below the line that tells of it."""
        for line in lines:
            self._print(Text(line, style=style), Text())

    def _print(self, text: Text, left: Text) -> None:
        """Print a paragraph whose lines all begin below each other, with something left of the first."""
        for line in text.wrap(self._console, self._console.width - _STAMP):
            left.pad_right(_STAMP - len(left))
            line.rstrip()
            self._console.print(left + line)
            left = Text()
