from typing import Any

import pytest
from kubernetes.client import models as k8s

from plugins.operators.pod_ending import PodPhase, report


def pod(phase: str, state: k8s.V1ContainerState | None = None, **status: Any) -> k8s.V1Pod:
    containers = [
        k8s.V1ContainerStatus(name="base", image="it", image_id="it", ready=False, restart_count=0, state=state)
    ]
    return k8s.V1Pod(
        spec=k8s.V1PodSpec(
            containers=[k8s.V1Container(name="base", resources=k8s.V1ResourceRequirements(limits={"memory": "512Mi"}))]
        ),
        status=k8s.V1PodStatus(phase=phase, container_statuses=containers if state else None, **status),
    )


def waiting(reason: str, message: str = "") -> k8s.V1Pod:
    return pod("Pending", k8s.V1ContainerState(waiting=k8s.V1ContainerStateWaiting(reason=reason, message=message)))


def ended(code: int, reason: str = "Error", message: str = "") -> k8s.V1Pod:
    state = k8s.V1ContainerStateTerminated(exit_code=code, reason=reason, message=message)
    return pod("Failed" if code else "Succeeded", k8s.V1ContainerState(terminated=state))


def test_a_running_step_works() -> None:
    assert report(pod("Running", k8s.V1ContainerState(running=k8s.V1ContainerStateRunning()))).phase is PodPhase.WORKING


def test_the_termination_message_is_the_reason() -> None:
    found = report(ended(65, message="flights 2013-03: 12 rows of another month"))
    assert (found.phase, found.exit_code) == (PodPhase.ENDED, 65)
    assert found.reason == "flights 2013-03: 12 rows of another month"


def test_a_step_that_needed_more_memory_is_told_so() -> None:
    found = report(ended(137, reason="OOMKilled"))
    assert found.exit_code == 137
    assert "more memory than its 512Mi" in found.reason


def test_a_deadline_is_told() -> None:
    over_time = ended(137)
    over_time.status.reason = "DeadlineExceeded"
    over_time.status.message = "Pod was active on the node longer than the specified deadline"
    assert "DeadlineExceeded: Pod was active on the node longer than" in report(over_time).reason


def test_an_evicted_pod_has_ended_without_an_exit_code() -> None:
    found = report(pod("Failed", reason="Evicted", message="The node was low on resource: memory."))
    assert (found.phase, found.exit_code) == (PodPhase.ENDED, 137)
    assert "Evicted: The node was low on resource" in found.reason


def test_a_pod_that_is_gone_has_ended() -> None:
    found = report(None)
    assert (found.phase, found.exit_code) == (PodPhase.ENDED, 137)
    assert "deleted or evicted" in found.reason


@pytest.mark.parametrize(
    "reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError"]
)
def test_what_never_starts_is_misconfigured(reason: str) -> None:
    found = report(waiting(reason, 'secret "ml-s3" not found'))
    assert found.phase is PodPhase.MISCONFIGURED
    assert found.reason == f'The pod cannot start: {reason}: secret "ml-s3" not found'


def test_a_registrys_bad_moment_is_waited_for() -> None:
    assert report(waiting("ErrImagePull", "429 Too Many Requests")).phase is PodPhase.WAITING


def test_an_image_that_is_being_pulled_is_waited_for() -> None:
    assert report(waiting("ContainerCreating")).phase is PodPhase.WAITING


def test_the_scheduler_says_why_it_waits() -> None:
    condition = k8s.V1PodCondition(
        type="PodScheduled", status="False", reason="Unschedulable", message="0/1 nodes: 1 Insufficient memory."
    )
    found = report(pod("Pending", conditions=[condition]))
    assert found.phase is PodPhase.WAITING
    assert found.reason == "The pod finds no node: Unschedulable: 0/1 nodes: 1 Insufficient memory."
