"""
A step as a process of this machine: one seam for a forked and an ordinary one.

Either is the leader of a session and a process group of its own, writes to one pipe, and is ended as a group.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from include.contract import settings
from include.contract.command import ENTRY_POINT
from include.errors import TemporaryError
from include.processes import group_exists, signal_group

POLL_SECONDS = 0.05
IDLE_SECONDS = 1.0
"""How often to look at a process from which nothing is heard: a group that was told to end may be overdue."""
READ_BYTES = 65_536
TIDY_SECONDS = 1.0
"""How long what a finished step left running may take to end when told to."""
LOG_DESCRIPTOR = 1
"""In a task's process, standard output is a socket to the supervisor; it hangs up when the supervisor dies."""


class StepProcess(Protocol):
    """A step that was started."""

    pid: int
    output: int
    """File descriptor to read what the step writes, to standard output and to standard error, in order."""
    watched: int | None
    """File descriptor that becomes readable when the end may be near; None if only asking tells."""

    def exit_code(self) -> int | None:
        """The exit code once nothing of the group is left, negative for a signal; never waits."""

    def end(self) -> None:
        """Ask the group to end, and kill it after the grace; at once, and safe in a signal handler."""

    def close(self) -> None:
        """Give back the file descriptors."""


class Output(Protocol):
    """Where a step's output goes."""

    def take(self, data: bytes) -> None:
        """Take a piece of it."""

    def flush(self) -> None:
        """There is no more."""


class OrdinaryProcess:
    """A child process that imports what it needs; the kernel (Linux) ends it with this one."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, grace: float) -> None:
        self.output, writing = os.pipe()
        try:
            self._child = subprocess.Popen(
                [sys.executable, *ENTRY_POINT, *arguments],
                cwd=folder,
                env={**environment, settings.DIE_WITH_PARENT: "1"},
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                start_new_session=True,
            )
        finally:
            os.close(writing)
        self.pid = self._child.pid
        self.watched = os.pidfd_open(self.pid) if sys.platform == "linux" else None
        self._grace_seconds = grace
        self._kill_at: float | None = None
        self._is_tidied = False

    def exit_code(self) -> int | None:
        """The exit code once nothing of the group is left, negative for a signal; never waits."""
        code = self._child.poll()
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            signal_group(self.pid, signal.SIGKILL)
        if code is None:
            return None
        if not self._is_tidied:
            self._is_tidied = True
            signal_group(self.pid, signal.SIGTERM)
            self._kill_at = time.monotonic() + TIDY_SECONDS
        # Where nobody reaps orphans, a group of zombies stays for ever.
        is_overdue = self._kill_at is not None and time.monotonic() > self._kill_at + TIDY_SECONDS
        return code if is_overdue or not group_exists(self.pid) else None

    def end(self) -> None:
        """Ask the group to end, and kill it after the grace; at once, and safe in a signal handler."""
        if self._kill_at is None:
            self._kill_at = time.monotonic() + self._grace_seconds
            signal_group(self.pid, signal.SIGTERM)

    def close(self) -> None:
        """Give back the file descriptors."""
        os.close(self.output)
        if self.watched is not None:
            os.close(self.watched)


def follow(process: StepProcess, output: Output) -> int:
    """
    Hand on what a step writes until nothing of it is left.

    :return: its exit code, negative for the signal that ended it.
    :raises TemporaryError: if the supervisor of this task died: nobody would know how the step ended.
    """
    poller = select.poll()
    poller.register(process.output, select.POLLIN)
    poller.register(LOG_DESCRIPTOR, 0)
    if process.watched is not None:
        poller.register(process.watched, select.POLLIN)
    is_orphan, is_near_end = False, process.watched is None
    while (code := process.exit_code()) is None:
        for descriptor, _ in poller.poll(1000 * (POLL_SECONDS if is_near_end else IDLE_SECONDS)):
            if descriptor == process.output:
                if not _read(process.output, output):
                    poller.unregister(process.output)
            elif descriptor == LOG_DESCRIPTOR:
                poller.unregister(LOG_DESCRIPTOR)
                is_orphan = is_near_end = True
                process.end()
            else:
                poller.unregister(descriptor)
                is_near_end = True
    _drain(process.output, output)
    if is_orphan:
        raise TemporaryError("The supervisor of this task is gone, so its step was ended.")
    return code


def wait_for_end(process: StepProcess, output: Output) -> None:
    """End a step and wait until nothing of it is left."""
    process.end()
    while process.exit_code() is None:
        ready, _, _ = select.select([process.output], [], [], POLL_SECONDS)
        if ready and not _read(process.output, output):
            time.sleep(POLL_SECONDS)
    _drain(process.output, output)


def _read(descriptor: int, output: Output) -> bool:
    data = os.read(descriptor, READ_BYTES)
    if data:
        output.take(data)
    return bool(data)


def _drain(descriptor: int, output: Output) -> None:
    os.set_blocking(descriptor, False)
    with contextlib.suppress(BlockingIOError):  # something that left the group still holds the pipe
        while _read(descriptor, output):
            pass
    output.flush()
