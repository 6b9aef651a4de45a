"""The flights' features against a slow, obvious reckoning, and against the experiment for leaks."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from include.errors import LeakError
from include.projects.flights.features import build_features
from include.steps.features.function import FeatureFunction
from include.steps.features.joins import joined
from include.steps.features.leaks import refuse_leaks
from tests.support.flight_rows import FLIGHT_COUNT, flight_sources, flights_spec

MINUTE, HOUR = pd.Timedelta(minutes=1), pd.Timedelta(hours=1)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return joined(flights_spec().feature_set, flight_sources()).frame


@pytest.fixture(scope="module")
def features(frame: pd.DataFrame) -> pd.DataFrame:
    return build_features(frame)


def left(frame: pd.DataFrame, row: pd.Series, *same: str, hours: float = 1e6) -> pd.DataFrame:
    """Flights that are like the row's and left in the hours up to its prediction."""
    now = row["prediction_time"]
    known: pd.Series = (
        frame["dep_delay"].notna() & (frame["departed"] <= now) & (frame["departed"] > now - hours * HOUR)
    )
    for name in same:
        known &= frame[name] == row[name]
    return frame.loc[known]


def late(flights: pd.DataFrame) -> float:
    return float((flights["dep_delay"] >= 15).mean())


def delay(flights: pd.DataFrame) -> float:
    return float(flights["dep_delay"].clip(-15, 180).mean())


def drawn(value: float, count: int, usual: float) -> float:
    return ((value * count if count else 0.0) + usual * 4) / (count + 4)


def slow(frame: pd.DataFrame, row: pd.Series) -> dict[str, float]:
    """The history of one flight, one flight after the other."""
    now, at = row["prediction_time"], row["scheduled_departure"]
    origin = frame[frame["origin"] == row["origin"]]
    waiting = frame[
        (frame["scheduled_departure"] + 15 * MINUTE <= now)
        & (frame["scheduled_departure"] + 120 * MINUTE > now)
        & (frame["departed"] > now)
    ]
    flight, hour = left(frame, row, "carrier", "flight"), left(frame, row, "carrier", "hour")
    origin_hour, route = left(frame, row, "origin", "hour"), left(frame, row, "carrier", "origin", "dest")
    return {
        "scheduled_within_hour": float(((origin["scheduled_departure"] - at).abs() <= HOUR).sum()),
        "scheduled_before_3h": float(origin["scheduled_departure"].between(at - 3 * HOUR, at, inclusive="right").sum()),
        "late_share_1h": late(left(frame, row, hours=1)),
        "origin_departures_1h": float(len(left(frame, row, "origin", hours=1))),
        "carrier_late_share_2h": late(left(frame, row, "carrier", hours=2)),
        "carrier_origin_delay_3h": delay(left(frame, row, "carrier", "origin", hours=3)),
        "carrier_origin_delay_24h": delay(left(frame, row, "carrier", "origin", hours=24)),
        "dest_late_share_4h": late(left(frame, row, "dest", hours=4)),
        "overdue": float(len(waiting)),
        "origin_overdue": float((waiting["origin"] == row["origin"]).sum()),
        "carrier_origin_overdue": float(
            ((waiting["origin"] == row["origin"]) & (waiting["carrier"] == row["carrier"])).sum()
        ),
        "dest_overdue": float((waiting["dest"] == row["dest"]).sum()),
        "flight_late_share": drawn(late(flight), len(flight), 0.2),
        "flight_delay": drawn(delay(flight), len(flight), 10.0),
        "carrier_hour_late_share": drawn(late(hour), len(hour), 0.2),
        "origin_hour_delay": drawn(delay(origin_hour), len(origin_hour), 10.0),
        "route_late_share": drawn(late(route), len(route), 0.2),
        "route_seats": float(route["planes_seats"].mean()),
    }


def test_history_is_what_a_slow_reckoning_finds(frame: pd.DataFrame, features: pd.DataFrame) -> None:
    rows = np.random.default_rng(4).choice(len(frame), 60, replace=False)
    expected = pd.DataFrame([slow(frame, frame.iloc[row]) for row in rows])
    actual = features.iloc[rows][list(expected.columns)].astype(float).reset_index(drop=True)
    pd.testing.assert_frame_equal(actual, expected, check_exact=False, rtol=1e-9, atol=1e-9)


def test_one_row_per_flight_with_all_declared_features(frame: pd.DataFrame, features: pd.DataFrame) -> None:
    assert len(features) == FLIGHT_COUNT
    assert features.index.equals(frame.index)
    assert {*features.columns} == {"carrier", "flight", "time_hour", *flights_spec().feature_names}


def test_flights_to_airports_that_no_register_knows_are_kept(frame: pd.DataFrame, features: pd.DataFrame) -> None:
    caribbean = frame["dest"].isin(["BQN", "PSE", "SJU", "STT"])
    assert caribbean.sum() > 50
    assert features["dest_lat"].isna().equals(caribbean)


def test_the_weekday_is_local(frame: pd.DataFrame, features: pd.DataFrame) -> None:
    local = pd.to_datetime(frame[["year", "month", "day"]]).dt.day_of_week
    assert features["weekday"].tolist() == local.tolist()


def test_nothing_is_known_at_first(frame: pd.DataFrame, features: pd.DataFrame) -> None:
    first = features[frame["prediction_time"] == frame["prediction_time"].min()].iloc[0]
    assert first[["late_share_1h", "carrier_origin_delay_24h", "route_seats"]].isna().all()
    assert first[["overdue", "origin_departures_1h"]].tolist() == [0, 0]
    assert first["flight_delay"] == 10.0


def test_no_feature_tells_that_an_aircraft_was_never_recorded(frame: pd.DataFrame) -> None:
    # Only cancelled flights have no aircraft, so a feature that shows it would leak the future.
    some = frame["dep_delay"].isna()
    without = build_features(
        frame.assign(tailnum=frame["tailnum"].mask(some), planes_seats=frame["planes_seats"].mask(some))
    )
    pd.testing.assert_frame_equal(without, build_features(frame))


def test_a_frame_of_one_flight(frame: pd.DataFrame) -> None:
    assert len(build_features(frame.head(1))) == 1


def experiment(function: Callable[[pd.DataFrame], pd.DataFrame], where: str = "") -> None:
    spec = flights_spec()
    checked = FeatureFunction(spec)
    whole = joined(spec.feature_set, flight_sources())
    names = list(spec.feature_names)
    refuse_leaks(
        spec.feature_set,
        flight_sources(),
        whole,
        function(whole.frame)[names],
        lambda frame, _circumstance: function(frame)[names],
        checked.label + where,
    )


def test_the_features_pass_the_experiment() -> None:
    experiment(build_features)


def test_an_hour_more_would_be_detected() -> None:
    def too_far(frame: pd.DataFrame) -> pd.DataFrame:
        return build_features(frame.assign(prediction_time=frame["prediction_time"] + HOUR))

    with pytest.raises(LeakError, match=r"'late_share_1h' in \d+ \(history of departed, dep_delay\)"):
        experiment(too_far)


def looks_too_far(name: str, by: pd.Timedelta) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """The features, of which one is of a later moment."""

    def function(frame: pd.DataFrame) -> pd.DataFrame:
        later = build_features(frame.assign(prediction_time=frame["prediction_time"] + by))
        return build_features(frame).assign(**{name: later[name]})

    return function


OF_WHAT_IS_SCHEDULED = {"scheduled_within_hour", "scheduled_before_3h"}
OF_ONE_FLIGHT_NUMBER = {"flight_late_share", "flight_delay"}
HISTORIES = {name for name, feature in flights_spec().feature_set.columns.items() if feature.history_of}
HISTORIES -= OF_WHAT_IS_SCHEDULED


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", sorted(HISTORIES - OF_ONE_FLIGHT_NUMBER))
def test_an_hour_more_would_be_detected_in_each_history_alone(name: str, seed: int) -> None:
    with pytest.raises(LeakError, match=rf"All features that differ: {name}\."):
        experiment(looks_too_far(name, HOUR), f" {seed}")


@pytest.mark.parametrize("name", sorted(OF_ONE_FLIGHT_NUMBER))
def test_no_flight_number_leaves_in_the_hour_after_a_prediction(name: str, frame: pd.DataFrame) -> None:
    # A flight number leaves once a day: an hour more brings nothing. Two hours and a bit bring the flight's own delay.
    pd.testing.assert_series_equal(looks_too_far(name, HOUR)(frame)[name], build_features(frame)[name])
    with pytest.raises(LeakError, match=rf"All features that differ: {name}\."):
        experiment(looks_too_far(name, 130 * MINUTE))


def test_hindsight_would_be_detected() -> None:
    def hindsight(frame: pd.DataFrame) -> pd.DataFrame:
        return build_features(frame).assign(distance=frame["air_time"].fillna(0.0) * 8.0)

    with pytest.raises(LeakError, match=r"All features that differ: distance\."):
        experiment(hindsight)
