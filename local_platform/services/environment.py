"""The services' settings: everything goes through the environment, nothing is written into a configuration file."""

import json
import os
from collections.abc import Mapping

from include.contract import settings
from local_platform.bootstrap import clean_environment
from local_platform.locations import STATE_VARIABLE, State, bundle
from local_platform.services.credentials import USERS, Credentials
from local_platform.services.ports import LOOPBACK, Ports

BUNDLE = "ml-platform"
PATIENCE_SECONDS = 60
"""How long Airflow's processes wait for a lock of the database and for each other, on a machine that may be busy."""


def platform_environment(state: State) -> dict[str, str]:
    """What every process of the platform carries, whatever it does."""
    kept = {name: value for name, value in clean_environment().items() if not name.startswith(("AIRFLOW_", "MLFLOW_"))}
    kept.pop("KUBECONFIG", None)  # with it Airflow's deferred pods look at the wrong cluster
    return kept | {STATE_VARIABLE: str(state.root), "DO_NOT_TRACK": "1", "PYTHONUNBUFFERED": "1"}


def bypass_proxies() -> None:
    """Keep this process, and whatever it starts, from asking a proxy for services on loopback."""
    for name in ("no_proxy", "NO_PROXY"):
        kept = [host for host in os.environ.get(name, "").split(",") if host]
        os.environ[name] = ",".join(dict.fromkeys([*kept, LOOPBACK, "localhost"]))


def step_environment(state: State, ports: Ports) -> dict[str, str]:
    """What a step needs: where the stores are."""
    defaults = {name: pattern.format(state=state.root) for name, pattern in settings.LOCAL_DEFAULTS.items()}
    return defaults | {
        settings.TRACKING_URI: ports.mlflow_url,
        settings.SERVING_URI: f"unix://{state.socket('serving')}",
        settings.FORK_SERVER: str(state.socket("fork_server")),
        settings.EXECUTION: "local",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }


def mlflow_environment() -> dict[str, str]:
    """A small MLflow server: one worker, no job runner beside it."""
    return {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }


def airflow_environment(state: State, ports: Ports, credentials: Credentials) -> dict[str, str]:
    """
    A small Airflow: SQLite, local executor, fast polling, loopback only.

    An interrupted start leaves runs in the database; the scheduler looks for orphans often, so that they go on.
    """
    local_bundle = {
        "name": BUNDLE,
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(bundle())},
    }
    values = {
        "core.executor": "LocalExecutor",
        "core.parallelism": str(parallelism()),
        "core.load_examples": "False",
        "core.plugins_folder": str(bundle() / "plugins"),
        "core.execution_api_server_url": f"{ports.airflow_url}/execution/",
        "core.fernet_key": credentials.keys["fernet"],
        "core.auth_manager": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "core.simple_auth_manager_users": ",".join(f"{user}:{role}" for user, role in USERS.items()),
        "core.simple_auth_manager_passwords_file": str(credentials.passwords_file),
        "database.sql_alchemy_conn": f"sqlite:///{state.airflow / 'airflow.db'}?timeout={PATIENCE_SECONDS}",
        "api.host": LOOPBACK,
        "api.port": str(ports.airflow),
        "api.base_url": ports.airflow_url,
        "api.workers": "1",
        "api.secret_key": credentials.keys["session"],
        "api_auth.jwt_secret": credentials.keys["jwt"],
        "dag_processor.dag_bundle_config_list": json.dumps([local_bundle]),
        "dag_processor.parsing_processes": "1",
        "dag_processor.min_file_process_interval": "60",
        "logging.base_log_folder": str(state.airflow / "logs"),
        "scheduler.scheduler_idle_sleep_time": "0.25",
        "scheduler.orphaned_tasks_check_interval": "15",
        "scheduler.task_instance_heartbeat_timeout": "60",
        "workers.execution_api_timeout": str(PATIENCE_SECONDS),
        "metrics.statsd_on": "False",
        "usage_data_collection.enabled": "False",
    }
    return airflow_variables(values) | {"AIRFLOW_HOME": str(state.airflow)}


def airflow_variables(values: Mapping[str, str]) -> dict[str, str]:
    """Airflow's settings, given as ``section.key``, by the variables that carry them."""
    return {f"AIRFLOW__{name.replace('.', '__').upper()}": value for name, value in values.items()}


def parallelism() -> int:
    """How many tasks run at once: as many as there are cores, for steps compute; never so many that memory runs out."""
    return max(2, min(8, os.cpu_count() or 1))
