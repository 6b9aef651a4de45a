"""What a cluster has of a model, read back from its objects; nothing else remembers it."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from include.errors import ConfigurationError
from include.stores.kubernetes.protocol import DEPLOYMENT, SERVICE, Cluster, Manifest
from include.stores.serving.control import ModelRecord, ServingStatus
from include.stores.serving.manifests import version_selected
from include.stores.serving.names import OLDER, PLACEMENT, PREVIOUS, VERSION, ServedNames, record_in
from include.stores.serving.settings import ANYWHERE, Placement


@dataclass(frozen=True, kw_only=True)
class ServedState:
    """A model's versions and where its traffic goes."""

    names: ServedNames
    namespace: str
    deployments: Mapping[int, Manifest]
    """By version."""
    active: int | None
    """The version that the traffic Service points at, whether or not it is there."""
    previous: int | None
    older: int | None
    traffic_version: str | None
    """Resource version of the traffic Service; None where there is none."""

    def is_kept(self, version: int) -> bool:
        """Whether a version has the traffic or had it."""
        return version in {self.active, self.previous, self.older}

    def record_of(self, version: int | None) -> ModelRecord | None:
        """A version that is there."""
        deployment = None if version is None else self.deployments.get(version)
        return None if deployment is None else self.record(deployment)

    def record(self, deployment: Manifest) -> ModelRecord:
        """The version that a Deployment is."""
        return record_in(deployment, self.namespace)

    def placement(self, version: int) -> Placement:
        """How much of the cluster a version was given."""
        annotations = self.deployments[version]["metadata"].get("annotations") or {}
        try:
            return Placement.model_validate_json(annotations.get(PLACEMENT, ""))
        except ValidationError:
            return ANYWHERE

    def status(self) -> ServingStatus:
        """As all model servers report it."""
        candidates = [version for version in self.deployments if not self.is_kept(version)]
        return ServingStatus(
            public_url=self.names.url(self.names.traffic, self.namespace),
            active=self.record_of(self.active),
            previous=self.record_of(self.previous),
            candidate=self.record_of(max(candidates, default=None)),
        )


def read_state(cluster: Cluster, names: ServedNames) -> ServedState:
    """
    What a cluster has of a model.

    :raises ConfigurationError: if the name of its Service is taken by something else.
    """
    traffic = cluster.read(SERVICE, names.traffic)
    metadata: Manifest = {} if traffic is None else traffic["metadata"]
    # Names are the model's, so two projects of one namespace may meet in one Service.
    if traffic is not None and names.selecting.items() - (metadata.get("labels") or {}).items():
        message = (
            f"Service '{names.traffic}' in namespace '{cluster.namespace}' is not that of model '{names.model}' of "
            f"project '{names.project}': rename the model, or give its project a namespace of its own."
        )
        raise ConfigurationError(message)
    deployments = cluster.find(DEPLOYMENT, labels=names.selecting)
    kept = metadata.get("annotations") or {}
    return ServedState(
        names=names,
        namespace=cluster.namespace,
        deployments={int(one["metadata"]["labels"][VERSION]): one for one in deployments},
        # The selector alone decides; the annotations only remember what came before (ADR 15).
        active=None if traffic is None else version_selected(traffic),
        previous=_number(kept.get(PREVIOUS)),
        older=_number(kept.get(OLDER)),
        traffic_version=metadata.get("resourceVersion"),
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None
