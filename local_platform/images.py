"""
Builds the images and pushes them, with docker, podman or buildah, whichever works here.

``ML_ARTIFACT_REGISTRY`` names the artifact registry and the path in it, ``registry.example.org/team``; with ``http://``
before it the connection uses no TLS. Without it images are built and stay here. ``ML_IMAGE_BASE`` names another
base image: Python 3.11, 3.12 or 3.13 with the ``venv`` module. Building uses the standard library alone: a machine that
builds images needs no environment.
"""

import hashlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from include.contract.settings import ARTIFACT_REGISTRY, refuse_renamed
from include.errors import ConfigurationError
from local_platform.console import Console, seconds
from local_platform.errors import LocalPlatformError
from local_platform.locations import REPOSITORY

TARGETS = ("airflow", "step", "serving", "mlflow")
CONTEXT = (
    "Dockerfile", ".dockerignore", ".airflowignore", "dags", "include", "local_platform/uv.txt", "plugins",
    "requirements.txt",
)  # fmt: skip
"""The files and folders that images are built from."""
DIGESTS = """
import json, sys
from include.contract.code_digest import code_digest
from include.contract.step_names import StepName
print(json.dumps({f"{name}.{step.value}": code_digest(step, name) for name in sys.argv[1:] for step in StepName}))
"""
LABEL = "org.ml-platform"
GROUP = "ml-platform"
"""Path segment between the registry's path and an image's name."""
TAG_LENGTH = 12
REGISTRY, BASE = ARTIFACT_REGISTRY, "ML_IMAGE_BASE"
PASSED_ON = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX")
ENGINES = {"docker": ("docker", "info"), "podman": ("podman", "info"), "buildah": ("buildah", "info")}
"""By name, in order of preference: a call that fails where the engine does not work, as docker without its daemon."""
EXCERPT_LINES = 15
LOOKUP_SECONDS = 20.0
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)  # fmt: skip
"""Media types of manifests, for the Accept header: without it a registry may send another format, of another digest."""


class ImageError(LocalPlatformError):
    """An image cannot be built or pushed."""


@dataclass(frozen=True)
class ArtifactRegistry:
    """The OCI registry that images are pushed to."""

    address: str
    """Host, port and path: the beginning of every image's name."""
    is_plain: bool = False
    """Whether connections use no TLS."""

    @classmethod
    def parse(cls, text: str, variable: str = REGISTRY) -> "ArtifactRegistry":
        """
        Read ``registry.example.org/team`` or ``http://10.0.0.1:5000/team``.

        :param variable: name of the environment variable that holds it, for the message.
        :raises ImageError: if the scheme is neither http nor https.
        """
        scheme, separator, rest = text.rpartition("://")
        if separator and scheme not in {"http", "https"}:
            message = f"{variable} is '{text}'; write registry.example.org/team, with http:// before it for no TLS."
            raise ImageError(message)
        return cls(address=rest.strip("/"), is_plain=scheme == "http")

    def find(self, name: str, tag: str) -> str | None:
        """
        Look an image up.

        :return: its reference by digest; None if the registry has no such image, or requires a login.
        :raises ImageError: if the registry does not respond.
        """
        import httpx

        host, _, path = self.address.partition("/")
        repository = f"{path}/{name}" if path else name
        url = f"{'http' if self.is_plain else 'https'}://{host}/v2/{repository}/manifests/{tag}"
        headers = {"Accept": ", ".join(MANIFESTS)}
        try:
            # The system's certificates, to which an organisation may have added its own.
            context = ssl.create_default_context()
            response = httpx.head(url, headers=headers, timeout=LOOKUP_SECONDS, verify=context, follow_redirects=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            message = (
                f"The artifact registry {self.address} does not respond: {error}. Check its address and the network."
            )
            raise ImageError(message) from error
        digest = response.headers.get("Docker-Content-Digest") if response.is_success else None
        return f"{self.address}/{name}@{digest}" if digest else None


@dataclass(frozen=True)
class Image:
    """One image, as it was built and, where there is a registry, pushed."""

    target: str
    reference: str
    """``address/target@sha256:…`` once pushed, ``address/target:tag`` before."""
    size_bytes: int
    """Unpacked, the base image included."""
    build_seconds: float
    push_seconds: float | None = None


@dataclass(frozen=True)
class Engine:
    """One of docker, podman and buildah."""

    name: str
    context: Path = REPOSITORY
    """The folder that images are made from."""

    @classmethod
    def find(cls, context: Path = REPOSITORY) -> "Engine":
        """
        The first engine that works here.

        :raises ImageError: if none does.
        """
        for name, words in ENGINES.items():
            if shutil.which(name) and not subprocess.run(words, check=False, capture_output=True).returncode:
                return cls(name, context)
        message = (
            f"None of {', '.join(ENGINES)} works here: install one (on Debian and Ubuntu: apt-get install buildah)"
        )
        raise ImageError(f"{message}, or start docker's daemon.")

    def build(self, target: str, name: str, arguments: Mapping[str, str], labels: Mapping[str, str]) -> None:
        """Build one target from the Dockerfile."""
        words = [self.name, "build", "--file", "Dockerfile", "--target", target, "--tag", name, "--network", "host"]
        if self.name != "docker":
            # buildah caches no layers without it; docker knows no such option.
            words += ["--layers"]
        for key, value in arguments.items():
            words += ["--build-arg", f"{key}={value}"]
        for key, value in labels.items():
            words += ["--label", f"{key}={value}"]
        self._call([*words, "."])

    def push(self, name: str, registry: ArtifactRegistry) -> str:
        """
        Push an image.

        :return: its digest in the registry, ``sha256:…``.
        """
        if self.name == "docker":
            self._call(["docker", "push", "--quiet", name])
            words = ["docker", "image", "inspect", "--format", "{{index .RepoDigests 0}}", name]
            return self._call(words).strip().rpartition("@")[2]
        with tempfile.NamedTemporaryFile("r", prefix="digest-") as file:
            tls = ["--tls-verify=false"] if registry.is_plain else []
            self._call([self.name, "push", "--quiet", *tls, "--digestfile", file.name, name])
            return file.read().strip()

    def size_bytes(self, name: str) -> int:
        """Size of an image, unpacked."""
        if self.name != "buildah":
            return int(self._call([self.name, "image", "inspect", "--format", "{{.Size}}", name]))
        listed = json.loads(self._call(["buildah", "images", "--json", name]))
        number, unit = listed[0]["size"].split()
        return round(float(number) * {"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9}[unit.upper()])

    def _call(self, words: Sequence[str]) -> str:
        # buildah's default isolation needs rights that a container or a CI job seldom has.
        environment = {"BUILDAH_ISOLATION": "chroot"} | os.environ
        done = subprocess.run(words, cwd=self.context, env=environment, check=False, text=True, capture_output=True)
        if done.returncode:
            excerpt = "\n".join(
                f"    {line}" for line in (done.stdout + done.stderr).strip().splitlines()[-EXCERPT_LINES:]
            )
            raise ImageError(f"'{' '.join(words[:2])} …' failed ({words[-1]}):\n{excerpt}")
        return done.stdout


def context_digest(root: Path) -> str:
    """Digest of all files that images are built from; its first characters are their tag."""
    total = hashlib.sha256()
    for name in CONTEXT:
        part = root / name
        paths = sorted(part.rglob("*")) if part.is_dir() else [part]
        for path in paths:
            if path.is_file() and "__pycache__" not in path.parts:
                total.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def labels(root: Path) -> dict[str, str]:
    """Labels of every image: the digest of the code that it holds, for each step of each project."""
    names = sorted(path.parent.name for path in (root / "include" / "projects").glob("*/project.yaml"))
    # In a process of its own: this one may hold modules of another checkout than the context's.
    words = [sys.executable, "-B", "-c", DIGESTS, *names]
    done = subprocess.run(words, cwd=root, check=True, text=True, capture_output=True)
    return {f"{LABEL}.code.{name}": digest for name, digest in json.loads(done.stdout).items()}


@contextmanager
def snapshot(root: Path = REPOSITORY) -> Iterator[Path]:
    """A copy of what images are built from. A build takes minutes; tag and labels describe this copy (ADR 10)."""
    with tempfile.TemporaryDirectory(prefix="ml-platform-images-") as folder:
        copy = Path(folder)
        for name in CONTEXT:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            if (root / name).is_dir():
                shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(root / name, copy / name)
        yield copy


def provide(
    registry: ArtifactRegistry, targets: Sequence[str], console: Console, base: str = "", root: Path = REPOSITORY
) -> dict[str, str]:
    """
    Return images of this code from an artifact registry; build and push those that it does not have.

    :param base: base image for those that are built.
    :return: references by digest, by target.
    """
    with snapshot(root) as context:
        tag = context_digest(context)[:TAG_LENGTH]
        lookups = {target: registry.find(f"{GROUP}/{target}", tag) for target in targets}
        references = {target: reference for target, reference in lookups.items() if reference}
        missing = [target for target in targets if target not in references]
        if missing:
            console.say(f"  building {', '.join(missing)}: the artifact registry has none of this code")
            made = build(Engine.find(context), registry, missing, console, base)
            references |= {image.target: image.reference for image in made}
    return references


def build(
    engine: Engine, registry: ArtifactRegistry | None, targets: Sequence[str], console: Console, base: str = ""
) -> list[Image]:
    """
    Build images and push them where there is a registry.

    :param base: base image, if not the Dockerfile's own.
    :raises ImageError: if the engine fails; with the last lines of its output.
    """
    given = {name: os.environ[name] for name in PASSED_ON if os.environ.get(name)}
    if base:
        given["BASE"] = base
    tag = context_digest(engine.context)[:TAG_LENGTH]
    prefix = f"{registry.address}/" if registry else ""
    code_labels = labels(engine.context)
    made = []
    for target in targets:
        name = f"{prefix}{GROUP}/{target}:{tag}"
        with console.live(f"{target}: building with {engine.name} …") as show:
            began = time.monotonic()
            engine.build(target, name, given, code_labels | {f"{LABEL}.image": target})
            built = time.monotonic()
            image = Image(target, name, engine.size_bytes(name), built - began)
            if registry:
                show(f"{target}: pushing to {registry.address} …")
                reference = f"{prefix}{GROUP}/{target}@{engine.push(name, registry)}"
                image = Image(target, reference, image.size_bytes, image.build_seconds, time.monotonic() - built)
        console.say(line(image))
        made.append(image)
    return made


def line(image: Image) -> str:
    """One image, for people."""
    pushed = f", pushed in {seconds(image.push_seconds)}" if image.push_seconds is not None else ""
    took = f"built in {seconds(image.build_seconds)}{pushed}"
    return f"  {image.target:<8} {image.size_bytes / 1e6:6.0f} MB   {took}\n           {image.reference}"


def main(arguments: Sequence[str]) -> int:
    """Build and push the targets that are named, or all."""
    unknown = sorted(set(arguments) - set(TARGETS))
    console = Console()
    try:
        if unknown:
            raise ImageError(f"There is no image '{unknown[0]}'; there are {', '.join(TARGETS)}.")
        refuse_renamed(os.environ)
        text = os.environ.get(REGISTRY)
        registry = ArtifactRegistry.parse(text) if text else None
        if registry is None:
            console.say(f"{REGISTRY} is not set: images are built and stay here.")
        with snapshot() as context:
            build(Engine.find(context), registry, arguments or TARGETS, console, os.environ.get(BASE, ""))
    except (LocalPlatformError, ConfigurationError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
