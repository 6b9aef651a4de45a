"""The experiment: what it compares, what it finds."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.contract.measures import LeakMoment
from include.errors import LeakError
from include.steps.features.function import FeatureFunction
from include.steps.features.joins import joined
from include.steps.features.leaks import differing, refuse_leaks
from tests.support.worlds.feature_world import bus_rows, buses_project, buses_spec, source_rows


@pytest.fixture(scope="module", autouse=True)
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with buses_project(tmp_path_factory.mktemp("bundle")):
        yield


def experiment(where: str = "here", **changes: Any) -> tuple[LeakMoment, ...]:
    spec = buses_spec(**changes)
    sources = source_rows(spec, bus_rows())
    whole, function = joined(spec.feature_set, sources), FeatureFunction(spec)
    return refuse_leaks(spec.feature_set, sources, whole, function(whole.frame), function, where)


def test_an_honest_function_passes_and_many_rows_are_compared() -> None:
    reports = experiment()
    assert len({report.moment for report in reports}) == 4
    assert sum(report.rows_compared for report in reports) > 500


def test_the_same_name_draws_the_same_moments_and_another_draws_others() -> None:
    assert experiment("a") == experiment("a")
    assert experiment("a") != experiment("b")


@pytest.mark.parametrize("seed", range(12))
def test_a_history_that_looks_an_hour_too_far_is_refused(seed: int) -> None:
    with pytest.raises(LeakError, match=r"'recent_wait' in \d+ \(history of gone, wait\)"):
        experiment(
            f"seed {seed}",
            feature_set__function="features:build_an_hour_too_far",
            feature_set__leak_test={"moments": 1},
        )


def test_a_row_that_only_the_future_brings_is_a_leak() -> None:
    # The inner join keeps a bus only if its weather came to be known, which is after the bus was asked about.
    changes: dict[str, Any] = {
        "sources__weather__times__published": {"from": "hour", "offset": "5h"},
        "feature_set__joins__1": {"source": "weather", "on": {"report": "hour"}, "how": "inner"},
    }
    with pytest.raises(LeakError, match=r"rows whose prediction was made by .* were not known then"):
        experiment(**changes)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1.0, np.nan, np.nan, 2.0], [1.0, np.nan, 3.0, np.nan], [False, False, True, True]),
        ([1e9, 1e9, 0.0], [1e9 + 0.1, 1e9 + 10.0, 1e-12], [False, True, False]),
        (["a", None, "b"], ["a", None, "c"], [False, False, True]),
        ([True, False], [True, True], [False, True]),
        ([1, 2], [1.0, 2.5], [False, True]),
    ],
    ids=["nulls", "tolerance", "texts", "yes and no", "whole and broken"],
)
def test_which_rows_differ(first: list[object], second: list[object], expected: list[bool]) -> None:
    assert differing(pd.Series(first), pd.Series(second), 1e-9).tolist() == expected
