"""Joins keep account of every row."""

import pandas as pd
import pytest

from include.errors import ConfigurationError, DataRejectedError
from include.steps.features.joins import joined, reconcile
from tests.support.worlds.feature_world import bus_rows, buses_spec, source_rows


def test_a_left_join_keeps_rows_without_a_match_and_counts_them() -> None:
    spec, rows = buses_spec(), bus_rows(100)
    rows["stops"] = rows["stops"].iloc[:2]
    result = joined(spec.feature_set, source_rows(spec, rows))
    lost = int((rows["buses"]["stop"] == "west").sum())
    assert len(result.frame) == 100
    assert result.counts[0].unmatched == lost
    assert result.counts[0].unmatched_share == lost / 100
    assert int(result.frame["stops_zone"].isna().sum()) == lost


def test_an_inner_join_loses_them_and_counts_them() -> None:
    spec = buses_spec(feature_set__joins__0={"source": "stops", "on": {"stop": "stop"}, "how": "inner"})
    rows = bus_rows(100)
    rows["stops"] = rows["stops"].iloc[:2]
    result = joined(spec.feature_set, source_rows(spec, rows))
    kept = rows["buses"].index[rows["buses"]["stop"] != "west"]
    assert result.frame.index.tolist() == kept.tolist()
    assert (result.counts[0].rows_before, result.counts[0].rows_after) == (100, len(kept))
    assert result.counts[1].rows_before == len(kept)


@pytest.mark.parametrize(("allowed", "stops"), [(0.5, False), (0.1, True)])
def test_may_lose_is_the_limit_of_an_inner_join(allowed: float, *, stops: bool) -> None:
    join = {"source": "stops", "on": {"stop": "stop"}, "how": "inner", "may_lose": allowed}
    spec, rows = buses_spec(feature_set__joins__0=join), bus_rows(100)
    rows["stops"] = rows["stops"].iloc[:2]
    counts = joined(spec.feature_set, source_rows(spec, rows)).counts
    if not stops:
        reconcile(spec.feature_set, counts, "Partition 2024-03")
        return
    with pytest.raises(DataRejectedError, match=r"Partition 2024-03: the join of 'stops' on stop loses .* Join it how"):
        reconcile(spec.feature_set, counts, "Partition 2024-03")


def test_fan_out_is_refused() -> None:
    spec, rows = buses_spec(), bus_rows(100)
    rows["stops"] = pd.concat([rows["stops"], rows["stops"].head(1)])
    with pytest.raises(DataRejectedError, match=r"Join of 'stops' on stop: 1 rows of 'stops' have the same values"):
        joined(spec.feature_set, source_rows(spec, rows))


def test_nulls_match_nothing() -> None:
    spec, rows = buses_spec(), bus_rows(100)
    rows["buses"].loc[:9, "stop"] = None
    rows["stops"].loc[2, "stop"] = None
    frame = joined(spec.feature_set, source_rows(spec, rows)).frame
    assert frame["stops_zone"].head(10).isna().all()


def test_times_join_as_columns_do() -> None:
    spec, rows = buses_spec(), bus_rows(100)
    frame = joined(spec.feature_set, source_rows(spec, rows)).frame
    assert (frame["weather_hour"] == frame["report"]).all()
    assert (frame["weather_published"] <= frame["predicted"]).all()


def test_columns_that_collide() -> None:
    spec = buses_spec(sources__buses__columns__stops_zone={"type": "float64", "meaning": "Something else."})
    rows = bus_rows(100)
    rows["buses"]["stops_zone"] = 1.0
    with pytest.raises(ConfigurationError, match=r"Columns stops_zone of joined source 'stops' exist already"):
        joined(spec.feature_set, source_rows(spec, rows))


def test_types_that_cannot_be_equal() -> None:
    spec = buses_spec(feature_set__joins__0={"source": "stops", "on": {"line": "stop"}})
    with pytest.raises(ConfigurationError, match=r"Join of 'stops' on line = stop: the columns' types do not fit"):
        joined(spec.feature_set, source_rows(spec, bus_rows(100)))


def test_a_match_is_used_again_only_where_nothing_changed() -> None:
    spec, rows = buses_spec(), bus_rows(300)
    sources = source_rows(spec, rows)
    whole = joined(spec.feature_set, sources)
    then = {name: source.known_at(pd.Timestamp("2024-03-04T00:00Z")) for name, source in sources.items()}
    again = joined(spec.feature_set, then, whole.matches)
    assert again.matches[0] is whole.matches[0]
    assert again.matches[1] is not whole.matches[1]
    pd.testing.assert_frame_equal(again.frame, joined(spec.feature_set, then).frame)
