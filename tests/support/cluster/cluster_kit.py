"""What tests on a real cluster share: its settings, a namespace of their own, pods that run a few lines of Python."""

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config

from include.stores.kubernetes import security
from include.stores.kubernetes.client import open_cluster
from include.stores.kubernetes.protocol import POD, Cluster, Manifest

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
WAIT_SECONDS = 180.0
CLIENTS = (Path(__file__).parent / "request_stream.py").read_text()
"""A script for a pod: sends requests to a model without pause, and prints counts and failures at the end."""


def setting(name: str) -> str:
    """A setting of the cluster; a test that needs it fails without it, because a cluster was requested."""
    value = os.environ.get(name, "")
    assert value, f"{name} is not set: the cluster tests need it (CONTRIBUTING.md)."
    return value


def s3_environment() -> dict[str, str]:
    """The cluster's S3 as a step's environment names it."""
    return {
        "AWS_ENDPOINT_URL": setting("CLUSTER_S3_ENDPOINT"),
        "AWS_ACCESS_KEY_ID": setting("CLUSTER_S3_ACCESS_KEY"),
        "AWS_SECRET_ACCESS_KEY": setting("CLUSTER_S3_SECRET_KEY"),
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextmanager
def namespace(prefix: str) -> Iterator[Cluster]:
    """A namespace that enforces the restricted standard; it is gone afterwards, with all that is in it."""
    name = f"{prefix}-{secrets.token_hex(4)}"
    config.load_kube_config()
    core = client.CoreV1Api()
    labels = {**RESTRICTED, "ml-platform.org/clients": "true"}
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name, labels=labels)))
    try:
        yield open_cluster(name, os.environ)
    finally:
        core.delete_namespace(name)
        core.api_client.close()


def make_secret(cluster: Cluster, name: str, values: Mapping[str, str]) -> None:
    body = client.V1Secret(metadata=client.V1ObjectMeta(name=name), string_data=dict(values))
    client.CoreV1Api().create_namespaced_secret(cluster.namespace, body)


@dataclass(frozen=True)
class Script:
    """A pod that runs some Python; made by :func:`running`."""

    cluster: Cluster
    name: str

    def log(self) -> str:
        """What it has printed."""
        read = client.CoreV1Api().read_namespaced_pod_log
        try:
            response = read(self.name, self.cluster.namespace, _preload_content=False)
        except client.ApiException:
            return ""  # its container has not begun
        return str(response.data.decode())

    def phase(self) -> str:
        pod = self.cluster.read(POD, self.name)
        return str(pod["status"].get("phase")) if pod else "Gone"

    def result(self) -> Any:
        """The JSON of its last line, once it has ended well."""
        wait_for(lambda: self.phase() in {"Succeeded", "Failed"}, f"the end of pod {self.name}")
        log = self.log()
        assert self.phase() == "Succeeded", log
        return json.loads(log.splitlines()[-1])


def running(cluster: Cluster, image: str, script: str, arguments: Mapping[str, str], **pod: Any) -> Script:
    """
    Run Python in a pod of the step image.

    :param arguments: environment variables of the script.
    :param pod: further fields of the pod's spec.
    """
    name = f"script-{secrets.token_hex(4)}"
    container = {
        "name": "base",
        "image": image,
        "command": ["python", "-c", script],
        "env": [{"name": key, "value": value} for key, value in arguments.items()],
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": security.CONTAINER,
        "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
    }
    spec: Manifest = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": security.pod_security(),
        "containers": [container],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
        **pod,
    }
    cluster.create(POD, {"metadata": {"name": name, "labels": {"ml-platform.org/step": "deploy"}}, "spec": spec})
    return Script(cluster, name)


def wait_for(condition: Callable[[], bool], what: str, seconds: float = WAIT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"Waited {seconds:g} s for {what} in vain."
        time.sleep(0.2)
