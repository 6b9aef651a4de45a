"""Processes by identity: a number alone is not one, for the kernel gives it again."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Process:
    """One process, told from any later one with the same number by the moment it started."""

    pid: int
    started: float
    """Seconds, exact to a hundredth: since the machine started on Linux, since 1970 elsewhere; compared, never read."""

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """The process that now has this number; nothing if there is none, or a zombie."""
        try:
            return _identity(psutil.Process(pid))
        except psutil.Error:
            return None

    @property
    def is_alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        return Process.of(self.pid) == self

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this process, if it still runs."""
        if self.is_alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, number)


def descendants(root: int) -> list[Process]:
    """All living processes below one, however deep."""
    try:
        below = psutil.Process(root).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [process for one in below if (process := Process.of(one.pid))]


def end(processes: Collection[Process], grace_seconds: float) -> None:
    """Ask processes to end, and kill those that have not within the grace."""
    for process in processes:
        process.signal(signal.SIGTERM)
    if not wait_until_gone(processes, grace_seconds):
        for process in processes:
            process.signal(signal.SIGKILL)
        wait_until_gone(processes, grace_seconds)


def wait_until_gone(processes: Iterable[Process], timeout_seconds: float) -> bool:
    """
    Wait for processes that need not be our children; whether all are gone.

    Only looks: ``psutil.wait_procs`` would take the exit code of those that are our children from who started them.
    """
    deadline = time.monotonic() + timeout_seconds
    waiting = [process for process in processes if process.is_alive]
    while waiting and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        waiting = [process for process in waiting if process.is_alive]
    return not waiting


def strays(marker: str, sessions: Collection[int], folder: Path) -> list[Process]:
    """
    Processes that a service left behind when it and its guard were both killed.

    :param marker: ``NAME=value`` that every process of the platform carries in its environment.
    :param sessions: sessions that belonged to services; a member counts only if it works in ``folder``, for a process
        that changes its title may have overwritten its environment.
    """
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for pid in psutil.pids():
        # What ends meanwhile, or belongs to somebody else, is none of ours.
        with contextlib.suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            identity = _identity(process)
            if pid not in own and identity and _is_ours(process, marker, sessions, folder):
                found.append(identity)
    return found


def _is_ours(process: psutil.Process, marker: str, sessions: Collection[int], folder: Path) -> bool:
    name, _, value = marker.partition("=")
    if process.environ().get(name) == value:
        return True
    return os.getsid(process.pid) in sessions and Path(process.cwd()) == folder


def _identity(process: psutil.Process) -> Process | None:
    if process.status() == psutil.STATUS_ZOMBIE:
        return None
    started = process.create_time()
    if sys.platform == "linux":
        # Derived from the clock, which may be set meanwhile; what the kernel counts is the time since the start.
        started -= psutil.boot_time()
    return Process(process.pid, round(started, 2))
