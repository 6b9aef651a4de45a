"""What tests of the step image share: one MLflow server a session."""

from collections.abc import Iterator

import pytest

from tests.mlflow_server import MlflowServer, running_mlflow


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with running_mlflow(tmp_path_factory.mktemp("mlflow")) as server:
        yield server
