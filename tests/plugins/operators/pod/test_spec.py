from datetime import timedelta
from typing import Any

import pytest
from kubernetes.client import ApiClient
from kubernetes.client import models as k8s

from include.contract.step_names import StepName
from include.errors import ConfigurationError
from include.spec.load import load_project
from include.spec.resources import ResourceSpec, TolerationSpec
from plugins.operators.pod.names import SPEC
from plugins.operators.pod.spec import pod_environment, step_pod
from tests.support.spec_kit import parsed
from tests.support.worlds.pod_world import SETTINGS, pod_task

RESOURCES = ResourceSpec(cpu=0.5, memory="1Gi", timeout=timedelta(minutes=30))


def made(resources: ResourceSpec = RESOURCES, **task: Any) -> Any:
    environment = [k8s.V1EnvVar(name="ML_ERROR_PATH", value="/dev/termination-log")]
    pod = step_pod(
        pod_task(**task), ["train", "--project", "flights"], environment, image="i", namespace="n", resources=resources
    )
    return ApiClient().sanitize_for_serialization(pod)


def test_the_image_keeps_its_entry_point_and_gets_arguments() -> None:
    [container] = made()["spec"]["containers"]
    assert container["args"] == ["train", "--project", "flights"]
    assert "command" not in container


def test_there_is_one_container_and_it_runs_once() -> None:
    spec = made()["spec"]
    assert len(spec["containers"]) == 1
    assert "initContainers" not in spec
    assert spec["restartPolicy"] == "Never"


def test_it_passes_the_restricted_standard_on_a_read_only_root() -> None:
    spec = made()["spec"]
    [container] = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 65532
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
    }
    assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    assert spec["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "2Gi"}}]


@pytest.mark.parametrize(("step", "account", "has_token"), [("train", "ml-step", False), ("deploy", "ml-deploy", True)])
def test_only_deploy_has_a_token(step: str, account: str, *, has_token: bool) -> None:
    spec = made(step=step)["spec"]
    assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == (account, has_token)


def test_the_deadline_is_inside_and_a_little_later_outside() -> None:
    spec = made()["spec"]
    assert {"name": "ML_DEADLINE_SECONDS", "value": "1800"} in spec["containers"][0]["env"]
    assert spec["activeDeadlineSeconds"] == 1830


def test_memory_and_disk_are_limits_and_cpu_is_not() -> None:
    assert made()["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "0.5", "memory": "1Gi", "ephemeral-storage": "2Gi"},
        "limits": {"memory": "1Gi", "ephemeral-storage": "2Gi"},
    }


def test_what_the_spec_asks_for_reaches_the_pod() -> None:
    tolerations = (TolerationSpec(key="gpu", effect="NoSchedule"), TolerationSpec(key="team", value="ml"))
    resources = RESOURCES.model_copy(
        update={
            "gpu": 2, "ephemeral_storage": "8Gi", "node_selector": {"disk": "fast"}, "tolerations": tolerations,
            "priority_class": "high",
        }
    )  # fmt: skip
    spec = made(resources)["spec"]
    [container] = spec["containers"]
    assert container["resources"]["limits"] == {"memory": "1Gi", "ephemeral-storage": "8Gi", "nvidia.com/gpu": "2"}
    assert spec["nodeSelector"] == {"disk": "fast"}
    assert spec["priorityClassName"] == "high"
    assert spec["volumes"][0]["emptyDir"]["sizeLimit"] == "8Gi"
    assert spec["tolerations"] == [
        {"effect": "NoSchedule", "key": "gpu", "operator": "Exists"},
        {"key": "team", "operator": "Equal", "value": "ml"},
    ]


def test_another_name_for_a_gpu() -> None:
    resources = RESOURCES.model_copy(update={"gpu": 1, "gpu_resource": "amd.com/gpu"})
    assert made(resources)["spec"]["containers"][0]["resources"]["limits"]["amd.com/gpu"] == "1"


def test_the_digest_names_what_the_pod_is_requested_to_be() -> None:
    digest = made()["metadata"]["annotations"][SPEC]
    assert digest.startswith("sha256:")
    assert made(try_number=2)["metadata"]["annotations"][SPEC] == digest
    assert made(RESOURCES.model_copy(update={"memory": "2Gi"}))["metadata"]["annotations"][SPEC] != digest


def environment(step: str, source: str | None = None, **more: str) -> dict[str, Any]:
    given = SETTINGS | {"AIRFLOW__CORE__FERNET_KEY": "f", "MLFLOW_TRACKING_URI": "http://m", "HOME": "/root"} | more
    spec = load_project("flights")
    variables = pod_environment(spec, StepName(step), source, threads=2, given=given)
    return {
        one["name"]: one.get("value", one.get("valueFrom")) for one in ApiClient().sanitize_for_serialization(variables)
    }


def secrets(variables: dict[str, Any]) -> dict[str, str]:
    return {name: value["secretKeyRef"]["name"] for name, value in variables.items() if isinstance(value, dict)}


def test_settings_are_handed_on_by_name_and_nothing_else_is() -> None:
    variables = environment("ingest", ML_SECRET="s", AWS_SESSION_TOKEN="t")
    assert variables["ML_TABLES_URI"] == "s3://bucket/tables"
    assert variables["MLFLOW_TRACKING_URI"] == "http://m"
    assert variables["ML_ERROR_PATH"] == "/dev/termination-log"
    assert variables["OMP_NUM_THREADS"] == "2"
    assert (
        not {"AIRFLOW__CORE__FERNET_KEY", "HOME", "ML_SECRET", "AWS_SESSION_TOKEN", "ML_STEP_IMAGE"} & variables.keys()
    )


def test_a_secret_is_named_and_its_value_never_seen() -> None:
    variables = environment("train")
    assert "never-in-a-pod" not in str(variables)
    reference = variables["AWS_SECRET_ACCESS_KEY"]["secretKeyRef"]
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
    for step, source, there in (
        ("ingest", "parcels", True), ("ingest", "weather", False), ("ingest", None, True), ("validate", None, False),
    ):  # fmt: skip
        variables = pod_environment(spec, StepName(step), source, threads=1, given=SETTINGS)
        named = {one.name: one.value_from for one in variables if one.value_from}
        assert ("ML_CONNECTION_SHOP_DB" in named) == there
        if there:
            assert named["ML_CONNECTION_SHOP_DB"].secret_key_ref.name == "ml-connection-shop-db"


def test_the_ingest_of_all_sources_gets_each_connection_once_but_those_of_sources_with_a_task_of_their_own() -> None:
    sql = {"format": "sql", "location": "shop_db", "query": "select 1"}
    both = {f"sources.{name}.{key}": value for name in ("parcels", "weather") for key, value in sql.items()}
    for more, expected in (
        ({}, ["ML_CONNECTION_SHOP_DB"]),
        ({"sources.weather.location": "weather_db"}, ["ML_CONNECTION_SHOP_DB", "ML_CONNECTION_WEATHER_DB"]),
        ({"sources.weather.location": "weather_db", "sources.weather.own_task": True}, ["ML_CONNECTION_SHOP_DB"]),
    ):
        variables = pod_environment(parsed(both | more), StepName.INGEST, None, threads=1, given=SETTINGS)
        assert [one.name for one in variables if one.name.startswith("ML_CONNECTION_")] == expected


def test_only_deploy_knows_the_image_of_model_servers() -> None:
    assert environment("deploy", ML_SERVING_IMAGE="i")["ML_SERVING_IMAGE"] == "i"
    assert "ML_SERVING_IMAGE" not in environment("train", ML_SERVING_IMAGE="i")


def test_an_installation_that_lacks_what_all_steps_need_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="ML_OBJECTS_URI of Airflow's worker is not set"):
        environment("train", ML_OBJECTS_URI="")


def test_an_unknown_connection_is_an_error_with_a_near_name() -> None:
    with pytest.raises(ConfigurationError, match=r"names 'registri', which is no connection.*Did you mean 'registry'"):
        environment("train", ML_POD_CONNECTIONS="s3,registri")
