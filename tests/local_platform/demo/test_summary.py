from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include.contract.layout import outcome_key, receipt_key
from include.contract.measures import Interval
from include.contract.receipt import Outcome, OutcomeStatus, Receipt, canonical_json
from include.contract.step_names import StepName
from include.runtime.receipts import ReceiptReader
from include.stores.objects.open import open_objects
from local_platform.demo import summary
from local_platform.demo.airflow_api import DagRun
from local_platform.demo.served_model import Identity, Prediction
from local_platform.demo.year_job import Done
from local_platform.locations import State
from local_platform.services import credentials
from local_platform.services.ports import Ports
from local_platform.services.services import Settings
from tests.support.step_results import OBSERVED, least

RUN = DagRun(dag="flights_training", run="r", state="success", logical_date=None, conf={})
INTERVAL = {"value": 0.7423, "low": 0.735, "high": 0.7496}


@pytest.fixture
def evidence(tmp_path: Path) -> ReceiptReader:
    return ReceiptReader(objects=open_objects(f"file://{tmp_path}/objects"), project="flights")


def write_receipt(
    evidence: ReceiptReader, step: str, subject: str, counts: dict[str, int], results: dict[str, Any]
) -> str:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    receipt = Receipt(
        identity=step, step=step, project="flights", subject=subject, partition=subject[:7], run="r", attempt=1,
        parameters={}, inputs=(), outputs=(), row_counts=counts, results=least(step, **results), code_digest="sha256:c",
        started_at=moment, finished_at=moment, host="here",
    )  # fmt: skip
    key = receipt_key("flights", step, subject, step, 0)
    evidence.objects.create(key, canonical_json(receipt.model_dump(mode="json")))
    return key


def write(
    evidence: ReceiptReader, step: str, partition: str, counts: dict[str, int], results: Any, *, is_reused: bool = False
) -> None:
    key = write_receipt(evidence, step, partition, counts, results)
    outcome = Outcome(
        status=OutcomeStatus.ALREADY_DONE if is_reused else OutcomeStatus.DONE, exit_code=0, step=step,
        project="flights", subject=partition, run="r", attempt=1, receipt=key, seconds=0.1,
    )  # fmt: skip
    where = outcome_key("flights", "r", step, partition, attempt=1, ending=0)
    evidence.objects.create(where, canonical_json(outcome.model_dump(mode="json")))


def shown(evidence: ReceiptReader, tmp_path: Path, up_again: str = "") -> list[str]:
    """The lines of the summary of a run, each with single spaces."""
    write(evidence, "ingest", "2013-09", {"rows_kept": 27_574}, {})
    write(evidence, "validate", "2013-09", {"quarantined": 12}, {}, is_reused=True)
    dropped = [{"feature": "origin", "verdict": "irrelevant", "why": "says nothing"}]
    write(
        evidence, "train", "2013-09", {}, {"features": {"table": "t", "kept": ["carrier", "dest"], "dropped": dropped}}
    )
    metrics = {"model": {"roc_auc": INTERVAL}, "baseline": {"roc_auc": INTERVAL | {"value": 0.61}}}
    evaluated = {"test": ["2013-09"], "champion": None, "reasons": [], "reports": {"html": "reports/card.html"}}
    write(evidence, "evaluate", "2013-09", {"test": 27_000}, evaluated | {"metrics": metrics})
    write(
        evidence, "score", "2013-10", {"rows": 28_000}, {"observed": {**OBSERVED, "roc_auc": INTERVAL | {"value": 0.7}}}
    )
    settings = Settings(State(tmp_path), Ports(1, 2, 3), credentials.provide(tmp_path / "secrets"))
    done = Done(stages={"flights_training": 61.0}, runs={"flights_training": [RUN]})
    identity = Identity(model="departure_delay", version="1", digest="sha256:abc")
    predictions = [Prediction(row="UA 1545 EWR IAH", target="delayed", probability=0.21, observed=False)]
    facts = summary.Facts(done, evidence, identity, predictions)
    more = {"Pods": ["train 1 pod"]}
    return [" ".join(line.split()) for line in summary.text(settings, facts, more, up_again).splitlines()]


@pytest.fixture
def facts(evidence: ReceiptReader, tmp_path: Path) -> list[str]:
    return shown(evidence, tmp_path)


def test_it_shows_data_model_predictions_and_time(facts: list[str]) -> None:
    for line in (
        "rows in 27,574 of 1 partitions, 2013-09 to 2013-09",
        "quarantined 12",
        "features 2 kept, 1 dropped",
        "dropped origin: says nothing",
        "AUC of the model 0.742 (0.735 to 0.750) on 2013-09, 27,000 held-out rows",
        "of the baseline 0.610 (0.735 to 0.750)",
        "of the champion there was none",
        "AUC of 2013-10 0.700 (0.735 to 0.750), 28,000 rows scored as of the beginning of the month",
        "served departure_delay version 1",
        "digest sha256:abc",
        "UA 1545 EWR IAH delayed: probability 0.210, observed no",
        "flights_training 1 min 01 s",
        "1 of 5 steps found their work already done, and that it is unchanged",
    ):
        assert line in facts


def test_a_step_of_several_sources_is_one_step_whose_receipts_are_listed_by_source(evidence: ReceiptReader) -> None:
    rows = {"weather": 2_000, "flights": 25_000}
    keys = {
        f"2013-09/{source}": write_receipt(evidence, "ingest", f"2013-09/{source}", {"rows_kept": count}, {})
        for source, count in rows.items()
    }
    outcome = Outcome(
        status=OutcomeStatus.ALREADY_DONE, exit_code=0, step="ingest", project="flights", subject="2013-09", run="r",
        attempt=1, receipts=keys, seconds=0.1,
    )  # fmt: skip
    where = outcome_key("flights", "r", "ingest", "2013-09", attempt=1, ending=0)
    evidence.objects.create(where, canonical_json(outcome.model_dump(mode="json")))
    findings = summary.Findings(evidence, [RUN])
    assert [receipt.subject for receipt in findings.receipts(StepName.INGEST)] == ["2013-09/flights", "2013-09/weather"]
    assert findings.reused() == (1, 1)
    write(evidence, "validate", "2013-09", {"quarantined": 0}, {})
    facts = [" ".join(line.split()) for line in summary._data(summary.Findings(evidence, [RUN]))]
    assert facts[:3] == [
        "rows in 27,000 of 1 partitions, 2013-09 to 2013-09", "flights: 25,000", "weather: 2,000",
    ]  # fmt: skip


def test_it_tells_where_to_look(facts: list[str], tmp_path: Path) -> None:
    assert f"model card file://{tmp_path}/objects/reports/card.html" in facts
    assert "Airflow http://127.0.0.1:1" in facts
    assert f"logs {tmp_path}/logs" in facts


def test_where_the_services_end_the_command_that_starts_them_stands_in_place_of_their_addresses(
    evidence: ReceiptReader, tmp_path: Path
) -> None:
    lines = shown(evidence, tmp_path, up_again="make up")
    assert [line for line in lines if "http://" in line] == []
    assert "Airflow, MLflow, served model: 'make up' makes them reachable again and prints their addresses" in lines
    assert f"model card file://{tmp_path}/objects/reports/card.html" in lines
    assert f"logs {tmp_path}/logs" in lines


def test_an_installation_adds_blocks_of_its_own_before_the_places(facts: list[str]) -> None:
    assert facts[facts.index("Pods") + 1] == "train 1 pod"
    assert facts.index("Time") < facts.index("Pods") < facts.index("Where to look")


def test_a_metric_that_could_not_be_had_is_not_invented() -> None:
    assert summary.interval(None) == "not known"
    assert summary.interval(Interval(value=0.5, low=None, high=None)) == "0.500"


def test_the_last_ending_of_a_step_counts(evidence: ReceiptReader) -> None:
    write(evidence, "ingest", "2013-09", {}, {})
    failed = Outcome(
        status=OutcomeStatus.FAILED, exit_code=75, step="ingest", project="flights", subject="2013-08", run="r",
        attempt=1, message="no", seconds=0.1,
    )  # fmt: skip
    key = outcome_key("flights", "r", "ingest", "2013-08", attempt=1, ending=0)
    evidence.objects.create(key, canonical_json(failed.model_dump(mode="json")))
    assert len(summary.Findings(evidence, [RUN]).receipts(StepName.INGEST)) == 1
