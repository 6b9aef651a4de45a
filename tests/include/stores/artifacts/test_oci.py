from collections.abc import Iterator

import pytest

from include.errors import ConfigurationError, TemporaryError
from include.packaging.oci_image import image_of
from include.stores.artifacts.open import open_artifacts
from include.stores.artifacts.protocol import ArtifactStore
from tests.support.servers.oci_registry import Registry, running_registry
from tests.support.serving_bundles import bundle


@pytest.fixture
def registry() -> Iterator[Registry]:
    with running_registry() as result:
        yield result


@pytest.fixture
def artifacts(registry: Registry) -> ArtifactStore:
    return open_artifacts(registry.setting, {})


def test_what_is_there_is_not_pushed_again(registry: Registry, artifacts: ArtifactStore) -> None:
    artifacts.push(bundle())
    assert registry.count("PUT") == 3
    artifacts.push(bundle())
    assert registry.count("PUT") == 3


def test_blob_that_is_there_is_not_pushed_again(registry: Registry, artifacts: ArtifactStore) -> None:
    layer = image_of(bundle()).layer
    registry.blobs[layer.digest] = layer.content
    artifacts.push(bundle())
    assert registry.count("PUT") == 2


def test_artifact_with_a_blob_gone_does_not_exist_and_is_made_whole(
    registry: Registry, artifacts: ArtifactStore
) -> None:
    reference = artifacts.push(bundle())
    registry.blobs.pop(image_of(bundle()).layer.digest)
    assert not artifacts.exists(reference)
    assert artifacts.push(bundle()) == reference
    assert artifacts.exists(reference)


def test_manifest_that_is_not_what_its_digest_names_does_not_exist(
    registry: Registry, artifacts: ArtifactStore
) -> None:
    reference = artifacts.push(bundle())
    registry.manifests[image_of(bundle()).manifest.digest] = b"{}"
    assert not artifacts.exists(reference)


def test_registry_that_takes_a_manifest_and_loses_it_is_noticed(registry: Registry, artifacts: ArtifactStore) -> None:
    registry.loses_manifests = True
    with pytest.raises(TemporaryError, match=r"took .* and does not have it"):
        artifacts.push(bundle())


def test_name_that_the_registry_does_not_take_is_the_configurations_fault(
    registry: Registry, artifacts: ArtifactStore
) -> None:
    with pytest.raises(ConfigurationError, match=r"does not take manifest .*answers 400: NAME_INVALID"):
        artifacts.push(bundle(0, model="UPPER"))
