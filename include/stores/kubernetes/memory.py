"""
A namespace of Kubernetes in memory, for tests and notebooks: the promises of the API server and of a few controllers.

Deployments have their pods at once, and Services their endpoints. What a pod responds, and which pods never become
ready, is up to a subclass.
"""

import copy
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from include.errors import TemporaryError
from include.stores.http import HttpResponse
from include.stores.kubernetes.protocol import DEPLOYMENT, ENDPOINTS, EVENT, POD, SERVICE, ConflictError, Kind, Manifest


@dataclass
class MemoryCluster:
    """See :class:`~include.stores.kubernetes.protocol.Cluster`."""

    namespace: str = "models"
    is_inside: bool = False
    objects: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    """By name of the kind, and name."""
    events: list[Manifest] = field(default_factory=list)
    minor: int = 36
    """Of the API server's version."""
    changes: list[str] = field(default_factory=list)
    """``verb Kind name`` of each change that was requested, in order."""
    is_stuck: bool = False
    """Whether endpoints stay as they were."""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)
    _last_slices: list[Manifest] = field(default_factory=list, repr=False)

    def version(self) -> tuple[int, int]:
        """Major and minor version of the API server."""
        return 1, self.minor

    def read(self, kind: Kind, name: str) -> Manifest | None:
        """One object; None if there is none."""
        return copy.deepcopy(self.objects.get((kind.name, name)))

    def find(self, kind: Kind, *, labels: Mapping[str, str] | None = None, fields: str = "") -> list[Manifest]:
        """Objects that have all these labels; events by the name at the end of the field selector."""
        if kind is EVENT:
            return [event for event in self.events if fields.endswith(event["involvedObject"]["name"])]
        items = {POD: self._pods, ENDPOINTS: self._slices}.get(kind, lambda: self._kept(kind))()
        wanted = (labels or {}).items()
        return copy.deepcopy([item for item in items if wanted <= item["metadata"]["labels"].items()])

    def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Create an object."""
        name = manifest["metadata"]["name"]
        if (kind.name, name) in self.objects:
            raise ConflictError(f"{kind.name} {name} is there already.")
        self.changes.append(f"create {kind.name} {name}")
        return self._put(kind, manifest)

    def apply(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Create an object, or replace it; of server-side apply, only the resource version is checked."""
        name = manifest["metadata"]["name"]
        known = self.objects.get((kind.name, name))
        expected = manifest["metadata"].get("resourceVersion")
        if expected is not None and (known is None or known["metadata"]["resourceVersion"] != expected):
            raise ConflictError(f"{kind.name} {name} was changed by another writer.")
        self.changes.append(f"apply {kind.name} {name}")
        return self._put(kind, manifest)

    def change(self, kind: Kind, name: str, change: Manifest) -> None:
        """Change some fields of an object; nothing if there is none."""
        self.changes.append(f"change {kind.name} {name}")
        if (known := self.objects.get((kind.name, name))) is not None:
            _merge(known, change)

    def delete(self, kind: Kind, name: str, *, resource_version: str | None = None) -> None:
        """Delete an object, and what it owns; nothing if there is none."""
        known = self.objects.get((kind.name, name))
        if known is None:
            return
        if resource_version not in {None, known["metadata"]["resourceVersion"]}:
            raise ConflictError(f"{kind.name} {name} was changed by another writer.")
        self.changes.append(f"delete {kind.name} {name}")
        del self.objects[kind.name, name]
        # The garbage collector goes by uid: an object of the same name, created anew, owns nothing of the old one.
        owned = [key for key, item in self.objects.items() if _is_owned(item, known["metadata"]["uid"])]
        for key in owned:
            del self.objects[key]

    def proxied(self, method: str, service: str, path: str, body: bytes | None = None) -> HttpResponse:
        """Send a request to the first pod that a Service selects."""
        known = self.read(SERVICE, service.partition(":")[0])
        pods = [] if known is None else self._selected(known)
        if not pods:
            raise TemporaryError(f"The model server does not answer at {service}.")
        return self.response_of(pods[0], method, path, body)

    def response_of(self, pod: Manifest, method: str, path: str, body: bytes | None) -> HttpResponse:
        """What a pod responds to a request: 200, and nothing in it."""
        del pod, method, path, body
        return HttpResponse(200, {}, b"")

    def trouble_of(self, deployment: Manifest) -> Manifest | None:
        """Status of the one container of a Deployment's pods if they never become ready; None if they do."""
        del deployment
        return None

    def names(self, kind: Kind) -> set[str]:
        """Names of the objects of a kind."""
        return {name for known, name in self.objects if known == kind.name}

    def _kept(self, kind: Kind) -> list[Manifest]:
        return [item for (known, _), item in self.objects.items() if known == kind.name]

    def _put(self, kind: Kind, manifest: Manifest) -> Manifest:
        name, number = manifest["metadata"]["name"], next(self._numbers)
        known = self.objects.get((kind.name, name), {"metadata": {"uid": f"uid-{number}"}})
        put = copy.deepcopy(manifest)
        # The API server keeps the uid over changes and raises the resource version with each.
        put["metadata"] |= {"uid": known["metadata"]["uid"], "resourceVersion": str(number), "generation": number}
        if kind is DEPLOYMENT:
            replicas = put["spec"]["replicas"]
            ready = 0 if self.trouble_of(put) else replicas
            counts = {"replicas": replicas, "updatedReplicas": replicas, "availableReplicas": ready}
            put["status"] = {"observedGeneration": number, **counts}
        self.objects[kind.name, name] = put
        return copy.deepcopy(put)

    def _pods(self) -> list[Manifest]:
        pods = []
        for deployment in self._kept(DEPLOYMENT):
            metadata, trouble = deployment["metadata"], self.trouble_of(deployment)
            status: Manifest = {"conditions": []}
            if trouble is not None:
                status["containerStatuses"] = [trouble]
            for number in range(deployment["spec"]["replicas"]):
                known = {"labels": metadata["labels"], "annotations": metadata.get("annotations", {})}
                own = {"name": f"{metadata['name']}-{number}", **known}
                pods.append({"metadata": own, "status": status, "ready": trouble is None})
        return pods

    def _selected(self, service: Manifest) -> list[Manifest]:
        wanted = service["spec"]["selector"].items()
        return [pod for pod in self._pods() if pod["ready"] and wanted <= pod["metadata"]["labels"].items()]

    def _slices(self) -> list[Manifest]:
        if not self.is_stuck:
            self._last_slices = [self._slice_of(service) for service in self._kept(SERVICE)]
        return self._last_slices

    def _slice_of(self, service: Manifest) -> Manifest:
        endpoints = [
            {"targetRef": {"name": pod["metadata"]["name"]}, "conditions": {"ready": True}}
            for pod in self._selected(service)
        ]
        labels = {"kubernetes.io/service-name": service["metadata"]["name"]}
        return {"metadata": {"labels": labels}, "endpoints": endpoints}


def _is_owned(item: Manifest, uid: str) -> bool:
    return any(owner["uid"] == uid for owner in item["metadata"].get("ownerReferences", ()))


def _merge(into: Manifest, change: Manifest) -> None:
    for name, value in change.items():
        if isinstance(value, dict):
            _merge(cast("Manifest", into.setdefault(name, {})), value)
        else:
            into[name] = value
