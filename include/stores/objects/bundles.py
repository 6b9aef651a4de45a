"""Bundles of model files in the object store, by their digest."""

from include.contract.layout import bundle_prefix
from include.packaging.files import Bundle, read_bundle
from include.stores.objects.protocol import ObjectStore


def sealed_bundle(objects: ObjectStore, project: str, digest: str) -> Bundle:
    """
    A sealed bundle, every file compared with its digest.

    :raises DataRejectedError: if a file is gone or changed.
    """
    prefix = bundle_prefix(project, digest)
    return read_bundle(lambda name: objects.get(prefix + name), digest)
