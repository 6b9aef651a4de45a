from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from include.contract.model_files import InputColumn
from include.serving.model.columns import Columns, RawTable, Signature, to_frame
from include.serving.model.direct import NotCoveredError, direct_predict
from tests.support.serving_bundles import INPUTS, pipeline, rows, table

TEXTS, NUMBERS = ["carrier", "origin"], ["hour", "distance", "temp"]


def columns(count: int = 12, seed: int = 99) -> Columns:
    golden = table(rows(count, seed))
    raw = dict(zip(golden.columns, zip(*golden.data, strict=True), strict=True))
    return Signature(tuple(InputColumn.model_validate(column) for column in INPUTS)).typed(RawTable(raw, count))


def fitted(prepare: Any, model: Any) -> Pipeline:
    frame = rows()
    return Pipeline([("prepare", prepare), ("model", model)]).fit(frame, (frame["hour"] > 12).astype(int))


def unknown_is_minus_one() -> OrdinalEncoder:
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)


@pytest.mark.parametrize("categorical", [False, True])
def test_direct_predictions_are_the_pipelines_in_every_bit(categorical: bool) -> None:  # noqa: FBT001
    model = pipeline(categorical=categorical)
    predict = direct_predict(model, "predict_proba", columns())
    assert predict is not None
    many = columns(300, seed=5)
    many["carrier"][3] = "never seen"
    assert np.array_equal(predict(many), model.predict_proba(to_frame(many)))


def test_model_itself_is_left_as_it_was() -> None:
    model = pipeline(categorical=True)
    inner = model[-1]._preprocessor
    direct_predict(model, "predict_proba", columns())
    assert model[-1]._preprocessor is inner


@pytest.mark.parametrize(
    "prepare",
    [
        lambda: ColumnTransformer(
            [("texts", unknown_is_minus_one(), TEXTS), ("numbers", SimpleImputer(), NUMBERS)], remainder="drop"
        ),
        lambda: ColumnTransformer(
            [
                ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), TEXTS),
                ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
            ]
        ),
        lambda: ColumnTransformer(
            [("texts", OneHotEncoder(handle_unknown="ignore"), TEXTS), ("numbers", SimpleImputer(), NUMBERS)],
            sparse_threshold=0,
        ),
        lambda: ColumnTransformer(
            [
                ("texts", unknown_is_minus_one(), make_column_selector(dtype_include=["object", "string"])),
                ("hour", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["hour"]),
                ("numbers", SimpleImputer(strategy="median"), ["distance", "temp"]),
            ]
        ),
        lambda: ColumnTransformer([("texts", unknown_is_minus_one(), [0, 1]), ("hour", "passthrough", ["hour"])]),
        lambda: ColumnTransformer(
            [("texts", unknown_is_minus_one(), TEXTS), ("same", FunctionTransformer(), ["hour", "distance"])]
        ),
    ],
)
def test_other_shapes_agree_too(prepare: Callable[[], Any]) -> None:
    model = fitted(prepare(), LogisticRegression(max_iter=50_000))
    predict = direct_predict(model, "predict", columns())
    assert predict is not None
    many = columns(100, seed=6)
    assert np.array_equal(predict(many), model.predict(to_frame(many)))


def test_step_between_preparation_and_model_is_kept() -> None:
    frame = rows()
    prepare = ColumnTransformer([("texts", unknown_is_minus_one(), TEXTS), ("hour", "passthrough", ["hour"])])
    steps = [("prepare", prepare), ("scale", StandardScaler()), ("none", "passthrough"), ("m", LogisticRegression())]
    model = Pipeline(steps).fit(frame, (frame["hour"] > 12).astype(int))
    predict = direct_predict(model, "predict_proba", columns())
    assert predict is not None
    assert np.array_equal(predict(columns()), model.predict_proba(to_frame(columns())))


def test_category_that_the_encoder_refuses_is_left_to_the_pipeline() -> None:
    frame = rows()
    frame = frame[frame["carrier"].notna()]
    prepare = ColumnTransformer([("texts", OrdinalEncoder(), TEXTS), ("hour", "passthrough", ["hour"])])
    model = Pipeline([("p", prepare), ("m", LogisticRegression())]).fit(frame, (frame["hour"] > 12).astype(int))
    whole = {name: array[~to_frame(columns())["carrier"].isna().to_numpy()] for name, array in columns().items()}
    predict = direct_predict(model, "predict", whole)
    assert predict is not None
    with pytest.raises(NotCoveredError, match=r"^$"):
        predict({**whole, "carrier": np.full(len(whole["hour"]), "new", dtype=object)})


@pytest.mark.parametrize(
    "model",
    [
        lambda: DummyClassifier().fit(rows(), [0, 1] * 200),
        lambda: Pipeline([("m", DummyClassifier())]).fit(rows(), [0, 1] * 200),
        lambda: fitted(
            ColumnTransformer([("texts", OneHotEncoder(handle_unknown="ignore"), TEXTS)], sparse_threshold=1.0),
            LogisticRegression(),
        ),
        lambda: fitted(
            ColumnTransformer(
                [("texts", unknown_is_minus_one(), TEXTS), ("hour", "passthrough", ["hour"])],
                transformer_weights={"texts": 2.0},
            ),
            LogisticRegression(),
        ),
        lambda: fitted(
            ColumnTransformer([("texts", unknown_is_minus_one(), TEXTS)]).set_output(transform="pandas"),
            LogisticRegression(),
        ),
    ],
)
def test_model_of_an_unknown_shape_is_not_touched(model: Callable[[], Any]) -> None:
    assert direct_predict(model(), "predict", columns()) is None


def test_direct_way_that_does_not_agree_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.serving.model.direct._Codes.encode", lambda _self, _array, out: out.fill(0.0))
    assert direct_predict(pipeline(), "predict_proba", columns()) is None
