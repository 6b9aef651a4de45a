"""
Metrics with confidence intervals, and differences between models, by resampling whole days.

Rows of one day are alike: they share their weather and their delays. Drawing rows one by one would take them for
independent and give intervals that are too narrow, so days are drawn. Where there are too few days, blocks of rows are
drawn instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from include.contract.receipt import Json
from include.modeling.metrics import METRICS, RANKS_OF_RESAMPLES, Counts, Numbers, Scores, point_metrics

FEWEST_DAYS = 10
BLOCKS = 100
DECIMALS = 6


@dataclass(frozen=True)
class Interval:
    """A number and where it lies with the stated confidence; None where it is not defined, as with one class only."""

    value: float | None
    low: float | None
    high: float | None

    def described(self) -> Json:
        """As JSON."""
        return {"value": _rounded(self.value), "low": _rounded(self.low), "high": _rounded(self.high)}

    def __str__(self) -> str:
        if self.value is None:
            return "not defined"
        spread = "" if self.low is None or self.high is None else f" [{self.low:.4f}, {self.high:.4f}]"
        return f"{self.value:.4f}{spread}"


Measured = Mapping[str, Interval]
"""An interval by metric."""


@dataclass(frozen=True)
class Resampling:
    """The same seeded resamples for every model, so that differences are differences on the same rows."""

    unit: Counts
    """Number of each row's unit, from 0."""
    unit_name: str
    """``day`` or ``block of rows``."""
    resamples: int
    confidence: float
    seed: int

    @classmethod
    def of_days(cls, days: NDArray[np.datetime64], *, resamples: int, confidence: float, seed: int) -> "Resampling":
        """
        Draw days, or blocks of rows where there are fewer than ten days.

        :param days: the local day of each row.
        """
        names, unit = np.unique(days, return_inverse=True)
        if len(names) >= FEWEST_DAYS:
            return cls(unit.astype(np.int64), "day", resamples, confidence, seed)
        shuffled = np.random.default_rng(seed).permutation(len(days)) % max(1, min(BLOCKS, len(days)))
        return cls(shuffled.astype(np.int64), "block of rows", resamples, confidence, seed)

    @property
    def unit_count(self) -> int:
        """How many units there are."""
        return int(self.unit.max(initial=-1)) + 1

    @cached_property
    def counts(self) -> Counts:
        """(resamples, units): how often each unit is drawn."""
        count = self.unit_count
        generator = np.random.default_rng(self.seed)
        return generator.multinomial(count, np.full(count, 1 / count), size=self.resamples)

    def draws(self, target: Counts, probability: Numbers, where: NDArray[np.bool_] | None = None) -> dict[str, Numbers]:
        """All metrics in each resample, of all rows or of some."""
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
        """The interval that holds the middle of the draws."""
        if not np.isfinite(value):
            return Interval(None, None, None)
        known = draws[np.isfinite(draws)]
        if not len(known):
            return Interval(value, None, None)
        tail = (1.0 - self.confidence) / 2
        low, high = np.quantile(known, [tail, 1.0 - tail])
        return Interval(value, float(low), float(high))

    def described(self) -> Json:
        """As JSON."""
        return {
            "unit": self.unit_name,
            "units": self.unit_count,
            "resamples": self.resamples,
            "confidence": self.confidence,
        }


@dataclass(frozen=True)
class ModelMetrics:
    """One model's metrics on the unseen rows."""

    measured: Measured
    points: Mapping[str, float]
    draws: Mapping[str, Numbers]

    @classmethod
    def of(cls, target: Counts, probability: Numbers, resampling: Resampling) -> "ModelMetrics":
        """
        Measure a model.

        :param target: 0 or 1 for each row.
        :param probability: of a 1.
        """
        points, draws = point_metrics(target, probability), resampling.draws(target, probability)
        measured = {name: resampling.interval(points[name], draws[name]) for name in METRICS}
        return cls(measured, points, draws)

    def better_by(self, other: "ModelMetrics", resampling: Resampling) -> dict[str, Interval]:
        """How much greater each metric is than another model's, on the same rows and in the same resamples."""
        return {
            name: resampling.interval(self.points[name] - other.points[name], self.draws[name] - other.draws[name])
            for name in METRICS
        }


def described(measured: Measured) -> Json:
    """As JSON."""
    return {name: interval.described() for name, interval in measured.items()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)
