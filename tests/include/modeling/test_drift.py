from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from include.modeling.drift import ColumnDrift, table_drift
from include.spec.sources import ColumnType

RANDOM = np.random.default_rng(7)


def drift(current: list[object] | pa.Array, *references: list[object] | pa.Array, kind: ColumnType) -> ColumnDrift:
    def table(values: list[object] | pa.Array) -> pa.Table:
        return pa.table({"x": values})

    (found,) = table_drift(table(current), [table(one) for one in references], {"x": kind})
    return found


def numbers(mean: float, count: int = 5000) -> pa.Array:
    return pa.array(RANDOM.normal(mean, 1.0, count))


def test_numbers_that_did_not_move() -> None:
    found = drift(numbers(0), numbers(0), numbers(0), kind=ColumnType.FLOAT64)
    assert (found.kind, found.level) == ("numbers", "none")
    assert found.psi is not None
    assert found.psi < 0.01
    assert found.ks_p is not None
    assert found.ks_p > 0.001


@pytest.mark.parametrize(("mean", "level"), [(0.4, "moderate"), (1.0, "strong")])
def test_numbers_that_moved(mean: float, level: str) -> None:
    found = drift(numbers(mean), numbers(0), kind=ColumnType.FLOAT64)
    assert found.level == level
    assert found.ks is not None
    assert 0.1 < found.ks < 0.5
    assert found.ks_p == pytest.approx(0.0, abs=1e-9)


def test_quantile_bins_hold_a_tenth_of_the_reference_each() -> None:
    found = drift(numbers(0), numbers(0), kind=ColumnType.FLOAT64)
    assert len(found.bins) == 10
    assert all(one.reference == pytest.approx(0.1, abs=0.001) for one in found.bins)
    assert sum(one.current for one in found.bins) == pytest.approx(1.0)


def test_the_index_by_hand() -> None:
    found = drift(["a"] * 8 + ["b"] * 2, ["a"] * 5 + ["b"] * 5, kind=ColumnType.STRING)
    assert found.psi == pytest.approx(0.3 * np.log(0.8 / 0.5) + -0.3 * np.log(0.2 / 0.5))
    assert found.level == "strong"


def test_new_and_vanished_categories_are_counted() -> None:
    found = drift(["a", "b", "c", "d"], ["a", "b", "e"], ["a", "f"], kind=ColumnType.STRING)
    assert (found.kind, found.new_values, found.vanished_values) == ("categories", 2, 2)


def test_many_categories_are_compared_by_the_most_frequent() -> None:
    names = [f"n{number:03}" for number in range(200)]
    found = drift(names * 3, names * 2, kind=ColumnType.STRING)
    assert len(found.bins) == 51
    assert found.bins[-1].label == "all others"
    assert found.psi == pytest.approx(0.0, abs=1e-9)


def test_flags_and_few_numbers_are_categories() -> None:
    assert drift([True, False], [True, True], kind=ColumnType.BOOL).kind == "categories"
    assert drift([1, 2, 2], [1, 1, 2], kind=ColumnType.INT64).kind == "categories"


def test_nulls_are_told_apart() -> None:
    found = drift(["a", None, None, "b"], ["a", "b", "b", None], kind=ColumnType.STRING)
    assert (found.nulls_before, found.nulls_now) == (0.25, 0.5)
    assert found.psi == pytest.approx((0.5 - 1 / 3) * np.log(0.5 * 3) + (0.5 - 2 / 3) * np.log(0.5 * 3 / 2))


def test_what_is_not_compared() -> None:
    at: list[object] = [datetime(2013, 3, 1, tzinfo=UTC)]
    assert drift(at, at, kind=ColumnType.TIMESTAMP).kind == "moments"
    assert drift([3, 3], [2, 2], [1, 1], kind=ColumnType.INT64).kind == "constant"
    assert drift(pa.nulls(3, pa.float64()), [1.0, 2.0], kind=ColumnType.FLOAT64).kind == "empty"
    assert drift([1.0, 2.0], pa.nulls(3, pa.float64()), kind=ColumnType.FLOAT64).kind == "empty"
    assert drift([], [], kind=ColumnType.STRING).level == "none"


def test_a_column_that_began_to_vary_is_compared() -> None:
    assert drift([1, 2], [1, 1], kind=ColumnType.INT64).kind == "categories"


def test_infinite_numbers_fall_into_the_last_bins() -> None:
    current = pa.array([float("inf"), float("-inf"), *range(100)], pa.float64())
    found = drift(current, pa.array([float("inf"), *range(100)], pa.float64()), kind=ColumnType.FLOAT64)
    assert found.psi is not None
    assert np.isfinite(found.psi)


def test_the_greatest_drift_comes_first_and_what_is_not_compared_last() -> None:
    current = pa.table({"same": ["a", "b"], "at": [None, None], "moved": ["b", "b"]})
    before = pa.table({"same": ["a", "b"], "at": [None, None], "moved": ["a", "b"]})
    kinds = dict.fromkeys(("same", "at", "moved"), ColumnType.STRING)
    assert [one.column for one in table_drift(current, [before], kinds)] == ["moved", "same", "at"]


def test_the_document_is_plain() -> None:
    document = drift(["a", "c"], ["a", "b"], kind=ColumnType.STRING).summary().model_dump(mode="json")
    assert document["column"] == "x"
    assert document["new_values"] == 1
    assert "bins" not in document
