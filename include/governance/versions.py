"""
The tags of a registered version, and the sealed bundle behind it.

A version is made of a sealed bundle only: its tags name the bundle's digest, the end of the data that it learned from,
and the document that holds the evidence. Whoever serves or scores with a version reads the bundle by that digest.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from include.errors import DataRejectedError
from include.packaging.files import Bundle
from include.stores.objects.bundles import sealed_bundle
from include.stores.objects.protocol import ObjectStore
from include.stores.registry.protocol import ModelVersion, RegistryStore

CHAMPION = "champion"
"""The alias of the version that is served."""
EVIDENCE = "evidence.json"
"""Beside the bundle's files: what the version was made from and how it was evaluated."""

# Written into MLflow by every version so far: these names cannot change.
_PROJECT, _DIGEST, _PARTITION, _EVIDENCE = (
    "platform.project",
    "platform.bundle",
    "platform.partition",
    "platform.evidence",
)
_SEALED = "platform.sealed"
_ARTIFACT = "platform.artifact"


@dataclass(frozen=True, kw_only=True)
class SealedVersion:
    """A registered version of a sealed bundle."""

    model: str
    version: int
    run_id: str
    project: str
    digest: str
    """Digest of the bundle."""
    partition: str
    """The last partition of the window that the model learned from."""
    artifact: str | None = None
    """Reference of the bundle in the OCI registry; None where the installation had none when it was packaged."""

    def bundle(self, objects: ObjectStore) -> Bundle:
        """
        Its bundle, every file compared with its digest.

        :raises DataRejectedError: if a file is gone or changed.
        """
        return sealed_bundle(objects, self.project, self.digest)


def version_tags(project: str, digest: str, partition: str, evidence: str) -> dict[str, str]:
    """
    The tags of a version.

    :param evidence: key of the document that holds the evidence.
    """
    return {_PROJECT: project, _DIGEST: digest, _PARTITION: partition, _EVIDENCE: evidence, _SEALED: "yes"}


def artifact_tags(reference: str) -> dict[str, str]:
    """The tag of a version whose bundle lies in an OCI registry."""
    return {_ARTIFACT: reference}


def identifying_tags(project: str, digest: str) -> Mapping[str, str]:
    """The tags that identify the one version of a bundle."""
    return {_PROJECT: project, _DIGEST: digest}


def sealed_version(registered: ModelVersion) -> SealedVersion:
    """
    Read a version's tags.

    :raises DataRejectedError: if the version was not made by the package step.
    """
    # Anybody may register a version in MLflow's UI; only those of the package step have a bundle behind them.
    missing = [name for name in (_SEALED, _PROJECT, _DIGEST, _PARTITION) if not registered.tags.get(name)]
    if missing:
        message = (
            f"Version {registered.version} of model '{registered.name}' is not sealed: it has no tag {missing[0]}. "
            "Only versions that the package step registered are used."
        )
        raise DataRejectedError(message)
    return SealedVersion(
        model=registered.name,
        version=registered.version,
        run_id=registered.run_id,
        project=registered.tags[_PROJECT],
        digest=registered.tags[_DIGEST],
        partition=registered.tags[_PARTITION],
        artifact=registered.tags.get(_ARTIFACT) or None,
    )


def version_of_bundle(registry: RegistryStore, model: str, version: int, digest: str, *, advice: str) -> SealedVersion:
    """
    A version by its number, if it is still of the bundle that somebody wrote down.

    :param digest: of that bundle.
    :param advice: what to do if it is not; ends the error's message.
    :raises DataRejectedError: if it is gone, is not sealed, or names another bundle.
    """
    registered = registry.version(model, version)
    if registered is None:
        raise DataRejectedError(f"Version {version} of model '{model}' is not in the registry any more. {advice}")
    sealed = sealed_version(registered)
    if sealed.digest != digest:
        message = f"Version {version} of model '{model}' is of bundle {sealed.digest}, not {digest}: its tags were "
        raise DataRejectedError(f"{message}changed. {advice}")
    return sealed


def champion(registry: RegistryStore, model: str) -> SealedVersion | None:
    """
    The version that is served according to the registry; None if there is none yet.

    :raises DataRejectedError: if it is not sealed.
    """
    registered = registry.alias(model, CHAMPION)
    return None if registered is None else sealed_version(registered)
