"""The project's model, fitted and asked with care."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.errors import ConfigurationError
from include.modeling.pipeline import ModelFunction
from tests.support.worlds.training_world import toy_rows, toy_spec

ROWS = toy_rows("2024-01")
FEATURES, TARGET = ROWS[["place", "size"]], ROWS["late"].to_numpy()


class _Says:
    def __init__(self, answer: object) -> None:
        self._answer = answer

    def predict_proba(self, _: pd.DataFrame) -> object:
        return self._answer


def test_a_model_is_built_with_the_parameters_and_the_seed(toy: Path) -> None:
    model = ModelFunction(toy_spec()).fitted({"max_iter": 4}, FEATURES, TARGET)

    trees = model.named_steps["trees"]
    assert (trees.max_iter, trees.random_state) == (4, 3)


def test_probabilities_are_two_a_row(toy: Path) -> None:
    function = ModelFunction(toy_spec())
    model = function.fitted({"max_iter": 4}, FEATURES, TARGET)

    said = function.probabilities(model, FEATURES)

    assert said.shape == (len(FEATURES), 2)
    assert said.sum(axis=1) == pytest.approx(np.ones(len(FEATURES)))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (np.zeros((2, 3)), r"returns shape \(2, 3\) with finite numbers"),
        (np.full((2, 2), np.nan), r"returns shape \(2, 2\) with numbers that are not finite"),
    ],
)
def test_other_answers_are_refused(toy: Path, answer: object, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        ModelFunction(toy_spec()).probabilities(_Says(answer), FEATURES.head(2))
