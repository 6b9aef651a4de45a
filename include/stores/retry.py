"""
How long a store waits for a server that is away: a minute without it, a restart or a moved pod, fails no step.

Only what may be asked twice is asked again. Once patience has run out no further try begins, so that a call ends within
the patience and the time limit of one try.
"""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from include.errors import TemporaryError

PATIENCE_SECONDS = 75.0
"""Longer than a minute, and shorter than a lease lives."""
_FIRST_WAIT_SECONDS = 0.25
_LONGEST_WAIT_SECONDS = 5.0

Answer = TypeVar("Answer")


def patiently(ask: Callable[[], Answer], seconds: float) -> Answer:
    """
    Ask, and ask again while the answer is that something outside failed.

    :param ask: may be called again, whatever became of the call before.
    :param seconds: no further try begins later than this after the first one; 0 for one try.
    :raises TemporaryError: of the last try.
    """
    began, wait, tries = time.monotonic(), _FIRST_WAIT_SECONDS, 0
    while True:
        tries += 1
        try:
            return ask()
        except TemporaryError as error:
            pause = wait * (0.5 + random.random())  # noqa: S311 (spreads retries, no secret)
            waited = time.monotonic() - began
            if waited + pause > seconds:
                told = f" It was asked {tries} times in {waited:.0f} s." if tries > 1 else ""
                raise type(error)(f"{error}{told}") from error
        time.sleep(pause)
        wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
