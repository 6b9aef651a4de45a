"""Calls a project's feature function and checks its result against the spec."""

import numpy as np
import pandas as pd
import pyarrow as pa

from include.errors import ConfigurationError, DataRejectedError, listed, near
from include.modeling.arrow_types import arrow_type
from include.modeling.project_function import ProjectFunction
from include.spec.project import ProjectSpec
from include.spec.sources import ColumnType


class FeatureFunction:
    """A project's feature function, with its result checked and brought into the order of its input."""

    def __init__(self, spec: ProjectSpec) -> None:
        self._spec = spec
        self._named = ProjectFunction(project=spec.name, key="feature_set.function", value=spec.feature_set.function)
        self._function = self._named.find()
        self.label = self._named.label

    def __call__(self, frame: pd.DataFrame, circumstance: str = "") -> pd.DataFrame:
        """
        Features of the frame's rows.

        :param frame: joined rows, as :func:`include.steps.features.joins.joined` returns them.
        :param circumstance: what is special about this call, for messages; begins with a space.
        :return: the declared features in declared order, one row per row of the frame in its order and with its index.
        :raises PermanentError: if the function raises; the message holds no value of a row.
        :raises ConfigurationError: if the function returns other columns than the spec declares.
        :raises DataRejectedError: if it returns other rows than it was given.
        """
        # A shallow copy: a function that adds columns to its argument must not change the frame that the leak test
        # compares with, and a month's values are not copied for it.
        returned = self._named.call(f"raised{circumstance}", self._function, frame.copy(deep=False))
        if not isinstance(returned, pd.DataFrame):
            message = f"{self.label} returns {type(returned).__name__}, not a pandas DataFrame. Return one row per row."
            raise ConfigurationError(message)
        self._check_columns(returned)
        return self._aligned(returned, frame, circumstance)[list(self._spec.feature_names)]

    def table(self, features: pd.DataFrame) -> pa.Table:
        """
        The features in their declared types, in declared order; NaN becomes null.

        :raises ConfigurationError: if a column does not fit its type.
        :raises DataRejectedError: if a number is infinite.
        """
        columns = {name: self._column(name, features[name]) for name in self._spec.feature_names}
        return pa.table(columns)

    def _check_columns(self, returned: pd.DataFrame) -> None:
        declared = {*self._spec.base.key, *self._spec.feature_names}
        columns = [str(column) for column in returned.columns]
        duplicated = {name for name in columns if columns.count(name) > 1}
        missing, undeclared = declared - set(columns), set(columns) - declared
        hint = near(min(missing), undeclared) if missing else near(min(undeclared), declared) if undeclared else ""
        for names, fault in (
            (missing, "does not return {}, which the spec declares as key or features"),
            (undeclared, "returns {}, which the spec does not declare under feature_set.columns"),
            (duplicated, "returns {} more than once"),
        ):
            if names:
                raise ConfigurationError(f"{self.label} {fault.format(listed(names))}. Make the two agree.{hint}")

    def _aligned(self, returned: pd.DataFrame, frame: pd.DataFrame, circumstance: str) -> pd.DataFrame:
        key = list(self._spec.base.key)
        before, after = (rows[key].reset_index(drop=True) for rows in (frame, returned))
        # The usual case: rows that kept their order need no index of keys, which takes longer than the comparison.
        if len(before) == len(after) and all((before[name].array == after[name].array).all() for name in key):
            return returned.set_axis(frame.index)
        given, result = pd.MultiIndex.from_frame(before), pd.MultiIndex.from_frame(after)
        lost, added = len(given.difference(result)), len(result.difference(given))
        duplicated = int(result.duplicated().sum())
        if lost or added or duplicated:
            message = (
                f"{self.label}{circumstance} was given {len(before)} rows and returned {len(after)}: {lost} keys are "
                f"missing, {added} are new, {duplicated} rows are duplicates. Return exactly one row per row of the "
                "frame."
            )
            raise DataRejectedError(message)
        return returned.iloc[result.get_indexer(given)].set_axis(frame.index)

    def _column(self, name: str, values: pd.Series) -> pa.Array:
        declared = self._spec.feature_set.columns[name].type
        try:
            column = pa.Array.from_pandas(values, type=arrow_type(declared), safe=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            message = f"{self.label}: feature '{name}' is {values.dtype}, which does not fit its declared type"
            raise ConfigurationError(f"{message} {declared.value}. Correct one of the two.") from error
        # A division by zero gives infinity in pandas, not an error.
        if declared is ColumnType.FLOAT64:
            infinite = int(np.isinf(values.to_numpy(dtype=np.float64, na_value=np.nan)).sum())
            if infinite:
                message = f"{self.label}: feature '{name}' is infinite in {infinite} rows."
                raise DataRejectedError(message + " Return null where there is no value.")
        return column
