"""A cluster in memory: keeps objects, makes pods and endpoints of them, and remembers what it was asked."""

import copy
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from include.errors import TemporaryError
from include.packaging.files import Bundle
from include.stores.http import HttpResponse
from include.stores.kubernetes.client import (
    DEPLOYMENT,
    ENDPOINTS,
    EVENT,
    POD,
    SERVICE,
    Cluster,
    ConflictError,
    Kind,
    Manifest,
)
from include.stores.serving.names import DIGEST, VERSION

NAMESPACE = "models"


@dataclass(frozen=True)
class FakeCluster(Cluster):
    """See :class:`~include.stores.kubernetes.client.Cluster`."""

    client: Any = None
    namespace: str = NAMESPACE
    is_inside: bool = False
    objects: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    bundles: dict[str, Bundle] = field(default_factory=dict)
    """What images and volumes hold, by digest of the bundle."""
    troubles: dict[str, Manifest] = field(default_factory=dict)
    """Status of the one container of a Deployment's pods, by digest: they never become ready."""
    events: list[Manifest] = field(default_factory=list)
    minor: list[int] = field(default_factory=lambda: [36])
    asked: list[str] = field(default_factory=list)
    """``verb Kind name`` of each change, in order."""
    is_stuck: list[bool] = field(default_factory=lambda: [False])
    """Whether endpoints stay where they are."""
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    stuck_slices: list[Manifest] = field(default_factory=list)

    def version(self) -> tuple[int, int]:
        return 1, self.minor[-1]

    def read(self, kind: Kind, name: str) -> Manifest | None:
        return copy.deepcopy(self.objects.get((kind.name, name)))

    def find(self, kind: Kind, *, labels: Mapping[str, str] | None = None, fields: str = "") -> list[Manifest]:
        if kind is EVENT:
            return [event for event in self.events if fields.endswith(event["involvedObject"]["name"])]
        found = {POD: self._pods, ENDPOINTS: self._slices}.get(kind, lambda: self._kept(kind))()
        wanted = (labels or {}).items()
        return copy.deepcopy([item for item in found if wanted <= item["metadata"]["labels"].items()])

    def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        name = manifest["metadata"]["name"]
        if (kind.name, name) in self.objects:
            message = f"{kind.name} {name} is there already"
            raise ConflictError(message)
        self.asked.append(f"create {kind.name} {name}")
        return self._put(kind, manifest)

    def apply(self, kind: Kind, manifest: Manifest) -> Manifest:
        name = manifest["metadata"]["name"]
        known = self.objects.get((kind.name, name))
        expected = manifest["metadata"].get("resourceVersion")
        if expected is not None and (known is None or known["metadata"]["resourceVersion"] != expected):
            message = f"{kind.name} {name} was changed by somebody else"
            raise ConflictError(message)
        self.asked.append(f"apply {kind.name} {name}")
        return self._put(kind, manifest)

    def change(self, kind: Kind, name: str, change: Manifest) -> None:
        self.asked.append(f"change {kind.name} {name}")
        if (found := self.objects.get((kind.name, name))) is not None:
            _merge(found, change)

    def delete(self, kind: Kind, name: str, *, resource_version: str | None = None) -> None:
        found = self.objects.get((kind.name, name))
        if found is None:
            return
        if resource_version not in {None, found["metadata"]["resourceVersion"]}:
            message = f"{kind.name} {name} was changed by somebody else"
            raise ConflictError(message)
        self.asked.append(f"delete {kind.name} {name}")
        del self.objects[kind.name, name]
        owned = [key for key, item in self.objects.items() if _is_owned(item, found["metadata"]["uid"])]
        for key in owned:
            del self.objects[key]

    def proxied(
        self,
        method: str,
        service: str,
        path: str,  # noqa: ARG002 (health and predictions are told by the method)
        body: bytes | None = None,
    ) -> HttpResponse:
        found = self.read(SERVICE, service.partition(":")[0])
        pods = [] if found is None else self._selected(found)
        if not pods:
            message = f"The model server does not answer at {service}"
            raise TemporaryError(message)
        metadata = pods[0]["metadata"]
        bundle, version = self.bundles[metadata["annotations"][DIGEST]], metadata["labels"][VERSION]
        headers = {"x-model-version": version, "x-model-digest": bundle.digest}
        if method == "GET":
            return HttpResponse(200, headers, json.dumps({"version": version}).encode())
        golden, asked = bundle.golden(), json.loads(body or b"{}")["dataframe_split"]
        if asked["columns"] != golden.rows.columns:
            return HttpResponse(400, headers, b"The model requires column 'carrier'")
        return HttpResponse(200, headers, json.dumps({"predictions": golden.predictions}).encode())

    def names(self, kind: Kind) -> set[str]:
        """Names of the objects of a kind."""
        return {name for known, name in self.objects if known == kind.name}

    def _kept(self, kind: Kind) -> list[Manifest]:
        return [item for (known, _), item in self.objects.items() if known == kind.name]

    def _put(self, kind: Kind, manifest: Manifest) -> Manifest:
        name, number = manifest["metadata"]["name"], next(self.numbers)
        known = self.objects.get((kind.name, name), {"metadata": {"uid": f"uid-{number}"}})
        found = copy.deepcopy(manifest)
        found["metadata"] |= {"uid": known["metadata"]["uid"], "resourceVersion": str(number), "generation": number}
        if kind is DEPLOYMENT:
            replicas = found["spec"]["replicas"]
            ready = 0 if found["metadata"]["annotations"][DIGEST] in self.troubles else replicas
            counts = {"replicas": replicas, "updatedReplicas": replicas, "availableReplicas": ready}
            found["status"] = {"observedGeneration": number, **counts}
        self.objects[kind.name, name] = found
        return copy.deepcopy(found)

    def _pods(self) -> list[Manifest]:
        pods = []
        for made in self._kept(DEPLOYMENT):
            metadata, digest = made["metadata"], made["metadata"]["annotations"][DIGEST]
            status: Manifest = {"conditions": []}
            if digest in self.troubles:
                status["containerStatuses"] = [self.troubles[digest]]
            for number in range(made["spec"]["replicas"]):
                name = f"{metadata['name']}-{number}"
                told = {"name": name, "labels": metadata["labels"], "annotations": {DIGEST: digest}}
                pods.append({"metadata": told, "status": status, "ready": digest not in self.troubles})
        return pods

    def _selected(self, service: Manifest) -> list[Manifest]:
        wanted = service["spec"]["selector"].items()
        return [pod for pod in self._pods() if pod["ready"] and wanted <= pod["metadata"]["labels"].items()]

    def _slices(self) -> list[Manifest]:
        if self.is_stuck[-1]:
            return self.stuck_slices
        slices = []
        for service in self._kept(SERVICE):
            endpoints = [
                {"targetRef": {"name": pod["metadata"]["name"]}, "conditions": {"ready": True}}
                for pod in self._selected(service)
            ]
            labels = {"kubernetes.io/service-name": service["metadata"]["name"]}
            slices.append({"metadata": {"labels": labels}, "endpoints": endpoints})
        self.stuck_slices[:] = slices
        return slices


def ended(code: int, said: str, reason: str = "Error", restarts: int = 0) -> Manifest:
    """Status of a container that ended by itself."""
    state = {"terminated": {"exitCode": code, "reason": reason, "message": said}}
    return {"state": state, "lastState": {}, "restartCount": restarts}


def waiting(reason: str, message: str) -> Manifest:
    """Status of a container that cannot begin."""
    return {"state": {"waiting": {"reason": reason, "message": message}}, "lastState": {}, "restartCount": 0}


def _is_owned(item: Manifest, uid: str) -> bool:
    return any(owner["uid"] == uid for owner in item["metadata"].get("ownerReferences", ()))


def _merge(into: Manifest, change: Manifest) -> None:
    for name, value in change.items():
        if isinstance(value, dict):
            _merge(cast("Manifest", into.setdefault(name, {})), value)
        else:
            into[name] = value
