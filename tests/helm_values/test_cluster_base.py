"""What can be seen in the manifests without a cluster."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from include.contract import settings as names
from local_platform.locations import REPOSITORY

CLUSTER = REPOSITORY / "helm-values" / "cluster"
NAMESPACES = ["ml-platform", "ml-serving", "ml-steps"]
FILES = sorted(path for path in CLUSTER.rglob("*") if path.is_file())
Object = dict[str, Any]


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    return [one for one in objects if one["kind"] == kind]


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """The pods' specs, with the names of what makes them."""
    for one in of_kind(objects, "Deployment"):
        yield one["metadata"]["name"], one["spec"]["template"]["spec"]


def containers(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    for name, pod in pods(objects):
        for container in pod.get("initContainers", []) + pod["containers"]:
            yield f"{name}/{container['name']}", container


def secret_keys(objects: list[Object]) -> set[tuple[str, str]]:
    """(Secret, key) of all that pods read."""
    found = set()
    for _, container in containers(objects):
        for variable in container.get("env", []):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference:
                found.add((reference["name"], reference["key"]))
    for _, pod in pods(objects):
        for volume in pod.get("volumes", []):
            for item in volume.get("secret", {}).get("items", []):
                found.add((volume["secret"]["secretName"], item["key"]))
    return found


def test_all_namespaces_enforce_the_restricted_standard(base: list[Object]) -> None:
    found = {one["metadata"]["name"]: one["metadata"]["labels"] for one in of_kind(base, "Namespace")}
    assert sorted(found) == NAMESPACES
    for labels in found.values():
        for mode in ("enforce", "audit", "warn"):
            assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
        assert re.fullmatch(r"v1\.\d+", labels["pod-security.kubernetes.io/enforce-version"])


def test_everything_lies_in_a_namespace_of_the_platform(base: list[Object]) -> None:
    elsewhere = [one for one in base if one["kind"] != "Namespace" and one["metadata"]["namespace"] not in NAMESPACES]
    assert elsewhere == []


def test_nothing_reaches_beyond_the_namespaces(base: list[Object]) -> None:
    assert [one["kind"] for one in base if one["kind"].startswith("Cluster")] == []


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_each_namespace_denies_by_default(base: list[Object], namespace: str) -> None:
    [policy] = [
        one
        for one in of_kind(base, "NetworkPolicy")
        if one["metadata"] == {"name": "default-deny", "namespace": namespace}
    ]
    assert policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_no_policy_opens_all_ports_or_leaves_a_direction_to_its_default(base: list[Object]) -> None:
    for policy in of_kind(base, "NetworkPolicy"):
        spec, where = policy["spec"], policy["metadata"]
        assert spec["policyTypes"], where
        for direction, peers in (("ingress", "from"), ("egress", "to")):
            assert (direction in spec) <= (direction.title() in spec["policyTypes"]), where
            for rule in spec.get(direction, []):
                assert rule.get("ports"), where
                assert rule.get(peers), where


def test_what_a_node_tells_of_itself_stays_closed(base: list[Object]) -> None:
    blocks = [
        peer["ipBlock"]
        for policy in of_kind(base, "NetworkPolicy")
        for rule in policy["spec"].get("egress", [])
        for peer in rule["to"]
        if "ipBlock" in peer
    ]
    assert blocks
    for block in blocks:
        assert block["cidr"] == "169.254.20.10/32" or block["except"] == ["169.254.0.0/16"]


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_each_namespace_counts_its_pods_and_gives_containers_a_size(base: list[Object], namespace: str) -> None:
    [quota] = [one for one in of_kind(base, "ResourceQuota") if one["metadata"]["namespace"] == namespace]
    [limits] = [one for one in of_kind(base, "LimitRange") if one["metadata"]["namespace"] == namespace]
    hard, [given] = quota["spec"]["hard"], limits["spec"]["limits"]
    assert {"pods", "requests.cpu", "requests.memory", "limits.memory"} <= hard.keys()
    assert {"cpu", "memory"} <= given["defaultRequest"].keys()
    assert "memory" in given["default"]


def test_nobody_may_run_commands_in_pods_or_read_secrets(base: list[Object]) -> None:
    for role in of_kind(base, "Role"):
        for rule in role["rules"]:
            granted = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
            assert "*" not in granted
            assert not granted & {"pods/exec", "pods/attach", "pods/portforward", "secrets", "serviceaccounts/token"}


def test_bindings_name_roles_and_accounts_that_exist(base: list[Object]) -> None:
    roles = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in of_kind(base, "Role")}
    accounts = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in of_kind(base, "ServiceAccount")}
    bound = set()
    for binding in of_kind(base, "RoleBinding"):
        role = (binding["metadata"]["namespace"], binding["roleRef"]["name"])
        assert role in roles
        bound.add(role)
        for subject in binding["subjects"]:
            assert (subject["namespace"], subject["name"]) in accounts
    assert bound == roles


def test_only_airflow_gets_a_token_unasked(base: list[Object]) -> None:
    accounts = of_kind(base, "ServiceAccount")
    given = [one["metadata"]["name"] for one in accounts if one["automountServiceAccountToken"]]
    assert given == ["ml-airflow", "ml-airflow-api"]
    assert {one["metadata"]["namespace"] for one in accounts if one["metadata"]["name"] == "default"} == set(NAMESPACES)
    for name, pod in pods(base):
        assert pod["automountServiceAccountToken"] is False, name


def test_every_pod_is_fit_for_the_restricted_standard(base: list[Object]) -> None:
    for name, pod in pods(base):
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] > 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
    for name, container in containers(base):
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True, name
        assert security["allowPrivilegeEscalation"] is False, name
        assert security["capabilities"] == {"drop": ["ALL"]}, name


def test_every_container_has_a_size_and_probes(base: list[Object]) -> None:
    for name, container in containers(base):
        assert {"cpu", "memory", "ephemeral-storage"} <= container["resources"]["requests"].keys(), name
        assert {"memory", "ephemeral-storage"} <= container["resources"]["limits"].keys(), name
        assert {"readinessProbe", "livenessProbe"} <= container.keys(), name


def test_services_find_the_ports_of_their_pods(base: list[Object]) -> None:
    for service in of_kind(base, "Service"):
        [deployment] = [
            one
            for one in of_kind(base, "Deployment")
            if service["spec"]["selector"].items() <= one["spec"]["template"]["metadata"]["labels"].items()
        ]
        ports = {port["name"] for box in deployment["spec"]["template"]["spec"]["containers"] for port in box["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_images_are_pinned(base: list[Object]) -> None:
    kustomization = yaml.safe_load((CLUSTER / "base" / "kustomization.yaml").read_text())
    tags = {image["name"]: image["newTag"] for image in kustomization["images"]}
    assert set(tags.values()) & {"latest", ""} == set()
    overlay = yaml.safe_load((CLUSTER / "overlays" / "example" / "kustomization.yaml").read_text())
    digests = {image["name"]: image["digest"] for image in overlay["images"]}
    assert {container["image"] for _, container in containers(base)} == tags.keys() | digests.keys()
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in digests.values())


def test_the_repository_holds_no_secret(base: list[Object]) -> None:
    assert of_kind(base, "Secret") == []
    for name, container in containers(base):
        for variable in container.get("env", []):
            if re.search(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY|STORE_URI", variable["name"]):
                assert "secretKeyRef" in variable["valueFrom"], f"{name}: {variable['name']}"
    for path in FILES:
        # A URL with a password in it, save that of the README's examples.
        found = re.findall(r"://[^\s:/@]+:([^\s@/]+)@", path.read_text())
        assert set(found) <= {"password"}, path


def test_every_secret_that_pods_read_is_in_the_readme(base: list[Object]) -> None:
    readme = (CLUSTER / "README.md").read_text()
    read = secret_keys(base)
    assert {secret for secret, _ in read} == {"ml-mlflow", "ml-connection-s3"}
    for secret, key in read:
        assert re.search(rf"^\| `{secret}` .*`{re.escape(key)}`", readme, re.MULTILINE), f"{secret}: {key}"


def test_every_setting_that_pods_read_is_given(base: list[Object], settings: dict[str, str]) -> None:
    for name, container in containers(base):
        for variable in container.get("env", []):
            reference = variable.get("valueFrom", {}).get("configMapKeyRef")
            if reference and not reference.get("optional"):
                assert reference["key"] in settings, f"{name}: {variable['name']}"


def test_settings_are_those_of_the_contract(settings: dict[str, str]) -> None:
    known = {value for value in vars(names).values() if isinstance(value, str)} | {
        "ML_MLFLOW_ARTIFACTS",
        "ML_POD_CONNECTIONS",
    }
    assert {name for name in settings if name.startswith("ML_")} <= known
    assert {names.TABLES_URI, names.OBJECTS_URI, names.TRACKING_URI, names.SERVING_URI} <= settings.keys()


def test_mlflow_answers_by_the_address_that_steps_use(settings: dict[str, str]) -> None:
    host = settings["MLFLOW_TRACKING_URI"].removeprefix("http://")
    assert host in settings["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
