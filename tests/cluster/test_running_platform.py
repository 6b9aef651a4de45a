import json

import psutil
import pytest

from tests.support.cluster.running_platform import ClusterPlatform

pytestmark = [pytest.mark.needs("cluster"), pytest.mark.needs("postgresql")]


def test_a_day_of_the_fault_project_goes_well(cluster_platform: ClusterPlatform) -> None:
    cluster_platform.put_day("2024-01-01")
    ended = cluster_platform.wait(cluster_platform.start("faults_data", partition="2024-01-01"))
    assert ended.state == "success", cluster_platform.report()
    assert {name: task.state for name, task in cluster_platform.tasks(ended).items()} == {
        "ingest": "success", "validate": "success", "profile": "success", "features": "success",
    }  # fmt: skip


def test_an_airflow_process_does_not_know_the_administrator_of_the_cluster(cluster_platform: ClusterPlatform) -> None:
    records = list(cluster_platform.state.services.glob("airflow-*.json"))
    assert len(records) == 4
    for record in records:
        pid = json.loads(record.read_text())["guard"][0]  # Airflow writes its title over its own environment
        variables = psutil.Process(pid).environ()
        assert not [name for name in variables if name == "KUBECONFIG" or name.startswith("CLUSTER_")]
        assert "AIRFLOW_CONN_KUBERNETES_DEFAULT" in variables
