from pathlib import Path

import pytest

from include.contract.receipt import Receipt
from include.contract.step_names import StepName
from include.errors import DataRejectedError
from include.runtime.context import StepContext
from include.runtime.receipts import ReceiptReader
from include.steps.package.evaluated_model import evaluated_model
from tests.support.step_results import least
from tests.support.worlds.release_world import ReleaseWorld


@pytest.fixture(scope="module")
def context(toy: Path) -> StepContext:
    world = ReleaseWorld.filled()
    world.evaluated()
    return world.context(StepName.PACKAGE)


def test_model_and_its_evidence_come_from_the_receipts_of_the_run(context: StepContext) -> None:
    model = evaluated_model(context)
    assert model.trained.target.positive_class == 1
    assert [column.name for column in model.trained.signature.inputs] == list(model.trained.features.kept)
    assert len(model.file_digest("golden/golden.json")) == 64
    described = model.described()
    assert described.partition == "2024-05"
    assert described.validation


def test_artifact_that_the_receipt_does_not_name_is_refused(context: StepContext) -> None:
    with pytest.raises(DataRejectedError, match="does not name artifact model/other"):
        evaluated_model(context).file_digest("model/other")


def test_evaluation_of_another_model_does_not_count(context: StepContext, monkeypatch: pytest.MonkeyPatch) -> None:
    find = ReceiptReader.of_run

    def changed(evidence: ReceiptReader, step: StepName, run: str, subject: str) -> Receipt | None:
        receipt = find(evidence, step, run, subject)
        return receipt if receipt is None or step is StepName.TRAIN else receipt.model_copy(update={"inputs": ()})

    monkeypatch.setattr(ReceiptReader, "of_run", changed)
    with pytest.raises(DataRejectedError, match="evaluated another model"):
        evaluated_model(context)


def test_receipt_of_another_step_is_refused(context: StepContext, monkeypatch: pytest.MonkeyPatch) -> None:
    find = ReceiptReader.of_run

    def changed(evidence: ReceiptReader, step: StepName, run: str, subject: str) -> Receipt | None:
        receipt = find(evidence, step, run, subject)
        return None if receipt is None else receipt.model_copy(update={"results": least("score")})

    monkeypatch.setattr(ReceiptReader, "of_run", changed)
    with pytest.raises(DataRejectedError, match=r"is one of step .*, not TrainResults"):
        evaluated_model(context)
