"""Metrics of slices of the rows: each carrier, each origin, each month."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from include.contract.measures import SliceMetrics
from include.modeling.intervals import Measured, Resampling, rounded
from include.modeling.metrics import METRICS, Counts, Numbers, point_metrics

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MONTH = "month"
ROWS_WORTH_MEASURING = 20
NOTHING = "none"


@dataclass(frozen=True)
class Slice:
    """A model's metrics on the rows of one value of one column."""

    column: str
    value: str
    """The value as text; ``none`` for null."""
    rows: int
    positives: int
    """Rows whose target is 1."""
    measured: Measured

    def described(self) -> SliceMetrics:
        """The slice as the receipt holds it."""
        return SliceMetrics(value=self.value, rows=self.rows, positives=self.positives, metrics=rounded(self.measured))


def sliced(groups: pd.DataFrame, target: Counts, probability: Numbers, resampling: Resampling) -> list[Slice]:
    """
    Measure a model on each value of each column; slices of fewer than twenty rows are left out.

    :param groups: one row per row of the holdout; the columns by which to slice. A null is a value of its own.
    :param target: shape (rows,), 0 or 1.
    :param probability: shape (rows,), of a 1.
    :param resampling: of the same rows.
    :return: by column in the order of ``groups``, nulls first, then by rising value.
    """
    slices = []
    for column in groups.columns:
        codes, values = pd.factorize(groups[column], sort=True, use_na_sentinel=True)
        for code in range(-1 if (codes < 0).any() else 0, len(values)):
            where = codes == code
            rows = int(where.sum())
            if rows < ROWS_WORTH_MEASURING:
                continue
            points = point_metrics(target[where], probability[where])
            # The resamples of all rows, restricted to the slice: so its intervals, too, are of whole days.
            draws = resampling.draws(target, probability, where)
            slices.append(
                Slice(
                    column=str(column),
                    value=NOTHING if code < 0 else str(values[code]),
                    rows=rows,
                    positives=int(target[where].sum()),
                    measured={name: resampling.interval(points[name], draws[name]) for name in METRICS},
                )
            )
    return slices


def by_column(slices: list[Slice]) -> dict[str, list[Slice]]:
    """Group slices by their column, in each group the largest first."""
    groups: dict[str, list[Slice]] = {}
    for one in slices:
        groups.setdefault(one.column, []).append(one)
    return {column: sorted(parts, key=lambda part: (-part.rows, part.value)) for column, parts in groups.items()}


def months(moments: "pd.Series[pd.Timestamp]", timezone: str) -> "pd.Series[str]":
    """The local month of each moment: ``2013-09``."""
    return moments.dt.tz_convert(timezone).dt.strftime("%Y-%m")


def days(moments: "pd.Series[pd.Timestamp]", timezone: str) -> "NDArray[np.datetime64]":
    """
    The local day of each moment.

    :param moments: aware timestamps.
    :param timezone: IANA name, such as ``America/New_York``.
    :return: datetime64[D] of shape (rows,).
    """
    return moments.dt.tz_convert(timezone).dt.tz_localize(None).to_numpy().astype("datetime64[D]")
