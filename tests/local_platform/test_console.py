import io

import pytest

from local_platform.console import Console, seconds


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_only_lines_that_stay_are_printed() -> None:
    stream = io.StringIO()
    console = Console(stream)
    console.draw(["one", "two"])
    console.say("done")
    assert stream.getvalue() == "done\n"


def test_on_a_terminal_a_block_takes_the_place_of_the_last_one() -> None:
    stream = Terminal()
    console = Console(stream)
    console.draw(["one", "two"])
    console.draw(["three"])
    assert "\x1b[2A\r" in stream.getvalue()
    stream.truncate(0)
    console.say("stays")
    assert stream.getvalue().endswith("\x1b[1A\r\x1b[Jstays\n")


@pytest.mark.parametrize(("value", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (43.2, "43 s"), (127, "2 min 07 s")])
def test_durations_are_for_people(value: float, text: str) -> None:
    assert seconds(value) == text
