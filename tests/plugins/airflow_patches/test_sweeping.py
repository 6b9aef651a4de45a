import subprocess
import sys
import threading
from pathlib import Path

import pytest

from include.errors import ConfigurationError, TemporaryError
from plugins.airflow_patches.sweeping import PAUSES_SECONDS, SPACING_SECONDS, Sweeper

ROOT = Path(__file__).resolve().parents[3]


class Looks:
    """A sweep that waits until it is let go, and time that does not pass."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.count = 0
        self.slept: list[float] = []
        self.has_begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.sweeper = Sweeper(self._look, self.slept.append)

    def _look(self) -> None:
        self.count += 1
        self.has_begun.release()
        assert self.may_end.acquire(timeout=30)
        if self.errors:
            raise self.errors.pop(0)

    def end(self, looks: int) -> None:
        """Let looks end, and wait until no more come."""
        threads = [one for one in threading.enumerate() if one.name == "pod-sweep"]
        self.may_end.release(looks)
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()


def test_a_look_is_asked_for_without_waiting_for_it() -> None:
    looks = Looks()
    looks.sweeper.ask()
    assert looks.has_begun.acquire(timeout=30)
    looks.end(1)
    assert looks.count == 1
    looks.sweeper.ask()
    looks.end(1)
    assert looks.count == 2


def test_whoever_asks_during_a_look_gets_one_that_begins_later_and_all_of_them_share_it() -> None:
    looks = Looks()
    looks.sweeper.ask()
    assert looks.has_begun.acquire(timeout=30)
    for _ in range(100):
        looks.sweeper.ask()
    looks.end(100)
    assert looks.count == 2
    assert looks.slept == [SPACING_SECONDS] * 2


def test_what_does_not_answer_is_asked_again_and_then_left_to_the_reaper(caplog: pytest.LogCaptureFixture) -> None:
    looks = Looks(*[TemporaryError("The cluster does not answer.")] * 10)
    looks.sweeper.ask()
    looks.end(10)
    assert looks.slept == [*PAUSES_SECONDS, SPACING_SECONDS]
    assert looks.count == len(PAUSES_SECONDS) + 1
    assert [record.getMessage() for record in caplog.records] == [
        "Pods of tasks that were ended by hand are left to the reaper: The cluster does not answer."
    ]


def test_a_cluster_that_refuses_is_not_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    looks = Looks(ConfigurationError("No rights."))
    looks.sweeper.ask()
    looks.end(1)
    assert looks.count == 1
    assert "No rights." in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_ends_one_look_and_not_those_after_it() -> None:
    looks = Looks(ZeroDivisionError("a bug"))
    looks.sweeper.ask()
    looks.end(1)
    looks.sweeper.ask()
    looks.end(1)
    assert looks.count == 2


def test_nothing_heavy_is_imported_before_the_first_look() -> None:
    heavy = "[name for name in ('airflow', 'kubernetes') if name in sys.modules]"
    code = f"import sys, plugins.airflow_patches.sweeping; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
