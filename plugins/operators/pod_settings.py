"""
What an installation says of its pods, from the worker's environment: image, namespace, connection, what steps are told.

Values travel in the pod's specification, where everybody who may read pods reads them. So only named variables are
handed on, none of them a secret; secrets are named, and Kubernetes itself puts them into the container.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from include.contract import settings
from include.errors import ConfigurationError

HANDED_ON = (
    settings.TABLES_URI, settings.OBJECTS_URI, settings.TRACKING_URI, settings.SERVING_URI, settings.STATSD,
    "AWS_ALLOW_HTTP", "AWS_CONDITIONAL_PUT", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_REGION",
)  # fmt: skip
"""Variables of the worker that a step's pod gets as they are."""
SECRETS: Mapping[str, tuple[str, ...]] = {
    "ml-s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    "ml-mlflow": ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"),
}
"""Kubernetes Secrets by name, one a connection: their keys, which are the names of the variables as well."""
DEFAULT_NAMESPACE = "ml-steps"
DEFAULT_CONNECTION = "kubernetes_default"
_BY_DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class PodSettings:
    """One installation's."""

    image: str
    """The step image, by digest."""
    namespace: str
    environment: Mapping[str, str]

    @classmethod
    def from_environment(cls, given: Mapping[str, str] | None = None) -> "PodSettings":
        """
        Read the worker's environment.

        :raises ConfigurationError: if the image is not named by digest, or a value holds a password.
        """
        found = os.environ if given is None else given
        image = found.get(settings.STEP_IMAGE, "")
        if not _BY_DIGEST.fullmatch(image):
            message = f"Environment variable {settings.STEP_IMAGE} is '{image}', which names no image by digest"
            raise ConfigurationError(f"{message}, name@sha256:…; 'make images' prints the one that it pushed.")
        return cls(
            image=image,
            namespace=found.get(settings.STEP_NAMESPACE) or DEFAULT_NAMESPACE,
            environment={name: _open(name, found[name]) for name in HANDED_ON if found.get(name)},
        )


def connection_id() -> str:
    """The Airflow connection to the cluster."""
    return os.environ.get(settings.KUBERNETES_CONNECTION) or DEFAULT_CONNECTION


def secret_of_connection(name: str) -> tuple[str, str]:
    """Of a SQL source's connection: the Kubernetes Secret, and the variable that is its key and holds the URL."""
    return f"ml-connection-{name.replace('_', '-')}", f"ML_CONNECTION_{name.upper()}"


def _open(name: str, value: str) -> str:
    """The value, if everybody may read it."""
    if "://" in value and "@" in urlsplit(value).netloc:
        message = f"Environment variable {name} holds a user or a password, which everybody who reads pods would see"
        raise ConfigurationError(f"{message}. Put them into the Kubernetes Secrets {' and '.join(SECRETS)} instead.")
    return value
