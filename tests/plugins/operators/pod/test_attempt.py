import dataclasses
import json
from typing import Any
from unittest.mock import PropertyMock, patch

import pytest

from include.contract.code_digest import code_digest
from include.contract.step_names import StepName
from include.errors import ConfigurationError, PermanentError, TemporaryError
from include.spec.resources import ResourceSpec
from include.stores.objects.memory import MemoryObjects
from plugins.operators.pod.attempt import (
    LONGEST_SLEEP_SECONDS,
    Attempt,
    LogPosition,
    Progress,
    attempt_of,
    memory_of,
    next_size,
)
from plugins.operators.pod.names import SPEC
from plugins.operators.pod.spec import pod_of
from plugins.operators.pod.verdict import ran_out
from plugins.operators.step_call import StepCall
from tests.support.worlds.pod_world import COMMAND, IMAGE, NAMESPACE, SETTINGS, context

CALL = StepCall(step="train", project="flights", partition="2013-09", options={"window": "9"})
RESOURCES = ResourceSpec(memory="1Gi", memory_at_most="3Gi")


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


def attempt(given: dict[str, str] | None = None, **more: Any) -> Attempt:
    return attempt_of(CALL, context(**more), SETTINGS | (given or {}), Progress(since=0.0))


def test_the_pod_needs_the_bundles_own_code_unless_any_may_do() -> None:
    assert attempt().command.code == code_digest(StepName.TRAIN, "flights")
    assert attempt({"ML_ANY_CODE": "1"}).command.code == ""
    assert "--code" in pod_of(attempt()).spec.containers[0].args


def test_the_pod_is_that_of_the_attempt_in_the_installations_namespace_and_image() -> None:
    pod = attempt(try_number=2, resources={}).identity
    assert pod.try_number == 2
    made = pod_of(attempt())
    assert (made.metadata.namespace, made.spec.containers[0].image) == (NAMESPACE, IMAGE)
    assert made.metadata.annotations["ml-platform.org/subject"] == "2013-09"
    assert attempt({"ML_POD_NAMESPACE": ""}).namespace == "ml-steps"


def test_two_launchers_of_one_attempt_request_the_same() -> None:
    assert pod_of(attempt()).metadata.annotations[SPEC] == pod_of(attempt()).metadata.annotations[SPEC]


def test_the_form_reaches_the_pod() -> None:
    made = pod_of(attempt(resources={"train": {"memory": "3Gi", "cpu": 2}}))
    [container] = made.spec.containers
    assert container.resources.requests == {"cpu": "2", "memory": "3Gi", "ephemeral-storage": "2Gi"}
    assert {one.name: one.value for one in container.env}["OMP_NUM_THREADS"] == "2"


def test_an_attempt_after_one_that_ran_out_of_memory_gets_more() -> None:
    objects = MemoryObjects()
    spec = attempt().resources
    ran_out(COMMAND, "2Gi", spec, objects)
    with patch.object(Attempt, "documents", new_callable=PropertyMock, return_value=objects):
        assert attempt(try_number=2).memory == "4Gi"


def test_a_first_attempt_does_not_read_the_object_store() -> None:
    with patch.object(Attempt, "documents", new_callable=PropertyMock, side_effect=AssertionError):
        assert attempt().memory == attempt().resources.memory


def test_an_installation_without_an_image_is_an_error_that_names_the_setting() -> None:
    with pytest.raises(ConfigurationError, match=r"ML_STEP_IMAGE of Airflow's worker is not set.*make images"):
        pod_of(attempt({"ML_STEP_IMAGE": ""}))


def test_an_unknown_project_is_an_error() -> None:
    unknown = StepCall(step="train", project="flight", partition="2013-09", options={})
    with pytest.raises(ConfigurationError, match="There is no project 'flight'"):
        attempt_of(unknown, context(), SETTINGS, Progress(since=0.0))


def test_progress_survives_airflows_database() -> None:
    known = Progress(
        since=1.5, pod="p", has_started=True, looks=3, away_since=2.5, reported="no room", log=LogPosition("ab", 9.5)
    )
    assert Progress.from_json(json.loads(json.dumps(known.to_json()))) == known


def test_a_task_sleeps_longer_each_time_up_to_a_limit() -> None:
    progress, slept = Progress(since=0.0), []
    for _ in range(30):
        slept.append(progress.sleep_seconds())
        progress.looks += 1
    assert slept[:2] == [10.0, 20.0]
    assert slept == sorted(slept)
    assert slept[-1] == LONGEST_SLEEP_SECONDS


def test_each_attempt_that_ran_out_gives_the_next_one_twice_as_much_up_to_the_ceiling(objects: MemoryObjects) -> None:
    got = []
    for attempt in (1, 2, 3):
        command = dataclasses.replace(COMMAND, attempt=attempt)
        got.append(memory_of(command, RESOURCES, objects))
        error = ran_out(command, got[-1], RESOURCES, objects)
        assert isinstance(error, TemporaryError if attempt < 3 else PermanentError)
    assert got == ["1Gi", "2Gi", "3Gi"]


def test_more_memory_in_the_form_is_not_less_than_what_earlier_attempts_needed(objects: MemoryObjects) -> None:
    ran_out(COMMAND, "1Gi", RESOURCES, objects)
    again = dataclasses.replace(COMMAND, attempt=2)
    larger = ResourceSpec(memory="8Gi", memory_at_most="8Gi")
    assert memory_of(again, larger, objects) == "8Gi"


def test_other_runs_and_later_attempts_do_not_count(objects: MemoryObjects) -> None:
    ran_out(dataclasses.replace(COMMAND, run="other"), "1Gi", RESOURCES, objects)
    ran_out(dataclasses.replace(COMMAND, attempt=5), "1Gi", RESOURCES, objects)
    assert memory_of(dataclasses.replace(COMMAND, attempt=2), RESOURCES, objects) == "1Gi"


def test_a_task_for_one_source_teaches_nothing_to_that_of_the_others(objects: MemoryObjects) -> None:
    ran_out(dataclasses.replace(COMMAND, options=(("source", "weather"),)), "1Gi", RESOURCES, objects)
    assert memory_of(dataclasses.replace(COMMAND, attempt=2), RESOURCES, objects) == "1Gi"


@pytest.mark.parametrize(("memory", "expected"), [("512Mi", "1024Mi"), ("1Gi", "2Gi"), ("2Gi", "3Gi"), ("3Gi", "3Gi")])
def test_the_next_size(memory: str, expected: str) -> None:
    assert next_size(memory, RESOURCES) == expected
