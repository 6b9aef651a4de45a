"""
Process groups, and a process's settings in the Linux kernel. Standard library only: used before packages are installed.

The processes of a group are ended together. Its leader was started with ``start_new_session=True`` or has called
``os.setsid()``, so the group's number is the leader's process id. The settings are those of prctl(2); on other systems
the functions do nothing.
"""

import ctypes
import os
import signal
import sys
import time

_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 15, 36
_NAME_BYTES = 15
_LOOK_SECONDS = 0.1


def signal_group(group: int, number: signal.Signals) -> bool:
    """Send a signal to all members of a group; returns whether it has any, zombies included."""
    return _kill_group(group, number)


def group_exists(group: int) -> bool:
    """Whether a group has any member, zombies included: where orphans are not reaped, it may have them for ever."""
    return _kill_group(group, 0)


def end_group(group: int, grace_seconds: float) -> None:
    """
    Send SIGTERM to a group, and SIGKILL to what is left of it after the grace.

    Zombies count: a caller that is the leader's parent, and does not reap it meanwhile, waits for the whole grace.
    """
    deadline = time.monotonic() + grace_seconds
    remains = signal_group(group, signal.SIGTERM)
    while remains and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        remains = group_exists(group)
    if remains:
        signal_group(group, signal.SIGKILL)


def set_parent_death_signal(number: signal.Signals) -> None:
    """
    Have the kernel send this process a signal when its parent ends.

    The kernel sends none for a parent that ended before this call: compare ``os.getppid()`` afterwards to be sure.
    """
    _prctl(_PR_SET_PDEATHSIG, number)


def become_subreaper() -> None:
    """Become the parent of all descendants whose own parent ends, those in sessions of their own included."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def set_process_name(name: str) -> None:
    """Show this name for the process in ``ps`` and ``top``; the kernel keeps its first 15 bytes."""
    _prctl(_PR_SET_NAME, name.encode()[:_NAME_BYTES])


def _kill_group(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS raises the latter for a group of zombies
        return False
    return True


def _prctl(option: int, argument: int | bytes) -> None:
    if sys.platform == "linux":  # Python has no wrapper for prctl(2)
        ctypes.CDLL(None).prctl(option, argument, 0, 0, 0)
