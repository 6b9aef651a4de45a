"""
What a pod's status means for the step in it, and the step's log.

Each line of the step's log is copied to the task's log once, however often the task is deferred in between. The kubelet
puts the time in nanoseconds in front of each line, and gives the lines in the order of writing; the attempt's progress
holds a digest of the last one that was copied. How many seconds of log to request is measured by this machine's clock
alone, for the node's may differ.
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
"""Words in the kubelet's message that mean an artifact registry or a server may respond later."""
LOST_AFTER_SECONDS = 60.0
"""A pod that still exists so long after its grace period is on a node that is lost."""
LOG_SECONDS = 1.0
"""How often the log is requested while the step works."""
MARGIN_SECONDS = 5
"""Requested in addition, and skipped if copied before: requests take time, and the kubelet counts whole seconds."""
# A container's runtime reports a signal as exit code 128 plus its number, as a shell does.
_SIGNALS = range(129, 193)
_STAMP = re.compile(rb"^\d{4}-\d{2}-\d{2}T\S+ ")


class Stage(Enum):
    """How far a pod has come."""

    WAITING = "waiting"
    WORKING = "working"
    ENDED = "ended"


@dataclass(frozen=True, kw_only=True)
class PodState:
    """What a pod's status means for the step in it."""

    stage: Stage
    reason: str = ""
    """The cluster's reason, one word: Unschedulable, ErrImagePull, OOMKilled, Evicted."""
    message: str = ""
    """The cluster's message that explains the reason."""
    is_unrecoverable: bool = False
    """Whether the pod waits for something that does not exist: an image, a Secret."""
    is_without_room: bool = False
    """Whether the pod waits until some node has room."""
    exit_code: int | None = None
    """Of the step's process; negative for the signal that ended it; None if it did not end by itself."""
    termination_message: str = ""
    """The step's own error message, one line; empty if it wrote none."""

    @property
    def is_waiting(self) -> bool:
        """Whether the step has not begun."""
        return self.stage is Stage.WAITING

    @property
    def has_ended(self) -> bool:
        """Whether the step's process has ended."""
        return self.stage is Stage.ENDED

    @property
    def what(self) -> str:
        """Reason and message: ``ErrImagePull: not found``."""
        return f"{self.reason}: {self.message}" if self.message else self.reason


GONE = PodState(stage=Stage.ENDED, reason="Gone", message="the pod was deleted, or its node is no more")


class LogSource(Protocol):
    """Reads logs of pods."""

    def log(self, name: str, since_seconds: int | None) -> bytes:
        """What the step in a pod wrote in the last seconds (None: ever), each line with its time in front."""


class LogOutput(Protocol):
    """Takes the lines."""

    def take(self, data: bytes) -> None:
        """Take the next lines of the step's output."""

    def flush(self) -> None:
        """The output is complete."""


def state_of(pod: Any) -> PodState:
    """
    The state of the step in a pod.

    :param pod: as the Kubernetes client gives it; None for one that does not exist.
    """
    if pod is None or _is_lost(pod):
        return GONE
    status = pod.status
    container = next((one for one in status.container_statuses or () if one.name == CONTAINER), None)
    inside = container.state if container is not None else None
    # The container's state first: the pod's phase changes later, and not at all if the kubelet is gone.
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
    Copy what the step wrote since the last time, at most once a second and once more at its end.

    :param now: this machine's clock, in seconds since the epoch.
    """
    progress = attempt.progress
    if state.is_waiting:
        return
    if not state.has_ended and now - (progress.log.requested_at or 0.0) < LOG_SECONDS:
        return
    progress.log = forward_log(source, attempt.name, progress.log, output, now=now, is_final=state.has_ended)
    progress.works()


def forward_log(
    source: LogSource, pod: str, position: LogPosition, output: LogOutput, *, now: float, is_final: bool = False
) -> LogPosition:
    """
    Copy the lines behind a position.

    :param now: this machine's clock, in seconds since the epoch.
    :param is_final: whether the step has ended, so that a last line without a line end is complete.
    :return: the position behind the lines that were copied.
    """
    since = None if position.requested_at is None else math.ceil(max(0.0, now - position.requested_at)) + MARGIN_SECONDS
    *lines, rest = source.log(pod, since).split(b"\n")
    if is_final and rest:
        lines.append(rest)
    # If the last copied line is older than what was requested, it is not among these lines, and all of them are new.
    last = next((index for index in reversed(range(len(lines))) if _digest(lines[index]) == position.last), -1)
    fresh = lines[last + 1 :]
    for line in fresh:
        output.take(_STAMP.sub(b"", line, count=1) + b"\n")
    if is_final:
        output.flush()
    return LogPosition(last=_digest(fresh[-1]) if fresh else position.last, requested_at=now)


def _ended(status: Any, terminated: Any) -> PodState:
    message = (terminated.message or "").strip()
    if terminated.reason in NEVER_STARTED:  # the message is the runtime's, and the exit code is not the step's
        return PodState(stage=Stage.ENDED, reason=terminated.reason, message=message)
    code = terminated.exit_code
    return PodState(
        stage=Stage.ENDED,
        # The pod's own reason (Evicted, DeadlineExceeded) is more precise than the container's, which then is Error.
        reason=status.reason or terminated.reason or "",
        message=status.message or "",
        exit_code=128 - code if code in _SIGNALS else code,
        termination_message=message.splitlines()[0] if message else "",
    )


def _waiting(reason: str, message: str) -> PodState:
    # The kubelet gives one reason for an image that does not exist and for a registry that does not respond just now.
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
    # Kubernetes sets the timestamp to the time of the request plus the grace period.
    return (datetime.now(UTC) - deleted_at).total_seconds() > LOST_AFTER_SECONDS + GRACE_SECONDS


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()[:16]
