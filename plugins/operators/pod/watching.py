"""
What is seen of a pod while its attempt goes on: what its status means for the step in it, and its log.

The log reaches the task's log with each line once, however often the task is put to sleep in between. The kubelet gives
each line with its time to the nanosecond in front, in the order in which they were written; the attempt's progress
names the last line that was taken. How far back to ask is measured on this machine's clock alone, for the node's may
differ.
"""

import hashlib
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Protocol

from plugins.operators.pod.attempt import Attempt, LogPosition
from plugins.operators.pod.spec import CONTAINER, GRACE_SECONDS

IMAGE_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
CONFIGURATION_REASONS = frozenset({"CreateContainerConfigError"})
NEVER_STARTED = frozenset({"StartError", "ContainerCannotRun"})
"""The image has no such program, or the runtime cannot start it."""
TRANSIENT = (
    "connection refused", "connection reset", "deadline exceeded", "failed to sync", "gateway", "i/o timeout",
    "no route to host", "no such host", "qps exceeded", "rate limit", "service unavailable", "temporarily",
    "timed out", "timeout", "tls handshake", "toomanyrequests", "too many requests", "unexpected eof",
)  # fmt: skip
"""Words of the kubelet that speak of a registry or a server that may answer later."""
LOST_AFTER_SECONDS = 60.0
"""A pod that was to end and is still there after this lies on a node that is lost."""
LOG_SECONDS = 1.0
"""How often the log is requested while the step works."""
MARGIN_SECONDS = 5
"""Requested in addition, and passed over again: requests take time, and the kubelet cuts at whole seconds."""
# A container's runtime tells a signal as 128 and its number, as a shell does.
_SIGNALS = range(129, 193)
_STAMP = re.compile(rb"^\d{4}-\d{2}-\d{2}T\S+ ")


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
    is_unrecoverable: bool = False
    """Waiting for what will never come: an image, a secret."""
    is_without_room: bool = False
    """Waiting until some node has room."""
    exit_code: int | None = None
    """Of the step's process; negative for the signal that ended it; None if it never ended by itself."""
    termination_message: str = ""
    """The step's own one-line error."""

    @property
    def is_waiting(self) -> bool:
        """Whether the step has not begun."""
        return self.stage is Stage.WAITING

    @property
    def has_ended(self) -> bool:
        """Whether the step's process is no more."""
        return self.stage is Stage.ENDED

    @property
    def what(self) -> str:
        """``ErrImagePull: not found``."""
        return f"{self.reason}: {self.message}" if self.message else self.reason


GONE = PodState(stage=Stage.ENDED, reason="Gone", message="the pod was deleted, or its node is no more")


class LogSource(Protocol):
    """Where the log comes from."""

    def log(self, name: str, since_seconds: int | None) -> bytes:
        """What the step wrote, each line with its time in front."""


class LogOutput(Protocol):
    """Where the lines go."""

    def take(self, data: bytes) -> None:
        """Take a piece of the step's output."""

    def flush(self) -> None:
        """There is no more."""


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
    # The container first: the pod's phase follows it late, and never where the kubelet is gone.
    if inside is not None and inside.terminated is not None:
        return _ended(status, inside.terminated)
    if status.phase in {"Failed", "Succeeded"}:
        return PodState(stage=Stage.ENDED, reason=status.reason or status.phase, message=status.message or "")
    if inside is not None and inside.running is not None:
        return PodState(stage=Stage.WORKING)
    if inside is not None and inside.waiting is not None:
        return _waiting(inside.waiting.reason or "", inside.waiting.message or "")
    return _unscheduled(status)


def follow_log(source: LogSource, attempt: Attempt, state: PodState, output: LogOutput, *, now: float) -> None:
    """
    Hand on what the step wrote since the last time, if it has begun and it is time to.

    :param now: this machine's clock, in seconds.
    """
    progress = attempt.progress
    if state.is_waiting:
        return
    if not state.has_ended and now - (progress.log.asked_at or 0.0) < LOG_SECONDS:
        return
    progress.log = forward_log(source, attempt.name, progress.log, output, now=now, is_final=state.has_ended)
    progress.works()


def forward_log(
    source: LogSource, pod: str, position: LogPosition, output: LogOutput, *, now: float, is_final: bool = False
) -> LogPosition:
    """
    Hand on the lines behind a position.

    :param now: this machine's clock, in seconds.
    :param is_final: the step has ended, so that a last line without its end is a line.
    :return: the position behind them.
    """
    since = None if position.asked_at is None else math.ceil(max(0.0, now - position.asked_at)) + MARGIN_SECONDS
    *lines, rest = source.log(pod, since).split(b"\n")
    if is_final and rest:
        lines.append(rest)
    # A line that is older than what was requested is not there, and then all of them are new.
    taken = next((place for place in reversed(range(len(lines))) if _digest(lines[place]) == position.last), -1)
    fresh = lines[taken + 1 :]
    for line in fresh:
        output.take(_STAMP.sub(b"", line, count=1) + b"\n")
    if is_final:
        output.flush()
    return LogPosition(last=_digest(fresh[-1]) if fresh else position.last, asked_at=now)


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
        termination_message=said.splitlines()[0] if said else "",
    )


def _waiting(reason: str, message: str) -> PodState:
    # The kubelet has one reason for an image that is not there and for a registry that does not answer just now.
    is_transient = any(word in message.lower() for word in TRANSIENT)
    is_fatal = reason in IMAGE_REASONS | CONFIGURATION_REASONS
    return PodState(stage=Stage.WAITING, reason=reason, message=message, is_unrecoverable=is_fatal and not is_transient)


def _unscheduled(status: Any) -> PodState:
    for condition in status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            reason, message = condition.reason or "Unschedulable", condition.message or ""
            return PodState(stage=Stage.WAITING, reason=reason, message=message, is_without_room=True)
    return PodState(stage=Stage.WAITING, reason=status.reason or "Pending", message=status.message or "")


def _is_lost(pod: Any) -> bool:
    deleted_at: datetime | None = pod.metadata.deletion_timestamp
    if deleted_at is None:
        return False
    # The timestamp already contains the grace.
    return (datetime.now(UTC) - deleted_at).total_seconds() > LOST_AFTER_SECONDS + GRACE_SECONDS


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()[:16]
