"""A bundle's model, ready to predict: loaded, checked on its golden rows, and without DataFrames where it can be."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from include.errors import DataRejectedError, foreign
from include.packaging.files import PARITY_TOLERANCE, Bundle, Golden, largest_difference
from include.serving.model.columns import Columns, RawTable, Signature, to_frame
from include.serving.model.direct import NotCoveredError, Predict, direct_predict
from include.serving.request_error import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Predictor:
    """Rows in, predictions out; used by one thread at a time."""

    signature: Signature
    pipeline: Predict
    direct: Predict | None
    """The same without DataFrames; None where its predictions were not equal in every bit."""

    def predict(self, columns: Columns) -> "NDArray[Any]":
        """
        Predict rows.

        :param columns: those of the signature, in its order, all of one length.
        :return: shape (rows,) for ``predict``, (rows, classes) for ``predict_proba``, as MLflow's pyfunc gives it.
        :raises RequestError: if the model refuses the rows.
        """
        if self.direct is not None:
            try:
                return self.direct(columns)
            except NotCoveredError:
                pass
        try:
            return self.pipeline(columns)
        except (TypeError, ValueError, KeyError) as error:
            raise RequestError(f"The model refuses these rows: {foreign(error)}") from error


def load_predictor(bundle: Bundle, *, ignore_unknown: bool = True) -> Predictor:
    """
    Load a bundle's model and replay its golden rows.

    :param ignore_unknown: whether a request may hold columns that the model does not know.
    :raises DataRejectedError: if the model cannot be loaded, or its predictions of the golden rows differ from those in
        training.
    """
    manifest, golden = bundle.manifest, bundle.golden()
    signature = Signature(manifest.inputs, ignore_unknown=ignore_unknown)
    # The golden rows are replayed in this thread, so it needs the same configuration as the one that predicts.
    prepare_thread()
    model = bundle.load()
    method = getattr(model, manifest.predict, None)
    if method is None:
        message = f"The model of bundle {bundle.digest} has no {manifest.predict}; its manifest names it."
        raise DataRejectedError(message)
    # Through the same conversion as a request: JSON has no int32, and golden rows were stored as JSON.
    rows = _golden_columns(signature, golden, bundle.digest)
    direct = direct_predict(model, manifest.predict, rows)
    predictor = Predictor(signature, lambda columns: _array(method(to_frame(columns))), direct)
    _replay(predictor, rows, golden, bundle.digest)
    return predictor


def prepare_thread() -> None:
    """
    Set up scikit-learn in the thread that predicts (its configuration belongs to a thread).

    Parameters of a fitted model were checked when it was fitted. That values are finite is still checked: a model that
    cannot do with NaN refuses it.
    """
    import sklearn

    sklearn.set_config(skip_parameter_validation=True)


def response_body(predictions: "NDArray[Any]") -> bytes:
    """``{"predictions": […]}`` as MLflow writes it: NaN and infinity as Python's JSON names them."""
    # orjson writes NaN and infinity as null; MLflow writes both as Python does.
    if predictions.dtype.kind in "iub" or (predictions.dtype.kind == "f" and _all_finite(predictions)):
        return orjson.dumps({"predictions": predictions.tolist()})
    return json.dumps({"predictions": predictions.tolist()}, default=str).encode()


def _all_finite(values: "NDArray[Any]") -> bool:
    import numpy as np

    return bool(np.isfinite(values).all())


def _array(values: Any) -> "NDArray[Any]":
    import numpy as np

    return np.asarray(values)


def _golden_columns(signature: Signature, golden: Golden, digest: str) -> Columns:
    data: Sequence[Sequence[Any]] = golden.rows.data
    try:
        columns = dict(zip(golden.rows.columns, zip(*data, strict=True), strict=True))
        return signature.typed(RawTable(columns, len(data)))
    except (ValueError, RequestError) as error:
        message = f"The golden rows of bundle {digest} do not fit its signature: {foreign(error)} Package it again."
        raise DataRejectedError(message) from error


def _replay(predictor: Predictor, rows: Columns, golden: Golden, digest: str) -> None:
    try:
        actual = predictor.predict(rows)
    except RequestError as error:
        message = f"The model of bundle {digest} refuses its own golden rows: {foreign(error)}"
        raise DataRejectedError(message) from error
    gap = largest_difference(golden.predictions, actual)
    if gap > PARITY_TOLERANCE:
        message = (
            f"The model of bundle {digest} answers its golden rows differently than it did in training: by {gap:.3g}, "
            f"allowed {PARITY_TOLERANCE:g}. Train and package it with the libraries that serve it."
        )
        raise DataRejectedError(message)
