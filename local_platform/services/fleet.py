"""Starts, watches and stops services through their guards, so that no process stays behind (ADR 7)."""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from local_platform.console import Console, seconds
from local_platform.errors import PlatformBusyError, PlatformStartError
from local_platform.locations import REPOSITORY, STATE_VARIABLE, State
from local_platform.services import guard, processes
from local_platform.services.processes import Process
from local_platform.services.services import Service

HEALTH_SECONDS = 180.0
POLL_SECONDS = 0.1
GUARD_SECONDS = 25.0
"""How long a guard may take to stop its service: the grace period, the rest of its processes, and a margin."""
EXCERPT_LINES = 15


@contextlib.contextmanager
def exclusive(state: State) -> Iterator[None]:
    """
    Hold the lock of this state: one process at a time starts, uses or stops its services.

    :raises PlatformBusyError: if another process holds it; with its process id and command.
    """
    state.root.mkdir(parents=True, exist_ok=True)
    with state.lock.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            advice = "Wait for it to end, or stop it with Ctrl-C."
            raise PlatformBusyError(f"Process {lock.read().strip()} works with {state.root}. {advice}") from None
        # Written in place: the lock is on this file, and one that replaced it would be free.
        lock.truncate(0)
        lock.write(f"{os.getpid()} ({' '.join(sys.argv[1:]) or 'local_platform'})")
        lock.flush()
        yield


class Fleet:
    """The services that this process started."""

    def __init__(self, state: State, console: Console) -> None:
        self._state = state
        self._console = console
        self._guards: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def names(self) -> list[str]:
        """The services that run, or should."""
        return sorted(self._guards)

    def start(self, service: Service) -> None:
        """Start one service under its guard; its output goes to its log."""
        self._state.logs.mkdir(parents=True, exist_ok=True)
        self._state.services.mkdir(parents=True, exist_ok=True)
        log = log_of(self._state, service.name)
        if log.exists():
            log.replace(log.with_suffix(".previous.log"))
        record = self._state.services / f"{service.name}.json"
        words = [
            sys.executable, "-m", guard.__name__, "--name", service.name, "--record", str(record),
            "--grace-seconds", str(service.grace_seconds), "--stop-signal", str(int(service.stop_signal)),
            "--", *service.words,
        ]  # fmt: skip
        # The pipe to standard input is the lifeline: the kernel closes it however this process ends. In a session of
        # its own the guard does not get Ctrl-C, which the terminal sends to its whole process group.
        with log.open("wb") as output:
            self._guards[service.name] = subprocess.Popen(
                words, cwd=REPOSITORY, env=service.variables, stdin=subprocess.PIPE, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def complete(self, service: Service) -> None:
        """
        Run a service that ends by itself, and wait for its end.

        :raises PlatformStartError: if it fails.
        """
        self.start(service)
        with self._guards.pop(service.name) as process, self._console.live(f"waiting for {service.name} …"):
            code = process.wait()
        if code:
            raise PlatformStartError(self._failure(service.name, f"ended with code {code}"))

    def wait(self, services: Sequence[Service], timeout_seconds: float = HEALTH_SECONDS) -> None:
        """
        Wait until services are ready, and report each.

        :raises PlatformStartError: if one ends or is not ready in time; with the last lines of its log.
        """
        began = time.monotonic()
        waiting = list(services)
        with self._console.live() as show:
            while waiting:
                passed = time.monotonic() - began
                names = ", ".join(service.name for service in waiting)
                show(f"{seconds(passed)}, waiting for {names} …")
                waiting = self._not_ready(waiting, passed)
                if waiting and passed > timeout_seconds:
                    raise PlatformStartError(self._failure(waiting[0].name, f"was not ready after {seconds(passed)}"))
                time.sleep(POLL_SECONDS if waiting else 0)

    def _not_ready(self, services: Sequence[Service], passed: float) -> list[Service]:
        """Services that are not ready yet; reports those that are."""
        waiting = []
        for service in services:
            code = self._guards[service.name].poll()
            if code is not None:
                raise PlatformStartError(self._failure(service.name, f"ended with code {code} before it was ready"))
            if service.is_ready():
                self._console.say(f"  {service.name:<22} ready after {seconds(passed)}")
            else:
                waiting.append(service)
        return waiting

    def detach(self) -> list[subprocess.Popen[bytes]]:
        """
        Let the services run on after this process ends.

        :return: their guards, which are still children of this process.
        """
        left = list(self._guards.values())
        for process in left:
            if process.stdin:
                process.stdin.write(guard.DETACH)
                process.stdin.close()
        self._guards.clear()
        return left

    def stop(self) -> None:
        """Stop all services that this process started, at the same time; does nothing if they were detached."""
        if not self._guards:
            return
        # All lifelines first: the services shut down side by side.
        for process in self._guards.values():
            if process.stdin:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
        with self._console.live(f"ending {', '.join(self._guards)} …"):
            for process in self._guards.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(GUARD_SECONDS)
            self._guards.clear()
            clear(self._state)

    def _failure(self, name: str, what: str) -> str:
        log = log_of(self._state, name)
        return f"{name} {what}. The end of {_relative(log)}:\n{tail(log)}"


def log_of(state: State, name: str) -> Path:
    """The log of one service."""
    return state.logs / f"{name}.log"


def tail(log: Path) -> str:
    """The last lines of a log, indented."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-EXCERPT_LINES:]
    except OSError:
        lines = []
    return "\n".join(f"    {line}" for line in lines) or "    (it is empty)"


def running(state: State) -> dict[str, Process]:
    """The living guards, by service."""
    return {name: guard_process for name, (guard_process, _) in _records(state).items() if guard_process.is_alive}


def clear(state: State) -> list[str]:
    """
    Stop everything that runs on this state: services, and processes that an interrupted start left behind.

    :return: the names of the services that were still running.
    """
    records = _records(state)
    alive = [name for name, (guard_process, service) in records.items() if guard_process.is_alive or service.is_alive]
    processes.end([guard_process for guard_process, _ in records.values()], GUARD_SECONDS)
    processes.end([service for _, service in records.values()], grace_seconds=2.0)
    sessions = {service.pid for _, service in records.values()}
    # A process may start another one between the listing and the signal, so list again.
    for _ in range(3):
        left = processes.strays(f"{STATE_VARIABLE}={state.root}", sessions, REPOSITORY)
        if not left:
            break
        processes.end(left, grace_seconds=2.0)
    for path in state.services.glob("*"):
        path.unlink(missing_ok=True)
    return alive


def _records(state: State) -> dict[str, tuple[Process, Process]]:
    records = {}
    for path in state.services.glob("*.json"):
        try:
            record = json.loads(path.read_text())
            records[record["name"]] = (Process(*record["guard"]), Process(*record["service"]))
        except (OSError, ValueError, KeyError, TypeError):
            path.unlink(missing_ok=True)
    return records


def _relative(path: Path) -> str:
    return str(path.relative_to(REPOSITORY)) if path.is_relative_to(REPOSITORY) else str(path)
