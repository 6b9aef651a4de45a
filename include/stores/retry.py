"""
Retries and waits of everything that talks to the outside; tenacity is configured here and nowhere else.

:func:`retried` calls again after a temporary error, :func:`wait_for` looks again until there is something to see. A
minute without a server, a restart or a moved pod, fails no step. No attempt begins after the deadline, so that a call
ends within the deadline and the time limit of one attempt.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

from include.errors import PlatformError, TemporaryError

if TYPE_CHECKING:
    from tenacity import RetryCallState

RETRY_SECONDS = 75.0
"""Longer than a minute, and shorter than a lease lives."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Backoff:
    """Pauses between attempts, in seconds: each twice the one before it, give or take half of it."""

    first_seconds: float = 0.25
    longest_seconds: float = 5.0

    def pause(self, attempt: int) -> float:
        """Seconds to wait after this attempt; the first one is 1."""
        middle = min(self.first_seconds * 2.0 ** (attempt - 1), self.longest_seconds)
        # Clients that lost one server at one moment must not come back in one moment.
        return middle * random.uniform(0.5, 1.5)  # noqa: S311 (spreads retries, no secret)


DEFAULT_BACKOFF = Backoff()


def retried(
    call: Callable[[], Result],
    *,
    seconds: float | None = RETRY_SECONDS,
    attempts: int | None = None,
    backoff: Backoff = DEFAULT_BACKOFF,
    on: type[PlatformError] = TemporaryError,
) -> Result:
    """
    Call, and call again while it raises a temporary error.

    :param call: may be called again, whatever became of the call before.
    :param seconds: no attempt begins later than this after the first one; 0 for one attempt, None for no such limit.
    :param attempts: how often to call at most; None for no such limit.
    :param on: the error after which to call again; any other goes through at once.
    :raises PlatformError: of the last attempt, with the number of attempts; of the same class.
    """
    # Imported here: a step that fails nothing never loads tenacity.
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, stop_before_delay, stop_never
    from tenacity.stop import stop_any

    retrying = Retrying(
        retry=retry_if_exception_type(on),
        wait=lambda state: backoff.pause(state.attempt_number),
        stop=stop_any(
            # stop_before_delay looks at the next pause as well, so no attempt begins after the deadline.
            stop_never if seconds is None else stop_before_delay(seconds),
            stop_never if attempts is None else stop_after_attempt(attempts),
        ),
        retry_error_callback=_give_up,
    )
    return retrying(call)


def wait_for(
    look: Callable[[], Result | None], *, seconds: float, pause_seconds: float, failure: Callable[[], PlatformError]
) -> Result:
    """
    Look until there is something to see.

    :param look: gives None while there is nothing; what it raises goes through at once.
    :param seconds: no pause begins later than this after the first look.
    :param failure: makes the error of a wait that was in vain.
    :raises PlatformError: ``failure()``, after ``seconds``.
    """
    from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

    def fail(_: "RetryCallState") -> Result:
        raise failure()

    retrying = Retrying(
        retry=retry_if_result(lambda result: result is None),
        wait=wait_fixed(pause_seconds),
        stop=stop_after_delay(seconds),
        retry_error_callback=fail,
    )
    return cast("Result", retrying(look))


def _give_up(state: "RetryCallState") -> object:
    """Raise the last error again; where there was more than one attempt, its message states it."""
    error = cast("PlatformError", state.outcome.exception() if state.outcome else None)
    count = state.attempt_number
    tried = f" It was tried {count} times in {state.seconds_since_start:.0f} s." if count > 1 else ""
    # The class carries the exit code by which Airflow retries or gives up.
    raise type(error)(f"{error}{tried}") from error
