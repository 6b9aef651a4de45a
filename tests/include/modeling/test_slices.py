"""Metrics of parts of the rows."""

import numpy as np
import pandas as pd

from include.modeling.intervals import Resampling
from include.modeling.metrics import point_metrics
from include.modeling.slices import by_column, days, months, sliced

ROWS = 600
RANDOM = np.random.default_rng(4)
PROBABILITY = RANDOM.random(ROWS)
TARGET = (RANDOM.random(ROWS) < PROBABILITY).astype(np.int64)
RESAMPLING = Resampling(np.arange(ROWS) % 30, "day", 50, 0.95, 1)


def test_each_value_is_measured_on_its_own_rows() -> None:
    place = np.where(np.arange(ROWS) < 400, "north", "south")

    found = sliced(pd.DataFrame({"place": place}), TARGET, PROBABILITY, RESAMPLING)

    assert [(one.value, one.rows) for one in found] == [("north", 400), ("south", 200)]
    expected = point_metrics(TARGET[400:], PROBABILITY[400:])["roc_auc"]
    assert found[1].measured["roc_auc"].value == expected
    assert found[1].positives == TARGET[400:].sum()
    assert found[1].described().value == "south"


def test_small_parts_are_left_out_and_nulls_are_a_part() -> None:
    place = pd.Series(["north"] * 300 + [None] * 290 + ["south"] * 10)

    found = sliced(pd.DataFrame({"place": place}), TARGET, PROBABILITY, RESAMPLING)

    assert {one.value: one.rows for one in found} == {"none": 290, "north": 300}


def test_a_part_of_one_class_is_told_without_an_area() -> None:
    place = np.where(TARGET == 1, "late", "early")

    found = sliced(pd.DataFrame({"place": place}), TARGET, PROBABILITY, RESAMPLING)

    assert [one.measured["roc_auc"].value for one in found] == [None, None]


def test_the_largest_parts_come_first() -> None:
    groups = pd.DataFrame({"place": ["a"] * 100 + ["b"] * 500, "month": ["2024-05"] * ROWS})

    found = by_column(sliced(groups, TARGET, PROBABILITY, RESAMPLING))

    assert list(found) == ["place", "month"]
    assert [one.value for one in found["place"]] == ["b", "a"]


def test_months_and_days_are_local() -> None:
    moments = pd.Series(pd.to_datetime(["2013-10-01T03:30:00Z", "2013-10-01T04:30:00Z"]))

    assert months(moments, "America/New_York").tolist() == ["2013-09", "2013-10"]
    assert days(moments, "America/New_York").astype(str).tolist() == ["2013-09-30", "2013-10-01"]
