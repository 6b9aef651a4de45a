"""Bare pods, made as ``kubectl run`` makes them and watched to their end: the floor of a step as a pod."""

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
    """One bare pod, in seconds from the request that made it."""

    running: float
    """When a watcher saw its container run; its end, if that was quicker."""
    ended: float
    """When a watcher saw it Succeeded."""
    output: str


class BarePods:
    """Makes pods in one namespace, with a person's rights; all that it made are gone when the block ends."""

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
        """Pods of a step that work for a run of Airflow."""
        found = self._api.list_namespaced_pod(self._namespace, label_selector=f"ml-platform.org/step={step}").items
        return [pod for pod in found if pod.metadata.annotations["ml-platform.org/run-id"] == run]

    def remove(self, pods: Sequence[Any]) -> None:
        """Delete pods that are still there."""
        from kubernetes.client.exceptions import ApiException

        for pod in pods:
            try:
                self._api.delete_namespaced_pod(pod.metadata.name, self._namespace, grace_period_seconds=0)
            except ApiException as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise

    def twin(self, pod: Any, words: Sequence[str] = (), program: Sequence[str] = ()) -> Any:
        """
        A pod that asks for the same as another: image, resources, environment, security.

        :param words: arguments in place of its own.
        :param program: what runs in place of the image's entry point.
        """
        from kubernetes.client import V1ObjectMeta, V1Pod

        spec = copy.deepcopy(pod.spec)
        spec.node_name = None
        spec.priority = None  # the cluster computes it from the class
        (container,) = spec.containers
        container.args = list(words or container.args)
        if program:
            container.command, container.args = list(program), None
        name = f"benchmark-{secrets.token_hex(6)}"
        return V1Pod(metadata=V1ObjectMeta(name=name, labels={LABEL: self._mark}), spec=spec)

    def run(self, pods: Sequence[Any]) -> list[Life]:
        """Make some pods at once and watch them until all have ended."""
        began = time.monotonic()
        self.start(pods)
        return self.watch([pod.metadata.name for pod in pods], began)

    def start(self, pods: Sequence[Any]) -> None:
        """Make some pods."""
        for pod in pods:
            self._api.create_namespaced_pod(self._namespace, pod)

    def watch(self, names: Sequence[str], began: float) -> list[Life]:
        """
        Watch pods until all have ended.

        :param began: when the first of them was asked for.
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
        """The end of what a pod wrote."""
        answer = self._api.read_namespaced_pod_log(
            name, self._namespace, tail_lines=LOG_LINES, _preload_content=False
        )  # the client 36.0.3 gives the text "b'...'" otherwise
        return bytes(answer.data).decode(errors="replace")
