"""What is read without MLflow's library, beyond the promises of every registry, which test_registry.py shows."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from include.errors import DataRejectedError
from include.stores.registry.open import open_registry
from include.stores.registry.protocol import RunStatus
from tests.support.servers.mlflow_server import MlflowServer

pytestmark = pytest.mark.mlflow
ASK = """
import sys
from pathlib import Path
from include.stores.registry.open import open_registry

uri, name, folder = sys.argv[1:]
registry = open_registry(uri)
run = registry.find_run(name, {"key": "k"})
assert registry.download(run, "model/deep/er.txt", Path(folder)).read_text() == "deep"
assert registry.metrics(run) == {"auc": 0.5}
assert registry.run_url(run).endswith(run)
assert [version.version for version in registry.versions(name, {"bundle": "b"})] == [1]
assert registry.version(name, 1).tags["bundle"] == "b"
assert registry.alias(name, "champion").version == 1
heavy = sorted({"mlflow", "numpy", "pandas", "requests", "sklearn"} & sys.modules.keys())
assert not heavy, heavy
print("asked")
"""


@pytest.fixture
def name() -> str:
    return f"test_{uuid.uuid4().hex[:8]}"


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "written"
    (folder / "deep").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "deep" / "er.txt").write_text("deep")
    return folder


def test_nothing_that_is_only_read_imports_mlflow(
    mlflow_server: MlflowServer, name: str, model_folder: Path, tmp_path: Path
) -> None:
    registry = open_registry(mlflow_server.uri)
    run = registry.start_run(name, "run", {"key": "k"})
    registry.log_model(run, model_folder)
    registry.log_metrics(run, {"auc": 0.5})
    registry.end_run(run, RunStatus.FINISHED)
    registry.register(name, run, "bundles/1", {"bundle": "b"})
    registry.move_alias(name, "champion", expected=None, to=1)

    script = [sys.executable, "-c", ASK, mlflow_server.uri, name, str(tmp_path)]
    requested = subprocess.run(
        script,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert requested.stdout == "asked\n", requested.stderr


def test_folders_come_with_what_is_below_them(
    mlflow_server: MlflowServer, name: str, model_folder: Path, tmp_path: Path
) -> None:
    registry = open_registry(mlflow_server.uri)
    run = registry.start_run(name, "run", {})
    registry.log_model(run, model_folder)
    registry.log_files(run, model_folder, "two words")

    for artifact in ("model", "two words"):
        path = registry.download(run, artifact, tmp_path)
        assert path == tmp_path / artifact
        assert (path / "deep" / "er.txt").read_text() == "deep"
        assert (path / "MLmodel").read_text() == "flavors: {}\n"
    with pytest.raises(DataRejectedError, match=r"could not fetch model/deep/other of run .* gone"):
        registry.download(run, "model/deep/other", tmp_path)


def test_artifacts_that_the_server_does_not_hand_on_come_by_the_library(
    mlflow_server: MlflowServer, name: str, model_folder: Path, tmp_path: Path
) -> None:
    from mlflow.tracking import MlflowClient

    place = tmp_path / "elsewhere"
    MlflowClient(mlflow_server.uri).create_experiment(name, artifact_location=place.as_uri())
    registry = open_registry(mlflow_server.uri)
    run = registry.start_run(name, "run", {})
    registry.log_files(run, model_folder, "files")
    (fetched := tmp_path / "fetched").mkdir()

    assert registry.download(run, "files/deep/er.txt", fetched).read_text() == "deep"
    assert list(place.rglob("er.txt")), "the files went through the server after all"
