"""The operator against a stand-in API server; on a real cluster it is tried in tests/cluster."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from include.contract.layout import outcome_key, receipt_key
from include.contract.receipt import Outcome, OutcomeStatus, Receipt, canonical_json
from include.errors import TemporaryError
from include.stores.objects import open_objects
from plugins.operators.pod_step import CAPACITY_SECONDS, ERRORS, ERRORS_AT_MOST, PodStepOperator
from tests.kube_api import KubeApi, running_kube_api

RUN = "scheduled__2013-03-01T05:00:00+00:00"
IMAGE = f"registry.example.org/ml-platform/step@sha256:{'a' * 64}"
CANARY = "canary-of-the-test"
KEY = receipt_key("flights", "ingest", "2013-03/weather", "f" * 64)


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubeApi]:
    with running_kube_api() as running:
        extra = {"extra": {"kube_config_path": str(running.kubeconfig(tmp_path))}}
        monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps({"conn_type": "kubernetes", **extra}))
        monkeypatch.setenv("KUBECONFIG", "/of/somebody/else")
        monkeypatch.setenv("ML_STEP_IMAGE", IMAGE)
        monkeypatch.setenv("ML_TABLES_URI", "s3://bucket/tables")
        monkeypatch.setenv("ML_OBJECTS_URI", f"file://{tmp_path}/objects")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
        yield running


class Instance(SimpleNamespace):
    """A task instance, as far as the operator looks at it."""

    def __init__(self, started: timedelta = timedelta()) -> None:
        super().__init__(
            dag_id="flights_data",
            task_id="ingest",
            map_index=1,
            try_number=1,
            id="0199-try-1",
            start_date=datetime.now(UTC) - started,
            pushed={},
        )

    def xcom_push(self, key: str, value: object) -> None:
        self.pushed[key] = value


def context(started: timedelta = timedelta()) -> Any:
    return {"run_id": RUN, "ti": Instance(started), "dag": None, "outlet_events": {}}


@pytest.fixture
def operator() -> PodStepOperator:
    with DAG("flights_data", schedule=None):
        return PodStepOperator(
            task_id="ingest",
            step="ingest",
            project="flights",
            partition="2013-03",
            source="weather",
            cpu=0.5,
            memory="512Mi",
            timeout=timedelta(minutes=10),
        )


def launched(operator: PodStepOperator, given: Any) -> dict[str, Any]:
    """Start the pod; the event that its trigger will bring."""
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(given)
    trigger = deferred.value.trigger
    assert isinstance(trigger, KubernetesPodTrigger)
    return {"name": trigger.pod_name, "namespace": trigger.pod_namespace, "status": "success", "message": ""}


def ended(api: KubeApi, event: dict[str, Any], code: int, message: str = "") -> None:
    terminated = {"exitCode": code, "reason": "Completed" if code == 0 else "Error", "message": message}
    api.pods[event["name"]]["status"] = {
        "phase": "Failed" if code else "Succeeded",
        "containerStatuses": [
            {
                "name": "base",
                "image": "it",
                "imageID": "it",
                "ready": False,
                "restartCount": 0,
                "state": {"terminated": terminated},
            }
        ],
    }
    if code:
        event["status"] = "failed"


def left(tmp_path: Path, status: OutcomeStatus, code: int, message: str = "") -> None:
    """What the step left in the object store."""
    objects = open_objects(f"file://{tmp_path}/objects")
    known = {"step": "ingest", "project": "flights", "subject": "2013-03/weather", "run": RUN, "attempt": 1}
    done = status is OutcomeStatus.DONE
    outcome = Outcome.model_validate(
        {
            **known,
            "status": status,
            "exit_code": code,
            "message": message,
            "seconds": 1,
            "receipt": KEY if done else None,
        }
    )
    if done:
        now = datetime.now(UTC)
        receipt = Receipt.model_validate(
            {
                **known, "identity": "f" * 64, "partition": "2013-03", "parameters": {}, "inputs": (), "outputs": (),
                "row_counts": {"read": 7}, "results": {}, "code_digest": "sha256:1", "started_at": now,
                "finished_at": now, "host": "pod",
            }
        )  # fmt: skip
        objects.create(KEY, canonical_json(receipt.model_dump(mode="json")))
    key = outcome_key("flights", RUN, "ingest", "2013-03/weather", attempt=1, ending=0)
    objects.create(key, canonical_json(outcome.model_dump(mode="json")))


def test_the_pod_gets_arguments_and_no_command(api: KubeApi, operator: PodStepOperator) -> None:
    launched(operator, context())
    (pod,) = api.created
    (container,) = pod["spec"]["containers"]
    assert not container["command"]
    assert container["image"] == IMAGE
    assert container["args"][:7] == ["ingest", "--project", "flights", "--partition", "2013-03", "--run", RUN]
    assert container["args"][-2:] == ["--source", "weather"]


def test_the_pod_passes_the_restricted_standard(api: KubeApi, operator: PodStepOperator) -> None:
    launched(operator, context())
    spec = api.created[0]["spec"]
    (container,) = spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert spec["activeDeadlineSeconds"] == 600
    assert spec["restartPolicy"] == "Never"


def test_no_secret_is_in_the_pod_or_the_trigger(api: KubeApi, operator: PodStepOperator) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context())
    assert CANARY not in json.dumps(api.created)
    assert CANARY not in str(deferred.value.trigger.serialize())


def test_a_receipt_is_a_success(api: KubeApi, operator: PodStepOperator, tmp_path: Path) -> None:
    given = context()
    event = launched(operator, given)
    ended(api, event, 0)
    left(tmp_path, OutcomeStatus.DONE, 0)
    operator.trigger_reentry(given, event)
    assert given["ti"].pushed["return_value"] == {"status": "done", "receipt": KEY, "row_counts": {"read": 7}}
    assert api.pods == {}


def test_a_receipt_is_a_success_even_if_the_pod_is_gone(
    api: KubeApi, operator: PodStepOperator, tmp_path: Path
) -> None:
    given = context()
    event = launched(operator, given)
    api.pods.clear()
    left(tmp_path, OutcomeStatus.DONE, 0)
    operator.trigger_reentry(given, {**event, "status": "error"})
    assert given["ti"].pushed["return_value"]["receipt"] == KEY


def test_a_pod_that_is_gone_without_a_receipt_is_retried(api: KubeApi, operator: PodStepOperator) -> None:
    event = launched(operator, context())
    api.pods.clear()
    with pytest.raises(TemporaryError, match="deleted or evicted"):
        operator.trigger_reentry(context(), event)


def test_a_pod_that_succeeded_without_a_receipt_is_no_success(api: KubeApi, operator: PodStepOperator) -> None:
    event = launched(operator, context())
    ended(api, event, 0)
    with pytest.raises(TemporaryError, match="left no receipt"):
        operator.trigger_reentry(context(), event)


def test_rejected_data_fails_at_once_with_the_steps_words(
    api: KubeApi, operator: PodStepOperator, tmp_path: Path
) -> None:
    event = launched(operator, context())
    ended(api, event, 65, "12 rows of another month")
    left(tmp_path, OutcomeStatus.FAILED, 65, "12 rows of another month")
    with pytest.raises(AirflowFailException, match="12 rows of another month"):
        operator.trigger_reentry(context(), event)
    assert api.pods == {}


def test_the_termination_message_is_told_where_no_outcome_could_be_written(
    api: KubeApi, operator: PodStepOperator
) -> None:
    event = launched(operator, context())
    ended(api, event, 78, "ML_OBJECTS_URI is not set")
    with pytest.raises(AirflowFailException, match="ML_OBJECTS_URI is not set"):
        operator.trigger_reentry(context(), event)


def test_nothing_to_do_is_a_skip(api: KubeApi, operator: PodStepOperator, tmp_path: Path) -> None:
    event = launched(operator, context())
    ended(api, event, 99)
    left(tmp_path, OutcomeStatus.SKIPPED, 99, "not promoted")
    with pytest.raises(AirflowSkipException, match="not promoted"):
        operator.trigger_reentry(context(), event)


def test_an_image_that_is_not_there_fails_at_once(api: KubeApi, operator: PodStepOperator) -> None:
    event = launched(operator, context())
    waiting = {"reason": "ErrImagePull", "message": "manifest unknown"}
    state = {
        "name": "base",
        "image": "it",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"waiting": waiting},
    }
    api.pods[event["name"]]["status"] = {"phase": "Pending", "containerStatuses": [state]}
    with pytest.raises(AirflowFailException, match="cannot start: ErrImagePull: manifest unknown"):
        operator.trigger_reentry(context(), {**event, "status": "error"})
    assert api.pods == {}


def test_a_used_up_quota_is_waited_for_without_a_worker(api: KubeApi, operator: PodStepOperator) -> None:
    api.refusals = [(403, "forbidden: exceeded quota: steps")]
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context())
    assert deferred.value.method_name == "execute_again"
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute_again(context(), None)
    assert deferred.value.method_name == "trigger_reentry"


def test_waiting_for_room_has_an_end(api: KubeApi, operator: PodStepOperator) -> None:
    long_ago = context(timedelta(seconds=CAPACITY_SECONDS + 1))
    event = launched(operator, long_ago)
    with pytest.raises(TemporaryError, match="has not ended after 1801 s"):
        operator.trigger_reentry(long_ago, {**event, "status": "timeout"})
    assert api.pods == {}
    api.refusals = [(403, "forbidden: exceeded quota: steps")]
    with pytest.raises(TemporaryError, match=r"exceeded quota: steps. That has been so for 1801 s"):
        operator.execute(long_ago)


def test_a_pod_that_waits_or_works_is_waited_for(api: KubeApi, operator: PodStepOperator) -> None:
    event = launched(operator, context())
    with pytest.raises(TaskDeferred) as deferred:
        operator.trigger_reentry(
            context(), {**event, "status": "timeout", "last_log_time": "2026-01-01T00:00:00+00:00"}
        )
    assert deferred.value.trigger.last_log_time.year == 2026
    with pytest.raises(TemporaryError, match="has not ended"):
        operator.trigger_reentry(context(), {**event, "status": "error", ERRORS: ERRORS_AT_MOST})


def test_an_api_server_that_is_away_is_waited_for(api: KubeApi, operator: PodStepOperator, tmp_path: Path) -> None:
    given = context()
    event = launched(operator, given)
    api.is_away = True
    with pytest.raises(TaskDeferred) as deferred:
        operator.trigger_reentry(given, event)
    api.is_away = False
    ended(api, event, 0)
    left(tmp_path, OutcomeStatus.DONE, 0)
    assert deferred.value.method_name == "look_again"
    operator.look_again(given, None, **(deferred.value.kwargs or {}))
    assert given["ti"].pushed["return_value"]["receipt"] == KEY


def test_a_line_is_logged_once(
    api: KubeApi, operator: PodStepOperator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = context()
    event = launched(operator, given)
    ended(api, event, 0)
    left(tmp_path, OutcomeStatus.DONE, 0)
    now = datetime.now(UTC).replace(microsecond=500_000)
    stamps = [(now - timedelta(seconds=2)), now, now + timedelta(milliseconds=100)]
    api.logs[event["name"]] = [f"{stamp:%Y-%m-%dT%H:%M:%S.%f}000Z line {n}\n" for n, stamp in enumerate(stamps)]
    seen: list[bytes] = []
    monkeypatch.setattr("plugins.operators.step_log.StepLog.take", lambda _, data: seen.append(data))
    operator.trigger_reentry(given, {**event, "last_log_time": now})
    assert seen == [b"line 1\n", b"line 2\n"]
