"""What a served model's objects on Kubernetes are called, and their labels."""

import re
from dataclasses import dataclass

from include.errors import ConfigurationError
from include.stores.kubernetes.protocol import Manifest
from include.stores.serving.control import ModelRecord

MANAGED_BY = {"app.kubernetes.io/managed-by": "ml-platform"}
PROJECT, MODEL, VERSION = "ml-platform.org/project", "ml-platform.org/model", "ml-platform.org/version"
"""Labels."""
DIGEST, BUNDLE_BY = "ml-platform.org/bundle", "ml-platform.org/bundle-by"
PLACEMENT = "ml-platform.org/placement"
"""Annotations of a version's Deployment."""
PREVIOUS, OLDER = "ml-platform.org/previous", "ml-platform.org/older"
"""Annotations of the traffic Service: the version before the active one, and the one before that while it is there."""
RETIRED_BY = "ml-platform.org/retired-by"
"""Annotation of a version's pods: the version that has taken over from it. They are started again with it."""
PORT = 8080
_NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
# DNS labels: RFC 1035 for Services, which must begin with a letter.
_NAME_LIMIT = 63


@dataclass(frozen=True)
class ServedNames:
    """One model of one project in one namespace."""

    project: str
    model: str

    @property
    def traffic(self) -> str:
        """The Service that clients use; its name never changes."""
        return _checked(self.model.replace("_", "-"), self.model)

    def of_version(self, version: int) -> str:
        """Everything that belongs to one version."""
        return _checked(f"{self.traffic}-v{version}", self.model)

    @property
    def selecting(self) -> dict[str, str]:
        """Labels of everything of the model."""
        return {PROJECT: self.project, MODEL: self.model}

    def selecting_version(self, version: int) -> dict[str, str]:
        """Labels of everything of one version, its pods above all."""
        return {**self.selecting, VERSION: str(version)}

    def url(self, service: str, namespace: str) -> str:
        """Address of a Service inside the cluster."""
        return f"http://{service}.{namespace}.svc:{PORT}"


def names_of(record: ModelRecord) -> ServedNames:
    """The names of a version's model."""
    return ServedNames(record.project, record.model)


def record_in(deployment: Manifest, namespace: str) -> ModelRecord:
    """The version that a Deployment of ours is labelled with."""
    metadata = deployment["metadata"]
    labels, annotations = metadata["labels"], metadata.get("annotations") or {}
    names = ServedNames(labels[PROJECT], labels[MODEL])
    return ModelRecord(
        project=names.project,
        model=names.model,
        version=int(labels[VERSION]),
        digest=annotations.get(DIGEST, ""),
        url=names.url(metadata["name"], namespace),
        bundle_by=annotations.get(BUNDLE_BY),
    )


def _checked(name: str, model: str) -> str:
    if len(name) > _NAME_LIMIT or not _NAME.fullmatch(name):
        message = (
            f"Model '{model}' cannot be served on Kubernetes: '{name}' is no name of a Service there. Let the model's "
            f"name in project.yaml end with a letter or digit, and keep it to {_NAME_LIMIT - 10} characters."
        )
        raise ConfigurationError(message)
    return name
