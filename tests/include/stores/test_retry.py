import time
from collections.abc import Callable

import pytest

from include.coordination.leases import LEASE_SECONDS
from include.errors import ConfigurationError, LeaseLostError, TemporaryError
from include.stores.retry import DEFAULT_BACKOFF, RETRY_SECONDS, Backoff, retried, wait_for


class Clock:
    """Seconds pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    monkeypatch.setattr(time, "sleep", clock.sleep)
    return clock


def away_until(clock: Clock, moment: float) -> Callable[[], str]:
    def ask() -> str:
        if clock.now < moment:
            message = "No answer."
            raise TemporaryError(message)
        return "answer"

    return ask


def test_a_minute_without_a_server_is_waited_out(clock: Clock) -> None:
    assert retried(away_until(clock, 60), seconds=RETRY_SECONDS) == "answer"
    assert 60 <= clock.now <= 60 + 1.5 * DEFAULT_BACKOFF.longest_seconds
    assert max(clock.pauses) <= 1.5 * DEFAULT_BACKOFF.longest_seconds


def test_the_deadline_holds_and_the_message_states_how_often_it_was_tried(clock: Clock) -> None:
    with pytest.raises(TemporaryError, match=r"No answer\. It was tried \d+ times in (6\d|7[0-5]) s\."):
        retried(away_until(clock, 1e9), seconds=RETRY_SECONDS)
    assert clock.now <= RETRY_SECONDS


def test_without_time_there_is_one_attempt(clock: Clock) -> None:
    with pytest.raises(TemporaryError, match=r"^No answer\.$"):
        retried(away_until(clock, 1), seconds=0)
    assert clock.pauses == []


def test_what_is_not_temporary_is_not_retried(clock: Clock) -> None:
    def refuse() -> None:
        raise ConfigurationError("Not yours.")

    with pytest.raises(ConfigurationError, match="Not yours"):
        retried(refuse, seconds=RETRY_SECONDS)
    assert clock.pauses == []


def test_the_kind_of_the_error_stays(clock: Clock) -> None:
    def lost() -> None:
        raise LeaseLostError("Lost.")

    with pytest.raises(LeaseLostError, match="Lost"):
        retried(lost, seconds=3)


def test_a_lease_outlives_the_retries_of_a_store() -> None:
    assert RETRY_SECONDS < LEASE_SECONDS


def test_the_number_of_attempts_may_be_what_counts(clock: Clock) -> None:
    with pytest.raises(TemporaryError, match=r"It was tried 4 times in \d+ s\."):
        retried(away_until(clock, 1e9), seconds=None, attempts=4, backoff=Backoff(first_seconds=1, longest_seconds=2))
    assert [0.5 <= clock.pauses[0] <= 1.5, *(1 <= pause <= 3 for pause in clock.pauses[1:])] == [True] * 3


def test_only_the_error_that_is_named_is_tried_again(clock: Clock) -> None:
    with pytest.raises(TemporaryError, match=r"^No answer\.$"):
        retried(away_until(clock, 1), on=LeaseLostError)
    assert clock.pauses == []


def test_a_wait_ends_with_what_is_seen(clock: Clock) -> None:
    result = wait_for(
        lambda: "there" if clock.now >= 3 else None, seconds=10, pause_seconds=1, failure=lambda: TemporaryError("no")
    )
    assert (result, clock.pauses) == ("there", [1, 1, 1])


def test_a_wait_in_vain_ends_with_its_own_error(clock: Clock) -> None:
    with pytest.raises(TemporaryError, match="Nobody came in 3 s"):
        wait_for(
            lambda: None,
            seconds=3,
            pause_seconds=1,
            failure=lambda: TemporaryError(f"Nobody came in {clock.now:g} s."),
        )


def test_a_wait_hands_on_what_the_look_raises(clock: Clock) -> None:
    def refuse() -> None:
        raise LeaseLostError("Lost.")

    with pytest.raises(LeaseLostError, match="Lost"):
        wait_for(refuse, seconds=3, pause_seconds=1, failure=lambda: TemporaryError("no"))
