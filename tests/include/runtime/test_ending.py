import json
from typing import Any

import pytest

from include.contract.receipt import OutcomeStatus
from include.errors import DataRejectedError, NothingToDoError, PlatformError, TemporaryError
from include.runtime.ending import Completion, write_down
from include.stores.metrics.memory import MemoryMetrics
from include.stores.objects.memory import MemoryObjects
from tests.support.runtime_bench import Bench

PARTS = {"2013-03/weather": "receipts/w", "2013-03/planes": "receipts/p"}


@pytest.mark.parametrize(
    ("completion", "written"),
    [
        (Completion(status=OutcomeStatus.DONE, receipt="receipts/x"), {"exit_code": 0, "receipt": "receipts/x"}),
        (Completion(status=OutcomeStatus.ALREADY_DONE, receipts=PARTS), {"receipt": None, "receipts": PARTS}),
        (Completion.of(DataRejectedError("Bad.")), {"status": "failed", "exit_code": 65, "message": "Bad."}),
        (Completion.of(NothingToDoError("Nobody.")), {"status": "skipped", "exit_code": 99, "message": "Nobody."}),
    ],
)
def test_an_outcome_says_how_a_call_came_out(completion: Completion, written: dict[str, Any]) -> None:
    bench = Bench()
    ending = write_down(bench.context(), completion, 0.0)
    document = json.loads(bench.objects.get("runs/shop/r1/validate/2013-03/001/000.json"))
    assert document == ending.outcome.model_dump(mode="json")
    assert document.items() >= written.items()
    assert ending.error is completion.error


def test_a_call_counts_once_however_many_parts_it_has() -> None:
    context, metrics = Bench().context(), MemoryMetrics()
    context.stores.__dict__["metrics"] = metrics
    write_down(context, Completion(status=OutcomeStatus.DONE, receipts=PARTS), 0.0)
    assert metrics.counts == {"project.shop.step.validate.done": 1}
    assert len(metrics.timings["project.shop.step.validate.seconds"]) == 1


@pytest.mark.parametrize(
    ("completion", "summary"),
    [
        (Completion(status=OutcomeStatus.DONE, receipts=PARTS), "The work is done, and 2 receipts hold."),
        (Completion.of(TemporaryError("No answer.")), "No answer."),
    ],
)
def test_an_outcome_that_cannot_be_written_says_how_the_call_came_out(completion: Completion, summary: str) -> None:
    class Silent(MemoryObjects):
        def create(self, key: str, data: bytes) -> bool:  # noqa: ARG002 (the protocol's)
            raise TemporaryError("S3 did not answer.")

    with pytest.raises(PlatformError, match=rf"^{summary} How it ended could not be written down: S3 did not answer\."):
        write_down(Bench(objects=Silent()).context(), completion, 0.0)
