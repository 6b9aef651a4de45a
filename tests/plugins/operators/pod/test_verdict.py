from datetime import timedelta
from typing import Any
from unittest.mock import PropertyMock, patch

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.contract.layout import memory_key
from include.contract.receipt import OutcomeStatus
from include.errors import ConfigurationError, PermanentError, TemporaryError
from include.spec.resources import ResourceSpec
from include.stores.objects.memory import MemoryObjects
from plugins.operators.outcome import Reference
from plugins.operators.pod.attempt import Attempt, Progress, attempt_of
from plugins.operators.pod.verdict import (
    StoreUnreachableError,
    never_starts,
    ran_out,
    unexplained,
    verdict,
    waited_too_long,
)
from plugins.operators.pod.watching import GONE, PodState, Stage
from plugins.operators.step_call import StepCall
from tests.support.worlds.pod_world import COMMAND, SETTINGS, context, keep_outcome, keep_receipt

KILLED = PodState(stage=Stage.ENDED, reason="Error", exit_code=-9)
OUT_OF_MEMORY = PodState(stage=Stage.ENDED, reason="OOMKilled", exit_code=-9)
LIMIT = timedelta(hours=1)
RESOURCES = ResourceSpec(memory="1Gi", memory_at_most="3Gi")


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


def end(state: PodState, objects: Any, **form: str) -> Reference:
    call = StepCall(step="train", project="flights", partition="2013-09", options={})
    with patch.object(Attempt, "documents", new_callable=PropertyMock, return_value=objects):
        return verdict(attempt_of(call, context(resources={"train": form}), SETTINGS, Progress(since=0.0)), state)


@pytest.mark.parametrize("state", [KILLED, OUT_OF_MEMORY, GONE, PodState(stage=Stage.ENDED, reason="Evicted")])
def test_a_receipt_is_success_whatever_became_of_the_pod(objects: MemoryObjects, state: PodState) -> None:
    key = keep_receipt(objects)
    assert end(state, objects) == {"status": "done", "receipt": key, "row_counts": {"rows": 3}}
    assert objects.list("memory/") == []


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (KILLED, "was ended by SIGKILL before it left a receipt"),
        (GONE, "the pod was deleted, or its node is no more"),
        (PodState(stage=Stage.ENDED, reason="Completed", exit_code=0), "exited with 0, but left no receipt"),
        (PodState(stage=Stage.ENDED, reason="Error", exit_code=70, termination_message="KeyError in"), "^KeyError in$"),
    ],
)
def test_no_receipt_is_a_failure_with_the_reason(objects: MemoryObjects, state: PodState, message: str) -> None:
    with pytest.raises(TemporaryError, match=message):
        end(state, objects)


def test_a_failure_that_the_step_wrote_down_counts_though_the_pod_is_gone(objects: MemoryObjects) -> None:
    keep_outcome(objects, OutcomeStatus.FAILED, 65, message="Column a is missing.")
    with pytest.raises(AirflowFailException, match=r"^Column a is missing\.$"):
        end(GONE, objects)


def test_the_clusters_reason_to_end_a_step_outranks_the_steps_own(objects: MemoryObjects) -> None:
    keep_outcome(objects, OutcomeStatus.FAILED, 75, message="The step was told to end (SIGTERM).")
    full = PodState(
        stage=Stage.ENDED,
        reason="Evicted",
        exit_code=75,
        message='Usage of EmptyDir volume "tmp" exceeds the limit "16Mi".',
    )
    with pytest.raises(PermanentError, match="wrote more to disk than it may"):
        end(full, objects)
    elsewhere = PodState(stage=Stage.ENDED, reason="Evicted", exit_code=75, message="The node was low on memory.")
    with pytest.raises(TemporaryError, match="was told to end"):
        end(elsewhere, objects)


def test_nothing_to_do_is_a_skip(objects: MemoryObjects) -> None:
    keep_outcome(objects, OutcomeStatus.SKIPPED, 99, message="The gates were not passed.")
    with pytest.raises(AirflowSkipException, match="gates"):
        end(PodState(stage=Stage.ENDED, reason="Error", exit_code=99), objects)


def test_a_step_that_ran_out_of_memory_is_retried_with_more_and_that_is_written_down(objects: MemoryObjects) -> None:
    with pytest.raises(TemporaryError, match=r"needs more than 2Gi of memory.*next attempt gets 4Gi"):
        end(OUT_OF_MEMORY, objects)
    assert len(objects.list("memory/flights/manual__1/train/2013-09/")) == 1


def test_at_the_ceiling_it_is_not_retried(objects: MemoryObjects) -> None:
    with pytest.raises(PermanentError, match=r"needs more than 4Gi of memory.*Raise execution"):
        end(OUT_OF_MEMORY, objects, memory="4Gi")


class Away(MemoryObjects):
    def list(self, prefix: str) -> list[str]:  # noqa: ARG002 (as every store has it)
        raise TemporaryError("S3 does not answer.")


def test_a_store_that_is_away_is_no_verdict() -> None:
    with pytest.raises(StoreUnreachableError, match="S3 does not answer"):
        end(KILLED, Away())


def test_the_error_names_what_comes_next(objects: MemoryObjects) -> None:
    message = str(ran_out(COMMAND, "1Gi", RESOURCES, objects))
    assert "train of flights 2013-09, run manual__1, attempt 1 needs more than 1Gi of memory" in message
    assert "The next attempt gets 2Gi (execution.steps.train.memory_at_most of project 'flights' is 3Gi)." in message


def test_at_the_ceiling_the_error_names_what_was_needed_and_what_to_change(objects: MemoryObjects) -> None:
    message = str(ran_out(COMMAND, "3Gi", RESOURCES, objects))
    assert "needs more than 3Gi of memory" in message
    assert "Raise execution.steps.train.memory_at_most of project 'flights'" in message


def test_without_a_ceiling_there_is_no_larger_size(objects: MemoryObjects) -> None:
    assert isinstance(ran_out(COMMAND, "1Gi", ResourceSpec(memory="1Gi"), objects), PermanentError)


def test_memory_sizes_lie_where_no_outcome_does(objects: MemoryObjects) -> None:
    ran_out(COMMAND, "1Gi", RESOURCES, objects)
    key = memory_key("flights", "manual__1", "train", "2013-09", 1)
    assert objects.get(key) == b'{"memory":"1Gi"}'
    assert not objects.list("runs/")


def ended(reason: str, message: str = "") -> PodState:
    return PodState(stage=Stage.ENDED, reason=reason, message=message)


@pytest.mark.parametrize("reason", ["", "Error", "Completed"])
def test_a_process_that_ended_by_itself_is_explained_by_its_exit_code(reason: str) -> None:
    assert unexplained(COMMAND, "p", ended(reason), LIMIT) is None


@pytest.mark.parametrize(
    ("state", "kind", "message"),
    [
        (ended("DeadlineExceeded"), TemporaryError, "after its time limit of 1:00:00.*steps.train.timeout"),
        (ended("Evicted", "The node was low on resource: memory."), TemporaryError, "Evicted: The node was low"),
        (ended("Evicted", 'Usage of EmptyDir volume "tmp" exceeds the limit "2Gi".'), PermanentError, "storage"),
        (ended("Preempting", "to accommodate a critical pod"), TemporaryError, "Preempting: to accommodate"),
        (ended("StartError", "exec: python: not found"), ConfigurationError, "python: not found.*ML_STEP_IMAGE"),
        (GONE, TemporaryError, "the pod was deleted, or its node is no more"),
    ],
)
def test_what_the_cluster_did_is_in_the_error(state: PodState, kind: type[Exception], message: str) -> None:
    error = unexplained(COMMAND, "p", state, LIMIT)
    assert isinstance(error, kind)
    with pytest.raises(kind, match=message):
        raise error


def test_the_low_disk_of_a_node_is_not_the_steps_fault() -> None:
    error = unexplained(COMMAND, "p", ended("Evicted", "The node was low on resource: ephemeral-storage."), LIMIT)
    assert isinstance(error, TemporaryError)


def test_what_will_never_start_is_an_error_with_the_last_event() -> None:
    state = PodState(stage=Stage.WAITING, reason="ErrImagePull", message="not found", is_unrecoverable=True)
    error = never_starts(COMMAND, "p", state, ["Failed: a", "Failed: manifest unknown"])
    assert isinstance(error, PermanentError)
    assert "ErrImagePull: not found. Event: Failed: manifest unknown." in str(error)


def test_of_a_long_message_both_ends_are_kept() -> None:
    state = PodState(stage=Stage.WAITING, reason="ErrImagePull", message=f"rpc error {'x' * 900} not found.")
    message = str(never_starts(COMMAND, "p", state, []))
    assert "ErrImagePull: rpc error" in message
    assert "xxx not found. A retry" in message
    assert len(message) < 800


def test_a_pod_that_waited_too_long_fails_with_what_it_waited_for() -> None:
    error = waited_too_long(COMMAND, "p", "Unschedulable: no memory", LIMIT)
    assert isinstance(error, PermanentError)
    assert "did not start within 1:00:00: Unschedulable: no memory" in str(error)
    assert "execution.steps.train.capacity_wait of project 'flights'" in str(error)
