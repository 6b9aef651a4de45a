"""What only a server can do wrong, and what only MLflow shows."""

import json
import uuid
from pathlib import Path

import pytest

from include.contract.receipt import TableState
from include.errors import ConfigurationError, DataRejectedError, TemporaryError
from include.stores.registry.mlflow import MlflowRegistry
from include.stores.registry.open import open_registry
from include.stores.registry.protocol import RunStatus, UsedData
from include.stores.registry.rest import RegistryServer
from tests.support.servers.mlflow_server import MlflowServer, responding, silent

pytestmark = pytest.mark.mlflow
STATE = TableState(
    name="flights/features/delay_v1", partition="2013-01", version=3, digest="sha256:" + "ab" * 32, row_count=27_004
)


@pytest.fixture
def name() -> str:
    return f"test_{uuid.uuid4().hex[:8]}"


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "written"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "model.skops").write_bytes(b"PK\x03\x04 a model")
    return folder


def test_a_deleted_model_file_is_refused(
    mlflow_server: MlflowServer, name: str, model_folder: Path, tmp_path: Path
) -> None:
    registry = open_registry(mlflow_server.uri)
    run = registry.start_run(name, "run", {})
    registry.log_model(run, model_folder)
    for path in mlflow_server.artifacts.rglob("model.skops"):
        path.unlink()

    with pytest.raises(DataRejectedError, match=r"could not fetch model/model.skops of run .* gone"):
        registry.download(run, "model/model.skops", tmp_path)


def test_a_server_that_fails_in_the_middle_is_temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with responding(200, then=503) as uri:
        registry = open_registry(uri)

        with pytest.raises(TemporaryError, match="could not start a run in experiment 'flights'"):
            registry.start_run("flights", "run", {})


def test_a_server_that_takes_each_request_and_is_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"TIMEOUT": 1, "MAX_RETRIES": 1, "BACKOFF_FACTOR": 1}
    for name, value in settings.items():
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", str(value))
    with silent() as (uri, taken):
        registry = MlflowRegistry(RegistryServer(uri, uri))
        # Without MLflow's words before it, which are longer than what is kept of a foreign text.
        reported = (
            rf"^MLflow at {uri} could not start a run in experiment 'flights': HTTP\S+ port=\d+\): Read timed out"
        )
        with pytest.raises(TemporaryError, match=reported):
            registry.start_run("flights", "run", {})
        assert len(taken) == 2


def test_a_server_that_wants_a_password_is_a_matter_of_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with responding(200, then=403, body=b'{"error_code": "PERMISSION_DENIED", "message": "no"}') as uri:
        registry = open_registry(uri)

        with pytest.raises(ConfigurationError, match="user and password"):
            registry.find_run("flights", {})


def test_data_is_shown_with_table_version_and_digest(mlflow_server: MlflowServer, name: str) -> None:
    from mlflow.tracking import MlflowClient

    registry = open_registry(mlflow_server.uri)
    run = registry.start_run(name, "run", {})
    registry.log_datasets(run, [UsedData(state=STATE, role="train")])

    (used,) = MlflowClient(mlflow_server.uri).get_run(run).inputs.dataset_inputs

    source = json.loads(used.dataset.source)
    assert (source["table"], source["version"], source["digest"]) == (STATE.name, 3, STATE.digest)
    assert used.dataset.name == "flights/features/delay_v1 2013-01"
    assert [(tag.key, tag.value) for tag in used.tags] == [("mlflow.data.context", "train")]


def test_more_runs_than_one_page_are_found(
    mlflow_server: MlflowServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.stores.registry.reading._PAGE", 2)
    registry = open_registry(mlflow_server.uri)
    started = [registry.start_run(name, "run", {"key": "k"}) for _ in range(5)]
    registry.end_run(started[3], RunStatus.FINISHED)

    assert {run.run_id for run in registry.runs(name, {"key": "k"})} == set(started)
    assert registry.find_run(name, {"key": "k"}) == started[3]


def test_a_tag_with_a_quote_is_refused_before_it_reaches_the_search(mlflow_server: MlflowServer, name: str) -> None:
    with pytest.raises(DataRejectedError, match="search takes no quote"):
        open_registry(mlflow_server.uri).runs(name, {"key": "a' or tags.b = 'c"})


def test_a_deleted_experiment_is_named(mlflow_server: MlflowServer, name: str) -> None:
    from mlflow.tracking import MlflowClient

    registry = open_registry(mlflow_server.uri)
    registry.start_run(name, "run", {})
    client = MlflowClient(mlflow_server.uri)
    client.delete_experiment(client.get_experiment_by_name(name).experiment_id)

    with pytest.raises(DataRejectedError, match=f"experiment '{name}' was deleted. Restore it"):
        registry.start_run(name, "run", {})


def test_versions_point_to_the_run_s_own_model(mlflow_server: MlflowServer, name: str, model_folder: Path) -> None:
    import mlflow

    registry = open_registry(mlflow_server.uri)
    run = registry.start_run(name, "run", {})
    registry.log_model(run, model_folder)
    registry.register(name, run, "file:///somewhere/manifest.json", {})

    path = mlflow.artifacts.download_artifacts(f"models:/{name}/1")

    assert (Path(path) / "model.skops").read_bytes() == b"PK\x03\x04 a model"
