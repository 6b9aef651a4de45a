"""
Processes by identity: a number alone is not one, for the kernel gives it again. Standard library only.

On Linux everything is read from ``/proc``; elsewhere ``ps`` answers.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Process:
    """One process, told from any later one with the same number by the moment it started."""

    pid: int
    started: str
    """Clock ticks since boot on Linux, ``ps``'s ``lstart`` elsewhere; compared, never read."""

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """The process that now has this number, if any."""
        started = _started(pid)
        return cls(pid, started) if started else None

    @property
    def is_alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        return _started(self.pid) == self.started

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this process, if it still runs."""
        if self.is_alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


@dataclass(frozen=True)
class Row:
    """One line of the process table."""

    pid: int
    parent: int
    session: int
    state: str
    started: str


def table() -> list[Row]:
    """All processes of the machine; zombies included."""
    if PROC.joinpath("self", "stat").exists():
        numbers = (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())
        return [row for number in numbers if (row := _linux_row(number))]
    return _ps_rows([])


def descendants(root: int) -> list[Row]:
    """All living processes below one, however deep."""
    children: dict[int, list[Row]] = {}
    for row in table():
        children.setdefault(row.parent, []).append(row)
    found: list[Row] = []
    waiting = [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        found.extend(row for row in below if row.state != "Z")
        waiting.extend(row.pid for row in below)
    return found


def end(processes: Collection[Process], grace_seconds: float) -> None:
    """Ask processes to end, and kill those that have not within the grace."""
    for process in processes:
        process.signal(signal.SIGTERM)
    if not wait_until_gone(processes, grace_seconds):
        for process in processes:
            process.signal(signal.SIGKILL)
        wait_until_gone(processes, grace_seconds)


def wait_until_gone(processes: Iterable[Process], timeout_seconds: float) -> bool:
    """Wait for processes that need not be our children; whether all are gone."""
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
    if not PROC.joinpath("self", "stat").exists():
        return []
    own = {os.getpid(), *_ancestors(os.getpid())}
    found = [
        row
        for row in table()
        if row.pid not in own and row.state != "Z" and _is_ours(row, marker.encode(), sessions, folder)
    ]
    return [Process(row.pid, row.started) for row in found]


def _is_ours(row: Row, marker: bytes, sessions: Collection[int], folder: Path) -> bool:
    place = PROC / str(row.pid)
    try:
        if marker in place.joinpath("environ").read_bytes().split(b"\0"):
            return True
        return row.session in sessions and place.joinpath("cwd").readlink() == folder
    except OSError:
        return False


def _ancestors(pid: int) -> list[int]:
    parents = {row.pid: row.parent for row in table()}
    found = []
    while (pid := parents.get(pid, 0)) > 0:
        found.append(pid)
    return found


def _started(pid: int) -> str:
    row = _linux_row(pid) if PROC.joinpath("self", "stat").exists() else next(iter(_ps_rows(["-p", str(pid)])), None)
    return row.started if row and row.state != "Z" else ""


def _linux_row(pid: int) -> Row | None:
    try:
        text = PROC.joinpath(str(pid), "stat").read_text(errors="replace")
    except OSError:
        return None
    # The name in brackets may itself hold brackets and blanks: what counts begins behind the last one.
    fields = text.rpartition(")")[2].split()
    return Row(pid=pid, state=fields[0], parent=int(fields[1]), session=int(fields[3]), started=fields[19])


def _ps_rows(choice: list[str]) -> list[Row]:
    words = ["ps", *(choice or ["-A"]), "-o", "pid=,ppid=,sess=,stat=,lstart="]
    text = subprocess.run(words, check=False, capture_output=True, text=True).stdout
    rows = []
    for line in text.splitlines():
        pid, parent, session, state, started = line.split(None, 4)
        rows.append(Row(int(pid), int(parent), int(session, 16), state[0], started.strip()))
    return rows
