import time
from collections.abc import Callable

import pytest

from include.coordination.leases import LEASE_SECONDS
from include.errors import ConfigurationError, LeaseLostError, TemporaryError
from include.stores import retry as patience
from include.stores.retry import PATIENCE_SECONDS, patiently


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
    assert patiently(away_until(clock, 60), PATIENCE_SECONDS) == "answer"
    assert 60 <= clock.now <= 60 + 1.5 * patience._LONGEST_WAIT_SECONDS
    assert max(clock.pauses) <= 1.5 * patience._LONGEST_WAIT_SECONDS


def test_patience_is_bounded_and_says_how_long_it_was(clock: Clock) -> None:
    with pytest.raises(TemporaryError, match=r"No answer\. It was asked \d+ times in (6\d|7[0-5]) s\."):
        patiently(away_until(clock, 1e9), PATIENCE_SECONDS)
    assert clock.now <= PATIENCE_SECONDS


def test_without_patience_there_is_one_try(clock: Clock) -> None:
    with pytest.raises(TemporaryError, match=r"^No answer\.$"):
        patiently(away_until(clock, 1), 0)
    assert clock.pauses == []


def test_what_is_not_temporary_is_not_asked_again(clock: Clock) -> None:
    def refuse() -> None:
        raise ConfigurationError("Not yours.")

    with pytest.raises(ConfigurationError, match="Not yours"):
        patiently(refuse, PATIENCE_SECONDS)
    assert clock.pauses == []


def test_the_kind_of_the_error_stays(clock: Clock) -> None:
    def lost() -> None:
        raise LeaseLostError("Lost.")

    with pytest.raises(LeaseLostError, match="Lost"):
        patiently(lost, 3)


def test_a_lease_outlives_the_patience_with_a_store() -> None:
    assert PATIENCE_SECONDS < LEASE_SECONDS
