"""
Ends an ordinary step, and all processes that it started, when the process that started it ends (Linux).

The kernel's parent-death signal reaches the step alone, not its children, and a step may ignore it. So a process,
forked before anything is imported, watches both and kills the step's process group once the parent is gone.
"""

import os
import select
import signal
import sys
import time
from typing import NoReturn

from include.contract import settings
from include.processes import end_group, group_exists, set_parent_death_signal

GRACE_SECONDS = 3.0
"""How long the group may take to end after SIGTERM."""
TIDY_SECONDS = 10.0
"""How long processes that a finished step left behind are watched: the parent normally ends them sooner."""
LOOK_SECONDS = 0.1


def end_with_parent() -> None:
    """Have this process and its group ended with its parent, if ``ML_DIE_WITH_PARENT`` is ``1``."""
    if os.environ.get(settings.DIE_WITH_PARENT) != "1" or sys.platform != "linux":
        return
    parent, leader = os.pidfd_open(os.getppid()), os.pidfd_open(os.getpid())
    set_parent_death_signal(signal.SIGTERM)
    # A step that does not lead its group shares it with whoever called it, a shell for one.
    if os.getpid() == os.getpgrp() and os.fork() == 0:
        _watch(parent, leader, os.getpgrp())
    for descriptor in (parent, leader):
        os.close(descriptor)


def _watch(parent: int, leader: int, group: int) -> NoReturn:
    """
    Wait until the parent or the group is gone.

    :param parent: a file descriptor that becomes readable when the parent ends.
    :param leader: the same of the step.
    """
    try:
        os.setsid()
        os.dup2(parent, 0)
        os.dup2(leader, 1)
        os.closerange(2, os.sysconf("SC_OPEN_MAX"))
        _wait(0, 1, group)
    finally:
        os._exit(0)


def _wait(parent: int, leader: int, group: int) -> None:
    select.select([parent, leader], [], [])
    until = time.monotonic() + TIDY_SECONDS
    # Where nobody reaps orphans, a group of zombies stays for ever.
    while group_exists(group) and time.monotonic() < until:
        if select.select([parent], [], [], LOOK_SECONDS)[0]:
            end_group(group, GRACE_SECONDS)
            return
