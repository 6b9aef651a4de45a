"""
Graceful shutdown of a step: after SIGTERM, past its deadline, or when its lease is lost (ADR 14).

A thread does it, because the main thread may be in a library that does not return for minutes. The thread takes the
lease away, logs the reason, writes the outcome of the attempt and ends the process. In a container the step is process
1, for which the kernel ignores every signal without a handler. A forked step and one that is started by hand keep the
default: SIGTERM ends them at once, for whoever sent it knows why.
"""

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import psutil

from include.contract import settings
from include.errors import ConfigurationError, TemporaryError
from include.runtime.lease import Lease

CONCLUSION_SECONDS = 10.0
"""How long a step that is writing its receipt or its outcome may finish that."""
RECORD_SECONDS = 5.0
"""How long writing the outcome may take; together with the above less than a pod's usual grace period of 30 s."""
_INIT = 1


class NoShutdown:
    """For a step that nothing shuts down; also the interface of :class:`GracefulShutdown`."""

    def engage(self, lease: Lease, record: Callable[[TemporaryError], object]) -> None:
        """Set the lease to take away, and the function that writes the outcome."""

    def conclude(self) -> None:
        """From here on the main thread decides how the step ends."""

    def stop(self, error: TemporaryError) -> None:
        """End the step."""


class GracefulShutdown(NoShutdown):
    """
    Ends the process of one step, once.

    :param report: writes the reason to the log and as termination message.
    :param leave: ends the process with an exit code.
    """

    def __init__(self, report: Callable[[TemporaryError], object], leave: Callable[[int], object] = os._exit) -> None:
        self._report = report
        self._leave = leave
        self._lease: Lease | None = None
        self._record: Callable[[TemporaryError], object] = report
        self._first = threading.Lock()
        self._ending = threading.Lock()
        self._is_concluding = False
        self._is_engaged = False

    def engage(self, lease: Lease, record: Callable[[TemporaryError], object]) -> None:
        """
        Set the lease to take away, and the function that writes the outcome.

        :param record: writes the outcome of the attempt; may take long if the object store is away.
        """
        self._lease, self._record, self._is_engaged = lease, record, True

    def conclude(self) -> None:
        """From here on the main thread decides how the step ends; waits for ever if a shutdown has begun."""
        if not self._is_concluding:
            self._ending.acquire()  # never released: whichever thread has it writes the outcome
            self._is_concluding = True

    def stop(self, error: TemporaryError) -> None:
        """
        End the process with the error's exit code; called in another thread than the main one.

        :param error: why; of several reasons the first one counts.
        """
        if not self._first.acquire(blocking=False):
            return
        if self._lease is not None:
            self._lease.lose(error)
        is_ours = self._ending.acquire(timeout=CONCLUSION_SECONDS)
        self._report(error)
        if is_ours and self._is_engaged:
            _within(RECORD_SECONDS, lambda: self._record(error))
        _kill_children()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        self._leave(error.exit_code)


@contextmanager
def watching(shutdown: GracefulShutdown, environment: Mapping[str, str]) -> Iterator[None]:
    """
    Shut the step down at its deadline and, if it writes a termination message or is process 1, at SIGTERM.

    :raises ConfigurationError: if the deadline is no number of seconds.
    """
    deadline = deadline_seconds(environment)
    is_catching = os.getpid() == _INIT or bool(environment.get(settings.ERROR_PATH))
    if deadline is None and not is_catching:
        yield
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    threading.Thread(target=_watch, args=(shutdown, reading, deadline), name="watch", daemon=True).start()
    try:
        with _caught(writing) if is_catching else contextlib.nullcontext():
            yield
    finally:
        os.close(writing)  # the thread reads the end of the pipe, and is done


def deadline_seconds(environment: Mapping[str, str]) -> float | None:
    """
    How long the step may work; None for no limit.

    :raises ConfigurationError: if the setting is no number above 0.
    """
    given = environment.get(settings.DEADLINE_SECONDS)
    if not given:
        return None
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        message = f"Environment variable {settings.DEADLINE_SECONDS} is '{given}'; a number of seconds is expected."
        raise ConfigurationError(message)
    return seconds


@contextmanager
def _caught(writing: int) -> Iterator[None]:
    """SIGTERM becomes a byte in a pipe at once, even while the main thread is in a library."""
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    descriptor = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(descriptor)
        signal.signal(signal.SIGTERM, before)


def _watch(shutdown: GracefulShutdown, reading: int, deadline: float | None) -> None:
    began = time.monotonic()
    try:
        while True:
            left = None if deadline is None else max(0.0, began + deadline - time.monotonic())
            ready, _, _ = select.select([reading], [], [], left)
            if not ready:
                message = f"The step worked for longer than {deadline:.0f} s ({settings.DEADLINE_SECONDS}) and ended "
                message += "itself. Look in its log at what it was doing, or raise 'timeout' of the step in the spec."
                shutdown.stop(TemporaryError(message))
                return
            numbers = os.read(reading, 64)
            if not numbers:
                return
            if signal.SIGTERM in numbers:
                seconds = time.monotonic() - began
                message = f"The step was told to end (SIGTERM) after {seconds:.0f} s, before it left a receipt."
                shutdown.stop(TemporaryError(message))
                return
    finally:
        os.close(reading)


def _within(seconds: float, write: Callable[[], object]) -> None:
    """Wait so long for a call that may hang; its errors are dropped, for a missing outcome shows them."""

    def run() -> None:
        with contextlib.suppress(Exception):
            write()

    writer = threading.Thread(target=run, name="record", daemon=True)
    writer.start()
    writer.join(seconds)


def _kill_children() -> None:
    """Child processes of this one: nobody would wait for them."""
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            child.kill()
