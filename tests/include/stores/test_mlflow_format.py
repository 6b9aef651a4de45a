"""A model folder as MLflow writes and reads it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from include.errors import DataRejectedError
from include.stores.mlflow_format import REQUIREMENTS, ModelDescription, write_model_folder
from include.stores.model_files import load_model

FEATURES = pd.DataFrame({"size": [0.0, 1.0, 2.0, 3.0], "riders": [1, 0, 1, 0]})
TARGET = np.array([0, 0, 1, 1])


class _Foreign(BaseEstimator):
    def fit(self, *_: Any) -> "_Foreign":
        return self

    def predict_proba(self, features: pd.DataFrame) -> Any:
        return np.full((len(features), 2), 0.5)

    def predict(self, features: pd.DataFrame) -> Any:
        return np.zeros(len(features))


def _description() -> ModelDescription:
    return ModelDescription(
        inputs={"size": "double", "riders": "long"},
        class_count=2,
        example=FEATURES.head(2),
        metadata={"project": "toy"},
    )


def test_the_folder_says_what_the_model_takes_and_gives(tmp_path: Path) -> None:
    model = Pipeline([("scale", StandardScaler()), ("learn", LogisticRegression())]).fit(FEATURES, TARGET)

    write_model_folder(tmp_path / "model", model, _description())

    said = yaml.safe_load((tmp_path / "model" / "MLmodel").read_text())
    assert json.loads(said["signature"]["inputs"]) == [
        {"type": "double", "name": "size", "required": True},
        {"type": "long", "name": "riders", "required": True},
    ]
    assert said["flavors"]["python_function"]["predict_fn"] == "predict_proba"
    assert said["flavors"]["sklearn"]["serialization_format"] == "skops"
    assert said["metadata"] == {"project": "toy"}
    requirements = (tmp_path / "model" / "requirements.txt").read_text().split()
    assert [line.partition("==")[0] for line in requirements if not line.startswith("mlflow")] == list(REQUIREMENTS)
    loaded = load_model((tmp_path / "model" / "model.skops").read_bytes(), "the model")
    assert np.array_equal(loaded.predict_proba(FEATURES), model.predict_proba(FEATURES))


def test_mlflow_reads_it_as_its_own(tmp_path: Path) -> None:
    import mlflow.models

    model = LogisticRegression().fit(FEATURES, TARGET)
    write_model_folder(tmp_path / "model", model, _description())

    read = mlflow.models.Model.load(str(tmp_path / "model"))

    assert read.signature.inputs.input_names() == ["size", "riders"]
    assert read.load_input_example(str(tmp_path / "model")).to_dict("list") == FEATURES.head(2).to_dict("list")


def test_a_type_that_is_not_trusted_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataRejectedError, match=r"types that are not trusted: .*_Foreign"):
        write_model_folder(tmp_path / "model", _Foreign().fit(), _description())
