"""
Metrics of probabilities, for many resamples of the rows at once.

Rows are resampled in units (days, as flights of one day share its weather), so a resample is a count for each unit. A
metric is then made of sums by unit, computed once, and of products of small matrices: 200 resamples of 85,000 rows take
some hundredths of a second, where calling a metric 200 times takes a minute.

The definitions are scikit-learn's (``roc_auc_score`` by the Mann-Whitney statistic, ``average_precision_score``,
``log_loss``, ``brier_score_loss``); a test compares them. The expected calibration error is that of Naeini et al.,
"Obtaining Well Calibrated Probabilities Using Bayesian Binning" (2015), over bins of like size.
"""

from typing import get_args

import numpy as np
from numpy.typing import NDArray

from include.contract.measures import CalibrationBin
from include.spec.training import Metric

METRICS: tuple[str, ...] = get_args(Metric)
CALIBRATION_BINS = 10
DECIMALS = 6
"""Of the numbers that are written down."""
RANKS_OF_RESAMPLES = 2_000
"""
Distinct ranks in resamples: of more distinct probabilities neighbours count as equal, which moves a metric by a few
ten-thousandths. The metrics of the rows themselves use all ranks.
"""

Numbers = NDArray[np.float64]
"""Float64 of any shape; where it holds probabilities, from 0 to 1."""
Counts = NDArray[np.int64]
"""Int64 of any shape; where it holds a target, 0 or 1."""
_SMALLEST = float(np.finfo(np.float64).eps)


class Scores:
    """
    Probabilities of one model on some rows, summed up by unit.

    :param target: shape (rows,), 0 or 1.
    :param probability: shape (rows,), of a 1.
    :param unit: shape (rows,), number of each row's unit, from 0 to ``unit_count - 1``.
    :param unit_count: how many units there are; some may have no row.
    :param ranks: most distinct ranks of probabilities; all if not given.
    """

    def __init__(
        self, target: Counts, probability: Numbers, unit: Counts, *, unit_count: int, ranks: int | None = None
    ) -> None:
        order = np.argsort(probability, kind="stable")
        self._unit, self._unit_count = unit[order], unit_count
        ordered, truth = probability[order], target[order].astype(np.float64)
        rank = _ranks(ordered, ranks)
        self._positives = self._by_unit(truth, rank)
        self._negatives = self._by_unit(1.0 - truth, rank)
        # As scikit-learn's log_loss clips: a certain prediction that is wrong would have an infinite loss.
        clipped = np.clip(ordered, _SMALLEST, 1.0 - _SMALLEST)
        self._squares = self._by_unit((ordered - truth) ** 2)[:, 0]
        self._losses = self._by_unit(-np.where(truth > 0, np.log(clipped), np.log1p(-clipped)))[:, 0]
        bins = np.repeat(np.arange(len(bin_starts(ordered))), np.diff(bin_starts(ordered), append=len(ordered)))
        self._gaps = self._by_unit(ordered - truth, bins)

    def measure(self, counts: Counts) -> dict[str, Numbers]:
        """
        All metrics, for each resample.

        :param counts: shape (resamples, units): how often each unit was drawn.
        :return: by metric an array of shape (resamples,); NaN where a resample holds one class only, or nothing.
        """
        drawn = counts.astype(np.float64)
        positives, negatives = drawn @ self._positives, drawn @ self._negatives
        total = positives.sum(axis=1) + negatives.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            area, precision = _ranked(positives, negatives)
            # Calibration bins are those of all rows, not of each resample: so a resample stays a product of matrices.
            metrics = {
                "roc_auc": area,
                "average_precision": precision,
                "log_loss": drawn @ self._losses / total,
                "brier_score": drawn @ self._squares / total,
                "expected_calibration_error": np.abs(drawn @ self._gaps).sum(axis=1) / total,
            }
        return {name: metrics[name] for name in METRICS}

    def _by_unit(self, values: Numbers, group: Counts | None = None) -> Numbers:
        """Sums by unit and group: (units, groups)."""
        width = 1 if group is None else int(group[-1]) + 1
        cell = self._unit * width + (0 if group is None else group)
        sums = np.bincount(cell, weights=values, minlength=self._unit_count * width).astype(np.float64)
        return sums.reshape(self._unit_count, width)


def _ranks(ordered: Numbers, most: int | None) -> Counts:
    """The rank, from 0, of each row of sorted probabilities; equal ones share a rank, and neighbours if need be."""
    first = np.flatnonzero(np.diff(ordered, prepend=-np.inf) > 0)
    rank = np.repeat(np.arange(len(first)), np.diff(first, append=len(ordered)))
    if most is None or len(first) <= most:
        return rank
    coarse = first[rank] * most // len(ordered)
    return np.cumsum(np.diff(coarse, prepend=coarse[0]) > 0)


def _ranked(positives: Numbers, negatives: Numbers) -> tuple[Numbers, Numbers]:
    """ROC AUC and average precision, each of shape (resamples,), from weights of shape (resamples, ranks)."""
    below = np.cumsum(negatives, axis=1)
    all_positives, all_negatives = positives.sum(axis=1), below[:, -1]
    # The Mann-Whitney statistic: pairs of a positive and a negative in the right order; ties count half.
    pairs = (positives * (below - negatives / 2)).sum(axis=1)
    hits = np.cumsum(positives[:, ::-1], axis=1)[:, ::-1]
    called = hits + all_negatives[:, None] - below + negatives
    shares = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    return pairs / (all_positives * all_negatives), (positives * shares).sum(axis=1) / all_positives


def bin_starts(ordered: Numbers) -> Counts:
    """
    Where each of at most ten bins of like size begins; equal probabilities share a bin.

    :param ordered: probabilities in ascending order.
    :return: positions in ``ordered``, ascending, the first of them 0.
    """
    positions = np.linspace(0, len(ordered), CALIBRATION_BINS, endpoint=False).astype(np.int64)
    return np.unique(np.searchsorted(ordered, ordered[positions], side="left"))


def point_metrics(target: Counts, probability: Numbers) -> dict[str, float]:
    """
    All metrics of the rows as they are.

    :param target: shape (rows,), 0 or 1.
    :param probability: shape (rows,), of a 1.
    :return: by the names in :data:`METRICS`; NaN where a metric is not defined for one class.
    """
    scores = Scores(target, probability, np.zeros(len(target), dtype=np.int64), unit_count=1)
    metrics = scores.measure(np.ones((1, 1), dtype=np.int64))
    return {name: float(values[0]) for name, values in metrics.items()}


def roc_curve(target: Counts, probability: Numbers, points: int = 120) -> list[tuple[float, float]]:
    """
    The ROC curve: false positive rate and true positive rate at falling thresholds.

    :param target: shape (rows,), 0 or 1.
    :param probability: shape (rows,), of a 1.
    :param points: about how many of the thresholds to keep.
    :return: from (0, 0) to (1, 1), both rates ascending.
    """
    order = np.argsort(-probability, kind="stable")
    last_of_group = np.append(np.flatnonzero(np.diff(probability[order])), len(order) - 1)
    ones = np.cumsum(target[order])[last_of_group] / max(int(target.sum()), 1)
    zeros = np.cumsum(1 - target[order])[last_of_group] / max(int((1 - target).sum()), 1)
    chosen = np.unique(np.linspace(0, len(ones) - 1, points).astype(np.int64))
    return [(0.0, 0.0), *zip(zeros[chosen].tolist(), ones[chosen].tolist(), strict=True)]


def calibration(target: Counts, probability: Numbers) -> list[CalibrationBin]:
    """
    The reliability of probabilities by bins of like size, lowest first; numbers to six decimals.

    :param target: shape (rows,), 0 or 1.
    :param probability: shape (rows,), of a 1.
    """
    order = np.argsort(probability, kind="stable")
    ordered, truth = probability[order], target[order]
    starts = bin_starts(ordered)
    ends = [*starts[1:].tolist(), len(ordered)]
    return [
        CalibrationBin(
            low=round(float(ordered[begin]), DECIMALS),
            high=round(float(ordered[end - 1]), DECIMALS),
            rows=end - begin,
            predicted=round(float(ordered[begin:end].mean()), DECIMALS),
            observed=round(float(truth[begin:end].mean()), DECIMALS),
        )
        for begin, end in zip(starts.tolist(), ends, strict=True)
    ]
