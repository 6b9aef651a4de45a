"""What both registries promise, on a real MLflow server and in memory; and what only a server can do wrong."""

import os
import socket
import uuid
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import pytest
from urllib3.exceptions import ConnectTimeoutError
from urllib3.util import Retry

from include.contract.receipt import TableState
from include.coordination.mutex import HOLD_SECONDS
from include.errors import ConfigurationError, DataRejectedError, TemporaryError
from include.stores.registry import open as registry_module
from include.stores.registry import rest as registry_http
from include.stores.registry.memory import MemoryRegistry
from include.stores.registry.open import check_health, open_registry, shown
from include.stores.registry.protocol import RegistryStore, RunStatus, UsedData
from tests.support.servers.mlflow_server import MlflowServer, free_port, responding

pytestmark = pytest.mark.mlflow
STATE = TableState(
    name="flights/features/delay_v1", partition="2013-01", version=3, digest="sha256:" + "ab" * 32, row_count=27_004
)


@pytest.fixture(params=["mlflow", "memory"])
def registry(request: pytest.FixtureRequest) -> RegistryStore:
    if request.param == "memory":
        return MemoryRegistry()
    server: MlflowServer = request.getfixturevalue("mlflow_server")
    return open_registry(server.uri)


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


def test_a_run_is_found_by_its_tags_once_it_is_finished(registry: RegistryStore, name: str) -> None:
    run = registry.start_run(name, "first", {"key": "k1", "project": name})

    assert registry.find_run(name, {"key": "k1"}) is None
    registry.end_run(run, RunStatus.FINISHED)

    assert registry.find_run(name, {"key": "k1", "project": name}) == run
    assert registry.find_run(name, {"key": "k2"}) is None
    assert registry.find_run("never_used", {"key": "k1"}) is None


def test_runs_come_in_the_order_in_which_they_ended(registry: RegistryStore, name: str) -> None:
    first, second, third = (registry.start_run(name, "run", {"key": "k"}) for _ in range(3))
    registry.end_run(second, RunStatus.KILLED)
    registry.end_run(first, RunStatus.FINISHED)

    result = registry.runs(name, {"key": "k"})

    assert {run.run_id for run in result} == {first, second, third}
    assert [run.status for run in result if run.run_id == second] == [RunStatus.KILLED]
    assert result[-1].run_id == third
    assert result[-1].status is RunStatus.RUNNING
    assert result[-1].ended_ms is None
    assert result[0].ended_ms is not None
    assert result[0].tags["key"] == "k"


def test_parameters_metrics_and_datasets_are_logged(registry: RegistryStore, name: str) -> None:
    run = registry.start_run(name, "run", {})

    registry.log_parameters(run, {"learning_rate": "0.1"})
    registry.log_datasets(run, [UsedData(state=STATE, role="train")])
    registry.log_metrics(run, {"roc_auc": 0.5})
    registry.end_run(run, RunStatus.FINISHED)
    registry.log_metrics(run, {"roc_auc": 0.75, "test.log_loss": 0.4})

    assert registry.metrics(run) == {"roc_auc": 0.75, "test.log_loss": 0.4}
    assert run in registry.run_url(run)


def test_a_model_and_files_come_back_as_they_were(
    registry: RegistryStore, name: str, model_folder: Path, tmp_path: Path
) -> None:
    run = registry.start_run(name, "run", {})
    registry.log_model(run, model_folder)
    golden = tmp_path / "golden"
    golden.mkdir()
    (golden / "golden.json").write_text("{}")
    registry.log_files(run, golden, "golden")

    one = registry.download(run, "model/model.skops", _empty(tmp_path / "one"))
    whole = registry.download(run, "model", _empty(tmp_path / "whole"))
    other = registry.download(run, "golden/golden.json", _empty(tmp_path / "other"))

    assert one.read_bytes() == b"PK\x03\x04 a model"
    assert (whole / "model.skops").read_bytes() == b"PK\x03\x04 a model"
    assert (whole / "MLmodel").read_text() == "flavors: {}\n"
    assert other.read_text() == "{}"


def test_what_is_gone_is_refused(registry: RegistryStore, name: str, model_folder: Path, tmp_path: Path) -> None:
    run = registry.start_run(name, "run", {})
    registry.log_model(run, model_folder)

    for artifact in ("model/other.skops", "golden/golden.json", "nothing"):
        with pytest.raises(DataRejectedError, match=f"could not fetch {artifact} of run {run}.*gone"):
            registry.download(run, artifact, _empty(tmp_path / artifact.replace("/", "_")))
    with pytest.raises(DataRejectedError, match="gone"):
        registry.download("0" * 32, "model", _empty(tmp_path / "no_run"))
    with pytest.raises(DataRejectedError, match="gone"):
        registry.metrics("0" * 32)


def test_versions_count_up_and_are_found_by_tags(registry: RegistryStore, name: str, model_folder: Path) -> None:
    run = registry.start_run(name, "run", {})
    registry.log_model(run, model_folder)

    first = registry.register(name, run, "bundles/1", {"bundle": "sha256:1"})
    second = registry.register(name, run, "bundles/2", {"bundle": "sha256:2"})

    assert (first.version, second.version, first.run_id) == (1, 2, run)
    assert [result.version for result in registry.versions(name, {})] == [1, 2]
    assert [result.version for result in registry.versions(name, {"bundle": "sha256:2"})] == [2]
    assert list(registry.versions("never_registered", {})) == []
    result = registry.version(name, 1)
    assert result is not None
    assert result.tags["bundle"] == "sha256:1"
    assert result.tags["platform.source"] == "bundles/1"
    assert registry.version(name, 7) is None

    registry.set_tags(name, 1, {"bundle": "sha256:3", "more": "yes"})
    tagged = registry.version(name, 1)
    assert tagged is not None
    assert (tagged.tags["bundle"], tagged.tags["more"]) == ("sha256:3", "yes")
    assert tagged.tags["platform.source"] == "bundles/1"
    with pytest.raises(DataRejectedError, match=r"tag version 9 of model.*gone"):
        registry.set_tags(name, 9, {"more": "yes"})


def test_a_run_without_a_model_gets_no_version(registry: RegistryStore, name: str) -> None:
    run = registry.start_run(name, "run", {})

    with pytest.raises(DataRejectedError, match=r"has no model.*Train it again"):
        registry.register(name, run, "bundles/1", {})


def test_an_alias_moves_only_from_where_it_is_expected(registry: RegistryStore, name: str, model_folder: Path) -> None:
    run = registry.start_run(name, "run", {})
    registry.log_model(run, model_folder)
    assert registry.alias(name, "champion") is None
    for bundle in ("1", "2"):
        registry.register(name, run, f"bundles/{bundle}", {})
    assert registry.alias(name, "champion") is None

    registry.move_alias(name, "champion", expected=None, to=1)
    registry.move_alias(name, "champion", expected=1, to=2)

    current = registry.alias(name, "champion")
    assert current is not None
    assert current.version == 2
    with pytest.raises(TemporaryError, match="names version 2, not 1: somebody moved it"):
        registry.move_alias(name, "champion", expected=1, to=1)
    with pytest.raises(TemporaryError, match="names version 2, not none"):
        registry.move_alias(name, "champion", expected=None, to=1)
    with pytest.raises(DataRejectedError, match=r"to version 9.*gone"):
        registry.move_alias(name, "champion", expected=2, to=9)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that nobody waits for."""
    monkeypatch.setattr(registry_module, "RETRY_SECONDS", 0.0)


def test_a_server_that_is_away_for_a_moment_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    requested: list[str] = []

    def away_at_first(parts: SplitResult) -> None:
        requested.append(parts.geturl())
        if len(requested) == 1:
            message = "No answer."
            raise TemporaryError(message)

    monkeypatch.setattr(registry_module, "check_health", away_at_first)
    assert open_registry("http://127.0.0.1:5000")
    assert requested == ["http://127.0.0.1:5000"] * 2


def test_mlflow_may_be_away_for_a_minute_and_silent_for_less_than_a_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TIMEOUT", "MAX_RETRIES", "BACKOFF_FACTOR"):
        monkeypatch.delenv(f"MLFLOW_HTTP_REQUEST_{name}", raising=False)
    monkeypatch.setattr(registry_module, "check_health", lambda _parts: None)
    open_registry("http://127.0.0.1:5000")
    timeout, retries, factor = (
        int(os.environ[f"MLFLOW_HTTP_REQUEST_{name}"]) for name in ("TIMEOUT", "MAX_RETRIES", "BACKOFF_FACTOR")
    )

    # As MLflow's library makes it, but for the random second that it adds to each wait.
    retry, waits = Retry(total=retries, backoff_factor=factor), [0.0]
    for _ in range(retries):
        retry = retry.increment(error=ConnectTimeoutError())
        waits.append(retry.get_backoff_time())

    assert sum(waits) > 60
    assert sum(waits) + retries + len(waits) * timeout < HOLD_SECONDS
    assert registry_http._retry_seconds() == sum(waits)


def test_nobody_listening_is_temporary(quick: None) -> None:
    port = free_port()

    with pytest.raises(TemporaryError, match=f"http://127.0.0.1:{port} does not answer.*MLFLOW_TRACKING_URI"):
        open_registry(f"http://127.0.0.1:{port}")


def test_a_server_that_takes_the_call_and_is_silent_is_temporary() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"

        with pytest.raises(TemporaryError, match=r"does not answer: .*timed out"):
            check_health(urlsplit(uri), timeout_seconds=0.2)


def test_a_server_that_wants_to_know_who_asks_responds_all_the_same() -> None:
    with responding(401) as uri:
        check_health(urlsplit(uri))


def test_a_server_that_cannot_is_temporary(quick: None) -> None:
    with responding(503) as uri, pytest.raises(TemporaryError, match="HTTP 503"):
        open_registry(uri)


@pytest.mark.parametrize("uri", ["", "sqlite:///mlflow.db", "localhost:5000", "file:///mlruns"])
def test_only_a_server_is_a_registry(uri: str) -> None:
    with pytest.raises(ConfigurationError, match=r"MLFLOW_TRACKING_URI is '.*address of an MLflow server"):
        open_registry(uri)


def test_a_password_in_the_address_is_never_shown() -> None:
    assert shown(urlsplit("https://ann:secret@mlflow.example:8443/ml/")) == "https://mlflow.example:8443/ml"


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder
