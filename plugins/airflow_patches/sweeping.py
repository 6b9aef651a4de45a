"""
In the API server, where steps are pods: sweep the pods soon after a user has ended a task.

A task that is marked, cleared or deleted while no process of it runs, neither in a worker nor in the triggerer, cannot
end its pod itself. Airflow calls its listeners for some of these requests only (ADR 13). So each sweep looks at all
pods, as the reaper does, whichever task was ended.
"""

import logging
import threading
import time
from collections.abc import Callable

from include.errors import PlatformError, TemporaryError

PAUSES_SECONDS = (2.0, 5.0, 15.0, 60.0)
"""Before each retry, while the cluster or the database does not respond; then the pods are left to the reaper."""
SPACING_SECONDS = 1.0
"""Between two sweeps: a hundred tasks that are marked one by one cause a few sweeps only."""

log = logging.getLogger(__name__)


def _sweep() -> object:
    from plugins.operators.pod.orphans import sweep  # imports 2,000 modules: not before the first sweep

    return sweep()


class Sweeper:
    """
    Sweeps the pods in a thread of its own, one sweep at a time.

    :param sweep: sweeps once.
    :param sleep: waits; takes seconds.
    """

    def __init__(self, sweep: Callable[[], object] = _sweep, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sweep = sweep
        self._sleep = sleep
        self._lock = threading.Lock()
        self._is_requested = False
        self._is_at_work = False

    def request(self) -> None:
        """Have a sweep begin after this moment; returns at once. Requests that come during a sweep share the next."""
        with self._lock:
            self._is_requested = True
            if self._is_at_work:
                return
            self._is_at_work = True
        threading.Thread(target=self._work, name="pod-sweep", daemon=True).start()

    def _work(self) -> None:
        try:
            while self._is_wanted():
                self._sweep_with_retries()
                self._sleep(SPACING_SECONDS)
        except BaseException:  # a bug ends this thread, and must not keep the next request from starting another
            with self._lock:
                self._is_at_work = False
            raise

    def _is_wanted(self) -> bool:
        with self._lock:
            self._is_at_work, self._is_requested = self._is_requested, False
            return self._is_at_work

    def _sweep_with_retries(self) -> None:
        for pause_seconds in (*PAUSES_SECONDS, None):
            try:
                self._sweep()
            except TemporaryError as error:
                if pause_seconds is None:
                    log.warning("Pods of tasks that were ended by hand are left to the reaper: %s", error)
                    return
                self._sleep(pause_seconds)
            except PlatformError as error:
                log.warning("Pods of tasks that were ended by hand are left to the reaper: %s", error)
                return
            else:
                return


SWEEPER = Sweeper()
"""The one of this process."""
