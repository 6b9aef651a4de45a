"""The holdout: the rows of the test partitions, which neither a fit nor the search has read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.contract.receipt import TableState
from include.errors import DataRejectedError
from include.modeling.metrics import Counts
from include.modeling.rows import to_frame
from include.modeling.slices import MONTH, days, months
from include.spec.project import ProjectSpec

if TYPE_CHECKING:
    from include.stores.tables.protocol import TableStore


@dataclass(frozen=True)
class Holdout:
    """Rows of the test partitions, oldest partition first, in the order in which they were written."""

    frame: pd.DataFrame
    """All columns of the features table but the target."""
    target: Counts
    """int64 of shape (rows,): 0 or 1."""
    groups: pd.DataFrame
    """The columns by which the spec slices, and ``month``."""
    days: NDArray[np.datetime64]
    """datetime64[D] of shape (rows,): the local day of each row's prediction."""

    def __len__(self) -> int:
        return len(self.target)


def read_holdout(tables: "TableStore", states: Sequence[TableState], spec: ProjectSpec) -> Holdout:
    """
    Read the test partitions at the versions that their states name.

    :raises DataRejectedError: if they hold one class only, or no rows.
    """
    parts = [tables.read(state.name, state.partition, version=state.version) for state in states]
    whole = pd.concat([to_frame(part) for part in parts], ignore_index=True)
    target = whole.pop(spec.target.name).to_numpy(dtype=np.int64)
    ones, names = int(target.sum()), ", ".join(state.partition for state in states)
    if ones in {0, len(target)}:
        message = (
            f"Target '{spec.target.name}' is {'yes' if ones else 'no'} in all {len(target)} rows of the test partitions"
            f" {names}: no model can be evaluated on one class. Choose another window."
        )
        raise DataRejectedError(message)
    moments = whole[spec.feature_set.prediction_time]
    groups = whole[list(spec.evaluation.slices)].assign(**{MONTH: months(moments, spec.timezone)})
    return Holdout(whole, target, groups, days(moments, spec.timezone))


def fitted_groups(tables: "TableStore", states: Sequence[TableState], spec: ProjectSpec) -> tuple[pd.DataFrame, Counts]:
    """
    What the baseline learns from: of the rows that the model was fitted on.

    :return: the columns by which the spec slices, one row per row, and the target of shape (rows,).
    """
    columns = list(dict.fromkeys([*spec.evaluation.slices, spec.target.name]))
    parts = [tables.read(state.name, state.partition, version=state.version, columns=columns) for state in states]
    whole = pd.concat([to_frame(part) for part in parts], ignore_index=True)
    return whole, whole.pop(spec.target.name).to_numpy(dtype=np.int64)
