import pytest

from include.errors import ConfigurationError
from plugins.pipelines.maintenance import DAG_ID, maintenance_dags


def test_where_steps_are_pods_lost_ones_are_looked_for_by_cron(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_EXECUTION", "kubernetes")
    dag = maintenance_dags()[DAG_ID]
    [reaper] = dag.tasks
    assert type(reaper).__name__ == "PodReaperOperator"
    assert reaper.retries
    assert reaper.execution_timeout
    assert reaper.owner == "platform"
    assert dag.max_active_runs == 1
    assert dag.is_paused_upon_creation is False
    assert len(dag.doc_md or "") > 100


@pytest.mark.parametrize("mode", ["", "local"])
def test_without_a_cluster_there_is_nothing_to_look_after(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("ML_EXECUTION", mode)
    assert maintenance_dags() == {}


def test_an_unknown_mode_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_EXECUTION", "kubernetis")
    with pytest.raises(ConfigurationError, match="Did you mean 'kubernetes'"):
        maintenance_dags()
