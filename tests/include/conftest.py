"""What tests of the step image share: an MLflow and an S3 server a session, each kind of store, a toy project."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from include.stores.objects.memory import MemoryObjects
from include.stores.objects.open import open_objects
from include.stores.objects.protocol import ObjectStore
from include.stores.tables.memory import MemoryTables
from include.stores.tables.open import open_tables
from include.stores.tables.protocol import TableStore
from tests.support.servers.mlflow_server import MlflowServer, running_mlflow
from tests.support.servers.s3_server import BUCKET, S3Server, running_s3
from tests.support.worlds.training_world import MONTHS, World, toy_project


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with running_mlflow(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """The server, sound again, and this process's environment pointing at it."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    s3_server.heal()
    yield s3_server
    s3_server.heal()


@pytest.fixture(params=["memory", "directory", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """Each kind of store of objects, empty."""
    if request.param == "memory":
        return MemoryObjects()
    if request.param == "directory":
        return open_objects((tmp_path / "objects").as_uri())
    request.getfixturevalue("s3")
    return open_objects(f"s3://{BUCKET}/{tmp_path.name}/{tmp_path.parent.name}")


@pytest.fixture(params=["memory", "directory", "s3"])
def tables(request: pytest.FixtureRequest, tmp_path: Path) -> TableStore:
    """Each kind of store of tables, empty."""
    if request.param == "memory":
        return MemoryTables()
    if request.param == "directory":
        return open_tables((tmp_path / "tables").as_uri())
    request.getfixturevalue("s3")
    return open_tables(f"s3://{BUCKET}/{tmp_path.name}/{tmp_path.parent.name}")


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("bundle")
    with toy_project(folder):
        yield folder


@pytest.fixture
def world(toy: Path) -> World:
    """Five months of trips, each validated and with features."""
    found = World()
    found.fill(*MONTHS)
    return found
