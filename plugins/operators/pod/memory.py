"""
A step that ran out of memory is tried again with the next size.

The size of a try that was killed for it lies in the object store: the next try may run on another worker, and Airflow
keeps nothing from one try to the next that an operator could trust.
"""

import json
from typing import Protocol

from include.contract.command import StepCommand
from include.contract.layout import memory_key, memory_prefix
from include.contract.receipt import canonical_json
from include.errors import PermanentError, TemporaryError
from include.spec.resources import ResourceSpec, doubled, kibibytes
from plugins.operators.outcome import Documents, told

OUT_OF_MEMORY = "OOMKilled"


class Memories(Documents, Protocol):
    """What of the object store is used here."""

    def create(self, key: str, data: bytes) -> bool:
        """Create an object; False if it is there."""


def memory_of_try(command: StepCommand, resources: ResourceSpec, documents: Memories) -> str:
    """
    How much memory a try gets: what the spec says, or twice what an earlier try of the run ran out of.

    Never more than the spec's ceiling.
    """
    memory = asked = resources.memory or "1Gi"
    for key in documents.list(_prefix(command)):
        if int(key.rpartition("/")[2].partition(".")[0]) < command.attempt:
            had = str(json.loads(documents.get(key))["memory"])
            memory = max(memory, next_size(had, resources), key=kibibytes)
    return memory if kibibytes(memory) > kibibytes(asked) else asked


def next_size(memory: str, resources: ResourceSpec) -> str:
    """Twice as much, or the ceiling."""
    ceiling = resources.memory_at_most or resources.memory or memory
    return min(doubled(memory), ceiling, key=kibibytes)


def ran_out(command: StepCommand, memory: str, resources: ResourceSpec, documents: Memories) -> Exception:
    """
    Write down what a try had, and say what that means.

    :param memory: the limit of the pod that was killed.
    :return: an error that lets Airflow try again, or a permanent one if there is no larger size.
    """
    larger = next_size(memory, resources)
    where = f"execution.steps.{command.step.value}.memory_at_most of project '{command.project}'"
    what = f"{told(command)} needs more than {memory} of memory, and was killed for it."
    if kibibytes(larger) <= kibibytes(memory):
        advice = f"Raise {where}, or give the step less to do"
        return PermanentError(f"{what} That is all that it may have: {advice}.")
    data = canonical_json({"memory": memory})
    documents.create(memory_key(*_place(command), command.attempt), data)
    return TemporaryError(f"{what} The next try gets {larger} ({where} is {resources.memory_at_most}).")


def _place(command: StepCommand) -> tuple[str, str, str, str]:
    return command.project, command.run, command.step.value, command.subject


def _prefix(command: StepCommand) -> str:
    return memory_prefix(*_place(command))
