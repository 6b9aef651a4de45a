"""Schedules and serving."""

from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from include.spec.resources import Memory
from include.spec.strict import Duration, StrictModel

Cron = Annotated[str, Field(pattern=r"^\S+ \S+ \S+ \S+ \S+$")]


class ScheduleSpec(StrictModel):
    """Cron expressions in the project's timezone; a DAG without one is started by hand or by API."""

    data: Cron
    """When the partition that has just ended is brought in."""
    training: Cron | None = None
    """When a model is trained on the window that has just ended."""
    scoring: Cron | None = None
    """When a partition is scored with the champion."""
    catch_up: bool = False
    """Run all partitions since ``start`` by itself when the DAG is switched on."""
    runs_at_once: int = Field(default=2, ge=1)
    """Partitions in work at the same time; they are independent."""


class ServingSpec(StrictModel):
    """The served model."""

    request_bytes_at_most: int = Field(default=1_000_000, ge=1_000)
    """Size limit of a request's body."""
    batch_rows_at_most: int = Field(default=1_024, ge=1)
    """Rows that are predicted together."""
    drain: Duration
    """How long a server that is told to stop may finish what it has."""
    replicas_at_least: int = Field(default=1, ge=1, le=100)
    """On Kubernetes: pods that answer however little there is to do."""
    replicas_at_most: int = Field(default=3, ge=1, le=100)
    """On Kubernetes: pods that answer however much there is to do; CPU in use decides."""
    cpu: float = Field(default=0.5, gt=0)
    """On Kubernetes: CPUs asked for by one pod; its limit is the next whole number."""
    memory: Memory = "1Gi"
    """On Kubernetes: memory asked for by one pod, and its limit."""

    @model_validator(mode="after")
    def _at_least_is_at_most(self) -> Self:
        if self.replicas_at_least > self.replicas_at_most:
            message = (
                f"replicas_at_least is {self.replicas_at_least}, more than replicas_at_most ({self.replicas_at_most})"
            )
            raise PydanticCustomError("replicas", "{message}", {"message": message})
        return self
