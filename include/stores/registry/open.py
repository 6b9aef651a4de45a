"""
The model registry: MLflow behind ``RegistryStore``.

MLflow's own defaults would let a step hang for minutes where the server is gone, print links into the log, draw
progress bars, and phone home; all that is switched off before it is imported. Whether the server responds is checked
once, at first use.
"""

import http.client
import os
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from include.contract import settings
from include.errors import ConfigurationError, TemporaryError
from include.stores.http import HttpClient, NoResponseError
from include.stores.retry import RETRY_SECONDS, retried

if TYPE_CHECKING:
    from include.stores.registry.protocol import RegistryStore

RESPONSE_TIMEOUT_SECONDS = 10
_QUIET = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # A model of the registry is never unpickled (ADR 8).
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # MLflow imports GitPython, which warns on standard error where git is not installed, as in the step image.
    "GIT_PYTHON_REFRESH": "quiet",
}
_HTTP_RETRIES = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "5",
}
"""
Seconds and attempts of one request to a server that responded before; an installation may set its own. A server that is
away is waited for 70 s (0, 10, 20, 40); one that accepts each of the five attempts and never responds holds up a
request for less than three minutes, and so for less than the mutex may be held (``include.coordination.mutex``).
"""


def open_registry(uri: str) -> "RegistryStore":
    """
    The registry at an address.

    :param uri: ``http://host:port`` or ``https://…`` of an MLflow server.
    :raises ConfigurationError: if it is none.
    :raises TemporaryError: if the server does not answer.
    """
    parts = urlsplit(uri)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        message = f"{settings.TRACKING_URI} is '{uri}'; the address of an MLflow server is expected: http://host:5000."
        raise ConfigurationError(message)
    # MLflow reads these when it is imported.
    os.environ.update(_QUIET)
    for name, value in _HTTP_RETRIES.items():
        # setdefault: an installation behind a slow proxy may need other limits.
        os.environ.setdefault(name, value)
    retried(lambda: check_health(parts), seconds=RETRY_SECONDS)
    # After the variables are set.
    from include.stores.registry.mlflow import MlflowRegistry
    from include.stores.registry.rest import RegistryServer

    return MlflowRegistry(RegistryServer(uri.rstrip("/"), shown(parts)))


def shown(parts: SplitResult) -> str:
    """The address without a user's name and password."""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def check_health(parts: SplitResult, *, timeout_seconds: float = RESPONSE_TIMEOUT_SECONDS) -> None:
    """
    Check that anything responds at an address, within seconds; by way of a proxy where the environment names one.

    :raises TemporaryError: if nothing responds, or with a server error.
    """
    try:
        response = HttpClient(timeout_seconds=timeout_seconds).request("GET", f"{shown(parts)}/health")
    except NoResponseError as error:
        why = str(error)
    else:
        if response.status < http.client.INTERNAL_SERVER_ERROR:
            return  # whether it accepts the credentials shows with the first call
        why = f"HTTP {response.status}"
    message = f"MLflow at {shown(parts)} does not answer: {why}. Is the server running? {settings.TRACKING_URI} names "
    raise TemporaryError(message + "its address.")
