"""What a pod's status means for the step in it: waiting (and for what), working, or ended (and how)."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from plugins.operators.pod.spec import CONTAINER, GRACE_SECONDS

IMAGE_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
CONFIGURATION_REASONS = frozenset({"CreateContainerConfigError"})
NEVER_STARTED = frozenset({"StartError", "ContainerCannotRun"})
"""The image has no such program, or the runtime cannot start it."""
PASSING = (
    "connection refused", "connection reset", "deadline exceeded", "failed to sync", "gateway", "i/o timeout",
    "no route to host", "no such host", "qps exceeded", "rate limit", "service unavailable", "temporarily",
    "timed out", "timeout", "tls handshake", "toomanyrequests", "too many requests", "unexpected eof",
)  # fmt: skip
"""Words of the kubelet that speak of a registry or a server that may answer later."""
LOST_AFTER_SECONDS = 60.0
"""A pod that was to end and is still there after this lies on a node that is lost."""
_SIGNALS = range(129, 193)


class Stage(Enum):
    """How far a pod has come."""

    WAITING = "waiting"
    WORKING = "working"
    ENDED = "ended"


@dataclass(frozen=True, kw_only=True)
class PodState:
    """A pod's status, read for its step."""

    stage: Stage
    reason: str = ""
    """The cluster's word: Unschedulable, ErrImagePull, OOMKilled, Evicted."""
    message: str = ""
    """The cluster's sentence to it."""
    is_hopeless: bool = False
    """Waiting for what will never come: an image, a secret."""
    is_without_room: bool = False
    """Waiting until some node has room."""
    exit_code: int | None = None
    """Of the step's process; negative for the signal that ended it; None if it never ended by itself."""
    said: str = ""
    """The step's own one-line error: the termination message."""

    @property
    def has_ended(self) -> bool:
        """Whether the step's process is no more."""
        return self.stage is Stage.ENDED

    @property
    def what(self) -> str:
        """``ErrImagePull: not found``."""
        return f"{self.reason}: {self.message}" if self.message else self.reason


GONE = PodState(stage=Stage.ENDED, reason="Gone", message="the pod was deleted, or its node is no more")


def state_of(pod: Any) -> PodState:
    """
    Read a pod.

    :param pod: as the Kubernetes client gives it; None for one that is not there.
    """
    if pod is None or _is_lost(pod):
        return GONE
    status = pod.status
    container = next((one for one in status.container_statuses or () if one.name == CONTAINER), None)
    inside = container.state if container is not None else None
    if inside is not None and inside.terminated is not None:
        return _ended(status, inside.terminated)
    if status.phase in {"Failed", "Succeeded"}:
        return PodState(stage=Stage.ENDED, reason=status.reason or status.phase, message=status.message or "")
    if inside is not None and inside.running is not None:
        return PodState(stage=Stage.WORKING)
    if inside is not None and inside.waiting is not None:
        return _waiting(inside.waiting.reason or "", inside.waiting.message or "")
    return _unscheduled(status)


def _ended(status: Any, terminated: Any) -> PodState:
    said = (terminated.message or "").strip()
    if terminated.reason in NEVER_STARTED:  # the message is the runtime's, and the exit code means nothing
        return PodState(stage=Stage.ENDED, reason=terminated.reason, message=said)
    code = terminated.exit_code
    return PodState(
        stage=Stage.ENDED,
        # The pod's own reason (Evicted, DeadlineExceeded) says more than the container's, which then is only Error.
        reason=status.reason or terminated.reason or "",
        message=status.message or "",
        exit_code=128 - code if code in _SIGNALS else code,
        said=said.splitlines()[0] if said else "",
    )


def _waiting(reason: str, message: str) -> PodState:
    is_fatal = reason in IMAGE_REASONS | CONFIGURATION_REASONS
    is_passing = any(word in message.lower() for word in PASSING)
    return PodState(stage=Stage.WAITING, reason=reason, message=message, is_hopeless=is_fatal and not is_passing)


def _unscheduled(status: Any) -> PodState:
    for condition in status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            reason, message = condition.reason or "Unschedulable", condition.message or ""
            return PodState(stage=Stage.WAITING, reason=reason, message=message, is_without_room=True)
    return PodState(stage=Stage.WAITING, reason=status.reason or "Pending", message=status.message or "")


def _is_lost(pod: Any) -> bool:
    asked: datetime | None = pod.metadata.deletion_timestamp
    if asked is None:
        return False
    # The timestamp already contains the grace.
    return (datetime.now(UTC) - asked).total_seconds() > LOST_AFTER_SECONDS + GRACE_SECONDS
