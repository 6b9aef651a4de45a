"""
A pod that ended, or that can never start -> how the task ends.

The step's receipt decides, whatever the phase of the pod. If there is none, the reason that the cluster gives decides
whether a retry makes sense.
"""

from collections.abc import Sequence
from datetime import timedelta

from include.contract.command import StepCommand
from include.errors import ConfigurationError, PermanentError, TemporaryError
from include.spec.resources import ResourceSpec, kibibytes
from plugins.operators.outcome import Reference, conclude, describe
from plugins.operators.pod.attempt import Attempt, WritableDocuments, keep_memory, next_size
from plugins.operators.pod.watching import NEVER_STARTED, PodState

DISK = ("ephemeral local storage usage exceeds", "exceeds the limit", "ephemeral storage")
"""Words in the kubelet's message about a pod that exceeded its own limit; a full disk of the node has others."""
EVICTED = "Evicted"
DEADLINE = "DeadlineExceeded"
OUT_OF_MEMORY = "OOMKilled"
END_CHARACTERS = 200
"""Of the cluster's message: how much of its beginning and of its end is kept."""
BY_ITSELF = frozenset({"", "Completed", "Error", "Succeeded", "Failed"})
"""The cluster's reasons for a process that ended by itself; its exit code is more precise."""


class StoreUnreachableError(TemporaryError):
    """The object store does not respond, so it is not known yet how the step ended."""


class _OutOfMemory(Exception):  # noqa: N818 (a signal between two functions, not an error)
    """The step was killed for its memory."""


def verdict(attempt: Attempt, state: PodState) -> Reference:
    """
    Turn the end of an attempt's pod into its task's result or error.

    :param state: of a pod that has ended.
    :return: the reference to the step's receipt.
    :raises StoreUnreachableError: if the object store does not respond.
    :raises PermanentError: if the step needs more memory or disk than it may have, or its image is wrong.
    :raises TemporaryError: if Airflow is to retry. Besides these it raises what :func:`conclude` does.
    """
    documents, command = _Documents(attempt.documents), attempt.command
    ended_by = unexplained(command, attempt.name, state, attempt.resources.timeout)
    if state.reason == OUT_OF_MEMORY:
        # Raised, not written down at once: if a receipt proves that the step was done before, no retry needs the size.
        ended_by = _OutOfMemory()
    try:
        return conclude(command, state.exit_code, documents, state.termination_message, ended_by)
    except _OutOfMemory:
        raise ran_out(command, attempt.memory, attempt.resources, documents) from None


def unexplained(command: StepCommand, pod: str, state: PodState, limit: timedelta | None) -> Exception | None:
    """
    The error for a pod that the cluster ended before it left a receipt; None for one whose process ended by itself.

    :param pod: the pod's name.
    :param limit: the step's time limit.
    """
    where = f"The pod {pod} of {describe(command)}"
    if state.reason in BY_ITSELF:
        return None
    if state.reason in NEVER_STARTED:
        message = f"{where} could not start its program: {_clause(state.message)}"
        return ConfigurationError(f"{message}. Check that ML_STEP_IMAGE names the image of the steps.")
    # The step ends itself at its time limit and writes an outcome. One that the kubelet has to end hangs in a library,
    # or spent the time on pulling its image.
    if state.reason == DEADLINE:
        return TemporaryError(
            f"{where} was ended after its time limit of {limit} "
            f"(execution.steps.{command.step.value}.timeout of project '{command.project}')."
        )
    # Evicted is the reason for two things: the step exceeded its own limit, and will again, or the node's disk is full.
    if state.reason == EVICTED and any(words in state.message for words in DISK):
        advice = f"Raise execution.steps.{command.step.value}.ephemeral_storage of project '{command.project}'"
        return PermanentError(f"{where} wrote more to disk than it may: {_clause(state.message)}. {advice}.")
    return TemporaryError(f"{where} was ended by the cluster before it left a receipt: {_clause(state.what)}.")


def ran_out(command: StepCommand, memory: str, resources: ResourceSpec, documents: WritableDocuments) -> Exception:
    """
    The error for an attempt that was killed for its memory; its limit is written down for the next attempt.

    :param memory: the limit of the pod that was killed, like ``2Gi``.
    :return: an error after which Airflow retries with more memory, or a permanent one if there is no larger size.
    """
    larger = next_size(memory, resources)
    where = f"execution.steps.{command.step.value}.memory_at_most of project '{command.project}'"
    what = f"{describe(command)} needs more than {memory} of memory, and was killed for it."
    if kibibytes(larger) <= kibibytes(memory):
        advice = f"Raise {where}, or give the step less to do"
        return PermanentError(f"{what} It may not have more: {advice}.")
    keep_memory(command, memory, documents)
    return TemporaryError(f"{what} The next attempt gets {larger} ({where} is {resources.memory_at_most}).")


def never_starts(command: StepCommand, pod: str, state: PodState, warnings: list[str]) -> Exception:
    """The error for a pod that waits for an image or a Secret that does not exist, with the cluster's last warning."""
    event = f" Event: {_clause(warnings[-1])}." if warnings else ""
    message = f"The pod {pod} of {describe(command)} cannot start: {_clause(state.what)}.{event}"
    return ConfigurationError(f"{message} A retry would not help: correct the image, the Secret or its key.")


def waited_too_long(command: StepCommand, pod: str, reason: str, limit: timedelta) -> Exception:
    """The error for a pod that did not start within ``limit``; permanent, for a retry would only wait as long again."""
    return PermanentError(
        f"The pod {pod} of {describe(command)} did not start within {limit}: {_clause(reason)}. Give it room, or raise "
        f"execution.steps.{command.step.value}.capacity_wait of project '{command.project}', and clear the task."
    )


class _Documents:
    """
    The object store, with failures of its own that differ from those of the step.

    They are all ``TemporaryError``; without this a store that is away for a minute would cost the attempt.
    """

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
        """Create an object; False if it exists already."""
        try:
            return self._documents.create(key, data)
        except TemporaryError as error:
            raise StoreUnreachableError(str(error)) from error


def _clause(text: str) -> str:
    """The cluster's message without its full stop; a long one is cut in the middle, for its end names the cause."""
    words = " ".join(text.split()).rstrip(". ")
    return words if len(words) <= 2 * END_CHARACTERS else f"{words[:END_CHARACTERS]} … {words[-END_CHARACTERS:]}"
