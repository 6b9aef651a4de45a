import stat
from pathlib import Path

from local_platform.cluster.backing_services import passwords


def test_they_are_made_once_and_are_their_owners_alone(tmp_path: Path) -> None:
    first = passwords.provide(tmp_path / "secrets")
    assert passwords.provide(tmp_path / "secrets") == first
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "secrets" / "cluster.json").stat().st_mode) == 0o600
    assert set(first.databases) == {"airflow", "mlflow", "mlflow_auth"}


def test_no_two_are_the_same_and_none_needs_quoting_in_a_url(tmp_path: Path) -> None:
    made = passwords.provide(tmp_path)
    values = [*made.databases.values(), made.postgres, made.mlflow, made.mlflow_steps, made.mlflow_key]
    assert len(set(values)) == len(values)
    assert all(value.replace("-", "").replace("_", "").isalnum() for value in values)
    assert min(map(len, values)) >= 12


def test_two_installations_have_different_ids(tmp_path: Path) -> None:
    assert passwords.provide(tmp_path / "a").installation != passwords.provide(tmp_path / "b").installation


def test_no_secret_shows_in_a_representation(tmp_path: Path) -> None:
    made = passwords.provide(tmp_path)
    secrets = [*made.databases.values(), made.postgres, made.mlflow, made.mlflow_steps, made.mlflow_key]
    assert not [secret for secret in secrets if secret in repr(made)]
