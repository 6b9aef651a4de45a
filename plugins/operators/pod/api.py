"""
Requests about the pods of one namespace, and the API server's error responses as the platform's errors.

    AlreadyThereError    the name is taken                                  look whose pod it is
    NoRoomError          the quota is used up                               wait
    PodRefusedError      forbidden, invalid, no such namespace              fail at once
    UnreachableError     no response, an overloaded or restarting server    retry
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
"""How often to look at a pod that is watched, or that is being deleted."""
GONE_WITHIN_SECONDS = 30.0
"""How long a deleted pod may take to disappear."""
LAUNCHES_AT_MOST = 3
"""How often to create a pod whose name is taken by a leftover that is deleted each time."""
REQUEST_SECONDS = (5, 30)
"""Time limits of one request: to connect, and to wait for the response."""
RETRIABLE = frozenset({
    HTTPStatus.UNAUTHORIZED, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
})  # fmt: skip
"""HTTP statuses after which a retry may succeed; 401 is among them, for a token may just be rotated."""


class AlreadyThereError(TemporaryError):
    """A pod of this name exists."""


class NoRoomError(TemporaryError):
    """The cluster has no room for the pod now."""


class UnreachableError(TemporaryError):
    """The Kubernetes API does not respond now."""


class PodRefusedError(ConfigurationError):
    """The cluster will never run this pod as it is."""


class PodApi:
    """Requests about the pods of one namespace."""

    def __init__(self, client: CoreV1Api, namespace: str) -> None:
        self._client = client
        self.namespace = namespace

    def launch(self, pod: k8s.V1Pod) -> k8s.V1Pod:
        """
        Create a pod, or take over the existing one if it was created for the same attempt with the same spec.

        Any other pod of that name is a leftover of a run that was deleted and made again, and is deleted.

        :return: the pod as the API server has it.
        :raises NoRoomError: if the quota is used up.
        :raises PodRefusedError: if the cluster will never run it.
        :raises UnreachableError: if the API does not respond.
        """
        name, wanted = pod.metadata.name, pod.metadata.annotations
        for _ in range(LAUNCHES_AT_MOST):
            try:
                with translated(f"Creating pod {self.namespace}/{name}"):
                    return self._client.create_namespaced_pod(self.namespace, pod, _request_timeout=REQUEST_SECONDS)
            except AlreadyThereError:  # of another launcher of this attempt, or of a request whose response was lost
                there = self.read(name)
            if there is not None:
                if there.metadata.deletion_timestamp is None and is_same_attempt(wanted, there.metadata.annotations):
                    return there
                self.delete(there)
                self._wait_until_gone(name)
        message = f"Pod {self.namespace}/{name} was created by others again each time that it was deleted"
        raise UnreachableError(f"{message}, {LAUNCHES_AT_MOST} times.")

    def read(self, name: str) -> k8s.V1Pod | None:
        """The pod of this name; None if there is none."""
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
        """Delete exactly this pod, not a later one of its name; one that is gone already is no error."""
        meta = pod.metadata
        # By uid: a name may be used again, and the pod that was listed a moment ago may be another one by now.
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
        Delete the pods that still run for earlier attempts of the same task.

        :param pod: of the present attempt.
        :return: names of the pods that were deleted.
        """
        siblings = self.select(f"{TASK}={pod.metadata.labels[TASK]}")
        older = [one for one in siblings if age_key(one) < age_key(pod) and not state_of(one).has_ended]
        for one in older:
            self.delete(one)
        return [one.metadata.name for one in older]

    def log(self, name: str, since_seconds: int | None) -> bytes:
        """
        What the step wrote, each line with its time in front; empty if there is no log.

        :param since_seconds: only lines of this last time, in whole seconds; None for all.
        """
        since: dict[str, Any] = {} if since_seconds is None else {"since_seconds": since_seconds}
        with translated(f"Reading the log of pod {self.namespace}/{name}"):
            try:
                # With _preload_content the client (36.0.3) returns the text "b'...'" in place of the bytes.
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
        """The warnings among the cluster's events of a pod, oldest first: ``Failed: secret not found``."""
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
                waited = f"{GONE_WITHIN_SECONDS:.0f} s ago"
                raise UnreachableError(f"Pod {self.namespace}/{name} was deleted {waited}, and still exists.")
            time.sleep(POLL_SECONDS)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """
    Turn errors of the Kubernetes client into the platform's.

    :param doing: what is being done, as the beginning of a message: ``Creating pod a/b``.
    :raises TemporaryError: if a retry may succeed: the subclasses in the table above.
    :raises PodRefusedError: if a retry would be refused again.
    """
    try:
        yield
    except ApiException as error:
        raise _refused(doing, error) from error
    except (HTTPError, OSError) as error:
        raise UnreachableError(f"{doing} is not possible now: {foreign(error)}") from error


def message_of(error: ApiException) -> str:
    """The message in the API server's error response, or what there is of the response."""
    return refusal_of(error).message or foreign(str(error.body or error.reason or error.status))


def _refused(doing: str, error: ApiException) -> Exception:
    refusal, message = refusal_of(error), message_of(error)
    # 409 is also the status when two requests change one object (a quota's count) at once; then a retry succeeds.
    if error.status == HTTPStatus.CONFLICT and refusal.reason == ALREADY_EXISTS:
        return AlreadyThereError(f"{doing} is not possible: {message}")
    if error.status == HTTPStatus.FORBIDDEN and refusal.is_quota:
        return NoRoomError(message)
    if not error.status or error.status in RETRIABLE:
        return UnreachableError(f"{doing} is not possible now: {message}")
    advice = (
        "Correct the cluster's rights and settings, or the resources in project.yaml; a retry would be refused too."
    )
    return PodRefusedError(f"{doing} was refused ({error.status}): {message}. {advice}")
