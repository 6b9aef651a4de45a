"""The artifact registry at an address."""

from collections.abc import Mapping

from include.contract import settings
from include.errors import ConfigurationError
from include.stores.artifacts.http import ArtifactRegistryClient, Credentials
from include.stores.artifacts.oci import OciArtifacts
from include.stores.artifacts.protocol import ArtifactRegistry, ArtifactStore


def open_artifacts(registry: str, environment: Mapping[str, str]) -> ArtifactStore:
    """
    The registry at an address.

    :param registry: the value of ``ML_ARTIFACT_REGISTRY``.
    :param environment: holds the user's name and password, where the registry wants them.
    :raises ConfigurationError: if it is no address, or only one of name and password is set.
    """
    place = ArtifactRegistry.parse(registry)
    username = environment.get(settings.ARTIFACT_REGISTRY_USERNAME, "")
    password = environment.get(settings.ARTIFACT_REGISTRY_PASSWORD, "")
    if bool(username) != bool(password):
        missing = settings.ARTIFACT_REGISTRY_PASSWORD if username else settings.ARTIFACT_REGISTRY_USERNAME
        raise ConfigurationError(f"Environment variable {missing} is not set, though its twin is; set both or none.")
    credentials = Credentials(username, password) if username else None
    return OciArtifacts(place, ArtifactRegistryClient(place.host, is_plain=place.is_plain, credentials=credentials))
