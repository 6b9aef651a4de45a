"""Training through its seam: a command in, a receipt and one finished run out; and everything that must stop it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.contract.receipt import ModelState
from include.contract.results import SearchSummary, TrainingWindow, TrainResults
from include.contract.settings import TRACKING_URI
from include.contract.step_names import StepName
from include.errors import ConfigurationError, DataRejectedError, PermanentError, TemporaryError
from include.packaging.files import Golden, largest_difference, load_model
from include.runtime.runner import run_step
from include.stores.registry.memory import MemoryRegistry
from include.stores.registry.protocol import RunStatus
from tests.support.servers.mlflow_server import free_port
from tests.support.worlds.training_world import MONTHS, World, toy_rows, toy_spec

TRAIN = StepName.TRAIN


def test_a_training_leaves_one_finished_run_with_everything_in_it(world: World, tmp_path: Path) -> None:
    receipt = world.done(TRAIN)

    (model,) = receipt.outputs
    assert isinstance(model, ModelState)
    assert model.name == "lateness"
    assert [run.status for run in world.registry.runs("toy", {})] == [RunStatus.FINISHED]
    found = receipt.results_of(TrainResults)
    assert found.window == TrainingWindow(
        train=("2024-01", "2024-02", "2024-03"), validation=("2024-04",), test=("2024-05",)
    )
    assert receipt.row_counts == {"train": 1200, "validation": 400, "test": 400}
    assert [state.partition for state in receipt.inputs if state.kind == "table"] == list(MONTHS)
    assert model.digest == f"sha256:{found.files['model/model.skops'].sha256}"
    assert world.registry.metrics(model.run_id).keys() >= {"validation.roc_auc", "trial.001.roc_auc"}
    folder = world.registry.download(model.run_id, "model", tmp_path)
    assert "predict_fn: predict_proba" in (folder / "MLmodel").read_text()


def test_the_golden_rows_are_the_predictions_of_the_logged_model(world: World, tmp_path: Path) -> None:
    receipt = world.done(TRAIN)
    run_id = receipt.results_of(TrainResults).run_id

    content = world.registry.download(run_id, "golden/golden.json", tmp_path).read_bytes()
    golden = Golden.model_validate_json(content)
    model = load_model(world.registry.download(run_id, "model/model.skops", tmp_path).read_bytes(), "the model")
    rows = pd.DataFrame(golden.rows.data, columns=golden.rows.columns)

    assert golden.rows.columns == ["place", "size", "riders", "gap"]
    assert len(golden.predictions) == 6
    assert largest_difference(golden.predictions, model.predict_proba(rows)) == 0.0


def test_what_is_constant_or_irrelevant_in_the_window_is_left_out_and_why(world: World) -> None:
    features = world.done(TRAIN).results_of(TrainResults).features

    assert features.kept == ("place", "size", "riders", "gap")
    reasons = {one.feature: one.verdict for one in features.dropped}
    assert reasons == {"fixed": "constant", "noise": "irrelevant"}


def test_the_same_command_is_found_done_and_another_run_reuses_it(world: World) -> None:
    first = world.done(TRAIN)

    again = world.run(TRAIN, run="r2")

    assert again.outcome.status == "already_done"
    assert world.context(TRAIN).receipts.of_run(TRAIN, "r2", "2024-05") == first
    assert len(world.registry.runs("toy", {})) == 1


def test_the_same_data_gives_the_same_search(world: World) -> None:
    other = World(spec=toy_spec())
    other.fill(*MONTHS)

    searches = [_without_seconds(found.done(TRAIN).results_of(TrainResults).search) for found in (world, other)]

    assert searches[0] == searches[1]
    assert searches[0]["budget_hit"] is False


def test_a_smaller_window_is_another_training(world: World) -> None:
    window = world.done(TRAIN, window="3").results_of(TrainResults).window

    assert window == TrainingWindow(train=("2024-03",), validation=("2024-04",), test=("2024-05",))


@pytest.mark.parametrize("given", ["2", "0", "-5", "five", "٣", "3.5"])
def test_a_window_that_leaves_nothing_to_train_on_is_refused(world: World, given: str) -> None:
    with pytest.raises(ConfigurationError, match=f"--window is '{given}'.*at least 3"):
        world.done(TRAIN, window=given)


def test_a_window_that_begins_before_the_project_is_refused(world: World) -> None:
    with pytest.raises(
        ConfigurationError, match=r"begins with 2023-12, but project toy begins with 2024-01.*5 or less"
    ):
        world.done(TRAIN, window="6")


def test_a_partition_that_was_not_ingested_is_named_with_the_command(world: World) -> None:
    with pytest.raises(DataRejectedError, match=r"no partition 2024-06, 2024-07.*--partition 2024-06.*toy_data"):
        world.done(TRAIN, "2024-07")
    assert world.registry.runs("toy", {}) == []


def test_the_message_for_a_project_without_features_names_the_command() -> None:
    with pytest.raises(DataRejectedError, match=r"has no partition 2024-01.*Run 'validate' and 'features'"):
        World().done(TRAIN)


def test_rows_that_no_features_receipt_names_are_not_trained_on(world: World) -> None:
    changed = world.tables.read(world.table, "2024-02").slice(1)
    world.tables.write(world.table, "2024-02", changed, stamp={})

    with pytest.raises(DataRejectedError, match=r"Partition 2024-02 of toy/features/lateness_v1.*no features receipt"):
        world.done(TRAIN)
    assert world.registry.runs("toy", {}) == []


def test_rows_that_were_corrupted_after_validation_are_not_trained_on(world: World) -> None:
    rows = toy_rows("2024-02", seed=9)
    corrupted = world.validated("2024-02", rows)
    world.add_features("2024-02", rows, corrupted)

    with pytest.raises(DataRejectedError, match=r"Features of partition 2024-02 .*no validation receipt names"):
        world.done(TRAIN)
    assert world.registry.runs("toy", {}) == []


def test_a_constant_target_is_refused_before_a_run_is_begun(world: World) -> None:
    for month in MONTHS[:3]:
        world.add(month, toy_rows(month).assign(late=0))

    with pytest.raises(
        DataRejectedError, match=r"Target 'late' is no in all 1200 rows of the train partitions 2024-01"
    ):
        world.done(TRAIN)
    assert world.registry.runs("toy", {}) == []


def test_one_class_in_the_validation_partitions_is_refused(world: World) -> None:
    world.add("2024-04", toy_rows("2024-04").assign(late=1))

    with pytest.raises(DataRejectedError, match=r"is yes in all 400 rows of the validation partitions 2024-04"):
        world.done(TRAIN)


def test_when_no_feature_is_left_nothing_is_trained(world: World) -> None:
    world.spec = toy_spec(feature_set__selection__relevance_at_least=99.0)

    with pytest.raises(DataRejectedError, match=r"All 6 features are dropped .*feature_set\.selection"):
        world.done(TRAIN)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        ("model:bild", ConfigurationError, r"model\.py has no function 'bild'\. Did you mean 'build'\?"),
        ("modle:build", ConfigurationError, r"there is no include/projects/toy/modle\.py\. Did you mean 'model'\?"),
        ("model:build_raising", PermanentError, r"model\.py:build_raising raised ValueError in .*line \d+ \(build_r"),
        ("model:build_list", ConfigurationError, r"returns list, which has no fit, predict_proba"),
        ("model:build_unfit", PermanentError, r"built a model whose fit raised KeyError in .*line \d+ \(fit\)"),
        ("broken:build", PermanentError, r"broken\.py:build cannot be imported: it raised SyntaxError in line 2"),
    ],
)
def test_a_function_that_is_missing_or_raises_is_named(
    world: World, function: str, error: type[Exception], message: str
) -> None:
    world.spec = toy_spec(model__function=function)

    with pytest.raises(error, match=message) as raised:
        world.done(TRAIN)
    assert "4711" not in str(raised.value)
    assert RunStatus.FINISHED not in [run.status for run in world.registry.runs("toy", {})]


def test_a_model_of_a_type_that_is_not_trusted_is_refused_and_its_run_has_failed(world: World) -> None:
    world.spec = toy_spec(model__function="model:build_own", model__parameters={}, model__search__space={})

    with pytest.raises(DataRejectedError, match=r"types that are not trusted: .*_Own"):
        world.done(TRAIN)
    assert [run.status for run in world.registry.runs("toy", {})] == [RunStatus.FAILED]


def test_a_try_that_was_killed_before_its_run_was_finished_is_marked_and_done_again(world: World) -> None:
    _kill_at(world, "end_run")
    with pytest.raises(KeyboardInterrupt):
        world.run(TRAIN)
    left = [run.status for run in world.registry.runs("toy", {})]
    _revive(world)

    world.done(TRAIN, attempt=2)

    assert left == [RunStatus.RUNNING]
    assert sorted(run.status for run in world.registry.runs("toy", {})) == [RunStatus.FINISHED, RunStatus.KILLED]
    assert world.events("a run that an earlier attempt left behind was marked as killed")


def test_a_try_that_was_killed_between_its_run_and_its_receipt_leaves_one_run(world: World) -> None:
    _kill_receipt(world)
    with pytest.raises(KeyboardInterrupt):
        world.run(TRAIN)
    finished = world.registry.runs("toy", {})
    del world.objects.__dict__["create"]

    receipt = world.done(TRAIN, attempt=2)

    assert [run.status for run in finished] == [RunStatus.FINISHED]
    assert world.registry.runs("toy", {}) == finished
    assert receipt.results_of(TrainResults).run_id == finished[0].run_id
    assert receipt.row_counts["train"] == 1200


def test_a_twin_that_finished_first_wins(world: World) -> None:
    twin = World(world.registry, world.tables, world.objects)
    registry = world.registry
    log_model = registry.log_model
    ran: list[str] = []

    def interrupted(run_id: str, folder: Path) -> None:
        log_model(run_id, folder)
        if not ran:
            ran.append(run_id)
            twin.run(TRAIN, run="twin")

    registry.__dict__["log_model"] = interrupted

    with pytest.raises(TemporaryError, match="was ended by another attempt"):
        world.done(TRAIN)

    assert sorted(run.status for run in registry.runs("toy", {})) == [RunStatus.FINISHED, RunStatus.KILLED]
    assert world.run(TRAIN, attempt=2).outcome.status == "already_done"


def test_a_model_file_that_is_gone_is_trained_again(world: World) -> None:
    first = world.done(TRAIN)
    _model_file(world, first.results_of(TrainResults).run_id).unlink()

    second = world.done(TRAIN)

    assert second.results_of(TrainResults).run_id != first.results_of(TrainResults).run_id
    assert world.events("the receipt no longer holds; the work is done again")


def test_a_finished_run_without_its_model_does_not_count(world: World) -> None:
    _kill_receipt(world)
    with pytest.raises(KeyboardInterrupt):
        world.run(TRAIN)
    _model_file(world, world.registry.runs("toy", {})[0].run_id).unlink()
    del world.objects.__dict__["create"]

    world.done(TRAIN, attempt=2)

    assert sorted(run.status for run in world.registry.runs("toy", {})) == [RunStatus.FAILED, RunStatus.FINISHED]


def test_a_registry_that_fails_in_the_middle_is_temporary(world: World) -> None:
    def fail(*_: Any) -> None:
        message = "MLflow does not answer."
        raise TemporaryError(message)

    world.registry.__dict__["log_parameters"] = fail

    with pytest.raises(TemporaryError, match="does not answer"):
        world.done(TRAIN)
    assert [run.status for run in world.registry.runs("toy", {})] == [RunStatus.FAILED]


def test_an_mlflow_that_is_not_there_is_temporary_and_nothing_is_trained(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.stores.registry.open.RETRY_SECONDS", 0.0)
    context = world.context(TRAIN)
    del context.stores.__dict__["registry"]
    context.stores.__dict__["environment"] = {TRACKING_URI: f"http://127.0.0.1:{free_port()}"}

    ending = run_step(context)

    assert ending.outcome.exit_code == 75
    assert ending.outcome.message.startswith("MLflow at http://127.0.0.1:")
    assert not world.events("trial done")
    assert world.objects.list("receipts/toy/train/") == []


def test_nulls_make_a_whole_number_a_number_and_golden_rows_fit_the_signature(world: World) -> None:
    for month in MONTHS:
        rows = toy_rows(month)
        rows["riders"] = rows["riders"].astype("Int64").mask(np.arange(len(rows)) % 7 == 0)
        if month == "2024-05":
            rows["fixed"] = rows["fixed"].astype("Int64").mask(np.arange(len(rows)) % 2 == 0)
        world.add(month, rows)
    world.spec = toy_spec(feature_set__selection__constant=False, feature_set__selection__relevance_at_least=0.0)

    signature = world.done(TRAIN).results_of(TrainResults).signature

    types = {one.name: one.type for one in signature.inputs}
    assert types["riders"] == "double"
    assert types["fixed"] == "long"
    assert types["place"] == "string"


def _without_seconds(search: SearchSummary) -> dict[str, Any]:
    return search.model_dump(mode="json", exclude={"trials": {"__all__": {"seconds"}}})


def _model_file(world: World, run_id: object) -> Path:
    if not isinstance(world.registry, MemoryRegistry):
        raise TypeError
    return world.registry.artifact_path(str(run_id), "model/model.skops")


def _kill_at(world: World, method: str) -> None:
    """What a kill leaves behind: nothing after this call happens."""

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    world.registry.__dict__[method] = killed


def _revive(world: World) -> None:
    del world.registry.__dict__["end_run"]


def _kill_receipt(world: World) -> None:
    create = world.objects.create

    def killed(key: str, data: bytes) -> bool:
        if key.startswith("receipts/toy/train/"):
            raise KeyboardInterrupt
        return create(key, data)

    world.objects.__dict__["create"] = killed
