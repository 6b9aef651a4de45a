"""
The guard of one service: starts it in a session of its own and leaves no process of it behind (ADR 7).

Standard input is the lifeline to the process that started the guard. When it closes, that process has ended, in
whatever way, and the guard stops the service. A byte ``D`` before the end means that the service is to run on. On Linux
the guard is the subreaper of the service: a descendant that starts a session of its own stays the guard's.
"""

import argparse
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from include.processes import become_subreaper, signal_group
from local_platform.services.processes import Process, descendants

DETACH = b"D"
POLL_SECONDS = 0.05
REMAINDER_SECONDS = 2.0
"""How long processes that outlive the service may take after SIGTERM."""


class Guard:
    """Watches one service until it ends or is to be stopped."""

    def __init__(self, record: Path, grace_seconds: float, stop_signal: signal.Signals = signal.SIGTERM) -> None:
        self._record = record
        self._grace_seconds = grace_seconds
        self._stop_signal = stop_signal
        self._is_shutting_down = False
        self._exit_code: int | None = None
        self._service = 0

    def run(self, name: str, words: list[str]) -> int:
        """Start the service, wait for its end, end what it started; returns the service's exit code."""
        become_subreaper()
        wakeup = self._listen()
        # Not the guard's standard input: a service that reads it would steal the byte that detaches.
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True)
        self._service = child.pid
        self._write_record(name)
        lifeline: int | None = sys.stdin.fileno()
        while self._exit_code is None and not self._is_shutting_down:
            watched = [wakeup] if lifeline is None else [wakeup, lifeline]
            ready, _, _ = select.select(watched, [], [])
            if wakeup in ready:
                os.read(wakeup, 4096)
            if lifeline in ready and lifeline is not None:
                self._is_shutting_down = self._is_shutting_down or os.read(lifeline, 1) != DETACH
                lifeline = None
            self._reap()
        self._end_all()
        self._record.unlink(missing_ok=True)
        return self._exit_code if self._exit_code is not None else 1

    def _listen(self) -> int:
        # select() restarts after a signal (PEP 475), so signals arrive as bytes of a pipe that is selected on.
        receiving, sending = os.pipe()
        os.set_blocking(sending, False)
        signal.set_wakeup_fd(sending, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._shut_down)
        # Ctrl-C and a closed terminal are the starting process's; the guard learns of its end by the lifeline.
        for ignored in (signal.SIGINT, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        return receiving

    def _shut_down(self, *_: object) -> None:
        self._is_shutting_down = True

    def _write_record(self, name: str) -> None:
        own, service = Process.of(os.getpid()), Process.of(self._service)
        if own is None or service is None:
            return
        record = {"name": name, "guard": [own.pid, own.started], "service": [service.pid, service.started]}
        partial = self._record.with_suffix(".partial")
        partial.write_text(json.dumps(record))
        # Readers see a whole record or none.
        partial.replace(self._record)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            # A subreaper inherits orphans and has to wait for them: any child, not only the service.
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self._service:
                    self._exit_code = os.waitstatus_to_exitcode(status)

    def _end_all(self) -> None:
        if self._exit_code is None:
            signal_group(self._service, self._stop_signal)
            self._wait(self._grace_seconds, only_service=True)
        signal_group(self._service, signal.SIGTERM)
        for process in descendants(os.getpid()):
            process.signal(signal.SIGTERM)
        self._wait(REMAINDER_SECONDS, only_service=False)
        # A process may start another one before it is killed, so list again until none is left.
        while rest := descendants(os.getpid()):
            signal_group(self._service, signal.SIGKILL)
            for process in rest:
                process.signal(signal.SIGKILL)
            self._reap()
            time.sleep(POLL_SECONDS)

    def _wait(self, timeout_seconds: float, *, only_service: bool) -> None:
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            self._reap()
            if only_service and self._exit_code is not None:
                return
            if not descendants(os.getpid()):
                return
            time.sleep(POLL_SECONDS)


def main() -> int:
    """Read the command line, guard the service."""
    parser = argparse.ArgumentParser(prog="python -m local_platform.services.guard")
    parser.add_argument("--name", required=True)
    parser.add_argument(
        "--record", required=True, type=Path, help="file with the process ids of guard and service while they run"
    )
    parser.add_argument("--grace-seconds", type=float, default=10.0)
    parser.add_argument("--stop-signal", type=int, default=signal.SIGTERM, help="signal that stops the service")
    parser.add_argument("words", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    words = arguments.words[1:] if arguments.words[:1] == ["--"] else arguments.words
    stop_signal = signal.Signals(arguments.stop_signal)
    return Guard(arguments.record, arguments.grace_seconds, stop_signal).run(arguments.name, words)


if __name__ == "__main__":
    sys.exit(main())
