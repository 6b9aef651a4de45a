"""
What the Kubernetes API answers when it does not do what it was asked to -> errors that say what to do next.

    already there        the name is taken                                  look whose pod it is
    NoRoomError          the quota is used up                               wait
    PodRefusedError      forbidden, invalid, no such namespace              fail at once
    UnreachableError     no answer, an overloaded or restarting server      ask again
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from include.errors import ConfigurationError, TemporaryError, foreign
from include.stores.kubernetes.refusals import ALREADY_EXISTS, refusal_of

LATER = frozenset({
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


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """
    Turn errors of the Kubernetes client into the platform's.

    :param doing: what is being done, as the beginning of a sentence: ``Creating pod a/b``.
    """
    try:
        yield
    except ApiException as error:
        raise _answer(doing, error) from error
    except (HTTPError, OSError) as error:
        raise UnreachableError(f"{doing} is not possible now: {foreign(error)}") from error


def message_of(error: ApiException) -> str:
    """The one sentence of the API server's answer."""
    return refusal_of(error).message or foreign(str(error.body or error.reason or error.status))


def _answer(doing: str, error: ApiException) -> Exception:
    refusal, message = refusal_of(error), message_of(error)
    if error.status == HTTPStatus.CONFLICT and refusal.reason == ALREADY_EXISTS:
        return AlreadyThereError(f"{doing} is not possible: {message}")
    if error.status == HTTPStatus.FORBIDDEN and refusal.is_quota:
        return NoRoomError(message)
    if not error.status or error.status in LATER:
        return UnreachableError(f"{doing} is not possible now: {message}")
    advice = "Correct the cluster's rights and settings, or the resources in project.yaml; trying again gives the same."
    return PodRefusedError(f"{doing} was refused ({error.status}): {message}. {advice}")
