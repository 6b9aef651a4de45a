"""Metrics against scikit-learn's, and many resamples at once."""

from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from include.modeling.metrics import METRICS, Counts, Numbers, Scores, calibration, point_metrics, roc_curve


@pytest.fixture(params=["distinct", "many ties"])
def said(request: pytest.FixtureRequest) -> tuple[Counts, Numbers]:
    random = np.random.default_rng(5)
    probability = random.random(3000)
    target = (random.random(3000) < probability * 0.6).astype(np.int64)
    return target, probability if request.param == "distinct" else np.round(probability, 1)


def test_metrics_are_those_of_scikit_learn(said: tuple[Counts, Numbers]) -> None:
    target, probability = said

    found = point_metrics(target, probability)

    assert found["roc_auc"] == pytest.approx(roc_auc_score(target, probability), abs=1e-12)
    assert found["average_precision"] == pytest.approx(average_precision_score(target, probability), abs=1e-12)
    assert found["log_loss"] == pytest.approx(log_loss(target, probability), abs=1e-9)
    assert found["brier_score"] == pytest.approx(brier_score_loss(target, probability), abs=1e-12)
    assert tuple(found) == METRICS


def test_a_resample_counts_each_row_as_often_as_its_unit_was_drawn(said: tuple[Counts, Numbers]) -> None:
    target, probability = said
    unit = np.random.default_rng(1).integers(0, 30, len(target))
    counts = np.random.default_rng(2).multinomial(30, np.full(30, 1 / 30), size=3)

    found = Scores(target, probability, unit, unit_count=30).measure(counts)

    for number in range(3):
        weights = counts[number][unit]
        expected = roc_auc_score(target, probability, sample_weight=weights)
        assert found["roc_auc"][number] == pytest.approx(expected, abs=1e-12)
        expected = average_precision_score(target, probability, sample_weight=weights)
        assert found["average_precision"][number] == pytest.approx(expected, abs=1e-12)
        assert found["log_loss"][number] == pytest.approx(
            log_loss(target, probability, sample_weight=weights), abs=1e-9
        )


def test_fewer_ranks_move_a_metric_by_little(said: tuple[Counts, Numbers]) -> None:
    target, probability = said
    unit = np.zeros(len(target), dtype=np.int64)

    found = Scores(target, probability, unit, unit_count=1, ranks=300).measure(np.ones((1, 1), dtype=np.int64))

    assert found["roc_auc"][0] == pytest.approx(roc_auc_score(target, probability), abs=2e-3)


def test_one_class_has_no_area_and_the_rest_is_defined() -> None:
    found = point_metrics(np.ones(50, dtype=np.int64), np.linspace(0.1, 0.9, 50))

    assert np.isnan(found["roc_auc"])
    assert found["brier_score"] == pytest.approx(float(np.mean((1 - np.linspace(0.1, 0.9, 50)) ** 2)))


def test_certain_and_wrong_is_bad_but_finite() -> None:
    assert np.isfinite(point_metrics(np.array([0, 1]), np.array([1.0, 0.0]))["log_loss"])


def test_calibration_bins_hold_all_rows_once_in_order(said: tuple[Counts, Numbers]) -> None:
    target, probability = said

    bins = calibration(target, probability)

    assert sum(one.rows for one in bins) == len(target)
    assert all(before.high < after.low for before, after in pairwise(bins))
    assert sum(one.rows * one.observed for one in bins) == pytest.approx(target.sum())


def test_a_model_that_is_right_on_average_in_each_bin_has_no_calibration_error() -> None:
    target = np.tile([0, 0, 0, 1], 100)

    assert point_metrics(target, np.full(400, 0.25))["expected_calibration_error"] == pytest.approx(0.0, abs=1e-12)


def test_the_roc_curve_runs_from_corner_to_corner(said: tuple[Counts, Numbers]) -> None:
    target, probability = said

    curve = roc_curve(target, probability)

    assert curve[0] == (0.0, 0.0)
    assert curve[-1] == (1.0, 1.0)
    assert curve == sorted(curve)
    area = np.trapezoid([y for _, y in curve], [x for x, _ in curve])
    assert area == pytest.approx(roc_auc_score(target, probability), abs=5e-3)
