"""What the objects of a version are; what a cluster says of them is in tests/cluster."""

import json
from typing import Any

import pytest

from include.serving.__main__ import parser
from include.serving.model.fetch import parser as fetch_parser
from include.stores.serving import manifests
from include.stores.serving.control import ModelRecord
from include.stores.serving.manifests import IMAGE_VOLUME, INIT_CONTAINER, ServedVersion
from include.stores.serving.names import DIGEST, OLDER, PREVIOUS, ServedNames
from include.stores.serving.settings import Placement, ServingSettings

OWNER = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "departure-delay-v3", "uid": "u"}
ARTIFACT = "registry/ml-platform/models/flights/departure_delay@sha256:" + "b" * 64
S3 = {
    "ML_OBJECTS_URI": "s3://bucket/objects",
    "AWS_ENDPOINT_URL": "http://10.0.0.1:7070",
    "AWS_REGION": "eu-west-1",
    "AWS_SECRET_ACCESS_KEY": "canary",
    "ML_ARTIFACT_REGISTRY_PASSWORD": "canary",
}


def served(bundle_by: str = IMAGE_VOLUME, **changes: Any) -> ServedVersion:
    record = ModelRecord(project="flights", model="departure_delay", version=3, digest="sha256:a")
    placement = Placement(artifact=ARTIFACT, replicas_at_least=2, replicas_at_most=5, cpu=0.25, memory="768Mi")
    given = {"settings": ServingSettings(drain_seconds=8), "placement": placement, "environment": S3, **changes}
    return ServedVersion(record=record, image="registry/serving@sha256:c", bundle_by=bundle_by, **given)


def pod(version: ServedVersion) -> dict[str, Any]:
    result: dict[str, Any] = manifests.deployment(version)["spec"]["template"]["spec"]
    return result


@pytest.mark.parametrize("bundle_by", [IMAGE_VOLUME, INIT_CONTAINER])
def test_pods_pass_the_restricted_standard_and_reach_nothing(bundle_by: str) -> None:
    spec = pod(served(bundle_by))
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        context = container["securityContext"]
        assert context == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"] == {
            "requests": {"cpu": "250m", "memory": "768Mi"},
            "limits": {"cpu": "1", "memory": "768Mi"},
        }
        assert container["image"] == "registry/serving@sha256:c"


def test_server_gets_what_its_command_line_knows() -> None:
    (container,) = pod(served())["containers"]
    given = parser().parse_args(container["args"])
    assert (str(given.bundle), given.digest, given.version, given.port) == ("/model", "sha256:a", 3, 8080)
    settings = ServingSettings.model_validate_json(given.settings)
    assert (settings.drain_seconds, settings.notice_seconds) == (8, manifests.NOTICE_SECONDS)
    assert "env" not in container


def test_pod_that_is_shut_down_has_time_to_be_forgotten_and_to_drain() -> None:
    assert pod(served())["terminationGracePeriodSeconds"] > manifests.NOTICE_SECONDS + 8


def test_artifact_is_mounted_read_only() -> None:
    spec = pod(served())
    assert spec["volumes"][0] == {"name": "model", "image": {"reference": ARTIFACT, "pullPolicy": "IfNotPresent"}}
    assert spec["containers"][0]["volumeMounts"][0] == {"name": "model", "mountPath": "/model", "readOnly": True}
    assert "initContainers" not in spec


def test_init_container_fetches_with_a_secret_that_is_only_named() -> None:
    spec = pod(served(INIT_CONTAINER))
    (fetcher,) = spec["initContainers"]
    given = fetch_parser().parse_args(fetcher["args"])
    assert (given.project, given.digest, str(given.to)) == ("flights", "sha256:a", "/model")
    plain = {entry["name"]: entry["value"] for entry in fetcher["env"] if "value" in entry}
    assert plain == {name: S3[name] for name in ("ML_OBJECTS_URI", "AWS_ENDPOINT_URL", "AWS_REGION")}
    secret = {entry["name"]: entry["valueFrom"]["secretKeyRef"]["name"] for entry in fetcher["env"][len(plain) :]}
    assert secret == dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "ml-connection-s3")
    assert "canary" not in json.dumps(spec)
    assert "emptyDir" in spec["volumes"][0]


def test_same_version_gives_the_same_objects() -> None:
    assert manifests.deployment(served()) == manifests.deployment(served())


def test_version_states_what_it_is() -> None:
    metadata = manifests.deployment(served())["metadata"]
    assert metadata["name"] == "departure-delay-v3"
    assert metadata["labels"] == {
        "app.kubernetes.io/managed-by": "ml-platform",
        "ml-platform.org/project": "flights",
        "ml-platform.org/model": "departure_delay",
        "ml-platform.org/version": "3",
    }
    assert metadata["annotations"][DIGEST] == "sha256:a"


@pytest.mark.parametrize("make", [manifests.version_service, manifests.budget, manifests.policy])
def test_everything_of_a_version_belongs_to_its_deployment(make: Any) -> None:
    metadata = make(served(), OWNER)["metadata"]
    assert (metadata["name"], metadata["ownerReferences"]) == ("departure-delay-v3", [OWNER])


def test_policy_lets_requests_in_and_nothing_out() -> None:
    spec = manifests.policy(served(), OWNER)["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["egress"] == []
    assert [rule["ports"] for rule in spec["ingress"]] == [[{"protocol": "TCP", "port": 8080}]]
    assert all(rule["from"] for rule in spec["ingress"])


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [("http://10.0.0.1:7070", 7070), ("http://s3.example", 80), ("https://s3.example", 443), ("", 443)],
)
def test_policy_lets_the_init_container_reach_its_store(endpoint: str, port: int) -> None:
    version = served(INIT_CONTAINER, environment={**S3, "AWS_ENDPOINT_URL": endpoint})
    (rule,) = manifests.policy(version, OWNER)["spec"]["egress"]
    assert {"protocol": "TCP", "port": port} in rule["ports"]
    assert {"protocol": "UDP", "port": 53} in rule["ports"]


def test_one_pod_at_a_time_may_be_evicted() -> None:
    assert manifests.budget(served(), OWNER)["spec"]["maxUnavailable"] == 1


def test_autoscaler_follows_the_load_within_the_spec() -> None:
    made = {**manifests.deployment(served())}
    made["metadata"] = {**made["metadata"], "uid": "u"}
    result = manifests.autoscaler(made, served().placement)
    assert result["metadata"]["ownerReferences"] == [OWNER]
    assert (result["spec"]["minReplicas"], result["spec"]["maxReplicas"]) == (2, 5)
    assert result["spec"]["scaleTargetRef"]["name"] == "departure-delay-v3"


def test_traffic_service_points_at_one_version_and_remembers_the_others() -> None:
    names = ServedNames("flights", "departure_delay")
    result = manifests.traffic_service(names, active=3, previous=2, older=None, resource_version="7")
    assert manifests.version_selected(result) == 3
    assert result["metadata"]["resourceVersion"] == "7"
    assert result["metadata"]["annotations"] == {PREVIOUS: "2"}
    first = manifests.traffic_service(names, active=1, previous=None, older=None, resource_version=None)
    assert "resourceVersion" not in first["metadata"]
    assert OLDER not in first["metadata"]["annotations"]
    assert manifests.version_selected({"spec": {}}) is None
