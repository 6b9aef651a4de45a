"""
The moments of the experiment for leaks: where a history that looks too far would show.

A history that looks an hour too far changes a row if, within the hour after its prediction, something becomes known of
the rows that it is a history of. Which rows those are the spec says: the columns of ``history_of`` that are always
known (the airline, the route) tell them apart. Moments are drawn from those at which rows of every such kind change.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.contract.measures import LeakMoment
from include.spec.features import FeatureSetSpec
from include.spec.sources import ALWAYS
from include.steps.features.sources import SourceRows

LOOK = pd.Timedelta(hours=1)
BEST_SHARE = 0.1
_SPAN = 1 << 34
"""More seconds than lie between any two moments."""

Moments = NDArray[np.datetime64]
Counts = NDArray[np.intp]
Seconds = NDArray[np.int64]
Codes = NDArray[np.int64]


class Timeline:
    """When predictions are made, when cells become known, and of which rows."""

    def __init__(self, features: FeatureSetSpec, base: SourceRows) -> None:
        predicted = base.rows[features.prediction_time].dropna()
        news = [*base.becoming_known()]
        self.predictions = np.sort(_moments(predicted))
        self.news = np.sort(np.concatenate([_moments(one) for one in news])) if news else self.predictions[:0]
        asked, known = _Events.of([predicted]), _Events.of(news)
        self._kinds = [_telling(asked, known, kind) for kind in _kinds(base.rows, kinds_of_history(features, base))]

    def sample(self, count: int, seed: int) -> pd.DatetimeIndex:
        """
        Draw distinct prediction times among the best, if possible each from another day, in order.

        :param count: how many; fewer where there are fewer distinct prediction times.
        """
        random = np.random.default_rng(seed)
        distinct = random.permutation(np.unique(self.predictions))  # so that chance chooses among equally good ones
        keep = max(count, int(len(distinct) * BEST_SHARE))
        drawn = random.permutation(distinct[self._best_first(distinct)[:keep]])
        _, first = np.unique(drawn.astype("datetime64[D]"), return_index=True)
        order = np.concatenate([np.sort(first), np.setdiff1d(np.arange(len(drawn)), first)])
        return pd.DatetimeIndex(np.sort(drawn[order[:count]])).tz_localize("UTC")

    def before(self, moments: Moments) -> Counts:
        """How many predictions are made in the hour that ends with each moment."""
        return _within(self.predictions, moments - LOOK.to_timedelta64(), moments)

    def after(self, moments: Moments) -> Counts:
        """How many cells become known in the hour that begins with each moment."""
        return _within(self.news, moments, moments + LOOK.to_timedelta64())

    def histories(self, moments: Moments) -> Counts:
        """Of how many kinds of history rows would change."""
        told = [kind.at(moments) > 0 for kind in self._kinds]
        return np.sum(told, axis=0, dtype=np.intp) if told else np.zeros(len(moments), dtype=np.intp)

    def report(self, moment: pd.Timestamp, rows_compared: int) -> LeakMoment:
        """What a moment of the experiment was good for."""
        one = np.array([moment.to_datetime64()]).astype("datetime64[us]")
        before, after, histories = (int(count(one)[0]) for count in (self.before, self.after, self.histories))
        return LeakMoment(
            moment=moment.isoformat(),
            rows_compared=rows_compared,
            predictions_before=before,
            news_after=after,
            histories=histories,
        )

    def _best_first(self, moments: Moments) -> Counts:
        """First by how many kinds of history would tell, then by the fewest rows, of the most, that one of them has."""
        counts = [self.before(moments), self.after(moments), *(kind.at(moments) for kind in self._kinds)]
        parts = [count / count.max(initial=1) for count in counts if count.any()]
        fewest = np.min([np.where(part > 0, part, 1.0) for part in parts], axis=0) if parts else np.zeros(len(moments))
        told = np.sum([part > 0 for part in parts], axis=0) if parts else np.zeros(len(moments))
        return np.lexsort((-fewest, -told))


@dataclass(frozen=True)
class _Telling:
    """Rows whose prediction is followed within the hour by news of rows like them."""

    since: Seconds
    """Their predictions, sorted."""
    until: Seconds
    """The first of these news, sorted."""

    def at(self, moments: Moments) -> Counts:
        """How many of them have been predicted by each moment while their news is still to come."""
        seconds = _since_1970(moments)
        return np.searchsorted(self.since, seconds, side="right") - np.searchsorted(self.until, seconds, side="right")


def kinds_of_history(features: FeatureSetSpec, base: SourceRows) -> Iterator[tuple[str, ...]]:
    """The columns by which rows belong together, for each kind of history that the features have."""
    always = {name for name, column in base.spec.columns.items() if column.known == ALWAYS}
    found = (
        tuple(sorted(always.intersection(feature.history_of)))
        for feature in features.columns.values()
        if feature.history_of
    )
    yield from dict.fromkeys(found)


@dataclass(frozen=True)
class _Events:
    """What happens to rows."""

    rows: NDArray[np.intp]
    """Their positions; a row may have several events."""
    seconds: Seconds
    """When."""

    @classmethod
    def of(cls, series: Sequence[pd.Series]) -> "_Events":
        """Of moments, by the rows' positions."""
        rows = [one.index.to_numpy(dtype=np.intp) for one in series]
        seconds = [_since_1970(_moments(one)) for one in series]
        none = np.zeros(0, dtype=np.int64)
        return cls(np.concatenate([none, *rows]).astype(np.intp), np.concatenate([none, *seconds]))


def _kinds(rows: pd.DataFrame, kinds: Iterable[tuple[str, ...]]) -> Iterator[Codes]:
    """For each way in which rows belong together a number for each row, the same for those that do."""
    wanted = list(kinds)
    one = {
        name: pd.factorize(rows[name], use_na_sentinel=False)[0] for name in {name for kind in wanted for name in kind}
    }
    for kind in wanted:
        codes = np.zeros(len(rows), dtype=np.int64)
        for name in kind:
            codes = pd.factorize(codes * (one[name].max(initial=0) + 1) + one[name])[0].astype(np.int64)
        yield codes


def _telling(asked: _Events, news: _Events, kind: Codes) -> _Telling:
    """The rows that would change if a history of one kind looked an hour too far."""
    # One line of time for all kinds of row, with a stretch for each.
    places = np.sort(kind[news.rows] * _SPAN + news.seconds)
    until = kind[asked.rows] * _SPAN + asked.seconds
    following = np.searchsorted(places, until, side="right")
    wait = np.append(places, np.iinfo(np.int64).max)[following] - until
    tells = wait <= LOOK.total_seconds()
    since = asked.seconds[tells]
    return _Telling(np.sort(since), np.sort(since + wait[tells]))


def _moments(series: pd.Series) -> Moments:
    return series.to_numpy(dtype="datetime64[us]")


def _since_1970(moments: Moments) -> Seconds:
    return moments.astype("datetime64[s]").astype(np.int64)


def _within(ordered: Moments, begin: Moments, end: Moments) -> Counts:
    return np.searchsorted(ordered, end, side="right") - np.searchsorted(ordered, begin, side="right")
