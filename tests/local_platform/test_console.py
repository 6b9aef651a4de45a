import importlib.util
import io
import re

import pytest
from rich.table import Table

from local_platform.console import Console, seconds


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a person's machine, wherever the tests run."""
    for name in ("NO_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")


def test_without_a_terminal_only_lines_that_stay_are_printed() -> None:
    stream = io.StringIO()
    console = Console(stream)
    with console.live("one") as show:
        show("two")
        console.say("done", style="green")
    assert stream.getvalue() == "done\n"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("CI", "true"), ("TERM", "dumb")])
def test_a_terminal_that_is_read_as_a_log_gets_text_alone(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    stream = Terminal()
    console = Console(stream)
    with console.live("one"):
        console.say("done", style="green")
    assert stream.getvalue() == "done\n"


def test_without_libraries_there_is_text_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    stream = Terminal()
    Console(stream).say("built")
    assert stream.getvalue() == "built\n"


def test_on_a_terminal_a_block_replaces_the_last_one() -> None:
    stream = Terminal()
    console = Console(stream)
    table = Table("task", "state")
    table.add_row("ingest", "running")
    with console.live("waiting for mlflow") as show:
        assert "waiting for mlflow" in stream.getvalue()
        show(table)
        console.say("stays")
    assert "ingest" in stream.getvalue()
    assert "\x1b[1A\x1b[2K" in stream.getvalue(), "the lines of the table are taken back"
    assert stream.getvalue().endswith("\x1b[?25h\r\x1b[1A\x1b[2K" + "\x1b[1A\x1b[2K" * 4)


def test_an_exception_leaves_the_cursor_visible_and_no_block() -> None:
    stream = Terminal()
    with pytest.raises(KeyboardInterrupt), Console(stream).live("waiting"):
        raise KeyboardInterrupt
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")
    assert stream.getvalue().endswith("\x1b[2K")


def test_a_line_longer_than_the_terminal_is_kept_whole() -> None:
    stream = Terminal()
    Console(stream).say("/a/path" * 20 + "[0]", style="bold")
    assert re.sub(r"\x1b\[\d*m", "", stream.getvalue()) == "/a/path" * 20 + "[0]\n"


@pytest.mark.parametrize(("value", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (43.2, "43 s"), (127, "2 min 07 s")])
def test_durations_are_for_people(value: float, text: str) -> None:
    assert seconds(value) == text
