import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import PropertyMock, patch

import pytest
from airflow import settings
from airflow.models import import_all_models
from airflow.models.taskinstance import TaskInstance
from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import scoped_session, sessionmaker

from include.errors import TemporaryError
from include.stores.objects.memory import MemoryObjects
from plugins.hooks.stores import ObjectStoreHook
from plugins.operators.pod.sweep import sweep
from tests.support.worlds.pod_world import NAMESPACE, FakeCluster, made, running

BEFORE, PRESENT = (uuid.UUID(int=number) for number in (1, 2))


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


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    found = FakeCluster()
    monkeypatch.setenv("ML_POD_NAMESPACE", NAMESPACE)
    monkeypatch.setattr(ObjectStoreHook, "get_conn", lambda _: MemoryObjects())
    with patch.object(KubernetesHook, "core_v1_client", new_callable=PropertyMock, return_value=found.client):
        yield found


def put_task(database: Engine, key: uuid.UUID, state: str | None, index: int = -1, run: str = "manual__1") -> None:
    row = {
        "id": key, "dag_id": "flights_training", "run_id": run, "task_id": "train", "map_index": index, "state": state,
        "pool": "p", "pool_slots": 1, "try_number": 1, "max_tries": 0, "hostname": "", "unixname": "", "operator": "",
    }  # fmt: skip
    with database.begin() as connection:
        connection.execute(TaskInstance.__table__.insert(), row)


def test_who_lives_is_read_from_the_database(database: Engine, cluster: FakeCluster) -> None:
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


def test_a_pod_of_an_earlier_try_goes_and_one_of_the_present_try_stays(database: Engine, cluster: FakeCluster) -> None:
    put_task(database, PRESENT, "scheduled")
    put_task(database, uuid.uuid4(), "running", index=0)
    earlier = cluster.put(made(running(), task_instance=str(BEFORE)))
    assert sweep() == [earlier.metadata.name]
    cluster.put(made(running(), task_instance=str(PRESENT), try_number=2))
    assert sweep() == []


def test_a_database_that_is_away_is_temporary_and_ends_no_pod(database: Engine, cluster: FakeCluster) -> None:
    TaskInstance.__table__.drop(database)
    cluster.put(made(running()))
    with pytest.raises(TemporaryError, match=r"Airflow's database does not answer now: .*no such table"):
        sweep()
    assert cluster.deleted == []
