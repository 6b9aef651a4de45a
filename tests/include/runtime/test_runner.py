import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from include.contract.receipt import ObjectState, OutcomeStatus, TableState
from include.contract.step_names import StepName
from include.coordination.leases import Leases, revoke
from include.errors import (
    ConfigurationError,
    DataRejectedError,
    MissingObjectError,
    NothingToDoError,
    PlatformError,
    TemporaryError,
)
from include.runtime import ending as endings
from include.runtime import runner as runtime
from include.runtime.lease import Lease
from include.runtime.runner import run_step
from include.runtime.shutdown import NoShutdown
from include.stores.metrics.memory import MemoryMetrics
from include.stores.metrics.open import open_metrics
from include.stores.objects.memory import MemoryObjects
from include.stores.tables.memory import MemoryTables
from tests.support.runtime_bench import MODEL, RESULTS, ROWS, TABLE, Bench, FakeStep
from tests.support.step_results import least


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    found = Bench()
    monkeypatch.setattr(runtime, "step_module", lambda _step: found.step)
    return found


def test_work_leaves_a_receipt_and_an_outcome(bench: Bench) -> None:
    ending = bench.run()
    assert (ending.outcome.status, ending.outcome.exit_code, ending.error) == (OutcomeStatus.DONE, 0, None)
    receipt = bench.receipt(ending)
    assert (receipt.step, receipt.project, receipt.subject, receipt.run) == ("validate", "shop", "2013-03", "r1")
    assert receipt.outputs[0] == bench.tables.state(TABLE, "2013-03")
    assert (receipt.row_counts, receipt.results, receipt.code_digest) == ({"read": 3}, RESULTS, "sha256:aa")
    assert receipt.started_at <= receipt.finished_at
    assert bench.keys("runs/") == ["runs/shop/r1/validate/2013-03/001/000.json"]
    assert ending.outcome.receipt == bench.keys("receipts/")[0]


def test_the_same_work_is_done_once_whatever_the_run(bench: Bench) -> None:
    first, second = bench.run(), bench.run(run="r2", attempt=2)
    assert second.outcome.status is OutcomeStatus.ALREADY_DONE
    assert second.outcome.receipt == first.outcome.receipt
    assert len(bench.step.identities) == 1
    assert bench.tables.version(TABLE) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": {"a": 1}},
        {"inputs": (TableState(name="t", partition="2013-03", version=1, digest="sha256:1", row_count=1),)},
    ],
)
def test_other_parameters_and_inputs_are_other_work(bench: Bench, change: dict[str, Any]) -> None:
    bench.run()
    bench.step = replace(bench.step, **change)
    assert bench.run(run="r2").outcome.status is OutcomeStatus.DONE
    assert len(bench.keys("receipts/")) == 2


def test_other_code_is_other_work(bench: Bench) -> None:
    bench.run()
    assert bench.run(code="sha256:bb").outcome.status is OutcomeStatus.DONE


def _lose_the_table(bench: Bench) -> None:
    bench.tables._versions.clear()


def _change_the_table(bench: Bench) -> None:
    bench.tables.write(TABLE, "2013-03", ROWS[:1], stamp={})


def _lose_the_report(bench: Bench) -> None:
    del bench.objects.contents[bench.keys("reports/")[0]]


def _change_the_report(bench: Bench) -> None:
    bench.objects.contents[bench.keys("reports/")[0]] = b"<h1>"


@pytest.mark.parametrize("harm", [_lose_the_table, _change_the_table, _lose_the_report, _change_the_report])
def test_lost_or_changed_outputs_are_made_again_under_a_new_receipt(
    bench: Bench, harm: Callable[[Bench], None]
) -> None:
    first = bench.run()
    harm(bench)
    second = bench.run(run="r2")
    assert second.outcome.status is OutcomeStatus.DONE
    assert second.outcome.receipt != first.outcome.receipt
    assert bench.receipt(second).identity == bench.receipt(first).identity
    assert bench.run(run="r3").outcome.status is OutcomeStatus.ALREADY_DONE
    assert "outputs of the receipt are gone or changed" in bench.log.getvalue()


def test_a_damaged_table_does_not_block_its_rebuild(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.run()
    state = MemoryTables.state

    def damaged(self: MemoryTables, name: str, partition: str, *, version: int | None = None) -> TableState | None:
        if len(bench.step.identities) == 1:
            message = "The file is damaged."
            raise DataRejectedError(message)
        return state(self, name, partition, version=version)

    monkeypatch.setattr(MemoryTables, "state", damaged)
    assert bench.run(run="r2").outcome.status is OutcomeStatus.DONE


def test_a_store_that_does_not_answer_is_no_reason_to_work_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.run()

    def silent(_self: MemoryTables, _name: str, _partition: str, **_more: object) -> TableState | None:
        message = "No answer."
        raise TemporaryError(message)

    monkeypatch.setattr(MemoryTables, "state", silent)
    ending = bench.run(run="r2")
    assert (ending.outcome.status, ending.outcome.exit_code) == (OutcomeStatus.FAILED, 75)
    assert len(bench.step.identities) == 1


def test_a_step_may_say_that_a_receipt_no_longer_holds(bench: Bench) -> None:
    answers = iter([False])
    bench.step.more = (MODEL,)
    bench.step.still_there = lambda outputs: MODEL in outputs and next(answers, True)
    bench.run()
    assert bench.run(run="r2").outcome.status is OutcomeStatus.DONE
    assert bench.run(run="r3").outcome.status is OutcomeStatus.ALREADY_DONE
    assert "the receipt no longer holds" in bench.log.getvalue()


def test_of_twins_that_work_at_once_both_end_with_one_receipt(bench: Bench) -> None:
    twin: list[endings.Ending] = []

    def meanwhile() -> None:
        bench.step.before_sealing = lambda: None
        twin.append(bench.run(run="twin"))

    bench.step.before_sealing = meanwhile
    ending = bench.run()
    assert ending.outcome.status is OutcomeStatus.DONE
    assert ending.outcome.receipt == twin[0].outcome.receipt
    assert len(bench.keys("receipts/")) == 1
    assert bench.tables.read(TABLE, "2013-03").equals(ROWS)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (DataRejectedError("Bad rows."), OutcomeStatus.FAILED, 65),
        (MissingObjectError("No report."), OutcomeStatus.FAILED, 65),
        (ConfigurationError("Bad spec."), OutcomeStatus.FAILED, 78),
        (TemporaryError("No answer."), OutcomeStatus.FAILED, 75),
        (NothingToDoError("No champion."), OutcomeStatus.SKIPPED, 99),
    ],
)
def test_an_error_of_the_tree_becomes_the_outcome(
    bench: Bench, error: PlatformError, status: OutcomeStatus, code: int
) -> None:
    bench.step.error = error
    ending = bench.run()
    assert ending.error is error
    assert (ending.outcome.status, ending.outcome.exit_code, ending.outcome.message) == (status, code, str(error))
    assert ending.outcome.receipt is None
    assert bench.keys("receipts/") == []
    assert json.loads(bench.objects.get(bench.keys("runs/")[0]))["status"] == status.value


def test_a_failure_in_the_middle_of_the_work_leaves_no_receipt_and_is_done_again(bench: Bench) -> None:
    def full() -> None:
        message = "The disk is full."
        raise TemporaryError(message)

    bench.step.before_sealing = full
    assert bench.run().outcome.exit_code == 75
    bench.step.before_sealing = lambda: None
    assert bench.run(attempt=2).outcome.status is OutcomeStatus.DONE
    assert bench.keys("receipts/")[0].endswith(".0.json")


def test_a_bug_passes_and_leaves_nothing_that_says_done(bench: Bench) -> None:
    bench.step.error = ZeroDivisionError("by zero")
    with pytest.raises(ZeroDivisionError, match="by zero"):
        bench.run()
    assert [key for key in bench.keys("") if not key.startswith("leases/")] == []


def test_a_try_that_was_started_twice_has_two_endings_and_the_last_counts(bench: Bench) -> None:
    bench.step.error = TemporaryError("No answer.")
    bench.run()
    bench.step.error = None
    bench.run()
    assert [key[-8:] for key in bench.keys("runs/")] == ["000.json", "001.json"]
    found = bench.context().receipts.outcome(StepName.VALIDATE, "r1", "2013-03", 1)
    assert found is not None
    assert found.status is OutcomeStatus.DONE


def test_each_doing_of_lost_work_has_a_name_of_its_own(bench: Bench) -> None:
    bench.run()
    _lose_the_table(bench)
    bench.run(run="r2")
    first, second = bench.step.identities
    assert first.removesuffix(".0") == second.removesuffix(".1")


def test_how_a_call_ended_is_counted(bench: Bench) -> None:
    context = bench.context()
    metrics = MemoryMetrics()
    context.stores.__dict__["metrics"] = metrics
    run_step(context)
    run_step(context)
    bench.step = FakeStep(error=DataRejectedError("Bad rows."))
    run_step(context)
    validate = "project.shop.step.validate"
    assert metrics.counts == {f"{validate}.done": 1, f"{validate}.already_done": 1, f"{validate}.failed": 1}
    assert len(metrics.timings[f"{validate}.seconds"]) == 3


def test_a_daemon_that_is_away_fails_no_step(bench: Bench) -> None:
    context = bench.context()
    context.stores.__dict__["metrics"] = open_metrics("127.0.0.1:9")
    assert run_step(context).outcome.status is OutcomeStatus.DONE


def test_a_damaged_receipt_is_told(bench: Bench) -> None:
    ending = bench.run()
    bench.objects.contents[str(ending.outcome.receipt)] = b"{"
    again = bench.run(run="r2")
    assert again.outcome.exit_code == 65
    assert "is damaged" in again.outcome.message
    assert "Remove it and run its step again" in again.outcome.message


@pytest.mark.parametrize("number", [1, 99])
def test_a_receipt_of_a_format_that_is_not_read_counts_as_not_done(bench: Bench, number: int) -> None:
    first = str(bench.run().outcome.receipt)
    written = json.loads(bench.objects.contents[first])
    bench.objects.contents[first] = json.dumps(written | {"format": number, "results": {"kept": 7}}).encode()
    again = bench.run(run="r2")
    assert again.outcome.status is OutcomeStatus.DONE
    assert again.outcome.receipt == first.replace(".0.json", ".1.json")
    (warning,) = [line for line in bench.log.getvalue().splitlines() if "the receipt cannot be read" in line]
    assert f"is of format {number}" in json.loads(warning)["reason"]
    assert bench.run(run="r3").outcome.status is OutcomeStatus.ALREADY_DONE


def test_a_receipt_of_format_1_that_means_the_same_is_found_done(bench: Bench) -> None:
    first = str(bench.run().outcome.receipt)
    written = json.loads(bench.objects.contents[first])
    bench.objects.contents[first] = json.dumps(written | {"format": 1, "results": RESULTS.broken}).encode()
    again = bench.run(run="r2")
    assert (again.outcome.status, again.outcome.receipt) == (OutcomeStatus.ALREADY_DONE, first)


def test_results_of_another_step_are_a_bug(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.runtime_bench.RESULTS", least("score"))
    with pytest.raises(ValueError, match="a receipt of validate cannot hold results of score"):
        bench.run()
    assert bench.keys("receipts/") == []


def test_an_output_that_is_a_source_file_is_looked_for_as_an_object(bench: Bench) -> None:
    bench.step.more = (ObjectState(name="reports/never-sealed.html", digest="sha256:00", size_bytes=0),)
    bench.run()
    assert bench.run(run="r2").outcome.status is OutcomeStatus.DONE


def _take_over(bench: Bench) -> None:
    Leases(bench.objects, bench.context(attempt=2).command).take()


def _call_off(bench: Bench) -> None:
    revoke(bench.objects, bench.context().command)


@pytest.mark.parametrize(
    ("harm", "expected"), [(_take_over, r"Attempt 2 on .+ took over"), (_call_off, r"Attempt 1 .+ was called off")]
)
def test_a_try_that_lost_its_lease_while_it_worked_leaves_no_receipt_but_says_how_it_ended(
    bench: Bench, harm: Callable[[Bench], None], expected: str
) -> None:
    bench.step.before_sealing = lambda: harm(bench)
    ending = bench.run()
    assert (ending.outcome.status, ending.outcome.exit_code) == (OutcomeStatus.FAILED, 75)
    assert re.search(expected, ending.outcome.message)
    assert bench.keys("receipts/") == []
    assert len(bench.keys("runs/")) == 1


def test_an_orphan_commits_no_table(bench: Bench) -> None:
    bench.step.before_work = lambda: _take_over(bench)
    assert bench.run().outcome.exit_code == 75
    assert bench.tables.version(TABLE) is None
    bench.step.before_work = lambda: None
    assert bench.run(attempt=2).outcome.status is OutcomeStatus.DONE


def test_a_try_that_was_called_off_before_it_began_does_no_work(bench: Bench) -> None:
    _call_off(bench)
    assert bench.run().outcome.exit_code == 75
    assert bench.step.identities == []
    assert bench.run(attempt=2).outcome.status is OutcomeStatus.DONE


def test_a_second_call_of_done_work_takes_no_lease(bench: Bench) -> None:
    bench.run()
    before = bench.keys("leases/")
    assert bench.run(run="r2").outcome.status is OutcomeStatus.ALREADY_DONE
    assert bench.keys("leases/") == before
    assert len(before) == 1


class _Silent(MemoryObjects):
    """Takes everything but outcomes."""

    def create(self, key: str, data: bytes) -> bool:
        if key.startswith("runs/"):
            message = "S3 did not answer."
            raise TemporaryError(message)
        return super().create(key, data)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (DataRejectedError("Bad rows."), r"Bad rows\. How it ended could not be written down: S3 did not answer"),
        (None, r"The work is done, and receipt receipts/\S+ holds\. How it ended could not be written down"),
    ],
)
def test_an_outcome_that_cannot_be_written_is_temporary_and_says_how_it_ended(
    bench: Bench, error: PlatformError | None, expected: str
) -> None:
    bench.objects = _Silent()
    bench.step.error = error
    with pytest.raises(TemporaryError, match=expected):
        bench.run()


class _Remembering(NoShutdown):
    def __init__(self) -> None:
        self.concluded = 0
        self.record: Callable[[TemporaryError], object] = lambda _error: None

    def engage(self, lease: Lease, record: Callable[[TemporaryError], object]) -> None:  # noqa: ARG002
        self.record = record

    def conclude(self) -> None:
        self.concluded += 1


def test_whoever_ends_a_step_can_write_down_how_and_not_after_its_receipt(bench: Bench) -> None:
    shutdown = _Remembering()
    before: list[int] = []
    bench.step.before_sealing = lambda: before.append(shutdown.concluded)
    ending = run_step(bench.context(), shutdown)
    assert before == [0]
    assert shutdown.concluded > 0
    shutdown.record(TemporaryError("Told to end."))
    found = bench.context().receipts.outcome(StepName.VALIDATE, "r1", "2013-03", 1)
    assert found is not None
    assert (found.exit_code, found.message) == (75, "Told to end.")
    assert bench.keys("receipts/") == [ending.outcome.receipt]
