"""Plots of a model card."""

import re

import pytest

from include.contract.measures import CalibrationBin, FeatureImportance, Interval
from include.modeling.slices import Slice
from include.steps.evaluate.card_plots import calibration_plot, importance_plot, roc_plot, slices_plot


def _bin(predicted: float, observed: float) -> CalibrationBin:
    return CalibrationBin(low=0.0, high=1.0, rows=9, predicted=predicted, observed=observed)


def _drop(feature: str, drop: float) -> FeatureImportance:
    return FeatureImportance(feature=feature, drop=drop)


ALL = {
    "roc": roc_plot({"Model": [(0.0, 0.0), (0.2, 0.6), (1.0, 1.0)], "Base<line>": [(0.0, 0.0), (1.0, 1.0)]}),
    "calibration": calibration_plot([_bin(0.2, 0.25), _bin(0.6, 0.5)]),
    "importance": importance_plot([_drop("size", 0.1), _drop("noise", -0.01)]),
    "slices": slices_plot(
        "place", [Slice("place", "no & rth", 70, 20, {"roc_auc": Interval(value=0.7, low=0.6, high=0.8)})], "roc_auc"
    ),
    "nothing": importance_plot([]) + slices_plot("place", [], "roc_auc"),
    "zero": importance_plot([_drop("size", 0.0)]),
    "undefined": slices_plot(
        "place", [Slice("place", "a", 70, 0, {"roc_auc": Interval(value=None, low=None, high=None)})], "roc_auc"
    ),
    "no interval": slices_plot(
        "place", [Slice("place", "a", 70, 9, {"roc_auc": Interval(value=0.5, low=None, high=None)})], "roc_auc"
    ),
}


@pytest.mark.parametrize("name", ALL)
def test_a_plot_is_one_picture_whose_numbers_are_numbers(name: str) -> None:
    plot = ALL[name]

    assert plot.count("<svg") == plot.count("</svg>") >= 1
    assert not re.search(r"nan|inf|None", plot)


def test_names_are_no_markup() -> None:
    assert "Base&lt;line&gt;" in ALL["roc"]
    assert "no &amp; rth (70)" in ALL["slices"]


def test_a_curve_goes_up_where_more_is_found() -> None:
    (points,) = re.findall(r"<polyline points='([^']*)' fill=none stroke='#0969da'", ALL["roc"])
    first, _, last = [tuple(float(part) for part in point.split(",")) for point in points.split()]

    assert last[0] > first[0]
    assert last[1] < first[1]


def test_a_feature_that_hurts_has_no_bar() -> None:
    widths = [float(width) for width in re.findall(r"<rect [^>]*width=([\d.]+)", ALL["importance"])]

    assert widths[0] > 0
    assert widths[1] == 0
