from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from unittest.mock import PropertyMock, patch

import pytest
from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from kubernetes.client import models as k8s

from include.errors import TemporaryError
from include.stores.objects.memory import MemoryObjects
from plugins.hooks.stores import ObjectStoreHook
from plugins.operators.pod.orphans import LIVE, TaskNow, doomed_of, end_orphans
from tests.support.worlds.pod_world import NAMESPACE, FakeCluster, Lines, ended, made, running

NOW = datetime.now(UTC)


def doomed(pods: list[k8s.V1Pod], **states: str | TaskNow | None) -> dict[str, str]:
    """Names of those that go, and why; tasks or their states by name."""
    tasks = {name: one if isinstance(one, TaskNow) else TaskNow(one) for name, one in states.items()}
    found = doomed_of(pods, lambda dag, runs: dict.fromkeys(runs, tasks) if dag else {}, now=NOW)
    return {one.pod.metadata.name: one.why for one in found}


@pytest.mark.parametrize("state", sorted(LIVE))
def test_a_pod_of_a_live_task_stays(state: str) -> None:
    assert doomed([made(running())], train=state) == {}


@pytest.mark.parametrize("state", ["failed", "success", "up_for_retry", "skipped", "removed", "upstream_failed"])
def test_a_pod_that_works_for_a_task_that_ended_goes(state: str) -> None:
    assert list(doomed([made(running())], train=state).values()) == [f"its task is {state}"]


def test_a_pod_of_a_task_that_airflow_does_not_know_goes() -> None:
    assert list(doomed([made(running())]).values()) == ["Airflow knows no such task"]


def test_a_pod_of_an_earlier_try_goes_though_its_task_lives() -> None:
    pods = [made(running(), try_number=number) for number in (1, 2, 10)]
    newer = f"its task has a newer one, {pods[2].metadata.name}"
    assert doomed(pods, train="running") == {pod.metadata.name: newer for pod in pods[:2]}


def test_a_run_that_was_deleted_and_made_again_has_the_newer_pod_though_its_try_is_lower() -> None:
    before = made(running(), try_number=3, task_instance="id-1")
    again = made(running(), try_number=1, task_instance="id-2")
    assert list(doomed([again, before], train="running")) == [before.metadata.name]


def test_a_pod_of_a_task_that_was_cleared_goes_before_its_next_try_comes() -> None:
    waiting = TaskNow("scheduled", "id-2")
    cleared = made(running(), task_instance="id-1")
    name = cleared.metadata.name
    assert doomed([cleared], train=None) == {name: "its task was cleared"}
    assert doomed([cleared], train=waiting) == {name: "its task was cleared, and is at its next try"}


def test_a_pod_of_the_try_that_airflow_is_at_or_of_a_later_one_stays() -> None:
    pod = made(running(), task_instance="id-2", try_number=2)
    for known in ("id-1", "id-2"):
        assert doomed([pod], train=TaskNow("deferred", known)) == {}


def test_a_pod_that_ended_before_its_task_was_cleared_stays_a_while() -> None:
    just, long = ended(1, at=NOW), ended(1, at=NOW - timedelta(hours=2))
    assert doomed([made(just)], train=TaskNow("running", "id-2")) == {}
    assert len(doomed([made(long)], train=TaskNow("running", "id-2"))) == 1


def test_a_mapped_task_is_found_by_its_index() -> None:
    pods = [made(running(), map_index=index) for index in (0, 1)]
    assert list(doomed(pods, train_0="running", train_1="failed")) == [pods[1].metadata.name]


def test_a_pod_that_ended_stays_a_while_and_as_long_as_its_task_has_not_read_it() -> None:
    just, long = ended(1, at=NOW), ended(1, at=NOW - timedelta(hours=2))
    assert doomed([made(just)], train="failed") == {}
    assert doomed([made(long)], train="deferred") == {}
    assert len(doomed([made(long)], train="failed")) == 1


def test_states_are_asked_for_once_a_dag_and_after_the_pods_were_listed() -> None:
    asked = []
    pods = [made(running(), run_id=run) for run in ("a", "b")] + [made(running(), dag_id="other")]

    def tasks_now(dag: str, runs: Iterable[str]) -> dict[str, dict[str, TaskNow]]:
        asked.append((dag, list(runs)))
        return {}

    doomed_of(pods, tasks_now, now=NOW)
    assert sorted(asked) == [("flights_training", ["a", "b"]), ("other", ["manual__1"])]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    found = FakeCluster()
    monkeypatch.setenv("ML_POD_NAMESPACE", NAMESPACE)
    with patch.object(KubernetesHook, "core_v1_client", new_callable=PropertyMock, return_value=found.client):
        yield found


def test_only_pods_of_steps_are_looked_at_and_what_worked_is_called_off(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects, log = MemoryObjects(), Lines()
    monkeypatch.setattr(ObjectStoreHook, "get_conn", lambda _: objects)
    orphan = cluster.put(made(running(), step="ingest", subject="2013-09/weather", try_number=3))
    alive = cluster.put(made(running(), map_index=0))
    stranger = cluster.put(k8s.V1Pod(metadata=k8s.V1ObjectMeta(name="stranger", labels={"app": "x"})))
    served = {"app.kubernetes.io/managed-by": "ml-platform"}
    server = cluster.put(k8s.V1Pod(metadata=k8s.V1ObjectMeta(name="server", labels=served)))
    tasks = {"manual__1": {"train": TaskNow("failed"), "train_0": TaskNow("running")}}
    assert end_orphans(lambda *_: tasks, "kubernetes_default", log) == [orphan.metadata.name]
    assert sorted(cluster.pods) == sorted(pod.metadata.name for pod in (alive, stranger, server))
    assert objects.list("leases/") == ["leases/flights/manual__1/ingest/2013-09/weather/revoked-003-001.json"]
    assert log.texts == [
        f"Deleted pod steps/{orphan.metadata.name}: its task is failed.",
        "Looked at 2 pods of steps in steps, deleted 1.",
    ]


def test_a_store_that_is_away_saves_no_orphan(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise TemporaryError("S3 does not answer.")

    log = Lines()
    monkeypatch.setattr(ObjectStoreHook, "call_off", away)
    orphan = cluster.put(made(running()))
    end_orphans(lambda *_: {}, "kubernetes_default", log)
    assert cluster.deleted == [orphan.metadata.name]
    assert log.texts[0].endswith("its step was not called off: S3 does not answer.")
