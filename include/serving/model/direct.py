"""
The same pipeline without its DataFrames: known column transformers written as numpy, and checked before they are used.

A ``ColumnTransformer`` over pandas takes 4 to 6 ms for one row, all of it bookkeeping. Here each block that is known
for what it does (passed through, an ``OrdinalEncoder``) is done on arrays; every other transformer gets its own columns
as the DataFrame that it would have got. The pipeline itself serves a model of an unknown shape, and one whose
predictions differ in a single bit on the golden rows and their variations (unknown strings, missing values).
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from include.serving.model.columns import Columns, to_frame

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OrdinalEncoder

Predict = Callable[[Columns], "NDArray[Any]"]
_UNKNOWN_TEXT = "\x00 no category has this name \x00"


class NotCoveredError(Exception):
    """The direct prediction does not cover this model or these rows; the pipeline itself does."""


def direct_predict(pipeline: Any, method: str, golden: Columns) -> Predict | None:
    """
    Write a pipeline's prediction without DataFrames, where its results are equal in every bit.

    :param pipeline: the fitted pipeline; it is not changed.
    :param method: ``predict`` or ``predict_proba``.
    :param golden: rows of real data, on which both must agree in every bit.
    :return: columns in, predictions out; None where the pipeline should be used as it is.
    """
    try:
        predict = _compile(pipeline, method)
    except NotCoveredError:
        return None
    standard = getattr(pipeline, method)
    for rows in _variations(golden):
        if not _agree(predict, standard, rows):
            return None
    return predict


def _compile(pipeline: Any, method: str) -> Predict:
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    # type and not isinstance: a subclass may do anything in transform.
    if type(pipeline) is not Pipeline or type(pipeline.steps[0][1]) is not ColumnTransformer:
        raise NotCoveredError
    matrix = _Matrix.of(pipeline.steps[0][1])
    # Steps between are called as they are: on arrays they cost little.
    middle = [step for _, step in pipeline.steps[1:-1] if step not in ("passthrough", None)]
    predict_matrix = getattr(_with_direct_preprocessor(pipeline.steps[-1][1]), method)

    def predict(columns: Columns) -> "NDArray[Any]":
        values = matrix.fill(columns)
        for step in middle:
            values = step.transform(values)
        predictions: NDArray[Any] = predict_matrix(values)
        return predictions

    return predict


def _agree(predict: Predict, standard: Callable[[Any], "NDArray[Any]"], rows: Columns) -> bool:
    try:
        expected = standard(to_frame(rows))
    # What the pipeline refuses, a request must be refused for as well.
    except (ValueError, TypeError, KeyError):
        return _is_not_covered(predict, rows)
    try:
        actual = predict(rows)
    except NotCoveredError:
        return True
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):
        return False
    # Bits, not tolerances: a wrong code of one category could be a small difference on these rows.
    return expected.dtype == actual.dtype and bool(
        np.array_equal(expected, actual, equal_nan=expected.dtype.kind == "f")
    )


def _is_not_covered(predict: Predict, rows: Columns) -> bool:
    """Where the pipeline refuses rows, the direct prediction must leave them to it, or refuse them too."""
    try:
        predict(rows)
    except (NotCoveredError, ValueError, TypeError, KeyError):
        return True
    return False


def _variations(golden: Columns) -> list[Columns]:
    return [
        golden,
        {name: array[:1] for name, array in golden.items()},
        # Golden rows are known to the model; unknown and missing values take other branches of an encoder.
        {name: _replaced(array, _UNKNOWN_TEXT) for name, array in golden.items()},
        {name: _missing(array) for name, array in golden.items()},
        *({**golden, name: _missing(array)} for name, array in golden.items() if array.dtype.kind in "fO"),
        {name: -array * 1e6 if array.dtype.kind == "f" else array for name, array in golden.items()},
        {name: np.zeros_like(array) if array.dtype.kind in "fi" else array for name, array in golden.items()},
    ]


def _replaced(array: "NDArray[Any]", text: str) -> "NDArray[Any]":
    return np.full(array.shape, text, dtype=object) if array.dtype == object else array


def _missing(array: "NDArray[Any]") -> "NDArray[Any]":
    return np.full(array.shape, np.nan, dtype=array.dtype) if array.dtype.kind in "fO" else array


@dataclass(frozen=True)
class _Block:
    """One transformer's columns of the matrix."""

    names: tuple[str, ...]
    begin: int
    end: int
    fill: Callable[[Columns, "NDArray[Any]"], None]
    """Columns in; the block's part of the matrix is filled in place."""


@dataclass(frozen=True)
class _Matrix:
    """What a ``ColumnTransformer`` makes of the columns."""

    blocks: tuple[_Block, ...]
    width: int

    @classmethod
    def of(cls, transformer: "ColumnTransformer") -> "_Matrix":
        # Each of these changes the matrix in a manner that is not written here.
        plain = not transformer.sparse_output_ and not transformer.transformer_weights
        if not plain or _output_kind(transformer) != "default" or not hasattr(transformer, "feature_names_in_"):
            raise NotCoveredError
        blocks = []
        for name, step, columns in transformer.transformers_:
            output = transformer.output_indices_.get(name)
            if (isinstance(step, str) and step == "drop") or output is None or output.start == output.stop:
                continue
            names = _names(columns, transformer.feature_names_in_)
            blocks.append(_Block(names, output.start, output.stop, _filler(step, names)))
        return cls(tuple(blocks), max((block.end for block in blocks), default=0))

    def fill(self, columns: Columns) -> "NDArray[Any]":
        row_count = len(next(iter(columns.values())))
        # Every column is written by some block: output_indices_ covers the width.
        matrix = np.empty((row_count, self.width), dtype=np.float64)
        for block in self.blocks:
            block.fill(columns, matrix[:, block.begin : block.end])
        return matrix


def _output_kind(transformer: Any) -> str:
    from sklearn import get_config

    # A private name of scikit-learn: the lock pins its version, and a test compares the predictions.
    own = getattr(transformer, "_sklearn_output_config", {}).get("transform")
    return str(own or get_config()["transform_output"])


def _names(columns: Any, known: Sequence[str]) -> tuple[str, ...]:
    if isinstance(columns, str):
        return (columns,)
    if isinstance(columns, list | tuple | np.ndarray) and all(isinstance(column, str) for column in columns):
        return tuple(str(column) for column in columns)
    if isinstance(columns, list | tuple) and all(type(column) is int for column in columns):
        return tuple(str(known[column]) for column in columns)
    raise NotCoveredError


def _filler(step: Any, names: tuple[str, ...]) -> Callable[[Columns, "NDArray[Any]"], None]:
    from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder

    if step == "passthrough" or (type(step) is FunctionTransformer and step.func is None):
        return lambda columns, part: _pass_through(columns, names, part)
    if type(step) is OrdinalEncoder and _is_plain(step):
        codes = [_codes(step, number) for number in range(len(names))]
        return lambda columns, part: _encode_all(columns, names, codes, part)

    def standard(columns: Columns, part: "NDArray[Any]") -> None:
        values = step.transform(to_frame(columns, names))
        part[:] = values.toarray() if hasattr(values, "toarray") else values

    return standard


def _pass_through(columns: Columns, names: tuple[str, ...], part: "NDArray[Any]") -> None:
    for number, name in enumerate(names):
        array = columns[name]
        if array.dtype.kind not in "fiub":
            raise NotCoveredError
        part[:, number] = array


def _encode_all(columns: Columns, names: tuple[str, ...], codes: "Sequence[_Codes]", part: "NDArray[Any]") -> None:
    for number, (name, code) in enumerate(zip(names, codes, strict=True)):
        code.encode(columns[name], part[:, number])


def _is_plain(encoder: "OrdinalEncoder") -> bool:
    # Rare categories (min_frequency) are grouped by a table that is not read here.
    ordinary = encoder.dtype == np.float64 and not getattr(encoder, "_infrequent_enabled", False)
    return ordinary and _output_kind(encoder) == "default"


@dataclass(frozen=True)
class _Codes:
    """One column of an ``OrdinalEncoder``."""

    by_value: Mapping[Any, float]
    missing: float | None
    """Code of a missing value; None where the encoder was fitted on none."""
    unknown: float | None
    """Code of any other value; None where the encoder refuses it."""

    def encode(self, array: "NDArray[Any]", out: "NDArray[Any]") -> None:
        # tolist gives Python objects, which a dictionary finds faster than numpy scalars.
        for row, value in enumerate(array.tolist()):
            code = self.by_value.get(value)
            if code is None:
                # A missing value is the only one that is not itself.
                code = self.missing if value != value and self.missing is not None else self.unknown  # noqa: PLR0124
            if code is None:
                raise NotCoveredError
            out[row] = code


def _codes(encoder: "OrdinalEncoder", number: int) -> _Codes:
    categories = encoder.categories_[number].tolist()
    by_value = {value: float(code) for code, value in enumerate(categories) if value == value and value is not None}  # noqa: PLR0124
    holds_missing = len(by_value) < len(categories)
    if any(value is None for value in categories):
        raise NotCoveredError
    unknown = float(encoder.unknown_value) if encoder.handle_unknown == "use_encoded_value" else None
    return _Codes(by_value, float(encoder.encoded_missing_value) if holds_missing else None, unknown)


def _with_direct_preprocessor(model: Any) -> Any:
    """Gradient boosting over histograms keeps a ``ColumnTransformer`` of its own for categorical columns."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    if type(model) not in (HistGradientBoostingClassifier, HistGradientBoostingRegressor):
        return model
    inner = getattr(model, "_preprocessor", None)
    if inner is None:
        return model
    # A copy: the pipeline itself must stay the reference that this is compared with.
    replaced = copy.copy(model)
    replaced._preprocessor = _CategoryCodes.of(inner)  # noqa: SLF001 (compared bit by bit before it is used)
    return replaced


class _CategoryCodes:
    """Categorical columns of a matrix coded and moved to its front, as gradient boosting expects them."""

    def __init__(self, codes: "Sequence[NDArray[Any]]", first: "NDArray[Any]", rest: "NDArray[Any]") -> None:
        self._codes, self._first, self._rest = codes, first, rest

    @classmethod
    def of(cls, transformer: Any) -> "_CategoryCodes":
        blocks = [(step, columns) for _, step, columns in transformer.transformers_ if not isinstance(step, str)]
        # The order of the two blocks is what scikit-learn's own code builds; another version may build another.
        if [name for name, _, _ in transformer.transformers_[:2]] != ["encoder", "numerical"]:
            raise NotCoveredError
        encoder, first = blocks[0]
        codes = []
        for categories in encoder.categories_:
            known = categories[~np.isnan(categories)] if categories.dtype.kind == "f" else None
            if (
                known is None
                or not len(known)
                or not np.isnan(encoder.unknown_value)
                or not np.isnan(encoder.encoded_missing_value)
            ):
                raise NotCoveredError
            codes.append(known)
        return cls(codes, np.flatnonzero(first), np.flatnonzero(blocks[1][1]))

    def transform(self, values: "NDArray[Any]") -> "NDArray[Any]":
        """Codes of the categorical columns, then the other columns; unknown and missing are NaN."""
        out = np.empty((len(values), len(self._first) + len(self._rest)), dtype=np.float64)
        for number, (known, column) in enumerate(zip(self._codes, self._first, strict=True)):
            given = values[:, column]
            code = np.minimum(np.searchsorted(known, given), len(known) - 1)
            out[:, number] = np.where(known[code] == given, code, np.nan)
        out[:, len(self._first) :] = values[:, self._rest]
        return out
