from datetime import timedelta

import pytest

from include.errors import ConfigurationError, PermanentError, TemporaryError
from plugins.operators.pod.failure import hopeless, unexplained, waited_too_long
from plugins.operators.pod.watching import GONE, PodState, Stage
from tests.support.worlds.pod_world import COMMAND

LIMIT = timedelta(hours=1)


def ended(reason: str, message: str = "") -> PodState:
    return PodState(stage=Stage.ENDED, reason=reason, message=message)


@pytest.mark.parametrize("reason", ["", "Error", "Completed"])
def test_a_process_that_ended_by_itself_is_explained_by_its_exit_code(reason: str) -> None:
    assert unexplained(COMMAND, "p", ended(reason), LIMIT) is None


@pytest.mark.parametrize(
    ("state", "kind", "told"),
    [
        (ended("DeadlineExceeded"), TemporaryError, "after its time limit of 1:00:00.*steps.train.timeout"),
        (ended("Evicted", "The node was low on resource: memory."), TemporaryError, "Evicted: The node was low"),
        (ended("Evicted", 'Usage of EmptyDir volume "tmp" exceeds the limit "2Gi".'), PermanentError, "storage"),
        (ended("Preempting", "to accommodate a critical pod"), TemporaryError, "Preempting: to accommodate"),
        (ended("StartError", "exec: python: not found"), ConfigurationError, "python: not found.*ML_STEP_IMAGE"),
        (GONE, TemporaryError, "the pod was deleted, or its node is no more"),
    ],
)
def test_what_the_cluster_did_is_told(state: PodState, kind: type[Exception], told: str) -> None:
    error = unexplained(COMMAND, "p", state, LIMIT)
    assert isinstance(error, kind)
    with pytest.raises(kind, match=told):
        raise error


def test_the_low_disk_of_a_node_is_not_the_steps_fault() -> None:
    error = unexplained(COMMAND, "p", ended("Evicted", "The node was low on resource: ephemeral-storage."), LIMIT)
    assert isinstance(error, TemporaryError)


def test_what_will_never_start_is_told_with_the_last_event() -> None:
    state = PodState(stage=Stage.WAITING, reason="ErrImagePull", message="not found", is_hopeless=True)
    error = hopeless(COMMAND, "p", state, ["Failed: a", "Failed: manifest unknown"])
    assert isinstance(error, PermanentError)
    assert "ErrImagePull: not found. Event: Failed: manifest unknown." in str(error)


def test_of_a_long_message_both_ends_are_told() -> None:
    state = PodState(stage=Stage.WAITING, reason="ErrImagePull", message=f"rpc error {'x' * 900} not found.")
    told = str(hopeless(COMMAND, "p", state, []))
    assert "ErrImagePull: rpc error" in told
    assert "xxx not found. Trying again" in told
    assert len(told) < 800


def test_who_waited_too_long_is_told_for_what() -> None:
    error = waited_too_long(COMMAND, "p", "Unschedulable: no memory", LIMIT)
    assert isinstance(error, PermanentError)
    assert "did not start within 1:00:00: Unschedulable: no memory" in str(error)
    assert "execution.steps.train.capacity_wait of project 'flights'" in str(error)
