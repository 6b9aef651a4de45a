from typing import get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from include.contract.receipt import canonical_json
from include.contract.results import Provenance, Results, TrainingWindow, TrainResults
from include.contract.step_names import StepName
from tests.support.step_results import least, least_document

RESULTS: TypeAdapter[Results] = TypeAdapter(Results)


def test_every_step_has_results_of_its_own() -> None:
    union, _ = get_args(Results)
    assert [kind.model_fields["step"].default for kind in get_args(union)] == list(StepName)


@pytest.mark.parametrize("step", StepName)
def test_results_come_back_from_their_bytes_as_those_of_their_step(step: StepName) -> None:
    found = least(step)
    data = canonical_json(found.model_dump(mode="json"))
    again = RESULTS.validate_json(data)
    assert again == found
    assert again.step is step
    assert canonical_json(again.model_dump(mode="json")) == data


@pytest.mark.parametrize("step", StepName)
def test_a_field_that_no_reader_knows_is_refused(step: StepName) -> None:
    with pytest.raises(ValidationError, match="surprise"):
        RESULTS.validate_python(least_document(step) | {"surprise": 1})


def test_results_of_no_step_are_refused() -> None:
    with pytest.raises(ValidationError, match="step"):
        RESULTS.validate_python({"broken": {}})


def test_values_of_parameters_keep_their_kind() -> None:
    parameters = {"depth": 3, "rate": 1.0, "balanced": True, "loss": "log"}
    found = RESULTS.validate_json(canonical_json(least_document("train", parameters=parameters)))
    assert isinstance(found, TrainResults)
    assert found.parameters == parameters
    assert {name: type(value) for name, value in found.parameters.items()} == {
        "depth": int,
        "rate": float,
        "balanced": bool,
        "loss": str,
    }


def test_the_final_model_is_fitted_on_all_that_comes_before_the_test() -> None:
    window = TrainingWindow(train=("2024-01", "2024-02"), validation=("2024-03",), test=("2024-04",))
    assert window.fit == ("2024-01", "2024-02", "2024-03")
    assert window.partitions == (*window.fit, "2024-04")


def test_validations_are_written_under_the_word_of_their_step() -> None:
    found = Provenance(partition="2024-01", features="f", validations=("v",))
    assert found.model_dump(mode="json") == {"partition": "2024-01", "features": "f", "validate": ["v"]}
