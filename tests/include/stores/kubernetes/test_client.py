from pathlib import Path
from typing import Any
from unittest.mock import Mock, create_autospec

import pytest
import urllib3
from kubernetes.client import ApiClient, ApiException, Configuration

from include.errors import ConfigurationError, PlatformError, TemporaryError
from include.stores.kubernetes.client import FIELD_MANAGER, ApiCluster, open_cluster, selector_of
from include.stores.kubernetes.protocol import AUTOSCALER, DEPLOYMENT, SERVICE, Cluster, ConflictError, Kind
from tests.support.servers.api_errors import refused

MANIFEST = {"metadata": {"name": "delay"}, "spec": {}}


@pytest.fixture
def client() -> Any:
    result = create_autospec(ApiClient, instance=True)
    result.configuration = create_autospec(Configuration, instance=True, host="https://cluster.example")
    return result


@pytest.fixture
def cluster(client: Any) -> Cluster:
    return ApiCluster(client, "models", is_inside=False)


def requested(client: Any) -> tuple[Any, ...]:
    """Path, method, query, content type and body of the last call."""
    (path, method), named = client.call_api.call_args
    return path, method, dict(named["query_params"]), named["header_params"]["Content-Type"], named["body"]


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (SERVICE, "/api/v1/namespaces/models/services/delay"),
        (DEPLOYMENT, "/apis/apps/v1/namespaces/models/deployments/delay"),
        (AUTOSCALER, "/apis/autoscaling/v2/namespaces/models/horizontalpodautoscalers/delay"),
    ],
)
def test_object_is_applied_by_the_server_under_our_name(client: Any, cluster: Cluster, kind: Kind, path: str) -> None:
    client.call_api.return_value = {"made": True}
    assert cluster.apply(kind, MANIFEST) == {"made": True}
    body = {"apiVersion": kind.api_version, "kind": kind.name, **MANIFEST}
    query = {"fieldManager": FIELD_MANAGER, "force": "true"}
    assert requested(client) == (path, "PATCH", query, "application/apply-patch+yaml", body)


def test_every_call_is_bounded_and_signed(client: Any, cluster: Cluster) -> None:
    client.call_api.return_value = {"metadata": {}}
    cluster.read(SERVICE, "delay")
    named = client.call_api.call_args.kwargs
    assert named["_request_timeout"] == (5, 30)
    assert named["auth_settings"] == ["BearerToken"]


def test_what_is_gone_or_going_is_none(client: Any, cluster: Cluster) -> None:
    client.call_api.side_effect = refused(404)
    assert cluster.read(SERVICE, "delay") is None
    cluster.delete(SERVICE, "delay")
    cluster.change(SERVICE, "delay", {})
    client.call_api.side_effect = [{"metadata": {"deletionTimestamp": "now"}}, {"items": [{"metadata": {}}]}]
    assert cluster.read(SERVICE, "delay") is None
    assert cluster.find(SERVICE, labels={"a": "1", "b": "2"}) == [{"metadata": {}}]
    assert requested(client)[2] == {"labelSelector": "a=1,b=2"}


def test_delete_takes_only_what_it_means(client: Any, cluster: Cluster) -> None:
    client.call_api.return_value = {}
    cluster.delete(DEPLOYMENT, "delay", resource_version="7")
    body = requested(client)[4]
    assert body["preconditions"] == {"resourceVersion": "7"}
    assert body["propagationPolicy"] == "Background"


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (
            refused(403, message="denied"),
            ConfigurationError,
            r"does not patch services 'delay' in namespace 'models': denied\.",
        ),
        (refused(403, message="denied"), ConfigurationError, "needs verb 'patch'"),
        (refused(403, message="x is forbidden: exceeded quota: q"), TemporaryError, "raise the quota"),
        (refused(401), ConfigurationError, "does not patch services"),
        (refused(404, message="no namespace"), ConfigurationError, "Is the namespace there"),
        (refused(409), ConflictError, "Somebody else changed it"),
        (refused(422, message="spec.x: Required"), ConfigurationError, "spec.x: Required"),
        (refused(429), TemporaryError, "because"),
        (refused(500), TemporaryError, "because"),
        (ApiException(status=0, reason="SSLError"), TemporaryError, "SSLError"),
        (urllib3.exceptions.MaxRetryError(None, "/x", "refused"), TemporaryError, "https://cluster.example does not"),  # type: ignore[arg-type]
        (OSError("broken"), TemporaryError, "does not answer: broken"),
    ],
)
def test_every_refusal_is_an_error_of_the_tree(
    client: Any, cluster: Cluster, error: Exception, expected: type[PlatformError], message: str
) -> None:
    client.call_api.side_effect = error
    with pytest.raises(expected, match=message):
        cluster.apply(SERVICE, MANIFEST)


def test_twin_of_an_object_is_a_conflict(client: Any, cluster: Cluster) -> None:
    client.call_api.side_effect = refused(409, message="already exists")
    with pytest.raises(ConflictError, match="does not create services 'delay'"):
        cluster.create(SERVICE, MANIFEST)


def test_version_is_read_whatever_the_provider_adds(client: Any, cluster: Cluster) -> None:
    client.call_api.return_value = {"major": "1", "minor": "35+"}
    assert cluster.version() == (1, 35)


def test_response_of_a_service_comes_through_the_api_server(client: Any, cluster: Cluster) -> None:
    client.last_response = Mock(status=200, data='{"predictions": []}')
    client.last_response.getheaders.return_value = {"X-Model-Version": "3"}
    response = cluster.proxied("POST", "delay:8080", "invocations", b'{"a": 1}')
    assert (response.status, response.content) == (200, b'{"predictions": []}')
    assert response.headers == {"x-model-version": "3"}
    assert requested(client)[0] == "/api/v1/namespaces/models/services/delay:8080/proxy/invocations"
    assert requested(client)[4] == {"a": 1}


def test_refusal_of_the_service_is_a_response_and_that_of_the_api_server_is_not(client: Any, cluster: Cluster) -> None:
    own = ApiException(status=400, reason="Bad Request")
    own.body = '{"message": "unknown column"}'
    client.call_api.side_effect = own
    assert cluster.proxied("POST", "delay:8080", "invocations", b"{}").status == 400
    client.call_api.side_effect = refused(503, message="no endpoints available")
    with pytest.raises(TemporaryError, match=r"does not answer at delay:8080.*no endpoints available"):
        cluster.proxied("GET", "delay:8080", "health")
    client.call_api.side_effect = refused(403, message="no")
    with pytest.raises(ConfigurationError, match="services/proxy"):
        cluster.proxied("GET", "delay:8080", "health")


@pytest.mark.parametrize("content", [None, "", "{}", "apiVersion: v1\nkind: Config\ncurrent-context: gone\n"])
def test_machine_without_a_cluster_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"no cluster to serve models in: .*KUBECONFIG names the cluster"):
        open_cluster("models", {"KUBECONFIG": str(path)})


def test_labels_select_all_together() -> None:
    assert selector_of({"a": "1", "b": "2"}) == "a=1,b=2"
