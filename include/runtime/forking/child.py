"""What a forked child does: leave behind what was the server's, become the step, end."""

import atexit
import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Collection
from typing import NoReturn

from include.contract import settings
from include.contract.fork_protocol import ForkRequest
from include.errors import EXIT_BUG
from include.processes import set_parent_death_signal, set_process_name
from include.runtime.cli import main
from include.runtime.forking.warmup import ThreadPools

CAUGHT = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
"""Signals that the server handles, and holds back while it forks."""


def become_step(
    request: ForkRequest,
    output: tuple[int, int],
    *,
    server_pid: int,
    inherited: Collection[int],
    threads: ThreadPools,
) -> NoReturn:
    """
    Run one step in this process, which was forked for it, and end.

    :param output: file descriptors of standard output and standard error.
    :param inherited: file descriptors of the server, which are not the child's.
    :param threads: the native thread pools of the server's libraries, to be capped to ``ML_THREADS``.
    """
    code = EXIT_BUG
    try:
        _leave_server(server_pid)
        _take_descriptors(output, inherited)
        _take_surroundings(request)
        # Kept until the end: letting it go would lift the cap.
        _cap = threads.limit(limits=_threads())
        set_process_name(f"step {request.arguments[0] if request.arguments else ''}")
        code = main(request.arguments)
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else EXIT_BUG
    finally:
        _end(code)


def _leave_server(server_pid: int) -> None:
    os.setsid()
    set_parent_death_signal(signal.SIGKILL)
    if os.getppid() != server_pid:
        os._exit(EXIT_BUG)  # the server died before the kernel knew that this process is to follow it
    signal.set_wakeup_fd(-1)
    for number in CAUGHT:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, CAUGHT)


def _take_descriptors(output: tuple[int, int], inherited: Collection[int]) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in zip((nothing, *output), (0, 1, 2), strict=True):
        os.dup2(source, target)
    for descriptor in {nothing, *output, *inherited} - {0, 1, 2}:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    for stream in (sys.stdout, sys.stderr):
        # Nobody could see a partial line: the reader waits for whole ones.
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def _take_surroundings(request: ForkRequest) -> None:
    os.environ.clear()
    os.environ.update(request.environment)
    # The kernel already ends this process with its parent, the server, which ends it with its caller.
    os.environ.pop(settings.DIE_WITH_PARENT, None)
    os.chdir(request.folder)
    importlib.invalidate_caches()
    if "numpy" in sys.modules:
        # Every child would otherwise draw the same numbers from the global generator.
        sys.modules["numpy"].random.seed()


def _threads() -> int | None:
    wanted = os.environ.get(settings.THREADS, "")
    return int(wanted) if wanted.isdigit() and int(wanted) > 0 else os.cpu_count()


def _end(code: int) -> NoReturn:
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()  # noqa: SLF001 (an ordinary process would; os._exit does not)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
