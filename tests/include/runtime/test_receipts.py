import io
import json
from datetime import UTC, datetime

import pytest

from include.contract.layout import outcome_key, receipt_key
from include.contract.receipt import Outcome, OutcomeStatus, Receipt, TableState, canonical_json
from include.contract.step_names import StepName
from include.errors import DataRejectedError, MissingObjectError, UnreadableFormatError
from include.runtime.events import EventLog
from include.runtime.receipts import ReceiptReader
from include.stores.objects.memory import MemoryObjects
from tests.support.step_results import least


def _table(digest: str, version: int = 1) -> TableState:
    return TableState(
        name="shop/features/lateness_v2", partition="2013-03", version=version, digest=digest, row_count=1
    )


def _add(
    objects: MemoryObjects, identity: str, *outputs: TableState, subject: str = "2013-03", generation: int = 0
) -> str:
    receipt = Receipt(
        identity=identity,
        step="features",
        project="shop",
        subject=subject,
        partition="2013-03",
        run="r",
        attempt=1,
        parameters={},
        inputs=(),
        outputs=outputs,
        row_counts={},
        results=least("features"),
        code_digest="c",
        started_at=datetime.now(UTC),
        finished_at=datetime.now(UTC),
        host="here",
    )
    key = receipt_key("shop", "features", subject, identity, generation)
    objects.create(key, canonical_json(receipt.model_dump(mode="json")))
    return key


def _end(
    objects: MemoryObjects, status: OutcomeStatus, *, attempt: int = 1, ending: int = 0, receipt: str | None = None
) -> None:
    outcome = Outcome(
        status=status,
        exit_code=0,
        step="features",
        project="shop",
        subject="2013-03",
        run="r:1",
        attempt=attempt,
        receipt=receipt,
        seconds=1.0,
    )
    key = outcome_key("shop", "r:1", "features", "2013-03", attempt=attempt, ending=ending)
    objects.create(key, canonical_json(outcome.model_dump(mode="json")))


def test_receipts_are_those_of_the_subject_and_not_of_what_lies_below_it() -> None:
    objects = MemoryObjects()
    _add(objects, "aa")
    _add(objects, "bb")
    _add(objects, "cc", subject="2013-03/weather")
    _add(objects, "dd", subject="2013-031")
    found = ReceiptReader(objects, "shop").receipts(StepName.FEATURES, "2013-03")
    assert [receipt.identity for receipt in found] == ["aa", "bb"]


def test_a_receipt_is_found_by_the_content_that_it_sealed_and_not_by_its_age() -> None:
    objects = MemoryObjects()
    _add(objects, "aa", _table("sha256:1"))
    _add(objects, "bb", _table("sha256:2"))
    evidence = ReceiptReader(objects, "shop")
    found = evidence.sealed(StepName.FEATURES, _table("sha256:1", version=9))
    assert found is not None
    assert found.identity == "aa"
    assert evidence.sealed(StepName.FEATURES, _table("sha256:3")) is None
    assert evidence.sealed(StepName.VALIDATE, _table("sha256:1")) is None


def test_another_project_is_not_looked_at() -> None:
    objects = MemoryObjects()
    _add(objects, "aa", _table("sha256:1"))
    assert ReceiptReader(objects, "bikes").sealed(StepName.FEATURES, _table("sha256:1")) is None


def test_a_try_that_did_not_end_has_no_outcome() -> None:
    assert ReceiptReader(MemoryObjects(), "shop").outcome(StepName.FEATURES, "r:1", "2013-03", 1) is None


def test_the_last_ending_of_a_try_counts() -> None:
    objects = MemoryObjects()
    _end(objects, OutcomeStatus.FAILED)
    _end(objects, OutcomeStatus.DONE, ending=1, receipt="x")
    found = ReceiptReader(objects, "shop").outcome(StepName.FEATURES, "r:1", "2013-03", 1)
    assert found is not None
    assert found.status is OutcomeStatus.DONE


def test_a_run_ends_with_the_receipt_of_its_last_try_that_was_done() -> None:
    objects = MemoryObjects()
    first, second = _add(objects, "aa"), _add(objects, "bb")
    evidence = ReceiptReader(objects, "shop")
    assert evidence.of_run(StepName.FEATURES, "r:1", "2013-03") is None
    _end(objects, OutcomeStatus.DONE, attempt=1, receipt=first)
    _end(objects, OutcomeStatus.DONE, attempt=2, receipt=second)
    _end(objects, OutcomeStatus.FAILED, attempt=3)
    found = evidence.of_run(StepName.FEATURES, "r:1", "2013-03")
    assert found is not None
    assert found.identity == "bb"
    assert evidence.of_run(StepName.FEATURES, "r:2", "2013-03") is None
    below = outcome_key("shop", "r:1", "features", "2013-03/weather", attempt=9, ending=0)
    objects.create(below, b"of another subject")
    assert evidence.of_run(StepName.FEATURES, "r:1", "2013-03") == found


def test_a_missing_and_a_damaged_receipt_are_told() -> None:
    objects = MemoryObjects()
    evidence = ReceiptReader(objects, "shop")
    with pytest.raises(MissingObjectError, match="receipts/x"):
        evidence.receipt("receipts/x")
    objects.create("receipts/y", b'{"format": 1}')
    with pytest.raises(DataRejectedError, match=r"Receipt receipts/y is damaged: .*Remove it and run its step again"):
        evidence.receipt("receipts/y")


def _of_another_format(objects: MemoryObjects, key: str) -> None:
    written = json.loads(objects.contents[key])
    objects.contents[key] = canonical_json(written | {"format": 99})


def test_a_receipt_of_another_format_is_left_out_where_one_of_several_is_looked_for() -> None:
    objects, stream = MemoryObjects(), io.StringIO()
    _of_another_format(objects, _add(objects, "aa", _table("sha256:1")))
    _add(objects, "bb", _table("sha256:1"))
    evidence = ReceiptReader(objects, "shop", EventLog(stream))
    found = evidence.sealed(StepName.FEATURES, _table("sha256:1"))
    assert found is not None
    assert found.identity == "bb"
    event = json.loads(stream.getvalue())
    assert (event["level"], event["event"]) == ("warning", "a receipt of another format was left out")
    assert "is of format 99" in event["reason"]


def test_a_receipt_of_another_format_vouches_for_nothing() -> None:
    objects = MemoryObjects()
    _of_another_format(objects, _add(objects, "aa", _table("sha256:1")))
    assert ReceiptReader(objects, "shop").sealed(StepName.FEATURES, _table("sha256:1")) is None


def test_a_run_that_ended_with_a_receipt_of_another_format_is_told() -> None:
    objects = MemoryObjects()
    key = _add(objects, "aa")
    _of_another_format(objects, key)
    _end(objects, OutcomeStatus.DONE, receipt=key)
    with pytest.raises(UnreadableFormatError, match=r"format 99.*Run step 'features' for 2013-03 again"):
        ReceiptReader(objects, "shop").of_run(StepName.FEATURES, "r:1", "2013-03")
