import pytest

from include.spec.load import load_project
from plugins.operators.local.operator import LocalStepOperator
from plugins.pipelines.data import data_dag
from tests.support.spec_kit import parsed


def test_ingest_of_all_sources_then_validate_then_profile_and_features() -> None:
    spec = load_project("flights")
    dag = data_dag(spec)
    assert {task.task_id: task.downstream_task_ids for task in dag.tasks} == {
        "ingest": {"validate"},
        "validate": {"profile", "features"},
        "profile": set(),
        "features": set(),
    }
    ingest = dag.get_task("ingest")
    assert isinstance(ingest, LocalStepOperator)
    assert ingest.source is None
    assert spec.sources_of_task(ingest.source) == tuple(spec.sources)
    assert dag.max_active_runs == spec.schedule.runs_at_once
    assert dag.catchup == spec.schedule.catch_up


@pytest.mark.parametrize(
    ("own", "tasks"),
    [
        (["weather"], {"ingest": None, "ingest_weather": "weather"}),
        (["parcels", "weather"], {"ingest_parcels": "parcels", "ingest_weather": "weather"}),
    ],
)
def test_a_source_may_have_a_task_of_its_own_and_validation_waits_for_all(
    own: list[str], tasks: dict[str, str | None]
) -> None:
    spec = parsed({f"sources.{name}.own_task": True for name in own})
    dag = data_dag(spec)
    ingest = [task for task in dag.tasks if isinstance(task, LocalStepOperator) and task.step == "ingest"]
    assert {task.task_id: task.source for task in ingest} == tasks
    assert dag.get_task("validate").upstream_task_ids == tasks.keys()
    assert {task.execution_timeout for task in ingest} == {spec.execution.for_step("ingest").timeout}
    together = [name for task in ingest for name in spec.sources_of_task(task.source)]
    assert sorted(together) == sorted(spec.sources)


def test_validated_rows_and_features_are_assets() -> None:
    dag = data_dag(load_project("flights"))
    outlets = {task.task_id: [asset.name for asset in task.outlets] for task in dag.tasks if task.task_id != "ingest"}
    assert outlets == {
        "validate": ["flights_validated"],
        "features": ["flights_departure_delay_v1"],
        "profile": [],
    }
