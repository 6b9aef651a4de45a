from typing import Any
from unittest.mock import PropertyMock, patch

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.contract.receipt import OutcomeStatus
from include.errors import PermanentError, TemporaryError
from include.stores.objects.memory import MemoryObjects
from plugins.operators.outcome import Reference
from plugins.operators.pod.attempt import PodCall, pod_call
from plugins.operators.pod.verdict import StoreAwayError, verdict
from plugins.operators.pod.watching import GONE, PodState, Stage
from plugins.operators.step_call import StepCall
from tests.support.worlds.pod_world import SETTINGS, context, keep_outcome, keep_receipt

KILLED = PodState(stage=Stage.ENDED, reason="Error", exit_code=-9)
OUT_OF_MEMORY = PodState(stage=Stage.ENDED, reason="OOMKilled", exit_code=-9)


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


def judged(state: PodState, objects: Any, **form: str) -> Reference:
    call = StepCall(step="train", project="flights", partition="2013-09", options={})
    with patch.object(PodCall, "documents", new_callable=PropertyMock, return_value=objects):
        return verdict(pod_call(call, context(resources={"train": form}), SETTINGS), state)


@pytest.mark.parametrize("state", [KILLED, OUT_OF_MEMORY, GONE, PodState(stage=Stage.ENDED, reason="Evicted")])
def test_a_receipt_is_success_whatever_became_of_the_pod(objects: MemoryObjects, state: PodState) -> None:
    key = keep_receipt(objects)
    assert judged(state, objects) == {"status": "done", "receipt": key, "row_counts": {"rows": 3}}
    assert objects.list("memory/") == []


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (KILLED, "was ended by SIGKILL before it left a receipt"),
        (GONE, "the pod was deleted, or its node is no more"),
        (PodState(stage=Stage.ENDED, reason="Completed", exit_code=0), "exited with 0, but left no receipt"),
        (PodState(stage=Stage.ENDED, reason="Error", exit_code=70, said="KeyError in"), "^KeyError in$"),
    ],
)
def test_no_receipt_is_a_failure_with_the_reason(objects: MemoryObjects, state: PodState, told: str) -> None:
    with pytest.raises(TemporaryError, match=told):
        judged(state, objects)


def test_a_failure_that_the_step_wrote_down_counts_though_nobody_saw_the_pod_end(objects: MemoryObjects) -> None:
    keep_outcome(objects, OutcomeStatus.FAILED, 65, message="Column a is missing.")
    with pytest.raises(AirflowFailException, match=r"^Column a is missing\.$"):
        judged(GONE, objects)


def test_why_the_cluster_told_a_step_to_end_outranks_that_it_was_told(objects: MemoryObjects) -> None:
    keep_outcome(objects, OutcomeStatus.FAILED, 75, message="The step was told to end (SIGTERM).")
    full = PodState(
        stage=Stage.ENDED,
        reason="Evicted",
        exit_code=75,
        message='Usage of EmptyDir volume "tmp" exceeds the limit "16Mi".',
    )
    with pytest.raises(PermanentError, match="wrote more to disk than it may"):
        judged(full, objects)
    elsewhere = PodState(stage=Stage.ENDED, reason="Evicted", exit_code=75, message="The node was low on memory.")
    with pytest.raises(TemporaryError, match="was told to end"):
        judged(elsewhere, objects)


def test_nothing_to_do_is_a_skip(objects: MemoryObjects) -> None:
    keep_outcome(objects, OutcomeStatus.SKIPPED, 99, message="The gates were not passed.")
    with pytest.raises(AirflowSkipException, match="gates"):
        judged(PodState(stage=Stage.ENDED, reason="Error", exit_code=99), objects)


def test_a_step_that_ran_out_of_memory_is_tried_with_more_and_that_is_written_down(objects: MemoryObjects) -> None:
    with pytest.raises(TemporaryError, match=r"needs more than 2Gi of memory.*next try gets 4Gi"):
        judged(OUT_OF_MEMORY, objects)
    assert len(objects.list("memory/flights/manual__1/train/2013-09/")) == 1


def test_at_the_ceiling_it_is_not_tried_again(objects: MemoryObjects) -> None:
    with pytest.raises(PermanentError, match=r"needs more than 4Gi of memory.*Raise execution"):
        judged(OUT_OF_MEMORY, objects, memory="4Gi")


class Away(MemoryObjects):
    def list(self, prefix: str) -> list[str]:  # noqa: ARG002 (as every store has it)
        raise TemporaryError("S3 does not answer.")


def test_a_store_that_is_away_is_no_verdict() -> None:
    with pytest.raises(StoreAwayError, match="S3 does not answer"):
        judged(KILLED, Away())
