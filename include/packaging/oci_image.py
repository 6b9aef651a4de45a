"""
A bundle as an OCI image: one layer with its files at the root, a configuration, a manifest; nothing but the bundle.

Kubernetes mounts it as an ``image`` volume. The layer is a tar without compression, for the model's file is compressed
already and two versions of zlib write different bytes: the same bundle gives the same digest wherever it is packaged.
"""

import io
import platform
import tarfile
from dataclasses import dataclass

from include.contract.digest import digest_of
from include.contract.receipt import canonical_json
from include.packaging.files import MANIFEST, Bundle

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
_FILE_MODE = 0o644
# OCI names processors as Go does, uname as the kernel does.
_ARCHITECTURES = {"aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class Blob:
    """Bytes and what they are called in a registry."""

    content: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """``sha256:…`` of the bytes."""
        return digest_of(self.content)

    def descriptor(self) -> dict[str, object]:
        """How a manifest names it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content)}


@dataclass(frozen=True)
class BundleImage:
    """A bundle's image; its digest is that of the manifest."""

    layer: Blob
    config: Blob
    manifest: Blob


def image_of(bundle: Bundle, machine: str | None = None) -> BundleImage:
    """
    The image of a bundle.

    :param machine: kind of processor as ``uname`` reports it, this machine's if not given. Nothing in the image depends
        on it, but a node takes no image that names another processor than its own.
    """
    layer = Blob(_layer(bundle), LAYER_TYPE)
    architecture = _ARCHITECTURES.get((machine or platform.machine()).lower(), "amd64")
    # Of an uncompressed layer, the diff id equals its digest.
    rootfs = {"type": "layers", "diff_ids": [layer.digest]}
    config = {"architecture": architecture, "os": "linux", "config": {}, "rootfs": rootfs}
    config_blob = Blob(canonical_json(config), CONFIG_TYPE)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": config_blob.descriptor(),
        "layers": [layer.descriptor()],
        "annotations": {
            "org.ml-platform.bundle": bundle.digest,
            "org.ml-platform.model": bundle.manifest.model,
            "org.ml-platform.project": bundle.manifest.project,
        },
    }
    return BundleImage(layer, config_blob, Blob(canonical_json(manifest), MANIFEST_TYPE))


def _layer(bundle: Bundle) -> bytes:
    contents = {**bundle.contents, MANIFEST: bundle.manifest.content()}
    stream = io.BytesIO()
    # USTAR: PAX, the default, adds headers of its own for what does not fit, such as fractions of a second.
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        # The order of a dict would depend on the order of reading.
        for name in sorted(contents):
            # What a TarInfo holds by itself: modified at 0, owned by 0:0, without names.
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(contents[name]), _FILE_MODE
            archive.addfile(member, io.BytesIO(contents[name]))
    return stream.getvalue()
