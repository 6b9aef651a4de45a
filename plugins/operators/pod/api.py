"""
The pods of one namespace: the few requests that the operators make, and what the API server answers as errors.

    AlreadyThereError    the name is taken                                  look whose pod it is
    NoRoomError          the quota is used up                               wait
    PodRefusedError      forbidden, invalid, no such namespace              fail at once
    UnreachableError     no response, an overloaded or restarting server    request again
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from kubernetes.client import CoreV1Api
from kubernetes.client import models as k8s
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from include.errors import ConfigurationError, TemporaryError, foreign
from include.stores.kubernetes.refusals import ALREADY_EXISTS, refusal_of
from plugins.operators.pod.names import TASK, age_key, is_same_attempt
from plugins.operators.pod.spec import CONTAINER
from plugins.operators.pod.watching import state_of

POLL_SECONDS = 0.25
GONE_WITHIN_SECONDS = 30.0
"""How long a pod that was deleted may take to go."""
LAUNCHES_AT_MOST = 3
REQUEST_SECONDS = (5, 30)
"""To connect, and to wait for the response."""
RETRIABLE = frozenset({
    HTTPStatus.UNAUTHORIZED, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
})  # fmt: skip
"""Answers that may be others in a moment; a token that is being renewed among them."""


class AlreadyThereError(TemporaryError):
    """A pod of this name is there."""


class NoRoomError(TemporaryError):
    """The cluster has no room for the pod now."""


class UnreachableError(TemporaryError):
    """The Kubernetes API does not answer now."""


class PodRefusedError(ConfigurationError):
    """The cluster will never run this pod as it is."""


class PodApi:
    """Requests about the pods of one namespace."""

    def __init__(self, client: CoreV1Api, namespace: str) -> None:
        self._client = client
        self.namespace = namespace

    def launch(self, pod: k8s.V1Pod) -> k8s.V1Pod:
        """
        Create a pod, or take the one that is there if it works for the same attempt and was requested to be the same.

        Any other pod of that name is a leftover of a run that was deleted and made again, and is deleted.

        :raises NoRoomError: if the quota is used up.
        :raises PodRefusedError: if the cluster will never run it.
        :raises UnreachableError: if the API does not answer.
        """
        name, wanted = pod.metadata.name, pod.metadata.annotations
        for _ in range(LAUNCHES_AT_MOST):
            try:
                with translated(f"Creating pod {self.namespace}/{name}"):
                    return self._client.create_namespaced_pod(self.namespace, pod, _request_timeout=REQUEST_SECONDS)
            except AlreadyThereError:
                there = self.read(name)
            if there is not None:
                if there.metadata.deletion_timestamp is None and is_same_attempt(wanted, there.metadata.annotations):
                    return there
                self.delete(there)
                self._wait_until_gone(name)
        raise UnreachableError(f"Pod {self.namespace}/{name} was there again each time that it was deleted.")

    def read(self, name: str) -> k8s.V1Pod | None:
        """One pod; None if there is none."""
        with translated(f"Reading pod {self.namespace}/{name}"):
            try:
                return self._client.read_namespaced_pod(name, self.namespace, _request_timeout=REQUEST_SECONDS)
            except ApiException as error:
                if error.status == HTTPStatus.NOT_FOUND:
                    return None
                raise

    def select(self, selector: str) -> list[k8s.V1Pod]:
        """The pods that a label selector selects."""
        with translated(f"Listing pods in {self.namespace}"):
            listed = self._client.list_namespaced_pod(
                self.namespace, label_selector=selector, _request_timeout=REQUEST_SECONDS
            )
            return list(listed.items)

    def delete(self, pod: k8s.V1Pod) -> None:
        """Delete exactly this pod, and not a later one of its name; it may be gone."""
        meta = pod.metadata
        # By uid: names come back, and what was listed a moment ago may be another pod by now.
        options = k8s.V1DeleteOptions(preconditions=k8s.V1Preconditions(uid=meta.uid))
        with translated(f"Deleting pod {self.namespace}/{meta.name}"):
            try:
                self._client.delete_namespaced_pod(
                    meta.name, self.namespace, body=options, _request_timeout=REQUEST_SECONDS
                )
            except ApiException as error:
                if error.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:  # CONFLICT: it has another uid
                    raise

    def delete_older_attempts(self, pod: k8s.V1Pod) -> list[str]:
        """
        Delete what still works for earlier attempts of the same task.

        :return: names of the pods that were deleted.
        """
        siblings = self.select(f"{TASK}={pod.metadata.labels[TASK]}")
        older = [one for one in siblings if age_key(one) < age_key(pod) and not state_of(one).has_ended]
        for one in older:
            self.delete(one)
        return [one.metadata.name for one in older]

    def log(self, name: str, since_seconds: int | None) -> bytes:
        """What the step wrote, each line with its time in front; nothing if there is no log."""
        since: dict[str, Any] = {} if since_seconds is None else {"since_seconds": since_seconds}
        with translated(f"Reading the log of pod {self.namespace}/{name}"):
            try:
                # Without _preload_content the client 36.0.3 gives the text "b'...'".
                response = self._client.read_namespaced_pod_log(
                    name,
                    self.namespace,
                    container=CONTAINER,
                    timestamps=True,
                    _preload_content=False,
                    _request_timeout=REQUEST_SECONDS,
                    **since,
                )
                return bytes(response.data)
            except ApiException as error:
                if error.status in {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}:  # gone, or not started yet
                    return b""
                raise

    def warnings(self, name: str) -> list[str]:
        """What the cluster's events say is wrong with a pod, oldest first."""
        with translated(f"Reading the events of pod {self.namespace}/{name}"):
            listed = self._client.list_namespaced_event(
                self.namespace,
                field_selector=f"involvedObject.name={name},type=Warning",
                _request_timeout=REQUEST_SECONDS,
            )
        return [f"{event.reason}: {event.message}" for event in listed.items]

    def _wait_until_gone(self, name: str) -> None:
        until = time.monotonic() + GONE_WITHIN_SECONDS
        while self.read(name) is not None:
            if time.monotonic() > until:
                raise UnreachableError(f"Pod {self.namespace}/{name} was deleted, and is still there.")
            time.sleep(POLL_SECONDS)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """
    Turn errors of the Kubernetes client into the platform's.

    :param doing: what is being done, as the beginning of a sentence: ``Creating pod a/b``.
    """
    try:
        yield
    except ApiException as error:
        raise _refused(doing, error) from error
    except (HTTPError, OSError) as error:
        raise UnreachableError(f"{doing} is not possible now: {foreign(error)}") from error


def message_of(error: ApiException) -> str:
    """The one sentence of the API server's answer."""
    return refusal_of(error).message or foreign(str(error.body or error.reason or error.status))


def _refused(doing: str, error: ApiException) -> Exception:
    refusal, message = refusal_of(error), message_of(error)
    # Conflict is also the answer when two requests change one object (a quota's count) at once; asking again helps.
    if error.status == HTTPStatus.CONFLICT and refusal.reason == ALREADY_EXISTS:
        return AlreadyThereError(f"{doing} is not possible: {message}")
    if error.status == HTTPStatus.FORBIDDEN and refusal.is_quota:
        return NoRoomError(message)
    if not error.status or error.status in RETRIABLE:
        return UnreachableError(f"{doing} is not possible now: {message}")
    advice = "Correct the cluster's rights and settings, or the resources in project.yaml; trying again gives the same."
    return PodRefusedError(f"{doing} was refused ({error.status}): {message}. {advice}")
