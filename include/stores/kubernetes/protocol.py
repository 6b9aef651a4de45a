"""Kubernetes as the stores need it: read, list, apply, patch and delete the objects of one namespace, as plain JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from include.errors import TemporaryError
from include.stores.http import HttpResponse

Manifest = dict[str, Any]
"""An object of Kubernetes as JSON."""


@dataclass(frozen=True)
class Kind:
    """A kind of objects."""

    name: str
    api_version: str
    plural: str

    def path(self, namespace: str, name: str = "") -> str:
        """Path of the kind's collection on the API server, or of one object in it."""
        # The core group is older than the scheme of groups: it alone lies below /api, without a group's name.
        root = "/api" if "/" not in self.api_version else "/apis"
        collection = f"{root}/{self.api_version}/namespaces/{namespace}/{self.plural}"
        return f"{collection}/{name}" if name else collection


DEPLOYMENT = Kind("Deployment", "apps/v1", "deployments")
SERVICE = Kind("Service", "v1", "services")
AUTOSCALER = Kind("HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers")
BUDGET = Kind("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets")
POLICY = Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies")
POD = Kind("Pod", "v1", "pods")
EVENT = Kind("Event", "v1", "events")
ENDPOINTS = Kind("EndpointSlice", "discovery.k8s.io/v1", "endpointslices")


class ConflictError(TemporaryError):
    """Another writer changed or created the object in the meantime."""


class Cluster(Protocol):
    """
    One namespace of a cluster.

    Every method raises ``ConfigurationError`` where the API server refuses a request, and ``TemporaryError`` where it
    does not respond or a quota is used up.
    """

    @property
    def namespace(self) -> str:
        """Name of the namespace."""

    @property
    def is_inside(self) -> bool:
        """Whether this process is a pod of the cluster, so that the names of Services resolve here."""

    def version(self) -> tuple[int, int]:
        """Major and minor version of the API server."""

    def read(self, kind: Kind, name: str) -> Manifest | None:
        """One object; None if there is none, or it is being deleted."""

    def find(self, kind: Kind, *, labels: Mapping[str, str] | None = None, fields: str = "") -> list[Manifest]:
        """
        Objects that have all these labels, without those that are being deleted.

        :param fields: a field selector, such as ``involvedObject.name=delay-v1``.
        """

    def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        """
        Create an object.

        :raises ConflictError: if there is one of this name.
        """

    def apply(self, kind: Kind, manifest: Manifest) -> Manifest:
        """
        Create an object, or change it to what the manifest states: server-side apply.

        :raises ConflictError: if the manifest names a resource version, and the object has another by now.
        """

    def change(self, kind: Kind, name: str, change: Manifest) -> None:
        """Change some fields of an object; nothing if there is none."""

    def delete(self, kind: Kind, name: str, *, resource_version: str | None = None) -> None:
        """
        Delete an object, and what it owns; nothing if there is none.

        :param resource_version: delete it only if it still has this one.
        """

    def proxied(self, method: str, service: str, path: str, body: bytes | None = None) -> HttpResponse:
        """
        Send a request to a Service through the API server: the only route from a machine outside the cluster.

        :param service: ``name:port``.
        :param path: below the Service's root, without a slash at its beginning.
        :param body: JSON, as UTF-8.
        :raises TemporaryError: if no pod of the Service responds.
        """
