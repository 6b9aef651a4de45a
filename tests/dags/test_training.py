import json
import os
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from local_platform.errors import AirflowApiError
from tests.support.processes import all_gone
from tests.support.step_bundle import wait_until

if TYPE_CHECKING:
    from tests.dags.conftest import Airflow

pytestmark = pytest.mark.airflow


def test_a_model_that_is_not_promoted_ends_the_run_green_with_its_last_steps_skipped(airflow: "Airflow") -> None:
    airflow.bundle.behave("package", "skip")
    run = airflow.run("flights_training", {"as_of": "2013-10-01", "window": 9}, "success")
    assert airflow.states(run) == {
        "train": "success",
        "evaluate": "success",
        "package": "skipped",
        "deploy": "skipped",
    }
    airflow.bundle.behave("package", "done")


def test_a_training_without_a_day_fails_with_what_to_give(airflow: "Airflow") -> None:
    run = airflow.run("flights_training", {}, "failed")
    assert any("parameter 'as_of', so its window has no end" in line for line in airflow.log(run, "train"))


def test_a_wrong_parameter_is_refused_when_the_run_is_triggered(airflow: "Airflow") -> None:
    with pytest.raises(AirflowApiError, match="400"):
        airflow.start("flights_training", {"as_of": "autumn"})


def test_data_that_is_rejected_is_not_tried_again(airflow: "Airflow") -> None:
    airflow.bundle.behave("train", "rejected")
    run = airflow.run("flights_training", {"as_of": "2013-08-01"}, "failed")
    train = next(task for task in airflow.tasks(run) if task.task == "train")
    assert (train.state, train.try_number) == ("failed", 1)
    assert any("Column dep_time is missing." in line for line in airflow.log(run, "train"))
    airflow.bundle.behave("train", "done")


def test_a_task_that_a_person_marks_as_failed_leaves_nothing_running(airflow: "Airflow") -> None:
    airflow.bundle.behave("train", "hang")
    run = airflow.start("flights_training", {"as_of": "2013-07-01"})
    pids = airflow.bundle.pids("train")
    path = f"/dags/flights_training/dagRuns/{run.run}/taskInstances/train"
    airflow.api._call("PATCH", path, {"new_state": "failed"})
    wait_until(lambda: all_gone(pids), "the step to end")
    airflow.bundle.behave("train", "done")


def test_the_same_dag_runs_in_one_process_for_a_developer(airflow: "Airflow") -> None:
    conf = json.dumps({"as_of": "2013-09-01"})
    shown = airflow.cli("dags", "test", "flights_training", "--conf", conf)
    assert "state=success" in shown


def test_a_worker_that_is_killed_leaves_nothing_running(airflow: "Airflow") -> None:
    airflow.bundle.behave("features", "hang")
    run = airflow.start("flights_data", {"partition": "2013-08"})
    wait_until(lambda: airflow.states(run)["features"] == "running", "features to run", 150)
    pids = airflow.bundle.pids("features")
    worker, task = _worker_and_task(_ti(airflow, run.run, "features"))
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: all_gone([*pids, task]), "the step to end with its worker")
    airflow.bundle.behave("features", "done")


def _ti(airflow: "Airflow", run: str, task: str) -> str:
    task_instance: str = airflow.api._call("GET", f"/dags/flights_data/dagRuns/{run}/taskInstances/{task}")["id"]
    return task_instance


def _worker_and_task(ti: str) -> tuple[int, int]:
    """The executor's worker and its child, the task: both bear the title, and the scheduler above them must live."""
    named = {}
    for process in psutil.process_iter(["cmdline", "ppid"]):
        title = " ".join(process.info["cmdline"] or [])
        if "airflow worker --" in title and ti in title:
            named[process.pid] = process.info["ppid"]
    ((task, worker),) = [(pid, parent) for pid, parent in named.items() if parent in named]
    return worker, task
