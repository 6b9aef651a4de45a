"""
A model as a folder in MLflow's format: the same files as ``mlflow.sklearn.save_model`` writes, without its detours.

``save_model`` looks through every installed package to warn of versions that differ (1.6 s of CPU where there are a
hundred packages) and loads the model again to see whether its types are trusted, which is known here.
"""

import platform
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.packaging.files import MLMODEL, MODEL, TRUSTED_TYPES, dump_model

if TYPE_CHECKING:
    from mlflow.models import ModelSignature
    from pandas import DataFrame

REQUIREMENTS = ("mlflow", "numpy", "pandas", "scikit-learn", "scipy", "skops")
"""Packages without which a model file cannot be read; each is written down with its version."""
CONDA, VIRTUALENV, EXAMPLE = "conda.yaml", "python_env.yaml", "input_example.json"
_PREDICT = "predict_proba"


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """What describes a model beside its file."""

    inputs: Mapping[str, str]
    """MLflow's type of each column, by name, in the model's order: boolean, long, double or string."""
    class_count: int
    """Columns of what ``predict_proba`` returns."""
    example: "DataFrame"
    """A few rows, as the model takes them."""
    metadata: Mapping[str, Any]


def write_model_folder(folder: Path, estimator: Any, description: ModelDescription) -> None:
    """
    Write a fitted estimator as ``model.skops`` beside MLflow's description of it.

    :param folder: must not exist.
    :raises DataRejectedError: if the estimator holds a type that is not on our list.
    """
    content = dump_model(estimator)
    folder.mkdir(parents=True)
    (folder / MODEL).write_bytes(content)
    (folder / EXAMPLE).write_text(description.example.to_json(orient="split", index=False), encoding="utf-8")
    _write_environment(folder)
    with warnings.catch_warnings():
        # MLflow's imports warn of MLflow's own type hints.
        warnings.simplefilter("ignore")
        _write_description(folder, description)


def _write_description(folder: Path, description: ModelDescription) -> None:
    from mlflow.models import Model

    model = Model(signature=_signature(description), metadata=dict(description.metadata))
    model.saved_input_example_info = {"artifact_path": EXAMPLE, "pandas_orient": "split", "type": "dataframe"}
    model.add_flavor(
        # The flavour by which mlflow models serve and every MLflow tool load a model.
        "python_function",
        loader_module="mlflow.sklearn",
        python_version=platform.python_version(),
        model_path=MODEL,
        predict_fn=_PREDICT,
        env={"conda": CONDA, "virtualenv": VIRTUALENV},
    )
    model.add_flavor(
        "sklearn",
        pickled_model=MODEL,
        sklearn_version=version("scikit-learn"),
        serialization_format="skops",
        code=None,
        skops_trusted_types=list(TRUSTED_TYPES),
    )
    # MLflow's UI shows it; save_model would have summed it itself.
    model.model_size_bytes = sum(path.stat().st_size for path in folder.iterdir())
    model.save(str(folder / MLMODEL))


def _signature(description: ModelDescription) -> "ModelSignature":
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    columns = [ColSpec(DataType[kind], name, required=True) for name, kind in description.inputs.items()]
    # As save_model infers it: predict_proba returns an array without names.
    outputs = TensorSpec(np.dtype("float64"), (-1, description.class_count))
    return ModelSignature(inputs=Schema(columns), outputs=Schema([outputs]))


def _write_environment(folder: Path) -> None:
    """The pins by which MLflow's own server would build an environment for the model."""
    import yaml

    # Of what is installed here, and not of the lock: a model is read by what wrote it.
    pins = [f"{name}=={version(name)}" for name in REQUIREMENTS]
    python, pip = platform.python_version(), ["pip"]
    conda = {
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", *pip, {"pip": pins}],
        "name": "mlflow-env",
    }
    virtualenv = {"python": python, "build_dependencies": pip, "dependencies": ["-r requirements.txt"]}
    (folder / "requirements.txt").write_text("\n".join(pins) + "\n", encoding="utf-8")
    (folder / CONDA).write_text(yaml.safe_dump(conda, sort_keys=False), encoding="utf-8")
    (folder / VIRTUALENV).write_text(yaml.safe_dump(virtualenv, sort_keys=False), encoding="utf-8")
