from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.contract.layout import outcome_key
from include.contract.receipt import Outcome, OutcomeStatus, canonical_json
from include.runtime.receipts import ReceiptReader
from include.stores.objects.open import open_objects
from local_platform.demo import failure
from local_platform.demo.airflow_api import AirflowApi, DagRun, TaskInstance
from local_platform.locations import State

RUN = DagRun(dag="flights_data", run="backfill__2013-02", state="failed", logical_date=None, conf={})


class OneFailed(AirflowApi):
    """An Airflow in which the ingest of one source failed."""

    def __init__(self, task: str = "ingest", label: str = "weather") -> None:
        super().__init__("http://127.0.0.1:9", "", "")
        self._task = task
        self._label = label

    def tasks(self, dag: str, runs: object) -> list[TaskInstance]:  # noqa: ARG002 (what the real one takes)
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        return [
            TaskInstance(
                dag=dag, run=RUN.run, task=self._task, map_index=1 if self._label else -1, label=self._label,
                state="failed", try_number=2, seconds=1.0, started_at=moment,
            )
        ]  # fmt: skip


@pytest.fixture
def evidence(tmp_path: Path) -> ReceiptReader:
    return ReceiptReader(objects=open_objects(f"file://{tmp_path}/objects"), project="flights")


def write(evidence: ReceiptReader, subject: str, message: str) -> None:
    outcome = Outcome(
        status=OutcomeStatus.FAILED, exit_code=65, step="ingest", project="flights", subject=subject, run=RUN.run,
        attempt=2, message=message, seconds=0.1,
    )  # fmt: skip
    key = outcome_key("flights", RUN.run, "ingest", subject, attempt=2, ending=0)
    evidence.objects.create(key, canonical_json(outcome.model_dump(mode="json")))


def test_the_message_of_the_step_is_shown_with_its_log(tmp_path: Path, evidence: ReceiptReader) -> None:
    write(evidence, "2013-01/flights", "another one's")
    write(evidence, "2013-01/weather", "Column 'temp' is missing.")
    lines = failure.explain(OneFailed(), State(tmp_path), evidence, [RUN]).splitlines()
    folder = f"{tmp_path}/airflow/logs/dag_id=flights_data/run_id=backfill__2013-02/task_id=ingest/map_index=1"
    assert lines == [
        "Task ingest weather of flights_data, run backfill__2013-02, attempt 2: Column 'temp' is missing.",
        f"Its log: {folder}/attempt=2.log",
    ]


@pytest.mark.parametrize(
    ("task", "message"), [("ingest", "1 of 2 parts failed (planes)."), ("ingest_weather", "Column 'temp' is missing.")]
)
def test_a_task_s_message_is_that_of_its_own_step(
    tmp_path: Path, evidence: ReceiptReader, task: str, message: str
) -> None:
    write(evidence, "2013-01", "1 of 2 parts failed (planes).")
    write(evidence, "2013-01/weather", "Column 'temp' is missing.")
    first, log = failure.explain(OneFailed(task, ""), State(tmp_path), evidence, [RUN]).splitlines()
    assert first == f"Task {task} of flights_data, run backfill__2013-02, attempt 2: {message}"
    assert log.endswith(f"/task_id={task}/attempt=2.log")


def test_without_an_outcome_the_end_of_the_log_is_shown(tmp_path: Path, evidence: ReceiptReader) -> None:
    log = failure.log_of(State(tmp_path), OneFailed().tasks("flights_data", [])[0])
    log.parent.mkdir(parents=True)
    log.write_text("it was killed\n")
    lines = failure.explain(OneFailed(), State(tmp_path), evidence, [RUN])
    assert "attempt 2: the end of its log:\n    it was killed\nIts log: " in lines


def test_a_run_that_failed_without_a_task_is_reported(tmp_path: Path, evidence: ReceiptReader) -> None:
    class NoneFailed(OneFailed):
        def tasks(self, dag: str, runs: object) -> list[TaskInstance]:  # noqa: ARG002
            return []

    lines = failure.explain(NoneFailed(), State(tmp_path), evidence, [RUN])
    assert lines.startswith("No task of backfill__2013-02 failed by itself: look at the run in Airflow")
