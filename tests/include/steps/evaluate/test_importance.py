"""What a model uses."""

import numpy as np
import pandas as pd

from include.modeling.metrics import Numbers
from include.steps.evaluate.importance import permutation_importance

ROWS = 3000
RANDOM = np.random.default_rng(2)
FEATURES = pd.DataFrame(
    {
        "noise": RANDOM.normal(size=ROWS),
        "strong": RANDOM.normal(size=ROWS),
        "weak": RANDOM.normal(size=ROWS),
        "place": RANDOM.choice(["north", "south"], ROWS),
        "riders": RANDOM.integers(0, 4, ROWS),
    }
)
LEAN = FEATURES["strong"].to_numpy() * 2 + FEATURES["weak"].to_numpy() * 0.5
TARGET = (LEAN + RANDOM.normal(size=ROWS) > 0).astype(np.int64)


def _predict(features: pd.DataFrame) -> Numbers:
    if features.dtypes["riders"] != np.int64 or features.dtypes["place"] != FEATURES.dtypes["place"]:
        raise TypeError
    lean = features["strong"].to_numpy() * 2 + features["weak"].to_numpy() * 0.5
    probabilities: Numbers = 1 / (1 + np.exp(-lean))
    return probabilities


def test_the_feature_that_matters_most_comes_first_and_noise_means_nothing() -> None:
    importances = permutation_importance(FEATURES, TARGET, _predict, seed=1)

    assert [one.feature for one in importances[:2]] == ["strong", "weak"]
    assert importances[0].drop > 0.3
    assert {one.feature: one.drop for one in importances}["noise"] == 0.0
    assert importances == permutation_importance(FEATURES, TARGET, _predict, seed=1)


def test_one_class_has_no_importance() -> None:
    assert permutation_importance(FEATURES, np.ones(ROWS, dtype=np.int64), _predict, seed=1) == []
