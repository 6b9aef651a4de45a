from pathlib import Path

import pytest

from local_platform.cluster import services
from local_platform.cluster.backing_services.databases import Databases
from local_platform.cluster.environment import Cluster
from local_platform.cluster.kubectl import Kubectl
from local_platform.cluster.settings import ClusterSettings
from local_platform.locations import State
from local_platform.services import credentials
from local_platform.services.ports import Ports
from local_platform.services.services import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(State(tmp_path), Ports(9, 9, 9, 9), credentials.provide(tmp_path / "secrets"))


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    given = ClusterSettings(
        kubeconfig="k", registry="r", s3_endpoint="http://s", s3_access_key="a", s3_secret_key="canary-of-s3"
    )
    databases = Databases("h:1", "h:1", {"airflow": "canary-of-airflow"})
    return Cluster(given=given, databases=databases, images={"step": "s", "serving": "m"}, kubeconfig=tmp_path / "k")


def test_deferred_tasks_have_a_triggerer(settings: Settings, cluster: Cluster) -> None:
    names = [service.name for service in services.airflow(settings, cluster)]
    assert names == ["airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"]
    assert not any(service.is_ready() for service in services.airflow(settings, cluster))


def test_no_secret_travels_in_arguments_or_shows(settings: Settings, cluster: Cluster) -> None:
    started = [*services.airflow(settings, cluster), services.migration(settings, cluster)]
    assert "canary" not in repr(started)
    assert "canary" not in str([service.words for service in started])


def test_ports_are_forwarded_to_mlflow_and_to_the_models_own_service(settings: Settings) -> None:
    kubectl = Kubectl("/the/kubeconfig")
    mlflow, model = services.mlflow_forward(settings, kubectl), services.model_forward(settings, kubectl)
    assert " ".join(mlflow.words).endswith("--namespace ml-platform --service ml-mlflow --port 9 --target 5000")
    assert " ".join(model.words).endswith("--namespace ml-serving --service departure-delay --port 9 --target 8080")
    assert mlflow.variables["KUBECONFIG"] == "/the/kubeconfig"
    assert (mlflow.is_ready(), model.is_ready()) == (False, True)
