from airflow.sdk.definitions.mappedoperator import MappedOperator

from include.spec.load import load_project
from plugins.pipelines.data import data_dag


def test_ingest_of_each_source_then_validate_then_profile_and_features() -> None:
    spec = load_project("flights")
    dag = data_dag(spec)
    assert {task.task_id: task.downstream_task_ids for task in dag.tasks} == {
        "ingest": {"validate"},
        "validate": {"profile", "features"},
        "profile": set(),
        "features": set(),
    }
    ingest = dag.get_task("ingest")
    assert isinstance(ingest, MappedOperator)
    assert ingest.expand_input.value == {"source": list(spec.sources)}
    assert dag.max_active_runs == spec.schedule.runs_at_once
    assert dag.catchup == spec.schedule.catch_up


def test_validated_rows_and_features_are_assets() -> None:
    dag = data_dag(load_project("flights"))
    outlets = {task.task_id: [asset.name for asset in task.outlets] for task in dag.tasks if task.task_id != "ingest"}
    assert outlets == {
        "validate": ["flights_validated"],
        "features": ["flights_departure_delay_v1"],
        "profile": [],
    }
