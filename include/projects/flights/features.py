"""
Features of a flight, seen two hours before its scheduled departure.

Everything that other flights contribute is counted only once it was known: a departure when the aircraft left, a
cancellation a day after the schedule (time ``departed`` of the spec). History never reaches back over the frame's
beginning.
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
# A group's number times this, plus minutes since the frame's first flight: one sorted array then serves all groups.
_SPAN = 1 << 32
_SHORT = 1 << 16


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
        asked = _minutes(frame["prediction_time"], start)
        self.groups = {name: _Group(code, asked) for name, code in codes.items()}


class _Group:
    """Flights that have something in common, in the order in which they are asked about."""

    def __init__(self, codes: Codes, asked: Minutes) -> None:
        self.codes = codes
        self._order = _ordered(codes, asked)
        # Sorted questions are answered three times as fast as the same ones in another order.
        self._asked = _placed(codes, asked)[self._order]
        self._beginning = codes[self._order] * _SPAN - 1

    def count(self, places: NDArray[np.int64], minutes_before: int = 0) -> Counts:
        """How many of the ordered places come no later than so many minutes before each flight's prediction."""
        until = np.maximum(self._asked - minutes_before, self._beginning) if minutes_before else self._asked
        found = np.empty(len(until), dtype=np.intp)
        found[self._order] = np.searchsorted(places, until, side="right")
        return found


class _History:
    """Flights that left, by group and by the moment at which that became known."""

    def __init__(self, flights: _Flights, group: str, *values: str) -> None:
        self._group = flights.groups[group]
        where = flights.flown
        for value in values:
            where = where & ~np.isnan(flights.measures[value])
        codes, departed_at = self._group.codes[where], flights.departed_at[where]
        order = _ordered(codes, departed_at)
        self._places = _placed(codes, departed_at)[order]
        self._sums = {name: np.concatenate([[0.0], np.cumsum(flights.measures[name][where][order])]) for name in values}
        self._end = self._group.count(self._places)

    def sums(self, window: int) -> tuple[Numbers, dict[str, Numbers]]:
        """
        Count and sums over the flights of each row's group that left in the window that ends with its prediction time.

        :param window: minutes; the window's end is inside, its beginning is not.
        """
        begin = self._group.count(self._places, window)
        count = (self._end - begin).astype(np.float64)
        return count, {name: running[self._end] - running[begin] for name, running in self._sums.items()}

    def mean(self, value: str, window: int) -> Numbers:
        """Mean of a value over the same flights; none where there are none."""
        count, sums = self.sums(window)
        return _divided(sums[value], count)

    def usual(self, value: str, prior: float) -> Numbers:
        """Mean of a value over all flights known, drawn towards the prior while they are few."""
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
    own = _placed(flights.groups["origin"].codes, flights.scheduled)
    schedule = np.sort(own)

    def scheduled(begin: int, end: int) -> Counts:
        return np.searchsorted(schedule, own + end, side="right") - np.searchsorted(schedule, own + begin, side="right")

    return {
        "scheduled_within_hour": scheduled(-HOUR - 1, HOUR),
        "scheduled_before_3h": scheduled(-3 * HOUR, 0),
    }


def _recent(flights: _Flights) -> dict[str, Numbers]:
    """How departures went lately: nothing is known where none was."""
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
        begun = group.count(np.sort(_placed(codes, begin[waits])))
        return begun - group.count(np.sort(_placed(codes, end[waits])))

    return {
        "overdue": waiting("all"),
        "origin_overdue": waiting("origin"),
        "carrier_origin_overdue": waiting("carrier_origin"),
        "dest_overdue": waiting("dest"),
    }


def _habits(flights: _Flights) -> dict[str, Numbers]:
    """How it usually goes, since the frame's beginning."""
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
    """Means; none where there is nothing to divide by."""
    means: Numbers = np.full(len(count), np.nan)
    np.divide(sums, count, out=means, where=count > 0)
    return means


def _minutes(moments: pd.Series, start: pd.Timestamp) -> Minutes:
    return np.asarray((moments - start) // pd.Timedelta(minutes=1), dtype=np.int64)


def _pair(first: Codes, second: Codes) -> Codes:
    """One code for each pair that occurs, from 0."""
    both = first * (int(second.max(initial=0)) + 2) + second
    return pd.factorize(both)[0].astype(np.int64)


def _placed(codes: Codes, minutes: Minutes) -> NDArray[np.int64]:
    return codes * _SPAN + minutes


def _ordered(codes: Codes, minutes: Minutes) -> Counts:
    """The order by group and then by time; NumPy sorts 16-bit numbers several times as fast as longer ones."""
    by_time = np.argsort(minutes, kind="stable")
    grouped = codes[by_time]
    short = grouped.astype(np.uint16) if grouped.max(initial=0) < _SHORT else grouped
    return by_time[np.argsort(short, kind="stable")]
