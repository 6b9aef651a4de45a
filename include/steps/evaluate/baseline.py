"""
Naive predictions that a model has to beat: the prior and the baseline.

The *prior* is the same for every row: the positive rate of the rows that the model was fitted on. The
*baseline*, against which gates compare, is the positive rate of the rows of the same group there (the groups are the
combinations of the columns by which the spec slices: carrier and origin), shrunk towards the prior where the group is
small: an m-estimate, as in Micci-Barreca, "A Preprocessing Scheme for High-Cardinality Categorical Attributes" (2001).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from include.modeling.metrics import Counts, Numbers

DRAWN_TOWARDS_PRIOR_ROWS = 20.0
"""Weight of the prior in rows: in a group of this many rows, group and prior count the same."""


@dataclass(frozen=True)
class Baseline:
    """Positive rates of the rows that the model was fitted on, from 0 to 1."""

    columns: tuple[str, ...]
    prior: float
    rates: pd.Series
    """By group; the index has one level a column."""

    @classmethod
    def of(cls, groups: pd.DataFrame, target: Counts) -> "Baseline":
        """
        Learn the rates.

        :param groups: one row per row: the columns by which the spec slices; may have none.
        :param target: shape (rows,), 0 or 1; at least one row.
        """
        columns, prior = tuple(str(name) for name in groups.columns), float(target.mean())
        if not columns:
            return cls((), prior, pd.Series(dtype=np.float64))
        # dropna=False: pandas leaves out groups with a null key otherwise.
        sums = groups.assign(target_=target).groupby(list(columns), dropna=False)["target_"].agg(["sum", "count"])
        rates = (sums["sum"] + prior * DRAWN_TOWARDS_PRIOR_ROWS) / (sums["count"] + DRAWN_TOWARDS_PRIOR_ROWS)
        return cls(columns, prior, rates)

    def probabilities(self, groups: pd.DataFrame) -> Numbers:
        """
        The baseline's probability of a 1 for each row.

        :param groups: the same columns; a group that the fit did not have gets the prior.
        :return: float64 of shape (rows,), each from 0 to 1.
        """
        if not self.columns:
            return np.full(len(groups), self.prior)
        names = list(self.columns)
        keys = groups[names[0]] if len(names) == 1 else pd.MultiIndex.from_frame(groups[names])
        return self.rates.reindex(keys).fillna(self.prior).to_numpy(dtype=np.float64)

    def described(self) -> str:
        """The baseline in a sentence, for the model card."""
        if not self.columns:
            return f"The positive rate before the test: {self.prior:.4f} for every row."
        return (
            f"The positive rate of the rows with the same {' and '.join(self.columns)} before the test, shrunk towards "
            f"that of all, {self.prior:.4f}, where there were few."
        )
