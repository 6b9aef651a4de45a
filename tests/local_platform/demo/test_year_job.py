import io
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from local_platform.console import Console
from local_platform.demo.airflow_api import AirflowApi, DagRun, TaskInstance
from local_platform.demo.year_job import RunsFailedError, YearJob
from local_platform.errors import AirflowApiError, JobFailedError


class Airflow(AirflowApi):
    """An Airflow whose runs end at once; keeps the requests, in words."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9", "", "")
        self.known: dict[str, list[DagRun]] = {"flights_data": [], "flights_training": [], "flights_scoring": []}
        self.active = 0
        self.conflicts = 0
        self.errors: list[str] = []
        self.broken: set[str] = set()
        self.requests: list[str] = []

    def has_dag(self, dag: str) -> bool:
        return not self.errors and dag in self.known

    def import_errors(self) -> list[str]:
        return self.errors

    def pause(self, dag: str) -> None:
        self.requests.append(f"pause {dag}")

    def unpause(self, dag: str) -> None:
        self.requests.append(f"unpause {dag}")

    def runs(self, dag: str, **filters: str) -> list[DagRun]:
        begin, end = filters.get("logical_date_gte"), filters.get("logical_date_lte")
        if begin is None or end is None:
            return self.known[dag]
        limits = datetime.fromisoformat(begin), datetime.fromisoformat(end)
        return [run for run in self.known[dag] if run.logical_date and limits[0] <= run.logical_date <= limits[1]]

    def tasks(self, dag: str, runs: object) -> list[TaskInstance]:  # noqa: ARG002 (what the real one takes)
        return []

    def clear(self, run: DagRun) -> None:
        self.requests.append(f"clear {run.run}")

    def has_active_backfill(self, dag: str) -> bool:
        self.active -= 1
        return dag == "flights_data" and self.active >= 0

    def backfill(self, dag: str, from_date: datetime, to_date: datetime, max_active_runs: int) -> None:  # noqa: ARG002
        self.requests.append(f"backfill {dag} {from_date:%Y-%m-%d} {to_date:%Y-%m-%d}")
        if self.conflicts:
            self.conflicts -= 1
            raise AirflowApiError("There is already a running backfill", status=409)
        for month in range(from_date.month, to_date.month + 1):
            moment = datetime(2013, month, 1, tzinfo=ZoneInfo("America/New_York"))
            self._add(dag, f"{dag} {month}", {}, moment)

    def trigger(self, dag: str, run: str, conf: Any) -> DagRun:
        self.requests.append(f"trigger {dag} {conf}")
        return self._add(dag, run, conf, None)

    def _add(self, dag: str, run: str, conf: Any, moment: datetime | None) -> DagRun:
        state = "failed" if dag in self.broken else "success"
        made = DagRun(dag=dag, run=run, state=state, logical_date=moment, conf=conf)
        self.known[dag].append(made)
        return made


@pytest.fixture
def airflow() -> Airflow:
    return Airflow()


def job(airflow: Airflow) -> tuple[YearJob, io.StringIO]:
    stream = io.StringIO()
    return YearJob(airflow, Console(stream), lambda: None), stream


def test_the_year_is_done_in_order(airflow: Airflow) -> None:
    year, _ = job(airflow)
    done = year.do()
    assert [words for words in airflow.requests if "pause" not in words] == [
        "backfill flights_data 2013-01-01 2013-09-01",
        "trigger flights_training {'as_of': '2013-10-01', 'window': 9, 'promote': 'yes'}",
        "backfill flights_data 2013-10-01 2013-10-01",
        "trigger flights_scoring {'partition': '2013-10'}",
    ]
    assert len(done.runs["flights_data"]) == 10
    assert "flights_training" in done.stages


def test_every_dag_is_paused_while_a_backfill_is_made(airflow: Airflow) -> None:
    year, _ = job(airflow)
    year.do()
    at = airflow.requests.index("backfill flights_data 2013-01-01 2013-09-01")
    dags = ["flights_data", "flights_training", "flights_scoring"]
    assert airflow.requests[at - 3 : at] == [f"pause {dag}" for dag in dags]
    assert airflow.requests[at + 1 : at + 4] == [f"unpause {dag}" for dag in dags]


def test_a_backfill_that_is_not_complete_is_waited_for(airflow: Airflow) -> None:
    airflow.active = 3
    year, _ = job(airflow)
    year.do()
    assert airflow.active < 0


def test_what_a_refused_backfill_left_is_waited_for_before_the_next_try(airflow: Airflow) -> None:
    airflow.conflicts = 1
    year, _ = job(airflow)
    year.do()
    assert airflow.requests.count("backfill flights_data 2013-01-01 2013-09-01") == 2


def test_what_ran_before_is_run_again_without_a_backfill(airflow: Airflow) -> None:
    year, _ = job(airflow)
    year.do()
    airflow.requests.clear()
    again, _ = job(airflow)
    again.do()
    assert [words for words in airflow.requests if words.startswith("clear")] == [
        f"clear flights_data {month}" for month in range(1, 11)
    ]
    assert not [words for words in airflow.requests if words.startswith("backfill")]


def test_intervals_that_airflow_did_not_make_stop_the_job(airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow, "backfill", lambda *_: None)
    year, _ = job(airflow)
    with pytest.raises(JobFailedError, match="Airflow made 0 runs of flights_data for 9 intervals, 2013-01 to 2013-09"):
        year.do()


def test_a_training_that_a_killed_start_left_is_not_begun_twice(airflow: Airflow) -> None:
    conf = {"as_of": "2013-10-01", "window": 9, "promote": "yes"}
    left = DagRun(dag="flights_training", run="left", state="running", logical_date=None, conf=conf)

    class Ending(Airflow):
        def runs(self, dag: str, **filters: str) -> list[DagRun]:
            if dag == "flights_training":
                ended = DagRun(dag=dag, run="left", state="success", logical_date=None, conf=conf)
                return [ended] if "run_id_pattern" in filters else [left]
            return super().runs(dag, **filters)

    ending = Ending()
    year, stream = job(ending)
    done = year.do()
    assert [run.run for run in done.runs["flights_training"]] == ["left"]
    assert not [words for words in ending.requests if words.startswith("trigger flights_training")]
    assert "an earlier start left this run unfinished; it goes on" in stream.getvalue()


def test_a_failed_run_stops_the_job(airflow: Airflow) -> None:
    airflow.broken = {"flights_training"}
    year, _ = job(airflow)
    with pytest.raises(RunsFailedError, match="1 of 1 runs of flights_training failed") as caught:
        year.do()
    assert caught.value.failed[0].dag == "flights_training"
    assert "backfill flights_data 2013-10-01 2013-10-01" not in airflow.requests


def test_a_dag_file_that_cannot_be_read_stops_the_job(airflow: Airflow) -> None:
    airflow.errors = ["dags/specs.py: ConfigurationError: no such rule"]
    year, _ = job(airflow)
    with pytest.raises(JobFailedError, match=r"cannot read a DAG file:\n    dags/specs\.py: ConfigurationError"):
        year.do()


def test_a_service_that_fell_over_stops_the_job(airflow: Airflow) -> None:
    def fall() -> None:
        raise JobFailedError("mlflow ended by itself")

    with pytest.raises(JobFailedError, match="mlflow ended by itself"):
        YearJob(airflow, Console(io.StringIO()), fall).do()
