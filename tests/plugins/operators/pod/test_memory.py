import dataclasses

import pytest

from include.contract.layout import memory_key
from include.errors import PermanentError, TemporaryError
from include.spec.resources import ResourceSpec
from include.stores.objects.memory import MemoryObjects
from plugins.operators.pod.memory import memory_of_try, next_size, ran_out
from tests.support.worlds.pod_world import COMMAND

RESOURCES = ResourceSpec(memory="1Gi", memory_at_most="3Gi")


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


def test_each_try_that_ran_out_gives_the_next_one_twice_as_much_up_to_the_ceiling(objects: MemoryObjects) -> None:
    got = []
    for attempt in (1, 2, 3):
        command = dataclasses.replace(COMMAND, attempt=attempt)
        got.append(memory_of_try(command, RESOURCES, objects))
        error = ran_out(command, got[-1], RESOURCES, objects)
        assert isinstance(error, TemporaryError if attempt < 3 else PermanentError)
    assert got == ["1Gi", "2Gi", "3Gi"]


def test_the_error_says_what_comes_next(objects: MemoryObjects) -> None:
    told = str(ran_out(COMMAND, "1Gi", RESOURCES, objects))
    assert "train of flights 2013-09, run manual__1, try 1 needs more than 1Gi of memory" in told
    assert "The next try gets 2Gi (execution.steps.train.memory_at_most of project 'flights' is 3Gi)." in told


def test_at_the_ceiling_the_error_says_what_was_needed_and_what_to_change(objects: MemoryObjects) -> None:
    told = str(ran_out(COMMAND, "3Gi", RESOURCES, objects))
    assert "needs more than 3Gi of memory" in told
    assert "Raise execution.steps.train.memory_at_most of project 'flights'" in told


def test_without_a_ceiling_there_is_no_larger_size(objects: MemoryObjects) -> None:
    assert isinstance(ran_out(COMMAND, "1Gi", ResourceSpec(memory="1Gi"), objects), PermanentError)


def test_more_memory_in_the_form_is_not_less_than_what_was_learned(objects: MemoryObjects) -> None:
    ran_out(COMMAND, "1Gi", RESOURCES, objects)
    again = dataclasses.replace(COMMAND, attempt=2)
    asked = ResourceSpec(memory="8Gi", memory_at_most="8Gi")
    assert memory_of_try(again, asked, objects) == "8Gi"


def test_other_runs_and_later_tries_do_not_count(objects: MemoryObjects) -> None:
    ran_out(dataclasses.replace(COMMAND, run="other"), "1Gi", RESOURCES, objects)
    ran_out(dataclasses.replace(COMMAND, attempt=5), "1Gi", RESOURCES, objects)
    assert memory_of_try(dataclasses.replace(COMMAND, attempt=2), RESOURCES, objects) == "1Gi"


def test_what_was_learned_lies_where_no_outcome_does(objects: MemoryObjects) -> None:
    ran_out(COMMAND, "1Gi", RESOURCES, objects)
    key = memory_key("flights", "manual__1", "train", "2013-09", 1)
    assert objects.get(key) == b'{"memory":"1Gi"}'
    assert not objects.list("runs/")


@pytest.mark.parametrize(("memory", "expected"), [("512Mi", "1024Mi"), ("1Gi", "2Gi"), ("2Gi", "3Gi"), ("3Gi", "3Gi")])
def test_the_next_size(memory: str, expected: str) -> None:
    assert next_size(memory, RESOURCES) == expected
