"""What tests of the stores share: an S3 server, and each kind of store of data under one name."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from include.stores.memory import MemoryObjects, MemoryTables
from include.stores.objects import open_objects
from include.stores.protocols import ObjectStore, TableStore
from include.stores.tables import open_tables
from tests.s3_server import BUCKET, S3Server, running_s3


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
