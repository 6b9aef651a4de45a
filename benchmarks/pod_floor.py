"""Bare pods, created as ``kubectl run`` creates them and watched to their end: the floor for a step as a pod."""

import copy
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

LABEL = "ml-platform.org/benchmark"
END_SECONDS = 900
LOG_LINES = 20


@dataclass(frozen=True, kw_only=True)
class Life:
    """One bare pod, in seconds from the request that created it."""

    running: float
    """First watch event with a running container; the end, if the pod ended before."""
    ended: float
    """First watch event with phase Succeeded."""
    output: str


class BarePods:
    """Creates pods in one namespace with a person's kubeconfig; deletes all of them when the block ends."""

    def __init__(self, kubeconfig: str, namespace: str) -> None:
        from kubernetes import client, config

        self._api = client.CoreV1Api(config.new_client_from_config(kubeconfig))
        self._namespace = namespace
        self._mark = secrets.token_hex(4)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._api.delete_collection_namespaced_pod(
            self._namespace, label_selector=f"{LABEL}={self._mark}", grace_period_seconds=0
        )

    def of_run(self, run: str, step: str) -> list[Any]:
        """Pods of a step for one run of Airflow."""
        pods = self._api.list_namespaced_pod(self._namespace, label_selector=f"ml-platform.org/step={step}").items
        return [pod for pod in pods if pod.metadata.annotations["ml-platform.org/run-id"] == run]

    def remove(self, pods: Sequence[Any]) -> None:
        """Delete pods; those that are gone already are no error."""
        from kubernetes.client.exceptions import ApiException

        for pod in pods:
            try:
                self._api.delete_namespaced_pod(pod.metadata.name, self._namespace, grace_period_seconds=0)
            except ApiException as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise

    def twin(self, pod: Any, words: Sequence[str] = (), program: Sequence[str] = ()) -> Any:
        """
        A pod with the image, resources, environment and security context of another.

        :param words: arguments in place of its own.
        :param program: what runs in place of the image's entry point.
        """
        from kubernetes.client import V1ObjectMeta, V1Pod

        spec = copy.deepcopy(pod.spec)
        # A pod with a node name is not scheduled, and scheduling is part of the floor.
        spec.node_name = None
        # An admission controller computes it from the priority class and refuses a value that is given.
        spec.priority = None
        (container,) = spec.containers
        container.args = list(words or container.args)
        if program:
            container.command, container.args = list(program), None
        name = f"benchmark-{secrets.token_hex(6)}"
        return V1Pod(metadata=V1ObjectMeta(name=name, labels={LABEL: self._mark}), spec=spec)

    def run(self, pods: Sequence[Any]) -> list[Life]:
        """Create some pods at once and watch them until all have ended."""
        began = time.monotonic()
        self.start(pods)
        return self.watch([pod.metadata.name for pod in pods], began)

    def start(self, pods: Sequence[Any]) -> None:
        """Create some pods."""
        for pod in pods:
            self._api.create_namespaced_pod(self._namespace, pod)

    def watch(self, names: Sequence[str], began: float) -> list[Life]:
        """
        Watch pods until all have ended.

        :param began: ``time.monotonic()`` at the request of the first of them.
        """
        from kubernetes.watch import Watch

        running: dict[str, float] = {}
        ended: dict[str, float] = {}
        watch = Watch()
        events = watch.stream(
            self._api.list_namespaced_pod,
            self._namespace,
            label_selector=f"{LABEL}={self._mark}",
            timeout_seconds=END_SECONDS,
        )
        for event in events:
            name, status = event["object"].metadata.name, event["object"].status
            passed = time.monotonic() - began
            if name not in names or status.phase == "Pending":
                continue
            running.setdefault(name, passed)
            if status.phase == "Failed":
                raise SystemExit(f"Bare pod {name} failed:\n{self.log(name)}")
            if status.phase == "Succeeded":
                ended.setdefault(name, passed)
            if len(ended) == len(names):
                watch.stop()
        if len(ended) != len(names):
            raise SystemExit(f"After {END_SECONDS} s only {len(ended)} of {len(names)} bare pods have ended.")
        return [Life(running=running[name], ended=ended[name], output=self.log(name)) for name in names]

    def log(self, name: str) -> str:
        """The last lines of a pod's log."""
        # Without _preload_content the client (36.0.3) returns the text "b'...'".
        response = self._api.read_namespaced_pod_log(
            name, self._namespace, tail_lines=LOG_LINES, _preload_content=False
        )
        return bytes(response.data).decode(errors="replace")
