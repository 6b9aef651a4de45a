from unittest.mock import PropertyMock, patch

import pytest
from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from include.stores.objects.memory import MemoryObjects
from plugins.hooks.stores import ObjectStoreHook
from plugins.operators.pod.reaper import PodReaperOperator
from tests.support.worlds.pod_world import NAMESPACE, FakeCluster, made, running


def test_a_task_asks_airflow_which_tasks_live_and_says_what_it_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster()
    monkeypatch.setenv("ML_POD_NAMESPACE", NAMESPACE)
    monkeypatch.setattr(ObjectStoreHook, "get_conn", lambda _: MemoryObjects())
    orphan, cleared = cluster.put(made(running())), cluster.put(made(running(), task_id="cleared"))
    alive = cluster.put(made(running(), map_index=0))
    states = {"manual__1": {"train": "failed", "cleared": None, "train_0": "running"}}
    with (
        patch.object(KubernetesHook, "core_v1_client", new_callable=PropertyMock, return_value=cluster.client),
        patch.object(RuntimeTaskInstance, "get_task_states", autospec=True, return_value=states) as asked,
    ):
        told = PodReaperOperator(task_id="reap").execute({})
    assert told == {"deleted": [orphan.metadata.name, cleared.metadata.name]}
    assert list(cluster.pods) == [alive.metadata.name]
    asked.assert_called_once_with(dag_id="flights_training", run_ids=["manual__1"])
