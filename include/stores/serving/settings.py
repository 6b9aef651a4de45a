"""Settings of a model server: limits of requests, batches, draining; its share of a cluster."""

from pydantic import Field

from include.contract.document import Document


class ServingSettings(Document):
    """Limits of one worker."""

    request_bytes_at_most: int = Field(default=1_000_000, ge=1_000)
    """Size limit of a request's body."""
    batch_rows_at_most: int = Field(default=1_024, ge=1)
    """Rows that are predicted together."""
    waiting_at_most: int = Field(default=1_024, ge=1)
    """Requests that may wait for the model; more are answered 503."""
    drain_seconds: float = Field(default=10.0, gt=0)
    """How long a worker may take to finish its requests at shutdown, in seconds."""
    notice_seconds: float = Field(default=0.0, ge=0)
    """How long it goes on accepting with ``/ready`` at 503 before that, for a load balancer to notice."""
    ignore_unknown: bool = True
    """Ignore columns that the model does not know, as MLflow does; not those that look like one that is left out."""


class Placement(Document):
    """How much of a cluster a version gets, and where its bundle lies; a server on one machine needs neither."""

    artifact: str | None = None
    """Reference of the bundle in an OCI registry: ``registry/path@sha256:…``; None where it lies in none."""
    replicas_at_least: int = Field(default=1, ge=1)
    """Processes that answer however little there is to do."""
    replicas_at_most: int = Field(default=1, ge=1)
    """Processes that answer however much there is to do."""
    cpu: float = Field(default=0.5, gt=0)
    """CPUs requested by each; its limit is the next whole number."""
    memory: str = "1Gi"
    """Memory requested by each, and its limit."""


ANYWHERE = Placement()
"""As little as possible, and no registry."""
