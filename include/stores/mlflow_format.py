"""A model as a folder in MLflow's format: what ``mlflow.sklearn.log_model`` writes, without the server."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.errors import DataRejectedError, foreign
from include.stores.model_files import MODEL, TRUSTED_TYPES, dump_model

if TYPE_CHECKING:
    from mlflow.models import ModelSignature
    from pandas import DataFrame

REQUIREMENTS = ("numpy", "pandas", "scikit-learn", "scipy", "skops")
"""Packages without which a model file cannot be read; each is written down with its version."""


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """What is said of a model beside its file."""

    inputs: Mapping[str, str]
    """MLflow's type of each column, by name, in the model's order: boolean, long, double or string."""
    class_count: int
    """Columns of what ``predict_proba`` answers."""
    example: "DataFrame"
    """A few rows, as the model takes them."""
    metadata: Mapping[str, Any]


def write_model_folder(folder: Path, estimator: Any, description: ModelDescription) -> None:
    """
    Write a fitted estimator as ``model.skops`` beside MLflow's description of it.

    :param folder: must not exist.
    :raises DataRejectedError: if the estimator holds a type that is not on our list.
    """
    with _quiet():
        # Imported by name, as it would else be imported lazily, outside of this block.
        import mlflow.pyfunc
        import mlflow.sklearn
        from mlflow.exceptions import MlflowException

    try:
        with _quiet():
            mlflow.sklearn.save_model(
                estimator,
                str(folder),
                serialization_format="skops",
                signature=_signature(description),
                input_example=description.example,
                # Left to itself, MLflow finds them out by loading the model in another process, which takes seconds.
                pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
                pyfunc_predict_fn="predict_proba",
                metadata=dict(description.metadata),
                skops_trusted_types=list(TRUSTED_TYPES),
            )
    except MlflowException as error:
        dump_model(estimator)  # says it better, where a type is the reason
        message = f"{type(estimator).__name__} cannot be written as {MODEL}: {foreign(error)}"
        raise DataRejectedError(message) from error


def _signature(description: ModelDescription) -> "ModelSignature":
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    columns = [ColSpec(DataType[kind], name, required=True) for name, kind in description.inputs.items()]
    answers = TensorSpec(np.dtype("float64"), (-1, description.class_count))
    return ModelSignature(inputs=Schema(columns), outputs=Schema([answers]))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without MLflow's advice on how it would rather be called, and what pandas says of how MLflow calls it."""
    logger = logging.getLogger("mlflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
