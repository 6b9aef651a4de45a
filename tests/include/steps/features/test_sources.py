"""Sources with their times, whole and as they were known at a moment."""

import numpy as np
import pandas as pd
import pytest

from include.steps.features.sources import SourceRows
from tests.support.worlds.feature_world import bus_rows, buses_spec, source_rows

MOMENT = pd.Timestamp("2024-03-04T07:30Z")


@pytest.fixture
def sources() -> dict[str, SourceRows]:
    return source_rows(buses_spec(), bus_rows(300))


def test_times_are_computed_as_declared(sources: dict[str, SourceRows]) -> None:
    rows = sources["buses"].rows
    assert (rows["predicted"] == rows["at"] - pd.Timedelta(hours=2)).all()
    assert (rows["report"] == (rows["predicted"] - pd.Timedelta(hours=1)).dt.floor("h")).all()
    waited = rows["wait"].notna()
    assert (rows["gone"] - rows["at"])[waited].equals(pd.to_timedelta(rows["wait"][waited], unit="m").dt.as_unit("us"))
    assert ((rows["gone"] - rows["at"])[~waited] == pd.Timedelta(days=1)).all()


def test_a_time_is_null_where_its_minutes_are_and_nothing_stands_in() -> None:
    spec = buses_spec(sources__buses__times__gone={"from": "at", "add_minutes": "wait"})
    rows = source_rows(spec, bus_rows(300))["buses"].rows
    assert rows["gone"].isna().equals(rows["wait"].isna())


def test_cells_that_were_not_known_are_null_and_times_follow(sources: dict[str, SourceRows]) -> None:
    whole, then = sources["buses"].rows, sources["buses"].known_at(MOMENT).rows
    ahead = ~(whole["gone"] <= MOMENT)
    assert ahead.any()
    assert then["wait"][ahead].isna().all()
    assert then["driver"][ahead].isna().all()
    assert then["wait"][~ahead].equals(whole["wait"][~ahead])
    assert ((then["gone"] - then["at"])[ahead] == pd.Timedelta(days=1)).all()
    assert then[["id", "at", "stop", "predicted"]].equals(whole[["id", "at", "stop", "predicted"]])


def test_rows_that_were_not_there_are_gone(sources: dict[str, SourceRows]) -> None:
    then = sources["weather"].known_at(MOMENT).rows
    assert then["hour"].max() == pd.Timestamp("2024-03-04T06:00Z")
    assert then.index.equals(sources["weather"].rows.index[: len(then)])


def test_a_source_that_was_always_known_stays_itself(sources: dict[str, SourceRows]) -> None:
    assert sources["stops"].known_at(MOMENT) is sources["stops"]
    assert sources["buses"].known_at(pd.Timestamp("2030-01-01", tz="UTC")) is sources["buses"]


def test_a_moment_that_is_null_has_not_come() -> None:
    spec = buses_spec(sources__buses__times__gone={"from": "at", "add_minutes": "wait"})
    rows = bus_rows(300)
    rows["buses"]["driver"] = "ann"
    then = source_rows(spec, rows)["buses"].known_at(pd.Timestamp("2030-01-01", tz="UTC")).rows
    assert then["driver"].isna().equals(rows["buses"]["wait"].isna())


def test_when_cells_become_known(sources: dict[str, SourceRows]) -> None:
    (moments,) = sources["buses"].becoming_known()
    held = sources["buses"].rows["wait"].notna()
    assert moments.equals(sources["buses"].rows["gone"][held])
    assert list(sources["stops"].becoming_known()) == []


def test_columns_that_the_spec_does_not_name_are_left_out() -> None:
    rows = bus_rows(10)
    rows["stops"]["further"] = np.arange(3)
    assert "further" not in source_rows(buses_spec(), rows)["stops"].rows.columns
