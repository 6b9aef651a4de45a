"""The artifact registry at an address."""

from collections.abc import Mapping

from include.contract import settings
from include.errors import ConfigurationError
from include.stores.artifacts.http import ArtifactRegistryClient, Credentials
from include.stores.artifacts.oci import OciArtifacts
from include.stores.artifacts.protocol import ArtifactRegistry, ArtifactStore


def open_artifacts(address: str, environment: Mapping[str, str]) -> ArtifactStore:
    """
    The address at an address.

    :param address: the value of ``ML_ARTIFACT_REGISTRY``.
    :param environment: holds the user's name and password, where the address wants them.
    :raises ConfigurationError: if it is no address, or only one of name and password is set.
    """
    registry = ArtifactRegistry.parse(address)
    username = environment.get(settings.ARTIFACT_REGISTRY_USERNAME, "")
    password = environment.get(settings.ARTIFACT_REGISTRY_PASSWORD, "")
    if bool(username) != bool(password):
        missing = settings.ARTIFACT_REGISTRY_PASSWORD if username else settings.ARTIFACT_REGISTRY_USERNAME
        raise ConfigurationError(f"Environment variable {missing} is not set, though its twin is; set both or none.")
    credentials = Credentials(username, password) if username else None
    return OciArtifacts(
        registry, ArtifactRegistryClient(registry.host, is_plain=registry.is_plain, credentials=credentials)
    )
