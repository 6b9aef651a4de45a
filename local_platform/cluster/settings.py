"""Settings of the cluster: the ``CLUSTER_…`` variables and ``KUBECONFIG``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from local_platform.cluster.errors import ClusterError
from local_platform.images import ArtifactRegistry

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
    KUBECONFIG: "file with the cluster's address and the right to create namespaces ('kind get kubeconfig' prints one)",
    REGISTRY: "artifact registry and path for images and models, registry.example.org/team; http:// for no TLS",
    S3_ENDPOINT: "URL of S3 as this machine and the pods reach it, http://10.0.0.1:9000",
    S3_ACCESS_KEY: "access key for S3",
    S3_SECRET_KEY: "secret key for S3",
}
DEFAULT_BUCKET = "ml-platform"
DEFAULT_REGION = "us-east-1"
SECTION = "docs/how-to/cluster.md has an example."


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """Addresses and keys of what a person provides: cluster, artifact registry, S3, PostgreSQL."""

    kubeconfig: str
    registry: str
    """Artifact registry and path, with ``http://`` for no TLS."""
    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str = field(repr=False)
    s3_bucket: str = DEFAULT_BUCKET
    s3_region: str = DEFAULT_REGION
    host_address: str = ""
    """Address of this machine as pods reach it; empty where PostgreSQL does not run on it."""
    postgres: str = field(default="", repr=False)
    """URL of a PostgreSQL with the right to create databases; empty for one that is started here."""
    image_base: str = ""
    statsd_image: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "ClusterSettings":
        """
        Read the variables.

        :raises ClusterError: with all variables that are missing or malformed.
        :raises ImageError: if the artifact registry is malformed.
        """
        values = {name: environment.get(name, "").strip() for name in (*REQUIRED, S3_BUCKET, S3_REGION)}
        optional = {
            name: environment.get(name, "").strip() for name in (HOST_ADDRESS, POSTGRES, IMAGE_BASE, STATSD_IMAGE)
        }
        wrong = [f"{name} is not set: {meaning}" for name, meaning in REQUIRED.items() if not values[name]]
        if not optional[POSTGRES] and not optional[HOST_ADDRESS]:
            wrong.append(
                f"{HOST_ADDRESS} is not set: address of this machine as pods reach it, for the PostgreSQL that is "
                f"started here; or name a PostgreSQL in {POSTGRES}"
            )
        wrong += _wrong_urls(values[S3_ENDPOINT], optional[POSTGRES])
        if wrong:
            raise ClusterError(
                "\n".join(["Settings of the cluster are missing or malformed:", *_indented(wrong), SECTION])
            )
        ArtifactRegistry.parse(values[REGISTRY], REGISTRY)
        return cls(
            kubeconfig=values[KUBECONFIG],
            registry=values[REGISTRY],
            s3_endpoint=values[S3_ENDPOINT],
            s3_access_key=values[S3_ACCESS_KEY],
            s3_secret_key=values[S3_SECRET_KEY],
            s3_bucket=values[S3_BUCKET] or DEFAULT_BUCKET,
            s3_region=values[S3_REGION] or DEFAULT_REGION,
            host_address=optional[HOST_ADDRESS],
            postgres=optional[POSTGRES],
            image_base=optional[IMAGE_BASE],
            statsd_image=optional[STATSD_IMAGE],
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
