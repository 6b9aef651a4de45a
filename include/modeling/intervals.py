"""
Metrics with confidence intervals, and differences between models, by resampling whole days.

Rows of one day are alike: they share their weather and their delays. Drawing rows one by one would take them for
independent and give intervals that are too narrow, so days are drawn. Where there are too few days, blocks of rows are
drawn instead. This is the cluster bootstrap (Davison and Hinkley, "Bootstrap Methods and their Application", 1997) with
percentile intervals.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from include.contract.measures import Interval, Metrics, ResamplingDescription
from include.modeling.metrics import METRICS, RANKS_OF_RESAMPLES, Counts, Numbers, Scores, point_metrics

FEWEST_DAYS = 10
BLOCKS = 100


Measured = Mapping[str, Interval]
"""An interval by metric."""


@dataclass(frozen=True)
class Resampling:
    """The same seeded resamples for every model, so that differences are differences on the same rows."""

    unit: Counts
    """Shape (rows,): number of each row's unit, a day or a block of rows, from 0."""
    unit_name: str
    """``day`` or ``block of rows``."""
    resamples: int
    confidence: float
    seed: int

    @classmethod
    def of_days(cls, days: NDArray[np.datetime64], *, resamples: int, confidence: float, seed: int) -> "Resampling":
        """
        Draw days, or blocks of rows where there are fewer than ten days.

        :param days: shape (rows,), the local day of each row.
        :param resamples: how many to draw.
        :param confidence: of the intervals, from 0 to 1.
        :param seed: of the draws; the same for all models that are compared.
        """
        names, unit = np.unique(days, return_inverse=True)
        if len(names) >= FEWEST_DAYS:
            return cls(unit.astype(np.int64), "day", resamples, confidence, seed)
        # With few days a metric takes few distinct values in the resamples, and its percentiles jump between them.
        shuffled = np.random.default_rng(seed).permutation(len(days)) % max(1, min(BLOCKS, len(days)))
        return cls(shuffled.astype(np.int64), "block of rows", resamples, confidence, seed)

    @property
    def unit_count(self) -> int:
        """How many units there are."""
        return int(self.unit.max(initial=-1)) + 1

    @cached_property
    def counts(self) -> Counts:
        """Shape (resamples, units): how often each unit is drawn."""
        # One multinomial draw a resample is the same as units drawn with replacement, and stays a small matrix.
        count = self.unit_count
        generator = np.random.default_rng(self.seed)
        return generator.multinomial(count, np.full(count, 1 / count), size=self.resamples)

    def draws(self, target: Counts, probability: Numbers, where: NDArray[np.bool_] | None = None) -> dict[str, Numbers]:
        """
        All metrics in each resample, of all rows or of some.

        :param where: shape (rows,), true for the rows that count; all if not given.
        :return: by metric an array of shape (resamples,).
        """
        chosen = slice(None) if where is None else where
        scores = Scores(
            target[chosen],
            probability[chosen],
            self.unit[chosen],
            unit_count=self.unit_count,
            ranks=RANKS_OF_RESAMPLES,
        )
        return scores.measure(self.counts)

    def interval(self, value: float, draws: Numbers) -> Interval:
        """
        The percentile interval: the middle share :attr:`confidence` of the draws.

        :param value: on the rows as they are; NaN makes the interval undefined.
        :param draws: shape (resamples,); those that are not finite are left out.
        """
        if not np.isfinite(value):
            return Interval(value=None, low=None, high=None)
        known = draws[np.isfinite(draws)]
        if not len(known):
            return Interval(value=value, low=None, high=None)
        tail = (1.0 - self.confidence) / 2
        low, high = np.quantile(known, [tail, 1.0 - tail])
        return Interval(value=value, low=float(low), high=float(high))

    def described(self) -> ResamplingDescription:
        """The resampling as the receipt holds it."""
        return ResamplingDescription(
            unit=self.unit_name, units=self.unit_count, resamples=self.resamples, confidence=self.confidence
        )


@dataclass(frozen=True)
class ModelMetrics:
    """One model's metrics on some rows, and the same metrics in each resample of them."""

    measured: Measured
    points: Mapping[str, float]
    """By metric the value on the rows as they are."""
    draws: Mapping[str, Numbers]
    """By metric an array of shape (resamples,)."""

    @classmethod
    def of(cls, target: Counts, probability: Numbers, resampling: Resampling) -> "ModelMetrics":
        """
        Measure a model.

        :param target: shape (rows,), 0 or 1.
        :param probability: shape (rows,), of a 1.
        """
        points, draws = point_metrics(target, probability), resampling.draws(target, probability)
        measured = {name: resampling.interval(points[name], draws[name]) for name in METRICS}
        return cls(measured, points, draws)

    def better_by(self, other: "ModelMetrics", resampling: Resampling) -> dict[str, Interval]:
        """
        The difference in each metric: this model's value minus the other model's, in the same resamples.

        The comparison is paired: what both models have in common cancels out, so that the interval is usually narrower
        than that of either.
        """
        return {
            name: resampling.interval(self.points[name] - other.points[name], self.draws[name] - other.draws[name])
            for name in METRICS
        }


def rounded(measured: Measured) -> Metrics:
    """The metrics as the receipt holds them, to six decimals."""
    return {name: interval.rounded() for name, interval in measured.items()}
