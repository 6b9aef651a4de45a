"""
The moments of the leak test, drawn from those at which a history that looks an hour too far changes features.

Such a history changes a row if, within the hour after the row's prediction, a value becomes known of the rows that it
is a history of. The spec states which rows those are: those with the same values in the columns of ``history_of`` that
are always known (the airline, the route). Moments are drawn from those at which, for each kind of history, some row's
prediction is followed by such a value: see ADR 9.
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
"""Moments are drawn from this share of the prediction times, those at which the most would show."""
# Large enough to keep the kinds apart, and small enough that 2**29 kinds of row still fit into an int64.
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
        predictions, known = _Events.of([predicted]), _Events.of(news)
        kinds = _kinds(base.rows, kinds_of_history(features, base))
        self._kinds = [_revealing(predictions, known, kind) for kind in kinds]

    def sample(self, count: int, seed: int) -> pd.DatetimeIndex:
        """
        Draw distinct prediction times among the best, if possible each from another day, in order.

        :param count: how many; fewer where there are fewer distinct prediction times.
        """
        random = np.random.default_rng(seed)
        distinct = random.permutation(np.unique(self.predictions))  # so that chance chooses among equally good ones
        keep = max(count, int(len(distinct) * BEST_SHARE))
        drawn = random.permutation(distinct[self._best_first(distinct)[:keep]])
        # Rows of one day are alike, so that moments of several days show more than as many of one day.
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
        """For each moment, of how many kinds of history a row would change."""
        revealing = [kind.at(moments) > 0 for kind in self._kinds]
        return np.sum(revealing, axis=0, dtype=np.intp) if revealing else np.zeros(len(moments), dtype=np.intp)

    def report(self, moment: pd.Timestamp, rows_compared: int) -> LeakMoment:
        """
        What a moment could show, for the receipt.

        :param rows_compared: how many rows were predicted by then.
        """
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
        """Positions of the moments, those first at which the most kinds of history would show."""
        # Among equals first those whose weakest kind has the most rows, relative to the most that it has anywhere: a
        # kind that only one row would show is easily missed.
        counts = [self.before(moments), self.after(moments), *(kind.at(moments) for kind in self._kinds)]
        parts = [count / count.max(initial=1) for count in counts if count.any()]
        fewest = np.min([np.where(part > 0, part, 1.0) for part in parts], axis=0) if parts else np.zeros(len(moments))
        kinds = np.sum([part > 0 for part in parts], axis=0) if parts else np.zeros(len(moments))
        return np.lexsort((-fewest, -kinds))


@dataclass(frozen=True)
class _Revealing:
    """Rows whose prediction is followed within the hour by a value of rows like them that becomes known."""

    since: Seconds
    """Times of their predictions, sorted."""
    until: Seconds
    """For each of them the first time at which such a value becomes known; sorted on its own."""

    def at(self, moments: Moments) -> Counts:
        """How many of them were predicted by each moment, and their first value becomes known after it."""
        seconds = _since_1970(moments)
        return np.searchsorted(self.since, seconds, side="right") - np.searchsorted(self.until, seconds, side="right")


def kinds_of_history(features: FeatureSetSpec, base: SourceRows) -> Iterator[tuple[str, ...]]:
    """For each kind of history that the features have, the columns whose equal values make a row part of it."""
    always = {name for name, column in base.spec.columns.items() if column.known == ALWAYS}
    kinds = (
        tuple(sorted(always.intersection(feature.history_of)))
        for feature in features.columns.values()
        if feature.history_of
    )
    yield from dict.fromkeys(kinds)


@dataclass(frozen=True)
class _Events:
    """Moments of rows: their predictions, or when their values become known."""

    rows: NDArray[np.intp]
    """Positions of the rows; a row may have several moments."""
    seconds: Seconds
    """The moments."""

    @classmethod
    def of(cls, series: Sequence[pd.Series]) -> "_Events":
        """The moments of all series, each indexed by the positions of its rows."""
        rows = [one.index.to_numpy(dtype=np.intp) for one in series]
        seconds = [_since_1970(_moments(one)) for one in series]
        none = np.zeros(0, dtype=np.int64)
        return cls(np.concatenate([none, *rows]).astype(np.intp), np.concatenate([none, *seconds]))


def _kinds(rows: pd.DataFrame, kinds: Iterable[tuple[str, ...]]) -> Iterator[Codes]:
    """For each kind of history a code for each row, of shape (rows,), equal for rows with equal values."""
    kinds = list(kinds)
    columns = {name for kind in kinds for name in kind}
    by_column = {name: pd.factorize(rows[name], use_na_sentinel=False)[0] for name in columns}
    for kind in kinds:
        codes = np.zeros(len(rows), dtype=np.int64)
        for name in kind:
            # Factorized again after each column: products of the codes of several columns would overflow an int64.
            codes = pd.factorize(codes * (by_column[name].max(initial=0) + 1) + by_column[name])[0].astype(np.int64)
        yield codes


def _revealing(predictions: _Events, news: _Events, kind: Codes) -> _Revealing:
    """The rows that would change if a history of one kind looked an hour too far."""
    # All rows on one line of time, with a stretch for each code: one search takes the place of a loop over thousands
    # of groups.
    known = np.sort(kind[news.rows] * _SPAN + news.seconds)
    predicted = kind[predictions.rows] * _SPAN + predictions.seconds
    following = np.searchsorted(known, predicted, side="right")
    wait = np.append(known, np.iinfo(np.int64).max)[following] - predicted
    within = wait <= LOOK.total_seconds()
    since = predictions.seconds[within]
    return _Revealing(np.sort(since), np.sort(since + wait[within]))


def _moments(series: pd.Series) -> Moments:
    return series.to_numpy(dtype="datetime64[us]")


def _since_1970(moments: Moments) -> Seconds:
    return moments.astype("datetime64[s]").astype(np.int64)


def _within(ordered: Moments, begin: Moments, end: Moments) -> Counts:
    return np.searchsorted(ordered, end, side="right") - np.searchsorted(ordered, begin, side="right")
