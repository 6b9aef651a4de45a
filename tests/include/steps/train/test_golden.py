"""Golden rows."""

import json

import numpy as np
import pandas as pd

from include.steps.train.golden import golden_bytes, golden_sample, json_rows

TYPES = {"place": "string", "riders": "long", "wet": "boolean", "size": "double"}
FEATURES = pd.DataFrame(
    {
        "place": pd.array(["north", None, "south", "west"], dtype="str"),
        "riders": [1.0, 2.0, np.nan, 4.0],
        "wet": [1.0, 0.0, 1.0, 1.0],
        "size": [0.1, np.nan, 0.3, 0.4],
    }
)


def test_only_rows_that_the_signature_allows_are_chosen_and_in_their_order() -> None:
    sample = golden_sample(FEATURES, TYPES, count=10, seed=1)

    assert sample["riders"].tolist() == [1, 2, 4]
    assert sample["riders"].dtype == np.int64
    assert sample["wet"].tolist() == [True, False, True]


def test_the_sample_is_seeded_and_of_the_size_that_is_asked_for() -> None:
    rows = pd.DataFrame({"size": np.arange(1000.0)})

    first, second = (golden_sample(rows, {"size": "double"}, count=20, seed=seed) for seed in (1, 1))

    assert first.equals(second)
    assert len(first) == 20
    assert first["size"].is_monotonic_increasing
    assert not first.equals(golden_sample(rows, {"size": "double"}, count=20, seed=2))


def test_values_come_as_json_knows_them() -> None:
    sample = golden_sample(FEATURES, TYPES, count=10, seed=1)

    assert json_rows(sample)[:2] == [["north", 1, True, 0.1], [None, 2, False, None]]
    document = json.loads(golden_bytes(sample, np.array([[0.25, 0.75]] * 3)))
    assert document["rows"]["columns"] == ["place", "riders", "wet", "size"]
    assert document["predictions"][0] == [0.25, 0.75]
