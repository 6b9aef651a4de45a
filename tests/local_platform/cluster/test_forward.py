"""``kubectl`` is a stand-in: its watch prints a file that grows, its port-forward writes down that it was started."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from include.processes import signal_group
from local_platform.locations import REPOSITORY
from tests.support.processes import is_running

SCRIPT = """#!/bin/sh
here=$(dirname "$0")
case "$1" in
  get) touch "$here/watched"; exec tail -n +1 -F "$here/selectors" 2>/dev/null ;;
  port-forward) echo "$@" >> "$here/forwards"; echo $$ > "$here/pid"; exec sleep 600 ;;
esac
"""
WAIT_SECONDS = 20.0


@pytest.fixture
def forward(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    (tmp_path / "kubectl").write_text(SCRIPT)
    (tmp_path / "kubectl").chmod(0o755)
    words = [sys.executable, "-m", "local_platform.cluster.forward", "--namespace", "ml-serving"]
    words += ["--service", "delays", "--port", "20009", "--target", "8080"]
    kept = os.environ | {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    process = subprocess.Popen(words, cwd=REPOSITORY, env=kept, stdout=subprocess.DEVNULL, start_new_session=True)
    yield process
    signal_group(process.pid, signal.SIGKILL)
    process.wait(10)


def forwards(folder: Path) -> int:
    path = folder / "forwards"
    return len(path.read_text().splitlines()) if path.exists() else 0


def until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


def say(folder: Path, selector: str) -> None:
    with (folder / "selectors").open("a") as file:
        file.write(selector + "\n")


@pytest.mark.usefixtures("forward")
class TestForward:
    def test_it_begins_when_there_is_a_service(self, tmp_path: Path) -> None:
        assert until((tmp_path / "watched").exists)
        assert forwards(tmp_path) == 0
        say(tmp_path, '{"version":"1"}')
        assert until(lambda: forwards(tmp_path) == 1)
        expected = "port-forward --namespace ml-serving --address 127.0.0.1 service/delays 20009:8080\n"
        assert (tmp_path / "forwards").read_text() == expected

    def test_it_turns_with_the_service_to_other_pods(self, tmp_path: Path) -> None:
        say(tmp_path, '{"version":"1"}')
        assert until(lambda: forwards(tmp_path) == 1)
        first = int((tmp_path / "pid").read_text())
        say(tmp_path, '{"version":"1"}')
        say(tmp_path, '{"version":"2"}')
        assert until(lambda: forwards(tmp_path) == 2)
        assert until(lambda: not is_running(first))

    def test_it_restarts_when_the_connection_is_lost(self, tmp_path: Path) -> None:
        say(tmp_path, '{"version":"1"}')
        assert until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip().isdigit())
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
        assert until(lambda: forwards(tmp_path) == 2)


def test_it_ends_by_sigterm(forward: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    say(tmp_path, '{"version":"1"}')
    assert until(lambda: forwards(tmp_path) == 1)
    forward.terminate()
    assert forward.wait(10) == 0
