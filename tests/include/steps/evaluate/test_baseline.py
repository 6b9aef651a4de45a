"""Predictions that take no learning."""

import numpy as np
import pandas as pd
import pytest

from include.steps.evaluate.baseline import Baseline

GROUPS = pd.DataFrame({"carrier": ["A"] * 1000 + ["B"] * 1000 + ["C"], "origin": ["X"] * 2001})
TARGET = np.array([1] * 800 + [0] * 200 + [0] * 1000 + [1])


def test_a_group_is_predicted_by_its_rate_drawn_towards_the_prior() -> None:
    baseline = Baseline.of(GROUPS, TARGET)

    rates = baseline.probabilities(pd.DataFrame({"carrier": ["A", "B", "C", "D"], "origin": ["X", "X", "X", "X"]}))

    prior = 801 / 2001
    assert rates == pytest.approx([(800 + 20 * prior) / 1020, 20 * prior / 1020, (1 + 20 * prior) / 21, prior])
    assert "same carrier and origin" in baseline.described()


def test_one_column_and_nulls_make_groups_as_well() -> None:
    groups = pd.DataFrame({"carrier": ["A"] * 50 + [None] * 50})
    target = np.array([1] * 50 + [0] * 50)

    rates = Baseline.of(groups, target).probabilities(groups.iloc[[0, 99]])

    assert rates[0] > 0.7
    assert rates[1] < 0.3


def test_further_columns_are_not_asked_for() -> None:
    rates = Baseline.of(GROUPS, TARGET).probabilities(GROUPS.assign(month="2024-05").iloc[:2])

    assert rates[0] == rates[1] > 0.7


def test_without_groups_everybody_gets_the_prior() -> None:
    baseline = Baseline.of(GROUPS[[]], TARGET)

    assert baseline.probabilities(GROUPS.iloc[:3]) == pytest.approx([801 / 2001] * 3)
    assert "0.4003 for every row" in baseline.described()
