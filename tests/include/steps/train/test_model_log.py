"""What a training leaves in its run, as a person finds it there."""

from pathlib import Path

import pytest

from include.contract.results import EvaluateResults, TrainResults
from include.contract.step_names import StepName
from include.steps.train.model_log import Stopwatch
from include.stores.registry.open import open_registry
from include.stores.registry.protocol import RunStatus
from tests.support.servers.mlflow_server import MlflowServer
from tests.support.worlds.training_world import World

pytestmark = pytest.mark.mlflow


def test_a_training_on_a_real_server_is_whole(toy: Path, mlflow_server: MlflowServer, tmp_path: Path) -> None:
    world = World(registry=open_registry(mlflow_server.uri))
    world.fill("2024-01", "2024-02", "2024-03", "2024-04", "2024-05")

    receipt = world.done(StepName.TRAIN)
    evaluated = world.done(StepName.EVALUATE)

    run_id = receipt.results_of(TrainResults).run_id
    (run,) = world.registry.runs("toy", {})
    assert (run.run_id, run.status) == (run_id, RunStatus.FINISHED)
    assert run.tags["platform.partition"] == "2024-05"
    metrics = world.registry.metrics(run_id)
    area = evaluated.results_of(EvaluateResults).metrics["model"]["roc_auc"]
    assert metrics["test.roc_auc"] == pytest.approx(area.value, abs=1e-6)
    folder = world.registry.download(run_id, "model", tmp_path)
    assert {"MLmodel", "model.skops", "input_example.json", "requirements.txt"} <= {
        path.name for path in folder.iterdir()
    }
    assert world.run(StepName.TRAIN, run="r2").outcome.status == "already_done"
    for path in mlflow_server.artifacts.rglob("model.skops"):
        path.unlink()
    assert world.done(StepName.TRAIN, run="r3").results_of(TrainResults).run_id != run_id


def test_time_is_booked_where_it_went() -> None:
    watch = Stopwatch()
    watch.lap("read")
    watch.lap("fit")

    assert list(watch.seconds) == ["read", "fit"]
    assert all(seconds >= 0 for seconds in watch.seconds.values())
