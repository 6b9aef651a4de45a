"""How a pod ended that left no outcome -> the error that says so, and whether trying again makes sense."""

from datetime import timedelta

from include.contract.command import StepCommand
from include.errors import ConfigurationError, PermanentError, TemporaryError
from plugins.operators.outcome import told
from plugins.operators.pod.watching import NEVER_STARTED, PodState

DISK = ("ephemeral local storage usage exceeds", "exceeds the limit", "ephemeral storage")
"""Words of the kubelet about a pod that wrote more than it may; the node's own lack of disk is told otherwise."""
EVICTED = "Evicted"
DEADLINE = "DeadlineExceeded"
END_CHARACTERS = 200
BY_ITSELF = frozenset({"", "Completed", "Error", "Succeeded", "Failed"})
"""Reasons that say no more than the exit code."""


def unexplained(command: StepCommand, pod: str, state: PodState, limit: timedelta | None) -> Exception | None:
    """
    The error for a pod that the cluster ended; None for one whose process ended by itself.

    :param limit: the step's time limit.
    """
    where = f"The pod {pod} of {told(command)}"
    if state.reason in BY_ITSELF:
        return None
    if state.reason in NEVER_STARTED:
        message = f"{where} could not start its program: {_said(state.message)}"
        return ConfigurationError(f"{message}. Check that ML_STEP_IMAGE names the image of the steps.")
    if state.reason == DEADLINE:
        return TemporaryError(
            f"{where} was ended after its time limit of {limit} "
            f"(execution.steps.{command.step.value}.timeout of project '{command.project}')."
        )
    if state.reason == EVICTED and any(words in state.message for words in DISK):
        advice = f"Raise execution.steps.{command.step.value}.ephemeral_storage of project '{command.project}'"
        return PermanentError(f"{where} wrote more to disk than it may: {_said(state.message)}. {advice}.")
    return TemporaryError(f"{where} was ended by the cluster before it left a receipt: {_said(state.what)}.")


def hopeless(command: StepCommand, pod: str, state: PodState, warnings: list[str]) -> Exception:
    """The error for a pod that waits for what will never come, with the words of the cluster's last event."""
    event = f" Event: {_said(warnings[-1])}." if warnings else ""
    message = f"The pod {pod} of {told(command)} cannot start: {_said(state.what)}.{event}"
    return ConfigurationError(f"{message} Trying again gives the same: correct the image, the Secret or its key.")


def waited_too_long(command: StepCommand, pod: str, reason: str, limit: timedelta) -> Exception:
    """The error for a pod that did not start in time; the tries that are left would only wait as long again."""
    return PermanentError(
        f"The pod {pod} of {told(command)} did not start within {limit}: {_said(reason)}. Give it room, or raise "
        f"execution.steps.{command.step.value}.capacity_wait of project '{command.project}', and clear the task."
    )


def _said(text: str) -> str:
    """The cluster's words, to be followed by a full stop; the end of a long message is its cause, and is kept."""
    told = " ".join(text.split()).rstrip(". ")
    return told if len(told) <= 2 * END_CHARACTERS else f"{told[:END_CHARACTERS]} … {told[-END_CHARACTERS:]}"
