"""The features step on real stores: what it seals, and what stops it."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.contract.receipt import OutcomeStatus
from include.contract.results import FeaturesResults
from include.errors import ConfigurationError, DataRejectedError, LeakError, PermanentError
from tests.support.worlds.feature_world import Buses, bus_rows, buses_project


@pytest.fixture(scope="module", autouse=True)
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with buses_project(tmp_path_factory.mktemp("bundle")):
        yield


@pytest.fixture
def buses(tmp_path: Path) -> Buses:
    found = Buses(tmp_path)
    found.validated()
    return found


def test_one_row_per_row_of_the_base_with_key_time_slices_features_and_target(buses: Buses) -> None:
    receipt = buses.receipt(buses.run())
    table = buses.features()
    assert table.column_names == [
        "id", "predicted", "stop", "line", "zone", "rain", "minute", "recent_wait", "fixed", "late",
    ]  # fmt: skip
    rows = bus_rows()["buses"]
    assert table.column("id").to_pylist() == rows["id"].tolist()
    assert table.column("late").to_pylist() == (rows["wait"] >= 10).astype(int).tolist()
    assert receipt.row_counts["rows"] == len(rows)
    assert receipt.row_counts["positive"] == int((rows["wait"] >= 10).sum())
    assert receipt.row_counts["unmatched_stops"] == 0


def test_nan_becomes_null_in_the_table(buses: Buses) -> None:
    buses.run()
    recent = buses.features().column("recent_wait")
    assert recent.null_count > 0
    assert np.isfinite(recent.drop_null().to_numpy()).all()


def test_a_second_run_finds_it_done(buses: Buses) -> None:
    first = buses.receipt(buses.run())
    again = buses.run()
    assert again.outcome.status is OutcomeStatus.ALREADY_DONE
    assert buses.receipt(again).outputs == first.outputs


def test_another_spec_is_other_work(buses: Buses) -> None:
    buses.run()
    ending = buses.run(feature_set__selection={"relevance_at_least": 0.5})
    assert ending.outcome.status is OutcomeStatus.DONE


def test_the_report_names_unfit_features_and_the_table_keeps_them(buses: Buses) -> None:
    receipt = buses.receipt(buses.run())
    report = json.loads(buses.stores.objects.get(receipt.results_of(FeaturesResults).report))
    verdicts = {name: found["verdict"] for name, found in report["selection"].items()}
    assert verdicts["fixed"] == "constant"
    assert verdicts["recent_wait"] == "kept"
    assert report["selection"]["fixed"]["why"] == "one value in all 1500 rows"
    assert "fixed" in buses.features().column_names
    assert "fixed" in buses.events("features built")[0]["unfit"]


def test_the_receipt_holds_joins_and_moments(buses: Buses) -> None:
    results = buses.receipt(buses.run()).results_of(FeaturesResults)
    assert [join.source for join in results.joins] == ["stops", "weather"]
    assert results.joins[0].model_dump() == {
        "source": "stops",
        "how": "left",
        "rows_before": 1500,
        "rows_after": 1500,
        "unmatched": 0,
        "unmatched_share": 0.0,
    }
    assert len(results.leak_test) == 4
    assert all(moment.predictions_before > 0 and moment.news_after > 0 for moment in results.leak_test)


def test_a_partition_that_was_not_validated(tmp_path: Path) -> None:
    ending = Buses(tmp_path).run()
    assert isinstance(ending.error, DataRejectedError)
    assert "buses/validated/buses has no partition 2024-03. Run 'validate'" in str(ending.error)


def test_rows_without_a_validation_receipt(tmp_path: Path) -> None:
    buses = Buses(tmp_path)
    buses.validated(with_receipt=False)
    ending = buses.run()
    assert isinstance(ending.error, DataRejectedError)
    assert "that no validation receipt names" in str(ending.error)
    assert buses.nothing_published()


def test_a_receipt_of_other_rows_does_not_count(buses: Buses) -> None:
    changed = bus_rows()
    changed["stops"]["zone"] += 1.0
    buses.validated(changed, with_receipt=False)
    assert "buses/validated/stops holds rows" in str(buses.run().error)


def test_a_join_that_loses_rows(buses: Buses) -> None:
    rows = bus_rows()
    rows["stops"] = rows["stops"].iloc[:2]
    buses.validated(rows)
    ending = buses.run(feature_set__joins__0={"source": "stops", "on": {"stop": "stop"}, "how": "inner"})
    assert ending.outcome.exit_code == 65
    assert "the join of 'stops' on stop loses" in str(ending.error)
    assert "may_lose allows 0.00%" in str(ending.error)
    assert buses.nothing_published()


def test_a_left_join_that_finds_too_little(buses: Buses) -> None:
    rows = bus_rows()
    rows["stops"] = rows["stops"].iloc[:2]
    buses.validated(rows)
    ending = buses.run()
    assert ending.outcome.exit_code == 65
    assert "has no match for" in str(ending.error)
    assert "unmatched_at_most allows 10.00%" in str(ending.error)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.Series(np.full(1500, 3.0)), "is no in all 1500 rows; 'wait' has one value in all rows"),
        (pd.Series(np.arange(1500) % 9.0), "is no in all 1500 rows; 'wait' at least 10 counts as yes"),
        (pd.Series(np.arange(1500) % 9.0 + 10), "is yes in all 1500 rows"),
    ],
    ids=["constant", "only no", "only yes"],
)
def test_a_target_of_one_class(buses: Buses, column: pd.Series, expected: str) -> None:
    rows = bus_rows()
    rows["buses"]["wait"] = column
    buses.validated(rows)
    ending = buses.run()
    assert ending.outcome.exit_code == 65
    assert expected in str(ending.error)
    assert buses.nothing_published()


def test_no_rows_at_all(buses: Buses) -> None:
    rows = bus_rows()
    rows["buses"] = rows["buses"].head(0)
    buses.validated(rows)
    ending = buses.run()
    assert ending.outcome.exit_code == 65
    assert "no row of 'buses' is left to compute features for" in str(ending.error)


def test_few_rows_may_be_of_one_class(buses: Buses) -> None:
    rows = bus_rows()
    rows["buses"] = rows["buses"].head(40).assign(wait=1.0)
    buses.validated(rows)
    assert buses.run().error is None


@pytest.mark.parametrize(
    ("function", "feature", "lineage"),
    [
        ("build_with_hindsight", "zone", "of stops.zone"),
        ("build_an_hour_too_far", "recent_wait", "history of gone, wait"),
        ("build_with_tomorrows_weather", "rain", "of weather.rain"),
    ],
)
def test_a_leak_is_caught_by_the_leak_test(buses: Buses, function: str, feature: str, lineage: str) -> None:
    ending = buses.run(feature_set__function=f"features:{function}")
    assert isinstance(ending.error, LeakError)
    assert ending.outcome.exit_code == 65
    assert f"All features that differ: {feature}." in str(ending.error)
    assert lineage in str(ending.error)
    assert f"include/projects/buses/features.py:{function}" in str(ending.error)
    assert buses.nothing_published()


def test_a_column_that_is_known_too_late_is_a_leak_by_declaration() -> None:
    with pytest.raises(ConfigurationError, match=r"uses 'driver' of its own row, which is known only at 'gone'"):
        Buses(Path()).context(feature_set__columns__zone__of=["driver"])


def test_a_function_that_does_not_exist(buses: Buses) -> None:
    ending = buses.run(feature_set__function="features:biuld")
    assert isinstance(ending.error, ConfigurationError)
    assert ending.outcome.exit_code == 78
    assert "features.py has no function 'biuld'. Did you mean 'build'?" in str(ending.error)


def test_a_function_that_raises_is_named_with_its_line_and_no_value(buses: Buses) -> None:
    ending = buses.run(feature_set__function="features:build_raising")
    assert type(ending.error) is PermanentError
    assert "features.py:build_raising raised ValueError in include/projects/buses/features.py, line" in str(
        ending.error
    )
    assert "4711" not in str(ending.error)
    assert buses.nothing_published()


def test_a_function_that_cannot_do_without_the_future(buses: Buses) -> None:
    ending = buses.run(feature_set__function="features:build_failing_without_hindsight")
    assert type(ending.error) is PermanentError
    assert "raised (given only what was known at 2024-03-" in str(ending.error)


def test_a_function_that_writes_into_its_frame_changes_no_result(buses: Buses) -> None:
    assert buses.run(feature_set__function="features:build_writing").error is None
    assert buses.features().column("late").to_pylist() == (bus_rows()["buses"]["wait"] >= 10).astype(int).tolist()
