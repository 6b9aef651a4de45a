from datetime import timedelta
from typing import Any

import pytest
from kubernetes.client import ApiClient
from kubernetes.client import models as k8s

from include.spec.resources import ResourceSpec, TolerationSpec
from plugins.operators.pod.names import SPEC
from plugins.operators.pod.spec import step_pod
from tests.support.worlds.pod_world import pod_task

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
    asked = RESOURCES.model_copy(
        update={
            "gpu": 2, "ephemeral_storage": "8Gi", "node_selector": {"disk": "fast"}, "tolerations": tolerations,
            "priority_class": "high",
        }
    )  # fmt: skip
    spec = made(asked)["spec"]
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
    asked = RESOURCES.model_copy(update={"gpu": 1, "gpu_resource": "amd.com/gpu"})
    assert made(asked)["spec"]["containers"][0]["resources"]["limits"]["amd.com/gpu"] == "1"


def test_the_digest_names_what_the_pod_is_asked_to_be() -> None:
    digest = made()["metadata"]["annotations"][SPEC]
    assert digest.startswith("sha256:")
    assert made(try_number=2)["metadata"]["annotations"][SPEC] == digest
    assert made(RESOURCES.model_copy(update={"memory": "2Gi"}))["metadata"]["annotations"][SPEC] != digest
