import subprocess
import sys

import pytest

from local_platform import command_line
from local_platform.command_line import parse
from local_platform.locations import REPOSITORY

MAKEFILE = REPOSITORY / "Makefile"


def call(*words: str) -> "subprocess.CompletedProcess[str]":
    """The command as a person gives it, with nothing but the standard library."""
    command = [sys.executable, "-S", "-m", "local_platform", *words]
    return subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True, timeout=20)


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["up", "--help"]])
def test_help_needs_nothing_that_must_be_installed(words: list[str]) -> None:
    done = call(*words)
    assert done.returncode == 0
    assert "usage: python3 -m local_platform" in done.stdout


def test_help_tells_what_each_command_does() -> None:
    output = " ".join(call("--help").stdout.split())
    for words in command_line.COMMANDS.values():
        assert words in output


@pytest.mark.parametrize("words", [[], ["rum"], ["up", "--port"]])
def test_a_mistake_is_reported_at_once(words: list[str]) -> None:
    done = call(*words)
    assert done.returncode == 2
    assert "usage: python3 -m local_platform" in done.stderr


def test_what_follows_test_is_pytests_in_its_order() -> None:
    assert parse(["test", "-k", "some", "tests/dags"]) == ("test", ["-k", "some", "tests/dags"])
    assert parse(["up"]) == ("up", [])


def test_what_follows_check_are_its_parts() -> None:
    assert parse(["check", "types", "docs"]) == ("check", ["types", "docs"])
    assert parse(["docs"]) == ("docs", [])


def test_make_has_all_commands() -> None:
    targets = {line.partition(":")[0] for line in MAKEFILE.read_text().splitlines() if ": ## " in line}
    assert targets - {"help", "images"} == command_line.COMMANDS.keys()
