"""What can be said of the manifests without a cluster; with one, tests/cluster asks its API server."""

import re
from typing import Any

import pytest
import yaml

from local_platform.locations import REPOSITORY
from plugins.operators import pod_request
from plugins.operators.pod_settings import DEFAULT_NAMESPACE, SECRETS

FOLDER = REPOSITORY / "helm-values" / "cluster"
NAMESPACES = ("ml-airflow", "ml-serving", "ml-steps", "ml-stores")
Document = dict[str, Any]


def documents() -> list[Document]:
    paths = [path for path in sorted(FOLDER.glob("*.yaml")) if path.name != "kustomization.yaml"]
    return [document for path in paths for document in yaml.safe_load_all(path.read_text())]


def of_kind(kind: str) -> list[Document]:
    return [document for document in documents() if document["kind"] == kind]


def place(document: Document) -> tuple[str, str, str]:
    metadata = document["metadata"]
    return document["kind"], metadata.get("namespace", ""), metadata["name"]


def test_the_kustomization_names_every_file() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == sorted(path.name for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml")


def test_nothing_is_there_twice_or_in_a_namespace_of_others() -> None:
    places = [place(document) for document in documents()]
    assert len(places) == len(set(places))
    assert {namespace for _, namespace, _ in places} == {"", *NAMESPACES}


def test_every_namespace_enforces_the_restricted_standard() -> None:
    found = {document["metadata"]["name"]: document["metadata"]["labels"] for document in of_kind("Namespace")}
    assert tuple(sorted(found)) == NAMESPACES
    for labels in found.values():
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_every_namespace_denies_by_default_and_has_limits(namespace: str) -> None:
    policies = {place(document)[1:]: document["spec"] for document in of_kind("NetworkPolicy")}
    assert policies[namespace, "default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for kind in ("ResourceQuota", "LimitRange"):
        assert [document for document in of_kind(kind) if document["metadata"]["namespace"] == namespace], kind


def test_there_is_no_secret_and_no_way_to_read_one() -> None:
    assert of_kind("Secret") == []
    assert of_kind("ClusterRole") == []
    for role in of_kind("Role"):
        for rule in role["rules"]:
            assert not {"*", "secrets", "pods/exec", "pods/attach"} & {*rule["resources"], *rule["verbs"]}


def test_the_launcher_may_do_what_the_operator_does_and_no_more() -> None:
    (role,) = of_kind("Role")
    assert role["metadata"]["namespace"] == DEFAULT_NAMESPACE
    may = {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    calls = (REPOSITORY / "plugins" / "operators" / "pod_launch.py").read_text()
    asked = {("pods", verb) for verb in re.findall(r"client\.(create|delete|list)_namespaced_pod", calls)}
    assert asked | {("pods", "get"), ("pods/log", "get")} == may


def test_pods_of_steps_find_their_account() -> None:
    accounts = {place(document)[1:]: document for document in of_kind("ServiceAccount")}
    account = accounts[DEFAULT_NAMESPACE, pod_request.SERVICE_ACCOUNT]
    assert account["automountServiceAccountToken"] is False


@pytest.mark.parametrize("deployment", of_kind("Deployment"), ids=lambda document: document["metadata"]["name"])
def test_every_deployment_passes_the_restricted_standard(deployment: Document) -> None:
    pod = deployment["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        for variable in container.get("env", ()):
            assert not re.search("PASSWORD|SECRET|URI", variable["name"]) or "valueFrom" in variable


def test_the_readme_names_every_secret() -> None:
    text = (REPOSITORY / "helm-values" / "README.md").read_text()
    wanted = set(SECRETS)
    for deployment in of_kind("Deployment"):
        wanted |= set(re.findall(r"'secretKeyRef': {'name': '([a-z0-9-]+)'", str(deployment)))
    assert {name for name in wanted if f"generic {name} " not in text} == set()
