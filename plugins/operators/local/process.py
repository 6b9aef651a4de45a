"""
A step as a process of this machine: one protocol for a forked and an ordinary process.

Each is the leader of a session and a process group of its own, writes to one pipe, and is ended as a group.
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
"""How often to look for the exit code once the end is near."""
IDLE_SECONDS = 1.0
"""How often to look otherwise: a group that got SIGTERM may have to be killed."""
READ_BYTES = 65_536
TIDY_SECONDS = 1.0
"""How long processes that a finished step left behind may take to end after SIGTERM."""
LOG_DESCRIPTOR = 1
"""In Airflow's task process, standard output is a socket to the supervisor; it hangs up when the supervisor dies."""


class StepProcess(Protocol):
    """A step that was started."""

    pid: int
    output: int
    """File descriptor to read the step's standard output and standard error from, in the order of writing."""
    watched: int | None
    """File descriptor that becomes readable when the end is near; None where only polling ``exit_code`` shows it."""

    def exit_code(self) -> int | None:
        """The exit code once nothing of the group is left, negative for a signal; never waits."""

    def end(self) -> None:
        """Send SIGTERM to the group, and SIGKILL after the grace; returns at once, safe in a signal handler."""

    def close(self) -> None:
        """Close the file descriptors."""


class Output(Protocol):
    """Takes a step's output."""

    def take(self, data: bytes) -> None:
        """Take the next bytes."""

    def flush(self) -> None:
        """The output is complete."""


class OrdinaryProcess:
    """A child process that imports its libraries itself; on Linux the kernel kills it when this process ends."""

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
        # A pidfd lets poll() wait for the exit and for output at once; Popen.wait would see the exit alone.
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
        # In a container whose first process does not reap orphans, a group of zombies stays for ever.
        is_overdue = self._kill_at is not None and time.monotonic() > self._kill_at + TIDY_SECONDS
        return code if is_overdue or not group_exists(self.pid) else None

    def end(self) -> None:
        """Send SIGTERM to the group, and SIGKILL after the grace; returns at once, safe in a signal handler."""
        if self._kill_at is None:
            self._kill_at = time.monotonic() + self._grace_seconds
            signal_group(self.pid, signal.SIGTERM)

    def close(self) -> None:
        """Close the file descriptors."""
        os.close(self.output)
        if self.watched is not None:
            os.close(self.watched)


def follow(process: StepProcess, output: Output) -> int:
    """
    Pass on what a step writes until its whole process group has ended.

    :return: its exit code, negative for the signal that ended it.
    :raises TemporaryError: if the supervisor of this task died; nobody would read the result.
    """
    poller = select.poll()
    poller.register(process.output, select.POLLIN)
    poller.register(LOG_DESCRIPTOR, 0)  # no event: a hang-up is reported always
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
    # A process that left the group (setsid) may hold the pipe open for ever: read what there is, and do not wait.
    with contextlib.suppress(BlockingIOError):
        while _read(descriptor, output):
            pass
    output.flush()
