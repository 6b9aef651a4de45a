"""How many threads a step's libraries may use: on a busy machine too many are slower than one."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager

from include.contract import settings
from include.errors import ConfigurationError
from include.runtime.context import StepContext

WAITING = ("OMP_WAIT_POLICY", "passive")
"""
Set before a library loads OpenMP: threads that wait for one another sleep instead of spinning. On a busy machine of two
CPUs a fit with two spinning threads took 54-68 s; asleep 7.5 s, like a fit with one thread.
"""


def thread_count(context: StepContext) -> int:
    """
    The installation's setting, or the CPUs that the spec requests; never more than this process may use.

    :raises ConfigurationError: if the setting is no whole number from 1.
    """
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = context.stores.environment.get(settings.THREADS)
    if given is None:
        cpu = context.spec.execution.for_step(context.command.step.value).cpu or 1
        return max(1, min(here, math.ceil(cpu)))
    if not (given.isascii() and given.isdecimal()) or int(given) < 1:
        message = f"Environment variable {settings.THREADS} is '{given}'; a whole number from 1 is expected."
        raise ConfigurationError(message)
    return min(here, int(given))


@contextmanager
def capped_threads(count: int) -> Iterator[None]:
    """Let OpenMP and BLAS use this many threads."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no types

    with threadpool_limits(limits=count):
        yield
