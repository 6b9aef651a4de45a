"""The manifests on a real API server: what it takes, what it refuses, and what each account may do."""

import json
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from local_platform.locations import REPOSITORY
from tests.support.cluster.openapi_schemas import write_schemas

pytestmark = pytest.mark.needs("cluster")

OVERLAY = REPOSITORY / "helm-values" / "cluster" / "overlays" / "example"
NAMESPACES = ("ml-platform", "ml-steps", "ml-serving")
Object = dict[str, Any]
Granted = dict[str, set[str]]
MATRIX: dict[tuple[str, str], dict[str, Granted]] = {
    ("ml-platform", "ml-airflow"): {
        "ml-steps": {
            "pods": {"create", "get", "list", "watch", "patch", "delete"},
            "pods/log": {"get"},
            "events": {"get", "list", "watch"},
        }
    },
    ("ml-steps", "ml-deploy"): {
        "ml-serving": {
            "deployments.apps": {"create", "get", "list", "patch", "delete"},
            "services": {"create", "get", "patch", "delete"},
            "horizontalpodautoscalers.autoscaling": {"create", "patch", "delete"},
            "poddisruptionbudgets.policy": {"create", "patch"},
            "networkpolicies.networking.k8s.io": {"create", "patch"},
            "endpointslices.discovery.k8s.io": {"list"},
            "pods": {"get", "list"},
            "events": {"list"},
        }
    },
    ("ml-platform", "ml-airflow-api"): {"ml-steps": {"pods": {"list", "delete"}}},
    ("ml-steps", "ml-step"): {},
    ("ml-steps", "default"): {},
    ("ml-serving", "ml-serving"): {},
    ("ml-serving", "default"): {},
    ("ml-platform", "ml-mlflow"): {},
    ("ml-platform", "default"): {},
}
"""By account and namespace: everything that it may do there."""
FORBIDDEN = (
    ("create", "pods", "--subresource=exec"),
    ("create", "pods", "--subresource=attach"),
    ("create", "pods", "--subresource=portforward"),
    ("create", "serviceaccounts", "--subresource=token"),
    ("get", "secrets"),
    ("list", "secrets"),
)
EVERYBODYS = ("authorization.k8s.io", "authentication.k8s.io")
"""Groups in which every account may ask about itself."""
RESTRICTED: Object = {
    "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
}


def kubectl(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(["kubectl", *words], input=given, text=True, capture_output=True, check=False, timeout=120)


def said(*words: str, given: str = "") -> str:
    done = kubectl(*words, given=given)
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed(objects: list[Object]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


@dataclass(frozen=True)
class World:
    """The manifests in namespaces of this test's own."""

    names: dict[str, str]
    """By the namespace's name in the manifests."""
    objects: list[Object]

    @classmethod
    def make(cls) -> "World":
        mark = secrets.token_hex(4)
        names = {name: f"{name}-{mark}" for name in NAMESPACES}
        found = list(yaml.safe_load_all(said("kustomize", str(OVERLAY))))
        return cls(names, [cls._moved(one, names) for one in found])

    @classmethod
    def _moved(cls, one: Any, names: dict[str, str]) -> Any:
        if isinstance(one, list):
            return [cls._moved(item, names) for item in one]
        if not isinstance(one, dict):
            return one
        moved = {key: cls._moved(value, names) for key, value in one.items()}
        for key in ("namespace", "kubernetes.io/metadata.name"):
            if isinstance(moved.get(key), str):
                moved[key] = names.get(moved[key], moved[key])
        if moved.get("kind") == "Namespace":
            moved["metadata"]["name"] = names[moved["metadata"]["name"]]
        return moved

    def of_kind(self, kind: str) -> list[Object]:
        return [one for one in self.objects if one["kind"] == kind]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Everything is there but the pods: their images and Secrets are an installation's own."""
    made = World.make()
    try:
        said("apply", "--server-side", "-f", "-", given=listed(made.of_kind("Namespace")))
        said(
            "apply",
            "--server-side",
            "-f",
            "-",
            given=listed([one for one in made.objects if one["kind"] != "Deployment"]),
        )
        for namespace in made.names.values():
            # Until it has counted what is there, a quota refuses everything.
            said(
                "wait", "--for=jsonpath={.status.hard.pods}", "resourcequota/ml-quota", "-n", namespace, "--timeout=60s"
            )
        yield made
    finally:
        kubectl("delete", "namespace", *made.names.values(), "--ignore-not-found", "--wait=false")


def pod(namespace: str, name: str = "some", spec: Object | None = None, **container: Any) -> Object:
    """A pod of one container without anything that it was not given."""
    box = {"name": "some", "image": "registry.example.org/some:1", **container}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [box], **(spec or {})},
    }


def safe_pod(namespace: str, name: str = "some", **container: Any) -> Object:
    """A pod that passes the restricted standard and that no node takes."""
    closed = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    spec = {**RESTRICTED, "nodeSelector": {"ml-platform.org/no-such": "node"}}
    return pod(namespace, name, spec, securityContext=closed, **container)


def asked(one: Object) -> subprocess.CompletedProcess[str]:
    """What the API server would say to an object."""
    return kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", given=json.dumps(one))


@pytest.mark.needs("kubeconform")
def test_every_object_is_valid(tmp_path: Path, world: World) -> None:
    location = write_schemas(json.loads(said("get", "--raw", "/openapi/v2")), tmp_path)
    file = tmp_path / "objects.yaml"
    file.write_text(yaml.safe_dump_all(world.objects))
    words = ["kubeconform", "-strict", "-summary", "-output", "json", "-schema-location", location, str(file)]
    done = subprocess.run(words, text=True, capture_output=True, check=False, timeout=120)
    summary = json.loads(done.stdout)["summary"]
    assert summary == {"valid": len(world.objects), "invalid": 0, "errors": 0, "skipped": 0}, done.stdout


@pytest.mark.needs("kubeconform")
def test_kubeconform_finds_a_field_that_is_none(tmp_path: Path, world: World) -> None:
    location = write_schemas(json.loads(said("get", "--raw", "/openapi/v2")), tmp_path)
    file = tmp_path / "objects.yaml"
    [mlflow, _] = world.of_kind("Deployment")
    spoilt = json.loads(json.dumps(mlflow))
    spoilt["spec"]["template"]["spec"]["containers"][0]["readOnlyRootFileSystem"] = True
    file.write_text(yaml.safe_dump(spoilt))
    words = ["kubeconform", "-strict", "-schema-location", location, str(file)]
    done = subprocess.run(words, text=True, capture_output=True, check=False, timeout=120)
    assert "readOnlyRootFileSystem" in done.stdout


def test_the_server_takes_every_object_without_a_warning(world: World) -> None:
    done = kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", given=listed(world.objects))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == len(world.objects)


def test_the_pods_of_the_platform_are_admitted(world: World) -> None:
    for deployment in world.of_kind("Deployment"):
        template = deployment["spec"]["template"]
        meta = {**template["metadata"], "name": "some", "namespace": deployment["metadata"]["namespace"]}
        done = asked({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]})
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("account", MATRIX, ids="/".join)
def test_each_account_may_do_this_and_nothing_else(world: World, account: tuple[str, str]) -> None:
    home, name = account
    user = f"system:serviceaccount:{world.names[home]}:{name}"
    for namespace in (*NAMESPACES, "default", "kube-system"):
        wanted = MATRIX[account].get(namespace, {})
        assert granted(user, world.names.get(namespace, namespace)) == wanted, namespace


def granted(user: str, namespace: str) -> Granted:
    """All that an account may do in a namespace, by resource, as the API server itself lists it."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    words = ("create", "--validate=false", "-f", "-", "-o", "json", f"--as={user}")
    status = json.loads(said(*words, given=json.dumps(review)))["status"]
    assert not status.get("incomplete"), status
    found: Granted = {}
    for rule in status["resourceRules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                if group not in EVERYBODYS:
                    found.setdefault(f"{resource}.{group}".rstrip("."), set()).update(rule["verbs"])
    return found


@pytest.mark.parametrize("account", [account for account in MATRIX if MATRIX[account]], ids="/".join)
@pytest.mark.parametrize("deed", FORBIDDEN, ids=" ".join)
def test_nobody_may_run_commands_or_read_secrets(world: World, account: tuple[str, str], deed: tuple[str, ...]) -> None:
    home, name = account
    user = f"system:serviceaccount:{world.names[home]}:{name}"
    [there] = MATRIX[account]
    done = kubectl("auth", "can-i", *deed, "-n", world.names[there], f"--as={user}")
    assert (done.stdout.strip(), done.returncode) == ("no", 1), done.stderr


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_a_pod_without_a_security_context_is_refused(world: World, namespace: str) -> None:
    done = asked(pod(world.names[namespace]))
    assert done.returncode != 0
    assert 'violates PodSecurity "restricted:v1.36"' in done.stderr


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_a_container_without_a_size_gets_one(world: World, namespace: str) -> None:
    done = asked(safe_pod(world.names[namespace]))
    assert done.returncode == 0, done.stderr
    [container] = json.loads(done.stdout)["spec"]["containers"]
    assert {"cpu", "memory", "ephemeral-storage"} <= container["resources"]["requests"].keys()
    assert {"memory", "ephemeral-storage"} <= container["resources"]["limits"].keys()


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_a_pod_that_names_no_account_gets_no_token(world: World, namespace: str) -> None:
    done = asked(safe_pod(world.names[namespace]))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["spec"].get("volumes") is None


def test_a_container_larger_than_the_range_is_refused(world: World) -> None:
    size = {"requests": {"memory": "33Gi"}, "limits": {"memory": "33Gi"}}
    done = asked(safe_pod(world.names["ml-steps"], resources=size))
    assert "maximum memory usage per Container is 32Gi" in done.stderr


def test_the_quota_refuses_more_cpu_than_there_is(world: World) -> None:
    done = asked(safe_pod(world.names["ml-steps"], resources={"requests": {"cpu": "17"}}))
    assert "exceeded quota: ml-quota" in done.stderr
    assert "requests.cpu" in done.stderr


def test_steps_have_no_services(world: World) -> None:
    meta = {"name": "some", "namespace": world.names["ml-steps"]}
    done = asked({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": [{"port": 80}]}})
    assert "exceeded quota: ml-quota" in done.stderr


def test_a_mapped_task_that_runs_away_stops_at_the_quota(world: World) -> None:
    namespace = world.names["ml-steps"]
    wanted = [safe_pod(namespace, f"some-{number}") for number in range(45)]
    done = kubectl("create", "-f", "-", given=listed(wanted))
    assert "exceeded quota: ml-quota, requested: pods=1, used: pods=40, limited: pods=40" in done.stderr
    assert len(said("get", "pods", "-n", namespace, "-o", "name").split()) == 40
