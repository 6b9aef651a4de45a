"""Resources of steps: CPU, memory, disk, GPUs, time limits and retries."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from include.spec.strict import Duration, StrictModel

# A part of Kubernetes' notation: sizes that can be compared and doubled without rounding.
Memory = Annotated[str, Field(pattern=r"^[1-9]\d*(Ki|Mi|Gi)$")]
_UNITS = {"Ki": 1, "Mi": 1 << 10, "Gi": 1 << 20}

NEEDED_BY_ALL = ("cpu", "memory", "timeout", "retries", "retry_delay")
"""Keys that ``execution.default`` must have."""


class TolerationSpec(StrictModel):
    """A taint of nodes that the step's pod tolerates."""

    key: str = Field(min_length=1)
    """The taint's key."""
    value: str | None = None
    """The taint's value; any where it is left out."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; any where it is left out."""


class ResourceSpec(StrictModel):
    """
    Resources of one step; a key that is left out has the value of ``execution.default``.

    In execution mode ``local`` only ``cpu``, ``timeout``, ``retries`` and ``retry_delay`` have an effect; a warning in
    the task's log names the others that are set.
    """

    cpu: float | None = Field(default=None, gt=0)
    """CPUs that the step requests; OpenMP, BLAS and the like start no more threads than that."""
    memory: Memory | None = None
    """Memory that the step requests; on Kubernetes also its limit."""
    memory_at_most: Memory | None = None
    """A step that ran out of memory is retried with twice as much, up to this; if left out, never with more."""
    ephemeral_storage: Memory | None = None
    """Disk for ``/tmp`` and the log, as request and limit; 2Gi if left out."""
    gpu: int | None = Field(default=None, ge=0)
    """Number of whole GPUs."""
    gpu_resource: str | None = Field(default=None, pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$")
    """The cluster's name for a GPU; ``nvidia.com/gpu`` if left out."""
    node_selector: dict[str, str] | None = None
    """Labels that a node must have to run the pod."""
    tolerations: tuple[TolerationSpec, ...] | None = None
    """Taints of nodes that the pod tolerates."""
    priority_class: str | None = Field(default=None, min_length=1)
    """Name of the pod's PriorityClass."""
    capacity_wait: Duration | None = None
    """How long the pod may wait for quota, a node or its image before the task fails; an hour if left out."""
    timeout: Duration | None = None
    """The step is ended after this time of work; waiting for room does not count."""
    retries: int | None = Field(default=None, ge=0, le=10)
    """How often Airflow retries after a temporary failure."""
    retry_delay: Duration | None = None
    """How long Airflow waits before a retry."""

    @property
    def threads(self) -> int:
        """How many threads OpenMP, BLAS and the like may start: one for each whole CPU, and at least one."""
        return max(1, int(self.cpu or 1))

    def over(self, base: "ResourceSpec") -> "ResourceSpec":
        """A copy of the base in which the keys that are set here replace its own."""
        return base.model_copy(update={name: value for name, value in self if value is not None})

    def mistake(self) -> str | None:
        """The message about values that contradict one another; None if none do."""
        if self.memory and self.memory_at_most and kibibytes(self.memory) > kibibytes(self.memory_at_most):
            return f"memory is {self.memory}, which is more than memory_at_most {self.memory_at_most}"
        return None


class ExecutionSpec(StrictModel):
    """Resources by step."""

    default: ResourceSpec
    """For every step; must have ``cpu``, ``memory``, ``timeout``, ``retries`` and ``retry_delay``."""
    steps: dict[str, ResourceSpec] = Field(default_factory=dict)
    """By step name; overrides the default field by field."""

    def for_step(self, step: str) -> ResourceSpec:
        """A step's resources: the default, with the step's own values in place of its."""
        own = self.steps.get(step)
        return self.default if own is None else own.over(self.default)

    @model_validator(mode="after")
    def _steps_fit(self) -> "ExecutionSpec":
        # Merged: a step's own memory may be above the default's ceiling.
        by_key = {"default": self.default} | {f"steps.{name}": self.for_step(name) for name in self.steps}
        for key, resources in by_key.items():
            mistake = resources.mistake()
            if mistake:
                message = f"{key}: {mistake}"
                raise ValueError(message)
        return self


def kibibytes(memory: str) -> int:
    """A memory size in kibibytes: ``2Gi`` is 2,097,152."""
    return int(memory[:-2]) * _UNITS[memory[-2:]]


def doubled(memory: str) -> str:
    """Twice the size, in the same unit."""
    return f"{2 * int(memory[:-2])}{memory[-2:]}"
