"""
Models served on Kubernetes; see :class:`~include.stores.serving.protocol.ServingStore`.

One Deployment a version, with a Service, a disruption budget and a network policy that it owns; one Service a model,
the traffic Service, whose selector says which version is active and whose annotations say which was before. All state
lies in these objects. The switch is one apply with the resource version that was read: who loses a race changes
nothing.
"""

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from include.contract import settings as names_of_settings
from include.errors import ConfigurationError, PlatformError, TemporaryError
from include.packaging.files import Bundle, GoldenTable
from include.stores.http import HttpResponse
from include.stores.kubernetes.client import open_cluster
from include.stores.kubernetes.protocol import (
    AUTOSCALER,
    BUDGET,
    DEPLOYMENT,
    ENDPOINTS,
    EVENT,
    POD,
    POLICY,
    SERVICE,
    Cluster,
    Manifest,
)
from include.stores.retry import wait_for
from include.stores.serving import manifests
from include.stores.serving.control import ModelRecord, ServingStatus, record_of
from include.stores.serving.http import ServedPredictions, post_directly, request_directly, request_predictions
from include.stores.serving.manifests import IMAGE_VOLUME, INIT_CONTAINER, ServedVersion
from include.stores.serving.names import RETIRED_BY, ServedNames, names_of
from include.stores.serving.readiness import is_ready, last_warning, trouble_of
from include.stores.serving.settings import ANYWHERE, Placement, ServingSettings
from include.stores.serving.state import ServedState, read_state

# Room for a new node and for the pull of an image of 1.2 GB (ADR 10).
START_SECONDS = 600.0
"""How long pods may take to become ready while nothing shows that they cannot."""
SWITCH_SECONDS = 60.0
_PAUSE_SECONDS = 0.25
_RESPONSES_IN_A_ROW = 5
"""From new connections, before a switch counts as done: each node learns of it for itself."""
# The feature gate ImageVolume is on by default from this version.
_IMAGE_VOLUMES_SINCE = (1, 35)


def open_kubernetes_serving(namespace: str, environment: Mapping[str, str]) -> "KubernetesServing":
    """
    The model servers in a namespace.

    :raises ConfigurationError: if the image that serves is not named, or there is no cluster.
    """
    image = environment.get(names_of_settings.SERVING_IMAGE)
    if not image:
        message = f"Environment variable {names_of_settings.SERVING_IMAGE} is not set; it names the image that serves."
        raise ConfigurationError(f"{message} 'make images' builds it and prints its name.")
    return KubernetesServing(open_cluster(namespace, environment), image, environment)


@dataclass(frozen=True)
class KubernetesServing:
    """Model servers in one namespace of a cluster."""

    cluster: Cluster
    image: str
    """The image that serves, by digest."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    start_seconds: float = START_SECONDS
    switch_seconds: float = SWITCH_SECONDS
    pause_seconds: float = _PAUSE_SECONDS

    def status(self, project: str, model: str) -> ServingStatus:
        """What the cluster has of a model."""
        return read_state(self.cluster, ServedNames(project, model)).status()

    def start(
        self, bundle: Bundle, version: int, settings: ServingSettings, placement: Placement = ANYWHERE
    ) -> ModelRecord:
        """Start a version beside the active one, and wait until its pods are ready."""
        served = ServedVersion(
            record=record_of(bundle, version),
            settings=settings,
            placement=placement,
            image=self.image,
            bundle_by=self._bundle_by(placement),
            environment=self.environment,
        )
        state = read_state(self.cluster, served.names)
        # First: two candidates would need the room of three versions.
        self._make_room(state, served.record)
        try:
            made = self._make(served)
            self._wait_until_ready(served.names, version)
        except PlatformError:
            if not state.is_kept(version):
                # Without the Deployment, its pods, Service, budget and policy go as well: it owns them.
                with contextlib.suppress(PlatformError):  # what went wrong first is what counts
                    self.cluster.delete(DEPLOYMENT, served.name)
            raise
        return state.record(made)

    def activate(self, record: ModelRecord) -> ServingStatus:
        """Give a started version the traffic, and wait until nothing else has it."""
        state = read_state(self.cluster, names_of(record))
        if not record.is_same(state.record_of(record.version)):
            raise TemporaryError(f"Version {record.version} ({record.digest}) was not started; start it first.")
        # Repeated after a kill, this finds the switch made and only the rest is done.
        if state.active != record.version:
            older = state.previous if state.previous != record.version else state.older
            self._switch(state, to=record.version, previous=state.active, older=older)
        else:
            self._follow(state.names, record.version)
        return self.status(record.project, record.model)

    def discard(self, record: ModelRecord) -> None:
        """Remove a version that has no traffic and had none."""
        state = read_state(self.cluster, names_of(record))
        if record.is_same(state.record_of(record.version)) and not state.is_kept(record.version):
            self.cluster.delete(DEPLOYMENT, state.names.of_version(record.version))

    def rollback(self, record: ModelRecord) -> ServingStatus:
        """Give the traffic back to what had it before this version, which is removed."""
        state = read_state(self.cluster, names_of(record))
        if state.active != record.version or not record.is_same(state.record_of(record.version)):
            message = f"Version {record.version} ({record.digest}) is not the active one; nothing was changed."
            raise TemporaryError(message)
        target = state.previous
        if target is None:
            # With the version that was read: a switch that came in between must not lose its Service.
            self.cluster.delete(SERVICE, state.names.traffic, resource_version=state.traffic_version)
        else:
            # The previous version was started again when it lost the traffic, and may have lost its node since.
            self._wait_until_ready(state.names, target)
            self._switch(state, to=target, previous=state.older, older=None)
        self.cluster.delete(DEPLOYMENT, state.names.of_version(record.version))
        return self.status(record.project, record.model)

    def settle(self, record: ModelRecord) -> None:
        """Remove all versions but this one and the one before it."""
        state = read_state(self.cluster, names_of(record))
        if state.active != record.version:
            return
        # Kept until now, as a rollback of this version would have needed the one before the previous.
        for version in state.deployments.keys() - {state.active, state.previous}:
            self.cluster.delete(DEPLOYMENT, state.names.of_version(version))
        if state.older is not None:
            self._point(state, to=record.version, previous=state.previous, older=None)

    def predict(self, url: str, rows: GoldenTable) -> ServedPredictions:
        """Request predictions as any client does; from outside the cluster by way of the API server."""
        return request_predictions(url, rows, post_directly if self.cluster.is_inside else self._post_proxied)

    def _bundle_by(self, placement: Placement) -> str:
        """How the bundle gets into the pods: mounted, where the cluster can and there is something to mount."""
        if placement.artifact is not None and self.cluster.version() >= _IMAGE_VOLUMES_SINCE:
            return IMAGE_VOLUME
        objects = self.environment.get(names_of_settings.OBJECTS_URI, "")
        if not objects.startswith("s3://"):
            why = "is in no registry" if placement.artifact is None else "cannot be mounted by this cluster"
            message = (
                f"The model {why}, and its pods cannot fetch it from {names_of_settings.OBJECTS_URI}='{objects}': "
                f"only s3://… is within their reach. Set {names_of_settings.ARTIFACT_REGISTRY} and package the model "
                "again, or keep objects in S3."
            )
            raise ConfigurationError(message)
        return INIT_CONTAINER

    def _make_room(self, state: ServedState, record: ModelRecord) -> None:
        """Remove candidates that were left behind, and what has the version's name and is another bundle."""
        for version in state.deployments:
            if not state.is_kept(version) and not record.is_same(state.record_of(version)):
                name = state.names.of_version(version)
                self.cluster.delete(DEPLOYMENT, name)
                self._wait(partial(self._is_gone, name), f"the end of {name}")
        other = state.record_of(record.version)
        if other is not None and state.is_kept(record.version) and not record.is_same(other):
            message = (
                f"Version {record.version} of model '{record.model}' is served already and is bundle {other.digest}, "
                f"not {record.digest}: the model registry was made anew since. Delete the old Deployment "
                f"'{state.names.of_version(record.version)}' in namespace '{self.cluster.namespace}' if that is meant."
            )
            raise ConfigurationError(message)

    def _is_gone(self, name: str) -> bool:
        return self.cluster.read(DEPLOYMENT, name) is None

    def _make(self, served: ServedVersion) -> Manifest:
        known = self.cluster.read(DEPLOYMENT, served.name)
        if known is not None and served.names.selecting.items() - (known["metadata"].get("labels") or {}).items():
            message = f"Deployment '{served.name}' in namespace '{self.cluster.namespace}' is of something else: "
            raise ConfigurationError(f"{message}rename the model, or give its project a namespace of its own.")
        # First, as the others name its uid as their owner.
        made = self.cluster.apply(DEPLOYMENT, manifests.deployment(served))
        owner = manifests.owner_of(made)
        self.cluster.apply(POLICY, manifests.policy(served, owner))
        self.cluster.apply(BUDGET, manifests.budget(served, owner))
        # Last: the pods have their policy before they have an address.
        self.cluster.apply(SERVICE, manifests.version_service(served, owner))
        return made

    def _switch(self, state: ServedState, *, to: int, previous: int | None, older: int | None) -> None:
        """Point the traffic at a version and wait until it arrives there; if it does not, point it back."""
        self._point(state, to=to, previous=previous, older=older)
        try:
            self._wait_for_traffic(state.names, to)
            self._follow(state.names, to)
        except PlatformError:
            # The switch raised the resource version; putting it back needs the new one.
            now = read_state(self.cluster, state.names)
            if state.active is not None:
                self._point(now, to=state.active, previous=state.previous, older=state.older)
            else:
                self.cluster.delete(SERVICE, state.names.traffic, resource_version=now.traffic_version)
            raise

    def _point(self, state: ServedState, *, to: int, previous: int | None, older: int | None) -> None:
        manifest = manifests.traffic_service(
            state.names, active=to, previous=previous, older=older, resource_version=state.traffic_version
        )
        if state.traffic_version is None:
            self.cluster.create(SERVICE, manifest)
        else:
            self.cluster.apply(SERVICE, manifest)

    def _follow(self, names: ServedNames, active: int) -> None:
        """Scale what has the traffic by its load, and let the others hand on the clients that hold a connection."""
        state = read_state(self.cluster, names)
        for version, deployment in state.deployments.items():
            name, placement = names.of_version(version), state.placement(version)
            if version == active:
                # Applied after the switch: before it, the new version has no load to scale by.
                self.cluster.apply(AUTOSCALER, manifests.autoscaler(deployment, placement))
            elif version == state.previous:
                # First: it would set the number of replicas back.
                self.cluster.delete(AUTOSCALER, name)
                # New pods without traffic replace the old ones, which tell their clients to go before they end.
                annotations = {"metadata": {"annotations": {RETIRED_BY: str(active)}}}
                change = {"spec": {"replicas": placement.replicas_at_least, "template": annotations}}
                self.cluster.change(DEPLOYMENT, name, change)

    def _wait_until_ready(self, names: ServedNames, version: int) -> None:
        name, labels = names.of_version(version), names.selecting_version(version)
        why = "its pods are on their way"

        def look() -> bool | None:
            nonlocal why
            # Polled, not watched: a watch breaks off with the API server's time limit and needs the same reading beside
            # it.
            deployment = self.cluster.read(DEPLOYMENT, name)
            if deployment is None:
                raise TemporaryError(f"{name} was removed while it started. Run the step again.")
            if is_ready(deployment):
                return True
            pods = self.cluster.find(POD, labels=labels)
            trouble = trouble_of(deployment, pods)
            if trouble is not None and trouble.is_final:
                raise trouble.error(name)
            why = trouble.text if trouble is not None else self._last_warning(pods) or why
            return None

        def failure() -> TemporaryError:
            return TemporaryError(f"{name} was not ready within {self.start_seconds:g} s: {why}")

        wait_for(look, seconds=self.start_seconds, pause_seconds=self.pause_seconds, failure=failure)

    def _last_warning(self, pods: list[Manifest]) -> str:
        names = [pod["metadata"]["name"] for pod in pods]
        events_of_pods = [
            self.cluster.find(EVENT, fields=f"involvedObject.kind=Pod,involvedObject.name={name}") for name in names
        ]
        return last_warning(event for events in events_of_pods for event in events)

    def _wait_for_traffic(self, names: ServedNames, version: int) -> None:
        url = names.url(names.traffic, self.cluster.namespace)
        where = f"the traffic of {names.traffic} at version {version}"
        self._wait(lambda: self._only_endpoints(names, version), where)
        responses = 0

        def is_switched() -> bool:
            nonlocal responses
            # kube-proxy of each node learns of the new endpoints by itself: one good response proves one node.
            responses = responses + 1 if self._version_at(url) == str(version) else 0
            return responses >= _RESPONSES_IN_A_ROW

        self._wait(is_switched, where)

    def _only_endpoints(self, names: ServedNames, version: int) -> bool:
        """Whether the traffic Service leads to ready pods of this version and to no other."""
        pods = {pod["metadata"]["name"] for pod in self.cluster.find(POD, labels=names.selecting_version(version))}
        slices = self.cluster.find(ENDPOINTS, labels={"kubernetes.io/service-name": names.traffic})
        endpoints = [endpoint for one in slices for endpoint in one.get("endpoints") or []]
        ready = [endpoint for endpoint in endpoints if (endpoint.get("conditions") or {}).get("ready")]
        targets = {(endpoint.get("targetRef") or {}).get("name") for endpoint in ready}
        # An empty slice is no success: between two selectors there may be no endpoint for a moment.
        return bool(targets) and targets <= pods

    def _version_at(self, url: str) -> str:
        try:
            response = (
                request_directly("GET", f"{url}/health")
                if self.cluster.is_inside
                else self._proxied("GET", url, "health")
            )
            return str(json.loads(response.content)["version"])
        # A connection that breaks off during the switch counts as the old version.
        except (TemporaryError, ValueError, KeyError):
            return ""

    def _post_proxied(self, url: str, body: bytes) -> HttpResponse:
        return self._proxied("POST", url, "invocations", body)

    def _proxied(self, method: str, url: str, path: str, body: bytes | None = None) -> HttpResponse:
        host, _, port = url.removeprefix("http://").partition(":")
        return self.cluster.proxied(method, f"{host.partition('.')[0]}:{port}", path, body)

    def _wait(self, is_done: Callable[[], bool], what: str) -> None:
        wait_for(
            lambda: is_done() or None,
            seconds=self.switch_seconds,
            pause_seconds=self.pause_seconds,
            failure=lambda: TemporaryError(f"Waited {self.switch_seconds:g} s for {what} in vain. Run the step again."),
        )
