"""Each kind of store of artifacts keeps the same promises."""

from collections.abc import Iterator

import pytest

from include.contract import settings
from include.errors import ConfigurationError
from include.stores.artifacts.memory import MemoryArtifacts
from include.stores.artifacts.open import open_artifacts
from include.stores.artifacts.protocol import ArtifactName, ArtifactRegistry, ArtifactStore
from tests.support.servers.oci_registry import running_registry
from tests.support.serving_bundles import bundle

DIGEST = "sha256:" + "a" * 64


@pytest.fixture(params=["memory", "registry"])
def artifacts(request: pytest.FixtureRequest) -> Iterator[ArtifactStore]:
    if request.param == "memory":
        yield MemoryArtifacts()
        return
    with running_registry() as registry:
        yield open_artifacts(registry.setting, {})


def test_bundle_has_one_reference_by_digest(artifacts: ArtifactStore) -> None:
    first, other = artifacts.push(bundle(1)), artifacts.push(bundle(2))
    assert artifacts.push(bundle(1)) == first != other
    name = ArtifactName.parse(first)
    assert name.repository == "team/ml-platform/models/flights/departure_delay"
    assert artifacts.exists(first)
    assert artifacts.exists(other)


def test_what_was_never_pushed_does_not_exist(artifacts: ArtifactStore) -> None:
    reference = artifacts.push(bundle(1))
    assert not artifacts.exists(f"{reference.partition('@')[0]}@{DIGEST}")
    assert not artifacts.exists(f"elsewhere.example/{reference.partition('/')[2]}")


def test_two_registries_give_a_bundle_the_same_digest() -> None:
    with running_registry() as one, running_registry() as two:
        references = [open_artifacts(registry.setting, {}).push(bundle()) for registry in (one, two)]
    assert len({ArtifactName.parse(reference).digest for reference in references}) == 1
    assert ArtifactName.parse(MemoryArtifacts().push(bundle())).digest == ArtifactName.parse(references[0]).digest


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("registry.example.org/team", ArtifactRegistry("registry.example.org", "team")),
        ("https://registry.example.org/a/b-c/", ArtifactRegistry("registry.example.org", "a/b-c")),
        ("http://10.0.0.1:5000/ml", ArtifactRegistry("10.0.0.1:5000", "ml", is_plain=True)),
        ("localhost:5000", ArtifactRegistry("localhost:5000", "")),
    ],
)
def test_address_of_a_registry(text: str, place: ArtifactRegistry) -> None:
    assert ArtifactRegistry.parse(text) == place


@pytest.mark.parametrize("text", ["ftp://registry/team", "registry/Team", "user:pw@registry/team", "http://", "a b"])
def test_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"ML_ARTIFACT_REGISTRY is '.*write registry\.example\.org/team"):
        open_artifacts(text, {})


def test_place_without_a_path_begins_with_the_platform() -> None:
    place = ArtifactRegistry.parse("localhost:5000")
    assert place.repository("flights", "delay") == "ml-platform/models/flights/delay"
    assert place.reference("a/b", DIGEST) == f"localhost:5000/a/b@{DIGEST}"


@pytest.mark.parametrize("reference", ["", "registry/a:1", f"registry@{DIGEST}", "registry/a@sha256:1"])
def test_reference_that_is_none_is_refused(reference: str) -> None:
    with pytest.raises(ConfigurationError, match="is no reference of an artifact"):
        ArtifactName.parse(reference)


@pytest.mark.parametrize("given", [settings.ARTIFACT_REGISTRY_USERNAME, settings.ARTIFACT_REGISTRY_PASSWORD])
def test_name_without_password_is_refused(given: str) -> None:
    with pytest.raises(ConfigurationError, match="is not set, though its twin is") as caught:
        open_artifacts("localhost:5000", {given: "canary"})
    assert "canary" not in str(caught.value)
