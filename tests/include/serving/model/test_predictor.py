import json
import math

import numpy as np
import pytest

from include.errors import DataRejectedError
from include.packaging.files import GOLDEN, Golden, seal_bundle
from include.serving.model.columns import RawTable
from include.serving.model.direct import NotCoveredError
from include.serving.model.predictor import Predictor, load_predictor, response_body
from include.serving.request_error import RequestError
from tests.support.serving_bundles import bundle, pipeline, rows, table


def test_predictor_predicts_as_the_model_does() -> None:
    predictor = load_predictor(bundle())
    assert predictor.direct is not None
    frame = rows(30, seed=3)
    result = predictor.predict(predictor.signature.typed(raw(frame)))
    assert np.array_equal(result, pipeline().predict_proba(frame))


def raw(frame: object) -> RawTable:
    golden = table(frame)  # type: ignore[arg-type]
    return RawTable(dict(zip(golden.columns, zip(*golden.data, strict=True), strict=True)), len(golden.data))


def test_rows_that_the_direct_way_does_not_cover_go_through_the_pipeline() -> None:
    loaded = load_predictor(bundle())

    def not_covered(_columns: object) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
        raise NotCoveredError

    predictor = Predictor(loaded.signature, loaded.pipeline, not_covered)
    columns = predictor.signature.typed(raw(rows(3)))
    assert np.array_equal(predictor.predict(columns), loaded.predict(columns))


def test_rows_that_the_model_refuses_are_the_clients_fault() -> None:
    def refuse(_columns: object) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
        raise ValueError("Input contains NaN.")

    predictor = Predictor(load_predictor(bundle()).signature, refuse, None)
    with pytest.raises(RequestError, match="The model refuses these rows: Input contains NaN"):
        predictor.predict({})


def test_model_that_contradicts_its_golden_rows_is_refused() -> None:
    good = bundle()
    golden = good.golden()
    changed = Golden(rows=golden.rows, predictions=[[0.5, 0.5] for _ in golden.predictions])
    description = good.manifest.model_dump(exclude={"files"})
    with pytest.raises(DataRejectedError, match="differently than it did in training: by 0"):
        load_predictor(seal_bundle(description, {**good.contents, GOLDEN: changed.content()}))


def test_golden_rows_that_do_not_fit_the_signature_are_refused() -> None:
    good = bundle()
    inputs = [*good.manifest.model_dump()["inputs"], {"name": "more", "type": "double"}]
    description = {**good.manifest.model_dump(exclude={"files"}), "inputs": inputs}
    with pytest.raises(DataRejectedError, match=r"golden rows .* do not fit its signature: .*'more'"):
        load_predictor(seal_bundle(description, good.contents))


def test_model_without_the_method_is_refused() -> None:
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline

    frame = rows()
    numbers = frame[["hour"]]
    model = make_pipeline(LinearRegression()).fit(numbers, frame["distance"])
    good = bundle()
    from include.packaging.files import MODEL, dump_model

    sealed = seal_bundle(good.manifest.model_dump(exclude={"files"}), {**good.contents, MODEL: dump_model(model)})
    with pytest.raises(DataRejectedError, match="has no predict_proba"):
        load_predictor(sealed)


def test_response_is_written_as_mlflow_writes_it() -> None:
    assert json.loads(response_body(np.array([[0.25, 0.75]]))) == {"predictions": [[0.25, 0.75]]}
    assert json.loads(response_body(np.array([1, 0]))) == {"predictions": [1, 0]}
    assert json.loads(response_body(np.array(["a", "b"], dtype=object))) == {"predictions": ["a", "b"]}
    assert math.isnan(json.loads(response_body(np.array([np.nan])))["predictions"][0])
