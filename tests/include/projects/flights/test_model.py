"""The flights' Pipeline: parameters, unknown categories, nulls, and the file it is kept in."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from include.packaging.files import dump_model, load_model
from include.projects.flights.model import build_pipeline


def some_rows(count: int = 600) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    random = np.random.default_rng(2)
    target = (random.random(count) < 0.3).astype(np.int64)
    rows = {
        "carrier": random.choice(["AA", "UA"], count),
        "dest": random.choice(["ORD", "LAX", "BOS"], count),
        "weather_temp": np.where(random.random(count) < 0.1, np.nan, random.normal(size=count)),
        "overdue": random.integers(0, 9, count) + 4 * target,
    }
    return pd.DataFrame(rows), target


SMALL = {"max_iter": 10, "min_samples_leaf": 20, "seed": 3}


def test_the_same_seed_gives_the_same_model() -> None:
    rows, target = some_rows()
    parameters = {**SMALL, "max_features": 0.5}
    first, second = (build_pipeline(parameters).fit(rows, target).predict_proba(rows) for _ in range(2))
    other = build_pipeline({**parameters, "seed": 4}).fit(rows, target).predict_proba(rows)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_nulls_and_categories_never_seen_are_answered() -> None:
    rows, target = some_rows()
    model = build_pipeline(SMALL).fit(rows, target)
    strange = rows.head(2).assign(dest=pd.Series(["XXX", None], dtype="str"), weather_temp=np.nan)
    assert np.isfinite(model.predict_proba(strange)).all()


def test_any_feature_may_be_dropped() -> None:
    rows, target = some_rows()
    model = build_pipeline(SMALL).fit(rows.drop(columns=["dest", "carrier"]), target)
    assert model.predict_proba(rows.head(1).drop(columns=["dest", "carrier"])).shape == (1, 2)


def test_the_model_survives_its_file() -> None:
    rows, target = some_rows()
    model = build_pipeline(SMALL).fit(rows, target)
    again = load_model(dump_model(model), "model.skops")
    assert np.array_equal(again.predict_proba(rows), model.predict_proba(rows))


def test_an_unknown_parameter_is_named() -> None:
    with pytest.raises(ValueError, match=r"model\.parameters learning_rat are not known; known: l2_regularization"):
        build_pipeline({"learning_rat": 0.1})
