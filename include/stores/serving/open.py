"""The model server at an address: the local supervisor or Kubernetes."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from include.contract import settings
from include.errors import ConfigurationError
from include.stores.serving.local import LocalServing
from include.stores.serving.protocol import ServingStore


def open_serving(uri: str, environment: Mapping[str, str]) -> ServingStore:
    """
    The model server at an address.

    :param uri: ``unix:///path`` of the local server's control socket, or ``kubernetes://namespace``.
    :param environment: the installation's other settings of serving: images, where bundles lie.
    :raises ConfigurationError: if it is none.
    """
    parts = urlsplit(uri)
    if parts.scheme == "kubernetes" and parts.netloc and not parts.path.strip("/"):
        from include.stores.serving.kubernetes import open_kubernetes_serving

        return open_kubernetes_serving(parts.netloc, environment)
    if parts.scheme != "unix" or parts.netloc or not parts.path.startswith("/"):
        message = (
            f"{settings.SERVING_URI} is '{uri}'; the path of a control socket is expected, unix:///path, or a "
            "namespace, kubernetes://ml-serving."
        )
        raise ConfigurationError(message)
    return LocalServing(Path(unquote(parts.path)))
