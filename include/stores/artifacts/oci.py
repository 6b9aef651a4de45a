"""Bundles in an OCI registry."""

import http.client
import json
from dataclasses import dataclass
from urllib.parse import urlencode

from include.errors import ConfigurationError, TemporaryError, foreign
from include.packaging.files import Bundle
from include.packaging.oci_image import MANIFEST_TYPE, Blob, image_of
from include.stores.artifacts.http import ArtifactRegistryClient
from include.stores.artifacts.protocol import ArtifactName, ArtifactRegistry
from include.stores.http import HttpResponse

_TAG = "bundle-"


@dataclass(frozen=True)
class OciArtifacts:
    """See :class:`~include.stores.artifacts.protocol.ArtifactStore`."""

    registry: ArtifactRegistry
    http: ArtifactRegistryClient

    def push(self, bundle: Bundle) -> str:
        """Push a bundle; blobs that the registry has are left alone."""
        repository = self.registry.repository(bundle.manifest.project, bundle.manifest.model)
        image = image_of(bundle)
        reference = self.registry.reference(repository, image.manifest.digest)
        if self.exists(reference):
            return reference
        # Blobs before the manifest: a registry refuses a manifest whose blobs it does not have.
        for blob in (image.layer, image.config):
            if not self._has(f"/v2/{repository}/blobs/{blob.digest}"):
                self._upload(repository, blob)
        # The tag keeps the manifest from registries that sweep away what has none; nobody pulls by it.
        tag = _TAG + bundle.digest.removeprefix("sha256:")
        path = f"/v2/{repository}/manifests/{tag}"
        response = self.http.request("PUT", path, image.manifest.content, {"Content-Type": image.manifest.media_type})
        self._expect(response, f"take manifest {image.manifest.digest} of {repository}", http.client.CREATED)
        # Checked after the push: pods pull by this digest hours later, when what was lost cannot be pushed any more.
        if not self.exists(reference):
            message = f"The artifact registry at {self.registry.host} took {reference} and does not have it."
            raise TemporaryError(f"{message} Run the step again.")
        return reference

    def exists(self, reference: str) -> bool:
        """Whether the manifest and each blob of it is there."""
        name = ArtifactName.parse(reference)
        if name.host != self.registry.host:
            return False
        path = f"/v2/{name.repository}/manifests/{name.digest}"
        response = self.http.request("GET", path, headers={"Accept": MANIFEST_TYPE})
        if response.status == http.client.NOT_FOUND:
            return False
        self._expect(response, f"show {reference}", http.client.OK)
        # Some registries convert a manifest to another media type on delivery; its digest is then another.
        if Blob(response.content, MANIFEST_TYPE).digest != name.digest:
            return False
        manifest = json.loads(response.content)
        blobs = [manifest["config"], *manifest["layers"]]
        return all(self._has(f"/v2/{name.repository}/blobs/{blob['digest']}") for blob in blobs)

    def _has(self, path: str) -> bool:
        response = self.http.request("HEAD", path)
        if response.status == http.client.NOT_FOUND:
            return False
        self._expect(response, f"show whether it has {path}", http.client.OK)
        return True

    def _upload(self, repository: str, blob: Blob) -> None:
        doing = f"take blob {blob.digest} of {repository}"
        response = self.http.request("POST", f"/v2/{repository}/blobs/uploads/", b"")
        self._expect(response, doing, http.client.ACCEPTED)
        location = response.headers.get("location", "")
        if not location:
            message = f"The artifact registry at {self.registry.host} names no address to upload to"
            raise TemporaryError(f"{message}: no Location in its response.")
        # The location of an upload carries the registry's own state in its query, which must come back unchanged.
        joint = "&" if "?" in location else "?"
        target = f"{location}{joint}{urlencode({'digest': blob.digest})}"
        # One PUT with the whole blob: a bundle is a few MB, and not every registry supports chunks.
        headers = {"Content-Type": "application/octet-stream"}
        self._expect(self.http.request("PUT", target, blob.content, headers), doing, http.client.CREATED)

    def _expect(self, response: HttpResponse, doing: str, status: int) -> None:
        """
        Refuse any other status.

        :raises ConfigurationError: if the registry refuses the request as wrong.
        """
        if response.status == status:
            return
        text = foreign(response.content.decode(errors="replace"))
        message = (
            f"The artifact registry at {self.registry.host} does not {doing}: it answers {response.status}: {text}"
        )
        if http.client.BAD_REQUEST <= response.status < http.client.INTERNAL_SERVER_ERROR:
            raise ConfigurationError(message)
        raise TemporaryError(message)
