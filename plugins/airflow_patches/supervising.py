"""
Let the executor's worker notice at once that a task's process has ended.

The supervisor of a task listens to four sockets of the task's process. When the process ends, they close a moment
before the kernel reports its end. On a busy machine the supervisor often looks in between: it sees the process alive,
has no socket left to listen to, and sleeps for a whole ``[workers] min_heartbeat_interval``, 5 s, in which its worker
takes no other task (Airflow 3.3, ``WatchedSubprocess._monitor_subprocess``). With this patch it waits 10 ms at most
once all sockets are closed.
"""

import functools
from typing import Any

from airflow.sdk.execution_time.supervisor import ActivitySubprocess

LOOK_AGAIN_SECONDS = 0.01


def see_ends_at_once() -> None:
    """Replace the waiting method of Airflow's supervisors, in this process and in those that are forked from it."""
    wait = ActivitySubprocess._service_subprocess  # noqa: SLF001 (the one method that waits)
    if hasattr(wait, "__wrapped__"):
        return

    @functools.wraps(wait)
    def wait_for_what_is_left(self: ActivitySubprocess, max_wait_time: float, *more: Any, **options: Any) -> int | None:
        longest = max_wait_time if self._open_sockets else LOOK_AGAIN_SECONDS
        code: int | None = wait(self, longest, *more, **options)
        return code

    setattr(ActivitySubprocess, wait.__name__, wait_for_what_is_left)
