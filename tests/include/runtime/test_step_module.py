from importlib.util import find_spec

import pytest

from include.contract.step_names import StepName
from include.runtime.step_module import step_module


@pytest.mark.parametrize("step", StepName)
def test_every_word_is_a_module_with_a_plan(step: StepName) -> None:
    assert find_spec(f"include.steps.{step.value}.step") is not None
    assert callable(step_module(step).plan)
