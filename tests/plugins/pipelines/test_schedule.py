from datetime import UTC, datetime

from airflow.sdk import DAG

from include.contract.partition import Grain
from include.contract.step_names import StepName
from include.spec.load import load_project
from plugins.pipelines.schedule import cron_intervals, dag_settings, partition_param, resources_param


def test_runs_begin_and_end_with_the_projects_partitions() -> None:
    dag = DAG(**dag_settings(load_project("flights"), "data", "0 0 1 * *"), schedule=None)
    assert dag.dag_id == "flights_data"
    # Airflow's list shows and searches the display name: with a title there nobody finds the id that the docs name.
    assert dag.dag_display_name == "flights_data"
    assert dag.start_date == datetime(2013, 1, 1, 5, tzinfo=UTC)
    assert dag.end_date == datetime(2013, 12, 1, 5, tzinfo=UTC)
    assert dag.tags == {"flights", "data"}


def test_intervals_are_local() -> None:
    spec = load_project("flights")
    timetable = cron_intervals(spec, "0 0 1 * *")
    assert timetable is not None
    assert cron_intervals(spec, None) is None
    assert (timetable.expression, str(timetable.timezone)) == ("0 0 1 * *", "America/New_York")


def test_a_dag_that_only_people_start_runs_on_any_day() -> None:
    # Airflow gives a run outside of the DAG's days no tasks, and calls it a success; the trigger form offers today.
    dag = DAG(**dag_settings(load_project("flights"), "training", None), schedule=None)
    assert (dag.start_date, dag.end_date) == (None, None)


def test_the_partition_field_follows_the_grain() -> None:
    monthly = load_project("flights")
    daily = monthly.model_copy(update={"grain": Grain.DAY})
    assert partition_param(monthly).schema["pattern"] == r"^\d{4}-\d{2}$"
    assert partition_param(daily).schema["pattern"] == r"^\d{4}-\d{2}-\d{2}$"
    assert partition_param(monthly).value is None


def test_the_form_names_what_may_be_requested_for_each_step() -> None:
    param = resources_param(StepName.TRAIN, StepName.DEPLOY)
    assert param.value == {}
    assert param.schema["type"] == ["null", "object"]
    assert "step (train, deploy) -> cpu, memory, memory_at_most" in (param.description or "")
    assert "retries" not in (param.description or "")
