from datetime import timedelta
from typing import Any

import pytest

from include.contract.step_names import StepName
from include.errors import ConfigurationError
from include.spec.load import load_project
from include.spec.resources import ResourceSpec
from plugins.operators.step_resources import WITHOUT_EFFECT, given_for, resources_of, without_effect_locally

SPEC = load_project("flights")


def resources(given: Any, step: StepName = StepName.TRAIN) -> ResourceSpec:
    return resources_of(SPEC, step, {"resources": given})


@pytest.mark.parametrize("given", [None, {}, {"ingest": {"cpu": 4}}])
def test_a_step_that_the_form_does_not_name_gets_what_the_spec_sets(given: Any) -> None:
    assert resources(given) == SPEC.execution.for_step("train")


def test_the_form_overrides_the_spec_field_by_field() -> None:
    given = resources({"train": {"memory": "3Gi", "timeout": "2h", "node_selector": {"disk": "fast"}}})
    assert (given.memory, given.timeout, given.node_selector) == ("3Gi", timedelta(hours=2), {"disk": "fast"})
    assert given.cpu == SPEC.execution.for_step("train").cpu


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("much", "'resources' is 'much'; write it like"),
        ({"trian": {"cpu": 1}}, "names step 'trian', which does not exist.*Did you mean 'train'"),
        ({"train": {"memory": "1GB"}}, r"train\.memory: .*given: 1GB"),
        ({"train": {"memry": "1Gi"}}, "'memry' is no key here.*Did you mean 'memory'"),
        ({"train": {"cpu": 0}}, r"train\.cpu: .*greater than 0"),
        ({"train": {"timeout": "2 hours"}}, r"train\.timeout: '2 hours' is no duration"),
        ({"train": {"retries": 3}}, "train: retries cannot be set for one run; change project.yaml"),
        ({"train": {"memory": "64Gi"}}, "step 'train': memory is 64Gi, which is more than memory_at_most 4Gi"),
        ({"train": 3}, r"train: .*given: 3"),
    ],
)
def test_a_mistake_in_the_form_is_one_clear_sentence(given: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as error:
        resources(given)
    assert "\n" not in str(error.value)


def test_what_the_form_sets_for_one_step() -> None:
    assert given_for(StepName.TRAIN, {}) is None
    given = given_for(StepName.TRAIN, {"resources": {"train": {"gpu": 1}}})
    assert given is not None
    assert given.gpu == 1


def test_what_one_machine_does_not_enforce_is_named_in_order() -> None:
    given = ResourceSpec(cpu=2, gpu=1, memory="2Gi", timeout=timedelta(hours=1), retries=3)
    assert without_effect_locally(given) == "gpu=1, memory=2Gi"
    assert without_effect_locally(ResourceSpec(cpu=2)) == ""


def test_every_field_has_an_effect_locally_or_is_named() -> None:
    with_effect = {"cpu", "timeout", "retries", "retry_delay"}
    assert with_effect | set(WITHOUT_EFFECT) == set(ResourceSpec.model_fields)
