"""
One attempt of a step as a pod: what determines its pod, and how far the task has come with it.

``Attempt`` is the one state object of this package. Command, names and resources are computed again each time that the
task wakes. What cannot be computed (when it began to wait, which line of the log was the last) is its ``Progress``,
which is kept in Airflow's database while the task sleeps.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any, Protocol

from airflow.sdk import Context
from kubernetes.client import models as k8s

from include.contract import settings
from include.contract.code_digest import code_digest
from include.contract.command import StepCommand
from include.contract.layout import memory_key, memory_prefix
from include.contract.receipt import canonical_json
from include.contract.step_names import StepName
from include.spec.load import load_project
from include.spec.project import ProjectSpec
from include.spec.resources import ResourceSpec, doubled, kibibytes
from plugins.hooks.stores import ObjectStoreHook
from plugins.operators.outcome import Documents
from plugins.operators.pod.names import PodIdentity
from plugins.operators.step_call import StepCall
from plugins.operators.step_resources import resources_of

NAMESPACE = "ml-steps"
"""Where pods of steps run if the installation does not set ``ML_POD_NAMESPACE``."""
CAPACITY_WAIT = timedelta(hours=1)
"""How long a pod may wait to start if the spec does not set ``capacity_wait``."""
MEMORY = "1Gi"
"""What a step gets if the spec does not set ``memory``."""
FIRST_SLEEP_SECONDS = 10.0
LONGEST_SLEEP_SECONDS = 30.0
"""How long a task sleeps at most before it looks at its pod and copies the new lines of its log."""


class WritableDocuments(Documents, Protocol):
    """The object store, as far as it is used here."""

    def create(self, key: str, data: bytes) -> bool:
        """Create an object; False if it exists already."""


@dataclass(frozen=True)
class LogPosition:
    """How far a log has been copied."""

    last: str = ""
    """Digest of the last line that was copied, its time included; empty for none."""
    requested_at: float | None = None
    """When the log was last requested, in seconds since the epoch on this machine's clock; None for never."""


@dataclass(kw_only=True)
class Progress:
    """How far a task has come with its pod: what is kept while it sleeps."""

    since: float
    """When the task began to wait for its pod to start, in seconds since the epoch."""
    pod: str = ""
    """The pod's name once there is one."""
    has_started: bool = False
    """Whether the step has begun to work; from then on the pod waits for room no more."""
    looks: int = 0
    """How often the task went to sleep since its pod was created or its step began."""
    away_since: float | None = None
    """Since when the API server or the object store does not respond, in seconds since the epoch; None if both do."""
    reported: str = ""
    """The reason for waiting that was logged last."""
    log: LogPosition = field(default_factory=LogPosition)

    def sleep_seconds(self) -> float:
        """How long to sleep now: twice as long each time, from 10 to 30 seconds."""
        # The exponent is capped as well: a float overflows when a task has waited for a thousand sleeps.
        return min(LONGEST_SLEEP_SECONDS, FIRST_SLEEP_SECONDS * 2.0 ** min(self.looks, 10))

    def works(self) -> None:
        """Note that the step works, and that the API server responds."""
        if not self.has_started:
            self.has_started, self.looks = True, 0
        self.away_since = None

    def to_json(self) -> dict[str, Any]:
        """As Airflow keeps it. The keys never change: a task may sleep while the platform is upgraded."""
        return {
            "since": self.since,
            "pod": self.pod,
            "has_started": self.has_started,
            "looks": self.looks,
            "away_since": self.away_since,
            "told": self.reported,
            "cursor": [self.log.last, self.log.requested_at],
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Progress":
        """What ``to_json`` gave."""
        given = {name: value for name, value in kept.items() if name not in {"told", "cursor"}}
        return cls(**given, reported=kept["told"], log=LogPosition(*kept["cursor"]))


@dataclass(kw_only=True)
class Attempt:
    """One attempt of a step, before and after its pod is created."""

    command: StepCommand
    identity: PodIdentity
    spec: ProjectSpec
    source: str | None
    resources: ResourceSpec
    """Those of the spec, overridden by the trigger form's."""
    given: Mapping[str, str]
    """The worker's environment."""
    progress: Progress

    @property
    def name(self) -> str:
        """The pod's name."""
        return self.identity.pod

    @property
    def namespace(self) -> str:
        """The pod's namespace."""
        return self.given.get(settings.POD_NAMESPACE) or NAMESPACE

    @property
    def capacity_wait(self) -> timedelta:
        """How long the pod may wait to start."""
        return self.resources.capacity_wait or CAPACITY_WAIT

    @cached_property
    def documents(self) -> WritableDocuments:
        """The object store, where receipts lie; importing and connecting takes half a second."""
        return ObjectStoreHook().get_conn()

    @cached_property
    def memory(self) -> str:
        """The memory limit of this attempt, like ``2Gi``."""
        if self.command.attempt == 1:  # no earlier one ran out of it
            return self.resources.memory or MEMORY
        return memory_of(self.command, self.resources, self.documents)

    def stub(self) -> k8s.V1Pod:
        """The pod's name and namespace only, which is enough to delete it."""
        return k8s.V1Pod(metadata=k8s.V1ObjectMeta(name=self.name, namespace=self.namespace))


def attempt_of(call: StepCall, context: Context, given: Mapping[str, str], progress: Progress) -> Attempt:
    """
    The attempt that a task is at.

    :param given: the worker's environment.
    :raises ConfigurationError: if the project, the step or the run's parameters are wrong.
    """
    spec = load_project(call.project)
    instance = context["ti"]
    step = StepName(call.step)
    # A pod runs its image's code, not the bundle's: the step compares this digest with its own, and refuses to work
    # if they differ. ML_ANY_CODE=1 turns that off.
    command = call.command(context, "" if given.get(settings.ANY_CODE) == "1" else code_digest(step, call.project))
    identity = PodIdentity(
        dag_id=instance.dag_id,
        run_id=context["run_id"],
        task_id=instance.task_id,
        map_index=-1 if instance.map_index is None else instance.map_index,
        try_number=instance.try_number,
        task_instance=str(instance.id),
        project=call.project,
        step=call.step,
        subject=command.subject,
    )
    return Attempt(
        command=command,
        identity=identity,
        spec=spec,
        source=call.source,
        resources=resources_of(spec, step, context["params"]),
        given=given,
        progress=progress,
    )


def memory_of(command: StepCommand, resources: ResourceSpec, documents: Documents) -> str:
    """
    How much memory an attempt gets: that of the spec, or twice what an earlier attempt of the run ran out of.

    Never more than ``memory_at_most`` of the spec.

    :return: a size like ``4Gi``.
    """
    # The sizes are in the object store: a retry may run on another worker, and Airflow clears a task's XCom values
    # before each attempt.
    memory = wanted = resources.memory or MEMORY
    # All earlier attempts, not only the last: between two that ran out of memory one may have failed otherwise.
    prefix = memory_prefix(*_subject(command))
    for key in documents.list(prefix):
        name = key.removeprefix(prefix)
        if "/" in name:
            continue  # of a task for one source: its subject, and so its prefix, begins with this one's
        if int(name.partition(".")[0]) < command.attempt:
            had = str(json.loads(documents.get(key))["memory"])
            memory = max(memory, next_size(had, resources), key=kibibytes)
    return memory if kibibytes(memory) > kibibytes(wanted) else wanted


def keep_memory(command: StepCommand, memory: str, documents: WritableDocuments) -> None:
    """Write down the memory limit of an attempt that ran out of memory, for the next attempts."""
    documents.create(memory_key(*_subject(command), command.attempt), canonical_json({"memory": memory}))


def next_size(memory: str, resources: ResourceSpec) -> str:
    """The memory limit after one that was too small: twice as much, at most ``memory_at_most``."""
    ceiling = resources.memory_at_most or resources.memory or memory
    return min(doubled(memory), ceiling, key=kibibytes)


def _subject(command: StepCommand) -> tuple[str, str, str, str]:
    return command.project, command.run, command.step.value, command.subject
