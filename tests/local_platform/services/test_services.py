import socket
from pathlib import Path

import pytest

from local_platform.locations import State
from local_platform.services import credentials, services
from local_platform.services.ports import Ports
from local_platform.services.services import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(State(tmp_path), Ports(airflow=9, mlflow=9, serving=9), credentials.provide(tmp_path / "secrets"))


def test_a_service_without_a_response_is_not_ready(settings: Settings) -> None:
    assert not any(service.is_ready() for service in services.independent(settings))
    assert not any(service.is_ready() for service in services.airflow(settings))


def test_a_socket_that_listens_is_ready(settings: Settings) -> None:
    model_server = next(one for one in services.independent(settings) if one.name == "model-server")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(settings.state.socket("serving")))
        assert not model_server.is_ready()
        listener.listen()
        assert model_server.is_ready()


def test_the_database_is_made_once(settings: Settings) -> None:
    assert services.migration(settings)
    settings.state.airflow.mkdir()
    (settings.state.airflow / "airflow.db").touch()
    services.record_migration(settings)
    assert services.migration(settings) is None
    (settings.state.airflow / "migrated").write_text("2.0")
    assert services.migration(settings)


def test_a_database_whose_making_was_killed_is_made_anew(settings: Settings) -> None:
    state = settings.state
    for folder, name in ((state.airflow, "airflow.db"), (state.mlflow, "mlflow.db")):
        folder.mkdir()
        (folder / name).touch()
        (folder / f"{name}-wal").touch()
    services.discard_unfinished(state)
    assert [*state.airflow.iterdir(), *state.mlflow.iterdir()] == []


def test_a_database_that_was_ready_is_kept(settings: Settings) -> None:
    state = settings.state
    for folder, name in ((state.airflow, "airflow.db"), (state.mlflow, "mlflow.db")):
        folder.mkdir()
        (folder / name).touch()
    services.record_mlflow(settings)
    (state.airflow / "migrated").write_text("2.0")
    services.discard_unfinished(state)
    assert (state.airflow / "airflow.db").exists()
    assert (state.mlflow / "mlflow.db").exists()


def test_no_secret_shows_in_a_representation(settings: Settings) -> None:
    secrets = [*settings.credentials.passwords.values(), *settings.credentials.keys.values()]
    text = repr(settings) + repr(services.airflow(settings))
    assert not [secret for secret in secrets if secret in text]


def test_no_secret_travels_in_arguments(settings: Settings) -> None:
    secrets = [*settings.credentials.passwords.values(), *settings.credentials.keys.values()]
    words = [word for service in services.airflow(settings) for word in service.words]
    assert not set(words) & set(secrets)
