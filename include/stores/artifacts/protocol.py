"""
Models as OCI artifacts: a sealed bundle in the installation's registry, named by digest.

A serving pod mounts the artifact read-only, so that the image that serves stays the same from model to model.
"""

import re
from dataclasses import dataclass
from typing import Protocol

from include.contract import settings
from include.errors import ConfigurationError
from include.packaging.files import Bundle

# Repository names are lower case by the distribution spec; host names are not.
_ADDRESS = re.compile(r"[A-Za-z0-9.-]+(:\d+)?(/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
# By digest only: a tag may be moved, and a pod that is started again would then serve another model.
_REFERENCE = re.compile(r"(?P<host>[^/@]+)/(?P<path>[^@:]+)@(?P<digest>sha256:[0-9a-f]{64})")
_MODELS = "ml-platform/models"


class ArtifactStore(Protocol):
    """Where sealed bundles are pushed to; the same bundle always has the same reference."""

    def push(self, bundle: Bundle) -> str:
        """
        Push a bundle; what is there already is not pushed again.

        :return: its reference: ``registry/path@sha256:…``, without a scheme, as pods name it.
        :raises TemporaryError: if the registry does not answer.
        :raises ConfigurationError: if it refuses us.
        """

    def exists(self, reference: str) -> bool:
        """Whether everything that a reference names is there: its manifest and each blob of it."""


@dataclass(frozen=True)
class ArtifactRegistry:
    """The beginning of every name in a registry."""

    host: str
    """``registry.example.org``, with its port where it has one."""
    path: str
    """``team``; may be empty."""
    is_plain: bool = False
    """Spoken to without TLS."""

    @classmethod
    def parse(cls, text: str) -> "ArtifactRegistry":
        """
        Read ``registry.example.org/team``, or ``http://10.0.0.1:5000/team`` for no TLS.

        :raises ConfigurationError: if it is neither.
        """
        scheme, separator, rest = text.rpartition("://")
        address = rest.rstrip("/")
        if (separator and scheme not in {"http", "https"}) or not _ADDRESS.fullmatch(address):
            message = f"{settings.ARTIFACT_REGISTRY} is '{text}'; write registry.example.org/team, "
            raise ConfigurationError(f"{message}http:// before it for no TLS.")
        host, _, path = address.partition("/")
        return cls(host, path, is_plain=scheme == "http")

    def repository(self, project: str, model: str) -> str:
        """Path of a model's artifacts in the registry."""
        return "/".join(part for part in (self.path, _MODELS, project, model) if part)

    def reference(self, repository: str, digest: str) -> str:
        """Name of one artifact, as pods name it."""
        return f"{self.host}/{repository}@{digest}"


@dataclass(frozen=True)
class ArtifactName:
    """A reference, taken apart."""

    host: str
    repository: str
    digest: str

    @classmethod
    def parse(cls, reference: str) -> "ArtifactName":
        """
        Read ``registry/path@sha256:…``.

        :raises ConfigurationError: if it is no reference by digest.
        """
        parts = _REFERENCE.fullmatch(reference)
        if not parts:
            message = f"'{reference}' is no reference of an artifact; registry/path@sha256:… is expected."
            raise ConfigurationError(message)
        return cls(parts["host"], parts["path"], parts["digest"])
