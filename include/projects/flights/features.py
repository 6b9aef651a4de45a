"""
Features of a flight, as of two hours before its scheduled departure.

What other flights contribute counts only once it was known: a departure when the aircraft left, a cancellation a day
after the schedule (time ``departed`` of the spec). History begins with the frame, which is one partition.
"""

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
# A row's key is its group's code times this, plus minutes since the frame's first prediction. Keys of all groups are
# then in one sorted array, and one searchsorted counts for all rows at once, without a loop over groups.
_SPAN = 1 << 32
_SHORT = 1 << 16
"""Codes below this fit into 16 bits."""


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
    """The frame as arrays, one element for each flight; times in minutes since the earliest prediction time."""

    def __init__(self, frame: pd.DataFrame) -> None:
        start = frame["prediction_time"].min()
        self.scheduled = _minutes(frame["scheduled_departure"], start)
        self.departed_at = _minutes(frame["departed"], start)
        delay = frame["dep_delay"].to_numpy(dtype=np.float64)
        self.flown: NDArray[np.bool_] = ~np.isnan(delay)
        self.measures = {
            "late": (delay >= LATE_MINUTES).astype(np.float64),
            "delay": np.clip(np.nan_to_num(delay), *DELAY_BOUNDS_MINUTES),
            "seats": frame["planes_seats"].to_numpy(dtype=np.float64),
        }
        one = {
            name: pd.factorize(frame[name], use_na_sentinel=False)[0]
            for name in ("carrier", "origin", "dest", "flight", "hour")
        }
        codes = {
            "all": np.zeros(len(frame), dtype=np.int64),
            **{name: one[name] for name in ("carrier", "origin", "dest")},
            "carrier_origin": _pair(one["carrier"], one["origin"]),
            "flight": _pair(one["carrier"], one["flight"]),
            "carrier_hour": _pair(one["carrier"], one["hour"]),
            "origin_hour": _pair(one["origin"], one["hour"]),
        }
        codes["route"] = _pair(codes["carrier_origin"], one["dest"])
        predicted_at = _minutes(frame["prediction_time"], start)
        self.groups = {name: _Group(code, predicted_at) for name, code in codes.items()}


class _Group:
    """A grouping of the flights, such as by carrier: each flight's code, and its key at its prediction time."""

    def __init__(self, codes: Codes, predicted_at: Minutes) -> None:
        self.codes = codes
        self._order = _ordered(codes, predicted_at)
        # Three times as fast as with needles in the frame's order: NumPy narrows each search by the one before.
        self._needles = _keys(codes, predicted_at)[self._order]
        self._beginning = codes[self._order] * _SPAN - 1

    def count(self, keys: NDArray[np.int64], minutes_before: int = 0) -> Counts:
        """
        For each flight, how many keys are no greater than its own at so many minutes before its prediction time.

        :param keys: of events, sorted; shape (events,).
        :return: shape (flights,), in the order of the frame. Only differences of two such counts mean something, for
            the keys of all groups before are counted, too.
        """
        # Not beyond the group's own keys: a window that begins before the frame would reach into the group before.
        until = np.maximum(self._needles - minutes_before, self._beginning) if minutes_before else self._needles
        counts = np.empty(len(until), dtype=np.intp)
        counts[self._order] = np.searchsorted(keys, until, side="right")
        return counts


class _History:
    """Running sums over the flights that left, by group and by the moment at which each departure became known."""

    def __init__(self, flights: _Flights, group: str, *values: str) -> None:
        self._group = flights.groups[group]
        where = flights.flown  # a cancelled flight has no delay, and is no departure
        for value in values:
            where = where & ~np.isnan(flights.measures[value])
        codes, departed_at = self._group.codes[where], flights.departed_at[where]
        order = _ordered(codes, departed_at)
        self._keys = _keys(codes, departed_at)[order]
        self._sums = {name: np.concatenate([[0.0], np.cumsum(flights.measures[name][where][order])]) for name in values}
        self._end = self._group.count(self._keys)

    def sums(self, window: int) -> tuple[Numbers, dict[str, Numbers]]:
        """
        Count and sums over the flights of each row's group that left in the window that ends at its prediction time.

        :param window: length in minutes; the window's end is inside, its beginning is not.
        :return: counts and, by value, sums; shape (flights,) each, float64.
        """
        begin = self._group.count(self._keys, window)
        count = (self._end - begin).astype(np.float64)
        return count, {name: running[self._end] - running[begin] for name, running in self._sums.items()}

    def mean(self, value: str, window: int) -> Numbers:
        """Mean of a value over the same flights; NaN where there are none."""
        count, sums = self.sums(window)
        return _divided(sums[value], count)

    def usual(self, value: str, prior: float) -> Numbers:
        """Mean of a value over all flights so far, shrunk towards the prior as if that came from four more flights."""
        count, sums = self.sums(EVER)
        return (sums[value] + prior * PRIOR_FLIGHTS) / (count + PRIOR_FLIGHTS)


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
    # The schedule is known in advance, so flights after the prediction time count as well.
    own = _keys(flights.groups["origin"].codes, flights.scheduled)
    schedule = np.sort(own)

    def scheduled(begin: int, end: int) -> Counts:
        return np.searchsorted(schedule, own + end, side="right") - np.searchsorted(schedule, own + begin, side="right")

    return {
        "scheduled_within_hour": scheduled(-HOUR - 1, HOUR),
        "scheduled_before_3h": scheduled(-3 * HOUR, 0),
    }


def _recent(flights: _Flights) -> dict[str, Numbers]:
    """Delays of recent departures; NaN where there was none."""
    carrier_origin = _History(flights, "carrier_origin", "delay")
    return {
        "late_share_1h": _History(flights, "all", "late").mean("late", HOUR),
        "origin_departures_1h": _History(flights, "origin").sums(HOUR)[0],
        "carrier_late_share_2h": _History(flights, "carrier", "late").mean("late", 2 * HOUR),
        "carrier_origin_delay_3h": carrier_origin.mean("delay", 3 * HOUR),
        "carrier_origin_delay_24h": carrier_origin.mean("delay", DAY),
        "dest_late_share_4h": _History(flights, "dest", "late").mean("late", 4 * HOUR),
    }


def _overdue(flights: _Flights) -> dict[str, Counts]:
    """How many flights should have left 15 to 120 minutes ago and are known to be still there."""
    after, until = OVERDUE_MINUTES
    begin = flights.scheduled + after
    end = np.minimum(flights.departed_at, flights.scheduled + until)
    waits = end > begin

    def waiting(name: str) -> Counts:
        group = flights.groups[name]
        codes = group.codes[waits]
        begun = group.count(np.sort(_keys(codes, begin[waits])))
        return begun - group.count(np.sort(_keys(codes, end[waits])))

    return {
        "overdue": waiting("all"),
        "origin_overdue": waiting("origin"),
        "carrier_origin_overdue": waiting("carrier_origin"),
        "dest_overdue": waiting("dest"),
    }


def _habits(flights: _Flights) -> dict[str, Numbers]:
    """Usual delays by flight number, hour and route, since the frame's beginning."""
    flight = _History(flights, "flight", "late", "delay")
    return {
        "flight_late_share": flight.usual("late", USUAL_LATE_SHARE),
        "flight_delay": flight.usual("delay", USUAL_DELAY_MINUTES),
        "carrier_hour_late_share": _History(flights, "carrier_hour", "late").usual("late", USUAL_LATE_SHARE),
        "origin_hour_delay": _History(flights, "origin_hour", "delay").usual("delay", USUAL_DELAY_MINUTES),
        "route_late_share": _History(flights, "route", "late").usual("late", USUAL_LATE_SHARE),
        "route_seats": _History(flights, "route", "seats").mean("seats", EVER),
    }


def _divided(sums: Numbers, count: Numbers) -> Numbers:
    """Means; NaN where the count is 0."""
    means: Numbers = np.full(len(count), np.nan)
    np.divide(sums, count, out=means, where=count > 0)
    return means


def _minutes(moments: pd.Series, start: pd.Timestamp) -> Minutes:
    return np.asarray((moments - start) // pd.Timedelta(minutes=1), dtype=np.int64)


def _pair(first: Codes, second: Codes) -> Codes:
    """One code for each pair that occurs, from 0."""
    both = first * (int(second.max(initial=0)) + 2) + second
    return pd.factorize(both)[0].astype(np.int64)


def _keys(codes: Codes, minutes: Minutes) -> NDArray[np.int64]:
    """Numbers that sort by group and then by time."""
    return codes * _SPAN + minutes


def _ordered(codes: Codes, minutes: Minutes) -> Counts:
    """The indices that sort by group and then by time."""
    by_time = np.argsort(minutes, kind="stable")
    grouped = codes[by_time]
    # NumPy's stable sort is a radix sort for 16-bit numbers, several times as fast as its sort of longer ones.
    short = grouped.astype(np.uint16) if grouped.max(initial=0) < _SHORT else grouped
    return by_time[np.argsort(short, kind="stable")]
