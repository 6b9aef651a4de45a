"""Evidence for and against features, partition by partition and taken together."""

import numpy as np
import pandas as pd
import pytest

from include.contract.measures import FeatureEvidence, Verdict
from include.modeling.feature_selection import dropped_features, evidence, mutual_information
from include.spec.features import SelectionSpec

SELECTION = SelectionSpec(relevance_at_least=0.001, nulls_at_most=0.8, sample_rows=1000)


def month(seed: int, fixed: float = 7.0) -> dict[str, FeatureEvidence]:
    random = np.random.default_rng(seed)
    count = 2000
    target = (random.random(count) < 0.3).astype(np.int64)
    features = pd.DataFrame(
        {
            "telling": target + random.normal(size=count),
            "noise": random.normal(size=count),
            "fixed": np.full(count, fixed),
            "empty": np.full(count, np.nan),
            "sparse": np.where(random.random(count) < 0.1, target, np.nan),
            "place": np.where(target == 1, "north", random.choice(["north", "south"], count)),
        }
    )
    return evidence(features, target, SELECTION, seed=1)


def test_verdicts_and_reasons() -> None:
    found = month(1)
    assert {name: one.verdict.value for name, one in found.items()} == {
        "telling": "kept", "noise": "irrelevant", "fixed": "constant", "empty": "constant", "sparse": "mostly_null",
        "place": "kept",
    }  # fmt: skip
    assert found["fixed"].why == "one value in all 2000 rows"
    assert found["empty"].why == "null in all 2000 rows"
    assert "null in 9" in found["sparse"].why
    assert "of 0.001 at least" in found["noise"].why


def test_evidence_is_the_same_each_time() -> None:
    assert month(1) == month(1)


def test_no_value_stands_in_the_evidence() -> None:
    secret = pd.DataFrame({"name": ["Ann of the hill"] * 200})
    found = evidence(secret, np.arange(200) % 2, SELECTION, seed=1)
    assert "Ann" not in found["name"].model_dump_json()


def test_partitions_are_taken_together() -> None:
    dropped = {one.feature: one.verdict for one in dropped_features([month(seed) for seed in range(3)], SELECTION)}
    assert dropped == {
        "noise": Verdict.IRRELEVANT,
        "fixed": Verdict.CONSTANT,
        "empty": Verdict.CONSTANT,
        "sparse": Verdict.MOSTLY_NULL,
    }


def test_constants_of_different_values_are_no_constant() -> None:
    dropped = {one.feature for one in dropped_features([month(1, fixed=1.0), month(2, fixed=2.0)], SELECTION)}
    assert "fixed" not in dropped


def test_one_partition_does_not_outvote_the_others() -> None:
    weak, strong = month(1), month(2)
    strong["noise"] = strong["noise"].model_copy(update={"relevance": 0.5})
    assert "noise" not in {one.feature for one in dropped_features([weak, strong], SELECTION)}


def test_constants_may_be_kept() -> None:
    found = evidence(
        pd.DataFrame({"fixed": np.ones(300)}),
        np.arange(300) % 2,
        SelectionSpec(constant=False, relevance_at_least=0.0),
        seed=1,
    )
    assert found["fixed"].verdict is Verdict.KEPT


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([0.0, 1.0] * 500),
        pd.Series(["no", "yes"] * 500),
        pd.Series([np.nan, 1.0] * 500),
        pd.Series([None, "yes"] * 500),
        pd.Series([False, True] * 500),
    ],
    ids=["numbers", "texts", "null numbers", "null texts", "booleans"],
)
def test_a_feature_that_is_the_target_carries_all_of_it(column: pd.Series) -> None:
    target = np.array([0, 1] * 500)
    assert mutual_information(column, target) == pytest.approx(np.log(2), abs=0.002)


def test_a_value_that_most_rows_share_is_told_from_those_below_it() -> None:
    values = pd.Series([10.0] * 900 + [3.0] * 100)
    target = np.array([0] * 900 + [1] * 100)
    assert mutual_information(values, target) > 0.3


def test_chance_alone_carries_nothing() -> None:
    random = np.random.default_rng(3)
    many = pd.Series(random.choice([f"place {number}" for number in range(90)], 10_000))
    assert mutual_information(many, random.integers(0, 2, 10_000)) < 0.001
    assert mutual_information(pd.Series([], dtype=float), np.array([], dtype=np.int64)) == 0.0
