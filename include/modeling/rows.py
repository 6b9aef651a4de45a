"""Rows of the features table in the types that a model is fitted on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.contract.receipt import TableState
from include.errors import DataRejectedError

if TYPE_CHECKING:
    import pyarrow as pa

    from include.stores.tables.protocol import TableStore

ModelType = Literal["boolean", "long", "double", "string"]


@dataclass(frozen=True)
class Rows:
    """Features and target of some partitions, oldest partition first, in the order in which they were written."""

    features: pd.DataFrame
    """One row per row; whole numbers as int64 unless one is null, numbers as float64 with NaN, texts as ``str``."""
    target: NDArray[np.int64]
    """Shape (rows,): 0 or 1."""

    def __len__(self) -> int:
        return len(self.target)

    def only(self, names: Sequence[str]) -> "Rows":
        """The same rows with these features."""
        return Rows(self.features[list(names)], self.target)

    @classmethod
    def joined(cls, *parts: "Rows") -> "Rows":
        """The rows of several parts, in the order of the parts."""
        features = pd.concat([part.features for part in parts], ignore_index=True)
        return cls(_plain(features), np.concatenate([part.target for part in parts]))


def read_rows(tables: "TableStore", states: Iterable[TableState], features: Sequence[str], target: str) -> Rows:
    """
    Read partitions, each at the version that its state names, in the order of the states.

    :param features: columns to read as features.
    :param target: column of the target.
    :raises DataRejectedError: if a partition does not exist any more, or a target is null.
    """
    frames, targets = [], []
    for state in states:
        table = tables.read(state.name, state.partition, version=state.version, columns=[*features, target])
        targets.append(_target(table, target, f"{state.name}, partition {state.partition}"))
        frames.append(to_frame(table.select(list(features))))
    whole = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    return Rows(_plain(whole), np.concatenate(targets))


def to_frame(table: "pa.Table") -> pd.DataFrame:
    """The columns in the types of training and serving; numbers with nulls become float64 with NaN."""
    # Training, scoring and the model server must convert alike: a column of another type is another feature.
    return _plain(table.to_pandas())


def model_types(features: pd.DataFrame) -> dict[str, ModelType]:
    """The MLflow type of each column, for a model's signature."""
    return {str(name): _model_type(dtype) for name, dtype in features.dtypes.items()}


def _model_type(dtype: Any) -> ModelType:
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_integer_dtype(dtype):
        return "long"
    return "double" if pd.api.types.is_float_dtype(dtype) else "string"


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with booleans that have nulls as float64."""
    # to_pandas gives them as objects, which the signature would declare as strings.
    mixed = [name for name, dtype in frame.dtypes.items() if pd.api.types.is_object_dtype(dtype)]
    return frame.astype(dict.fromkeys(mixed, np.float64)) if mixed else frame


def _target(table: "pa.Table", name: str, where: str) -> NDArray[np.int64]:
    column = table.column(name)
    if column.null_count:
        message = f"{where}: target '{name}' is null in {column.null_count} rows. Run 'features' for it again."
        raise DataRejectedError(message)
    return column.to_numpy().astype(np.int64)  # type: ignore[no-any-return]  # pyarrow has no types here
