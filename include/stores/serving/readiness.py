"""Why the pods of a version are not ready: from the Deployment, its pods and their events, by pure functions."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from include.errors import ConfigurationError, DataRejectedError, PlatformError, TemporaryError, foreign
from include.stores.kubernetes.protocol import Manifest
from include.stores.kubernetes.refusals import is_quota

# A ReplicaSet reports what admission refused as text in its condition; there is no code for it.
_REFUSED_BY_ADMISSION = ("violates PodSecurity", "is forbidden", "is invalid", "admission webhook")
_NEVER_STARTS = frozenset({"InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError"})
_PULL = frozenset({"ErrImagePull", "ImagePullBackOff"})
# ErrImagePull also stands for a registry that is down; only the text tells them apart.
_NO_SUCH_IMAGE = ("not found", "manifest unknown", "unauthorized", "denied", "no match for platform", "name unknown")
_OUT_OF_MEMORY = "OOMKilled"
# One crash may be the node's; the third start in a row is the image's or the model's.
_RESTARTS_AT_MOST = 2
# The server exits with the codes of include.errors, so a pod names what is at fault by itself.
_EXIT_ERRORS = {error.exit_code: error for error in (DataRejectedError, ConfigurationError)}


class Fault(StrEnum):
    """What is at fault when pods do not become ready."""

    DATA = "data"
    CONFIGURATION = "configuration"
    CRASH = "crash"
    """It ends again and again."""
    WAIT = "wait"
    """It may still come."""


@dataclass(frozen=True)
class Trouble:
    """Why pods are not ready."""

    fault: Fault
    text: str

    @property
    def is_final(self) -> bool:
        """Whether waiting cannot help."""
        return self.fault is not Fault.WAIT

    def error(self, name: str) -> PlatformError:
        """The error of the tree for a version of this name."""
        kinds = {Fault.DATA: DataRejectedError, Fault.CONFIGURATION: ConfigurationError}
        return kinds.get(self.fault, TemporaryError)(f"{name} does not become ready: {self.text}")


def is_ready(deployment: Manifest) -> bool:
    """Whether all pods that a Deployment wants are of its newest kind and ready."""
    status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    # Until the controller has seen the newest spec, status is that of the old one and looks ready.
    is_seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    return is_seen and counts == [wanted] * len(counts)


def trouble_of(deployment: Manifest, pods: Sequence[Manifest]) -> Trouble | None:
    """The worst of what is wrong; None if nothing is, or pods are only on their way."""
    troubles = [*_of_deployment(deployment), *(trouble for pod in pods for trouble in _of_pod(pod))]
    # A pod that waits for room must not hide another that can never start.
    final = [trouble for trouble in troubles if trouble.is_final]
    return next(iter([*final, *troubles]), None)


def last_warning(events: Iterable[Manifest]) -> str:
    """The newest warning among events; an empty string if there is none."""
    warnings = [event for event in events if event.get("type") == "Warning"]
    # Events of the newer API have eventTime and no lastTimestamp.
    ordered = sorted(warnings, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    return f"{ordered[-1].get('reason')}: {foreign(str(ordered[-1].get('message')))}" if ordered else ""


def _of_deployment(deployment: Manifest) -> Iterator[Trouble]:
    for condition in (deployment.get("status") or {}).get("conditions") or []:
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            message = str(condition.get("message") or condition.get("reason"))
            # A quota frees itself when other pods end; its message also contains "is forbidden".
            is_final = not is_quota(message) and any(word in message for word in _REFUSED_BY_ADMISSION)
            yield Trouble(Fault.CONFIGURATION if is_final else Fault.WAIT, foreign(message))


def _of_pod(pod: Manifest) -> Iterator[Trouble]:
    status = pod.get("status") or {}
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            yield Trouble(Fault.WAIT, f"no node takes it: {foreign(str(condition.get('message')))}")
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        yield from _of_container(container)


def _of_container(container: Manifest) -> Iterator[Trouble]:
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    reason, message = str(waiting.get("reason", "")), str(waiting.get("message", ""))
    if reason in _NEVER_STARTS or (reason in _PULL and any(word in message for word in _NO_SUCH_IMAGE)):
        yield Trouble(Fault.CONFIGURATION, f"{reason}: {foreign(message)}")
    # Between restarts the container is "waiting" (CrashLoopBackOff), and its end stands in lastState.
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated")
    if ended and ended.get("exitCode") != 0:
        yield _of_end(ended, int(container.get("restartCount", 0)))
    elif message:
        yield Trouble(Fault.WAIT, f"{reason}: {foreign(message)}")


def _of_end(ended: Manifest, restart_count: int) -> Trouble:
    code, message = int(ended.get("exitCode", 0)), foreign(str(ended.get("message") or "it left no message"))
    # Exit code 137 alone is any SIGKILL, such as that of the kubelet after the grace period.
    if ended.get("reason") == _OUT_OF_MEMORY:
        text = "its memory limit is too small (OOMKilled); raise serving.memory in project.yaml."
        return Trouble(Fault.CONFIGURATION, text)
    if code in _EXIT_ERRORS:
        return Trouble(Fault.DATA if code == DataRejectedError.exit_code else Fault.CONFIGURATION, message)
    text = f"it ends with exit code {code}: {message}"
    return Trouble(Fault.CRASH if restart_count >= _RESTARTS_AT_MOST else Fault.WAIT, text)
