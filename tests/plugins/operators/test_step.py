from datetime import timedelta

import pytest
from airflow.sdk import DAG

from include.contract.step_names import StepName
from include.errors import ConfigurationError
from include.spec.load import load_project
from plugins.operators.local.operator import LocalStepOperator
from plugins.operators.step import step_task


def test_resources_of_the_spec_become_the_tasks() -> None:
    spec = load_project("flights")
    resources = spec.execution.for_step("train")
    with DAG("d", schedule=None):
        task = step_task(spec, StepName.TRAIN, partition="2013-03", options={"window": "9"})
    assert isinstance(task, LocalStepOperator)
    assert task.task_id == "train"
    assert task.execution_timeout == resources.timeout
    assert task.retries == resources.retries
    assert task.retry_delay == resources.retry_delay
    assert task.retry_delay > timedelta(0)
    assert task.options == {"window": "9"}


def test_a_task_of_one_source_is_named_by_it() -> None:
    with DAG("d", schedule=None):
        task = step_task(load_project("flights"), StepName.INGEST, partition="2013-03", source="weather")
    assert isinstance(task, LocalStepOperator)
    assert (task.task_id, task.step, task.source) == ("ingest_weather", "ingest", "weather")


def test_in_kubernetes_mode_a_step_is_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_EXECUTION", "kubernetes")
    with DAG("d", schedule=None):
        task = step_task(load_project("flights"), StepName.TRAIN, partition="2013-03")
        of_source = step_task(load_project("flights"), StepName.INGEST, partition="2013-03", source="weather")
    assert type(task).__name__ == "PodStepOperator"
    assert getattr(task, "partition", None) == "2013-03"
    assert type(of_source) is type(task)
    assert getattr(of_source, "source", None) == "weather"


@pytest.mark.parametrize(("mode", "hint"), [("docker", "'local' or 'kubernetes'"), ("lokal", "Did you mean 'local'")])
def test_another_execution_mode_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, mode: str, hint: str
) -> None:
    monkeypatch.setenv("ML_EXECUTION", mode)
    with pytest.raises(ConfigurationError, match=f"ML_EXECUTION is '{mode}'.*{hint}"):
        step_task(load_project("flights"), StepName.TRAIN, partition="2013-03")
