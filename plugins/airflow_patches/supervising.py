"""
Let the executor's worker see at once that a task's process has ended.

The supervisor of a task listens to four sockets of the task's process. When that process ends, they close a moment
before the kernel reports the end, and on a busy machine the supervisor often looks in between: it finds the process
alive, has nothing left to listen to, and sleeps for a whole ``[workers] min_heartbeat_interval``, 5 s, while its worker
takes no other task (Airflow 3.3, ``WatchedSubprocess._monitor_subprocess``). Here it looks again soon, if there is
nothing to listen to.
"""

import functools
from typing import Any

from airflow.sdk.execution_time.supervisor import ActivitySubprocess

LOOK_AGAIN_SECONDS = 0.01


def see_ends_at_once() -> None:
    """Replace how supervisors of tasks wait, in this process and in those that are forked from it."""
    wait = ActivitySubprocess._service_subprocess  # noqa: SLF001 (the one method that waits)
    if hasattr(wait, "__wrapped__"):
        return

    @functools.wraps(wait)
    def wait_for_what_is_left(self: ActivitySubprocess, max_wait_time: float, *more: Any, **options: Any) -> int | None:
        longest = max_wait_time if self._open_sockets else LOOK_AGAIN_SECONDS
        code: int | None = wait(self, longest, *more, **options)
        return code

    setattr(ActivitySubprocess, wait.__name__, wait_for_what_is_left)
