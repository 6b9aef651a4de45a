"""What a person says about the cluster: the ``CLUSTER_…`` variables and ``KUBECONFIG``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from local_platform.cluster.errors import ClusterError
from local_platform.images import Registry

KUBECONFIG = "KUBECONFIG"
REGISTRY = "CLUSTER_REGISTRY"
S3_ENDPOINT = "CLUSTER_S3_ENDPOINT"
S3_ACCESS_KEY = "CLUSTER_S3_ACCESS_KEY"
S3_SECRET_KEY = "CLUSTER_S3_SECRET_KEY"  # noqa: S105 (the name of a variable)
S3_BUCKET = "CLUSTER_S3_BUCKET"
S3_REGION = "CLUSTER_S3_REGION"
HOST_ADDRESS = "CLUSTER_HOST_ADDRESS"
POSTGRES = "CLUSTER_POSTGRES"
IMAGE_BASE = "CLUSTER_IMAGE_BASE"
STATSD_IMAGE = "CLUSTER_STATSD_IMAGE"

REQUIRED = {
    KUBECONFIG: "file with the cluster's address and the right to make namespaces ('kind get kubeconfig' prints one)",
    REGISTRY: "registry and path for images and models, registry.example.org/team; http:// before it for no TLS",
    S3_ENDPOINT: "URL of S3 as this machine and the pods reach it, http://10.0.0.1:9000",
    S3_ACCESS_KEY: "access key for S3",
    S3_SECRET_KEY: "secret key for S3",
}
DEFAULT_BUCKET = "ml-platform"
DEFAULT_REGION = "us-east-1"
SECTION = "docs/how-to/cluster.md has an example."


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """Where the platform's parts are that a person brings."""

    kubeconfig: str
    registry: str
    """As the person wrote it: with ``http://`` for no TLS."""
    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str = field(repr=False)
    s3_bucket: str = DEFAULT_BUCKET
    s3_region: str = DEFAULT_REGION
    host_address: str = ""
    """This machine as pods see it; empty where PostgreSQL does not run on it."""
    postgres: str = field(default="", repr=False)
    """URL of a PostgreSQL with the right to make databases; empty for one that is started here."""
    image_base: str = ""
    statsd_image: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "ClusterSettings":
        """
        Read the variables.

        :raises ClusterError: with all that are missing or wrong.
        """
        found = {name: environment.get(name, "").strip() for name in (*REQUIRED, S3_BUCKET, S3_REGION)}
        rest = {name: environment.get(name, "").strip() for name in (HOST_ADDRESS, POSTGRES, IMAGE_BASE, STATSD_IMAGE)}
        wrong = [f"{name} is not set: {meaning}" for name, meaning in REQUIRED.items() if not found[name]]
        if not rest[POSTGRES] and not rest[HOST_ADDRESS]:
            wrong.append(
                f"{HOST_ADDRESS} is not set: address of this machine as pods see it, for the PostgreSQL that is "
                f"started here; or name a PostgreSQL in {POSTGRES}"
            )
        wrong += _wrong_urls(found[S3_ENDPOINT], rest[POSTGRES])
        if wrong:
            raise ClusterError("\n".join(["The cluster is not described well:", *_indented(wrong), SECTION]))
        Registry.parse(found[REGISTRY], REGISTRY)
        return cls(
            kubeconfig=found[KUBECONFIG],
            registry=found[REGISTRY],
            s3_endpoint=found[S3_ENDPOINT],
            s3_access_key=found[S3_ACCESS_KEY],
            s3_secret_key=found[S3_SECRET_KEY],
            s3_bucket=found[S3_BUCKET] or DEFAULT_BUCKET,
            s3_region=found[S3_REGION] or DEFAULT_REGION,
            host_address=rest[HOST_ADDRESS],
            postgres=rest[POSTGRES],
            image_base=rest[IMAGE_BASE],
            statsd_image=rest[STATSD_IMAGE],
        )


def _wrong_urls(endpoint: str, postgres: str) -> list[str]:
    wrong = []
    if endpoint and not (endpoint.startswith(("http://", "https://")) and urlsplit(endpoint).hostname):
        wrong.append(f"{S3_ENDPOINT} is '{endpoint}', which is no URL: {REQUIRED[S3_ENDPOINT]}")
    parts = urlsplit(postgres)
    if postgres and not (parts.scheme == "postgresql" and parts.hostname and parts.username):
        wrong.append(f"{POSTGRES} is not of the form postgresql://user:password@host:port")
    return wrong


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]
