import pytest
from kubernetes.client import models as k8s
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import MaxRetryError, ProtocolError

from include.errors import PermanentError, PlatformError, TemporaryError
from include.spec.resources import ResourceSpec
from plugins.operators.pod.api import (
    AlreadyThereError,
    NoRoomError,
    PodApi,
    PodRefusedError,
    UnreachableError,
    message_of,
    translated,
)
from plugins.operators.pod.spec import step_pod
from tests.support.servers.api_errors import refused
from tests.support.worlds.pod_world import NAMESPACE, FakePods, ended, pod_task, running

QUOTA = 'pods "a" is forbidden: exceeded quota: ml-quota, requested: pods=1, used: pods=40, limited: pods=40'


@pytest.fixture
def cluster() -> FakePods:
    return FakePods()


@pytest.fixture
def api(cluster: FakePods) -> PodApi:
    return PodApi(cluster.client, NAMESPACE)


def pod(memory: str = "1Gi", **task: object) -> k8s.V1Pod:
    resources = ResourceSpec(memory=memory)
    return step_pod(pod_task(**task), ["train"], [], image="i", namespace=NAMESPACE, resources=resources)


def test_a_second_launch_of_the_same_attempt_takes_the_pod_that_is_there(api: PodApi, cluster: FakePods) -> None:
    first = api.launch(pod())
    assert api.launch(pod()) is first
    assert cluster.created == 1
    assert cluster.deleted == []


def test_a_pod_of_the_same_attempt_that_ended_is_taken_too(api: PodApi, cluster: FakePods) -> None:
    first = cluster.put(pod(), ended(1))
    assert api.launch(pod()) is first


@pytest.mark.parametrize("other", [{"task_instance": "of a run that was deleted"}, {"memory": "2Gi"}])
def test_any_other_pod_of_the_name_makes_room(api: PodApi, cluster: FakePods, other: dict[str, str]) -> None:
    cluster.put(pod(**other), running())
    launched = api.launch(pod())
    assert cluster.deleted == [launched.metadata.name]
    assert cluster.created == 1


def test_a_reply_that_was_lost_does_no_harm(api: PodApi, cluster: FakePods) -> None:
    cluster.refusals = [ProtocolError("connection broken")]
    with pytest.raises(UnreachableError, match="Creating pod steps/flights-train"):
        api.launch(pod())
    there = cluster.put(pod())
    assert api.launch(pod()) is there


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (refused(403, "Forbidden", "exceeded quota: ml-quota"), NoRoomError),
        (refused(403, "Forbidden", "violates PodSecurity restricted"), PodRefusedError),
    ],
)
def test_what_the_server_refuses_is_an_error(
    api: PodApi, cluster: FakePods, refusal: Exception, error: type[Exception]
) -> None:
    cluster.refusals = [refusal]
    with pytest.raises(error):
        api.launch(pod())


def test_a_pod_that_is_gone_is_none_and_deleting_it_does_no_harm(api: PodApi) -> None:
    assert api.read("nobody") is None
    api.delete(pod())


def test_a_later_pod_of_the_name_is_not_deleted(api: PodApi, cluster: FakePods) -> None:
    earlier = pod()
    earlier.metadata.uid = "earlier"
    cluster.put(pod())
    api.delete(earlier)
    assert cluster.deleted == []


def test_only_what_works_for_an_earlier_attempt_is_deleted(api: PodApi, cluster: FakePods) -> None:
    cluster.put(pod(try_number=1), ended(1))
    cluster.put(pod(try_number=2), running())
    cluster.put(pod(try_number=2, map_index=7), running())
    mine = cluster.put(pod(try_number=3), running())
    assert api.delete_older_attempts(mine) == [pod(try_number=2).metadata.name]
    assert len(cluster.pods) == 3


def test_a_launcher_that_comes_late_does_not_end_its_successors_pod(api: PodApi, cluster: FakePods) -> None:
    cluster.put(pod(try_number=2, task_instance="id-2"), running())
    assert api.delete_older_attempts(pod(try_number=1, task_instance="id-1")) == []


def test_what_is_left_of_a_run_that_was_deleted_is_older_whatever_its_attempt(api: PodApi, cluster: FakePods) -> None:
    left = cluster.put(pod(try_number=3, task_instance="id-1"), running())
    assert api.delete_older_attempts(pod(try_number=1, task_instance="id-2")) == [left.metadata.name]


def test_the_log_of_a_pod_that_has_none_is_empty(api: PodApi, cluster: FakePods) -> None:
    cluster.client.read_namespaced_pod_log.side_effect = refused(400, "BadRequest", "container is waiting to start")
    assert api.log("p", None) == b""


def test_the_log_is_requested_with_times_and_as_far_back_as_needed(api: PodApi, cluster: FakePods) -> None:
    cluster.logs = b"2026-01-01T00:00:00Z a\n"
    assert api.log("p", 17) == cluster.logs
    request = cluster.client.read_namespaced_pod_log.call_args.kwargs
    assert (request["since_seconds"], request["timestamps"], request["container"]) == (17, True, "step")


def test_warnings_are_the_clusters_events(api: PodApi, cluster: FakePods) -> None:
    cluster.events = [("Failed", "secret not found")]
    assert api.warnings("p") == ["Failed: secret not found"]


def test_a_pod_that_will_not_go_is_an_error(api: PodApi, cluster: FakePods, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugins.operators.pod.api.GONE_WITHIN_SECONDS", 0.0)
    cluster.put(pod(task_instance="other"), running())
    cluster.client.delete_namespaced_pod.side_effect = None
    with pytest.raises(UnreachableError, match="was deleted 0 s ago, and still exists"):
        api.launch(pod())


@pytest.mark.parametrize(
    ("error", "expected", "message"),
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
def test_each_response_decides_what_to_do_next(error: Exception, expected: type[PlatformError], message: str) -> None:
    with pytest.raises(expected, match=message), translated("Creating pod n/a"):
        raise error


def test_waiting_helps_with_some_and_never_with_a_refusal() -> None:
    assert issubclass(PodRefusedError, PermanentError)
    assert issubclass(NoRoomError, TemporaryError)
    assert issubclass(UnreachableError, TemporaryError)


def test_an_error_response_that_is_no_json_is_quoted() -> None:
    error = ApiException(status=502, reason="Bad Gateway")
    error.body = "<html>proxy</html>"
    assert message_of(error) == "<html>proxy</html>"
