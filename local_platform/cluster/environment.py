"""Environments of an Airflow on this machine whose steps are pods: of the steps, of Airflow, and of this process."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from include.contract import settings as names
from local_platform.cluster import manifests
from local_platform.cluster.backing_services.databases import AIRFLOW, DRIVER, Databases
from local_platform.cluster.settings import ClusterSettings
from local_platform.locations import REPOSITORY
from local_platform.services import environment
from local_platform.services.services import Settings

KUBERNETES_CONNECTION = "AIRFLOW_CONN_KUBERNETES_DEFAULT"
CHART = REPOSITORY / "helm-values" / "airflow.yaml"
PARALLELISM = 8
"""Tasks that run at once; a task that waits for its pod is deferred and does not count."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """One installation on a cluster: addresses, images and credentials."""

    given: ClusterSettings
    databases: Databases
    images: Mapping[str, str]
    """References by target."""
    kubeconfig: Path
    """With the token of Airflow's own service account."""
    statsd: str = ""
    """``host:port`` of the exporter as this machine reaches it; empty where it does not."""


def overrides(given: ClusterSettings) -> dict[str, str]:
    """Values of ConfigMap ml-settings that differ from the base."""
    root = f"s3://{given.s3_bucket}"
    return {
        names.TABLES_URI: f"{root}/tables",
        names.OBJECTS_URI: f"{root}/objects",
        "ML_MLFLOW_ARTIFACTS": f"{root}/mlflow",
        names.ARTIFACT_REGISTRY: given.registry,
        "AWS_ENDPOINT_URL": given.s3_endpoint,
        "AWS_REGION": given.s3_region,
    }


def step_environment(cluster: Cluster) -> dict[str, str]:
    """Variables of a step without its secrets; pods get them unchanged."""
    shared = manifests.base_settings() | overrides(cluster.given)
    kept = {
        name: value
        for name, value in shared.items()
        if name not in {"ML_MLFLOW_ARTIFACTS", "MLFLOW_SERVER_ALLOWED_HOSTS"}
    }
    return kept | {
        names.STEP_IMAGE: cluster.images["step"],
        names.SERVING_IMAGE: cluster.images["serving"],
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }


def as_reached_here(settings: Settings, given: ClusterSettings) -> dict[str, str]:
    """Variables of the stores for this process: MLflow by its forwarded port, the rest as in a step."""
    stores = overrides(given) | s3_keys(given)
    # Outside AWS a client of S3 that lacks a setting would wait for EC2's metadata service.
    return stores | {names.TRACKING_URI: settings.ports.mlflow_url, "AWS_EC2_METADATA_DISABLED": "true"}


def s3_keys(given: ClusterSettings) -> dict[str, str]:
    """Keys with which Airflow reads receipts, and this process the summary."""
    return {"AWS_ACCESS_KEY_ID": given.s3_access_key, "AWS_SECRET_ACCESS_KEY": given.s3_secret_key}


def airflow_environment(settings: Settings, cluster: Cluster) -> dict[str, str]:
    """The whole environment of Airflow's processes."""
    base = environment.platform_environment(settings.state)
    local = environment.airflow_environment(settings.state, settings.ports, settings.credentials)
    values = {
        "core.parallelism": str(PARALLELISM),
        "database.sql_alchemy_conn": cluster.databases.own_url(AIRFLOW, DRIVER),
        "database.sql_alchemy_conn_async": cluster.databases.own_url(AIRFLOW, "postgresql+asyncpg"),
        **_statsd_settings(cluster.statsd),
    }
    connection = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(cluster.kubeconfig)}}
    # Nothing of the person's own S3 account or cluster may reach Airflow.
    kept = {name: value for name, value in base.items() if not name.startswith(("AWS_", "CLUSTER_", "ML_"))}
    return (
        kept
        | {name: base[name] for name in base if name.startswith("ML_PLATFORM_")}
        | step_environment(cluster)
        | s3_keys(cluster.given)
        | local
        | environment.airflow_variables(values)
        | {KUBERNETES_CONNECTION: json.dumps(connection)}
    )


def _statsd_settings(address: str) -> dict[str, str]:
    if not address:
        return {}
    host, _, port = address.rpartition(":")
    return {
        "metrics.statsd_on": "True",
        "metrics.statsd_host": host,
        "metrics.statsd_port": port,
        "metrics.metrics_allow_list": reported_metrics(),
    }


def reported_metrics() -> str:
    """Airflow's own metrics that it sends, as in the chart; all of them would be thousands of packets a minute."""
    values = yaml.safe_load(CHART.read_text())
    return str(values["config"]["metrics"]["metrics_allow_list"])
