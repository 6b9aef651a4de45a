"""A project's feature function: called, and what it returns held against the spec."""

import numpy as np
import pandas as pd
import pyarrow as pa

from include.errors import ConfigurationError, DataRejectedError, listed, near
from include.modeling.arrow_types import arrow_type
from include.modeling.project_function import ProjectFunction
from include.spec.project import ProjectSpec
from include.spec.sources import ColumnType


class FeatureFunction:
    """A project's ``build_features``, called with care."""

    def __init__(self, spec: ProjectSpec) -> None:
        self._spec = spec
        self._named = ProjectFunction(project=spec.name, key="feature_set.function", value=spec.feature_set.function)
        self._function = self._named.find()
        self.label = self._named.label

    def __call__(self, frame: pd.DataFrame, circumstance: str = "") -> pd.DataFrame:
        """
        Features of the frame's rows.

        :param frame: joined rows, as :func:`include.steps.features.joins.joined` returns them.
        :param circumstance: for messages: what is special about this call; begins with a space.
        :return: the declared features in declared order, one row per row of the frame in its order and with its index.
        :raises PermanentError: if the function raises; the message holds no value of a row.
        :raises ConfigurationError: if the function returns other columns than the spec declares.
        :raises DataRejectedError: if it returns other rows than it was given.
        """
        returned = self._named.call(f"raised{circumstance}", self._function, frame.copy(deep=False))
        if not isinstance(returned, pd.DataFrame):
            message = f"{self.label} returns {type(returned).__name__}, not a pandas DataFrame. Return one row per row."
            raise ConfigurationError(message)
        self._check_columns(returned)
        return self._aligned(returned, frame, circumstance)[list(self._spec.feature_names)]

    def table(self, features: pd.DataFrame) -> pa.Table:
        """
        The features in their declared types; NaN becomes null.

        :raises ConfigurationError: if a column does not fit its type.
        :raises DataRejectedError: if a number is infinite.
        """
        columns = {name: self._column(name, features[name]) for name in self._spec.feature_names}
        return pa.table(columns)

    def _check_columns(self, returned: pd.DataFrame) -> None:
        wanted = {*self._spec.base.key, *self._spec.feature_names}
        found = [str(column) for column in returned.columns]
        doubled = {name for name in found if found.count(name) > 1}
        missing, further = wanted - set(found), set(found) - wanted
        hint = near(min(missing), further) if missing else near(min(further), wanted) if further else ""
        for names, told in (
            (missing, "does not return {}, which the spec declares as key or features"),
            (further, "returns {}, which the spec does not declare under feature_set.columns"),
            (doubled, "returns {} more than once"),
        ):
            if names:
                raise ConfigurationError(f"{self.label} {told.format(listed(names))}. Make the two agree.{hint}")

    def _aligned(self, returned: pd.DataFrame, frame: pd.DataFrame, circumstance: str) -> pd.DataFrame:
        key = list(self._spec.base.key)
        given, got = (rows[key].reset_index(drop=True) for rows in (frame, returned))
        if len(given) == len(got) and all((given[name].array == got[name].array).all() for name in key):
            return returned.set_axis(frame.index)
        positions = pd.MultiIndex.from_frame(got)
        wanted = pd.MultiIndex.from_frame(given)
        lost, added = len(wanted.difference(positions)), len(positions.difference(wanted))
        doubled = int(positions.duplicated().sum())
        if lost or added or doubled:
            message = (
                f"{self.label}{circumstance}: {len(given)} rows went in and {len(got)} came out; {lost} keys were "
                f"lost, {added} are new, {doubled} rows are doubled. Return exactly one row per row of the frame."
            )
            raise DataRejectedError(message)
        return returned.iloc[positions.get_indexer(wanted)].set_axis(frame.index)

    def _column(self, name: str, values: pd.Series) -> pa.Array:
        declared = self._spec.feature_set.columns[name].type
        try:
            column = pa.Array.from_pandas(values, type=arrow_type(declared), safe=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            message = f"{self.label}: feature '{name}' is {values.dtype}, which does not fit its declared type"
            raise ConfigurationError(f"{message} {declared.value}. Correct one of the two.") from error
        if declared is ColumnType.FLOAT64:
            infinite = int(np.isinf(values.to_numpy(dtype=np.float64, na_value=np.nan)).sum())
            if infinite:
                message = f"{self.label}: feature '{name}' is infinite in {infinite} rows."
                raise DataRejectedError(message + " Return null where there is no value.")
        return column
