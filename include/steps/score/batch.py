"""Batch predictions of one partition's rows by a sealed model."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from include.errors import DataRejectedError, listed
from include.modeling.metrics import Numbers
from include.modeling.rows import to_frame
from include.packaging.files import Bundle

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class BatchModel:
    """A bundle whose files have been compared with their digests."""

    bundle: Bundle

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it requires, in its order."""
        return tuple(column.name for column in self.bundle.manifest.inputs)

    def check(self, table: str, has: Sequence[str]) -> None:
        """
        Refuse a table that lacks a column of the model.

        :param table: its name, for messages.
        :param has: names of its columns.
        :raises DataRejectedError: naming the columns that it lacks.
        """
        missing = [name for name in self.columns if name not in has]
        if missing:
            message = (
                f"The champion, bundle {self.bundle.digest}, requires columns {listed(missing)}, which table '{table}' "
                "does not have. Train and promote a model on this feature set, or score with the code of that time."
            )
            raise DataRejectedError(message)

    def scores(self, rows: "pa.Table") -> Numbers:
        """
        The probability of the positive class for each row; the prediction itself where the model has no probabilities.

        :param rows: one row per row, at least the model's columns.
        :return: float64 of shape (rows,), all finite.
        :raises DataRejectedError: if the model refuses the rows, or a prediction is no finite number.
        """
        if rows.num_rows == 0:
            return np.empty(0, dtype=np.float64)
        manifest = self.bundle.manifest
        try:
            predicted = getattr(self._model, manifest.predict)(to_frame(rows.select(list(self.columns))))
            predictions = np.asarray(predicted, dtype=np.float64)
        except (TypeError, ValueError, KeyError) as error:
            # Only the type of the error: scikit-learn quotes values of rows in its text.
            message = f"The champion, bundle {self.bundle.digest}, refuses the rows: {type(error).__name__}."
            raise DataRejectedError(f"{message} Their types may have changed since it was trained.") from error
        scores = predictions[:, self._positive] if manifest.predict == "predict_proba" else predictions.reshape(-1)
        unfit = int((~np.isfinite(scores)).sum())
        if scores.shape != (rows.num_rows,) or unfit:
            message = (
                f"The champion, bundle {self.bundle.digest}, returns {scores.shape} scores for {rows.num_rows} rows, "
                f"{unfit} of them not finite. Nothing is written; check the model."
            )
            raise DataRejectedError(message)
        return scores

    @cached_property
    def _model(self) -> Any:
        return self.bundle.load()

    @cached_property
    def _positive(self) -> int:
        """Column of the positive class among the probabilities; the last one if the manifest names none."""
        wanted = self.bundle.manifest.positive_class
        classes = np.asarray(self._model.classes_).tolist()
        return classes.index(wanted) if wanted in classes else len(classes) - 1
