"""A pod is created once: a twin is refused by the API server, and what was asked for before is taken over or ended."""

import json
import time
from http import HTTPStatus

from kubernetes.client import CoreV1Api
from kubernetes.client import models as k8s
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from include.errors import ConfigurationError, TemporaryError, foreign
from plugins.operators.pod_request import MANAGED_BY, REQUEST_ANNOTATION, TRY_LABEL

REQUEST_SECONDS = (5, 30)
"""To connect to the API server, and for its answer."""
LAUNCH_SECONDS = 90.0
"""How long an API server that does not answer is asked again."""
WAIT_SECONDS = (0.25, 5.0)
"""Between two requests: at first, and at most."""
REFUSED = frozenset(
    {
        HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)  # fmt: skip
IDENTITY = ("dag_id", "run_id", "task_id", "map_index")
"""Labels that tries of one task instance share."""


class NoCapacityError(TemporaryError):
    """The cluster has no room for the pod at the moment."""


def launch(client: CoreV1Api, pod: k8s.V1Pod, seconds: float = LAUNCH_SECONDS) -> k8s.V1Pod:
    """
    Create a pod, or take over the one that this very try created before.

    :return: the pod as the API server has it.
    :raises NoCapacityError: if a quota is used up.
    :raises ConfigurationError: if the API server refuses the pod.
    :raises TemporaryError: if the API server does not answer.
    """
    give_up_at, wait = time.monotonic() + seconds, WAIT_SECONDS[0]
    while True:
        try:
            return client.create_namespaced_pod(pod.metadata.namespace, pod, _request_timeout=REQUEST_SECONDS)
        except (ApiException, HTTPError) as error:
            found = _after(client, pod, error)
            if found is not None:
                return found
            if time.monotonic() > give_up_at:
                message = f"Pod {_name(pod)} could not be created within {seconds:.0f} s: {_said(error)}."
                raise TemporaryError(message) from error
        time.sleep(wait)
        wait = min(2 * wait, WAIT_SECONDS[1])


def end_other_tries(client: CoreV1Api, pod: k8s.V1Pod) -> list[str]:
    """
    Delete what other tries of the same task instance left behind: their worker died, and nobody else would.

    :return: names of the pods.
    """
    wanted = {**MANAGED_BY, **{name: pod.metadata.labels[name] for name in IDENTITY if name in pod.metadata.labels}}
    selector = ",".join(f"{name}={value}" for name, value in wanted.items())
    selector += f",{TRY_LABEL}!={pod.metadata.labels[TRY_LABEL]}"
    try:
        found = client.list_namespaced_pod(
            pod.metadata.namespace, label_selector=selector, _request_timeout=REQUEST_SECONDS
        )
    except (ApiException, HTTPError) as error:
        raise _refusal(pod, error) or TemporaryError(f"Pods could not be listed: {_said(error)}.") from error
    names = [str(other.metadata.name) for other in found.items if not other.metadata.deletion_timestamp]
    for name in names:
        delete(client, name, pod.metadata.namespace)
    return names


def delete(client: CoreV1Api, name: str, namespace: str) -> None:
    """
    Delete a pod at once, if it is still there.

    :raises TemporaryError: if the API server does not do it.
    """
    try:
        client.delete_namespaced_pod(name, namespace, grace_period_seconds=0, _request_timeout=REQUEST_SECONDS)
    except (ApiException, HTTPError) as error:
        if not _is_status(error, HTTPStatus.NOT_FOUND):
            raise TemporaryError(f"Pod {namespace}/{name} could not be deleted: {_said(error)}.") from error


def read(client: CoreV1Api, name: str, namespace: str) -> k8s.V1Pod | None:
    """
    Read a pod; None if it is gone.

    :raises TemporaryError: if the API server does not answer.
    """
    try:
        return client.read_namespaced_pod(name, namespace, _request_timeout=REQUEST_SECONDS)
    except (ApiException, HTTPError) as error:
        if _is_status(error, HTTPStatus.NOT_FOUND):
            return None
        raise TemporaryError(f"Pod {namespace}/{name} could not be read: {_said(error)}.") from error


def _after(client: CoreV1Api, pod: k8s.V1Pod, error: Exception) -> k8s.V1Pod | None:
    """What a refused creation leads to: a pod to take over, an error, or None to try again."""
    if _is_status(error, HTTPStatus.CONFLICT):
        return _twin(client, pod)
    refusal = _refusal(pod, error)
    if refusal is not None:
        raise refusal from error
    return None


def _twin(client: CoreV1Api, pod: k8s.V1Pod) -> k8s.V1Pod | None:
    """The pod that has the name: taken over if this try asked for just that, deleted otherwise."""
    found = read(client, pod.metadata.name, pod.metadata.namespace)
    if found is None or found.metadata.deletion_timestamp:
        return None
    is_same_try = (found.metadata.labels or {}).get(TRY_LABEL) == pod.metadata.labels[TRY_LABEL]
    asked = pod.metadata.annotations[REQUEST_ANNOTATION]
    if is_same_try and (found.metadata.annotations or {}).get(REQUEST_ANNOTATION) == asked:
        return found
    delete(client, pod.metadata.name, pod.metadata.namespace)
    return None


def _refusal(pod: k8s.V1Pod, error: Exception) -> Exception | None:
    """What the API server will say again; None where it may say something else the next time."""
    if not isinstance(error, ApiException) or error.status not in REFUSED:
        return None
    said = _said(error)
    if "exceeded quota" in said:
        return NoCapacityError(f"The cluster has no room for pod {_name(pod)}: {said}.")
    return ConfigurationError(f"The API server refuses pod {_name(pod)}: {said}.")


def _is_status(error: Exception, status: HTTPStatus) -> bool:
    return isinstance(error, ApiException) and error.status == status


def _said(error: Exception) -> str:
    if isinstance(error, ApiException) and error.body:
        try:
            return foreign(json.loads(error.body)["message"]).rstrip(".")
        except (ValueError, KeyError, TypeError):
            return foreign(f"{error.status} {error.reason}")
    return foreign(error).rstrip(".")


def _name(pod: k8s.V1Pod) -> str:
    return f"{pod.metadata.namespace}/{pod.metadata.name}"
