"""Waits for Deployments, and shows failure they are not ready."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from local_platform.cluster.errors import ClusterError
from local_platform.cluster.kubectl import Kubectl
from local_platform.console import Console, seconds

WAIT_SECONDS = 300.0
POLL_SECONDS = 1.0
RESTARTS = 3
"""A container that was restarted so often since the wait began has failed."""
LOG_LINES, SHOWN_EVENTS = 10, 3
CRASH_LOOP = "CrashLoopBackOff"


def wait(kubectl: Kubectl, namespace: str, names: Sequence[str], console: Console) -> None:
    """
    Wait until Deployments are rolled out and their pods ready.

    :raises ClusterError: if one is not ready in time or keeps restarting; with reasons, events and the end of its log.
    """
    began = time.monotonic()
    waiting = [_Workload(kubectl, namespace, name) for name in names]
    with console.live() as show:
        while waiting:
            passed = time.monotonic() - began
            for one in waiting:
                one.look()
                if one.is_ready:
                    console.say(f"  {one.name:<22} ready after {seconds(passed)}")
                elif one.keeps_restarting or passed > WAIT_SECONDS:
                    what = "keeps restarting" if one.keeps_restarting else f"was not ready after {seconds(passed)}"
                    raise ClusterError(one.failure(what))
            waiting = [one for one in waiting if not one.is_ready]
            show(
                "\n".join(f"{seconds(passed)}, waiting for {one.name} …   {'; '.join(one.reasons)}" for one in waiting)
            )
            time.sleep(POLL_SECONDS if waiting else 0)


class _Workload:
    """One Deployment that is waited for."""

    def __init__(self, kubectl: Kubectl, namespace: str, name: str) -> None:
        self.name = name
        self.is_ready = False
        self._kubectl = kubectl
        self._namespace = namespace
        self._pods = self._living_pods()
        self._restarts_before = restarts_of(self._pods)
        self._delete_failing_pods()

    @property
    def reasons(self) -> list[str]:
        return reasons_of(self._pods)

    @property
    def keeps_restarting(self) -> bool:
        counts = restarts_of(self._pods)
        return any(count - self._restarts_before.get(pod, 0) >= RESTARTS for pod, count in counts.items())

    def look(self) -> None:
        deployment = self._kubectl.get("deployment", self.name, "--namespace", self._namespace)
        self._pods = self._living_pods()
        self.is_ready = is_ready(deployment)

    def failure(self, what: str) -> str:
        lines = [*self.reasons, *self._events(), *self._log()]
        details = "\n".join(f"    {line}" for line in lines) or "    (no reasons, events or log)"
        return f"Deployment {self.name} in {self._namespace} {what}:\n{details}"

    def _delete_failing_pods(self) -> None:
        """Delete pods that an earlier start left failing: the kubelet's back-off may be at five minutes."""
        failing = [pod["metadata"]["name"] for pod in self._pods if CRASH_LOOP in "".join(_reasons(pod))]
        if failing:
            words = ("--namespace", self._namespace, "--ignore-not-found", "--wait=false")
            self._kubectl.call("delete", "pod", *failing, *words)

    def _living_pods(self) -> list[dict[str, Any]]:
        label = f"app.kubernetes.io/name={self.name}"
        pods = self._kubectl.get("pods", "--namespace", self._namespace, "--selector", label).get("items", [])
        return [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]

    def _events(self) -> list[str]:
        """Warnings about a Deployment, also one without pods: a quota or a policy that refuses them."""
        words = ("events", "--namespace", self._namespace, "--field-selector", "type=Warning")
        warnings = [
            f"{event.get('reason', '')}: {event.get('message', '')}"
            for event in self._kubectl.get(*words).get("items", [])
            if event.get("involvedObject", {}).get("name", "").startswith(self.name)
        ]
        return list(dict.fromkeys(warnings))[-SHOWN_EVENTS:]

    def _log(self) -> list[str]:
        words = ("logs", f"deployment/{self.name}", "--namespace", self._namespace, "--tail", str(LOG_LINES))
        # The log of a container that was just restarted is empty: the reason is in that of its predecessor.
        for more in (("--previous",), ()):
            try:
                lines = self._kubectl.call(*words, *more).splitlines()
            except ClusterError:
                continue
            if lines:
                return ["the end of its log:", *lines]
        return []


def is_ready(deployment: dict[str, Any]) -> bool:
    """Whether all replicas are of the newest template and available, and no other exists."""
    status, wanted = deployment.get("status", {}), deployment.get("spec", {}).get("replicas", 1)
    counts = (status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas"))
    # Before the controller has seen a change, the status is that of the old template.
    is_seen = status.get("observedGeneration", 0) >= deployment.get("metadata", {}).get("generation", 1)
    return is_seen and all(count == wanted for count in counts)


def reasons_of(pods: Sequence[dict[str, Any]]) -> list[str]:
    """Reasons why pods are not ready, as Kubernetes states them; sorted, unique."""
    return sorted({reason for pod in pods for reason in _reasons(pod)})


def _reasons(pod: dict[str, Any]) -> Iterator[str]:
    status = pod.get("status", {})
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield f"{condition.get('reason', '')}: {condition.get('message', '')}"
    for container in status.get("containerStatuses", []):
        held = container.get("state", {}).get("waiting", {})
        if held.get("message"):
            yield f"{held.get('reason', '')}: {held['message']}"
        elif held.get("reason"):
            yield str(held["reason"])


def restarts_of(pods: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Restarts of containers that are not ready, by pod: the highest number of each pod."""
    return {
        pod["metadata"]["name"]: max(
            (one.get("restartCount", 0) for one in pod["status"].get("containerStatuses", []) if not one.get("ready")),
            default=0,
        )
        for pod in pods
    }
