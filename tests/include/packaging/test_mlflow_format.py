"""A model folder as MLflow writes and reads it."""

import json
from importlib.metadata import version
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
from include.packaging.files import TRUSTED_TYPES, load_model
from include.packaging.mlflow_format import REQUIREMENTS, ModelDescription, write_model_folder

FEATURES = pd.DataFrame({"size": [0.0, 1.0, 2.0, 3.0], "riders": [1, 0, 1, 0]})
TARGET = np.array([0, 0, 1, 1])
PER_FILE = {"model_uuid", "utc_time_created", "model_size_bytes", "saved_input_example_info"}
"""What differs from folder to folder; MLflow adds a second example, shaped like a request."""


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


def test_the_folder_states_what_the_model_takes_and_gives(tmp_path: Path) -> None:
    model = Pipeline([("scale", StandardScaler()), ("learn", LogisticRegression())]).fit(FEATURES, TARGET)

    write_model_folder(tmp_path / "model", model, _description())

    message = yaml.safe_load((tmp_path / "model" / "MLmodel").read_text())
    assert json.loads(message["signature"]["inputs"]) == [
        {"type": "double", "name": "size", "required": True},
        {"type": "long", "name": "riders", "required": True},
    ]
    assert message["flavors"]["python_function"]["predict_fn"] == "predict_proba"
    assert message["flavors"]["sklearn"]["serialization_format"] == "skops"
    assert message["metadata"] == {"project": "toy"}
    requirements = (tmp_path / "model" / "requirements.txt").read_text().split()
    assert [line.partition("==")[0] for line in requirements] == list(REQUIREMENTS)
    loaded = load_model((tmp_path / "model" / "model.skops").read_bytes(), "the model")
    assert np.array_equal(loaded.predict_proba(FEATURES), model.predict_proba(FEATURES))


@pytest.mark.filterwarnings("ignore")
def test_mlflow_would_have_written_the_same_and_reads_it_as_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    import mlflow.pyfunc
    import mlflow.sklearn
    from mlflow.models import Model

    model = LogisticRegression().fit(FEATURES, TARGET)
    write_model_folder(tmp_path / "ours", model, _description())
    ours = Model.load(str(tmp_path / "ours"))
    mlflow.sklearn.save_model(
        model,
        str(tmp_path / "theirs"),
        serialization_format="skops",
        signature=ours.signature,
        input_example=FEATURES.head(2),
        pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
        pyfunc_predict_fn="predict_proba",
        metadata={"project": "toy"},
        skops_trusted_types=list(TRUSTED_TYPES),
    )

    message, reported = (yaml.safe_load((tmp_path / name / "MLmodel").read_text()) for name in ("ours", "theirs"))
    assert {name for name in message.keys() | reported.keys() if message.get(name) != reported.get(name)} <= PER_FILE
    for name in ("requirements.txt", "python_env.yaml"):
        first, second = (_words(tmp_path / folder / name) for folder in ("ours", "theirs"))
        assert first == second
    assert ours.load_input_example(str(tmp_path / "ours")).to_dict("list") == FEATURES.head(2).to_dict("list")
    read = mlflow.pyfunc.load_model(str(tmp_path / "ours"))
    assert np.array_equal(read.predict(FEATURES), model.predict_proba(FEATURES))


def _words(path: Path) -> list[str]:
    """Without pip's own version and other build tools, which MLflow pins as well."""
    return [word for word in path.read_text().split() if not word.startswith(("pip", "setuptools", "wheel", "-"))]


def test_a_type_that_is_not_trusted_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataRejectedError, match=r"types that are not trusted: .*_Foreign"):
        write_model_folder(tmp_path / "model", _Foreign().fit(), _description())
