from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import Asset
from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred
from urllib3.exceptions import MaxRetryError

from include.contract.receipt import OutcomeStatus
from include.errors import TemporaryError
from include.stores.objects.memory import MemoryObjects
from plugins.hooks.stores import ObjectStoreHook
from plugins.operators.pod import operator as pod_operator
from plugins.operators.pod.attempt import Progress
from plugins.operators.pod.operator import PodStepOperator
from tests.support.servers.api_errors import refused
from tests.support.task_log import TaskLog
from tests.support.worlds.pod_world import (
    COMMAND,
    NAMESPACE,
    SETTINGS,
    Clock,
    FakePods,
    context,
    ended,
    keep_outcome,
    keep_receipt,
    running,
    status,
    unschedulable,
    waiting,
)

AWAY = MaxRetryError(None, "/api", ConnectionRefusedError("refused"))  # type: ignore[arg-type]


class Task(PodStepOperator):
    """The operator, with a cluster and a log of the test's own."""

    lines = TaskLog()
    cluster = FakePods()

    @property
    def log(self) -> Any:
        return self.lines

    @property
    def client(self) -> Any:
        return self.cluster.client


@pytest.fixture
def cluster() -> FakePods:
    Task.cluster = FakePods()
    return Task.cluster


@pytest.fixture
def lines() -> TaskLog:
    Task.lines = TaskLog()
    return Task.lines


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> MemoryObjects:
    store = MemoryObjects()
    monkeypatch.setattr(ObjectStoreHook, "get_conn", lambda _: store)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    return store


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pod_operator, "time", clock)
    return clock


pytestmark = pytest.mark.usefixtures("cluster", "lines", "objects", "clock")


def task(**more: Any) -> Task:
    given = {"task_id": "train", "step": "train", "project": "flights", "partition": "2013-09"}
    return Task(**given | more)


def deferred(call: Callable[[], Any]) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as raised:
        call()
    return raised.value


def resumed(asleep: TaskDeferred, event: Any = None, **more: Any) -> Any:
    """What Airflow does when the trigger fires: a new process, with what the old one left."""
    arguments = {"event": event, **(asleep.kwargs or {})}
    return task().resume_execution(asleep.method_name, arguments, context(**more))


def test_a_short_step_ends_while_the_task_watches(cluster: FakePods, objects: MemoryObjects, lines: TaskLog) -> None:
    cluster.next_status = [status(), running(), running(), ended(0)]
    cluster.logs = b'2026-01-01T00:00:00Z {"level": "warning", "event": "rows lost", "row_count": 3}\n'
    key = keep_receipt(objects)
    assert task().execute(context()) == {"status": "done", "receipt": key, "row_counts": {"rows": 3}}
    assert (30, "rows lost: row_count=3") in lines.lines
    assert lines.texts.count("rows lost: row_count=3") == 1
    assert cluster.pods == {}


def test_what_is_rendered_into_the_database_holds_no_environment() -> None:
    assert tuple(PodStepOperator.template_fields) == ("partition", "options")
    assert "env_vars" not in PodStepOperator.template_fields_renderers


def test_the_return_value_goes_to_xcom_and_no_sidecar_is_built(cluster: FakePods, objects: MemoryObjects) -> None:
    operator = task()
    assert operator.do_xcom_push is True
    cluster.next_status = [ended(0)]
    keep_receipt(objects)
    operator.execute(context())
    [call] = cluster.client.create_namespaced_pod.call_args_list
    assert [container.name for container in call.args[1].spec.containers] == ["step"]
    cluster.client.connect_get_namespaced_pod_exec.assert_not_called()


def test_assets_learn_partition_and_receipt(cluster: FakePods, objects: MemoryObjects) -> None:
    asset = Asset(name="a", uri="ml://a/b")
    event = SimpleNamespace(extra={})
    cluster.next_status = [ended(0)]
    key = keep_receipt(objects)
    task(outlets=[asset]).execute(context(outlet_events={asset: event}))
    assert event.extra == {"partition": "2013-09", "receipt": key}


def test_a_long_step_lets_the_task_sleep_and_its_end_wakes_it(
    cluster: FakePods, objects: MemoryObjects, clock: Clock, lines: TaskLog
) -> None:
    cluster.next_status = [running()]
    cluster.logs = b"2026-01-01T00:00:00Z first\n"
    asleep = deferred(lambda: task().execute(context()))
    assert isinstance(asleep.trigger, KubernetesPodTrigger)
    assert (asleep.trigger.pod_namespace, asleep.trigger.get_logs) == (NAMESPACE, False)
    assert asleep.trigger.connection_extras is None
    assert asleep.trigger.trigger_kwargs["_execution_deadline"] > clock.now
    cluster.logs += b"2026-01-01T00:00:09Z second\n"
    cluster.next_status = [ended(0)]
    keep_receipt(objects)
    assert resumed(asleep, {"status": "success"})["status"] == "done"
    assert [text for text in lines.texts if text in {"first", "second"}] == ["first", "second"]


def test_a_task_that_wakes_for_the_log_sleeps_again_and_longer(cluster: FakePods, clock: Clock) -> None:
    cluster.next_status = [running()]
    asleep = deferred(lambda: task().execute(context()))
    slept = []
    for _ in range(4):
        asleep = deferred(lambda asleep=asleep: resumed(asleep, {"status": "timeout"}))  # type: ignore[misc]
        assert isinstance(asleep.trigger, KubernetesPodTrigger)
        slept.append(asleep.trigger.trigger_kwargs["_execution_deadline"] - clock.now)
    assert slept == sorted(slept)
    assert slept[-1] <= 30


def test_a_trigger_that_failed_is_no_verdict(cluster: FakePods, objects: MemoryObjects) -> None:
    cluster.next_status = [running()]
    asleep = deferred(lambda: task().execute(context()))
    asleep = deferred(lambda: resumed(asleep, {"status": "error", "message": "API away"}))
    assert isinstance(asleep.trigger, DateTimeTrigger)  # not the one that just failed, which would fail at once again
    cluster.next_status = [ended(0)]
    keep_receipt(objects)
    assert resumed(asleep)["status"] == "done"


def test_a_trigger_that_crashed_is_no_verdict_either(cluster: FakePods, objects: MemoryObjects, lines: TaskLog) -> None:
    cluster.next_status = [running()]
    deferred(lambda: task().execute(context()))
    cluster.next_status = [ended(0)]
    keep_receipt(objects)
    assert task().resume_execution(TRIGGER_FAIL_REPR, {"error": "gone"}, context())["status"] == "done"
    assert cluster.created == 1
    assert any("The trigger that watched the pod failed (gone)" in text for text in lines.texts)


def test_a_pod_that_is_gone_ends_as_its_receipt_says(cluster: FakePods, objects: MemoryObjects) -> None:
    cluster.next_status = [running()]
    asleep = deferred(lambda: task().execute(context()))
    cluster.next_status = [None]
    with pytest.raises(TemporaryError, match="the pod was deleted, or its node is no more"):
        resumed(asleep)
    keep_receipt(objects)
    assert resumed(asleep)["status"] == "done"


@pytest.mark.parametrize(
    ("exit_code", "error", "message"),
    [
        (65, AirflowFailException, r"^Column a is missing\.$"),
        (75, TemporaryError, "missing"),
        (99, AirflowSkipException, "missing"),
    ],
)
def test_how_a_step_ends_decides_how_the_task_does(
    cluster: FakePods, objects: MemoryObjects, exit_code: int, error: type[Exception], message: str
) -> None:
    how = OutcomeStatus.SKIPPED if exit_code == 99 else OutcomeStatus.FAILED
    keep_outcome(objects, how, exit_code, message="Column a is missing.")
    cluster.next_status = [ended(exit_code)]
    with pytest.raises(error, match=message):
        task().execute(context())
    assert len(cluster.pods) == (0 if exit_code == 99 else 1), "a pod that failed stays for people to look at"


def test_the_termination_message_is_the_reason_of_an_end_without_an_outcome(cluster: FakePods) -> None:
    cluster.next_status = [ended(78, said="There is no project 'flight'.")]
    with pytest.raises(AirflowFailException, match=r"^There is no project 'flight'\.$"):
        task().execute(context())


def test_a_pod_that_cannot_start_fails_at_once_with_the_events_text_and_is_deleted(cluster: FakePods) -> None:
    cluster.next_status = [status(), waiting("ErrImagePull", "manifest unknown")]
    cluster.events = [("Failed", 'Failed to pull image "i": not found')]
    with pytest.raises(AirflowFailException, match=r"ErrImagePull: manifest unknown\. Event: Failed: Failed to pull"):
        task().execute(context())
    assert cluster.pods == {}


def test_a_registry_that_is_away_is_waited_for(cluster: FakePods) -> None:
    cluster.next_status = [waiting("ErrImagePull", "dial tcp: connection refused")]
    asleep = deferred(lambda: task().execute(context()))
    assert asleep.kwargs is not None
    assert len(cluster.pods) == 1


@pytest.mark.parametrize("refusal", [refused(403, "Forbidden", "violates PodSecurity"), refused(422, "Invalid", "bad")])
def test_a_pod_that_is_refused_fails_at_once(cluster: FakePods, refusal: Exception) -> None:
    cluster.refusals = [refusal]
    with pytest.raises(AirflowFailException, match=r"Creating pod steps/flights-train-\w+-1 was refused"):
        task().execute(context())


def test_a_pod_without_a_node_lets_the_task_sleep_at_once_with_the_reason(
    cluster: FakePods, lines: TaskLog, clock: Clock
) -> None:
    before = clock.now
    cluster.next_status = [unschedulable()]
    asleep = deferred(lambda: task().execute(context()))
    assert clock.now == before
    deferred(lambda: resumed(asleep, {"status": "timeout"}))
    waits = [text for text in lines.texts if text.startswith("Waiting for room: Unschedulable: 0/1 nodes")]
    assert len(waits) == 1


def test_nobody_waits_for_room_for_ever(cluster: FakePods, clock: Clock) -> None:
    cluster.next_status = [unschedulable()]
    asleep = deferred(lambda: task().execute(context()))
    clock.now += timedelta(hours=1, seconds=1).total_seconds()
    with pytest.raises(AirflowFailException, match=r"did not start within 1:00:00: Unschedulable.*capacity_wait"):
        resumed(asleep, {"status": "timeout"})
    assert cluster.pods == {}


def test_time_that_a_step_works_is_no_wait_for_room(cluster: FakePods, clock: Clock) -> None:
    cluster.next_status = [running()]
    asleep = deferred(lambda: task().execute(context()))
    clock.now += timedelta(hours=5).total_seconds()
    deferred(lambda: resumed(asleep, {"status": "timeout"}))


def test_a_used_up_quota_is_waited_for_without_a_pod(
    cluster: FakePods, objects: MemoryObjects, lines: TaskLog, clock: Clock
) -> None:
    quota = refused(403, "Forbidden", "exceeded quota: ml-quota, requested: pods=1, used: pods=40")
    cluster.refusals = [quota, quota]
    asleep = deferred(lambda: task().execute(context()))
    assert isinstance(asleep.trigger, DateTimeTrigger)
    first = Progress.from_json((asleep.kwargs or {})["progress"])
    asleep = deferred(lambda: resumed(asleep))
    assert Progress.from_json((asleep.kwargs or {})["progress"]).sleep_seconds() > first.sleep_seconds()
    assert len([text for text in lines.texts if "exceeded quota: ml-quota" in text]) == 1
    cluster.next_status = [ended(0)]
    keep_receipt(objects)
    assert resumed(asleep)["status"] == "done"


def test_a_quota_that_stays_used_up_fails_with_the_reason(cluster: FakePods, clock: Clock) -> None:
    quota = refused(403, "Forbidden", "exceeded quota: ml-quota")
    cluster.refusals = [quota, quota]
    asleep = deferred(lambda: task().execute(context()))
    clock.now += timedelta(hours=2).total_seconds()
    with pytest.raises(AirflowFailException, match="did not start within 1:00:00: exceeded quota: ml-quota"):
        resumed(asleep)


def test_an_api_server_that_is_away_is_waited_for(cluster: FakePods, objects: MemoryObjects, clock: Clock) -> None:
    cluster.refusals = [AWAY]
    asleep = deferred(lambda: task().execute(context()))
    cluster.next_status = [AWAY]
    asleep = deferred(lambda: resumed(asleep))
    assert isinstance(asleep.trigger, DateTimeTrigger)
    cluster.next_status = [ended(0)]
    keep_receipt(objects)
    assert resumed(asleep)["status"] == "done"


def test_an_api_server_that_stays_away_is_given_up(cluster: FakePods, clock: Clock) -> None:
    cluster.next_status = [AWAY]
    asleep = deferred(lambda: task().execute(context()))
    clock.now += timedelta(minutes=16).total_seconds()
    with pytest.raises(TemporaryError, match=r"Reading pod steps/flights-train-\w+-1 is not possible now"):
        resumed(asleep)


def test_an_api_server_that_came_back_starts_the_patience_anew(cluster: FakePods, clock: Clock) -> None:
    cluster.next_status = [AWAY]
    asleep = deferred(lambda: task().execute(context()))
    clock.now += timedelta(minutes=10).total_seconds()
    cluster.next_status = [running()]
    asleep = deferred(lambda: resumed(asleep))
    clock.now += timedelta(minutes=10).total_seconds()
    cluster.next_status = [AWAY]
    deferred(lambda: resumed(asleep))


def test_an_object_store_that_is_away_is_waited_for_and_the_log_comes_once(
    cluster: FakePods, objects: MemoryObjects, lines: TaskLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away(MemoryObjects):
        def list(self, prefix: str) -> list[str]:
            raise TemporaryError(f"S3 does not answer for {prefix}.")

    monkeypatch.setattr(ObjectStoreHook, "get_conn", lambda _: Away())
    cluster.logs = b"2026-01-01T00:00:00Z last words\n"
    cluster.next_status = [ended(0)]
    asleep = deferred(lambda: task().execute(context()))
    assert isinstance(asleep.trigger, DateTimeTrigger)
    monkeypatch.setattr(ObjectStoreHook, "get_conn", lambda _: objects)
    keep_receipt(objects)
    assert resumed(asleep)["status"] == "done"
    assert lines.texts.count("last words") == 1


def test_what_still_works_for_an_earlier_attempt_is_deleted(cluster: FakePods, objects: MemoryObjects) -> None:
    cluster.next_status = [running()]
    deferred(lambda: task().execute(context()))
    [first] = cluster.pods
    cluster.next_status = []
    with suppress(TaskDeferred):
        task().execute(context(try_number=2))
    assert cluster.deleted == [first]
    assert cluster.created == 2


def test_a_task_that_is_killed_deletes_its_pod_and_calls_the_step_off(
    cluster: FakePods, objects: MemoryObjects, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    operator = task()
    cluster.next_status = [running()]
    monkeypatch.setattr(clock, "sleep", lambda _: operator.on_kill())
    with pytest.raises(TemporaryError, match="was ended by Airflow, and its pod was deleted"):
        operator.execute(context())
    assert cluster.pods == {}
    assert len([key for key in objects.list(f"leases/{COMMAND.project}/") if "revoked-001" in key]) == 1


def test_a_task_that_fails_while_its_pod_works_deletes_it(
    cluster: FakePods, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("a bug")

    cluster.next_status = [running()]
    monkeypatch.setattr(pod_operator, "follow_log", lambda *_, **__: fail())
    with pytest.raises(ValueError, match="a bug"):
        task().execute(context())
    assert cluster.pods == {}


def test_a_mistake_in_the_form_fails_before_anything_is_made(cluster: FakePods) -> None:
    with pytest.raises(AirflowFailException, match="'memry' is no key"):
        task().execute(context(resources={"train": {"memry": "1Gi"}}))
    assert cluster.created == 0
