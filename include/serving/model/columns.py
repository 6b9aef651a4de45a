"""
A request's values as typed columns, checked against the model's signature.

Columns are plain numpy arrays, so that a request of one row costs microseconds and a batch of requests is joined
without a DataFrame in between. Conversions are those of MLflow's scoring server where they keep the value (an integer
or a numeral for a double, 0 and 1 for a boolean); one that would change it (1.7 for a long, a number for a string) is
refused with the row and the field.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from include.contract.model_files import InputColumn
from include.errors import listed, near
from include.serving.request_error import RequestError, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

Columns = dict[str, "NDArray[Any]"]
"""One array per column of the signature, in its order, all of one length; strings are objects: ``str`` or NaN."""

_WHOLE_TYPES = {"integer": np.int32, "long": np.int64}
_REAL_TYPES = {"float": np.float32, "double": np.float64}
_TRUE, _FALSE = frozenset({"True", "true", "TRUE"}), frozenset({"False", "false", "FALSE"})
# numpy's integers and booleans have no value for "missing", as doubles have NaN.
_WITHOUT_NULL = frozenset({"boolean", "integer", "long"})
_MEANINGS = {
    "boolean": "true or false",
    "integer": "a 32-bit whole number",
    "long": "a whole number",
    "float": "a number",
    "double": "a number",
    "string": "a string",
    "datetime": "a date and time without a timezone, such as 2013-03-09T18:30:00",
}


@dataclass(frozen=True)
class RawTable:
    """The columns of a request before their types are checked: any JSON values, each column of ``row_count`` values."""

    columns: Mapping[str, Sequence[Any]]
    row_count: int


@dataclass(frozen=True)
class Signature:
    """The columns that a model requires."""

    inputs: tuple[InputColumn, ...]
    ignore_unknown: bool = True
    """Ignore columns that the model does not know, as MLflow does; not those that look like one that is left out."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the model's order."""
        return tuple(column.name for column in self.inputs)

    def typed(self, table: RawTable) -> Columns:
        """
        Check a request's table and convert it.

        :raises RequestError: naming the field, and the row (from 0) where a value is wrong.
        """
        if table.row_count == 0:
            raise RequestError("The request holds no row; send at least one.")
        self._check_names(table)
        return {column.name: self._column(column, table) for column in self.inputs}

    def _check_names(self, table: RawTable) -> None:
        # Two versions of a model may have dropped different features: what one requires, the next may not know.
        known = self.names
        unknown = [str(name) for name in table.columns if name not in known]
        left_out = [name for name in known if name not in table.columns] if unknown else []
        for name in unknown:
            # A misspelt optional column would otherwise be ignored, and predicted as missing.
            guess = near(name, left_out)
            if guess or not self.ignore_unknown:
                message = f"Unknown column '{name}'.{guess or near(name, known)} The model's columns: {listed(known)}."
                raise RequestError(message, field=name)
        missing = [column.name for column in self.inputs if is_mandatory(column) and column.name not in table.columns]
        if missing:
            message = f"The model requires column '{missing[0]}', and the request has none of that name."
            if len(missing) > 1:
                message += f" Missing: {listed(missing)}."
            raise RequestError(message, field=missing[0])

    def _column(self, column: InputColumn, table: RawTable) -> "NDArray[Any]":
        values = table.columns.get(column.name)
        if values is None:
            values = [None] * table.row_count
        try:
            return _CONVERTERS[column.type](values)
        except (TypeError, ValueError, OverflowError) as error:
            raise _first_wrong(column, values) from error


def is_mandatory(column: InputColumn) -> bool:
    """Whether a request must hold the column: it is required, or its type has no value for 'missing'."""
    return column.required or column.type in _WITHOUT_NULL


def to_frame(columns: Columns, names: Sequence[str] | None = None) -> "DataFrame":
    """A DataFrame of columns (all, or the named ones): strings as pandas' ``str``, missing as NaN."""
    import pandas as pd

    chosen = columns if names is None else {name: columns[name] for name in names}
    # In training, strings come from pandas as this dtype; an object column takes other branches in scikit-learn.
    arrays = {name: pd.array(array, dtype="str") if array.dtype == object else array for name, array in chosen.items()}
    return pd.DataFrame(arrays, copy=False)


def join_columns(parts: Sequence[Columns]) -> Columns:
    """The rows of several requests below each other."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _real(values: Sequence[Any], dtype: type) -> "NDArray[Any]":
    array = np.array(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError("nested")
    return array.astype(dtype, copy=False)


def _whole(values: Sequence[Any], dtype: type) -> "NDArray[Any]":
    array = np.array([_whole_value(value) for value in values], dtype=np.int64)
    if dtype is np.int32 and array.size and (array.max() > np.iinfo(dtype).max or array.min() < np.iinfo(dtype).min):
        raise OverflowError("beyond 32 bits")
    return array.astype(dtype, copy=False)


def _whole_value(value: Any) -> int:
    # type and not isinstance: bool is an int.
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool | str):
        return int(value)
    raise TypeError("no whole number")


def _text(values: Sequence[Any]) -> "NDArray[Any]":
    # np.array of strings would be of fixed width, and turn NaN into "nan".
    array = np.empty(len(values), dtype=object)
    for number, value in enumerate(values):
        if isinstance(value, str):
            array[number] = value
        elif value is None or (isinstance(value, float) and math.isnan(value)):
            array[number] = math.nan
        else:
            raise TypeError("no string")
    return array


def _truth(values: Sequence[Any]) -> "NDArray[Any]":
    return np.array([_truth_value(value) for value in values], dtype=np.bool_)


def _truth_value(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and (value in _TRUE or value in _FALSE):
        return value in _TRUE
    if isinstance(value, int | float) and value in {0, 1}:
        return bool(value)
    raise TypeError("neither true nor false")


def _moment(values: Sequence[Any]) -> "NDArray[Any]":
    import pandas as pd

    if not all(value is None or isinstance(value, str) for value in values):
        raise TypeError("no date and time")
    # Through object and ISO8601: without a format pandas guesses from the first value.
    moments = pd.to_datetime(pd.Series(list(values), dtype=object), format="ISO8601")
    if moments.dtype.kind != "M" or getattr(moments.dtype, "tz", None) is not None:
        raise ValueError("has a timezone")
    array: NDArray[Any] = moments.to_numpy(dtype="datetime64[ns]")
    return array


_CONVERTERS: dict[str, Callable[[Sequence[Any]], "NDArray[Any]"]] = {
    "boolean": _truth,
    "integer": lambda values: _whole(values, np.int32),
    "long": lambda values: _whole(values, np.int64),
    "float": lambda values: _real(values, np.float32),
    "double": lambda values: _real(values, np.float64),
    "string": _text,
    "datetime": _moment,
}


def _first_wrong(column: InputColumn, values: Sequence[Any]) -> RequestError:
    convert = _CONVERTERS[column.type]
    for row, value in enumerate(values):
        try:
            convert([value])
        except (TypeError, ValueError, OverflowError):
            meaning = _MEANINGS[column.type]
            message = f"Row {row} (the first is 0), column '{column.name}': {shown(value)} is not {meaning}."
            if value is None:
                message += " This column cannot be null."
            return RequestError(message, field=column.name, row=row)
    message = f"The values of column '{column.name}' do not go together as {_MEANINGS[column.type]}."
    return RequestError(message, field=column.name)
