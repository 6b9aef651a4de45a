"""
A step image whose steps do what the run's name states: one layer over the real one, pushed through the registry's API.

The runtime in it is the real one, of this checkout: receipts, leases, deadline, termination message. In a run named
``long-then-done__7`` the first attempt works until it is ended, and the second one succeeds.
"""

import gzip
import hashlib
import io
import json
import tarfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.step_results import least_document

ROOT = Path(__file__).resolve().parents[3]
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
STEPS = ("ingest", "validate", "profile", "features", "train", "evaluate", "package", "deploy", "score")
BEHAVIOUR = '''
import atexit
import resource
import time

from pydantic import TypeAdapter

from include import errors
from include.contract.results import Results
from include.runtime.context import Plan, Work

RESULTS = {results!r}


def plan(context):
    command = context.command
    identity = {"run": command.run, "attempt": command.attempt}
    return Plan(inputs=(), parameters=identity, work=lambda _: work(context))


def work(context):
    behaviours = context.command.run.partition("__")[0].split("-then-")
    chosen = behaviours[min(context.command.attempt, len(behaviours)) - 1]
    if chosen == "rejected":
        raise errors.DataRejectedError("Column dep_time is missing.")
    if chosen == "temporary":
        raise errors.TemporaryError("The store does not answer.")
    if chosen == "skip":
        raise errors.NothingToDoError("The gates were not passed.")
    if chosen in {"lines", "long", "killed"}:
        for number in range({"lines": 60, "long": 4000, "killed": 10}[chosen]):
            context.events.emit("worked", number=number)
            time.sleep(0.0 if chosen == "killed" else 0.5)
    if chosen == "killed":
        be_killed()
    if chosen == "killedafter":
        atexit.register(be_killed)
    if chosen == "greedy":
        held = bytearray(400 << 20)
        held[:: 4096] = b"1" * len(held[:: 4096])
        context.events.emit("held", megabytes=len(held) >> 20)
    if chosen == "disk":
        with open("/tmp/full", "wb") as file:
            for _ in range(64):
                file.write(b"1" * (1 << 20))
                file.flush()
        time.sleep(120)
    return Work(outputs=(), row_counts={"rows": 3}, results=TypeAdapter(Results).validate_json(RESULTS))


def be_killed():
    """The kernel kills a process that used up its time; nobody else in the container can kill its first process."""
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + 1, int(used) + 1))
    while True:
        pass
'''


@dataclass(frozen=True)
class Repository:
    """One repository of a registry."""

    url: str
    """``http://10.0.0.1:5000/v2/team/step``."""

    def get(self, what: str, accept: str = "*/*") -> bytes:
        """A blob or a manifest."""
        with self._call("GET", what, headers={"Accept": accept}) as response:
            content: bytes = response.read()
        return content

    def put_blob(self, data: bytes) -> dict[str, Any]:
        """Upload a blob that may be there already."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        with self._call("POST", "blobs/uploads/", data=b"") as response:
            location = response.headers["Location"]
        location = (
            location if "://" in location else f"{urlsplit(self.url).scheme}://{urlsplit(self.url).netloc}{location}"
        )
        request = urllib.request.Request(
            f"{location}{'&' if '?' in location else '?'}digest={digest}", data=data, method="PUT",
            headers={"Content-Type": "application/octet-stream"},
        )  # fmt: skip
        urllib.request.urlopen(request, timeout=60).close()
        return {"digest": digest, "size": len(data)}

    def put_manifest(self, manifest: dict[str, Any]) -> str:
        """Upload a manifest; its digest."""
        data = json.dumps(manifest).encode()
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self._call("PUT", f"manifests/{digest}", data=data, headers={"Content-Type": manifest["mediaType"]}).close()
        return digest

    def _call(self, method: str, what: str, data: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
        request = urllib.request.Request(f"{self.url}/{what}", data=data, method=method, headers=headers or {})
        return urllib.request.urlopen(request, timeout=60)


def stand_in(reference: str, scheme: str) -> str:
    """
    Push an image over another one, with this checkout's runtime and steps that do what their run's name states.

    :param reference: the step image by digest, ``10.0.0.1:5000/team/step@sha256:…``.
    :param scheme: of the registry: http or https.
    :return: the new image by digest, in the same repository.
    """
    name, _, digest = reference.partition("@")
    host, _, path = name.partition("/")
    repository = Repository(f"{scheme}://{host}/v2/{path}")
    manifest = json.loads(repository.get(f"manifests/{digest}", ", ".join(MANIFESTS)))
    config = json.loads(repository.get(f"blobs/{manifest['config']['digest']}"))
    layer = _layer()
    config["rootfs"]["diff_ids"].append(f"sha256:{hashlib.sha256(layer).hexdigest()}")
    config.get("history", []).append({"created_by": "steps of a test"})
    kind = manifest["layers"][-1]["mediaType"]
    manifest["config"] |= repository.put_blob(json.dumps(config).encode())
    manifest["layers"].append({"mediaType": kind, **repository.put_blob(gzip.compress(layer, mtime=0))})
    manifest.setdefault("mediaType", MANIFESTS[0])
    return f"{name}@{repository.put_manifest(manifest)}"


def _behaviour(step: str) -> bytes:
    """The module of one step."""
    return BEHAVIOUR.replace("{results!r}", repr(json.dumps(least_document(step)))).encode()


def _layer() -> bytes:
    """``/app/include`` anew: what lies there in the image, compiled, would be taken without a look at the source."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as archive:
        add = partial(_add, archive)
        add("app/include/.wh..wh..opq", b"")
        for path in sorted((ROOT / "include").rglob("*")):
            below = path.relative_to(ROOT)
            if path.is_file() and "__pycache__" not in below.parts:
                is_step = below.match("include/steps/*/step.py") and below.parent.name in STEPS
                add(f"app/{below}", _behaviour(below.parent.name) if is_step else path.read_bytes())
    return data.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o644
    archive.addfile(entry, io.BytesIO(data))
