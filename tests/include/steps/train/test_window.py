"""Which partitions a training uses."""

from datetime import date

import pytest

from include.contract.partition import Grain, Partition
from include.contract.results import TrainingWindow
from include.errors import ConfigurationError
from include.steps.train.window import training_window
from tests.support.worlds.training_world import toy_spec


def _window(last: str, given: str | None = None, **changes: object) -> TrainingWindow:
    return training_window(toy_spec(**changes), Partition.parse(last, Grain.MONTH), given)


def test_the_last_partitions_are_the_test_and_those_before_the_validation() -> None:
    window = _window("2024-08", split__test=2, split__validation=1)

    assert window.train == ("2024-04", "2024-05")
    assert window.validation == ("2024-06",)
    assert window.test == ("2024-07", "2024-08")
    assert window.fit == ("2024-04", "2024-05", "2024-06")
    assert window.partitions == ("2024-04", "2024-05", "2024-06", "2024-07", "2024-08")


def test_the_option_overrides_the_spec() -> None:
    assert _window("2024-08", "3").partitions == ("2024-06", "2024-07", "2024-08")


def test_a_window_may_begin_with_the_project() -> None:
    assert _window("2024-05").partitions[0] == "2024-01"


def test_a_window_that_begins_before_the_project_names_the_longest_one() -> None:
    with pytest.raises(
        ConfigurationError, match=r"of 5 partitions up to 2024-04 begins with 2023-12.*--window 4 or less"
    ):
        _window("2024-04")


def test_a_partition_before_the_project_has_no_window() -> None:
    with pytest.raises(ConfigurationError, match=r"project toy begins with 2024-01\.$"):
        _window("2023-06", "3")


def test_a_partition_after_the_project_has_no_window() -> None:
    with pytest.raises(ConfigurationError, match=r"2025-01 lies after the end of project toy \(2025-01-01\)"):
        _window("2025-01")


def test_days_make_a_window_as_well() -> None:
    spec = toy_spec(grain=Grain.DAY, start=date(2024, 2, 27))

    window = training_window(spec, Partition.parse("2024-03-02", Grain.DAY), None)

    assert window.partitions == ("2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01", "2024-03-02")
