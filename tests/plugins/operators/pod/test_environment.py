from typing import Any

import pytest
from kubernetes.client import ApiClient

from include.contract.step_names import StepName
from include.errors import ConfigurationError
from include.spec.load import load_project
from plugins.operators.pod.environment import pod_environment
from tests.support.spec_kit import parsed
from tests.support.worlds.pod_world import SETTINGS


def environment(step: str, source: str | None = None, **more: str) -> dict[str, Any]:
    given = SETTINGS | {"AIRFLOW__CORE__FERNET_KEY": "f", "MLFLOW_TRACKING_URI": "http://m", "HOME": "/root"} | more
    spec = load_project("flights")
    found = pod_environment(spec, StepName(step), source, threads=2, given=given)
    return {
        one["name"]: one.get("value", one.get("valueFrom")) for one in ApiClient().sanitize_for_serialization(found)
    }


def secrets(found: dict[str, Any]) -> dict[str, str]:
    return {name: value["secretKeyRef"]["name"] for name, value in found.items() if isinstance(value, dict)}


def test_settings_are_handed_on_by_name_and_nothing_else_is() -> None:
    found = environment("ingest", ML_SECRET="s", AWS_SESSION_TOKEN="t")
    assert found["ML_TABLES_URI"] == "s3://bucket/tables"
    assert found["MLFLOW_TRACKING_URI"] == "http://m"
    assert found["ML_ERROR_PATH"] == "/dev/termination-log"
    assert found["OMP_NUM_THREADS"] == "2"
    assert not {"AIRFLOW__CORE__FERNET_KEY", "HOME", "ML_SECRET", "AWS_SESSION_TOKEN", "ML_STEP_IMAGE"} & found.keys()


def test_a_secret_is_named_and_its_value_never_seen() -> None:
    found = environment("train")
    assert "never-in-a-pod" not in str(found)
    reference = found["AWS_SECRET_ACCESS_KEY"]["secretKeyRef"]
    assert reference == {"name": "ml-connection-s3", "key": "AWS_SECRET_ACCESS_KEY", "optional": False}


@pytest.mark.parametrize(
    ("step", "connections"),
    [
        ("ingest", {"ml-connection-s3"}),
        ("features", {"ml-connection-s3"}),
        ("train", {"ml-connection-s3", "ml-connection-mlflow"}),
        ("package", {"ml-connection-s3", "ml-connection-mlflow", "ml-connection-registry"}),
        ("deploy", {"ml-connection-s3", "ml-connection-mlflow", "ml-connection-registry"}),
        ("score", {"ml-connection-s3", "ml-connection-mlflow"}),
    ],
)
def test_a_step_gets_the_secrets_that_it_needs(step: str, connections: set[str]) -> None:
    assert set(secrets(environment(step, ML_POD_CONNECTIONS="s3, mlflow, registry")).values()) == connections


def test_a_worker_that_sets_a_former_name_starts_no_pod() -> None:
    with pytest.raises(ConfigurationError, match="ML_REGISTRY has another name now: set ML_ARTIFACT_REGISTRY"):
        environment("package", ML_REGISTRY="registry.example.org/team")


def test_without_a_registry_no_pod_asks_for_its_secret() -> None:
    assert "ML_ARTIFACT_REGISTRY_PASSWORD" not in environment("package")


def test_only_the_ingest_of_a_sql_source_gets_its_connection() -> None:
    spec = parsed({
        "sources.parcels.format": "sql", "sources.parcels.location": "shop_db",
        "sources.parcels.query": "select 1",
    })  # fmt: skip
    for step, source, there in (("ingest", "parcels", True), ("ingest", "weather", False), ("validate", None, False)):
        found = pod_environment(spec, StepName(step), source, threads=1, given=SETTINGS)
        named = {one.name: one.value_from for one in found if one.value_from}
        assert ("ML_CONNECTION_SHOP_DB" in named) == there
        if there:
            assert named["ML_CONNECTION_SHOP_DB"].secret_key_ref.name == "ml-connection-shop-db"


def test_only_deploy_knows_the_image_of_model_servers() -> None:
    assert environment("deploy", ML_SERVING_IMAGE="i")["ML_SERVING_IMAGE"] == "i"
    assert "ML_SERVING_IMAGE" not in environment("train", ML_SERVING_IMAGE="i")


def test_an_installation_that_lacks_what_all_steps_need_is_told() -> None:
    with pytest.raises(ConfigurationError, match="ML_OBJECTS_URI of Airflow's worker is not set"):
        environment("train", ML_OBJECTS_URI="")


def test_an_unknown_connection_is_told_with_a_near_name() -> None:
    with pytest.raises(ConfigurationError, match=r"names 'registri', which is no connection.*Did you mean 'registry'"):
        environment("train", ML_POD_CONNECTIONS="s3,registri")
