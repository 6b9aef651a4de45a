"""The size of an image, as its registry holds it."""

import json
import urllib.request
from typing import Any

MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.index.v1+json",
)  # fmt: skip
MIB = 2**20
SECONDS = 30


def image_size(reference: str, *, is_plain: bool) -> float:
    """
    MiB of an image's layers, compressed.

    :param reference: ``host/name@sha256:…``.
    :param is_plain: the registry speaks HTTP without TLS.
    """
    place, _, digest = reference.partition("@")
    host, _, name = place.partition("/")
    url = f"{'http' if is_plain else 'https'}://{host}/v2/{name}/manifests/"
    manifest = _get(url + digest)
    if "manifests" in manifest:  # one image for each architecture
        manifest = _get(url + manifest["manifests"][0]["digest"])
    return float(sum(layer["size"] for layer in manifest["layers"])) / MIB


def _get(url: str) -> Any:
    request = urllib.request.Request(url, headers={"Accept": ", ".join(MANIFESTS)})
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        return json.loads(answer.read())
