import signal
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.contract.command import StepCommand
from include.contract.layout import outcome_key, receipt_key
from include.contract.receipt import Outcome, OutcomeStatus, Receipt
from include.contract.step_names import StepName
from include.errors import TemporaryError
from include.stores.objects.memory import MemoryObjects
from plugins.operators.outcome import conclude
from tests.support.step_results import least

COMMAND = StepCommand(
    step=StepName.INGEST, project="flights", partition="2013-03", run="r", attempt=2, options=(("source", "weather"),)
)
KEY = receipt_key("flights", "ingest", COMMAND.subject, "f" * 64)


@pytest.fixture
def store() -> MemoryObjects:
    return MemoryObjects()


def keep_receipt(store: MemoryObjects) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    receipt = Receipt(
        identity="f" * 64,
        step="ingest",
        project="flights",
        subject=COMMAND.subject,
        partition="2013-03",
        run="r",
        attempt=2,
        parameters={},
        inputs=(),
        outputs=(),
        row_counts={"rows_kept": 3},
        results=least("ingest"),
        code_digest="sha256:0",
        started_at=now,
        finished_at=now,
        host="h",
    )
    store.create(KEY, receipt.model_dump_json().encode())


def keep_outcome(
    store: MemoryObjects, status: OutcomeStatus, exit_code: int, message: str = "", *, attempt: int = 2, ending: int = 0
) -> None:
    done = status in {OutcomeStatus.DONE, OutcomeStatus.ALREADY_DONE}
    outcome = Outcome(
        status=status,
        exit_code=exit_code,
        step="ingest",
        project="flights",
        subject=COMMAND.subject,
        run="r",
        attempt=attempt,
        receipt=KEY if done else None,
        message=message,
        seconds=1.0,
    )
    key = outcome_key("flights", "r", "ingest", COMMAND.subject, attempt=attempt, ending=ending)
    store.create(key, outcome.model_dump_json().encode())


@pytest.mark.parametrize("status", [OutcomeStatus.DONE, OutcomeStatus.ALREADY_DONE])
@pytest.mark.parametrize("exit_code", [0, 1, -signal.SIGKILL])
def test_a_receipt_is_success_however_the_process_ended(
    store: MemoryObjects, status: OutcomeStatus, exit_code: int
) -> None:
    keep_receipt(store)
    keep_outcome(store, status, 0)
    expected = {"status": status.value, "receipt": KEY, "row_counts": {"rows_kept": 3}}
    assert conclude(COMMAND, exit_code, store) == expected


WHOLE = replace(COMMAND, options=())


def keep_outcome_of_parts(store: MemoryObjects, status: OutcomeStatus, exit_code: int, *parts: str) -> None:
    outcome = Outcome(
        status=status, exit_code=exit_code, step="ingest", project="flights", subject="2013-03", run="r", attempt=2,
        receipts={f"2013-03/{part}": receipt_key("flights", "ingest", f"2013-03/{part}", "f" * 64) for part in parts},
        message="1 of 2 parts failed (planes). planes: No file." if exit_code else "", seconds=1.0,
    )  # fmt: skip
    key = outcome_key("flights", "r", "ingest", "2013-03", attempt=2, ending=0)
    store.create(key, outcome.model_dump_json().encode())


def test_a_step_of_several_parts_refers_to_the_receipt_of_each_and_adds_up_their_rows(store: MemoryObjects) -> None:
    other = KEY.replace("weather", "planes")
    keep_receipt(store)
    store.create(other, store.get(KEY))
    keep_outcome_of_parts(store, OutcomeStatus.DONE, 0, "weather", "planes")
    receipts = {"2013-03/weather": KEY, "2013-03/planes": other}
    assert conclude(WHOLE, 0, store) == {"status": "done", "receipts": receipts, "row_counts": {"rows_kept": 6}}


def test_a_part_whose_receipt_is_gone_is_a_failure(store: MemoryObjects) -> None:
    keep_receipt(store)
    keep_outcome_of_parts(store, OutcomeStatus.ALREADY_DONE, 0, "weather", "planes")
    with pytest.raises(TemporaryError, match=r"by receipt \S+/planes/\S+, which cannot be read"):
        conclude(WHOLE, 0, store)


@pytest.mark.parametrize(("exit_code", "kind"), [(65, AirflowFailException), (75, TemporaryError)])
def test_receipts_of_some_parts_are_no_success(store: MemoryObjects, exit_code: int, kind: type[Exception]) -> None:
    keep_receipt(store)
    keep_outcome_of_parts(store, OutcomeStatus.FAILED, exit_code, "weather")
    with pytest.raises(kind, match=r"1 of 2 parts failed \(planes\)"):
        conclude(WHOLE, exit_code, store)


def test_exit_0_without_a_receipt_is_a_failure(store: MemoryObjects) -> None:
    with pytest.raises(TemporaryError, match="exited with 0, but left no receipt"):
        conclude(COMMAND, 0, store)


def test_an_outcome_whose_receipt_is_gone_is_a_failure(store: MemoryObjects) -> None:
    keep_outcome(store, OutcomeStatus.DONE, 0)
    with pytest.raises(TemporaryError, match="cannot be read"):
        conclude(COMMAND, 0, store)


def test_nothing_to_do_is_a_skip(store: MemoryObjects) -> None:
    keep_outcome(store, OutcomeStatus.SKIPPED, 99, "The gates were not passed.")
    with pytest.raises(AirflowSkipException, match=r"The gates were not passed\."):
        conclude(COMMAND, 99, store)


@pytest.mark.parametrize("exit_code", [65, 78])
def test_a_permanent_failure_is_not_retried(store: MemoryObjects, exit_code: int) -> None:
    keep_outcome(store, OutcomeStatus.FAILED, exit_code, "Column a is missing.")
    with pytest.raises(AirflowFailException, match=r"^Column a is missing\.$"):
        conclude(COMMAND, exit_code, store)


def test_a_temporary_failure_is_retried(store: MemoryObjects) -> None:
    keep_outcome(store, OutcomeStatus.FAILED, 75, "The store does not answer.")
    with pytest.raises(TemporaryError, match="The store does not answer"):
        conclude(COMMAND, 75, store)


def test_a_wrong_argument_without_an_outcome_is_permanent_and_raises_the_steps_last_error(store: MemoryObjects) -> None:
    with pytest.raises(AirflowFailException, match="There is no project 'flight'"):
        conclude(COMMAND, 78, store, last_error="There is no project 'flight'")


@pytest.mark.parametrize("exit_code", [1, 70, 99])
def test_any_other_end_without_an_outcome_is_retried(store: MemoryObjects, exit_code: int) -> None:
    with pytest.raises(TemporaryError, match=f"exited with {exit_code} and logged no error"):
        conclude(COMMAND, exit_code, store)


def test_a_killed_process_without_a_receipt_is_retried_and_named(store: MemoryObjects) -> None:
    with pytest.raises(
        TemporaryError, match=r"ingest of flights 2013-03/weather, run r, attempt 2 was ended by SIGKILL"
    ):
        conclude(COMMAND, -signal.SIGKILL, store)


def test_outcomes_of_other_attempts_do_not_count(store: MemoryObjects) -> None:
    keep_receipt(store)
    keep_outcome(store, OutcomeStatus.DONE, 0, attempt=1)
    with pytest.raises(TemporaryError, match="left no receipt"):
        conclude(COMMAND, 0, store)


def test_the_last_ending_of_an_attempt_counts(store: MemoryObjects) -> None:
    keep_receipt(store)
    keep_outcome(store, OutcomeStatus.FAILED, 75, "busy", ending=0)
    keep_outcome(store, OutcomeStatus.DONE, 0, ending=1)
    assert conclude(COMMAND, 0, store)["status"] == "done"


def test_an_earlier_ending_of_the_same_attempt_does_not_count_for_a_process_that_ended_otherwise(
    store: MemoryObjects,
) -> None:
    keep_outcome(store, OutcomeStatus.FAILED, 65, "Column a is missing.")
    with pytest.raises(TemporaryError, match="ended by SIGKILL"):
        conclude(COMMAND, -signal.SIGKILL, store)


def test_a_damaged_outcome_is_an_error(store: MemoryObjects) -> None:
    store.create(outcome_key("flights", "r", "ingest", COMMAND.subject, attempt=2, ending=0), b"{")
    with pytest.raises(TemporaryError, match="is damaged"):
        conclude(COMMAND, 0, store)
