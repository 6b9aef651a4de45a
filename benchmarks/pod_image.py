"""The compressed size of an image in its artifact registry."""

import json
import urllib.request
from typing import Any

from local_platform.images import MANIFESTS

MIB = 2**20
SECONDS = 30


def image_size(reference: str, *, is_plain: bool) -> float:
    """
    MiB of an image's layers, compressed.

    :param reference: ``host/name@sha256:…``.
    :param is_plain: whether the artifact registry uses HTTP without TLS.
    """
    repository, _, digest = reference.partition("@")
    host, _, name = repository.partition("/")
    url = f"{'http' if is_plain else 'https'}://{host}/v2/{name}/manifests/"
    manifest = _get(url + digest)
    # An index lists one image for each architecture.
    if "manifests" in manifest:
        manifest = _get(url + manifest["manifests"][0]["digest"])
    return float(sum(layer["size"] for layer in manifest["layers"])) / MIB


def _get(url: str) -> Any:
    request = urllib.request.Request(url, headers={"Accept": ", ".join(MANIFESTS)})
    with urllib.request.urlopen(request, timeout=SECONDS) as response:
        return json.loads(response.read())
