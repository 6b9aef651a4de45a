"""
A pod that ended, or that will never start -> how the task ends.

The verdict on a step is its receipt, whatever the pod's phase says. Where there is none, what the cluster says of the
pod decides whether doing it again makes sense.
"""

from collections.abc import Sequence
from datetime import timedelta

from include.contract.command import StepCommand
from include.errors import ConfigurationError, PermanentError, TemporaryError
from include.spec.resources import ResourceSpec, kibibytes
from plugins.operators.outcome import Reference, conclude, told
from plugins.operators.pod.attempt import Attempt, WritableDocuments, keep_memory, next_size
from plugins.operators.pod.watching import NEVER_STARTED, PodState

DISK = ("ephemeral local storage usage exceeds", "exceeds the limit", "ephemeral storage")
"""Words of the kubelet about a pod that wrote more than it may; the node's own lack of disk has others."""
EVICTED = "Evicted"
DEADLINE = "DeadlineExceeded"
OUT_OF_MEMORY = "OOMKilled"
END_CHARACTERS = 200
BY_ITSELF = frozenset({"", "Completed", "Error", "Succeeded", "Failed"})
"""Reasons that say no more than the exit code."""


class StoreUnreachableError(TemporaryError):
    """The object store does not answer, so nobody knows yet how the step ended."""


class _OutOfMemory(Exception):  # noqa: N818 (a sign between two functions, not an error)
    """The step was killed for its memory."""


def verdict(attempt: Attempt, state: PodState) -> Reference:
    """
    Evaluate a pod that ended.

    :return: the reference to the step's receipt.
    :raises StoreUnreachableError: if the object store does not answer.
    :raises TemporaryError: if Airflow is to retry, and permanent errors and skips as :func:`conclude` does.
    """
    documents, command = _Documents(attempt.documents), attempt.command
    ended_by = unexplained(command, attempt.name, state, attempt.resources.timeout)
    if state.reason == OUT_OF_MEMORY:
        # Written down only if no receipt says that the step was done before: then there is no retry to give more to.
        ended_by = _OutOfMemory()
    try:
        return conclude(command, state.exit_code, documents, state.termination_message, ended_by)
    except _OutOfMemory:
        raise ran_out(command, attempt.memory, attempt.resources, documents) from None


def unexplained(command: StepCommand, pod: str, state: PodState, limit: timedelta | None) -> Exception | None:
    """
    The error for a pod that the cluster ended without a receipt; None for one whose process ended by itself.

    :param limit: the step's time limit.
    """
    where = f"The pod {pod} of {told(command)}"
    if state.reason in BY_ITSELF:
        return None
    if state.reason in NEVER_STARTED:
        message = f"{where} could not start its program: {_clause(state.message)}"
        return ConfigurationError(f"{message}. Check that ML_STEP_IMAGE names the image of the steps.")
    # The step ends itself at its limit and says so. This is one that could not: it hangs, or its image took too long.
    if state.reason == DEADLINE:
        return TemporaryError(
            f"{where} was ended after its time limit of {limit} "
            f"(execution.steps.{command.step.value}.timeout of project '{command.project}')."
        )
    # Evicted is the reason for a step that filled its disk, which it will do again, and for a node that lacks room.
    if state.reason == EVICTED and any(words in state.message for words in DISK):
        advice = f"Raise execution.steps.{command.step.value}.ephemeral_storage of project '{command.project}'"
        return PermanentError(f"{where} wrote more to disk than it may: {_clause(state.message)}. {advice}.")
    return TemporaryError(f"{where} was ended by the cluster before it left a receipt: {_clause(state.what)}.")


def ran_out(command: StepCommand, memory: str, resources: ResourceSpec, documents: WritableDocuments) -> Exception:
    """
    Write down what an attempt had that was killed for its memory, and say what that means.

    :param memory: the limit of the pod that was killed.
    :return: an error that lets Airflow retry with more, or a permanent one if there is no larger size.
    """
    larger = next_size(memory, resources)
    where = f"execution.steps.{command.step.value}.memory_at_most of project '{command.project}'"
    what = f"{told(command)} needs more than {memory} of memory, and was killed for it."
    if kibibytes(larger) <= kibibytes(memory):
        advice = f"Raise {where}, or give the step less to do"
        return PermanentError(f"{what} That is all that it may have: {advice}.")
    keep_memory(command, memory, documents)
    return TemporaryError(f"{what} The next try gets {larger} ({where} is {resources.memory_at_most}).")


def never_starts(command: StepCommand, pod: str, state: PodState, warnings: list[str]) -> Exception:
    """The error for a pod that waits for what will never come, with the words of the cluster's last event."""
    event = f" Event: {_clause(warnings[-1])}." if warnings else ""
    message = f"The pod {pod} of {told(command)} cannot start: {_clause(state.what)}.{event}"
    return ConfigurationError(f"{message} Trying again gives the same: correct the image, the Secret or its key.")


def waited_too_long(command: StepCommand, pod: str, reason: str, limit: timedelta) -> Exception:
    """The error for a pod that did not start in time; the retries that are left would only wait as long again."""
    return PermanentError(
        f"The pod {pod} of {told(command)} did not start within {limit}: {_clause(reason)}. Give it room, or raise "
        f"execution.steps.{command.step.value}.capacity_wait of project '{command.project}', and clear the task."
    )


class _Documents:
    """The object store, whose own failures are no verdict: without this, a retry would be made of each."""

    def __init__(self, documents: WritableDocuments) -> None:
        self._documents = documents

    def get(self, key: str) -> bytes:
        """An object's bytes."""
        try:
            return self._documents.get(key)
        except TemporaryError as error:
            raise StoreUnreachableError(str(error)) from error

    def list(self, prefix: str) -> Sequence[str]:
        """Keys that begin with the prefix, in order."""
        try:
            return self._documents.list(prefix)
        except TemporaryError as error:
            raise StoreUnreachableError(str(error)) from error

    def create(self, key: str, data: bytes) -> bool:
        """Create an object; False if it is there."""
        try:
            return self._documents.create(key, data)
        except TemporaryError as error:
            raise StoreUnreachableError(str(error)) from error


def _clause(text: str) -> str:
    """The cluster's words, to be followed by a full stop; the end of a long message is its cause, and is kept."""
    words = " ".join(text.split()).rstrip(". ")
    return words if len(words) <= 2 * END_CHARACTERS else f"{words[:END_CHARACTERS]} … {words[-END_CHARACTERS:]}"
