"""When a project's DAGs run by themselves, and how its model is served."""

from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from include.spec.resources import Memory
from include.spec.strict import Duration, StrictModel

Cron = Annotated[str, Field(pattern=r"^\S+ \S+ \S+ \S+ \S+$")]


class ScheduleSpec(StrictModel):
    """Cron expressions in the project's timezone; a DAG without one is started by hand or by API."""

    data: Cron
    """When the partition that has just ended is ingested, validated and turned into features."""
    training: Cron | None = None
    """When a model is trained on the window that has just ended."""
    scoring: Cron | None = None
    """When a partition is scored with the champion."""
    catch_up: bool = False
    """Whether all partitions since ``start`` run when the DAG is unpaused."""
    runs_at_once: int = Field(default=2, ge=1)
    """How many runs of a DAG may be active at the same time; partitions are independent."""


class ServingSpec(StrictModel):
    """The served model."""

    request_bytes_at_most: int = Field(default=1_000_000, ge=1_000)
    """Largest body of a request, in bytes; a larger one is refused."""
    batch_rows_at_most: int = Field(default=1_024, ge=1)
    """How many rows of requests that come together are predicted in one call of the model."""
    drain: Duration
    """How long a server that is shut down may take to finish the requests that it has accepted."""
    replicas_at_least: int = Field(default=1, ge=1, le=100)
    """On Kubernetes: smallest number of pods that serve the model."""
    replicas_at_most: int = Field(default=3, ge=1, le=100)
    """On Kubernetes: largest number of pods; CPU use decides how many there are."""
    cpu: float = Field(default=0.5, gt=0)
    """On Kubernetes: CPUs that one pod requests; its limit is the next whole number."""
    memory: Memory = "1Gi"
    """On Kubernetes: memory that one pod requests, and its limit."""

    @model_validator(mode="after")
    def _at_least_is_at_most(self) -> Self:
        if self.replicas_at_least > self.replicas_at_most:
            message = (
                f"replicas_at_least is {self.replicas_at_least}, more than replicas_at_most ({self.replicas_at_most})"
            )
            raise PydanticCustomError("replicas", "{message}", {"message": message})
        return self
