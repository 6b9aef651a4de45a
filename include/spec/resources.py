"""What a step gets of the machine or the cluster that it runs on."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from include.spec.strict import Duration, StrictModel

Memory = Annotated[str, Field(pattern=r"^[1-9]\d*(Ki|Mi|Gi)$")]
_UNITS = {"Ki": 1, "Mi": 1 << 10, "Gi": 1 << 20}

NEEDED_BY_ALL = ("cpu", "memory", "timeout", "retries", "retry_delay")
"""What ``execution.default`` must say."""


class TolerationSpec(StrictModel):
    """A taint of nodes that the step's pod puts up with."""

    key: str = Field(min_length=1)
    """The taint's key."""
    value: str | None = None
    """The taint's value; any where it is left out."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; any where it is left out."""


class ResourceSpec(StrictModel):
    """
    What one step gets; what is left out comes from ``execution.default``.

    In execution mode ``local`` CPU, timeout and retries count, and a warning names what else was asked for.
    """

    cpu: float | None = Field(default=None, gt=0)
    """CPUs asked for; threads of OpenMP and BLAS are capped to it."""
    memory: Memory | None = None
    """Memory asked for; a limit where the execution mode has one."""
    memory_at_most: Memory | None = None
    """A step that ran out of memory is tried again with twice as much, up to this; never with more if left out."""
    ephemeral_storage: Memory | None = None
    """Disk for ``/tmp`` and the log, as request and limit; 2Gi where it is left out."""
    gpu: int | None = Field(default=None, ge=0)
    """Whole GPUs."""
    gpu_resource: str | None = Field(default=None, pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$")
    """What the cluster calls a GPU; ``nvidia.com/gpu`` where it is left out."""
    node_selector: dict[str, str] | None = None
    """Labels that a node must have."""
    tolerations: tuple[TolerationSpec, ...] | None = None
    """Taints of nodes that the pod puts up with."""
    priority_class: str | None = Field(default=None, min_length=1)
    """PriorityClass of the pod."""
    capacity_wait: Duration | None = None
    """How long the pod may wait for room (quota, nodes, images); an hour where it is left out. Then the task fails."""
    timeout: Duration | None = None
    """The step is ended after this; waiting for room does not count."""
    retries: int | None = Field(default=None, ge=0, le=10)
    """How often Airflow tries again after a temporary failure."""
    retry_delay: Duration | None = None
    """Wait before the first of those."""

    @property
    def threads(self) -> int:
        """How many threads OpenMP and BLAS may use: one a CPU, and at least one."""
        return max(1, int(self.cpu or 1))

    def over(self, base: "ResourceSpec") -> "ResourceSpec":
        """The base with what this one says over it."""
        return base.model_copy(update={name: value for name, value in self if value is not None})

    def mistake(self) -> str | None:
        """What is wrong with the fields taken together; None if nothing is."""
        if self.memory and self.memory_at_most and kibibytes(self.memory) > kibibytes(self.memory_at_most):
            return f"memory is {self.memory}, which is more than memory_at_most {self.memory_at_most}"
        return None


class ExecutionSpec(StrictModel):
    """Resources by step."""

    default: ResourceSpec
    """For every step; says at least CPU, memory, timeout, retries and the delay before them."""
    steps: dict[str, ResourceSpec] = Field(default_factory=dict)
    """By step name; overrides the default field by field."""

    def for_step(self, step: str) -> ResourceSpec:
        """The default with the step's own values over it."""
        own = self.steps.get(step)
        return self.default if own is None else own.over(self.default)

    @model_validator(mode="after")
    def _steps_fit(self) -> "ExecutionSpec":
        places = {"default": self.default} | {f"steps.{name}": self.for_step(name) for name in self.steps}
        for place, resources in places.items():
            mistake = resources.mistake()
            if mistake:
                message = f"{place}: {mistake}"
                raise ValueError(message)
        return self


def kibibytes(memory: str) -> int:
    """A memory size as a number: ``2Gi`` is 2,097,152."""
    return int(memory[:-2]) * _UNITS[memory[-2:]]


def doubled(memory: str) -> str:
    """Twice the size, in the same unit."""
    return f"{2 * int(memory[:-2])}{memory[-2:]}"
