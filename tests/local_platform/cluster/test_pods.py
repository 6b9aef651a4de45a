from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include.contract.receipt import Outcome, OutcomeStatus, Receipt
from include.contract.step_names import StepName
from include.runtime.receipts import ReceiptReader
from include.stores.objects.open import open_objects
from local_platform.cluster import pods
from local_platform.demo.airflow_api import TaskInstance
from local_platform.demo.summary import Findings
from tests.support.step_results import least


def task(name: str, seconds: float | None, state: str = "success") -> TaskInstance:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return TaskInstance(
        dag="d",
        run="r",
        task=name,
        map_index=-1,
        label="",
        state=state,
        try_number=1,
        seconds=seconds,
        started_at=moment,
    )


def outcome(step: str, seconds: float, subject: str = "2013-01") -> Outcome:
    return Outcome(
        status=OutcomeStatus.DONE, exit_code=0, step=step, project="flights", subject=subject, run="r", attempt=1,
        seconds=seconds,
    )  # fmt: skip


def test_the_longest_work_comes_first() -> None:
    tasks = [task("score", 5.0), task("ingest", 3.0), task("ingest", 4.0), task("ingest", 80.0)]
    outcomes = [outcome("ingest", 1.0), outcome("ingest", 1.5), outcome("ingest", 2.0)]
    lines = list(pods.pods(tasks, outcomes))
    assert [" ".join(line.split()) for line in lines] == [
        "ingest 3 pods, half of them worked 1.5 s and took 4.0 s or less",
        "score 1 pod, half of them took 5.0 s or less",
    ]


def test_a_source_with_a_task_of_its_own_has_a_line_of_its_own() -> None:
    tasks = [task("ingest", 3.0), task("ingest_weather", 50.0)]
    outcomes = [outcome("ingest", 1.0), outcome("ingest", 40.0, "2013-01/weather")]
    assert [" ".join(line.split()) for line in pods.pods(tasks, outcomes)] == [
        "ingest_weather 1 pod, half of them worked 40 s and took 50 s or less",
        "ingest 1 pod, half of them worked 1.0 s and took 3.0 s or less",
    ]


def test_what_had_no_pod_is_left_out() -> None:
    assert list(pods.pods([task("deploy", None), task("train", 1.0, state="skipped")], [])) == []


class Receipts(Findings):
    """Receipts of a package and a deploy step, with these results."""

    def __init__(self, evidence: ReceiptReader, package: dict[str, Any], deploy: dict[str, Any]) -> None:
        super().__init__(evidence, [])
        self._results = {StepName.PACKAGE: package, StepName.DEPLOY: deploy}

    def receipts(self, step: StepName) -> list[Receipt]:
        now = datetime(2026, 1, 1, tzinfo=UTC)
        return [
            Receipt(
                identity="i", step=step, project="flights", subject="2013-09", partition="2013-09", run="r", attempt=1,
                parameters={}, inputs=(), outputs=(), row_counts={}, results=least(step, **self._results[step]),
                code_digest="sha256:c", started_at=now, finished_at=now, host="here",
            )
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("package", "deploy", "expected"),
    [
        (
            {"artifact": "r/m@sha256:1"}, {"bundle_by": "image volume"},
            ["artifact r/m@sha256:1", "gets into its pods by image volume"],
        ),
        (
            {}, {"bundle_by": "init container"},
            ["artifact none: it was packaged without an artifact registry", "gets into its pods by init container"],
        ),
    ],
)  # fmt: skip
def test_it_tells_from_where_the_model_is_served(
    tmp_path: Path, package: dict[str, Any], deploy: dict[str, Any], expected: list[str]
) -> None:
    evidence = ReceiptReader(objects=open_objects(f"file://{tmp_path}"), project="flights")
    lines = pods.served_from(Receipts(evidence, package, deploy))
    assert [" ".join(line.split()) for line in lines] == expected
