"""
The objects of one served version on Kubernetes, as JSON: pure functions of what is to be served.

The Deployment owns the others, so that whoever deletes it deletes them all.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from include.contract import settings as names_of_settings
from include.stores.kubernetes import security
from include.stores.kubernetes.protocol import Manifest
from include.stores.serving.control import ModelRecord
from include.stores.serving.names import (
    BUNDLE_BY,
    DIGEST,
    MANAGED_BY,
    OLDER,
    PLACEMENT,
    PORT,
    PREVIOUS,
    VERSION,
    ServedNames,
    names_of,
)
from include.stores.serving.settings import Placement, ServingSettings

IMAGE_VOLUME, INIT_CONTAINER = "image volume", "init container"
NOTICE_SECONDS = 5.0
"""A pod at shutdown goes on accepting for so long: every node has forgotten its address by then."""
# After terminationGracePeriodSeconds the kubelet kills: the worker must have given up before.
_GRACE_SECONDS = 10
"""Beyond the time to notice and to drain."""
_MODEL_FOLDER = "/model"
# A pod that fills an emptyDir without a limit fills its node.
_MODEL_LIMIT, _SCRATCH_LIMIT = "2Gi", "256Mi"
_CPU_PERCENT = 70
_HTTPS = 443
_DNS = 53
# Made by the installation, read by the init container alone; the server has no credentials.
_SECRET = "ml-connection-s3"  # noqa: S105 (a name, not a secret)
_SECRET_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_FETCH_SETTINGS = (
    names_of_settings.OBJECTS_URI,
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "AWS_EC2_METADATA_DISABLED",
)
_CLIENT_LABELS, _STEP_LABEL = ("ml-platform.org/clients", "ml-platform.org/monitoring"), "ml-platform.org/step"
"""Of namespaces whose pods may send requests to models, and of the pods that check them."""


@dataclass(frozen=True, kw_only=True)
class ServedVersion:
    """One version as it is to be served."""

    record: ModelRecord
    settings: ServingSettings
    placement: Placement
    image: str
    """The image that serves, by digest."""
    bundle_by: str
    """``IMAGE_VOLUME`` or ``INIT_CONTAINER``."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The installation's settings; the init container gets those that name the place of bundles."""

    @property
    def names(self) -> ServedNames:
        """The names of its model."""
        return names_of(self.record)

    @property
    def name(self) -> str:
        """The name of all its objects."""
        return self.names.of_version(self.record.version)

    @property
    def labels(self) -> dict[str, str]:
        """The labels of all its objects, pods included."""
        return {**MANAGED_BY, **self.names.selecting_version(self.record.version)}

    def metadata(self, owner: Manifest | None = None) -> Manifest:
        """Name and labels, and whose object it is."""
        metadata: Manifest = {"name": self.name, "labels": self.labels}
        if owner is not None:
            metadata["ownerReferences"] = [owner]
        return metadata


def deployment(served: ServedVersion) -> Manifest:
    """The version's pods."""
    annotations = {
        DIGEST: served.record.digest,
        BUNDLE_BY: served.bundle_by,
        PLACEMENT: served.placement.model_dump_json(),
    }
    return {
        "metadata": {**served.metadata(), "annotations": annotations},
        "spec": {
            "replicas": served.placement.replicas_at_least,
            # A version is its own Deployment, so the ReplicaSets of older revisions roll nothing back.
            "revisionHistoryLimit": 1,
            # Immutable after creation: it holds only labels that never change.
            "selector": {"matchLabels": served.names.selecting_version(served.record.version)},
            # maxUnavailable 0: the restart after a switch must not leave the previous version without a pod.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": served.labels}, "spec": _pod(served)},
        },
    }


def owner_of(made: Manifest) -> Manifest:
    """How the version's other objects declare that they belong to its Deployment, as the API server has it."""
    metadata = made["metadata"]
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": metadata["name"], "uid": metadata["uid"]}


def version_service(served: ServedVersion, owner: Manifest) -> Manifest:
    """The version's own address, at which it is checked before it gets traffic."""
    return {"metadata": served.metadata(owner), "spec": _service(served.names, served.record.version)}


def budget(served: ServedVersion, owner: Manifest) -> Manifest:
    """Nodes are drained one pod at a time; of one replica as well, or its node could never be."""
    selector = {"matchLabels": served.names.selecting_version(served.record.version)}
    return {"metadata": served.metadata(owner), "spec": {"maxUnavailable": 1, "selector": selector}}


def policy(served: ServedVersion, owner: Manifest) -> Manifest:
    """
    Who may come in, and what goes out.

    Requests come in at one port, from those whom the policy of the namespace lets in as well; nothing goes out but what
    the init container fetches.
    """
    egress: list[Manifest] = []
    if served.bundle_by == INIT_CONTAINER:
        endpoint = urlsplit(served.environment.get("AWS_ENDPOINT_URL", ""))
        # NetworkPolicies know ports and addresses, no host names: S3 can only be named by its port.
        port = endpoint.port or {"http": 80}.get(endpoint.scheme, _HTTPS)
        # DNS falls back to TCP for long responses.
        dns: list[Manifest] = [{"protocol": protocol, "port": _DNS} for protocol in ("UDP", "TCP")]
        egress = [{"ports": [*dns, {"protocol": "TCP", "port": port}]}]
    return {
        "metadata": served.metadata(owner),
        "spec": {
            "podSelector": {"matchLabels": served.names.selecting_version(served.record.version)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": _clients(), "ports": [{"protocol": "TCP", "port": PORT}]}],
            "egress": egress,
        },
    }


def autoscaler(made: Manifest, placement: Placement) -> Manifest:
    """
    How many pods a version that has the traffic gets.

    :param made: its Deployment, as the API server has it.
    """
    metadata = made["metadata"]
    labels = {**MANAGED_BY, **{name: text for name, text in metadata["labels"].items() if name not in MANAGED_BY}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": metadata["name"]}
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": _CPU_PERCENT}}
    return {
        "metadata": {"name": metadata["name"], "labels": labels, "ownerReferences": [owner_of(made)]},
        "spec": {
            "scaleTargetRef": target,
            "minReplicas": placement.replicas_at_least,
            "maxReplicas": placement.replicas_at_most,
            "metrics": [{"type": "Resource", "resource": cpu}],
        },
    }


def traffic_service(
    names: ServedNames, *, active: int, previous: int | None, older: int | None, resource_version: str | None
) -> Manifest:
    """
    The Service that clients use, pointing at one version.

    :param resource_version: the one that it must still have; None to make it.
    """
    kept = {PREVIOUS: previous, OLDER: older}
    metadata: Manifest = {
        "name": names.traffic,
        "labels": {**MANAGED_BY, **names.selecting},
        "annotations": {name: str(version) for name, version in kept.items() if version is not None},
    }
    if resource_version is not None:
        # With it, server-side apply is a compare-and-set: the API server responds 409 where another writer was first.
        metadata["resourceVersion"] = resource_version
    return {"metadata": metadata, "spec": _service(names, active)}


def version_selected(service: Manifest) -> int | None:
    """The version that a traffic Service points at."""
    selected = (service["spec"].get("selector") or {}).get(VERSION, "")
    return int(selected) if selected.isdigit() else None


def _clients() -> list[Manifest]:
    spaces = [{"namespaceSelector": {"matchLabels": {label: "true"}}} for label in _CLIENT_LABELS]
    # The deploy step checks a version before it has traffic, from whatever namespace steps run in.
    deploy: Manifest = {"namespaceSelector": {}, "podSelector": {"matchLabels": {_STEP_LABEL: "deploy"}}}
    return [*spaces, deploy]


def _service(names: ServedNames, version: int) -> Manifest:
    port = {"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP", "appProtocol": "http"}
    return {"type": "ClusterIP", "selector": names.selecting_version(version), "ports": [port]}


def _pod(served: ServedVersion) -> Manifest:
    drain_seconds = math.ceil(NOTICE_SECONDS + served.settings.drain_seconds)
    # Two replicas on one node go with it.
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        # DoNotSchedule would leave the second replica pending on a cluster of one node.
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": served.names.selecting_version(served.record.version)},
    }
    pod: Manifest = {
        # A model server never speaks to the API server.
        "automountServiceAccountToken": False,
        # A namespace of many Services would give each pod seven variables for each of them.
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": drain_seconds + _GRACE_SECONDS,
        "securityContext": security.pod_security(),
        "topologySpreadConstraints": [spread],
        "containers": [_server(served)],
        "volumes": [_model_volume(served), {"name": "scratch", "emptyDir": {"sizeLimit": _SCRATCH_LIMIT}}],
    }
    if served.bundle_by == INIT_CONTAINER:
        pod["initContainers"] = [_fetcher(served)]
    return pod


def _server(served: ServedVersion) -> Manifest:
    limits = served.settings.model_copy(update={"notice_seconds": NOTICE_SECONDS})
    words = {
        "bundle": _MODEL_FOLDER,
        "digest": served.record.digest,
        "version": str(served.record.version),
        "host": "0.0.0.0",  # noqa: S104 (in a pod, whose network policy decides who may connect)
        "port": str(PORT),
        "settings": limits.model_dump_json(),
    }
    health = {"httpGet": {"path": "/health", "port": "http"}, "timeoutSeconds": 5}
    ready = {"httpGet": {"path": "/ready", "port": "http"}, "timeoutSeconds": 5}
    return {
        **_container(served, "server"),
        "args": [word for name, value in words.items() for word in (f"--{name}", value)],
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        # Three minutes: libraries and model are read from a cold node's disk.
        "startupProbe": {**health, "periodSeconds": 1, "failureThreshold": 180},
        # Twice: a pod in shutdown must be out of the endpoints within its notice of 5 s.
        "readinessProbe": {**ready, "periodSeconds": 2, "failureThreshold": 2},
        # A minute of silence; a batch that keeps the only thread busy must not look like a hang.
        "livenessProbe": {**health, "periodSeconds": 10, "failureThreshold": 6},
        "volumeMounts": [_mount("model", _MODEL_FOLDER, read_only=True), _mount("scratch", "/tmp")],  # noqa: S108
    }


def _fetcher(served: ServedVersion) -> Manifest:
    """Fetches the bundle, compares it with its digest, and leaves it where the server finds it."""
    words = {"project": served.record.project, "digest": served.record.digest, "to": _MODEL_FOLDER}
    plain = [
        {"name": name, "value": served.environment[name]} for name in _FETCH_SETTINGS if served.environment.get(name)
    ]
    secret = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": _SECRET, "key": name, "optional": False}}}
        for name in _SECRET_KEYS
    ]
    return {
        **_container(served, "fetch-bundle"),
        "command": ["python", "-m", "include.serving.model.fetch"],
        "args": [word for name, value in words.items() for word in (f"--{name}", value)],
        "env": [*plain, *secret],
        "volumeMounts": [_mount("model", _MODEL_FOLDER), _mount("scratch", "/tmp")],  # noqa: S108
    }


def _container(served: ServedVersion, name: str) -> Manifest:
    cpu, memory = served.placement.cpu, served.placement.memory
    return {
        "name": name,
        "image": served.image,
        "imagePullPolicy": "IfNotPresent",
        "resources": {
            "requests": {"cpu": _millicores(cpu), "memory": memory},
            # Memory requested is memory limited: a pod over its request is the first to be evicted.
            "limits": {"cpu": str(math.ceil(cpu)), "memory": memory},
        },
        "securityContext": security.CONTAINER,
        # The last lines of the log show why a server refused its bundle, where it could not write a message itself.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _model_volume(served: ServedVersion) -> Manifest:
    if served.bundle_by == IMAGE_VOLUME:
        reference = {"reference": served.placement.artifact, "pullPolicy": "IfNotPresent"}
        # By digest, so IfNotPresent never serves an outdated copy.
        return {"name": "model", "image": reference}
    return {"name": "model", "emptyDir": {"sizeLimit": _MODEL_LIMIT}}


def _mount(name: str, path: str, *, read_only: bool = False) -> dict[str, Any]:
    mount: dict[str, Any] = {"name": name, "mountPath": path}
    return {**mount, "readOnly": True} if read_only else mount


def _millicores(cpu: float) -> str:
    return f"{max(1, round(cpu * 1000))}m"
