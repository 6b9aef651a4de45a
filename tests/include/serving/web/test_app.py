import asyncio
import json
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.types import ASGIApp, Message

from include.packaging.files import TRUSTED_TYPES
from include.serving.model.batching import Batcher
from include.serving.model.predictor import load_predictor, prepare_thread
from include.serving.service_metrics import ServiceMetrics
from include.serving.web.app import Service, build_app
from tests.support.serving_bundles import INPUTS, bundle, pipeline, rows, table

LIMIT_BYTES = 100_000


def service(**manifest: Any) -> Service:
    sealed = bundle(**manifest)
    predictor = load_predictor(sealed)
    metrics = ServiceMetrics({"model": "m"})
    batcher = Batcher(predictor.predict, metrics, rows_at_most=1024, waiting_at_most=64, prepare_thread=prepare_thread)
    return Service(
        manifest=sealed.manifest,
        digest=sealed.digest,
        version=3,
        signature=predictor.signature,
        batcher=batcher,
        metrics=metrics,
        request_bytes_at_most=LIMIT_BYTES,
        ready=True,
    )


@pytest.fixture(scope="module")
def ours() -> Iterator[Service]:
    made = service()
    yield made
    made.batcher.close()


@pytest.fixture(scope="module")
def mlflow_app(tmp_path_factory: pytest.TempPathFactory) -> ASGIApp:
    """MLflow's own scoring server over the same model."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as environment:
        warnings.simplefilter("ignore")  # MLflow warns about itself when it is imported
        # The registry, where a test before this one opened it, forbids it to this whole process.
        environment.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
        return scoring_server_of_mlflow(tmp_path_factory.mktemp("model") / "model")


def scoring_server_of_mlflow(folder: Path) -> ASGIApp:
    import mlflow.pyfunc
    import mlflow.sklearn
    from mlflow.models import ModelSignature
    from mlflow.pyfunc import scoring_server
    from mlflow.types import ColSpec, Schema

    specs = [ColSpec(column["type"], column["name"], column.get("required", True)) for column in INPUTS]
    mlflow.sklearn.save_model(
        pipeline(),
        folder,
        signature=ModelSignature(inputs=Schema(specs)),
        serialization_format="skops",
        skops_trusted_types=list(TRUSTED_TYPES),
        pyfunc_predict_fn="predict_proba",
        pip_requirements=[],
    )
    app: ASGIApp = scoring_server.init(mlflow.pyfunc.load_model(str(folder)))
    return app


def call(app: ASGIApp, method: str, path: str, **request: Any) -> httpx.Response:
    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **request)

    return asyncio.run(main())


def post(app: ASGIApp, document: Any) -> httpx.Response:
    return call(app, "POST", "/invocations", content=json.dumps(document), headers={"Content-Type": "application/json"})


def full_rows() -> Any:
    """Rows without nulls: what MLflow does with a null depends on the form of the request."""
    return rows(40, seed=8).dropna().reset_index(drop=True)


def forms() -> dict[str, Any]:
    frame = full_rows()
    split = table(frame).model_dump()
    return {
        "dataframe_split": split,
        "dataframe_records": frame.to_dict("records"),
        "instances": frame.to_dict("records"),
        "inputs": frame.to_dict("list"),
    }


@pytest.mark.parametrize("form", ["dataframe_split", "dataframe_records", "instances", "inputs"])
def test_every_form_is_handled_as_mlflow_handles_it(ours: Service, mlflow_app: ASGIApp, form: str) -> None:
    document = {form: forms()[form]}
    theirs, result = post(mlflow_app, document), post(build_app(ours), document)
    assert theirs.status_code == result.status_code == 200
    assert theirs.headers["content-type"] == result.headers["content-type"]
    assert result.json() == theirs.json()


def test_nulls_are_handled_as_mlflow_handles_them(ours: Service, mlflow_app: ASGIApp) -> None:
    document = {"dataframe_split": table(rows(40, seed=8)).model_dump()}
    assert post(build_app(ours), document).json() == post(mlflow_app, document).json()


def test_column_that_may_be_left_out_is_predicted_although_mlflow_fails(ours: Service, mlflow_app: ASGIApp) -> None:
    frame = full_rows().drop(columns="temp")
    document = {"dataframe_records": frame.to_dict("records")}
    assert post(mlflow_app, document).status_code == 400
    frame["temp"] = math.nan
    expected = pipeline().predict_proba(frame).tolist()
    assert post(build_app(ours), document).json() == {"predictions": expected}


@pytest.mark.parametrize("index", [False, True])
def test_csv_is_handled_as_mlflow_handles_it(ours: Service, mlflow_app: ASGIApp, index: bool) -> None:  # noqa: FBT001
    request = {"content": rows(40, seed=8).to_csv(index=index), "headers": {"Content-Type": "text/csv"}}
    theirs = call(mlflow_app, "POST", "/invocations", **request)
    result = call(build_app(ours), "POST", "/invocations", **request)
    assert theirs.status_code == result.status_code == 200
    assert np.allclose(result.json()["predictions"], theirs.json()["predictions"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("path", ["/ping", "/version"])
def test_ping_and_version_are_mlflows(ours: Service, mlflow_app: ASGIApp, path: str) -> None:
    theirs, result = call(mlflow_app, "GET", path), call(build_app(ours), "GET", path)
    assert (result.status_code, result.content) == (theirs.status_code, theirs.content)
    assert result.headers["content-type"] == theirs.headers["content-type"]


@pytest.mark.parametrize(
    ("request_parts", "status"),
    [
        ({"content": "{", "headers": {"Content-Type": "application/json"}}, 400),
        ({"content": "{}", "headers": {"Content-Type": "application/json"}}, 400),
        ({"content": '{"inputs": [{"hour": 1}]}', "headers": {"Content-Type": "application/json"}}, 400),
        ({"content": "x", "headers": {"Content-Type": "text/plain"}}, 415),
        ({"content": "{}", "headers": {"Content-Type": "application/json; charset=latin-1"}}, 415),
    ],
)
def test_bad_requests_have_mlflows_status(ours: Service, mlflow_app: ASGIApp, request_parts: Any, status: int) -> None:
    theirs = call(mlflow_app, "POST", "/invocations", **request_parts)
    result = call(build_app(ours), "POST", "/invocations", **request_parts)
    assert theirs.status_code == result.status_code == status
    assert set(result.json()) >= {"error_code", "message"}


def test_wrong_value_is_named_by_row_and_field(ours: Service) -> None:
    records = forms()["dataframe_records"]
    records[2]["distance"] = "far"
    result = post(build_app(ours), {"dataframe_records": records})
    assert result.status_code == 400
    assert result.json()["field"] == "distance"
    assert result.json()["row"] == 2
    assert "'far' is not a number" in result.json()["message"]


def test_request_without_content_type_is_unsupported(ours: Service) -> None:
    assert call(build_app(ours), "POST", "/invocations", content=b"{}").status_code == 415


def test_every_response_names_the_model(ours: Service) -> None:
    app = build_app(ours)
    responses = [
        call(app, "GET", "/ping"),
        call(app, "GET", "/nowhere"),
        post(app, {}),
        call(app, "GET", "/invocations"),
    ]
    assert [response.status_code for response in responses] == [200, 404, 400, 405]
    for response in responses:
        assert response.headers["x-model-name"] == "departure_delay"
        assert response.headers["x-model-version"] == "3"
        assert response.headers["x-model-digest"] == ours.digest


def test_wrong_path_and_method_are_handled_as_mlflow_handles_them(ours: Service, mlflow_app: ASGIApp) -> None:
    for method, path in (("GET", "/nowhere"), ("GET", "/invocations")):
        theirs, result = call(mlflow_app, method, path), call(build_app(ours), method, path)
        assert (result.status_code, result.json()) == (theirs.status_code, theirs.json())
        assert result.headers.get("allow") == theirs.headers.get("allow")


def test_body_beyond_the_limit_is_too_large(ours: Service) -> None:
    result = call(
        build_app(ours), "POST", "/invocations", content=b"x" * (LIMIT_BYTES + 1), headers={"Content-Type": "text/csv"}
    )
    assert result.status_code == 413
    assert result.json()["error_code"] == "REQUEST_TOO_LARGE"
    assert result.headers["connection"] == "close"


def test_body_without_a_length_is_cut_at_the_limit(ours: Service) -> None:
    chunk, sent = b"x" * 10_000, 0
    scope = {"type": "http", "method": "POST", "path": "/invocations", "raw_path": b"/invocations", "query_string": b""}
    messages: list[Message] = []

    async def receive() -> Message:
        nonlocal sent
        sent += 1
        return {"type": "http.request", "body": chunk, "more_body": True}

    async def send(message: Message) -> None:
        messages.append(message)

    async def main() -> None:
        headers = [(b"content-type", b"text/csv"), (b"transfer-encoding", b"chunked")]
        await build_app(ours)({**scope, "headers": headers, "http_version": "1.1"}, receive, send)

    asyncio.run(main())
    assert messages[0]["status"] == 413
    assert sent == LIMIT_BYTES // len(chunk) + 1


def test_ready_turns_503_while_draining_and_health_does_not() -> None:
    made = service()
    app = build_app(made)
    assert call(app, "GET", "/ready").status_code == 200
    made.ready = False
    assert call(app, "GET", "/ready").json()["status"] == "draining"
    assert call(app, "GET", "/ready").status_code == 503
    assert call(app, "GET", "/health").json() == {"status": "ok", **made.identity}
    assert post(app, {"inputs": forms()["inputs"]}).status_code == 200
    made.batcher.close()


def test_retired_process_closes_its_connections() -> None:
    made = service()
    app = build_app(made)
    assert "connection" not in call(app, "GET", "/ping").headers
    made.retired = True
    assert call(app, "GET", "/ping").headers["connection"] == "close"
    made.batcher.close()


def test_overloaded_server_asks_to_try_again(ours: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours.batcher, "_waiting_at_most", 0)
    result = post(build_app(ours), {"inputs": forms()["inputs"]})
    assert result.status_code == 503
    assert result.headers["retry-after"] == "1"


def test_model_that_predicts_returns_one_value_a_row() -> None:
    made = service(predict="predict")
    result = post(build_app(made), {"inputs": forms()["inputs"]})
    assert result.json() == {"predictions": pipeline().predict(full_rows()).tolist()}
    made.batcher.close()


def test_metrics_count_responses_by_path_of_a_closed_list(ours: Service) -> None:
    app = build_app(ours)
    call(app, "GET", "/secret/1")
    post(app, {"inputs": forms()["inputs"]})
    result = call(app, "GET", "/metrics")
    assert result.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'path="other",status="404"' in result.text
    assert 'path="/invocations",status="200"' in result.text
    assert "secret" not in result.text


def test_docs_and_openapi_are_there(ours: Service) -> None:
    app = build_app(ours)
    assert "carrier" in call(app, "GET", "/openapi.json").json()["components"]["schemas"]["Row"]["properties"]
    page = call(app, "GET", "/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "departure_delay" in page.text


def test_serving_never_imports_mlflow(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = "import sys, include.serving.processes.worker; print('mlflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "False"
