import pytest

from include.contract.layout import bundle_prefix
from include.errors import DataRejectedError, MissingObjectError
from include.packaging.files import MANIFEST
from include.stores.objects.bundles import sealed_bundle
from include.stores.objects.memory import MemoryObjects
from tests.support.serving_bundles import bundle


def test_bundle_is_read_from_the_object_store_and_compared() -> None:
    objects, sealed = MemoryObjects(), bundle()
    prefix = bundle_prefix("flights", sealed.digest)
    for name, content in {**sealed.contents, MANIFEST: sealed.manifest.content()}.items():
        objects.create(prefix + name, content)
    assert sealed_bundle(objects, "flights", sealed.digest) == sealed
    objects.contents[prefix + MANIFEST] += b" "
    with pytest.raises(DataRejectedError, match="but the bundle should be"):
        sealed_bundle(objects, "flights", sealed.digest)
    with pytest.raises(MissingObjectError, match="manifest"):
        sealed_bundle(objects, "flights", "sha256:other")
