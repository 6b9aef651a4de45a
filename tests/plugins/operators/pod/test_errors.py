import pytest
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import MaxRetryError, ProtocolError

from include.errors import PermanentError, PlatformError, TemporaryError
from plugins.operators.pod.errors import (
    AlreadyThereError,
    NoRoomError,
    PodRefusedError,
    UnreachableError,
    message_of,
    translated,
)
from tests.support.worlds.pod_world import refused

QUOTA = 'pods "a" is forbidden: exceeded quota: ml-quota, requested: pods=1, used: pods=40, limited: pods=40'


@pytest.mark.parametrize(
    ("error", "expected", "told"),
    [
        (refused(409, "AlreadyExists", 'pods "a" already exists'), AlreadyThereError, "already exists"),
        (refused(403, "Forbidden", QUOTA), NoRoomError, "^pods.*exceeded quota: ml-quota"),
        (refused(403, "Forbidden", "violates PodSecurity"), PodRefusedError, r"refused \(403\): violates PodSecurity"),
        (refused(422, "Invalid", "Pod is invalid: spec"), PodRefusedError, r"refused \(422\): Pod is invalid"),
        (refused(404, "NotFound", 'namespaces "n" not found'), PodRefusedError, "namespaces"),
        (refused(409, "Conflict", "try again"), UnreachableError, "not possible now: try again"),
        (refused(503, "ServiceUnavailable", "etcd"), UnreachableError, "etcd"),
        (refused(401, "Unauthorized", "Unauthorized"), UnreachableError, "Unauthorized"),
        (ApiException(status=0, reason="Handshake"), UnreachableError, "Handshake"),
        (MaxRetryError(None, "/", ConnectionRefusedError("refused")), UnreachableError, "refused"),  # type: ignore[arg-type]
        (ProtocolError("broken"), UnreachableError, "broken"),
        (TimeoutError("timed out"), UnreachableError, "timed out"),
    ],
)
def test_each_answer_says_what_to_do_next(error: Exception, expected: type[PlatformError], told: str) -> None:
    with pytest.raises(expected, match=told), translated("Creating pod n/a"):
        raise error


def test_waiting_helps_with_some_and_never_with_a_refusal() -> None:
    assert issubclass(PodRefusedError, PermanentError)
    assert issubclass(NoRoomError, TemporaryError)
    assert issubclass(UnreachableError, TemporaryError)


def test_an_answer_that_is_no_json_is_told_as_it_is() -> None:
    error = ApiException(status=502, reason="Bad Gateway")
    error.body = "<html>proxy</html>"
    assert message_of(error) == "<html>proxy</html>"
