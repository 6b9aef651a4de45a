from typing import Any

import pytest
from airflow.sdk.exceptions import ParamValidationError

from include.spec.load import load_project
from plugins.pipelines.training import training_dag


def test_train_evaluate_package_deploy_in_a_row() -> None:
    dag = training_dag(load_project("flights"))
    assert {task.task_id: task.downstream_task_ids for task in dag.tasks} == {
        "train": {"evaluate"},
        "evaluate": {"package"},
        "package": {"deploy"},
        "deploy": set(),
    }


def test_the_form_is_typed_and_documented() -> None:
    spec = load_project("flights")
    params = training_dag(spec).params
    assert params.dump() == {"as_of": None, "window": spec.split.window, "promote": "yes", "resources": {}}
    for name in params:
        assert len(params.get_param(name).description or "") > 20


@pytest.mark.parametrize(
    "given", [{"as_of": "autumn"}, {"as_of": 3}, {"window": 1}, {"window": "nine"}, {"promote": "perhaps"}]
)
def test_a_wrong_value_is_refused_by_the_form(given: dict[str, Any]) -> None:
    params = training_dag(load_project("flights")).params
    with pytest.raises(ParamValidationError, match="Invalid input for param"):
        params.update(given)


def test_window_and_promotion_reach_the_steps() -> None:
    options: dict[str, Any] = {
        task.task_id: getattr(task, "options", None) for task in training_dag(load_project("flights")).tasks
    }
    assert options["train"] == {"window": "{{ params.window }}"}
    assert options["deploy"] == {"window": "{{ params.window }}", "promote": "{{ params.promote }}"}
