"""One finished run for one doing of the work."""

from pathlib import Path

import pytest

from include.contract.digest import digest_of
from include.contract.receipt import ModelState
from include.contract.step_names import StepName
from include.errors import DataRejectedError, TemporaryError
from include.runtime.context import Work
from include.steps.train.logged_run import KEY_TAG, RECORD_FILE, RECORD_FOLDER, LoggedRun, model_unchanged
from include.stores.registry.memory import MemoryRegistry
from include.stores.registry.protocol import RunStatus
from include.stores.registry.run_files import fetched
from tests.support.step_results import least
from tests.support.worlds.training_world import World

MODEL = b"PK\x03\x04 a model"


def _run(world: World) -> LoggedRun:
    return LoggedRun(world.context(StepName.TRAIN), "key.0")


def _work(world: World, run_id: str, folder: Path) -> Work:
    model = folder / "written"
    model.mkdir(exist_ok=True)
    (model / "model.skops").write_bytes(MODEL)
    world.registry.log_model(run_id, model)
    state = ModelState(name="lateness", run_id=run_id, digest=digest_of(MODEL))
    return Work(outputs=(state,), row_counts={"train": 3}, results=least("train", run_id=run_id))


def test_a_finished_run_holds_its_result(tmp_path: Path) -> None:
    world = World()
    run = _run(world)
    run_id = run.start()
    work = _work(world, run_id, tmp_path)

    assert run.finished() is None
    again = run.start()
    work = _work(world, again, tmp_path)
    assert run.finish(again, work) == work

    assert _run(world).finished() == work
    statuses = {run.run_id: run.status for run in world.registry.runs("toy", {KEY_TAG: "key.0"})}
    assert statuses == {run_id: RunStatus.KILLED, again: RunStatus.FINISHED}


def test_another_doing_of_the_work_is_another_run(tmp_path: Path) -> None:
    world = World()
    run = _run(world)
    run_id = run.start()
    run.finish(run_id, _work(world, run_id, tmp_path))

    assert LoggedRun(world.context(StepName.TRAIN), "key.1").finished() is None


def test_of_two_twins_that_finish_the_first_counts(tmp_path: Path) -> None:
    world = World()
    run = _run(world)
    first, second = run.start(), run.start()
    works = {run_id: _work(world, run_id, tmp_path) for run_id in (first, second)}
    run.finish(first, works[first])

    assert run.finish(second, works[second]) == works[first]
    assert [run.status for run in world.registry.runs("toy", {})] == [RunStatus.FINISHED, RunStatus.KILLED]


def test_a_run_that_another_try_ended_is_not_finished(tmp_path: Path) -> None:
    world = World()
    run = _run(world)
    run_id = run.start()
    work = _work(world, run_id, tmp_path)
    world.registry.end_run(run_id, RunStatus.KILLED)

    with pytest.raises(TemporaryError, match=f"Run {run_id} was ended by another attempt"):
        run.finish(run_id, work)


def test_an_error_fails_the_run_and_a_bug_does_not_hide_behind_it() -> None:
    world = World()
    run = _run(world)
    failed, left = run.start(), run.start()

    message = "bad rows"
    with pytest.raises(DataRejectedError, match="bad rows"), run.failing(failed):
        raise DataRejectedError(message)
    with pytest.raises(ZeroDivisionError), run.failing(left):
        raise ZeroDivisionError

    statuses = {run.run_id: run.status for run in world.registry.runs("toy", {})}
    assert statuses == {failed: RunStatus.FAILED, left: RunStatus.RUNNING}


def test_a_changed_model_is_noticed(tmp_path: Path) -> None:
    world = World()
    run_id = _run(world).start()
    work = _work(world, run_id, tmp_path)
    changed = ModelState(name="lateness", run_id=run_id, digest=digest_of(b"another"))

    assert fetched(world.registry, run_id, "model/model.skops") == MODEL
    assert model_unchanged(world.registry, work.outputs)
    assert not model_unchanged(world.registry, (changed,))
    assert not model_unchanged(world.registry, (changed.model_copy(update={"run_id": "0" * 32}),))


@pytest.mark.parametrize(
    "record", [b"{}", b'{"outputs": [], "row_counts": {}, "results": {"run_id": "r"}}', b'{"format": 3}', b"{"]
)
def test_a_finished_run_whose_record_is_of_another_format_is_trained_again_and_said_why(
    tmp_path: Path, record: bytes
) -> None:
    world = World()
    run = _run(world)
    run_id = run.start()
    run.finish(run_id, _work(world, run_id, tmp_path))
    assert isinstance(world.registry, MemoryRegistry)
    world.registry.artifact_path(run_id, f"{RECORD_FOLDER}/{RECORD_FILE}").write_bytes(record)

    assert run.finished() is None
    assert [run.status for run in world.registry.runs("toy", {})] == [RunStatus.FAILED]
    (event,) = world.events("a finished run cannot be taken over")
    assert event["run_id"] == run_id
    assert "training.json of a run is not of format 2" in event["reason"]
