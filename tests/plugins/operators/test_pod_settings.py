import pytest

from include.errors import ConfigurationError
from plugins.operators.pod_settings import PodSettings, secret_of_connection

IMAGE = f"registry.example.org/ml-platform/step@sha256:{'a' * 64}"


def test_only_named_variables_are_handed_on() -> None:
    given = {
        "ML_STEP_IMAGE": IMAGE,
        "ML_TABLES_URI": "s3://bucket/tables",
        "AWS_ENDPOINT_URL": "http://10.0.0.1:7070",
        "AWS_SECRET_ACCESS_KEY": "canary",
        "AIRFLOW__CORE__FERNET_KEY": "canary",
        "ML_CONNECTION_SALES": "postgresql://user:canary@host/sales",
    }
    found = PodSettings.from_environment(given)
    assert found.environment == {"ML_TABLES_URI": "s3://bucket/tables", "AWS_ENDPOINT_URL": "http://10.0.0.1:7070"}
    assert (found.image, found.namespace) == (IMAGE, "ml-steps")


@pytest.mark.parametrize("image", ["", "registry.example.org/step:latest", "step@sha256:abc"])
def test_an_image_without_a_digest_is_refused(image: str) -> None:
    with pytest.raises(ConfigurationError, match=f"ML_STEP_IMAGE is '{image}', which names no image by digest"):
        PodSettings.from_environment({"ML_STEP_IMAGE": image})


def test_a_password_in_an_open_value_is_refused_and_not_told() -> None:
    given = {"ML_STEP_IMAGE": IMAGE, "MLFLOW_TRACKING_URI": "http://admin:canary@mlflow:5000"}
    with pytest.raises(ConfigurationError, match="MLFLOW_TRACKING_URI holds a user or a password") as caught:
        PodSettings.from_environment(given)
    assert "canary" not in str(caught.value)


def test_a_connection_has_a_secret_of_its_own() -> None:
    assert secret_of_connection("sales_db") == ("ml-connection-sales-db", "ML_CONNECTION_SALES_DB")
