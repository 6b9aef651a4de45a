"""Judging through its seam: gates, champion, baseline, the card; and models that must not be opened."""

import pickle
from pathlib import Path
from typing import Any

import pytest

from include.contract.layout import bundle_prefix
from include.contract.receipt import ModelState, Receipt
from include.contract.results import EvaluateResults, TrainResults
from include.contract.step_names import StepName
from include.errors import DataRejectedError
from include.governance.versions import version_tags
from include.packaging.files import GOLDEN, MANIFEST, MLMODEL, MODEL, seal_bundle
from include.spec.training import GateSpec, SliceGateSpec
from include.stores.registry.memory import MemoryRegistry
from tests.support.worlds.training_world import MONTHS, World, toy_rows, toy_spec

TRAIN, EVALUATE = StepName.TRAIN, StepName.EVALUATE
METRICS = {"roc_auc", "average_precision", "log_loss", "brier_score", "expected_calibration_error"}


@pytest.fixture
def trained(world: World) -> World:
    world.done(TRAIN)
    return world


def test_a_model_is_measured_beside_baseline_and_prior_on_the_holdout(trained: World) -> None:
    receipt = trained.done(EVALUATE)

    results = receipt.results_of(EvaluateResults)
    assert results.metrics.keys() == {"model", "baseline", "prior"}
    assert results.metrics["model"].keys() == METRICS
    area: Any = {name: found["roc_auc"] for name, found in results.metrics.items()}
    assert area["model"].low < area["model"].value < area["model"].high
    assert area["model"].value > area["baseline"].value > area["prior"].value == 0.5
    assert results.test == ("2024-05",)
    assert receipt.row_counts == {"test": 400, "positive": int(toy_rows("2024-05")["late"].sum()), "fit": 1600}
    assert results.intervals.unit == "day"
    assert results.passed is True
    assert results.promote is True
    assert results.reasons == ()
    assert results.champion is None


def test_slices_calibration_and_importance_are_reported(trained: World) -> None:
    results = trained.done(EVALUATE).results_of(EvaluateResults)

    assert {one.value for one in results.slices["place"]} == {"north", "south", "west"}
    assert [(one.value, one.rows) for one in results.slices["month"]] == [("2024-05", 400)]
    assert sum(one.rows for one in results.calibration) == 400
    assert results.importance[0].feature == "size"
    assert results.importance[0].drop > 0.05


def test_the_card_is_sealed_logged_and_stands_alone(trained: World, tmp_path: Path) -> None:
    receipt = trained.done(EVALUATE)
    run_id, reports = receipt.results_of(EvaluateResults).run_id, receipt.results_of(EvaluateResults).reports

    card = trained.objects.get(reports["html"]).decode()
    text = trained.objects.get(reports["markdown"]).decode()

    assert {state.name for state in receipt.outputs} == set(reports.values())
    assert card.count("<svg") == 5
    assert "http" not in card.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in card
    for expected in ("Passed all gates", "How large it is.", "By place", "fixed", "toys@example.com"):
        assert expected in card
        assert expected in text
    logged = trained.registry.download(run_id, "evaluation/model_card.html", tmp_path)
    assert logged.read_text() == card
    assert trained.registry.metrics(run_id).keys() >= {"test.roc_auc", "test.roc_auc.low", "baseline.log_loss"}


def test_a_gate_that_fails_does_not_fail_the_step_and_is_reported(trained: World) -> None:
    gates = (GateSpec(metric="roc_auc", at_least=0.999), GateSpec(metric="brier_score", at_most=0.5))
    trained.spec = toy_spec(evaluation__gates=gates)

    results = trained.done(EVALUATE).results_of(EvaluateResults)

    assert results.passed is False
    assert results.promote is False
    (reason,) = results.reasons
    assert reason.startswith("Gate 'roc_auc at least 0.999' failed: roc_auc is 0.9")


def test_a_slice_that_is_too_bad_fails_its_gate(trained: World) -> None:
    trained.spec = toy_spec(
        evaluation__slice_gates=(SliceGateSpec(metric="roc_auc", at_least=0.999, rows_at_least=50),)
    )

    (reason,) = trained.done(EVALUATE).results_of(EvaluateResults).reasons

    assert "place north: 0." in reason
    assert " rows" in reason


def test_the_champion_is_measured_on_the_same_rows(trained: World) -> None:
    _crown(trained, trained.done(TRAIN))
    trained.spec = toy_spec(model__parameters={"max_iter": 20})
    trained.done(TRAIN, run="r2")

    receipt = trained.done(EVALUATE, run="r2")

    results = receipt.results_of(EvaluateResults)
    champion = results.champion
    assert champion is not None
    assert (champion.version, champion.compared) == (1, True)
    assert "champion" in results.metrics
    assert results.differences["champion"].keys() == METRICS
    assert [state.kind for state in receipt.inputs] == ["model", "model", "table"]
    assert "champion has 0.9" in results.gates[2].found
    assert champion.saw == ()


def test_a_champion_that_was_fitted_on_the_test_rows_is_said_to_know_them(world: World) -> None:
    world.fill("2024-06")
    _crown(world, world.done(TRAIN, "2024-06"))
    world.done(TRAIN, "2024-05", run="r2")

    results = world.done(EVALUATE, "2024-05", run="r2").results_of(EvaluateResults)

    assert results.champion is not None
    assert results.champion.saw == ("2024-05",)
    card = world.objects.get(results.reports["markdown"]).decode()
    assert "The champion was fitted on 2024-05: its metrics there are optimistic." in card
    assert world.events("the champion was fitted on test partitions")


def test_a_champion_does_not_meet_itself_when_the_step_is_repeated(trained: World) -> None:
    first = trained.done(EVALUATE)
    _crown(trained, trained.done(TRAIN))

    again = trained.run(EVALUATE, run="r1", attempt=2)

    assert again.outcome.status == "already_done"
    assert trained.done(EVALUATE, attempt=3) == first


def test_a_champion_without_an_earlier_evaluation_is_not_compared_with_itself(trained: World) -> None:
    _crown(trained, trained.done(TRAIN))

    assert trained.done(EVALUATE).results_of(EvaluateResults).champion is None


def test_a_champion_that_requires_other_columns_is_reported_as_not_comparable(trained: World) -> None:
    _crown(trained, trained.done(TRAIN))
    for month in MONTHS:
        rows = toy_rows(month).drop(columns="gap")
        trained.spec = _without_gap(version=2)
        trained.add(month, rows)
    trained.done(TRAIN, run="r2")

    results = trained.done(EVALUATE, run="r2").results_of(EvaluateResults)

    assert results.passed is False
    assert results.champion is not None
    assert results.champion.compared is False
    assert "cannot predict rows of toy/features/lateness_v2, which lacks its columns gap" in results.reasons[0]


def test_a_champion_whose_bundle_was_changed_is_not_opened(trained: World) -> None:
    digest = _crown(trained, trained.done(TRAIN))
    trained.objects.contents[bundle_prefix("toy", digest) + MODEL] = b"PK\x03\x04 another"
    trained.spec = toy_spec(model__parameters={"max_iter": 20})
    trained.done(TRAIN, run="r2")

    with pytest.raises(DataRejectedError, match=r"model\.skops of bundle .*was not opened"):
        trained.done(EVALUATE, run="r2")


def test_a_run_that_trained_nothing_is_refused(world: World) -> None:
    with pytest.raises(DataRejectedError, match=r"Run 'r1' trained no model for 2024-05. Run 'train' first"):
        world.done(EVALUATE)


def test_a_deleted_model_file_is_refused(trained: World) -> None:
    _model_file(trained).unlink()

    with pytest.raises(DataRejectedError, match=r"could not fetch model/model\.skops of run .* gone"):
        trained.done(EVALUATE)


def test_a_pickle_in_the_place_of_the_model_is_not_opened(trained: World) -> None:
    _model_file(trained).write_bytes(pickle.dumps({"a": "model"}))

    with pytest.raises(DataRejectedError, match=r"and is a pickle, .*was not opened.*Run 'train' again"):
        trained.done(EVALUATE)


def test_one_class_in_the_test_partitions_is_refused(world: World) -> None:
    world.add("2024-05", toy_rows("2024-05").assign(late=0))
    world.done(TRAIN)

    with pytest.raises(DataRejectedError, match="is no in all 400 rows of the test partitions 2024-05"):
        world.done(EVALUATE)


def test_test_rows_that_are_no_longer_what_they_were_are_refused(trained: World) -> None:
    trained.tables._versions[trained.table][-1]["2024-05"] = trained.tables.read(trained.table, "2024-05").slice(1)

    with pytest.raises(DataRejectedError, match=r"Partition 2024-05 of .* is not what the model was trained for"):
        trained.done(EVALUATE)


def _model_file(world: World) -> Path:
    if not isinstance(world.registry, MemoryRegistry):
        raise TypeError
    return world.registry.artifact_path(world.registry.runs("toy", {})[0].run_id, "model/model.skops")


def _without_gap(version: int) -> Any:
    spec = toy_spec(feature_set__version=version)
    columns = {name: column for name, column in spec.feature_set.columns.items() if name != "gap"}
    return spec.model_copy(update={"feature_set": spec.feature_set.model_copy(update={"columns": columns})})


def _crown(world: World, train: Receipt) -> str:
    """What package and deploy leave behind: a sealed bundle, a version of it, and the alias."""
    (model,) = train.outputs
    if not isinstance(model, ModelState) or not isinstance(world.registry, MemoryRegistry):
        raise TypeError
    files = {MODEL: "model/model.skops", MLMODEL: "model/MLmodel", GOLDEN: "golden/golden.json"}
    contents = {name: world.registry.artifact_path(model.run_id, path).read_bytes() for name, path in files.items()}
    signature = train.results_of(TrainResults).signature
    bundle = seal_bundle(
        {
            "project": "toy",
            "model": model.name,
            "run_id": model.run_id,
            "predict": "predict_proba",
            "positive_class": 1,
            "inputs": signature.inputs,
            "outputs": signature.outputs,
        },
        contents,
    )
    prefix = bundle_prefix("toy", bundle.digest)
    for name, content in {**contents, MANIFEST: bundle.manifest.content()}.items():
        world.objects.create(prefix + name, content)
    tags = version_tags("toy", bundle.digest, train.partition, "evidence")
    version = world.registry.register(model.name, model.run_id, prefix, tags)
    world.registry.move_alias(model.name, "champion", expected=None, to=version.version)
    return bundle.digest
