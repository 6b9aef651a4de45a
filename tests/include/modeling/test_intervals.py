"""Intervals: seeded, honest about days, and paired between models."""

import numpy as np
import pytest

from include.contract.measures import Interval
from include.modeling.intervals import ModelMetrics, Resampling, rounded

DAYS = np.arange("2024-05-01", "2024-05-31", dtype="datetime64[D]")


def _data(seed: int = 0, rows_per_day: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of a day share whether it is a bad day."""
    random = np.random.default_rng(seed)
    days = np.repeat(DAYS, rows_per_day)
    bad = np.repeat(random.normal(size=len(DAYS)), rows_per_day)
    lean = bad + random.normal(size=len(days))
    target = (lean + random.normal(size=len(days)) > 0.5).astype(np.int64)
    return target, 1 / (1 + np.exp(-lean)), days


def _resampling(days: np.ndarray, **changes: float) -> Resampling:
    return Resampling.of_days(days, **{"resamples": 200, "confidence": 0.95, "seed": 3} | changes)  # type: ignore[arg-type]


def test_the_interval_holds_the_value_and_is_the_same_again() -> None:
    target, probability, days = _data()

    first, second = (ModelMetrics.of(target, probability, _resampling(days)).measured for _ in range(2))

    assert first == second
    for interval in first.values():
        assert interval.low is not None
        assert interval.high is not None
        assert interval.low < interval.high
    area = first["roc_auc"]
    assert str(area).startswith(f"{area.value:.4f} [")


def test_days_are_drawn_whole_so_that_intervals_are_wider_than_those_of_rows() -> None:
    target, probability, days = _data()
    by_day = _resampling(days)
    by_row = Resampling(np.arange(len(days)), "row", 200, 0.95, 3)

    widths = [
        _width(ModelMetrics.of(target, probability, resampling).measured["brier_score"])
        for resampling in (by_day, by_row)
    ]

    assert by_day.unit_name == "day"
    assert by_day.unit_count == 30
    assert widths[0] > 1.2 * widths[1]


def test_too_few_days_give_blocks_of_rows() -> None:
    target, probability, days = _data()

    resampling = _resampling(np.full(len(days), days[0]))

    assert resampling.unit_name == "block of rows"
    assert resampling.unit_count == 100
    assert _width(ModelMetrics.of(target, probability, resampling).measured["roc_auc"]) > 0


def test_a_difference_is_surer_than_its_parts_where_models_err_on_the_same_rows() -> None:
    target, probability, days = _data()
    resampling = _resampling(days)
    model, other = (ModelMetrics.of(target, said, resampling) for said in (probability, np.round(probability, 2)))

    difference = model.better_by(other, resampling)["roc_auc"]

    assert difference.value == pytest.approx(model.points["roc_auc"] - other.points["roc_auc"])
    assert _width(difference) < 0.1 * _width(model.measured["roc_auc"])


def test_more_confidence_is_a_wider_interval() -> None:
    target, probability, days = _data()

    narrow, wide = (
        _width(ModelMetrics.of(target, probability, _resampling(days, confidence=confidence)).measured["roc_auc"])
        for confidence in (0.5, 0.99)
    )

    assert narrow < wide


def test_what_is_not_defined_has_no_interval() -> None:
    _, probability, days = _data()

    measured = ModelMetrics.of(np.ones(len(days), dtype=np.int64), probability, _resampling(days)).measured

    assert measured["roc_auc"] == Interval(value=None, low=None, high=None)
    assert str(measured["roc_auc"]) == "not defined"
    assert rounded(measured)["roc_auc"] == Interval(value=None, low=None, high=None)


def _width(interval: Interval) -> float:
    if interval.low is None or interval.high is None:
        raise TypeError
    return interval.high - interval.low
