from typing import Any
from unittest.mock import PropertyMock, patch

import pytest

from include.contract.code_digest import code_digest
from include.contract.step_names import StepName
from include.errors import ConfigurationError
from include.stores.objects.memory import MemoryObjects
from plugins.operators.pod.attempt import PodCall, pod_call
from plugins.operators.pod.memory import ran_out
from plugins.operators.pod.names import SPEC
from plugins.operators.step_call import StepCall
from tests.support.worlds.pod_world import COMMAND, IMAGE, NAMESPACE, SETTINGS, context

CALL = StepCall(step="train", project="flights", partition="2013-09", options={"window": "9"})


def call(given: dict[str, str] | None = None, **more: Any) -> PodCall:
    return pod_call(CALL, context(**more), SETTINGS | (given or {}))


def test_the_pod_asks_for_the_bundles_own_code_unless_any_may_do() -> None:
    assert call().command.code == code_digest(StepName.TRAIN, "flights")
    assert call({"ML_ANY_CODE": "1"}).command.code == ""
    assert "--code" in call().pod().spec.containers[0].args


def test_the_pod_is_that_of_the_try_in_the_installations_namespace_and_image() -> None:
    pod = call(try_number=2, resources={}).task
    assert pod.try_number == 2
    made = call().pod()
    assert (made.metadata.namespace, made.spec.containers[0].image) == (NAMESPACE, IMAGE)
    assert made.metadata.annotations["ml-platform.org/subject"] == "2013-09"
    assert call({"ML_POD_NAMESPACE": ""}).namespace == "ml-steps"


def test_two_launchers_of_one_try_ask_for_the_same() -> None:
    assert call().pod().metadata.annotations[SPEC] == call().pod().metadata.annotations[SPEC]


def test_the_form_reaches_the_pod() -> None:
    made = call(resources={"train": {"memory": "3Gi", "cpu": 2}}).pod()
    [container] = made.spec.containers
    assert container.resources.requests == {"cpu": "2", "memory": "3Gi", "ephemeral-storage": "2Gi"}
    assert {one.name: one.value for one in container.env}["OMP_NUM_THREADS"] == "2"


def test_a_try_after_one_that_ran_out_of_memory_gets_more() -> None:
    objects = MemoryObjects()
    spec = call().asked
    ran_out(COMMAND, "2Gi", spec, objects)
    with patch.object(PodCall, "documents", new_callable=PropertyMock, return_value=objects):
        assert call(try_number=2).memory == "4Gi"


def test_a_first_try_does_not_ask_the_object_store() -> None:
    with patch.object(PodCall, "documents", new_callable=PropertyMock, side_effect=AssertionError):
        assert call().memory == call().asked.memory


def test_an_installation_without_an_image_is_told_what_is_missing() -> None:
    with pytest.raises(ConfigurationError, match=r"ML_STEP_IMAGE of Airflow's worker is not set.*make images"):
        call({"ML_STEP_IMAGE": ""}).pod()


def test_an_unknown_project_is_told() -> None:
    with pytest.raises(ConfigurationError, match="There is no project 'flight'"):
        pod_call(StepCall(step="train", project="flight", partition="2013-09", options={}), context(), SETTINGS)
