"""What a pod's status says: whether it works, waits, cannot start, or has ended and how."""

from dataclasses import dataclass
from enum import StrEnum

from kubernetes.client import models as k8s

from include.errors import foreign
from plugins.operators.pod_request import CONTAINER

NEVER_STARTS = frozenset(
    {
        "CreateContainerConfigError", "CreateContainerError", "ErrImageNeverPull", "ErrImagePull", "ImageInspectError",
        "ImagePullBackOff", "InvalidImageName", "RunContainerError",
    }
)  # fmt: skip
"""Reasons for which a container waits until somebody corrects the image's name, a Secret's key or the like."""
PASSING = ("429", "qps", "rate limit", "temporarily", "timeout", "too many requests", "unavailable", "bad gateway")
"""Words in such a reason's message that tell of a registry's bad moment."""
NO_EXIT_CODE = 137
"""Of a container that went with its pod: as if it had been killed."""


class PodPhase(StrEnum):
    """Where a pod is in its life, as far as a step is concerned."""

    WAITING = "waiting"
    """Not started, for want of room, or while its image is being pulled."""
    MISCONFIGURED = "misconfigured"
    """Not started, and never will."""
    WORKING = "working"
    ENDED = "ended"


@dataclass(frozen=True)
class PodReport:
    """A pod's status in short."""

    phase: PodPhase
    exit_code: int = NO_EXIT_CODE
    """Of the step, once it has ended."""
    reason: str = ""
    """One line: why it waits, cannot start, or ended as it did."""


def report(pod: k8s.V1Pod | None) -> PodReport:
    """
    Read a pod's status.

    :param pod: None for one that is gone.
    """
    if pod is None:
        return PodReport(PodPhase.ENDED, reason="The pod is gone: it was deleted or evicted.")
    state = _state(pod)
    if state is not None and state.terminated is not None:
        return _ended(pod, state.terminated)
    if pod.status.phase in {"Failed", "Succeeded"}:
        return PodReport(PodPhase.ENDED, reason=_sentence("The pod failed", pod.status.reason, pod.status.message))
    if state is not None and state.running is not None:
        return PodReport(PodPhase.WORKING)
    waiting = state.waiting if state is not None else None
    if waiting is not None and waiting.reason in NEVER_STARTS:
        reason = _sentence("The pod cannot start", waiting.reason, waiting.message)
        is_passing = any(word in (waiting.message or "").lower() for word in PASSING)
        return PodReport(PodPhase.WAITING if is_passing else PodPhase.MISCONFIGURED, reason=reason)
    return PodReport(PodPhase.WAITING, reason=_unscheduled(pod) or "The pod's container is being created.")


def _state(pod: k8s.V1Pod) -> k8s.V1ContainerState | None:
    found = [status.state for status in pod.status.container_statuses or () if status.name == CONTAINER]
    return found[0] if found else None


def _ended(pod: k8s.V1Pod, ended: k8s.V1ContainerStateTerminated) -> PodReport:
    said = foreign(ended.message) if ended.message else ""
    if ended.reason == "OOMKilled":
        limit = pod.spec.containers[0].resources.limits.get("memory")
        said = f"The step needed more memory than its {limit} and was killed. Raise execution.steps.<step>.memory."
    elif pod.status.reason:  # Evicted, DeadlineExceeded, Preempting
        said = _sentence("The pod was ended", pod.status.reason, pod.status.message)
    return PodReport(PodPhase.ENDED, exit_code=ended.exit_code, reason=said)


def _unscheduled(pod: k8s.V1Pod) -> str:
    for condition in pod.status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            return _sentence("The pod finds no node", condition.reason, condition.message)
    return ""


def _sentence(what: str, reason: str | None, message: str | None) -> str:
    told = ": ".join(foreign(part) for part in (reason, message) if part)
    return f"{what}: {told}" if told else f"{what}."
