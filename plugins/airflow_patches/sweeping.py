"""
In the API server, where steps are pods: look at their pods soon after somebody ended a task by hand.

A task that is marked, cleared or deleted while it neither runs nor is in the triggerer is nowhere to end its pod.
Airflow tells listeners of some of these ways only, so nobody asks which task was ended how: all pods are looked at, as
the reaper does it.
"""

import logging
import threading
import time
from collections.abc import Callable

from include.errors import PlatformError, TemporaryError

PAUSES_SECONDS = (2.0, 5.0, 15.0, 60.0)
"""Before further tries, while the cluster or the database does not answer; then the pods are left to the reaper."""
SPACING_SECONDS = 1.0
"""Between two looks: whoever marks a hundred tasks one by one is served by a few."""

log = logging.getLogger(__name__)


def _sweep() -> object:
    from plugins.operators.pod.orphans import sweep  # 2,000 modules: not before the first look

    return sweep()


class Sweeper:
    """
    Looks at the pods in a thread of its own, one look at a time.

    :param sweep: looks once.
    :param sleep: waits for seconds.
    """

    def __init__(self, sweep: Callable[[], object] = _sweep, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sweep = sweep
        self._sleep = sleep
        self._lock = threading.Lock()
        self._is_asked = False
        self._is_at_work = False

    def ask(self) -> None:
        """Have a look begin after this moment; returns at once."""
        with self._lock:
            self._is_asked = True
            if self._is_at_work:
                return
            self._is_at_work = True
        threading.Thread(target=self._work, name="pod-sweep", daemon=True).start()

    def _work(self) -> None:
        try:
            while self._is_wanted():
                self._look()
                self._sleep(SPACING_SECONDS)
        except BaseException:
            with self._lock:
                self._is_at_work = False
            raise

    def _is_wanted(self) -> bool:
        with self._lock:
            self._is_at_work, self._is_asked = self._is_asked, False
            return self._is_at_work

    def _look(self) -> None:
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
"""Of this process."""
