"""
Requests to an MLflow server over its REST API, with nothing but the standard library.

Importing MLflow takes as long as all else that a step does to find its work already done, so that what only reads is
requested here. Methods of logging in that only MLflow's own library knows are left to it.
"""

import base64
import http.client
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from include.errors import PlatformError, TemporaryError, foreign
from include.stores.http import HttpClient, NoResponseError
from include.stores.registry.errors import by_status, mapped, translated
from include.stores.retry import retried

API = "/api/2.0/mlflow/"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
_BYTES_AT_MOST = 8 << 30
"""Of one artifact, which is held in memory; documents are far smaller."""
# Each changes how a request is signed or its server is verified.
_LIBRARY_ONLY = (
    "MLFLOW_TRACKING_AUTH",
    "MLFLOW_TRACKING_AWS_SIGV4",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH",
    "MLFLOW_TRACKING_INSECURE_TLS",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
    "MLFLOW_WORKSPACE",
)


@dataclass(frozen=True)
class RegistryServer:
    """
    One MLflow server.

    :param uri: its address; may carry a user and a password, so it is never shown.
    :param shown: the same for messages.
    """

    uri: str
    shown: str

    def get(self, what: str, path: str, /, **fields: object) -> Any:
        """
        Read a document.

        :param what: what is being done, as the end of "MLflow could not …".
        :param path: below ``/api/2.0/mlflow/``, or a whole one that begins with a slash.
        :param fields: the query; None is left out.
        :raises PlatformError: as ``include.stores.registry.errors`` maps them; it is repeated for a minute
            while the server is away.
        """
        query = urlencode({name: value for name, value in fields.items() if value is not None})
        return self._document(what, f"{_whole(path)}?{query}" if query else _whole(path), None)

    def search(self, what: str, path: str, /, **fields: object) -> Any:
        """Read a document where MLflow wants the query in the body; changes nothing."""
        body = json.dumps({name: value for name, value in fields.items() if value is not None}).encode()
        return self._document(what, _whole(path), body)

    def content(self, what: str, artifact: str) -> bytes:
        """
        The content of one artifact that the server hands on.

        :param artifact: its path below the server's root of artifacts.
        """
        return self._retried(what, f"{ARTIFACTS}/{quote(artifact)}", None)

    def _document(self, what: str, path: str, body: bytes | None) -> Any:
        content = self._retried(what, path, body)
        try:
            return json.loads(content)
        except ValueError as error:
            message = f"MLflow at {self.shown} could not {what}: its response is no JSON ({foreign(error)})."
            raise TemporaryError(message) from error

    def _retried(self, what: str, path: str, body: bytes | None) -> bytes:
        return retried(lambda: self._response(what, path, body), seconds=_retry_seconds())

    def _response(self, what: str, path: str, body: bytes | None) -> bytes:
        failed = f"MLflow at {self.shown} could not {what}"
        try:
            status, content = (
                _requested_by_library(self, path, body) if _needs_library() else self._requested(path, body)
            )
        except NoResponseError as error:
            raise TemporaryError(f"{failed}: {error}") from error
        if status == http.client.OK:
            return content
        raise _refusal(status, content, failed)

    def _requested(self, path: str, body: bytes | None) -> tuple[int, bytes]:
        timeout_seconds = float(os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT") or 20)
        client = HttpClient(timeout_seconds=timeout_seconds, bytes_at_most=_BYTES_AT_MOST)
        method, headers = ("GET", {}) if body is None else ("POST", {"Content-Type": "application/json"})
        # The address without user and password: they go into the header, and no log shows them.
        response = client.request(method, self.shown + path, body, headers, authorization=_credentials(self.uri))
        return response.status, response.content


def _whole(path: str) -> str:
    return path if path.startswith("/") else API + path


def _retry_seconds() -> float:
    """As long as MLflow's library would wait between its attempts: 0, 2, 4 … times the factor."""
    # urllib3 waits nothing before its first retry, then 2, 4, 8 … times the factor.
    retries = int(os.environ.get("MLFLOW_HTTP_REQUEST_MAX_RETRIES") or 4)
    factor = float(os.environ.get("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR") or 5)
    return sum(factor * 2.0**number for number in range(1, retries))


def _credentials(uri: str) -> str | None:
    """The Authorization header: the user of the address, or of MLflow's own variables."""
    parts = urlsplit(uri)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not user:
        # The order in which MLflow's library looks: address, variables, token.
        user = os.environ.get("MLFLOW_TRACKING_USERNAME", "")
        password = os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
    if user and password:
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return f"Bearer {token}" if token else None


def _needs_library() -> bool:
    # ~/.mlflow/credentials counts only where no variable names a user.
    is_named = "MLFLOW_TRACKING_USERNAME" in os.environ or "MLFLOW_TRACKING_TOKEN" in os.environ
    has_file = not is_named and (Path.home() / ".mlflow" / "credentials").exists()
    return has_file or any(os.environ.get(name) for name in _LIBRARY_ONLY)


def _requested_by_library(server: RegistryServer, path: str, body: bytes | None) -> tuple[int, bytes]:
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    with mapped(server.shown, "respond"):
        more = {} if body is None else {"json": json.loads(body)}
        # max_retries=0: retries are ours, outside.
        response = http_request(
            get_default_host_creds(server.uri), path, "GET" if body is None else "POST", max_retries=0, **more
        )
        return int(response.status_code), bytes(response.content)


def _refusal(status: int, content: bytes, failed: str) -> PlatformError:
    try:
        document = json.loads(content)
    except ValueError:
        document = None
    if isinstance(document, dict) and document.get("error_code"):
        code = str(document["error_code"])
        return translated(f"{code}: {document.get('message', '')}", code, failed)
    return by_status(status, f"HTTP {status}: {content[:1000].decode(errors='replace')}", failed)
