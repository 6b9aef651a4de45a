from typing import Any

import pytest

from include.errors import ConfigurationError, DataRejectedError, TemporaryError
from include.stores.serving.readiness import Fault, Trouble, is_ready, last_warning, trouble_of
from tests.support.servers.model_cluster import ended, waiting


def deployment(wanted: int = 2, **status: Any) -> dict[str, Any]:
    return {"metadata": {"generation": 3}, "spec": {"replicas": wanted}, "status": status}


def pod(*containers: dict[str, Any], **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "status": {"containerStatuses": list(containers), **status}}


def unschedulable(message: str) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return pod(conditions=[condition])


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        ({"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}, True),
        ({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}, False),
        ({"observedGeneration": 3, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 2}, False),
        ({"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1}, False),
        ({}, False),
    ],
)
def test_all_pods_must_be_new_and_ready(*, status: dict[str, Any], ready: bool) -> None:
    assert is_ready(deployment(**status)) is ready


@pytest.mark.parametrize(
    ("container", "fault", "text"),
    [
        (waiting("ErrImagePull", "rpc error: manifest unknown"), Fault.CONFIGURATION, "manifest unknown"),
        (waiting("ImagePullBackOff", "registry/x: not found"), Fault.CONFIGURATION, "not found"),
        (waiting("ErrImagePull", "dial tcp: i/o timeout"), Fault.WAIT, "i/o timeout"),
        (waiting("InvalidImageName", "couldn't parse image name"), Fault.CONFIGURATION, "couldn't parse"),
        (waiting("CreateContainerConfigError", 'secret "x" not found'), Fault.CONFIGURATION, 'secret "x" not found'),
        (waiting("CreateContainerError", "mount failed"), Fault.WAIT, "CreateContainerError: mount failed"),
        (ended(65, "golden.json is not what it should be"), Fault.DATA, "golden.json is not"),
        (ended(78, "the port is taken"), Fault.CONFIGURATION, "the port is taken"),
        (ended(1, "Traceback"), Fault.WAIT, "ends with exit code 1: Traceback"),
        (ended(1, "Traceback", restarts=2), Fault.CRASH, "ends with exit code 1: Traceback"),
        (ended(137, "", "OOMKilled"), Fault.CONFIGURATION, r"raise serving.memory"),
    ],
)
def test_the_end_of_a_container_shows_what_is_at_fault(container: dict[str, Any], fault: Fault, text: str) -> None:
    trouble = trouble_of(deployment(), [pod(container)])
    assert trouble is not None
    assert trouble.fault is fault
    assert text in trouble.text


def test_container_that_crashed_and_waits_to_be_started_again_states_why_it_ended() -> None:
    crashed = ended(65, "golden rows differ")
    back_off = waiting("CrashLoopBackOff", "back-off 10s") | {"lastState": crashed["state"], "restartCount": 1}
    trouble = trouble_of(deployment(), [pod(back_off)])
    assert trouble == Trouble(Fault.DATA, "golden rows differ")


def test_final_trouble_of_one_pod_counts_more_than_what_others_wait_for() -> None:
    waits = unschedulable("0/1 nodes are available")
    trouble = trouble_of(deployment(), [waits, pod(ended(78, "no"))])
    assert trouble == Trouble(Fault.CONFIGURATION, "no")
    alone = trouble_of(deployment(), [waits])
    assert alone == Trouble(Fault.WAIT, "no node takes it: 0/1 nodes are available")


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest"', Fault.CONFIGURATION),
        ('pods "x" is forbidden: exceeded quota: ml-quota', Fault.WAIT),
    ],
)
def test_pods_that_are_not_even_made(message: str, fault: Fault) -> None:
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    trouble = trouble_of(deployment(conditions=[condition]), [])
    assert trouble == Trouble(fault, message)


def test_pods_on_their_way_are_no_trouble() -> None:
    starting = {"state": {"waiting": {"reason": "ContainerCreating"}}, "lastState": {}, "restartCount": 0}
    assert trouble_of(deployment(), [pod(starting), pod({"state": {"running": {}}})]) is None


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.DATA, DataRejectedError),
        (Fault.CONFIGURATION, ConfigurationError),
        (Fault.CRASH, TemporaryError),
        (Fault.WAIT, TemporaryError),
    ],
)
def test_trouble_is_an_error_of_the_tree(fault: Fault, error: type[Exception]) -> None:
    trouble = Trouble(fault, "why.")
    with pytest.raises(error, match=r"delay-v3 does not become ready: why\."):
        raise trouble.error("delay-v3")
    assert trouble.is_final is (fault is not Fault.WAIT)


def test_newest_warning_is_reported() -> None:
    events = [
        {"type": "Warning", "reason": "FailedMount", "message": "new", "lastTimestamp": "2026-01-02T00:00:00Z"},
        {"type": "Normal", "reason": "Pulled", "message": "newer", "lastTimestamp": "2026-01-03T00:00:00Z"},
        {"type": "Warning", "reason": "Failed", "message": "old", "eventTime": "2026-01-01T00:00:00Z"},
    ]
    assert last_warning(events) == "FailedMount: new"
    assert last_warning(events[1:2]) == ""
