import subprocess
import sys
import threading
from pathlib import Path

import pytest

from include.errors import ConfigurationError, TemporaryError
from plugins.airflow_patches.sweeping import PAUSES_SECONDS, SPACING_SECONDS, Sweeper

ROOT = Path(__file__).resolve().parents[3]


class Sweeps:
    """A sweep that waits until it is let go, and time that does not pass."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.count = 0
        self.slept: list[float] = []
        self.has_begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.sweeper = Sweeper(self._sweep, self.slept.append)

    def _sweep(self) -> None:
        self.count += 1
        self.has_begun.release()
        assert self.may_end.acquire(timeout=30)
        if self.errors:
            raise self.errors.pop(0)

    def end(self, sweeps: int) -> None:
        """Let sweeps end, and wait until no more come."""
        threads = [one for one in threading.enumerate() if one.name == "pod-sweep"]
        self.may_end.release(sweeps)
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()


def test_a_sweep_is_requested_without_waiting_for_it() -> None:
    sweeps = Sweeps()
    sweeps.sweeper.request()
    assert sweeps.has_begun.acquire(timeout=30)
    sweeps.end(1)
    assert sweeps.count == 1
    sweeps.sweeper.request()
    sweeps.end(1)
    assert sweeps.count == 2


def test_requests_during_a_sweep_share_one_that_begins_later() -> None:
    sweeps = Sweeps()
    sweeps.sweeper.request()
    assert sweeps.has_begun.acquire(timeout=30)
    for _ in range(100):
        sweeps.sweeper.request()
    sweeps.end(100)
    assert sweeps.count == 2
    assert sweeps.slept == [SPACING_SECONDS] * 2


def test_a_cluster_that_does_not_respond_is_retried_and_then_left_to_the_reaper(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sweeps = Sweeps(*[TemporaryError("The cluster does not answer.")] * 10)
    sweeps.sweeper.request()
    sweeps.end(10)
    assert sweeps.slept == [*PAUSES_SECONDS, SPACING_SECONDS]
    assert sweeps.count == len(PAUSES_SECONDS) + 1
    assert [record.getMessage() for record in caplog.records] == [
        "Pods of tasks that were ended by hand are left to the reaper: The cluster does not answer."
    ]


def test_a_cluster_that_refuses_is_not_retried(caplog: pytest.LogCaptureFixture) -> None:
    sweeps = Sweeps(ConfigurationError("No rights."))
    sweeps.sweeper.request()
    sweeps.end(1)
    assert sweeps.count == 1
    assert "No rights." in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_ends_one_sweep_and_not_those_after_it() -> None:
    sweeps = Sweeps(ZeroDivisionError("a bug"))
    sweeps.sweeper.request()
    sweeps.end(1)
    sweeps.sweeper.request()
    sweeps.end(1)
    assert sweeps.count == 2


def test_nothing_heavy_is_imported_before_the_first_sweep() -> None:
    heavy = "[name for name in ('airflow', 'kubernetes') if name in sys.modules]"
    code = f"import sys, plugins.airflow_patches.sweeping; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
