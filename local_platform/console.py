"""What a person sees: lines that stay, and on a terminal a block below them that is drawn anew."""

import shutil
import sys
from typing import TextIO

CLEAR_TO_END = "\x1b[J"
CLEAR_LINE = "\x1b[K"


class Console:
    """One stream; lines that stay go above the live block."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stdout
        self.is_live = self._stream.isatty()
        """Whether a block can be drawn anew."""
        self._height = 0

    def say(self, text: str = "") -> None:
        """Print lines that stay."""
        self._wipe()
        print(text, file=self._stream, flush=True)

    def draw(self, lines: list[str]) -> None:
        """Draw the live block in place of the last one; nothing where the stream is no terminal."""
        if not self.is_live:
            return
        size = shutil.get_terminal_size()
        shown = [line[: size.columns - 1] for line in lines[-(size.lines - 2) :]]
        self._wipe(text="".join(f"{line}{CLEAR_LINE}\n" for line in shown))
        self._height = len(shown)

    def _wipe(self, text: str = "") -> None:
        up = f"\x1b[{self._height}A\r" if self._height else ""
        clear = CLEAR_TO_END if self.is_live and self._height else ""
        print(f"{up}{text}{clear}" if text else f"{up}{clear}", end="", file=self._stream, flush=True)
        self._height = 0


def seconds(value: float) -> str:
    """A duration for people: ``8.4 s``, ``43 s``, ``2 min 07 s``."""
    if value < 10:  # noqa: PLR2004 (one decimal only where it says something)
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
