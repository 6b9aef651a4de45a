from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from airflow.dag_processing.dagbag import BundleDagBag

from include.spec.load import project_names
from tests.support.step_bundle import wait_until

if TYPE_CHECKING:
    from tests.dags.conftest import Airflow

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern")


@pytest.fixture(scope="module")
def bag() -> BundleDagBag:
    return BundleDagBag(dag_folder=str(ROOT), bundle_path=ROOT, bundle_name="ml-platform")


def test_each_project_has_its_three_dags_and_no_file_is_wrong(bag: BundleDagBag) -> None:
    kinds = ("data", "scoring", "training")
    assert bag.import_errors == {}
    assert sorted(bag.dags) == sorted(f"{name}_{kind}" for name in project_names() for kind in kinds)


def test_each_dag_has_owner_tags_and_doc_and_its_tasks_retry_within_a_time(bag: BundleDagBag) -> None:
    for dag in bag.dags.values():
        assert dag.tags
        assert len(dag.doc_md or "") > 100
        for task in dag.tasks:
            assert task.owner not in {"", "airflow"}
            assert task.retries
            assert task.execution_timeout


def test_dag_files_are_thin() -> None:
    for path in (ROOT / "dags").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 25, path.name


@pytest.mark.airflow
def test_a_backfill_runs_every_partition_of_its_interval(airflow: "Airflow") -> None:
    api, dag = airflow.api, "flights_data"
    begin, end = datetime(2013, 1, 1, 5, tzinfo=UTC), datetime(2013, 2, 1, 5, tzinfo=UTC)
    api.backfill(dag, begin, end, 2)
    api.unpause(dag)
    between = {"logical_date_gte": begin.isoformat(), "logical_date_lte": end.isoformat()}
    wait_until(lambda: all(run.has_ended for run in api.runs(dag, **between)), "the backfill", 200)
    runs = api.runs(dag, **between)
    assert [run.state for run in runs] == ["success", "success"]
    assert sorted(task.task for task in airflow.tasks(runs[0])) == ["features", "ingest", "profile", "validate"]
    receipts = Path(airflow.variables["ML_OBJECTS_URI"].removeprefix("file://")) / "receipts" / "flights"
    assert {path.name for path in (receipts / "features").iterdir()} == {"2013-01", "2013-02"}
    events = api._call("GET", "/assets/events?limit=100")["asset_events"]
    partitions = {(event["name"], event["extra"]["partition"]) for event in events}
    names = ("flights_validated", "flights_departure_delay_v1")
    assert partitions == {(name, partition) for name in names for partition in ("2013-01", "2013-02")}


@pytest.mark.airflow
def test_a_run_about_no_partition_fails_at_once(airflow: "Airflow") -> None:
    run = airflow.run("flights_data", {}, "failed")
    attempts = [task.try_number for task in airflow.tasks(run) if task.task == "ingest"]
    assert set(attempts) == {1}
    assert any("neither a data interval nor the parameter" in line for line in airflow.log(run, "ingest"))


@pytest.mark.airflow
def test_a_steps_lines_are_in_the_tasks_log(airflow: "Airflow") -> None:
    airflow.bundle.behave("profile", "lines")
    run = airflow.run("flights_data", {"partition": "2013-07"}, "success")
    lines = airflow.log(run, "profile")
    assert any(line.startswith("info: Forked process") for line in lines)
    words = [line.split()[1:3] for line in lines if line.startswith(("info: out", "info: err"))]
    assert words == [[word, str(number)] for number in range(3) for word in ("out", "err")]
    assert any(line.startswith("warning: half of the rows are new: row_count=3") for line in lines)
