import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import PropertyMock, patch

import pytest
from airflow import settings
from airflow.models import import_all_models
from airflow.models.taskinstance import TaskInstance
from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from kubernetes.client import models as k8s
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import scoped_session, sessionmaker

from include.errors import TemporaryError
from include.stores.objects.memory import MemoryObjects
from plugins.hooks.stores import ObjectStoreHook
from plugins.operators.pod.orphans import LIVE, PodReaperOperator, TaskNow, doomed_of, end_orphans, sweep
from tests.support.task_log import TaskLog
from tests.support.worlds.pod_world import NAMESPACE, FakePods, ended, made, running

BEFORE, PRESENT = (uuid.UUID(int=number) for number in (1, 2))
NOW = datetime.now(UTC)


def doomed(pods: list[k8s.V1Pod], **states: str | TaskNow | None) -> dict[str, str]:
    """Names of those that go, and why; tasks or their states by name."""
    tasks = {name: one if isinstance(one, TaskNow) else TaskNow(one) for name, one in states.items()}
    doomed_pods = doomed_of(pods, lambda dag, runs: dict.fromkeys(runs, tasks) if dag else {}, now=NOW)
    return {one.pod.metadata.name: one.why for one in doomed_pods}


@pytest.mark.parametrize("state", sorted(LIVE))
def test_a_pod_of_a_live_task_stays(state: str) -> None:
    assert doomed([made(running())], train=state) == {}


@pytest.mark.parametrize("state", ["failed", "success", "up_for_retry", "skipped", "removed", "upstream_failed"])
def test_a_pod_that_works_for_a_task_that_ended_goes(state: str) -> None:
    assert list(doomed([made(running())], train=state).values()) == [f"its task is {state}"]


def test_a_pod_of_a_task_that_airflow_does_not_know_goes() -> None:
    assert list(doomed([made(running())]).values()) == ["Airflow has no such task"]


def test_a_pod_of_an_earlier_attempt_goes_though_its_task_lives() -> None:
    pods = [made(running(), try_number=number) for number in (1, 2, 10)]
    newer = f"its task has a newer one, {pods[2].metadata.name}"
    assert doomed(pods, train="running") == {pod.metadata.name: newer for pod in pods[:2]}


def test_a_run_that_was_deleted_and_made_again_has_the_newer_pod_though_its_attempt_is_lower() -> None:
    before = made(running(), try_number=3, task_instance="id-1")
    again = made(running(), try_number=1, task_instance="id-2")
    assert list(doomed([again, before], train="running")) == [before.metadata.name]


def test_a_pod_of_a_task_that_was_cleared_goes_before_its_next_attempt_comes() -> None:
    waiting = TaskNow("scheduled", "id-2")
    cleared = made(running(), task_instance="id-1")
    name = cleared.metadata.name
    assert doomed([cleared], train=None) == {name: "its task was cleared"}
    assert doomed([cleared], train=waiting) == {name: "its task was cleared, and is at its next attempt"}


def test_a_pod_of_the_present_attempt_or_of_a_later_one_stays() -> None:
    pod = made(running(), task_instance="id-2", try_number=2)
    for known in ("id-1", "id-2"):
        assert doomed([pod], train=TaskNow("deferred", known)) == {}


def test_a_pod_that_ended_before_its_task_was_cleared_stays_a_while() -> None:
    just, long = ended(1, at=NOW), ended(1, at=NOW - timedelta(hours=2))
    assert doomed([made(just)], train=TaskNow("running", "id-2")) == {}
    assert len(doomed([made(long)], train=TaskNow("running", "id-2"))) == 1


def test_a_mapped_task_is_known_by_its_index() -> None:
    pods = [made(running(), map_index=index) for index in (0, 1)]
    assert list(doomed(pods, train_0="running", train_1="failed")) == [pods[1].metadata.name]


def test_a_pod_that_ended_stays_a_while_and_as_long_as_its_task_has_not_read_it() -> None:
    just, long = ended(1, at=NOW), ended(1, at=NOW - timedelta(hours=2))
    assert doomed([made(just)], train="failed") == {}
    assert doomed([made(long)], train="deferred") == {}
    assert len(doomed([made(long)], train="failed")) == 1


def test_states_are_requested_once_a_dag_and_after_the_pods_were_listed() -> None:
    requests = []
    pods = [made(running(), run_id=run) for run in ("a", "b")] + [made(running(), dag_id="other")]

    def tasks_now(dag: str, runs: Iterable[str]) -> dict[str, dict[str, TaskNow]]:
        requests.append((dag, list(runs)))
        return {}

    doomed_of(pods, tasks_now, now=NOW)
    assert sorted(requests) == [("flights_training", ["a", "b"]), ("other", ["manual__1"])]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePods]:
    pods = FakePods()
    monkeypatch.setenv("ML_POD_NAMESPACE", NAMESPACE)
    monkeypatch.setattr(ObjectStoreHook, "get_conn", lambda _: MemoryObjects())
    with patch.object(KubernetesHook, "core_v1_client", new_callable=PropertyMock, return_value=pods.client):
        yield pods


def test_only_pods_of_steps_are_looked_at_and_leases_of_what_ran_are_revoked(
    cluster: FakePods, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects, log = MemoryObjects(), TaskLog()
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


def test_a_store_that_is_away_saves_no_orphan(cluster: FakePods, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise TemporaryError("S3 does not answer.")

    log = TaskLog()
    monkeypatch.setattr(ObjectStoreHook, "revoke", away)
    orphan = cluster.put(made(running()))
    end_orphans(lambda *_: {}, "kubernetes_default", log)
    assert cluster.deleted == [orphan.metadata.name]
    assert log.texts[0].endswith("its step's leases were not revoked: S3 does not answer.")


def test_a_task_requests_states_from_airflow_and_returns_what_it_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakePods()
    monkeypatch.setenv("ML_POD_NAMESPACE", NAMESPACE)
    monkeypatch.setattr(ObjectStoreHook, "get_conn", lambda _: MemoryObjects())
    orphan, cleared = cluster.put(made(running())), cluster.put(made(running(), task_id="cleared"))
    alive = cluster.put(made(running(), map_index=0))
    states = {"manual__1": {"train": "failed", "cleared": None, "train_0": "running"}}
    with (
        patch.object(KubernetesHook, "core_v1_client", new_callable=PropertyMock, return_value=cluster.client),
        patch.object(RuntimeTaskInstance, "get_task_states", autospec=True, return_value=states) as states_of,
    ):
        result = PodReaperOperator(task_id="reap").execute({})
    assert result == {"deleted": [orphan.metadata.name, cleared.metadata.name]}
    assert list(cluster.pods) == [alive.metadata.name]
    states_of.assert_called_once_with(dag_id="flights_training", run_ids=["manual__1"])


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Airflow's, with its table of tasks and no other."""
    import_all_models()  # as the API server does
    engine = create_engine(f"sqlite:///{tmp_path / 'airflow.db'}")
    sessions = scoped_session(sessionmaker(engine))
    monkeypatch.setattr(settings, "Session", sessions)
    TaskInstance.__table__.create(engine)
    yield engine
    sessions.remove()
    engine.dispose()


def put_task(database: Engine, key: uuid.UUID, state: str | None, index: int = -1, run: str = "manual__1") -> None:
    row = {
        "id": key, "dag_id": "flights_training", "run_id": run, "task_id": "train", "map_index": index, "state": state,
        "pool": "p", "pool_slots": 1, "try_number": 1, "max_tries": 0, "hostname": "", "unixname": "", "operator": "",
    }  # fmt: skip
    with database.begin() as connection:
        connection.execute(TaskInstance.__table__.insert(), row)


def test_who_lives_is_read_from_the_database(database: Engine, cluster: FakePods) -> None:
    put_task(database, uuid.UUID(int=11), "failed")
    put_task(database, uuid.UUID(int=12), "deferred", index=0)
    put_task(database, uuid.UUID(int=13), None, index=1)
    put_task(database, uuid.UUID(int=14), "queued", run="manual__2")
    names: dict[int, dict[str, Any]] = {
        11: {}, 12: {"map_index": 0}, 13: {"map_index": 1}, 14: {"run_id": "manual__2"}, 15: {"run_id": "deleted"},
    }  # fmt: skip
    pods = {
        key: cluster.put(made(running(), **name, task_instance=str(uuid.UUID(int=key)))).metadata.name
        for key, name in names.items()
    }
    assert sweep() == [pods[11], pods[13], pods[15]]
    assert list(cluster.pods) == [pods[12], pods[14]]


def test_a_pod_of_an_earlier_attempt_goes_and_one_of_the_present_one_stays(database: Engine, cluster: FakePods) -> None:
    put_task(database, PRESENT, "scheduled")
    put_task(database, uuid.uuid4(), "running", index=0)
    earlier = cluster.put(made(running(), task_instance=str(BEFORE)))
    assert sweep() == [earlier.metadata.name]
    cluster.put(made(running(), task_instance=str(PRESENT), try_number=2))
    assert sweep() == []


def test_a_database_that_is_away_is_temporary_and_ends_no_pod(database: Engine, cluster: FakePods) -> None:
    TaskInstance.__table__.drop(database)
    cluster.put(made(running()))
    with pytest.raises(TemporaryError, match=r"Airflow's database does not respond now: .*no such table"):
        sweep()
    assert cluster.deleted == []
