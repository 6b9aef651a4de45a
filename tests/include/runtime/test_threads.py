"""How many threads a step's numbers use."""

import os

import pytest
from threadpoolctl import threadpool_info  # type: ignore[import-untyped]  # it has no types

from include.contract.step_names import StepName
from include.errors import ConfigurationError
from include.runtime.threads import capped_threads, thread_count
from include.spec.resources import ResourceSpec
from tests.support.worlds.training_world import World, toy_spec

HERE = len(os.sched_getaffinity(0))


def _count(cpu: float | None = None, threads: str | None = None) -> int:
    world = World(spec=toy_spec(execution__steps={"train": ResourceSpec(cpu=cpu)} if cpu else {}))
    context = world.context(StepName.TRAIN)
    context.stores.__dict__["environment"] = {} if threads is None else {"ML_THREADS": threads}
    return thread_count(context)


def test_the_spec_asks_for_cpus_and_the_machine_is_the_limit() -> None:
    assert _count() == 1
    assert _count(cpu=1.5) == min(2, HERE)
    assert _count(cpu=4096) == HERE


def test_the_installation_has_the_last_word() -> None:
    assert _count(cpu=4096, threads="1") == 1
    assert _count(threads="4096") == HERE


@pytest.mark.parametrize("threads", ["0", "-1", "two", "1.5", "٣"])
def test_a_setting_that_is_no_count_is_refused(threads: str) -> None:
    with pytest.raises(ConfigurationError, match=f"ML_THREADS is '{threads}'; a whole number from 1"):
        _count(threads=threads)


def test_threads_are_capped_while_the_block_runs() -> None:
    import sklearn.ensemble  # noqa: F401  # loads OpenMP

    with capped_threads(1):
        capped = {pool["num_threads"] for pool in threadpool_info()}

    assert capped == {1}
