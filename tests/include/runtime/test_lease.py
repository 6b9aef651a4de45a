import threading
import time
from collections.abc import Callable

import pytest

from include.contract.command import StepCommand
from include.contract.layout import leases_prefix
from include.contract.step_names import StepName
from include.coordination.leases import LEASE_SECONDS, Leases, revoke
from include.errors import LeaseLostError, TemporaryError
from include.runtime import lease as lease_module
from include.runtime.lease import Lease
from include.stores.objects.memory import MemoryObjects

PREFIX = leases_prefix("shop", "r", "validate", "2013-03")


def command(attempt: int = 1) -> StepCommand:
    return StepCommand(step=StepName.VALIDATE, project="shop", partition="2013-03", run="r", attempt=attempt)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Objects(MemoryObjects):
    """Counts looks, and is away if so set."""

    looks = 0
    is_away = False

    def list(self, prefix: str) -> list[str]:
        self.looks += 1
        self._refuse_when_away()
        return super().list(prefix)

    def create(self, key: str, data: bytes) -> bool:
        self._refuse_when_away()
        return super().create(key, data)

    def _refuse_when_away(self) -> None:
        if self.is_away:
            message = "No answer."
            raise TemporaryError(message)


@pytest.fixture
def objects() -> Objects:
    return Objects()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread looks all the time."""
    monkeypatch.setattr(lease_module, "LOOK_SECONDS", 0.01)


def eventually(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.01)
    return is_so()


def test_a_short_step_writes_one_document_and_leaves_no_thread(
    objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Lease(objects, command()) as lease:
        lease.check()
    assert objects.list("") == [f"{PREFIX}000001.json"]
    assert eventually(lambda: not [thread for thread in threading.enumerate() if thread.name == "lease"])


def test_a_lease_is_taken_once_however_many_threads_want_it(objects: Objects) -> None:
    lease = Lease(objects, command())
    threads = [threading.Thread(target=lease.take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert objects.list("") == [f"{PREFIX}000001.json"]
    assert len([thread for thread in threading.enumerate() if thread.name == "lease"]) == 1
    lease.release()


def test_a_lease_that_was_lost_is_not_taken_anew(objects: Objects) -> None:
    lease = Lease(objects, command())
    lease.take()
    Leases(objects, command(2)).take()
    with pytest.raises(LeaseLostError, match="Attempt 2 on"):
        lease.take()
    lease.release()
    assert len(objects.list("")) == 2


def test_a_lease_that_was_taken_while_the_store_was_going_away_is_kept_once_it_is_wanted_again(
    objects: Objects, hurried: None
) -> None:
    class LookAway(Objects):
        def list(self, prefix: str) -> list[str]:
            self._refuse_when_away()
            return super().list(prefix)

        def create(self, key: str, data: bytes) -> bool:
            made = super().create(key, data)
            self.is_away = not key.endswith("-000001.json")
            return made

    store, clock = LookAway(), Clock()
    lease = Lease(store, command(), clock=clock)
    with pytest.raises(TemporaryError, match="No answer"):
        lease.take()
    store.is_away = False
    lease.take()
    clock.now += 31
    assert eventually(lambda: store.exists(f"{PREFIX}000001-000001.json"))
    lease.release()


def test_nothing_is_published_before_the_lease_is_taken(objects: Objects) -> None:
    with pytest.raises(RuntimeError, match="its lease was not taken"):
        Lease(objects, command()).check()


def test_a_try_that_was_called_off_does_not_begin(objects: Objects) -> None:
    revoke(objects, command())
    with pytest.raises(LeaseLostError, match="was called off"), Lease(objects, command()):
        pytest.fail("it began")


def test_a_look_that_is_young_enough_is_not_repeated(objects: Objects) -> None:
    clock = Clock()
    with Lease(objects, command(), clock=clock) as lease:
        before = objects.looks
        lease.check(seen_within_seconds=5)
        assert objects.looks == before
        clock.now += 6
        lease.check(seen_within_seconds=5)
        lease.check()
        assert objects.looks == before + 2


def test_a_loss_is_for_good_and_needs_no_further_look(objects: Objects) -> None:
    with Lease(objects, command()) as lease:
        Leases(objects, command(2)).take()
        with pytest.raises(LeaseLostError, match="Attempt 2 on"):
            lease.check()
        objects.is_away = True
        with pytest.raises(LeaseLostError, match="Attempt 2 on"):
            lease.check(seen_within_seconds=60)


def test_a_step_that_was_told_to_end_publishes_nothing_and_says_why(objects: Objects) -> None:
    with Lease(objects, command()) as lease:
        lease.lose(TemporaryError("Told to end."))
        lease.lose(TemporaryError("A second reason."))
        with pytest.raises(TemporaryError, match="Told to end"):
            lease.check()
        lease.check_undoing()


def test_what_was_done_may_be_taken_back_until_another_try_takes_over(objects: Objects) -> None:
    with Lease(objects, command()) as lease:
        revoke(objects, command())
        lease.check_undoing()
        Leases(objects, command(2)).take()
        with pytest.raises(LeaseLostError, match="Attempt 2 on"):
            lease.check_undoing()


def test_a_store_that_is_away_for_a_moment_costs_no_lease(objects: Objects) -> None:
    with Lease(objects, command()) as lease:
        objects.is_away = True
        with pytest.raises(TemporaryError, match="No answer"):
            lease.check()
        objects.is_away = False
        lease.check()


def test_a_lease_that_could_not_be_renewed_for_its_life_is_lost_though_nobody_took_it(objects: Objects) -> None:
    clock = Clock()
    with Lease(objects, command(), clock=clock) as lease:
        clock.now += LEASE_SECONDS
        lease.check()
        clock.now += 1
        with pytest.raises(LeaseLostError, match="could not be renewed for 120 s, so it publishes nothing"):
            lease.check()


def test_a_look_that_outlasted_the_lease_is_none(objects: Objects) -> None:
    clock = Clock()

    class Slow(Objects):
        def list(self, prefix: str) -> list[str]:
            clock.now += LEASE_SECONDS
            return super().list(prefix)

    slow = Slow()
    lease = Lease(slow, command(), clock=clock)
    with lease, pytest.raises(LeaseLostError, match="could not be renewed"):
        lease.check()


def test_a_long_step_renews_its_lease(objects: Objects, hurried: None, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    with Lease(objects, command(), clock=clock) as lease:
        clock.now += 31
        assert eventually(lambda: objects.exists(f"{PREFIX}000001-000001.json"))
        clock.now += 100
        assert eventually(lambda: objects.exists(f"{PREFIX}000001-000002.json"))
        lease.check()
    assert len(objects.list("")) == 3


def test_a_step_at_work_is_told_that_it_was_called_off(objects: Objects, hurried: None) -> None:
    losses: list[TemporaryError] = []
    with Lease(objects, command(), on_loss=losses.append):
        revoke(objects, command())
        assert eventually(lambda: bool(losses))
    assert "was called off" in str(losses[0])
    assert len(losses) == 1


def test_a_store_that_stays_away_ends_the_step_when_the_lease_has_run_out(objects: Objects, hurried: None) -> None:
    clock, losses = Clock(), list[TemporaryError]()
    with Lease(objects, command(), on_loss=losses.append, clock=clock):
        objects.is_away = True
        before = objects.looks
        assert eventually(lambda: objects.looks > before + 2)
        assert losses == []
        clock.now += LEASE_SECONDS + 1
        assert eventually(lambda: bool(losses))
    assert "could not be renewed" in str(losses[0])
