import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local_platform.locations import REPOSITORY
from local_platform.services.guard import DETACH
from local_platform.services.processes import Process, wait_until_gone

STUBBORN = """
import os, pathlib, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
os.wait()
time.sleep(600)
"""
"""A service whose grandchild has a session of its own, lost its parent and ignores the polite signal."""

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def start_guard(*words: str, stop_signal: signal.Signals = signal.SIGTERM) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "local_platform.services.guard", "--name", "service"]
        command += ["--record", str(tmp_path / "service.json"), "--grace-seconds", "0.5"]
        command += ["--stop-signal", str(int(stop_signal)), "--", sys.executable, *words]
        process = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, start_new_session=True)
        started.append(process)
        return process

    yield start_guard
    for process in started:
        process.terminate()
        process.wait(30)
        if process.stdin:
            process.stdin.close()


def process_in(path: Path) -> Process:
    for _ in range(400):
        if path.exists() and path.read_text().isdigit():
            process = Process.of(int(path.read_text()))
            if process:
                return process
        time.sleep(0.05)
    pytest.fail(f"nothing wrote its number into {path}")


def record_in(path: Path) -> dict[str, list[object]]:
    for _ in range(400):
        if path.exists():
            return dict(json.loads(path.read_text()))
        time.sleep(0.05)
    pytest.fail(f"the guard did not write {path}")


def test_when_the_lifeline_closes_nothing_of_the_service_is_left(start: Start, tmp_path: Path) -> None:
    guard = start("-c", STUBBORN, str(tmp_path / "grandchild"))
    grandchild = process_in(tmp_path / "grandchild")
    service = Process.of(int(str(record_in(tmp_path / "service.json")["service"][0])))

    assert guard.stdin
    guard.stdin.close()

    guard.wait(30)
    assert service
    assert not service.is_alive
    assert not grandchild.is_alive
    assert not (tmp_path / "service.json").exists()


def test_a_detached_service_outlives_the_lifeline_and_ends_on_request(start: Start, tmp_path: Path) -> None:
    guard = start("-c", STUBBORN, str(tmp_path / "grandchild"))
    grandchild = process_in(tmp_path / "grandchild")

    assert guard.stdin
    guard.stdin.write(DETACH)
    guard.stdin.close()
    guard.stdin = None
    assert not wait_until_gone([grandchild], 1.0)

    guard.send_signal(signal.SIGTERM)
    guard.wait(30)
    assert not grandchild.is_alive


def test_what_outlives_a_service_that_ends_by_itself_is_ended(start: Start, tmp_path: Path) -> None:
    code = STUBBORN.replace("os.wait()\ntime.sleep(600)", "os.wait()\nsys.exit(7)")
    guard = start("-c", code, str(tmp_path / "grandchild"))
    grandchild = process_in(tmp_path / "grandchild")

    assert guard.wait(30) == 7
    assert not grandchild.is_alive


def test_the_interrupt_of_a_terminal_does_not_reach_the_service(start: Start, tmp_path: Path) -> None:
    guard = start("-c", STUBBORN, str(tmp_path / "grandchild"))
    grandchild = process_in(tmp_path / "grandchild")
    guard.send_signal(signal.SIGINT)
    assert not wait_until_gone([grandchild], 0.5)


OBEDIENT = """
import pathlib, signal, sys, time
def stop(number, frame):
    pathlib.Path(sys.argv[2]).write_text(signal.Signals(number).name)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
pathlib.Path(sys.argv[1]).write_text("1")
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_is_stopped_by_its_own_signal(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    guard = start("-c", OBEDIENT, str(tmp_path / "up"), str(tmp_path / "heard"), stop_signal=number)
    process_in(tmp_path / "up")
    assert guard.stdin
    guard.stdin.close()
    guard.wait(30)
    assert (tmp_path / "heard").read_text() == number.name
