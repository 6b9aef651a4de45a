"""Artifacts in memory: for tests and notebooks."""

from dataclasses import dataclass, field

from include.packaging.files import Bundle
from include.packaging.oci_image import image_of
from include.stores.artifacts.protocol import ArtifactRegistry


@dataclass
class MemoryArtifacts:
    """See :class:`~include.stores.artifacts.protocol.ArtifactStore`."""

    registry: ArtifactRegistry = field(default_factory=lambda: ArtifactRegistry("registry.invalid", "team"))
    bundles: dict[str, Bundle] = field(default_factory=dict)
    """What was pushed, by reference."""

    def push(self, bundle: Bundle) -> str:
        """Keep a bundle."""
        repository = self.registry.repository(bundle.manifest.project, bundle.manifest.model)
        reference = self.registry.reference(repository, image_of(bundle).manifest.digest)
        self.bundles[reference] = bundle
        return reference

    def exists(self, reference: str) -> bool:
        """Whether it is kept."""
        return reference in self.bundles
