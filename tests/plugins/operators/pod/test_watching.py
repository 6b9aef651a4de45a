from datetime import UTC, datetime, timedelta

import pytest
from kubernetes.client import models as k8s

from plugins.operators.pod.watching import GONE, PodState, Stage, state_of
from tests.support.worlds.pod_world import ended, running, status, unschedulable, waiting


def read(there: k8s.V1PodStatus, deleted_at: datetime | None = None) -> PodState:
    meta = k8s.V1ObjectMeta(name="p", deletion_timestamp=deleted_at)
    return state_of(k8s.V1Pod(metadata=meta, status=there))


def test_a_pod_that_works() -> None:
    assert read(running()) == PodState(stage=Stage.WORKING)


def test_a_pod_that_just_came_to_be_waits() -> None:
    state = read(status())
    assert state.stage is Stage.WAITING
    assert not state.is_hopeless
    assert not state.is_without_room


def test_a_pod_without_a_node_waits_for_room() -> None:
    state = read(unschedulable())
    assert state.is_without_room
    assert state.what == "Unschedulable: 0/1 nodes are available: 1 Insufficient memory."


@pytest.mark.parametrize(
    ("reason", "message", "is_hopeless"),
    [
        ("ErrImagePull", 'failed to resolve reference "r/i@sha256:0": not found', True),
        ("ImagePullBackOff", 'Back-off pulling image "r/i": not found', True),
        ("InvalidImageName", "couldn't parse image name", True),
        ("CreateContainerConfigError", 'secret "ml-connection-s3" not found', True),
        ("CreateContainerConfigError", "couldn't find key A in Secret ml-steps/ml-connection-s3", True),
        ("CreateContainerConfigError", "failed to sync secret cache: timed out waiting for the condition", False),
        ("ErrImagePull", "dial tcp 10.0.0.1:5000: connect: connection refused", False),
        ("ImagePullBackOff", "429 Too Many Requests", False),
        ("ContainerCreating", "", False),
    ],
)
def test_what_will_never_come_is_told_from_what_may(reason: str, message: str, *, is_hopeless: bool) -> None:
    state = read(waiting(reason, message))
    assert (state.stage, state.is_hopeless, state.reason) == (Stage.WAITING, is_hopeless, reason)


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (65, 65), (137, -9), (143, -15)])
def test_an_exit_code_is_that_of_a_process(code: int, expected: int) -> None:
    state = read(ended(code, said="The store does not answer.\nmore"))
    assert (state.has_ended, state.exit_code, state.said) == (True, expected, "The store does not answer.")


def test_the_pods_own_reason_says_more_than_the_containers() -> None:
    state = read(ended(137, "Error", reason="DeadlineExceeded", message="Pod was active longer than specified"))
    assert state.reason == "DeadlineExceeded"
    assert read(ended(137, "OOMKilled")).reason == "OOMKilled"


def test_a_pod_that_was_ended_before_it_began_has_no_exit_code() -> None:
    state = read(status("Failed", reason="Evicted", message="The node was low on resource: memory."))
    assert (state.has_ended, state.exit_code, state.reason) == (True, None, "Evicted")


def test_a_program_that_could_not_start_said_nothing() -> None:
    state = read(ended(128, "StartError", said="exec: python: not found"))
    assert (state.exit_code, state.said, state.message) == (None, "", "exec: python: not found")


def test_no_pod_has_ended() -> None:
    assert state_of(None) is GONE


def test_a_pod_that_should_be_gone_long_since_lies_on_a_lost_node() -> None:
    now = datetime.now(UTC)
    assert read(running(), now).stage is Stage.WORKING
    assert read(running(), now - timedelta(minutes=5)) is GONE
