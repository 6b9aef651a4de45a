"""Which moments the experiment for leaks draws."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.spec.project import ProjectSpec
from include.steps.features.leak_moments import Timeline, kinds_of_history
from include.steps.features.sources import SourceRows
from tests.support.flight_rows import flight_sources, flights_spec
from tests.support.worlds.feature_world import bus_rows, buses_spec, source_rows

LINES = {"meaning": "Mean wait of the line's buses that left.", "history_of": ["gone", "wait", "line", "stop"]}


def buses(rows: int = 1500, **changes: Any) -> tuple[ProjectSpec, SourceRows]:
    spec = buses_spec(**changes)
    return spec, source_rows(spec, bus_rows(rows))["buses"]


def as_numpy(moments: pd.DatetimeIndex) -> Any:
    return moments.tz_localize(None).to_numpy().astype("datetime64[us]")


def test_moments_are_busy_and_of_different_days() -> None:
    spec, base = buses()
    timeline = Timeline(spec.feature_set, base)
    moments = timeline.sample(4, seed=1)
    assert len(set(moments.normalize())) == 4
    busy = np.minimum(timeline.before(as_numpy(moments)), timeline.after(as_numpy(moments)))
    every = np.unique(timeline.predictions)
    assert busy.min() >= np.quantile(np.minimum(timeline.before(every), timeline.after(every)), 0.85)


def test_fewer_moments_where_there_are_fewer_prediction_times() -> None:
    spec, base = buses(2)
    assert len(Timeline(spec.feature_set, base).sample(4, seed=1)) == 2


def test_the_spec_states_which_rows_belong_together() -> None:
    spec, base = buses(feature_set__columns__line_wait=LINES)
    assert [*kinds_of_history(spec.feature_set, base)] == [(), ("line", "stop")]
    kinds = {*kinds_of_history(flights_spec().feature_set, flight_sources()["flights"])}
    assert {("carrier", "flight"), ("carrier", "hour"), ("dest",), ()} <= kinds


def stretches(base: SourceRows, *keys: str) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """For each row that an hour more would change: its prediction, and the first news of a row like it."""
    rows, events = base.rows, []
    for _, row in rows.iterrows():
        like = rows[(rows[list(keys)] == row[list(keys)]).all(axis=1) & rows["wait"].notna()]
        following = like.loc[like["gone"] > row["predicted"], "gone"].min()
        if following <= row["predicted"] + pd.Timedelta(hours=1):
            events.append((row["predicted"], following))
    return events


@pytest.mark.parametrize("seed", range(4))
def test_a_history_of_few_rows_would_show_at_each_moment(seed: int) -> None:
    # 24 kinds of bus of which three leave in an hour: chance alone would often draw moments at which nothing shows.
    spec, base = buses(300, feature_set__columns__line_wait=LINES)
    timeline, reckoned = Timeline(spec.feature_set, base), stretches(base, "line", "stop")
    for moment in timeline.sample(3, seed):
        assert any(since <= moment < until for since, until in reckoned)
        assert timeline.report(moment, 9).histories == 2


def test_when_a_history_would_show() -> None:
    spec, base = buses(300, feature_set__columns={"line_wait": LINES, "stop": {"meaning": "Stop", "of": ["stop"]}})
    timeline, reckoned = Timeline(spec.feature_set, base), stretches(base, "line", "stop")
    every = pd.DatetimeIndex(base.rows["predicted"])
    shows = [any(since <= moment < until for since, until in reckoned) for moment in every]
    assert (timeline.histories(as_numpy(every)) > 0).tolist() == shows
    assert 0.02 < np.mean(shows) < 0.7


def test_a_source_of_which_nothing_becomes_known_later() -> None:
    spec, base = buses(50)
    columns = {name: column.model_copy(update={"known": "always"}) for name, column in base.spec.columns.items()}
    known = SourceRows(base.name, base.spec.model_copy(update={"columns": columns}), base.rows)
    timeline = Timeline(spec.feature_set, known)
    (moment,) = timeline.sample(1, seed=1)
    assert timeline.report(moment, 3).model_dump() == {
        "moment": moment.isoformat(),
        "rows_compared": 3,
        "predictions_before": 3,
        "news_after": 0,
        "histories": 0,
    }
