"""What a person sees: lines that stay, and on a terminal a live part below them."""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import RenderableType

PLAIN_VARIABLES = ("NO_COLOR", "CI")
"""With one of them set, output is plain text: it is read in a log."""
PLAIN_TERMINALS = frozenset({"dumb", "unknown"})

Show = Callable[["RenderableType"], None]
"""Takes what the live part shows from now on; a text gets a spinner before it."""


class Console:
    """Writes to one stream: lines that stay, above a live part. Without a terminal there is no live part."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stdout
        self.is_live = _is_live(self._stream)
        """Whether there is a live part, and style."""
        if self.is_live:
            from rich.console import Console as RichConsole

            self._rich = RichConsole(file=self._stream, force_terminal=True, highlight=False)

    def say(self, text: str = "", style: str = "") -> None:
        """
        Print lines that stay.

        :param style: of rich, ``bold`` or ``red``; ignored without a terminal.
        """
        if self.is_live:
            # print() would read brackets in a log line as rich's markup.
            self._rich.out(text, style=style or None)
        else:
            print(text, file=self._stream, flush=True)

    @contextmanager
    def live(self, first: str = "") -> Iterator[Show]:
        """
        Show a live part until the block ends, also by an error.

        :param first: what it shows until something else is shown.
        """
        if not self.is_live:
            yield lambda _content: None
            return
        from rich.live import Live
        from rich.padding import Padding
        from rich.spinner import Spinner
        from rich.text import Text

        # A line that wraps would move the live part, which rich redraws by its number of lines.
        def line(text: str) -> Text:
            return Text(text, no_wrap=True, overflow="ellipsis")

        spinner = Spinner("dots", line(first))

        def show(content: "RenderableType") -> None:
            if isinstance(content, str):
                spinner.update(text=line(content))
            live.update(Padding(spinner if isinstance(content, str) else content, (0, 0, 0, 2)))

        with Live(Padding(spinner, (0, 0, 0, 2)), console=self._rich, transient=True, refresh_per_second=8) as live:
            yield show


def seconds(value: float) -> str:
    """A duration for people: ``8.4 s``, ``43 s``, ``2 min 07 s``."""
    if value < 10:  # noqa: PLR2004 (one decimal where it matters)
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _is_live(stream: TextIO) -> bool:
    is_plain = any(os.environ.get(name) for name in PLAIN_VARIABLES) or os.environ.get("TERM") in PLAIN_TERMINALS
    # 'make images' runs on the system's Python, which has no libraries.
    return stream.isatty() and not is_plain and importlib.util.find_spec("rich") is not None
