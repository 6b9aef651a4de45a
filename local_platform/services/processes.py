"""Processes by identity: process id and start time, because the kernel reuses ids."""

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
    """One process; its start time distinguishes it from a later one with the same id."""

    pid: int
    started: float
    """Seconds, exact to a hundredth: since boot on Linux, since 1970 elsewhere; only compared."""

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """The process that now has this id; None if there is none, or a zombie."""
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
    """Send SIGTERM to processes, and SIGKILL to those that still run after the grace period."""
    for process in processes:
        process.signal(signal.SIGTERM)
    if not wait_until_gone(processes, grace_seconds):
        for process in processes:
            process.signal(signal.SIGKILL)
        wait_until_gone(processes, grace_seconds)


def wait_until_gone(processes: Iterable[Process], timeout_seconds: float) -> bool:
    """
    Wait for processes, which need not be children of this one; returns whether all have ended.

    It polls, because ``psutil.wait_procs`` reaps children: ``subprocess.Popen.wait`` then gets no exit code (ADR 6).
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
    :param sessions: sessions that belonged to services; a member counts only if its working folder is ``folder``. A
        process that changes its title may have overwritten its environment, so the marker alone does not do.
    """
    # 'make down' itself, and make above it, may carry the marker as well.
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    left = []
    for pid in psutil.pids():
        # Processes that end meanwhile, or belong to another user, raise here; neither is the platform's.
        with contextlib.suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            identity = _identity(process)
            if pid not in own and identity and _is_ours(process, marker, sessions, folder):
                left.append(identity)
    return left


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
        # psutil adds the boot time, which it derives from a clock that may be set meanwhile; the kernel counts from
        # boot, in hundredths of a second.
        started -= psutil.boot_time()
    return Process(process.pid, round(started, 2))
