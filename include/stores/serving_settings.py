"""What a model server is told beside the model: limits of requests, batches and draining."""

from pydantic import BaseModel, ConfigDict, Field


class ServingSettings(BaseModel):
    """Limits of one worker."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    request_bytes_at_most: int = Field(default=1_000_000, ge=1_000)
    """Size limit of a request's body."""
    batch_rows_at_most: int = Field(default=1_024, ge=1)
    """Rows that are predicted together."""
    waiting_at_most: int = Field(default=1_024, ge=1)
    """Requests that may wait for the model; more are answered 503."""
    drain_seconds: float = Field(default=10.0, gt=0)
    """How long a worker that is told to stop may finish what it has."""
    notice_seconds: float = Field(default=0.0, ge=0)
    """How long it goes on accepting with ``/ready`` at 503 before that, for a load balancer to notice."""
    ignore_unknown: bool = False
    """Ignore columns that the model does not know, as MLflow does, instead of refusing them."""
