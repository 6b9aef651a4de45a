from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from include.contract.layout import bundle_prefix
from include.contract.measures import Interval
from include.contract.receipt import OutcomeStatus, TableState
from include.contract.results import ScoreResults
from include.contract.step_names import StepName
from include.errors import DataRejectedError, MissingObjectError, NothingToDoError
from tests.support.worlds.scored_world import promote
from tests.support.worlds.training_world import PROJECT, World, as_table, toy_rows

TABLE = "toy/predictions/lateness"
SCORED = "2024-05"


def test_a_partition_is_scored_row_by_row(world: World) -> None:
    champion = promote(world, 3, "2024-04")
    receipt = world.done(StepName.SCORE, SCORED)
    rows, features = world.tables.read(TABLE, SCORED), world.tables.read(world.table, SCORED)
    assert rows.schema.names == ["id", "at", "score", "model_version", "model_digest"]
    assert rows.column("id").equals(features.column("id"))
    assert rows.column("at").equals(features.column("at"))
    assert set(rows.column("model_version").to_pylist()) == {3}
    assert set(rows.column("model_digest").to_pylist()) == {champion.digest}
    scores = rows.column("score").to_numpy()
    assert ((scores > 0) & (scores < 1)).all()
    assert receipt.outputs == (world.tables.state(TABLE, SCORED),)
    assert champion in receipt.inputs


def test_the_receipt_holds_observed_quality_with_an_interval(world: World) -> None:
    promote(world, 1, "2024-04")
    receipt = world.done(StepName.SCORE, SCORED)
    scores = world.tables.read(TABLE, SCORED).column("score").to_numpy()
    target = world.tables.read(world.table, SCORED).column("late").to_numpy()
    results = receipt.results_of(ScoreResults)
    assert results.rows == 400
    assert results.mean_score == pytest.approx(scores.mean(), abs=1e-6)
    observed = results.observed
    assert observed is not None
    assert (observed.target, observed.rows, observed.positive) == ("late", 400, int(target.sum()))
    assert observed.positive_rate == pytest.approx(target.mean(), abs=1e-6)
    area: Any = observed.roc_auc
    assert area.value == pytest.approx(roc_auc_score(target, scores), abs=1e-6)
    assert area.low < area.value < area.high
    assert "no promotion depends on it" in observed.note
    assert receipt.row_counts == {"rows": 400, "positive": int(target.sum())}


def test_scoring_again_is_already_done_and_a_lost_table_is_scored_again(world: World) -> None:
    promote(world, 1, "2024-04")
    first = world.done(StepName.SCORE, SCORED)
    assert world.run(StepName.SCORE, SCORED, run="r2").outcome.status is OutcomeStatus.ALREADY_DONE
    world.tables.write(TABLE, SCORED, world.tables.read(TABLE, SCORED)[:1], stamp={})
    again = world.run(StepName.SCORE, SCORED, run="r3")
    assert again.outcome.status is OutcomeStatus.DONE
    (output,) = first.outputs
    assert isinstance(output, TableState)
    state = world.tables.state(TABLE, SCORED)
    assert state is not None
    assert state.digest == output.digest


def test_the_champion_is_the_last_one_that_had_not_seen_the_partition(world: World) -> None:
    promote(world, 1, "2024-02")
    second = promote(world, 2, "2024-03")
    promote(world, 3, "2024-04")
    receipt = world.done(StepName.SCORE, "2024-04")
    assert second in receipt.inputs
    assert receipt.results_of(ScoreResults).champion.model_dump() == {
        "model": "lateness",
        "version": 2,
        "digest": second.digest,
        "learned_up_to": "2024-03",
        "promotion": 2,
    }


def test_a_model_that_was_fitted_on_the_partition_does_not_score_it(world: World) -> None:
    promote(world, 1, "2024-05")
    error = world.failing(StepName.SCORE, SCORED)
    assert isinstance(error, NothingToDoError)
    assert "fitted up to 2024-05, and a model never scores what it may have been fitted on" in str(error)
    assert "Train with a window that ends with 2024-04 or earlier" in str(error)
    assert world.tables.version(TABLE) is None


def test_without_a_champion_there_is_nothing_to_do(world: World) -> None:
    ending = world.run(StepName.SCORE, SCORED)
    assert ending.outcome.status is OutcomeStatus.SKIPPED
    assert "Model 'lateness' has no champion yet, so partition 2024-05 is not scored" in ending.outcome.message


def test_a_newer_champion_that_may_score_changes_the_predictions(world: World) -> None:
    promote(world, 1, "2024-03")
    world.done(StepName.SCORE, SCORED)
    newer = promote(world, 2, "2024-04")
    receipt = world.done(StepName.SCORE, SCORED, run="r2")
    assert newer in receipt.inputs
    assert set(world.tables.read(TABLE, SCORED).column("model_version").to_pylist()) == {2}


def test_a_partition_without_features_is_refused(world: World) -> None:
    promote(world, 1, "2024-04")
    with pytest.raises(
        DataRejectedError, match=r"'toy/features/lateness_v1' has no partition 2024-07.*Run 'features' for"
    ):
        raise world.failing(StepName.SCORE, "2024-07")


def test_features_without_a_receipt_are_refused(world: World) -> None:
    promote(world, 1, "2024-04")
    changed = as_table(toy_rows(SCORED, 7))
    world.tables.write(world.table, SCORED, changed, stamp={})
    with pytest.raises(DataRejectedError, match="that no features receipt names"):
        raise world.failing(StepName.SCORE, SCORED)


def test_a_champion_of_other_columns_is_refused(world: World) -> None:
    promote(world, 1, "2024-04", columns=("size", "noise"))
    rows = toy_rows("2024-06").rename(columns={"noise": "murmur"})
    world.tables = type(world.tables)()
    validated = world.validated("2024-06", rows)
    sealed = world.tables.write(world.table, "2024-06", as_table(rows), stamp={})
    world.receipt(StepName.FEATURES, "2024-06", (validated,), (sealed,))
    with pytest.raises(DataRejectedError, match=r"requires columns noise, which table 'toy/features/lateness_v1'"):
        raise world.failing(StepName.SCORE, "2024-06")


def test_a_partition_of_one_class_has_no_area(world: World) -> None:
    promote(world, 1, "2024-04")
    rows = toy_rows("2024-06").assign(late=np.int64(0))
    world.add("2024-06", rows)
    observed = world.done(StepName.SCORE, "2024-06").results_of(ScoreResults).observed
    assert observed is not None
    assert observed.roc_auc == Interval(value=None, low=None, high=None)
    assert observed.positive_rate == 0.0


@pytest.mark.parametrize("name", ["model.skops", "golden.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["deleted", "changed", "pickle"])
def test_a_damaged_bundle_is_not_opened(world: World, name: str, damage: str) -> None:
    champion = promote(world, 1, "2024-04")
    key = bundle_prefix(PROJECT, champion.digest) + name
    content = world.objects.contents.pop(key)
    if damage != "deleted":
        world.objects.contents[key] = {"changed": content[:-1] + b"?", "pickle": b"\x80\x04."}[damage]
    expected = MissingObjectError if damage == "deleted" else DataRejectedError
    with pytest.raises(expected, match=name.replace(".", r"\.")):
        raise world.failing(StepName.SCORE, SCORED)
    assert world.tables.version(TABLE) is None


def test_no_value_of_a_row_is_logged(world: World) -> None:
    promote(world, 1, "2024-04")
    receipt = world.done(StepName.SCORE, SCORED)
    written = world.log.getvalue() + receipt.model_dump_json()
    scores = world.tables.read(TABLE, SCORED).column("score").to_pylist()
    assert not [score for score in scores[:50] if str(score)[:8] in written]
