from collections.abc import Iterator

import pytest

from include.errors import ConfigurationError, TemporaryError
from include.stores.artifacts.http import ArtifactRegistryClient, Credentials
from include.stores.retry import Backoff
from tests.support.servers.mlflow_server import free_port
from tests.support.servers.oci_registry import USER, Registry, running_registry


@pytest.fixture
def registry() -> Iterator[Registry]:
    with running_registry() as result:
        result.blobs["sha256:1"] = b"content"
        yield result


def http_of(registry: Registry, credentials: Credentials | None = None) -> ArtifactRegistryClient:
    return ArtifactRegistryClient(registry.host, is_plain=True, credentials=credentials, backoff=Backoff(0.001))


def test_registry_that_is_out_of_breath_is_retried(registry: Registry) -> None:
    registry.failures = 3
    assert http_of(registry).request("GET", "/v2/a/blobs/sha256:1").content == b"content"
    assert registry.count("GET") == 4


def test_registry_that_stays_out_of_breath_is_a_temporary_error(registry: Registry) -> None:
    registry.failures = 99
    with pytest.raises(
        TemporaryError, match=r"does not answer: HTTP 503: out of breath.*ML_ARTIFACT_REGISTRY.* It was tried 4 times"
    ):
        http_of(registry).request("GET", "/v2/a/blobs/sha256:1")


def test_registry_that_is_not_there_is_a_temporary_error() -> None:
    with pytest.raises(TemporaryError, match="Connection refused"):
        ArtifactRegistryClient(f"127.0.0.1:{free_port()}", is_plain=True, backoff=Backoff(0.001)).request("GET", "/v2/")


@pytest.mark.parametrize("way", ["basic", "bearer"])
def test_user_signs_in_as_the_registry_wants_it(registry: Registry, way: str) -> None:
    registry.wants = way
    http = http_of(registry, Credentials(*USER))
    for _ in range(2):
        assert http.request("GET", "/v2/a/blobs/sha256:1").status == 200
    assert registry.requests.count("GET /v2/a/blobs/sha256:1") == 3
    assert registry.requests.count("GET /token") == (way == "bearer")


@pytest.mark.parametrize("way", ["basic", "bearer"])
@pytest.mark.parametrize("credentials", [None, Credentials("ann", "wrong-canary")])
def test_user_whom_the_registry_does_not_take_is_the_configurations_fault(
    registry: Registry, way: str, credentials: Credentials | None
) -> None:
    registry.wants = way
    http = http_of(registry, credentials)
    with pytest.raises(
        ConfigurationError, match=r"ML_ARTIFACT_REGISTRY_USERNAME and ML_ARTIFACT_REGISTRY_PASSWORD"
    ) as caught:
        http.request("GET", "/v2/a/blobs/sha256:1")
    assert "canary" not in f"{caught.value!r} {http!r}"


def test_what_a_user_may_not_do_is_the_configurations_fault(registry: Registry) -> None:
    registry.forbids = True
    with pytest.raises(ConfigurationError, match="answers 403 to GET /v2/a/blobs/sha256:1; we are nobody there"):
        http_of(registry).request("GET", "/v2/a/blobs/sha256:1")


def test_credentials_are_not_sent_to_another_host(registry: Registry) -> None:
    registry.wants = "basic"
    with running_registry() as other:
        other.wants = "basic"
        http = http_of(registry, Credentials(*USER))
        assert http.request("GET", "/v2/a/blobs/sha256:1").status == 200
        with pytest.raises(ConfigurationError, match="answers 401"):
            http.request("PUT", f"http://{other.host}/v2/a/blobs/uploads/7", b"")
        assert len(other.requests) == 1


def test_token_is_not_fetched_without_tls_from_a_registry_that_has_it(registry: Registry) -> None:
    http = ArtifactRegistryClient(registry.host, credentials=Credentials(*USER))
    with pytest.raises(ConfigurationError, match="which is not safe"):
        http._sign_in('Bearer realm="http://elsewhere.example/token",service="x"')
