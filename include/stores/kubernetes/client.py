"""
The API server of Kubernetes, through the official client's REST layer, with objects as plain JSON.

Everything that the API server or the network refuses becomes an error of the tree here. Nothing is cached: each call
reads what the API server has now. ADR 0021 states why ``kubernetes.dynamic`` is not used.
"""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from include.errors import ConfigurationError, PlatformError, TemporaryError, foreign
from include.stores.http import HttpResponse
from include.stores.kubernetes.protocol import SERVICE, ConflictError, Kind, Manifest
from include.stores.kubernetes.refusals import refusal_of

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, ApiException

# Server-side apply records the owner of each field by this name: renamed, the old fields would never be removed.
FIELD_MANAGER = "ml-platform-deploy"
# To connect and to read. The client itself sets no limit: a silent API server would hold up a step until its task ends.
_TIMEOUT_SECONDS = (5, 30)
_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
# Apply is defined for YAML; JSON is valid YAML, so the body stays JSON.
_APPLY, _MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
_VERBS = {"GET": "get", "PATCH": "patch", "POST": "create", "DELETE": "delete"}


@dataclass(frozen=True)
class ApiCluster:
    """See :class:`~include.stores.kubernetes.protocol.Cluster`; one namespace, through the API server."""

    client: "ApiClient"
    namespace: str
    is_inside: bool

    def version(self) -> tuple[int, int]:
        """Major and minor version of the API server."""
        version = self._requested("GET", "/version", "the version")
        # Providers write "35+".
        digits = "".join(character for character in str(version["minor"]) if character.isdigit())
        return int(version["major"]), int(digits)

    def read(self, kind: Kind, name: str) -> Manifest | None:
        """One object; None if there is none, or it is on its way out."""
        try:
            manifest = self._requested("GET", kind.path(self.namespace, name), self._shown(kind, name))
        except _GoneError:
            return None
        # Kubernetes keeps an object with a deletion timestamp until its finalizers and grace period are over.
        return None if manifest["metadata"].get("deletionTimestamp") else manifest

    def find(self, kind: Kind, *, labels: Mapping[str, str] | None = None, fields: str = "") -> list[Manifest]:
        """Objects that have all these labels, without those on their way out; pods are there until they have ended."""
        query = {"labelSelector": selector_of(labels or {}), "fieldSelector": fields}
        given = {name: value for name, value in query.items() if value}
        listing = self._requested("GET", kind.path(self.namespace), self._shown(kind), query=given)
        # Go writes a list that was never filled as null.
        items: list[Manifest] = listing.get("items") or []
        return [item for item in items if not item["metadata"].get("deletionTimestamp")]

    def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        """
        Make an object.

        :raises ConflictError: if there is one of this name.
        """
        name, query = manifest["metadata"]["name"], {"fieldManager": FIELD_MANAGER}
        body = self._completed(kind, manifest)
        return self._requested("POST", kind.path(self.namespace), self._shown(kind, name), body=body, query=query)

    def apply(self, kind: Kind, manifest: Manifest) -> Manifest:
        """
        Make an object, or make it so: server-side apply.

        :raises ConflictError: if the manifest names a resource version, and the object has another by now.
        """
        # Without force, a field that somebody edited by hand would make every later deployment fail.
        name, query = manifest["metadata"]["name"], {"fieldManager": FIELD_MANAGER, "force": "true"}
        body, what = self._completed(kind, manifest), self._shown(kind, name)
        path = kind.path(self.namespace, name)
        return self._requested("PATCH", path, what, body=body, query=query, content_type=_APPLY)

    def change(self, kind: Kind, name: str, change: Manifest) -> None:
        """Change some fields of an object; nothing if there is none."""
        # Not an apply: that removes the fields which the same manager owned and the change leaves out.
        path, query = kind.path(self.namespace, name), {"fieldManager": FIELD_MANAGER}
        try:
            self._requested("PATCH", path, self._shown(kind, name), body=change, query=query, content_type=_MERGE)
        except _GoneError:
            return

    def delete(self, kind: Kind, name: str, *, resource_version: str | None = None) -> None:
        """
        Delete an object, and what it owns; nothing if there is none.

        :param resource_version: only if it still has this one.
        """
        # Stated, as the default depends on the kind and client: a Job, for one, leaves its pods behind.
        options: Manifest = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if resource_version is not None:
            options["preconditions"] = {"resourceVersion": resource_version}
        try:
            self._requested("DELETE", kind.path(self.namespace, name), self._shown(kind, name), body=options)
        except _GoneError:
            return

    def proxied(self, method: str, service: str, path: str, body: bytes | None = None) -> HttpResponse:
        """Send a request to a Service through the API server's proxy."""
        from kubernetes.client import ApiException

        target = f"{SERVICE.path(self.namespace, service)}/proxy/{path}"
        # call_api serializes the body itself, and fails on bytes.
        document = None if body is None else json.loads(body)
        try:
            self._call(method, target, document, {}, "application/json")
        except ApiException as error:
            # Through the proxy, the status of the Service and that of the API server look alike; only the body differs.
            if not error.status or refusal_of(error).is_from_api_server:
                raise _not_proxied(error, service, self.namespace) from error
            return HttpResponse(error.status, {}, str(error.body or "").encode())
        # ``call_api`` returns the body alone; the headers, which name the model, are in the client's last response.
        response = self.client.last_response
        headers = {name.lower(): value for name, value in response.getheaders().items()}
        content = response.data if isinstance(response.data, bytes) else response.data.encode()
        return HttpResponse(response.status, headers, content)

    def _shown(self, kind: Kind, name: str = "") -> str:
        return f"{kind.plural} '{name}'" if name else kind.plural

    def _completed(self, kind: Kind, manifest: Manifest) -> Manifest:
        return {"apiVersion": kind.api_version, "kind": kind.name, **manifest}

    def _requested(
        self,
        method: str,
        path: str,
        what: str,
        *,
        body: Manifest | None = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Manifest:
        from kubernetes.client import ApiException

        try:
            return self._call(method, path, body, query or {}, content_type)
        except ApiException as error:
            raise _translated(error, method, what, self.namespace) from error

    def _call(
        self, method: str, path: str, body: Manifest | None, query: Mapping[str, str], content_type: str
    ) -> Manifest:
        from urllib3.exceptions import HTTPError

        try:
            document: Manifest = self.client.call_api(
                path,
                method,
                query_params=list(query.items()),
                header_params={"Accept": "application/json", "Content-Type": content_type},
                body=body,
                # As JSON: the client's models drop fields that are newer than they are.
                response_types_map={200: "object", 201: "object", 202: "object"},
                # Without it call_api sends the request unsigned, even where the kubeconfig holds a token.
                auth_settings=["BearerToken"],
                _return_http_data_only=True,
                _request_timeout=_TIMEOUT_SECONDS,
            )
        # urllib3 raises after its own retries; the client does not turn these into ApiException.
        except (HTTPError, OSError) as error:
            message = f"The API server at {self.client.configuration.host} does not answer: {foreign(error)}. "
            raise TemporaryError(message + "Run the step again when it does.") from error
        return document


class _GoneError(ConfigurationError):
    """The object, or its namespace, does not exist."""


def open_cluster(namespace: str, environment: Mapping[str, str]) -> ApiCluster:
    """
    The cluster that this process is a pod of, or the one that ``KUBECONFIG`` names.

    :raises ConfigurationError: if there is neither.
    """
    from kubernetes import client, config

    # A configuration of its own: the library's default one is a global that Airflow's provider changes as well.
    configuration = client.Configuration()
    # The variable alone is not enough: a pod with automountServiceAccountToken: false has it and no token.
    is_inside = "KUBERNETES_SERVICE_HOST" in environment and _TOKEN.is_file()
    try:
        if is_inside:
            config.load_incluster_config(client_configuration=configuration)
        else:
            path = environment.get("KUBECONFIG")
            config.load_kube_config(config_file=path, client_configuration=configuration)
    except (config.ConfigException, OSError) as error:
        message = f"There is no cluster to serve models in: {foreign(error)}. In a pod the step needs the token of its "
        raise ConfigurationError(f"{message}service account; elsewhere KUBECONFIG names the cluster.") from error
    return ApiCluster(client.ApiClient(configuration), namespace, is_inside=is_inside)


def selector_of(labels: Mapping[str, str]) -> str:
    """Labels as the API server's lists take them."""
    return ",".join(f"{name}={value}" for name, value in labels.items())


def _translated(error: "ApiException", method: str, what: str, namespace: str) -> PlatformError:
    status, verb = int(error.status or 0), _VERBS[method]
    text = f"The API server does not {verb} {what} in namespace '{namespace}': {_reason(error)}"
    # For an object that is to be made, 404 means its namespace.
    if status == http.client.NOT_FOUND:
        return _GoneError(f"{text} Is the namespace there?")
    # A used-up quota is 403 like a missing right, and passes by itself.
    if status in {http.client.UNAUTHORIZED, http.client.FORBIDDEN}:
        if refusal_of(error).is_quota:
            return TemporaryError(f"{text} Free some of it, or raise the quota.")
        return ConfigurationError(f"{text} The service account of this step needs verb '{verb}' on it.")
    if status == http.client.CONFLICT:
        return ConflictError(f"{text} Somebody else changed it in the meantime; run the step again.")
    # 429 comes from priority and fairness of the API server: the same request succeeds later.
    is_refused = http.client.BAD_REQUEST <= status < http.client.INTERNAL_SERVER_ERROR
    if is_refused and status != http.client.TOO_MANY_REQUESTS:
        return ConfigurationError(text)
    return TemporaryError(text)


def _not_proxied(error: "ApiException", service: str, namespace: str) -> PlatformError:
    if error.status in {http.client.UNAUTHORIZED, http.client.FORBIDDEN}:
        message = f"The API server does not pass requests on to {service} in namespace '{namespace}': {_reason(error)}"
        return ConfigurationError(f"{message} Outside the cluster one needs the right to 'services/proxy'.")
    message = f"The model server does not answer at {service} in namespace '{namespace}': {_reason(error)}"
    return TemporaryError(message)


def _reason(error: "ApiException") -> str:
    """The API server's message, as a sentence."""
    text = refusal_of(error).message or foreign(f"{error.status} {error.reason}")
    return text if text.endswith((".", "…")) else f"{text}."
