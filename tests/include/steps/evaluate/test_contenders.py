"""Who is compared, and that nothing is loaded which is not what it should be."""

import pytest

from include.contract.receipt import ModelState
from include.contract.step_names import StepName
from include.errors import DataRejectedError
from include.steps.evaluate.contenders import cannot_compare, champion_to_compare, load_challenger
from tests.support.worlds.training_world import World, toy_rows

COLUMNS = ("place", "size", "riders", "gap")


@pytest.fixture
def trained(world: World) -> tuple[World, ModelState]:
    (model,) = world.done(StepName.TRAIN).outputs
    if not isinstance(model, ModelState):
        raise TypeError
    return world, model


def test_a_challenger_is_asked_about_its_own_columns(trained: tuple[World, ModelState]) -> None:
    world, model = trained

    contender = load_challenger(world.context(StepName.EVALUATE), model, COLUMNS)

    rows = toy_rows("2024-06")
    assert contender.missing(rows) == []
    assert contender.missing(rows.drop(columns="gap")) == ["gap"]
    probabilities = contender.probabilities(rows)
    assert probabilities.shape == (400,)
    assert 0.0 <= probabilities.min() < probabilities.max() <= 1.0


def test_a_challenger_of_another_digest_is_not_opened(trained: tuple[World, ModelState]) -> None:
    world, model = trained
    changed = model.model_copy(update={"digest": "sha256:" + "0" * 64})

    with pytest.raises(DataRejectedError, match=r"model/model\.skops of MLflow run .* it was not opened\. Run 'train'"):
        load_challenger(world.context(StepName.EVALUATE), changed, COLUMNS)


def test_without_a_champion_there_is_nobody_to_compare_with(trained: tuple[World, ModelState]) -> None:
    world, model = trained

    assert champion_to_compare(world.context(StepName.EVALUATE), model) is None


def test_a_champion_that_was_not_packaged_is_refused(trained: tuple[World, ModelState]) -> None:
    world, model = trained
    world.registry.register(model.name, model.run_id, "somewhere", {})
    world.registry.move_alias(model.name, "champion", expected=None, to=1)

    with pytest.raises(DataRejectedError, match=r"Version 1 of model 'lateness' is not sealed"):
        champion_to_compare(world.context(StepName.EVALUATE), model)


def test_why_a_champion_cannot_be_compared_names_columns_and_a_cure() -> None:
    champion = ModelState(name="lateness", run_id="r", version=4, digest="sha256:0")

    reason = cannot_compare(champion, ["b", "a"], "toy/features/lateness_v2")

    assert reason.startswith(
        "champion version 4 cannot predict rows of toy/features/lateness_v2, which lacks its columns a, b"
    )
    assert "take the gate out of the spec" in reason
