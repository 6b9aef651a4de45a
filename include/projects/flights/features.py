"""
Features of a flight, seen two hours before its scheduled departure.

Everything that other flights contribute is counted only once it was known: a departure when the aircraft left, a
cancellation a day after the schedule (time ``departed`` of the spec). History never reaches back over the frame's
beginning.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Minutes = NDArray[np.int64]
Codes = NDArray[np.int64]
Counts = NDArray[np.intp]
Numbers = NDArray[np.float64]

TIMEZONE = "America/New_York"
HOUR, DAY, EVER = 60, 24 * 60, 400 * 24 * 60
LATE_MINUTES = 15
DELAY_BOUNDS_MINUTES = (-15, 180)
OVERDUE_MINUTES = (15, 120)
USUAL_LATE_SHARE, USUAL_DELAY_MINUTES, PRIOR_FLIGHTS = 0.2, 10.0, 4.0
# A group's number times this, plus minutes since the frame's first flight: one sorted array then serves all groups.
_SPAN = 1 << 32


def build_features(frame: pd.DataFrame) -> pd.DataFrame:
    """
    Turn joined flights into features known two hours before the scheduled departure.

    :param frame: one row per flight of a partition, unique on carrier, flight and time_hour; own columns by their
        names, joined ones as ``weather_*`` and ``planes_*`` (and so on), times as declared in the spec, all in UTC.
    :return: one row per flight in the same order: its key and the features of the spec; minutes, shares from 0 to 1,
        counts.
    """
    flights = _Flights(frame)
    return pd.DataFrame(
        {
            **{name: frame[name] for name in ("carrier", "flight", "time_hour", "origin", "dest", "distance")},
            **_own(frame),
            **_congestion(flights),
            **_recent(flights),
            **_overdue(flights),
            **_habits(flights),
        },
        index=frame.index,
    )


class _Flights:
    """The frame as arrays: minutes count from the earliest prediction time."""

    def __init__(self, frame: pd.DataFrame) -> None:
        start = frame["prediction_time"].min()
        self.scheduled = _minutes(frame["scheduled_departure"], start)
        self.predicted = _minutes(frame["prediction_time"], start)
        self.departed_at = _minutes(frame["departed"], start)
        delay = frame["dep_delay"].to_numpy(dtype=np.float64)
        self.flown: NDArray[np.bool_] = ~np.isnan(delay)
        self.late = (delay >= LATE_MINUTES).astype(np.float64)
        self.delay = np.clip(np.nan_to_num(delay), *DELAY_BOUNDS_MINUTES)
        self.seats = frame["planes_seats"].to_numpy(dtype=np.float64)
        one = {name: _codes(frame[name]) for name in ("carrier", "origin", "dest", "flight", "hour")}
        self.everywhere = np.zeros(len(frame), dtype=np.int64)
        self.origin, self.dest, self.carrier = one["origin"], one["dest"], one["carrier"]
        self.carrier_origin = _pair(one["carrier"], one["origin"])
        self.carrier_route = _pair(self.carrier_origin, one["dest"])
        self.carrier_flight = _pair(one["carrier"], one["flight"])
        self.carrier_hour = _pair(one["carrier"], one["hour"])
        self.origin_hour = _pair(one["origin"], one["hour"])


class _History:
    """Flights that left, by group and by the moment at which that became known."""

    def __init__(
        self, flights: _Flights, group: Codes, values: Mapping[str, Numbers], where: NDArray[np.bool_]
    ) -> None:
        order = np.argsort(_placed(group[where], flights.departed_at[where]), kind="stable")
        self._places = _placed(group[where], flights.departed_at[where])[order]
        self._sums = {name: np.concatenate([[0.0], np.cumsum(value[where][order])]) for name, value in values.items()}
        self._group, self._now = group, flights.predicted

    def sums(self, window: int) -> tuple[Numbers, dict[str, Numbers]]:
        """
        Count and sums over the flights of each row's group that left in the window that ends with its prediction time.

        :param window: minutes; the window's end is inside, its beginning is not.
        """
        end = _count_until(self._places, _placed(self._group, self._now))
        begin = _count_until(self._places, _placed(self._group, np.maximum(self._now - window, -1)))
        count = (end - begin).astype(np.float64)
        return count, {name: running[end] - running[begin] for name, running in self._sums.items()}


def _own(frame: pd.DataFrame) -> dict[str, pd.Series]:
    weather = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")
    return {
        "minute_of_day": frame["hour"] * 60 + frame["minute"],
        "weekday": frame["time_hour"].dt.tz_convert(TIMEZONE).dt.day_of_week.astype(np.int64),
        "dest_lat": frame["airports_lat"],
        "dest_lon": frame["airports_lon"],
        **{f"weather_{name}": frame[f"weather_{name}"] for name in weather},
    }


def _congestion(flights: _Flights) -> dict[str, Counts]:
    """How many departures the origin's schedule has around the flight's own."""
    schedule = np.sort(_placed(flights.origin, flights.scheduled))

    def scheduled(begin: int, end: int) -> Counts:
        own = _placed(flights.origin, flights.scheduled)
        return _count_until(schedule, own + end) - _count_until(schedule, own + begin)

    return {
        "scheduled_within_hour": scheduled(-HOUR - 1, HOUR),
        "scheduled_before_3h": scheduled(-3 * HOUR, 0),
    }


def _recent(flights: _Flights) -> dict[str, Numbers]:
    """How departures went lately: nothing is known where none was."""
    values = {"late": flights.late, "delay": flights.delay}
    groups = {
        name: _History(flights, group, values, flights.flown)
        for name, group in {
            "all": flights.everywhere,
            "origin": flights.origin,
            "carrier": flights.carrier,
            "carrier_origin": flights.carrier_origin,
            "dest": flights.dest,
        }.items()
    }

    def mean(group: str, value: str, window: int) -> Numbers:
        count, sums = groups[group].sums(window)
        return _divided(sums[value], count)

    return {
        "late_share_1h": mean("all", "late", HOUR),
        "origin_departures_1h": groups["origin"].sums(HOUR)[0],
        "carrier_late_share_2h": mean("carrier", "late", 2 * HOUR),
        "carrier_origin_delay_3h": mean("carrier_origin", "delay", 3 * HOUR),
        "carrier_origin_delay_24h": mean("carrier_origin", "delay", DAY),
        "dest_late_share_4h": mean("dest", "late", 4 * HOUR),
    }


def _overdue(flights: _Flights) -> dict[str, Counts]:
    """How many flights should have left 15 to 120 minutes ago and are known to be still there."""
    after, until = OVERDUE_MINUTES
    begin = flights.scheduled + after
    end = np.minimum(flights.departed_at, flights.scheduled + until)
    waits = end > begin

    def waiting(group: Codes) -> Counts:
        now = _placed(group, flights.predicted)
        begun = _count_until(np.sort(_placed(group[waits], begin[waits])), now)
        return begun - _count_until(np.sort(_placed(group[waits], end[waits])), now)

    return {
        "overdue": waiting(flights.everywhere),
        "origin_overdue": waiting(flights.origin),
        "carrier_origin_overdue": waiting(flights.carrier_origin),
        "dest_overdue": waiting(flights.dest),
    }


def _habits(flights: _Flights) -> dict[str, Numbers]:
    """How it usually goes, since the frame's beginning; drawn towards the usual where few flights are known."""
    values = {"late": flights.late, "delay": flights.delay}

    def usual(group: Codes, value: str, prior: float) -> Numbers:
        count, sums = _History(flights, group, {value: values[value]}, flights.flown).sums(EVER)
        return (sums[value] + prior * PRIOR_FLIGHTS) / (count + PRIOR_FLIGHTS)

    flown_known_aircraft = flights.flown & ~np.isnan(flights.seats)
    count, sums = _History(flights, flights.carrier_route, {"seats": flights.seats}, flown_known_aircraft).sums(EVER)
    return {
        "flight_late_share": usual(flights.carrier_flight, "late", USUAL_LATE_SHARE),
        "flight_delay": usual(flights.carrier_flight, "delay", USUAL_DELAY_MINUTES),
        "carrier_hour_late_share": usual(flights.carrier_hour, "late", USUAL_LATE_SHARE),
        "origin_hour_delay": usual(flights.origin_hour, "delay", USUAL_DELAY_MINUTES),
        "route_late_share": usual(flights.carrier_route, "late", USUAL_LATE_SHARE),
        "route_seats": _divided(sums["seats"], count),
    }


def _divided(sums: Numbers, count: Numbers) -> Numbers:
    """Means; none where there is nothing to divide by."""
    means: Numbers = np.full(len(count), np.nan)
    np.divide(sums, count, out=means, where=count > 0)
    return means


def _minutes(moments: pd.Series, start: pd.Timestamp) -> Minutes:
    return np.asarray((moments - start) // pd.Timedelta(minutes=1), dtype=np.int64)


def _codes(column: pd.Series) -> Codes:
    return pd.factorize(column)[0].astype(np.int64)


def _pair(first: Codes, second: Codes) -> Codes:
    return first * (int(second.max(initial=0)) + 2) + second


def _placed(group: Codes, minutes: Minutes) -> NDArray[np.int64]:
    return group * _SPAN + minutes


def _count_until(ordered: NDArray[np.int64], places: NDArray[np.int64]) -> Counts:
    """How many of the ordered places come no later than each of the others."""
    return np.searchsorted(ordered, places, side="right")
