import json
from pathlib import Path

import pytest

from include.contract import settings as names
from local_platform.cluster import environment
from local_platform.cluster.backing_services.databases import Databases
from local_platform.cluster.environment import Cluster
from local_platform.cluster.settings import ClusterSettings
from local_platform.locations import State
from local_platform.services import credentials
from local_platform.services import environment as local
from local_platform.services.ports import Ports
from local_platform.services.services import Settings

GIVEN = ClusterSettings(
    kubeconfig="/the/persons", registry="http://10.0.0.1:5000/ml", s3_endpoint="http://10.0.0.1:7070",
    s3_access_key="me", s3_secret_key="canary-of-s3", s3_bucket="ours",
)  # fmt: skip
IMAGES = {"step": "r/step@sha256:1", "serving": "r/serving@sha256:2", "mlflow": "r/mlflow@sha256:3"}


def cluster(folder: Path, statsd: str = "") -> Cluster:
    databases = Databases("10.0.0.1:1", "127.0.0.1:1", {"airflow": "canary-of-airflow"})
    return Cluster(
        given=GIVEN, databases=databases, images=IMAGES, kubeconfig=folder / "airflow.kubeconfig", statsd=statsd
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(State(tmp_path), Ports(1, 2, 3, 4), credentials.provide(tmp_path / "secrets"))


def test_a_step_finds_everything_in_the_cluster(tmp_path: Path) -> None:
    variables = environment.step_environment(cluster(tmp_path))
    assert variables[names.EXECUTION] == "kubernetes"
    assert variables[names.TABLES_URI] == "s3://ours/tables"
    assert variables[names.OBJECTS_URI] == "s3://ours/objects"
    assert variables[names.TRACKING_URI] == "http://ml-mlflow.ml-platform.svc:5000"
    assert variables[names.SERVING_URI] == "kubernetes://ml-serving"
    assert variables[names.STEP_IMAGE] == "r/step@sha256:1"
    assert variables[names.SERVING_IMAGE] == "r/serving@sha256:2"
    assert variables["AWS_ENDPOINT_URL"] == "http://10.0.0.1:7070"
    assert "canary" not in str(variables)


def test_airflow_starts_pods_by_its_own_kubeconfig_and_nobody_elses(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/the/persons")
    variables = environment.airflow_environment(settings, cluster(tmp_path))
    connection = json.loads(variables["AIRFLOW_CONN_KUBERNETES_DEFAULT"])
    assert connection["extra"]["kube_config_path"] == str(tmp_path / "airflow.kubeconfig")
    assert "KUBECONFIG" not in variables
    assert "/the/persons" not in str(variables)


def test_what_a_person_set_for_something_else_does_not_leak_in(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_PROFILE", "ML_ANY_CODE", "CLUSTER_S3_SECRET_KEY", "MLFLOW_TRACKING_PASSWORD", "AIRFLOW_HOME"):
        monkeypatch.setenv(name, "elsewhere")
    assert "elsewhere" not in environment.airflow_environment(settings, cluster(tmp_path)).values()


def test_airflow_works_on_postgresql_and_keeps_the_state_s_mark(settings: Settings, tmp_path: Path) -> None:
    variables = environment.airflow_environment(settings, cluster(tmp_path))
    at = "airflow:canary-of-airflow@127.0.0.1:1/airflow"
    assert variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == f"postgresql+psycopg2://{at}"
    assert variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC"] == f"postgresql+asyncpg://{at}"
    assert variables["ML_PLATFORM_STATE"] == str(tmp_path)
    on_one_machine = local.airflow_environment(settings.state, settings.ports, settings.credentials)
    pace = "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME"
    assert variables[pace] == on_one_machine[pace]


def test_airflow_reports_what_the_chart_lets_it_where_the_exporter_is_reached(
    settings: Settings, tmp_path: Path
) -> None:
    assert environment.airflow_environment(settings, cluster(tmp_path))["AIRFLOW__METRICS__STATSD_ON"] == "False"
    variables = environment.airflow_environment(settings, cluster(tmp_path, statsd="10.96.0.7:9125"))
    assert variables["AIRFLOW__METRICS__STATSD_ON"] == "True"
    assert (variables["AIRFLOW__METRICS__STATSD_HOST"], variables["AIRFLOW__METRICS__STATSD_PORT"]) == (
        "10.96.0.7",
        "9125",
    )
    assert "scheduler_heartbeat" in variables["AIRFLOW__METRICS__METRICS_ALLOW_LIST"]


def test_this_process_reaches_mlflow_by_its_forwarded_port(settings: Settings) -> None:
    variables = environment.as_reached_here(settings, GIVEN)
    assert variables[names.TRACKING_URI] == "http://127.0.0.1:2"
    assert variables["AWS_SECRET_ACCESS_KEY"] == "canary-of-s3"


def test_no_secret_shows_in_a_representation(tmp_path: Path) -> None:
    assert "canary" not in repr(cluster(tmp_path))
